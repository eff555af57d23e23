//! The front of the engine: limits, the two kinds of queries, and the shape of their answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::{Samples, SeriesReader};

use crate::coarse::Coarse;
use crate::column::{Vector, is_present};
use crate::eval;
use crate::grid::Grid;
use crate::notes::Notes;
use crate::query::{Meter, Query};
use crate::stack::with_room_for;
use crate::syntax::{self, Asked, Expr, Node, ValueKind};
use crate::value::{Answer, ErrorKind, Point, QueryError, RangeSeries, Value};

/// Times beyond this are refused: some 30,000 years, so that adding durations cannot overflow.
const TIME_MS_MAX: i64 = 1_000_000_000_000_000;

/// Settings and limits of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How far an instant selector looks back for a sample, milliseconds.
    pub lookback_ms: i64,
    /// The step of subqueries that name none, milliseconds (Prometheus: the global evaluation
    /// interval).
    pub subquery_step_ms: i64,
    /// Most samples that one query may read.
    pub samples_max: u64,
    /// Most series that one selector may find.
    pub series_max: usize,
    /// Most points that a range query may ask for per series.
    pub points_max: usize,
    /// Most memory that the columns of one query may take at a time, bytes.
    pub memory_bytes_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lookback_ms: 300_000,
            subquery_step_ms: 60_000,
            samples_max: 500_000_000,
            series_max: 500_000,
            // Prometheus' own figure: enough for a week of minutes, more than any screen shows.
            points_max: 11_000,
            memory_bytes_max: 256 << 20,
        }
    }
}

/// What a query is asked with besides its text and times.
#[derive(Clone, Copy, Default)]
pub struct Context<'a> {
    /// Asked now and then, from several threads: a reason to give up, if there is one
    /// (`Timeout`, `Canceled`). The engine has no clock of its own.
    pub stop: Option<&'a (dyn Fn() -> Option<ErrorKind> + Sync)>,
    /// Instead of [`Options::lookback_ms`] for this query.
    pub lookback_ms: Option<i64>,
}

/// An expression that was parsed and checked, to be asked for one time ([`Engine::instant_of`]).
#[derive(Debug)]
pub struct Prepared {
    text: String,
    expr: Expr,
}

/// Evaluates expressions within limits. Calls take as long as the query takes: make them from a
/// thread that may block.
#[derive(Debug, Default)]
pub struct Engine {
    options: Options,
}

impl Engine {
    /// An engine with these limits.
    pub fn new(options: Options) -> Self {
        Self { options }
    }

    /// The limits in force.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Parses and checks an expression without evaluating it.
    ///
    /// # Errors
    /// `BadData`, with the place where it is known.
    pub fn parse(&self, text: &str) -> Result<Expr, QueryError> {
        syntax::parse(text)
    }

    /// The value of an expression at one time, in milliseconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// See [`ErrorKind`]; nothing is answered in part.
    pub fn instant(
        &self,
        reader: &dyn SeriesReader,
        text: &str,
        time_ms: i64,
        context: &Context<'_>,
    ) -> Result<Answer, QueryError> {
        self.instant_of(reader, &self.prepare(text)?, time_ms, context)
    }

    /// Parses and checks an expression that is going to be asked for one time, again and again:
    /// its regular expressions are costly to make.
    ///
    /// # Errors
    /// `BadData`, with the place where it is known.
    pub fn prepare(&self, text: &str) -> Result<Prepared, QueryError> {
        with_room_for(text, || {
            Ok(Prepared {
                expr: syntax::parse_here(text)?.settled(Asked::default())?,
                text: text.to_owned(),
            })
        })
    }

    /// As [`Engine::instant`], of an expression that was parsed before.
    ///
    /// # Errors
    /// See [`ErrorKind`]; nothing is answered in part.
    pub fn instant_of(
        &self,
        reader: &dyn SeriesReader,
        prepared: &Prepared,
        time_ms: i64,
        context: &Context<'_>,
    ) -> Result<Answer, QueryError> {
        check_time(time_ms)?;
        let grid = Grid::instant(time_ms);
        let Prepared { text, expr } = prepared;
        with_room_for(text, || {
            let query = self.query(reader, text, expr, grid, false, context);
            let value = match expr.kind() {
                ValueKind::Text => Value::String {
                    timestamp_ms: time_ms,
                    value: eval::text(expr)?.to_owned(),
                },
                ValueKind::Scalar => Value::Scalar {
                    timestamp_ms: time_ms,
                    value: query.scalar(expr, &grid)?.at(0),
                },
                ValueKind::Vector => {
                    let mut vector = query.vector(expr, &grid)?;
                    vector.drop_names()?;
                    Value::Vector(points(vector, time_ms))
                }
                ValueKind::Matrix => {
                    let mut rows = query.matrix(expr, &grid)?.0;
                    rows.retain(|row| !row.samples.is_empty());
                    rows.sort_by(|a, b| a.labels.cmp(&b.labels));
                    let series = rows.into_iter().map(|row| RangeSeries {
                        labels: row.labels,
                        samples: row.samples,
                    });
                    Value::Matrix(series.collect())
                }
            };
            Ok(answer(&query, value))
        })
    }

    /// The values of an expression from `start_ms` to `end_ms`, both included, every `step_ms`.
    /// Always a matrix.
    ///
    /// # Errors
    /// See [`ErrorKind`]; nothing is answered in part.
    pub fn range(
        &self,
        reader: &dyn SeriesReader,
        text: &str,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
        context: &Context<'_>,
    ) -> Result<Answer, QueryError> {
        check_time(start_ms)?;
        check_time(end_ms)?;
        if step_ms <= 0 {
            return Err(bad_data("the step must be at least 1ms".to_owned()));
        }
        if end_ms < start_ms {
            return Err(bad_data("the end lies before the start".to_owned()));
        }
        let grid = Grid::range(start_ms, end_ms, step_ms);
        if grid.count > self.options.points_max {
            return Err(bad_data(format!(
                "{} points per series are more than {} (limit points_max): take a larger step or \
                 a shorter range",
                grid.count, self.options.points_max
            )));
        }
        with_room_for(text, || {
            let asked = Asked {
                step_ms,
                range_ms: end_ms - start_ms,
            };
            let expr = syntax::parse_here(text)?.settled(asked)?;
            let query = self.query(reader, text, &expr, grid, true, context);
            let mut series = match expr.kind() {
                ValueKind::Text | ValueKind::Matrix => {
                    return Err(bad_data(format!(
                        "a range query gives a number or an instant vector at every step, this \
                     expression gives {}",
                        expr.kind().with_article()
                    )));
                }
                ValueKind::Scalar => {
                    let scalar = query.scalar(&expr, &grid)?;
                    let mut samples = Samples::default();
                    for (step, value) in scalar.iter(grid.count).enumerate() {
                        samples.push(grid.time_ms(step), value);
                    }
                    let labels = model::Labels::empty();
                    vec![RangeSeries { labels, samples }]
                }
                ValueKind::Vector => {
                    let mut vector = query.vector(&expr, &grid)?;
                    vector.drop_names()?;
                    rows(vector, &grid)
                }
            };
            series.sort_by(|a, b| a.labels.cmp(&b.labels));
            Ok(answer(&query, Value::Matrix(series)))
        })
    }

    pub(crate) fn query<'a>(
        &'a self,
        reader: &'a dyn SeriesReader,
        text: &str,
        expr: &Expr,
        range: Grid,
        is_range: bool,
        context: &'a Context<'a>,
    ) -> Query<'a> {
        Query {
            reader,
            options: &self.options,
            context,
            lookback_ms: context
                .lookback_ms
                .filter(|ms| *ms > 0)
                .unwrap_or(self.options.lookback_ms),
            coarse: Coarse::of(reader),
            range,
            is_range,
            notes: Arc::new(Notes::new(text)),
            summaries: eval::summaries(expr),
            meter: Arc::new(Meter::new(self.options.memory_bytes_max)),
        }
    }
}

/// The selectors of an expression: which series it depends on.
impl Engine {
    /// Parses an expression and lists its selectors from left to right.
    ///
    /// # Errors
    /// `BadData` when it does not parse.
    pub fn selectors(&self, text: &str) -> Result<Vec<syntax::Selector>, QueryError> {
        Ok(self.parse(text)?.selectors().into_iter().cloned().collect())
    }

    /// Parses an expression and lists the selectors without which it gives nothing.
    ///
    /// # Errors
    /// `BadData` when it does not parse.
    pub fn needed(&self, text: &str) -> Result<Vec<syntax::Selector>, QueryError> {
        Ok(self.parse(text)?.needed().into_iter().cloned().collect())
    }
}

fn answer(query: &Query<'_>, value: Value) -> Answer {
    let samples_read = query.samples_read();
    let series_read = query.meter.series_read.load(Ordering::Relaxed);
    let (warnings, infos) = query.notes.take();
    Answer {
        value,
        warnings,
        infos,
        samples_read,
        series_read,
    }
}

/// The single column of an instant query as points.
fn points(vector: Vector, timestamp_ms: i64) -> Vec<Point> {
    let mut points: Vec<Point> = vector
        .series
        .into_iter()
        .filter_map(|series| {
            let column = series.column;
            let value = column.values.first().copied().filter(|v| is_present(*v))?;
            Some(Point {
                labels: series.labels,
                timestamp_ms,
                value,
                histogram: column.histogram(0).cloned(),
            })
        })
        .collect();
    if !vector.ordered {
        points.sort_by(|a, b| a.labels.cmp(&b.labels));
    }
    points
}

/// Columns as rows of samples, without the steps that have no value.
fn rows(vector: Vector, grid: &Grid) -> Vec<RangeSeries> {
    vector
        .series
        .into_iter()
        .map(|series| RangeSeries {
            labels: series.labels,
            samples: series.column.into_samples(grid),
        })
        .filter(|series| !series.samples.is_empty())
        .collect()
}

fn check_time(time_ms: i64) -> Result<(), QueryError> {
    if time_ms.abs() > TIME_MS_MAX {
        return Err(bad_data(format!(
            "the time {time_ms} ms is more than 30,000 years away"
        )));
    }
    Ok(())
}

fn bad_data(message: String) -> QueryError {
    QueryError {
        kind: ErrorKind::BadData,
        message,
        position: None,
    }
}

impl Expr {
    /// Whether it is a text or number as written, without any series.
    pub fn is_constant(&self) -> bool {
        match &self.node {
            Node::Number(_) | Node::Seconds(_) | Node::Text(_) => true,
            Node::Plus(inner) | Node::Paren(inner) => inner.is_constant(),
            _ => false,
        }
    }
}
