//! `GET /api/v1/logs/complete`: what can stand where the cursor is.
//!
//! Parameters: `q`, the text so far; `at`, the cursor: before which character, counted from 0
//! (default: the end); `from` and `to` as elsewhere.
//!
//! ```json
//! {"status": "success", "data": {"from": 6, "to": 8, "typed": "me", "whole": true, "items": [
//!   {"text": "media", "kind": "value", "count": 412},
//!   {"text": "namespace:", "kind": "field", "values": 12},
//!   {"text": "stats", "kind": "word"}]}}
//! ```
//!
//! An item replaces the characters from `from` to `to`. Fields and values are those of the newest
//! lines that the rest of the filter finds, the most frequent first: [`LINES_MAX`] lines are looked
//! at, for no longer than [`LOOK_WITHIN`]. `whole` is false when that time was not enough.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use log_query::{Direction, Expected, Facet, LEVEL, Query, Search, Stop, complete};
use model::Level;
use serde_json::{Value, json};

use super::{Asked, StopOnDrop, success};
use crate::api::error::ApiError;
use crate::{Services, ask};

/// Newest lines in which fields and values are looked for.
const LINES_MAX: usize = 500;

/// Values of each field that are counted.
const VALUES_MAX: usize = 200;

/// Items of an answer: more than fit under a line of text.
const ITEMS_MAX: usize = 30;

/// Who types does not wait longer; it is better to say nothing.
const LOOK_WITHIN: Duration = Duration::from_millis(50);

pub(super) async fn completion(
    State(services): State<Arc<Services>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let asked = Asked::of(query.as_deref());
    let text = asked.text("q").unwrap_or_default().to_owned();
    let n_chars = text.chars().count();
    let at = asked.number_from(0, "at", n_chars, n_chars)?;
    let found = complete(&text, at);
    let now_ns = model::time::now_ns();
    let needs_facets = found.expected.iter().any(|expected| {
        matches!(expected, Expected::Field { .. })
            || matches!(expected, Expected::Value(field) if field != LEVEL)
    });
    let mut whole = true;
    let mut facets = Vec::new();
    if needs_facets {
        let search = Search {
            query: Arc::new(Query::parse(&found.filter)?),
            start_ns: asked.time("from", "now-1h", now_ns)?,
            end_ns: asked.time("to", "now", now_ns)?,
            direction: Direction::Backward,
            limit: LINES_MAX,
            after: None,
            stop: Stop::default(),
        };
        // Stops the search also where the time is over: the guard is dropped then.
        let guard = StopOnDrop(search.stop.clone());
        let look = ask::blocking(&services, move |s| s.logs.facets(&search, VALUES_MAX));
        match tokio::time::timeout(LOOK_WITHIN, look).await {
            Ok(found) => facets = found??,
            Err(_) => whole = false,
        }
        drop(guard);
    }
    let mut items: Vec<Value> = Vec::new();
    for expected in &found.expected {
        items.extend(items_of(expected, &found.typed, &facets));
    }
    items.truncate(ITEMS_MAX);
    Ok(success(&json!({
        "from": found.from,
        "to": found.to,
        "typed": found.typed,
        "whole": whole,
        "items": items,
    })))
}

/// What an expectation offers for what was typed: what begins so before what holds it.
fn items_of(expected: &Expected, typed: &str, facets: &[Facet]) -> Vec<Value> {
    let typed = typed.trim_start_matches('"').to_lowercase();
    let mut items: Vec<(bool, Value)> = Vec::new();
    let mut offer = |name: &str, item: Value| {
        let name = name.to_lowercase();
        if name.contains(&typed) && name != typed {
            items.push((!name.starts_with(&typed), item));
        }
    };
    match expected {
        Expected::Field { colon } => {
            for facet in facets {
                let name = written(&facet.name);
                let name = if *colon { format!("{name}:") } else { name };
                let values = facet.values.len() as u64 + facet.more_values;
                offer(
                    &facet.name,
                    json!({"text": name, "kind": "field", "values": values}),
                );
            }
        }
        Expected::Columns(columns) => {
            for column in columns {
                offer(column, json!({"text": written(column), "kind": "column"}));
            }
        }
        Expected::Value(field) if field == LEVEL => {
            for level in Level::ALL.into_iter().rev() {
                offer(
                    level.as_str(),
                    json!({"text": level.as_str(), "kind": "value"}),
                );
            }
        }
        Expected::Value(field) => {
            let facet = facets.iter().find(|facet| facet.name == *field);
            for (value, count) in facet.map(|facet| &facet.values).into_iter().flatten() {
                let term = log_query::field_term(field, value, false);
                let written = log_query::field_term(field, "x", false);
                let head = written.len() - 1;
                let text = term.get(head..).unwrap_or(value);
                offer(
                    value,
                    json!({"text": text, "kind": "value", "count": count}),
                );
            }
        }
        Expected::Words(words) => {
            for word in *words {
                offer(word, json!({"text": word, "kind": "word"}));
            }
        }
    }
    // Stable: the most frequent stay first.
    items.sort_by_key(|(inside, _)| *inside);
    items.into_iter().map(|(_, item)| item).collect()
}

/// A name as it is written in a query.
fn written(name: &str) -> String {
    let term = log_query::field_term(name, "x", false);
    term.strip_suffix(":x").unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(expected: &Expected, typed: &str) -> Vec<String> {
        let facets = [Facet {
            name: "app".to_owned(),
            values: vec![("my web".to_owned(), 5), ("web".to_owned(), 3)],
            more_values: 1,
            whole: true,
        }];
        let items = items_of(expected, typed, &facets);
        let text = |item: &Value| item["text"].as_str().unwrap_or_default().to_owned();
        items.iter().map(text).collect()
    }

    #[test]
    fn what_begins_so_comes_first_and_is_written_as_it_must_be() {
        let value = Expected::Value("app".to_owned());
        assert_eq!(texts(&value, "we"), ["web", "\"my web\""]);
        assert_eq!(texts(&value, ""), ["\"my web\"", "web"]);
        assert_eq!(texts(&Expected::Field { colon: true }, "A"), ["app:"]);
        assert_eq!(texts(&Expected::Words(&["stats", "top"]), "st"), ["stats"]);
        assert_eq!(texts(&Expected::Value("level".to_owned()), "er"), ["error"]);
        let columns = Expected::Columns(vec!["n".to_owned(), "pod".to_owned()]);
        assert_eq!(texts(&columns, "p"), ["pod"]);
    }
}
