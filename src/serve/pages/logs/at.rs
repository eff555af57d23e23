//! `/logs/at/TIME/ID`: a line in its context, under an address that stays true; and the same as
//! JSON for the page's script (`/api/ui/logs/context`).

use std::sync::Arc;

use askama::Template;
use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use log_query::{Cursor, Query, Record, Stop};
use serde_json::{Value, json};

use super::marks::Marks;
use super::rows::{self, Row};
use super::{flat, records};
use crate::api::error::ApiError;
use crate::api::logs::StopOnDrop;
use crate::around::{Around, LineId, SIDE_MAX, Scope, Wanted};
use crate::request::{Params, Visit};
use crate::shell::{self, Page, Shell, render};
use crate::{Services, ask};

/// Lines on either side on the page, and how many more each time.
const SIDE: usize = 25;
const STEP: usize = 100;

/// Lines on either side for the script when it does not say.
const SIDE_IN_PLACE: usize = 10;

/// Half of the window that the page's link to the search opens, milliseconds.
const SEARCH_MS: i64 = 15 * 60_000;

/// `GET /api/ui/logs/context?time=…&id=…&scope=pod&before=10&after=10`.
pub(super) async fn context(
    State(services): State<Arc<Services>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let params = Params::parse(query.as_deref().unwrap_or_default());
    let place = place(params.text("time"), params.text("id")).ok_or_else(|| {
        ApiError::bad_data("cannot tell which line is meant: give its time and id as the API does")
    })?;
    let scope = params.text("scope").to_owned();
    let [before, after] = ["before", "after"].map(|name| number(&params, name, SIDE_IN_PLACE));
    let around = find(&services, place, scope, before, after).await;
    let around = around.map_err(ApiError::unavailable)?;
    let lines = |lines: &[Record]| lines.iter().map(records::cut).collect::<Vec<_>>();
    let scopes: Vec<_> = around
        .scopes
        .iter()
        .map(|scope| json!({"name": scope.name, "title": scope.title}))
        .collect();
    Ok(Json(json!({
        "scope": around.scope.name,
        "scopes": scopes,
        "before": lines(&around.before),
        "line": around.line.as_ref().map(records::cut),
        "after": lines(&around.after),
        "moreBefore": around.more_before,
        "moreAfter": around.more_after,
    })))
}

/// The line that a time (RFC 3339) and an id name.
fn place(time: &str, id: &str) -> Option<Cursor> {
    if !time.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Some(LineId::parse(id)?.at(model::time::parse_ns(time, 0)?))
}

fn number(params: &Params, name: &str, default: usize) -> usize {
    params
        .text(name)
        .parse()
        .unwrap_or(default)
        .clamp(1, SIDE_MAX)
}

async fn find(
    services: &Arc<Services>,
    place: Cursor,
    scope: String,
    before: usize,
    after: usize,
) -> Result<Around, String> {
    let stop = Stop::default();
    let _guard = StopOnDrop(stop.clone());
    let answer = ask::blocking(services, move |services| {
        let wanted = Wanted {
            place,
            scope: &scope,
            before,
            after,
            stop,
        };
        Around::find(&*services.logs, &wanted)
    });
    flat(answer.await)
}

#[derive(Template)]
#[template(path = "logs_at.html")]
struct AtPage {
    shell: Shell,
    q: String,
    scopes: Vec<(Scope, String)>,
    scope: Scope,
    before: Vec<Row>,
    line: Option<Row>,
    after: Vec<Row>,
    /// Query strings of the page with more lines; empty where there are none.
    earlier: String,
    later: String,
    /// The search around the line, with the lines of the scope.
    search: String,
    /// The line as it was written, for the clipboard.
    text: String,
    /// When it was written, milliseconds since 1970-01-01 UTC.
    time_ms: i64,
}

/// The page.
pub(super) async fn page(
    State(services): State<Arc<Services>>,
    Path((time, id)): Path<(String, String)>,
    visit: Visit,
) -> Response {
    let Some(place) = place(&time, &id) else {
        let sentence = "This address does not name a log line. Copy it again from the line.";
        return shell::refuse(
            &services,
            visit,
            StatusCode::NOT_FOUND,
            "No such line",
            sentence,
        );
    };
    let params = visit.params.clone();
    let scope = params.text("scope").to_owned();
    let [before, after] = ["before", "after"].map(|name| number(&params, name, SIDE));
    match find(&services, place, scope, before, after).await {
        Ok(around) => render(&AtPage::new(
            Shell::new(&services, visit, Page::Logs),
            place,
            around,
            [before, after],
        ))
        .into_response(),
        Err(error) => {
            let sentence = format!("The lines around it cannot be read: {error}.");
            shell::refuse(
                &services,
                visit,
                StatusCode::SERVICE_UNAVAILABLE,
                "Line",
                &sentence,
            )
        }
    }
}

impl AtPage {
    fn new(mut shell: Shell, place: Cursor, around: Around, [before, after]: [usize; 2]) -> Self {
        // The page is about a line, not about a range.
        shell.range = None;
        "Log line".clone_into(&mut shell.title);
        let params = &shell.visit.params;
        let q = params.text("q").to_owned();
        let query = Query::parse(&q).unwrap_or_else(|_| Query::all());
        let marks = Marks::of(&query.filter);
        let time_ms = place.time_ns.div_euclid(1_000_000);
        let all = || {
            around
                .before
                .iter()
                .chain(&around.line)
                .chain(&around.after)
        };
        let span_ns = all().last().map_or(0, |record| record.time_ns)
            - all().next().map_or(0, |record| record.time_ns);
        let long = span_ns / 1_000_000 > rows::CLOCK_ONLY_MS;
        let row = |record: &Record, open: bool| {
            let id = if open {
                rows::id(record)
            } else {
                String::new()
            };
            Row::new(record, &shell.visit.zone, long, &marks, &id, &[])
        };
        let rows = |records: &[Record]| records.iter().map(|record| row(record, false)).collect();
        let more = |name: &str, n: usize, there: bool| {
            let n = (n + STEP).min(SIDE_MAX).to_string();
            if there && n.parse() != Ok(before.max(after)) {
                params.with(&[(name, &n)])
            } else {
                String::new()
            }
        };
        let utc = model::time::rfc3339_ms;
        let search = Params::default().with(&[
            ("q", around.scope.q().as_str()),
            ("from", &utc(time_ms - SEARCH_MS)),
            ("to", &utc(time_ms + SEARCH_MS)),
        ]);
        let text = around.line.as_ref().map(|line| &*line.text);
        Self {
            before: rows(&around.before),
            line: around.line.as_ref().map(|line| row(line, true)),
            after: rows(&around.after),
            earlier: more("before", before, around.more_before),
            later: more("after", after, around.more_after),
            search: format!("/logs{search}"),
            scopes: around
                .scopes
                .iter()
                .map(|scope| (scope.clone(), params.with(&[("scope", scope.name)])))
                .collect(),
            scope: around.scope,
            text: String::from_utf8_lossy(text.unwrap_or_default()).into_owned(),
            time_ms,
            q,
            shell,
        }
    }

    /// Where a field leads: to the search with or without its value.
    fn filtering(&self, name: &str, value: &str, sign: &str) -> String {
        let pairs = [
            ("q", self.q.as_str()),
            ("name", name),
            ("value", value),
            ("sign", sign),
        ];
        format!("/logs/filter{}", Params::default().with(&pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_nonsense_is_not() {
        let found = place("2026-11-23T15:52:10.000000005Z", "00000000000000ff-7");
        let found = found.expect("a place");
        assert_eq!((found.stream, found.sequence), (255, 7));
        assert_eq!(found.time_ns % 1_000, 5);
        assert_eq!(place("now", "00000000000000ff-7"), None);
        assert_eq!(place("2026-11-23T15:52:10Z", "ff"), None);
    }
}
