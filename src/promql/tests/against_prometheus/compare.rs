//! Two answers as the same shape, and whether they are equal.

use std::collections::BTreeMap;

use promql::{QueryError, Value};

/// How far two numbers may lie apart, relative to the larger one.
const TOLERANCE: f64 = 1e-9;

/// What may be left over where nearly equal numbers were subtracted.
const REMAINDER: f64 = 1e-13;

/// Labels to (milliseconds, value), or an error.
pub(crate) type Table = Result<Rows, String>;

/// Series in the order in which they were answered.
type Rows = Vec<(BTreeMap<String, String>, Vec<(i64, f64)>)>;

/// Our answer.
pub(crate) fn ours(answer: Result<Value, QueryError>) -> Table {
    let one = |timestamp_ms, value| vec![(BTreeMap::new(), vec![(timestamp_ms, value)])];
    let named = |labels: &model::Labels| {
        let pairs = labels.iter();
        pairs
            .map(|label| (label.name.to_string(), label.value.to_string()))
            .collect()
    };
    match answer.map_err(|error| error.message)? {
        Value::Scalar {
            timestamp_ms,
            value,
        } => Ok(one(timestamp_ms, value)),
        Value::String { value, .. } => Err(format!("a text: {value}")),
        Value::Vector(points) => Ok(points
            .iter()
            .map(|point| {
                (
                    named(&point.labels),
                    vec![(point.timestamp_ms, point.value)],
                )
            })
            .collect()),
        Value::Matrix(series) => Ok(series
            .iter()
            .map(|series| {
                let samples = &series.samples;
                let times = samples.timestamps_ms.iter().zip(&samples.values);
                let values = times.map(|(time, value)| (*time, *value)).collect();
                (named(&series.labels), values)
            })
            .collect()),
    }
}

/// What Prometheus' API answered.
pub(crate) fn theirs(answer: &serde_json::Value) -> Table {
    let data = &answer["data"];
    let point = |pair: &serde_json::Value| {
        let seconds = pair[0].as_f64().expect("a time");
        let value = pair[1].as_str().expect("a value");
        let value = value.parse().expect("a number");
        ((seconds * 1000.0).round() as i64, value)
    };
    if answer["status"] != "success" {
        return Err(answer["error"].as_str().unwrap_or_default().to_owned());
    }
    match data["resultType"].as_str() {
        Some("scalar") => Ok(vec![(BTreeMap::new(), vec![point(&data["result"])])]),
        Some("string") => Err(format!("a text: {}", data["result"][1])),
        _ => {
            let rows = data["result"].as_array().expect("series");
            let row = |series: &serde_json::Value| {
                let labels = series["metric"].as_object().expect("labels").iter();
                let labels = labels
                    .map(|(name, value)| (name.clone(), value.as_str().unwrap_or("").to_owned()));
                let values = match series["values"].as_array() {
                    Some(values) => values.iter().map(point).collect(),
                    None => vec![point(&series["value"])],
                };
                (labels.collect(), values)
            };
            Ok(rows.iter().map(row).collect())
        }
    }
}

/// Answers about one time after the other as one about a range.
pub(crate) fn joined(tables: impl Iterator<Item = Table>) -> Table {
    let mut rows = BTreeMap::new();
    for table in tables {
        for (labels, values) in table? {
            rows.entry(labels).or_insert_with(Vec::new).extend(values);
        }
    }
    Ok(rows.into_iter().collect())
}

/// The first difference in words. `ordered`: values must come in the same order too.
pub(crate) fn difference(ours: &Table, theirs: &Table, ordered: bool) -> Option<String> {
    let (ours, theirs) = match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(_), Err(_)) => return None,
        (Err(error), Ok(theirs)) => {
            return Some(format!(
                "we fail: {error}; they give {} series",
                theirs.len()
            ));
        }
        (Ok(ours), Err(error)) => {
            return Some(format!("they fail: {error}; we give {} series", ours.len()));
        }
    };
    if ordered {
        let values = |rows: &Rows| -> Vec<f64> { rows.iter().map(|(_, v)| v[0].1).collect() };
        let (ours, theirs) = (values(ours), values(theirs));
        let same = ours.len() == theirs.len();
        if !same || ours.iter().zip(&theirs).any(|(a, b)| !are_same(*a, *b)) {
            return Some(format!("in the order {ours:?}, theirs {theirs:?}"));
        }
    }
    let ours: BTreeMap<_, _> = ours
        .iter()
        .map(|(labels, values)| (labels, values))
        .collect();
    let theirs: BTreeMap<_, _> = theirs
        .iter()
        .map(|(labels, values)| (labels, values))
        .collect();
    if let Some(labels) = ours.keys().find(|labels| !theirs.contains_key(*labels)) {
        return Some(format!("only we have {labels:?}"));
    }
    for (labels, theirs) in theirs {
        let Some(ours) = ours.get(labels) else {
            return Some(format!("only they have {labels:?}"));
        };
        let times = |values: &[(i64, f64)]| -> Vec<i64> { values.iter().map(|v| v.0).collect() };
        if times(ours) != times(theirs) {
            let (ours, theirs) = (times(ours), times(theirs));
            let odd = ours.iter().find(|time| !theirs.contains(time));
            let odd = odd.or_else(|| theirs.iter().find(|time| !ours.contains(time)));
            return Some(format!(
                "{labels:?}: {} points, theirs {}; the first that differs is at {odd:?}",
                ours.len(),
                theirs.len()
            ));
        }
        let mut pairs = ours.iter().zip(theirs);
        if let Some((a, b)) = pairs.find(|(a, b)| !are_same(a.1, b.1)) {
            return Some(format!(
                "{labels:?} at {}: {:?}, theirs {:?}",
                a.0, a.1, b.1
            ));
        }
    }
    None
}

fn are_same(a: f64, b: f64) -> bool {
    let apart = (a - b).abs();
    a == b
        || (a.is_nan() && b.is_nan())
        || apart <= TOLERANCE * a.abs().max(b.abs())
        || apart <= REMAINDER
}
