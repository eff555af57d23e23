//! Prometheus' API over series in memory: what it answers to the letter, what it refuses and how,
//! and that nobody computes for a client that is gone.

#[allow(
    dead_code,
    unreachable_pub,
    reason = "shared with other tests, which use more of it"
)]
mod fixture;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use fixture::House;
use model::{
    Labels, Matcher, MetricKind, MetricMetadata, Samples, Selection, SeriesCursor, SeriesReader,
    StoreError,
};
use promql::memory::MemoryReader;
use serde_json::{Value, json};
use serve::Services;
use tower::ServiceExt;

/// When the last samples were taken, seconds.
const NOW: i64 = 1_763_900_000;

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A counter of two jobs, a sample a minute for ten minutes, and a gauge.
fn series() -> MemoryReader {
    let mut reader = MemoryReader::new();
    for (job, per_minute) in [("api", 60.0), ("db", 1.5)] {
        let labels = Labels::from_pairs([("__name__", "hits_total"), ("job", job)]);
        for minute in 0..=10 {
            let time_ms = (NOW - 600 + minute * 60) * 1000;
            reader.push(&labels, time_ms, minute as f64 * per_minute);
        }
    }
    let labels = Labels::from_pairs([("__name__", "free_bytes"), ("path", "/a \"b\"")]);
    reader.push(&labels, (NOW - 60) * 1000, 5.0);
    reader.push(&labels, NOW * 1000, f64::INFINITY);
    let metadata = MetricMetadata {
        kind: MetricKind::Counter,
        help: "Hits.".into(),
        ..MetricMetadata::default()
    };
    reader.describe("hits_total", metadata);
    reader
}

fn services(reader: impl SeriesReader + 'static) -> Services {
    Services {
        series: Arc::new(reader),
        ..fixture::services(House::Busy, NOW * 1000)
    }
}

async fn send(services: Services, request: Request<Body>) -> Response {
    let router = serve::router(Arc::new(services));
    router.oneshot(request).await.expect("routers do not fail")
}

fn get_request(path: &str) -> Request<Body> {
    Request::get(path)
        .header(header::HOST, "localhost:9849")
        .body(Body::empty())
        .expect("a request")
}

async fn text(response: Response) -> String {
    let bytes = to_bytes(response.into_body(), 64 << 20)
        .await
        .expect("a body");
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

async fn get_text(path: &str) -> (StatusCode, String) {
    let response = send(services(series()), get_request(path)).await;
    (response.status(), text(response).await)
}

async fn get(path: &str) -> Value {
    let (status, body) = get_text(path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["status"], "success");
    body["data"].clone()
}

#[tokio::test]
async fn instant_queries_answer_to_the_letter() {
    let check = async |query: &str, data: &str| {
        let (status, body) = get_text(&format!("/api/v1/query?time={NOW}.5&query={query}")).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!(body, format!(r#"{{"status":"success","data":{data}}}"#));
    };
    check(
        "1.5",
        r#"{"resultType":"scalar","result":[1763900000.500,"1.5"]}"#,
    )
    .await;
    check(
        "free_bytes",
        r#"{"resultType":"vector","result":[{"metric":{"__name__":"free_bytes","path":"/a \"b\""},"value":[1763900000.500,"+Inf"]}]}"#,
    )
    .await;
    check(
        "sum(rate(hits_total%5B5m%5D))",
        r#"{"resultType":"vector","result":[{"metric":{},"value":[1763900000.500,"1.025"]}]}"#,
    )
    .await;
    check(
        "hits_total%7Bjob=%22db%22%7D%5B2m%5D",
        r#"{"resultType":"matrix","result":[{"metric":{"__name__":"hits_total","job":"db"},"values":[[1763899940,"13.5"],[1763900000,"15"]]}]}"#,
    )
    .await;
    check("nothing", r#"{"resultType":"vector","result":[]}"#).await;
}

#[tokio::test]
async fn range_queries_take_forms_and_urls() {
    let parameters = format!(
        "query=hits_total%7Bjob%3D%22api%22%7D&start={}&end={NOW}&step=60s",
        NOW - 120
    );
    let expected = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"hits_total","job":"api"},"values":[[1763899880,"480"],[1763899940,"540"],[1763900000,"600"]]}]}}"#;
    let (_, by_url) = get_text(&format!("/api/v1/query_range?{parameters}")).await;
    assert_eq!(by_url, expected);
    let request = Request::post("/api/v1/query_range")
        .header(header::HOST, "localhost:9849")
        .header(
            header::CONTENT_TYPE,
            "application/x-www-form-urlencoded; charset=UTF-8",
        )
        .body(Body::from(parameters))
        .expect("a request");
    let by_form = text(send(services(series()), request).await).await;
    assert_eq!(by_form, expected);
}

#[tokio::test]
async fn notes_limits_and_stats_are_told() {
    let (_, body) = get_text(&format!(
        "/api/v1/query?time={NOW}&query=rate(free_bytes%5B5m%5D)&stats=all"
    ))
    .await;
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert!(
        body["infos"][0]
            .as_str()
            .is_some_and(|info| info.contains("might not be a counter"))
    );
    assert_eq!(body["data"]["stats"]["samples"]["totalQueryableSamples"], 2);
    let (_, body) = get_text(&format!(
        "/api/v1/query?time={NOW}&query=hits_total&limit=1"
    ))
    .await;
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["data"]["result"].as_array().map(Vec::len), Some(1));
    assert_eq!(body["warnings"], json!(["results truncated due to limit"]));
    let old = format!("/api/v1/query?time={}&query=free_bytes", NOW + 200);
    assert_eq!(get(&old).await["result"].as_array().map(Vec::len), Some(1));
    let young = get(&format!("{old}&lookback_delta=1m")).await;
    assert_eq!(young["result"], json!([]));
}

#[tokio::test]
async fn errors_have_a_type_a_status_and_a_place() {
    let check = async |path: &str, status: StatusCode, kind: &str, part: &str| {
        let (found, body) = get_text(path).await;
        let body: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(found, status, "{path}: {body}");
        assert_eq!(body["status"], "error");
        assert_eq!(body["errorType"], kind, "{path}: {body}");
        let message = body["error"].as_str().expect("a message");
        assert!(message.contains(part), "{path}: {message}");
        body
    };
    let bad = StatusCode::BAD_REQUEST;
    check("/api/v1/query", bad, "bad_data", "\"query\"").await;
    check("/api/v1/query?query=up&time=x", bad, "bad_data", "\"time\"").await;
    check(
        "/api/v1/query?query=up&timeout=x",
        bad,
        "bad_data",
        "\"timeout\"",
    )
    .await;
    let wrong = check(
        "/api/v1/query?query=sum(rte(x))",
        bad,
        "bad_data",
        "did you mean \"rate\"",
    )
    .await;
    assert_eq!(wrong["position"], 4);
    let range = "/api/v1/query_range?query=up";
    check(range, bad, "bad_data", "\"start\"").await;
    check(
        &format!("{range}&start=2&end=1&step=1"),
        bad,
        "bad_data",
        "before",
    )
    .await;
    check(
        &format!("{range}&start=1&end=2&step=0"),
        bad,
        "bad_data",
        "step",
    )
    .await;
    check(
        &format!("{range}&start=0&end=20000&step=1"),
        bad,
        "bad_data",
        "points_max",
    )
    .await;
    check("/api/v1/series", bad, "bad_data", "match[]").await;
    check("/api/v1/labels?match[]=a(", bad, "bad_data", "match[]").await;
    check("/api/v1/labels?start=2&end=1", bad, "bad_data", "before").await;
    check("/api/v1/rules?type=x", bad, "bad_data", "\"type\"").await;
    check("/api/v1/targets?state=x", bad, "bad_data", "\"state\"").await;
    let late = format!("/api/v1/query?query=hits_total&time={NOW}&timeout=0");
    check(
        &late,
        StatusCode::SERVICE_UNAVAILABLE,
        "timeout",
        "too long",
    )
    .await;
    check(
        &format!("/api/v1/query?time={NOW}&query=hits_total%2Bon()%20hits_total"),
        StatusCode::UNPROCESSABLE_ENTITY,
        "execution",
        "many-to-many matching not allowed",
    )
    .await;
}

#[tokio::test]
async fn labels_and_series_are_listed() {
    let check = async |path: &str, expected: Value| assert_eq!(get(path).await, expected, "{path}");
    check("/api/v1/labels", json!(["__name__", "job", "path"])).await;
    check(
        "/api/v1/labels?match[]=hits_total",
        json!(["__name__", "job"]),
    )
    .await;
    check("/api/v1/label/job/values", json!(["api", "db"])).await;
    check("/api/v1/label/job/values?limit=1", json!(["api"])).await;
    check("/api/v1/label/nothing/values", json!([])).await;
    check(
        "/api/v1/label/__name__/values?match[]=free_bytes&match[]=hits_total%7Bjob=%22db%22%7D",
        json!(["free_bytes", "hits_total"]),
    )
    .await;
    check(
        "/api/v1/series?match[]=hits_total",
        json!([
            { "__name__": "hits_total", "job": "api" },
            { "__name__": "hits_total", "job": "db" },
        ]),
    )
    .await;
    // Only the counter had samples then.
    let before = format!(
        "/api/v1/series?match[]=%7B__name__!=%22%22%7D&start={}&end={}",
        NOW - 500,
        NOW - 400
    );
    assert_eq!(get(&before).await.as_array().map(Vec::len), Some(2));
    let meaning = json!({ "hits_total": [{ "type": "counter", "help": "Hits.", "unit": "" }] });
    check("/api/v1/metadata", meaning.clone()).await;
    check("/api/v1/metadata?metric=hits_total", meaning).await;
    check("/api/v1/metadata?metric=other", json!({})).await;
}

#[tokio::test]
async fn rules_alerts_and_targets_have_prometheus_shape() {
    let rules = get("/api/v1/rules").await;
    let groups = rules["groups"].as_array().expect("groups");
    let rules: Vec<&Value> = groups
        .iter()
        .flat_map(|g| g["rules"].as_array().expect("rules"))
        .collect();
    let alerting: Vec<_> = rules
        .iter()
        .filter(|rule| rule["type"] == "alerting")
        .collect();
    assert!(!alerting.is_empty());
    for rule in &alerting {
        assert!(
            rule["duration"].is_number() && rule["alerts"].is_array(),
            "{rule}"
        );
        assert!(
            ["inactive", "pending", "firing"].contains(&rule["state"].as_str().expect("a state"))
        );
    }
    let only_recording = get("/api/v1/rules?type=record").await;
    assert!(!only_recording.to_string().contains("\"alerting\""));
    let names = |page: &Value| {
        let groups = page["groups"].as_array().expect("groups");
        let names = groups
            .iter()
            .map(|g| g["name"].as_str().expect("a name").to_owned());
        names.collect::<Vec<_>>()
    };
    let first = get("/api/v1/rules?group_limit=1").await;
    let token = first["groupNextToken"].as_str().expect("more groups");
    let second = get(&format!(
        "/api/v1/rules?group_limit=1&group_next_token={token}"
    ))
    .await;
    assert_ne!(names(&first), names(&second));
    let selected = get("/api/v1/rules?match[]=%7Bseverity%3D%22warning%22%7D").await;
    assert_ne!(names(&selected), Vec::<String>::new());
    let none = get("/api/v1/rules?match[]=%7Bseverity%3D%22page%22%7D").await;
    assert_eq!(names(&none), Vec::<String>::new());
    let alerts = get("/api/v1/alerts").await;
    let alerts = alerts["alerts"].as_array().expect("alerts");
    assert!(alerts.iter().any(|alert| alert["state"] == "firing"));
    for alert in alerts {
        assert!(
            alert["value"]
                .as_str()
                .is_some_and(|value| value.contains('e')),
            "{alert}"
        );
        assert!(
            alert["activeAt"]
                .as_str()
                .is_some_and(|time| time.ends_with('Z'))
        );
    }
    let targets = get("/api/v1/targets").await;
    let targets = targets["activeTargets"].as_array().expect("targets");
    assert!(targets.iter().any(|target| target["health"] == "down"));
    assert!(
        targets
            .iter()
            .all(|target| target["scrapeInterval"].is_string())
    );
    let dropped = get("/api/v1/targets?state=dropped").await;
    assert_eq!(dropped["activeTargets"], json!([]));
    let first = &dropped["droppedTargets"][0];
    assert_eq!(first["scrapePool"], "nas");
    assert_eq!(first["discoveredLabels"]["rack"], "cellar");
    assert_eq!(dropped["droppedTargetCounts"], json!({"nas": 7}));
    let active = get("/api/v1/targets?state=active&scrapePool=yagura").await;
    assert_eq!(active["droppedTargets"], json!([]));
    assert_eq!(active["activeTargets"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn grafana_finds_what_it_asks_for_first() {
    let version = get("/api/v1/status/buildinfo").await["version"].clone();
    assert!(
        version
            .as_str()
            .is_some_and(|version| version.starts_with("3."))
    );
    assert!(get("/api/v1/status/runtimeinfo").await["storageRetention"].is_string());
    assert!(get("/api/v1/status/config").await["yaml"].is_string());
    assert_eq!(
        get("/api/v1/status/flags").await["query.lookback-delta"],
        "5m"
    );
    assert_eq!(get("/api/v1/query_exemplars?query=up").await, json!([]));
}

/// Series without end, which notice how long they are read.
#[derive(Clone, Default)]
struct Endless {
    begun: Arc<AtomicBool>,
    read: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
}

impl SeriesCursor for Endless {
    fn next_series(&mut self, samples: &mut Samples) -> Result<Option<Labels>, StoreError> {
        self.begun.store(true, Ordering::SeqCst);
        let number = self.read.fetch_add(1, Ordering::SeqCst);
        samples.clear();
        samples.push(NOW * 1000, 1.0);
        Ok(Some(Labels::from_pairs([
            ("__name__", "m".to_owned()),
            ("n", number.to_string()),
        ])))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        if self.begun.load(Ordering::SeqCst) {
            self.ended.store(true, Ordering::SeqCst);
        }
    }
}

/// A store that answers every selection in one way.
struct Odd<F>(F);

impl<F> SeriesReader for Odd<F>
where
    F: Fn() -> Result<Vec<Box<dyn SeriesCursor>>, StoreError> + Send + Sync,
{
    fn select(&self, _: &Selection) -> Result<Vec<Box<dyn SeriesCursor>>, StoreError> {
        (self.0)()
    }
    fn series(
        &self,
        _: &[Matcher],
        _: i64,
        _: i64,
        _: usize,
    ) -> Result<(Vec<Labels>, bool), StoreError> {
        Ok((Vec::new(), true))
    }
    fn label_names(&self, _: &[Matcher], _: i64, _: i64) -> Result<Vec<String>, StoreError> {
        Err(StoreError::Damaged("page 7".to_owned()))
    }
    fn label_values(
        &self,
        _: &str,
        _: &[Matcher],
        _: i64,
        _: i64,
    ) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }
    fn metadata(&self) -> BTreeMap<String, MetricMetadata> {
        BTreeMap::new()
    }
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_query() {
    let endless = Endless::default();
    let reader = {
        let endless = endless.clone();
        Odd(move || Ok(vec![Box::new(endless.clone()) as Box<dyn SeriesCursor>]))
    };
    let path = format!("/api/v1/query?query=count(m)&time={NOW}");
    let asking = tokio::spawn(send(services(reader), get_request(&path)));
    let deadline = Instant::now() + PATIENCE;
    while !endless.begun.load(Ordering::SeqCst) {
        assert!(Instant::now() < deadline, "the query never began");
        tokio::task::yield_now().await;
    }
    asking.abort();
    while !endless.ended.load(Ordering::SeqCst) {
        assert!(Instant::now() < deadline, "the query goes on for nobody");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_panic_in_a_query_is_an_answer_and_is_counted() {
    let services = Arc::new(services(Odd(|| panic!("a broken promise"))));
    let router = serve::router(services.clone());
    let path = format!("/api/v1/query?query=m&time={NOW}");
    let response = router
        .clone()
        .oneshot(get_request(&path))
        .await
        .expect("an answer");
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body: Value = serde_json::from_str(&text(response).await).expect("JSON");
    assert_eq!(body["errorType"], "internal");
    let metrics = text(
        router
            .oneshot(get_request("/metrics"))
            .await
            .expect("an answer"),
    )
    .await;
    assert!(
        metrics.contains("yagura_serve_handler_panics_total 1"),
        "{metrics}"
    );
    let counted = "yagura_serve_queries_total{kind=\"instant\",outcome=\"internal\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test]
async fn a_failing_store_is_an_internal_error_and_cut_lists_say_so() {
    let damaged = || services(Odd(|| Err(StoreError::Damaged("page 7".to_owned()))));
    for path in [
        "/api/v1/labels".to_owned(),
        format!("/api/v1/query?query=m&time={NOW}"),
    ] {
        let response = send(damaged(), get_request(&path)).await;
        assert_eq!(
            response.status(),
            StatusCode::INTERNAL_SERVER_ERROR,
            "{path}"
        );
        assert!(text(response).await.contains("page 7"));
    }
    let response = send(damaged(), get_request("/api/v1/series?match[]=m")).await;
    assert!(
        text(response)
            .await
            .contains("results truncated due to limit")
    );
}
