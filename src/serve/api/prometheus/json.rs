//! Prometheus' JSON to the letter, written by hand because matrices are large.
//!
//! Times are seconds with at most three digits, values are strings of Go's shortest form.

use std::ops::ControlFlow;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use model::{Exemplar, Histogram, Labels, Samples};
use promql::{Answer, Value};
use serde::Serialize;

/// What stands before the data.
const OPEN: &[u8] = br#"{"status":"success","data":"#;

/// An answer under way: `{"status":"success","data":` and what follows.
pub(super) struct Envelope(Vec<u8>);

impl Envelope {
    /// Opens the envelope and writes the data.
    pub(super) fn with(data: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut out = OPEN.to_vec();
        data(&mut out);
        Self(out)
    }

    /// Opens the envelope around data that serde writes.
    pub(super) fn of(data: &impl Serialize) -> Self {
        Self::with(|out| write_serde(out, data))
    }

    /// Adds what should be said about the data, and closes the envelope.
    pub(super) fn close(mut self, warnings: &[String], infos: &[String]) -> Vec<u8> {
        write_notes(&mut self.0, warnings, infos);
        self.0
    }
}

/// Closes the envelope behind the data.
fn write_notes(out: &mut Vec<u8>, warnings: &[String], infos: &[String]) {
    for (name, notes) in [("warnings", warnings), ("infos", infos)] {
        if !notes.is_empty() {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            write_serde(out, &notes);
        }
    }
    out.push(b'}');
}

/// A body as an answer.
pub(super) fn response(body: impl IntoResponse) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// An answer without notes.
pub(super) fn success(data: &impl Serialize) -> Response {
    response(Envelope::of(data).close(&[], &[]))
}

/// Writes the whole body for the answer to a query, `stats` at the end of its data. Calls `pause`
/// between series, which may take away what is written; breaks off where that breaks.
pub(super) fn write_body(
    out: &mut Vec<u8>,
    answer: &Answer,
    stats: Option<&serde_json::Value>,
    pause: impl FnMut(&mut Vec<u8>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    out.extend_from_slice(OPEN);
    write_data(out, answer, stats, pause)?;
    write_notes(out, &answer.warnings, &answer.infos);
    ControlFlow::Continue(())
}

fn write_data(
    out: &mut Vec<u8>,
    answer: &Answer,
    stats: Option<&serde_json::Value>,
    mut pause: impl FnMut(&mut Vec<u8>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let kind = match answer.value {
        Value::Scalar { .. } => "scalar",
        Value::String { .. } => "string",
        Value::Vector(_) => "vector",
        Value::Matrix(_) => "matrix",
    };
    out.extend_from_slice(b"{\"resultType\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"result\":");
    match &answer.value {
        Value::Scalar {
            timestamp_ms,
            value,
        } => write_sample(out, *timestamp_ms, *value),
        Value::String {
            timestamp_ms,
            value,
        } => {
            out.push(b'[');
            write_time(out, *timestamp_ms);
            out.push(b',');
            write_text(out, value);
            out.push(b']');
        }
        Value::Vector(points) => {
            for (i, point) in points.iter().enumerate() {
                out.push(if i == 0 { b'[' } else { b',' });
                out.extend_from_slice(b"{\"metric\":");
                write_labels(out, &point.labels);
                if let Some(histogram) = &point.histogram {
                    out.extend_from_slice(b",\"histogram\":");
                    write_histogram_sample(out, point.timestamp_ms, histogram);
                } else {
                    out.extend_from_slice(b",\"value\":");
                    write_sample(out, point.timestamp_ms, point.value);
                }
                out.push(b'}');
                pause(out)?;
            }
            close_list(out, points.is_empty());
        }
        Value::Matrix(all) => {
            for (i, series) in all.iter().enumerate() {
                out.push(if i == 0 { b'[' } else { b',' });
                out.extend_from_slice(b"{\"metric\":");
                write_labels(out, &series.labels);
                write_samples(out, &series.samples);
                out.push(b'}');
                pause(out)?;
            }
            close_list(out, all.is_empty());
        }
    }
    if let Some(stats) = stats {
        out.extend_from_slice(b",\"stats\":");
        write_serde(out, stats);
    }
    out.push(b'}');
    ControlFlow::Continue(())
}

fn close_list(out: &mut Vec<u8>, is_empty: bool) {
    out.extend_from_slice(if is_empty { b"[]" } else { b"]" });
}

/// Writes a list.
pub(in crate::api) fn write_list<T>(
    out: &mut Vec<u8>,
    items: &[T],
    write: impl Fn(&mut Vec<u8>, &T),
) {
    out.push(b'[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// Writes labels as an object.
pub(in crate::api) fn write_labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    for (i, label) in labels.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_text(out, &label.name);
        out.push(b':');
        write_text(out, &label.value);
    }
    out.push(b'}');
}

/// Writes a series with its exemplars.
pub(super) fn write_exemplars(out: &mut Vec<u8>, (labels, exemplars): &(Labels, Vec<Exemplar>)) {
    out.extend_from_slice(b"{\"seriesLabels\":");
    write_labels(out, labels);
    out.extend_from_slice(b",\"exemplars\":");
    write_list(out, exemplars, |out, exemplar| {
        out.extend_from_slice(b"{\"labels\":");
        write_labels(out, &exemplar.labels);
        out.extend_from_slice(b",\"value\":\"");
        write_value(out, exemplar.value);
        out.extend_from_slice(b"\",\"timestamp\":");
        write_time(out, exemplar.timestamp_ms);
        out.push(b'}');
    });
    out.push(b'}');
}

pub(in crate::api) fn write_sample(out: &mut Vec<u8>, time_ms: i64, value: f64) {
    out.push(b'[');
    write_time(out, time_ms);
    out.extend_from_slice(b",\"");
    write_value(out, value);
    out.extend_from_slice(b"\"]");
}

/// Writes the samples of a series: numbers as `values`, native histograms as `histograms`.
fn write_samples(out: &mut Vec<u8>, samples: &Samples) {
    let mut histograms = samples.histograms.iter().peekable();
    let has_numbers = samples.len() > samples.histograms.len();
    if has_numbers || samples.histograms.is_empty() {
        out.extend_from_slice(b",\"values\":[");
        let mut is_first = true;
        let pairs = samples.timestamps_ms.iter().zip(&samples.values);
        for (i, (time, value)) in pairs.enumerate() {
            if histograms.next_if(|(at, _)| *at == i).is_some() {
                continue;
            }
            if !is_first {
                out.push(b',');
            }
            is_first = false;
            write_sample(out, *time, *value);
        }
        out.push(b']');
    }
    if !samples.histograms.is_empty() {
        out.extend_from_slice(b",\"histograms\":");
        write_list(out, &samples.histograms, |out, (at, histogram)| {
            let time_ms = samples.timestamps_ms.get(*at).copied().unwrap_or_default();
            write_histogram_sample(out, time_ms, histogram);
        });
    }
}

/// Writes a native histogram with its time: count, sum, and the buckets that are not empty, each
/// with which of its borders belong to it (0: the upper, 1: the lower, 2: neither, 3: both).
fn write_histogram_sample(out: &mut Vec<u8>, time_ms: i64, histogram: &Histogram) {
    let quoted = |out: &mut Vec<u8>, value: f64| {
        out.push(b'"');
        write_value(out, value);
        out.push(b'"');
    };
    out.push(b'[');
    write_time(out, time_ms);
    out.extend_from_slice(b",{\"count\":");
    quoted(out, histogram.count);
    out.extend_from_slice(b",\"sum\":");
    quoted(out, histogram.sum);
    let mut buckets = promql::native::buckets(histogram);
    buckets.retain(|bucket| bucket.count != 0.0);
    if !buckets.is_empty() {
        out.extend_from_slice(b",\"buckets\":");
        write_list(out, &buckets, |out, bucket| {
            let borders = match (bucket.lower_inclusive, bucket.upper_inclusive) {
                (false, true) => b"[0,",
                (true, false) => b"[1,",
                (false, false) => b"[2,",
                (true, true) => b"[3,",
            };
            out.extend_from_slice(borders);
            quoted(out, bucket.lower);
            out.push(b',');
            quoted(out, bucket.upper);
            out.push(b',');
            quoted(out, bucket.count);
            out.push(b']');
        });
    }
    out.extend_from_slice(b"}]");
}

/// Writes milliseconds as seconds: `1.5` is `1.500`, `2` is `2`.
fn write_time(out: &mut Vec<u8>, time_ms: i64) {
    if time_ms < 0 {
        out.push(b'-');
    }
    let mut buffer = itoa::Buffer::new();
    let time_ms = time_ms.unsigned_abs();
    out.extend_from_slice(buffer.format(time_ms / 1000).as_bytes());
    let fraction = time_ms % 1000;
    if fraction > 0 {
        out.push(b'.');
        if fraction < 100 {
            out.push(b'0');
        }
        if fraction < 10 {
            out.push(b'0');
        }
        out.extend_from_slice(buffer.format(fraction).as_bytes());
    }
}

/// Writes a number in Go's shortest form: without an exponent from 1e-6 to 1e21.
pub(super) fn write_value(out: &mut Vec<u8>, value: f64) {
    if !value.is_finite() {
        let word: &[u8] = match value {
            f64::INFINITY => b"+Inf",
            f64::NEG_INFINITY => b"-Inf",
            _ => b"NaN",
        };
        out.extend_from_slice(word);
        return;
    }
    // Fast path: most values are whole numbers. (Minus zero is not one of them.)
    let whole = value as i64;
    if whole as f64 == value
        && whole.unsigned_abs() < 1 << 53
        && (whole != 0 || value.is_sign_positive())
    {
        out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
        return;
    }
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(value);
    match text.split_once('e') {
        None => out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes()),
        Some(_) if (1e-6..1e21).contains(&value.abs()) => {
            // Slow path: few values lie where ryu has an exponent and Go has none.
            out.extend_from_slice(value.to_string().as_bytes());
        }
        Some((digits, exponent)) => write_exponent(out, digits, exponent),
    }
}

/// Writes an exponent as Go does: with a sign and at least two digits.
fn write_exponent(out: &mut Vec<u8>, digits: &str, exponent: &str) {
    out.extend_from_slice(digits.strip_suffix(".0").unwrap_or(digits).as_bytes());
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => (b'-', exponent),
        None => (b'+', exponent),
    };
    out.extend_from_slice(&[b'e', sign]);
    if exponent.len() < 2 {
        out.push(b'0');
    }
    out.extend_from_slice(exponent.as_bytes());
}

/// A number in Go's form with an exponent always, as alerts carry their values.
pub(super) fn exponent_form(value: f64) -> String {
    let mut out = Vec::new();
    if value.is_finite() {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        write_exponent(&mut out, digits, exponent);
    } else {
        write_value(&mut out, value);
    }
    String::from_utf8_lossy(&out).into_owned()
}

pub(in crate::api) fn write_text(out: &mut Vec<u8>, text: &str) {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\' && byte != 0x7f;
    if text.bytes().all(is_plain) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        write_serde(out, &text);
    }
}

fn write_serde(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("texts, numbers and maps by text always serialize");
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Buckets;
    use promql::{Point, RangeSeries};
    use std::sync::Arc;

    #[test]
    fn values_are_written_like_go_does() {
        let check = |value: f64, expected: &str| {
            let mut out = Vec::new();
            write_value(&mut out, value);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        };
        check(0.0, "0");
        check(-0.0, "-0");
        check(1.0, "1");
        check(-17.0, "-17");
        check(0.1, "0.1");
        check(1e6, "1000000");
        check(1.5e15, "1500000000000000");
        check(123_456_789_012_345_680_000.0, "123456789012345680000");
        check(1e21, "1e+21");
        check(1.25e-7, "1.25e-07");
        check(0.000_001, "0.000001");
        check(0.000_012_5, "0.0000125");
        check(-1e-100, "-1e-100");
        check(f64::MAX, "1.7976931348623157e+308");
        check(f64::NAN, "NaN");
        check(f64::INFINITY, "+Inf");
        check(f64::NEG_INFINITY, "-Inf");
        assert_eq!(exponent_form(1.0), "1e+00");
        assert_eq!(exponent_form(-123.5), "-1.235e+02");
        assert_eq!(exponent_form(0.0), "0e+00");
        assert_eq!(exponent_form(f64::NAN), "NaN");
    }

    #[test]
    fn times_are_seconds_with_three_digits_or_none() {
        let check = |time_ms: i64, expected: &str| {
            let mut out = Vec::new();
            write_time(&mut out, time_ms);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        };
        check(0, "0");
        check(1_763_900_000_000, "1763900000");
        check(1_763_900_000_007, "1763900000.007");
        check(1_500, "1.500");
        check(-1_050, "-1.050");
    }

    #[test]
    fn answers_are_written_to_the_letter() {
        let answer = |value: Value| Answer {
            value,
            warnings: vec!["a \"note\"".to_owned()],
            infos: Vec::new(),
            samples_read: 0,
            series_read: 0,
        };
        let check = |value: Value, expected: &str| {
            let answer = answer(value);
            let mut body = Vec::new();
            let written = write_body(&mut body, &answer, None, |_| ControlFlow::Continue(()));
            assert!(written.is_continue());
            let expected =
                format!(r#"{{"status":"success","data":{expected},"warnings":["a \"note\""]}}"#);
            assert_eq!(String::from_utf8_lossy(&body), expected);
        };
        let labels = Labels::from_pairs([("__name__", "m"), ("path", "C:\\\"x\"\n")]);
        check(
            Value::Scalar {
                timestamp_ms: 1_001,
                value: 0.5,
            },
            r#"{"resultType":"scalar","result":[1.001,"0.5"]}"#,
        );
        check(
            Value::String {
                timestamp_ms: 0,
                value: "ä\t".to_owned(),
            },
            r#"{"resultType":"string","result":[0,"ä\t"]}"#,
        );
        check(
            Value::Vector(vec![Point {
                labels: labels.clone(),
                timestamp_ms: 2_000,
                value: f64::NAN,
                histogram: None,
            }]),
            r#"{"resultType":"vector","result":[{"metric":{"__name__":"m","path":"C:\\\"x\"\n"},"value":[2,"NaN"]}]}"#,
        );
        check(
            Value::Matrix(vec![RangeSeries {
                labels: Labels::empty(),
                samples: Samples {
                    timestamps_ms: vec![1_000, 2_000],
                    values: vec![1.0, 2.5],
                    ..Samples::default()
                },
            }]),
            r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"],[2,"2.5"]]}]}"#,
        );
        let histogram = Histogram {
            count: 3.0,
            sum: 4.5,
            positive: Buckets::from_pairs([(0, 1.0), (1, 0.0), (2, 2.0)]),
            ..Histogram::default()
        };
        let mut samples = Samples::default();
        samples.push_histogram(1_000, Arc::new(histogram));
        check(
            Value::Matrix(vec![RangeSeries {
                labels: Labels::empty(),
                samples,
            }]),
            r#"{"resultType":"matrix","result":[{"metric":{},"histograms":[[1,{"count":"3","sum":"4.5","buckets":[[0,"0.5","1","1"],[0,"2","4","2"]]}]]}]}"#,
        );
    }
}
