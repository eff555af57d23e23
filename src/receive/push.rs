//! The lines of one request on their way into the journal: a batch, and the labels of its streams.

use std::fmt;
use std::sync::Arc;

use model::{Labels, Level, LogBatch, LogSink, StoreError, StreamId};

use crate::{Limits, Refused};

/// Finds the level of a line that does not come with one.
pub type LevelOf = fn(&[u8]) -> Level;

/// A time further in the future is a mistake of its sender. A day, so that a machine in a wrong
/// zone is not taken for one.
const FUTURE_NS_MAX: i64 = 24 * 3_600 * 1_000_000_000;
/// 1980-01-01: whoever says an earlier time has a clock that was never set.
const OLDEST_NS: i64 = 315_532_800 * 1_000_000_000;

/// How lines reached us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// Loki's push API.
    Loki,
    /// OpenTelemetry's protocol over HTTP.
    Otlp,
    /// Elasticsearch's `_bulk`.
    Elastic,
    /// A JSON object or a text per line.
    JsonLines,
    /// Syslog over UDP.
    SyslogUdp,
    /// Syslog over TCP.
    SyslogTcp,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Loki,
        Self::Otlp,
        Self::Elastic,
        Self::JsonLines,
        Self::SyslogUdp,
        Self::SyslogTcp,
    ];

    /// Its word in metrics, and in the label `input` of lines that bring no label of their own.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loki => "loki",
            Self::Otlp => "otlp",
            Self::Elastic => "elasticsearch",
            Self::JsonLines => "jsonline",
            Self::SyslogUdp => "syslog_udp",
            Self::SyslogTcp => "syslog_tcp",
        }
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loki => "loki push",
            Self::Otlp => "otlp logs",
            Self::Elastic => "elasticsearch bulk",
            Self::JsonLines => "json lines",
            Self::SyslogUdp => "syslog (udp)",
            Self::SyslogTcp => "syslog (tcp)",
        }
    }
}

/// The lines of a request. A decoder fills it: [`Push::stream`] for a label set, then for each
/// line [`Push::text`] to write it and [`Push::end_line`] to end it.
#[derive(Clone)]
pub struct Push {
    pub(crate) protocol: Protocol,
    pub(crate) now_ns: i64,
    limits: Arc<Limits>,
    level_of: LevelOf,
    sink: Arc<dyn LogSink>,
    /// Streams by their place here; the lines of `batch` name places, not numbers of the store,
    /// because the journal must be readable by a process that gives other numbers.
    pub(crate) streams: Vec<(Labels, StreamId)>,
    pub(crate) batch: LogBatch,
    /// Lines whose time was replaced.
    pub(crate) times_replaced: u64,
    /// Lines that were cut.
    pub(crate) lines_cut: u64,
    /// Lines that were not taken while the rest was.
    rejected: u64,
    /// Why the first of those was not.
    reason: Option<String>,
}

impl Push {
    pub(crate) fn new(
        protocol: Protocol,
        now_ns: i64,
        limits: Arc<Limits>,
        level_of: LevelOf,
        sink: Arc<dyn LogSink>,
    ) -> Self {
        Self {
            protocol,
            now_ns,
            limits,
            level_of,
            sink,
            streams: Vec::new(),
            batch: LogBatch::default(),
            times_replaced: 0,
            lines_cut: 0,
            rejected: 0,
            reason: None,
        }
    }

    /// The bounds that hold for it.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How many lines it has.
    pub fn lines(&self) -> usize {
        self.batch.lines.len()
    }

    /// Lines that were not taken, and why the first of them was not.
    pub fn rejected(&self) -> Option<(u64, &str)> {
        self.reason.as_deref().map(|why| (self.rejected, why))
    }

    /// Notes that lines of the request are not taken, while the others are.
    pub(crate) fn reject(&mut self, lines: u64, why: impl FnOnce() -> String) {
        self.rejected += lines;
        self.reason.get_or_insert_with(why);
    }

    /// Forgets what was counted: it is offered again, and counts were taken the first time.
    pub(crate) fn forget_tally(&mut self) {
        (self.times_replaced, self.lines_cut, self.rejected) = (0, 0, 0);
        self.reason = None;
    }

    /// Opens the stream of a label set. Without any label a stream says at least how it came.
    ///
    /// # Errors
    /// `Bad` where the labels break a limit or the store has too many streams; the caller may go
    /// on with other streams. `Failed` where the store cannot tell.
    pub(crate) fn stream(&mut self, labels: &Labels) -> Result<StreamId, Refused> {
        let labels = if labels.is_empty() {
            Labels::from_pairs([("input", self.protocol.as_str())])
        } else {
            labels.clone()
        };
        // Senders put the lines of a stream together: the last ones are the likely ones.
        let known = self.streams.iter().rev().take(8);
        if let Some(back) = known.clone().position(|(known, _)| *known == labels) {
            return Ok(StreamId((self.streams.len() - 1 - back) as u32));
        }
        self.check(&labels)?;
        if self.streams.len() >= self.limits.streams_max {
            return Err(Refused::Bad(format!(
                "the request has more than {} label sets: leave out a label that differs from \
                 line to line",
                self.limits.streams_max
            )));
        }
        let id = self
            .sink
            .open_stream(&labels)
            .map_err(|error| match error {
                StoreError::Limit(why) | StoreError::Refused(why) => Refused::Bad(why),
                other => Refused::Failed(other.to_string()),
            })?;
        self.streams.push((labels, id));
        Ok(StreamId((self.streams.len() - 1) as u32))
    }

    fn check(&self, labels: &Labels) -> Result<(), Refused> {
        let limits = &self.limits;
        if labels.len() > limits.labels_max {
            return Err(Refused::Bad(format!(
                "a stream has {} labels, at most {} are taken: {labels}",
                labels.len(),
                limits.labels_max
            )));
        }
        for label in labels {
            if label.name.is_empty() || label.name.len() > limits.label_name_bytes_max {
                return Err(Refused::Bad(format!(
                    "the name of a label has {} bytes, 1 to {} are taken",
                    label.name.len(),
                    limits.label_name_bytes_max
                )));
            }
            if label.value.len() > limits.label_value_bytes_max {
                return Err(Refused::Bad(format!(
                    "the value of label {:?} has {} bytes, at most {} are taken",
                    label.name,
                    label.value.len(),
                    limits.label_value_bytes_max
                )));
            }
        }
        Ok(())
    }

    /// The level that a text tells; `None` where it tells none.
    pub(crate) fn told_level(&self, text: &[u8]) -> Option<Level> {
        let level = (self.level_of)(text);
        (level != Level::Unknown).then_some(level)
    }

    /// Where the text of the next line is written to, at the end.
    pub(crate) fn text(&mut self) -> &mut Vec<u8> {
        &mut self.batch.text
    }

    /// Takes back what was written to [`Push::text`] since the last line.
    pub(crate) fn drop_text(&mut self) {
        let end = self.text_start();
        self.batch.text.truncate(end);
    }

    /// Where the text that is not ended yet starts.
    fn text_start(&self) -> usize {
        let last = self.batch.lines.last();
        last.map_or(0, |line| line.text_end as usize)
    }

    /// Makes a line of what was written. Without a time it gets the time of the request, without
    /// a level the one that its text tells.
    ///
    /// # Errors
    /// `TooLarge` where the request has too many lines or too much text.
    pub(crate) fn end_line(
        &mut self,
        stream: StreamId,
        time_ns: Option<i64>,
        level: Option<Level>,
    ) -> Result<(), Refused> {
        let limits = &self.limits;
        if self.batch.lines.len() >= limits.lines_max {
            return Err(Refused::TooLarge(format!(
                "the request has more than {} lines: send smaller batches",
                limits.lines_max
            )));
        }
        if self.batch.text.len() > limits.text_bytes_max {
            return Err(Refused::TooLarge(format!(
                "the lines of the request have more than {} of text: send smaller batches",
                model::bytes::format(limits.text_bytes_max as u64)
            )));
        }
        let start = self.text_start();
        let written = self.batch.text.len() - start;
        if written > limits.line_bytes_max {
            let kept = limits.line_bytes_max;
            self.batch.text.truncate(start + kept);
            let mark = model::cut_mark((written - kept) as u64);
            self.batch.text.extend_from_slice(mark.as_bytes());
            self.lines_cut += 1;
        }
        let level = level.unwrap_or_else(|| {
            let text = self.batch.text.get(start..).unwrap_or_default();
            (self.level_of)(text)
        });
        let time_ns = self.checked_time(time_ns);
        self.batch.lines.push(model::LogLine {
            stream,
            time_ns,
            level,
            text_end: self.batch.text.len() as u32,
        });
        Ok(())
    }

    /// A time that makes sense, else the time of the request; that is counted.
    fn checked_time(&mut self, time_ns: Option<i64>) -> i64 {
        let newest = self.now_ns.saturating_add(FUTURE_NS_MAX);
        match time_ns {
            Some(time_ns) if (OLDEST_NS..=newest).contains(&time_ns) => time_ns,
            Some(_) => {
                self.times_replaced += 1;
                self.now_ns
            }
            None => self.now_ns,
        }
    }
}

impl fmt::Debug for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Push")
            .field("protocol", &self.protocol)
            .field("streams", &self.streams)
            .field("lines", &self.batch.lines.len())
            .field("rejected", &self.rejected)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use model::Checkpoint;
    use parking_lot::Mutex;

    use super::*;

    /// A sink that gives numbers to streams and takes nothing else.
    #[derive(Default)]
    struct Streams(Mutex<Vec<Labels>>);

    impl LogSink for Streams {
        fn open_stream(&self, labels: &Labels) -> Result<StreamId, StoreError> {
            let mut known = self.0.lock();
            known.push(labels.clone());
            Ok(StreamId(known.len() as u32 - 1))
        }

        fn append(&self, _: &LogBatch) -> Result<(), StoreError> {
            Ok(())
        }

        fn committed_checkpoints(&self) -> Result<Vec<Checkpoint>, StoreError> {
            Ok(Vec::new())
        }

        fn committed_checkpoint(&self, _: &str) -> Result<Option<Vec<u8>>, StoreError> {
            Ok(None)
        }
    }

    /// 2026-03-01T10:00:00Z, the present of the tests of all decoders.
    pub(crate) const NOW_NS: i64 = 1_772_359_200_000_000_000;

    /// Errors where the word stands in a text that is no JSON, like the real one.
    pub(crate) fn level_of(text: &[u8]) -> Level {
        match memchr::memmem::find(text, b"ERROR") {
            Some(_) if !text.starts_with(b"{") => Level::Error,
            _ => Level::Unknown,
        }
    }

    pub(crate) fn push(protocol: Protocol) -> Push {
        push_within(protocol, Limits::default())
    }

    pub(crate) fn push_within(protocol: Protocol, limits: Limits) -> Push {
        let sink = Arc::new(Streams::default());
        Push::new(protocol, NOW_NS, Arc::new(limits), level_of, sink)
    }

    /// The lines as `labels time level text`, the time in seconds from [`NOW_NS`].
    pub(crate) fn shown(push: &Push) -> Vec<String> {
        let lines = push.batch.iter().map(|(line, text)| {
            let (labels, _) = &push.streams[line.stream.0 as usize];
            let seconds = (line.time_ns - NOW_NS) as f64 / 1e9;
            let text = String::from_utf8_lossy(text);
            format!("{labels} {seconds} {} {text}", line.level)
        });
        lines.collect()
    }

    fn line(push: &mut Push, labels: &[(&str, &str)], time_ns: Option<i64>, text: &str) {
        let labels = Labels::from_pairs(labels.iter().copied());
        let stream = push.stream(&labels).expect("a stream");
        push.text().extend_from_slice(text.as_bytes());
        push.end_line(stream, time_ns, None).expect("a line");
    }

    #[test]
    fn times_that_make_no_sense_become_the_time_of_the_request() {
        let mut push = push(Protocol::Loki);
        let app = [("app", "a")];
        line(&mut push, &app, Some(NOW_NS - 5_000_000_000), "old");
        line(&mut push, &app, Some(NOW_NS + 60_000_000_000), "ahead");
        line(&mut push, &app, Some(NOW_NS + FUTURE_NS_MAX + 1), "absurd");
        line(&mut push, &app, Some(0), "unset");
        line(&mut push, &app, Some(i64::MIN), "least");
        line(&mut push, &[], None, "an ERROR");
        assert_eq!(
            shown(&push),
            [
                r#"{app="a"} -5 unknown old"#,
                r#"{app="a"} 60 unknown ahead"#,
                r#"{app="a"} 0 unknown absurd"#,
                r#"{app="a"} 0 unknown unset"#,
                r#"{app="a"} 0 unknown least"#,
                r#"{input="loki"} 0 error an ERROR"#,
            ]
        );
        assert_eq!(push.times_replaced, 3);
        assert_eq!(push.streams.len(), 2);
    }

    #[test]
    fn long_lines_are_cut_with_a_mark() {
        let limits = Limits {
            line_bytes_max: 4,
            ..Limits::default()
        };
        let mut push = push_within(Protocol::Loki, limits);
        line(&mut push, &[], None, "12345678");
        line(&mut push, &[], None, "1234");
        let texts: Vec<_> = push.batch.iter().map(|(_, text)| text.to_vec()).collect();
        assert_eq!(texts, ["1234 …[cut, 4 bytes]".as_bytes(), b"1234"]);
        assert_eq!(push.lines_cut, 1);
    }

    #[test]
    fn limits_are_named() {
        let limits = Limits {
            lines_max: 1,
            labels_max: 1,
            label_value_bytes_max: 3,
            streams_max: 1,
            ..Limits::default()
        };
        let mut push = push_within(Protocol::Loki, limits);
        let refused = |push: &mut Push, pairs: &[(&str, &str)]| {
            let labels = Labels::from_pairs(pairs.iter().copied());
            push.stream(&labels).expect_err("refused").to_string()
        };
        assert!(refused(&mut push, &[("a", "1"), ("b", "2")]).contains("2 labels, at most 1"));
        assert!(refused(&mut push, &[("a", "1234")]).contains("label \"a\" has 4 bytes"));
        line(&mut push, &[("a", "1")], None, "x");
        assert!(refused(&mut push, &[("a", "2")]).contains("more than 1 label sets"));
        let more = push.end_line(StreamId(0), None, None).expect_err("full");
        assert!(more.to_string().contains("more than 1 lines"), "{more}");
    }
}
