//! Answers log rules from the log store: LogQL as in Loki's ruler, or the language of the search
//! field with the time to look back at its end.
//!
//! - LogQL: a metric query, `sum by (pod) (count_over_time({app="shop"} |= "timeout" [10m])) > 5`.
//! - The search language: `level:error.. timeout | stats count() as n by (pod) | where n > 5 [10m]`.
//!   Each row is a result: its texts are labels, its first number is the value. A query that
//!   finds lines and no rows gives one result with their number, or none where there are none.
//!
//! A query that takes too long is stopped by [`LogQuery::stop_overdue`], which somebody with a
//! clock calls now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use log_query::logql::{self, EvalError};
use log_query::{
    Answer as Found, Cell, Direction, LogReader, Query, Search, Stop, Table, look_back,
};
use model::{Labels, LabelsBuilder, Matcher, Sample, StoreError};
use parking_lot::Mutex;
use promql::{Answer, ErrorKind, Point, QueryError, Value};

use crate::group::ALERTS_PER_RULE_MAX;
use crate::query::{Reads, RuleQuery};

/// What a search is given that only finds lines: how many there are.
const COUNTED: &str = " | stats count() as lines | where lines > 0";

/// The log store, and how long a query may take.
pub struct LogQuery {
    reader: Arc<dyn LogReader>,
    timeout: Duration,
    /// Queries that run, with the moment at which they are stopped.
    running: Mutex<Vec<(u64, Instant, Stop)>>,
    next: AtomicU64,
}

/// A checked expression.
enum Plan {
    LogQl(Box<logql::MetricExpr>),
    Search { query: Arc<Query>, window_ns: i64 },
}

impl LogQuery {
    /// Queries may take `timeout`.
    pub fn new(reader: Arc<dyn LogReader>, timeout: Duration) -> Self {
        Self {
            reader,
            timeout,
            running: Mutex::default(),
            next: AtomicU64::new(0),
        }
    }

    /// Stops the queries that have taken too long; to be called about once a second.
    pub fn stop_overdue(&self) {
        let now = Instant::now();
        for (_, deadline, stop) in self.running.lock().iter() {
            if *deadline <= now {
                stop.stop();
            }
        }
    }

    /// Stops all queries: nobody waits for them any more.
    pub fn stop_all(&self) {
        for (_, _, stop) in self.running.lock().iter() {
            stop.stop();
        }
    }

    fn guarded<T>(&self, ask: impl FnOnce(Stop) -> Result<T, QueryError>) -> Result<T, QueryError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (deadline, stop) = (Instant::now() + self.timeout, Stop::default());
        self.running.lock().push((id, deadline, stop.clone()));
        let answer = ask(stop.clone());
        self.running.lock().retain(|(other, ..)| *other != id);
        match answer {
            Err(_) if stop.is_stopped() => Err(error(
                ErrorKind::Timeout,
                format!(
                    "the log query took longer than {}: narrow its labels or its time range",
                    model::duration::format(self.timeout)
                ),
            )),
            answer => answer,
        }
    }

    fn table(&self, query: &Arc<Query>, window_ns: i64, time_ms: i64) -> Result<Table, QueryError> {
        let end_ns = time_ms.saturating_mul(1_000_000);
        self.guarded(|stop| {
            let search = Search {
                query: query.clone(),
                start_ns: end_ns.saturating_sub(window_ns),
                end_ns,
                direction: Direction::Backward,
                limit: ALERTS_PER_RULE_MAX,
                after: None,
                stop,
            };
            let mut ignore = |_: log_query::Line| std::ops::ControlFlow::Break(());
            match log_query::run(&*self.reader, &search, &mut ignore) {
                Ok(Found::Table(table)) => Ok(table),
                Ok(Found::Lines(_)) => Err(error(
                    ErrorKind::Internal,
                    "a checked log query gave lines instead of rows".to_owned(),
                )),
                Err(reason) => Err(store_error(&reason)),
            }
        })
    }
}

fn error(kind: ErrorKind, message: String) -> QueryError {
    QueryError {
        kind,
        message,
        position: None,
    }
}

fn store_error(reason: &StoreError) -> QueryError {
    let kind = match reason {
        StoreError::Limit(_) | StoreError::Refused(_) => ErrorKind::Execution,
        StoreError::Cancelled => ErrorKind::Canceled,
        _ => ErrorKind::Internal,
    };
    error(kind, reason.to_string())
}

fn plan(expression: &str) -> Result<Plan, QueryError> {
    let bad = |message: String| Err(error(ErrorKind::BadData, message));
    let logql_error = match logql::parse(expression) {
        Ok(logql::Expr::Metric(metric)) => return Ok(Plan::LogQl(Box::new(metric))),
        Ok(logql::Expr::Log(_)) => {
            return bad(
                "the query gives lines, a rule needs numbers: write count_over_time(… [5m])"
                    .to_owned(),
            );
        }
        Err(reason) => reason,
    };
    let Some((query, window_ns)) = look_back(expression) else {
        // A selector or a range aggregation is LogQL, whatever is wrong with it.
        return bad(
            if expression.contains(['{', '(']) && !expression.contains('|') {
                logql_error.to_string()
            } else {
                format!(
                    "neither LogQL ({logql_error}) nor a search: a search in a rule says at its end \
                 how far it looks back, such as [10m]"
                )
            },
        );
    };
    let parse = |text: &str| {
        Query::parse(text).map_err(|reason| error(ErrorKind::BadData, reason.to_string()))
    };
    let mut parsed = parse(query)?;
    if !parsed.makes_table() {
        parsed = parse(&format!("{query}{COUNTED}"))?;
    }
    Ok(Plan::Search {
        query: Arc::new(parsed),
        window_ns,
    })
}

impl RuleQuery for LogQuery {
    fn check(&self, expression: &str) -> Result<Reads, QueryError> {
        // Lines are no series: whatever earlier rules of the group have made does not matter.
        plan(expression).map(|_| Reads::Only(Vec::new()))
    }

    fn instant(&self, expression: &str, time_ms: i64) -> Result<Answer, QueryError> {
        let value = match plan(expression)? {
            Plan::LogQl(metric) => {
                let time_ns = time_ms.saturating_mul(1_000_000);
                let answer = self.guarded(|stop| {
                    let limits = logql::Limits {
                        series_max: ALERTS_PER_RULE_MAX,
                        stop,
                    };
                    logql::instant(&*self.reader, &metric, time_ns, &limits).map_err(|reason| {
                        match reason {
                            EvalError::Store(reason) => store_error(&reason),
                            other => error(ErrorKind::Execution, other.to_string()),
                        }
                    })
                })?;
                of_logql(answer.value, time_ms)
            }
            Plan::Search { query, window_ns } => {
                Value::Vector(points(&self.table(&query, window_ns, time_ms)?, time_ms))
            }
        };
        Ok(Answer {
            value,
            warnings: Vec::new(),
            infos: Vec::new(),
            samples_read: 0,
            series_read: 0,
        })
    }

    fn link(&self, expression: &str) -> String {
        match look_back(expression) {
            Some((query, _)) => format!("/logs?q={}", template::query_escape(query)),
            None => "/alerts".to_owned(),
        }
    }

    fn latest(&self, _: &[Matcher], _: i64, _: i64) -> Result<Vec<(Labels, Sample)>, QueryError> {
        // How alerts stood is kept as series, whatever their rules ask.
        Ok(Vec::new())
    }
}

fn of_logql(value: logql::Value, time_ms: i64) -> Value {
    match value {
        logql::Value::Scalar(value) => Value::Scalar {
            timestamp_ms: time_ms,
            value,
        },
        logql::Value::Series(columns) => Value::Vector(
            columns
                .into_iter()
                .filter_map(|column| {
                    let value = column.values.last().copied()?;
                    (!logql::is_absent(value)).then_some(Point {
                        labels: column.labels,
                        timestamp_ms: time_ms,
                        value,
                        histogram: None,
                    })
                })
                .collect(),
        ),
    }
}

/// Rows as results: texts are labels, the first number is the value. Rows without a number count
/// as 1: they are there.
fn points(table: &Table, time_ms: i64) -> Vec<Point> {
    table
        .rows
        .iter()
        .map(|row| {
            let mut labels = LabelsBuilder::default();
            let mut value = None;
            for (column, cell) in table.columns.iter().zip(row) {
                match cell {
                    Cell::Text(text) => {
                        labels.set(label_name(&column.name), text.as_str());
                    }
                    Cell::Count(n) => value = value.or(Some(*n as f64)),
                    Cell::Number(n) => value = value.or(Some(*n)),
                    Cell::Missing | Cell::Time(_) | Cell::Counts(_) => {}
                }
            }
            Point {
                labels: labels.build(),
                timestamp_ms: time_ms,
                value: value.unwrap_or(1.0),
                histogram: None,
            }
        })
        .collect()
}

/// The name of a column as a label: letters, digits and underscores.
fn label_name(column: &str) -> String {
    let mut name: String = column
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

#[cfg(test)]
mod tests {
    use log_query::Record;
    use log_query::memory::MemoryReader;
    use model::Level;

    use super::*;

    const SECOND: i64 = 1_000_000_000;
    const NOW_S: i64 = 10_000;

    /// Lines of two pods: one says `timeout` seven times within the last ten minutes.
    fn lines() -> LogQuery {
        let mut records = Vec::new();
        let mut line = |pod: &str, age_s: i64, level, text: &str| {
            records.push(Record {
                labels: Labels::from_pairs([("app", "shop"), ("pod", pod)]),
                sequence: records.len() as u64,
                time_ns: (NOW_S - age_s) * SECOND,
                level,
                text: text.as_bytes().to_vec(),
            });
        };
        for i in 0..7 {
            line("a", 60 * i + 5, Level::Error, "payment timeout after 30 s");
        }
        line("b", 5_000, Level::Error, "payment timeout after 30 s");
        line("b", 90, Level::Warn, "payment timeout after 20 s");
        line("b", 30, Level::Error, "disk full on /data");
        LogQuery::new(Arc::new(MemoryReader::new(records)), Duration::from_mins(1))
    }

    #[track_caller]
    fn check(expression: &str, expected: &[&str]) {
        let answer = lines()
            .instant(expression, NOW_S * 1_000)
            .unwrap_or_else(|error| panic!("{expression}: {error}"));
        let mut found: Vec<String> = match answer.value {
            Value::Vector(points) => points
                .into_iter()
                .map(|point| format!("{} {}", point.labels, point.value))
                .collect(),
            other => vec![format!("{other:?}")],
        };
        found.sort();
        assert_eq!(found, expected, "{expression}");
    }

    #[test]
    fn both_languages_answer() {
        check(
            r#"sum by (pod) (count_over_time({app="shop"} |= "timeout" [10m])) > 5"#,
            &[r#"{pod="a"} 7"#],
        );
        check(
            "timeout | stats count() as n by (pod) | where n > 5 [10m]",
            &[r#"{pod="a"} 7"#],
        );
        check("level:error.. timeout [10m]", &["{} 7"]);
        check("nothing like it [10m]", &[]);
        check(
            "level:warn.. | patterns new 30m | fields pattern, count [30m]",
            &[r#"{pattern="disk full on /data"} 1"#],
        );
        check(
            r#"absent_over_time({app="silent"}[15m])"#,
            &[r#"{app="silent"} 1"#],
        );
        check(
            "app:silent | stats count() as n | where n < 1 [15m]",
            &["{} 0"],
        );
    }

    #[test]
    fn what_is_no_rule_is_refused_with_the_way_out() {
        let check = |expression: &str, expected: &str| {
            let error = lines().check(expression).expect_err(expression);
            assert!(error.message.contains(expected), "{expression}: {error}");
        };
        check(r#"{app="shop"} |= "x""#, "count_over_time");
        check("timeout", "such as [10m]");
        check(
            "sum by (pod) (count_over_time({app=}[5m]))",
            "parse error at line 1",
        );
        check("timeout | nopipe [5m]", "nopipe");
    }

    #[test]
    fn a_query_that_takes_too_long_is_stopped() {
        let logs = LogQuery::new(Arc::new(MemoryReader::new(Vec::new())), Duration::ZERO);
        let error = logs
            .guarded(|stop| {
                logs.stop_overdue();
                assert!(stop.is_stopped());
                Err::<(), _>(error(ErrorKind::Canceled, "cancelled".to_owned()))
            })
            .expect_err("too late");
        assert_eq!(error.kind, ErrorKind::Timeout);
        assert!(logs.running.lock().is_empty());
    }
}
