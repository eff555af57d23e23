//! Native histograms as tests write them: `{{schema:1 count:3 sum:4.5 buckets:[1 2]}}`, and
//! sequences of them: `{{…}}x3` for four of the same, `{{…}}+{{…}}x3` for one that grows.
//!
//! It is the notation of Prometheus' own tests and of `promtool test rules`.

use std::collections::BTreeMap;

use model::{Buckets, Histogram, ResetHint, Span};

/// Buckets lie between these offsets: far beyond what a float can hold, far from overflowing.
const OFFSET_MAX: i32 = 1 << 20;

/// A histogram that somebody wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct Literal {
    /// As written; what is left out is 0.
    pub histogram: Histogram,
    /// Whether it says what is known about resets: only then that is compared.
    pub says_reset: bool,
}

/// Where a histogram or a sequence of them ends that a text begins with: at a blank that lies in
/// none, or at the text's end. `None` where it does not begin with `{{`.
pub fn literal_end(text: &str) -> Option<usize> {
    let closed = |from: usize| {
        let rest = text.get(from..).filter(|rest| rest.starts_with("{{"))?;
        Some(from + rest.find("}}").map_or(rest.len(), |at| at + 2))
    };
    let mut end = closed(0)?;
    let is_sign = |end: usize| matches!(text.as_bytes().get(end), Some(b'+' | b'-'));
    while is_sign(end)
        && let Some(next) = closed(end + 1)
    {
        end = next;
    }
    let rest = text.get(end..).unwrap_or_default();
    Some(end + rest.find(char::is_whitespace).unwrap_or(rest.len()))
}

/// Reads one histogram or a sequence of them, which may give `count_max` at most.
///
/// # Errors
/// A sentence that names the part that cannot be read.
pub fn literals(text: &str, count_max: usize) -> Result<Vec<Literal>, String> {
    let (body, times) = match text.rsplit_once("}}x") {
        Some((_, times)) => (
            text.get(..text.len() - times.len() - 1).unwrap_or_default(),
            times
                .parse::<usize>()
                .map_err(|_| format!("{text:?}: a number of times follows the x"))?,
        ),
        None => (text, 0),
    };
    if times >= count_max {
        return Err(format!("{text:?}: at most {count_max} values are read"));
    }
    let split = body.find("}}").map_or(body.len(), |at| at + 2);
    let (first, step) = body.split_at(split);
    let mut value = literal(first)?;
    let step = match (step.strip_prefix('+'), step.strip_prefix('-')) {
        (Some(step), _) => Some((literal(step)?, 1.0)),
        (_, Some(step)) => Some((literal(step)?, -1.0)),
        _ if step.is_empty() => None,
        _ => return Err(format!("{step:?} does not belong behind a histogram")),
    };
    let mut all = vec![value.clone()];
    for _ in 0..times {
        if let Some((step, sign)) = &step {
            value.histogram = add(&value.histogram, &step.histogram, *sign)?;
        }
        all.push(value.clone());
    }
    Ok(all)
}

/// Reads one histogram, braces included.
fn literal(text: &str) -> Result<Literal, String> {
    let mut rest = text
        .strip_prefix("{{")
        .and_then(|text| text.strip_suffix("}}"))
        .ok_or_else(|| format!("{text:?} is no histogram: write {{{{schema:0 count:1 …}}}}"))?
        .trim();
    let mut histogram = Histogram::default();
    let mut says_reset = false;
    let (mut offset, mut n_offset) = (0, 0);
    let (mut counts, mut n_counts) = (Vec::new(), Vec::new());
    while !rest.is_empty() {
        let (key, after) = rest
            .split_once(':')
            .ok_or_else(|| format!("{rest:?}: a colon and a value are missing"))?;
        let after = after.trim_start();
        let end = if after.starts_with('[') {
            after.find(']').map(|end| end + 1)
        } else {
            after.find(char::is_whitespace)
        };
        let (value, tail) = after.split_at(end.unwrap_or(after.len()));
        rest = tail.trim_start();
        match key.trim() {
            "schema" => histogram.schema = whole(value)?,
            "sum" => histogram.sum = number(value)?,
            "count" => histogram.count = number(value)?,
            "z_bucket" => histogram.zero_count = number(value)?,
            "z_bucket_w" => histogram.zero_threshold = number(value)?,
            "custom_values" => histogram.bounds = list(value)?.into(),
            "buckets" => counts = list(value)?,
            "offset" => offset = place(value)?,
            "n_buckets" => n_counts = list(value)?,
            "n_offset" => n_offset = place(value)?,
            "counter_reset_hint" => {
                says_reset = true;
                histogram.reset = hint(value)?;
            }
            other => {
                return Err(format!(
                    "{other:?} is no part of a histogram: schema, sum, count, z_bucket, \
                     z_bucket_w, custom_values, buckets, offset, n_buckets, n_offset and \
                     counter_reset_hint are"
                ));
            }
        }
    }
    histogram.positive = side(offset, counts);
    histogram.negative = side(n_offset, n_counts);
    Ok(Literal {
        histogram,
        says_reset,
    })
}

fn side(offset: i32, counts: Vec<f64>) -> Buckets {
    let length = counts.len() as u32;
    let span = Span { offset, length };
    Buckets {
        spans: if length == 0 { Vec::new() } else { vec![span] },
        counts,
    }
}

fn hint(text: &str) -> Result<ResetHint, String> {
    Ok(match text {
        "unknown" => ResetHint::Unknown,
        "reset" => ResetHint::Reset,
        "not_reset" => ResetHint::NotReset,
        "gauge" => ResetHint::Gauge,
        _ => {
            return Err(format!(
                "{text:?} is no counter_reset_hint: unknown, reset, not_reset and gauge are"
            ));
        }
    })
}

fn list(text: &str) -> Result<Vec<f64>, String> {
    let inside = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .ok_or_else(|| format!("{text:?} is no list: write [1 2 3]"))?;
    inside.split_whitespace().map(number).collect()
}

fn whole(text: &str) -> Result<i32, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no whole number"))
}

fn place(text: &str) -> Result<i32, String> {
    let place = whole(text)?;
    if !(-OFFSET_MAX..=OFFSET_MAX).contains(&place) {
        return Err(format!("{text}: no bucket lies so far out"));
    }
    Ok(place)
}

fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

/// `a + sign * b`.
fn add(a: &Histogram, b: &Histogram, sign: f64) -> Result<Histogram, String> {
    let same_layout = a.schema == b.schema && a.bounds == b.bounds;
    if !same_layout || a.zero_threshold != b.zero_threshold && b.zero_count != 0.0 {
        return Err("the histograms of a sequence must have the same layout".to_owned());
    }
    let side = |a: &Buckets, b: &Buckets| {
        let mut sums: BTreeMap<i32, f64> = a.iter().collect();
        for (index, count) in b.iter() {
            *sums.entry(index).or_default() += sign * count;
        }
        Buckets::from_pairs(sums)
    };
    Ok(Histogram {
        zero_count: a.zero_count + sign * b.zero_count,
        count: a.count + sign * b.count,
        sum: a.sum + sign * b.sum,
        positive: side(&a.positive, &b.positive),
        negative: side(&a.negative, &b.negative),
        ..a.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_grows_by_its_step() {
        let text = "{{schema:1 count:3 sum:4.5 offset:1 buckets:[1 2]}}\
                    +{{schema:1 count:1 sum:0.5 offset:2 buckets:[1]}}x2";
        assert_eq!(literal_end(&format!("{text} 7")), Some(text.len()));
        let all = literals(text, 10).expect("a sequence");
        let counts: Vec<f64> = all.iter().map(|l| l.histogram.count).collect();
        assert_eq!(counts, [3.0, 4.0, 5.0]);
        let last: Vec<(i32, f64)> = all[2].histogram.positive.iter().collect();
        assert_eq!(last, [(1, 1.0), (2, 4.0)]);
        assert_eq!(all[2].histogram.sum, 5.5);
        assert!(!all[0].says_reset);
        let same = literals("{{count:1 counter_reset_hint:gauge}}x1", 10).expect("two");
        assert_eq!(same.len(), 2);
        assert_eq!(same[0], same[1]);
        assert!(same[0].says_reset && same[0].histogram.reset == ResetHint::Gauge);
        assert_eq!(literals("{{}}", 1).map(|all| all.len()), Ok(1));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let check = |text: &str, named: &str| {
            let error = literals(text, 100).expect_err(text);
            assert!(error.contains(named), "{text}: {error}");
        };
        check("{{count:x}}", "\"x\" is no number");
        check("{{count 1}}", "colon");
        check("{{counts:1}}", "\"counts\"");
        check("{{buckets:1}}", "\"1\" is no list");
        check("{{buckets:[1}}", "list");
        check("{{offset:2000000000 buckets:[1 2]}}", "so far out");
        check("{{schema:1}}xa", "times");
        check("{{schema:1}}x100", "at most 100");
        check("{{schema:1}}*{{schema:1}}", "behind a histogram");
        check("{{schema:1}}+{{schema:2}}x1", "same layout");
        check("{{schema:1", "no histogram");
        check("{{counter_reset_hint:maybe}}", "\"maybe\"");
        assert_eq!(literal_end("1 {{}}"), None);
        assert_eq!(literal_end("{{count:1"), Some("{{count:1".len()));
    }
}
