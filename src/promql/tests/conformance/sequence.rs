//! Series as scripts write them: `name{label="value"} 1 2+3x4 _ stale`.

use model::{Labels, stale_nan};

/// A value of a sequence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Item {
    /// A number, or the stale marker.
    Value(f64),
    /// Nothing at this time.
    Missing,
    /// A native histogram.
    Histogram,
}

/// A series with its values.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) labels: Labels,
    pub(crate) items: Vec<Item>,
}

impl Line {
    /// Whether it has native histograms.
    pub(crate) fn has_histograms(&self) -> bool {
        self.items.contains(&Item::Histogram)
    }
}

/// Reads a series with its values.
pub(crate) fn parse(text: &str) -> Result<Line, String> {
    let name_end = text.find(['{', ' ', '\t']).unwrap_or(text.len());
    let (name, mut rest) = text.split_at(name_end);
    let mut pairs: Vec<(String, String)> = Vec::new();
    if !name.is_empty() {
        pairs.push(("__name__".to_owned(), name.to_owned()));
    }
    if let Some(inside) = rest.strip_prefix('{') {
        rest = labels(inside, &mut pairs)?;
    }
    Ok(Line {
        labels: Labels::from_pairs(pairs),
        items: items(rest)?,
    })
}

/// Reads `a="b", c="d"}` and returns what follows.
fn labels<'t>(mut rest: &'t str, pairs: &mut Vec<(String, String)>) -> Result<&'t str, String> {
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Ok(rest);
        }
        let (name, after) = rest
            .split_once('=')
            .ok_or_else(|| format!("no = in {rest:?}"))?;
        let quote = after.chars().next().unwrap_or(' ');
        let mut value = String::new();
        let mut chars = after.char_indices().skip(1);
        loop {
            match chars.next() {
                Some((i, c)) if c == quote => {
                    rest = &after[i + 1..];
                    break;
                }
                Some((_, '\\')) => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, c)) => value.push(c),
                    None => return Err(format!("{after:?} ends in a backslash")),
                },
                Some((_, c)) => value.push(c),
                None => return Err(format!("no closing quote in {after:?}")),
            }
        }
        pairs.push((name.trim().trim_matches('"').to_owned(), value));
    }
}

/// Reads values, repetitions spelled out.
fn items(text: &str) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = if rest.starts_with("{{") {
            // A histogram has spaces inside; `+{{…}}x5` may follow.
            let mut end = rest.find("}}").map_or(rest.len(), |i| i + 2);
            while rest[end..].starts_with(['+', '-']) && rest[end + 1..].starts_with("{{") {
                end += rest[end..].find("}}").map_or(rest.len() - end, |i| i + 2);
            }
            end + rest[end..].find([' ', '\t']).unwrap_or(rest.len() - end)
        } else {
            rest.find([' ', '\t']).unwrap_or(rest.len())
        };
        item(&rest[..end], &mut items)?;
        rest = rest[end..].trim_start();
    }
    Ok(items)
}

fn item(text: &str, items: &mut Vec<Item>) -> Result<(), String> {
    let (body, times) = match text.rsplit_once('x') {
        Some((body, times)) => (
            body,
            Some(times.parse::<usize>().map_err(|e| format!("{text}: {e}"))?),
        ),
        None => (text, None),
    };
    if body.starts_with("{{") {
        items.extend(vec![Item::Histogram; times.map_or(1, |n| n + 1)]);
    } else if body == "_" {
        items.extend(vec![Item::Missing; times.unwrap_or(1)]);
    } else if body == "stale" {
        items.extend(vec![Item::Value(stale_nan()); times.map_or(1, |n| n + 1)]);
    } else {
        let bytes = body.as_bytes();
        let sign = (1..bytes.len())
            .find(|i| matches!(bytes[*i], b'+' | b'-') && !matches!(bytes[i - 1], b'e' | b'E'));
        let (start, step) = match (sign, times) {
            (Some(i), Some(_)) => (number(&body[..i])?, number(&body[i..])?),
            _ => (number(body)?, 0.0),
        };
        let mut value = start;
        for _ in 0..=times.unwrap_or(0) {
            items.push(Item::Value(value));
            value += step;
        }
    }
    Ok(())
}

/// Reads a number.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("no number: {text:?}"))
}
