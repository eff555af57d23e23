//! Brings samples that come from several places into order.

use model::Samples;

/// Sorts the samples from place `base` on by time; of several at one time the first one counts.
pub(crate) fn sort_tail(samples: &mut Samples, base: usize) {
    let Some(times) = samples.timestamps_ms.get(base..) else {
        return;
    };
    // Fast path: sealed windows and head follow one another.
    if times.is_sorted_by(|a, b| a < b) {
        return;
    }
    let values = samples.values.get(base..).unwrap_or_default();
    let mut pairs: Vec<(i64, f64)> = times.iter().copied().zip(values.iter().copied()).collect();
    pairs.sort_by_key(|(time, _)| *time);
    pairs.dedup_by_key(|(time, _)| *time);
    samples.timestamps_ms.truncate(base);
    samples.values.truncate(base);
    for (time, value) in pairs {
        samples.push(time, value);
    }
}

/// Keeps of the samples from place `base` on those with `start_ms < time <= end_ms`; they must be
/// ascending.
pub(crate) fn trim_tail(samples: &mut Samples, base: usize, start_ms: i64, end_ms: i64) {
    let times = samples.timestamps_ms.get(base..).unwrap_or_default();
    let from = times.partition_point(|t| *t <= start_ms);
    let to = times.partition_point(|t| *t <= end_ms).max(from);
    samples.timestamps_ms.truncate(base + to);
    samples.timestamps_ms.drain(base..base + from);
    samples.values.truncate(base + to);
    samples.values.drain(base..base + from);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(pairs: &[(i64, f64)]) -> Samples {
        let mut samples = Samples::default();
        for (t, v) in pairs {
            samples.push(*t, *v);
        }
        samples
    }

    #[test]
    fn the_first_of_equal_times_counts() {
        let mut s = samples(&[(9, 0.0), (3, 1.0), (1, 2.0), (3, 3.0), (2, 4.0)]);
        sort_tail(&mut s, 1);
        let expected = samples(&[(9, 0.0), (1, 2.0), (2, 4.0), (3, 1.0)]);
        assert_eq!(s, expected);
    }

    #[test]
    fn ranges_are_open_on_the_left() {
        let check = |start, end, expected: &[(i64, f64)]| {
            let mut s = samples(&[(7, 7.0), (1, 1.0), (2, 2.0), (3, 3.0)]);
            trim_tail(&mut s, 1, start, end);
            let mut whole = vec![(7, 7.0)];
            whole.extend_from_slice(expected);
            assert_eq!(s, samples(&whole), "({start}, {end}]");
        };
        check(1, 3, &[(2, 2.0), (3, 3.0)]);
        check(0, 2, &[(1, 1.0), (2, 2.0)]);
        check(3, 9, &[]);
        check(5, 1, &[]);
    }
}
