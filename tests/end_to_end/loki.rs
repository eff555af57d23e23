//! Yagura as somebody's Loki: real files, asked as logcli and Grafana ask.

use serde_json::{Value, json};
use std::fmt::Write as _;

use crate::appliance::{Appliance, Site, append, encode};

/// GET of Loki's API that must succeed; the last day unless the parameters say otherwise.
fn loki(yagura: &Appliance, call: &str, params: &[(&str, &str)]) -> Value {
    let mut path = format!("/loki/api/v1/{call}?since=24h");
    for (name, value) in params {
        let _ = write!(path, "&{}={}", encode(name), encode(value));
    }
    yagura.json(&path)
}

/// The lines of a log query, oldest first.
fn lines(yagura: &Appliance, query: &str) -> Vec<String> {
    let params = [
        ("query", query),
        ("direction", "FORWARD"),
        ("limit", "1000"),
    ];
    let answer = loki(yagura, "query_range", &params);
    assert_eq!(answer["data"]["resultType"], "streams", "{answer}");
    let mut all: Vec<(String, String)> = Vec::new();
    for stream in answer["data"]["result"].as_array().expect("streams") {
        for value in stream["values"].as_array().expect("values") {
            let text = |i: usize| value[i].as_str().expect("a string").to_owned();
            all.push((text(0), text(1)));
        }
    }
    all.sort();
    all.into_iter().map(|(_, line)| line).collect()
}

/// The series of a metric query now, as `labels value`.
fn numbers(yagura: &Appliance, query: &str) -> Vec<String> {
    let answer = loki(yagura, "query", &[("query", query)]);
    let series = answer["data"]["result"].as_array().expect("series").iter();
    series
        .map(|s| {
            format!(
                "{} {}",
                s["metric"],
                s["value"][1].as_str().expect("a number")
            )
        })
        .collect()
}

#[test]
fn grafana_and_logcli_find_lines_and_numbers() {
    let site = Site::new();
    let web = site.path("logs/web.log");
    append(
        &web,
        (0..60).map(|i| {
            let (level, status) = if i % 10 == 0 { ("error", 500) } else { ("info", 200) };
            format!(
                r#"{{"level":"{level}","msg":"request {i}","status":{status},"took":"{i}ms","http":{{"path":"/api/items/{}"}}}}"#,
                i % 3
            )
        }),
    );
    let db = site.path("logs/db.log");
    append(
        &db,
        (0..20).map(|i| format!("level=warn msg=\"slow query {i}\" rows={i}")),
    );
    let yagura = site.start();
    yagura.wait_for("all lines", |y| {
        (lines(y, r#"{file=~".+"}"#).len() == 80).then_some(())
    });

    // What Grafana asks first.
    let answer = loki(&yagura, "query", &[("query", "vector(1)+vector(1)")]);
    assert_eq!(answer["data"]["result"][0]["value"][1], "2");
    let names = loki(&yagura, "labels", &[]);
    assert_eq!(names["data"], json!(["file", "host", "level"]));
    let files = loki(&yagura, "label/file/values", &[]);
    assert_eq!(
        files["data"],
        json!([db.display().to_string(), web.display().to_string()])
    );
    let series = loki(&yagura, "series", &[("match[]", r#"{file=~".*db.log"}"#)]);
    assert_eq!(series["data"].as_array().map(Vec::len), Some(1));

    // Lines: by substring, regular expression, field, level, and rewritten.
    assert_eq!(
        lines(&yagura, r#"{file=~".*web.log"} |= "request 7\"""#).len(),
        1
    );
    assert_eq!(
        lines(&yagura, r#"{file=~".+"} |~ "(?i)SLOW query 1\\d""#).len(),
        10
    );
    assert_eq!(
        lines(
            &yagura,
            r#"{file=~".+"} | json | status >= 500 | __error__="""#
        )
        .len(),
        6
    );
    assert_eq!(lines(&yagura, r#"{level="error"}"#).len(), 6);
    assert_eq!(
        lines(
            &yagura,
            r#"{level="error"} | json | took > 45ms | line_format "{{.http_path}} {{.took}}""#
        ),
        ["/api/items/2 50ms"]
    );
    assert_eq!(
        lines(
            &yagura,
            r#"{file=~".*db.log"} | logfmt | rows = 3 | line_format `{{.msg | ToUpper}}`"#
        ),
        ["SLOW QUERY 3"]
    );

    // Numbers.
    assert_eq!(
        numbers(
            &yagura,
            r#"sum by (http_path) (count_over_time({file=~".*web.log"} | json [1d]))"#
        ),
        [
            r#"{"http_path":"/api/items/0"} 20"#,
            r#"{"http_path":"/api/items/1"} 20"#,
            r#"{"http_path":"/api/items/2"} 20"#
        ]
    );
    assert_eq!(
        numbers(
            &yagura,
            r#"max by (level) (max_over_time({file=~".*web.log"} | json | unwrap duration(took) [1d]))"#
        ),
        [r#"{"level":"error"} 0.05"#, r#"{"level":"info"} 0.059"#]
    );
    assert_eq!(
        numbers(
            &yagura,
            r#"sum(count_over_time({level="error"}[1d])) / sum(count_over_time({file=~".*web.log"}[1d]))"#
        ),
        ["{} 0.1"]
    );
    let stats = loki(&yagura, "index/stats", &[("query", r#"{file=~".+"}"#)]);
    assert_eq!(
        (&stats["entries"], &stats["streams"]),
        (&json!(80), &json!(2))
    );
    let patterns = loki(&yagura, "patterns", &[("query", r#"{file=~".*db.log"}"#)]);
    assert_eq!(patterns["data"][0]["pattern"], "slow query <_>");

    // What was asked wrongly is told as Loki tells it.
    let (status, text) = yagura.get(&format!(
        "/loki/api/v1/query_range?query={}",
        encode(r#"{file=~".+"} | jsn"#)
    ));
    assert_eq!(status, 400, "{text}");
    assert!(
        text.starts_with("parse error at line 1, col 16: "),
        "{text}"
    );

    // All of it once more from sealed blocks.
    yagura.signal("TERM");
    assert!(yagura.wait().success());
    let yagura = site.start();
    yagura.wait_for("the lines are there again", |y| {
        (lines(y, r#"{file=~".+"}"#).len() == 80).then_some(())
    });
    assert_eq!(
        lines(&yagura, r#"{file=~".*web.log"} |= "request 7\"""#).len(),
        1
    );
    assert_eq!(
        numbers(
            &yagura,
            r#"sum by (detected_level) (count_over_time({file=~".+"}[1d]))"#
        ),
        [
            r#"{"detected_level":"error"} 6"#,
            r#"{"detected_level":"info"} 54"#,
            r#"{"detected_level":"warn"} 20"#
        ]
    );
}
