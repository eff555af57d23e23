//! Writes a query back as text that means the same.

use std::fmt::{self, Write};

use model::Level;

use crate::query::{Bound, FieldTest, Filter, LEVEL, MESSAGE, Query};
use crate::term::{field_name, reads_as_comparison};
use crate::value::resolve_name;

impl Query {
    /// The query as text, in one fixed way of writing: two texts that mean the same word for word
    /// give the same. Parsed again it gives the same query.
    pub fn text(&self) -> String {
        let mut out = self.filter.to_string();
        for pipe in &self.pipes {
            out.push_str(" | ");
            out.push_str(&pipe.to_string());
        }
        out
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::And(all) => joined(f, all, " ", |filter| {
                matches!(filter, Self::And(_) | Self::Or(_))
            }),
            Self::Or(any) => joined(f, any, " or ", |filter| matches!(filter, Self::Or(_))),
            Self::Not(filter) => {
                f.write_char('-')?;
                let bare = !matches!(**filter, Self::And(_) | Self::Or(_) | Self::Not(_))
                    && !filter.to_string().starts_with(['-', '=', '>']);
                in_brackets(f, filter, !bare)
            }
            Self::Word(needle) => f.write_str(&word(needle)),
            Self::Prefix(needle) => f.write_str(&starred(needle, |text| {
                parsed(text).is_some_and(|filter| matches!(filter, Self::Prefix(_)))
            })),
            Self::Phrase(needle) => f.write_str(&quoted(needle)),
            Self::Regex(regex) => f.write_str(&slashed(regex.as_str())),
            Self::Level(from, to) => {
                write!(f, "{LEVEL}:")?;
                match (from, to) {
                    (from, to) if from == to => write!(f, "{from}"),
                    (from, Level::Fatal) => write!(f, "{from}.."),
                    (Level::Trace, to) => write!(f, "..{to}"),
                    (from, to) => write!(f, "{from}..{to}"),
                }
            }
            // The language has no words for it; Loki's are read by whoever looks at a plan.
            Self::Label(matcher) => write!(f, "{{{matcher}}}"),
            Self::Field { name, test } => {
                f.write_str(&written_name(name))?;
                f.write_char(':')?;
                f.write_str(&written_test(name, test))
            }
        }
    }
}

fn joined(
    f: &mut fmt::Formatter<'_>,
    filters: &[Filter],
    with: &str,
    needs_brackets: fn(&Filter) -> bool,
) -> fmt::Result {
    for (i, filter) in filters.iter().enumerate() {
        if i > 0 {
            f.write_str(with)?;
        }
        in_brackets(f, filter, needs_brackets(filter))?;
    }
    Ok(())
}

fn in_brackets(f: &mut fmt::Formatter<'_>, filter: &Filter, brackets: bool) -> fmt::Result {
    if brackets {
        write!(f, "({filter})")
    } else {
        write!(f, "{filter}")
    }
}

fn parsed(text: &str) -> Option<Filter> {
    Query::parse(text).ok().map(|query| query.filter)
}

/// A word as it is, or in quotes where it would be read as something else.
fn word(text: &str) -> String {
    match parsed(text) {
        Some(Filter::Word(needle)) if *needle == *text && stands_alone(text) => text.to_owned(),
        _ => quoted(text),
    }
}

/// Whether a word reads the same whatever follows it: an open bracket, quote or slash would go on
/// to a closing one further right.
fn stands_alone(text: &str) -> bool {
    let open_slash = text
        .strip_prefix('/')
        .is_some_and(|rest| !rest.contains('/') || rest.contains('\\'));
    text.matches('(').count() == text.matches(')').count()
        && !text.starts_with('\'')
        && !open_slash
        && !reads_as_comparison(text)
}

fn starred(text: &str, holds: impl Fn(&str) -> bool) -> String {
    let plain = format!("{text}*");
    if !text.contains(['*', '"', '|']) && stands_alone(text) && holds(&plain) {
        plain
    } else {
        format!("{}*", quoted(text))
    }
}

pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

pub(crate) fn slashed(pattern: &str) -> String {
    let mut out = String::from("/");
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '/' => out.push_str("\\/"),
            '\\' => {
                out.push('\\');
                out.extend(chars.next());
            }
            c => out.push(c),
        }
    }
    out.push('/');
    out
}

/// A field's name as it is, or in quotes.
pub(crate) fn written_name(name: &str) -> String {
    // A name that the parser would resolve to another cannot be written without quotes; in quotes
    // it would be resolved too, but such names never come out of the parser.
    if field_name(name) == name
        && !name.is_empty()
        && resolve_name(name) == name
        && (name == LEVEL || parsed(&format!("{name}:x")).is_some_and(|f| is_field(&f, name)))
    {
        name.to_owned()
    } else {
        quoted(name)
    }
}

fn is_field(filter: &Filter, wanted: &str) -> bool {
    matches!(filter, Filter::Field { name, .. } if name == wanted)
}

/// A value as it is, or in quotes where it would be read as something else.
pub(crate) fn written_value(name: &str, value: &str) -> String {
    let same = |filter: Filter| match filter {
        Filter::Level(from, to) => name == LEVEL && from == to,
        Filter::Field { name: n, test } => {
            n == name
                && match test {
                    FieldTest::Equal(text) => text == value,
                    FieldTest::Contains(needle) => *needle == *value && !value.ends_with('*'),
                    _ => false,
                }
        }
        _ => false,
    };
    let plain = format!("{}:{value}", written_name(name));
    let safe = !value.starts_with(['"', '(', '=', '!']) && stands_alone(value);
    if safe && parsed(&plain).is_some_and(same) {
        value.to_owned()
    } else {
        quoted(value)
    }
}

fn written_test(name: &str, test: &FieldTest) -> String {
    match test {
        FieldTest::Exists => "*".to_owned(),
        FieldTest::Equal(value) => written_value(name, value),
        FieldTest::Prefix(start) => starred_value(name, start),
        FieldTest::Contains(needle) if needle.is_prefix() && name == MESSAGE => {
            starred_value(name, needle)
        }
        FieldTest::Contains(needle) => written_value(name, needle),
        FieldTest::Regex(regex) => slashed(regex.as_str()),
        FieldTest::Range(from, to) => match (from, to) {
            (Bound::Included(from), Bound::Included(to)) => format!("{from}..{to}"),
            (from, Bound::Open) => lower(*from),
            (Bound::Open, to) => upper(*to),
            (from, to) => format!("({} {})", lower(*from), upper(*to)),
        },
    }
}

fn starred_value(name: &str, start: &str) -> String {
    starred(start, |text| {
        matches!(
            parsed(&format!("{}:{text}", written_name(name))),
            Some(Filter::Field {
                test: FieldTest::Prefix(_) | FieldTest::Contains(_),
                ..
            })
        )
    })
}

fn lower(bound: Bound) -> String {
    match bound {
        Bound::Open => "*".to_owned(),
        Bound::Included(number) => format!(">={number}"),
        Bound::Excluded(number) => format!(">{number}"),
    }
}

fn upper(bound: Bound) -> String {
    match bound {
        Bound::Open => "*".to_owned(),
        Bound::Included(number) => format!("<={number}"),
        Bound::Excluded(number) => format!("<{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn writes_one_way_of_saying_it() {
        let check = |text: &str, expected: &str| {
            let query = Query::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(query.text(), expected, "{text}");
            let again =
                Query::parse(expected).unwrap_or_else(|error| panic!("{expected}: {error}"));
            assert_eq!(again.text(), expected);
        };
        check("", "*");
        check("  error   timeout ", "error timeout");
        check("a AND b OR c", "a b or c");
        check("a and (b or c)", "a (b or c)");
        check("NOT a !b -c", "-a -b -c");
        check("-(a b)", "-(a b)");
        check("ns:media app:\"jellyfin\"", "namespace:media app:jellyfin");
        check("app:\"a b\"", "app:\"a b\"");
        check("level:>=warn", "level:warn..");
        check("level:<=warn", "level:..warn");
        check("lvl:ERR", "level:error");
        check("status:>=500", "status:>=500");
        check("status:500..599", "status:500..599");
        check("took:>1.5s", "took:>1.5");
        check("pod:web*", "pod:web*");
        check("msg:\"out of\"", "message:\"out of\"");
        check("msg:time*", "message:time*");
        check("/a\\/b/", "/a\\/b/");
        check("time*", "time*");
        check("\"a b\"*", "\"a b\"*");
        check("12:30:05", "12:30:05");
        check("http://a/b?c=d", "http://a/b?c=d");
        check("\"or\"", "\"or\"");
        check("\"weird name\":x", "\"weird name\":x");
        check("'it is'", "\"it is\"");
        check("path:\"/a/\"", "path:\"/a/\"");
    }

    proptest! {
        #[test]
        fn what_is_written_means_the_same(text in r#"([a-c]|or|and|NOT|level|ns|msg|x|:|=|-|!|\(|\)|"|/|\*|\.\.|5|>|<| |\\|'|\{|\}){0,14}"#) {
            if let Ok(query) = Query::parse(&text) {
                let written = query.text();
                let again = Query::parse(&written);
                prop_assert!(again.is_ok(), "{text:?} was written {written:?}: {again:?}");
                let again = again.expect("checked").text();
                prop_assert_eq!(&again, &written, "from {:?}", text);
            }
        }
    }
}
