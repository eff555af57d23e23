//! Cuts a file's bytes into lines, whatever the bytes are.
//!
//! Chunks come in file order; a line that a chunk does not end is carried over. Lines beyond the
//! limit keep their first bytes and a mark that says how many are missing. Holes that a crash or
//! a truncation leaves in a text file read as runs of NUL bytes: a long run ends the line before
//! it and is skipped. Knows nothing about files and formats.

use memchr::memchr;

/// A shorter run of NUL bytes belongs to the text; nobody writes a longer one on purpose, and a
/// hole is hundreds of bytes as a rule.
const NUL_RUN_MIN: u64 = 16;

/// A whole line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// Place of its first byte in the file.
    pub(crate) start: u64,
    /// Without the line break, with the mark where it was cut.
    pub(crate) text: &'a [u8],
    /// How many bytes were cut off; 0 for nearly all.
    pub(crate) cut_bytes: u64,
}

/// Splits one file.
#[derive(Debug)]
pub(crate) struct Splitter {
    line_bytes_max: usize,
    /// Where the open line starts.
    start: u64,
    /// Where the next chunk starts.
    next: u64,
    /// The open line as far as it is kept.
    carry: Vec<u8>,
    /// Bytes of the open line beyond the limit.
    cut_bytes: u64,
    /// NUL bytes at the end of what was fed, not yet known to be text or hole.
    nul_run: u64,
    /// Bytes of holes skipped since [`Splitter::take_nul_bytes`].
    nul_bytes: u64,
}

impl Splitter {
    pub(crate) fn new(offset: u64, line_bytes_max: usize) -> Self {
        Self {
            line_bytes_max,
            start: offset,
            next: offset,
            carry: Vec::new(),
            cut_bytes: 0,
            nul_run: 0,
            nul_bytes: 0,
        }
    }

    /// Where the first line starts that was not given out yet: what a checkpoint remembers.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// Where in the file the next chunk must come from.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Goes back to the beginning of the file, whose content is another one now.
    pub(crate) fn restart(&mut self) {
        *self = Self {
            nul_bytes: self.nul_bytes,
            ..Self::new(0, self.line_bytes_max)
        };
    }

    /// How many bytes of holes were skipped since the last call.
    pub(crate) fn take_nul_bytes(&mut self) -> u64 {
        std::mem::take(&mut self.nul_bytes)
    }

    /// Takes the bytes at [`Splitter::next`] and gives out the lines that they complete.
    pub(crate) fn feed<E>(
        &mut self,
        chunk: &[u8],
        on_line: &mut impl FnMut(Line<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if chunk.is_empty() {
            return Ok(());
        }
        // Fast path: text without NUL bytes.
        if memchr(0, chunk).is_none() {
            return self.feed_text(chunk, on_line);
        }
        // Slow path: runs of NUL bytes and text in turn.
        let mut rest = chunk;
        while let Some(&first) = rest.first() {
            if first == 0 {
                let run = rest.iter().take_while(|byte| **byte == 0).count();
                self.nul_run += run as u64;
                self.next += run as u64;
                rest = &rest[run..];
            } else {
                let text = memchr(0, rest).unwrap_or(rest.len());
                self.feed_text(&rest[..text], on_line)?;
                rest = &rest[text..];
            }
        }
        Ok(())
    }

    /// Gives out the open line where there is one: its file has ended for good.
    pub(crate) fn finish<E>(
        &mut self,
        on_line: &mut impl FnMut(Line<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.nul_run > 0 {
            self.end_nul_run(on_line)?;
        }
        if !self.carry.is_empty() {
            self.give_carry(on_line)?;
        }
        self.start = self.next;
        Ok(())
    }

    fn feed_text<E>(
        &mut self,
        text: &[u8],
        on_line: &mut impl FnMut(Line<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.nul_run > 0 {
            self.end_nul_run(on_line)?;
        }
        let mut rest = text;
        while let Some(end) = memchr(b'\n', rest) {
            let line = &rest[..end];
            if self.carry.is_empty() && line.len() <= self.line_bytes_max {
                on_line(Line {
                    start: self.start,
                    text: line,
                    cut_bytes: 0,
                })?;
            } else {
                self.keep(line);
                self.give_carry(on_line)?;
            }
            self.next += end as u64 + 1;
            self.start = self.next;
            rest = &rest[end + 1..];
        }
        self.keep(rest);
        self.next += rest.len() as u64;
        Ok(())
    }

    /// Decides about a run of NUL bytes that has come to its end.
    fn end_nul_run<E>(
        &mut self,
        on_line: &mut impl FnMut(Line<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let run = std::mem::take(&mut self.nul_run);
        if run < NUL_RUN_MIN {
            self.keep(&[0; NUL_RUN_MIN as usize][..run as usize]);
            return Ok(());
        }
        if !self.carry.is_empty() {
            self.give_carry(on_line)?;
        }
        self.nul_bytes += run;
        self.start = self.next;
        Ok(())
    }

    /// Appends to the open line as much as the limit allows and counts the rest.
    fn keep(&mut self, bytes: &[u8]) {
        let room = self.line_bytes_max.saturating_sub(self.carry.len());
        let kept = bytes.len().min(room);
        self.carry.extend_from_slice(&bytes[..kept]);
        self.cut_bytes += (bytes.len() - kept) as u64;
    }

    fn give_carry<E>(
        &mut self,
        on_line: &mut impl FnMut(Line<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut cut_bytes = std::mem::take(&mut self.cut_bytes);
        if cut_bytes > 0 {
            cut_bytes += mark_cut(&mut self.carry, cut_bytes);
        }
        let given = on_line(Line {
            start: self.start,
            text: &self.carry,
            cut_bytes,
        });
        self.carry.clear();
        // A rare long line must not hold its memory for every file that ever had one.
        self.carry.shrink_to(64 << 10);
        given
    }
}

/// Ends a text whose last `cut_bytes` bytes are missing with a mark that says so. Bytes of a
/// UTF-8 character that the cut left incomplete go too; returns how many.
pub(crate) fn mark_cut(text: &mut Vec<u8>, cut_bytes: u64) -> u64 {
    let last = text.len().saturating_sub(4);
    let tail = text.get(last..).unwrap_or_default();
    let partial = match tail.iter().rposition(|byte| byte & 0xc0 != 0x80) {
        Some(at) => {
            let width = match tail.get(at).copied().unwrap_or_default() {
                0xc2..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf4 => 4,
                _ => 1,
            };
            if tail.len() - at < width {
                tail.len() - at
            } else {
                0
            }
        }
        None => 0,
    };
    text.truncate(text.len() - partial);
    let cut_bytes = cut_bytes + partial as u64;
    text.extend_from_slice(model::cut_mark(cut_bytes).as_bytes());
    partial as u64
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    /// Feeds the chunks and returns (start, text) of each line.
    fn split(splitter: &mut Splitter, chunks: &[&[u8]]) -> Vec<(u64, Vec<u8>)> {
        let mut lines = Vec::new();
        for chunk in chunks {
            let Ok(()) = splitter.feed(chunk, &mut |line: Line<'_>| {
                lines.push((line.start, line.text.to_vec()));
                Ok::<_, Infallible>(())
            });
        }
        lines
    }

    #[test]
    fn carries_a_line_over_chunks() {
        let mut splitter = Splitter::new(100, 1024);
        let lines = split(&mut splitter, &[b"on", b"e\ntwo\n", b"\nthr"]);
        let expected: [(u64, &[u8]); 3] = [(100, b"one"), (104, b"two"), (108, b"")];
        assert_eq!(lines, expected.map(|(at, text)| (at, text.to_vec())));
        assert_eq!((splitter.start(), splitter.next()), (109, 112));
    }

    #[test]
    fn cuts_long_lines_with_a_mark_and_goes_on() {
        let mut splitter = Splitter::new(0, 4);
        let lines = split(&mut splitter, &[b"abcdefgh\nok\n", b"12", b"345\n"]);
        let texts: Vec<_> = lines
            .iter()
            .map(|(_, text)| String::from_utf8_lossy(text).into_owned())
            .collect();
        assert_eq!(
            texts,
            ["abcd …[cut, 4 bytes]", "ok", "1234 …[cut, 1 bytes]"]
        );
        assert_eq!(splitter.start(), 18);
    }

    #[test]
    fn a_cut_does_not_split_a_character() {
        let mut splitter = Splitter::new(0, 4);
        let lines = split(&mut splitter, &["abc€d\n".as_bytes()]);
        assert_eq!(lines[0].1, "abc …[cut, 4 bytes]".as_bytes());
    }

    #[test]
    fn long_nul_runs_end_a_line_and_short_ones_are_text() {
        let mut splitter = Splitter::new(0, 1024);
        let hole = [0u8; 40];
        let lines = split(
            &mut splitter,
            &[b"half", &hole[..20], &hole[20..], b"next\na\0\0b\n"],
        );
        let expected: [(u64, &[u8]); 3] = [(0, b"half"), (44, b"next"), (49, b"a\0\0b")];
        assert_eq!(lines, expected.map(|(at, text)| (at, text.to_vec())));
        assert_eq!(splitter.take_nul_bytes(), 40);
        assert_eq!(splitter.start(), 54);
    }

    #[test]
    fn finishing_gives_the_open_line() {
        let mut splitter = Splitter::new(0, 1024);
        split(&mut splitter, &[b"a\nrest"]);
        let mut last = Vec::new();
        let Ok(()) = splitter.finish(&mut |line: Line<'_>| {
            last.push(line.text.to_vec());
            Ok::<_, Infallible>(())
        });
        assert_eq!(last, [b"rest".to_vec()]);
        assert_eq!(splitter.start(), 6);
    }

    proptest! {
        /// However the bytes are cut into chunks, the lines are the same and none is lost.
        #[test]
        fn chunks_do_not_matter(
            bytes in proptest::collection::vec(
                prop_oneof![Just(b'\n'), Just(0u8), any::<u8>()], 0..300),
            cuts in proptest::collection::vec(0usize..300, 0..6),
        ) {
            let mut whole = Splitter::new(7, 32);
            let expected = split(&mut whole, &[&bytes]);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            let mut parts = Splitter::new(7, 32);
            prop_assert_eq!(split(&mut parts, &chunks), expected);
            prop_assert_eq!(parts.start(), whole.start());
            prop_assert_eq!(parts.next(), 7 + bytes.len() as u64);
        }

        #[test]
        fn text_without_holes_comes_back_byte_for_byte(
            lines in proptest::collection::vec(
                proptest::collection::vec((1u8..=255).prop_filter("no break", |b| *b != b'\n'), 0..40),
                0..20),
        ) {
            let mut text = lines.join(&b'\n');
            text.push(b'\n');
            let expected: Vec<Vec<u8>> = if lines.is_empty() { vec![Vec::new()] } else { lines };
            let mut splitter = Splitter::new(0, 64);
            let got: Vec<Vec<u8>> =
                split(&mut splitter, &[&text]).into_iter().map(|(_, text)| text).collect();
            prop_assert_eq!(got, expected);
        }
    }
}
