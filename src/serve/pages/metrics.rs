//! `/metrics-explorer`: PromQL expressions as graph, table, heatmap or explained as a tree;
//! without one, the list of metrics.
//!
//! Several expressions (`q`, `q2`, `q3` …) stand below each other, each with its own field and
//! answer, over the same time and with the same view. The whole page is drawn here, the graphs
//! too; the script draws the same data with uPlot and asks for this page again when an expression
//! or the range changes, so that there is one way only.

mod answer;
pub(super) mod cardinality;
pub(super) mod check;
mod explain;
mod failure;
mod families;
mod nothing;
pub(super) mod one;
mod table;

use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use url::form_urlencoded::Serializer;

use answer::{Body, Section};
use families::Listing;

use crate::chart::Chart;
use crate::request::{Params, Visit};
use crate::shell::{Page, Shell, render};
use crate::time_range::TimeRange;
use crate::{Services, ask, humanize};

/// Points per series of the graph: half a pixel row of a wide screen is more than eyes need.
const POINTS: i64 = 300;

/// Columns of a heatmap: a cell should be wide enough to be pointed at.
const HEAT_COLUMNS: i64 = 120;

/// Series in the graph; the page says when there are more.
const LINES_MAX: usize = 100;

/// The parameters of the expressions, and with that how many there may be.
const QUERIES: [&str; 6] = ["q", "q2", "q3", "q4", "q5", "q6"];

/// What forms say once and addresses do not keep: one more field, one less.
const COMMANDS: [&str; 2] = ["add", "remove"];

#[derive(Template)]
#[template(path = "metrics.html")]
struct MetricsPage {
    shell: Shell,
    view: View,
    stacked: bool,
    find: String,
    /// One at least; the first may be empty.
    sections: Vec<Section>,
    /// What there is to ask for, where nothing is asked.
    listing: Option<Listing>,
}

/// How answers are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    Graph,
    Table,
    Heat,
    Explain,
}

impl View {
    const ALL: [Self; 4] = [Self::Graph, Self::Table, Self::Heat, Self::Explain];

    fn parse(text: &str) -> Self {
        let named = Self::ALL.into_iter().find(|view| view.name() == text);
        named.unwrap_or(Self::Graph)
    }

    /// As in the address; the graph needs no word.
    fn name(self) -> &'static str {
        match self {
            Self::Graph => "",
            Self::Table => "table",
            Self::Heat => "heat",
            Self::Explain => "explain",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Graph => "Graph",
            Self::Table => "Table",
            Self::Heat => "Heatmap",
            Self::Explain => "Explain",
        }
    }

    /// What it shows, for those who hover.
    fn hint(self) -> &'static str {
        match self {
            Self::Graph => "Lines over time (v g)",
            Self::Table => "Values at the end of the range (v t)",
            Self::Heat => "Histograms over time (v h)",
            Self::Explain => "Every part with its number of series (v e)",
        }
    }
}

/// A link that changes the view.
struct ViewLink {
    title: &'static str,
    hint: &'static str,
    href: String,
    name: &'static str,
    is_current: bool,
}

/// Draws the page.
pub(crate) async fn page(State(services): State<Arc<Services>>, visit: Visit) -> Response {
    let mut queries = queries(&visit.params);
    if let Ok(number) = visit.params.text("remove").parse::<usize>() {
        if (1..=queries.len()).contains(&number) {
            queries.remove(number - 1);
        }
        return Redirect::to(&address(&visit.params, &queries)).into_response();
    }
    let find = visit.params.text("find").to_owned();
    let view = View::parse(visit.params.text("view"));
    let stacked = view == View::Graph && visit.params.text("stack") == "1";
    let range = TimeRange::of(&visit.params, visit.now_ms);
    let is_asked = !queries.is_empty();
    if queries.is_empty() || visit.params.get("add").is_some() && queries.len() < QUERIES.len() {
        queries.push(String::new());
    }
    let (asked, words) = (queries.clone(), find.to_lowercase());
    let answer = ask::blocking(&services, move |services| {
        if !is_asked {
            return (Vec::new(), Some(Listing::gather(services, &range, &words)));
        }
        let deadline = Instant::now() + services.query_timeout;
        let bodies = asked.iter().map(|expression| {
            let start = Instant::now();
            let told = answer::evaluate(services, expression, view, stacked, &range, deadline);
            (told, start.elapsed())
        });
        (bodies.collect(), None)
    });
    let (told, listing, error) = match answer.await {
        Ok((told, listing)) => (told, listing, String::new()),
        Err(error) => (Vec::new(), None, error.to_string()),
    };
    let mut told = told.into_iter();
    let sections = queries
        .into_iter()
        .zip(QUERIES)
        .enumerate()
        .map(|(index, (q, param))| match told.next() {
            Some((told, took)) => {
                let took = humanize::seconds(took.as_secs_f64());
                Section::new(index + 1, param, q, told, &took)
            }
            None => Section::untold(index + 1, param, q, &error),
        })
        .collect();
    render(&MetricsPage {
        shell: Shell::new(&services, visit, Page::Metrics),
        view,
        stacked,
        find,
        sections,
        listing,
    })
}

/// The expressions of an address, without empty ones.
fn queries(params: &Params) -> Vec<String> {
    let texts = QUERIES.iter().map(|name| params.text(name));
    texts.filter(|q| !q.is_empty()).map(str::to_owned).collect()
}

/// The page's address with other expressions and everything else as it is.
fn address(params: &Params, queries: &[String]) -> String {
    let mut out = Serializer::new(String::new());
    for (name, q) in QUERIES.iter().zip(queries) {
        out.append_pair(name, q);
    }
    out.extend_pairs(params.without(&[&QUERIES[..], &COMMANDS[..]].concat()));
    let query = out.finish();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("/metrics-explorer{mark}{query}")
}

/// The page's address of one expression.
fn explore(q: &str) -> String {
    let path = String::from("/metrics-explorer?");
    let start = path.len();
    let mut out = Serializer::for_suffix(path, start);
    out.append_pair("q", q);
    out.finish()
}

impl MetricsPage {
    /// Parameters that the form carries on.
    fn kept(&self) -> Vec<(String, String)> {
        let own = [&QUERIES[..], &COMMANDS[..], &["find"]].concat();
        self.shell.visit.params.without(&own)
    }

    fn is_asked(&self) -> bool {
        self.listing.is_none()
    }

    fn has_room(&self) -> bool {
        self.sections.len() < QUERIES.len()
    }

    /// The address with some parameters changed.
    fn with(&self, changes: &[(&str, &str)]) -> String {
        let mut changes = changes.to_vec();
        changes.extend(COMMANDS.map(|name| (name, "")));
        let query = self.shell.visit.params.with(&changes);
        format!("/metrics-explorer{}", query.trim_end_matches('?'))
    }

    fn views(&self) -> Vec<ViewLink> {
        View::ALL
            .iter()
            .map(|view| ViewLink {
                title: view.title(),
                hint: view.hint(),
                href: self.with(&[("view", view.name())]),
                name: view.name(),
                is_current: *view == self.view,
            })
            .collect()
    }

    fn with_stack(&self) -> String {
        self.with(&[("view", ""), ("stack", if self.stacked { "" } else { "1" })])
    }

    /// The address that shows the same tomorrow: with absolute times.
    fn lasting(&self) -> String {
        let range = self.shell.range();
        let text = |ms: i64| model::time::rfc3339_ms(ms);
        self.with(&[("from", &text(range.from_ms)), ("to", &text(range.to_ms))])
    }

    /// The address with another expression in the place of a section's.
    fn with_query(&self, section: &Section, q: &str) -> String {
        self.with(&[(section.param, q), ("find", "")])
    }

    /// The address of the highest ten of a section's series.
    fn with_top(&self, section: &Section) -> String {
        self.with_query(section, &format!("topk(10, {})", section.q))
    }
}

/// A graph with its legend.
struct Graph {
    chart: Chart,
    /// Series that the expression gives; more than the chart has when it was cut.
    found: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_close_up_and_everything_else_stays() {
        let params = Params::parse("q=a+b&q2=&q4=c&view=heat&from=now-3h&add=1&remove=9");
        assert_eq!(queries(&params), ["a b", "c"]);
        assert_eq!(
            address(&params, &["c".to_owned()]),
            "/metrics-explorer?q=c&view=heat&from=now-3h"
        );
        assert_eq!(address(&Params::parse("q=x"), &[]), "/metrics-explorer");
    }
}
