//! `/metrics/cardinality`: who has so many series? Named before the limit is reached.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use model::{Cardinality, Counted};

use super::explore;
use crate::html::Tone;
use crate::request::Visit;
use crate::shell::{Page, Shell, render};
use crate::{Services, ask, humanize};

/// Names of each list.
const NAMES: usize = 20;

/// Share of the limit from which on someone should look.
const NEARLY: f64 = 0.8;

/// A metric with this share of all series, or more, is named as the one that matters.
const CULPRIT: f64 = 0.2;

/// Below so many series nobody needs to save any.
const MANY: u64 = 10_000;

#[derive(Template)]
#[template(path = "cardinality.html")]
struct CardinalityPage {
    shell: Shell,
    /// Why there are no figures; else empty.
    error: String,
    figures: Cardinality,
    share: f64,
    tone: Tone,
    /// What stands out, in sentences.
    findings: Vec<String>,
    lists: Vec<List>,
}

/// One list of names with figures.
struct List {
    title: &'static str,
    /// What the figure counts.
    unit: &'static str,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    /// Where the name leads; empty for nowhere.
    href: String,
    count: u64,
    /// Part of all, for the bar and in words.
    share: f64,
    part: String,
}

/// Draws the page.
pub(crate) async fn page(State(services): State<Arc<Services>>, visit: Visit) -> Response {
    let answer = ask::blocking(&services, |services| {
        services.series_admin.cardinality(NAMES)
    });
    let (figures, error) = match answer.await {
        Ok(Ok(figures)) => (figures, String::new()),
        Ok(Err(error)) => (Cardinality::default(), error.to_string()),
        Err(error) => (Cardinality::default(), error.to_string()),
    };
    let share = part(figures.series, figures.series_max);
    render(&CardinalityPage {
        shell: Shell::new(&services, visit, Page::Metrics),
        error,
        share,
        tone: if share >= NEARLY {
            Tone::Warn
        } else {
            Tone::Fine
        },
        findings: findings(&figures),
        lists: lists(&figures),
        figures,
    })
}

fn part(some: u64, all: u64) -> f64 {
    if all == 0 {
        0.0
    } else {
        some as f64 / all as f64
    }
}

/// What someone with too many series should know first.
fn findings(figures: &Cardinality) -> Vec<String> {
    let mut findings = Vec::new();
    if part(figures.series, figures.series_max) >= NEARLY {
        findings.push(format!(
            "{} of {} series are in use: at the limit new series are refused, those that exist go \
             on.",
            humanize::count(figures.series),
            humanize::count(figures.series_max),
        ));
    }
    if figures.series < MANY {
        return findings;
    }
    if let Some(metric) = figures.metrics.first()
        && part(metric.count, figures.series) >= CULPRIT
    {
        findings.push(format!(
            "{} alone has {} of the series ({}).",
            metric.name,
            humanize::count(metric.count),
            humanize::percent(part(metric.count, figures.series)),
        ));
    }
    if let Some(label) = figures.labels.first()
        && part(label.count, figures.series) >= CULPRIT / 2.0
    {
        findings.push(format!(
            "The label {0} has {1} values. If nobody asks for them one by one, drop it where it is \
             scraped: metric_relabel_configs: [{{action: labeldrop, regex: {0}}}].",
            label.name,
            humanize::count(label.count),
        ));
    }
    if part(figures.churn_series, figures.series) >= CULPRIT {
        let culprit = figures.churn.first().map_or("", |metric| &metric.name);
        findings.push(format!(
            "{} series began within the last hour, most of them of {culprit}: a label whose value \
             changes all the time (an id, a time, an address with a port) makes new ones for ever.",
            humanize::count(figures.churn_series),
        ));
    }
    findings
}

fn lists(figures: &Cardinality) -> Vec<List> {
    let metric = |name: &str| format!("/metrics/{}", crate::html::path_segment(name));
    let pair = |pair: &str| {
        let (label, value) = pair.split_once('=').unwrap_or((pair, ""));
        explore(&format!("count by (__name__) ({{{label}={value:?}}})"))
    };
    let label = |name: &str| explore(&format!("topk(50, count by ({name}) ({{{name}!=\"\"}}))"));
    let list = |title, unit, names: &[Counted], all: u64, href: &dyn Fn(&str) -> String| List {
        title,
        unit,
        rows: names
            .iter()
            .map(|one| {
                let share = part(one.count, all).min(1.0);
                Row {
                    name: one.name.clone(),
                    href: href(&one.name),
                    count: one.count,
                    share,
                    part: humanize::percent(share),
                }
            })
            .collect(),
    };
    let values: u64 = figures
        .labels
        .iter()
        .map(|one| one.count)
        .max()
        .unwrap_or(0);
    vec![
        list(
            "Metrics",
            "series",
            &figures.metrics,
            figures.series,
            &metric,
        ),
        list("Labels", "values", &figures.labels, values, &label),
        list(
            "Label values",
            "series",
            &figures.pairs,
            figures.series,
            &pair,
        ),
        list(
            "Targets",
            "series",
            &figures.targets,
            figures.series,
            &|_| String::new(),
        ),
        list(
            "New within the last hour",
            "series",
            &figures.churn,
            figures.churn_series,
            &metric,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(name: &str, count: u64) -> Vec<Counted> {
        vec![Counted {
            name: name.to_owned(),
            count,
        }]
    }

    #[test]
    fn a_small_house_has_nothing_to_say() {
        let figures = Cardinality {
            series: 900,
            series_max: 100_000,
            metrics: counted("m", 800),
            ..Cardinality::default()
        };
        assert!(findings(&figures).is_empty());
    }

    #[test]
    fn culprits_are_named_with_what_to_do() {
        let figures = Cardinality {
            series: 90_000,
            series_max: 100_000,
            metrics: counted("http_bucket", 60_000),
            labels: counted("path", 40_000),
            churn: counted("http_bucket", 30_000),
            churn_series: 30_000,
            ..Cardinality::default()
        };
        let found = findings(&figures).join("\n");
        for part in [
            "90 k of 100 k",
            "http_bucket alone",
            "regex: path",
            "last hour",
        ] {
            assert!(found.contains(part), "{part} in {found}");
        }
    }
}
