//! The same data in both, the same questions to both: equal to 1e-9, with the same labels and,
//! where it is defined, in the same order.
//!
//! With `PROMQL_EXPRESSIONS=DIR` the expressions of all rule files and dashboards of a folder are
//! asked too, with series that are made up for every selector in them.

use std::path::Path;

use model::{Labels, Samples};
use promql::memory::MemoryReader;
use promql::{Context, Engine, Options};

use crate::compare::{Table, difference, joined, ours, theirs};
use crate::data::{Data, END, T0};
use crate::differences::{DIFFERENCES, is_asked_step_by_step};
use crate::expressions::expressions;
use crate::folder;
use crate::prometheus::{Prometheus, cpu_seconds};

/// Instants to ask about. Not on a whole minute, so that no step of a subquery lies on the start
/// of its range.
const INSTANTS: [i64; 3] = [T0 + 1_507_000, T0 + 3_907_000, END - 53_000];

/// Ranges to ask about: start, end, step.
const RANGES: [(i64, i64, i64); 2] = [
    (T0 + 607_000, END + 607_000, 120_000),
    (T0 + 2_947_000, T0 + 3_247_000, 20_000),
];

/// What both know.
struct Both {
    prometheus: Prometheus,
    engine: Engine,
    reader: MemoryReader,
}

impl Both {
    fn start(name: &str, data: &[(Labels, Samples)]) -> Option<Self> {
        let prometheus = Prometheus::start(name)?;
        prometheus.write(data);
        let mut reader = MemoryReader::new();
        for (labels, samples) in data {
            for (time, value) in samples.timestamps_ms.iter().zip(&samples.values) {
                reader.push(labels, *time, *value);
            }
        }
        Some(Self {
            prometheus,
            engine: Engine::new(Options::default()),
            reader,
        })
    }

    fn instant(&self, expression: &str, time_ms: i64) -> Table {
        let context = Context::default();
        let answer = self
            .engine
            .instant(&self.reader, expression, time_ms, &context);
        ours(answer.map(|answer| answer.value))
    }

    fn their_instant(&self, expression: &str, time_ms: i64) -> Table {
        let time = seconds(time_ms);
        let parameters = [("query", expression), ("time", time.as_str())];
        theirs(
            &self
                .prometheus
                .ask("query", &parameters)
                .expect("it answers"),
        )
    }

    fn range(&self, expression: &str, (start, end, step): (i64, i64, i64)) -> Table {
        let context = Context::default();
        let engine = &self.engine;
        let answer = engine.range(&self.reader, expression, start, end, step, &context);
        ours(answer.map(|answer| answer.value))
    }

    fn their_range(&self, expression: &str, (start, end, step): (i64, i64, i64)) -> Table {
        if is_asked_step_by_step(expression) {
            let steps = (start..=end).step_by(step as usize);
            return joined(steps.map(|time| self.their_instant(expression, time)));
        }
        let [start, end, step] = [start, end, step].map(seconds);
        let parameters = [
            ("query", expression),
            ("start", start.as_str()),
            ("end", end.as_str()),
            ("step", step.as_str()),
        ];
        let answer = self.prometheus.ask("query_range", &parameters);
        theirs(&answer.expect("it answers"))
    }

    /// Asks both about all expressions; what differs in words, and how many answers had series.
    fn compare<'a>(&self, expressions: impl Iterator<Item = &'a String>) -> (Vec<String>, usize) {
        let mut differ = Vec::new();
        let mut full = 0;
        for expression in expressions {
            let is_ordered = ["sort", "topk(", "bottomk("]
                .iter()
                .any(|function| expression.starts_with(function));
            for time in INSTANTS {
                let theirs = self.their_instant(expression, time);
                full += usize::from(theirs.as_ref().is_ok_and(|rows| !rows.is_empty()));
                let ours = self.instant(expression, time);
                if let Some(what) = difference(&ours, &theirs, is_ordered) {
                    differ.push(format!("{expression}\n  at {time}: {what}"));
                    break;
                }
            }
            for range in RANGES {
                let theirs = self.their_range(expression, range);
                full += usize::from(theirs.as_ref().is_ok_and(|rows| !rows.is_empty()));
                let ours = self.range(expression, range);
                if let Some(what) = difference(&ours, &theirs, false) {
                    differ.push(format!("{expression}\n  over {range:?}: {what}"));
                    break;
                }
            }
        }
        (differ, full)
    }
}

fn seconds(time_ms: i64) -> String {
    format!("{}.{:03}", time_ms / 1000, time_ms % 1000)
}

#[test]
fn prometheus_computes_the_same() {
    let Some(both) = Both::start("values", &Data::generated().series) else {
        return;
    };
    let expressions = expressions();
    let (differ, full) = both.compare(expressions.iter());
    println!(
        "{} expressions, {full} answers with series, {} differ; Prometheus took {:.1} CPU s",
        expressions.len(),
        differ.len(),
        cpu_seconds(both.prometheus.id())
    );
    assert!(full > 2 * expressions.len(), "most of them find something");
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    for known in DIFFERENCES {
        let time = T0 + 3_600_000;
        let ours = both.instant(known.ours, time);
        let asked_alike = difference(&ours, &both.their_instant(known.ours, time), false);
        assert!(
            asked_alike.is_some(),
            "no difference: {}: {}",
            known.ours,
            known.why
        );
        if let Some(theirs) = known.theirs {
            let theirs = both.their_instant(theirs, time);
            assert!(theirs.is_ok(), "{}: {theirs:?}", known.ours);
            let explained = difference(&ours, &theirs, false);
            assert_eq!(explained, None, "{}: {}", known.ours, known.why);
        } else {
            assert!(ours.is_ok(), "{}: {ours:?}", known.ours);
        }
    }
}

#[test]
fn prometheus_computes_the_same_of_rules_and_dashboards() {
    let Some(dir) = std::env::var_os("PROMQL_EXPRESSIONS") else {
        println!("skipped: PROMQL_EXPRESSIONS names no folder");
        return;
    };
    let expressions = folder::expressions(Path::new(&dir));
    let mut data = Data::generated();
    folder::add_series(&mut data, &Engine::new(Options::default()), &expressions);
    let Some(both) = Both::start("folder", &data.series) else {
        return;
    };
    let (differ, full) = both.compare(expressions.iter());
    println!(
        "{} expressions over {} series, {full} answers with series, {} differ",
        expressions.len(),
        data.series.len(),
        differ.len()
    );
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
