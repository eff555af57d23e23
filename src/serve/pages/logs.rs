//! `/logs`: searching log lines. Lines, histogram and fields are three questions to the store;
//! none of them waits for, or fails with, another.
//!
//! The page works without its script: the search is a form, everything else is a link. The script
//! (`web/src/logs.ts`) takes the lines over and adds the live tail, more lines on scrolling,
//! details and context in place, finding, columns, and zooming by dragging. When it asks for the
//! page anew (`Visit::fragment`) it wants the histogram and the fields; the lines are its own.

mod at;
mod chart;
mod empty;
mod export;
mod facets;
mod groups;
mod marks;
mod records;
mod rows;
mod table;

use std::sync::Arc;
use std::time::{Duration, Instant};

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use log_query::{
    Answer, Bucket, Direction, Facet, Query, QueryError, Record, Search, SearchSummary, Stop,
    Table, field_term, terms, with_term, without_term,
};
use std::ops::ControlFlow;

use crate::api::logs::{BUCKETS_WANTED, FACET_LINES_DEFAULT, StopOnDrop, step_ns};
use crate::request::Visit;
use crate::shell::{Page, Shell, render};
use crate::{Services, ask, humanize};

use chart::Chart;
use empty::Nothing;
use export::{Command, Way};
use facets::{Fields, Pins};
use groups::{Groups, GroupsView, Order};
use rows::Row;
use table::TableView;

/// Lines on the page; the script fetches more.
const LINES: usize = 200;

/// Fields that have a column of their own, at most.
const COLUMNS_MAX: usize = 6;

/// Lines do not wait longer for the histogram and the fields: the script asks for those again.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// Values of a field that the page lists.
const VALUES: usize = 10;

#[derive(Template)]
#[template(path = "logs.html")]
struct LogsPage {
    shell: Shell,
    q: String,
    /// What is wrong with the query.
    fault: Option<Fault>,
    chips: Vec<Chip>,
    examples: Vec<Chip>,
    rows: Vec<Row>,
    /// What a query with `stats` and the like answers.
    table: Option<TableView>,
    /// Similar lines as one, where that is asked for instead of lines.
    groups: Option<GroupsView>,
    /// Why lines, histogram or fields are missing, in sentences.
    rows_error: Option<String>,
    /// What the page says where there is no line.
    nothing: Option<Nothing>,
    /// `None`: it is hidden, and so it was not asked for.
    chart: Result<Option<Chart>, String>,
    fields: Result<Fields, String>,
    /// Whether the histogram or the fields were not ready in time.
    late: bool,
    /// Whether there is a bar with fields.
    with_facets: bool,
    /// `200 newest of 1,204 lines · 38 ms`
    found: String,
    /// Parts of the answer that are missing, in a sentence.
    damage: Option<String>,
    /// Query string of the page with the lines before these; empty when these are all.
    older: String,
    /// Words that the script marks in new lines, as JSON.
    marks: String,
    /// Whether lines can arrive in the range shown.
    can_follow: bool,
    wrap: bool,
    /// Names of the fields with a column of their own.
    columns: Vec<String>,
    /// The lines for the script, as JSON that can stand in an element.
    records: String,
    exports: Vec<Way>,
    commands: Vec<Command>,
    /// Whether the range is so long that rows carry the day.
    long: bool,
    fields_lines: u64,
}

/// A query that cannot be understood, cut where the fault is.
struct Fault {
    message: String,
    before: String,
    /// The character that is pointed at; a space at the end of the query.
    at: String,
    after: String,
    /// A query that would work, and its query string.
    suggestion: Option<(String, String)>,
}

/// A term with the page without it, or an example with the page that shows it.
struct Chip {
    text: String,
    href: String,
}

pub(super) fn router() -> Router<Arc<Services>> {
    Router::new()
        .route("/logs", get(page))
        .route("/logs/filter", get(filter))
        .route("/logs/at/{time}/{id}", get(at::page))
        .route("/api/ui/logs/context", get(at::context))
}

/// Draws the page.
async fn page(State(services): State<Arc<Services>>, visit: Visit) -> Response {
    let q = visit.params.text("q").to_owned();
    let shell = Shell::new(&services, visit, Page::Logs);
    match Query::parse(&q) {
        Ok(query) => render(&answered(&services, shell, q, Arc::new(query)).await),
        Err(error) => {
            let fault = Fault::new(&shell, &q, error);
            render(&LogsPage {
                fault: Some(fault),
                ..LogsPage::blank(shell, q)
            })
        }
    }
}

/// `/logs/filter?name=…&value=…&sign=-`: leads to the page with that term in its query. Terms have
/// rules of quoting; this way they are known in one place.
async fn filter(visit: Visit) -> Response {
    let params = &visit.params;
    let name = params.get("name").unwrap_or_default();
    let value = params.get("value").unwrap_or_default();
    let term = field_term(name, value, params.text("sign") == "-");
    let q = with_term(params.text("q"), &term);
    let changes = ["name", "value", "sign", "open"].map(|name| (name, ""));
    let query = params.with(&[changes.as_slice(), &[("q", &q)]].concat());
    Redirect::to(&format!("/logs{query}")).into_response()
}

async fn answered(
    services: &Arc<Services>,
    shell: Shell,
    q: String,
    query: Arc<Query>,
) -> LogsPage {
    let range = shell.range();
    let begin = Instant::now();
    let stop = Stop::default();
    let _guard = StopOnDrop(stop.clone());
    let search = |limit| Search {
        query: query.clone(),
        start_ns: range.start_ns(),
        end_ns: range.end_ns(),
        direction: Direction::Backward,
        limit,
        after: None,
        stop: stop.clone(),
    };
    let step_ns = step_ns(range.span_ms().saturating_mul(1_000_000), BUCKETS_WANTED);
    let with_chart = shell.visit.choice("chart") != "off";
    let with_facets = shell.visit.choice("facets") != "off";
    let is_table = query.makes_table();
    let is_grouped = shell.visit.params.text("group") == "pattern" && !is_table;
    let with_lines = !shell.visit.fragment && !is_grouped;
    let order = Order::parse(shell.visit.params.text("sort"));
    // Whoever asks for these parts alone, or says so, waits for them.
    let patient = shell.visit.fragment || shell.visit.params.text("wait") == "1";
    let patience = (!patient).then_some(PATIENCE);
    // What is not shown is not asked for.
    let (lines, groups, histogram, facets) = tokio::join!(
        async {
            if with_lines {
                found(services, search(LINES)).await
            } else {
                Ok(Found::default())
            }
        },
        async {
            if is_grouped {
                grouped(services, search(LINES), order).await.map(Some)
            } else {
                Ok(None)
            }
        },
        async {
            if with_chart {
                let asked = histogram(services, search(LINES), step_ns);
                in_time(patience, asked).await.map(Some)
            } else {
                Ok(None)
            }
        },
        async {
            if with_facets {
                in_time(patience, facets(services, search(FACET_LINES_DEFAULT))).await
            } else {
                Ok(Vec::new())
            }
        },
    );
    let took = humanize::seconds(begin.elapsed().as_secs_f64());

    let chart = histogram.map(|buckets| {
        let alerts = || chart::alerts(&shell, &(services.rule_groups)());
        buckets.map(|buckets| Chart::new(&shell, &q, &buckets, step_ns, alerts()))
    });
    let is_late = |error: Option<&String>| error.is_some_and(|error| error == LATE);
    let late = is_late(chart.as_ref().err()) || is_late(facets.as_ref().err());
    let total = chart.as_ref().ok().and_then(Option::as_ref);
    let total = total.map(|chart| chart.total);
    let table = lines.as_ref().ok().and_then(|found| found.table.as_ref());
    let table = table.map(|table| TableView::new(&shell, &q, table));
    let (records, summary, rows_error) = match lines {
        Ok(found) => (found.records, found.summary, groups.as_ref().err().cloned()),
        Err(error) => (Vec::new(), SearchSummary::default(), Some(error)),
    };
    let groups = groups.ok().flatten();
    let groups = groups.map(|groups| GroupsView::new(&shell, &q, &groups, order));
    let nothing = match (&rows_error, records.is_empty() && with_lines && !is_table) {
        (None, true) => Some(Nothing::find(services, &shell, &q, &query).await),
        _ => None,
    };
    let found = match (records.len(), summary.limit_reached, total) {
        (_, _, Some(total)) if !with_lines || is_table => {
            format!("{} · {took}", humanize::things(total, "line", "lines"))
        }
        (0, _, _) => String::new(),
        (n, false, _) => format!(
            "{} · {took} · complete",
            humanize::things(n as u64, "line", "lines")
        ),
        (n, true, Some(total)) => {
            format!("{n} newest of {} lines · {took}", humanize::count(total))
        }
        (n, true, None) => format!("{n} newest lines, there are more · {took}"),
    };
    let damage = (summary.blocks_damaged > 0).then(|| {
        format!(
            "{} failed the checksum and could not be searched",
            humanize::things(summary.blocks_damaged, "block", "blocks")
        )
    });
    let marks = marks::Marks::of(&query.filter);
    let older = match records.last() {
        Some(oldest) if summary.limit_reached => {
            // Ranges end at whole milliseconds, exclusive: the next one keeps lines of this one.
            let to_ms = oldest.time_ns.div_euclid(1_000_000) + 1;
            let from = model::time::rfc3339_ms(range.from_ms);
            let to = model::time::rfc3339_ms(to_ms);
            link(&shell, &[("from", &from), ("to", &to)])
        }
        _ => String::new(),
    };
    let pins = Pins::parse(shell.visit.choice("pins"));
    let fields = facets.map(|facets| facets::views(&shell, &q, facets, &pins));
    let fields_lines = total.map_or(FACET_LINES_DEFAULT as u64, |total| {
        total.min(FACET_LINES_DEFAULT as u64)
    });
    let open = shell.visit.params.text("open").to_owned();
    let long = range.span_ms() > rows::CLOCK_ONLY_MS;
    let columns = columns(&shell);
    let row = |record| Row::new(record, &shell.visit.zone, long, &marks, &open, &columns);
    LogsPage {
        rows: records.iter().map(row).collect(),
        records: records::embedded(&records),
        exports: export::ways(&shell, &q),
        commands: export::commands(&shell, &q),
        with_facets,
        late,
        groups,
        table,
        rows_error,
        nothing,
        chart,
        examples: match (&fields, q.is_empty()) {
            (Ok(fields), true) => examples(&shell, fields),
            _ => Vec::new(),
        },
        fields,
        found,
        damage,
        older,
        marks: marks.json(),
        can_follow: range.relative().is_some() && !is_grouped && !is_table,
        fields_lines,
        long,
        columns,
        ..LogsPage::blank(shell, q)
    }
}

/// `cols=status,path`.
fn columns(shell: &Shell) -> Vec<String> {
    let names = shell.visit.params.text("cols").split(',').map(str::trim);
    let names = names.filter(|name| !name.is_empty()).map(str::to_owned);
    names.take(COLUMNS_MAX).collect()
}

/// What was still being counted when the lines could be shown.
const LATE: &str = "still counting";

/// An answer, as long as it comes soon enough.
async fn in_time<T>(
    patience: Option<Duration>,
    asked: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    match patience {
        Some(patience) => tokio::time::timeout(patience, asked)
            .await
            .unwrap_or_else(|_| Err(LATE.to_owned())),
        None => asked.await,
    }
}

/// What a query answers.
#[derive(Default)]
struct Found {
    records: Vec<Record>,
    summary: SearchSummary,
    /// Rows in the place of lines.
    table: Option<Table>,
}

async fn found(services: &Arc<Services>, search: Search) -> Result<Found, String> {
    let answer = ask::blocking(services, move |services| {
        let mut records = Vec::new();
        let answer = log_query::run(&*services.logs, &search, &mut |line| {
            records.push(line.record);
            ControlFlow::Continue(())
        })?;
        Ok::<_, model::StoreError>(match answer {
            Answer::Lines(summary) => Found {
                records,
                summary,
                table: None,
            },
            Answer::Table(table) => Found {
                records,
                summary: table.summary,
                table: Some(table),
            },
        })
    });
    flat(answer.await)
}

async fn grouped(services: &Arc<Services>, search: Search, order: Order) -> Result<Groups, String> {
    let asked = ask::blocking(services, move |s| Groups::find(&*s.logs, &search, order));
    flat(asked.await)
}

async fn histogram(
    services: &Arc<Services>,
    search: Search,
    step_ns: i64,
) -> Result<Vec<Bucket>, String> {
    flat(ask::blocking(services, move |s| s.logs.histogram(&search, step_ns)).await)
}

async fn facets(services: &Arc<Services>, search: Search) -> Result<Vec<Facet>, String> {
    flat(ask::blocking(services, move |s| s.logs.facets(&search, VALUES)).await)
}

/// Either kind of failure as a sentence.
fn flat<T>(answer: Result<Result<T, model::StoreError>, ask::NoAnswer>) -> Result<T, String> {
    answer
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())
}

/// The page's query string with some parameters changed; rows are closed.
fn link(shell: &Shell, changes: &[(&str, &str)]) -> String {
    shell
        .visit
        .params
        .with(&[[("open", "")].as_slice(), changes].concat())
}

/// Three questions about what is there.
fn examples(shell: &Shell, fields: &Fields) -> Vec<Chip> {
    let term = |name: &str| {
        let value = fields.most_frequent(name)?;
        Some(field_term(name, value, false))
    };
    let of = ["app", "container", "pod", "file"];
    let place = term("namespace").or_else(|| of.iter().find_map(|name| term(name)));
    let thing = of.iter().find_map(|name| term(name));
    let mut texts = vec!["level:warn..".to_owned()];
    texts.extend(place);
    texts.extend(thing.map(|thing| format!("{thing} timeout or failed")));
    texts
        .into_iter()
        .map(|text| Chip {
            href: link(shell, &[("q", &text)]),
            text,
        })
        .collect()
}

impl LogsPage {
    fn blank(shell: Shell, q: String) -> Self {
        let chips = terms(&q)
            .into_iter()
            .map(|text| Chip {
                href: link(&shell, &[("q", &without_term(&q, &text))]),
                text,
            })
            .collect();
        Self {
            chips,
            fault: None,
            examples: Vec::new(),
            rows: Vec::new(),
            groups: None,
            table: None,
            rows_error: None,
            nothing: None,
            chart: Err(String::new()),
            fields: Err(String::new()),
            found: String::new(),
            damage: None,
            older: String::new(),
            marks: "[]".to_owned(),
            can_follow: false,
            wrap: shell.visit.params.text("wrap") == "1",
            columns: Vec::new(),
            records: "[]".to_owned(),
            exports: Vec::new(),
            commands: Vec::new(),
            with_facets: true,
            late: false,
            fields_lines: 0,
            long: false,
            shell,
            q,
        }
    }

    /// The page with other parameters.
    fn with(&self, name: &str, value: &str) -> String {
        link(&self.shell, &[(name, value)])
    }

    /// The page with a row open, or with none.
    fn opening(&self, row: &Row) -> String {
        let id = if row.details.is_some() { "" } else { &row.id };
        let query = self.shell.visit.params.with(&[("open", id)]);
        format!("{query}#{}", row.id)
    }

    /// Where a row's field leads: to the same search with or without its value.
    fn filtering(&self, name: &str, value: &str, sign: &str) -> String {
        let changes = [
            ("name", name),
            ("value", value),
            ("sign", sign),
            ("open", ""),
        ];
        format!("/logs/filter{}", self.shell.visit.params.with(&changes))
    }
}

impl Fault {
    fn new(shell: &Shell, q: &str, error: QueryError) -> Self {
        let mut rest = q.chars();
        let before = rest.by_ref().take(error.position).collect();
        let at = rest.next().map_or("\u{a0}".to_owned(), String::from);
        Self {
            before,
            at,
            after: rest.collect(),
            message: error.message,
            suggestion: error.suggestion.map(|text| {
                let href = link(shell, &[("q", &text)]);
                (text, href)
            }),
        }
    }
}
