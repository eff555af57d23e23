//! Series as scripts write them: `name{label="value"} 1 2+3x4 _ stale`.

use model::{Labels, stale_nan};
use promql::native::{Literal, literal_end, literals};

/// The longest sequence of histograms.
const ITEMS_MAX: usize = 100_000;

/// A value of a sequence.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item {
    /// A number, or the stale marker.
    Value(f64),
    /// Nothing at this time.
    Missing,
    /// A native histogram.
    Histogram(Literal),
}

/// A series with its values.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) labels: Labels,
    pub(crate) items: Vec<Item>,
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

/// Reads `a="b", c="d"}` and returns what follows; a quoted text by itself is the metric's name.
fn labels<'t>(mut rest: &'t str, pairs: &mut Vec<(String, String)>) -> Result<&'t str, String> {
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Ok(rest);
        }
        let name;
        if rest.starts_with(['"', '\'', '`']) {
            (name, rest) = quoted(rest)?;
            rest = rest.trim_start();
            if !rest.starts_with('=') {
                pairs.push(("__name__".to_owned(), name));
                continue;
            }
        } else {
            let end = rest.find('=').ok_or_else(|| format!("no = in {rest:?}"))?;
            name = rest[..end].trim().to_owned();
            rest = &rest[end..];
        }
        let (value, after) = quoted(rest[1..].trim_start())?;
        pairs.push((name, value));
        rest = after;
    }
}

/// Reads a quoted text, as Go writes them, and returns what follows.
pub(crate) fn quoted(text: &str) -> Result<(String, &str), String> {
    let quote = text.chars().next().ok_or("a quoted text is missing")?;
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((i, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((value, &text[i + 1..])),
            '\\' if quote != '`' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, c)) => value.push(c),
                None => break,
            },
            c => value.push(c),
        }
    }
    Err(format!("no closing quote in {text:?}"))
}

/// Reads values, repetitions spelled out.
fn items(text: &str) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = if let Some(end) = literal_end(rest) {
            let all = literals(&rest[..end], ITEMS_MAX)?;
            items.extend(all.into_iter().map(Item::Histogram));
            end
        } else {
            let end = rest.find([' ', '\t']).unwrap_or(rest.len());
            item(&rest[..end], &mut items)?;
            end
        };
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
    if body == "_" {
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
    if let Some(hex) = text.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16)
            .map(|n| n as f64)
            .map_err(|_| format!("no number: {text:?}"));
    }
    text.parse().map_err(|_| format!("no number: {text:?}"))
}
