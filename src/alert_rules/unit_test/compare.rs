//! What was expected and what came out, compared and said in promtool's words.

use std::collections::BTreeMap;
use std::fmt;

use model::{Buckets, Histogram, Labels, METRIC_NAME, MatchOp};
use promql::native::{Literal, literals};
use promql::{Context, Engine, Point, Value};

use super::file::{AlertTest, ExprTest};
use crate::scratch::Scratch;
use crate::series::Recorded;

/// Alerts in order of their labels, texts included.
#[derive(Debug, PartialEq)]
pub(super) struct Alerts(Vec<(Labels, Texts)>);

/// Unlike labels, a text may be empty and still be there.
type Texts = BTreeMap<String, String>;

impl Alerts {
    pub(super) fn found(alerts: impl IntoIterator<Item = (Labels, Labels)>) -> Self {
        Self::sorted(alerts.into_iter().map(|(labels, annotations)| {
            let texts = annotations.iter();
            let texts = texts.map(|label| (label.name.to_string(), label.value.to_string()));
            (labels, texts.collect())
        }))
    }

    pub(super) fn expected(test: &AlertTest) -> Self {
        Self::sorted(test.exp_alerts.iter().map(|alert| {
            let mut labels = Labels::from_pairs(
                alert
                    .exp_labels
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str())),
            )
            .to_builder();
            labels.set("alertname", test.alertname.as_str());
            let texts = alert.exp_annotations.iter();
            // An annotation that comes out empty is not there.
            let texts = texts.filter(|(_, text)| !text.is_empty());
            let texts = texts.map(|(name, text)| (name.clone(), text.clone()));
            (labels.build(), texts.collect())
        }))
    }

    fn sorted(alerts: impl Iterator<Item = (Labels, Texts)>) -> Self {
        let mut alerts: Vec<(Labels, Texts)> = alerts.collect();
        alerts.sort();
        Self(alerts)
    }
}

impl fmt::Display for Alerts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("[]");
        }
        f.write_str("[\n")?;
        for (i, (labels, texts)) in self.0.iter().enumerate() {
            let texts: Vec<String> = texts.iter().map(|(n, t)| format!("{n}={t:?}")).collect();
            let comma = if i + 1 < self.0.len() { "," } else { "" };
            writeln!(f, "            {i}:")?;
            writeln!(f, "              Labels:{labels}")?;
            writeln!(
                f,
                "              Annotations:{{{}}}{comma}",
                texts.join(", ")
            )?;
        }
        f.write_str("            ]")
    }
}

/// A time of a test as promtool writes it.
pub(super) fn time(at_ms: i64) -> String {
    let at = std::time::Duration::from_millis(at_ms.unsigned_abs());
    model::duration::format(at)
}

fn named(name: &str) -> String {
    if name.is_empty() {
        String::new()
    } else {
        format!("name: {name},\n    ")
    }
}

pub(super) fn alerts_differ(
    name: &str,
    alert: &str,
    at_ms: i64,
    expected: &Alerts,
    got: &Alerts,
) -> String {
    format!(
        "{}alertname: {alert}, time: {}, \n        exp:{expected}, \n        got:{got}",
        named(name),
        time(at_ms)
    )
}

pub(super) fn expression_failed(name: &str, expr: &str, at_ms: i64, reason: &str) -> String {
    format!(
        "{}expr: {expr:?}, time: {},\n        {reason}",
        named(name),
        time(at_ms)
    )
}

/// The labels of a series as written: `name{a="b"}`, `{a="b"}`, `{}`.
pub(super) fn labels(engine: &Engine, text: &str) -> Result<Labels, String> {
    let text = text.trim();
    if text.is_empty() || text == "{}" {
        return Ok(Labels::empty());
    }
    // A series with nothing but a name of its own may be no selector: `{a=""}`.
    let selectors = engine.selectors(text).map_err(|error| error.to_string())?;
    let [selector] = selectors.as_slice() else {
        return Err("one series is wanted here".to_owned());
    };
    if let Some(other) = selector.matchers.iter().find(|m| m.op != MatchOp::Equal) {
        return Err(format!("a series has labels with =, not {:?}", other.op));
    }
    let pairs = selector.matchers.iter();
    Ok(Labels::from_pairs(
        pairs.map(|m| (m.name.clone(), m.value.clone())),
    ))
}

/// Compares the value of an expression with what was expected of it.
pub(super) fn expression(
    engine: &Engine,
    store: &Scratch,
    test: &ExprTest,
    time_ms: i64,
    fuzzy: bool,
) -> Result<(), String> {
    let answer = engine
        .instant(store, &test.expr, time_ms, &Context::default())
        .map_err(|error| format!("err: {error}"))?;
    let mut got: Vec<(Labels, Recorded)> = match answer.value {
        Value::Vector(points) => {
            let value = |p: Point| match p.histogram {
                Some(histogram) => (p.labels, Recorded::Histogram(histogram)),
                None => (p.labels, Recorded::Number(p.value)),
            };
            points.into_iter().map(value).collect()
        }
        Value::Scalar { value, .. } => vec![(Labels::empty(), Recorded::Number(value))],
        Value::String { .. } | Value::Matrix(_) => {
            return Err("err: query result is not a vector or scalar".to_owned());
        }
    };
    let mut expected = Vec::with_capacity(test.exp_samples.len());
    for sample in &test.exp_samples {
        let labels = labels(engine, &sample.labels)
            .map_err(|error| format!("err: labels {:?}: {error}", sample.labels))?;
        let value = match sample.histogram.as_deref().map(str::trim) {
            None | Some("") => Expected::Number(sample.value),
            Some(text) => {
                let all = literals(text, 1).map_err(|error| format!("err: histogram: {error}"))?;
                all.into_iter().next().map_or_else(
                    || Err("err: histogram: one is wanted here".to_owned()),
                    |literal| Ok(Expected::Histogram(literal)),
                )?
            }
        };
        expected.push((labels, value));
    }
    got.sort_by(|a, b| a.0.cmp(&b.0));
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    let same = got.len() == expected.len()
        && got
            .iter()
            .zip(&expected)
            .all(|(got, expected)| got.0 == expected.0 && expected.1.is_met_by(&got.1, fuzzy));
    if same {
        return Ok(());
    }
    Err(format!(
        "exp: {}\n        got: {}",
        shown(
            expected
                .iter()
                .map(|(labels, value)| (labels, value.shown()))
        ),
        shown(
            got.iter()
                .map(|(labels, value)| (labels, shown_value(value)))
        )
    ))
}

/// Equal, or with `fuzzy` at most one step of the format apart.
fn same_value(a: f64, b: f64, fuzzy: bool) -> bool {
    a == b || a.is_nan() && b.is_nan() || fuzzy && (a.next_up() == b || a.next_down() == b)
}

/// What a test wants a series to have.
enum Expected {
    Number(f64),
    Histogram(Literal),
}

impl Expected {
    fn is_met_by(&self, got: &Recorded, fuzzy: bool) -> bool {
        match (self, got) {
            (Self::Number(expected), Recorded::Number(got)) => same_value(*got, *expected, fuzzy),
            (Self::Histogram(expected), Recorded::Histogram(got)) => {
                let mut got = (**got).clone();
                if !expected.says_reset {
                    got.reset = expected.histogram.reset;
                }
                if got.sum.is_nan() && expected.histogram.sum.is_nan() {
                    got.sum = 0.0;
                    let mut wanted = expected.histogram.clone();
                    wanted.sum = 0.0;
                    return compact(&got) == compact(&wanted);
                }
                compact(&got) == compact(&expected.histogram)
            }
            _ => false,
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Number(value) => format!("{value:E}"),
            Self::Histogram(literal) => promql::native::text(&literal.histogram),
        }
    }
}

/// Without empty buckets, which say nothing.
fn compact(histogram: &Histogram) -> Histogram {
    let side = |side: &Buckets| Buckets::from_pairs(side.iter().filter(|(_, count)| *count != 0.0));
    Histogram {
        positive: side(&histogram.positive),
        negative: side(&histogram.negative),
        ..histogram.clone()
    }
}

fn shown_value(value: &Recorded) -> String {
    match value {
        Recorded::Number(value) => format!("{value:E}"),
        Recorded::Histogram(histogram) => promql::native::text(histogram),
    }
}

fn shown<'a>(samples: impl Iterator<Item = (&'a Labels, String)>) -> String {
    let lines: Vec<String> = samples
        .map(|(labels, value)| {
            let name = labels.metric_name().unwrap_or_default();
            let rest = labels.filtered(|label| label != METRIC_NAME);
            format!("{name}{rest} {value}")
        })
        .collect();
    if lines.is_empty() {
        return "nil".to_owned();
    }
    lines.join("\n             ")
}
