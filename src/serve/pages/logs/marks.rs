//! Marks in a line what the query looked for.

use std::fmt;
use std::ops::Range;

use askama::filters::HtmlSafe;
use log_query::{FieldTest, Filter, MESSAGE, Needle, Regex};

use crate::html::Escaped;

/// Marks in one line, at most: more do not help anybody to see.
const MARKS_MAX: usize = 50;

/// What a filter wants to find in texts.
#[derive(Default)]
pub(super) struct Marks<'q> {
    needles: Vec<&'q Needle>,
    regexes: Vec<&'q Regex>,
}

impl<'q> Marks<'q> {
    /// Collects the words, phrases and patterns that are wanted, not those that are not.
    pub(super) fn of(filter: &'q Filter) -> Self {
        let mut marks = Self::default();
        marks.add(filter);
        marks
    }

    fn add(&mut self, filter: &'q Filter) {
        match filter {
            Filter::And(filters) | Filter::Or(filters) => {
                for filter in filters {
                    self.add(filter);
                }
            }
            Filter::Word(needle) | Filter::Prefix(needle) | Filter::Phrase(needle) => {
                self.needles.push(needle);
            }
            Filter::Regex(regex) => self.regexes.push(regex),
            Filter::Field { name, test } if name == MESSAGE => match test {
                FieldTest::Contains(needle) => self.needles.push(needle),
                FieldTest::Regex(regex) => self.regexes.push(regex),
                _ => {}
            },
            Filter::All
            | Filter::Not(_)
            | Filter::Level(..)
            | Filter::Label(_)
            | Filter::Field { .. } => {}
        }
    }

    /// The words and phrases as a JSON array, for the script.
    pub(super) fn json(&self) -> String {
        let texts: Vec<&str> = self.needles.iter().map(|needle| needle.as_str()).collect();
        serde_json::to_string(&texts).unwrap_or_else(|_| "[]".to_owned())
    }

    /// Where to mark a text: ranges in order, apart from each other, at character borders.
    fn ranges(&self, text: &str) -> Vec<Range<usize>> {
        let bytes = text.as_bytes();
        let mut found = Vec::new();
        for needle in &self.needles {
            let mut from = 0;
            while let Some(range) = needle.find(bytes, from).filter(|_| found.len() < MARKS_MAX) {
                from = range.end;
                found.push(range);
            }
        }
        for regex in &self.regexes {
            let matches = regex.find_iter(bytes).map(|m| m.range());
            let room = MARKS_MAX.saturating_sub(found.len());
            found.extend(matches.filter(|range| !range.is_empty()).take(room));
        }
        found.retain(|r| text.is_char_boundary(r.start) && text.is_char_boundary(r.end));
        found.sort_by_key(|range| (range.start, range.end));
        let mut apart: Vec<Range<usize>> = Vec::new();
        for range in found {
            match apart.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => apart.push(range),
            }
        }
        apart
    }

    /// The text with its marks.
    pub(super) fn on(&self, text: String) -> Marked {
        Marked {
            ranges: self.ranges(&text),
            text,
        }
    }
}

/// A text with some parts marked, as HTML.
pub(super) struct Marked {
    text: String,
    ranges: Vec<Range<usize>>,
}

impl fmt::Display for Marked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut at = 0;
        let part = |range: Range<usize>| Escaped(self.text.get(range).unwrap_or_default());
        for range in &self.ranges {
            write!(
                f,
                "{}<mark>{}</mark>",
                part(at..range.start),
                part(range.clone())
            )?;
            at = range.end;
        }
        write!(f, "{}", part(at..self.text.len()))
    }
}

impl HtmlSafe for Marked {}

#[cfg(test)]
mod tests {
    use super::*;
    use log_query::Query;

    #[test]
    fn marks_what_was_looked_for_and_escapes_the_rest() {
        let check = |query: &str, text: &str, expected: &str| {
            let query = Query::parse(query).expect("valid");
            let marked = Marks::of(&query.filter).on(text.to_owned()).to_string();
            assert_eq!(marked, expected);
        };
        check(
            "error",
            "<b>Error</b>",
            "&lt;b&gt;<mark>Error</mark>&lt;/b&gt;",
        );
        check("a b -c", "a b c", "<mark>a</mark> <mark>b</mark> c");
        check("\"a b\" a", "a b", "<mark>a b</mark>");
        check(
            "msg:x or /[0-9]+/",
            "x 42",
            "<mark>x</mark> <mark>42</mark>",
        );
        check("é", "É<", "<mark>É</mark>&lt;");
        check("/x*/", "aaa", "aaa");
        check("level:error", "error", "error");
    }

    #[test]
    fn the_script_gets_the_words() {
        let query = Query::parse("a \"b \\\"c\" -d").expect("valid");
        assert_eq!(Marks::of(&query.filter).json(), r#"["a","b \"c"]"#);
    }
}
