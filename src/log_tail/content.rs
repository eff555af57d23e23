//! The time and the level of a line's text, once its envelope is off.
//!
//! 1. The time is the envelope's, else the one that the line itself gives (a field of JSON or
//!    logfmt, or written in the text).
//! 2. A line without a time right behind a line with one (read within [`CONTINUES_NS`]) gets its
//!    time. Any other gets the time at which the file was last written, which for a live file is
//!    the time of the line itself and for one that was read from the past an upper bound. Such
//!    times never go backwards within a file.
//! 3. A time more than a day in the future is a mistake of its writer and counts as none.
//! 4. The level is that of a field, of an access log's status, or a word where loggers put one.

use jiff::tz::TimeZone;
use model::Level;

use crate::civil::{DAY_S, SECOND_NS, Zone};
use crate::formats::{Fields, access, cri, docker, json, logfmt};
use crate::level_detect;
use crate::time_detect::{self, Context};

/// How long after a line with a time a line without one may be read and still belong to it.
const CONTINUES_NS: i64 = 2 * SECOND_NS;

/// When a line is being read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct When {
    /// Now, nanoseconds since 1970-01-01 UTC.
    pub(crate) now_ns: i64,
    /// When the file was last written, as of this reading.
    pub(crate) written_ns: i64,
    /// Now, since the collector started; never goes back.
    pub(crate) elapsed: std::time::Duration,
}

/// How a text is written, for the choice of its reader and for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Logfmt,
    Access,
    Text,
}

impl Form {
    /// The word that people are shown.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Logfmt => "logfmt",
            Self::Access => "access log",
            Self::Text => "text",
        }
    }
}

/// What a text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) form: Form,
    pub(crate) time_ns: i64,
    pub(crate) level: Level,
    /// Whether the text itself has a time.
    pub(crate) timed: bool,
}

/// Reads the texts of one file.
#[derive(Debug)]
pub(crate) struct ContentReader {
    zone: Zone,
    /// The form of all texts, where the configuration says so.
    form: Option<Form>,
    /// Own time of the last line that had one, and when it was read.
    last_timed: Option<(i64, i64)>,
    /// The time given to the last line that had none.
    untimed_ns: i64,
}

impl ContentReader {
    pub(crate) fn new(zone: TimeZone, form: Option<Form>) -> Self {
        Self {
            zone: Zone::new(zone),
            form,
            last_timed: None,
            untimed_ns: 0,
        }
    }

    /// Reads a text to which its envelope gives a time.
    pub(crate) fn enveloped(&mut self, text: &[u8], time_ns: i64, when: When) -> Content {
        let (form, fields) = self.fields(text, when);
        let time_ns = self.checked(time_ns, when);
        let level = level(form, fields, text);
        // Only where it matters: whether an exception behind this line belongs to it.
        let timed = level >= Level::Warn
            && form != Form::Json
            && (fields.time_ns.is_some() || self.detect(text, when).is_some());
        Content {
            form,
            time_ns,
            level,
            timed,
        }
    }

    /// Reads a text that has no envelope: its time is its own, or that of what is around it.
    pub(crate) fn bare(&mut self, text: &[u8], when: When) -> Content {
        let (form, fields) = self.fields(text, when);
        let own_ns = fields.time_ns.or_else(|| self.detect(text, when));
        let time_ns = match own_ns {
            Some(time_ns) => self.checked(time_ns, when),
            // A JSON object is a line of its own, not the rest of the line before.
            None if form == Form::Json => self.time_of_file(when),
            None => self.time_without_own(when),
        };
        Content {
            form,
            time_ns,
            level: level(form, fields, text),
            timed: own_ns.is_some(),
        }
    }

    /// Whether a text begins with a time.
    pub(crate) fn begins_with_time(&mut self, text: &[u8], when: When) -> bool {
        let mut context = self.context(when);
        time_detect::leading(text, &mut context).is_some()
    }

    fn context(&mut self, when: When) -> Context<'_> {
        Context {
            zone: &mut self.zone,
            newest_ns: when.written_ns,
        }
    }

    fn detect(&mut self, text: &[u8], when: When) -> Option<i64> {
        Some(time_detect::detect(text, &mut self.context(when))?.time_ns)
    }

    /// The form of a text and what its fields say.
    fn fields(&mut self, text: &[u8], when: When) -> (Form, Fields) {
        let form = self.form;
        let mut context = self.context(when);
        let is = |candidate| form.is_none_or(|form| form == candidate);
        if text.first() == Some(&b'{') {
            if is(Form::Json)
                && let Some(fields) = json::fields(text, &mut context)
            {
                return (Form::Json, fields);
            }
        } else if is(Form::Access)
            && let Some(level) = access::level(text)
        {
            let fields = Fields {
                time_ns: None,
                level: Some(level),
            };
            return (Form::Access, fields);
        } else if is(Form::Logfmt)
            && let Some(fields) = logfmt::fields(text, &mut context)
        {
            return (Form::Logfmt, fields);
        }
        (form.unwrap_or(Form::Text), Fields::default())
    }

    /// A time that a line gives, unless it lies in the future.
    fn checked(&mut self, time_ns: i64, when: When) -> i64 {
        if time_ns <= when.now_ns.saturating_add(DAY_S * SECOND_NS) {
            self.last_timed = Some((time_ns, when.now_ns));
            time_ns
        } else {
            self.time_without_own(when)
        }
    }

    fn time_without_own(&mut self, when: When) -> i64 {
        if let Some((time_ns, read_ns)) = self.last_timed
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
}

/// The level of a text that has no file.
pub(crate) fn level_of(text: &[u8]) -> Level {
    let when = When {
        now_ns: i64::MAX,
        written_ns: i64::MAX,
        elapsed: std::time::Duration::ZERO,
    };
    let (form, fields) = ContentReader::new(TimeZone::UTC, None).fields(text, when);
    level(form, fields, text)
}

/// The time of the first line of a file that begins like this; `None` where it has none.
/// `newest_ns`: when it was written at the latest.
pub(crate) fn first_time(start: &[u8], zone: &TimeZone, newest_ns: i64) -> Option<i64> {
    let line = start.split(|byte| *byte == b'\n').next()?;
    if let Some(line) = cri::parse(line).or_else(|| docker::parse(line)) {
        return Some(line.time_ns);
    }
    let when = When {
        now_ns: newest_ns,
        written_ns: newest_ns,
        elapsed: std::time::Duration::ZERO,
    };
    let content = ContentReader::new(zone.clone(), None).bare(line, when);
    content.timed.then_some(content.time_ns)
}

fn level(form: Form, fields: Fields, text: &[u8]) -> Level {
    match (fields.level, form) {
        (Some(level), _) => level,
        (None, Form::Json) => Level::Unknown,
        (None, _) => level_detect::detect(text),
    }
}
