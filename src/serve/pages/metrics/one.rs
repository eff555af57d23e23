//! `/metrics/{name}`: one metric. What it means, a first graph that makes sense for its kind, its
//! labels with their values, and which rules use it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use alert_rules::GroupSnapshot;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use model::{Labels, METRIC_NAME, MatchOp, Matcher};
use promql::{Answer, Value};

use super::families::{Family, families};
use super::{Graph, explore};
use crate::ask::{self, Steps};
use crate::chart::Chart;
use crate::chart::heat::Heat;
use crate::html::path_segment;
use crate::request::Visit;
use crate::shell::{Page, Shell, render};
use crate::time_range::TimeRange;
use crate::{Services, humanize};

/// Series that are looked at for labels; the page says when there are more.
const SERIES_MAX: usize = 20_000;

/// Values listed per label, the most common first; the page says how many there are.
const VALUES_MAX: usize = 12;

/// Above so many series the first graph is a sum.
const LINES_MAX: usize = 12;

/// The graph that is a heatmap.
const DISTRIBUTION: &str = "Distribution, per second";

#[derive(Template)]
#[template(path = "metric.html")]
struct MetricPage {
    shell: Shell,
    name: String,
    /// Empty where nothing says it.
    unit: String,
    /// `None` where no series has this name in the range.
    found: Option<Found>,
    /// Why it cannot be told; else empty.
    error: String,
    /// Metrics of a similar name, where this one is not there.
    similar: Vec<String>,
    rules: Vec<Use>,
}

struct Found {
    family: Family,
    /// The series' names that make it up.
    names: Vec<String>,
    series: usize,
    more: bool,
    labels: Vec<LabelUse>,
    graphs: Vec<Drawn>,
}

/// A graph with the expression behind it.
struct Drawn {
    title: &'static str,
    query: String,
    href: String,
    graph: Option<Graph>,
    heat: Option<Heat>,
}

/// A label with its most common values.
struct LabelUse {
    name: String,
    values: usize,
    top: Vec<(String, usize, String)>,
}

/// A rule that reads the metric.
struct Use {
    group: String,
    rule: String,
    expression: String,
}

/// Draws the page.
pub(crate) async fn page(
    State(services): State<Arc<Services>>,
    Path(name): Path<String>,
    visit: Visit,
) -> Response {
    let range = TimeRange::of(&visit.params, visit.now_ms);
    let asked = name.clone();
    let answer = ask::blocking(&services, move |services| look(services, &asked, &range)).await;
    let (found, similar, unit, error) = match answer {
        Ok(Ok((found, similar, unit))) => (found, similar, unit, String::new()),
        Ok(Err(error)) => (None, Vec::new(), String::new(), error.to_string()),
        Err(error) => (None, Vec::new(), String::new(), error.to_string()),
    };
    let names: Vec<String> = match &found {
        Some(found) => found.names.clone(),
        None => vec![name.clone()],
    };
    let rules = used_in(&services, &(services.rule_groups)(), &names);
    render(&MetricPage {
        shell: Shell::new(&services, visit, Page::Metrics),
        name,
        unit,
        found,
        error,
        similar,
        rules,
    })
}

impl MetricPage {
    /// The address of another metric's page in the same range.
    fn page_of(&self, name: &str) -> String {
        format!(
            "/metrics/{}{}",
            path_segment(name),
            self.shell.visit.params.with(&[])
        )
    }
}

type Looked = (Option<Found>, Vec<String>, String);

fn look(services: &Services, name: &str, range: &TimeRange) -> Result<Looked, model::StoreError> {
    let (from, to) = (range.from_ms, range.to_ms);
    let all = services.series.label_values(METRIC_NAME, &[], from, to)?;
    let metadata = services.series.metadata();
    let unit = metadata
        .get(name)
        .map(|m| m.unit.to_string())
        .unwrap_or_default();
    let parts: Vec<String> = all
        .iter()
        .filter(|other| {
            let suffix = other.strip_prefix(name);
            suffix.is_some_and(|s| s.is_empty() || ["_bucket", "_sum", "_count"].contains(&s))
        })
        .cloned()
        .collect();
    // A family may be asked for by the name of one of its parts.
    let family = families(&parts, &metadata).into_iter().next();
    let Some(family) = family.filter(|_| !parts.is_empty()) else {
        return Ok((None, super::nothing::similar(name, &all), unit));
    };
    let names: Vec<String> = if parts.iter().any(|part| part == name) {
        vec![name.to_owned()]
    } else {
        parts
    };
    let mut series: Vec<Labels> = Vec::new();
    let mut more = false;
    for part in &names {
        let matchers = [Matcher::equal(METRIC_NAME, part.as_str())];
        let (found, cut) = services.series.series(&matchers, from, to, SERIES_MAX)?;
        more |= cut;
        series.extend(found);
    }
    let buckets = format!("{}_bucket", family.name);
    let is_native = family.name == name && !all.contains(&buckets);
    let graphs = graphs(services, &family, name, series.len(), is_native, range);
    Ok((
        Some(Found {
            labels: labels(&series, &names),
            family,
            names,
            series: series.len(),
            more,
            graphs,
        }),
        Vec::new(),
        unit,
    ))
}

/// The labels of some series, those with the most values first.
fn labels(series: &[Labels], names: &[String]) -> Vec<LabelUse> {
    let mut counts: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for label in series.iter().flat_map(|labels| labels.iter()) {
        if *label.name != *METRIC_NAME {
            let values = counts.entry(&label.name).or_default();
            *values.entry(&label.value).or_default() += 1;
        }
    }
    let selector = match names {
        [name] => quoted_name(name),
        _ => format!(
            "__name__=~{:?}",
            names
                .iter()
                .map(|n| regex_escape(n))
                .collect::<Vec<_>>()
                .join("|")
        ),
    };
    let mut labels: Vec<LabelUse> = counts
        .into_iter()
        .map(|(name, values)| {
            let n_values = values.len();
            let mut top: Vec<(&str, usize)> = values.into_iter().collect();
            top.sort_by_key(|(value, count)| (std::cmp::Reverse(*count), *value));
            let link =
                |value: &str| explore(&format!("{{{selector},{}={value:?}}}", label_name(name)));
            let top = top.into_iter().take(VALUES_MAX);
            LabelUse {
                name: name.to_owned(),
                values: n_values,
                top: top.map(|(v, n)| (v.to_owned(), n, link(v))).collect(),
            }
        })
        .collect();
    labels.sort_by(|a, b| (b.values, &a.name).cmp(&(a.values, &b.name)));
    labels
}

fn quoted_name(name: &str) -> String {
    format!("__name__={name:?}")
}

/// A label's name as PromQL takes it: in quotes where it is none of the plain ones.
fn label_name(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        name.to_owned()
    } else {
        format!("{name:?}")
    }
}

fn regex_escape(text: &str) -> String {
    text.replace('.', "\\.")
}

/// Expressions that make sense first for the kind of a metric.
///
/// `is_native` says that a histogram has no series by `le`.
fn first_queries(
    family: &Family,
    name: &str,
    series: usize,
    is_native: bool,
) -> Vec<(&'static str, String)> {
    let base = &family.name;
    let selector = format!("{{{}}}", quoted_name(name));
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let selector = if name.chars().all(plain) {
        name.to_owned()
    } else {
        selector
    };
    let many = series > LINES_MAX;
    match family.kind {
        "histogram" if name == base => {
            let (all, count) = if is_native {
                let all = format!("sum(rate({selector}[5m]))");
                (all.clone(), format!("histogram_count({all})"))
            } else {
                (
                    format!("sum by (le) (rate({base}_bucket[5m]))"),
                    format!("sum(rate({base}_count[5m]))"),
                )
            };
            let quantile = |q: &str| format!("histogram_quantile({q}, {all})");
            let of = |q: &str| {
                format!(
                    "label_replace({}, \"quantile\", \"{q}\", \"\", \"\")",
                    quantile(q)
                )
            };
            vec![
                (
                    "Quantiles",
                    format!("{} or {} or {}", of("0.5"), of("0.95"), of("0.99")),
                ),
                (DISTRIBUTION, all.clone()),
                ("Observations per second", count),
            ]
        }
        "summary" if name == base => vec![
            (
                "Mean",
                format!("sum(rate({base}_sum[5m])) / sum(rate({base}_count[5m]))"),
            ),
            (
                "Observations per second",
                format!("sum(rate({base}_count[5m]))"),
            ),
        ],
        "counter" | "histogram" | "summary" if many => {
            vec![(
                "Per second, all together",
                format!("sum(rate({selector}[5m]))"),
            )]
        }
        "counter" | "histogram" | "summary" => {
            vec![("Per second", format!("rate({selector}[5m])"))]
        }
        _ if many => vec![("The greatest", format!("topk({LINES_MAX}, {selector})"))],
        _ => vec![("Value", selector)],
    }
}

fn graphs(
    services: &Services,
    family: &Family,
    name: &str,
    series: usize,
    is_native: bool,
    range: &TimeRange,
) -> Vec<Drawn> {
    let deadline = Instant::now() + services.query_timeout;
    first_queries(family, name, series, is_native)
        .into_iter()
        .map(|(title, query)| {
            let is_heat = title == DISTRIBUTION;
            let points = if is_heat {
                super::HEAT_COLUMNS
            } else {
                super::POINTS
            };
            let steps = Steps::over(range, points);
            // It is a first proposal: one that does not fit is no error to show.
            let found = match ask::range(services, &query, steps, deadline) {
                Ok(Answer {
                    value: Value::Matrix(series),
                    ..
                }) => series,
                _ => Vec::new(),
            };
            let heat = is_heat.then(|| Heat::new(steps, &found)).flatten();
            let graph = (!is_heat && !found.is_empty()).then(|| {
                let shown = found.get(..super::LINES_MAX).unwrap_or(&found);
                Graph {
                    chart: Chart::new(steps, shown),
                    found: found.len(),
                }
            });
            let view = if is_heat { "&view=heat" } else { "" };
            Drawn {
                title,
                href: format!("{}{view}", explore(&query)),
                query,
                graph,
                heat,
            }
        })
        .collect()
}

/// Rules whose expressions select one of the names.
fn used_in(services: &Services, groups: &[GroupSnapshot], names: &[String]) -> Vec<Use> {
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let reads = |matcher: &Matcher| {
        *matcher.name == *METRIC_NAME
            && match matcher.op {
                MatchOp::Equal => names.contains(&*matcher.value),
                MatchOp::Regex => names.iter().any(|name| matcher.matches(name)),
                _ => false,
            }
    };
    let mut uses = Vec::new();
    for group in groups {
        for rule in &group.rules {
            let Ok(expression) = services.engine.parse(&rule.expression) else {
                continue;
            };
            let mut selectors = expression.selectors().into_iter();
            if selectors.any(|selector| selector.matchers.iter().any(reads)) {
                uses.push(Use {
                    group: group.name.clone(),
                    rule: rule.name.clone(),
                    expression: rule.expression.clone(),
                });
            }
        }
    }
    uses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(name: &str, kind: &'static str) -> Family {
        Family {
            name: name.to_owned(),
            kind,
            help: String::new(),
        }
    }

    #[test]
    fn the_first_graph_fits_the_kind() {
        let first = |name: &str, kind, series| {
            let queries = first_queries(&family("http_seconds", kind), name, series, false);
            queries
                .into_iter()
                .map(|(_, query)| query)
                .next()
                .unwrap_or_default()
        };
        assert!(first("http_seconds", "histogram", 3).contains("histogram_quantile(0.99"));
        let native = first_queries(&family("took", "histogram"), "took", 3, true);
        assert_eq!(native[1], (DISTRIBUTION, "sum(rate(took[5m]))".to_owned()));
        assert_eq!(
            first("http_seconds_count", "histogram", 3),
            "rate(http_seconds_count[5m])"
        );
        assert_eq!(
            first("hits_total", "counter", 99),
            "sum(rate(hits_total[5m]))"
        );
        assert_eq!(first("free", "gauge", 2), "free");
        assert_eq!(first("my.free", "gauge", 2), "{__name__=\"my.free\"}");
        assert_eq!(first("free", "gauge", 99), "topk(12, free)");
    }

    #[test]
    fn labels_are_listed_with_their_most_common_values() {
        let series: Vec<Labels> = [("a", "x"), ("b", "x"), ("c", "y")]
            .map(|(path, job)| {
                Labels::from_pairs([("__name__", "m"), ("job", job), ("path", path)])
            })
            .to_vec();
        let found = labels(&series, &["m".to_owned()]);
        let names: Vec<(&str, usize)> = found.iter().map(|l| (&*l.name, l.values)).collect();
        assert_eq!(names, [("path", 3), ("job", 2)]);
        assert_eq!((found[1].top[0].0.as_str(), found[1].top[0].1), ("x", 2));
        assert!(
            found[1].top[0].2.contains("job%3D%22x%22"),
            "{}",
            found[1].top[0].2
        );
    }
}
