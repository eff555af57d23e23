//! Which label sets are streams, and how many lines each has had.

use std::collections::HashMap;

use model::{Labels, StoreError, StreamId};

/// A stream.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) labels: Labels,
    /// The number that its next line gets.
    pub(crate) next_sequence: u64,
}

/// All streams by number and by labels. Numbers are given once and kept in the catalogue.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    by_labels: HashMap<Labels, StreamId>,
    by_id: HashMap<StreamId, Stream>,
    next_id: u32,
    max: usize,
}

impl Streams {
    /// Begins with the streams of the catalogue.
    pub(crate) fn new(known: Vec<(StreamId, Stream)>, max: usize) -> Self {
        let mut streams = Self {
            max,
            ..Self::default()
        };
        for (id, stream) in known {
            streams.next_id = streams.next_id.max(id.0.saturating_add(1));
            streams.by_labels.insert(stream.labels.clone(), id);
            streams.by_id.insert(id, stream);
        }
        streams
    }

    /// The stream of a label set, a new one if need be.
    pub(crate) fn open(&mut self, labels: &Labels) -> Result<StreamId, StoreError> {
        if let Some(id) = self.by_labels.get(labels) {
            return Ok(*id);
        }
        if self.by_id.len() >= self.max || self.next_id == u32::MAX {
            return Err(StoreError::Limit(format!(
                "more than {} log streams: leave out a label that differs from line to line",
                self.max
            )));
        }
        let id = StreamId(self.next_id);
        self.next_id += 1;
        self.by_labels.insert(labels.clone(), id);
        self.by_id.insert(
            id,
            Stream {
                labels: labels.clone(),
                next_sequence: 0,
            },
        );
        Ok(id)
    }

    pub(crate) fn get(&self, id: StreamId) -> Option<&Stream> {
        self.by_id.get(&id)
    }

    /// The stream with this `Labels::fingerprint`.
    pub(crate) fn by_fingerprint(&self, fingerprint: u64) -> Option<StreamId> {
        let mut all = self.by_id.iter();
        all.find(|(_, stream)| stream.labels.fingerprint() == fingerprint)
            .map(|(id, _)| *id)
    }

    pub(crate) fn get_mut(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.by_id.get_mut(&id)
    }

    /// Keeps the streams for which `keep` says yes and returns the others.
    pub(crate) fn retain(&mut self, keep: impl Fn(StreamId) -> bool) -> Vec<StreamId> {
        let gone: Vec<StreamId> = self.by_id.keys().copied().filter(|id| !keep(*id)).collect();
        for id in &gone {
            if let Some(stream) = self.by_id.remove(id) {
                self.by_labels.remove(&stream.labels);
            }
        }
        gone
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_labels_are_one_stream_and_there_is_a_limit() {
        let labels = |pod: &str| Labels::from_pairs([("pod", pod)]);
        let known = Stream {
            labels: labels("a"),
            next_sequence: 7,
        };
        let mut streams = Streams::new(vec![(StreamId(4), known)], 2);
        assert_eq!(streams.open(&labels("a")).expect("known"), StreamId(4));
        assert_eq!(streams.open(&labels("b")).expect("new"), StreamId(5));
        assert!(matches!(
            streams.open(&labels("c")),
            Err(StoreError::Limit(_))
        ));
        assert_eq!(streams.get(StreamId(4)).map(|s| s.next_sequence), Some(7));
    }
}
