//! Some two thousand expressions, right and wrong, are given to Prometheus' own parser through
//! its `/api/v1/format_query` and to ours: both must understand or refuse them alike, and write
//! those that they understand in the same way. The list keeps to what Prometheus 2.41 knew; what
//! is newer is tested beside our parser.

use crate::prometheus::Prometheus;

const OPERATORS: [&str; 28] = [
    "+", "-", "*", "/", "%", "^", "==", "!=", "<", ">", "<=", ">=", "and", "or", "unless", "atan2",
    "=", "=~", "!~", "!", "&&", "||", "<>", "**", "//", "===", "AND", "Or",
];

const KEYWORDS: [&str; 31] = [
    "and",
    "or",
    "unless",
    "atan2",
    "sum",
    "avg",
    "count",
    "min",
    "max",
    "group",
    "stddev",
    "stdvar",
    "topk",
    "bottomk",
    "count_values",
    "quantile",
    "offset",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "start",
    "inf",
    "nan",
    "rate",
    "time",
    "End",
    "up",
];

/// The expressions.
fn expressions() -> Vec<String> {
    let mut list: Vec<String> = LITERALS.lines().map(str::to_owned).collect();
    for op in OPERATORS {
        for form in [
            "a {} b",
            "1 {} 2",
            "a {} 1",
            "1 {} bool 2",
            "a {} bool b",
            "a{}b",
            "a {}",
            "{} b",
            "a[5m] {} b",
            "\"x\" {} b",
            "a {} on (x) b",
            "a {} ignoring (x, y,) group_left b",
            "a {} on (x) group_right (z) b",
            "a {} on () b",
            "a {} group_left b",
            "1 {} on (x) b",
            "-a {} -b",
            "a {} b {} c",
        ] {
            list.push(form.replace("{}", op));
        }
        for other in &OPERATORS[..16] {
            list.push(format!("a {op} -b {other} (c) {op} 1"));
        }
    }
    for word in KEYWORDS {
        for form in [
            "{}",
            "{}{a=\"b\"}",
            "{} + x",
            "x + {}",
            "sum by ({}) (x)",
            "sum(x) without ({})",
            "x * on ({}) y",
            "x{{}=\"a\"}",
            "{}[5m]",
            "{} offset 5m",
            "{}(x)",
            "x {} y",
            "{} by (a) (x)",
            "{}(5, x)",
            "{}(\"l\", x)",
            "{}(x) by (a)",
            "{} without (a,) (x)",
            "{} by a (x)",
            "{}(x) by (a) by (b)",
            "{}(x, y, z)",
            "{}(x[5m])",
            "{}(x,)",
        ] {
            list.push(form.replace("{}", word));
        }
    }
    for duration in [
        "5m",
        "1h30m",
        "1d2h3m4s5ms",
        "1s1s",
        "1m1h",
        "1.5h",
        "5x",
        "5 m",
        "1y",
        "2w",
        "1ms5s",
    ] {
        for form in [
            "x[{}]",
            "x offset {}",
            "x[{}:]",
            "x[1w:{}] offset -1h @ end()",
        ] {
            list.push(form.replace("{}", duration));
        }
    }
    for function in [
        "abs",
        "absent",
        "absent_over_time",
        "clamp",
        "day_of_week",
        "delta",
        "histogram_quantile",
        "hour",
        "label_join",
        "label_replace",
        "predict_linear",
        "quantile_over_time",
        "rate",
        "round",
        "scalar",
        "sort",
        "time",
        "pi",
        "timestamp",
        "vector",
        "rte",
        "Rate",
    ] {
        for args in [
            "",
            "x",
            "x[5m]",
            "1",
            "\"s\"",
            "x[5m:1m]",
            "-x",
            "(x[5m])",
            "scalar(x)",
            "x, 1",
            "x[5m], 1",
            "1, x",
            "1, x[5m]",
            "x, 1, 2",
            "x, \"a\", \"b\", \"c\"",
            "x y",
            ", x",
            "x, \"a\", \"b\", \"c\", \"d\"",
            "x, \"a\", \"b\"",
            "x, 1, 2, 3",
        ] {
            list.push(format!("{function}({args})"));
        }
    }
    let long = "a_name_of_a_metric_that_is_rather_long";
    for form in [
        "{} + {} * {}",
        "-({} + {} + {})",
        "sum by (a, b) (rate({}{x=\"y\"}[5m])) / on (a) {} > 1",
        "max_over_time(({} > bool {})[5m:1m])",
        "topk(5, {} or {} unless {})",
        "max_over_time(rate({}[5m])[5m:1m] offset 1h) + max_over_time(({} or {})[1h:] @ 5)",
        "({} + 1) * ({} - 2) / -({} ^ 3)",
        "label_replace({} or {}, \"a\", \"b\", \"c\", \"d\")",
        "max_over_time(avg by (l) (label_replace({}, \"a\", \"b\", \"{}\", \"{}\") > 5)[1h:5m])",
    ] {
        list.push(form.replace("{}", long));
    }
    list
}

/// One on each line.
const LITERALS: &str = r#"
1
1.
.5
5E-3
0x1F
0x
017
09.5
1e
1.2.3.
0b1
+inf
-NaN
'a'
`\d`
"\n\x41\101\U0001F600ä"
"\d"
'\''
"\'"
"\400"
"\ud800"
"a
x[5m
x[:5m]
x[5m:5m:5m]
x[]
x[5m][5m]
x[5m:][5m:]
x [ 5m ]
x offset 1m[5m]
x offset - 5m
x offset
x offset foo
x offset 5m offset 5m
offset 5m
x @ -5
x @ +5.123
x @ start()
x @ start
x @ foo()
x @
x @ 1e100
x @ Inf
x @ 5 offset 5m
x offset 5m @ 5
x @ 5[5m]
x @ 5 @ 6
1 @ 5
(x) @ 5
rate(x[5m])[5m]
rate(x[5m])[5m:]
-x[5m:]
1[5m:]
x[5m:] > 1
sum(x offset 5m)
sum(x)[5m:] offset 5m
-x offset 5m
x offset 1m + y
x ^ y offset 5m
{}
{a="b"}
{a="b",}
{,}
{a="b",,c="d"}
{a="b" c="d"}
{a=b}
{a}
{=b}
{a=}
{a="b"
{a=="b"}
{a!="b"}
{a=~"("}
{a=~".*"}
{a=~".+"}
foo{a=~".*"}
{__name__="x"}
foo{__name__=~"x.*"}
{__name__="x",__name__="y"}
{a:b="c"}
{1a="b"}
{a-b="c"}
{sum="x",by="y"}
{a="b"}{c="d"}
{ a = "b" , c != 'd' , e =~ `f` } # comment
foo:bar
:foo
foo:
foo-bar
foo.bar
1foo
föö
sum by () (x)
sum by (,) (x)
sum by (a,,b) (x)
sum by (a b) (x)
sum(x) keep_common
sum{a="b"}
sum(x){a="b"}
summ(x)
sum(x))
()
(
)
{
[
x;
x,y
$x
a && b
-(-x)
+-x
--1
-"s"
-1^2
2^-1
(-1)^2
-a^b
a + on(x) group_left(x) b
a > on(x) bool b
a + on(1) b
a + on(a:b) b
a + group_left(x) b
"#;

/// What Prometheus' parser makes of an expression: the text in its form, or its error.
fn format(prometheus: &Prometheus, expression: &str) -> Result<String, String> {
    let json = prometheus.ask("format_query", &[("query", expression)]);
    let json = json.expect("it answers");
    match (json["data"].as_str(), json["error"].as_str()) {
        (Some(text), _) => Ok(text.to_owned()),
        (None, error) => Err(error.unwrap_or_default().to_owned()),
    }
}

#[test]
fn expressions_mean_the_same_to_prometheus() {
    let Some(prometheus) = Prometheus::start("parsing") else {
        return;
    };
    let expressions = expressions();
    let mut understood = 0;
    let mut differ = Vec::new();
    for expression in &expressions {
        let theirs = format(&prometheus, expression);
        let ours = promql::format(expression).map_err(|error| error.message);
        understood += usize::from(theirs.is_ok());
        let same = match (&theirs, &ours) {
            (Ok(theirs), Ok(ours)) => theirs == ours,
            (Err(_), Err(_)) => true,
            _ => false,
        };
        if !same {
            differ.push(format!(
                "{expression}\n  theirs: {theirs:?}\n  ours: {ours:?}"
            ));
        }
    }
    println!(
        "{} expressions, {understood} of them right",
        expressions.len()
    );
    assert!(understood > 300 && understood < expressions.len() - 300);
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
