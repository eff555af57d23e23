//! Brings samples that come from several places into order.

use std::sync::Arc;

use model::{Histogram, Samples};

/// Sorts the samples from place `base` on by time; of several at one time the first one counts.
pub(crate) fn sort_tail(samples: &mut Samples, base: usize) {
    let Some(times) = samples.timestamps_ms.get(base..) else {
        return;
    };
    // Fast path: sealed windows and head follow one another.
    if times.is_sorted_by(|a, b| a < b) {
        return;
    }
    if samples.histograms.last().is_some_and(|(at, _)| *at >= base) {
        sort_mixed(samples, base);
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

/// Slow path: some of them are native histograms, which must stay with their places.
fn sort_mixed(samples: &mut Samples, base: usize) {
    let first = samples.histograms.partition_point(|(at, _)| *at < base);
    let mut histograms = samples.histograms.split_off(first).into_iter().peekable();
    let times = samples.timestamps_ms.split_off(base);
    let values = samples.values.split_off(base);
    let rows = times.into_iter().zip(values).enumerate();
    let mut rows: Vec<(i64, f64, Option<Arc<Histogram>>)> = rows
        .map(|(i, (time, value))| {
            let histogram = histograms.next_if(|(at, _)| *at == base + i);
            (time, value, histogram.map(|(_, h)| h))
        })
        .collect();
    rows.sort_by_key(|(time, ..)| *time);
    rows.dedup_by_key(|(time, ..)| *time);
    for (time, value, histogram) in rows {
        match histogram {
            Some(histogram) => samples.push_histogram(time, histogram),
            None => samples.push(time, value),
        }
    }
}

/// Keeps of the samples from place `base` on those with `start_ms < time <= end_ms`; they must be
/// ascending.
pub(crate) fn trim_tail(samples: &mut Samples, base: usize, start_ms: i64, end_ms: i64) {
    let times = samples.timestamps_ms.get(base..).unwrap_or_default();
    let from = times.partition_point(|t| *t <= start_ms);
    let to = times.partition_point(|t| *t <= end_ms).max(from);
    samples.timestamps_ms.truncate(base + to);
    samples.values.truncate(base + to);
    samples.histograms.retain(|(at, _)| *at < base + to);
    remove(samples, base, base + from);
}

/// Takes out the samples with `start_ms <= time <= end_ms`; all must be ascending.
pub(crate) fn cut(samples: &mut Samples, start_ms: i64, end_ms: i64) {
    let times = &samples.timestamps_ms;
    let from = times.partition_point(|t| *t < start_ms);
    let to = times.partition_point(|t| *t <= end_ms);
    if from < to {
        remove(samples, from, to);
    }
}

fn remove(samples: &mut Samples, from: usize, to: usize) {
    samples.timestamps_ms.drain(from..to);
    samples.values.drain(from..to);
    // Fast path: no histograms, nothing to walk.
    samples.histograms.retain_mut(|(at, _)| {
        let kept = *at < from || *at >= to;
        if *at >= to {
            *at -= to - from;
        }
        kept
    });
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

    #[test]
    fn histograms_stay_with_their_times() {
        let histogram = |count| {
            Arc::new(Histogram {
                count,
                ..Histogram::default()
            })
        };
        let mut s = samples(&[(1, 1.0), (9, 9.0)]);
        for time in [2, 5, 7, 9] {
            s.push_histogram(time, histogram(time as f64));
        }
        s.push(6, 6.0);
        sort_tail(&mut s, 0);
        let seen = |s: &Samples| -> Vec<(i64, f64)> {
            let at = |(at, h): &(usize, Arc<Histogram>)| (s.timestamps_ms[*at], h.count);
            assert!(
                s.histograms
                    .iter()
                    .all(|(at, _)| model::is_histogram(s.values[*at]))
            );
            s.histograms.iter().map(at).collect()
        };
        assert_eq!(s.timestamps_ms, [1, 2, 5, 6, 7, 9]);
        assert_eq!(seen(&s), [(2, 2.0), (5, 5.0), (7, 7.0)]);
        cut(&mut s, 3, 5);
        assert_eq!(s.timestamps_ms, [1, 2, 6, 7, 9]);
        assert_eq!(seen(&s), [(2, 2.0), (7, 7.0)]);
        trim_tail(&mut s, 0, 1, 7);
        assert_eq!(s.timestamps_ms, [2, 6, 7]);
        assert_eq!(seen(&s), [(2, 2.0), (7, 7.0)]);
    }
}
