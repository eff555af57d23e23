//! The store's door with the rules in front of it.

use std::collections::HashMap;
use std::sync::Arc;

use model::{Checkpoint, Labels, LineRules, LogBatch, LogSink, StoreError, StreamId};
use parking_lot::RwLock;

use crate::labels::{Answer, MadeStreams};
use crate::metrics::{Metrics, RuleCounters};
use crate::pass::{Passed, pass};
use crate::rule::Rules;

/// A sink that brings every batch through rules before it hands it on. The rules can be replaced
/// at any time: each batch meets one set of rules, the old or the new one.
pub struct LogRules {
    sink: Arc<dyn LogSink>,
    metrics: Metrics,
    /// Labels of every stream that was opened here; as many as the store takes.
    known: RwLock<HashMap<StreamId, Labels>>,
    active: RwLock<Arc<Active>>,
}

/// Rules in force.
#[derive(Default)]
struct Active {
    rules: Rules,
    /// In the order of the rules.
    counters: Vec<RuleCounters>,
    made: MadeStreams,
}

impl LogRules {
    /// Puts rules in front of a sink; none to begin with.
    pub fn new(sink: Arc<dyn LogSink>, metrics: Metrics) -> Self {
        Self {
            sink,
            metrics,
            known: RwLock::default(),
            active: RwLock::default(),
        }
    }

    /// Puts other rules into force. Counters of rules that keep their name go on.
    pub fn replace(&self, rules: Rules) {
        let counters = rules.names().map(|name| self.metrics.of(name)).collect();
        let new = Arc::new(Active {
            rules,
            counters,
            made: MadeStreams::default(),
        });
        let old = std::mem::replace(&mut *self.active.write(), Arc::clone(&new));
        for name in old.rules.names() {
            if !new.rules.names().any(|other| other == name) {
                self.metrics.forget(name);
            }
        }
    }

    /// How many rules are in force.
    pub fn len(&self) -> usize {
        self.active.read().rules.len()
    }

    /// Whether no rules are in force.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl LogRules {
    fn count(&self, active: &Active, passed: &Passed) {
        for (counters, tally) in active.counters.iter().zip(&passed.tallies) {
            counters.add(tally);
        }
        if passed.streams_refused > 0 {
            self.metrics.streams_refused.inc_by(passed.streams_refused);
        }
    }
}

/// For a collector with a journal. Lines are counted when they pass: what the journal refuses then
/// and is sent again counts again.
impl LineRules for LogRules {
    fn pass(
        &self,
        streams: &[Labels],
        batch: LogBatch,
        open: &mut dyn FnMut(&Labels) -> Result<StreamId, StoreError>,
    ) -> Result<LogBatch, StoreError> {
        let active = Arc::clone(&self.active.read());
        if active.rules.is_empty() {
            return Ok(batch);
        }
        let passed = pass(
            &active.rules.rules,
            &batch,
            |stream| streams.get(stream.0 as usize),
            |labels| Answer::of(open(labels)),
        )?;
        self.count(&active, &passed);
        Ok(passed.batch.unwrap_or(batch))
    }
}

impl LogSink for LogRules {
    fn open_stream(&self, labels: &Labels) -> Result<StreamId, StoreError> {
        let stream = self.sink.open_stream(labels)?;
        self.known.write().insert(stream, labels.clone());
        Ok(stream)
    }

    fn append(&self, batch: &LogBatch) -> Result<(), StoreError> {
        let active = Arc::clone(&self.active.read());
        // Fast path: no rules, nothing to look at.
        if active.rules.is_empty() {
            return self.sink.append(batch);
        }
        let passed = {
            let known = self.known.read();
            pass(
                &active.rules.rules,
                batch,
                |stream| known.get(&stream),
                |labels| active.made.stream(&self.sink, labels),
            )?
        };
        self.sink.append(passed.batch.as_ref().unwrap_or(batch))?;
        self.count(&active, &passed);
        Ok(())
    }

    fn committed_checkpoints(&self) -> Result<Vec<Checkpoint>, StoreError> {
        self.sink.committed_checkpoints()
    }

    fn committed_checkpoint(&self, source: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.sink.committed_checkpoint(source)
    }
}
