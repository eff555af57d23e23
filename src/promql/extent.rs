//! `anchored` and `smoothed`: ranges that look at the samples around them.
//!
//! An anchored range also sees the last sample up to its start. A smoothed one sees the samples
//! on both sides of its ends and takes the values there to lie on the line between them. Both
//! look no further than the look-back.

use model::Samples;

use crate::syntax::Extent;

/// The samples that say something about a range: at least one is in it, or after its start.
pub(crate) struct Around<'s> {
    times_ms: &'s [i64],
    values: &'s [f64],
    start_ms: i64,
    end_ms: i64,
    is_smoothed: bool,
}

impl<'s> Around<'s> {
    /// The samples of a range: the last one up to its start if there is one, those within, and,
    /// of a smoothed range, the first one from its end on. `None` where nothing can be said.
    pub(crate) fn find(
        samples: &'s Samples,
        start_ms: i64,
        end_ms: i64,
        lookback_ms: i64,
        extent: Extent,
    ) -> Option<Self> {
        let is_smoothed = extent == Extent::Smoothed;
        let beyond_ms = if is_smoothed { lookback_ms } else { 0 };
        let times = samples.timestamps_ms.as_slice();
        let first = times.partition_point(|t| *t <= start_ms.saturating_sub(lookback_ms));
        let end = times.partition_point(|t| *t <= end_ms.saturating_add(beyond_ms));
        if first >= end {
            return None;
        }
        let last = end - 1;
        // Among all but the last one; the one before the first after the start.
        let after = times[first..last].partition_point(|t| *t <= start_ms);
        let low = first + after.saturating_sub(1);
        let high = if is_smoothed {
            first + times[first..last].partition_point(|t| *t < end_ms)
        } else {
            last
        };
        if times[high] <= start_ms {
            return None;
        }
        Some(Self {
            times_ms: &times[low..=high],
            values: &samples.values[low..=high],
            start_ms,
            end_ms,
            is_smoothed,
        })
    }

    /// Times of the samples.
    pub(crate) fn times_ms(&self) -> &'s [i64] {
        self.times_ms
    }

    /// Values of the samples.
    pub(crate) fn values(&self) -> &'s [f64] {
        self.values
    }

    /// The value at the start of the range.
    fn left(&self, is_counter: bool) -> f64 {
        match (self.times_ms, self.values) {
            ([t0, t1, ..], [v0, v1, ..]) if self.is_smoothed && *t0 < self.start_ms => {
                between((*t0, *v0), (*t1, *v1), self.start_ms, is_counter)
            }
            (_, values) => values[0],
        }
    }

    /// The value at the end of the range.
    fn right(&self, is_counter: bool) -> f64 {
        match (self.times_ms, self.values) {
            ([.., t0, t1], [.., v0, v1]) if self.is_smoothed && *t1 > self.end_ms => {
                between((*t0, *v0), (*t1, *v1), self.end_ms, is_counter)
            }
            (_, values) => values[values.len() - 1],
        }
    }

    /// The samples that lie truly within the range.
    fn within(&self) -> (&'s [i64], &'s [f64]) {
        let low = usize::from(self.times_ms[0] <= self.start_ms);
        let high = self.times_ms.len()
            - usize::from(self.times_ms[self.times_ms.len() - 1] >= self.end_ms);
        let high = high.max(low);
        (&self.times_ms[low..high], &self.values[low..high])
    }

    /// From the value at the start to the value at the end; of a counter with its resets made
    /// good.
    pub(crate) fn difference(&self, is_counter: bool) -> f64 {
        let (left, right) = (self.left(is_counter), self.right(is_counter));
        let mut difference = right - left;
        if is_counter {
            let mut correction = 0.0;
            let mut before = left;
            for value in self.within().1.iter().chain([&right]) {
                if *value < before {
                    correction += before;
                }
                before = *value;
            }
            difference += correction;
        }
        difference
    }

    /// The range as an answer shows it: with samples just at its start and end.
    pub(crate) fn samples(&self) -> Samples {
        let mut samples = Samples::default();
        samples.push(self.start_ms, self.left(false));
        let (times, values) = self.within();
        for (time, value) in times.iter().zip(values) {
            samples.push(*time, *value);
        }
        samples.push(self.end_ms, self.right(false));
        samples
    }
}

/// The value at a time, of which `next` is the first sample not before it.
pub(crate) fn value_at(
    samples: &Samples,
    next: usize,
    time_ms: i64,
    lookback_ms: i64,
) -> Option<f64> {
    let sample = |i: usize| Some((*samples.timestamps_ms.get(i)?, *samples.values.get(i)?));
    let after = sample(next).filter(|(t, _)| *t <= time_ms.saturating_add(lookback_ms));
    let before = next.checked_sub(1).and_then(sample);
    let before = before.filter(|(t, _)| *t > time_ms.saturating_sub(lookback_ms));
    match (before, after) {
        (_, Some((time, value))) if time == time_ms => Some(value),
        (Some(before), Some(after)) => Some(between(before, after, time_ms, false)),
        (Some((_, value)), None) => Some(value),
        (None, _) => None,
    }
}

/// The value on the line between two samples; a counter that began anew began at zero.
fn between(before: (i64, f64), after: (i64, f64), time_ms: i64, is_counter: bool) -> f64 {
    let from = if is_counter && after.1 < before.1 {
        0.0
    } else {
        before.1
    };
    from + (after.1 - from) * (time_ms - before.0) as f64 / (after.0 - before.0) as f64
}
