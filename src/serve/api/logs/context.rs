//! `GET /api/v1/logs/context`: what was written just before and after a line.
//!
//! Parameters: `id`, the line's (`api/logs/record.rs`); `time`, the line's, which spares a search
//! through its whole stream; `scope`: `container` (default), `pod`, `workload`, `node` or `all`;
//! `before` and `after`: numbers of lines, 0 to 500, 10 by default; `text=1` as elsewhere.
//!
//! ```json
//! {"status": "success", "data": {
//!   "scope": "pod",
//!   "scopes": ["container", "pod", "workload", "node", "all"],
//!   "before": [{…}, {…}], "line": {…}, "after": [{…}],
//!   "moreBefore": true, "moreAfter": false}}
//! ```
//!
//! Lines are objects as `query` answers them, the oldest first. `scopes` are those that this line
//! has. For more, ask again with the `id` of the first or last line and the same scope.
//!
//! A workload is what shares the label `app`, `workload` or `service`, else the pods whose names
//! differ only in their random ends or numbers (`web-7d9c5b8f6c-x2k2z`, `db-0`).

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use log_query::{Record, Stop};
use serde_json::json;

use super::{Asked, RecordJson, StopOnDrop, success};
use crate::api::error::ApiError;
use crate::around::{self, Around, SIDE_MAX, Wanted};
use crate::{Services, ask};

/// Lines on each side when the request does not say.
const LINES_DEFAULT: usize = 10;

pub(super) async fn context(
    State(services): State<Arc<Services>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let asked = Asked::of(query.as_deref());
    let id = asked.id("id")?.ok_or_else(|| {
        ApiError::bad_data("id is missing: the id of the line, as query answers it")
    })?;
    let time_ns = match asked.text("time") {
        Some(_) => Some(asked.time("time", "now", model::time::now_ns())?),
        None => None,
    };
    let scope = asked.text("scope").unwrap_or("container").to_owned();
    let before = asked.number_from(0, "before", LINES_DEFAULT, SIDE_MAX)?;
    let after = asked.number_from(0, "after", LINES_DEFAULT, SIDE_MAX)?;
    let with_text = asked.flag("text");
    let stop = Stop::default();
    let guard = StopOnDrop(stop.clone());
    let found = ask::blocking(&services, move |services| {
        let logs = &*services.logs;
        let place = match time_ns {
            Some(time_ns) => id.at(time_ns),
            None => around::place(logs, id, &stop)?.ok_or_else(gone)?,
        };
        let wanted = Wanted {
            place,
            scope: &scope,
            before,
            after,
            stop,
        };
        let found = Around::find(logs, &wanted)?;
        let line = found.line.as_ref().ok_or_else(gone)?;
        let line = self::line(line, with_text);
        if found.scope.name != scope {
            return Err(ApiError::bad_data(format!(
                "this line has no {scope}: its scopes are {}",
                names(&found).join(", ")
            )));
        }
        Ok((found, line))
    });
    let (found, line) = found.await??;
    drop(guard);
    let lines = |records: &[Record]| -> Vec<serde_json::Value> {
        records.iter().map(|r| self::line(r, with_text)).collect()
    };
    Ok(success(&json!({
        "scope": found.scope.name,
        "scopes": names(&found),
        "before": lines(&found.before),
        "line": line,
        "after": lines(&found.after),
        "moreBefore": found.more_before,
        "moreAfter": found.more_after,
    })))
}

fn gone() -> ApiError {
    ApiError::not_found("no line has this id, or not any more")
}

fn names(found: &Around) -> Vec<&'static str> {
    found.scopes.iter().map(|scope| scope.name).collect()
}

fn line(record: &Record, with_text: bool) -> serde_json::Value {
    serde_json::to_value(RecordJson { record, with_text }).unwrap_or_default()
}
