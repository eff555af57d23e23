//! Decides whether a line satisfies a filter: the meaning of every query.

use std::borrow::Cow;
use std::cell::OnceCell;

use memchr::memmem;
use model::{Labels, Level};

use crate::fields::LineFields;
use crate::needle::{equal_folded, starts_with_folded};
use crate::number::parse_number;
use crate::query::{Bound, FieldTest, Filter, LEVEL, MESSAGE};

/// A line as a filter sees it. Its fields are read when a filter first asks for them.
pub struct LineView<'a> {
    /// Labels of its stream.
    pub labels: &'a Labels,
    /// How bad it is.
    pub level: Level,
    /// Its bytes.
    pub text: &'a [u8],
    fields: OnceCell<LineFields<'a>>,
    /// Fields that pipes found; they come before the line's own.
    pub(crate) found: &'a [(String, String)],
    /// A row of a table has no other fields than those that were found.
    is_row: bool,
}

impl<'a> LineView<'a> {
    /// A view of a line.
    pub fn new(labels: &'a Labels, level: Level, text: &'a [u8]) -> Self {
        Self {
            labels,
            level,
            text,
            fields: OnceCell::new(),
            found: &[],
            is_row: false,
        }
    }

    /// A view of a line with the fields that pipes found in it.
    pub(crate) fn with_found(
        labels: &'a Labels,
        level: Level,
        text: &'a [u8],
        found: &'a [(String, String)],
    ) -> Self {
        Self {
            found,
            ..Self::new(labels, level, text)
        }
    }

    /// A view of a row of a table: nothing but these columns, and a text to find words in.
    pub(crate) fn of_row(
        labels: &'a Labels,
        level: Level,
        text: &'a [u8],
        columns: &'a [(String, String)],
    ) -> Self {
        Self {
            is_row: true,
            ..Self::with_found(labels, level, text, columns)
        }
    }

    /// The fields of the line.
    pub fn fields(&self) -> &LineFields<'a> {
        self.fields.get_or_init(|| LineFields::of(self.text))
    }

    /// The sentence that a person reads: a field of JSON or logfmt, else the whole text.
    pub fn message(&self) -> Cow<'_, str> {
        match self.fields().message() {
            Some(message) => Cow::Borrowed(message),
            None => String::from_utf8_lossy(self.text),
        }
    }

    fn field(&self, name: &str, test: &FieldTest) -> bool {
        if let Some((_, value)) = self.found.iter().find(|(known, _)| known == name) {
            return test.matches(value);
        }
        if self.is_row {
            return false;
        }
        if name == LEVEL {
            return test.matches(self.level.as_str());
        }
        if let Some(value) = self.labels.get(name) {
            return test.matches(value);
        }
        if name == MESSAGE {
            return test.matches(&self.message());
        }
        // Fast path: a field's name stands in the text (the part behind the last dot, where it is
        // nested), unless an escape hides it.
        let last = name.rsplit('.').next().unwrap_or(name);
        let may_be_there = memmem::find(self.text, last.as_bytes()).is_some()
            || memchr::memchr(b'\\', self.text).is_some()
            || last.contains(char::REPLACEMENT_CHARACTER);
        may_be_there && self.fields().values(name).any(|value| test.matches(value))
    }
}

impl Filter {
    /// Whether a line satisfies the filter.
    pub fn matches(&self, line: &LineView<'_>) -> bool {
        match self {
            Self::All => true,
            Self::And(all) => all.iter().all(|filter| filter.matches(line)),
            Self::Or(any) => any.iter().any(|filter| filter.matches(line)),
            Self::Not(filter) => !filter.matches(line),
            Self::Word(needle) | Self::Prefix(needle) | Self::Phrase(needle) => {
                needle.is_in(line.text)
            }
            Self::Regex(regex) => regex.is_match(line.text),
            Self::Level(from, to) => (*from..=*to).contains(&line.level),
            Self::Label(matcher) => matcher.matches_labels(line.labels),
            Self::Field { name, test } => line.field(name, test),
        }
    }
}

impl FieldTest {
    /// Whether a value satisfies the test.
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::Exists => !value.is_empty(),
            Self::Equal(wanted) => equal_folded(value, wanted),
            Self::Prefix(start) => starts_with_folded(value, start),
            Self::Contains(needle) => needle.is_in(value.as_bytes()),
            Self::Regex(regex) => regex.is_match(value.as_bytes()),
            Self::Range(from, to) => parse_number(value)
                .is_some_and(|number| from.allows_from(number) && to.allows_to(number)),
        }
    }
}

impl Bound {
    /// Whether a number lies on the right side of this lower end.
    fn allows_from(self, number: f64) -> bool {
        match self {
            Self::Open => true,
            Self::Included(end) => number >= end,
            Self::Excluded(end) => number > end,
        }
    }

    /// Whether a number lies on the right side of this upper end.
    fn allows_to(self, number: f64) -> bool {
        match self {
            Self::Open => true,
            Self::Included(end) => number <= end,
            Self::Excluded(end) => number < end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Query;
    use model::{MatchOp, Matcher};
    use proptest::prelude::*;

    fn check(query: &str, text: &str, expected: bool) {
        let labels = Labels::from_pairs([("namespace", "Media"), ("pod", "jellyfin-7d9c-x2k2z")]);
        let query = Query::parse(query).expect(query);
        let line = LineView::new(&labels, Level::Error, text.as_bytes());
        assert_eq!(
            query.filter.matches(&line),
            expected,
            "{query:?} on {text:?}"
        );
    }

    #[test]
    fn words_phrases_and_operators() {
        check("", "anything", true);
        check("*", "", true);
        check("timeout upstream", "Upstream TIMEOUT", true);
        check("timeout -upstream", "Upstream TIMEOUT", false);
        check("\"out of memory\"", "killed: Out of Memory.", true);
        check("\"out of memory\"", "out of the memory", false);
        check("foo or bar baz", "foo", true);
        check("(foo or bar) baz", "foo", false);
        check("time*", "timeouts", true);
        check("*time*", "runtimes", true);
        check("fo*ar", "a foobar b", true);
        check("/t[aeiou]m/", "item tom", true);
        check("/T[aeiou]m/", "item tom", false);
        check("/T[aeiou]m/i", "item tom", true);
    }

    #[test]
    fn labels_levels_and_fields() {
        let json = r#"{"msg":"Slow query done","status":503,"took":"1.5s","tags":["a","b"],"http":{"path":"/x"},"e":""}"#;
        check("ns:media", json, true);
        check("pod:jellyfin*", json, true);
        check("pod:*x2k2z", json, true);
        check("pod:x2k2z", json, false);
        check("level:error", json, true);
        check("level:warn..", json, true);
        check("level:>error", json, false);
        check("level:<=warn", json, false);
        check("level:/^(warn|error)$/", json, true);
        check("status:503", json, true);
        check("status:>=500", json, true);
        check("status:500..599", json, true);
        check("status>=504", json, false);
        check("status:(500 or 503)", json, true);
        check("took:>100ms", json, true);
        check("took:<1s", json, false);
        check("tags:b", json, true);
        check("-tags:b", json, false);
        check("http.path:/x", json, true);
        check("http.path:/^.x$/", json, true);
        check("e:*", json, false);
        check("e:\"\"", json, true);
        check("nothing:\"\"", json, true);
        check("status:*", json, true);
        check("msg:query", json, true);
        check("message:\"slow query\"", json, true);
        check("msg:slo", json, false);
        check("msg:slo*", json, true);
        check("msg:panic", "a panic happened", true);
        check("status=503", json, true);
        check("status=503", "plain status=503 text", true);
        check("status!=503", json, false);
        check("status:abc", json, false);
        check("status:abc", "status=ABC x", true);
    }

    #[test]
    fn label_matchers_do_not_look_into_the_line() {
        let check = |op, value: &str, expected| {
            let labels = Labels::from_pairs([("namespace", "Media")]);
            let line = LineView::new(&labels, Level::Error, b"pod=a namespace=b");
            for name in ["namespace", "pod"] {
                let matcher = Matcher::new(name, op, value).expect(value);
                let wanted = expected == name;
                assert_eq!(
                    Filter::Label(matcher).matches(&line),
                    wanted,
                    "{name} {value}"
                );
            }
        };
        check(MatchOp::Equal, "Media", "namespace");
        check(MatchOp::Equal, "media", "none");
        check(MatchOp::Equal, "", "pod");
        check(MatchOp::Regex, "M.*", "namespace");
        check(MatchOp::NotEqual, "", "namespace");
    }

    #[test]
    fn a_name_behind_an_escape_is_found() {
        check("caf\u{e9}:1", "{\"caf\\u00e9\":1}", true);
    }

    proptest! {
        #[test]
        fn the_fast_path_of_fields_changes_nothing(
            name in "[a-c.]{1,4}",
            text in r#"(\{"[a-c.]{1,3}":[0-9],"b":\{"[a-c]":1\}\}|([a-c.]{1,3}=[0-9] ?){1,3})"#,
        ) {
            let labels = Labels::empty();
            let line = LineView::new(&labels, Level::Info, text.as_bytes());
            let plainly = LineFields::of(text.as_bytes()).values(&name).any(|v| !v.is_empty());
            prop_assert_eq!(line.field(&name, &FieldTest::Exists), plainly);
        }
    }
}
