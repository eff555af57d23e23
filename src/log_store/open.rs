//! Open buffers: lines that are not sealed yet, in memory, as they came.
//!
//! A stream's lines lie in segments. A search shares the segments it reads; a shared segment is
//! never changed, the next line begins a new one. So neither waits for the other and nothing is
//! copied. Sealing puts the segments of a stream together again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use model::{Checkpoint, Level, StreamId};

use crate::lines::Lines;
use crate::streams::Stream;

/// Text of a segment, more or less: a longer line has a segment of its own.
const SEGMENT_BYTES: usize = 256 << 10;

/// Memory that a segment takes beside its lines.
const SEGMENT_OVERHEAD_BYTES: usize = 256;

/// Consecutive lines of a stream.
#[derive(Debug, Default)]
pub(crate) struct Segment {
    /// The number of its first line within the stream; the others follow.
    pub(crate) first_sequence: u64,
    pub(crate) lines: Lines,
}

/// Lines that are taken and not sealed yet, and the positions that they bring their sources to.
#[derive(Debug, Default)]
pub(crate) struct OpenBuffers {
    streams: HashMap<StreamId, Vec<Arc<Segment>>>,
    checkpoints: HashMap<String, Option<Vec<u8>>>,
    /// Memory taken, bytes.
    pub(crate) memory_bytes: usize,
    /// Text in it, bytes.
    pub(crate) text_bytes: u64,
    /// When the first of its lines or checkpoints came.
    pub(crate) since_ns: Option<i64>,
}

impl OpenBuffers {
    /// Takes a line and its number.
    pub(crate) fn push(
        &mut self,
        stream: StreamId,
        sequence: u64,
        time_ns: i64,
        level: Level,
        text: &[u8],
    ) {
        self.text_bytes += text.len() as u64;
        let segments = self.streams.entry(stream).or_default();
        let fits = |lines: &Lines| lines.text_bytes() + text.len() <= SEGMENT_BYTES;
        if let Some(segment) = segments.last_mut().and_then(Arc::get_mut)
            && fits(&segment.lines)
        {
            let held = segment.lines.held_bytes();
            let lines = &mut segment.lines;
            lines.push_within(SEGMENT_BYTES, time_ns, level, text);
            self.memory_bytes += lines.held_bytes() - held;
            return;
        }
        // A stream that has filled a segment will fill the next one.
        let mut lines = match segments.last() {
            Some(last) if !fits(&last.lines) => Lines::with_room_like(&last.lines, SEGMENT_BYTES),
            _ => Lines::default(),
        };
        lines.push_within(SEGMENT_BYTES, time_ns, level, text);
        self.memory_bytes += SEGMENT_OVERHEAD_BYTES + lines.held_bytes();
        segments.push(Arc::new(Segment {
            first_sequence: sequence,
            lines,
        }));
    }

    /// Remembers a position.
    pub(crate) fn reach(&mut self, checkpoint: &Checkpoint) {
        self.checkpoints
            .insert(checkpoint.source.clone(), checkpoint.state.clone());
    }

    /// Whether there is nothing to seal.
    pub(crate) fn is_empty(&self) -> bool {
        self.streams.is_empty() && self.checkpoints.is_empty()
    }

    pub(crate) fn segments(&self) -> impl Iterator<Item = (StreamId, &Arc<Segment>)> {
        self.streams
            .iter()
            .flat_map(|(id, segments)| segments.iter().map(|segment| (*id, segment)))
    }

    /// Everything, to be sealed; `stream` tells labels and next number of a stream.
    pub(crate) fn take(
        &mut self,
        mut stream: impl FnMut(StreamId) -> Option<Stream>,
    ) -> Generation {
        let taken = std::mem::take(self);
        Generation {
            streams: taken
                .streams
                .into_iter()
                .filter_map(|(id, segments)| Some((id, (stream(id)?, segments))))
                .collect(),
            checkpoints: taken.checkpoints,
            memory_bytes: taken.memory_bytes,
        }
    }
}

/// Open buffers that are being sealed: no line comes any more.
#[derive(Debug)]
pub(crate) struct Generation {
    /// In the order in which they are written. The stream's next number is the one at the moment
    /// of taking.
    pub(crate) streams: BTreeMap<StreamId, (Stream, Vec<Arc<Segment>>)>,
    pub(crate) checkpoints: HashMap<String, Option<Vec<u8>>>,
    pub(crate) memory_bytes: usize,
}

impl Generation {
    pub(crate) fn segments(&self) -> impl Iterator<Item = (StreamId, &Arc<Segment>)> {
        self.streams
            .iter()
            .flat_map(|(id, (_, segments))| segments.iter().map(|segment| (*id, segment)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_that_is_read_does_not_change() {
        let mut open = OpenBuffers::default();
        let id = StreamId(1);
        open.push(id, 0, 5, Level::Info, b"a");
        open.push(id, 1, 6, Level::Info, b"b");
        let read: Vec<_> = open.segments().map(|(_, s)| Arc::clone(s)).collect();
        open.push(id, 2, 7, Level::Info, b"c");
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].lines.len(), 2);
        let starts: Vec<u64> = open.segments().map(|(_, s)| s.first_sequence).collect();
        assert_eq!(starts, [0, 2]);
    }
}
