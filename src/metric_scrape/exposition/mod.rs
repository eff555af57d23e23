//! What did the target say? The text format 0.0.4 and OpenMetrics 1.0, line by line, and
//! Prometheus' protobuf, message by message.
//!
//! [`line`] reads one line slowly and exactly, [`metadata`] gathers HELP, TYPE and UNIT,
//! [`number`] reads values; `protobuf` reads families and metrics, [`histogram`] what a histogram
//! of theirs holds; [`family`] takes a page to pieces that can be kept. [`crate::page`] puts them together for a whole page and remembers its series,
//! so that the next page of the same target seldom comes here.

pub mod family;
pub mod histogram;
pub mod line;
pub mod metadata;
pub mod number;
pub(crate) mod protobuf;

use std::fmt;

/// In which format a page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus' text format, 0.0.4 and 1.0.0: timestamps in milliseconds, blank lines and
    /// free comments allowed.
    Text,
    /// OpenMetrics 1.0: timestamps in seconds, exemplars, `# EOF` at the end.
    OpenMetrics,
    /// Prometheus' protobuf, each family with its length before it: native histograms.
    Protobuf,
}

impl Format {
    /// The format that a `Content-Type` names, or `None` for one that is no metrics page (or
    /// none that we read).
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if media_type.eq_ignore_ascii_case("text/plain") {
            Some(Self::Text)
        } else if media_type.eq_ignore_ascii_case("application/openmetrics-text") {
            Some(Self::OpenMetrics)
        } else if media_type.eq_ignore_ascii_case("application/vnd.google.protobuf")
            && is_delimited_family(content_type)
        {
            Some(Self::Protobuf)
        } else {
            None
        }
    }

    /// The format of a page without a `Content-Type`, as in-process sources give it: only
    /// OpenMetrics ends in `# EOF`.
    pub fn of_page(page: &str) -> Self {
        if page.trim_end().ends_with("# EOF") {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }
}

/// Whether the parameters of a protobuf's type name the message and the encoding that we read;
/// those that are not there are taken for granted.
fn is_delimited_family(content_type: &str) -> bool {
    content_type.split(';').skip(1).all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match name.trim() {
            "proto" => value.trim() == "io.prometheus.client.MetricFamily",
            "encoding" => value.trim() == "delimited",
            _ => true,
        }
    })
}

/// A page that is no metrics page: which line, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageError {
    /// Line number, from 1; 0 for protobuf, which has no lines: the reason names the family then.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.reason),
            line => write!(f, "line {line}: {}", self.reason),
        }
    }
}

impl std::error::Error for PageError {}

/// Characters of a bad line that an error shows.
const EXCERPT_CHARS_MAX: usize = 60;

/// A piece of a page as an error shows it: short, quoted, whatever bytes it holds.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    // Four bytes a character at most, and one character more, to know whether something was cut.
    let head = &bytes[..bytes.len().min(4 * EXCERPT_CHARS_MAX + 4)];
    let text = String::from_utf8_lossy(head);
    let mut short: String = text.chars().take(EXCERPT_CHARS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_formats_by_content_type() {
        let check = |content_type: &str, expected: Option<Format>| {
            assert_eq!(
                Format::from_content_type(content_type),
                expected,
                "{content_type}"
            );
        };
        check("text/plain", Some(Format::Text));
        check(
            "text/plain; version=0.0.4; charset=utf-8",
            Some(Format::Text),
        );
        check("Text/Plain;version=1.0.0", Some(Format::Text));
        check(
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Some(Format::OpenMetrics),
        );
        check("text/html", None);
        let protobuf = "application/vnd.google.protobuf; \
                        proto=io.prometheus.client.MetricFamily; encoding=";
        check(&format!("{protobuf}delimited"), Some(Format::Protobuf));
        check(&format!("{protobuf}text"), None);
        check("application/vnd.google.protobuf; proto=some.Other", None);
        check("", None);
    }

    #[test]
    fn shows_bad_lines_shortly() {
        assert_eq!(excerpt(b"abc"), "\"abc\"");
        assert!(excerpt(&[0xff; 1000]).chars().count() < 1 + EXCERPT_CHARS_MAX + 3);
        assert!(excerpt("é".repeat(61).as_bytes()).ends_with("…\""));
    }
}
