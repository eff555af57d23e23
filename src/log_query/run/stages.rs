//! What pipes do to a single line: read more fields out of it, keep it or not.

use std::borrow::Cow;

use model::{Labels, Level};

use crate::fields::LineFields;
use crate::matches::LineView;
use crate::plan::{How, Parse, Pipe, TIME, Template};
use crate::query::{LEVEL, MESSAGE};

/// What the pipes so far have found out about a line beyond what it says itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Fields that were read out of it. They come before the line's own.
    pub(crate) fields: Vec<(String, String)>,
}

/// Takes a line through pipes that look at one line at a time; false when it is not kept.
pub(crate) fn pass(
    pipes: &[Pipe],
    labels: &Labels,
    level: &mut Level,
    text: &[u8],
    found: &mut Found,
) -> bool {
    pipes.iter().all(|pipe| match pipe {
        Pipe::Where(filter) => {
            filter.matches(&LineView::with_found(labels, *level, text, &found.fields))
        }
        Pipe::Parse(parse) => {
            let view = LineView::with_found(labels, *level, text, &found.fields);
            let source = match &parse.from {
                Some(field) => value(&view, 0, field).unwrap_or_default(),
                None => view.message(),
            };
            let new = read(parse, &source);
            drop(source);
            for (name, value) in new {
                if name == LEVEL
                    && let Ok(read) = value.parse()
                {
                    *level = read;
                }
                found.fields.retain(|(known, _)| *known != name);
                found.fields.push((name, value));
            }
            true
        }
        // What is shown does not change what is there; the names were checked.
        _ => true,
    })
}

/// A label, field or property of a line by its name.
pub(crate) fn value<'v>(view: &'v LineView<'_>, time_ns: i64, name: &str) -> Option<Cow<'v, str>> {
    if let Some((_, value)) = view.found.iter().find(|(known, _)| known == name) {
        return Some(Cow::Borrowed(value));
    }
    match name {
        TIME => Some(Cow::Owned(model::time::rfc3339_ns(time_ns))),
        LEVEL => Some(Cow::Borrowed(view.level.as_str())),
        name => match view.labels.get(name) {
            Some(value) => Some(Cow::Borrowed(value)),
            None if name == MESSAGE => Some(view.message()),
            None => view.fields().values(name).next().map(Cow::Borrowed),
        },
    }
}

/// The fields that a parser finds in a text. Of a name that comes twice the first counts.
fn read(parse: &Parse, text: &str) -> Vec<(String, String)> {
    match &parse.how {
        How::Json => {
            let start = text.find('{').unwrap_or(text.len());
            let object = text.get(start..).unwrap_or_default();
            // What stands behind the object does not matter.
            let fields = LineFields::of(object.as_bytes());
            if fields.form() == crate::Form::Json {
                return owned(&fields);
            }
            match object.rfind('}').and_then(|end| object.get(..=end)) {
                Some(object) => match LineFields::of(object.as_bytes()) {
                    fields if fields.form() == crate::Form::Json => owned(&fields),
                    _ => Vec::new(),
                },
                None => Vec::new(),
            }
        }
        How::Logfmt => {
            let mut pairs = Vec::new();
            crate::logfmt::pairs(text.as_bytes(), &mut pairs);
            first_of_each(pairs.iter().map(|(name, value)| (&**name, &**value)))
        }
        How::Pattern(template) => template.read(text),
        How::Regex(regex) => {
            let Some(captures) = regex.captures(text.as_bytes()) else {
                return Vec::new();
            };
            regex
                .capture_names()
                .flatten()
                .filter_map(|name| {
                    let value = String::from_utf8_lossy(captures.name(name)?.as_bytes());
                    Some((name.to_owned(), value.into_owned()))
                })
                .collect()
        }
    }
}

fn owned(fields: &LineFields<'_>) -> Vec<(String, String)> {
    first_of_each(fields.iter())
}

fn first_of_each<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    for (name, value) in pairs {
        // Few fields, as `FIELDS_MAX` bounds them: a scan is enough.
        if !out.iter().any(|(known, _)| known == name) {
            out.push((name.to_owned(), value.to_owned()));
        }
    }
    out
}

impl Template {
    /// The named holes as far as the text follows the template.
    pub(crate) fn read(&self, text: &str) -> Vec<(String, String)> {
        let mut out = Vec::new();
        let mut rest = match text.find(&self.before) {
            Some(at) => text.get(at + self.before.len()..).unwrap_or_default(),
            None => return out,
        };
        for (name, after) in &self.holes {
            let end = if after.is_empty() {
                rest.len()
            } else {
                match rest.find(after.as_str()) {
                    Some(end) => end,
                    // The literal at the very end may be cut short; in the middle it ends here.
                    None => return out,
                }
            };
            if let Some(name) = name {
                out.push((name.clone(), rest.get(..end).unwrap_or_default().to_owned()));
            }
            rest = rest.get(end + after.len()..).unwrap_or_default();
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Query;

    fn check(pipes: &str, text: &str, expected: &[(&str, &str)]) {
        let query = Query::parse(&format!("| {pipes}")).expect(pipes);
        let mut found = Found::default();
        let mut level = Level::Info;
        let labels = Labels::from_pairs([("pod", "web-1")]);
        assert!(pass(
            &query.pipes,
            &labels,
            &mut level,
            text.as_bytes(),
            &mut found
        ));
        let fields: Vec<_> = found
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(fields, expected, "{pipes} of {text}");
    }

    #[test]
    fn templates_follow_the_text_as_far_as_it_goes() {
        check(
            "parse \"<ip> - <user> [<_>] <rest>\"",
            "1.2.3.4 - ana [x y] GET /",
            &[("ip", "1.2.3.4"), ("user", "ana"), ("rest", "GET /")],
        );
        check(
            "parse \"took <took> ms\"",
            "it took 15 ms so",
            &[("took", "15")],
        );
        check("parse \"took <took> ms <x>\"", "it took 15 s", &[]);
        check("parse \"a=<a> b=<b>;\"", "a=1 b=2", &[("a", "1")]);
        check(
            "parse \"user=<user> <*>\"",
            "x user=ana did",
            &[("user", "ana")],
        );
    }

    #[test]
    fn other_parsers() {
        check(
            "parse /took (?P<took>[0-9]+)/",
            "it took 15 ms",
            &[("took", "15")],
        );
        check("parse /took (?P<took>[0-9]+)/", "nothing", &[]);
        check(
            "parse json",
            "12:00 got {\"a\":{\"b\":1}} x",
            &[("a.b", "1")],
        );
        check("parse json", "no object", &[]);
        check(
            "parse json from p",
            "{\"p\":\"{\\\"x\\\":5}\"}",
            &[("x", "5")],
        );
        check(
            "parse logfmt",
            "got a=1 b=\"x y\"",
            &[("a", "1"), ("b", "x y")],
        );
        check(
            "parse \"<app>-<n>\" from pod",
            "any",
            &[("app", "web"), ("n", "1")],
        );
    }

    #[test]
    fn what_was_parsed_is_found_by_where() {
        let query = Query::parse("| parse \"<level> took <took>\" | where took > 10ms level:warn")
            .expect("valid");
        let kept = |text: &[u8]| {
            pass(
                &query.pipes,
                &Labels::empty(),
                &mut Level::Info,
                text,
                &mut Found::default(),
            )
        };
        assert!(kept(b"WARNING took 15ms"));
        assert!(!kept(b"WARNING took 5ms"));
        assert!(!kept(b"INFO took 15ms"));
    }
}
