//! Native histograms that scripts do not write as such: made of classic ones, and with the hints
//! that a store would give them.

use std::sync::Arc;

use model::{Buckets, Histogram, ResetHint};

/// A value in `le` and how many observations it counts, cumulative, as one with custom bounds.
pub(crate) fn of_classic(
    mut buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: Option<f64>,
) -> Option<Histogram> {
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let highest = buckets.last().map(|(_, count)| *count);
    let count = count.or(highest)?;
    if buckets.last().is_none_or(|(le, _)| le.is_finite()) {
        buckets.push((f64::INFINITY, count));
    }
    let bounds: Vec<f64> = buckets
        .iter()
        .map(|b| b.0)
        .filter(|le| le.is_finite())
        .collect();
    let mut before = 0.0;
    let counts = buckets.iter().map(|(_, cumulative)| {
        let count = cumulative - before;
        before = *cumulative;
        count
    });
    let pairs: Vec<(i32, f64)> = (0..).zip(counts).filter(|(_, n)| *n != 0.0).collect();
    Some(Histogram {
        schema: model::CUSTOM_BOUNDS_SCHEMA,
        count,
        sum: sum.unwrap_or(0.0),
        positive: Buckets::from_pairs(pairs),
        bounds: bounds.into(),
        ..Histogram::default()
    })
}

/// The hints that Prometheus' storage would tell of a series' histograms: within a chunk
/// counters go on, and a chunk ends where they do not.
pub(crate) fn store_hints(samples: &mut model::Samples) {
    let mut before: Option<(usize, Arc<Histogram>)> = None;
    for (at, histogram) in &mut samples.histograms {
        let follows = before
            .as_ref()
            .filter(|(index, _)| index + 1 == *at)
            .is_some_and(|(_, before)| goes_on(before, histogram));
        let reset = match histogram.reset {
            ResetHint::Gauge => ResetHint::Gauge,
            _ if follows => ResetHint::NotReset,
            _ => ResetHint::Unknown,
        };
        before = Some((*at, Arc::clone(histogram)));
        *histogram = Arc::new(Histogram {
            reset,
            ..Histogram::clone(histogram)
        });
    }
}

/// Whether a histogram fits the chunk of the one before.
fn goes_on(before: &Histogram, now: &Histogram) -> bool {
    let falls = |before: &Buckets, now: &Buckets| {
        before.iter().any(|(index, count)| {
            let found = now.iter().find(|(known, _)| *known == index);
            found.map_or(count != 0.0, |(_, now)| now < count)
        })
    };
    before.reset != ResetHint::Gauge
        && now.reset != ResetHint::Reset
        && now.schema == before.schema
        && now.zero_threshold == before.zero_threshold
        && now.bounds == before.bounds
        && now.count >= before.count
        && now.zero_count >= before.zero_count
        && !falls(&before.positive, &now.positive)
        && !falls(&before.negative, &now.negative)
}
