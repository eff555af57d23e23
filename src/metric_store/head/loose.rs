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

    pub(crate) fn read(&self, out: &mut Samples) -> Result<(), CodecError> {
        let mut reader = Reader::new(&self.encoded);
        while !reader.is_empty() {
            let before = out.timestamps_ms.len();
            times::decode(&mut reader, &mut out.timestamps_ms)?;
            let count = out.timestamps_ms.len() - before;
            let length = reader.varint()? as usize;
            codec::decode(reader.bytes(length)?, count, &mut out.values)?;
        }
        out.timestamps_ms
            .extend_from_slice(&self.tail.timestamps_ms);
        out.values.extend_from_slice(&self.tail.values);
        Ok(())
    }

    pub(crate) fn has(&self, time_ms: i64) -> bool {
        let mut samples = Samples::default();
        self.read(&mut samples).is_ok() && samples.timestamps_ms.contains(&time_ms)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.encoded.capacity()
            + 8 * (self.tail.timestamps_ms.capacity() + self.tail.values.capacity())
    }
}
