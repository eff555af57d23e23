//! A column whose samples come one by one, each with a time of its own (remote write,
//! federation, cAdvisor): a short tail as it comes, and the rest encoded 32 at a time.

use model::Samples;

use crate::codec::varint::{Reader, put_varint};
use crate::codec::{self, CodecError, Effort, Scratch, times};

/// Samples in the tail before they are encoded.
const TAIL_MAX: usize = 32;

/// The samples of one column, in the order they came, which is ascending.
#[derive(Debug, Clone, Default)]
pub(crate) struct LooseColumn {
    /// Runs of [`TAIL_MAX`]: times, then the length of the values, then the values.
    encoded: Vec<u8>,
    tail: Samples,
}

impl LooseColumn {
    pub(crate) fn push(&mut self, time_ms: i64, value: f64, scratch: &mut Scratch) {
        self.tail.push(time_ms, value);
        if self.tail.len() < TAIL_MAX {
            return;
        }
        times::encode(&self.tail.timestamps_ms, &mut self.encoded);
        let mut values = Vec::new();
        codec::encode(&self.tail.values, Effort::Head, scratch, &mut values);
        put_varint(&mut self.encoded, values.len() as u64);
        self.encoded.extend_from_slice(&values);
        self.tail.clear();
    }

    /// Appends all samples but those of runs that lie wholly outside `start_ms < time <= end_ms`.
    pub(crate) fn read_between(
        &self,
        start_ms: i64,
        end_ms: i64,
        out: &mut Samples,
    ) -> Result<(), CodecError> {
        let mut reader = Reader::new(&self.encoded);
        while !reader.is_empty() {
            let before = out.timestamps_ms.len();
            times::decode(&mut reader, &mut out.timestamps_ms)?;
            let run = out.timestamps_ms.get(before..).unwrap_or_default();
            let count = run.len();
            let is_outside = run.first().is_none_or(|first| *first > end_ms)
                || run.last().is_none_or(|last| *last <= start_ms);
            let length = reader.varint()? as usize;
            let values = reader.bytes(length)?;
            if is_outside {
                out.timestamps_ms.truncate(before);
            } else {
                codec::decode(values, count, &mut out.values)?;
            }
        }
        out.timestamps_ms
            .extend_from_slice(&self.tail.timestamps_ms);
        out.values.extend_from_slice(&self.tail.values);
        Ok(())
    }

    pub(crate) fn has(&self, time_ms: i64) -> bool {
        let mut samples = Samples::default();
        let before_ms = time_ms.saturating_sub(1);
        self.read_between(before_ms, time_ms, &mut samples).is_ok()
            && samples.timestamps_ms.contains(&time_ms)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.encoded.capacity()
            + 8 * (self.tail.timestamps_ms.capacity() + self.tail.values.capacity())
    }
}
