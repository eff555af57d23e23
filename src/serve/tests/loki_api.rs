//! Loki's API over the fixture's lines, asked as Grafana and logcli ask.

#[allow(
    dead_code,
    unreachable_pub,
    reason = "shared with other tests, which use more of it"
)]
mod fixture;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use fixture::House;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite;
use tower::ServiceExt;

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// The present of the fixture, on a full minute so that steps are known.
const NOW_S: i64 = 1_763_900_040;

/// Asks and gives status and text.
async fn ask(request: Request<Body>) -> (StatusCode, String) {
    let services = fixture::services(House::Busy, NOW_S * 1000);
    let router = serve::router(Arc::new(services));
    let response = router.oneshot(request).await.expect("routers do not fail");
    let status = response.status();
    let bytes = to_bytes(response.into_body(), 64 << 20)
        .await
        .expect("a body");
    (status, String::from_utf8(bytes.to_vec()).expect("UTF-8"))
}

fn request(path: &str) -> axum::http::request::Builder {
    Request::get(path).header(header::HOST, "localhost:9849")
}

/// The path of a call with its parameters.
fn path(call: &str, params: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(params);
    format!("/loki/api/v1/{call}?{}", query.finish())
}

/// The last two hours, as logcli and Grafana say them.
fn with_span<'a>(params: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut all = params.to_vec();
    all.extend([
        ("start", "1763892840000000000"),
        ("end", "1763900040000000000"),
    ]);
    all
}

async fn get(call: &str, params: &[(&str, &str)]) -> Value {
    let path = path(call, &with_span(params));
    let (status, text) = ask(request(&path).body(Body::empty()).expect("a request")).await;
    assert_eq!(status, StatusCode::OK, "{path}: {text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
}

async fn refused(call: &str, params: &[(&str, &str)]) -> String {
    let path = path(call, params);
    let (status, text) = ask(request(&path).body(Body::empty()).expect("a request")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {text}");
    text
}

fn list<'a>(value: &'a Value, place: &str) -> &'a Vec<Value> {
    value
        .pointer(place)
        .and_then(Value::as_array)
        .unwrap_or_else(|| panic!("{place} in {value}"))
}

#[tokio::test]
async fn grafana_tests_its_data_source() {
    let answer = get(
        "query",
        &[("query", "vector(1)+vector(1)"), ("time", "4000000000")],
    )
    .await;
    assert_eq!(
        answer["data"]["result"],
        json!([{"metric": {}, "value": [4_000_000_000_i64, "2"]}])
    );
    assert_eq!(answer["data"]["resultType"], "vector");
    let answer = get("status/buildinfo", &[]).await;
    assert!(
        answer["version"]
            .as_str()
            .expect("a version")
            .starts_with("3.")
    );
    let ready = ask(request("/ready").body(Body::empty()).expect("a request")).await;
    assert_eq!(ready, (StatusCode::OK, "ready\n".to_owned()));
}

#[tokio::test]
async fn lines_come_by_stream_newest_first() {
    // As logcli asks: direction in capitals, times in nanoseconds.
    let params = [
        ("query", r#"{namespace="shop"} |= "reset by""#),
        ("direction", "BACKWARD"),
        ("limit", "20"),
    ];
    let answer = get("query_range", &params).await;
    assert_eq!(answer["status"], "success");
    assert_eq!(answer["data"]["resultType"], "streams");
    let streams = list(&answer, "/data/result");
    let mut n = 0;
    for stream in streams {
        assert_eq!(stream["stream"]["namespace"], "shop");
        assert_eq!(stream["stream"]["detected_level"], "error");
        let mut before = i64::MAX;
        for value in list(stream, "/values") {
            let time: i64 = value[0]
                .as_str()
                .expect("a string")
                .parse()
                .expect("nanoseconds");
            assert!(time <= before, "newest first");
            before = time;
            assert!(value[1].as_str().expect("a line").contains("reset by"));
            assert_eq!(value.as_array().map(Vec::len), Some(2));
            n += 1;
        }
    }
    assert_eq!(n, 20);
    assert!(answer["data"]["stats"]["summary"]["execTime"].is_number());
}

#[tokio::test]
async fn labels_are_told_apart_by_origin_on_request() {
    // As Grafana asks: a form, backticks, the flag, a step that log queries do not need.
    let query = r#"{container="search"} | json | status = 200"#;
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(with_span(&[
        ("query", query),
        ("limit", "2"),
        ("step", "14s"),
        ("direction", "forward"),
    ]));
    let request = Request::post("/loki/api/v1/query_range")
        .header(header::HOST, "localhost:9849")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header("X-Loki-Response-Encoding-Flags", "categorize-labels")
        .body(Body::from(form.finish()))
        .expect("a request");
    let (status, text) = ask(request).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        answer["data"]["encodingFlags"],
        json!(["categorize-labels"])
    );
    let streams = list(&answer, "/data/result");
    assert_eq!(streams.len(), 1, "one stream, whatever was parsed");
    assert_eq!(
        streams[0]["stream"],
        json!({"namespace": "shop", "container": "search", "pod": "search-7d9c5b8f6c-x2k2z", "node": "pi5-02"})
    );
    let values = list(&streams[0], "/values");
    assert_eq!(values.len(), 2);
    let apart = &values[0][2];
    assert!(
        apart["structuredMetadata"]["detected_level"].is_string(),
        "{apart}"
    );
    assert_eq!(apart["parsed"]["status"], "200");
    assert!(
        apart["parsed"]["user_id"].is_string(),
        "nested names are joined: {apart}"
    );
    // A line without anything parsed has a third element too.
    let plain = path(
        "query_range",
        &with_span(&[("query", r#"{namespace="media"} | drop detected_level"#)]),
    );
    let asked = categorized(&plain);
    let answer: Value = serde_json::from_str(&ask(asked).await.1).expect("JSON");
    assert_eq!(answer["data"]["result"][0]["values"][0][2], json!({}));
}

fn categorized(path: &str) -> Request<Body> {
    request(path)
        .header("X-Loki-Response-Encoding-Flags", "categorize-labels")
        .body(Body::empty())
        .expect("a request")
}

#[tokio::test]
async fn numbers_come_on_multiples_of_the_step() {
    let params = [
        // Grafana's own query for the bars above the lines.
        (
            "query",
            r#"sum by (level, detected_level) (count_over_time({namespace="shop"} | drop __error__ [1m]))"#,
        ),
        ("step", "1m0s"),
        ("start", "1763896417"),
        ("end", "1763900000.5"),
    ];
    let path = path("query_range", &params);
    let (status, text) = ask(request(&path).body(Body::empty()).expect("a request")).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(answer["data"]["resultType"], "matrix");
    let series = list(&answer, "/data/result");
    let levels: Vec<&str> = series
        .iter()
        .map(|s| s["metric"]["detected_level"].as_str().expect("a level"))
        .collect();
    assert_eq!(levels, ["debug", "error", "info", "warn"]);
    let values = list(&series[2], "/values");
    let times: Vec<i64> = values
        .iter()
        .map(|v| v[0].as_i64().expect("seconds"))
        .collect();
    assert_eq!(times.first(), Some(&1_763_896_380), "rounded down");
    assert_eq!(times.last(), Some(&NOW_S), "rounded up");
    assert!(
        times
            .windows(2)
            .all(|w| w[1] > w[0] && (w[1] - w[0]) % 60 == 0),
        "{times:?}"
    );
    // A minute within the burst; at the same time there was no line of level info.
    let errors = list(&series[1], "/values");
    assert!(errors.contains(&json!([1_763_898_960, "14"])), "{errors:?}");
    assert!(!times.contains(&1_763_898_960));
    assert!(
        values
            .iter()
            .all(|v| v[1].as_str().is_some_and(|n| n.parse::<f64>().is_ok()))
    );
    // All together are all lines.
    let all = get(
        "query",
        &[
            ("query", r#"sum(count_over_time({namespace=~".+"}[3h]))"#),
            ("time", "1763900040"),
        ],
    )
    .await;
    let stats = get("index/stats", &[("query", r#"{namespace=~".+"}"#)]).await;
    let counted: u64 = all["data"]["result"][0]["value"][1]
        .as_str()
        .expect("a number")
        .parse()
        .expect("a number");
    assert_eq!(stats["entries"], counted);
    assert_eq!(stats["streams"], 5);
    assert!(stats["bytes"].as_u64().is_some_and(|bytes| bytes > counted));
}

#[tokio::test]
async fn labels_and_series_are_listed() {
    let names = get("labels", &[]).await;
    assert_eq!(
        names["data"],
        json!(["container", "level", "namespace", "node", "pod"])
    );
    let shop = get(
        "label/container/values",
        &[("query", r#"{namespace="shop"}"#)],
    )
    .await;
    assert_eq!(shop["data"], json!(["checkout", "search"]));
    let levels = get("label/level/values", &[("query", r#"{namespace="media"}"#)]).await;
    assert!(list(&levels, "/data").contains(&json!("warn")), "{levels}");
    let nothing = get("label/nothing/values", &[]).await;
    assert_eq!(nothing["data"], json!([]));
    let series = get(
        "series",
        &[("match[]", r#"{container="checkout", level="error"}"#)],
    )
    .await;
    assert_eq!(
        series["data"],
        json!([{"namespace": "shop", "container": "checkout", "pod": "checkout-7d9c5b8f6c-x2k2z", "node": "pi5-02"}])
    );
    assert_eq!(list(&get("series", &[]).await, "/data").len(), 5);
    let detected = get("detected_labels", &[("query", r#"{namespace="shop"}"#)]).await;
    assert!(
        list(&detected, "/detectedLabels")
            .contains(&json!({"label": "container", "cardinality": 2}))
    );
    let fields = get("detected_fields", &[("query", r#"{container="search"}"#)]).await;
    let status = list(&fields, "/fields")
        .iter()
        .find(|f| f["label"] == "status");
    assert_eq!(
        status,
        Some(
            &json!({"label": "status", "type": "int", "cardinality": 1, "parsers": ["json"], "jsonPath": ["status"]})
        )
    );
    let values = get(
        "detected_field/status/values",
        &[("query", r#"{container="search"}"#)],
    )
    .await;
    assert_eq!(values["values"], json!(["200"]));
}

#[tokio::test]
async fn volumes_and_patterns_are_counted() {
    let volume = get(
        "index/volume",
        &[("query", r#"{namespace=~".+"}"#), ("limit", "2")],
    )
    .await;
    let series = list(&volume, "/data/result");
    assert_eq!(series.len(), 2);
    let bytes = |s: &Value| {
        s["value"][1]
            .as_str()
            .expect("bytes")
            .parse::<u64>()
            .expect("bytes")
    };
    assert!(bytes(&series[0]) >= bytes(&series[1]), "the largest first");
    assert!(series[0]["metric"]["namespace"].is_string());
    let names = get(
        "index/volume",
        &[
            ("query", r#"{namespace="shop"}"#),
            ("aggregateBy", "labels"),
        ],
    )
    .await;
    assert_eq!(
        names["data"]["result"][0]["metric"],
        json!({"namespace": ""})
    );
    let over_time = get(
        "index/volume_range",
        &[
            ("query", r#"{namespace="shop"}"#),
            ("targetLabels", "container"),
            ("step", "600"),
        ],
    )
    .await;
    let series = list(&over_time, "/data/result");
    assert_eq!(series.len(), 2);
    assert!(list(&series[0], "/values").len() >= 12);
    let patterns = get(
        "patterns",
        &[("query", r#"{namespace="media"} |= "GET""#), ("step", "1h")],
    )
    .await;
    let first = &list(&patterns, "/data")[0];
    let pattern = first["pattern"].as_str().expect("a pattern");
    assert!(
        pattern.starts_with("GET /api/items/") && pattern.contains("<_>"),
        "{first}"
    );
    assert!(!list(first, "/samples").is_empty());
}

#[tokio::test]
async fn queries_are_formatted() {
    let shown = get(
        "format_query",
        &[("query", r#"sum(rate({ app ="x" }|="y"[5m]))by(pod)"#)],
    )
    .await;
    assert_eq!(
        shown["data"],
        r#"sum by (pod) (rate({app="x"} |= "y" [5m]))"#
    );
}

#[tokio::test]
async fn refusals_are_plain_text_with_the_place() {
    let text = refused("query_range", &[("query", r#"{app="x"} | jsno"#)]).await;
    assert!(
        text.starts_with("parse error at line 1, col 13: "),
        "{text}"
    );
    assert!(
        text.contains(r#"(did you mean: {app="x"} | json)"#),
        "{text}"
    );
    let check = async |call: &str, params: &[(&str, &str)], part: &str| {
        let text = refused(call, params).await;
        assert!(text.contains(part), "{text}");
    };
    let lines = ("query", r#"{namespace="shop"}"#);
    check(
        "query",
        &[lines],
        "log queries are not supported as an instant query",
    )
    .await;
    check("query_range", &[lines, ("limit", "5001")], "5001 > 5000").await;
    check(
        "query_range",
        &[lines, ("direction", "up")],
        "invalid direction",
    )
    .await;
    check("query_range", &[lines, ("start", "x")], "valid timestamp").await;
    check(
        "query_range",
        &[lines, ("start", "9"), ("end", "8")],
        "end timestamp must not",
    )
    .await;
    check(
        "query_range",
        &[lines, ("interval", "5s")],
        "interval is not supported",
    )
    .await;
    let numbers = ("query", r#"rate({namespace="shop"}[1m])"#);
    check("query_range", &[numbers, ("step", "0")], "zero or negative").await;
    check(
        "query_range",
        &[numbers, ("start", "1"), ("step", "1")],
        "11000 points",
    )
    .await;
    check(
        "query",
        &[
            (
                "query",
                r#"count_over_time({namespace="media"} | json [3h])"#,
            ),
            ("time", "1763900040"),
        ],
        "JSONParserErr",
    )
    .await;
    check("tail", &[lines], "WebSocket").await;
    check(
        "patterns",
        &[("query", r#"{a="b"} | json"#)],
        "no other stages",
    )
    .await;
    check("series", &[("match[]", "{")], "parse error").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tail_begins_with_earlier_lines_and_goes_on() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let services = fixture::services(House::Busy, model::time::now_ms());
    tokio::spawn(async move { axum::serve(listener, serve::router(Arc::new(services))).await });
    let params = [
        ("query", r#"{namespace=~".+"} | drop node"#),
        ("limit", "10"),
        ("delay_for", "0"),
    ];
    let url = format!("ws://{address}{}", path("tail", &params));
    let (mut socket, _) = tokio_tungstenite::connect_async(url)
        .await
        .expect("a socket");
    let mut sizes = Vec::new();
    while sizes.len() < 2 {
        let message = tokio::time::timeout(PATIENCE, socket.next()).await;
        let message = message.expect("a message in time").expect("open");
        let tungstenite::Message::Text(text) = message.expect("sound") else {
            continue;
        };
        let message: Value = serde_json::from_str(&text).expect("JSON");
        let mut n = 0;
        for stream in list(&message, "/streams") {
            assert!(stream["stream"]["namespace"].is_string());
            assert!(stream["stream"]["node"].is_null(), "a stage took it away");
            n += list(stream, "/values").len();
        }
        sizes.push(n);
    }
    assert_eq!(sizes[0], 10, "the newest earlier ones");
    assert!(sizes[1] > 0, "and new ones");
}
