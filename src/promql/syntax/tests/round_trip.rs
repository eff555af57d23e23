//! Random trees, printed on one line and on several, parse back to the same tree; random texts
//! never panic.

use std::sync::Arc;

use model::{METRIC_NAME, MatchOp, Matcher};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::Value;

use super::super::duration::{Formula, FormulaNode, FormulaOp};
use super::super::{
    Aggregate, At, Binary, Duration, Expr, Extent, Group, Matching, Node, Selector, Subquery,
    ValueKind, check, json, parse, print, tree_json,
};
use crate::aggregations::AggregateOp;
use crate::binary::BinaryOp;
use crate::functions;

fn expr(node: Node) -> Expr {
    Expr {
        node,
        place: None,
        end: None,
    }
}

/// In brackets, so that it stands alone whatever is around it.
fn closed(inner: Expr) -> Expr {
    match inner.node {
        Node::Binary(_) | Node::Negate(_) | Node::Plus(_) => expr(Node::Paren(Box::new(inner))),
        Node::Number(value) if value.is_sign_negative() || value.is_nan() => {
            expr(Node::Paren(Box::new(inner)))
        }
        Node::Seconds(value) if value < 0.0 => expr(Node::Paren(Box::new(inner))),
        _ => inner,
    }
}

fn metric() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z_:][a-zA-Z0-9_:]{0,12}",
        Just("sum".to_owned()),
        Just("by".to_owned()),
        Just("offset".to_owned()),
        Just("start".to_owned()),
    ]
    .prop_filter("words that are no names", |name| {
        let lower = name.to_ascii_lowercase();
        ![
            "inf",
            "nan",
            "bool",
            "on",
            "ignoring",
            "group_left",
            "group_right",
            "atan2",
        ]
        .contains(&lower.as_str())
    })
}

fn label() -> impl Strategy<Value = Arc<str>> {
    prop_oneof!["[a-z_][a-z0-9_]{0,6}", "[a-z .ä\"\\\\]{1,6}"].prop_map(Arc::from)
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let name = label().prop_filter("not the name", |name| &**name != METRIC_NAME);
    (name, "[ -~äß\n\t]{0,8}", any::<u8>()).prop_map(|(name, value, op)| match op % 4 {
        0 => Matcher::equal(name, value.as_str()),
        1 => Matcher::new(name, MatchOp::NotEqual, value.as_str()).expect("no regex"),
        2 => Matcher::new(name, MatchOp::Regex, regex::escape(&value)).expect("escaped"),
        _ => Matcher::new(name, MatchOp::NotRegex, regex::escape(&value)).expect("escaped"),
    })
}

fn formula() -> impl Strategy<Value = Formula> {
    let at = |node| Formula { node, place: 0 };
    let leaf = prop_oneof![
        (1..100_000u32).prop_map(|ms| FormulaNode::Seconds {
            value: f64::from(ms) / 1000.0,
            is_duration: true,
        }),
        (1..1000u32).prop_map(|n| FormulaNode::Seconds {
            value: f64::from(n) / 8.0,
            is_duration: false,
        }),
        Just(FormulaNode::Step),
        Just(FormulaNode::Range),
    ]
    .prop_map(at);
    leaf.prop_recursive(3, 8, 2, move |inner| {
        let op = prop_oneof![
            Just(FormulaOp::Add),
            Just(FormulaOp::Sub),
            Just(FormulaOp::Mul),
            Just(FormulaOp::Div),
            Just(FormulaOp::Mod),
            Just(FormulaOp::Pow),
            Just(FormulaOp::Min),
            Just(FormulaOp::Max),
        ];
        let two = (op, inner.clone(), inner.clone()).prop_map(move |(op, lhs, rhs)| {
            let closed = |part: Formula| match part.node {
                FormulaNode::Two(FormulaOp::Min | FormulaOp::Max, ..)
                | FormulaNode::Seconds { .. }
                | FormulaNode::Step
                | FormulaNode::Range
                | FormulaNode::Paren(_) => Box::new(part),
                _ => Box::new(at(FormulaNode::Paren(Box::new(part)))),
            };
            at(FormulaNode::Two(op, closed(lhs), closed(rhs)))
        });
        let negated = inner.prop_map(move |inner| match inner.node {
            FormulaNode::Seconds { .. } => inner,
            FormulaNode::Paren(_) => at(FormulaNode::Negate(Box::new(inner))),
            _ => {
                let inner = at(FormulaNode::Paren(Box::new(inner)));
                at(FormulaNode::Negate(Box::new(inner)))
            }
        });
        prop_oneof![two, negated]
    })
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        3 => (1..10_000_000_000i64).prop_map(Duration::of_ms),
        1 => formula().prop_map(|formula| match formula.node {
            FormulaNode::Seconds { value, .. } => Duration::of_ms((value * 1000.0) as i64),
            _ => Duration { ms: 0, formula: Some(Box::new(formula)) },
        }),
    ]
}

fn offset() -> impl Strategy<Value = Duration> {
    let of_formula = formula().prop_map(|formula| match formula.node {
        FormulaNode::Seconds { .. } => Duration::default(),
        FormulaNode::Two(op, ..) if op != FormulaOp::Min && op != FormulaOp::Max => Duration {
            ms: 0,
            formula: Some(Box::new(Formula {
                node: FormulaNode::Paren(Box::new(formula)),
                place: 0,
            })),
        },
        _ => Duration {
            ms: 0,
            formula: Some(Box::new(formula)),
        },
    });
    prop_oneof![
        3 => Just(Duration::default()),
        2 => (-10_000_000_000..10_000_000_000i64).prop_map(Duration::of_ms),
        1 => of_formula,
    ]
}

fn at() -> impl Strategy<Value = Option<At>> {
    prop_oneof![
        3 => Just(None),
        1 => (-4_000_000_000_000..4_000_000_000_000i64).prop_map(|ms| Some(At::Time(ms))),
        1 => Just(Some(At::Start)),
        1 => Just(Some(At::End)),
    ]
}

fn selector() -> impl Strategy<Value = Selector> {
    let extent = prop_oneof![
        4 => Just(Extent::Plain),
        1 => Just(Extent::Anchored),
        1 => Just(Extent::Smoothed),
    ];
    (
        option::weighted(0.8, metric()),
        vec(matcher(), 0..4),
        offset(),
        at(),
        extent,
    )
        .prop_map(|(name, mut matchers, offset, at, extent)| {
            let is_named = name.is_some();
            match name {
                Some(name) => matchers.insert(0, Matcher::equal(METRIC_NAME, name)),
                None => matchers.insert(0, Matcher::equal("A", "b")),
            }
            Selector {
                matchers,
                is_named,
                offset,
                at,
                extent,
            }
        })
}

fn matching() -> impl Strategy<Value = Matching> {
    let fill = option::weighted(0.2, (-100..100i32).prop_map(|n| f64::from(n) / 4.0));
    (
        any::<bool>(),
        vec(label(), 0..3),
        any::<u8>(),
        vec(label(), 0..3),
        fill.clone(),
        fill,
    )
        .prop_map(|(on, labels, group, include, fill_left, fill_right)| {
            let group = match group % 5 {
                0 => Group::ManyToOne,
                1 => Group::OneToMany,
                _ => Group::OneToOne,
            };
            let is_one = group == Group::OneToOne;
            let mut include = include;
            // On both lists there may be none.
            include.retain(|label| !labels.contains(label));
            Matching {
                on: on && (!labels.is_empty() || !is_one),
                include: if is_one { Vec::new() } else { include },
                labels,
                group,
                returns_bool: false,
                fill_left,
                fill_right,
            }
        })
}

fn number() -> impl Strategy<Value = Expr> {
    prop_oneof![
        any::<f64>().prop_map(|value| expr(Node::Number(value))),
        (-100..100i32).prop_map(|value| expr(Node::Number(f64::from(value)))),
        (1..10_000_000i64).prop_map(|ms| expr(Node::Seconds(ms as f64 / 1000.0))),
        Just(expr(Node::Call(
            functions::find("time").expect("known"),
            Vec::new()
        ))),
    ]
}

const ARITHMETIC: [BinaryOp; 7] = [
    BinaryOp::Add,
    BinaryOp::Sub,
    BinaryOp::Mul,
    BinaryOp::Div,
    BinaryOp::Pow,
    BinaryOp::Atan2,
    BinaryOp::TrimUpper,
];

fn vector() -> impl Strategy<Value = Expr> {
    let range =
        (selector(), duration()).prop_map(|(selector, range)| expr(Node::Range(selector, range)));
    let leaf = prop_oneof![
        3 => selector().prop_map(|selector| expr(Node::Selector(selector))),
        1 => range.prop_map(|range| {
            expr(Node::Call(functions::find("rate").expect("known"), vec![range]))
        }),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let subquery = (
            inner.clone(),
            duration(),
            option::of(duration()),
            offset(),
            at(),
        )
            .prop_map(|(inner, range, step, offset, at)| {
                let subquery = expr(Node::Subquery(Box::new(Subquery {
                    expr: closed(inner),
                    range,
                    step,
                    offset,
                    at,
                })));
                let function = functions::find("max_over_time").expect("known");
                expr(Node::Call(function, vec![subquery]))
            });
        let aggregate = (
            inner.clone(),
            number(),
            vec(label(), 0..3),
            any::<(bool, bool)>(),
        )
            .prop_map(|(inner, param, labels, (without, with_param))| {
                expr(Node::Aggregate(Box::new(Aggregate {
                    op: if with_param {
                        AggregateOp::Topk
                    } else {
                        AggregateOp::Sum
                    },
                    param: with_param.then_some(param),
                    expr: inner,
                    labels,
                    without,
                })))
            });
        let vectors = (
            inner.clone(),
            inner.clone(),
            matching(),
            0..ARITHMETIC.len(),
        )
            .prop_map(|(lhs, rhs, matching, op)| {
                expr(Node::Binary(Box::new(Binary {
                    op: ARITHMETIC[op],
                    op_place: 0,
                    lhs: closed(lhs),
                    rhs: closed(rhs),
                    matching,
                })))
            });
        let compared = (inner.clone(), number(), any::<bool>()).prop_map(|(lhs, rhs, is_bool)| {
            expr(Node::Binary(Box::new(Binary {
                op: BinaryOp::GreaterOrEqual,
                op_place: 0,
                lhs: closed(lhs),
                rhs: closed(rhs),
                matching: Matching {
                    returns_bool: is_bool,
                    ..Matching::default()
                },
            })))
        });
        let signed = (inner.clone(), any::<bool>()).prop_map(|(inner, minus)| {
            let inner = Box::new(closed(inner));
            expr(if minus {
                Node::Negate(inner)
            } else {
                Node::Plus(inner)
            })
        });
        let renamed = (inner, "[ -~ä\n]{0,8}").prop_map(|(inner, text)| {
            let mut args = vec![inner];
            args.extend(
                [text, "a".to_owned(), "$1".to_owned(), String::new()]
                    .map(|text| expr(Node::Text(text))),
            );
            expr(Node::Call(
                functions::find("label_replace").expect("known"),
                args,
            ))
        });
        prop_oneof![subquery, aggregate, vectors, compared, signed, renamed]
    })
}

/// Everything about a tree but its places and the order of its matchers, which printing changes.
fn bare(expr: &Expr) -> (Value, String) {
    (in_order(json::tree(expr)), print::line(expr))
}

fn in_order(mut tree: Value) -> Value {
    if let Some(fields) = tree.as_object_mut() {
        for (name, value) in fields {
            *value = in_order(value.take());
            if let ("matchers", Some(matchers)) = (name.as_str(), value.as_array_mut()) {
                matchers.sort_by_cached_key(ToString::to_string);
            }
        }
    } else if let Some(values) = tree.as_array_mut() {
        for value in values {
            *value = in_order(value.take());
        }
    }
    tree
}

proptest! {
    #[test]
    fn trees_print_and_parse_back(tree in vector()) {
        let mut tree = tree;
        prop_assert_eq!(check::check("", &mut tree), Ok(ValueKind::Vector));
        let line = print::line(&tree);
        let back = match parse(&line) {
            Ok(back) => back,
            Err(error) => return Err(TestCaseError::fail(format!("{line}: {error}"))),
        };
        prop_assert_eq!(bare(&back), bare(&tree));
        let pretty = print::pretty(&tree).expect("short");
        let back = match parse(&pretty) {
            Ok(back) => back,
            Err(error) => return Err(TestCaseError::fail(format!("{pretty}: {error}"))),
        };
        prop_assert_eq!(bare(&back), bare(&tree));
        prop_assert_eq!(print::pretty(&back), Some(pretty));
    }

    #[test]
    fn any_text_is_parsed_or_refused_with_a_place(text in "\\PC{0,40}") {
        parses_or_says_why(&text)?;
    }

    #[test]
    fn any_pieces_are_parsed_or_refused_with_a_place(pieces in vec(piece(), 0..24), blank in any::<bool>()) {
        parses_or_says_why(&pieces.join(if blank { " " } else { "" }))?;
    }
}

fn piece() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "'",
        "`",
        "rate",
        "sum",
        "by",
        "without",
        "on",
        "up",
        "offset",
        "@",
        "5m",
        "1e9999",
        "0x",
        "1_0",
        ":",
        "+",
        "-",
        "^",
        "==",
        "=~",
        "=",
        "ä",
        "\\",
        ",",
        "bool",
        "\n",
        "start",
        "step",
        "min_of",
        "anchored",
        "fill",
        "group_left",
        "and",
        "inf",
        "#",
        "\"a\"",
        "\"\\x\"",
        "</",
        ".",
        "5",
        "topk",
    ])
}

fn parses_or_says_why(text: &str) -> Result<(), TestCaseError> {
    match parse(text) {
        Ok(tree) => {
            let line = print::line(&tree);
            let back = tree_json(&line).map(in_order);
            prop_assert_eq!(back, Ok(in_order(json::tree(&tree))), "{}", line);
        }
        Err(error) => {
            let length = text.chars().count();
            prop_assert!(
                error.position.is_some_and(|place| place <= length),
                "{}",
                error
            );
        }
    }
    Ok(())
}
