//! `/metrics-explorer`: a PromQL expression as graph or table; without one, the list of metrics.
//!
//! The whole page is drawn here, the graph too; the script draws the same data with uPlot and asks
//! for this page again when the expression or the range changes, so that there is one way only.

pub(super) mod cardinality;
mod failure;
mod families;
mod nothing;
pub(super) mod one;

use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use failure::Failure;
use families::Listing;
use model::Label;
use nothing::Reason;
use promql::{Answer, Point, QueryError, Value};

use crate::ask::{self, Steps};
use crate::chart::Chart;
use crate::request::Visit;
use crate::shell::{Page, Shell, render};
use crate::time_range::TimeRange;
use crate::{Services, humanize};

/// Points per series of the graph: half a pixel row of a wide screen is more than eyes need.
const POINTS: i64 = 300;

/// Series in the graph; the page says when there are more.
const LINES_MAX: usize = 100;

/// Rows of the table; the page says when there are more.
const ROWS_MAX: usize = 500;

#[derive(Template)]
#[template(path = "metrics.html")]
struct MetricsPage {
    shell: Shell,
    q: String,
    /// `graph` or `table`.
    view: &'static str,
    find: String,
    took: String,
    notes: Vec<String>,
    body: Body,
}

/// What stands under the expression.
enum Body {
    /// No expression: what there is to ask for.
    List(Listing),
    Graph(Box<Graph>),
    Table(Table),
    /// A lone number or text.
    Single(String),
    /// The expression gives nothing; why, in sentences.
    Nothing(Vec<Reason>),
    Failed(Failure),
}

/// Draws the page.
pub(crate) async fn page(State(services): State<Arc<Services>>, visit: Visit) -> Response {
    let q = visit.params.text("q").to_owned();
    let find = visit.params.text("find").to_owned();
    let view = if visit.params.text("view") == "table" {
        "table"
    } else {
        "graph"
    };
    let range = TimeRange::of(&visit.params, visit.now_ms);
    let start = Instant::now();
    let (expression, words) = (q.clone(), find.to_lowercase());
    let answer = ask::blocking(&services, move |services| {
        let deadline = Instant::now() + services.query_timeout;
        if expression.is_empty() {
            return Ok((
                Body::List(Listing::gather(services, &range, &words)),
                Vec::new(),
            ));
        }
        evaluate(services, &expression, view, &range, deadline)
    });
    let (body, notes) = match answer.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => (Body::Failed(Failure::new(&q, &error)), Vec::new()),
        Err(error) => {
            let message = error.to_string();
            (
                Body::Failed(Failure {
                    message,
                    ..Failure::default()
                }),
                Vec::new(),
            )
        }
    };
    render(&MetricsPage {
        shell: Shell::new(&services, visit, Page::Metrics),
        q,
        view,
        find,
        took: humanize::seconds(start.elapsed().as_secs_f64()),
        notes,
        body,
    })
}

impl MetricsPage {
    /// The address with another view and the same expression.
    fn with_view(&self, view: &str) -> String {
        let query = self.shell.visit.params.with(&[("view", view)]);
        format!("/metrics-explorer{}", query.trim_end_matches('?'))
    }

    /// The address of the highest ten of the expression's series.
    fn with_top(&self) -> String {
        self.with_query(&format!("topk(10, {})", self.q))
    }

    /// The address of an expression in the same range.
    fn with_query(&self, q: &str) -> String {
        let query = self.shell.visit.params.with(&[("q", q), ("find", "")]);
        format!("/metrics-explorer{query}")
    }
}

fn evaluate(
    services: &Services,
    expression: &str,
    view: &str,
    range: &TimeRange,
    deadline: Instant,
) -> Result<(Body, Vec<String>), QueryError> {
    let answer = if view == "table" {
        ask::instant(services, expression, range.to_ms, deadline)?
    } else {
        ask::range(services, expression, Steps::over(range, POINTS), deadline)?
    };
    let Answer {
        value,
        mut warnings,
        infos,
        ..
    } = answer;
    warnings.extend(infos);
    let body = match value {
        Value::Scalar { value, .. } => Body::Single(humanize::value(value)),
        Value::String { value, .. } => Body::Single(value),
        Value::Vector(points) if !points.is_empty() => Body::Table(Table::of_points(&points)),
        Value::Matrix(series) if !series.is_empty() && view == "table" => {
            Body::Table(Table::of_series(&series))
        }
        Value::Matrix(mut series) if !series.is_empty() => {
            let found = series.len();
            series.truncate(LINES_MAX);
            Body::Graph(Box::new(Graph {
                chart: Chart::new(Steps::over(range, POINTS), &series),
                found,
            }))
        }
        Value::Vector(_) | Value::Matrix(_) => {
            Body::Nothing(nothing::reasons(services, expression, range))
        }
    };
    Ok((body, warnings))
}

/// A graph with its legend.
struct Graph {
    chart: Chart,
    /// Series that the expression gives; more than the chart has when it was cut.
    found: usize,
}

/// Series as rows, their labels as columns.
struct Table {
    common: Vec<Label>,
    columns: Vec<String>,
    rows: Vec<(Vec<String>, String)>,
    found: usize,
}

impl Table {
    fn of_points(points: &[Point]) -> Self {
        Self::new(
            points.iter().map(|p| (&p.labels, humanize::value(p.value))),
            points.len(),
        )
    }

    /// Of a range selector: how many samples there are and the last of them.
    fn of_series(series: &[promql::RangeSeries]) -> Self {
        let rows = series.iter().map(|s| {
            let last = s.samples.values.last().copied().unwrap_or(f64::NAN);
            let samples = humanize::things(s.samples.len() as u64, "sample", "samples");
            (
                &s.labels,
                format!("{samples}, last {}", humanize::value(last)),
            )
        });
        Self::new(rows, series.len())
    }

    fn new<'a>(rows: impl Iterator<Item = (&'a model::Labels, String)>, found: usize) -> Self {
        let rows: Vec<(&model::Labels, String)> = rows.take(ROWS_MAX).collect();
        let mut common: Vec<Label> = match rows.as_slice() {
            [(first, _), _, ..] => first.iter().cloned().collect(),
            _ => Vec::new(),
        };
        let mut columns: Vec<String> = Vec::new();
        for (labels, _) in &rows {
            common.retain(|label| labels.get(&label.name) == Some(&label.value));
            for label in *labels {
                if !columns.iter().any(|name| **name == *label.name) {
                    columns.push(label.name.to_string());
                }
            }
        }
        columns.retain(|name| !common.iter().any(|label| *label.name == **name));
        let rows = rows
            .into_iter()
            .map(|(labels, value)| {
                let cell = |name: &String| labels.get(name).unwrap_or_default().to_owned();
                (columns.iter().map(cell).collect(), value)
            })
            .collect();
        Self {
            common,
            columns,
            rows,
            found,
        }
    }
}
