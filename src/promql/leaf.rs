//! Leaves: a selector, the function over its range, and the number-by-number changes above it,
//! computed in one pass per series.
//!
//! 1. The store answers the selection as cursors, which are driven side by side on the pool.
//! 2. Each series' samples become a column: two indices slide over the samples as the steps go.
//! 3. Changes that need no other series (`* 100`, `clamp_min`, `> 0`) are applied at once.
//! 4. A [`Fold`] takes the column: it collects it, or adds it to its group and forgets it.

use model::{Labels, Samples, Selection, is_stale};
use rayon::prelude::*;

use crate::column::{ABSENT, Map, Scalar, Series, Vector, is_present, without_name};
use crate::functions::range::{RangeFunction, Window};
use crate::grid::Grid;
use crate::query::{Lease, Query, from_store};
use crate::syntax::{At, Selector};
use crate::value::QueryError;

/// Takes series as they come, in the order of labels, from one cursor.
pub(crate) trait Fold: Send {
    /// Takes a series. The column may be taken away; it has at least one value.
    fn take(&mut self, labels: Labels, column: &mut Vec<f64>) -> Result<(), QueryError>;
}

/// What becomes of a series' samples.
#[derive(Clone)]
pub(crate) enum Source {
    /// The latest value within the look-back.
    Value,
    /// The time of the latest value within the look-back, in seconds.
    Timestamp,
    /// A function over the values of a range.
    Window(RangeCall),
}

/// A function over a range with its parameters.
#[derive(Clone)]
pub(crate) struct RangeCall {
    pub(crate) function: &'static RangeFunction,
    pub(crate) range_ms: i64,
    /// The numbers among its arguments.
    pub(crate) params: Vec<Scalar>,
    /// Where its range vector stands.
    pub(crate) place: Option<usize>,
}

/// A selector with all that can be computed series by series.
pub(crate) struct Leaf<'e> {
    pub(crate) selector: &'e Selector,
    pub(crate) source: Source,
    pub(crate) maps: Vec<Map>,
}

impl<'e> Leaf<'e> {
    /// A leaf without changes.
    pub(crate) fn new(selector: &'e Selector, source: Source) -> Self {
        Self {
            selector,
            source,
            maps: Vec::new(),
        }
    }

    /// Whether the results lose the metric's name.
    fn drops_name(&self) -> bool {
        let by_source = match &self.source {
            Source::Value => false,
            Source::Timestamp => true,
            Source::Window(call) => !call.function.keeps_name,
        };
        by_source || self.maps.iter().any(|map| map.drops_name)
    }

    /// Whether two series of the result may have the same labels: only where the name is dropped
    /// and the selector leaves it open.
    pub(crate) fn may_collide(&self) -> bool {
        self.drops_name() && self.selector.metric_name().is_none()
    }

    /// Drives all cursors, each with a fold of its own, and returns the folds in label order.
    pub(crate) fn run<F: Fold>(
        &self,
        query: &Query<'_>,
        grid: &Grid,
        make: impl Fn() -> Result<F, QueryError> + Sync,
    ) -> Result<Vec<F>, QueryError> {
        query.check_stop()?;
        let refs = query.look_at(self.selector, grid);
        let back_ms = match &self.source {
            Source::Value | Source::Timestamp => query.lookback_ms,
            Source::Window(call) => call.range_ms,
        };
        let selection = Selection {
            matchers: self.selector.matchers.clone(),
            start_ms: refs.start_ms.saturating_sub(back_ms),
            end_ms: refs.end_ms(),
            series_max: query.options.series_max,
            cursors_max: rayon::current_num_threads(),
        };
        let cursors = query
            .reader
            .select(&selection)
            .map_err(|e| from_store(&e))?;
        let drive = |mut cursor: Box<dyn model::SeriesCursor>| {
            let mut fold = make()?;
            let mut samples = Samples::default();
            let mut columns = ColumnBuilder::new(query, &self.source, *grid, refs);
            let drops_name = self.drops_name();
            let mut column = Vec::with_capacity(grid.count);
            while let Some(labels) = cursor
                .next_series(&mut samples)
                .map_err(|e| from_store(&e))?
            {
                query.count_read(samples.len())?;
                columns.build(&labels, &mut samples, &mut column);
                for map in &self.maps {
                    map.apply(&mut column);
                }
                if column.iter().any(|v| is_present(*v)) {
                    let labels = if drops_name {
                        without_name(&labels)
                    } else {
                        labels
                    };
                    fold.take(labels, &mut column)?;
                }
            }
            Ok(fold)
        };
        if cursors.len() > 1 {
            cursors.into_par_iter().map(drive).collect()
        } else {
            cursors.into_iter().map(drive).collect()
        }
    }

    /// All series of the leaf.
    pub(crate) fn collect(&self, query: &Query<'_>, grid: &Grid) -> Result<Vector, QueryError> {
        let parts = self.run(query, grid, || {
            Ok(Collect {
                series: Vec::new(),
                lease: query.hold(0, 0)?,
            })
        })?;
        let mut vector = Vector {
            series: Vec::new(),
            ordered: false,
            lease: query.hold(0, 0)?,
        };
        for part in parts {
            vector.series.extend(part.series);
            vector.lease.absorb(part.lease);
        }
        if self.may_collide() {
            vector.merge_same_labels()?;
        }
        Ok(vector)
    }
}

/// Keeps every series.
struct Collect {
    series: Vec<Series>,
    lease: Lease,
}

impl Fold for Collect {
    fn take(&mut self, labels: Labels, column: &mut Vec<f64>) -> Result<(), QueryError> {
        self.lease.grow(1, column.len())?;
        self.series.push(Series {
            labels,
            values: column.clone(),
        });
        Ok(())
    }
}

impl Query<'_> {
    /// The times at which a selector looks for the steps of a grid.
    pub(crate) fn look_at(&self, selector: &Selector, grid: &Grid) -> Grid {
        grid.shifted(selector.at.map(|at| self.time_of(at)), selector.offset.ms)
    }

    /// The time that an `@` means.
    pub(crate) fn time_of(&self, at: At) -> i64 {
        match at {
            At::Time(time_ms) => time_ms,
            At::Start => self.range.start_ms,
            At::End => self.range.end_ms(),
        }
    }
}

/// Turns samples into columns, one series after the other.
pub(crate) struct ColumnBuilder<'q> {
    query: &'q Query<'q>,
    source: &'q Source,
    /// The steps.
    grid: Grid,
    /// Where they look.
    refs: Grid,
    params: Vec<f64>,
    resets: Vec<usize>,
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
            params: Vec::new(),
            resets: Vec::new(),
            noted: String::new(),
        }
    }

    /// Overwrites `column` with a value for every step. May drop stale markers from `samples`.
    pub(crate) fn build(&mut self, labels: &Labels, samples: &mut Samples, column: &mut Vec<f64>) {
        column.clear();
        match self.source {
            Source::Value => self.latest(samples, column, |_, value| value),
            Source::Timestamp => self.latest(samples, column, |time, _| time as f64 / 1000.0),
            Source::Window(call) => {
                drop_stale(samples);
                self.windows(call, samples, column);
                self.note_counter(call, labels, column);
            }
        }
    }

    /// The latest sample of each step, unless it is too old or ends the series.
    fn latest(&self, samples: &Samples, column: &mut Vec<f64>, value: impl Fn(i64, f64) -> f64) {
        let mut seen = 0;
        for step in 0..self.refs.count {
            let time_ms = self.refs.time_ms(step);
            let newer = samples.timestamps_ms[seen..]
                .iter()
                .take_while(|t| **t <= time_ms);
            seen += newer.count();
            let last = seen.checked_sub(1);
            let slot = match last {
                Some(i) => {
                    let (time, latest) = (samples.timestamps_ms[i], samples.values[i]);
                    let is_old = time <= time_ms.saturating_sub(self.query.lookback_ms);
                    if is_old || is_stale(latest) {
                        ABSENT
                    } else {
                        value(time, latest)
                    }
                }
                None => ABSENT,
            };
            column.push(slot);
        }
    }

    /// A function over the window of each step: the samples after its start, up to its end.
    fn windows(&mut self, call: &RangeCall, samples: &Samples, column: &mut Vec<f64>) {
        let function = call.function;
        self.resets.clear();
        if function.needs_resets {
            let drops = samples.values.windows(2).enumerate();
            self.resets
                .extend(drops.filter(|(_, v)| v[1] < v[0]).map(|(i, _)| i + 1));
        }
        let is_fixed = self.refs.step_ms == 0
            && !function.needs_eval_time
            && call.params.iter().all(|p| matches!(p, Scalar::Constant(_)));
        let (mut low, mut high) = (0, 0);
        let (mut reset_low, mut reset_high) = (0, 0);
        for step in 0..self.refs.count {
            if is_fixed && step > 0 {
                column.push(column[0]);
                continue;
            }
            let end_ms = self.refs.time_ms(step);
            let start_ms = end_ms.saturating_sub(call.range_ms);
            let times = &samples.timestamps_ms;
            high += times[high..].iter().take_while(|t| **t <= end_ms).count();
            low += times[low..high]
                .iter()
                .take_while(|t| **t <= start_ms)
                .count();
            if low == high {
                column.push(ABSENT);
                continue;
            }
            // A drop between the sample before the window and its first one does not count.
            let resets = &self.resets;
            reset_high += resets[reset_high..]
                .iter()
                .take_while(|i| **i < high)
                .count();
            reset_low += resets[reset_low..reset_high]
                .iter()
                .take_while(|i| **i <= low)
                .count();
            self.params.clear();
            self.params.extend(call.params.iter().map(|p| p.at(step)));
            let window = Window {
                times_ms: &times[low..high],
                values: &samples.values[low..high],
                resets: &resets[reset_low..reset_high],
                low,
                start_ms,
                end_ms,
                eval_ms: self.grid.time_ms(step),
                params: &self.params,
            };
            column.push((function.compute)(&window));
        }
    }

    /// Notes where a rate is taken of what does not look like a counter.
    fn note_counter(&mut self, call: &RangeCall, labels: &Labels, column: &[f64]) {
        if !call.function.wants_counter {
            return;
        }
        let Some(name) = labels.metric_name() else {
            return;
        };
        let is_counter = ["_total", "_sum", "_count", "_bucket"]
            .iter()
            .any(|suffix| name.ends_with(suffix));
        if is_counter || self.noted == name || !column.iter().any(|v| is_present(*v)) {
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

/// Stale markers end a series for instant selectors; ranges do not see them.
fn drop_stale(samples: &mut Samples) {
    if !samples.values.iter().any(|v| is_stale(*v)) {
        return;
    }
    let mut kept = 0;
    for i in 0..samples.values.len() {
        if !is_stale(samples.values[i]) {
            samples.values[kept] = samples.values[i];
            samples.timestamps_ms[kept] = samples.timestamps_ms[i];
            kept += 1;
        }
    }
    samples.values.truncate(kept);
    samples.timestamps_ms.truncate(kept);
}
