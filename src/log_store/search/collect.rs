//! Keeps the best lines in the wanted order within bounded memory.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use log_query::{Direction, Record};
use model::StreamId;

use super::scan::Source;

/// Text that one pass of a search keeps at most (one line is always kept). A search that wants
/// more makes further passes.
pub(crate) const PASS_BYTES_MAX: usize = 32 << 20;

/// What a kept line takes beside its text.
const LINE_OVERHEAD_BYTES: usize = 128;

/// Where a line stands in the answer: smaller comes first. Time, stream and sequence, each turned
/// round for the other direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank(i64, u32, u64);

impl Rank {
    pub(crate) fn time(self) -> i64 {
        self.0
    }
}

/// The order in which lines are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order(pub(crate) Direction);

impl Order {
    pub(crate) fn rank(self, time_ns: i64, stream: StreamId, sequence: u64) -> Rank {
        match self.0 {
            Direction::Forward => Rank(time_ns, stream.0, sequence),
            Direction::Backward => Rank(!time_ns, !stream.0, !sequence),
        }
    }

    /// The time part of the best rank that a line of this source can have.
    pub(crate) fn best_of(self, source: &Source) -> i64 {
        match self.0 {
            Direction::Forward => source.min_ns,
            Direction::Backward => !source.max_ns,
        }
    }

    /// The time part of the worst rank that a line of this source can have.
    pub(crate) fn worst_of(self, source: &Source) -> i64 {
        match self.0 {
            Direction::Forward => source.max_ns,
            Direction::Backward => !source.min_ns,
        }
    }
}

/// A line that was found, and its rank.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) rank: Rank,
    pub(crate) record: Record,
}

impl PartialEq for Found {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl Eq for Found {}

impl PartialOrd for Found {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Found {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank.cmp(&other.rank)
    }
}

/// Which lines are still of interest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Only lines behind this one: what came before was handed out.
    after: Option<Rank>,
    /// Only lines before this one: there are enough of these already.
    before: Option<Rank>,
    /// At most so many, and so many bytes.
    pub(crate) lines: usize,
    pub(crate) bytes: usize,
}

impl Limits {
    pub(crate) fn admit(&self, rank: Rank) -> bool {
        self.after.is_none_or(|after| rank > after) && !self.is_past(rank)
    }

    /// Whether a line, and with it all behind it, comes too late.
    pub(crate) fn is_past(&self, rank: Rank) -> bool {
        self.before.is_some_and(|before| rank >= before)
    }
}

/// The best lines so far, the worst of them on top.
pub(crate) struct Best {
    kept: BinaryHeap<Found>,
    bytes: usize,
    lines_max: usize,
    bytes_max: usize,
    after: Option<Rank>,
    /// The best line that was given up for want of memory: nothing from there on is known whole.
    given_up: Option<Rank>,
}

impl Best {
    pub(crate) fn new(lines_max: usize, bytes_max: usize, after: Option<Rank>) -> Self {
        Self {
            kept: BinaryHeap::new(),
            bytes: 0,
            lines_max,
            bytes_max,
            after,
            given_up: None,
        }
    }

    /// Lines at or behind this rank are not wanted.
    pub(crate) fn worst(&self) -> Option<Rank> {
        if self.kept.len() >= self.lines_max {
            return self.kept.peek().map(|line| line.rank);
        }
        self.given_up
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            after: self.after,
            before: self.worst(),
            lines: self.lines_max,
            bytes: self.bytes_max,
        }
    }

    pub(crate) fn offer(&mut self, line: Found) {
        if !self.limits().admit(line.rank) {
            return;
        }
        self.bytes += size_of_line(&line);
        self.kept.push(line);
        if self.kept.len() > self.lines_max
            && let Some(worst) = self.kept.pop()
        {
            self.bytes -= size_of_line(&worst);
        }
        while self.bytes > self.bytes_max && self.kept.len() > 1 {
            let Some(worst) = self.kept.pop() else { break };
            self.bytes -= size_of_line(&worst);
            self.give_up(worst.rank);
        }
    }

    /// Notes that a source had more lines than it gave, from this rank on.
    pub(crate) fn give_up(&mut self, rank: Rank) {
        self.given_up = Some(self.given_up.map_or(rank, |given_up| given_up.min(rank)));
        while self
            .kept
            .peek()
            .is_some_and(|worst| Some(worst.rank) >= self.given_up)
        {
            if let Some(worst) = self.kept.pop() {
                self.bytes -= size_of_line(&worst);
            }
        }
    }

    /// Whether these are all lines that were wanted, and the lines in order.
    pub(crate) fn into_sorted(self) -> (bool, Vec<Found>) {
        (self.given_up.is_none(), self.kept.into_sorted_vec())
    }
}

/// Memory of a kept line.
pub(crate) fn size_of_line(line: &Found) -> usize {
    line.record.text.len() + LINE_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Labels, Level};

    fn line(time_ns: i64, len: usize) -> Found {
        Found {
            rank: Order(Direction::Forward).rank(time_ns, StreamId(0), 0),
            record: Record {
                labels: Labels::empty(),
                sequence: 0,
                time_ns,
                level: Level::Info,
                text: vec![b'x'; len],
            },
        }
    }

    fn times(best: Best) -> (bool, Vec<i64>) {
        let (whole, kept) = best.into_sorted();
        (whole, kept.iter().map(|line| line.record.time_ns).collect())
    }

    #[test]
    fn keeps_the_first_in_order() {
        let mut best = Best::new(2, 1 << 20, None);
        for time in [5, 3, 9, 1, 4] {
            best.offer(line(time, 1));
        }
        assert_eq!(times(best), (true, vec![1, 3]));
    }

    #[test]
    fn memory_ends_a_pass_and_the_next_goes_on() {
        let all = [5, 3, 9, 1, 4, 8];
        let mut handed = Vec::new();
        let mut after = None;
        loop {
            let mut best = Best::new(100, 2 * (1000 + LINE_OVERHEAD_BYTES), after);
            for time in all {
                best.offer(line(time, 1000));
            }
            let (whole, kept) = best.into_sorted();
            handed.extend(kept.iter().map(|line| line.record.time_ns));
            after = kept.last().map(|line| line.rank);
            if whole {
                break;
            }
        }
        assert_eq!(handed, [1, 3, 4, 5, 8, 9]);
    }

    #[test]
    fn backward_is_the_exact_reverse() {
        let keys = [
            (1, 0, 5),
            (1, 1, 0),
            (2, 0, 0),
            (i64::MIN, 0, 0),
            (i64::MAX, 3, 9),
        ];
        let sorted = |direction| {
            let mut keys = keys.to_vec();
            keys.sort_by_key(|k| Order(direction).rank(k.0, StreamId(k.1), k.2));
            keys
        };
        let mut backward = sorted(Direction::Backward);
        backward.reverse();
        assert_eq!(sorted(Direction::Forward), backward);
    }
}
