//! Native histograms as scripts write them: `{{schema:1 count:3 sum:4.5 buckets:[1 2]}}`.

use std::sync::Arc;

use model::{Buckets, Histogram, ResetHint, Span};

/// A histogram that a script writes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Literal {
    pub(crate) histogram: Histogram,
    /// Whether the script says what is known about resets: only then it is compared.
    pub(crate) says_reset: bool,
}

/// Reads what stands between `{{` and `}}`.
pub(crate) fn parse(text: &str) -> Result<Literal, String> {
    let mut histogram = Histogram::default();
    let mut says_reset = false;
    let (mut offset, mut n_offset) = (0, 0);
    let (mut counts, mut n_counts) = (Vec::new(), Vec::new());
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (key, after) = rest
            .split_once(':')
            .ok_or_else(|| format!("no colon in {rest:?}"))?;
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
            "offset" => offset = whole(value)?,
            "n_buckets" => n_counts = list(value)?,
            "n_offset" => n_offset = whole(value)?,
            "counter_reset_hint" => {
                says_reset = true;
                histogram.reset = hint(value)?;
            }
            other => return Err(format!("unknown part {other:?} of a histogram")),
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
        _ => return Err(format!("unknown hint {text:?}")),
    })
}

fn list(text: &str) -> Result<Vec<f64>, String> {
    let inside = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .ok_or_else(|| format!("no list: {text:?}"))?;
    inside.split_whitespace().map(number).collect()
}

fn whole(text: &str) -> Result<i32, String> {
    text.parse()
        .map_err(|_| format!("no whole number: {text:?}"))
}

fn number(text: &str) -> Result<f64, String> {
    super::sequence::number(text)
}

/// `a + sign * b`, as `{{…}}+{{…}}x3` counts on.
pub(crate) fn add(a: &Histogram, b: &Histogram, sign: f64) -> Result<Histogram, String> {
    let same_layout = a.schema == b.schema && a.bounds == b.bounds;
    if !same_layout || a.zero_threshold != b.zero_threshold && b.zero_count != 0.0 {
        return Err("histograms of a sequence must have the same layout".to_owned());
    }
    let side = |a: &Buckets, b: &Buckets| {
        let mut sums: std::collections::BTreeMap<i32, f64> = a.iter().collect();
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

/// A value in `le` and how many observations it counts, cumulative, as one with custom bounds.
pub(crate) fn of_classic(
    mut buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: Option<f64>,
) -> Option<Histogram> {
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let highest = buckets.last().map(|(_, count)| *count);
    let count = count.or(highest)?;
    if buckets.last().is_none_or(|(le, _)| le.is_finite()) {
        buckets.push((f64::INFINITY, count));
    }
    let bounds: Vec<f64> = buckets
        .iter()
        .map(|b| b.0)
        .filter(|le| le.is_finite())
        .collect();
    let mut before = 0.0;
    let counts = buckets.iter().map(|(_, cumulative)| {
        let count = cumulative - before;
        before = *cumulative;
        count
    });
    let pairs: Vec<(i32, f64)> = (0..).zip(counts).filter(|(_, n)| *n != 0.0).collect();
    Some(Histogram {
        schema: model::CUSTOM_BOUNDS_SCHEMA,
        count,
        sum: sum.unwrap_or(0.0),
        positive: Buckets::from_pairs(pairs),
        bounds: bounds.into(),
        ..Histogram::default()
    })
}

/// The hints that Prometheus' storage would tell of a series' histograms: within a chunk
/// counters go on, and a chunk ends where they do not.
pub(crate) fn store_hints(samples: &mut model::Samples) {
    let mut before: Option<(usize, Arc<Histogram>)> = None;
    for (at, histogram) in &mut samples.histograms {
        let follows = before
            .as_ref()
            .filter(|(index, _)| index + 1 == *at)
            .is_some_and(|(_, before)| goes_on(before, histogram));
        let reset = match histogram.reset {
            ResetHint::Gauge => ResetHint::Gauge,
            _ if follows => ResetHint::NotReset,
            _ => ResetHint::Unknown,
        };
        before = Some((*at, Arc::clone(histogram)));
        *histogram = Arc::new(Histogram {
            reset,
            ..Histogram::clone(histogram)
        });
    }
}

/// Whether a histogram fits the chunk of the one before.
fn goes_on(before: &Histogram, now: &Histogram) -> bool {
    let falls = |before: &Buckets, now: &Buckets| {
        before.iter().any(|(index, count)| {
            let found = now.iter().find(|(known, _)| *known == index);
            found.map_or(count != 0.0, |(_, now)| now < count)
        })
    };
    before.reset != ResetHint::Gauge
        && now.reset != ResetHint::Reset
        && now.schema == before.schema
        && now.zero_threshold == before.zero_threshold
        && now.bounds == before.bounds
        && now.count >= before.count
        && now.zero_count >= before.zero_count
        && !falls(&before.positive, &now.positive)
        && !falls(&before.negative, &now.negative)
}
