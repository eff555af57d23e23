//! Aggregations over the samples of a range: `avg_over_time` and its relatives.

use model::{Histogram, ResetHint};

use super::lanes;
use super::range::{MixedWindow, RangeFunction, Sample, Slide, Window};
use super::slide;
use crate::column::Slot;
use crate::go::shortest;
use crate::kahan::{Kahan, Mean};
use crate::native::{self, Incompatible, Met};

pub(super) const SUM: RangeFunction = RangeFunction {
    slide: Some(slide::sum),
    mixed: Some(|w| {
        added(w, |first, rest, met| {
            let mut total = native::Total::of(first);
            for histogram in rest {
                met.bounds_reconciled |= total.add(histogram, 1.0)?.bounds_reconciled;
            }
            Ok(total.finish())
        })
    }),
    ..RangeFunction::new(|w| sum(w.values))
};

pub(super) const AVG: RangeFunction = RangeFunction {
    slide: Some(slide::average),
    mixed: Some(|w| {
        added(w, |first, rest, met| {
            let mut mean = native::Mean::of(first);
            for histogram in rest {
                met.bounds_reconciled |= mean.add(histogram)?.bounds_reconciled;
            }
            Ok(mean.finish())
        })
    }),
    ..RangeFunction::new(|w| average(w.values))
};

/// The sum without what rounding takes away.
pub(super) fn sum(values: &[f64]) -> f64 {
    let mut sum = Kahan::default();
    for value in values {
        sum.add(*value);
    }
    sum.total()
}

/// The mean without what rounding takes away.
pub(super) fn average(values: &[f64]) -> f64 {
    let mut mean = Mean::default();
    for value in values {
        mean.add(*value);
    }
    mean.mean()
}

/// Adds the histograms of a window up, where there are no numbers among them.
fn added(
    w: &MixedWindow<'_>,
    add: impl Fn(
        &Histogram,
        &mut dyn Iterator<Item = &Histogram>,
        &mut Met,
    ) -> Result<Histogram, Incompatible>,
) -> Slot {
    if !w.values.is_empty() {
        w.notes.mixed_range(w.name, w.place);
        return Slot::Absent;
    }
    let [first, rest @ ..] = w.histograms else {
        return Slot::Absent;
    };
    let says = |hint: ResetHint| w.histograms.iter().any(|h| h.reset == hint);
    let mut met = Met {
        reset_collision: says(ResetHint::Reset) && says(ResetHint::NotReset),
        bounds_reconciled: false,
    };
    let Ok(sum) = add(first, &mut rest.iter().map(|h| &**h), &mut met) else {
        w.notes.mixed_schemas(w.name, w.place);
        return Slot::Absent;
    };
    w.notes.met(met, "aggregation", w.place);
    Slot::of(sum)
}

pub(super) const MIN: RangeFunction = RangeFunction {
    slide: Some(slide::min),
    ..RangeFunction::new(|w| extreme(w.values, |value, best| value < best))
};

pub(super) const MAX: RangeFunction = RangeFunction {
    slide: Some(slide::max),
    ..RangeFunction::new(|w| extreme(w.values, |value, best| value > best))
};

pub(super) const COUNT: RangeFunction = RangeFunction {
    mixed: Some(|w| Slot::Number((w.values.len() + w.histograms.len()) as f64)),
    ..RangeFunction::new(|w| w.len() as f64)
};

pub(super) const LAST: RangeFunction = RangeFunction {
    keeps_name: true,
    mixed: Some(|w| w.in_order().last().map_or(Slot::Absent, slot)),
    ..RangeFunction::new(|w| w.values[w.len() - 1])
};

pub(super) const FIRST: RangeFunction = RangeFunction {
    keeps_name: true,
    mixed: Some(|w| w.in_order().next().map_or(Slot::Absent, slot)),
    ..RangeFunction::new(|w| w.values[0])
};

fn slot(sample: Sample<'_>) -> Slot {
    match sample {
        Sample::Number(_, value) => Slot::Number(value),
        Sample::Histogram(_, histogram) => Slot::Histogram(histogram.clone()),
    }
}

fn time(sample: Sample<'_>) -> Slot {
    let (Sample::Number(time_ms, _) | Sample::Histogram(time_ms, _)) = sample;
    Slot::Number(time_ms as f64 / 1000.0)
}

pub(super) const PRESENT: RangeFunction = RangeFunction {
    mixed: Some(|_| Slot::Number(1.0)),
    ..RangeFunction::new(|_| 1.0)
};

pub(super) const STDVAR: RangeFunction = RangeFunction {
    slide: Some(|slide, out| variances(slide, out, |variance| variance)),
    ..RangeFunction::new(|w| variance(w.values))
};

pub(super) const STDDEV: RangeFunction = RangeFunction {
    slide: Some(|slide, out| variances(slide, out, f64::sqrt)),
    ..RangeFunction::new(|w| variance(w.values).sqrt())
};

pub(super) const MAD: RangeFunction = RangeFunction {
    slide: Some(slide::median_distance),
    ..RangeFunction::new(|w| median_distance(w.values))
};

/// The median of the distances from the median.
pub(super) fn median_distance(values: &[f64]) -> f64 {
    if values.iter().any(|v| v.is_nan()) {
        return f64::NAN;
    }
    let median = quantile(0.5, &mut values.to_vec());
    let mut distances: Vec<f64> = values.iter().map(|v| (v - median).abs()).collect();
    quantile(0.5, &mut distances)
}

pub(super) const QUANTILE: RangeFunction = RangeFunction {
    slide: Some(slide::quantile),
    check: Some(|query, q, _, place| {
        note_quantile(query, q, place);
        Ok(())
    }),
    ..RangeFunction::new(|w| quantile(w.param(0), &mut w.values.to_vec()))
};

pub(super) const TS_OF_MIN: RangeFunction =
    RangeFunction::new(|w| w.times_ms[index_of_min(w)] as f64 / 1000.0);

pub(super) const TS_OF_MAX: RangeFunction =
    RangeFunction::new(|w| w.times_ms[index_of_max(w)] as f64 / 1000.0);

pub(super) const TS_OF_FIRST: RangeFunction = RangeFunction {
    mixed: Some(|w| w.in_order().next().map_or(Slot::Absent, time)),
    ..RangeFunction::new(|w| w.first_ms() as f64 / 1000.0)
};

pub(super) const TS_OF_LAST: RangeFunction = RangeFunction {
    mixed: Some(|w| w.in_order().last().map_or(Slot::Absent, time)),
    ..RangeFunction::new(|w| w.last_ms() as f64 / 1000.0)
};

/// The first of the values that no other beats; NaN only where there is nothing else.
pub(super) fn extreme(values: &[f64], beats: impl Fn(f64, f64) -> bool) -> f64 {
    let mut best = values[0];
    for value in values {
        if beats(*value, best) || best.is_nan() {
            best = *value;
        }
    }
    best
}

/// The last sample with the smallest value; NaN only where there is nothing else.
fn index_of_min(w: &Window<'_>) -> usize {
    index_of(w.values, |value, best| value <= best)
}

/// The last sample with the largest value; NaN only where there is nothing else.
fn index_of_max(w: &Window<'_>) -> usize {
    index_of(w.values, |value, best| value >= best)
}

fn index_of(values: &[f64], beats: impl Fn(f64, f64) -> bool) -> usize {
    let mut best = 0;
    for (i, value) in values.iter().enumerate().skip(1) {
        if beats(*value, values[best]) || values[best].is_nan() {
            best = i;
        }
    }
    best
}

/// Variance of the whole population, by Welford's method with corrected sums.
#[derive(Clone, Copy, Default)]
struct Spread {
    mean: Kahan,
    squares: Kahan,
}

impl Spread {
    #[inline]
    fn add(&mut self, value: f64, nth: usize) {
        let delta = value - (self.mean.sum + self.mean.carry);
        self.mean.add(delta / (nth + 1) as f64);
        let rest = value - (self.mean.sum + self.mean.carry);
        self.squares.add(delta * rest);
    }

    fn variance(self, count: usize) -> f64 {
        (self.squares.sum + self.squares.carry) / count as f64
    }
}

pub(super) fn variance(values: &[f64]) -> f64 {
    let mut spread = Spread::default();
    for (nth, value) in values.iter().enumerate() {
        spread.add(*value, nth);
    }
    spread.variance(values.len())
}

/// `stdvar_over_time` of all windows, and what is made of it.
pub(super) fn variances(slide: &Slide<'_>, out: &mut [f64], finish: impl Fn(f64) -> f64) {
    let moving = lanes::constant_or_moving(slide, out, |_, _| finish(0.0));
    lanes::each::<_, 4>(
        slide.windows,
        &moving,
        out,
        |_| Spread::default(),
        |spread, place, nth| spread.add(slide.values[place], nth),
        |spread, _, count| finish(spread.variance(count)),
    );
}

/// The value below which a share `q` of the values lies, interpolated; NaN counts as smallest.
/// Sorts the values.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(|a, b| by_size(*a, *b));
    quantile_of_sorted(q, values)
}

/// NaN counts as smallest.
pub(super) fn by_size(a: f64, b: f64) -> std::cmp::Ordering {
    match (a.is_nan(), b.is_nan()) {
        (false, false) => a.total_cmp(&b),
        (a, b) => b.cmp(&a),
    }
}

/// The quantile of values in order, of which there is at least one; `q` is 0 to 1.
pub(super) fn quantile_of_sorted(q: f64, values: &[f64]) -> f64 {
    quantile_of_first(q, values, values.len())
}

/// The quantile of so many values in order, of which only those up to the quantile and the one
/// after it need be there.
pub(super) fn quantile_of_first(q: f64, values: &[f64], count: usize) -> f64 {
    let last = count - 1;
    let rank = q * last as f64;
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(last);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// Notes a share that is none.
pub(crate) fn note_quantile(query: &crate::query::Query<'_>, q: f64, place: Option<usize>) {
    if !(0.0..=1.0).contains(&q) {
        let q = shortest(q);
        query.notes.warn(
            &format!("quantile value should be between 0 and 1, got {q}"),
            place,
        );
    }
}
