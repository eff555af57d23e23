//! Classic histograms: series per bucket, with the upper bound in the label `le`.
//!
//! 1. The series are grouped by all their labels but `le`.
//! 2. At each step the buckets that have a value are put in order of their bounds; those with
//!    the same bound are added, and counts that fall from one bucket to the next are levelled.
//! 3. The quantile is interpolated within the bucket where its rank lies.

use model::Labels;
use rustc_hash::FxHashMap;

use crate::column::{Series, is_present};
use crate::query::Query;

/// The label with a bucket's upper bound.
const BOUND: &str = "le";

/// Differences between neighbours that are smaller than this part of their sum are rounding.
const ROUNDING: f64 = 1e-12;

/// A bucket at one step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    upper: f64,
    count: f64,
}

/// A histogram over all steps.
pub(super) struct Classic {
    /// Those of its series without the bound.
    pub(super) labels: Labels,
    /// Bounds and columns, in order of bounds.
    pub(super) buckets: Vec<(f64, Vec<f64>)>,
}

impl Classic {
    /// The buckets that have a value at a step.
    pub(super) fn at(&self, step: usize, buckets: &mut Vec<Bucket>) {
        buckets.clear();
        for (upper, column) in &self.buckets {
            let (upper, count) = (*upper, column[step]);
            if is_present(count) {
                buckets.push(Bucket { upper, count });
            }
        }
    }
}

/// Groups series to histograms, in the order in which they appear.
pub(super) fn group(
    query: &Query<'_>,
    series: impl Iterator<Item = Series>,
    place: Option<usize>,
) -> Vec<Classic> {
    let mut index: FxHashMap<Labels, usize> = FxHashMap::default();
    let mut histograms: Vec<Classic> = Vec::new();
    for series in series {
        let bound = series.labels.get(BOUND).unwrap_or_default();
        let Some(upper) = parse_bound(bound) else {
            let name = series.labels.metric_name();
            query.notes.warn(
                &format!(
                    "bucket label \"le\" is missing or has a malformed value of {bound:?}{}",
                    for_metric(name)
                ),
                place,
            );
            continue;
        };
        let labels = series.labels.filtered(|name| name != BOUND);
        let at = *index.entry(labels).or_insert_with_key(|labels| {
            histograms.push(Classic {
                labels: labels.clone(),
                buckets: Vec::new(),
            });
            histograms.len() - 1
        });
        histograms[at].buckets.push((upper, series.column.values));
    }
    for histogram in &mut histograms {
        histogram.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    histograms
}

/// The end of a message about a metric, if it has a name.
pub(super) fn for_metric(name: Option<&str>) -> String {
    name.map_or(String::new(), |name| format!(" for metric name {name:?}"))
}

/// Reads a bound as Go does: `+Inf`, `0.5`, `1e3`.
fn parse_bound(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|bound| !bound.is_nan())
}

/// Adds buckets with the same bound.
fn join_same_bounds(buckets: &mut Vec<Bucket>) {
    buckets.dedup_by(|next, kept| {
        let same = next.upper == kept.upper;
        if same {
            kept.count += next.count;
        }
        same
    });
}

/// Levels counts that fall. Says whether any fell by more than rounding.
fn make_monotonic(buckets: &mut [Bucket]) -> bool {
    let mut was_levelled = false;
    let mut before = buckets[0].count;
    for bucket in buckets.iter_mut().skip(1) {
        if bucket.count == before {
            continue;
        }
        let is_rounding = (bucket.count - before).abs()
            < ROUNDING * (bucket.count.abs() + before.abs()).min(f64::MAX);
        if is_rounding || bucket.count < before {
            was_levelled |= !is_rounding;
            bucket.count = before;
        } else {
            before = bucket.count;
        }
    }
    was_levelled
}

/// The quantile, and whether the counts had to be levelled.
pub(super) fn quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, bool) {
    if q.is_nan() {
        return (f64::NAN, false);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, false);
    }
    if q > 1.0 {
        return (f64::INFINITY, false);
    }
    if buckets
        .last()
        .is_none_or(|last| last.upper != f64::INFINITY)
    {
        return (f64::NAN, false);
    }
    join_same_bounds(buckets);
    let was_levelled = make_monotonic(buckets);
    let [.., before_last, last] = buckets.as_slice() else {
        return (f64::NAN, was_levelled);
    };
    let total = last.count;
    if total == 0.0 || total.is_nan() {
        return (f64::NAN, was_levelled);
    }
    let mut rank = q * total;
    let finite = &buckets[..buckets.len() - 1];
    let at = finite.partition_point(|bucket| bucket.count < rank);
    let Some(bucket) = finite.get(at) else {
        return (before_last.upper, was_levelled);
    };
    if at == 0 && bucket.upper <= 0.0 {
        return (bucket.upper, was_levelled);
    }
    let (mut lower, mut count) = (0.0, bucket.count);
    if let Some(before) = at.checked_sub(1).and_then(|i| finite.get(i)) {
        lower = before.upper;
        count -= before.count;
        rank -= before.count;
    }
    (
        lower + (bucket.upper - lower) * (rank / count),
        was_levelled,
    )
}

/// The share of observations between two values, interpolated within buckets.
pub(super) fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if buckets
        .last()
        .is_none_or(|last| last.upper != f64::INFINITY)
    {
        return f64::NAN;
    }
    join_same_bounds(buckets);
    let total = buckets[buckets.len() - 1].count;
    if total == 0.0 || total.is_nan() || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank_of(upper, buckets) - rank_of(lower, buckets)) / total
}

/// How many observations lie below a value, interpolated.
fn rank_of(value: f64, buckets: &[Bucket]) -> f64 {
    let (mut lower, mut below) = (f64::NEG_INFINITY, 0.0);
    for (i, bucket) in buckets.iter().enumerate() {
        // The first bucket begins at zero, unless it ends there.
        if i == 0 && bucket.upper > 0.0 {
            lower = 0.0;
        }
        if value <= lower {
            return below;
        }
        if value <= bucket.upper {
            if value == bucket.upper {
                return bucket.count;
            }
            // Within a bucket without an end nothing can be said: all counts as one side.
            if lower == f64::NEG_INFINITY {
                return bucket.count;
            }
            if bucket.upper.is_infinite() {
                return below;
            }
            let share = (value - lower) / (bucket.upper - lower);
            return below + (bucket.count - below) * share;
        }
        (lower, below) = (bucket.upper, bucket.count);
    }
    below
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(pairs: &[(f64, f64)]) -> Vec<Bucket> {
        pairs
            .iter()
            .map(|&(upper, count)| Bucket { upper, count })
            .collect()
    }

    #[test]
    fn quantiles_are_interpolated() {
        let check = |q: f64, pairs: &[(f64, f64)], expected: f64| {
            let (value, _) = quantile(q, &mut buckets(pairs));
            assert!(
                value == expected || (value.is_nan() && expected.is_nan()),
                "{q} of {pairs:?}: {value}"
            );
        };
        let pairs = [(1.0, 10.0), (2.0, 20.0), (f64::INFINITY, 20.0)];
        check(0.5, &pairs, 1.0);
        check(0.75, &pairs, 1.5);
        check(0.25, &pairs, 0.5);
        check(1.0, &pairs, 2.0);
        check(-0.1, &pairs, f64::NEG_INFINITY);
        check(0.9, &[(1.0, 1.0), (f64::INFINITY, 10.0)], 1.0);
        check(0.5, &[(1.0, 10.0), (2.0, 20.0)], f64::NAN);
        check(0.5, &[(f64::INFINITY, 20.0)], f64::NAN);
        check(0.5, &[(1.0, 0.0), (f64::INFINITY, 0.0)], f64::NAN);
    }

    #[test]
    fn falling_counts_are_levelled_and_told() {
        let pairs = [(1.0, 10.0), (2.0, 9.0), (3.0, 20.0), (f64::INFINITY, 20.0)];
        let (value, was_levelled) = quantile(0.75, &mut buckets(&pairs));
        assert_eq!(value, 2.5);
        assert!(was_levelled);
        let pairs = [(1.0, 10.0), (2.0, 10.0 - 1e-14), (f64::INFINITY, 10.0)];
        assert!(
            !quantile(0.5, &mut buckets(&pairs)).1,
            "rounding is not told"
        );
    }

    #[test]
    fn shares_of_observations() {
        let pairs = [(1.0, 10.0), (2.0, 20.0), (f64::INFINITY, 40.0)];
        let check = |lower: f64, upper: f64, expected: f64| {
            assert_eq!(fraction(lower, upper, &mut buckets(&pairs)), expected);
        };
        check(0.0, 1.0, 0.25);
        check(0.5, 1.5, 0.25);
        check(f64::NEG_INFINITY, f64::INFINITY, 1.0);
        check(2.0, f64::INFINITY, 0.5);
        check(2.0, 1.0, 0.0);
    }
}
