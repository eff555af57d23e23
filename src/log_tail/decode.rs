//! From a file's lines to records: which format, which parts and lines belong together.
//!
//! 1. The format is found out from the first lines: a container's envelope (CRI, Docker) or text.
//! 2. The envelope is taken off and partial lines are joined. A line that does not have the
//!    envelope of its file is kept as it is, and counted.
//! 3. Lines that go on with the record before them are joined to it (`multiline`), for each
//!    output by itself.
//! 4. Time and level are read from what begins a record (`content`).
//!
//! What is held back, parts and records alike, has a place in the file where it begins. Nothing
//! of its output behind that place has been given out. So after a crash, lines that were handed
//! over already are read again from there, and of those before the checkpoint only the lines of
//! that output are taken (see [`Decoder::resume`]).

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use model::Level;

use crate::content::{Content, ContentReader, Form, When};
use crate::formats::partial::Joiner;
use crate::formats::{Enveloped, Output, cri, docker};
use crate::lines::Line;
use crate::multiline::{Fate, Free, Head, Held, Mode};
use crate::reading::{FormatChoice, Reading};

/// So many lines without an envelope make a file a text file.
const PROBE_LINES_MAX: u32 = 16;

/// How a file's lines are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// So many text lines were seen, no envelope yet.
    Unknown(u32),
    Cri,
    Docker,
    Text,
}

/// A record ready for the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// `None` in files that know no outputs.
    pub(crate) output: Option<Output>,
    pub(crate) time_ns: i64,
    pub(crate) level: Level,
    pub(crate) text: &'a [u8],
}

/// What happened since the last look, for the counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Lines of the file.
    pub(crate) lines: u64,
    pub(crate) malformed: u64,
    pub(crate) cut_lines: u64,
    pub(crate) cut_bytes: u64,
    /// Records that were full and go on in another one.
    pub(crate) split_records: u64,
}

/// A line of the program that writes, without its envelope.
struct ProgramLine<'a> {
    output: Option<Output>,
    start: u64,
    /// The envelope's time.
    time_ns: Option<i64>,
    text: &'a [u8],
}

/// Reads the lines of one file.
#[derive(Debug)]
pub(crate) struct Decoder {
    format: Format,
    /// Whether the configuration says the format.
    format_fixed: bool,
    /// The word for people: `cri`, `docker`, `json`, `logfmt`, `text`.
    format_name: &'static str,
    joiner: Joiner,
    multiline: Arc<Mode>,
    /// By output: none, stdout, stderr.
    held: [Held; 3],
    content: ContentReader,
    last_ns: i64,
    /// Lines before this place were handed over before; see [`Decoder::resume`].
    replay_until: u64,
    replay_pending: [Option<u64>; 2],
    tally: Tally,
}

impl Decoder {
    pub(crate) fn new(line_bytes_max: usize, zone: TimeZone, reading: &Reading) -> Self {
        let (format, form) = match reading.format {
            FormatChoice::Auto => (Format::Unknown(0), None),
            FormatChoice::Cri => (Format::Cri, None),
            FormatChoice::Docker => (Format::Docker, None),
            FormatChoice::Json => (Format::Text, Some(Form::Json)),
            FormatChoice::Logfmt => (Format::Text, Some(Form::Logfmt)),
            FormatChoice::Access => (Format::Text, Some(Form::Access)),
            FormatChoice::Text => (Format::Text, Some(Form::Text)),
        };
        let mut decoder = Self {
            format,
            format_fixed: reading.format != FormatChoice::Auto,
            format_name: "",
            joiner: Joiner::new(line_bytes_max),
            multiline: Arc::clone(&reading.multiline),
            held: Default::default(),
            content: ContentReader::new(zone, form),
            last_ns: 0,
            replay_until: 0,
            replay_pending: [None, None],
            tally: Tally::default(),
        };
        decoder.set_format(format);
        decoder
    }

    /// Prepares for reading again from the earliest of `pending`: of the lines before `offset`
    /// only those of an output from its pending place on are taken, all others are stored already.
    /// `format` is the word for it as of the checkpoint.
    pub(crate) fn resume(&mut self, offset: u64, pending: [Option<u64>; 2], format: &str) {
        self.replay_until = offset;
        self.replay_pending = pending;
        if !self.format_fixed {
            match format {
                "cri" => self.set_format(Format::Cri),
                "docker" => self.set_format(Format::Docker),
                _ => {}
            }
        }
    }

    /// Forgets what was pending: the file starts again.
    pub(crate) fn restart(&mut self) {
        if !self.format_fixed {
            self.format = Format::Unknown(0);
        }
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

    /// The output of records that no line of the file stands for.
    pub(crate) fn default_output(&self) -> Option<Output> {
        self.has_outputs().then_some(Output::Stdout)
    }

    pub(crate) fn take_tally(&mut self) -> Tally {
        for held in &mut self.held {
            self.tally.split_records += held.take_n_full();
        }
        std::mem::take(&mut self.tally)
    }

    /// Where the position of a file stands whose lines were read up to `start`: everything before
    /// it was handed over, except the outputs that have a pending place before it.
    pub(crate) fn position(&self, start: u64) -> (u64, [Option<u64>; 2]) {
        let start = self.held[0].start().map_or(start, |held| held.min(start));
        let pending = Output::ALL.map(|output| {
            // While lines are read again, what is not reached yet is still pending.
            let replayed = (self.replay_pending[output as usize])
                .filter(|_| start < self.replay_until)
                .map(|pending| pending.max(start));
            let part = self.joiner.pending_start(output);
            let record = self.held[slot(Some(output))].start();
            // Both: a record, and behind it a part that may belong to it.
            record.or(part).or(replayed)
        });
        (start.max(self.replay_until), pending)
    }

    /// When something that is held is to be given out although no line comes, since the collector
    /// started.
    pub(crate) fn due(&self) -> Option<Duration> {
        self.held.iter().filter_map(Held::due).min()
    }

    /// Reads a line. `on_record` gets the records that it sets free.
    pub(crate) fn line<E>(
        &mut self,
        line: &Line<'_>,
        when: When,
        on_record: &mut impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if line.start >= self.replay_until {
            // What was pending has been read again by now, or is not there any more.
            self.replay_pending = [None, None];
        } else if !self.is_pending(line) {
            return Ok(());
        }
        self.tally.lines += 1;
        if line.cut_bytes > 0 {
            self.tally.cut_lines += 1;
            self.tally.cut_bytes += line.cut_bytes;
        }
        if let Some(enveloped) = self.envelope(line.text, on_record)? {
            return self.enveloped(line.start, &enveloped, when, on_record);
        }
        let text = ProgramLine {
            output: self.default_output(),
            start: line.start,
            time_ns: None,
            text: line.text,
        };
        self.text(&text, when, on_record)
    }

    /// Gives out what is held and due.
    pub(crate) fn give_due<E>(
        &mut self,
        elapsed: Duration,
        on_record: &mut impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for output in OUTPUTS {
            let held = &mut self.held[slot(output)];
            if held.due().is_some_and(|due| due <= elapsed) {
                self.release(output, on_record)?;
                self.held[slot(output)].shrink();
            }
        }
        Ok(())
    }

    /// Gives out all that is held: no line will come.
    pub(crate) fn finish<E>(
        &mut self,
        when: When,
        on_record: &mut impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.replay_pending = [None, None];
        for output in Output::ALL {
            if let Some(joined) = self.joiner.take(output) {
                self.tally_cut(joined.cut_bytes);
                let text = ProgramLine {
                    output: Some(joined.output),
                    start: joined.start,
                    time_ns: Some(joined.time_ns),
                    text: &joined.text,
                };
                self.text(&text, when, on_record)?;
            }
        }
        for output in OUTPUTS {
            self.release(output, on_record)?;
            self.held[slot(output)].shrink();
        }
        Ok(())
    }

    /// Whether a line before the checkpoint is of an output that is pending there.
    fn is_pending(&self, line: &Line<'_>) -> bool {
        let output = match self.format {
            Format::Cri => cri::parse(line.text).map(|line| line.output),
            Format::Docker => docker::parse(line.text).map(|line| line.output),
            Format::Unknown(_) => (cri::parse(line.text).map(|line| line.output))
                .or_else(|| docker::parse(line.text).map(|line| line.output)),
            // Text has one output, which has no other position than the file's.
            Format::Text => return false,
        };
        // Lines without the envelope count to the standard output.
        let output = output.unwrap_or(Output::Stdout);
        self.replay_pending[output as usize].is_some_and(|start| line.start >= start)
    }

    fn has_outputs(&self) -> bool {
        matches!(self.format, Format::Cri | Format::Docker)
    }

    fn set_format(&mut self, format: Format) {
        self.format = format;
        match format {
            Format::Cri => self.format_name = "cri",
            Format::Docker => self.format_name = "docker",
            Format::Unknown(_) | Format::Text => {}
        }
    }

    /// Takes the envelope off where the file has one, and finds out whether it has one.
    fn envelope<'a, E>(
        &mut self,
        text: &'a [u8],
        on_record: &mut impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<Option<Enveloped<'a>>, E> {
        let line = match self.format {
            Format::Text => return Ok(None),
            Format::Cri => cri::parse(text),
            Format::Docker => docker::parse(text),
            Format::Unknown(seen) => {
                let cri = cri::parse(text).map(|line| (Format::Cri, line));
                let found = cri.or_else(|| Some((Format::Docker, docker::parse(text)?)));
                let Some((format, line)) = found else {
                    self.format = if seen + 1 < PROBE_LINES_MAX {
                        Format::Unknown(seen + 1)
                    } else {
                        Format::Text
                    };
                    return Ok(None);
                };
                // Lines before were read as those of a text.
                self.release(None, on_record)?;
                self.set_format(format);
                return Ok(Some(line));
            }
        };
        if line.is_none() {
            self.tally.malformed += 1;
        }
        Ok(line)
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
            let text = ProgramLine {
                output: Some(line.output),
                start,
                time_ns: Some(line.time_ns),
                text: &line.text,
            };
            return self.text(&text, when, on_record);
        }
        let Some(joined) = self.joiner.add(start, line) else {
            return Ok(());
        };
        self.tally_cut(joined.cut_bytes);
        let text = ProgramLine {
            output: Some(joined.output),
            start: joined.start,
            time_ns: Some(joined.time_ns),
            text: &joined.text,
        };
        self.text(&text, when, on_record)
    }

    /// A whole line of the program: part of the record before it, or the beginning of one.
    fn text<E>(
        &mut self,
        line: &ProgramLine<'_>,
        when: When,
        on_record: &mut impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let built_in = matches!(*self.multiline, Mode::BuiltIn);
        // Fast path: a JSON object is a record by itself.
        let whole = matches!(*self.multiline, Mode::Off)
            || (built_in && line.text.first() == Some(&b'{') && line.text.last() == Some(&b'}'));
        if !whole {
            let content = &mut self.content;
            let fate = self.held[slot(line.output)].offer(
                &self.multiline,
                line.text,
                line.time_ns,
                when.elapsed,
                &mut |text| content.begins_with_time(text, when),
            );
            if fate == Fate::Joined {
                return Ok(());
            }
        }
        self.release(line.output, on_record)?;
        let content = match line.time_ns {
            Some(time_ns) => self.content.enveloped(line.text, time_ns, when),
            None => self.content.bare(line.text, when),
        };
        if !self.has_outputs() {
            self.format_name = content.form.as_str();
        }
        if whole {
            return self.give(line.output, content.free(line.text), on_record);
        }
        let head = Head {
            start: line.start,
            time_ns: content.time_ns,
            level: content.level,
            timed: content.timed,
            text: line.text,
        };
        self.held[slot(line.output)].hold(&self.multiline, &head, when.elapsed);
        Ok(())
    }

    /// Sets an output's record free.
    fn release<E>(
        &mut self,
        output: Option<Output>,
        on_record: &mut impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let last_ns = &mut self.last_ns;
        self.held[slot(output)].release(&mut |free: Free<'_>| {
            *last_ns = free.time_ns;
            on_record(record(output, free))
        })
    }

    fn give<E>(
        &mut self,
        output: Option<Output>,
        free: Free<'_>,
        on_record: &mut impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.last_ns = free.time_ns;
        on_record(record(output, free))
    }

    fn tally_cut(&mut self, cut_bytes: u64) {
        if cut_bytes > 0 {
            self.tally.cut_lines += 1;
            self.tally.cut_bytes += cut_bytes;
        }
    }
}

/// Every output that a record can have.
const OUTPUTS: [Option<Output>; 3] = [None, Some(Output::Stdout), Some(Output::Stderr)];

/// An output's place among what is kept for each.
fn slot(output: Option<Output>) -> usize {
    output.map_or(0, |output| 1 + output as usize)
}

fn record(output: Option<Output>, free: Free<'_>) -> Record<'_> {
    Record {
        output,
        time_ns: free.time_ns,
        level: free.level,
        text: free.text,
    }
}

impl Content {
    fn free(self, text: &[u8]) -> Free<'_> {
        Free {
            time_ns: self.time_ns,
            level: self.level,
            text,
        }
    }
}

#[cfg(test)]
mod tests;
