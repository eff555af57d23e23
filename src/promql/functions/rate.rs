//! How fast and how often values change over a range: `rate` and its relatives.
//!
//! `rate`, `increase` and `delta` take the difference of the last and first sample and
//! extrapolate it to the borders of the range:
//!
//! 1. A counter's resets are made good: what it had reached before each is added.
//! 2. Where the first or last sample lies further from its border than 1.1 average intervals,
//!    the series is taken to begin or end there, half an interval beyond the sample.
//! 3. A counter is not extrapolated to below zero.

use model::{Histogram, ResetHint};

use super::range::{Extended, MixedWindow, RangeFunction, Sample, Window};
use crate::column::{ABSENT, Slot};
use crate::native::{self, Incompatible, Met, Total};

/// Where a counter falls.
fn falls(before: f64, now: f64) -> bool {
    now < before
}

/// Where a value differs from the one before.
fn differs(before: f64, now: f64) -> bool {
    before != now && !(before.is_nan() && now.is_nan())
}

/// Adds the places of the values that stand in a relation to the one before.
#[inline]
fn mark(values: &[f64], marks: &mut Vec<usize>, is_marked: impl Fn(f64, f64) -> bool) {
    for (i, pair) in values.windows(2).enumerate() {
        if is_marked(pair[0], pair[1]) {
            marks.push(i + 1);
        }
    }
}

pub(super) const RATE: RangeFunction = RangeFunction {
    needs_two: true,
    marks: Some(|values, marks| mark(values, marks, falls)),
    wants_counter: true,
    mixed: Some(|w| mixed_rate(w, true, Some(w.end_ms - w.start_ms))),
    extended: Extended::Difference {
        is_counter: true,
        is_rate: true,
    },
    ..RangeFunction::new(|w| {
        let range_s = (w.end_ms - w.start_ms) as f64 / 1000.0;
        extrapolated(w, true, range_s)
    })
};

pub(super) const INCREASE: RangeFunction = RangeFunction {
    needs_two: true,
    marks: Some(|values, marks| mark(values, marks, falls)),
    wants_counter: true,
    mixed: Some(|w| mixed_rate(w, true, None)),
    extended: Extended::Difference {
        is_counter: true,
        is_rate: false,
    },
    ..RangeFunction::new(|w| extrapolated(w, true, 1.0))
};

pub(super) const DELTA: RangeFunction = RangeFunction {
    needs_two: true,
    mixed: Some(|w| mixed_rate(w, false, None)),
    extended: Extended::Difference {
        is_counter: false,
        is_rate: false,
    },
    ..RangeFunction::new(|w| extrapolated(w, false, 1.0))
};

pub(super) const IRATE: RangeFunction = RangeFunction {
    needs_two: true,
    mixed: Some(|w| mixed_last_two(w, true)),
    ..RangeFunction::new(|w| {
        let Some((before, last, interval_ms)) = last_two(w) else {
            return ABSENT;
        };
        // After a reset the counter began at zero.
        let difference = if last < before { last } else { last - before };
        difference / (interval_ms / 1000.0)
    })
};

pub(super) const IDELTA: RangeFunction = RangeFunction {
    needs_two: true,
    mixed: Some(|w| mixed_last_two(w, false)),
    ..RangeFunction::new(|w| last_two(w).map_or(ABSENT, |(before, last, _)| last - before))
};

pub(super) const RESETS: RangeFunction = RangeFunction {
    marks: Some(|values, marks| mark(values, marks, falls)),
    mixed: Some(|w| count_pairs(w, falls, |before, now| native::is_reset(now, before))),
    extended: Extended::Anchored,
    ..RangeFunction::new(|w| w.marks.len() as f64)
};

pub(super) const CHANGES: RangeFunction = RangeFunction {
    marks: Some(|values, marks| mark(values, marks, differs)),
    mixed: Some(|w| count_pairs(w, differs, |before, now| !native::are_equal(before, now))),
    extended: Extended::Anchored,
    ..RangeFunction::new(|w| w.marks.len() as f64)
};

/// How many samples differ from the one before; a change between number and histogram always
/// counts.
fn count_pairs(
    w: &MixedWindow<'_>,
    numbers: fn(f64, f64) -> bool,
    histograms: fn(&Histogram, &Histogram) -> bool,
) -> Slot {
    let mut before: Option<Sample<'_>> = None;
    let mut count = 0.0;
    for now in w.in_order() {
        let counts = match (before, now) {
            (None, _) => false,
            (Some(Sample::Number(_, a)), Sample::Number(_, b)) => numbers(a, b),
            (Some(Sample::Histogram(_, a)), Sample::Histogram(_, b)) => histograms(a, b),
            _ => true,
        };
        count += f64::from(u8::from(counts));
        before = Some(now);
    }
    Slot::Number(count)
}

/// The difference between the last two samples, per second if it is a rate.
fn mixed_last_two(w: &MixedWindow<'_>, is_rate: bool) -> Slot {
    let mut last_two: [Option<Sample<'_>>; 2] = [None, None];
    for sample in w.in_order() {
        last_two = [last_two[1], Some(sample)];
    }
    match last_two {
        [
            Some(Sample::Number(t0, before)),
            Some(Sample::Number(t1, last)),
        ] => {
            let is_reset = is_rate && last < before;
            let difference = if is_reset { last } else { last - before };
            let seconds = (t1 - t0) as f64 / 1000.0;
            Slot::Number(if is_rate {
                difference / seconds
            } else {
                difference
            })
        }
        [
            Some(Sample::Histogram(t0, before)),
            Some(Sample::Histogram(t1, last)),
        ] => {
            let is_gauge = |h: &Histogram| h.reset == ResetHint::Gauge;
            if is_rate && (is_gauge(before) || is_gauge(last)) {
                w.notes.not_counter(w.name, w.place);
            }
            if !(is_rate || is_gauge(before) && is_gauge(last)) {
                w.notes.not_gauge(w.name, w.place);
            }
            let mut total = Total::of(last);
            if !is_rate || !native::is_reset(last, before) {
                let Ok(met) = total.add(before, -1.0) else {
                    w.notes.mixed_schemas(w.name, w.place);
                    return Slot::Absent;
                };
                note_bounds(w, met, "subtraction");
            }
            let mut difference = total.finish();
            if is_rate {
                difference = native::divided(&difference, (t1 - t0) as f64 / 1000.0);
            }
            difference.reset = ResetHint::Gauge;
            Slot::of(difference)
        }
        [Some(_), Some(_)] => {
            w.notes.mixed_range(w.name, w.place);
            Slot::Absent
        }
        _ => Slot::Absent,
    }
}

/// Resets are made good one by one here: that two histograms say different things of them is
/// nothing to be noted.
fn note_bounds(w: &MixedWindow<'_>, met: Met, operation: &str) {
    let met = Met {
        reset_collision: false,
        ..met
    };
    w.notes.met(met, operation, w.place);
}

/// The difference of the last and first histogram, extrapolated; per second if a range is given.
fn mixed_rate(w: &MixedWindow<'_>, is_counter: bool, per_ms: Option<i64>) -> Slot {
    if !w.values.is_empty() {
        w.notes.mixed_range(w.name, w.place);
        return Slot::Absent;
    }
    let ([first, .., last], [first_ms, .., last_ms]) = (w.histograms, w.histogram_times_ms) else {
        return Slot::Absent;
    };
    let difference = match histogram_difference(w, is_counter) {
        Ok(Some(difference)) => difference,
        Ok(None) => return Slot::Absent,
        Err(Incompatible) => {
            w.notes.mixed_schemas(w.name, w.place);
            return Slot::Absent;
        }
    };
    let is_gauge = |h: &Histogram| h.reset == ResetHint::Gauge;
    if !(is_counter || is_gauge(first) && is_gauge(last)) {
        w.notes.not_gauge(w.name, w.place);
    }
    let to_zero = Some((first.count, difference.count)).filter(|_| is_counter);
    let samples = Sampled {
        first_ms: *first_ms,
        last_ms: *last_ms,
        start_ms: w.start_ms,
        end_ms: w.end_ms,
        count: w.histograms.len(),
    };
    let per_seconds = per_ms.map_or(1.0, |ms| ms as f64 / 1000.0);
    let factor = samples.factor(to_zero) / per_seconds;
    let mut rate = native::times(&difference, factor);
    rate.reset = ResetHint::Gauge;
    Slot::of(rate)
}

/// The last histogram without the first one, with the resets of a counter made good.
fn histogram_difference(
    w: &MixedWindow<'_>,
    is_counter: bool,
) -> Result<Option<Histogram>, Incompatible> {
    let [first, inner @ .., last] = w.histograms else {
        return Ok(None);
    };
    let is_gauge = |h: &Histogram| h.reset == ResetHint::Gauge;
    if is_counter && w.histograms.iter().any(|h| is_gauge(h)) {
        w.notes.not_counter(w.name, w.place);
    }
    // If the counter begins anew right after the first histogram, only its count matters: it may
    // have whatever buckets.
    let second = inner.first().unwrap_or(last);
    let nothing = Histogram {
        schema: second.schema,
        bounds: second.bounds.clone(),
        ..Histogram::default()
    };
    let starts_anew = is_counter && native::is_reset(second, first);
    let from: &Histogram = if starts_anew { &nothing } else { first };
    if is_counter
        && inner
            .iter()
            .any(|h| h.has_custom_bounds() != from.has_custom_bounds())
    {
        return Err(Incompatible);
    }
    let mut total = Total::of(last);
    note_bounds(w, total.add(from, -1.0)?, "subtraction");
    if is_counter {
        // The coarsest resolution of all that is looked at.
        let schema = inner.iter().map(|h| h.schema).min();
        if let Some(schema) = schema.filter(|_| !last.has_custom_bounds()) {
            let coarsest = Histogram {
                schema,
                ..Histogram::default()
            };
            total.add(&coarsest, 1.0)?;
        }
        let mut before = from;
        for now in inner.iter().chain([last]) {
            if native::is_reset(now, before) {
                note_bounds(w, total.add(before, 1.0)?, "addition");
            }
            before = now;
        }
    }
    Ok(Some(total.finish()))
}

/// The two last values and the milliseconds between them.
fn last_two(w: &Window<'_>) -> Option<(f64, f64, f64)> {
    let before = w.len().checked_sub(2)?;
    let interval_ms = w.last_ms() - w.times_ms[before];
    Some((w.values[before], w.last(), interval_ms as f64))
}

fn extrapolated(w: &Window<'_>, is_counter: bool, per_seconds: f64) -> f64 {
    if w.len() < 2 {
        return ABSENT;
    }
    let mut difference = w.last() - w.first();
    if is_counter {
        for reached in w.before_marks() {
            difference += reached;
        }
    }
    let samples = Sampled {
        first_ms: w.first_ms(),
        last_ms: w.last_ms(),
        start_ms: w.start_ms,
        end_ms: w.end_ms,
        count: w.len(),
    };
    let to_zero = if is_counter {
        Some((w.first(), difference))
    } else {
        None
    };
    difference * (samples.factor(to_zero) / per_seconds)
}

/// How the samples lie in the range.
struct Sampled {
    first_ms: i64,
    last_ms: i64,
    start_ms: i64,
    end_ms: i64,
    count: usize,
}

impl Sampled {
    /// By how much the difference between first and last sample has to grow to be that between
    /// the ends of the range. A counter, given with its first value and its growth, is not
    /// extrapolated to below zero.
    fn factor(&self, counter: Option<(f64, f64)>) -> f64 {
        let mut to_start = (self.first_ms - self.start_ms) as f64 / 1000.0;
        let mut to_end = (self.end_ms - self.last_ms) as f64 / 1000.0;
        let sampled = (self.last_ms - self.first_ms) as f64 / 1000.0;
        let interval = sampled / (self.count - 1) as f64;
        let threshold = interval * 1.1;
        if to_start >= threshold {
            to_start = interval / 2.0;
        }
        if let Some((first, growth)) = counter
            && growth > 0.0
            && first >= 0.0
        {
            to_start = to_start.min(sampled * (first / growth));
        }
        if to_end >= threshold {
            to_end = interval / 2.0;
        }
        (sampled + to_start + to_end) / sampled
    }
}
