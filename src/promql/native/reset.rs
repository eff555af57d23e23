//! Whether a counter histogram began anew.

use model::{Buckets, Histogram, ResetHint};

use super::buckets::bound;
use super::total::{coarser, same_bounds, widened};

/// Whether a histogram cannot follow the one before without having begun anew: a count fell, or
/// the resolution or the zero bucket changed as they only do with a new beginning.
pub(crate) fn is_reset(current: &Histogram, previous: &Histogram) -> bool {
    match current.reset {
        ResetHint::Reset => return true,
        ResetHint::NotReset => return false,
        // A gauge as well: whoever asks takes it for a counter.
        ResetHint::Unknown | ResetHint::Gauge => {}
    }
    if current.count < previous.count {
        return true;
    }
    match (current.has_custom_bounds(), previous.has_custom_bounds()) {
        (true, true) if same_bounds(&current.bounds, &previous.bounds) => {
            let pairs = |side: &Buckets| side.iter().collect::<Vec<_>>();
            return fell(&pairs(&current.positive), &pairs(&previous.positive));
        }
        (true, true) => return common_bound_fell(current, previous),
        (true, false) | (false, true) => return true,
        (false, false) => {}
    }
    let threshold = current.zero_threshold;
    if current.schema > previous.schema || threshold < previous.zero_threshold {
        return true;
    }
    let (zero_count, reached) = if threshold == previous.zero_threshold {
        (previous.zero_count, threshold)
    } else {
        widened(
            previous.schema,
            || previous.positive.iter(),
            || previous.negative.iter(),
            previous.zero_count,
            threshold,
        )
    };
    if reached != threshold || current.zero_count < zero_count {
        return true;
    }
    // The buckets outside of the zero bucket, in the resolution of the current histogram.
    let side = |histogram: &Histogram, side: &Buckets| {
        let finer = histogram.schema - current.schema;
        let mut pairs: Vec<(i32, f64)> = Vec::with_capacity(side.counts.len());
        for (index, count) in side.iter() {
            if bound(index, histogram.schema) <= threshold {
                continue;
            }
            let index = coarser(index, finer);
            match pairs.last_mut() {
                Some((last, sum)) if *last == index => *sum += count,
                _ => pairs.push((index, count)),
            }
        }
        pairs
    };
    let sides = [
        (&current.positive, &previous.positive),
        (&current.negative, &previous.negative),
    ];
    sides
        .into_iter()
        .any(|(now, before)| fell(&side(current, now), &side(previous, before)))
}

/// Whether a bucket holds less than before; one that is not listed holds nothing.
fn fell(current: &[(i32, f64)], previous: &[(i32, f64)]) -> bool {
    let mut rest = current.iter().peekable();
    previous.iter().any(|(index, before)| {
        while rest.next_if(|(known, _)| known < index).is_some() {}
        let now = rest.peek().filter(|(known, _)| known == index);
        match now {
            Some((_, now)) => now < before,
            None => *before != 0.0,
        }
    })
}

/// Whether less lies between two of the bounds that both histograms have.
fn common_bound_fell(current: &Histogram, previous: &Histogram) -> bool {
    let common: Vec<f64> = current
        .bounds
        .iter()
        .copied()
        .filter(|bound| previous.bounds.contains(bound))
        .collect();
    let counts = |histogram: &Histogram| {
        let mut counts = vec![0.0; common.len() + 1];
        for (index, count) in histogram.positive.iter() {
            let bounds = &histogram.bounds;
            let upper = usize::try_from(index).ok().and_then(|i| bounds.get(i));
            let place = upper.map_or(common.len(), |upper| {
                common.partition_point(|bound| bound < upper)
            });
            counts[place] += count;
        }
        counts
    };
    let (now, before) = (counts(current), counts(previous));
    now.iter().zip(&before).any(|(now, before)| now < before)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{any_histogram, exponential};
    use super::*;
    use crate::native::Total;
    use proptest::prelude::*;

    #[test]
    fn falling_buckets_are_seen() {
        let before = exponential(0, 0, &[1.0, 2.0, 1.0]);
        let check = |first, counts: &[f64], expected: bool| {
            let current = exponential(0, first, counts);
            assert_eq!(is_reset(&current, &before), expected, "{counts:?}");
        };
        check(0, &[1.0, 2.0, 1.0], false);
        check(-1, &[9.0, 1.0, 2.0, 1.0, 3.0], false);
        check(0, &[1.0, 1.0, 3.0], true);
        check(0, &[1.0, 9.0], true);
        check(0, &[0.0, 1.0, 1.0], true);
    }

    #[test]
    fn hints_are_believed() {
        let before = exponential(0, 0, &[5.0]);
        let with = |reset, count| Histogram {
            reset,
            ..exponential(0, 0, &[count])
        };
        assert!(is_reset(&with(ResetHint::Reset, 9.0), &before));
        assert!(!is_reset(&with(ResetHint::NotReset, 1.0), &before));
        assert!(is_reset(&with(ResetHint::Gauge, 1.0), &before));
    }

    proptest! {
        /// More observations are no reset, in whatever resolution they are added.
        #[test]
        fn growth_is_no_reset(before in any_histogram(), more in any_histogram()) {
            let mut total = Total::of(&before);
            total.add(&more, 1.0).expect("both exponential");
            prop_assert!(!is_reset(&total.finish(), &before));
        }
    }
}
