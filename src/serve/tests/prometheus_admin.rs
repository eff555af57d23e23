//! The parts of Prometheus' API that other programs and operators use: federation, exemplars,
//! metadata of targets, figures of the store, deleting, large answers.

#[allow(
    dead_code,
    unreachable_pub,
    reason = "shared with other tests, which use more of it"
)]
mod fixture;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use fixture::House;
use model::{
    Exemplar, Labels, Matcher, MetricMetadata, Selection, SeriesCursor, SeriesReader, StoreError,
};
use promql::memory::MemoryReader;
use serde_json::{Value, json};
use serve::Services;
use tower::ServiceExt;

/// One series with exemplars, and many without.
struct Reader(MemoryReader);

impl SeriesReader for Reader {
    fn select(&self, selection: &Selection) -> Result<Vec<Box<dyn SeriesCursor>>, StoreError> {
        self.0.select(selection)
    }
    fn series(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        limit: usize,
    ) -> Result<(Vec<Labels>, bool), StoreError> {
        self.0.series(matchers, start_ms, end_ms, limit)
    }
    fn label_names(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<String>, StoreError> {
        self.0.label_names(matchers, start_ms, end_ms)
    }
    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<String>, StoreError> {
        self.0.label_values(name, matchers, start_ms, end_ms)
    }
    fn metadata(&self) -> BTreeMap<String, MetricMetadata> {
        self.0.metadata()
    }
    fn exemplars(
        &self,
        selectors: &[Vec<Matcher>],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, StoreError> {
        let labels = Labels::from_pairs([("__name__", "hits_total"), ("job", "api")]);
        let wanted = selectors
            .iter()
            .flatten()
            .all(|m| m.matches_labels(&labels));
        let exemplar = Exemplar {
            labels: Labels::from_pairs([("trace_id", "ab<c>")]),
            value: 0.25,
            timestamp_ms: 1_763_900_000_123,
        };
        let in_time = (start_ms..=end_ms).contains(&exemplar.timestamp_ms);
        Ok(if wanted && in_time {
            vec![(labels, vec![exemplar])]
        } else {
            Vec::new()
        })
    }
}

const SERIES: usize = 3_000;

fn services(now_ms: i64) -> Services {
    let mut reader = MemoryReader::new();
    for i in 0..SERIES {
        let labels = [
            ("__name__", "hits_total".to_owned()),
            ("job", format!("job-{i:05}")),
        ];
        let labels = Labels::from_pairs(labels.iter().map(|(n, v)| (*n, v.as_str())));
        for step in 0..5 {
            reader.push(&labels, now_ms - 60_000 * (4 - step), step as f64 + 0.5);
        }
    }
    Services {
        series: Arc::new(Reader(reader)),
        ..fixture::services(House::Busy, now_ms)
    }
}

async fn ask(services: Services, method: Method, path: &str) -> (StatusCode, String) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost:9849")
        .body(Body::empty())
        .expect("a request");
    let router = serve::router(Arc::new(services));
    let response = router.oneshot(request).await.expect("an answer");
    let status = response.status();
    let bytes = to_bytes(response.into_body(), 64 << 20).await;
    let bytes = bytes.expect("a whole body");
    (status, String::from_utf8(bytes.to_vec()).expect("UTF-8"))
}

async fn data(path: &str) -> Value {
    let now_ms = model::time::now_ms();
    let (status, body) = ask(services(now_ms), Method::GET, path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    body["data"].clone()
}

#[tokio::test]
async fn a_large_answer_comes_whole_piece_by_piece() {
    let now_ms = model::time::now_ms();
    let (start, end) = (now_ms / 1000 - 240, now_ms / 1000);
    let path = format!("/api/v1/query_range?query=hits_total&start={start}&end={end}&step=30");
    let found = data(&path).await;
    let series = found["result"].as_array().expect("a list");
    assert_eq!(series.len(), SERIES);
    assert_eq!(series[17]["metric"]["job"], "job-00017");
    assert!(
        series
            .iter()
            .all(|one| !one["values"].as_array().expect("values").is_empty())
    );
}

#[tokio::test]
async fn federation_tells_the_newest_samples_of_what_is_selected() {
    let now_ms = model::time::now_ms();
    let path = "/federate?match[]=hits_total%7Bjob%3D~%22job-0000%5B12%5D%22%7D&match[]=%7Bjob%3D%22job-00001%22%7D";
    let (status, body) = ask(services(now_ms), Method::GET, path).await;
    assert_eq!(status, StatusCode::OK);
    let expected = format!(
        "# TYPE hits_total untyped\n\
         hits_total{{job=\"job-00001\",instance=\"\"}} 4.5 {now_ms}\n\
         hits_total{{job=\"job-00002\",instance=\"\"}} 4.5 {now_ms}\n"
    );
    assert_eq!(body, expected);
    let (_, nothing) = ask(services(now_ms), Method::GET, "/federate").await;
    assert_eq!(nothing, "");
    let (status, error) = ask(services(now_ms), Method::GET, "/federate?match[]=%7B").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{error}");
}

#[tokio::test]
async fn exemplars_of_what_an_expression_reads() {
    let query = "rate(hits_total%7Bjob%3D%22api%22%7D%5B5m%5D)";
    let found = data(&format!("/api/v1/query_exemplars?query={query}")).await;
    let expected = json!([{
        "seriesLabels": { "__name__": "hits_total", "job": "api" },
        "exemplars": [{
            "labels": { "trace_id": "ab<c>" },
            "value": "0.25",
            "timestamp": 1_763_900_000.123,
        }],
    }]);
    assert_eq!(found, expected);
    let later = format!("/api/v1/query_exemplars?query={query}&start=1763900001");
    assert_eq!(data(&later).await, json!([]));
}

#[tokio::test]
async fn targets_pools_and_what_their_metrics_mean() {
    let pools = data("/api/v1/scrape_pools").await;
    let pools = pools["scrapePools"].as_array().expect("a list");
    assert!(pools.contains(&json!("node-exporter")), "{pools:?}");
    let now_ms = model::time::now_ms();
    let house = || fixture::services(House::Busy, now_ms);
    let path =
        "/api/v1/targets/metadata?match_target=%7Bjob%3D%22node-exporter%22%7D&metric=node_load1";
    let (status, body) = ask(house(), Method::GET, path).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let found: Value = serde_json::from_str(&body).expect("JSON");
    let first = &found["data"][0];
    assert_eq!(first["type"], "gauge");
    assert_eq!(first["target"]["job"], "node-exporter");
    assert!(first.get("metric").is_none(), "the request names it");
    let path = "/api/v1/targets/metadata?metric=no_such_metric";
    let (status, body) = ask(house(), Method::GET, path).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{body}");
}

#[tokio::test]
async fn the_figures_of_the_store_have_prometheus_shape() {
    let found = data("/api/v1/status/tsdb?limit=1").await;
    assert_eq!(found["headStats"]["numSeries"], 48_210);
    let expected = json!([{ "name": "http_request_duration_seconds_bucket", "value": 31_400 }]);
    assert_eq!(found["seriesCountByMetricName"], expected);
    for list in [
        "labelValueCountByLabelName",
        "memoryInBytesByLabelName",
        "seriesCountByLabelValuePair",
    ] {
        assert_eq!(found[list].as_array().map(Vec::len), Some(1), "{list}");
    }
}

#[tokio::test]
async fn deleting_must_be_allowed_and_say_what() {
    let now_ms = model::time::now_ms();
    let delete = "/api/v1/admin/tsdb/delete_series";
    let (status, _) = ask(
        services(now_ms),
        Method::POST,
        &format!("{delete}?match[]=up"),
    )
    .await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, body) = ask(services(now_ms), Method::POST, delete).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    for path in [
        &format!("{delete}?match[]=up"),
        "/api/v1/admin/tsdb/clean_tombstones",
    ] {
        let locked = Services {
            admin_api: false,
            ..services(now_ms)
        };
        let (status, body) = ask(locked, Method::POST, path).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(body.contains("admin_api: true"), "{body}");
    }
    let (status, body) = ask(
        services(now_ms),
        Method::POST,
        "/api/v1/admin/tsdb/snapshot",
    )
    .await;
    assert_eq!(
        (status, body.contains("20251123T121320Z-1")),
        (StatusCode::OK, true)
    );
}

#[tokio::test]
async fn copies_take_their_time_and_go_one_at_a_time() {
    let (begun, wait_for_begin) = std::sync::mpsc::channel();
    let (end, wait_for_end) = std::sync::mpsc::channel();
    let wait_for_end = std::sync::Mutex::new(wait_for_end);
    let house = Arc::new(Services {
        // Longer than any question may take.
        query_timeout: std::time::Duration::ZERO,
        snapshot: Arc::new(move || {
            begun.send(()).expect("is waited for");
            let wait = wait_for_end.lock().expect("nobody panics");
            wait.recv().map_err(|error| error.to_string())?;
            Ok("whole".to_owned())
        }),
        ..services(model::time::now_ms())
    });
    let post = |path: &str| {
        let request = Request::post(path).header(header::HOST, "localhost:9849");
        let request = request.body(Body::empty()).expect("a request");
        serve::router(house.clone()).oneshot(request)
    };
    let snapshot = "/api/v1/admin/tsdb/snapshot";
    let first = tokio::spawn(post(snapshot));
    tokio::task::spawn_blocking(move || wait_for_begin.recv())
        .await
        .expect("runs")
        .expect("begins");
    for path in [snapshot, "/api/v1/admin/tsdb/clean_tombstones"] {
        let second = post(path).await.expect("an answer");
        assert_eq!(second.status(), StatusCode::CONFLICT, "{path}");
        let body = to_bytes(second.into_body(), 1 << 20).await.expect("whole");
        let body = String::from_utf8_lossy(&body);
        assert!(body.contains("is under way"), "{body}");
    }
    end.send(()).expect("is waited for");
    let first = first.await.expect("runs").expect("an answer");
    assert_eq!(first.status(), StatusCode::OK);
    let again = post("/api/v1/admin/tsdb/clean_tombstones").await;
    assert_eq!(again.expect("an answer").status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn expressions_are_formatted_and_taken_apart() {
    let formatted = data("/api/v1/format_query?query=sum(rate(hits_total%5B5m%5D))by(job)").await;
    assert_eq!(formatted, "sum by (job) (rate(hits_total[5m]))");
    let tree = data("/api/v1/parse_query?query=sum(hits_total)").await;
    assert_eq!(
        (&tree["type"], &tree["op"]),
        (&json!("aggregation"), &json!("sum"))
    );
    let now_ms = model::time::now_ms();
    let path = "/api/v1/parse_query?query=sum(hits_total";
    let (status, body) = ask(services(now_ms), Method::GET, path).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains("\"position\":"), "{body}");
}
