//! A column's native histograms: a short tail as they come, and the rest encoded in runs.

use std::sync::Arc;

use model::{Histogram, Samples};

use crate::codec::varint::{Reader, put_varint};
use crate::codec::{CodecError, Effort, Scratch, histograms, times};

/// Histograms in the tail before they are encoded: each takes a kilobyte there.
const TAIL_MAX: usize = 16;

/// The histograms of one column, in the order they came.
#[derive(Debug, Clone, Default)]
pub(crate) struct HistogramColumn {
    /// Runs of [`TAIL_MAX`]: times, then the length of the histograms, then the histograms.
    encoded: Vec<u8>,
    tail: Vec<(i64, Arc<Histogram>)>,
}

impl HistogramColumn {
    pub(crate) fn push(&mut self, time_ms: i64, value: Arc<Histogram>, scratch: &mut Scratch) {
        self.tail.push((time_ms, value));
        if self.tail.len() < TAIL_MAX {
            return;
        }
        let (times_ms, values): (Vec<i64>, Vec<_>) = self.tail.drain(..).unzip();
        times::encode(&times_ms, &mut self.encoded);
        let mut run = Vec::new();
        histograms::encode(&values, Effort::Head, scratch, &mut run);
        put_varint(&mut self.encoded, run.len() as u64);
        self.encoded.extend_from_slice(&run);
    }

    /// Appends all of them, in the order they came.
    pub(crate) fn read(&self, out: &mut Samples) -> Result<(), CodecError> {
        let mut reader = Reader::new(&self.encoded);
        let (mut times_ms, mut values) = (Vec::new(), Vec::new());
        while !reader.is_empty() {
            let before = times_ms.len();
            times::decode(&mut reader, &mut times_ms)?;
            let length = reader.varint()? as usize;
            let mut run = Reader::new(reader.bytes(length)?);
            histograms::decode(&mut run, times_ms.len() - before, &mut values)?;
        }
        let encoded = times_ms.into_iter().zip(values);
        for (time_ms, value) in encoded.chain(self.tail.iter().cloned()) {
            out.push_histogram(time_ms, value);
        }
        Ok(())
    }

    pub(crate) fn has(&self, time_ms: i64) -> bool {
        let mut samples = Samples::default();
        self.read(&mut samples).is_ok() && samples.timestamps_ms.contains(&time_ms)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let of = |h: &Histogram| {
            let buckets = h.positive.counts.len() + h.negative.counts.len();
            size_of::<Histogram>() + buckets * 8 + h.positive.spans.len() * 8
        };
        let tail: usize = self.tail.iter().map(|(_, h)| 24 + of(h)).sum();
        size_of::<Self>() + self.encoded.capacity() + tail
    }
}
