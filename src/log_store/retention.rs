//! Which partitions have had their time? Retention by age and by size, whole partitions only.

use std::time::Duration;

use crate::catalogue::PartitionRow;

/// The partitions to drop, oldest first: those whose newest line is older than `retention`, then
/// the oldest until the rest fits into `disk_bytes_max`.
pub(crate) fn expired(
    partitions: &[PartitionRow],
    now_ns: i64,
    retention: Duration,
    disk_bytes_max: u64,
) -> Vec<u64> {
    let mut by_age: Vec<&PartitionRow> = partitions.iter().collect();
    by_age.sort_by_key(|p| (newest_ns(p), p.id));
    let retention_ns = i64::try_from(retention.as_nanos()).unwrap_or(i64::MAX);
    let oldest_kept_ns = now_ns.saturating_sub(retention_ns);
    let mut disk_bytes: u64 = partitions.iter().map(|p| p.disk_bytes).sum();
    let mut expired = Vec::new();
    for partition in by_age {
        if newest_ns(partition) >= oldest_kept_ns && disk_bytes <= disk_bytes_max {
            break;
        }
        disk_bytes -= partition.disk_bytes;
        expired.push(partition.id);
    }
    expired
}

/// When its newest line was written. A line from the future (a wrong clock) must not keep a
/// partition for ever: it is not newer than its sealing.
fn newest_ns(partition: &PartitionRow) -> i64 {
    partition.max_ns.min(partition.sealed_ns)
}

/// The growth is judged by so much of the past, nanoseconds: a day, because days differ from
/// nights.
const GROWTH_NS: i64 = 24 * HOUR_NS;

/// Less than this tells nothing of a day.
const GROWTH_MIN_NS: i64 = HOUR_NS;

const HOUR_NS: i64 = 3_600_000_000_000;

/// Bytes that a day of lines takes on disk, by the times of the lines of the last day; `None` where
/// those are of less than an hour. What was read in one go from an old file counts for the time
/// when it was written.
pub(crate) fn bytes_per_day(partitions: &[PartitionRow], now_ns: i64) -> Option<u64> {
    let from_ns = now_ns.saturating_sub(GROWTH_NS);
    let lately = || partitions.iter().filter(|p| newest_ns(p) > from_ns);
    let first_ns = lately().map(|p| p.min_ns.max(from_ns)).min()?;
    let last_ns = lately().map(newest_ns).max()?.min(now_ns);
    let looked_at_ns = last_ns.saturating_sub(first_ns);
    if looked_at_ns < GROWTH_MIN_NS {
        return None;
    }
    let bytes = lately().map(|p| {
        let newest_ns = newest_ns(p);
        let whole = newest_ns.saturating_sub(p.min_ns).max(1);
        let part = newest_ns.saturating_sub(p.min_ns.max(from_ns)).max(1);
        p.disk_bytes as f64 * (part as f64 / whole as f64).min(1.0)
    });
    let per_ns = bytes.sum::<f64>() / looked_at_ns as f64;
    Some((per_ns * 24.0 * HOUR_NS as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_that_of_the_last_day() {
        let hours = |from: i64, to: i64, disk_bytes| PartitionRow {
            id: 1,
            min_ns: from * HOUR_NS,
            max_ns: to * HOUR_NS,
            sealed_ns: to * HOUR_NS,
            lines: 1,
            text_bytes: 1,
            disk_bytes,
        };
        let check = |partitions: &[PartitionRow], expected| {
            assert_eq!(bytes_per_day(partitions, 100 * HOUR_NS), expected);
        };
        check(&[], None);
        let young = PartitionRow {
            min_ns: 99 * HOUR_NS + 1,
            ..hours(99, 100, 10)
        };
        check(&[young], None);
        check(&[hours(98, 99, 100), hours(99, 100, 300)], Some(4800));
        // Half of it is of the last day; what is older does not count.
        check(&[hours(52, 100, 480), hours(0, 70, 5000)], Some(240));
    }

    #[test]
    fn drops_by_age_then_by_size() {
        let partition = |id, max_ns, sealed_ns, disk_bytes| PartitionRow {
            id,
            min_ns: 0,
            max_ns,
            sealed_ns,
            lines: 1,
            text_bytes: 1,
            disk_bytes,
        };
        let all = [
            partition(1, 100, 100, 10),
            partition(2, 50, 300, 10),
            partition(3, i64::MAX, 200, 10),
            partition(4, 400, 400, 10),
        ];
        let check = |now_ns, disk, expected: &[u64]| {
            let retention = Duration::from_nanos(100);
            assert_eq!(expired(&all, now_ns, retention, disk), expected);
        };
        check(150, 100, &[]);
        check(151, 100, &[2]);
        check(301, 100, &[2, 1, 3]);
        check(0, 25, &[2, 1]);
        check(0, 0, &[2, 1, 3, 4]);
        check(i64::MIN, 100, &[]);
    }
}
