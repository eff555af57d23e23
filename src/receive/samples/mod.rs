//! Samples that others send: Prometheus' remote write ([`remote_write`]) and OpenTelemetry's metrics
//! ([`otlp`]).
//!
//! The way of a request:
//! 1. A decoder reads series by series where they lie. For each series it asks [`series`] for its
//!    place in the store, by a hash of its labels as they were sent; only the labels of a new
//!    series are read.
//! 2. The samples are sorted by target and time ([`batch`]) and go to the store as scrapes.
//! 3. The sender is told what was written. The store keeps a journal of its own, so that what was
//!    acknowledged is there after a crash.
//!
//! A store's target is a job and instance, whoever sends it: the samples of one scrape share a
//! timestamp, which the store keeps once. Sending again is harmless: a sample that is there
//! already is left out.

mod batch;
mod metrics;
mod series;

pub mod otlp;
pub mod remote_write;

use std::fmt;
use std::sync::Arc;

use model::{SampleSink, StoreError};
use parking_lot::Mutex;

pub use metrics::SampleMetrics;

use crate::{Limits, Refused, Room};
use batch::Batch;
use series::SeriesTable;

/// How samples reached us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SampleProtocol {
    /// Remote write 1.0.
    RemoteWrite1,
    /// Remote write 2.0.
    RemoteWrite2,
    /// OpenTelemetry's protocol over HTTP.
    Otlp,
    /// The history of other stores.
    Import,
    /// Pushes of jobs that end.
    Push,
}

impl SampleProtocol {
    /// Its word in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RemoteWrite1 => "remote_write_1",
            Self::RemoteWrite2 => "remote_write_2",
            Self::Otlp => "otlp",
            Self::Import => "import",
            Self::Push => "push",
        }
    }
}

/// What became of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// Floats that the store has now; those that it had already count too.
    pub samples: u64,
    /// Native histograms, likewise.
    pub histograms: u64,
    /// Exemplars that were handed over.
    pub exemplars: u64,
    /// Samples, histograms and exemplars that were not taken and would not be if they were sent
    /// again.
    pub rejected: u64,
    /// Why the first of those was not.
    pub reason: Option<String>,
}

impl Written {
    /// Notes things that were not taken.
    pub(crate) fn reject(&mut self, n: u64, why: impl FnOnce() -> String) {
        self.rejected += n;
        self.reason.get_or_insert_with(why);
    }
}

/// Takes samples that others send. Share it behind an `Arc`; calls block on the store's journal.
pub struct SampleReceiver {
    sink: Arc<dyn SampleSink>,
    limits: Limits,
    room: Room,
    metrics: SampleMetrics,
    /// Locked before `series`.
    deltas: Mutex<otlp::Deltas>,
    series: Mutex<SeriesTable>,
}

impl fmt::Debug for SampleReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SampleReceiver")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl SampleReceiver {
    /// A receiver that writes to a store. `room` bounds the bodies of all receivers together.
    pub fn new(
        sink: Arc<dyn SampleSink>,
        limits: Limits,
        room: Room,
        metrics: SampleMetrics,
    ) -> Self {
        Self {
            sink,
            limits,
            room,
            metrics,
            deltas: Mutex::default(),
            series: Mutex::default(),
        }
    }

    /// The bounds of a request.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The bounds of all requests that are under way.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// Counts a request that was refused before it came here.
    pub fn refused(&self, protocol: SampleProtocol, why: &Refused) {
        self.metrics.refused(protocol, why);
    }

    /// Lets a decoder fill a batch and writes it.
    fn take(
        &self,
        protocol: SampleProtocol,
        now_ms: i64,
        decode: impl FnOnce(&mut Batch<'_>) -> Result<(), Refused>,
    ) -> Result<Written, Refused> {
        let result = {
            let mut series = self.series.lock();
            series.sweep(&*self.sink, now_ms);
            let mut batch = Batch::new(&*self.sink, &mut series, now_ms);
            decode(&mut batch).map(|()| batch.finish())
        };
        let result = result.and_then(|pending| {
            pending.write(&*self.sink, now_ms).inspect_err(|_| {
                // A slot may be one that the store has forgotten: the next request opens all anew.
                self.series.lock().forget();
            })
        });
        self.metrics.series.set(self.series.lock().len() as i64);
        match &result {
            Ok(written) => self.metrics.took(protocol, written),
            Err(why) => self.metrics.refused(protocol, why),
        }
        result
    }
}

/// A failure of the store in the words of this room.
fn refusal(error: StoreError) -> Refused {
    match error {
        StoreError::NoSpace(why) => Refused::Full(format!("the disk is full: {why}")),
        other => Refused::Failed(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
