//! What is read, how it is written back, and what is refused with which words.

use proptest::prelude::*;

use crate::logql::{parse, parse_selector};

/// Queries of the kinds that public dashboards, rules and tutorials use, with how they are
/// written back.
#[test]
fn what_people_write_is_read_and_written_back() {
    let check = |text: &str, shown: &str| {
        let expr = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(expr.to_string(), shown, "{text}");
        let again = parse(shown).unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert_eq!(again, expr, "{shown}");
    };
    let same = |text: &str| check(text, text);
    same(r#"{app="x"}"#);
    same(r#"{app="x", pod=~"y.*", level!="debug", job!~"z|w"} |= "error" != "timeout""#);
    check(
        r#"{app="x",} |~"a|b" !~`\d+`"#,
        r#"{app="x"} |~ "a|b" !~ "\\d+""#,
    );
    same(r#"{app="x"} |= "a" or "b" or "c" | json"#);
    same(r#"{app="x"} |> "<_> level=<_> msg=<_>" !> "<_>debug<_>""#);
    same(r#"{app="x"} |= ip("10.0.0.0/8") | logfmt | addr!=ip("192.168.4.5-192.168.4.20")"#);
    same(r#"{app="x"} | json code="response.status", first="list[0]" | code >= 500"#);
    check(
        r#"{app="x"} | json a, b="c""#,
        r#"{app="x"} | json a="a", b="c""#,
    );
    same(r#"{app="x"} | logfmt --strict --keep-empty took="took" | took > 1s500ms"#);
    check(
        r#"{app="x"} | pattern `<ip> - - [<_>] "<method> <path> <_>" <status>`"#,
        r#"{app="x"} | pattern "<ip> - - [<_>] \"<method> <path> <_>\" <status>""#,
    );
    same(r#"{app="x"} | regexp "(?P<method>\\w+) (?P<path>\\S+)" | unpack | decolorize"#);
    same(r#"{app="x"} | line_format "{{.ts}} {{.msg | ToUpper}}" | label_format a=b, c="{{.d}}""#);
    same(r#"{app="x"} | drop __error__, level="debug" | keep app, msg=~"x.*""#);
    check(
        r#"{app="x"} | json | status = 500 and size > 10KB or took>=250ms, x="y" z!="w""#,
        r#"{app="x"} | json | (status == 500 and size > 10KB) or ((took >= 250ms and x="y") and z!="w")"#,
    );
    check(
        r#"sum(rate({job="mysql"} |= "error" != "timeout" [5m])) by (host)"#,
        r#"sum by (host) (rate({job="mysql"} |= "error" != "timeout" [5m]))"#,
    );
    same(r#"topk(10, sum by (app, level) (count_over_time({app=~".+"} [1h] offset 1h)))"#);
    check(
        r#"quantile_over_time(0.99, {app="x"} | json | unwrap duration(took) | __error__="" [1m]) by (path)"#,
        r#"quantile_over_time(0.99, {app="x"} | json | unwrap duration(took) | __error__="" [1m]) by (path)"#,
    );
    check(
        r#"sum_over_time({app="x"} [5m] | logfmt | unwrap bytes_processed)"#,
        r#"sum_over_time({app="x"} | logfmt | unwrap bytes_processed [5m])"#,
    );
    check(
        r#"count_over_time(({app="x"} | json) [5m])"#,
        r#"count_over_time({app="x"} | json [5m])"#,
    );
    check(
        r#"100 * sum(rate({app="x"} |= "err"[5m])) / on (app) group_left (team) sum by (app) (rate({app="x"}[5m])) > 0.5"#,
        r#"((100 * sum(rate({app="x"} |= "err" [5m]))) / on (app) group_left (team) sum by (app) (rate({app="x"} [5m]))) > 0.5"#,
    );
    check("vector(1)+vector(1)", "vector(1) + vector(1)");
    check("2 ^ 3 ^ 2 - -1", "(2 ^ (3 ^ 2)) - -1");
    same(r#"absent_over_time({app="x"} [15m]) == bool 1"#);
    same(r#"label_replace(rate({app="x"} [1m]), "host", "$1", "pod", "(.*)-.*")"#);
    check(
        "# how many\nsum(count_over_time({a=\"b\"} # per\n [1m]))",
        r#"sum(count_over_time({a="b"} [1m]))"#,
    );
    same(r#"sort_desc(max by (pod) (max_over_time({app="x"} | unwrap bytes(size) [10m])))"#);
    // Names of functions and stages are names of labels elsewhere.
    same(r#"sum by (rate, json) (rate({count="1", duration="2"} | rate="x" | pattern="y" [5m]))"#);
    check("({app=\"x\"} |= \"y\")", r#"{app="x"} |= "y""#);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let check = |text: &str, place: (usize, usize), part: &str, suggestion: Option<&str>| {
        let error = parse(text).expect_err(text);
        assert_eq!((error.line, error.column), place, "{text}: {error}");
        assert!(error.message.contains(part), "{text}: {error}");
        assert_eq!(error.suggestion.as_deref(), suggestion, "{text}: {error}");
        let start = format!("parse error at line {}, col {}: ", place.0, place.1);
        assert!(error.to_string().starts_with(&start), "{error}");
        if let Some(better) = suggestion {
            parse(better).unwrap_or_else(|error| panic!("{better}: {error}"));
        }
    };
    check("", (1, 1), "unexpected the end of the query", None);
    check(r#"{app="x""#, (1, 9), "expecting , or }", None);
    check("{app='x'}", (1, 6), "double quotes", Some(r#"{app="x"}"#));
    check(
        "{app=x}",
        (1, 6),
        "expecting a string",
        Some(r#"{app="x"}"#),
    );
    check(
        r#"{app="x"} |= error"#,
        (1, 14),
        "a string",
        Some(r#"{app="x"} |= "error""#),
    );
    check(
        r#"{app="x"} | "error""#,
        (1, 13),
        "a stage",
        Some(r#"{app="x"} |= "error""#),
    );
    check(r#"{app="x"} |~ "a(""#, (1, 14), "unclosed group", None);
    check(
        r#"{app="x"} |~ "\d+""#,
        (1, 15),
        "backticks",
        Some(r#"{app="x"} |~ `\d+`"#),
    );
    check(
        r#"{app="x"} | jsno"#,
        (1, 13),
        "neither a stage",
        Some(r#"{app="x"} | json"#),
    );
    check(
        r#"{app="x"} | level == "error""#,
        (1, 19),
        "compared with =",
        Some(r#"{app="x"} | level = "error""#),
    );
    check(
        r#"{app="x"}[5m]"#,
        (1, 10),
        "count_over_time",
        Some(r#"count_over_time({app="x"}[5m])"#),
    );
    check(
        r#"rate({app="x"})"#,
        (1, 15),
        "expecting a range such as [5m]",
        None,
    );
    check(
        r#"rate({app="x"}[5])"#,
        (1, 16),
        "its unit",
        Some(r#"rate({app="x"}[5s])"#),
    );
    check(
        r#"rate({app="x"}[$__interval])"#,
        (1, 16),
        "only Grafana",
        Some(r#"rate({app="x"}[5m])"#),
    );
    check(
        r#"rat({app="x"}[5m])"#,
        (1, 1),
        "no function",
        Some(r#"rate({app="x"}[5m])"#),
    );
    check(
        r#"rate({app="x"}[5m]) by (pod)"#,
        (1, 21),
        "grouping not allowed",
        Some(r#"sum by (pod) (rate({app="x"}[5m]))"#),
    );
    check(
        r#"avg_over_time({app="x"}[5m])"#,
        (1, 1),
        "without unwrap",
        None,
    );
    check(
        r#"count_over_time({app="x"} | unwrap a [5m])"#,
        (1, 1),
        "with unwrap",
        None,
    );
    check(
        r#"{app="x"} | unwrap a"#,
        (1, 13),
        "stands in a function",
        None,
    );
    check(
        r#"topk(0, rate({app="x"}[5m]))"#,
        (1, 6),
        "greater than 0",
        None,
    );
    check("sum({a=\"b\"})", (1, 5), "lines are no numbers", None);
    check(
        "{a=\"b\"}\n | pattern \"<x><y>\"",
        (2, 12),
        "consecutive",
        None,
    );
    check(r#"{a="b"} | regexp "x""#, (1, 18), "named capture", None);
    check(r#"{a="b"} | line_format "{{.x""#, (1, 23), "template", None);
    check(
        r#"{a="b"} | label_format x="1", x="2""#,
        (1, 31),
        "multiple label name",
        None,
    );
    check(
        r#"{a="b"} |= "x")"#,
        (1, 15),
        "unexpected )",
        Some(r#"{a="b"} |= "x""#),
    );
    check(r#"rate({a="b"}[5m]) and 1"#, (1, 23), "set operation", None);
    check(r#"{a=~"("}"#, (1, 5), "regular expression", None);
    let deep = format!("{}1{}", "(".repeat(100), ")".repeat(100));
    assert!(
        parse(&deep)
            .expect_err("too deep")
            .message
            .contains("nested deeper")
    );
    assert!(parse_selector(r#"{a="b"} |= "x""#).is_err());
    assert_eq!(parse_selector(r#"{a="b"}"#).expect("a selector").len(), 1);
}

/// A text out of pieces of the language, so that many get far into the parser.
fn pieces() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        "{",
        "}",
        "(",
        ")",
        "[5m]",
        "[",
        "]",
        "app",
        "=",
        "\"x\"",
        "`y`",
        "|",
        "|=",
        "!=",
        "|~",
        "json",
        "logfmt",
        "unwrap",
        "rate",
        "sum",
        "by",
        "topk",
        "5",
        "1.5s",
        "10KB",
        ",",
        "and",
        "or",
        "+",
        "-",
        "offset",
        "pattern",
        "line_format",
        "\"{{.a}}\"",
        "duration",
        "=~",
        " ",
        "label_format",
        "count_over_time",
        "{app=\"x\"}",
        "on",
        "group_left",
        "bool",
        "drop",
        "é",
        "ip",
        "\"10.0.0.1\"",
        "vector",
        "#",
        "\n",
        "\\",
        "\"",
        "$x",
    ]);
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_with_a_place(text in ".{0,60}") {
        if let Err(error) = parse(&text) {
            prop_assert!(error.position <= text.chars().count());
        }
    }

    #[test]
    fn what_is_read_is_written_back_as_the_same(text in pieces()) {
        match parse(&text) {
            Ok(expr) => {
                let shown = expr.to_string();
                let again = parse(&shown);
                prop_assert_eq!(again.as_ref(), Ok(&expr), "{} -> {}", text, shown);
                prop_assert_eq!(again.map(|e| e.to_string()), Ok(shown));
            }
            Err(error) => prop_assert!(error.position <= text.chars().count()),
        }
    }
}
