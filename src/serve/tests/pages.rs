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
const PAGES: [&str; 3] = ["/alerts", "/targets", "/status"];

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
