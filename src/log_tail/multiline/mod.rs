//! Joins the lines of one record, such as a stack trace, before it is stored.
//!
//! 1. Each output of a file holds its last record back until the next line shows whether it goes
//!    on: `traces` knows how, or the patterns of the configuration (`own`).
//! 2. A line that belongs to it is put behind it with a line break; any other sets it free.
//! 3. It is set free as well when no line has come for a short while, when it is held too long,
//!    and when it is full: what comes then begins a record of its own, so that nothing is lost.
//! 4. A blank line waits for the line behind it, and stands by itself where that one does not
//!    belong to the record.
//!
//! While a record is held, the file's position stays before its first line: after a crash it is
//! read again. JSON objects are whole by themselves; they are never held and never joined.
//!
//! Has no clock: times are arguments.

mod own;
mod traces;

use std::time::Duration;

use model::Level;

pub(crate) use own::OwnPatterns;
use traces::{Before, Next, State};

/// An ordinary line waits so long for an indented one: writers write both at once. Short, because
/// the line is not seen before.
pub(crate) const PLAIN_QUIET: Duration = Duration::from_millis(200);
/// A trace waits so long for its next line: it may come in several writes.
pub(crate) const TRACE_QUIET: Duration = Duration::from_secs(1);
/// No record is held longer, even if lines that belong to it keep coming.
const HOLD_MAX: Duration = Duration::from_secs(5);
/// Lines whose times differ by more do not belong together.
const JOIN_GAP_NS: i64 = 1_000_000_000;
/// The largest record that is joined: some hundred long traces.
const BYTES_MAX: usize = 256 << 10;
/// Java prints 1,024 frames of a stack overflow, with as many causes as there are.
const LINES_MAX: u32 = 4096;
/// So many blank lines in a row are inside a trace at most.
const BLANKS_MAX: usize = 2;
/// What a record ends with when it is full.
pub(crate) const FULL_MARK: &[u8] = b"\n[cut here: the record goes on in the next line]";

/// How the lines of a file are joined.
#[derive(Debug, Clone, Default)]
pub(crate) enum Mode {
    /// Stack traces of the usual languages, and indentation.
    #[default]
    BuiltIn,
    /// As the configuration says.
    Own(OwnPatterns),
    /// Each line is a record.
    Off,
}

/// A line that has been found to begin a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    /// Its place in the file.
    pub(crate) start: u64,
    pub(crate) time_ns: i64,
    pub(crate) level: Level,
    /// Whether its text has a time of its own.
    pub(crate) timed: bool,
    pub(crate) text: &'a [u8],
}

/// A record that is set free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Free<'a> {
    pub(crate) time_ns: i64,
    pub(crate) level: Level,
    pub(crate) text: &'a [u8],
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is part of the record that is held.
    Joined,
    /// It is not; the record that is held must be set free first.
    Stands,
}

/// The record that one output of a file holds back.
#[derive(Debug, Default)]
pub(crate) struct Held {
    active: bool,
    start: u64,
    time_ns: i64,
    level: Level,
    state: State,
    broke_in: bool,
    text: Vec<u8>,
    head_bytes: usize,
    n_lines: u32,
    /// Time of the last line.
    last_ns: i64,
    /// When it was begun and when its last line was read, since the collector started.
    since: Duration,
    touched: Duration,
    /// Times of blank lines that wait for the line behind them.
    blanks: Vec<i64>,
    /// Whether a trace was ended by the line that comes next.
    broken: bool,
    /// How often a record was full.
    n_full: u64,
}

impl Held {
    /// Where the record that is held begins in the file.
    pub(crate) fn start(&self) -> Option<u64> {
        self.active.then_some(self.start)
    }

    /// When the record is to be set free if no line comes, since the collector started.
    pub(crate) fn due(&self) -> Option<Duration> {
        let quiet = if self.state.is_trace() {
            TRACE_QUIET
        } else {
            PLAIN_QUIET
        };
        self.active
            .then(|| (self.touched + quiet).min(self.since + HOLD_MAX))
    }

    pub(crate) fn take_n_full(&mut self) -> u64 {
        std::mem::take(&mut self.n_full)
    }

    /// Decides about a line, and takes it if it belongs to the record. `time_ns` is the time that
    /// the line's envelope gives.
    pub(crate) fn offer(
        &mut self,
        mode: &Mode,
        line: &[u8],
        time_ns: Option<i64>,
        elapsed: Duration,
        has_time: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Fate {
        if !self.active {
            self.broken = false;
            return Fate::Stands;
        }
        let next = match mode {
            Mode::Off => Next::Stands,
            Mode::Own(patterns) => patterns.next(line),
            Mode::BuiltIn => {
                let before = Before {
                    state: self.state,
                    head: self.text.get(..self.head_bytes).unwrap_or_default(),
                    broke_in: self.broke_in,
                    blank: !self.blanks.is_empty(),
                };
                traces::next(&before, line, has_time)
            }
        };
        let apart =
            time_ns.is_some_and(|time_ns| time_ns.abs_diff(self.last_ns) > JOIN_GAP_NS as u64);
        match next {
            Next::Stands => {
                self.broken = self.state.is_trace();
                Fate::Stands
            }
            _ if apart => Fate::Stands,
            Next::Blank if self.blanks.len() >= BLANKS_MAX => Fate::Stands,
            Next::Blank => {
                self.blanks.push(time_ns.unwrap_or(self.last_ns));
                self.touched = elapsed;
                Fate::Joined
            }
            Next::Joins(state) => {
                let bytes = self.text.len() + self.blanks.len() + 1 + line.len();
                if bytes > BYTES_MAX || self.n_lines >= LINES_MAX {
                    self.text.extend_from_slice(FULL_MARK);
                    self.n_full += 1;
                    return Fate::Stands;
                }
                for _ in self.blanks.drain(..) {
                    self.text.push(b'\n');
                }
                self.text.push(b'\n');
                self.text.extend_from_slice(line);
                self.n_lines += 1;
                self.state = state;
                self.last_ns = time_ns.unwrap_or(self.last_ns);
                self.touched = elapsed;
                Fate::Joined
            }
        }
    }

    /// Holds a line back. The record before must have been set free.
    pub(crate) fn hold(&mut self, mode: &Mode, head: &Head<'_>, elapsed: Duration) {
        self.active = true;
        self.start = head.start;
        self.time_ns = head.time_ns;
        self.last_ns = head.time_ns;
        self.level = head.level;
        self.broke_in = std::mem::take(&mut self.broken);
        self.state = match mode {
            Mode::BuiltIn => traces::begin(head.text, head.timed, head.level),
            _ => State::Plain,
        };
        self.head_bytes = head.text.len();
        self.n_lines = 1;
        self.text.extend_from_slice(head.text);
        self.since = elapsed;
        self.touched = elapsed;
    }

    /// Gives out the record that is held and the blank lines behind it.
    pub(crate) fn release<E>(
        &mut self,
        give: &mut impl FnMut(Free<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.active {
            return Ok(());
        }
        let level = if self.level == Level::Unknown {
            self.state.level()
        } else {
            self.level
        };
        give(Free {
            time_ns: self.time_ns,
            level,
            text: &self.text,
        })?;
        for time_ns in self.blanks.drain(..) {
            give(Free {
                time_ns,
                level: Level::Unknown,
                text: b"",
            })?;
        }
        self.forget();
        Ok(())
    }

    /// Gives back the room of what was held: the file is quiet.
    pub(crate) fn shrink(&mut self) {
        self.text.shrink_to(0);
        self.blanks.shrink_to(0);
    }

    fn forget(&mut self) {
        self.active = false;
        self.blanks.clear();
        self.text.clear();
        // A rare long record must not hold its memory.
        self.text.shrink_to(4 << 10);
    }
}

#[cfg(test)]
mod tests;
