//! Reads what stands behind a field's name, and knows the fields that have short names.

use model::Level;
use regex::escape;

use crate::needle::Needle;
use crate::number::parse_number;
use crate::parse::{Parser, compile_regex};
use crate::query::{Bound, FieldTest, Filter, LEVEL, MESSAGE, QueryError};
use crate::term::ends_term;

/// Short names with the fields that they stand for.
const SHORT_NAMES: &[(&str, &str)] = &[
    ("ns", "namespace"),
    ("po", "pod"),
    ("c", "container"),
    ("lvl", LEVEL),
    ("msg", MESSAGE),
];

/// Fields of which everybody knows that they are fields, so that `pod: x` is a slip and not text.
const KNOWN_FIELDS: &[&str] = &[LEVEL, "namespace", "pod", "container", "app", "node"];

/// Levels whose names are so similar are taken for a slip of the finger.
const SIMILAR: f64 = 0.7;

/// The full name of a field.
pub(crate) fn resolve_name(name: &str) -> &str {
    SHORT_NAMES
        .iter()
        .find(|(short, _)| *short == name)
        .map_or(name, |(_, full)| full)
}

/// Whether a colon behind this name can mean nothing else.
pub(crate) fn is_known_field(name: &str) -> bool {
    KNOWN_FIELDS.contains(&name)
}

impl Parser<'_> {
    /// A test of a field, at its first character.
    pub(crate) fn value(&mut self, name: &str) -> Result<Filter, QueryError> {
        let start = self.at;
        match self.peek() {
            Some('(') => return self.group(Some(name)),
            Some('"') => {
                let text = self.quoted()?;
                if self.peek() == Some('*') {
                    self.at += 1;
                    return Ok(begins(name, &text));
                }
                return self.equal(name, &text, start);
            }
            Some('\'') => {
                if let Some(text) = self.single_quoted() {
                    return self.equal(name, text, start);
                }
            }
            Some('/') => {
                if let Some(regex) = self.regex()? {
                    return Ok(field(name, FieldTest::Regex(regex)));
                }
            }
            Some('<' | '>') => {
                if let Some(filter) = self.comparison(name)? {
                    return Ok(filter);
                }
                let value = self.bare()?;
                return Err(self.error(
                    start,
                    format!("a number must follow here, such as {name}:>=500 or {name}:>1.5s"),
                    self.replaced(
                        start..start + value.len(),
                        value.trim_start_matches(['<', '>', '=']),
                    ),
                ));
            }
            Some('=') => {
                self.at += 1;
                return self.value_or_missing(name);
            }
            Some('!') => {
                self.at += 1;
                if self.peek() == Some('=') {
                    self.at += 1;
                }
                self.descend()?;
                let filter = self.value_or_missing(name)?;
                self.ascend();
                return Ok(Filter::Not(Box::new(filter)));
            }
            _ => {}
        }
        let text = self.bare()?;
        if text.chars().all(|c| c == '*') && !text.is_empty() {
            return Ok(exists(name));
        }
        if let Some(filter) = self.range(name, text, start)? {
            return Ok(filter);
        }
        match (text.find('*'), text.strip_suffix('*')) {
            (None, _) => self.equal(name, text, start),
            (Some(star), Some(stem)) if star == stem.len() && name != LEVEL => {
                Ok(begins(name, stem))
            }
            _ if name == LEVEL => Err(self.no_level(text, start)),
            _ => {
                let parts: Vec<String> = text.split('*').map(escape).collect();
                compile_regex(&format!("^(?is:{})$", parts.join(".*")))
                    .map(|regex| field(name, FieldTest::Regex(regex)))
                    .map_err(|reason| self.error(start, reason, None))
            }
        }
    }

    fn value_or_missing(&mut self, name: &str) -> Result<Filter, QueryError> {
        if ends_term(self.rest()) {
            return Err(self.error(
                self.at.saturating_sub(1),
                format!("a value for {name} is missing here"),
                None,
            ));
        }
        self.value(name)
    }

    /// `name=value`, at the value: the field, or that very text.
    pub(crate) fn equals(&mut self, typed: &str, name: &str) -> Result<Filter, QueryError> {
        let start = self.at;
        if self.peek() != Some('"') && !self.rest().starts_with(['*', '/']) && name != LEVEL {
            let text = self.bare()?;
            if !text.contains('*') {
                let literal = format!("{typed}={text}");
                let test = self.equal(name, text, start)?;
                return Ok(or_literal(test, &literal));
            }
            self.at = start;
        }
        let quoted = self.peek() == Some('"');
        let test = self.value(name)?;
        if quoted && name != LEVEL {
            let literal = self.text.get(start..self.at).unwrap_or_default();
            return Ok(or_literal(test, &format!("{typed}={literal}")));
        }
        Ok(test)
    }

    fn equal(&self, name: &str, text: &str, start: usize) -> Result<Filter, QueryError> {
        if name == LEVEL {
            let level = self.level(text, start)?;
            return Ok(Filter::Level(level, level));
        }
        if text.is_empty() {
            return Ok(Filter::Not(Box::new(exists(name))));
        }
        Ok(match Needle::whole(text) {
            Some(needle) if name == MESSAGE => field(name, FieldTest::Contains(needle)),
            _ => field(name, FieldTest::Equal(text.to_owned())),
        })
    }

    /// `>=500`, `<1.5s`, `>warn`, at the sign; `None` when no number follows.
    pub(crate) fn comparison(&mut self, name: &str) -> Result<Option<Filter>, QueryError> {
        let start = self.at;
        let rest = self.rest();
        let sign = ["<=", ">=", "<", ">"]
            .into_iter()
            .find(|sign| rest.starts_with(sign))
            .unwrap_or_default();
        self.at += sign.len();
        if !self.rest().trim_start().starts_with('|') {
            self.skip_space();
        }
        let value_at = self.at;
        let text = self.bare()?;
        if name == LEVEL {
            let level = self.level(text, value_at)?;
            let number = level as u8;
            let (from, to) = match sign {
                ">=" => (level, Level::Fatal),
                ">" => (Level::from_number(number + 1), Level::Fatal),
                "<=" => (Level::Trace, level),
                _ => (Level::Trace, Level::from_number(number.saturating_sub(1))),
            };
            if from > to || from == Level::Unknown || to == Level::Unknown {
                let suggestion = self.replaced(start..self.at, level.as_str());
                return Err(self.error(start, format!("no level is {sign} {level}"), suggestion));
            }
            return Ok(Some(Filter::Level(from, to)));
        }
        let Some(number) = parse_number(text) else {
            self.at = start;
            return Ok(None);
        };
        let (from, to) = match sign {
            ">=" => (Bound::Included(number), Bound::Open),
            ">" => (Bound::Excluded(number), Bound::Open),
            "<=" => (Bound::Open, Bound::Included(number)),
            _ => (Bound::Open, Bound::Excluded(number)),
        };
        Ok(Some(field(name, FieldTest::Range(from, to))))
    }

    /// `10..20`, `10..`, `..20`, `error..`; `None` when this is another text with two dots.
    fn range(&self, name: &str, text: &str, start: usize) -> Result<Option<Filter>, QueryError> {
        let Some((from, to)) = text.split_once("..") else {
            return Ok(None);
        };
        if from.is_empty() && to.is_empty() {
            return Ok(None);
        }
        if name == LEVEL {
            let low = match from {
                "" => Level::Trace,
                from => self.level(from, start)?,
            };
            let high = match to {
                "" => Level::Fatal,
                to => self.level(to, start + from.len() + 2)?,
            };
            if low > high {
                let turned = self.replaced(start..start + text.len(), &format!("{to}..{from}"));
                return Err(self.error(start, format!("{low} is worse than {high}"), turned));
            }
            return Ok(Some(Filter::Level(low, high)));
        }
        let bound = |text: &str| match text {
            "" => Some(Bound::Open),
            text => parse_number(text).map(Bound::Included),
        };
        let (Some(low), Some(high)) = (bound(from), bound(to)) else {
            return Ok(None);
        };
        if let (Bound::Included(a), Bound::Included(b)) = (low, high)
            && a > b
        {
            let turned = self.replaced(start..start + text.len(), &format!("{to}..{from}"));
            return Err(self.error(start, format!("{from} is more than {to}"), turned));
        }
        Ok(Some(field(name, FieldTest::Range(low, high))))
    }

    fn level(&self, text: &str, start: usize) -> Result<Level, QueryError> {
        text.parse().map_err(|_| self.no_level(text, start))
    }

    fn no_level(&self, text: &str, start: usize) -> QueryError {
        let lower = text.to_lowercase();
        let closest = Level::ALL
            .into_iter()
            .map(|level| (strsim::jaro_winkler(&lower, level.as_str()), level))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|(similar, _)| *similar >= SIMILAR);
        let suggestion =
            closest.and_then(|(_, level)| self.replaced(start..start + text.len(), level.as_str()));
        self.error(
            start,
            "not a level: write trace, debug, info, warn, error, fatal or unknown, or a range \
             such as level:warn..",
            suggestion,
        )
    }
}

fn field(name: &str, test: FieldTest) -> Filter {
    Filter::Field {
        name: name.to_owned(),
        test,
    }
}

/// The value is there; of a level, that it is known.
fn exists(name: &str) -> Filter {
    if name == LEVEL {
        Filter::Level(Level::Trace, Level::Fatal)
    } else {
        field(name, FieldTest::Exists)
    }
}

fn begins(name: &str, text: &str) -> Filter {
    match Needle::prefix(text) {
        None => exists(name),
        Some(needle) if name == MESSAGE => field(name, FieldTest::Contains(needle)),
        Some(_) => field(name, FieldTest::Prefix(text.to_owned())),
    }
}

fn or_literal(test: Filter, literal: &str) -> Filter {
    match Needle::whole(literal) {
        Some(needle) => Filter::Or(vec![test, Filter::Phrase(needle)]),
        None => test,
    }
}
