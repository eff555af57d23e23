//! Lines of one stream, one after the other, as columns: what open buffers hold and blocks are
//! made of.

use model::Level;

/// Bytes that a line takes beside its text.
const LINE_OVERHEAD_BYTES: usize = 4 + 8 + 1;

/// Lines of one stream in the order in which they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lines {
    text: Vec<u8>,
    /// End of each line in `text`.
    ends: Vec<u32>,
    times: Vec<i64>,
    levels: Vec<u8>,
    /// Smallest and largest time.
    range: Option<(i64, i64)>,
}

impl Lines {
    /// No lines yet, but room for as many as `other` has, and for so much text.
    pub(crate) fn with_room_like(other: &Self, text_bytes: usize) -> Self {
        Self {
            text: Vec::with_capacity(text_bytes),
            ends: Vec::with_capacity(other.len()),
            times: Vec::with_capacity(other.len()),
            levels: Vec::with_capacity(other.len()),
            range: None,
        }
    }

    /// As [`Lines::push`], but room for text doubles only up to `text_bytes`: what is kept for
    /// long shall not be half empty.
    pub(crate) fn push_within(
        &mut self,
        text_bytes: usize,
        time_ns: i64,
        level: Level,
        text: &[u8],
    ) {
        let needed = self.text.len() + text.len();
        if needed > self.text.capacity() {
            let doubled = (self.text.capacity() * 2).min(text_bytes).max(needed);
            self.text.reserve_exact(doubled - self.text.len());
        }
        self.push(time_ns, level, text);
    }

    pub(crate) fn push(&mut self, time_ns: i64, level: Level, text: &[u8]) {
        self.text.extend_from_slice(text);
        self.ends.push(self.text.len() as u32);
        self.times.push(time_ns);
        self.levels.push(level as u8);
        self.range = Some(match self.range {
            None => (time_ns, time_ns),
            Some((min, max)) => (min.min(time_ns), max.max(time_ns)),
        });
    }

    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Bytes of text.
    pub(crate) fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// Bytes of memory that `n` lines with so much text take.
    pub(crate) fn memory_bytes(n: usize, text_bytes: usize) -> usize {
        text_bytes + n * LINE_OVERHEAD_BYTES
    }

    /// Bytes of memory that these take, room to grow included.
    pub(crate) fn held_bytes(&self) -> usize {
        self.text.capacity()
            + self.ends.capacity() * size_of::<u32>()
            + self.times.capacity() * size_of::<i64>()
            + self.levels.capacity()
    }

    pub(crate) fn times(&self) -> &[i64] {
        &self.times
    }

    pub(crate) fn levels(&self) -> &[u8] {
        &self.levels
    }

    /// The text of a line, empty for one that is not there.
    pub(crate) fn text(&self, row: usize) -> &[u8] {
        let end = self.ends.get(row).copied().unwrap_or_default() as usize;
        let start = row
            .checked_sub(1)
            .and_then(|before| self.ends.get(before))
            .copied()
            .unwrap_or_default() as usize;
        self.text.get(start..end).unwrap_or_default()
    }

    /// The texts of all lines, one after the other.
    pub(crate) fn all_text(&self) -> &[u8] {
        &self.text
    }

    /// All texts in order.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let text = self.text.get(start..*end as usize).unwrap_or_default();
            start = *end as usize;
            text
        })
    }

    /// Smallest and largest time, or `None` without lines.
    pub(crate) fn time_range(&self) -> Option<(i64, i64)> {
        self.range
    }
}
