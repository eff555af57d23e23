//! `/metrics-explorer`: a PromQL expression as graph or table; without one, the list of metrics.
//!
//! The whole page is drawn here, the graph too; the script draws the same data with uPlot and asks
//! for this page again when the expression or the range changes, so that there is one way only.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use model::{Label, METRIC_NAME, Matcher, MetricKind, MetricMetadata};
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

/// Metrics in the list; the page says when there are more.
const FAMILIES_MAX: usize = 400;

/// Names offered for one that does not exist.
const SIMILAR_MAX: usize = 5;

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
        Value::Vector(_) | Value::Matrix(_) => Body::Nothing(reasons(services, expression, range)),
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

/// Why an expression gives nothing, for one of its selectors.
struct Reason {
    sentence: String,
    /// Metrics of a similar name.
    similar: Vec<String>,
}

/// Looks at each selector of an expression that gives nothing.
fn reasons(services: &Services, expression: &str, range: &TimeRange) -> Vec<Reason> {
    let Ok(expr) = services.engine.parse(expression) else {
        return Vec::new();
    };
    let exists = |matchers: &[Matcher]| {
        let found = services
            .series
            .series(matchers, range.from_ms, range.to_ms, 1);
        found.is_ok_and(|(series, _)| !series.is_empty())
    };
    let names = services
        .series
        .label_values(METRIC_NAME, &[], range.from_ms, range.to_ms)
        .unwrap_or_default();
    expr.selectors()
        .into_iter()
        .filter(|selector| !exists(&selector.matchers))
        .map(|selector| {
            let name = selector.metric_name().unwrap_or_default();
            if !name.is_empty()
                && names
                    .binary_search_by(|other| other.as_str().cmp(name))
                    .is_err()
            {
                let sentence = format!("There is no metric {name} in this range.");
                return Reason {
                    sentence,
                    similar: similar(name, &names),
                };
            }
            // Which condition alone leaves nothing?
            let of_name = |m: &&Matcher| &*m.name == METRIC_NAME;
            let culprit = selector
                .matchers
                .iter()
                .filter(|m| !of_name(m))
                .find(|matcher| {
                    let named = selector.matchers.iter().filter(of_name).cloned();
                    let pair: Vec<Matcher> = named.chain([(*matcher).clone()]).collect();
                    !exists(&pair)
                });
            let sentence = match culprit {
                Some(matcher) => format!("No series of {name} satisfies {matcher}."),
                None => format!("No series of {name} satisfies all conditions together."),
            };
            Reason {
                sentence,
                similar: Vec::new(),
            }
        })
        .collect()
}

/// Metrics whose names have the most in common with one that does not exist: parts between
/// underscores, weighed by their length.
fn similar(name: &str, names: &[String]) -> Vec<String> {
    let name = name.to_lowercase();
    let parts: Vec<&str> = name.split('_').filter(|part| part.len() > 1).collect();
    let shared = |other: &str| -> usize {
        let other = other.to_lowercase();
        let found = parts.iter().filter(|part| other.contains(**part));
        found.map(|part| part.len()).sum()
    };
    let mut found: Vec<(usize, &String)> = names
        .iter()
        .map(|other| (shared(other), other))
        .filter(|(length, _)| *length > 0)
        .collect();
    found.sort_by(|a, b| (b.0, a.1.len(), a.1).cmp(&(a.0, b.1.len(), b.1)));
    let similar = found.into_iter().take(SIMILAR_MAX);
    similar.map(|(_, other)| other.clone()).collect()
}

/// An error with the expression and a mark under the place.
#[derive(Default)]
struct Failure {
    message: String,
    /// The expression up to and with the line of the place, and the mark; else empty.
    place: String,
    rest: String,
}

impl Failure {
    fn new(expression: &str, error: &QueryError) -> Self {
        let Some(position) = error.position else {
            return Self {
                message: error.message.clone(),
                ..Self::default()
            };
        };
        let (mut line_start, mut line_end) = (0, None);
        for (i, c) in expression.chars().enumerate() {
            if c == '\n' && i < position {
                line_start = i + 1;
            } else if c == '\n' && line_end.is_none() {
                line_end = Some(i);
            }
        }
        let end = line_end.unwrap_or_else(|| expression.chars().count());
        let shown: String = expression.chars().take(end).collect();
        let rest: String = expression.chars().skip(end).collect();
        // Tabs keep their width, so that the mark stands where it should.
        let indent: String = expression
            .chars()
            .skip(line_start)
            .take(position.saturating_sub(line_start))
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        Self {
            message: error.message.clone(),
            place: format!("{shown}\n{indent}^"),
            rest,
        }
    }
}

/// What there is to ask for.
struct Listing {
    families: Vec<Family>,
    found: usize,
    total: usize,
}

/// A metric with what is known of it.
struct Family {
    name: String,
    kind: &'static str,
    help: String,
    /// A first expression that makes sense for its kind.
    query: String,
}

impl Listing {
    fn gather(services: &Services, range: &TimeRange, words: &str) -> Self {
        let names = services
            .series
            .label_values(METRIC_NAME, &[], range.from_ms, range.to_ms)
            .unwrap_or_default();
        let all = families(&names, &services.series.metadata());
        let total = all.len();
        let mut families: Vec<Family> = all
            .into_iter()
            .filter(|f| {
                let text = format!("{} {}", f.name, f.help).to_lowercase();
                words.split_whitespace().all(|word| text.contains(word))
            })
            .collect();
        let found = families.len();
        families.truncate(FAMILIES_MAX);
        Self {
            families,
            found,
            total,
        }
    }
}

/// Joins the series names of histograms and summaries and says what is known of each family.
fn families(names: &[String], metadata: &BTreeMap<String, MetricMetadata>) -> Vec<Family> {
    let mut families: BTreeMap<&str, Family> = BTreeMap::new();
    for name in names {
        let parent = ["_bucket", "_sum", "_count", "_total", "_info"]
            .iter()
            .filter_map(|suffix| name.strip_suffix(suffix))
            .find(|base| metadata.contains_key(*base));
        let known = metadata
            .get(name.as_str())
            .map(|meta| (name.as_str(), meta));
        let known = known.or_else(|| Some((parent?, metadata.get(parent?)?)));
        let (kind, help) = known.map_or((MetricKind::Unknown, ""), |(_, meta)| {
            (meta.kind, &*meta.help)
        });
        let joined = matches!(
            kind,
            MetricKind::Histogram | MetricKind::Summary | MetricKind::GaugeHistogram
        );
        let family = match known {
            Some((base, _)) if joined => base,
            _ => name.as_str(),
        };
        // Counters by custom end so, whatever the exposition says.
        let counts = kind == MetricKind::Counter
            || (kind == MetricKind::Unknown && name.ends_with("_total"));
        families.entry(family).or_insert_with(|| Family {
            name: family.to_owned(),
            kind: if counts { "counter" } else { kind.as_str() },
            help: help.to_owned(),
            query: match kind {
                MetricKind::Histogram => {
                    format!("histogram_quantile(0.95, sum by (le) (rate({family}_bucket[5m])))")
                }
                MetricKind::Summary => format!("rate({family}_sum[5m]) / rate({family}_count[5m])"),
                _ if counts => format!("rate({family}[5m])"),
                _ => family.to_owned(),
            },
        });
    }
    families.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use promql::ErrorKind;

    #[test]
    fn families_begin_with_an_expression_that_makes_sense() {
        let names = ["a_bucket", "a_count", "a_sum", "b_total", "c", "d_total"].map(str::to_owned);
        let known = |kind| MetricMetadata {
            kind,
            ..MetricMetadata::default()
        };
        let metadata = BTreeMap::from([
            ("a".to_owned(), known(MetricKind::Histogram)),
            ("b".to_owned(), known(MetricKind::Counter)),
            ("c".to_owned(), known(MetricKind::Gauge)),
        ]);
        let got: Vec<String> = families(&names, &metadata)
            .into_iter()
            .map(|f| format!("{} {} {}", f.name, f.kind, f.query))
            .collect();
        assert_eq!(
            got,
            [
                "a histogram histogram_quantile(0.95, sum by (le) (rate(a_bucket[5m])))",
                "b_total counter rate(b_total[5m])",
                "c gauge c",
                "d_total counter rate(d_total[5m])",
            ]
        );
    }

    #[test]
    fn errors_point_at_the_place() {
        let check = |expression: &str, position: usize, place: &str, rest: &str| {
            let message = "unexpected".to_owned();
            let error = QueryError {
                kind: ErrorKind::BadData,
                message,
                position: Some(position),
            };
            let failure = Failure::new(expression, &error);
            assert_eq!(
                (failure.place.as_str(), failure.rest.as_str()),
                (place, rest)
            );
        };
        check("sum(up", 3, "sum(up\n   ^", "");
        check("é + )", 4, "é + )\n    ^", "");
        check("a\n+ )\nb", 4, "a\n+ )\n  ^", "\nb");
        check("a", 99, &format!("a\n{}^", " "), "");
    }

    #[test]
    fn similar_names_share_parts() {
        let names = ["node_load1", "node_memory_MemTotal_bytes", "up"].map(str::to_owned);
        assert_eq!(
            similar("node_memory_total_bytes", &names)[0],
            "node_memory_MemTotal_bytes"
        );
        assert!(similar("zzz", &names).is_empty());
    }
}
