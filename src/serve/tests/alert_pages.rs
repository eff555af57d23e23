//! The alert pages over the fixture's house: an alert's own page, also when the alert is over, the
//! forms of silences, and a rule's page.

#[allow(dead_code, reason = "shared with tests that use more of it")]
mod fixture;

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use fixture::House;
use serve::Services;
use tower::ServiceExt;

async fn ask(services: &Arc<Services>, request: Request<Body>) -> (StatusCode, String, String) {
    let router = serve::router(services.clone());
    let response: Response = router.oneshot(request).await.expect("routers do not fail");
    let status = response.status();
    let place = response.headers().get(header::LOCATION).cloned();
    let place = place.map(|value| value.to_str().expect("ascii").to_owned());
    let bytes = to_bytes(response.into_body(), 4 << 20)
        .await
        .expect("a body");
    let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
    (status, text, place.unwrap_or_default())
}

async fn get(services: &Arc<Services>, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).header(header::HOST, "localhost:9849");
    let request = request.body(Body::empty()).expect("a request");
    let (status, text, _) = ask(services, request).await;
    (status, text)
}

async fn post(services: &Arc<Services>, path: &str, form: &str) -> (StatusCode, String, String) {
    let request = Request::post(path)
        .header(header::HOST, "localhost:9849")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let request = request.body(Body::from(form.to_owned()));
    ask(services, request.expect("a request")).await
}

fn house() -> Arc<Services> {
    Arc::new(fixture::services(House::Busy, model::time::now_ms()))
}

/// The first address in a page that begins so.
fn link(html: &str, prefix: &str) -> String {
    let at = html.find(prefix).expect(prefix);
    let rest = &html[at..];
    rest[..rest.find(['"', '#', '?']).expect("an end")].to_owned()
}

#[tokio::test]
async fn an_alert_has_a_page_of_its_own() {
    let services = house();
    let (_, list) = get(&services, "/alerts?q=srv").await;
    let path = link(&list, "/alerts/silences").len();
    assert!(path > 0, "the line of links is there");
    let row = list.split("id=\"a-").nth(1).expect("a row");
    let (status, html) = get(&services, &link(row, "/alerts/")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(html.contains("/srv/&#60;b&#62;media") && !html.contains("<b>media</b>"));
    assert!(html.contains("href=\"https://runbooks.example/host\""));
    assert!(html.contains("Logs around the beginning") && html.contains("name=\"matchers\""));
    assert!(html.len() < 60 << 10, "{} bytes", html.len());
    let (status, html) = get(&services, "/alerts/0123456789abcdef").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(html.contains("No such alert"));
}

#[tokio::test]
async fn the_page_of_an_alert_that_is_over_comes_from_its_incident() {
    let services = house();
    let mut evidence = alert_evidence::Evidence::default();
    let pairs = [("alertname", "Gone"), ("pod", "<i>web</i>")];
    evidence.labels = pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
    let text = ("summary".to_owned(), "it was <i>bad</i>".to_owned());
    evidence.annotations = [text].into();
    evidence.expression = "nothing_here > 1".to_owned();
    let fingerprint = model::Alert::fingerprint_of(&evidence.labels());
    let incident = state_store::Incident {
        fingerprint: fingerprint.clone(),
        started_ms: 1_763_800_000_000,
        ended_ms: Some(1_763_800_600_000),
        document: serde_json::to_string(&evidence).expect("JSON"),
    };
    services.state.put_incident(&incident).expect("kept");
    let (status, html) = get(&services, &format!("/alerts/{fingerprint}")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(html.contains("over since") && html.contains("nothing_here &#62; 1"));
    assert!(!html.contains("<i>bad") && !html.contains("<i>web"));
    assert!(
        !html.contains("name=\"matchers\""),
        "there is nothing to silence"
    );
    let (_, history) = get(&services, "/alerts/history").await;
    assert!(history.contains(&fingerprint) && history.contains("10 m"));
    let (_, none) = get(&services, "/alerts/history?q=elsewhere").await;
    assert!(none.contains("Nothing fits here"));
}

#[tokio::test]
async fn silences_are_made_changed_and_ended_by_forms() {
    let services = house();
    let path = "/alerts/silences";
    let form = "matchers=alertname%3D%22TargetDown%22&duration=2h&author=ana&comment=why&back=%2F%2Fevil.example";
    let (status, _, place) = post(&services, path, form).await;
    assert_eq!((status, place.as_str()), (StatusCode::SEE_OTHER, "/"));
    let silences = services.notifier.silences();
    let [silence] = silences.as_slice() else {
        panic!("one silence: {silences:?}");
    };
    assert_eq!(
        (silence.created_by.as_str(), silence.comment.as_str()),
        ("ana", "why")
    );
    let (_, page) = get(&services, path).await;
    assert!(page.contains("In force") && page.contains(&silence.id));
    let (_, list) = get(&services, "/alerts?state=quiet").await;
    assert!(list.contains("TargetDown") || list.contains("No alert fits"));
    let (_, edit) = get(&services, &format!("{path}?edit={}", silence.id)).await;
    assert!(edit.contains("Change a silence") && edit.contains("TargetDown"));
    for (bad, words) in [
        ("matchers=&duration=2h", "at least one matcher"),
        ("matchers=a%3Db&duration=soon", "cannot read the duration"),
        (
            "matchers=a%3D%7E%22%28%22&duration=1h",
            "regular expression",
        ),
        (
            "matchers=a%3D%7E%22.%2A%22&duration=1h",
            "all alerts would be silent",
        ),
    ] {
        let (status, html, _) = post(&services, path, bad).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
        assert!(html.contains(words), "{bad}: {words}");
    }
    let expire = format!("id={}", silence.id);
    let (status, _, _) = post(&services, "/alerts/silences/expire", &expire).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let (status, html, _) = post(&services, "/alerts/silences/expire", &expire).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(html.contains("already expired"));
}

#[tokio::test]
async fn rules_say_what_is_wrong_with_them_and_have_pages() {
    let services = house();
    let (_, rules) = get(&services, "/alerts/rules?state=never").await;
    assert!(rules.contains("can never fire: no metric") && !rules.contains(">TargetDown<"));
    let path = link(&rules, "/alerts/rules/");
    let (status, html) = get(&services, &path).await;
    assert_eq!(status, StatusCode::OK);
    assert!(html.contains("HostClockSkew") && html.contains("It can never fire"));
    let (status, _) = get(&services, "/alerts/rules/nosuch").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_test_message_to_nobody_is_told_as_an_error() {
    let services = house();
    let (status, html, _) = post(&services, "/alerts/receivers/test", "receiver=%3Cb%3E").await;
    assert_eq!(status, StatusCode::OK);
    assert!(html.contains("there is no receiver") && !html.contains("<b>\""));
}
