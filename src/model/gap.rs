//! The mark that stands in a log stream where lines are known to be missing.
//!
//! It is an ordinary record of level warn, so that every search, tail and export shows it in its
//! place; its fixed beginning lets programs recognise it ([`is_gap`]).

use std::fmt;

use crate::time::rfc3339_ns;

/// What the text of every gap begins with.
pub const GAP_MARK: &str = "⟦yagura gap⟧ ";

/// Whether a record's text is a mark for missing lines.
pub fn is_gap(text: &[u8]) -> bool {
    text.starts_with(GAP_MARK.as_bytes())
}

/// Why lines are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GapReason {
    /// The file was rotated away and deleted before it was read to its end.
    RotatedAway,
    /// The file was truncated in place before it was read to its end.
    Truncated,
    /// The file was deleted before it was read to its end.
    Deleted,
    /// Another file is there under its number.
    Replaced,
    /// A compressed file is damaged or ends too early.
    Damaged,
}

impl GapReason {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::RotatedAway,
        Self::Truncated,
        Self::Deleted,
        Self::Replaced,
        Self::Damaged,
    ];

    /// One word for labels of metrics and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RotatedAway => "rotated_away",
            Self::Truncated => "truncated",
            Self::Deleted => "deleted",
            Self::Replaced => "replaced",
            Self::Damaged => "damaged",
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::RotatedAway => "was rotated away before it was read to its end",
            Self::Truncated => "was truncated before it was read to its end",
            Self::Deleted => "was deleted before it was read to its end",
            Self::Replaced => "was replaced by another one before it was read to its end",
            Self::Damaged => "is damaged",
        }
    }
}

/// Lines that are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogGap {
    /// How many bytes at least; 0 where nobody can know.
    pub bytes: u64,
    /// Time of the last record before it, nanoseconds since 1970-01-01 UTC; 0 for none.
    pub from_ns: i64,
    /// When it ended at the latest, nanoseconds since 1970-01-01 UTC.
    pub to_ns: i64,
    /// Why.
    pub reason: GapReason,
    /// The file that held them.
    pub path: String,
}

/// Writes the record's text: `⟦yagura gap⟧ at least 120 bytes are missing between … and …: /a.log
/// was truncated before it was read to its end`.
impl fmt::Display for LogGap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(GAP_MARK)?;
        match self.bytes {
            0 => f.write_str("lines may be missing")?,
            1 => f.write_str("at least 1 byte is missing")?,
            bytes => write!(f, "at least {bytes} bytes are missing")?,
        }
        if self.from_ns > 0 {
            let (from, to) = (rfc3339_ns(self.from_ns), rfc3339_ns(self.to_ns));
            write!(f, " between {from} and {to}")?;
        } else {
            write!(f, " before {}", rfc3339_ns(self.to_ns))?;
        }
        write!(f, ": {} {}", self.path, self.reason.sentence())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_says_what_is_missing_and_is_recognised() {
        let gap = LogGap {
            bytes: 120,
            from_ns: 1_772_359_200_000_000_000,
            to_ns: 1_772_359_260_000_000_000,
            reason: GapReason::Truncated,
            path: "/var/log/a.log".to_owned(),
        };
        let text = gap.to_string();
        assert_eq!(
            text,
            "⟦yagura gap⟧ at least 120 bytes are missing between 2026-03-01T10:00:00.000000000Z \
             and 2026-03-01T10:01:00.000000000Z: /var/log/a.log was truncated before it was read \
             to its end"
        );
        assert!(is_gap(text.as_bytes()));
        assert!(!is_gap(b"a gap"));
        let unknown = LogGap {
            bytes: 0,
            from_ns: 0,
            reason: GapReason::RotatedAway,
            ..gap
        };
        assert!(
            unknown.to_string().starts_with(
                "⟦yagura gap⟧ lines may be missing before 2026-03-01T10:01:00.000000000Z: "
            ),
            "{unknown}"
        );
    }
}
