//! Joins the parts into which a container runtime splits long lines.
//!
//! Parts of stdout and stderr interleave in one file, so each output has its own pending line.
//! A joined line has the time of its first part. Where that part starts in the file is known as
//! well: after a crash the file is read again from there, so that no part is lost.

use super::{Enveloped, Output};
use crate::lines::mark_cut;

/// The parts of one output's line so far.
#[derive(Debug)]
struct Pending {
    /// Place of the first part in the file.
    start: u64,
    time_ns: i64,
    text: Vec<u8>,
    cut_bytes: u64,
}

/// A line that is whole now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) output: Output,
    /// Place of the first part in the file.
    pub(crate) start: u64,
    pub(crate) time_ns: i64,
    pub(crate) text: Vec<u8>,
    pub(crate) cut_bytes: u64,
}

/// Holds the pending lines of one file.
#[derive(Debug)]
pub(crate) struct Joiner {
    line_bytes_max: usize,
    pending: [Option<Pending>; 2],
}

impl Joiner {
    pub(crate) fn new(line_bytes_max: usize) -> Self {
        Self {
            line_bytes_max,
            pending: [None, None],
        }
    }

    /// Where the pending line of an output starts in the file.
    pub(crate) fn pending_start(&self, output: Output) -> Option<u64> {
        Some(self.pending[output as usize].as_ref()?.start)
    }

    /// Whether a part of this output's line is waiting for the next.
    pub(crate) fn is_pending(&self, output: Output) -> bool {
        self.pending[output as usize].is_some()
    }

    /// Adds a line that is a part or follows one; `start` is its place in the file. Returns the
    /// whole line once its last part is there.
    pub(crate) fn add(&mut self, start: u64, line: &Enveloped<'_>) -> Option<Joined> {
        let pending = self.pending[line.output as usize].get_or_insert_with(|| Pending {
            start,
            time_ns: line.time_ns,
            text: Vec::new(),
            cut_bytes: 0,
        });
        let room = self.line_bytes_max.saturating_sub(pending.text.len());
        let kept = line.text.len().min(room);
        pending.text.extend_from_slice(&line.text[..kept]);
        pending.cut_bytes += (line.text.len() - kept) as u64;
        if line.partial {
            None
        } else {
            self.take(line.output)
        }
    }

    /// Takes an output's pending line as it is: no further part will come.
    pub(crate) fn take(&mut self, output: Output) -> Option<Joined> {
        let mut pending = self.pending[output as usize].take()?;
        if pending.cut_bytes > 0 {
            pending.cut_bytes += mark_cut(&mut pending.text, pending.cut_bytes);
        }
        Some(Joined {
            output,
            start: pending.start,
            time_ns: pending.time_ns,
            text: pending.text,
            cut_bytes: pending.cut_bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::cri;

    fn add(joiner: &mut Joiner, start: u64, line: &str) -> Option<(String, i64)> {
        let line = cri::parse(line.as_bytes()).expect("a line");
        let joined = joiner.add(start, &line)?;
        Some((
            String::from_utf8(joined.text).expect("text"),
            joined.time_ns % 1_000_000_000,
        ))
    }

    #[test]
    fn joins_each_output_by_itself() {
        let mut joiner = Joiner::new(1024);
        let first = add(
            &mut joiner,
            0,
            "2026-03-01T10:00:00.000000001Z stdout P aaa",
        );
        assert_eq!(first, None);
        let other = add(
            &mut joiner,
            50,
            "2026-03-01T10:00:00.000000002Z stderr F err",
        );
        assert_eq!(other, Some(("err".to_owned(), 2)));
        assert_eq!(joiner.pending_start(Output::Stdout), Some(0));
        let last = add(
            &mut joiner,
            90,
            "2026-03-01T10:00:00.000000003Z stdout F bbb",
        );
        assert_eq!(
            last,
            Some(("aaabbb".to_owned(), 1)),
            "the time of the first part"
        );
        assert!(!joiner.is_pending(Output::Stdout));
    }

    #[test]
    fn a_joined_line_is_bounded_with_a_mark() {
        let mut joiner = Joiner::new(4);
        add(&mut joiner, 0, "2026-03-01T10:00:00Z stdout P abc");
        add(&mut joiner, 40, "2026-03-01T10:00:00Z stdout P def");
        let whole = add(&mut joiner, 80, "2026-03-01T10:00:00Z stdout F ghi");
        assert_eq!(
            whole.map(|(text, _)| text),
            Some("abcd …[cut, 5 bytes]".to_owned())
        );
    }
}
