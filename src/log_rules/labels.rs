//! Label sets that rules make of the streams' own, and the streams that they get.

use std::collections::HashMap;
use std::sync::Arc;

use model::{Labels, LogSink, StoreError, StreamId};
use parking_lot::Mutex;

/// So many label sets are remembered; beyond, all are forgotten and found anew, which costs a
/// question to the store each.
const SETS_MAX: usize = 50_000;

/// What the store said to a label set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Its stream.
    Stream(StreamId),
    /// It takes no more streams.
    Refused,
}

impl Answer {
    /// What to make of an attempt to open a stream.
    ///
    /// # Errors
    /// What makes the store unable to say at present.
    pub(crate) fn of(opened: Result<StreamId, StoreError>) -> Result<Self, StoreError> {
        match opened {
            Ok(stream) => Ok(Self::Stream(stream)),
            Err(StoreError::Limit(_) | StoreError::Refused(_)) => Ok(Self::Refused),
            Err(error) => Err(error),
        }
    }
}

/// The streams of label sets that rules have made. The same labels give the same stream, so
/// forgetting is harmless.
#[derive(Debug, Default)]
pub(crate) struct MadeStreams(Mutex<HashMap<Labels, Answer>>);

impl MadeStreams {
    /// The stream of a label set.
    ///
    /// # Errors
    /// What makes the store unable to say at present; nothing is remembered then.
    pub(crate) fn stream(
        &self,
        sink: &Arc<dyn LogSink>,
        labels: &Labels,
    ) -> Result<Answer, StoreError> {
        if let Some(answer) = self.0.lock().get(labels) {
            return Ok(*answer);
        }
        let answer = Answer::of(sink.open_stream(labels))?;
        let mut known = self.0.lock();
        if known.len() >= SETS_MAX {
            known.clear();
        }
        known.insert(labels.clone(), answer);
        Ok(answer)
    }
}
