//! The way of a log line through two rooms: from a file on disk, followed by `log_tail`, into
//! `log_store` until a search finds the last one; and the price of sealing what came in. Parts of
//! it have benches of their own in `src/*/benches`.

use std::fmt::Write;
use std::ops::ControlFlow;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use log_query::{Direction, LogReader, Query, Search, Stop};
use log_store::LogStore;
use log_tail::LogTail;
use prometheus_client::registry::Registry;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const LINES: usize = 100_000;
const NOW_NS: i64 = 1_795_000_000_000_000_000;

fn main() {
    divan::main();
}

/// Lines as a web application writes them: few shapes, many values.
fn lines() -> String {
    let mut text = String::new();
    for n in 0..LINES {
        let _ = writeln!(
            text,
            "level=info msg=\"request served\" path=/api/items/{} status={} took_ms={} id={:08x}",
            n % 977,
            if n % 50 == 0 { 500 } else { 200 },
            (n * 7919) % 1000,
            n.wrapping_mul(2_654_435_761) & 0xffff_ffff
        );
    }
    text.push_str("level=info msg=\"the very end\"\n");
    text
}

struct House {
    dir: TempDir,
    store: Arc<LogStore>,
}

impl House {
    fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(dir.path().join("app.log"), text).expect("a log file");
        let metrics = log_store::Metrics::new(&mut Registry::default());
        let config = log_store::Config::default();
        let store =
            LogStore::open(&dir.path().join("data"), config, metrics, NOW_NS).expect("a log store");
        Self {
            dir,
            store: Arc::new(store),
        }
    }

    /// Follows the file until the last line is found.
    fn read_all(&self) {
        let config = log_tail::Config {
            globs: vec![format!("{}/*.log", self.dir.path().display())],
            ..log_tail::Config::default()
        };
        let metrics = log_tail::Metrics::new(&mut Registry::default());
        let tail = LogTail::new(config, self.store.clone(), metrics).expect("a collector");
        let cancel = CancellationToken::new();
        std::thread::scope(|scope| {
            scope.spawn(|| tail.run(&cancel));
            while !self.found("\"the very end\"") {
                std::thread::yield_now();
            }
            cancel.cancel();
        });
    }

    fn found(&self, query: &str) -> bool {
        let search = Search {
            query: Arc::new(Query::parse(query).expect("a query")),
            start_ns: 0,
            end_ns: i64::MAX,
            direction: Direction::Backward,
            limit: 1,
            after: None,
            stop: Stop::default(),
        };
        let mut found = false;
        self.store
            .search(&search, &mut |_| {
                found = true;
                ControlFlow::Break(())
            })
            .expect("a search");
        found
    }
}

/// File on disk → last line found.
#[divan::bench(sample_count = 5)]
fn follow(bencher: Bencher) {
    let text = lines();
    bencher
        .counter(ItemsCount::new(LINES))
        .counter(BytesCount::of_str(&text))
        .with_inputs(|| House::new(&text))
        .bench_local_refs(|house| house.read_all());
}

/// Open buffers → a committed partition.
#[divan::bench(sample_count = 5)]
fn seal(bencher: Bencher) {
    let text = lines();
    bencher
        .counter(ItemsCount::new(LINES))
        .counter(BytesCount::of_str(&text))
        .with_inputs(|| {
            let house = House::new(&text);
            house.read_all();
            house
        })
        .bench_local_refs(|house| house.store.seal().expect("a seal"));
}
