//! LogQL against lines in memory: `syntax.rs` what is read and refused, `lines.rs` what stages
//! make of lines, `numbers.rs` what metric queries come to.

mod lines;
mod numbers;
mod syntax;

use std::ops::ControlFlow;
use std::sync::Arc;

use model::{Labels, Level, StoreError};

use crate::matches::LineView;
use crate::query::Query;
use crate::reader::{
    Bucket, Direction, Facet, LogReader, LogStoreStats, Record, RecordHandler, Search,
    SearchSummary, Subscription,
};

/// Seconds in nanoseconds.
const S: i64 = 1_000_000_000;

/// Lines in memory, in order of time.
struct Lines(Vec<Record>);

impl Lines {
    /// Lines of `{app="a", pod="p"}` a second apart, the first at 1 s, all at level info.
    fn of(texts: &[&str]) -> Self {
        let labels = Labels::from_pairs([("app", "a"), ("pod", "p")]);
        let mut lines = Self(Vec::new());
        for (i, text) in texts.iter().enumerate() {
            lines.add(&labels, Level::Info, (i as i64 + 1) * S, text);
        }
        lines
    }

    fn add(&mut self, labels: &Labels, level: Level, time_ns: i64, text: &str) {
        self.0.push(Record {
            labels: labels.clone(),
            sequence: self.0.len() as u64,
            time_ns,
            level,
            text: text.as_bytes().to_vec(),
        });
    }
}

impl LogReader for Lines {
    fn search(
        &self,
        search: &Search,
        handler: &mut RecordHandler<'_>,
    ) -> Result<SearchSummary, StoreError> {
        let mut found: Vec<&Record> = self
            .0
            .iter()
            .filter(|r| (search.start_ns..search.end_ns).contains(&r.time_ns))
            .filter(|r| {
                let view = LineView::new(&r.labels, r.level, &r.text);
                search.query.filter.matches(&view)
            })
            .collect();
        if search.direction == Direction::Backward {
            found.reverse();
        }
        if let Some(after) = search.after {
            let at = found
                .iter()
                .position(|r| r.time_ns == after.time_ns && r.sequence == after.sequence);
            found.drain(..=at.expect("the cursor is a line that was found"));
        }
        let mut summary = SearchSummary::default();
        for (i, record) in found.iter().enumerate() {
            if i >= search.limit {
                summary.limit_reached = true;
                break;
            }
            if let ControlFlow::Break(()) = handler((*record).clone()) {
                break;
            }
        }
        Ok(summary)
    }

    fn histogram(&self, _: &Search, _: i64) -> Result<Vec<Bucket>, StoreError> {
        unreachable!("LogQL asks for no histogram")
    }

    fn facets(&self, _: &Search, _: usize) -> Result<Vec<Facet>, StoreError> {
        unreachable!("LogQL asks for no facets")
    }

    fn streams(&self, _: i64, _: i64) -> Result<Vec<Labels>, StoreError> {
        unreachable!("LogQL asks for no streams")
    }

    fn tail(
        &self,
        _: Arc<Query>,
        _: Box<RecordHandler<'static>>,
    ) -> Result<Subscription, StoreError> {
        unreachable!("LogQL follows nothing by itself")
    }

    fn stats(&self) -> LogStoreStats {
        LogStoreStats::default()
    }
}
