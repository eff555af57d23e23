//! Runs the commands of a script and compares.

use model::{Labels, METRIC_NAME, Samples, is_stale};
use promql::memory::MemoryReader;
use promql::{Answer, Context, Engine, QueryError, Value};

use crate::report::Report;
use crate::script::{Command, Eval, When};
use crate::sequence::{Item, Line};

/// Results may differ by this part of themselves: scripts write numbers with few digits.
const TOLERANCE: f64 = 1e-6;

const NATIVE: &str = "native histograms";

/// Cases that are answered in other words on purpose, with the reason.
const OTHERWISE: [(&str, &str); 1] = [(
    r#"count_values("a\xc5z", version)"#,
    "the escape is refused while parsing, before it becomes a label name",
)];

#[derive(Default)]
struct Runner {
    engine: Engine,
    reader: MemoryReader,
    /// Series of native histograms, which the reader does not hold.
    histograms: Vec<Labels>,
    report: Report,
}

/// Runs a script.
pub(crate) fn run(commands: Vec<Command>) -> Report {
    let mut runner = Runner::default();
    for command in commands {
        match command {
            Command::Clear => {
                runner.reader.clear();
                runner.histograms.clear();
            }
            Command::Load {
                gap_ms,
                lines,
                with_histograms,
            } => {
                for line in &lines {
                    runner.load(gap_ms, line, with_histograms);
                }
            }
            Command::Eval(eval) => runner.case(&eval),
        }
    }
    runner.report
}

impl Runner {
    fn load(&mut self, gap_ms: i64, line: &Line, with_histograms: bool) {
        for (i, item) in line.items.iter().enumerate() {
            if let Item::Value(value) = item {
                self.reader.push(&line.labels, i as i64 * gap_ms, *value);
            }
        }
        if line.has_histograms() {
            self.histograms.push(line.labels.clone());
        }
        let bucket = line
            .labels
            .metric_name()
            .and_then(|n| n.strip_suffix("_bucket"));
        if let (true, Some(name)) = (with_histograms, bucket) {
            let mut labels = line.labels.to_builder();
            labels.set(METRIC_NAME, name).remove("le");
            self.histograms.push(labels.build());
        }
    }

    /// Whether a case cannot be run without native histograms.
    fn is_about_histograms(&self, eval: &Eval) -> bool {
        let reads_them = self.engine.selectors(&eval.expr).is_ok_and(|selectors| {
            selectors.iter().any(|selector| {
                self.histograms
                    .iter()
                    .any(|labels| selector.matchers.iter().all(|m| m.matches_labels(labels)))
            })
        });
        reads_them || eval.expected.iter().any(Line::has_histograms)
    }

    fn case(&mut self, eval: &Eval) {
        let otherwise = OTHERWISE.iter().find(|(expr, _)| *expr == eval.expr);
        let reason = if self.is_about_histograms(eval) {
            Some(NATIVE)
        } else {
            otherwise.map(|(_, reason)| *reason)
        };
        if let Some(reason) = reason {
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
            (Err(error), Some(pattern)) if pattern.matches(&error.message) => return Ok(()),
            (Err(error), Some(_)) => return Err(format!("fails otherwise: {error}")),
            (Err(error), None) => return Err(error.to_string()),
            (Ok(_), Some(_)) => return Err("does not fail".to_owned()),
            (Ok(answer), None) => answer,
        };
        for (pattern, notes) in [
            (&eval.warns, &answer.warnings),
            (&eval.informs, &answer.infos),
        ] {
            if let Some(pattern) = pattern
                && !notes.iter().any(|note| pattern.matches(note))
            {
                return Err(format!("no such note among {notes:?}"));
            }
        }
        for (forbidden, notes) in [
            (eval.no_warning, &answer.warnings),
            (eval.no_info, &answer.infos),
        ] {
            if forbidden && !notes.is_empty() {
                return Err(format!("unexpected notes {notes:?}"));
            }
        }
        compare(eval, answer.value)
    }

    /// An instant query must give the same as the middle step of a range query.
    fn as_range(&self, eval: &Eval) -> Result<(), String> {
        let When::At(time_ms) = eval.when else {
            return Ok(());
        };
        let asks_for_steps = ["start()", "end()", "step()", "range()"]
            .iter()
            .any(|call| eval.expr.contains(call));
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
        let mut found: Vec<(Labels, f64)> = Vec::new();
        for series in series {
            let at = series.samples.timestamps_ms.binary_search(&time_ms);
            if let Ok(i) = at {
                found.push((series.labels, series.samples.values[i]));
            }
        }
        points(eval, found).map_err(|reason| format!("as a range: {reason}"))
    }
}

fn compare(eval: &Eval, value: Value) -> Result<(), String> {
    match value {
        Value::Scalar { value, .. } => match eval.number {
            Some(expected) if is_close(value, expected) => Ok(()),
            expected => Err(format!("gives {value}, not {expected:?}")),
        },
        Value::String { value, .. } => match &eval.text {
            Some(expected) if *expected == value => Ok(()),
            expected => Err(format!("gives {value:?}, not {expected:?}")),
        },
        Value::Vector(found) => points(
            eval,
            found.into_iter().map(|p| (p.labels, p.value)).collect(),
        ),
        Value::Matrix(found) => rows(
            eval,
            found.into_iter().map(|s| (s.labels, s.samples)).collect(),
        ),
    }
}

fn points(eval: &Eval, mut found: Vec<(Labels, f64)>) -> Result<(), String> {
    let mut expected: Vec<(Labels, f64)> = Vec::new();
    for line in &eval.expected {
        match line.items.as_slice() {
            [Item::Value(value)] => expected.push((line.labels.clone(), *value)),
            other => return Err(format!("the script expects {other:?}")),
        }
    }
    expected.extend(eval.number.map(|number| (Labels::empty(), number)));
    if !eval.ordered {
        found.sort_by(|a, b| a.0.cmp(&b.0));
        expected.sort_by(|a, b| a.0.cmp(&b.0));
    }
    let same = found.len() == expected.len()
        && found
            .iter()
            .zip(&expected)
            .all(|(a, b)| a.0 == b.0 && is_close(a.1, b.1));
    if same {
        Ok(())
    } else {
        Err(format!("gives {found:?}, not {expected:?}"))
    }
}

fn rows(eval: &Eval, mut found: Vec<(Labels, Samples)>) -> Result<(), String> {
    let when = eval.range_vector.unwrap_or(eval.when);
    let When::Range {
        start_ms, step_ms, ..
    } = when
    else {
        return Err("gives a range vector".to_owned());
    };
    let mut expected: Vec<(Labels, Samples)> = Vec::new();
    for line in &eval.expected {
        let mut samples = Samples::default();
        for (i, item) in line.items.iter().enumerate() {
            if let Item::Value(value) = item
                && !is_stale(*value)
            {
                samples.push(start_ms + i as i64 * step_ms, *value);
            }
        }
        expected.push((line.labels.clone(), samples));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    let same = found.len() == expected.len()
        && found.iter().zip(&expected).all(|(a, b)| {
            a.0 == b.0
                && a.1.timestamps_ms == b.1.timestamps_ms
                && a.1.values.len() == b.1.values.len()
                && a.1
                    .values
                    .iter()
                    .zip(&b.1.values)
                    .all(|(x, y)| is_close(*x, *y))
        });
    if same {
        Ok(())
    } else {
        Err(format!("gives {found:?}, not {expected:?}"))
    }
}

/// Equality within the tolerance; NaN equals NaN.
fn is_close(a: f64, b: f64) -> bool {
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let sum = a.abs() + b.abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return (a - b).abs() < TOLERANCE * f64::MIN_POSITIVE;
    }
    (a - b).abs() / sum.min(f64::MAX) < TOLERANCE
}
