//! A JSON document (of `_bulk`, or a JSON line) becomes a log line.
//!
//! - Its time, level and message are looked for under their usual names.
//! - A few values that name where it comes from become the stream's labels.
//! - The document stays as it is written, so that nothing is lost. Only where it has nothing but
//!   message, time, level and labels, the line is the message alone.

use std::borrow::Cow;
use std::collections::HashMap;

use model::{Labels, LabelsBuilder, Level, StreamId};

use crate::fields::MESSAGE_KEY;
use crate::pick::{Picked, Scalar, pick};
use crate::{Push, Refused};

/// Where the message is, the likeliest first. The search knows these names as well.
const MESSAGE_PATHS: &[&str] = &["message", "msg", "_msg", "log", "text", "short_message"];
/// Where the time is.
const TIME_PATHS: &[&str] = &["@timestamp", "_time", "timestamp", "time", "ts", "date"];
/// Where the level is.
const LEVEL_PATHS: &[&str] = &[
    "log.level",
    "level",
    "severity",
    "loglevel",
    "levelname",
    "lvl",
];
/// What names the place that a document comes from: path and label. Filebeat, Fluent Bit, Vector
/// and ECS each have their own way.
const LABEL_PATHS: &[(&str, &str)] = &[
    ("kubernetes.namespace_name", "namespace"),
    ("kubernetes.namespace", "namespace"),
    ("kubernetes.pod_namespace", "namespace"),
    ("kubernetes.pod_name", "pod"),
    ("kubernetes.pod.name", "pod"),
    ("kubernetes.container_name", "container"),
    ("kubernetes.container.name", "container"),
    ("container.name", "container"),
    ("container_name", "container"),
    ("kubernetes.host", "node"),
    ("kubernetes.node.name", "node"),
    ("kubernetes.pod_node_name", "node"),
    ("stream", "stream"),
    ("host.name", "host"),
    ("host", "host"),
    ("hostname", "host"),
    ("log.file.path", "file"),
    ("file", "file"),
    ("service.name", "service_name"),
];
/// The labels of a pod's lines, as files of pods have them.
const POD_LABELS: &[&str] = &["namespace", "pod", "container", "node", "stream"];
/// The labels of a container's lines outside of Kubernetes.
const CONTAINER_LABELS: &[&str] = &["container", "host", "stream"];
/// The labels of any other line.
const PLAIN_LABELS: &[&str] = &["service_name", "file", "host"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Message,
    Time,
    Level,
    /// The label with this place in [`Plan::labels`].
    Label(usize),
}

/// What to look for in the documents of a request.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    wanted: Vec<String>,
    roles: Vec<Role>,
    labels: Vec<String>,
    /// Whether the labels were chosen by whoever asks: then all of them are taken.
    are_chosen: bool,
    /// Labels that all documents get.
    pub(crate) fixed: Vec<(String, String)>,
}

impl Plan {
    /// The usual names of everything.
    pub(crate) fn usual() -> Self {
        Self::new(None, None, None)
    }

    /// With names of the caller's own, where they are given.
    pub(crate) fn new(
        message: Option<&[String]>,
        time: Option<&[String]>,
        labels: Option<&[String]>,
    ) -> Self {
        let mut plan = Self {
            wanted: Vec::new(),
            roles: Vec::new(),
            labels: Vec::new(),
            are_chosen: labels.is_some(),
            fixed: Vec::new(),
        };
        let usual = |paths: &[&str]| paths.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
        match labels {
            Some(chosen) => {
                for path in chosen {
                    let role = plan.label(&label_name(path));
                    plan.want(path, role);
                }
            }
            None => {
                for (path, label) in LABEL_PATHS {
                    let role = plan.label(label);
                    plan.want(path, role);
                }
            }
        }
        for path in message.map_or_else(|| usual(MESSAGE_PATHS), <[String]>::to_vec) {
            plan.want(&path, Role::Message);
        }
        for path in time.map_or_else(|| usual(TIME_PATHS), <[String]>::to_vec) {
            plan.want(&path, Role::Time);
        }
        for path in usual(LEVEL_PATHS) {
            plan.want(&path, Role::Level);
        }
        plan
    }

    fn label(&mut self, name: &str) -> Role {
        let at = self.labels.iter().position(|known| known == name);
        Role::Label(at.unwrap_or_else(|| {
            self.labels.push(name.to_owned());
            self.labels.len() - 1
        }))
    }

    /// The first role of a path counts.
    fn want(&mut self, path: &str, role: Role) {
        if !self.wanted.iter().any(|known| known == path) {
            self.wanted.push(path.to_owned());
            self.roles.push(role);
        }
    }
}

/// What is wrong and at which byte: the parser's own line is always the first.
fn place(error: &serde_json::Error) -> String {
    let whole = error.to_string();
    let what = whole.split(" at line ").next().unwrap_or_default();
    format!("{what} at byte {}", error.column())
}

/// A label's name for a path: `kubernetes.pod.name` → `kubernetes_pod_name`.
fn label_name(path: &str) -> String {
    let letter = |c: char| {
        if c.is_alphanumeric() || c == '_' {
            c
        } else {
            '_'
        }
    };
    path.chars().map(letter).collect()
}

/// Adds the documents of a request to its push.
pub(crate) struct Documents<'p> {
    plan: &'p Plan,
    /// Streams by what makes their labels.
    streams: HashMap<Vec<u8>, StreamId>,
    key: Vec<u8>,
}

/// What a document says.
struct Facts<'d> {
    message: Option<Message<'d>>,
    time_ns: Option<i64>,
    level: Option<Level>,
    labels: Vec<Option<Cow<'d, str>>>,
    /// Whether something of it would be lost if only the message was kept.
    is_more: bool,
}

/// The message of a document.
struct Message<'d> {
    text: &'d str,
    /// Where its key stands and how long it is, if it is one that the search does not know.
    strange_key: Option<(usize, usize)>,
}

impl<'p> Documents<'p> {
    pub(crate) fn new(plan: &'p Plan) -> Self {
        Self {
            plan,
            streams: HashMap::new(),
            key: Vec::new(),
        }
    }

    /// Adds a document, with one more label where `more` gives it.
    ///
    /// # Errors
    /// `Bad` where it is no JSON object or its labels break a limit: others can still be added.
    pub(crate) fn add(
        &mut self,
        push: &mut Push,
        document: &[u8],
        more: Option<(&str, &str)>,
    ) -> Result<(), Refused> {
        let document = document.trim_ascii();
        let picked = pick(document, &self.plan.wanted)
            .map_err(|error| Refused::Bad(format!("it is no JSON object: {}", place(&error))))?;
        let mut facts = self.facts(&picked);
        let stream = self.stream(push, &mut facts, more)?;
        let level = facts.level.or_else(|| {
            let message = facts.message.as_ref()?;
            push.told_level(message.text.as_bytes())
        });
        let out = push.text();
        match facts.message {
            Some(message) if !facts.is_more => {
                let text = message.text.strip_suffix('\n').unwrap_or(message.text);
                out.extend_from_slice(text.as_bytes());
            }
            // A message under a name of the caller's own gets the one that the search knows.
            Some(Message {
                strange_key: Some((at, length)),
                ..
            }) => {
                let (head, tail) = document.split_at_checked(at).unwrap_or((document, b""));
                out.extend_from_slice(head);
                out.extend_from_slice(MESSAGE_KEY.as_bytes());
                out.extend_from_slice(tail.get(length..).unwrap_or_default());
            }
            _ => out.extend_from_slice(document),
        }
        push.end_line(stream, facts.time_ns, level)
    }

    fn facts<'d>(&self, picked: &'d Picked<'_>) -> Facts<'d> {
        let plan = self.plan;
        let mut facts = Facts {
            message: None,
            time_ns: None,
            level: None,
            labels: vec![None; plan.labels.len()],
            is_more: picked.has_others,
        };
        let found = plan.roles.iter().zip(&plan.wanted).enumerate();
        for (i, (role, path)) in found {
            let Some(value) = picked.values.get(i).and_then(Option::as_ref) else {
                continue;
            };
            let used = match role {
                Role::Message => match value {
                    Scalar::Text(text) if facts.message.is_none() => {
                        let is_known = MESSAGE_PATHS.contains(&path.as_str());
                        let key_at = picked.keys_at.get(i).copied().flatten();
                        facts.message = Some(Message {
                            text,
                            strange_key: key_at.filter(|_| !is_known).map(|at| (at, path.len())),
                        });
                        true
                    }
                    _ => false,
                },
                Role::Time => {
                    facts.time_ns.is_none() && {
                        facts.time_ns = value.time_ns();
                        facts.time_ns.is_some()
                    }
                }
                Role::Level => {
                    facts.level.is_none() && {
                        facts.level = value.text().and_then(|word| word.parse().ok());
                        facts.level.is_some()
                    }
                }
                Role::Label(at) => match facts.labels.get_mut(*at) {
                    Some(slot @ None) => {
                        *slot = value.text().filter(|text| !text.is_empty());
                        slot.is_some()
                    }
                    _ => false,
                },
            };
            facts.is_more |= !used;
        }
        facts
    }

    fn stream(
        &mut self,
        push: &mut Push,
        facts: &mut Facts<'_>,
        more: Option<(&str, &str)>,
    ) -> Result<StreamId, Refused> {
        let plan = self.plan;
        let has = |facts: &Facts<'_>, name: &str| {
            let at = plan.labels.iter().position(|label| label == name);
            at.is_some_and(|at| matches!(facts.labels.get(at), Some(Some(_))))
        };
        if !plan.are_chosen {
            let kept = if has(facts, "namespace") && has(facts, "pod") {
                POD_LABELS
            } else if has(facts, "container") {
                CONTAINER_LABELS
            } else {
                PLAIN_LABELS
            };
            for (name, value) in plan.labels.iter().zip(&mut facts.labels) {
                if !kept.contains(&name.as_str()) && value.take().is_some() {
                    facts.is_more = true;
                }
            }
        }
        self.key.clear();
        let values = plan.labels.iter().zip(&facts.labels);
        for (name, value) in values.clone().filter_map(|(n, v)| Some((n, v.as_ref()?))) {
            for part in [name.as_str(), value] {
                self.key.extend_from_slice(part.as_bytes());
                self.key.push(0xff);
            }
        }
        self.key.extend(more.iter().flat_map(|(_, v)| v.bytes()));
        if let Some(stream) = self.streams.get(&self.key) {
            return Ok(*stream);
        }
        let mut labels = LabelsBuilder::default();
        for (name, value) in &plan.fixed {
            labels.set(name.as_str(), value.as_str());
        }
        if let Some((name, value)) = more {
            labels.set(name, value);
        }
        for (name, value) in values {
            if let Some(value) = value {
                labels.set(name.as_str(), &**value);
            }
        }
        let labels: Labels = labels.build();
        let stream = push.stream(&labels)?;
        self.streams.insert(self.key.clone(), stream);
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Protocol;
    use crate::push::tests::{push, shown};

    fn line(document: &str) -> String {
        let mut push = push(Protocol::Elastic);
        let plan = Plan::usual();
        let added = Documents::new(&plan).add(&mut push, document.as_bytes(), None);
        added.expect("a document");
        shown(&push).join("|")
    }

    #[test]
    fn each_sender_has_its_own_names_for_the_same() {
        let check = |document: &str, labels: &str| {
            let line = line(document);
            assert!(line.starts_with(labels), "{line}");
        };
        let pod = r#"{container="c", namespace="n", node="k", pod="p"}"#;
        // Fluent Bit, Filebeat, Vector.
        check(
            r#"{"log":"x","kubernetes":{"namespace_name":"n","pod_name":"p","container_name":"c","host":"k"},"host":"ignored"}"#,
            pod,
        );
        check(
            r#"{"message":"x","kubernetes":{"namespace":"n","pod":{"name":"p","uid":"1"},"container":{"name":"c"},"node":{"name":"k"}}}"#,
            pod,
        );
        check(
            r#"{"message":"x","kubernetes":{"pod_namespace":"n","pod_name":"p","container_name":"c","pod_node_name":"k"},"stream":"stdout"}"#,
            r#"{container="c", namespace="n", node="k", pod="p", stream="stdout"}"#,
        );
        check(
            r#"{"message":"x","container":{"name":"c","id":"1"},"host":{"name":"h"},"log":{"file":{"path":"/f"}}}"#,
            r#"{container="c", host="h"}"#,
        );
        check(
            r#"{"message":"x","file":"/f","host":"h"}"#,
            r#"{file="/f", host="h"}"#,
        );
        check(r#"{"message":"x"}"#, r#"{input="elasticsearch"}"#);
    }

    #[test]
    fn the_level_is_a_field_or_told_by_the_message() {
        let check = |document: &str, level: &str| {
            let line = line(document);
            assert!(line.contains(level), "{line}");
        };
        check(
            r#"{"log":{"level":"warn"},"message":"ERROR","n":1}"#,
            " warn ",
        );
        check(r#"{"log.level":"info","message":"ERROR","n":1}"#, " info ");
        check(r#"{"log":"an ERROR\n","n":1}"#, " error ");
        check(r#"{"level":"so so","message":"x"}"#, " unknown {");
    }

    #[test]
    fn nothing_of_a_document_is_lost() {
        let check = |document: &str, text: &str| {
            let line = line(document);
            assert!(line.ends_with(text), "{line}");
        };
        check(r#"{"message":"x","level":"info"}"#, " x");
        // A second message, a second time, a value that is no text.
        let kept = [
            r#"{"message":"x","log":"y"}"#,
            r#"{"message":"x","time":"2026-03-01T10:00:00Z","ts":1772359200}"#,
            r#"{"message":"x","level":{"n":1}}"#,
            r#"{"message":{"a":1}}"#,
            r#"{"message":"x","host":"h","service":{"version":"1"}}"#,
            "{}",
        ];
        for document in kept {
            check(document, document);
        }
    }
}
