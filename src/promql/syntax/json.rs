//! The tree as JSON, in the form of Prometheus' `/api/v1/parse_query`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::expr::{At, Binary, Expr, Extent, Group, Node, Selector};
use super::{print, signatures};

/// The tree below an expression.
pub(super) fn tree(expr: &Expr) -> Value {
    match &expr.node {
        Node::Number(value) | Node::Seconds(value) => {
            let mut written = String::new();
            print::number(&mut written, *value);
            json!({"type": "numberLiteral", "val": written})
        }
        Node::Text(text) => json!({"type": "stringLiteral", "val": text}),
        Node::Selector(node) => selector(node, "vectorSelector", None),
        Node::Range(node, range) => selector(node, "matrixSelector", Some(range.ms)),
        Node::Subquery(node) => with_parts(
            json!({
                "type": "subquery",
                "range": node.range.ms,
                "offset": node.offset.ms,
                "step": node.step.as_ref().map_or(0, |step| step.ms),
                "timestamp": timestamp(node.at),
                "startOrEnd": start_or_end(node.at),
            }),
            [("expr", tree(&node.expr))],
        ),
        Node::Call(function, args) => {
            let signature = signatures::find(function.name);
            let kinds = signature.map_or(&[][..], |s| s.args);
            with_parts(
                json!({
                    "type": "call",
                    "func": {
                        "name": function.name,
                        "argTypes": kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
                        "variadic": signature.map_or(0, |s| s.more),
                        "returnType": function.returns().as_str(),
                    },
                }),
                [("args", Value::Array(args.iter().map(tree).collect()))],
            )
        }
        Node::Aggregate(node) => with_parts(
            json!({
                "type": "aggregation",
                "op": node.op.name(),
                "grouping": names(&node.labels),
                "without": node.without,
            }),
            [
                ("expr", tree(&node.expr)),
                ("param", node.param.as_ref().map_or(Value::Null, tree)),
            ],
        ),
        Node::Binary(node) => binary(node),
        Node::Negate(inner) => signed("-", inner),
        Node::Plus(inner) => signed("+", inner),
        Node::Paren(inner) => with_parts(json!({"type": "parenExpr"}), [("expr", tree(inner))]),
    }
}

/// An object with the trees of its parts, which are moved into it: `json!` would copy them, at
/// every level again.
fn with_parts<const N: usize>(mut object: Value, parts: [(&str, Value); N]) -> Value {
    if let Some(fields) = object.as_object_mut() {
        for (name, part) in parts {
            fields.insert(name.to_owned(), part);
        }
    }
    object
}

fn signed(op: &str, inner: &Expr) -> Value {
    with_parts(
        json!({"type": "unaryExpr", "op": op}),
        [("expr", tree(inner))],
    )
}

fn selector(node: &Selector, kind: &str, range_ms: Option<i64>) -> Value {
    // The name that stands before the braces comes last, as Prometheus has it.
    let (name, rest) = match node.matchers.split_first() {
        Some((name, rest)) if node.is_named => (Some(name), rest),
        _ => (None, node.matchers.as_slice()),
    };
    let matchers: Vec<Value> = rest
        .iter()
        .chain(name)
        .map(|m| json!({"name": &*m.name, "value": &*m.value, "type": m.op.as_str()}))
        .collect();
    let mut value = json!({
        "type": kind,
        "name": name.map_or("", |name| &*name.value),
        "offset": node.offset.ms,
        "matchers": matchers,
        "timestamp": timestamp(node.at),
        "startOrEnd": start_or_end(node.at),
        "anchored": node.extent == Extent::Anchored,
        "smoothed": node.extent == Extent::Smoothed,
    });
    if let (Some(range_ms), Some(fields)) = (range_ms, value.as_object_mut()) {
        fields.insert("range".to_owned(), range_ms.into());
    }
    value
}

fn binary(node: &Binary) -> Value {
    let matching = &node.matching;
    let is_vectors = |expr: &Expr| expr.kind() == super::ValueKind::Vector;
    let card = match matching.group {
        Group::OneToOne if node.op.is_set() => "many-to-many",
        Group::OneToOne => "one-to-one",
        Group::ManyToOne => "many-to-one",
        Group::OneToMany => "one-to-many",
    };
    let matching = (is_vectors(&node.lhs) && is_vectors(&node.rhs)).then(|| {
        json!({
            "card": card,
            "labels": names(&matching.labels),
            "on": matching.on,
            "include": names(&matching.include),
            "fillValues": {"lhs": matching.fill_left, "rhs": matching.fill_right},
        })
    });
    with_parts(
        json!({
            "type": "binaryExpr",
            "op": node.op.name(),
            "matching": matching,
            "bool": node.matching.returns_bool,
        }),
        [("lhs", tree(&node.lhs)), ("rhs", tree(&node.rhs))],
    )
}

fn names(labels: &[Arc<str>]) -> Vec<&str> {
    labels.iter().map(|label| &**label).collect()
}

fn timestamp(at: Option<At>) -> Option<i64> {
    match at {
        Some(At::Time(ms)) => Some(ms),
        _ => None,
    }
}

fn start_or_end(at: Option<At>) -> Option<&'static str> {
    match at {
        Some(At::Start) => Some("start"),
        Some(At::End) => Some("end"),
        _ => None,
    }
}
