//! The formats that log files come in: one file per format, each a pure reader of one line.
//!
//! Envelopes (what a container runtime wraps around each line) are taken off; fields of JSON and
//! logfmt are only looked at, for time and level.

pub(crate) mod access;
pub(crate) mod cri;
pub(crate) mod docker;
pub(crate) mod json;
pub(crate) mod logfmt;
pub(crate) mod partial;

/// Which of a container's outputs a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Stdout,
    Stderr,
}

impl Output {
    pub(crate) const ALL: [Self; 2] = [Self::Stdout, Self::Stderr];

    /// As runtimes write it, and as the label `stream` shows it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    pub(crate) fn from_bytes(word: &[u8]) -> Option<Self> {
        match word {
            b"stdout" => Some(Self::Stdout),
            b"stderr" => Some(Self::Stderr),
            _ => None,
        }
    }
}

/// A line of a container's log without its envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Enveloped<'a> {
    pub(crate) output: Output,
    /// Nanoseconds since 1970-01-01 UTC.
    pub(crate) time_ns: i64,
    /// Whether the program's line goes on in the next one of the same output.
    pub(crate) partial: bool,
    pub(crate) text: std::borrow::Cow<'a, [u8]>,
}

/// What the fields of a structured line say; `None` for what they do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Fields {
    pub(crate) time_ns: Option<i64>,
    pub(crate) level: Option<model::Level>,
}

/// The names under which loggers write the level.
pub(crate) fn is_level_key(key: &[u8]) -> bool {
    matches!(
        key,
        b"level"
            | b"lvl"
            | b"severity"
            | b"log.level"
            | b"loglevel"
            | b"levelname"
            | b"level_name"
            | b"Level"
            | b"LEVEL"
            | b"SeverityText"
            | b"severity_text"
            | b"severityText"
            | b"@l"
            | b"s"
            | b"log_level"
            | b"syslog.severity"
    )
}

/// OpenTelemetry's number of a severity: 1 to 24, four for each level.
pub(crate) fn is_severity_number_key(key: &[u8]) -> bool {
    matches!(
        key,
        b"severityNumber" | b"SeverityNumber" | b"severity_number"
    )
}

/// The names under which loggers write the time.
pub(crate) fn is_time_key(key: &[u8]) -> bool {
    matches!(
        key,
        b"time"
            | b"ts"
            | b"timestamp"
            | b"@timestamp"
            | b"Timestamp"
            | b"@t"
            | b"t"
            | b"datetime"
            | b"date"
            | b"eventTime"
            | b"asctime"
            | b"timeMillis"
            | b"timeUnixNano"
            | b"observedTimeUnixNano"
            | b"time_unix_nano"
            | b"instant"
            | b"@time"
    )
}
