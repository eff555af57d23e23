//! What a group writes: one target in the metric store, one timestamp per evaluation, and the
//! markers that end its series.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use model::{Histogram, Labels, SampleSink, Scrape, SlotId, StoreError, TargetId, stale_nan};

use crate::query::Reads;

/// What a rule gives for one series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Recorded {
    Number(f64),
    Histogram(Arc<Histogram>),
}

/// The series of one group. Samples are collected and stored together, because a scrape is the
/// store's unit; a rule that reads what an earlier one has just made has them stored first.
#[derive(Debug, Default)]
pub(crate) struct GroupSeries {
    target: Option<TargetId>,
    slots: HashMap<Labels, SlotId>,
    pending: Vec<(SlotId, f64)>,
    pending_histograms: Vec<(SlotId, Arc<Histogram>)>,
    pending_names: Vec<Arc<str>>,
    /// Rules whose samples are pending.
    pending_rules: Vec<usize>,
}

impl GroupSeries {
    /// Opens the group's target where it is not open yet.
    pub(crate) fn open(
        &mut self,
        sink: &dyn SampleSink,
        name: &str,
    ) -> Result<TargetId, StoreError> {
        match self.target {
            Some(target) => Ok(target),
            None => Ok(*self.target.insert(sink.open_target(name)?)),
        }
    }

    /// Adds what a rule gives now, and ends the series that it gave before (`written`) and gives
    /// no more. `written` becomes what it gives now.
    ///
    /// # Errors
    /// The store takes no more series; nothing was added then.
    pub(crate) fn write(
        &mut self,
        sink: &dyn SampleSink,
        target: TargetId,
        rule: usize,
        samples: &[(Labels, Recorded)],
        written: &mut HashSet<Labels>,
    ) -> Result<(), StoreError> {
        let mut slots = Vec::with_capacity(samples.len());
        let mut histograms = Vec::new();
        let mut now = HashSet::with_capacity(samples.len());
        for (labels, value) in samples {
            let slot = self.slot(sink, target, labels)?;
            match value {
                Recorded::Number(value) => slots.push((slot, *value)),
                Recorded::Histogram(value) => histograms.push((slot, value.clone())),
            }
            now.insert(labels.clone());
        }
        for labels in written.iter().filter(|labels| !now.contains(*labels)) {
            slots.push((self.slot(sink, target, labels)?, stale_nan()));
            self.slots.remove(labels);
        }
        if slots.is_empty() && histograms.is_empty() {
            return Ok(());
        }
        for (labels, _) in samples {
            self.note_name(labels);
        }
        for labels in written.iter() {
            self.note_name(labels);
        }
        *written = now;
        self.pending.append(&mut slots);
        self.pending_histograms.append(&mut histograms);
        self.pending_rules.push(rule);
        Ok(())
    }

    fn note_name(&mut self, labels: &Labels) {
        if let Some(name) = labels.get_shared(model::METRIC_NAME)
            && !self.pending_names.contains(name)
        {
            self.pending_names.push(name.clone());
        }
    }

    fn slot(
        &mut self,
        sink: &dyn SampleSink,
        target: TargetId,
        labels: &Labels,
    ) -> Result<SlotId, StoreError> {
        if let Some(slot) = self.slots.get(labels) {
            return Ok(*slot);
        }
        let slot = sink.open_slot(target, labels)?;
        self.slots.insert(labels.clone(), slot);
        Ok(slot)
    }

    /// Whether an expression may read what is not stored yet.
    pub(crate) fn is_awaited(&self, reads: &Reads) -> bool {
        self.pending_names.iter().any(|name| reads.may_read(name))
    }

    /// Stores what was added; returns how many samples the store took.
    ///
    /// # Errors
    /// Nothing was stored, or only the numbers; the others are dropped, for their time does not
    /// come back. The rules
    /// that they belong to are named beside the reason.
    pub(crate) fn flush(
        &mut self,
        sink: &dyn SampleSink,
        timestamp_ms: i64,
    ) -> Result<usize, (Vec<usize>, usize, StoreError)> {
        let samples = std::mem::take(&mut self.pending);
        let histograms = std::mem::take(&mut self.pending_histograms);
        let rules = std::mem::take(&mut self.pending_rules);
        self.pending_names.clear();
        let count = samples.len() + histograms.len();
        let Some(target) = self.target.filter(|_| count > 0) else {
            return Ok(0);
        };
        let mut stored = 0;
        if !samples.is_empty() {
            let scrape = Scrape {
                target,
                timestamp_ms,
                samples: &samples,
            };
            match sink.append(scrape) {
                Ok(taken) => stored = taken,
                Err(error) => return Err((rules, count, error)),
            }
        }
        if !histograms.is_empty() {
            match sink.append_histograms(target, timestamp_ms, &histograms) {
                Ok(taken) => stored += taken,
                Err(error) => return Err((rules, histograms.len(), error)),
            }
        }
        Ok(stored)
    }

    /// Ends all series of rules that are gone and closes the target.
    pub(crate) fn close(
        &mut self,
        sink: &dyn SampleSink,
        timestamp_ms: i64,
    ) -> Result<(), StoreError> {
        let Some(target) = self.target.take() else {
            return Ok(());
        };
        let samples: Vec<(SlotId, f64)> =
            self.slots.drain().map(|(_, s)| (s, stale_nan())).collect();
        let result = if samples.is_empty() {
            Ok(())
        } else {
            sink.append(Scrape {
                target,
                timestamp_ms,
                samples: &samples,
            })
            .map(drop)
        };
        sink.close_target(target);
        result
    }
}
