//! The Logs page over the fixture's house, as the server draws it.

#[allow(
    dead_code,
    unreachable_pub,
    reason = "shared with other tests, which use more of it"
)]
mod fixture;

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use fixture::House;
use tower::ServiceExt;

async fn get(house: House, path: &str) -> Response {
    get_with(house, path, "").await
}

async fn get_with(house: House, path: &str, cookies: &str) -> Response {
    let services = Arc::new(fixture::services(house, model::time::now_ms()));
    let request = Request::get(path)
        .header(header::HOST, "localhost:9849")
        .header(header::COOKIE, cookies)
        .body(Body::empty())
        .expect("a request");
    let router = serve::router(services);
    router.oneshot(request).await.expect("routers do not fail")
}

async fn page(house: House, path: &str) -> String {
    page_with(house, path, "").await
}

async fn page_with(house: House, path: &str, cookies: &str) -> String {
    let response = get_with(house, path, cookies).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    let bytes = to_bytes(response.into_body(), 4 << 20)
        .await
        .expect("a body");
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[track_caller]
fn has(html: &str, parts: &[&str]) {
    for part in parts {
        assert!(html.contains(part), "no {part:?}");
    }
}

#[tokio::test]
async fn shows_lines_histogram_and_fields_without_script() {
    let html = page(House::Busy, "/logs").await;
    assert_eq!(html.matches("<div class=\"line ").count(), 200);
    has(
        &html,
        &[
            "200 newest of ",
            ">Older lines<",
            "<rect class=\"level-info\"",
            "of them errors",
        ],
    );
    has(
        &html,
        &[
            "title=\"Only media\"",
            "title=\"Not media\"",
            "q=-namespace%3Amedia",
        ],
    );
    has(&html, &["<i>status=</i>200", "search done"]);
}

#[tokio::test]
async fn keeps_hostile_text_text() {
    for path in [
        "/logs?q=script&from=now-3h&to=now",
        "/logs?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
        "/logs?q=%22%3Cscript%3E",
        "/logs?q=level:%3Cscript%3Ealert(1)",
        "/logs?open=%22%3E%3Cscript%3Ealert",
    ] {
        let html = page(House::Busy, path).await;
        assert!(!html.contains("<script>"), "{path}");
        assert!(!html.contains("<b>odd"), "{path}");
        assert!(
            !html.contains(" style=\""),
            "{path}: the policy blocks inline style"
        );
    }
    let html = page(House::Busy, "/logs?q=script&from=now-3h&to=now").await;
    has(&html, &["&lt;<mark>script</mark>&gt;alert(1)"]);
}

#[tokio::test]
async fn terms_are_chips_that_take_themselves_out() {
    let html = page(
        House::Busy,
        "/logs?q=level:error+ns:shop&from=now-2h&to=now",
    )
    .await;
    has(
        &html,
        &[
            "href=\"?q=ns%3Ashop&#38;from=now-2h&#38;to=now\"",
            "href=\"?q=level%3Aerror&#38;from=now-2h&#38;to=now\"",
            "<li class=\"active\"",
        ],
    );
    assert!(!html.contains("<div class=\"line lv-info"));
}

#[tokio::test]
async fn points_at_the_character_that_is_wrong() {
    let html = page(House::Busy, "/logs?q=%C3%A9+level:erorr").await;
    has(
        &html,
        &[
            "é level:<span class=\"at\">e</span>rorr",
            "not a level",
            "href=\"?q=%C3%A9+level%3Aerror\"",
        ],
    );
    let html = page(House::Busy, "/logs?q=a+or").await;
    has(&html, &["a <span class=\"at\">o</span>r"]);
    let html = page(House::Busy, "/logs?q=status:!").await;
    has(&html, &["status:<span class=\"at\">!</span>"]);
}

#[tokio::test]
async fn says_why_there_is_nothing() {
    let never = page(House::Empty, "/logs").await;
    has(
        &never,
        &["No log line has arrived yet", "href=\"/targets\""],
    );

    let range = "from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z";
    let elsewhere = page(House::Busy, &format!("/logs?{range}")).await;
    has(
        &elsewhere,
        &["Nothing was logged in this range", "Go there"],
    );

    let filtered = page(House::Busy, "/logs?q=ns:media+nonsense").await;
    has(
        &filtered,
        &["No line fits", "without nonsense", "without any filter"],
    );
    assert!(
        !filtered.contains("without ns:media"),
        "that finds nothing either"
    );

    let text = page(House::Busy, "/logs?q=svc.cluster:local").await;
    has(&text, &["No line fits"]);
}

#[tokio::test]
async fn a_row_opens_without_script() {
    let html = page(House::Busy, "/logs?q=container:search+level:info").await;
    let at = html.find("data-row").expect("a row");
    let id = html[at..].split("id=\"").nth(1).expect("an id");
    let id = id.split('"').next().expect("an end");
    let open = page(
        House::Busy,
        &format!("/logs?q=container:search+level:info&open={id}"),
    )
    .await;
    // The fixture is made anew, but its ids stay.
    has(
        &open,
        &[
            &format!("data-of=\"{id}\""),
            "<dt>user.id</dt>",
            "/logs/filter?",
        ],
    );
}

#[tokio::test]
async fn a_fields_link_writes_the_term() {
    let check = async |query: &str, expected: &str| {
        let response = get(House::Busy, &format!("/logs/filter?{query}")).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(response.headers()[header::LOCATION], expected);
    };
    check(
        "q=a&from=now-2h&name=user&value=Ana+B&sign=%2B",
        "/logs?q=a+user%3A%22Ana+B%22&from=now-2h",
    )
    .await;
    check("name=user&value=ana&sign=-&open=x", "/logs?q=-user%3Aana").await;
    check(
        "q=-user:ana&name=user&value=ana&sign=%2B",
        "/logs?q=user%3Aana",
    )
    .await;
}

#[tokio::test]
async fn a_line_has_a_page_with_its_neighbours() {
    let services = Arc::new(fixture::services(House::Busy, model::time::now_ms()));
    let records = {
        let search = log_query::Search {
            query: Arc::new(log_query::Query::parse("container:coredns").expect("valid")),
            start_ns: 0,
            end_ns: i64::MAX,
            direction: log_query::Direction::Backward,
            limit: 60,
            after: None,
            stop: log_query::Stop::default(),
        };
        let mut records = Vec::new();
        let found = services.logs.search(&search, &mut |record| {
            records.push(record);
            std::ops::ControlFlow::Continue(())
        });
        found.expect("an answer");
        records
    };
    let line = &records[30];
    let time_text = model::time::rfc3339_ns(line.time_ns);
    let id_text = format!("{:016x}-{}", line.labels.fingerprint(), line.sequence);
    let router = serve::router(services);
    let get = async |path: String| {
        let request = Request::get(path)
            .header(header::HOST, "localhost:9849")
            .body(Body::empty())
            .expect("a request");
        let response = router.clone().oneshot(request).await.expect("an answer");
        let bytes = to_bytes(response.into_body(), 4 << 20).await;
        String::from_utf8(bytes.expect("a body").to_vec()).expect("UTF-8")
    };
    let html = get(format!("/logs/at/{time_text}/{id_text}")).await;
    has(
        &html,
        &[
            "id=\"this\"",
            "Earlier lines",
            "Later lines",
            ">Pod<",
            ">Workload<",
        ],
    );
    // 25 before, the line itself, 25 behind.
    assert_eq!(html.matches("<div class=\"line ").count(), 51);

    let api = format!("/api/ui/logs/context?time={time_text}&id={id_text}&before=3&after=2");
    let json: serde_json::Value = serde_json::from_str(&get(api).await).expect("JSON");
    assert_eq!(json["line"]["id"], id_text);
    let ids = |side: &str| -> Vec<String> {
        let lines = json[side].as_array().expect("lines");
        lines
            .iter()
            .map(|line| line["id"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let id = |n: usize| {
        format!(
            "{:016x}-{}",
            records[n].labels.fingerprint(),
            records[n].sequence
        )
    };
    assert_eq!(ids("before"), [id(33), id(32), id(31)]);
    assert_eq!(ids("after"), [id(29), id(28)]);

    let gone = format!("{:016x}-99999999", line.labels.fingerprint());
    let html = get(format!("/logs/at/{time_text}/{gone}")).await;
    has(&html, &["This line is no longer stored"]);
}

#[tokio::test]
async fn what_is_hidden_is_not_asked_for() {
    let html = page_with(House::Busy, "/logs", "yagura_chart=off; yagura_facets=off").await;
    has(&html, &["The histogram is hidden", "explorer bare"]);
    assert!(!html.contains("class=\"bars\"") && !html.contains("id=\"f-level\""));
}

#[tokio::test]
async fn pins_stay_on_top_also_when_they_are_rare() {
    let pins = "yagura_pins=%5B%5B%22namespace%22%2C%22%3Cb%3Erare%3C%2Fb%3E%22%5D%5D";
    let html = page_with(House::Busy, "/logs", pins).await;
    let field = html.split("id=\"f-namespace\"").nth(1).expect("the field");
    let first = field.split("</li>").next().expect("a value");
    assert!(first.contains("&#60;b&#62;rare") && first.contains("aria-pressed=\"true\""));
    let html = page_with(House::Busy, "/logs", "yagura_pins=%7Bnonsense").await;
    has(&html, &["id=\"f-namespace\""]);
}

#[tokio::test]
async fn columns_stand_beside_the_message() {
    let html = page(
        House::Busy,
        "/logs?q=container:search&cols=status,none,%3Cb%3E",
    )
    .await;
    has(
        &html,
        &[
            "data-cols=\"3\"",
            "<span class=\"cell\">200</span>",
            "cell none",
        ],
    );
    assert!(!html.contains("<i>status=</i>"));
    assert!(!html.contains("title=\"<b>"));
}

#[tokio::test]
async fn similar_lines_are_one_row() {
    let html = page(House::Busy, "/logs?group=pattern&q=container:search").await;
    has(
        &html,
        &[
            "id=\"groups\"",
            " patterns in ",
            "viewBox=\"0 0 24 16\"",
            "title=\"Only these lines\"",
        ],
    );
    let rare = page(House::Busy, "/logs?group=pattern&sort=rare").await;
    let frequent = page(House::Busy, "/logs?group=pattern").await;
    let first = |html: &str| {
        let body = html.split("<tbody>").nth(1).expect("rows").to_owned();
        let row = body.split("</tr>").next().expect("a row").to_owned();
        row.split("class=\"pattern\"")
            .nth(1)
            .expect("a pattern")
            .to_owned()
    };
    assert_ne!(first(&rare), first(&frequent));
    let limited = page(House::Busy, "/logs?group=pattern&q=*%20|%20limit%207").await;
    has(&limited, &[" in 7 lines"]);
}
