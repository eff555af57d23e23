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
//! A workload is the pods whose names differ only in their random ends or numbers
//! (`web-7d9c5b8f6c-x2k2z`, `db-0`).

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use log_query::{Cursor, Direction, Filter, LogReader, Query, Record, Search, SearchSummary, Stop};
use model::{Labels, MatchOp, Matcher, StoreError};
use serde_json::json;

use super::{Asked, RecordJson, StopOnDrop, success};
use crate::api::error::ApiError;
use crate::{Services, ask};

/// Lines on each side when the request does not say.
const LINES_DEFAULT: usize = 10;

/// Most lines on each side: some screens full.
const LINES_MAX: usize = 500;

/// Scopes from the narrowest to the widest, with the labels that lines must share.
const SCOPES: [(&str, &[&str]); 5] = [
    ("container", &["namespace", "pod", "container"]),
    ("pod", &["namespace", "pod"]),
    ("workload", &["namespace"]),
    ("node", &["node"]),
    ("all", &[]),
];

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
    let before = asked.number_from(0, "before", LINES_DEFAULT, LINES_MAX)?;
    let after = asked.number_from(0, "after", LINES_DEFAULT, LINES_MAX)?;
    let with_text = asked.flag("text");
    let stop = Stop::default();
    let guard = StopOnDrop(stop.clone());
    let found = ask::blocking(&services, move |services| {
        let around = Around {
            logs: &*services.logs,
            stop: &stop,
        };
        around.find(id, time_ns, &scope, before, after)
    })
    .await??;
    drop(guard);
    let lines = |records: &[Record]| -> Vec<serde_json::Value> {
        records.iter().map(|r| line(r, with_text)).collect()
    };
    Ok(success(&json!({
        "scope": found.scope,
        "scopes": scopes(&found.line.labels),
        "before": lines(&found.before),
        "line": line(&found.line, with_text),
        "after": lines(&found.after),
        "moreBefore": found.more_before,
        "moreAfter": found.more_after,
    })))
}

fn line(record: &Record, with_text: bool) -> serde_json::Value {
    serde_json::to_value(RecordJson { record, with_text }).unwrap_or_default()
}

/// The scopes that a line with these labels has.
fn scopes(labels: &Labels) -> Vec<&'static str> {
    SCOPES
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| filter(name, labels).is_some())
        .collect()
}

/// The lines of a scope; `None` where the labels do not tell.
fn filter(scope: &str, labels: &Labels) -> Option<Filter> {
    let (_, shared) = SCOPES.iter().find(|(name, _)| *name == scope)?;
    let equal = |name: &str| {
        let value = labels.get(name)?;
        Some(Filter::Label(Matcher::equal(name, value)))
    };
    if scope == "container" && labels.get("container").is_none() {
        // A file of the host: its stream.
        return labels
            .iter()
            .map(|label| equal(&label.name))
            .collect::<Option<_>>()
            .map(Filter::And);
    }
    // A pod of the host's own has no namespace.
    let mut all: Vec<Filter> = shared.iter().filter_map(|name| equal(name)).collect();
    let decisive = shared.last();
    if scope == "workload" {
        let pods = workload(labels.get("pod")?);
        all.push(Filter::Label(
            Matcher::new("pod", MatchOp::Regex, pods).ok()?,
        ));
    } else if decisive.is_some_and(|name| labels.get(name).is_none()) {
        return None;
    }
    Some(if all.is_empty() {
        Filter::All
    } else {
        Filter::And(all)
    })
}

/// A regular expression of the names of all pods of a pod's workload.
fn workload(pod: &str) -> String {
    /// Kubernetes makes random ends of these.
    const RANDOM: &str = "bcdfghjklmnpqrstvwxz2456789";
    let random = |part: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&part.len()) && part.chars().all(|c| RANDOM.contains(c))
    };
    let end = |name: &str| {
        name.rsplit_once('-')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
    };
    match end(pod) {
        Some((name, number))
            if number.chars().all(|c| c.is_ascii_digit()) && !number.is_empty() =>
        {
            format!("{}-[0-9]+", regex_escape(&name))
        }
        Some((name, last)) if random(&last, 5..=5) => match end(&name) {
            // A template's hash: a deployment.
            Some((name, hash)) if random(&hash, 6..=10) => {
                format!("{}-[{RANDOM}]{{6,10}}-[{RANDOM}]{{5}}", regex_escape(&name))
            }
            // A job's number of its minute: a cron job.
            Some((name, minute))
                if minute.len() >= 8 && minute.chars().all(|c| c.is_ascii_digit()) =>
            {
                format!("{}-[0-9]+-[{RANDOM}]{{5}}", regex_escape(&name))
            }
            _ => format!("{}-[{RANDOM}]{{5}}", regex_escape(&name)),
        },
        _ => regex_escape(pod),
    }
}

/// Names of pods hold nothing special but points.
fn regex_escape(name: &str) -> String {
    name.replace('.', "\\.")
}

struct Found {
    scope: String,
    line: Record,
    before: Vec<Record>,
    after: Vec<Record>,
    more_before: bool,
    more_after: bool,
}

/// Looks for lines near a line.
pub(super) struct Around<'a> {
    pub(super) logs: &'a dyn LogReader,
    pub(super) stop: &'a Stop,
}

impl Around<'_> {
    fn find(
        &self,
        (stream, sequence): (u64, u64),
        time_ns: Option<i64>,
        scope: &str,
        before: usize,
        after: usize,
    ) -> Result<Found, ApiError> {
        let line = self
            .line(stream, sequence, time_ns)?
            .ok_or_else(|| ApiError::not_found("no line has this id, or not any more"))?;
        let filter = filter(scope, &line.labels).ok_or_else(|| {
            ApiError::bad_data(format!(
                "this line has no {scope}: its scopes are {}",
                scopes(&line.labels).join(", ")
            ))
        })?;
        let query = Arc::new(Query::of(filter));
        let (mut older, more_before) = self.side(&query, &line, Direction::Backward, before)?;
        let (newer, more_after) = self.side(&query, &line, Direction::Forward, after)?;
        older.reverse();
        Ok(Found {
            scope: scope.to_owned(),
            line,
            before: older,
            after: newer,
            more_before,
            more_after,
        })
    }

    /// The line with this stream and number; without its time the whole stream is searched.
    pub(super) fn line(
        &self,
        stream: u64,
        sequence: u64,
        time_ns: Option<i64>,
    ) -> Result<Option<Record>, StoreError> {
        let (start_ns, end_ns) = match time_ns {
            Some(time_ns) => (time_ns, time_ns.saturating_add(1)),
            None => (i64::MIN, i64::MAX),
        };
        let streams = self.logs.streams(start_ns, end_ns)?;
        let Some(labels) = streams.iter().find(|labels| labels.fingerprint() == stream) else {
            return Ok(None);
        };
        let matchers = labels
            .iter()
            .map(|label| Matcher::equal(label.name.clone(), label.value.clone()));
        let filter = Filter::And(matchers.map(Filter::Label).collect());
        let mut found = None;
        let search = Search {
            query: Arc::new(Query::of(filter)),
            start_ns,
            end_ns,
            direction: Direction::Backward,
            limit: usize::MAX,
            after: None,
            stop: self.stop.clone(),
        };
        self.logs.search(&search, &mut |record| {
            // Another stream can have these labels and more.
            if record.sequence == sequence && record.labels.fingerprint() == stream {
                found = Some(record);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    /// The lines next to it on one side, the nearest first, and whether there are more.
    fn side(
        &self,
        query: &Arc<Query>,
        line: &Record,
        direction: Direction,
        limit: usize,
    ) -> Result<(Vec<Record>, bool), StoreError> {
        let (start_ns, end_ns) = match direction {
            Direction::Backward => (i64::MIN, line.time_ns.saturating_add(1)),
            Direction::Forward => (line.time_ns, i64::MAX),
        };
        let search = Search {
            query: query.clone(),
            start_ns,
            end_ns,
            direction,
            // One more tells whether there are more.
            limit: limit + 1,
            after: Some(Cursor {
                time_ns: line.time_ns,
                stream: line.labels.fingerprint(),
                sequence: line.sequence,
            }),
            stop: self.stop.clone(),
        };
        let mut found = Vec::new();
        let SearchSummary { .. } = self.logs.search(&search, &mut |record| {
            found.push(record);
            ControlFlow::Continue(())
        })?;
        let more = found.len() > limit;
        found.truncate(limit);
        Ok((found, more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_of_a_workload_are_told_by_their_names() {
        let check = |pod: &str, same: &str, other: &str| {
            let matcher = Matcher::new("pod", MatchOp::Regex, workload(pod)).expect(pod);
            assert!(matcher.matches(pod), "{pod}");
            assert!(matcher.matches(same), "{pod}: {same}");
            assert!(!matcher.matches(other), "{pod}: {other}");
        };
        check(
            "web-7d9c5b8f6c-x2k2z",
            "web-66c4d4f9bb-qqxbz",
            "web-api-7d9c5b8f6c-x2k2z",
        );
        check("db-0", "db-12", "db-x-0");
        check("fluent-bit-x2k2z", "fluent-bit-zz54x", "fluent-x2k2z");
        check(
            "backup-29340120-x2k2z",
            "backup-29340180-zz54x",
            "backup-x2k2z",
        );
        check("a.b", "a.b", "axb");
    }

    #[test]
    fn a_line_has_the_scopes_of_its_labels() {
        let check = |labels: &[(&str, &str)], expected: &[&str]| {
            assert_eq!(
                scopes(&Labels::from_pairs(labels.iter().copied())),
                expected
            );
        };
        check(
            &[
                ("namespace", "n"),
                ("pod", "p"),
                ("container", "c"),
                ("node", "x"),
            ],
            &["container", "pod", "workload", "node", "all"],
        );
        check(
            &[("file", "/var/log/syslog"), ("node", "x")],
            &["container", "node", "all"],
        );
    }
}
