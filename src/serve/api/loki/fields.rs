//! `/loki/api/v1/detected_fields` and `/detected_field/{name}/values`: which labels `| json` and
//! `| logfmt` would make of the newest lines.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use log_query::logql::{self, Expr, LogPlan};
use log_query::{Direction, Form, LineFields, Record, Search, Stop};
use serde_json::json;

use super::{Asked, Refusal, json};
use crate::api::logs::StopOnDrop;
use crate::{Services, ask};

/// Newest lines that are looked at when the request does not say.
const LINES_DEFAULT: usize = 1_000;

/// Most lines that are looked at.
const LINES_MAX: usize = 5_000;

/// Fields of an answer when the request does not say.
const FIELDS_DEFAULT: usize = 1_000;

/// Most fields of an answer.
const FIELDS_MAX: usize = 5_000;

/// Values that are remembered of a field; a field with more is said to have so many.
const VALUES_MAX: usize = 5_000;

/// What was seen of a field.
#[derive(Default)]
struct Seen {
    values: BTreeSet<String>,
    parsers: BTreeSet<&'static str>,
    path: Vec<String>,
    /// `None`: nothing seen yet.
    kind: Option<&'static str>,
}

/// `query`, `start`, `end`, `since`, `line_limit`, `limit`.
pub(super) async fn fields(
    State(services): State<Arc<Services>>,
    asked: Asked,
) -> Result<Response, Refusal> {
    let limit = asked.limit("limit", FIELDS_DEFAULT, FIELDS_MAX)?;
    let seen = look(&services, &asked).await?;
    let fields: Vec<_> = seen
        .iter()
        .take(limit)
        .map(|(name, seen)| {
            let mut field = json!({
                "label": name,
                "type": seen.kind.unwrap_or("string"),
                "cardinality": seen.values.len(),
                "parsers": seen.parsers,
            });
            if seen.parsers.contains("json") {
                field["jsonPath"] = json!(seen.path);
            }
            field
        })
        .collect();
    let body = json!({"fields": fields, "limit": limit});
    Ok(json::response(body.to_string().into_bytes()))
}

/// The values of one field; parameters as [`fields`].
pub(super) async fn values(
    State(services): State<Arc<Services>>,
    Path(name): Path<String>,
    asked: Asked,
) -> Result<Response, Refusal> {
    let limit = asked.limit("limit", FIELDS_DEFAULT, FIELDS_MAX)?;
    let mut seen = look(&services, &asked).await?;
    let values: Vec<String> = seen
        .remove(&name)
        .map(|seen| seen.values.into_iter().take(limit).collect())
        .unwrap_or_default();
    let body = json!({"values": values, "limit": limit});
    Ok(json::response(body.to_string().into_bytes()))
}

/// Reads the newest lines that fit.
async fn look(services: &Arc<Services>, asked: &Asked) -> Result<BTreeMap<String, Seen>, Refusal> {
    let (start_ns, end_ns) = asked.span_ns()?;
    let lines = asked.limit("line_limit", LINES_DEFAULT, LINES_MAX)?;
    let log = match logql::parse(asked.text("query"))? {
        Expr::Log(log) => log,
        Expr::Metric(_) => {
            return Err(Refusal::bad(
                "only log selector is supported, not a metric query",
            ));
        }
    };
    let plan = LogPlan::new(&log)?;
    let stop = Stop::default();
    let search = Search {
        query: plan.query(),
        start_ns,
        end_ns,
        direction: Direction::Backward,
        limit: lines,
        after: None,
        stop: stop.clone(),
    };
    let _guard = StopOnDrop(stop);
    let seen = ask::blocking(services, move |services| {
        let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
        let mut take = |record: Record| {
            if plan.apply(&record).is_some() {
                note(&record, &mut seen);
            }
            ControlFlow::Continue(())
        };
        services.logs.search(&search, &mut take).map(|_| seen)
    })
    .await??;
    Ok(seen)
}

fn note(record: &Record, seen: &mut BTreeMap<String, Seen>) {
    let fields = LineFields::of(&record.text);
    let parser = match fields.form() {
        Form::Json => "json",
        Form::Logfmt | Form::Pairs => "logfmt",
        Form::Plain => return,
    };
    for (path, value) in fields.iter() {
        let mut name: String = path
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        if record.labels.get(&name).is_some() {
            name.push_str("_extracted");
        }
        if !seen.contains_key(&name) && seen.len() >= FIELDS_MAX {
            continue;
        }
        let field = seen.entry(name).or_default();
        field.parsers.insert(parser);
        if field.path.is_empty() {
            field.path = path.split('.').map(str::to_owned).collect();
        }
        let kind = kind(value);
        field.kind = Some(match field.kind {
            None => kind,
            Some(known) if known == kind => kind,
            Some("int" | "float") if matches!(kind, "int" | "float") => "float",
            Some(_) => "string",
        });
        if field.values.len() < VALUES_MAX {
            field.values.insert(value.to_owned());
        }
    }
}

/// What a value looks like, in Loki's words.
fn kind(value: &str) -> &'static str {
    if value.parse::<i64>().is_ok() {
        "int"
    } else if value.parse::<f64>().is_ok() {
        "float"
    } else if value == "true" || value == "false" {
        "boolean"
    } else if logql::parse_duration_ns(value).is_some() {
        "duration"
    } else if value.starts_with(|c: char| c.is_ascii_digit()) && model::bytes::parse(value).is_ok()
    {
        "bytes"
    } else {
        "string"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Labels, Level};

    #[test]
    fn fields_have_types_and_parsers() {
        let mut seen = BTreeMap::new();
        for text in [
            r#"{"status":200,"took":"5ms","http":{"path":"/a"},"ok":true}"#,
            r#"{"status":1.5,"took":"slow"}"#,
            "size=10KB pod=x status=7",
        ] {
            let record = Record {
                labels: Labels::from_pairs([("pod", "p")]),
                sequence: 0,
                time_ns: 0,
                level: Level::Info,
                text: text.as_bytes().to_vec(),
            };
            note(&record, &mut seen);
        }
        let shown: Vec<String> = seen
            .iter()
            .map(|(name, s)| {
                let parsers: Vec<_> = s.parsers.iter().copied().collect();
                let kind = s.kind.unwrap_or_default();
                format!("{name} {kind} {} {}", s.values.len(), parsers.join("+"))
            })
            .collect();
        assert_eq!(
            shown,
            [
                "http_path string 1 json",
                "ok boolean 1 json",
                "pod_extracted string 1 logfmt",
                "size bytes 1 logfmt",
                "status float 3 json+logfmt",
                "took string 2 json",
            ]
        );
        assert_eq!(seen["http_path"].path, ["http", "path"]);
    }
}
