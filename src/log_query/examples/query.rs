//! Tries a query on the lines of files, a second apart, each file an `app` of its own:
//! `cargo run -p log_query --example query -- 'QUERY' FILES`.

#![allow(clippy::print_stdout, reason = "what an example is for")]

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use log_query::memory::MemoryReader;
use log_query::{Answer, Cell, Direction, Query, Record, Search, Stop, run};
use model::{Labels, Level};

/// 2026-08-22T00:00:00Z.
const START_NS: i64 = 1_787_356_800_000_000_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let text = arguments.next().unwrap_or_default();
    let query = match Query::parse(&text) {
        Ok(query) => query,
        Err(error) => {
            println!("{text}\n{:width$}^ {error}", "", width = error.position);
            if let Some(suggestion) = error.suggestion {
                println!("did you mean: {suggestion}");
            }
            return;
        }
    };
    let mut records = Vec::new();
    for file in arguments {
        let bytes = std::fs::read(&file).unwrap_or_default();
        let app = Path::new(&file).file_stem().unwrap_or_default();
        let app = app.to_string_lossy();
        let app = app.split('_').next().unwrap_or_default();
        let labels = Labels::from_pairs([("app", app)]);
        for (i, line) in bytes.split(|b| *b == b'\n').enumerate() {
            let words = String::from_utf8_lossy(line);
            let mut words = words.split(|c: char| !c.is_alphabetic());
            records.push(Record {
                labels: labels.clone(),
                sequence: i as u64,
                time_ns: START_NS + i as i64 * 1_000_000_000,
                level: words.find_map(|w| w.parse().ok()).unwrap_or(Level::Unknown),
                text: line.strip_suffix(b"\r").unwrap_or(line).to_vec(),
            });
        }
    }
    let search = Search {
        query: Arc::new(query),
        start_ns: START_NS,
        end_ns: START_NS + 2_000 * 1_000_000_000,
        direction: Direction::Backward,
        limit: 10,
        after: None,
        stop: Stop::default(),
    };
    let reader = MemoryReader::new(records);
    let answer = run(&reader, &search, &mut |line| {
        println!("{}", String::from_utf8_lossy(&line.record.text));
        ControlFlow::Continue(())
    });
    match answer {
        Ok(Answer::Table(table)) => {
            let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
            println!("{}", names.join("\t"));
            for row in &table.rows {
                let cells: Vec<_> = row.iter().map(Cell::text).collect();
                println!("{}", cells.join("\t"));
            }
            for note in &table.notes {
                println!("({note})");
            }
        }
        Ok(Answer::Lines(_)) => {}
        Err(error) => println!("{error}"),
    }
}
