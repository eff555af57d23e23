//! From samples to columns: the latest value of each step, or a function over its window.
//!
//! Two indices slide over the samples as the steps go; nothing is looked for twice. Series with
//! native histograms take a way of their own (`mixed`), so that others pay nothing for them.

use std::sync::Arc;

use model::{Histogram, Labels, Samples, is_stale};

use crate::coarse::Reach;
use crate::column::{ABSENT, Column, Scalar, is_present};
use crate::extent;
use crate::functions::range::{Extended, MixedWindow, Slide, Window};
use crate::grid::Grid;
use crate::leaf::{RangeCall, Source};
use crate::native;
use crate::query::{Query, execution};
use crate::syntax::Extent;
use crate::value::QueryError;

/// Turns samples into columns, one series after the other.
pub(crate) struct ColumnBuilder<'q> {
    query: &'q Query<'q>,
    source: &'q Source,
    /// The steps.
    grid: Grid,
    /// Where they look.
    refs: Grid,
    /// Whether only counts and sums of histograms are wanted.
    summary: bool,
    /// How far each step looks back.
    reach: Reach,
    params: Vec<f64>,
    marks: Vec<usize>,
    windows: Vec<(usize, usize)>,
    /// The times that `windows` belong to.
    windows_of: Vec<i64>,
    /// The last metric name that was looked at for a note.
    noted: String,
}

impl<'q> ColumnBuilder<'q> {
    /// A builder for one source.
    pub(crate) fn new(query: &'q Query<'q>, source: &'q Source, grid: Grid, refs: Grid) -> Self {
        Self {
            query,
            source,
            grid,
            refs,
            summary: false,
            reach: Reach::default(),
            params: Vec::new(),
            marks: Vec::new(),
            windows: Vec::new(),
            windows_of: Vec::new(),
            noted: String::new(),
        }
    }

    /// Reads only counts and sums of histograms, and sees for itself which of them begin anew.
    pub(crate) fn summarize(&mut self) {
        self.summary = true;
    }

    /// Looks back as far as it takes where samples are kept less often than they came.
    pub(crate) fn reach(&mut self, reach: &Reach) {
        self.reach = reach.clone();
    }

    /// Overwrites `column` with a value for every step. May drop stale markers from `samples`.
    pub(crate) fn build(
        &mut self,
        labels: &Labels,
        samples: &mut Samples,
        column: &mut Column,
    ) -> Result<(), QueryError> {
        column.clear();
        if self.summary && !samples.histograms.is_empty() {
            summarize(samples);
        }
        match self.source {
            Source::Value => self.latest(samples, column, |_, value| value),
            Source::Timestamp => {
                self.latest(samples, column, |time, _| time as f64 / 1000.0);
                column.histograms.clear();
            }
            Source::Smoothed => {
                drop_stale(samples);
                if !samples.histograms.is_empty() {
                    return Err(no_histograms(None));
                }
                self.smoothed(samples, column);
            }
            Source::Window(call) => {
                drop_stale(samples);
                if call.extent != Extent::Plain {
                    self.extended(call, samples, column)?;
                } else if samples.histograms.is_empty() {
                    self.windows(call, samples, column);
                } else {
                    self.mixed(call, labels, samples, column);
                }
                self.note_counter(call, labels, column);
            }
        }
        Ok(())
    }

    /// The latest sample of each step, unless it is too old or ends the series.
    fn latest(&self, samples: &Samples, column: &mut Column, value: impl Fn(i64, f64) -> f64) {
        let times = samples.timestamps_ms.as_slice();
        let mut seen = 0;
        let mut histograms = samples.histograms.as_slice();
        for step in 0..self.refs.count {
            let time_ms = self.refs.time_ms(step);
            while seen < times.len() && times[seen] <= time_ms {
                seen += 1;
            }
            let Some(last) = seen.checked_sub(1) else {
                column.values.push(ABSENT);
                continue;
            };
            let (time, latest) = (times[last], samples.values[last]);
            let is_old = time <= time_ms.saturating_sub(self.lookback_ms(step));
            if is_old || is_stale(latest) {
                column.values.push(ABSENT);
                continue;
            }
            column.values.push(value(time, latest));
            if let [_, ..] = histograms {
                let passed = histograms.iter().take_while(|(at, _)| *at < last).count();
                histograms = &histograms[passed..];
                if let Some((_, histogram)) = histograms.first().filter(|(at, _)| *at == last) {
                    column.histograms.push((step, Arc::clone(histogram)));
                }
            }
        }
    }

    /// The value of each step, interpolated between the samples around it.
    fn smoothed(&self, samples: &Samples, column: &mut Column) {
        let mut seen = 0;
        for step in 0..self.refs.count {
            let time_ms = self.refs.time_ms(step);
            let times = &samples.timestamps_ms;
            while seen < times.len() && times[seen] < time_ms {
                seen += 1;
            }
            let value = extent::value_at(samples, seen, time_ms, self.lookback_ms(step));
            column.values.push(value.unwrap_or(ABSENT));
        }
    }

    fn lookback_ms(&self, step: usize) -> i64 {
        self.reach.at(step, self.query.lookback_ms)
    }

    /// Start and end of a step's window, of which `last_ms` is the last sample's time. A range
    /// that reaches back to the sample before it is moved to end with a sample too, so that
    /// nothing has to be extrapolated.
    fn ends_of(&self, call: &RangeCall, step: usize, last_ms: i64) -> (i64, i64) {
        let end_ms = if self.reaches_back(call, step) {
            last_ms
        } else {
            self.refs.time_ms(step)
        };
        (end_ms.saturating_sub(call.range_ms), end_ms)
    }

    /// Whether the samples of a step's window reach back to the one before its range.
    fn reaches_back(&self, call: &RangeCall, step: usize) -> bool {
        call.function.needs_two && self.reach.is_longer(step, call.range_ms)
    }

    /// The first sample of a window that reaches back: the last one that is not after the start.
    fn first_of(
        &self,
        call: &RangeCall,
        step: usize,
        times: &[i64],
        (low, high): (usize, usize),
    ) -> usize {
        if !self.reaches_back(call, step) {
            return low;
        }
        let (start_ms, _) = self.ends_of(call, step, times[high - 1]);
        let before = times[low..high].partition_point(|t| *t <= start_ms);
        low + before.saturating_sub(1)
    }

    /// Whether all steps have the same window and parameters.
    fn is_fixed(&self, call: &RangeCall) -> bool {
        self.refs.step_ms == 0
            && !call.function.needs_eval_time
            && call.params.iter().all(|p| matches!(p, Scalar::Constant(_)))
    }

    /// A function over the window of each step: the samples after its start, up to its end.
    fn windows(&mut self, call: &RangeCall, samples: &Samples, column: &mut Column) {
        let function = call.function;
        let times = samples.timestamps_ms.as_slice();
        let values = samples.values.as_slice();
        self.mark(call, values);
        self.find_windows(call, times);
        let column = &mut column.values;
        let is_fixed = self.is_fixed(call);
        let many = !is_fixed && self.refs.count > 1;
        // Windows that reach back are cut to their samples one by one.
        let slides = many && (!function.needs_two || self.reach.is_empty());
        if let Some(slide) = function.slide.filter(|_| slides) {
            column.resize(self.refs.count, ABSENT);
            let slice = Slide {
                times_ms: times,
                values,
                windows: &self.windows,
                params: &call.params,
                eval: self.grid,
            };
            slide(&slice, column);
            return;
        }
        let (mut mark_low, mut mark_high) = (0, 0);
        for step in 0..self.refs.count {
            if is_fixed && step > 0 {
                column.push(column[0]);
                continue;
            }
            let (low, high) = self.windows[step];
            if low == high {
                column.push(ABSENT);
                continue;
            }
            let low = self.first_of(call, step, times, (low, high));
            // A drop between the sample before the window and its first one does not count.
            let marks = self.marks.as_slice();
            while mark_high < marks.len() && marks[mark_high] < high {
                mark_high += 1;
            }
            while mark_low < mark_high && marks[mark_low] <= low {
                mark_low += 1;
            }
            self.params.clear();
            self.params.extend(call.params.iter().map(|p| p.at(step)));
            let (start_ms, end_ms) = self.ends_of(call, step, times[high - 1]);
            let window = Window {
                times_ms: &times[low..high],
                values: &values[low..high],
                marks: &marks[mark_low..mark_high],
                low,
                start_ms,
                end_ms,
                eval_ms: self.grid.time_ms(step),
                params: &self.params,
            };
            column.push((function.compute)(&window));
        }
    }

    /// Remembers which values a function has marked.
    fn mark(&mut self, call: &RangeCall, values: &[f64]) {
        self.marks.clear();
        if let Some(mark) = call.function.marks {
            mark(values, &mut self.marks);
        }
    }

    /// Finds the samples of each step's window.
    fn find_windows(&mut self, call: &RangeCall, times: &[i64]) {
        // Fast path: the series of a target have the times of its scrapes together.
        if self.windows.len() == self.refs.count && self.windows_of == times {
            return;
        }
        self.windows_of.clear();
        self.windows_of.extend_from_slice(times);
        self.windows.clear();
        let (mut low, mut high) = (0, 0);
        for step in 0..self.refs.count {
            let end_ms = self.refs.time_ms(step);
            let start_ms = end_ms.saturating_sub(self.reach.at(step, call.range_ms));
            while high < times.len() && times[high] <= end_ms {
                high += 1;
            }
            while low < high && times[low] <= start_ms {
                low += 1;
            }
            self.windows.push((low, high));
        }
    }

    /// A function over the windows of a series with native histograms.
    fn mixed(&mut self, call: &RangeCall, labels: &Labels, samples: &Samples, column: &mut Column) {
        let function = call.function;
        let (numbers, histogram_times, histograms) = apart(samples);
        // As if there were numbers only, then the windows that have histograms.
        self.windows(call, &numbers, column);
        self.find_windows(call, &numbers.timestamps_ms);
        let of_numbers = std::mem::take(&mut self.windows);
        self.find_windows(call, &histogram_times);
        let name = labels.metric_name().unwrap_or_default();
        let is_fixed = self.is_fixed(call);
        let of_histograms = self.windows.iter().copied();
        for (step, ((low, high), (first, last))) in
            of_numbers.into_iter().zip(of_histograms).enumerate()
        {
            if first == last {
                continue;
            }
            let Some(compute) = function.mixed else {
                if low < high {
                    self.query.notes.ignored_in_range(name, call.place);
                }
                continue;
            };
            if is_fixed && step > 0 {
                column.set(step, column.slot(0));
                continue;
            }
            let newest = histogram_times
                .get(last - 1)
                .max(numbers.timestamps_ms[..high].last());
            let last_ms = newest.copied().unwrap_or(i64::MIN);
            let (start_ms, end_ms) = self.ends_of(call, step, last_ms);
            let first = self.first_of(call, step, &histogram_times, (first, last));
            let window = MixedWindow {
                times_ms: &numbers.timestamps_ms[low..high],
                values: &numbers.values[low..high],
                histogram_times_ms: &histogram_times[first..last],
                histograms: &histograms[first..last],
                start_ms,
                end_ms,
                name,
                notes: &self.query.notes,
                place: call.place,
            };
            column.set(step, compute(&window));
        }
    }

    /// A function over windows that reach beyond their range.
    fn extended(
        &mut self,
        call: &RangeCall,
        samples: &Samples,
        column: &mut Column,
    ) -> Result<(), QueryError> {
        if !samples.histograms.is_empty() {
            return Err(no_histograms(call.place));
        }
        for step in 0..self.refs.count {
            let lookback_ms = self.lookback_ms(step);
            let end_ms = self.refs.time_ms(step);
            let start_ms = end_ms.saturating_sub(call.range_ms);
            let around = extent::Around::find(samples, start_ms, end_ms, lookback_ms, call.extent);
            let value = match (around, call.function.extended) {
                (None, _) | (_, Extended::No) => ABSENT,
                (
                    Some(around),
                    Extended::Difference {
                        is_counter,
                        is_rate,
                    },
                ) => {
                    let difference = around.difference(is_counter);
                    if is_rate {
                        difference / (call.range_ms as f64 / 1000.0)
                    } else {
                        difference
                    }
                }
                (Some(around), Extended::Anchored) => {
                    let values = around.values();
                    self.mark(call, values);
                    (call.function.compute)(&Window {
                        times_ms: around.times_ms(),
                        values,
                        marks: &self.marks,
                        low: 0,
                        start_ms,
                        end_ms,
                        eval_ms: self.grid.time_ms(step),
                        params: &[],
                    })
                }
            };
            column.values.push(value);
        }
        Ok(())
    }

    /// Notes where a rate is taken of what does not look like a counter.
    fn note_counter(&mut self, call: &RangeCall, labels: &Labels, column: &Column) {
        if !call.function.wants_counter {
            return;
        }
        let Some(name) = labels.metric_name() else {
            return;
        };
        let is_counter = ["_total", "_sum", "_count", "_bucket"]
            .iter()
            .any(|suffix| name.ends_with(suffix));
        if is_counter || self.noted == name {
            return;
        }
        let has_numbers = (0..column.values.len())
            .any(|step| is_present(column.values[step]) && column.histogram(step).is_none());
        if !has_numbers {
            return;
        }
        name.clone_into(&mut self.noted);
        self.query.notes.info(
            &format!(
                "metric might not be a counter, name does not end in \
                 _total/_sum/_count/_bucket: {name:?}"
            ),
            call.place,
        );
    }
}

fn no_histograms(place: Option<usize>) -> QueryError {
    execution(
        "smoothed and anchored modifiers do not work with native histograms",
        place,
    )
}

/// Numbers and histograms of a series apart.
fn apart(samples: &Samples) -> (Samples, Vec<i64>, Vec<Arc<Histogram>>) {
    let mut numbers = Samples::default();
    let mut times = Vec::with_capacity(samples.histograms.len());
    let mut histograms = Vec::with_capacity(samples.histograms.len());
    let mut next = samples.histograms.iter().peekable();
    let pairs = samples.timestamps_ms.iter().zip(&samples.values);
    for (i, (time, value)) in pairs.enumerate() {
        if let Some((_, histogram)) = next.next_if(|(at, _)| *at == i) {
            times.push(*time);
            histograms.push(Arc::clone(histogram));
        } else {
            numbers.push(*time, *value);
        }
    }
    (numbers, times, histograms)
}

/// Stale markers end a series for instant selectors; ranges do not see them.
pub(crate) fn drop_stale(samples: &mut Samples) {
    if !samples.values.iter().any(|v| is_stale(*v)) {
        return;
    }
    let mut kept = 0;
    let mut next = 0;
    for i in 0..samples.values.len() {
        if !is_stale(samples.values[i]) {
            samples.values[kept] = samples.values[i];
            samples.timestamps_ms[kept] = samples.timestamps_ms[i];
            if let Some(entry) = samples.histograms.get_mut(next).filter(|(at, _)| *at == i) {
                entry.0 = kept;
                next += 1;
            }
            kept += 1;
        }
    }
    samples.values.truncate(kept);
    samples.timestamps_ms.truncate(kept);
}

/// Leaves counts and sums of histograms, and says of each whether it goes on or begins anew where
/// that is not known: once the buckets are gone, nobody else can tell.
fn summarize(samples: &mut Samples) {
    let mut previous: Option<Arc<Histogram>> = None;
    for (_, histogram) in &mut samples.histograms {
        let whole = Arc::clone(histogram);
        let reset = match (whole.reset, previous) {
            (model::ResetHint::Unknown, Some(previous)) => {
                if native::is_reset(&whole, &previous) {
                    model::ResetHint::Reset
                } else {
                    model::ResetHint::NotReset
                }
            }
            (known, _) => known,
        };
        *histogram = Arc::new(Histogram {
            reset,
            schema: whole.schema,
            count: whole.count,
            sum: whole.sum,
            ..Histogram::default()
        });
        previous = Some(whole);
    }
}

/// What a subquery says about resets would be about samples that it does not show.
pub(crate) fn forget_resets(column: &mut Column) {
    for (_, histogram) in &mut column.histograms {
        if matches!(
            histogram.reset,
            model::ResetHint::Reset | model::ResetHint::NotReset
        ) {
            *histogram = Arc::new(Histogram {
                reset: model::ResetHint::Unknown,
                ..Histogram::clone(histogram)
            });
        }
    }
}
