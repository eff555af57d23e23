//! What stands under an expression: its answer in the view that is wanted, or why there is none.

use std::time::Instant;

use promql::{Answer, Context, ErrorKind, Explained, Point, QueryError, RangeSeries, Value};

use super::explain::Tree;
use super::failure::Failure;
use super::families;
use super::nothing::{self, Nothing};
use super::table::Table;
use super::{Graph, HEAT_COLUMNS, LINES_MAX, POINTS, View};
use crate::ask::{self, Steps};
use crate::chart::Chart;
use crate::chart::heat::Heat;
use crate::time_range::TimeRange;
use crate::{Services, humanize};

/// Histograms that are proposed where an expression gives none.
const PROPOSALS_MAX: usize = 6;

/// An expression with its answer.
pub(super) struct Section {
    /// From 1.
    pub(super) number: usize,
    /// Its parameter in the address: `q`, `q2`, …
    pub(super) param: &'static str,
    pub(super) q: String,
    /// How much was found and read, and how long it took.
    pub(super) stats: Vec<String>,
    pub(super) notes: Vec<String>,
    pub(super) body: Body,
}

/// What stands under an expression.
pub(super) enum Body {
    /// It is still to be written.
    Unasked,
    Graph(Box<Graph>),
    Table(Table),
    Heat(Box<Heat>),
    Explain(Tree),
    /// Numbers, but no histogram; expressions that give one.
    NoHeat(Vec<String>),
    /// A lone number or text.
    Single(String),
    /// The expression gives nothing; why.
    Nothing(Nothing),
    Failed(Failure),
}

/// An answer with what should be said beside it.
pub(super) struct Told {
    body: Body,
    /// `3 series`, `1,204 samples read`.
    stats: Vec<String>,
    notes: Vec<String>,
}

impl Section {
    pub(super) fn new(
        number: usize,
        param: &'static str,
        q: String,
        told: Result<Told, QueryError>,
        took: &str,
    ) -> Self {
        let (body, mut stats, notes) = match told {
            Ok(told) => (told.body, told.stats, told.notes),
            Err(error) => (
                Body::Failed(Failure::new(&q, &error)),
                Vec::new(),
                Vec::new(),
            ),
        };
        if !matches!(body, Body::Unasked) {
            stats.push(took.to_owned());
        }
        Self {
            number,
            param,
            q,
            stats,
            notes,
            body,
        }
    }

    /// One that nobody could answer; `error` is empty where nobody asked.
    pub(super) fn untold(number: usize, param: &'static str, q: String, error: &str) -> Self {
        let body = if error.is_empty() {
            Body::Unasked
        } else {
            Body::Failed(Failure {
                message: error.to_owned(),
                ..Failure::default()
            })
        };
        Self {
            number,
            param,
            q,
            stats: Vec::new(),
            notes: Vec::new(),
            body,
        }
    }
}

/// Evaluates an expression for a view.
pub(super) fn evaluate(
    services: &Services,
    expression: &str,
    view: View,
    stacked: bool,
    range: &TimeRange,
    deadline: Instant,
) -> Result<Told, QueryError> {
    let told = |body, stats| Told {
        body,
        stats,
        notes: Vec::new(),
    };
    if expression.is_empty() {
        return Ok(told(Body::Unasked, Vec::new()));
    }
    if view == View::Explain {
        let tree = explain(services, expression, range, deadline)?;
        let tree = Tree::new(expression, tree);
        return Ok(told(Body::Explain(tree), Vec::new()));
    }
    let steps = Steps::over(
        range,
        if view == View::Heat {
            HEAT_COLUMNS
        } else {
            POINTS
        },
    );
    let answer = if view == View::Table {
        ask::instant(services, expression, range.to_ms, deadline)?
    } else {
        ask::range(services, expression, steps, deadline)?
    };
    let Answer {
        value,
        warnings: mut notes,
        infos,
        samples_read,
        ..
    } = answer;
    notes.extend(infos);
    let mut stats = Vec::new();
    let body = match value {
        Value::Scalar { value, .. } => Body::Single(humanize::value(value)),
        Value::String { value, .. } => Body::Single(value),
        Value::Vector(points) if !points.is_empty() => {
            stats.push(humanize::things(points.len() as u64, "row", "rows"));
            Body::Table(Table::of_points(&points))
        }
        Value::Matrix(series) if !series.is_empty() && view == View::Table => {
            stats.push(humanize::things(series.len() as u64, "row", "rows"));
            Body::Table(Table::of_series(&series))
        }
        Value::Matrix(series) if !series.is_empty() => {
            stats.push(humanize::things(series.len() as u64, "series", "series"));
            match view {
                View::Heat => heat(services, steps, &series, range, &mut notes),
                _ => graph(steps, series, stacked),
            }
        }
        Value::Vector(_) | Value::Matrix(_) => {
            let tree = explain(services, expression, range, deadline)?;
            Body::Nothing(nothing::explained(services, expression, tree, range))
        }
    };
    stats.push(humanize::things(
        samples_read,
        "sample read",
        "samples read",
    ));
    Ok(Told { body, stats, notes })
}

fn explain(
    services: &Services,
    expression: &str,
    range: &TimeRange,
    deadline: Instant,
) -> Result<Explained, QueryError> {
    let stop = || (Instant::now() >= deadline).then_some(ErrorKind::Timeout);
    let context = Context {
        stop: Some(&stop),
        ..Context::default()
    };
    let (engine, reader) = (&services.engine, &*services.series);
    engine.explain(reader, expression, range.to_ms, &context)
}

fn graph(steps: Steps, mut series: Vec<RangeSeries>, stacked: bool) -> Body {
    // Native histograms have no line: their whole is shown as a heatmap, their last as a row.
    let is_line = |one: &RangeSeries| one.samples.histograms.len() < one.samples.len();
    if !series.iter().any(is_line) {
        if let Some(heat) = Heat::new(steps, &series) {
            return Body::Heat(Box::new(heat));
        }
        return Body::Table(Table::of_points(&last_points(&series)));
    }
    let found = series.len();
    series.truncate(LINES_MAX);
    let chart = Chart::new(steps, &series);
    let chart = if stacked { chart.stacked() } else { chart };
    Body::Graph(Box::new(Graph { chart, found }))
}

fn last_points(series: &[RangeSeries]) -> Vec<Point> {
    let point = |one: &RangeSeries| {
        let last = one.samples.len().checked_sub(1)?;
        let histograms = &one.samples.histograms;
        let histogram = histograms.iter().find(|(index, _)| *index == last);
        Some(Point {
            labels: one.labels.clone(),
            timestamp_ms: *one.samples.timestamps_ms.get(last)?,
            value: *one.samples.values.get(last)?,
            histogram: histogram.map(|(_, histogram)| histogram.clone()),
        })
    };
    series.iter().filter_map(point).collect()
}

fn heat(
    services: &Services,
    steps: Steps,
    series: &[RangeSeries],
    range: &TimeRange,
    notes: &mut Vec<String>,
) -> Body {
    let Some(heat) = Heat::new(steps, series) else {
        return Body::NoHeat(proposals(services, range));
    };
    if heat.summed > 1 {
        notes.push(format!(
            "{} are added up in this heatmap: sum by (le) (…) says so in the expression.",
            humanize::things(heat.summed as u64, "histogram", "histograms")
        ));
    }
    if series
        .iter()
        .any(|one| one.labels.get(model::METRIC_NAME).is_some())
    {
        notes.push(
            "These are counts since each process started. rate(…[5m]) shows when it happened."
                .to_owned(),
        );
    }
    Body::Heat(Box::new(heat))
}

/// Expressions that a heatmap can be drawn of.
fn proposals(services: &Services, range: &TimeRange) -> Vec<String> {
    let names = services
        .series
        .label_values(model::METRIC_NAME, &[], range.from_ms, range.to_ms)
        .unwrap_or_default();
    families::families(&names, &services.series.metadata())
        .into_iter()
        .filter(|family| family.kind == "histogram")
        .map(|family| {
            let bucket = format!("{}_bucket", family.name);
            if names.contains(&bucket) {
                format!("sum by (le) (rate({bucket}[5m]))")
            } else {
                format!("sum(rate({}[5m]))", family.name)
            }
        })
        .take(PROPOSALS_MAX)
        .collect()
}
