//! Leaves: a selector, the function over its range, and the number-by-number changes above it,
//! computed in one pass per series.
//!
//! 1. The store answers the selection as cursors, which are driven side by side on the pool.
//! 2. Each series' samples become a column (`windows`).
//! 3. Changes that need no other series (`* 100`, `clamp_min`, `> 0`) are applied at once.
//! 4. A [`Fold`] takes the column: it collects it, or adds it to its group and forgets it.

use std::sync::atomic::Ordering;

use model::{Labels, Samples, Selection};
use rayon::prelude::*;

use crate::coarse::Reach;
use crate::column::{Column, Map, Scalar, Series, Vector};
use crate::functions::range::RangeFunction;
use crate::grid::Grid;
use crate::query::{Lease, Query, from_store};
use crate::syntax::{At, Extent, Selector};
use crate::value::QueryError;
use crate::windows::ColumnBuilder;

/// Takes series as they come, in the order of labels, from one cursor.
pub(crate) trait Fold: Send {
    /// Takes a series and whether its name no longer fits. The column may be taken away; it has
    /// at least one value.
    fn take(
        &mut self,
        labels: Labels,
        drops_name: bool,
        column: &mut Column,
    ) -> Result<(), QueryError>;
}

/// What becomes of a series' samples.
#[derive(Clone)]
pub(crate) enum Source {
    /// The latest value within the look-back.
    Value,
    /// The value between the samples around the step.
    Smoothed,
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
    /// What counts as the samples of the range.
    pub(crate) extent: Extent,
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
            Source::Value | Source::Smoothed => false,
            Source::Timestamp => true,
            Source::Window(call) => !call.function.keeps_name,
        };
        by_source || self.maps.iter().any(|map| map.drops_name)
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
        let reach = Reach::of(query, &self.source, &refs);
        reach.note(query, &refs);
        let mut selection = query.selection(
            self.selector,
            &refs,
            match &self.source {
                Source::Window(call) => Some(call.range_ms),
                _ => None,
            },
            rayon::current_num_threads(),
        );
        selection.start_ms = reach.start_of(&refs, selection.start_ms);
        let cursors = query
            .reader
            .select(&selection)
            .map_err(|e| from_store(&e))?;
        let drops_name = self.drops_name();
        let summary = query.wants_summary(self.selector);
        let drive = |mut cursor: Box<dyn model::SeriesCursor>| {
            let mut fold = make()?;
            let mut samples = Samples::default();
            let mut columns = ColumnBuilder::new(query, &self.source, *grid, refs);
            columns.reach(&reach);
            if summary {
                columns.summarize();
            }
            let mut column = Column::default();
            while let Some(labels) = cursor
                .next_series(&mut samples)
                .map_err(|e| from_store(&e))?
            {
                query.count_read(samples.len())?;
                columns.build(&labels, &mut samples, &mut column)?;
                for map in &self.maps {
                    map.apply(&mut column);
                }
                if column.has_values() {
                    fold.take(labels, drops_name, &mut column)?;
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
        Ok(vector)
    }
}

/// Keeps every series.
struct Collect {
    series: Vec<Series>,
    lease: Lease,
}

impl Fold for Collect {
    fn take(
        &mut self,
        labels: Labels,
        drops_name: bool,
        column: &mut Column,
    ) -> Result<(), QueryError> {
        self.lease.grow(1, column.slots())?;
        self.series.push(Series {
            labels,
            drops_name,
            column: column.clone(),
        });
        Ok(())
    }
}

impl Query<'_> {
    /// The times at which a selector looks for the steps of a grid.
    pub(crate) fn look_at(&self, selector: &Selector, grid: &Grid) -> Grid {
        grid.shifted(selector.at.map(|at| self.time_of(at)), selector.offset.ms)
    }

    /// What a selector asks of the store: the samples that its steps look at and no others.
    pub(crate) fn selection(
        &self,
        selector: &Selector,
        refs: &Grid,
        range_ms: Option<i64>,
        cursors_max: usize,
    ) -> Selection {
        let (before_ms, after_ms) = match (range_ms, selector.extent) {
            (None, Extent::Plain | Extent::Anchored) => (self.lookback_ms, 0),
            (None, Extent::Smoothed) => (self.lookback_ms, self.lookback_ms),
            (Some(range_ms), Extent::Plain) => (range_ms, 0),
            (Some(range_ms), Extent::Anchored) => (range_ms.saturating_add(self.lookback_ms), 0),
            (Some(range_ms), Extent::Smoothed) => {
                (range_ms.saturating_add(self.lookback_ms), self.lookback_ms)
            }
        };
        Selection {
            matchers: selector.matchers.clone(),
            start_ms: refs.start_ms.saturating_sub(before_ms),
            end_ms: refs.end_ms().saturating_add(after_ms),
            series_max: self.options.series_max,
            cursors_max,
        }
    }

    /// Whether only counts and sums of a selector's histograms are wanted.
    fn wants_summary(&self, selector: &Selector) -> bool {
        !self.summaries.is_empty()
            && self
                .summaries
                .contains(&(std::ptr::from_ref(selector) as usize))
    }

    /// The time that an `@` means.
    pub(crate) fn time_of(&self, at: At) -> i64 {
        match at {
            At::Time(time_ms) => time_ms,
            At::Start => self.range.start_ms,
            At::End => self.range.end_ms(),
        }
    }

    /// How many samples were read so far.
    pub(crate) fn samples_read(&self) -> u64 {
        self.meter.samples_read.load(Ordering::Relaxed)
    }
}
