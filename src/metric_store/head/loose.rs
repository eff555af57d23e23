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
    /// Runs of [`TAIL_MAX`]: the length of what follows, times, values.
    encoded: Vec<u8>,
    tail: Samples,
}

impl LooseColumn {
    pub(crate) fn push(&mut self, time_ms: i64, value: f64, scratch: &mut Scratch) {
        self.tail.push(time_ms, value);
        if self.tail.len() < TAIL_MAX {
            return;
        }
        let mut run = Vec::new();
        times::encode(&self.tail.timestamps_ms, &mut run);
        codec::encode(&self.tail.values, Effort::Head, scratch, &mut run);
        put_varint(&mut self.encoded, run.len() as u64);
        self.encoded.extend_from_slice(&run);
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
            let length = reader.varint()? as usize;
            let mut run = Reader::new(reader.bytes(length)?);
            // A run ends before the next one begins: it need not be read to know that.
            let next_ms = match reader.rest() {
                [] => self.tail.timestamps_ms.first().copied(),
                rest => Some(first_ms(rest)?),
            };
            if next_ms.is_some_and(|next_ms| next_ms <= start_ms) {
                continue;
            }
            let before = out.timestamps_ms.len();
            times::decode(&mut run, &mut out.timestamps_ms)?;
            let times_ms = out.timestamps_ms.get(before..).unwrap_or_default();
            if times_ms.first().is_some_and(|first| *first > end_ms) {
                out.timestamps_ms.truncate(before);
                return Ok(());
            }
            codec::decode(run.rest(), times_ms.len(), &mut out.values)?;
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

/// The first time of the run that comes next.
fn first_ms(encoded: &[u8]) -> Result<i64, CodecError> {
    let mut reader = Reader::new(encoded);
    reader.varint()?;
    times::first(&mut reader)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::merge::trim_tail;

    #[test]
    fn a_part_is_that_part_of_the_whole() {
        let mut column = LooseColumn::default();
        let mut scratch = Scratch::default();
        for i in 0..150 {
            column.push(i * 10, i as f64 / 4.0, &mut scratch);
        }
        for start_ms in (-5..1_510).step_by(35) {
            for end_ms in (start_ms..1_600).step_by(165) {
                let mut samples = Samples::default();
                column
                    .read_between(start_ms, end_ms, &mut samples)
                    .expect("decodes");
                assert!(samples.len() <= 3 * TAIL_MAX + (end_ms - start_ms) as usize / 10);
                trim_tail(&mut samples, 0, start_ms, end_ms);
                let within = (0..150).filter(|i| start_ms < i * 10 && i * 10 <= end_ms);
                let expected: Vec<(i64, f64)> = within.map(|i| (i * 10, i as f64 / 4.0)).collect();
                let times = samples.timestamps_ms.iter().copied();
                let pairs: Vec<(i64, f64)> = times.zip(samples.values.clone()).collect();
                assert_eq!(pairs, expected);
            }
        }
        assert!(column.has(0) && column.has(640) && column.has(1_490));
        assert!(!column.has(5) && !column.has(1_500));
    }
}
