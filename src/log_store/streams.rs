//! Which label sets are streams, and how many lines each has had.

use std::collections::HashMap;

use model::{Labels, Level, StoreError, StreamId};

/// Lines of one stream and level that were taken since the process started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LineCount {
    /// How many.
    pub lines: u64,
    /// Their text, bytes.
    pub text_bytes: u64,
}

/// A stream.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) labels: Labels,
    /// The number that its next line gets.
    pub(crate) next_sequence: u64,
    /// What was taken since the process started, by level number.
    pub(crate) taken: [LineCount; 7],
}

impl Stream {
    pub(crate) fn new(labels: Labels, next_sequence: u64) -> Self {
        Self {
            labels,
            next_sequence,
            taken: [LineCount::default(); 7],
        }
    }

    /// Counts a line and returns its number.
    pub(crate) fn take_line(&mut self, level: Level, text_bytes: usize) -> u64 {
        if let Some(count) = self.taken.get_mut(level as usize) {
            count.lines += 1;
            count.text_bytes += text_bytes as u64;
        }
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        sequence
    }
}

/// All streams by number and by labels. Numbers are given once and kept in the catalogue.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    by_labels: HashMap<Labels, StreamId>,
    by_id: HashMap<StreamId, Stream>,
    /// By `Labels::fingerprint`.
    by_fingerprint: HashMap<u64, StreamId>,
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
            let fingerprint = stream.labels.fingerprint();
            streams.by_fingerprint.insert(fingerprint, id);
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
        self.by_fingerprint.insert(labels.fingerprint(), id);
        self.by_id.insert(id, Stream::new(labels.clone(), 0));
        Ok(id)
    }

    pub(crate) fn get(&self, id: StreamId) -> Option<&Stream> {
        self.by_id.get(&id)
    }

    /// The stream with this `Labels::fingerprint`.
    pub(crate) fn by_fingerprint(&self, fingerprint: u64) -> Option<StreamId> {
        self.by_fingerprint.get(&fingerprint).copied()
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
                self.by_fingerprint.remove(&stream.labels.fingerprint());
            }
        }
        gone
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The streams of which a line was taken since the process started, and how many by level.
    pub(crate) fn taken(&self) -> Vec<(Labels, [LineCount; 7])> {
        let all = self.by_id.values();
        all.filter(|stream| stream.taken.iter().any(|count| count.lines > 0))
            .map(|stream| (stream.labels.clone(), stream.taken))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_labels_are_one_stream_and_there_is_a_limit() {
        let labels = |pod: &str| Labels::from_pairs([("pod", pod)]);
        let known = Stream::new(labels("a"), 7);
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
