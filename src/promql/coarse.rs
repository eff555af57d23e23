//! Where samples are kept less often than they came, steps look further back.
//!
//! Of old days a store keeps a sample every five minutes or every hour. A look-back or a range
//! that is shorter than that would mostly find nothing, and a rate, which needs two samples,
//! hardly ever anything. So at such times
//!
//! - a look-back reaches as far as the samples lie apart,
//! - a range is at least so long,
//! - and where two samples are needed it reaches back to the sample before it, too. The range
//!   then ends with its last sample: `increase(x[1h])` is just what the counter grew by from one
//!   sample to another one that is an hour older, resets included.
//!
//! What counts is where a step's range begins and ends. It is said in the answer ([`Reach::note`]).

use model::{CoarseSpan, SeriesReader, duration, time};

use crate::grid::Grid;
use crate::leaf::Source;
use crate::query::Query;
use crate::syntax::Extent;

/// The coarse spans of what a query reads from; usually none.
#[derive(Debug, Default)]
pub(crate) struct Coarse(Vec<CoarseSpan>);

impl Coarse {
    /// Asks the store.
    pub(crate) fn of(reader: &dyn SeriesReader) -> Self {
        Self(reader.coarse_spans())
    }

    /// The time between two samples at a time; 0 where they are kept as they came.
    fn at(&self, time_ms: i64) -> i64 {
        let within = |s: &&CoarseSpan| (s.start_ms..s.end_ms).contains(&time_ms);
        let found = self.0.iter().filter(within);
        found.map(|s| s.resolution_ms).max().unwrap_or(0)
    }

    /// The time between two samples somewhere in a range.
    fn around(&self, end_ms: i64, range_ms: i64) -> i64 {
        let first_ms = end_ms.saturating_sub(range_ms.saturating_sub(1).max(0));
        self.at(first_ms).max(self.at(end_ms))
    }
}

/// How far each step looks back.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reach {
    /// Milliseconds, by step; empty where all look back as far as was asked.
    steps: Vec<i64>,
    /// How far was asked.
    asked_ms: i64,
}

impl Reach {
    /// For what becomes of a selector's samples at steps that look at these times.
    pub(crate) fn of(query: &Query<'_>, source: &Source, refs: &Grid) -> Self {
        let coarse = &query.coarse;
        let first_ms = match source {
            Source::Window(call) => refs.start_ms.saturating_sub(call.range_ms),
            _ => refs.start_ms.saturating_sub(query.lookback_ms),
        };
        // Fast path: nothing that old is asked for.
        if coarse.0.iter().all(|span| span.end_ms <= first_ms) {
            return Self::default();
        }
        let (asked_ms, is_range, needs_two) = match source {
            Source::Window(call) if call.extent == Extent::Plain => {
                (call.range_ms, true, call.function.needs_two)
            }
            _ => (query.lookback_ms, false, false),
        };
        let reach = |step| match coarse.around(refs.time_ms(step), asked_ms) {
            0 => asked_ms,
            apart_ms if needs_two => asked_ms.max(apart_ms).saturating_add(apart_ms),
            apart_ms if is_range => asked_ms.max(apart_ms),
            // The last sample of a day stands a millisecond early.
            apart_ms => asked_ms.max(apart_ms.saturating_add(1)),
        };
        Self {
            steps: (0..refs.count).map(reach).collect(),
            asked_ms,
        }
    }

    /// Whether all look back as far as was asked.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// How far a step looks back, where so far was asked for.
    pub(crate) fn at(&self, step: usize, asked_ms: i64) -> i64 {
        self.steps.get(step).copied().unwrap_or(asked_ms)
    }

    /// Whether a step looks back further than was asked.
    pub(crate) fn is_longer(&self, step: usize, asked_ms: i64) -> bool {
        self.at(step, asked_ms) > asked_ms
    }

    /// From where on samples are needed, which otherwise would be needed from a time on.
    pub(crate) fn start_of(&self, refs: &Grid, start_ms: i64) -> i64 {
        let further = self.steps.iter().enumerate().map(|(step, reach_ms)| {
            let later_ms = refs.time_ms(step).saturating_sub(refs.start_ms);
            reach_ms
                .saturating_sub(self.asked_ms)
                .saturating_sub(later_ms)
        });
        start_ms.saturating_sub(further.max().unwrap_or(0).max(0))
    }

    /// Says in the answer where samples are kept less often.
    pub(crate) fn note(&self, query: &Query<'_>, refs: &Grid) {
        if self.is_empty() {
            return;
        }
        let first_ms = self.start_of(refs, refs.start_ms.saturating_sub(self.asked_ms));
        let met = |s: &&CoarseSpan| s.start_ms <= refs.end_ms() && s.end_ms > first_ms;
        for span in query.coarse.0.iter().filter(met) {
            let apart = u64::try_from(span.resolution_ms).unwrap_or_default();
            let apart = duration::format(std::time::Duration::from_millis(apart));
            let message = format!(
                "before {} one sample every {apart} is kept: ranges and look-back reach at least \
                 as far there",
                time::rfc3339_ms(span.end_ms)
            );
            query.notes.info(&message, None);
        }
    }
}
