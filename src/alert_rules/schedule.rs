//! When a group is evaluated: at times that depend only on its name and interval.
//!
//! Groups are spread over the interval by a hash, so that a hundred of them do not ask at the
//! same moment, and a group keeps its times over restarts, so that its series stay even.

use xxhash_rust::xxh3::xxh3_64;

/// The evaluation times of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schedule {
    interval_ms: i64,
    offset_ms: i64,
}

impl Schedule {
    /// The times of a group; `interval_ms` is at least 1.
    pub(crate) fn new(file: &str, group: &str, interval_ms: i64) -> Self {
        let interval_ms = interval_ms.max(1);
        let hash = xxh3_64(format!("{file};{group}").as_bytes());
        Self {
            interval_ms,
            offset_ms: (hash % interval_ms as u64) as i64,
        }
    }

    /// The first time after `now_ms`.
    pub(crate) fn after(self, now_ms: i64) -> i64 {
        let since = (now_ms - self.offset_ms).rem_euclid(self.interval_ms);
        now_ms - since + self.interval_ms
    }

    /// The time that follows an evaluation for `slot_ms` which was over at `now_ms`, and how many
    /// times were missed in between. As in Prometheus, the last time that has passed is made up
    /// for at once; the ones before it are left out, for their results would come too late.
    ///
    /// A clock that was set back by more than an interval begins anew.
    pub(crate) fn next(self, slot_ms: i64, now_ms: i64) -> (i64, u64) {
        if slot_ms - now_ms > self.interval_ms {
            return (self.after(now_ms), 0);
        }
        let elapsed = (now_ms - slot_ms).max(0) / self.interval_ms;
        let missed = (elapsed - 1).max(0);
        (slot_ms + (missed + 1) * self.interval_ms, missed as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_stable_and_ahead() {
        let schedule = Schedule::new("a.yml", "g", 60_000);
        let first = schedule.after(1_000_000);
        assert!(first > 1_000_000 && first <= 1_060_000);
        assert_eq!(schedule.after(first - 1), first);
        assert_eq!(schedule.after(first), first + 60_000);
        assert_eq!(schedule, Schedule::new("a.yml", "g", 60_000));
    }

    #[test]
    fn groups_are_spread_over_the_interval() {
        let mut quarters = [0; 4];
        for i in 0..400 {
            let schedule = Schedule::new("a.yml", &format!("g{i}"), 60_000);
            quarters[(schedule.offset_ms / 15_000) as usize] += 1;
        }
        assert!(quarters.iter().all(|n| *n > 60), "{quarters:?}");
    }

    #[test]
    fn late_groups_skip_what_they_missed() {
        let schedule = Schedule {
            interval_ms: 10,
            offset_ms: 0,
        };
        assert_eq!(schedule.next(100, 105), (110, 0));
        assert_eq!(schedule.next(100, 119), (110, 0));
        assert_eq!(schedule.next(100, 120), (120, 1));
        assert_eq!(schedule.next(100, 155), (150, 4));
        // A clock that was set back a little, and by more than an interval.
        assert_eq!(schedule.next(100, 95), (110, 0));
        assert_eq!(schedule.next(100, 55), (60, 0));
    }
}
