//! The log API over the fixture's lines: what it answers, what it refuses, and that nobody
//! searches for a client that is gone.

#[allow(
    dead_code,
    unreachable_pub,
    reason = "shared with other tests, which use more of it"
)]
mod fixture;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use fixture::{House, MemoryLogs};
use futures_util::StreamExt;
use log_query::{
    Bucket, Facet, LineView, LogReader, LogStoreStats, Query, Record, RecordHandler, Search,
    SearchSummary, Stop, Subscription,
};
use model::{Labels, Level, StoreError};
use parking_lot::Mutex;
use serde_json::Value;
use serve::Services;
use tokio_tungstenite::tungstenite;
use tower::ServiceExt;

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

fn services() -> Services {
    fixture::services(House::Busy, model::time::now_ms())
}

async fn get_from(services: Services, path: &str) -> Response {
    let request = Request::get(path)
        .header(header::HOST, "localhost:9849")
        .body(Body::empty())
        .expect("a request");
    let router = serve::router(Arc::new(services));
    router.oneshot(request).await.expect("routers do not fail")
}

async fn get(path: &str) -> Response {
    get_from(services(), path).await
}

async fn text(response: Response) -> String {
    let bytes = to_bytes(response.into_body(), 64 << 20)
        .await
        .expect("a body");
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

async fn json(response: Response) -> Value {
    serde_json::from_str(&text(response).await).expect("JSON")
}

async fn lines(path: &str) -> Vec<Value> {
    let response = get(path).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    let text = text(response).await;
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[tokio::test]
async fn answers_newest_first_with_all_parts() {
    let found = lines("/api/v1/logs/query?q=level:error+ns:shop&limit=40").await;
    assert_eq!(found.len(), 40);
    let times: Vec<_> = found
        .iter()
        .map(|r| r["time"].as_str().expect("a time"))
        .collect();
    assert!(times.windows(2).all(|w| w[0] >= w[1]), "newest first");
    for record in &found {
        assert_eq!(record["level"], "error");
        assert_eq!(record["labels"]["namespace"], "shop");
        assert!(record["id"].is_string() && record["fields"].is_object());
    }
    let forward = lines("/api/v1/logs/query?q=level:error&limit=40&direction=forward").await;
    assert!(forward[0]["time"].as_str() < forward[39]["time"].as_str());
}

#[tokio::test]
async fn the_limit_is_told() {
    let response = get("/api/v1/logs/query").await;
    assert_eq!(response.headers()["x-yagura-limit"], "1000");
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "application/x-ndjson; charset=utf-8"
    );
    assert_eq!(text(response).await.lines().count(), 1000);
    let many = lines("/api/v1/logs/query?limit=5000&from=now-3h").await;
    assert_eq!(many.len(), 5000, "an answer of several pieces is whole");
    let response = get("/api/v1/logs/query?limit=1000000").await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let error = json(response).await;
    assert!(
        error["error"]
            .as_str()
            .is_some_and(|e| e.contains("from 1 to 100000")),
        "{error}"
    );
}

#[tokio::test]
async fn browsers_get_it_compressed_and_whole() {
    let request = Request::get("/api/v1/logs/query?limit=300")
        .header(header::HOST, "localhost:9849")
        .header(header::ACCEPT_ENCODING, "gzip")
        .body(Body::empty())
        .expect("a request");
    let router = serve::router(Arc::new(services()));
    let response = router.oneshot(request).await.expect("an answer");
    assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip");
    let bytes = to_bytes(response.into_body(), 1 << 20).await;
    let bytes = bytes.expect("the end comes without an error");
    // The trailer of gzip tells the length of what was compressed: nothing is missing.
    let trailer: [u8; 4] = bytes[bytes.len() - 4..].try_into().expect("four bytes");
    let length = u32::from_le_bytes(trailer) as usize;
    assert!((30_000..200_000).contains(&length), "{length}");
}

#[tokio::test]
async fn a_bad_query_points_at_its_character() {
    let response = get("/api/v1/logs/query?q=%C3%A9rror+%22open").await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let error = json(response).await;
    assert_eq!(error["status"], "error");
    assert_eq!(error["errorType"], "bad_data");
    assert_eq!(error["position"], 6);
    assert!(
        error["error"]
            .as_str()
            .is_some_and(|e| e.contains("at character 7")),
        "{error}"
    );
    assert_eq!(error["suggestion"], "érror \"open\"");
}

#[tokio::test]
async fn counts_over_time_and_by_value() {
    let answer = json(get("/api/v1/logs/histogram?q=level:error").await).await;
    let data = &answer["data"];
    assert_eq!(
        (&answer["status"], &data["stepMs"]),
        (&"success".into(), &60_000.into())
    );
    assert_eq!(data["levels"][5], "error");
    let buckets = data["buckets"].as_array().expect("buckets");
    assert!((60..=61).contains(&buckets.len()), "{}", buckets.len());
    let errors: u64 = buckets.iter().filter_map(|b| b[1][5].as_u64()).sum();
    assert!(errors > 30, "{errors}");

    let answer = json(get("/api/v1/logs/facets?q=level:error&values=2").await).await;
    let facets = answer["data"]["facets"].as_array().expect("facets");
    let container = facets
        .iter()
        .find(|f| f["name"] == "container")
        .expect("a facet");
    assert_eq!(container["values"].as_array().map(Vec::len), Some(2));

    for path in [
        "histogram?step=1ms",
        "histogram?step=0",
        "histogram?step=x",
        "facets?values=0",
    ] {
        let response = get(&format!("/api/v1/logs/{path}")).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path}");
    }
}

#[tokio::test]
async fn pipes_answer_tables_and_lines() {
    let path = "/api/v1/logs/query?q=%7C+stats+count()+as+n+by+(namespace)+%7C+sort+by+(n)";
    let answer = json(get(path).await).await;
    let data = &answer["data"];
    assert_eq!(data["columns"], serde_json::json!(["namespace", "n"]));
    assert_eq!(data["types"], serde_json::json!(["text", "count"]));
    assert_eq!(data["rows"].as_array().map(Vec::len), Some(4));
    let rows = lines(&format!("{path}&format=ndjson")).await;
    assert_eq!(rows[0]["columns"][1]["type"], "count");
    assert_eq!(rows[1]["n"], data["rows"][0][1]);
    let csv = text(get(&format!("{path}&format=csv")).await).await;
    assert!(csv.starts_with("namespace,n\n"), "{csv}");

    let found = lines(
        "/api/v1/logs/query?q=query+%7C+parse+%22slow+query+%3Cn%3E+ms%22+%7C+where+n+%3E+500\
         +%7C+fields+n,pod&limit=5",
    )
    .await;
    assert_eq!(found.len(), 5);
    for line in &found {
        let n = line["fields"]["n"].as_str().expect("parsed");
        assert!(n.parse::<u32>().is_ok_and(|n| n > 500), "{line}");
        assert_eq!(line.get("message"), None, "not among the fields");
        assert_eq!(
            line["labels"].as_object().map(serde_json::Map::len),
            Some(1)
        );
    }

    let error = json(get("/api/v1/logs/query?q=error+%7C+stat+count()").await).await;
    assert_eq!(error["position"], 8);
    assert_eq!(error["suggestion"], "error | stats count()");
}

#[tokio::test]
async fn pages_follow_one_another_in_both_directions() {
    let router = serve::router(Arc::new(services()));
    let get = async |path: String| {
        let request = Request::get(path)
            .header(header::HOST, "localhost:9849")
            .body(Body::empty())
            .expect("a request");
        let response = router.clone().oneshot(request).await.expect("an answer");
        let text = text(response).await;
        let lines = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"));
        lines.collect::<Vec<Value>>()
    };
    for direction in ["backward", "forward"] {
        let path =
            format!("/api/v1/logs/query?q=level:error&from=now-2h&to=now-1m&direction={direction}");
        let both = get(format!("{path}&limit=20")).await;
        let first = get(format!("{path}&limit=10")).await;
        let last = first.last().expect("lines");
        let after = format!(
            "{path}&limit=10&after={}&time={}",
            last["id"].as_str().expect("an id"),
            last["time"].as_str().expect("a time")
        );
        let second = get(after).await;
        let joined: Vec<&Value> = first.iter().chain(&second).map(|l| &l["id"]).collect();
        let whole: Vec<&Value> = both.iter().map(|line| &line["id"]).collect();
        assert_eq!(joined, whole, "{direction}");
    }
}

#[tokio::test]
async fn an_export_is_whole_and_in_order() {
    let all = text(get("/api/v1/logs/export?from=now-3h&format=raw").await).await;
    let found = lines("/api/v1/logs/export?from=now-3h").await;
    assert!(found.len() > 5_000, "more than a page: {}", found.len());
    assert!(all.lines().count() >= found.len());
    assert!(
        found
            .windows(2)
            .all(|w| w[0]["time"].as_str() <= w[1]["time"].as_str()),
        "oldest first"
    );
    let ids: std::collections::HashSet<_> = found.iter().map(|line| line["id"].as_str()).collect();
    assert_eq!(ids.len(), found.len(), "nothing twice");
    let response = get("/api/v1/logs/export?format=xml").await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_can_be_typed_is_offered() {
    let answer = json(get("/api/v1/logs/complete?q=level:error+ns:s&from=now-3h").await).await;
    let data = &answer["data"];
    assert_eq!((&data["from"], &data["to"]), (&15.into(), &16.into()));
    let answer = json(get("/api/v1/logs/complete?q=a+%7C+st").await).await;
    assert_eq!(answer["data"]["items"][0]["text"], "stats");
    let response = get("/api/v1/logs/complete?q=a&at=7").await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_line_is_shown_with_what_stands_around_it() {
    let all = lines("/api/v1/logs/query?limit=60&text=1").await;
    let line = &all[30];
    let of_pod: Vec<&Value> = all
        .iter()
        .filter(|other| other["labels"]["pod"] == line["labels"]["pod"])
        .collect();
    let at = of_pod
        .iter()
        .position(|other| other["id"] == line["id"])
        .expect("itself");
    // The fixture's lines differ from one server to the next in their times, not in their order.
    let path = format!(
        "/api/v1/logs/context?id={}&scope=pod&before=2&after=1",
        line["id"].as_str().expect("an id")
    );
    let answer = json(get(&path).await).await;
    let data = &answer["data"];
    assert_eq!(data["line"]["id"], line["id"]);
    assert_eq!(data["before"].as_array().map(Vec::len), Some(2));
    assert_eq!(data["before"][1]["id"], of_pod[at + 1]["id"]);
    assert_eq!(data["before"][0]["id"], of_pod[at + 2]["id"]);
    assert_eq!(data["after"][0]["id"], of_pod[at - 1]["id"]);
    assert_eq!(data["moreBefore"], true);
    assert_eq!(data["scopes"][2], "workload");
    let path = path.replace("scope=pod", "scope=all");
    let data = &json(get(&path).await).await["data"];
    assert_eq!(data["before"][1]["id"], all[31]["id"]);
    assert_eq!(data["after"][0]["id"], all[29]["id"]);

    for (path, status) in [
        ("context", 400),
        ("context?id=x", 400),
        ("context?id=0-1", 404),
        ("context?id=0-1&before=501", 400),
    ] {
        let response = get(&format!("/api/v1/logs/{path}")).await;
        assert_eq!(response.status(), status, "{path}");
    }
    let path = path.replace("scope=all", "scope=house");
    let response = get(&path).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}

type Follower = (Arc<Query>, Box<RecordHandler<'static>>);

/// A store in which lines arrive when the test says so, and whose searches end only when they
/// are stopped.
struct Live {
    rest: MemoryLogs,
    follower: Arc<Mutex<Option<Follower>>>,
    stopped: Arc<AtomicBool>,
    finds_before_it_hangs: u64,
}

impl Live {
    fn new() -> Self {
        Self {
            rest: MemoryLogs::new(House::Busy, model::time::now_ms()),
            follower: Arc::default(),
            stopped: Arc::default(),
            finds_before_it_hangs: 0,
        }
    }

    fn wait_for(&self, stop: &Stop) -> StoreError {
        let begin = Instant::now();
        while !stop.is_stopped() && begin.elapsed() < PATIENCE {
            std::thread::yield_now();
        }
        self.stopped.store(stop.is_stopped(), Ordering::SeqCst);
        StoreError::Cancelled
    }
}

fn record(sequence: u64, text: &str) -> Record {
    Record {
        labels: Labels::from_pairs([("app", "live")]),
        sequence,
        time_ns: 1_763_900_000_000_000_000,
        level: Level::Info,
        text: text.as_bytes().to_vec(),
    }
}

impl LogReader for Live {
    fn search(
        &self,
        search: &Search,
        handler: &mut RecordHandler<'_>,
    ) -> Result<SearchSummary, StoreError> {
        for i in 0..self.finds_before_it_hangs {
            if let ControlFlow::Break(()) = handler(record(i, &"x".repeat(1000))) {
                self.stopped.store(true, Ordering::SeqCst);
                return Ok(SearchSummary::default());
            }
        }
        Err(self.wait_for(&search.stop))
    }

    fn histogram(&self, search: &Search, _step_ns: i64) -> Result<Vec<Bucket>, StoreError> {
        Err(self.wait_for(&search.stop))
    }

    fn facets(&self, search: &Search, _values_max: usize) -> Result<Vec<Facet>, StoreError> {
        Err(self.wait_for(&search.stop))
    }

    fn streams(&self, start_ns: i64, end_ns: i64) -> Result<Vec<Labels>, StoreError> {
        self.rest.streams(start_ns, end_ns)
    }

    fn tail(
        &self,
        query: Arc<Query>,
        handler: Box<RecordHandler<'static>>,
    ) -> Result<Subscription, StoreError> {
        *self.follower.lock() = Some((query, handler));
        let follower = self.follower.clone();
        Ok(Subscription::new(move || *follower.lock() = None))
    }

    fn stats(&self) -> LogStoreStats {
        self.rest.stats()
    }
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_too_long_is_told_and_stopped() {
    for path in ["query", "histogram", "facets"] {
        let live = Live::new();
        let stopped = live.stopped.clone();
        let services = Services {
            logs: Arc::new(live),
            query_timeout: Duration::from_millis(30),
            ..services()
        };
        let response = get_from(services, &format!("/api/v1/logs/{path}")).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(json(response).await["errorType"], "timeout", "{path}");
        eventually("the search stops", || stopped.load(Ordering::SeqCst)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_stops_the_search() {
    let live = Live {
        finds_before_it_hangs: 100,
        ..Live::new()
    };
    let stopped = live.stopped.clone();
    let services = Services {
        logs: Arc::new(live),
        ..services()
    };
    let response = get_from(services, "/api/v1/logs/query").await;
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body().into_data_stream();
    assert!(body.next().await.is_some_and(|piece| piece.is_ok()));
    assert!(!stopped.load(Ordering::SeqCst));
    drop(body);
    eventually("the search stops", || stopped.load(Ordering::SeqCst)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_the_middle_is_the_last_line() {
    let services = Services {
        logs: Arc::new(Live {
            finds_before_it_hangs: 100,
            ..Live::new()
        }),
        query_timeout: Duration::from_millis(200),
        ..services()
    };
    let response = get_from(services, "/api/v1/logs/query").await;
    let text = text(response).await;
    let last: Value = serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
    assert!(
        last["error"]
            .as_str()
            .is_some_and(|e| e.contains("no answer after")),
        "{last}"
    );
}

/// A listening server over a live store.
async fn listen(live: Live) -> std::net::SocketAddr {
    let services = Arc::new(Services {
        logs: Arc::new(live),
        ..services()
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, serve::router(services)).await });
    address
}

async fn next_text<S>(socket: &mut S) -> String
where
    S: futures_util::Stream<Item = tungstenite::Result<tungstenite::Message>> + Unpin,
{
    loop {
        let message = tokio::time::timeout(PATIENCE, socket.next()).await;
        let message = message.expect("a message in time").expect("open");
        if let tungstenite::Message::Text(text) = message.expect("sound") {
            return text.to_string();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tail_sends_lines_and_ends_with_its_client() {
    let live = Live::new();
    let follower = live.follower.clone();
    let address = listen(live).await;
    let url = format!("ws://{address}/api/v1/logs/tail?q=app:live");
    let (mut socket, _) = tokio_tungstenite::connect_async(url)
        .await
        .expect("a socket");
    eventually("somebody follows", || follower.lock().is_some()).await;
    for i in 0..3 {
        let mut follower = follower.lock();
        let (query, handler) = follower.as_mut().expect("followed");
        let record = record(i, "hello <b>");
        let view = LineView::new(&record.labels, record.level, &record.text);
        assert!(query.filter.matches(&view));
        assert!(handler(record.clone()).is_continue());
    }
    let mut got = String::new();
    while got.lines().count() < 3 {
        got.push_str(&next_text(&mut socket).await);
    }
    let first: Value = serde_json::from_str(got.lines().next().expect("a line")).expect("JSON");
    assert_eq!(first["message"], "hello <b>");
    drop(socket);
    eventually("the subscription ends", || follower.lock().is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tail_refuses_foreign_pages_and_bad_queries() {
    let address = listen(Live::new()).await;
    let connect = async |path: &str, origin: &str| {
        use tungstenite::client::IntoClientRequest;
        let url = format!("ws://{address}/api/v1/logs/tail{path}");
        let mut request = url.into_client_request().expect("a request");
        request
            .headers_mut()
            .insert("origin", origin.parse().expect("a header"));
        match tokio_tungstenite::connect_async(request).await {
            Ok(_) => 101,
            Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(connect("", &format!("http://{address}")).await, 101);
    assert_eq!(connect("", "http://evil.example").await, 403);
    for query in ["?q=%22open", "?q=a+%7C+limit+5"] {
        let status = connect(query, &format!("http://{address}")).await;
        assert_eq!(status, 400, "{query}");
    }
}
