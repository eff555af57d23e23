//! The shapes of Loki's answers.

use std::collections::HashMap;

use axum::http::{HeaderValue, header};
use axum::response::Response;
use log_query::SearchSummary;
use log_query::logql::{Column, Entry, Grid, Value, is_absent};
use model::Labels;
use serde_json::json;

use crate::api::prometheus::json::{write_labels, write_list, write_sample, write_text};

/// The flag with which a client asks for labels by their origin.
pub(super) const CATEGORIZE_FLAG: &str = "categorize-labels";

/// The lines of a stream.
type Stream<'a> = (Labels, Vec<&'a Entry>);

/// Entries by stream, streams in the order in which they first come.
fn streams(entries: &[Entry], categorize: bool) -> Vec<Stream<'_>> {
    let mut numbers: HashMap<Labels, usize> = HashMap::new();
    let mut out: Vec<Stream<'_>> = Vec::new();
    for entry in entries {
        let labels = if categorize {
            entry.stream.clone()
        } else {
            entry.labels()
        };
        let number = *numbers.entry(labels.clone()).or_insert_with(|| {
            out.push((labels, Vec::new()));
            out.len() - 1
        });
        if let Some((_, entries)) = out.get_mut(number) {
            entries.push(entry);
        }
    }
    out
}

/// Writes `[{"stream":{…},"values":[["ns","line"],…]},…]`.
pub(super) fn write_streams(out: &mut Vec<u8>, entries: &[Entry], categorize: bool) {
    write_list(
        out,
        &streams(entries, categorize),
        |out, (labels, entries)| {
            out.extend_from_slice(b"{\"stream\":");
            write_labels(out, labels);
            out.extend_from_slice(b",\"values\":");
            write_list(out, entries, |out, entry| {
                write_entry(out, entry, categorize);
            });
            out.push(b'}');
        },
    );
}

fn write_entry(out: &mut Vec<u8>, entry: &Entry, categorize: bool) {
    out.extend_from_slice(b"[\"");
    let mut buffer = itoa::Buffer::new();
    out.extend_from_slice(buffer.format(entry.time_ns).as_bytes());
    out.extend_from_slice(b"\",");
    write_text(out, &entry.line);
    if categorize {
        let mut before: &[u8] = b",{";
        for (name, labels) in [
            ("structuredMetadata", &entry.metadata),
            ("parsed", &entry.parsed),
        ] {
            if labels.is_empty() {
                continue;
            }
            out.extend_from_slice(before);
            write_text(out, name);
            out.push(b':');
            write_labels(out, labels);
            before = b",";
        }
        // Clients count on a third element, empty or not.
        out.extend_from_slice(if before == b",{" { b",{}" } else { b"}" });
    }
    out.push(b']');
}

/// The whole answer to a log query.
pub(super) fn log_answer(
    entries: &[Entry],
    categorize: bool,
    summary: &SearchSummary,
    seconds: f64,
) -> Response {
    let mut out =
        Vec::with_capacity(256 + entries.iter().map(|e| e.line.len() + 48).sum::<usize>());
    out.extend_from_slice(b"{\"status\":\"success\",\"data\":{\"resultType\":\"streams\",");
    if categorize {
        out.extend_from_slice(b"\"encodingFlags\":[\"categorize-labels\"],");
    }
    out.extend_from_slice(b"\"result\":");
    write_streams(&mut out, entries, categorize);
    close(out, summary, entries.len(), seconds)
}

/// The whole answer to a metric query; `is_range` makes a matrix of it.
pub(super) fn metric_answer(
    value: &Value,
    grid: Grid,
    is_range: bool,
    summary: &SearchSummary,
    seconds: f64,
) -> Response {
    let mut out = b"{\"status\":\"success\",\"data\":{\"resultType\":\"".to_vec();
    let time_ms = |k: usize| grid.time_ns(k).div_euclid(1_000_000);
    let literal;
    let columns: &[Column] = match value {
        Value::Series(columns) => columns,
        Value::Scalar(number) if is_range => {
            literal = [Column {
                labels: Labels::empty(),
                values: vec![*number; grid.count],
            }];
            &literal
        }
        Value::Scalar(number) => {
            out.extend_from_slice(b"scalar\",\"result\":");
            write_sample(&mut out, time_ms(0), *number);
            return close(out, summary, 1, seconds);
        }
    };
    let kind: &[u8] = if is_range { b"matrix" } else { b"vector" };
    out.extend_from_slice(kind);
    out.extend_from_slice(b"\",\"result\":");
    write_list(&mut out, columns, |out, column| {
        out.extend_from_slice(b"{\"metric\":");
        write_labels(out, &column.labels);
        if is_range {
            let samples: Vec<(i64, f64)> = column
                .values
                .iter()
                .enumerate()
                .filter(|(_, value)| !is_absent(**value))
                .map(|(k, value)| (time_ms(k), *value))
                .collect();
            out.extend_from_slice(b",\"values\":");
            write_list(out, &samples, |out, (time_ms, value)| {
                write_sample(out, *time_ms, *value);
            });
        } else {
            out.extend_from_slice(b",\"value\":");
            let value = column.values.first().copied().unwrap_or(f64::NAN);
            write_sample(out, time_ms(0), value);
        }
        out.push(b'}');
    });
    close(out, summary, columns.len(), seconds)
}

/// Ends an answer with its statistics.
fn close(mut out: Vec<u8>, summary: &SearchSummary, returned: usize, seconds: f64) -> Response {
    out.extend_from_slice(b",\"stats\":");
    out.extend_from_slice(stats(summary, returned, seconds).to_string().as_bytes());
    out.extend_from_slice(b"}}");
    response(out)
}

/// What a query cost, under Loki's names.
fn stats(summary: &SearchSummary, returned: usize, seconds: f64) -> serde_json::Value {
    let per_second = |n: u64| {
        if seconds > 0.0 {
            (n as f64 / seconds) as u64
        } else {
            0
        }
    };
    json!({
        "summary": {
            "bytesProcessedPerSecond": per_second(summary.bytes_scanned),
            "linesProcessedPerSecond": per_second(summary.lines_scanned),
            "totalBytesProcessed": summary.bytes_scanned,
            "totalLinesProcessed": summary.lines_scanned,
            "execTime": seconds,
            "queueTime": 0,
            "subqueries": 0,
            "splits": 0,
            "shards": 0,
            "totalEntriesReturned": returned,
            "totalPostFilterLines": returned,
        },
        "querier": {
            "store": {
                "totalChunksRef": summary.blocks_read + summary.blocks_skipped,
                "totalChunksDownloaded": summary.blocks_read,
                "chunk": {
                    "decompressedBytes": summary.bytes_scanned,
                    "decompressedLines": summary.lines_scanned,
                    "totalDuplicates": 0,
                },
            },
        },
        "ingester": {"totalReached": 0, "totalLinesSent": 0},
    })
}

/// `{"status":"success","data":…}`
pub(super) fn success(data: &serde_json::Value) -> Response {
    response(
        json!({"status": "success", "data": data})
            .to_string()
            .into_bytes(),
    )
}

/// A body of JSON.
pub(super) fn response(body: Vec<u8>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=UTF-8"),
    );
    response
}
