//! A store in a temporary folder, and the plain way to answer what it answers.

// Each test file uses its own part of this.
#![allow(dead_code)]

use std::any::Any;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use log_query::{
    Bucket, Direction, Fold, LineView, LogReader, Query, Record, Row, Search, SearchSummary, Stop,
    Wanted, feed,
};
use log_store::{Config, LogStore, Metrics};
use model::{Checkpoint, Labels, Level, LogBatch, LogSink};
use prometheus_client::registry::Registry;

/// 2026-11-22 00:00:05 UTC.
pub(crate) const NOW: i64 = 1_795_305_605_000_000_000;

pub(crate) fn metrics() -> Metrics {
    Metrics::new(&mut Registry::default())
}

pub(crate) fn open(folder: &Path, config: Config) -> LogStore {
    LogStore::open(folder, config, metrics(), NOW).expect("the store opens")
}

/// Small blocks, so that a few lines make many.
pub(crate) fn small() -> Config {
    Config {
        block_bytes: 400,
        ..Config::default()
    }
}

pub(crate) fn pod(name: &str) -> Labels {
    Labels::from_pairs([("namespace", "shop"), ("pod", name)])
}

/// Appends lines of one stream, with a checkpoint that names how far it is.
pub(crate) fn append(
    store: &LogStore,
    labels: &Labels,
    lines: &[(i64, Level, &[u8])],
    reached: &str,
) {
    let stream = store.open_stream(labels).expect("a stream");
    let mut batch = LogBatch::default();
    for (time_ns, level, text) in lines {
        batch.push(stream, *time_ns, *level, text);
    }
    batch.checkpoints.push(Checkpoint {
        source: labels.get("pod").unwrap_or_default().to_owned(),
        state: Some(reached.as_bytes().to_vec()),
    });
    store.append(&batch).expect("appended");
}

pub(crate) fn search_for(query: &str) -> Search {
    Search {
        query: Arc::new(Query::parse(query).expect(query)),
        start_ns: i64::MIN,
        end_ns: i64::MAX,
        direction: Direction::Forward,
        limit: usize::MAX,
        after: None,
        stop: Stop::default(),
    }
}

pub(crate) fn find_all(store: &LogStore, search: &Search) -> (Vec<Record>, SearchSummary) {
    let mut records = Vec::new();
    let summary = store
        .search(search, &mut |record| {
            records.push(record);
            ControlFlow::Continue(())
        })
        .expect("an answer");
    (records, summary)
}

pub(crate) fn texts(store: &LogStore, query: &str) -> Vec<String> {
    find_all(store, &search_for(query))
        .0
        .into_iter()
        .map(|r| String::from_utf8_lossy(&r.text).into_owned())
        .collect()
}

/// Every line that was ever appended, and the answers that follow from the meaning of queries.
#[derive(Default)]
pub(crate) struct Naive {
    /// Streams in the order in which they were opened.
    pub streams: Vec<Labels>,
    pub lines: Vec<(usize, Record)>,
}

impl Naive {
    pub(crate) fn append(&mut self, labels: &Labels, lines: &[(i64, Level, &[u8])]) {
        let stream = self
            .streams
            .iter()
            .position(|l| l == labels)
            .unwrap_or_else(|| {
                self.streams.push(labels.clone());
                self.streams.len() - 1
            });
        for (time_ns, level, text) in lines {
            let sequence = self.lines.iter().filter(|(s, _)| *s == stream).count() as u64;
            let record = Record {
                labels: labels.clone(),
                sequence,
                time_ns: *time_ns,
                level: *level,
                text: text.to_vec(),
            };
            self.lines.push((stream, record));
        }
    }

    fn matching<'a>(&'a self, search: &'a Search) -> impl Iterator<Item = &'a (usize, Record)> {
        self.lines.iter().filter(|(_, r)| {
            (search.start_ns..search.end_ns).contains(&r.time_ns)
                && search
                    .query
                    .filter
                    .matches(&LineView::new(&r.labels, r.level, &r.text))
        })
    }

    pub(crate) fn search(&self, search: &Search) -> (Vec<Record>, bool) {
        let mut found: Vec<&(usize, Record)> = self.matching(search).collect();
        found.sort_by_key(|(stream, r)| (r.time_ns, *stream, r.sequence));
        if search.direction == Direction::Backward {
            found.reverse();
        }
        let more = found.len() > search.limit;
        found.truncate(search.limit);
        (found.into_iter().map(|(_, r)| r.clone()).collect(), more)
    }

    /// What a fold is handed of matching lines: [`Seen`] of each.
    pub(crate) fn seen(&self, search: &Search, wanted: &Wanted) -> Vec<String> {
        let mut seen = Seen(Vec::new(), wanted.clone());
        for (_, record) in self.matching(search) {
            feed(&mut seen, wanted, record);
        }
        seen.sorted()
    }

    pub(crate) fn histogram(&self, search: &Search, step_ns: i64) -> Vec<Bucket> {
        let first = search.start_ns.div_euclid(step_ns);
        let last = (search.end_ns - 1).div_euclid(step_ns);
        let mut buckets: Vec<Bucket> = (first..=last)
            .map(|i| Bucket {
                start_ns: i * step_ns,
                counts: [0; 7],
            })
            .collect();
        for (_, r) in self.matching(search) {
            let i = (r.time_ns.div_euclid(step_ns) - first) as usize;
            buckets[i].counts[r.level as usize] += 1;
        }
        buckets
    }
}

/// A fold that keeps what it is handed, a text for each line. Times are rounded where that is
/// allowed.
pub(crate) struct Seen(Vec<String>, Wanted);

impl Seen {
    fn sorted(mut self) -> Vec<String> {
        self.0.sort_unstable();
        self.0
    }

    fn time(&self, time_ns: i64) -> i64 {
        self.1
            .grain_ns
            .map_or(time_ns, |grain| time_ns.div_euclid(grain))
    }
}

impl Fold for Seen {
    fn line(&mut self, row: &Row<'_>) {
        let (text, time) = (row.text.escape_ascii(), self.time(row.time_ns));
        self.0.push(format!(
            "{:?} {time} {} {text} {:?} {}",
            row.labels, row.level, row.values, row.pattern
        ));
    }

    fn lines(&mut self, labels: &Labels, level: Level, time_ns: i64, count: u64) {
        let values: Vec<Option<String>> = (self.1.fields.iter())
            .map(|name| match name.as_str() {
                "level" => Some(level.to_string()),
                name => Some(labels.get(name).expect("a label").to_owned()),
            })
            .collect();
        let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        for _ in 0..count {
            self.line(&Row {
                labels,
                time_ns,
                level,
                text: b"",
                values: &values,
                pattern: "",
            });
        }
    }

    fn merge(&mut self, other: Box<dyn Fold>) {
        let other = other.into_any().downcast::<Self>();
        self.0.extend(other.expect("the same kind").0);
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// A fold that has seen nothing yet.
pub(crate) fn nothing_seen(wanted: &Wanted) -> Box<dyn Fold> {
    Box::new(Seen(Vec::new(), wanted.clone()))
}

/// What the store hands to a fold.
pub(crate) fn seen(store: &LogStore, search: &Search, wanted: &Wanted) -> Vec<String> {
    let new = || nothing_seen(wanted);
    let (fold, summary) = store.fold(search, wanted, &new).expect("a fold");
    let seen = fold.into_any().downcast::<Seen>().expect("it").sorted();
    assert_eq!(summary.lines, seen.len() as u64);
    seen
}
