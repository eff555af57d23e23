//! From a file's lines to records: which format, which time, which level.
//!
//! 1. The format is found out from the first lines: a container's envelope (CRI, Docker) or text.
//! 2. The envelope is taken off and partial lines are joined. A line that does not have the
//!    envelope of its file is kept as it is, and counted.
//! 3. The time is the envelope's, else the one that the line itself gives (a field of JSON or
//!    logfmt, or written in the text).
//! 4. A line without a time right behind a line with one (read within [`CONTINUES_NS`]) belongs
//!    to it, as stack traces do, and gets its time. Any other gets the time at which the file was
//!    last written, which for a live file is the time of the line itself and for one that was
//!    read from the past an upper bound. Such times never go backwards within a file.
//! 5. A time more than a day in the future is a mistake of its writer and counts as none.
//!
//! After a crash, lines that were handed over already are read again when parts of a line lie
//! before them; the decoder then takes only those parts (see [`Decoder::resume`]).

use jiff::tz::TimeZone;
use model::Level;

use crate::civil::{DAY_S, SECOND_NS, Zone};
use crate::formats::partial::{Joined, Joiner};
use crate::formats::{Enveloped, Output, cri, docker, json, logfmt};
use crate::level_detect;
use crate::lines::Line;
use crate::time_detect::{self, Context};

/// So many lines without an envelope make a file a text file.
const PROBE_LINES_MAX: u32 = 16;
/// How long after a line with a time a line without one may be read and still belong to it.
const CONTINUES_NS: i64 = 2 * SECOND_NS;

/// How a file's lines are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// So many text lines were seen, no envelope yet.
    Unknown(u32),
    Cri,
    Docker,
    Text,
}

/// A line ready for the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// `None` in files that know no outputs.
    pub(crate) output: Option<Output>,
    pub(crate) time_ns: i64,
    pub(crate) level: Level,
    pub(crate) text: &'a [u8],
}

/// When a line is being read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct When {
    /// Now, nanoseconds since 1970-01-01 UTC.
    pub(crate) now_ns: i64,
    /// When the file was last written, as of this reading.
    pub(crate) written_ns: i64,
}

/// What happened since the last look, for the counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) lines: u64,
    pub(crate) malformed: u64,
    pub(crate) cut_lines: u64,
    pub(crate) cut_bytes: u64,
}

/// Reads the lines of one file.
#[derive(Debug)]
pub(crate) struct Decoder {
    format: Format,
    /// The word for people: `cri`, `docker`, `json`, `logfmt`, `text`.
    format_name: &'static str,
    joiner: Joiner,
    zone: Zone,
    /// Own time of the last line that had one, and when it was read.
    timed: Option<(i64, i64)>,
    /// The time given to the last line that had none.
    untimed_ns: i64,
    last_ns: i64,
    /// Lines before this place were handed over before; see [`Decoder::resume`].
    replay_until: u64,
    replay_pending: [Option<u64>; 2],
    tally: Tally,
}

impl Decoder {
    pub(crate) fn new(line_bytes_max: usize, zone: TimeZone) -> Self {
        Self {
            format: Format::Unknown(0),
            format_name: "",
            joiner: Joiner::new(line_bytes_max),
            zone: Zone::new(zone),
            timed: None,
            untimed_ns: 0,
            last_ns: 0,
            replay_until: 0,
            replay_pending: [None, None],
            tally: Tally::default(),
        }
    }

    /// Prepares for reading again from the earliest of `pending`: of the lines before `offset`
    /// only the parts of a pending line are taken, all others are stored already.
    pub(crate) fn resume(&mut self, offset: u64, pending: [Option<u64>; 2]) {
        self.replay_until = offset;
        self.replay_pending = pending;
    }

    /// Forgets what was pending: the file starts again.
    pub(crate) fn restart(&mut self) {
        self.format = Format::Unknown(0);
        self.replay_until = 0;
        self.replay_pending = [None, None];
    }

    pub(crate) fn format_name(&self) -> &'static str {
        self.format_name
    }

    /// The time of the last record, 0 for none.
    pub(crate) fn last_ns(&self) -> i64 {
        self.last_ns
    }

    /// Everything before this place was handed over by an earlier process.
    pub(crate) fn replay_until(&self) -> u64 {
        self.replay_until
    }

    pub(crate) fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// Where the parts of unfinished lines start, by output.
    pub(crate) fn pending(&self) -> [Option<u64>; 2] {
        Output::ALL.map(|output| {
            // While lines are read again, what is not reached yet is still pending.
            let replayed = self.replay_pending[output as usize];
            self.joiner.pending_start(output).or(replayed)
        })
    }

    /// Reads a line. `on_record` gets none or one record.
    pub(crate) fn line<E>(
        &mut self,
        line: &Line<'_>,
        when: When,
        on_record: &mut impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if line.start < self.replay_until {
            self.replay(line);
            return Ok(());
        }
        // What was pending has been read again by now, or is not there any more.
        self.replay_pending = [None, None];
        if line.cut_bytes > 0 {
            self.tally.cut_lines += 1;
            self.tally.cut_bytes += line.cut_bytes;
        }
        match self.envelope(line.text) {
            Some(enveloped) => self.enveloped(line.start, &enveloped, when, on_record),
            None => self.text(line.text, when, on_record),
        }
    }

    /// Gives out the parts of lines that will not be finished.
    pub(crate) fn finish<E>(
        &mut self,
        when: When,
        on_record: &mut impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.replay_pending = [None, None];
        for output in Output::ALL {
            if let Some(joined) = self.joiner.take(output) {
                self.joined(&joined, when, on_record)?;
            }
        }
        Ok(())
    }

    /// A line that is stored already, unless it is a part of a pending line.
    fn replay(&mut self, line: &Line<'_>) {
        let Some(enveloped) = self.envelope(line.text) else {
            return;
        };
        let output = enveloped.output as usize;
        if self.replay_pending[output].is_some_and(|start| line.start >= start) && enveloped.partial
        {
            // The last part is never among them: with it the line would not be pending.
            self.joiner.add(line.start, &enveloped);
        }
    }

    /// Takes the envelope off where the file has one, and finds out whether it has one.
    fn envelope<'a>(&mut self, text: &'a [u8]) -> Option<Enveloped<'a>> {
        match self.format {
            Format::Text => None,
            Format::Cri => self.or_malformed(cri::parse(text)),
            Format::Docker => self.or_malformed(docker::parse(text)),
            Format::Unknown(seen) => {
                if let Some(line) = cri::parse(text) {
                    (self.format, self.format_name) = (Format::Cri, "cri");
                    Some(line)
                } else if let Some(line) = docker::parse(text) {
                    (self.format, self.format_name) = (Format::Docker, "docker");
                    Some(line)
                } else {
                    self.format = if seen + 1 < PROBE_LINES_MAX {
                        Format::Unknown(seen + 1)
                    } else {
                        Format::Text
                    };
                    None
                }
            }
        }
    }

    fn or_malformed<'a>(&mut self, line: Option<Enveloped<'a>>) -> Option<Enveloped<'a>> {
        if line.is_none() {
            self.tally.malformed += 1;
        }
        line
    }

    fn enveloped<E>(
        &mut self,
        start: u64,
        line: &Enveloped<'_>,
        when: When,
        on_record: &mut impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        // Fast path: a whole line that follows no part.
        if !line.partial && !self.joiner.is_pending(line.output) {
            let record = Record {
                output: Some(line.output),
                time_ns: self.checked(line.time_ns, when),
                level: self.content_level(&line.text, when),
                text: &line.text,
            };
            return self.give(record, on_record);
        }
        match self.joiner.add(start, line) {
            Some(joined) => self.joined(&joined, when, on_record),
            None => Ok(()),
        }
    }

    fn joined<E>(
        &mut self,
        joined: &Joined,
        when: When,
        on_record: &mut impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if joined.cut_bytes > 0 {
            self.tally.cut_lines += 1;
            self.tally.cut_bytes += joined.cut_bytes;
        }
        let record = Record {
            output: Some(joined.output),
            time_ns: self.checked(joined.time_ns, when),
            level: self.content_level(&joined.text, when),
            text: &joined.text,
        };
        self.give(record, on_record)
    }

    /// The time of an envelope, unless it lies in the future.
    fn checked(&mut self, time_ns: i64, when: When) -> i64 {
        if is_possible(time_ns, when) {
            self.timed = Some((time_ns, when.now_ns));
            time_ns
        } else {
            self.time_without_own(when)
        }
    }

    /// The level of a line whose time is known.
    fn content_level(&mut self, text: &[u8], when: When) -> Level {
        let mut context = Context {
            zone: &mut self.zone,
            newest_ns: when.written_ns,
        };
        match structured(text, &mut context) {
            Some((_, fields)) => fields.level.unwrap_or_default(),
            None => level_detect::detect(text),
        }
    }

    /// A line without envelope: its time and level are in the text.
    fn text<E>(
        &mut self,
        text: &[u8],
        when: When,
        on_record: &mut impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut context = Context {
            zone: &mut self.zone,
            newest_ns: when.written_ns,
        };
        let (name, time_ns, level) = if let Some((name, fields)) = structured(text, &mut context) {
            let time_ns = fields
                .time_ns
                .or_else(|| Some(time_detect::detect(text, &mut context)?.time_ns));
            (name, time_ns, fields.level)
        } else {
            let stamp = time_detect::detect(text, &mut context);
            ("text", stamp.map(|stamp| stamp.time_ns), None)
        };
        if !matches!(self.format, Format::Cri | Format::Docker) {
            self.format_name = name;
        }
        let time_ns = match time_ns {
            Some(time_ns) => self.checked(time_ns, when),
            // A JSON object is a line of its own, not the rest of the line before.
            None if name == "json" => self.time_of_file(when),
            None => self.time_without_own(when),
        };
        let level = level.unwrap_or_else(|| match name {
            "json" => Level::Unknown,
            _ => level_detect::detect(text),
        });
        let output = matches!(self.format, Format::Cri | Format::Docker).then_some(Output::Stdout);
        self.give(
            Record {
                output,
                time_ns,
                level,
                text,
            },
            on_record,
        )
    }

    fn time_without_own(&mut self, when: When) -> i64 {
        if let Some((time_ns, read_ns)) = self.timed
            && when.now_ns.saturating_sub(read_ns) <= CONTINUES_NS
        {
            return time_ns;
        }
        self.time_of_file(when)
    }

    /// When the file was last written to, never going back.
    fn time_of_file(&mut self, when: When) -> i64 {
        self.untimed_ns = self.untimed_ns.max(when.written_ns.min(when.now_ns));
        self.untimed_ns
    }

    fn give<E>(
        &mut self,
        record: Record<'_>,
        on_record: &mut impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.tally.lines += 1;
        self.last_ns = record.time_ns;
        on_record(record)
    }
}

/// The fields of a line, and the word for its form.
pub(crate) fn structured(
    text: &[u8],
    context: &mut Context<'_>,
) -> Option<(&'static str, crate::formats::Fields)> {
    if text.first() == Some(&b'{') {
        return Some(("json", json::fields(text, context)?));
    }
    Some(("logfmt", logfmt::fields(text, context)?))
}

fn is_possible(time_ns: i64, when: When) -> bool {
    time_ns <= when.now_ns.saturating_add(DAY_S * SECOND_NS)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_800_000_000 * SECOND_NS;

    fn decoder() -> Decoder {
        Decoder::new(1024, TimeZone::UTC)
    }

    fn when(now_ns: i64) -> When {
        When {
            now_ns,
            written_ns: now_ns,
        }
    }

    /// Reads lines, as places and texts, and returns (output, time, level, text) of each record.
    fn read(
        decoder: &mut Decoder,
        when: When,
        lines: &[(u64, &str)],
    ) -> Vec<(Option<Output>, i64, Level, String)> {
        let mut records = Vec::new();
        for (start, text) in lines {
            let line = Line {
                start: *start,
                text: text.as_bytes(),
                cut_bytes: 0,
            };
            let Ok(()) = decoder.line(&line, when, &mut |record: Record<'_>| {
                let text = String::from_utf8_lossy(record.text).into_owned();
                records.push((record.output, record.time_ns, record.level, text));
                Ok::<_, Infallible>(())
            });
        }
        records
    }

    #[test]
    fn takes_envelopes_off() {
        let mut cri = decoder();
        let records = read(
            &mut cri,
            when(NOW),
            &[
                (0, "2026-03-01T10:00:00Z stdout F INFO started"),
                (
                    50,
                    "2026-03-01T10:00:01Z stderr F {\"level\":\"error\",\"msg\":\"x\"}",
                ),
                (99, "not in the format"),
            ],
        );
        let start = 1_772_359_200 * SECOND_NS;
        let json = r#"{"level":"error","msg":"x"}"#.to_owned();
        let (out, err) = (Some(Output::Stdout), Some(Output::Stderr));
        assert_eq!(
            records,
            [
                (out, start, Level::Info, "INFO started".to_owned()),
                (err, start + SECOND_NS, Level::Error, json),
                (
                    out,
                    start + SECOND_NS,
                    Level::Unknown,
                    "not in the format".to_owned()
                ),
            ]
        );
        assert_eq!(cri.format_name(), "cri");
        assert_eq!(cri.take_tally().malformed, 1);
    }

    #[test]
    fn a_line_without_time_belongs_to_the_one_before_or_gets_the_files_time() {
        let mut text = decoder();
        let records = read(
            &mut text,
            When {
                now_ns: NOW,
                written_ns: NOW - 5,
            },
            &[
                (0, "first"),
                (6, "2026-03-01T10:00:00Z ERROR boom"),
                (40, "\tat a.B"),
                (50, r#"{"msg":"next"}"#),
            ],
        );
        let times: Vec<i64> = records.iter().map(|record| record.1).collect();
        let boom = 1_772_359_200 * SECOND_NS;
        assert_eq!(
            times,
            [NOW - 5, boom, boom, NOW - 5],
            "an object stands alone"
        );
        let later = read(&mut text, when(NOW + 60 * SECOND_NS), &[(60, "much later")]);
        assert_eq!(later[0].1, NOW + 60 * SECOND_NS);
        let earlier = read(
            &mut text,
            when(NOW + 50 * SECOND_NS),
            &[(80, "clock set back")],
        );
        assert_eq!(earlier[0].1, NOW + 60 * SECOND_NS, "never backwards");
    }

    #[test]
    fn times_in_the_future_are_mistakes() {
        let records = read(&mut decoder(), when(NOW), &[(0, "2126-03-01T10:00:00Z x")]);
        assert_eq!(records[0].1, NOW);
    }

    #[test]
    fn reading_again_takes_only_the_parts_of_pending_lines() {
        let lines: [(u64, &str); 4] = [
            (0, "2026-03-01T10:00:00Z stdout P aaa"),
            (40, "2026-03-01T10:00:01Z stderr F err"),
            (80, "2026-03-01T10:00:02Z stdout P bbb"),
            (120, "2026-03-01T10:00:03Z stdout F ccc"),
        ];
        let mut first = decoder();
        let stored = read(&mut first, when(NOW), &lines[..3]);
        assert_eq!(stored.len(), 1);
        assert_eq!(first.pending(), [Some(0), None]);

        let mut second = decoder();
        second.resume(120, first.pending());
        assert_eq!(second.pending(), [Some(0), None]);
        let rest = read(&mut second, when(NOW), &lines);
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0].3, "aaabbbccc");
        assert_eq!(second.pending(), [None, None]);
    }

    proptest! {
        #[test]
        fn never_panics(lines in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..60), 0..10)) {
            let mut decoder = decoder();
            for (start, text) in lines.iter().enumerate() {
                let line = Line { start: start as u64, text, cut_bytes: 0 };
                let Ok(()) = decoder.line(&line, when(NOW), &mut |_| Ok::<_, Infallible>(()));
            }
        }
    }
}
