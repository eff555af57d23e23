//! Log lines on their way into the store.

use std::fmt;
use std::str::FromStr;

use crate::StoreError;
use crate::labels::Labels;

/// How bad a line is. The order is the order of severity, so that `level >= Error` reads well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum Level {
    /// The line does not say, and nothing in it tells.
    #[default]
    Unknown = 0,
    /// Finer than debug.
    Trace = 1,
    /// For developers.
    Debug = 2,
    /// Normal course of things, notices included.
    Info = 3,
    /// Unusual but handled.
    Warn = 4,
    /// Something failed.
    Error = 5,
    /// The process or a vital part of it ends: fatal, panic, critical, alert, emergency.
    Fatal = 6,
}

impl Level {
    /// All levels in ascending order; the index of each is its number.
    pub const ALL: [Self; 7] = [
        Self::Unknown,
        Self::Trace,
        Self::Debug,
        Self::Info,
        Self::Warn,
        Self::Error,
        Self::Fatal,
    ];

    /// The one word that Yagura uses for it everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    /// The level with this number, as stored; unknown numbers are [`Level::Unknown`].
    pub fn from_number(number: u8) -> Self {
        Self::ALL
            .get(usize::from(number))
            .copied()
            .unwrap_or_default()
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a log level: use trace, debug, info, warn, error, fatal or unknown")]
pub struct NoLevel;

/// Reads the words that loggers write for levels, in any case: `warning`, `ERR`, `crit`, …
impl FromStr for Level {
    type Err = NoLevel;

    fn from_str(word: &str) -> Result<Self, NoLevel> {
        let mut lower = [0u8; 12];
        let lower = lower.get_mut(..word.len()).ok_or(NoLevel)?;
        lower.copy_from_slice(word.as_bytes());
        lower.make_ascii_lowercase();
        Ok(match &*lower {
            b"trace" | b"trc" | b"finest" | b"finer" | b"verbose" => Self::Trace,
            b"debug" | b"dbg" | b"debu" | b"fine" => Self::Debug,
            b"info" | b"inf" | b"information" | b"informational" | b"notice" | b"log" => Self::Info,
            b"warn" | b"warning" | b"wrn" => Self::Warn,
            b"error" | b"err" | b"eror" | b"erro" | b"severe" => Self::Error,
            b"fatal" | b"ftl" | b"panic" | b"dpanic" | b"crit" | b"critical" | b"alert"
            | b"emerg" | b"emergency" => Self::Fatal,
            b"unknown" => Self::Unknown,
            _ => return Err(NoLevel),
        })
    }
}

/// A stream's handle: a stream is a set of labels (namespace, pod, container, node, file, …).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u32);

/// One line of a batch. Its text is the part of [`LogBatch::text`] between the end of the line
/// before it and its own end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLine {
    /// The stream it belongs to.
    pub stream: StreamId,
    /// When it was written, nanoseconds since 1970-01-01 UTC.
    pub time_ns: i64,
    /// How bad it is.
    pub level: Level,
    /// End of its text in the batch, bytes, exclusive.
    pub text_end: u32,
}

/// How far a source (a file, as a rule) has been read. The store keeps it and commits it in the
/// same transaction as the lines that came with it; what it means is known only to the collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The source's stable key (for files: device, inode and a hash of the head).
    pub source: String,
    /// The collector's own notes, versioned by the collector. `None` forgets the source.
    pub state: Option<Vec<u8>>,
}

/// Lines that are stored together with the position they bring their source to: all or nothing.
#[derive(Debug, Clone, Default)]
pub struct LogBatch {
    /// The texts of all lines, one after the other, without line breaks between them. Any bytes.
    pub text: Vec<u8>,
    /// The lines in the order in which they were written.
    pub lines: Vec<LogLine>,
    /// Positions reached with these lines.
    pub checkpoints: Vec<Checkpoint>,
}

impl LogBatch {
    /// Adds a line.
    pub fn push(&mut self, stream: StreamId, time_ns: i64, level: Level, text: &[u8]) {
        self.text.extend_from_slice(text);
        self.lines.push(LogLine {
            stream,
            time_ns,
            level,
            text_end: self.text.len() as u32,
        });
    }

    /// The lines with their texts.
    pub fn iter(&self) -> impl Iterator<Item = (LogLine, &[u8])> {
        let mut start = 0usize;
        self.lines.iter().map(move |line| {
            let end = line.text_end as usize;
            let text = self.text.get(start..end).unwrap_or_default();
            start = end;
            (*line, text)
        })
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.lines.clear();
        self.checkpoints.clear();
    }
}

/// Where log lines go: the log store's writing side. Calls are synchronous.
pub trait LogSink: Send + Sync {
    /// Gives a label set its stream; the same labels give the same stream.
    fn open_stream(&self, labels: &Labels) -> Result<StreamId, StoreError>;

    /// Takes a batch. When it returns `Ok`, the lines can be found by a search and the
    /// checkpoints will be committed together with them. It waits while the open buffers are
    /// full (that is the back-pressure: a file can wait). Lines must be sent again, from the
    /// committed checkpoint, after a crash.
    ///
    /// # Errors
    /// `NoSpace` or `Io`: nothing was taken; keep the batch and try again.
    fn append(&self, batch: &LogBatch) -> Result<(), StoreError>;

    /// The checkpoints that were committed before this process started, of all collectors: each
    /// takes those whose source begins with its own word (`file-…`, `receive-…`).
    fn committed_checkpoints(&self) -> Result<Vec<Checkpoint>, StoreError>;

    /// The checkpoint of a source as it is committed now, on disk together with all lines that
    /// came with it or before it. A collector that keeps a journal asks, to know what it can drop.
    fn committed_checkpoint(&self, source: &str) -> Result<Option<Vec<u8>>, StoreError>;
}

/// What happens to lines before they are stored: the processing rules, for a collector that keeps
/// lines on disk itself before the store has them (a journal). It brings them through the rules
/// first, so that what must not be stored is not in its journal either, and hands them to the
/// store directly. Others need not know of rules: they stand in front of their [`LogSink`].
pub trait LineRules: Send + Sync {
    /// Brings a batch through the rules. Its lines name label sets by their places in `streams`;
    /// `open` gives other label sets, which rules make of them, further places.
    ///
    /// # Errors
    /// Those of `open`, but for `Limit` and `Refused`: then the lines keep their label set.
    fn pass(
        &self,
        streams: &[Labels],
        batch: LogBatch,
        open: &mut dyn FnMut(&Labels) -> Result<StreamId, StoreError>,
    ) -> Result<LogBatch, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_read_what_loggers_write() {
        let check = |word: &str, expected| assert_eq!(word.parse(), expected, "{word}");
        check("WARNING", Ok(Level::Warn));
        check("err", Ok(Level::Error));
        check("Information", Ok(Level::Info));
        check("emergency", Ok(Level::Fatal));
        check("errors", Err(NoLevel));
        check("a very long word that is no level", Err(NoLevel));
    }

    #[test]
    fn a_batch_gives_its_lines_back() {
        let mut batch = LogBatch::default();
        batch.push(StreamId(1), 5, Level::Info, b"one");
        batch.push(StreamId(2), 6, Level::Error, b"");
        batch.push(StreamId(1), 7, Level::Info, b"\xfftwo");
        let texts: Vec<&[u8]> = batch.iter().map(|(_, text)| text).collect();
        assert_eq!(texts, [&b"one"[..], b"", b"\xfftwo"]);
    }
}
