//! What metric queries come to.

use model::{Labels, Level};

use super::{Lines, S};
use crate::logql::{
    EvalError, Expr, Grid, Limits, MetricExpr, Value, instant, is_absent, parse, range,
};

fn metric(query: &str) -> MetricExpr {
    match parse(query).unwrap_or_else(|error| panic!("{query}: {error}")) {
        Expr::Metric(metric) => metric,
        Expr::Log(_) => panic!("{query} asks for lines"),
    }
}

/// The answer at a time as text: `{labels} value` for each series.
fn at(lines: &Lines, query: &str, time_s: i64) -> Result<Vec<String>, EvalError> {
    let answer = instant(lines, &metric(query), time_s * S, &Limits::default())?;
    Ok(match answer.value {
        Value::Scalar(number) => vec![number.to_string()],
        Value::Series(columns) => columns
            .iter()
            .map(|c| format!("{} {}", c.labels, c.values[0]))
            .collect(),
    })
}

fn shop() -> Lines {
    let web = Labels::from_pairs([("app", "web"), ("pod", "w1")]);
    let db = Labels::from_pairs([("app", "db"), ("pod", "d1")]);
    let mut lines = Lines(Vec::new());
    for i in 1..=60 {
        let status = if i % 10 == 0 { 500 } else { 200 };
        let level = if i % 10 == 0 {
            Level::Error
        } else {
            Level::Info
        };
        lines.add(
            &web,
            level,
            i * S,
            &format!("status={status} took={i}ms size={i}KB"),
        );
        if i % 2 == 0 {
            lines.add(&db, Level::Info, i * S, "query");
        }
    }
    lines
}

#[test]
fn lines_are_counted_and_added_up() {
    let lines = shop();
    let check = |query: &str, expected: &[&str]| {
        let found = at(&lines, query, 60).unwrap_or_else(|error| panic!("{query}: {error}"));
        assert_eq!(found, expected, "{query}");
    };
    check(
        r#"count_over_time({app="db"}[1m])"#,
        &[r#"{app="db", detected_level="info", pod="d1"} 30"#],
    );
    check(
        r#"sum by (app) (count_over_time({app=~".+"}[1m]))"#,
        &[r#"{app="db"} 30"#, r#"{app="web"} 60"#],
    );
    // (t - range, t]: the line at 60 s counts, the one at 50 s does not.
    check(r#"sum(count_over_time({app="web"}[10s]))"#, &["{} 10"]);
    check(
        r#"sum(count_over_time({app="web"}[10s] offset 55s))"#,
        &["{} 5"],
    );
    check(r#"sum(rate({app="web"}[10s]))"#, &["{} 1"]);
    check(r#"sum(bytes_over_time({app="db"}[1m]))"#, &["{} 150"]);
    check(r#"sum(bytes_rate({app="db"}[1m]))"#, &["{} 2.5"]);
    check(
        r#"sum by (level, detected_level) (count_over_time({app="web"} | drop __error__ [1m]))"#,
        &[
            r#"{detected_level="error"} 6"#,
            r#"{detected_level="info"} 54"#,
        ],
    );
    check(
        r#"sum by (status) (count_over_time({app="web"} | logfmt [1m]))"#,
        &[r#"{status="200"} 54"#, r#"{status="500"} 6"#],
    );
    check(
        r#"sum without (pod, status, took, size, detected_level) (rate({app="web"} | logfmt | status="500" [1m]))"#,
        &[r#"{app="web"} 0.1"#],
    );
    check(
        r#"sum(count_over_time({app="web"} |= "status=5" [1m])) / sum(count_over_time({app="web"}[1m])) * 100"#,
        &["{} 10"],
    );
    check(r#"avg(count_over_time({app=~".+"}[1m]))"#, &["{} 30"]);
    check(r#"count(count_over_time({app=~".+"}[1m]))"#, &["{} 3"]);
    check(
        r#"topk(1, sum by (app) (count_over_time({app=~".+"}[1m])))"#,
        &[r#"{app="web"} 60"#],
    );
    check(
        r#"bottomk(1, sum by (app) (count_over_time({app=~".+"}[1m])))"#,
        &[r#"{app="db"} 30"#],
    );
    check(
        r#"sort_desc(sum by (app) (count_over_time({app=~".+"}[1m])))"#,
        &[r#"{app="web"} 60"#, r#"{app="db"} 30"#],
    );
    check(
        r#"stddev(sum by (app) (count_over_time({app=~".+"}[1m])))"#,
        &["{} 15"],
    );
    check(r#"count_over_time({app="none"}[1m])"#, &[]);
    check(
        r#"absent_over_time({app="none", pod=~"x"}[1m])"#,
        &[r#"{app="none"} 1"#],
    );
    check(r#"absent_over_time({app="db"}[1m])"#, &[]);
    check("vector(1) + vector(1)", &["{} 2"]);
    check("1 + 2 * 3 ^ 2", &["19"]);
    check("5 > 3", &["1"]);
}

#[test]
fn labels_are_unwrapped() {
    let lines = shop();
    let check = |query: &str, expected: &[&str]| {
        let found = at(&lines, query, 60).unwrap_or_else(|error| panic!("{query}: {error}"));
        assert_eq!(found, expected, "{query}");
    };
    check(
        r#"sum(sum_over_time({app="web"} | logfmt | unwrap status [10s]))"#,
        &["{} 2300"],
    );
    check(
        r#"max_over_time({app="web"} | logfmt | unwrap duration_seconds(took) [1m]) by (app)"#,
        &[r#"{app="web"} 0.06"#],
    );
    check(
        r#"min_over_time({app="web"} | logfmt | unwrap bytes(size) [10s]) by (app)"#,
        &[r#"{app="web"} 51000"#],
    );
    check(
        r#"avg_over_time({app="web"} | logfmt | unwrap bytes(size) [59s]) by ()"#,
        &["{} 31000"],
    );
    check(
        r#"first_over_time({app="web"} | logfmt | unwrap bytes(size) [5s]) by (app)"#,
        &[r#"{app="web"} 56000"#],
    );
    check(
        r#"last_over_time({app="web"} | logfmt | unwrap bytes(size) [5s]) by (app)"#,
        &[r#"{app="web"} 60000"#],
    );
    check(
        r#"quantile_over_time(0.5, {app="web"} | logfmt | unwrap bytes(size) [5s]) by (app)"#,
        &[r#"{app="web"} 58000"#],
    );
    check(
        r#"stdvar_over_time({app="web"} | logfmt | unwrap bytes(size) [3s]) by ()"#,
        &["{} 666666.6666666666"],
    );
    check(
        r#"sum(rate({app="web"} | logfmt | unwrap bytes(size) [10s]))"#,
        &["{} 55500"],
    );
    check(
        r#"sum(rate_counter({app="web"} | logfmt size | drop detected_level | unwrap bytes(size) [10s]))"#,
        &["{} 900"],
    );
    // The label that is unwrapped is no label of the series any more.
    check(
        r#"max(max_over_time({app="web"} | logfmt took | unwrap duration(took) [1m])) by (took)"#,
        &["{} 0.06"],
    );
    // Lines without the label are no samples; values that are no numbers fail.
    check(
        r#"sum(sum_over_time({app="db"} | logfmt | unwrap status [1m]))"#,
        &[],
    );
    let error = at(
        &lines,
        r#"sum(sum_over_time({app="web"} | logfmt | unwrap took [1m]))"#,
        60,
    );
    let error = error.expect_err("no numbers").to_string();
    assert!(
        error.contains("'SampleExtractionErr'") && error.contains("__error__"),
        "{error}"
    );
    check(
        r#"sum(sum_over_time({app="web"} | logfmt | unwrap took | __error__="" [1m]))"#,
        &[],
    );
    let error = at(
        &lines,
        r#"sum(count_over_time({app="db"} | json [1m]))"#,
        60,
    );
    assert!(
        error
            .expect_err("no JSON")
            .to_string()
            .contains("'JSONParserErr'")
    );
    check(
        r#"sum(count_over_time({app="db"} | json | __error__="" [1m]))"#,
        &[],
    );
}

#[test]
fn series_are_matched() {
    let lines = shop();
    let all = r#"sum by (app, pod) (count_over_time({app=~".+"}[1m]))"#;
    let by_app = r#"sum by (app) (count_over_time({app=~".+"}[1m]))"#;
    let errors = r#"sum by (app) (count_over_time({app="web", level="error"}[1m]))"#;
    let check = |query: String, expected: &[&str]| {
        let found = at(&lines, &query, 60).unwrap_or_else(|error| panic!("{query}: {error}"));
        assert_eq!(found, expected, "{query}");
    };
    check(format!("{errors} / {by_app}"), &[r#"{app="web"} 0.1"#]);
    check(format!("{by_app} > 30"), &[r#"{app="web"} 60"#]);
    check(format!("40 > {by_app}"), &[r#"{app="db"} 30"#]);
    check(
        format!("{by_app} > bool 30"),
        &[r#"{app="db"} 0"#, r#"{app="web"} 1"#],
    );
    check(
        format!("{all} / on (app) group_left {by_app}"),
        &[r#"{app="db", pod="d1"} 1"#, r#"{app="web", pod="w1"} 1"#],
    );
    check(
        format!("{errors} / ignoring (pod) group_right {all}"),
        &[r#"{app="web", pod="w1"} 0.1"#],
    );
    check(format!("{by_app} unless {errors}"), &[r#"{app="db"} 30"#]);
    check(format!("{by_app} and {errors}"), &[r#"{app="web"} 60"#]);
    check(
        format!("{errors} or {by_app}"),
        &[r#"{app="web"} 6"#, r#"{app="db"} 30"#],
    );
    check(
        format!("{errors} or vector(0)"),
        &[r#"{app="web"} 6"#, "{} 0"],
    );
    check(
        format!(r#"label_replace({by_app}, "first", "$1", "app", "(.).*")"#),
        &[
            r#"{app="db", first="d"} 30"#,
            r#"{app="web", first="w"} 60"#,
        ],
    );
    let error = at(&lines, &format!("{by_app} / on () {by_app}"), 60);
    assert!(
        error
            .expect_err("many to many")
            .to_string()
            .contains("many-to-many")
    );
    let clash = format!(r#"label_replace({by_app}, "app", "x", "app", ".*")"#);
    assert!(at(&lines, &clash, 60).is_err());
}

#[test]
fn every_step_has_its_own_window() {
    let lines = shop();
    let query = metric(r#"sum(count_over_time({app="web"}[20s]))"#);
    let grid = Grid::range(0, 100 * S, 10 * S);
    let answer = range(&lines, &query, grid, &Limits::default()).expect("an answer");
    let Value::Series(columns) = answer.value else {
        panic!("no series");
    };
    let values: Vec<Option<f64>> = columns[0]
        .values
        .iter()
        .map(|v| (!is_absent(*v)).then_some(*v))
        .collect();
    let counts = [
        None,
        Some(10.0),
        Some(20.0),
        Some(20.0),
        Some(20.0),
        Some(20.0),
        Some(20.0),
        Some(10.0),
        None,
        None,
        None,
    ];
    assert_eq!(values, counts);
    // Each step alone gives the same.
    for (k, expected) in counts.iter().enumerate() {
        let found = at(
            &lines,
            r#"sum(count_over_time({app="web"}[20s]))"#,
            k as i64 * 10,
        )
        .expect("an answer");
        let expected: Vec<String> = expected.iter().map(|v| format!("{{}} {v}")).collect();
        assert_eq!(found, expected, "step {k}");
    }
}

#[test]
fn limits_are_told() {
    let lines = shop();
    let limits = Limits {
        series_max: 10,
        ..Limits::default()
    };
    let query = metric(r#"count_over_time({app="web"} | logfmt [1m])"#);
    let error = instant(&lines, &query, 60 * S, &limits)
        .expect_err("60 series")
        .to_string();
    assert!(
        error.starts_with("maximum of series (10) reached for a single query"),
        "{error}"
    );
    let grid = Grid::range(0, 20_000 * S, S);
    let error = range(&lines, &query, grid, &Limits::default()).expect_err("too many steps");
    assert!(error.to_string().contains("11000 points"), "{error}");
    let many: Vec<String> = (0..20_001).map(|i| format!("n={i}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let query = metric(r#"count_over_time({app="a"} | logfmt [1d])"#);
    let error = instant(&Lines::of(&many), &query, 80_000 * S, &Limits::default());
    let error = error.expect_err("too many series").to_string();
    assert!(error.contains("maximum of series (20000)"), "{error}");
}
