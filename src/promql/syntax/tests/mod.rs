//! Texts through the whole of the syntax: what parses and to what, what does not and why.

use super::*;

mod round_trip;

#[test]
fn nodes_know_their_places() {
    let text = "  sum by (a) (rate(x{b=\"c\"}[5m])) / (quantile(0.9, y))";
    let expr = parse(text).expect("parses");
    assert_eq!((expr.place, expr.end), (Some(2), Some(text.len())));
    let Node::Binary(binary) = &expr.node else {
        panic!("a division: {expr:?}");
    };
    assert_eq!(binary.op_place, 34);
    let Node::Paren(inner) = &binary.rhs.node else {
        panic!("brackets");
    };
    assert_eq!(inner.place, Some(37));
    let Node::Aggregate(quantile) = &inner.node else {
        panic!("an aggregation");
    };
    assert_eq!(quantile.param.as_ref().and_then(|p| p.place), Some(46));
    assert_eq!(quantile.expr.place, Some(51));
    assert_eq!(quantile.expr.end, Some(52));
}

#[test]
fn errors_say_where_and_what_to_write() {
    let mut wrong = Vec::new();
    let mut check = |text: &str, position: usize, part: &str| match parse(text) {
        Ok(_) => wrong.push(format!("{text}: parses")),
        Err(error) => {
            let is_right = error.kind == ErrorKind::BadData
                && error.message.contains(part)
                && error.position == Some(position);
            if !is_right {
                wrong.push(format!("{text}: {error} ({:?})", error.position));
            }
        }
    };
    check("", 0, "no expression found in input");
    check("# only a comment", 0, "empty");
    check(
        "sum(rte(x[5m]))",
        4,
        "1:5: parse error: unknown function with name \"rte\", did you mean \"rate\"?",
    );
    check("summ(x)", 0, "did you mean \"sum\"?");
    check(
        "rate(x)",
        5,
        "expected type range vector in call to function \"rate\", got instant vector: write a range such as [5m]",
    );
    check(
        "sum(x[5m])",
        4,
        "expected type instant vector in aggregation expression, got range vector: a range such as [5m] needs a function like rate",
    );
    check(
        "a b",
        2,
        "unexpected identifier \"b\": an operator is missing",
    );
    check("sum(x) whitout (a)", 7, "did you mean \"without\"?");
    check(
        "a + ",
        4,
        "unexpected end of input: a metric, number or function is expected here",
    );
    check("a + * b", 4, "unexpected <op:*>");
    check("a = 1", 2, "unexpected \"=\": write == to compare");
    check(
        "a{b=c}",
        4,
        "unexpected identifier \"c\" in label matching, expected string: the value of a label stands in quotes",
    );
    check("a{b}", 3, "expected label matching operator");
    check("a{b=\"c\" d=\"e\"}", 8, "expected \",\" or \"}\"");
    check(
        "x[foo]",
        2,
        "unexpected identifier \"foo\" in subquery or range selector, expected number, duration, step(), or range()",
    );
    check("x[5m:1m", 1, "unclosed left bracket");
    check("x[]", 2, "unexpected \"]\" in subquery or range selector");
    check("a{b=~\"(\"}", 2, "error parsing regexp");
    check("x[1e30]", 2, "duration out of range");
    check("x offset -Inf", 10, "duration out of range");
    check("x[0s]", 2, "duration must be greater than 0");
    check("x[1h/0]", 5, "division by zero");
    check("x[1.5h]", 2, "not a valid duration string: \"1.5h\"");
    check(
        "1 > 2",
        2,
        "comparisons between scalars must use BOOL modifier: write > bool",
    );
    check(
        "{job=~\".*\"}",
        0,
        "vector selector must contain at least one non-empty matcher",
    );
    check(
        "a{__name__=\"b\"}",
        0,
        "metric name must not be set twice: \"a\" or \"b\"",
    );
    check("a offset 300000y", 9, "duration out of range");
    check(
        "a offset 5m offset 5m",
        12,
        "offset may not be set multiple times",
    );
    check(
        "a @ 1 @ 2",
        6,
        "@ <timestamp> may not be set multiple times",
    );
    check("(a) offset 5m", 4, "offset modifier must be preceded by");
    check("1 @ 5", 2, "@ modifier must be preceded by");
    check("a @ b", 4, "in @, expected timestamp");
    check("a @ inf", 4, "timestamp out of bounds");
    check(
        "rate(x)[5m]",
        7,
        "ranges only allowed for vector selectors: over an expression write a subquery",
    );
    check(
        "x offset 5m [5m]",
        12,
        "no offset modifiers allowed before range",
    );
    check("sum(rate(x[5m])", 3, "unclosed left parenthesis");
    check("sum(x))", 6, "unexpected right parenthesis");
    check("x[5m)", 4, "'[' of character 2");
    check("x{a=\"b}", 4, "unterminated quoted string");
    check("ä && b", 0, "unexpected character: 'ä'");
    check("a && b", 2, "write \"and\"");
    check("a =~ \"b\"", 2, "regular expressions compare labels");
    check("x{a=\"\\xff\"}", 4, "UTF-8");
    check("x{a=\"\\d\"}", 5, "unknown escape sequence");
    check("sum()", 0, "no arguments for aggregate expression provided");
    check(
        "topk(a)",
        0,
        "wrong number of arguments for aggregate expression provided, expected 2, got 1",
    );
    check(
        "topk(a, b)",
        5,
        "expected type scalar in aggregation parameter, got instant vector",
    );
    check("sum by x (a)", 7, "in grouping opts, expected \"(\"");
    check("sum by (1) (a)", 8, "in grouping opts, expected label");
    check(
        "time(1)",
        0,
        "expected 0 argument(s) in call to \"time\", got 1: time()",
    );
    check(
        "round()",
        0,
        "expected at least 1 argument(s) in call to \"round\", got 0",
    );
    check(
        "round(a, 1, 2)",
        0,
        "expected at most 2 argument(s) in call to \"round\", got 3",
    );
    check(
        "abs(a,)",
        5,
        "trailing commas not allowed in function call args",
    );
    check(
        "a and 1",
        0,
        "set operator \"and\" not allowed in binary scalar expression",
    );
    check(
        "a + bool b",
        2,
        "bool modifier can only be used on comparison operators",
    );
    check(
        "a and on (x) group_left b",
        0,
        "no grouping allowed for \"and\" operation",
    );
    check(
        "a + on (x) group_left (x) b",
        2,
        "must not occur in ON and GROUP clause at once",
    );
    check(
        "a + group_left (x) b",
        4,
        "write on (…) or ignoring (…) before it",
    );
    check("a + ingoring (x) b", 4, "did you mean \"ignoring\"?");
    check(
        "1 + on (x) a",
        0,
        "vector matching only allowed between instant vectors",
    );
    check(
        "a[5m] + 1",
        0,
        "binary expression must contain only scalar and instant vector types",
    );
    check(
        "-a[5m]",
        0,
        "unary expression only allowed on expressions of type scalar or instant vector, got \"range vector\"",
    );
    check(
        "1[5m:]",
        0,
        "subquery is only allowed on instant vector, got scalar instead",
    );
    check(
        "a and fill (0) b",
        0,
        "filling in missing series not allowed for set operators",
    );
    check(
        "a[5m:1m] anchored",
        9,
        "anchored modifier is not supported for subqueries",
    );
    check("a anchored smoothed", 11, "cannot be used together");
    check("a +\n  b c", 8, "2:5: parse error");
    check(
        "holt_winters(x[5m], 0.1, 0.1)",
        0,
        "double_exponential_smoothing",
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What a text means, on one line with all brackets that it has.
fn line(text: &str) -> String {
    format_line(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A text with brackets around every operator and sign.
fn bracketed(text: &str) -> String {
    fn show(expr: &Expr) -> String {
        match &expr.node {
            Node::Binary(binary) => format!(
                "({} {} {})",
                show(&binary.lhs),
                binary.op.name(),
                show(&binary.rhs)
            ),
            Node::Negate(inner) => format!("(-{})", show(inner)),
            Node::Paren(inner) => show(inner),
            _ => print::line(expr),
        }
    }
    show(&parse(text).unwrap_or_else(|error| panic!("{text}: {error}")))
}

#[test]
fn operators_bind_as_in_prometheus() {
    let check = |text: &str, expected: &str| assert_eq!(bracketed(text), expected, "{text}");
    check("a + b * c ^ d ^ e", "(a + (b * (c ^ (d ^ e))))");
    check("a - b - c", "((a - b) - c)");
    check("a or b and c unless d", "(a or ((b and c) unless d))");
    check("a and b > c + d", "(a and (b > (c + d)))");
    check("a == b != c", "((a == b) != c)");
    check("a / b % c atan2 d", "(((a / b) % c) atan2 d)");
    check("-1 ^ 2", "(-(1 ^ 2))");
    check("-a * b", "((-a) * b)");
    check("2 ^ -3 ^ 2", "(2 ^ (-(3 ^ 2)))");
    check("2 ^ -a * b", "((2 ^ (-a)) * b)");
    check("--1", "1");
    check("-a offset 5m", "(-a offset 5m)");
    check("a offset 5m ^ 2", "(a offset 5m ^ 2)");
    check("a offset 1m + 1", "(a offset 1m + 1)");
    check("a </ 5 and b >/ 1", "((a </ 5) and (b >/ 1))");
}

#[test]
fn everything_that_prometheus_3_can_say() {
    let check = |text: &str, expected: &str| assert_eq!(line(text), expected, "{text}");
    check("0x1F + 017 + 1_000 + .5e1", "31 + 15 + 1000 + 5");
    check("inf + NaN + -Inf", "+Inf + NaN + -Inf");
    check("5m + 1h30m", "5m + 1h30m");
    check("-1.5 + +2", "-1.5 + 2");
    check("inf ^ x ^ inf", "Inf ^ x ^ +Inf");
    check("x[300]", "x[5m]");
    check("x[5m:] offset -90 @ 1.5", "x[5m:] @ 1.500 offset -1m30s");
    check("x[1d:30s] @ end()", "x[1d:30s] @ end()");
    check("x @ -1h", "x @ -3600.000");
    check("X{a='b', c=~`d\\.`,}", "X{a=\"b\",c=~\"d\\\\.\"}");
    check(
        "{\"my.metric\", \"label x\"=\"y\"}",
        "{\"label x\"=\"y\",__name__=\"my.metric\"}",
    );
    check("{__name__=\"a\"}", "{__name__=\"a\"}");
    check("a:b:c{}", "a:b:c");
    check("SUM BY (a) (x)", "sum by (a) (x)");
    check(
        "sum(x) by (on, bool, \"a b\",)",
        "sum by (on, bool, \"a b\") (x)",
    );
    check("sum by () (x)", "sum(x)");
    check("sum without () (x)", "sum without () (x)");
    check("count_values(\"v\", x)", "count_values(\"v\", x)");
    check("a + on () group_left b", "a + on () group_left () b");
    check(
        "a > bool ignoring (x,) group_right (y) b",
        "a > bool ignoring (x) group_right (y) b",
    );
    check("a + fill (0) b", "a + fill (0) b");
    check(
        "a + on (x) fill_right (1) fill_left (-inf) b",
        "a + on (x) fill_left (-Inf) fill_right (1) b",
    );
    check("fill + fill_left", "fill + fill_left");
    check(
        "sum + by + offset + and + start{a=\"b\"} + step",
        "sum + by + offset + and + start{a=\"b\"} + step",
    );
    check("and and and", "and and and");
    check("offset offset 5m", "offset offset 5m");
    check("x anchored", "x anchored");
    check("x[5m] smoothed offset 1m", "x[5m] smoothed offset 1m");
    check("x[5m + step() * 2]", "x[5m + step() * 2]");
    check("x[(1m)]", "x[1m]");
    check(
        "x[min_of(step(), 5s):max(1m, range() / 10)]",
        "x[min_of(step(), 5s):max_of(1m, range() / 10)]",
    );
    check("x offset -(step() + 1m) + y", "x offset -(step() + 1m) + y");
    check("x offset step() + y", "x offset step() + y");
    check(
        "start() + end() + step() + range()",
        "start() + end() + step() + range()",
    );
}

#[test]
fn selectors_of_match_parameters() {
    let matchers = parse_selector("up{job=~\"a|b\",x!=\"\"}").expect("a selector");
    let shown: Vec<String> = matchers.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["__name__=\"up\"", "job=~\"a|b\"", "x!=\"\""]);
    assert!(parse_selector("rate(up[5m])").is_err());
    assert!(parse_selector("up offset 5m").is_err());
    assert!(parse_selector("{}").is_err());
}

#[test]
fn durations_settle_to_numbers() {
    let check = |text: &str, range_ms: i64, offset_ms: i64| {
        let asked = Asked {
            step_ms: 15_000,
            range_ms: 3_600_000,
        };
        let expr = parse(text).expect(text).settled(asked).expect(text);
        let Node::Range(selector, range) = &expr.node else {
            panic!("{text}: {expr:?}");
        };
        assert_eq!(
            (range.ms, selector.offset.ms),
            (range_ms, offset_ms),
            "{text}"
        );
    };
    check("(x[5m+1m] offset -step())", 360_000, -15_000);
    check("x[2^3]", 8_000, 0);
    check(
        "x[max_of(step(), 1m)] offset (range()/2)",
        60_000,
        1_800_000,
    );
    let asked = Asked::default();
    let error = parse("x[step()]")
        .expect("parses")
        .settled(asked)
        .expect_err("no step");
    assert!(error.message.contains("greater than 0"), "{error}");
    let plain = parse("+(1m)")
        .expect("parses")
        .settled(asked)
        .expect("settles");
    assert!(matches!(plain.node, Node::Number(60.0)), "{plain:?}");
}

#[test]
fn long_expressions_are_broken_into_lines() {
    let check = |text: &str, expected: &str| {
        let pretty = format(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(pretty, expected.trim_start_matches('\n'));
        assert_eq!(format(&pretty).as_deref(), Ok(&*pretty));
    };
    check("sum  by(a)(x)#c", "sum by (a) (x)");
    check(
        "sum(rate(http_requests_total{job=\"api-server\",code=~\"5..\"}[5m])) by (job, instance) / \
         on(job) group_left sum by(job) (rate(http_requests_total[5m])) > bool 0.25",
        r#"
    sum by (job, instance) (rate(http_requests_total{code=~"5..",job="api-server"}[5m]))
  / on (job) group_left ()
    sum by (job) (rate(http_requests_total[5m]))
> bool
  0.25"#,
    );
    check(
        "-max_over_time((topk(5, a_rather_long_name_of_a_metric{with=\"labels\"} or \
         another_rather_long_name_of_a_metric))[1h:1m] offset 5m)",
        r#"
-max_over_time(
  (topk(5, a_rather_long_name_of_a_metric{with="labels"} or another_rather_long_name_of_a_metric))[1h:1m] offset 5m
)"#,
    );
    check(
        "topk(5, a_rather_long_name_of_a_metric{with=\"labels\"} or \
         another_rather_long_name_of_a_metric{with=\"labels\"} unless one_more)",
        r#"
topk(
  5,
    a_rather_long_name_of_a_metric{with="labels"}
  or
    another_rather_long_name_of_a_metric{with="labels"} unless one_more
)"#,
    );
    let wide = format!("{}abs(x{})", "-(".repeat(190), ")".repeat(190));
    let wide = wide.replace(
        "abs(x",
        &format!("label_join(x, \"\", \"\"{}", ", \"\"".repeat(50_000)),
    );
    let wide = format!("{wide})");
    assert!(format(&wide).is_err(), "megabytes of blanks");
}

#[test]
fn trees_as_the_api_gives_them() {
    let tree = tree_json("sum(rate(x{a=\"b\"}[5m] @ end() offset 1m)) by (c) and on () -y > 5m")
        .expect("parses");
    let expected = serde_json::json!({
        "type": "binaryExpr", "op": "and", "bool": false,
        "matching": {
            "card": "many-to-many", "labels": [], "on": true, "include": [],
            "fillValues": {"lhs": null, "rhs": null},
        },
        "lhs": {
            "type": "aggregation", "op": "sum", "grouping": ["c"], "without": false, "param": null,
            "expr": {
                "type": "call",
                "func": {
                    "name": "rate", "argTypes": ["matrix"], "variadic": 0, "returnType": "vector",
                },
                "args": [{
                    "type": "matrixSelector", "name": "x", "range": 300_000, "offset": 60_000,
                    "matchers": [
                        {"name": "a", "type": "=", "value": "b"},
                        {"name": "__name__", "type": "=", "value": "x"},
                    ],
                    "timestamp": null, "startOrEnd": "end", "anchored": false, "smoothed": false,
                }],
            },
        },
        "rhs": {
            "type": "binaryExpr", "op": ">", "bool": false, "matching": null,
            "lhs": {
                "type": "unaryExpr", "op": "-",
                "expr": {
                    "type": "vectorSelector", "name": "y", "offset": 0,
                    "matchers": [{"name": "__name__", "type": "=", "value": "y"}],
                    "timestamp": null, "startOrEnd": null, "anchored": false, "smoothed": false,
                },
            },
            "rhs": {"type": "numberLiteral", "val": "300"},
        },
    });
    assert_eq!(tree, expected);
}
