//! Patterns of the configuration that say where a record begins or goes on.

use regex::bytes::Regex;

use super::traces::Next;
use super::traces::State;

/// How lines of some files are joined, as configured.
#[derive(Debug, Clone)]
pub(crate) struct OwnPatterns {
    /// A line that matches begins a record.
    pub(crate) start: Option<Regex>,
    /// A line that matches goes on with the record before it.
    pub(crate) go_on: Option<Regex>,
}

impl OwnPatterns {
    /// Whether the line goes on with a record before it. With both patterns a line that matches
    /// neither stands by itself.
    pub(crate) fn next(&self, line: &[u8]) -> Next {
        let matches = |pattern: &Option<Regex>| pattern.as_ref().map(|regex| regex.is_match(line));
        let joins = match (matches(&self.start), matches(&self.go_on)) {
            (Some(true), _) | (None, None) => false,
            (_, Some(go_on)) => go_on,
            (Some(false), None) => true,
        };
        if joins {
            Next::Joins(State::Indented)
        } else {
            Next::Stands
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(start: Option<&str>, go_on: Option<&str>) -> OwnPatterns {
        let compile = |text: &str| Regex::new(text).expect("a good pattern");
        OwnPatterns {
            start: start.map(compile),
            go_on: go_on.map(compile),
        }
    }

    #[test]
    fn start_and_continue_decide() {
        let check = |patterns: &OwnPatterns, line: &str, joins: bool| {
            let next = patterns.next(line.as_bytes());
            assert_eq!(matches!(next, Next::Joins(_)), joins, "{line}");
        };
        let start = patterns(Some(r"^\d{4}-"), None);
        check(&start, "2026-01-01 x", false);
        check(&start, "select 1", true);
        let go_on = patterns(None, Some("^>"));
        check(&go_on, "> more", true);
        check(&go_on, "other", false);
        let both = patterns(Some("^BEGIN"), Some("^(BEGIN|>)"));
        check(&both, "BEGIN", false);
        check(&both, "> more", true);
        check(&both, "other", false);
    }
}
