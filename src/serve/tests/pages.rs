//! Pages over the fixture's house: what they say, that nothing hostile becomes markup, and what
//! keeps foreign content out.

mod fixture;

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use fixture::House;
use tower::ServiceExt;

async fn ask(house: House, request: Request<Body>) -> Response {
    let services = Arc::new(fixture::services(house, model::time::now_ms()));
    serve::router(services)
        .oneshot(request)
        .await
        .expect("routers do not fail")
}

async fn get(house: House, path: &str) -> Response {
    let request = Request::get(path).header(header::HOST, "localhost:9849");
    ask(house, request.body(Body::empty()).expect("a request")).await
}

async fn text(response: Response) -> String {
    let bytes = to_bytes(response.into_body(), 4 << 20)
        .await
        .expect("a body");
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

async fn page(house: House, path: &str) -> String {
    let response = get(house, path).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    text(response).await
}

/// Every page of the rail.
const PAGES: [&str; 20] = [
    "/",
    "/logs",
    "/logs?q=script&from=now-3h&to=now",
    "/metrics-explorer",
    "/metrics-explorer?q=node_filesystem_avail_bytes",
    "/metrics-explorer?q=node_filesystem_avail_bytes&view=table",
    "/metrics-explorer?q=%3Cb%3Eodd%3C%2Fb%3E",
    "/metrics-explorer?q=node_filesystem_avail_bytes&q2=up&stack=1",
    "/metrics-explorer?q=yagura_serve_request_duration_seconds_bucket&view=heat",
    "/metrics-explorer?q=node_filesystem_avail_bytes%7Bmountpoint%3D%22%3Cb%3Eodd%3C%2Fb%3E%22%7D&view=explain",
    "/metrics-explorer?q=node_filesystem_avail_bytes%7Bmountpoint%3D%22%3Cb%3Eodd%3C%2Fb%3E%22%7D",
    "/metrics/yagura_serve_request_duration_seconds",
    "/metrics/cardinality",
    "/alerts",
    "/alerts/history",
    "/alerts/rules",
    "/alerts/silences?matchers=a%3D%22%3Cb%3Eodd%3C%2Fb%3E%22",
    "/alerts/receivers",
    "/targets",
    "/status",
];

#[tokio::test]
async fn every_page_keeps_foreign_content_out() {
    for path in PAGES {
        for house in [House::Busy, House::Calm, House::Empty] {
            let response = get(house, path).await;
            let policy = response.headers()[header::CONTENT_SECURITY_POLICY]
                .to_str()
                .expect("ascii");
            assert!(
                policy.contains("script-src 'self'") && policy.contains("frame-ancestors 'none'")
            );
            assert_eq!(
                response.headers()[header::X_CONTENT_TYPE_OPTIONS],
                "nosniff"
            );
            let html = text(response).await;
            // The policy would block these, so a page that has them is broken.
            assert!(!html.contains(" style=\""), "{path}: inline style");
            assert!(!html.contains(" onclick="), "{path}: inline script");
            for script in html.split("<script").skip(1) {
                let data = script.starts_with(" type=\"application/json\"");
                assert!(
                    data || script.starts_with(" type=\"module\" src=\"/assets/"),
                    "{path}: {script:.60}"
                );
            }
            for hostile in ["<b>odd</b>", "<b>media</b>", "<script>alert"] {
                assert!(!html.contains(hostile), "{path}: {hostile} became markup");
            }
        }
    }
}

#[tokio::test]
async fn status_says_what_is_wrong_first() {
    let html = page(House::Busy, "/status").await;
    assert!(html.contains("The last reload failed"));
    assert!(html.contains("did you mean `listen`?"));
    assert!(html.contains("1 of 7 in trouble"));
    let calm = page(House::Calm, "/status").await;
    assert!(!calm.contains("The last reload failed"));
    assert!(calm.contains("7 running as they should"));
}

#[tokio::test]
async fn the_theme_is_the_servers_so_that_nothing_flashes() {
    let request = Request::post("/settings")
        .header(header::HOST, "localhost:9849")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from("theme=dark&back=%2Fstatus"))
        .expect("a request");
    let response = ask(House::Calm, request).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(response.headers()[header::LOCATION], "/status");
    let cookie = response.headers()[header::SET_COOKIE].clone();
    let request = Request::get("/status").header(header::COOKIE, cookie);
    let html = text(ask(House::Calm, request.body(Body::empty()).expect("a request")).await).await;
    assert!(html.contains("data-theme=\"dark\""));
}

#[tokio::test]
async fn fragments_are_the_page_without_its_frame() {
    let request = Request::get("/status").header("x-yagura-fragment", "1");
    let html = text(ask(House::Busy, request.body(Body::empty()).expect("a request")).await).await;
    assert!(html.contains("<main id=\"main\"") && html.contains("id=\"rail\""));
    assert!(!html.contains("<html") && !html.contains("<symbol"));
}

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused() {
    let request = Request::get("/status").header(header::HOST, "evil.example");
    let refused = ask(House::Calm, request.body(Body::empty()).expect("a request")).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(
        refused
            .headers()
            .contains_key(header::CONTENT_SECURITY_POLICY)
    );
    assert!(text(refused).await.contains("allowed_hosts"));
    let request = Request::post("/-/reload")
        .header(header::HOST, "localhost:9849")
        .header(header::ORIGIN, "http://evil.example");
    let refused = ask(House::Calm, request.body(Body::empty()).expect("a request")).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_is_not_there_is_said_in_the_shell_or_as_json() {
    let html = get(House::Calm, "/nowhere/%3Cb%3Eodd%3C/b%3E").await;
    assert_eq!(html.status(), StatusCode::NOT_FOUND);
    let html = text(html).await;
    assert!(html.contains("There is no page at") && html.contains("id=\"rail\""));
    let json = get(House::Calm, "/api/v1/nowhere").await;
    assert_eq!(json.status(), StatusCode::NOT_FOUND);
    assert_eq!(json.headers()[header::CONTENT_TYPE], "application/json");
}

#[tokio::test]
async fn the_process_answers_for_itself() {
    assert_eq!(
        page(House::Calm, "/-/healthy").await,
        "Yagura is healthy.\n"
    );
    assert_eq!(page(House::Calm, "/-/ready").await, "Yagura is ready.\n");
    let services = Arc::new(fixture::services(House::Calm, model::time::now_ms()));
    let router = serve::router(services);
    let ask = |request: Request<Body>| router.clone().oneshot(request);
    let reload = |accept: &str| {
        Request::post("/-/reload")
            .header(header::ACCEPT, accept)
            .body(Body::empty())
            .expect("a request")
    };
    let failed = ask(reload("*/*")).await.expect("routers do not fail");
    assert_eq!(failed.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(
        text(failed)
            .await
            .starts_with("failed to reload config: yagura.yaml:7")
    );
    let button = ask(reload("text/html,*/*"))
        .await
        .expect("routers do not fail");
    assert_eq!(button.headers()[header::LOCATION], "/status");
    let metrics = ask(Request::get("/metrics")
        .body(Body::empty())
        .expect("a request"))
    .await;
    let metrics = text(metrics.expect("routers do not fail")).await;
    assert!(metrics.contains("yagura_serve_requests_total{route=\"/-/reload\",status=\"5xx\"} 1"));
}

#[tokio::test]
async fn overview_says_the_answer_first() {
    let busy = page(House::Busy, "/").await;
    let headline = busy.find("id=\"headline\"").expect("a headline");
    let first = busy.find("class=\"problem").expect("problems");
    let figures = busy.find("class=\"figures\"").expect("figures");
    assert!(headline < first && first < figures);
    assert!(busy.contains("HostFilesystemAlmostFull"));
    assert!(busy.contains("1 log file cannot be read"));
    assert!(
        !busy.contains("nas cannot be scraped"),
        "its alert says so already"
    );
    assert!(busy.contains("3 of 5 targets up"));
    let calm = page(House::Calm, "/").await;
    assert!(calm.contains("All is well") && !calm.contains("class=\"problem"));
    let empty = page(House::Empty, "/").await;
    assert!(
        empty.contains("Nothing is collected yet")
            && empty.contains("Collecting since")
            && empty.contains("no log line yet")
    );
    assert!(empty.contains("the first points come within half a minute"));
}

#[tokio::test]
async fn every_kind_of_nothing_has_words_of_its_own() {
    let check = async |house, path: &str, words: &str| {
        let html = page(house, path).await;
        assert!(html.contains(words), "{path}: {words}");
    };
    check(House::Calm, "/alerts", "All quiet").await;
    check(
        House::Busy,
        "/alerts?q=nowhere",
        "4 alerts are hidden by the words “nowhere”",
    )
    .await;
    check(
        House::Busy,
        "/alerts?state=pending&q=disk",
        "the state pending and the words “disk”",
    )
    .await;
    check(House::Empty, "/targets", "Nothing is scraped yet").await;
    check(House::Empty, "/targets", "No log file was found").await;
    check(
        House::Calm,
        "/targets?health=down",
        "No target is in trouble",
    )
    .await;
    check(House::Calm, "/targets?q=nowhere", "No log source fits").await;
    check(House::Busy, "/?from=yesterday", "Cannot show that range").await;
}

#[tokio::test]
async fn lists_can_be_filtered_by_the_url() {
    let firing = page(House::Busy, "/alerts?state=firing").await;
    assert!(firing.contains(">TargetDown<") && !firing.contains("Load on pi5-02 is"));
    let disks = page(House::Busy, "/alerts?q=mountpoint%3D%2Fvar").await;
    assert!(disks.contains("/var/lib on pi5-02 has") && !disks.contains("cannot be scraped"));
    let down = page(House::Busy, "/targets?health=down").await;
    assert!(down.contains("192.168.1.9:9100") && !down.contains("192.168.1.8:9100"));
    assert!(down.contains("Nothing listens on that port"));
}

#[tokio::test]
async fn targets_say_where_they_come_from_and_which_are_dropped() {
    let targets = page(House::Busy, "/targets").await;
    for words in [
        "dropped by relabelling",
        "a list of target groups is expected",
        "look for targets failed",
    ] {
        assert!(targets.contains(words), "{words}");
    }
    assert!(!targets.contains("found with"));
    let path = "/targets?open=nas%20http%3A%2F%2F192.168.1.8%3A9100%2Fmetrics";
    let opened = page(House::Busy, path).await;
    assert!(opened.contains("found with") && opened.contains("rule 1"));
    assert!(opened.contains("Asked every 15 s, given up after 10 s."));
}

#[tokio::test]
async fn an_expression_is_drawn_by_the_server_and_handed_to_the_script() {
    let html = page(
        House::Busy,
        "/metrics-explorer?q=node_filesystem_avail_bytes",
    )
    .await;
    assert!(html.contains("<svg class=\"drawing\"") && html.contains("3 series"));
    let data = html
        .split("data-columns=\"1\">")
        .nth(1)
        .and_then(|rest| rest.split("</script>").next());
    let data: serde_json::Value = serde_json::from_str(data.expect("data")).expect("JSON");
    assert_eq!(data["series"].as_array().map(Vec::len), Some(3));
    assert_eq!(
        data["series"][0]["values"]
            .as_array()
            .map(|v| v.len() as u64),
        data["count"].as_u64()
    );
    let table = page(House::Busy, "/metrics-explorer?q=up&view=table").await;
    assert!(table.contains("2 rows") && table.contains("192.168.1.9:9100"));
    let lone = page(House::Busy, "/metrics-explorer?q=1%2B2&view=table").await;
    assert!(lone.contains("<p class=\"single num\">3</p>"));
}

#[tokio::test]
async fn an_expression_without_an_answer_is_explained() {
    let wrong = page(House::Busy, "/metrics-explorer?q=sum(up%20by").await;
    assert!(wrong.contains("class=\"panel failure\""));
    let unknown = page(House::Busy, "/metrics-explorer?q=node_memory_total").await;
    assert!(unknown.contains("There is no metric node_memory_total"));
    assert!(unknown.contains("node_memory_MemTotal_bytes"));
    let label = page(
        House::Busy,
        "/metrics-explorer?q=up%7Bjob%3D%22nothing%22%7D",
    )
    .await;
    assert!(
        label.contains("No series of up satisfies job=&#34;nothing&#34;"),
        "{label}"
    );
    let filtered = page(House::Busy, "/metrics-explorer?q=up%20%3E%205").await;
    assert!(filtered.contains("No series satisfies the comparison"));
    assert!(label.contains("job=&#34;node-exporter&#34;") && label.contains("class=\"tree\""));
    let list = page(House::Busy, "/metrics-explorer?find=memory").await;
    assert!(list.contains("node_memory_MemTotal_bytes") && !list.contains(">node_load1<"));
    let empty = page(House::Empty, "/metrics-explorer").await;
    assert!(empty.contains("No metric in this range"));
}

#[tokio::test]
async fn several_expressions_stand_below_each_other() {
    let two = page(House::Busy, "/metrics-explorer?q=up&q2=node_load1%20%2B").await;
    assert!(two.contains("2 series") && two.contains("class=\"panel failure\""));
    assert!(two.contains("Remove query 2") && two.contains("Add a query"));
    let lone = page(House::Busy, "/metrics-explorer?q3=up").await;
    assert!(lone.contains("name=\"q\"") && !lone.contains("Remove query"));
    let more = page(House::Busy, "/metrics-explorer?q=up&add=1").await;
    assert!(more.contains("name=\"q2\"") && !more.contains("name=\"q3\""));
    let many: Vec<String> = (2..=6).map(|n| format!("q{n}=up")).collect();
    let many = page(
        House::Busy,
        &format!("/metrics-explorer?q=up&{}", many.join("&")),
    )
    .await;
    assert!(many.contains("name=\"q6\"") && !many.contains("name=\"q7\""));
    assert!(
        !many.contains("Add a query"),
        "there is no room for a seventh"
    );
    let path = "/metrics-explorer?q=up&q2=node_load1&view=table&remove=1";
    let less = get(House::Busy, path).await;
    assert_eq!(less.status(), StatusCode::SEE_OTHER);
    let place = &less.headers()[header::LOCATION];
    assert_eq!(place, "/metrics-explorer?q=node_load1&view=table");
}

#[tokio::test]
async fn an_expression_has_four_views() {
    let bucket = "yagura_serve_request_duration_seconds_bucket";
    let heat = page(
        House::Busy,
        &format!("/metrics-explorer?q=sum%20by%20(le)%20(rate({bucket}%5B5m%5D))&view=heat"),
    )
    .await;
    assert!(heat.contains("Heatmap of 8 buckets") && heat.contains("data-heat=\"1\""));
    let none = page(House::Busy, "/metrics-explorer?q=up&view=heat").await;
    assert!(none.contains("Not a histogram"));
    assert!(none.contains(&format!("sum by (le) (rate({bucket}[5m]))")));
    let raw = page(
        House::Busy,
        &format!("/metrics-explorer?q={bucket}&view=heat"),
    )
    .await;
    assert!(raw.contains("counts since each process started"));
    let tree = page(
        House::Busy,
        "/metrics-explorer?q=sum(up)%20%3E%205&view=explain",
    )
    .await;
    assert!(tree.contains("class=\"tree\"") && tree.contains("2 series"));
    let stacked = page(
        House::Busy,
        "/metrics-explorer?q=node_filesystem_avail_bytes&stack=1",
    )
    .await;
    assert!(stacked.contains("\"stacked\":true") && stacked.contains("class=\"area c"));
}

#[tokio::test]
async fn a_metric_has_a_page_and_the_greatest_are_named() {
    let histogram = page(
        House::Busy,
        "/metrics/yagura_serve_request_duration_seconds",
    )
    .await;
    assert!(histogram.contains("Quantiles") && histogram.contains("data-heat=\"2\""));
    let missing = page(House::Busy, "/metrics/node_load9").await;
    assert!(missing.contains("No such metric") && missing.contains(">node_load1<"));
    let cardinality = page(House::Busy, "/metrics/cardinality").await;
    assert!(cardinality.contains("href=\"/metrics/http_request_duration_seconds_bucket\""));
    let check = page(House::Busy, "/api/ui/metrics/check?q=sum(up").await;
    let check: serde_json::Value = serde_json::from_str(&check).expect("JSON");
    assert!(
        check["message"].as_str().is_some_and(|m| !m.is_empty()),
        "{check}"
    );
}

#[tokio::test]
async fn a_panic_in_a_page_is_a_page_and_is_counted() {
    let mut services = fixture::services(House::Calm, model::time::now_ms());
    services.scrape_targets = Arc::new(|| panic!("a collector went away"));
    let router = serve::router(Arc::new(services));
    let ask = async |path: &str| {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        router
            .clone()
            .oneshot(request)
            .await
            .expect("routers do not fail")
    };
    let broken = ask("/targets").await;
    assert_eq!(broken.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(
        broken
            .headers()
            .contains_key(header::CONTENT_SECURITY_POLICY)
    );
    let html = text(broken).await;
    assert!(html.contains("Something broke in here") && html.contains("id=\"rail\""));
    assert_eq!(
        ask("/alerts").await.status(),
        StatusCode::OK,
        "the rest goes on"
    );
    let metrics = text(ask("/metrics").await).await;
    assert!(metrics.contains("yagura_serve_handler_panics_total 1"));
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let request = Request::post("/settings")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(format!(
            "theme=dark&back={}",
            "x".repeat(2 << 20)
        )));
    let response = ask(House::Calm, request.expect("a request")).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn pages_are_compressed_for_who_takes_it_and_stay_within_their_budget() {
    for path in PAGES {
        let request = Request::get(path).header(header::ACCEPT_ENCODING, "gzip");
        let response = ask(House::Busy, request.body(Body::empty()).expect("a request")).await;
        assert_eq!(
            response.headers()[header::CONTENT_ENCODING],
            "gzip",
            "{path}"
        );
        let bytes = to_bytes(response.into_body(), 1 << 20)
            .await
            .expect("a body");
        assert!(bytes.len() < 40_000, "{path} has {} bytes", bytes.len());
    }
}
