//! What the engine refuses, what it says then, and that it stops when asked to.

use std::sync::atomic::{AtomicUsize, Ordering};

use model::{Labels, Samples, Selection, SeriesCursor, SeriesReader, StoreError};
use promql::memory::MemoryReader;
use promql::{Answer, Context, Engine, ErrorKind, Options, QueryError, Value};

/// A hundred series with a sample a minute for an hour.
fn reader() -> MemoryReader {
    let mut reader = MemoryReader::new();
    for i in 0..100 {
        let labels = Labels::from_pairs([
            ("__name__", "m".to_owned()),
            ("i", i.to_string()),
            ("group", (i % 3).to_string()),
        ]);
        for minute in 0..60 {
            reader.push(&labels, minute * 60_000, (i * minute) as f64);
        }
    }
    reader
}

fn ask(options: Options, expr: &str) -> Result<Answer, QueryError> {
    let engine = Engine::new(options);
    engine.range(&reader(), expr, 0, 3_600_000, 60_000, &Context::default())
}

fn refusal(options: Options, expr: &str) -> QueryError {
    ask(options, expr).expect_err(expr)
}

#[test]
fn limits_name_themselves() {
    let check = |options: Options, expr: &str, limit: &str| {
        let error = refusal(options, expr);
        assert_eq!(error.kind, ErrorKind::Execution, "{error}");
        assert!(error.message.contains(limit), "{error}");
    };
    let samples = |samples_max| Options {
        samples_max,
        ..Options::default()
    };
    check(samples(5_999), "m", "samples_max");
    assert!(ask(samples(6_000), "m").is_ok());
    let series = |series_max| Options {
        series_max,
        ..Options::default()
    };
    check(series(99), "m", "series_max");
    assert!(ask(series(100), "m").is_ok());
    let memory = |memory_bytes_max| Options {
        memory_bytes_max,
        ..Options::default()
    };
    check(memory(50_000), "m", "memory_bytes_max");
    check(memory(50_000), "topk(2, m)", "memory_bytes_max");
    check(
        memory(50_000),
        "max_over_time(m[365d:1ms])",
        "memory_bytes_max",
    );
    // Folding holds groups only, on however many threads.
    let groups = memory(8 * 4_000);
    assert!(ask(groups, "sum by (group) (rate(m[5m]))").is_ok());
}

#[test]
fn what_was_held_is_given_back() {
    // Each side takes some 60 KB; all ten of them together would not fit.
    let options = Options {
        memory_bytes_max: 400_000,
        ..Options::default()
    };
    let sides = ["count(m + 0 * m)"; 10].join(" + ");
    let answer = ask(options, &sides).expect("fits one after the other");
    assert_eq!(answer.samples_read, 20 * 6_000);
}

#[test]
fn times_and_steps_are_checked() {
    let engine = Engine::default();
    let context = Context::default();
    let reader = reader();
    let check = |result: Result<Answer, QueryError>, part: &str| {
        let error = result.expect_err(part);
        assert_eq!(error.kind, ErrorKind::BadData);
        assert!(error.message.contains(part), "{error}");
    };
    check(engine.range(&reader, "m", 0, 1, 0, &context), "step");
    check(
        engine.range(&reader, "m", 1, 0, 1, &context),
        "before the start",
    );
    check(
        engine.range(&reader, "m", 0, 11_000, 1, &context),
        "points_max",
    );
    check(
        engine.range(&reader, "m", 0, i64::MAX, 1, &context),
        "years",
    );
    check(
        engine.instant(&reader, "m", i64::MIN + 1, &context),
        "years",
    );
    check(
        engine.range(&reader, "m[5m]", 0, 1, 1, &context),
        "range vector",
    );
    check(engine.range(&reader, "\"x\"", 0, 1, 1, &context), "string");
}

#[test]
fn a_query_stops_when_asked_to() {
    for kind in [ErrorKind::Timeout, ErrorKind::Canceled] {
        let asked = AtomicUsize::new(0);
        let stop = || (asked.fetch_add(1, Ordering::Relaxed) >= 3).then_some(kind);
        let context = Context {
            stop: Some(&stop),
            ..Context::default()
        };
        let error = Engine::default()
            .instant(&reader(), "sum(rate(m[5m]))", 600_000, &context)
            .expect_err("stopped");
        assert_eq!(error.kind, kind, "{error}");
    }
}

/// Gives every selection as many cursors as asked for, or just one.
struct Split<'a>(&'a MemoryReader, usize);

impl SeriesReader for Split<'_> {
    fn select(&self, selection: &Selection) -> Result<Vec<Box<dyn SeriesCursor>>, StoreError> {
        self.0.select(&Selection {
            cursors_max: self.1,
            ..selection.clone()
        })
    }
    fn series(
        &self,
        matchers: &[model::Matcher],
        start_ms: i64,
        end_ms: i64,
        limit: usize,
    ) -> Result<(Vec<Labels>, bool), StoreError> {
        self.0.series(matchers, start_ms, end_ms, limit)
    }
    fn label_names(
        &self,
        matchers: &[model::Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<String>, StoreError> {
        self.0.label_names(matchers, start_ms, end_ms)
    }
    fn label_values(
        &self,
        name: &str,
        matchers: &[model::Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<String>, StoreError> {
        self.0.label_values(name, matchers, start_ms, end_ms)
    }
    fn metadata(&self) -> std::collections::BTreeMap<String, model::MetricMetadata> {
        self.0.metadata()
    }
}

#[test]
fn the_number_of_cursors_does_not_change_the_answer() {
    let reader = reader();
    let engine = Engine::default();
    for expr in [
        "m",
        "rate(m[5m])",
        "sum by (group) (rate(m[5m]))",
        "avg without (i) (m) / on (group) max by (group) (m)",
        "stddev(m)",
        "topk(3, m)",
        "quantile by (group) (0.3, m)",
        "absent(m > 1e9)",
    ] {
        let ask = |cursors| {
            let reader = Split(&reader, cursors);
            let answer = engine.range(&reader, expr, 0, 1_800_000, 60_000, &Context::default());
            answer.expect(expr).value
        };
        let Value::Matrix(whole) = ask(1) else {
            panic!("a matrix");
        };
        assert!(!whole.is_empty(), "{expr}");
        for cursors in [2, 7, 100] {
            let Value::Matrix(parts) = ask(cursors) else {
                panic!("a matrix");
            };
            assert_eq!(whole.len(), parts.len(), "{expr}");
            for (a, b) in whole.iter().zip(&parts) {
                assert_eq!(a.labels, b.labels, "{expr}");
                assert!(is_close(&a.samples, &b.samples), "{expr}: {a:?} {b:?}");
            }
        }
    }
}

/// Sums that are added up in another order differ by rounding.
fn is_close(a: &Samples, b: &Samples) -> bool {
    let close = |(x, y): (&f64, &f64)| {
        x.is_nan() && y.is_nan() || (x - y).abs() <= 1e-12 * x.abs().max(y.abs())
    };
    a.timestamps_ms == b.timestamps_ms && a.values.iter().zip(&b.values).all(close)
}

#[test]
fn the_deepest_expressions_fit_a_small_stack() {
    // The deepest that any thread must manage, and the deepest that gets a thread of its own.
    let expressions = [58, 390].map(|depth| {
        let half = depth / 2;
        [
            format!("{}m{}", "(".repeat(depth), ")".repeat(depth)),
            format!("{}m{}", "abs(".repeat(depth), ")".repeat(depth)),
            format!("{}m{}", "1 + (".repeat(half), ")".repeat(half)),
            vec!["m"; depth].join(" or "),
            format!("{}m", "-".repeat(depth)),
            format!("{}m{}", "max_over_time(".repeat(58), "[5m:1m])".repeat(58)),
            format!("{}m{}", "sum(topk(1, ".repeat(half), "))".repeat(half)),
        ]
    });
    // The stack of threads of the pool, and of tokio's blocking threads.
    let thread = std::thread::Builder::new().stack_size(2 << 20);
    let work = thread.spawn(move || {
        let mut reader = MemoryReader::new();
        reader.push(&Labels::from_pairs([("__name__", "m")]), 0, 1.0);
        for expr in expressions.concat() {
            let answer = Engine::default().instant(&reader, &expr, 0, &Context::default());
            assert!(answer.is_ok(), "{expr:.40}…: {answer:?}");
        }
    });
    work.expect("a thread").join().expect("no overflow");
}
