//! What of a log query the store itself can decide: the selector, and line filters on the line as
//! it was written. The rest are stages ([`super::pipeline`]).
//!
//! - A selector looks at labels alone. Yagura's streams have no label `level`; a matcher on
//!   `level` or `detected_level` looks at the level of each line where the stream has none, so
//!   that `{level="error"}` finds what people mean.
//! - `| json | status="500"` stays a stage, but a line that does not hold `500` need not be parsed.
//! - `|= "text"` is exact, bytes and case. The part of the text between its first and its last
//!   space or sign is also a phrase of whole words: the index can look for that.

use model::{Level, MatchOp, Matcher};

use super::ast::{LabelFilter, LineFilter, LineNeedle, LineOp, LogExpr, Stage};
use super::pipeline::labels::DETECTED_LEVEL;
use super::re2;
use crate::needle::Needle;
use crate::parse::compile_regex;
use crate::query::{Filter, LEVEL};

/// The store's filter for a log query, and the stages that are left.
pub(super) fn lower(log: &LogExpr) -> Result<(Filter, Vec<Stage>), String> {
    let mut all: Vec<Filter> = log.selector.iter().map(of_matcher).collect();
    let mut rest = Vec::new();
    let mut rewritten = false;
    let mut relabelled = false;
    for stage in &log.stages {
        match stage {
            Stage::Line(filter) if !rewritten && !has_ip(filter) => {
                all.push(of_line(filter)?);
                continue;
            }
            Stage::LineFormat(_) | Stage::Decolorize | Stage::Unpack => rewritten = true,
            Stage::LabelFormat(_) | Stage::Drop(_) | Stage::Keep(_) => relabelled = true,
            Stage::LabelFilter(filter) if !rewritten && !relabelled => {
                all.extend(implied(filter)?);
            }
            _ => {}
        }
        rest.push(stage.clone());
    }
    let filter = match all.len() {
        0 => Filter::All,
        1 => all.remove(0),
        _ => Filter::And(all),
    };
    Ok((filter, rest))
}

/// The filter of a selector alone.
pub(super) fn selector(matchers: &[Matcher]) -> Filter {
    Filter::And(matchers.iter().map(of_matcher).collect())
}

fn of_matcher(matcher: &Matcher) -> Filter {
    let label = Filter::Label(matcher.clone());
    if ![LEVEL, DETECTED_LEVEL].contains(&&*matcher.name) {
        return label;
    }
    // A stream that has the label decides by it; the lines of others by their own level.
    let has = Matcher::new(matcher.name.clone(), MatchOp::NotEqual, "");
    let Ok(has) = has.map(Filter::Label) else {
        return label;
    };
    let levels = Level::ALL
        .iter()
        .filter(|level| matcher.matches(level.as_str()))
        .map(|level| Filter::Level(*level, *level))
        .collect();
    Filter::Or(vec![
        Filter::And(vec![has.clone(), label]),
        Filter::And(vec![Filter::Not(Box::new(has)), Filter::Or(levels)]),
    ])
}

/// What a line must have so that a label filter can keep it, where that is known: a value that a
/// parser finds stands in the line as it is, unless a backslash writes it differently.
fn implied(filter: &LabelFilter) -> Result<Option<Filter>, String> {
    Ok(match filter {
        LabelFilter::And(a, b) => match (implied(a)?, implied(b)?) {
            (Some(a), Some(b)) => Some(Filter::And(vec![a, b])),
            (a, b) => a.or(b),
        },
        LabelFilter::Or(a, b) => implied(a)?
            .zip(implied(b)?)
            .map(|(a, b)| Filter::Or(vec![a, b])),
        LabelFilter::Text(matcher) if *matcher.name == *DETECTED_LEVEL => Some(of_matcher(matcher)),
        LabelFilter::Text(matcher)
            if matcher.op == MatchOp::Equal
                && !matcher.value.is_empty()
                && !matcher.name.starts_with("__")
                && !matcher.value.contains(char::REPLACEMENT_CHARACTER) =>
        {
            let has = Matcher::new(matcher.name.clone(), MatchOp::NotEqual, "");
            let has = has.map_err(|error| error.to_string())?;
            Some(Filter::Or(vec![
                Filter::Label(has),
                Filter::Regex(compile_regex(&regex::escape(&matcher.value))?),
                Filter::Regex(compile_regex(r"\\")?),
            ]))
        }
        _ => None,
    })
}

fn has_ip(filter: &LineFilter) -> bool {
    filter
        .any
        .iter()
        .any(|needle| matches!(needle, LineNeedle::Ip(_)))
}

fn of_line(filter: &LineFilter) -> Result<Filter, String> {
    let mut any = Vec::new();
    for needle in &filter.any {
        let LineNeedle::Text(text) = needle else {
            continue;
        };
        any.push(match filter.op {
            LineOp::Contains | LineOp::NotContains => exactly(text)?,
            LineOp::Matches | LineOp::NotMatches if text.is_empty() => Filter::All,
            LineOp::Matches | LineOp::NotMatches => Filter::Regex(re2::for_lines(text)?),
            LineOp::Pattern | LineOp::NotPattern => Filter::Regex(compile_regex(&shape(text))?),
        });
    }
    let any = if any.len() == 1 {
        any.remove(0)
    } else {
        Filter::Or(any)
    };
    Ok(if filter.op.is_negative() {
        Filter::Not(Box::new(any))
    } else {
        any
    })
}

/// These bytes occur in the text.
fn exactly(text: &str) -> Result<Filter, String> {
    if text.is_empty() {
        return Ok(Filter::All);
    }
    let exact = Filter::Regex(compile_regex(&regex::escape(text))?);
    let is_border = |c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && c != '_';
    let inner = text
        .find(is_border)
        .zip(text.rfind(is_border))
        .and_then(|(from, to)| text.get(from..=to))
        .filter(|inner| inner.chars().any(char::is_alphanumeric));
    Ok(match inner.and_then(Needle::whole) {
        Some(phrase) => Filter::And(vec![Filter::Phrase(phrase), exact]),
        None => exact,
    })
}

/// The regular expression of a line pattern.
fn shape(pattern: &str) -> String {
    let parts: Vec<String> = pattern.split("<_>").map(regex::escape).collect();
    format!("^(?s:{})$", parts.join(".*"))
}
