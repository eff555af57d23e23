//! Elasticsearch's `_bulk`: an action line, then a document, as Filebeat, Fluent Bit, Vector and
//! Logstash send them.
//!
//! Labels of a document: see [`document`](crate::document); beside them `index`, the name of the
//! index without a date at its end. The document itself stays as it is.

use std::sync::Arc;

use serde::Deserialize;

use crate::document::{Documents, Plan};
use crate::inflate::{Encoding, inflate};
use crate::text::Text;
use crate::{Push, Refused};

/// What became of one action of a bulk request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// `create` or `index`.
    pub action: &'static str,
    /// The index that it named.
    pub index: Arc<str>,
    /// The id that it named.
    pub id: Option<Box<str>>,
    /// Why its document was not taken; `None` when it was.
    pub error: Option<String>,
}

#[derive(Deserialize)]
struct Action<'a> {
    #[serde(borrow)]
    create: Option<Target<'a>>,
    #[serde(borrow)]
    index: Option<Target<'a>>,
    #[serde(borrow)]
    update: Option<Target<'a>>,
    #[serde(borrow)]
    delete: Option<Target<'a>>,
}

#[derive(Deserialize)]
struct Target<'a> {
    #[serde(borrow, rename = "_index")]
    index: Option<Text<'a>>,
    #[serde(borrow, rename = "_id")]
    id: Option<Text<'a>>,
}

/// Reads the body of a bulk request into a push. `index` is the one that the path names.
///
/// # Errors
/// `Bad` where the lines are no actions and documents in turn; `TooLarge` beyond a limit. A bad
/// document is told in its item while the others are taken.
pub fn decode(
    push: &mut Push,
    body: &[u8],
    encoding: Encoding,
    index: Option<&str>,
) -> Result<Vec<Item>, Refused> {
    let body = inflate(body, encoding, push.limits().inflated_bytes_max)?;
    let plan = Plan::usual();
    let mut documents = Documents::new(&plan);
    let mut items = Vec::new();
    let default_index: Arc<str> = index.unwrap_or_default().into();
    let mut last_index = default_index.clone();
    let mut lines = body.split(|b| *b == b'\n').enumerate();
    while let Some((i, line)) = lines.next() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let bad = |why: &str| Refused::Bad(format!("line {} of the bulk request {why}", i + 1));
        let action: Action<'_> = serde_json::from_slice(line)
            .map_err(|error| bad(&format!("is no action like {{\"create\":{{}}}}: {error}")))?;
        let (name, target, has_document) = match action {
            Action {
                create: Some(target),
                ..
            } => ("create", target, true),
            Action {
                index: Some(target),
                ..
            } => ("index", target, true),
            Action {
                update: Some(target),
                ..
            } => ("update", target, true),
            Action {
                delete: Some(target),
                ..
            } => ("delete", target, false),
            _ => return Err(bad("is no action: use create or index")),
        };
        let index = match &target.index {
            Some(named) if **named != *last_index => {
                last_index = (&**named).into();
                last_index.clone()
            }
            Some(_) => last_index.clone(),
            None => default_index.clone(),
        };
        let document = match lines.next() {
            Some((_, document)) if has_document && !document.is_empty() => document,
            _ if has_document => return Err(bad("has no document behind it")),
            // A deletion has none: the line belongs to the next action.
            _ => return Err(bad("deletes: log lines cannot be deleted one by one")),
        };
        let error = if matches!(name, "create" | "index") {
            let label = index_label(&index);
            let label = (!label.is_empty()).then_some(("index", label));
            match documents.add(push, document, label) {
                Ok(()) => None,
                Err(Refused::Bad(why)) => {
                    push.drop_text();
                    push.reject(1, || format!("line {}: {why}", i + 2));
                    Some(why)
                }
                Err(other) => return Err(other),
            }
        } else {
            push.reject(1, || format!("line {}: log lines cannot be updated", i + 1));
            Some("log lines cannot be updated: use create or index".to_owned())
        };
        items.push(Item {
            action: name,
            index,
            id: target.id.map(|id| (&*id).into()),
            error,
        });
    }
    Ok(items)
}

/// The name of an index without the date that many senders put at its end: a label must not
/// change every day. `logstash-2026.03.01` → `logstash`.
fn index_label(index: &str) -> &str {
    let is_date = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
    let stem = index.trim_end_matches(is_date);
    let date = index.len() - stem.len();
    // At least a year and a month: `-2026.03`; `logs-v2` keeps its number.
    if date >= 8 && !stem.is_empty() {
        stem
    } else {
        index
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Protocol;
    use crate::push::tests::{push, shown};

    fn decoded(body: &str, index: Option<&str>) -> (Vec<String>, Vec<Item>) {
        let mut push = push(Protocol::Elastic);
        let items = decode(&mut push, body.as_bytes(), Encoding::Plain, index).expect("sound");
        (shown(&push), items)
    }

    #[test]
    fn a_bulk_of_filebeat() {
        let event = r#"{"@timestamp":"2026-03-01T09:59:58.000Z","message":"GET / 200","log":{"offset":12,"file":{"path":"/var/log/nginx.log"}},"host":{"name":"h1"},"agent":{"type":"filebeat","version":"8.17.0"},"ecs":{"version":"8.0.0"}}"#;
        let body = format!("{{\"create\":{{\"_index\":\"filebeat-8.17.0\"}}}}\n{event}\n");
        let (lines, items) = decoded(&body, None);
        assert_eq!(
            lines,
            [format!(
                r#"{{file="/var/log/nginx.log", host="h1", index="filebeat-8.17.0"}} -2 unknown {event}"#
            )]
        );
        assert_eq!(items.len(), 1);
        assert_eq!((items[0].action, items[0].error.as_ref()), ("create", None));
    }

    #[test]
    fn a_bulk_of_fluent_bit_in_kubernetes() {
        let event = r#"{"@timestamp":"2026-03-01T10:00:00.5Z","log":"an ERROR\n","stream":"stderr","kubernetes":{"pod_name":"web-1","namespace_name":"shop","container_name":"web","host":"n1","labels":{"app":"web"}}}"#;
        let body = format!(
            "{{\"create\":{{\"_index\":\"logstash-2026.03.01\",\"_id\":\"7\"}}}}\n{event}\n"
        );
        let (lines, items) = decoded(&body, None);
        let labels = r#"{container="web", index="logstash", namespace="shop", node="n1", pod="web-1", stream="stderr"}"#;
        assert_eq!(lines, [format!("{labels} 0.5 error {event}")]);
        assert_eq!(items[0].id.as_deref(), Some("7"));
    }

    #[test]
    fn a_document_with_nothing_else_is_its_message() {
        let body = concat!(
            "{\"index\":{}}\r\n",
            "{\"message\":\"it works\\n\",\"timestamp\":1772359201,\"host\":\"h1\",\"level\":\"warn\"}\r\n",
            "\r\n",
        );
        let (lines, items) = decoded(body, Some("app"));
        assert_eq!(lines, [r#"{host="h1", index="app"} 1 warn it works"#]);
        assert_eq!((items[0].action, &*items[0].index), ("index", "app"));
    }

    #[test]
    fn a_bad_document_is_told_in_its_item() {
        let body = "{\"create\":{}}\n{\"message\":\"a\"}\n{\"create\":{}}\n{oops}\n{\"update\":{}}\n{}\n{\"index\":{}}\n{\"message\":\"b\"}\n";
        let (lines, items) = decoded(body, Some("x"));
        assert_eq!(lines.len(), 2);
        let errors: Vec<bool> = items.iter().map(|item| item.error.is_some()).collect();
        assert_eq!(errors, [false, true, true, false]);
    }

    #[test]
    fn a_body_that_is_no_bulk_is_refused_with_its_line() {
        let check = |body: &str, expected: &str| {
            let mut push = push(Protocol::Elastic);
            let refused = decode(&mut push, body.as_bytes(), Encoding::Plain, None);
            let refused = refused.expect_err(body).to_string();
            assert!(refused.contains(expected), "{refused}");
        };
        check("hello\n", "line 1 of the bulk request is no action");
        check("{\"create\":{}}\n", "no document");
        check("\n{\"delete\":{\"_id\":\"1\"}}\n", "line 2");
        check("{\"what\":{}}\n{}\n", "is no action: use create or index");
    }

    #[test]
    fn dates_are_no_part_of_an_index_label() {
        let check = |index: &str, label: &str| assert_eq!(index_label(index), label);
        check("logstash-2026.03.01", "logstash");
        check("app-2026.03", "app");
        check("logs-v2", "logs-v2");
        check("logs-generic-default", "logs-generic-default");
        check("2026.03.01", "2026.03.01");
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&mut push(Protocol::Elastic), &bytes, Encoding::Plain, None);
        }

        #[test]
        fn any_documents_never_panic(text in "[{}\\[\\]\":,a-z0-9.\\\\\n]{0,120}") {
            let body = format!("{{\"create\":{{}}}}\n{text}");
            let _ = decode(&mut push(Protocol::Elastic), body.as_bytes(), Encoding::Plain, None);
        }
    }
}
