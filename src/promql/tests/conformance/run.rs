//! Runs the commands of a script and compares.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Histogram, Labels, METRIC_NAME, Samples, is_stale};
use promql::memory::MemoryReader;
use promql::native::Literal;
use promql::{Answer, Context, Engine, QueryError, Value};

use crate::compare::{self, Found};
use crate::literal;
use crate::report::Report;
use crate::script::{Command, Eval, Pattern, Starts, When};
use crate::sequence::{Item, Line};

/// Cases that are answered in other words on purpose, with the reason.
const OTHERWISE: [(&str, &str); 1] = [(
    r#"count_values("a\xc5z", version)"#,
    "the escape is refused while parsing, before it becomes a label name",
)];

/// The samples of one series as they were loaded, by time.
type Loaded = BTreeMap<i64, Item>;

#[derive(Default)]
struct Runner {
    engine: Engine,
    reader: MemoryReader,
    loaded: BTreeMap<Labels, Loaded>,
    /// Series that say since when they count.
    starts: Vec<Labels>,
    report: Report,
}

/// Runs a script.
pub(crate) fn run(commands: Vec<Command>) -> Report {
    let mut runner = Runner::default();
    for command in commands {
        match command {
            Command::Clear => {
                runner.reader.clear();
                runner.loaded.clear();
                runner.starts.clear();
            }
            Command::Load {
                gap_ms,
                lines,
                with_histograms,
                starts,
            } => runner.load(gap_ms, &lines, with_histograms, &starts),
            Command::Eval(eval) => runner.case(&eval),
        }
    }
    runner.report
}

impl Runner {
    fn load(&mut self, gap_ms: i64, lines: &[Line], with_histograms: bool, starts: &Starts) {
        for line in lines {
            if starts.all || starts.series.contains(&line.labels) {
                self.starts.push(line.labels.clone());
            }
            let samples = self.loaded.entry(line.labels.clone()).or_default();
            for (i, item) in line.items.iter().enumerate() {
                if *item != Item::Missing {
                    samples.insert(i as i64 * gap_ms, item.clone());
                }
            }
        }
        if with_histograms {
            for (labels, samples) in native_twins(gap_ms, lines) {
                self.loaded.entry(labels).or_default().extend(samples);
            }
        }
        self.store();
    }

    /// Puts all that was loaded into the reader.
    fn store(&mut self) {
        self.reader.clear();
        for (labels, loaded) in &self.loaded {
            let mut samples = Samples::default();
            for (time_ms, item) in loaded {
                match item {
                    Item::Value(value) => samples.push(*time_ms, *value),
                    Item::Histogram(literal) => {
                        samples.push_histogram(*time_ms, Arc::new(literal.histogram.clone()));
                    }
                    Item::Missing => {}
                }
            }
            literal::store_hints(&mut samples);
            let mut histograms = samples.histograms.into_iter().peekable();
            let pairs = samples.timestamps_ms.iter().zip(&samples.values);
            for (i, (time_ms, value)) in pairs.enumerate() {
                match histograms.next_if(|(at, _)| *at == i) {
                    Some((_, histogram)) => {
                        self.reader.push_histogram(labels, *time_ms, histogram);
                    }
                    None => self.reader.push(labels, *time_ms, *value),
                }
            }
        }
    }

    /// Why a case cannot be run, if it cannot.
    fn reason_to_skip(&self, eval: &Eval) -> Option<&'static str> {
        let reads_starts = self.engine.selectors(&eval.expr).is_ok_and(|selectors| {
            let matches = |labels: &Labels| {
                selectors
                    .iter()
                    .any(|selector| selector.matchers.iter().all(|m| m.matches_labels(labels)))
            };
            self.starts.iter().any(matches)
        });
        if reads_starts {
            return Some("the store does not keep since when a series counts (@st)");
        }
        let otherwise = OTHERWISE.iter().find(|(expr, _)| *expr == eval.expr);
        otherwise.map(|(_, reason)| *reason)
    }

    fn case(&mut self, eval: &Eval) {
        if let Some(reason) = self.reason_to_skip(eval) {
            *self.report.skipped.entry(reason).or_default() += 1;
            return;
        }
        let result = self.evaluate(eval).and_then(|()| self.as_range(eval));
        match result {
            Ok(()) => self.report.passed += 1,
            Err(reason) => self
                .report
                .failed
                .push(format!("line {}: {}: {reason}", eval.line, eval.expr)),
        }
    }

    fn ask(&self, expr: &str, when: When) -> Result<Answer, QueryError> {
        let context = Context::default();
        match when {
            When::At(time_ms) => self.engine.instant(&self.reader, expr, time_ms, &context),
            When::Range {
                start_ms,
                end_ms,
                step_ms,
            } => self
                .engine
                .range(&self.reader, expr, start_ms, end_ms, step_ms, &context),
        }
    }

    fn evaluate(&self, eval: &Eval) -> Result<(), String> {
        let answer = match (self.ask(&eval.expr, eval.when), &eval.fails) {
            (Err(error), Some(pattern)) if pattern.matches_error(&error.message) => return Ok(()),
            (Err(error), Some(_)) => return Err(format!("fails otherwise: {error}")),
            (Err(error), None) => return Err(error.to_string()),
            (Ok(_), Some(_)) => return Err("does not fail".to_owned()),
            (Ok(answer), None) => answer,
        };
        check_notes(&eval.warns, eval.no_warning, &answer.warnings)?;
        check_notes(&eval.informs, eval.no_info, &answer.infos)?;
        compare::answer(eval, answer.value)
    }

    /// An instant query must give the same as the middle step of a range query.
    fn as_range(&self, eval: &Eval) -> Result<(), String> {
        let When::At(time_ms) = eval.when else {
            return Ok(());
        };
        let expr = eval.expr.to_lowercase();
        let asks_for_steps = ["start()", "end()", "step()", "range()"]
            .iter()
            .any(|call| expr.contains(call));
        if eval.ordered || eval.text.is_some() || eval.range_vector.is_some() || asks_for_steps {
            return Ok(());
        }
        let when = When::Range {
            start_ms: time_ms - 60_000,
            end_ms: time_ms + 60_000,
            step_ms: 60_000,
        };
        let value = match (self.ask(&eval.expr, when), &eval.fails) {
            (Err(_), Some(_)) => return Ok(()),
            (Err(error), None) => return Err(format!("as a range: {error}")),
            (Ok(_), Some(_)) => return Err("as a range: does not fail".to_owned()),
            (Ok(answer), None) => answer.value,
        };
        let Value::Matrix(series) = value else {
            return Err("as a range: no matrix".to_owned());
        };
        let mut found: Vec<(Labels, Found)> = Vec::new();
        for series in series {
            if let Ok(at) = series.samples.timestamps_ms.binary_search(&time_ms) {
                found.push((series.labels, Found::at(&series.samples, at)));
            }
        }
        compare::points(eval, found).map_err(|reason| format!("as a range: {reason}"))
    }
}

/// Every expected note must be there, and every note expected.
fn check_notes(expected: &[Pattern], forbidden: bool, notes: &[String]) -> Result<(), String> {
    if forbidden && !notes.is_empty() {
        return Err(format!("unexpected notes {notes:?}"));
    }
    for pattern in expected {
        if !notes.iter().any(|note| pattern.matches_note(note)) {
            return Err(format!("no note like {pattern:?} among {notes:?}"));
        }
    }
    let is_expected = |note: &&String| expected.iter().any(|p| p.matches_note(note));
    match notes.iter().find(|note| !is_expected(note)) {
        Some(note) if !expected.is_empty() => Err(format!("unexpected note {note:?}")),
        _ => Ok(()),
    }
}

/// What is known of a classic histogram at one time.
#[derive(Default)]
struct ClassicParts {
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: Option<f64>,
}

/// The native histograms that say the same as the classic ones among the lines.
fn native_twins(gap_ms: i64, lines: &[Line]) -> BTreeMap<Labels, Loaded> {
    let mut parts: BTreeMap<Labels, BTreeMap<i64, ClassicParts>> = BTreeMap::new();
    for line in lines {
        let name = line.labels.metric_name().unwrap_or_default();
        let Some((base, suffix)) = ["_bucket", "_count", "_sum"]
            .iter()
            .find_map(|suffix| Some((name.strip_suffix(suffix)?, *suffix)))
        else {
            continue;
        };
        let le = line.labels.get("le").and_then(|le| le.parse::<f64>().ok());
        let mut labels = line.labels.to_builder();
        labels.set(METRIC_NAME, base).remove("le");
        let histogram = parts.entry(labels.build()).or_default();
        for (i, item) in line.items.iter().enumerate() {
            let Item::Value(value) = item else {
                continue;
            };
            let at = histogram.entry(i as i64 * gap_ms).or_default();
            match (suffix, le) {
                ("_bucket", Some(le)) if !is_stale(*value) => at.buckets.push((le, *value)),
                ("_count", _) => at.count = Some(*value),
                ("_sum", _) => at.sum = Some(*value),
                _ => {}
            }
        }
    }
    let literal = |histogram: Histogram| {
        Item::Histogram(Literal {
            histogram,
            says_reset: false,
        })
    };
    parts
        .into_iter()
        .map(|(labels, times)| {
            let samples = times.into_iter().filter_map(|(time_ms, parts)| {
                let found = literal::of_classic(parts.buckets, parts.count, parts.sum)?;
                Some((time_ms, literal(found)))
            });
            (labels, samples.collect())
        })
        .collect()
}
