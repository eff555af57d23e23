//! Whole queries over lines in memory; what they answer is what a plain computation gives.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use model::{Labels, Level, StoreError};
use proptest::prelude::*;

use crate::memory::MemoryReader;
use crate::{Answer, Cell, Direction, Line, LogReader, Query, Record, Search, Stop, Table, run};

const SECOND: i64 = 1_000_000_000;

fn record(sequence: u64, time_ns: i64, pod: &str, level: Level, text: &str) -> Record {
    Record {
        labels: Labels::from_pairs([("namespace", "shop"), ("pod", pod)]),
        sequence,
        time_ns,
        level,
        text: text.as_bytes().to_vec(),
    }
}

/// Five minutes of a small shop.
fn shop() -> MemoryReader {
    let lines = (0..300u64).map(|i| {
        let (pod, level) = match i % 3 {
            0 => ("web-1", Level::Info),
            1 => ("web-2", Level::Info),
            _ => (
                "pay-1",
                if i % 2 == 0 {
                    Level::Error
                } else {
                    Level::Warn
                },
            ),
        };
        let status = if i % 3 == 2 { 500 } else { 200 + i % 2 };
        let text = format!(
            r#"{{"msg":"request {i} done","status":{status},"took":"{}ms","path":"/items/{}"}}"#,
            i % 50,
            i % 7
        );
        record(i, i as i64 * SECOND, pod, level, &text)
    });
    MemoryReader::new(lines.collect())
}

fn search(query: &str) -> Search {
    Search {
        query: Arc::new(Query::parse(query).unwrap_or_else(|error| panic!("{query}: {error}"))),
        start_ns: 0,
        end_ns: 300 * SECOND,
        direction: Direction::Backward,
        limit: 1000,
        after: None,
        stop: Stop::default(),
    }
}

fn answer(reader: &dyn LogReader, search: &Search) -> (Result<Answer, StoreError>, Vec<Line>) {
    let mut lines = Vec::new();
    let answer = run(reader, search, &mut |line| {
        lines.push(line);
        ControlFlow::Continue(())
    });
    (answer, lines)
}

fn table(reader: &dyn LogReader, query: &str) -> Table {
    match answer(reader, &search(query)).0 {
        Ok(Answer::Table(table)) => table,
        other => panic!("{query}: {other:?}"),
    }
}

fn rows(query: &str) -> Vec<String> {
    let table = table(&shop(), query);
    table
        .rows
        .iter()
        .map(|row| {
            let cells: Vec<_> = row.iter().map(Cell::text).collect();
            cells.join(" ")
        })
        .collect()
}

fn texts(query: &str) -> Vec<String> {
    let (answer, lines) = answer(&shop(), &search(query));
    assert!(
        matches!(answer, Ok(Answer::Lines(_))),
        "{query}: {answer:?}"
    );
    lines
        .iter()
        .filter_map(|line| line.value("message"))
        .collect()
}

#[test]
fn stats_counts_and_computes_by_groups() {
    assert_eq!(rows("| stats count()"), ["300"]);
    assert_eq!(rows("nothing | stats count(), avg(took)"), ["0 "]);
    assert_eq!(
        rows("| stats count() by (status)"),
        ["200 100", "201 100", "500 100"]
    );
    assert_eq!(
        rows("status:500 | stats count() as n, min(took), max(took), avg(took) by (pod)"),
        ["pay-1 100 0 0.049 0.0245"]
    );
    assert_eq!(
        rows("| stats count_distinct(path), count_distinct(path, status)"),
        ["7 21"]
    );
    assert_eq!(
        rows("| stats first(message), last(pod)"),
        ["request 0 done pay-1"]
    );
    assert_eq!(
        rows("pod:pay-1 | stats count() by (level, nothing)"),
        ["error  50", "warn  50"]
    );
    assert_eq!(
        rows("level:error | stats count() by (time 2m)"),
        [
            "1970-01-01T00:00:00.000000000Z 20",
            "1970-01-01T00:02:00.000000000Z 20",
            "1970-01-01T00:04:00.000000000Z 10"
        ]
    );
    assert_eq!(
        rows("| stats p50(took), quantile(1, took)"),
        ["0.0245 0.049"]
    );
}

#[test]
fn rows_go_on_through_pipes() {
    assert_eq!(
        rows("| stats count() as n by (pod, level) | where n > 60 | sort by (pod desc)"),
        ["web-2 info 100", "web-1 info 100"]
    );
    assert_eq!(rows("| stats count() by (pod) | where pay"), ["pay-1 100"]);
    assert_eq!(
        rows("| stats count() as n by (pod, status) | stats count(), sum(n)"),
        ["5 300"]
    );
    assert_eq!(
        rows("| stats count() by (pod, status) | top 1 pod"),
        ["web-1 2 0.4"]
    );
    assert_eq!(
        rows("| stats count() by (pod, level) | fields level | uniq | sort by (level)"),
        ["error", "info", "warn"]
    );
    assert_eq!(
        rows("| stats count() by (pod) | drop count | limit 1"),
        ["pay-1"]
    );
    assert_eq!(
        rows("| stats count() by (pod, level) | where level:warn.."),
        ["pay-1 error 50", "pay-1 warn 50"]
    );
}

#[test]
fn top_rate_and_patterns() {
    assert_eq!(
        rows("| top 2 path | drop share"),
        ["/items/0 43", "/items/1 43"]
    );
    let found = table(&shop(), "| top 2 path");
    assert_eq!(found.notes, ["5 more values"]);
    assert_eq!(rows("| top nothing"), [""; 0]);
    assert_eq!(
        rows("| rate 100s"),
        [
            "1970-01-01T00:00:00.000000000Z 1",
            "1970-01-01T00:01:40.000000000Z 1",
            "1970-01-01T00:03:20.000000000Z 1"
        ]
    );
    assert_eq!(rows("nothing | rate 200s | fields rate"), ["0", "0"]);
    let rate = table(&shop(), "| rate by (pod)");
    assert_eq!(rate.step_ns, Some(5 * SECOND));
    let patterns = table(&shop(), "| patterns");
    assert_eq!(patterns.rows.len(), 1);
    assert_eq!(patterns.rows[0][0].text(), "request <*> done");
    assert_eq!(patterns.rows[0][1], Cell::Count(300));
    assert_eq!(patterns.rows[0][2], Cell::Number(1.0));
    let Cell::Counts(trend) = &patterns.rows[0][5] else {
        panic!("{patterns:?}")
    };
    assert_eq!(trend.iter().sum::<u64>(), 300);
    assert_eq!(patterns.summary.lines, 300);
    assert!(matches!(
        answer(&shop(), &search("| rate 1ms")).0,
        Err(StoreError::Limit(reason)) if reason.contains("steps of time")
    ));
}

#[test]
fn new_patterns_are_those_that_no_line_had_before() {
    let reader = shop();
    reader.push(record(
        1,
        250 * SECOND,
        "web-3",
        Level::Error,
        "out of memory at 5",
    ));
    reader.push(record(2, 295 * SECOND, "web-3", Level::Error, "disk full"));
    let found = |query: &str| -> Vec<String> {
        let table = table(&reader, query);
        table
            .rows
            .iter()
            .map(|row| row[0].text().into_owned())
            .collect()
    };
    assert_eq!(
        found("| patterns new 1m"),
        ["disk full", "out of memory at <*>"]
    );
    assert_eq!(found("| patterns new 10s"), ["disk full"]);
    assert_eq!(found("| patterns rare 1"), ["disk full"]);
    let worst = table(&reader, "| patterns rare 1 | fields level");
    assert_eq!(worst.rows, [[Cell::Text("error".to_owned())]]);
    assert_eq!(found("level:error | patterns 1"), ["request <*> done"]);
    // Before the range there were lines of it.
    let late = Search {
        start_ns: 100 * SECOND,
        ..search("| patterns new")
    };
    match answer(&reader, &late).0 {
        Ok(Answer::Table(table)) => assert_eq!(table.rows.len(), 2),
        other => panic!("{other:?}"),
    }
}

#[test]
fn lines_stay_lines() {
    assert_eq!(texts("| limit 2"), ["request 299 done", "request 298 done"]);
    assert_eq!(
        texts("| uniq by (pod) | sort by (pod desc)"),
        ["request 298 done", "request 297 done", "request 299 done"]
    );
    assert_eq!(
        texts("| sort by (took desc, time) | limit 2"),
        ["request 49 done", "request 99 done"]
    );
    assert_eq!(
        texts("| parse \"request <n> done\" | where n < 2"),
        ["request 1 done", "request 0 done"]
    );
    assert_eq!(
        texts("| limit 10 | where pod:pay-1 | limit 2"),
        ["request 299 done", "request 296 done"]
    );
    let (_, lines) = answer(&shop(), &search("| parse \"request <n> done\" | limit 1"));
    assert_eq!(lines[0].found, [("n".to_owned(), "299".to_owned())]);
    let few = Search {
        limit: 3,
        ..search("| where status:500")
    };
    let (answer, lines) = answer(&shop(), &few);
    assert_eq!(lines.len(), 3);
    assert!(matches!(answer, Ok(Answer::Lines(summary)) if summary.limit_reached));
}

#[test]
fn pipes_in_order_go_into_groups() {
    assert_eq!(
        rows("| limit 30 | stats count() by (pod)"),
        ["pay-1 10", "web-1 10", "web-2 10"]
    );
    assert_eq!(rows("| uniq by (path) | stats count()"), ["7"]);
    assert_eq!(rows("| limit 30 | patterns | fields count"), ["30"]);
    assert_eq!(
        rows("| parse \"request <n> done\" | stats sum(n), max(n)"),
        ["44850 299"]
    );
    assert_eq!(
        rows("| parse \"request <n> done\" | where n > 290 | top 1 pod | fields pod"),
        ["pay-1"]
    );
}

#[test]
fn a_stopped_search_ends() {
    let search = search("| stats count()");
    search.stop.stop();
    assert!(matches!(
        answer(&shop(), &search).0,
        Err(StoreError::Cancelled)
    ));
}

proptest! {
    #[test]
    fn groups_are_what_a_plain_computation_gives(
        lines in proptest::collection::vec((0u8..4, 0u8..3, 0i64..100, 0u32..1000), 0..200),
    ) {
        let records = lines.iter().enumerate().map(|(i, (pod, status, time, took))| {
            let text = format!("status={status} took={took}ms");
            record(i as u64, time * SECOND, &format!("p{pod}"), Level::Info, &text)
        });
        let reader = MemoryReader::new(records.collect());
        let mut naive: BTreeMap<(i64, String, String), Vec<f64>> = BTreeMap::new();
        for (pod, status, time, took) in &lines {
            let key = (time / 10 * 10, format!("p{pod}"), status.to_string());
            naive.entry(key).or_default().push(f64::from(*took) * 1e-3);
        }
        let found = table(
            &reader,
            "| stats count(), sum(took), min(took), max(took), avg(took), p50(took) by (time 10s, pod, status)",
        );
        prop_assert_eq!(found.rows.len(), naive.len());
        for (row, ((time, pod, status), values)) in found.rows.iter().zip(&naive) {
            let mut values = values.clone();
            values.sort_by(f64::total_cmp);
            let sum: f64 = values.iter().sum();
            let rank = (values.len() - 1) as f64 / 2.0;
            let median = f64::midpoint(values[rank.floor() as usize], values[rank.ceil() as usize]);
            let numbers = [sum, values[0], values[values.len() - 1], sum / values.len() as f64, median];
            prop_assert_eq!(&row[0], &Cell::Time(time * SECOND));
            prop_assert_eq!(row[1].text(), pod.as_str());
            prop_assert_eq!(row[2].text(), status.as_str());
            prop_assert_eq!(&row[3], &Cell::Count(values.len() as u64));
            for (cell, expected) in row[4..].iter().zip(numbers) {
                let Cell::Number(found) = cell else { panic!("{cell:?}") };
                prop_assert!((found - expected).abs() < 1e-9, "{found} for {expected}");
            }
        }
        // The same, when the store cannot help: through a pipe that changes nothing.
        let slow = table(
            &reader,
            "| parse \"took=<t>ms\" | stats count(), sum(took), min(took), max(took), avg(took), p50(took) by (time 10s, pod, status)",
        );
        prop_assert_eq!(slow.rows, found.rows);
    }
}
