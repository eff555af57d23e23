//! Answers rules from the metric store, in PromQL.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{Labels, METRIC_NAME, MatchOp, Matcher, Sample, Samples, Selection, SeriesReader};
use parking_lot::Mutex;
use promql::{Answer, Context, Engine, ErrorKind, Prepared, QueryError};
use tokio_util::sync::CancellationToken;

use crate::doctor::{self, Missing};
use crate::query::{Reads, RuleQuery};

/// The most series that restoring the state of one rule may read.
const RESTORED_SERIES_MAX: usize = 10_000;

/// The most expressions that are kept parsed. Beyond that all are forgotten: those of rules come
/// back with the next round, those that templates ask once do not. A parsed one takes a kilobyte,
/// and twelve for each of its regular expressions, which are what is costly to make.
const PREPARED_MAX: usize = 2_000;

/// The engine, the store behind it, and when to give up.
pub struct PromqlQuery {
    engine: Arc<Engine>,
    series: Arc<dyn SeriesReader>,
    timeout: Duration,
    cancel: CancellationToken,
    /// Expressions that were asked before, parsed.
    prepared: Mutex<HashMap<Box<str>, Arc<Prepared>>>,
}

impl PromqlQuery {
    /// Queries give up after `timeout`, and when `cancel` is cancelled.
    pub fn new(
        engine: Arc<Engine>,
        series: Arc<dyn SeriesReader>,
        timeout: Duration,
        cancel: CancellationToken,
    ) -> Self {
        Self {
            engine,
            series,
            timeout,
            cancel,
            prepared: Mutex::default(),
        }
    }

    /// An expression, parsed now or before.
    fn prepare(&self, expression: &str) -> Result<Arc<Prepared>, QueryError> {
        if let Some(known) = self.prepared.lock().get(expression) {
            return Ok(known.clone());
        }
        let new = Arc::new(self.engine.prepare(expression)?);
        let mut prepared = self.prepared.lock();
        if prepared.len() >= PREPARED_MAX {
            prepared.clear();
        }
        prepared.insert(expression.into(), new.clone());
        Ok(new)
    }
}

fn failed(error: &model::StoreError) -> QueryError {
    QueryError {
        kind: ErrorKind::Internal,
        message: error.to_string(),
        position: None,
    }
}

impl RuleQuery for PromqlQuery {
    fn check(&self, expression: &str) -> Result<Reads, QueryError> {
        let selectors = self.engine.selectors(expression)?;
        let name = |matchers: &[Matcher]| {
            matchers
                .iter()
                .find(|m| &*m.name == METRIC_NAME && m.op == MatchOp::Equal)
                .map(|m| m.value.clone())
        };
        let names: Option<Vec<Arc<str>>> = selectors.iter().map(|s| name(&s.matchers)).collect();
        Ok(names.map_or(Reads::Anything, Reads::Only))
    }

    fn instant(&self, expression: &str, time_ms: i64) -> Result<Answer, QueryError> {
        let prepared = self.prepare(expression)?;
        let deadline = Instant::now() + self.timeout;
        let stop = || {
            if self.cancel.is_cancelled() {
                Some(ErrorKind::Canceled)
            } else {
                (Instant::now() >= deadline).then_some(ErrorKind::Timeout)
            }
        };
        let context = Context {
            stop: Some(&stop),
            ..Context::default()
        };
        self.engine
            .instant_of(&*self.series, &prepared, time_ms, &context)
    }

    fn missing(
        &self,
        expression: &str,
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<Missing>, QueryError> {
        let mut all = Vec::new();
        for selector in self.engine.needed(expression)? {
            let found = doctor::missing(&*self.series, &selector.matchers, start_ms, end_ms)
                .map_err(|e| failed(&e))?;
            all.extend(found.filter(|missing| !all.contains(missing)));
        }
        Ok(all)
    }

    fn latest(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<(Labels, Sample)>, QueryError> {
        let selection = Selection {
            matchers: matchers.to_vec(),
            start_ms,
            end_ms,
            series_max: RESTORED_SERIES_MAX,
            cursors_max: 1,
        };
        let cursors = self.series.select(&selection).map_err(|e| failed(&e))?;
        let mut found = Vec::new();
        let mut samples = Samples::default();
        for mut cursor in cursors {
            while let Some(labels) = cursor.next_series(&mut samples).map_err(|e| failed(&e))? {
                if let (Some(timestamp_ms), Some(value)) =
                    (samples.timestamps_ms.last(), samples.values.last())
                {
                    let sample = Sample {
                        timestamp_ms: *timestamp_ms,
                        value: *value,
                    };
                    found.push((labels, sample));
                }
            }
        }
        Ok(found)
    }
}
