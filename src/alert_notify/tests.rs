//! Stories of a notifier and a webhook.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::{Alert, Labels, time};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::*;

mod trouble;

/// A notifier that runs until it is dropped.
struct Running {
    notifier: Arc<Notifier>,
    metrics: Metrics,
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(config: Config, log: &Arc<MemoryState>) -> Self {
        // A second installation fails, and the first one stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let metrics = Metrics::new(&mut prometheus_client::registry::Registry::default());
        let notifier = Notifier::new(
            config,
            log.clone(),
            "http://yagura.example".to_owned(),
            metrics.clone(),
        );
        let notifier = Arc::new(notifier);
        let cancel = CancellationToken::new();
        Self {
            task: tokio::spawn(notifier.clone().run(cancel.clone())),
            notifier,
            metrics,
            cancel,
        }
    }

    async fn stop(self) {
        self.cancel.cancel();
        self.task.await.expect("it stops");
    }
}

async fn hook(responses: &[ResponseTemplate]) -> MockServer {
    let server = MockServer::start().await;
    for (i, response) in responses.iter().enumerate() {
        let mock = Mock::given(method("POST"))
            .and(path("/hook"))
            .respond_with(response.clone());
        let last = i + 1 == responses.len();
        let mock = if last { mock } else { mock.up_to_n_times(1) };
        mock.with_priority(i as u8 + 1).mount(&server).await;
    }
    server
}

fn ok() -> ResponseTemplate {
    ResponseTemplate::new(200)
}

fn config(server: &MockServer, route: &str, hook: &str) -> Config {
    let url = format!("{}/hook", server.uri());
    let text = format!(
        "route: {{receiver: r, group_by: [alertname], group_wait: 0s, {route}}}\nreceivers: [{{name: r, webhook_configs: [{{url: '{url}', {hook}}}]}}]\n"
    );
    Config::parse(&text, "am.yml", Path::new(".")).expect("a configuration")
}

fn alert(name: &str, instance: &str, over: bool) -> Alert {
    let now_ms = time::now_ms();
    Alert {
        labels: Labels::from_pairs([("alertname", name), ("instance", instance), ("job", "j")]),
        annotations: Labels::from_pairs([("summary", "all the same"), ("at", instance)]),
        starts_at_ms: 1_763_900_000_500,
        ends_at_ms: if over { now_ms - 1 } else { now_ms + 3_600_000 },
        generator_url: "http://yagura/graph?g0.expr=up&g0.tab=1".to_owned(),
    }
}

/// The messages that arrived, as soon as there are so many; the deadline is generous, for the
/// machine may be busy.
async fn arrived(server: &MockServer, count: usize) -> Vec<Value> {
    let deadline = std::time::Instant::now() + Duration::from_mins(1);
    loop {
        let requests = server.received_requests().await.unwrap_or_default();
        if requests.len() >= count {
            let bodies = requests.iter().map(wiremock::Request::body_json::<Value>);
            return bodies.collect::<Result<_, _>>().expect("JSON");
        }
        assert!(
            std::time::Instant::now() < deadline,
            "{} of {count}",
            requests.len()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_mins(1);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_webhook_gets_alertmanagers_message_to_the_letter() {
    let server = hook(&[ok()]).await;
    let config = config(&server, "group_interval: 1h", "max_alerts: 2");
    let running = Running::start(config, &Arc::default());
    let alerts = ["c", "a", "b"].map(|i| alert("Down", i, i == "b"));
    let fingerprint = alerts[1].fingerprint();
    let ended = time::rfc3339_ms(alerts[2].ends_at_ms);
    running.notifier.receive(alerts.to_vec());
    let mut body = arrived(&server, 1).await.remove(0);
    let second_end = body["alerts"][1]["endsAt"].take();
    // Go leaves out zeros at the end of a fraction.
    let shown = second_end
        .as_str()
        .unwrap_or_default()
        .trim_end_matches('Z');
    assert!(ended.starts_with(shown), "{second_end} {ended}");
    assert_eq!(
        body,
        json!({
            "receiver": "r",
            "status": "firing",
            "alerts": [
                {
                    "status": "firing",
                    "labels": {"alertname": "Down", "instance": "a", "job": "j"},
                    "annotations": {"at": "a", "summary": "all the same"},
                    "startsAt": "2025-11-23T12:13:20.5Z",
                    "endsAt": "0001-01-01T00:00:00Z",
                    "generatorURL": "http://yagura/graph?g0.expr=up&g0.tab=1",
                    "fingerprint": fingerprint,
                },
                {
                    "status": "resolved",
                    "labels": {"alertname": "Down", "instance": "b", "job": "j"},
                    "annotations": {"at": "b", "summary": "all the same"},
                    "startsAt": "2025-11-23T12:13:20.5Z",
                    "endsAt": null,
                    "generatorURL": "http://yagura/graph?g0.expr=up&g0.tab=1",
                    "fingerprint": alert("Down", "b", true).fingerprint(),
                },
            ],
            "groupLabels": {"alertname": "Down"},
            "commonLabels": {"alertname": "Down", "job": "j"},
            "commonAnnotations": {"summary": "all the same"},
            "externalURL": "http://yagura.example",
            "version": "4",
            "groupKey": "{}:{alertname=\"Down\"}",
            "truncatedAlerts": 1,
        })
    );
    let request = server
        .received_requests()
        .await
        .unwrap_or_default()
        .remove(0);
    assert_eq!(request.headers["content-type"], "application/json");
    // Keys in Alertmanager's order, for receivers that compare texts.
    let text = String::from_utf8(request.body).expect("UTF-8");
    assert!(
        text.starts_with(r#"{"receiver":"r","status":"firing","alerts":[{"status":"#),
        "{text}"
    );
    running.stop().await;
}

#[tokio::test]
async fn groups_are_told_apart_and_the_end_is_told() {
    let server = hook(&[ok()]).await;
    let running = Running::start(config(&server, "group_interval: 50ms", ""), &Arc::default());
    running.notifier.receive(vec![
        alert("A", "1", false),
        alert("A", "2", false),
        alert("B", "1", false),
    ]);
    let bodies = arrived(&server, 2).await;
    let mut counts: Vec<usize> = bodies
        .iter()
        .map(|b| b["alerts"].as_array().map_or(0, Vec::len))
        .collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 2]);
    running.notifier.receive(vec![alert("B", "1", true)]);
    let bodies = arrived(&server, 3).await;
    assert_eq!(bodies[2]["status"], "resolved");
    assert_eq!(bodies[2]["alerts"][0]["labels"]["alertname"], "B");
    eventually("all are counted", || {
        running.metrics.notifications.get() == 3
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn nothing_is_told_twice_not_even_over_a_restart() {
    let server = hook(&[ok()]).await;
    let log = Arc::new(MemoryState::default());
    let first = Running::start(config(&server, "group_interval: 20ms", ""), &log);
    first.notifier.receive(vec![alert("A", "1", false)]);
    arrived(&server, 1).await;
    eventually("the same is left out", || {
        first.metrics.notifications_suppressed.get() > 2
    })
    .await;
    first.stop().await;

    let second = Running::start(config(&server, "group_interval: 20ms", ""), &log);
    second.notifier.receive(vec![alert("A", "1", false)]);
    eventually("it is known", || {
        second.metrics.notifications_suppressed.get() > 2
    })
    .await;
    // What is new is told.
    second.notifier.receive(vec![alert("A", "2", false)]);
    let bodies = arrived(&server, 2).await;
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[1]["alerts"].as_array().map(Vec::len), Some(2));
    second.stop().await;
}

#[tokio::test]
async fn a_failing_receiver_is_asked_again_and_told_once() {
    let server = hook(&[ResponseTemplate::new(503), ok()]).await;
    let running = Running::start(config(&server, "group_interval: 1h", ""), &Arc::default());
    running.notifier.receive(vec![alert("A", "1", false)]);
    arrived(&server, 2).await;
    eventually("it is told", || running.metrics.notifications.get() == 1).await;
    assert_eq!(running.metrics.retries.get(), 1);
    assert_eq!(running.metrics.notifications_failed.get(), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_refusal_is_final_until_the_next_turn() {
    let server = hook(&[
        ResponseTemplate::new(400).set_body_string("no\nthanks"),
        ok(),
    ])
    .await;
    let running = Running::start(
        config(&server, "group_interval: 100ms", ""),
        &Arc::default(),
    );
    running
        .notifier
        .receive(vec![alert("A", "1", true), alert("A", "2", false)]);
    let bodies = arrived(&server, 2).await;
    // Nothing is lost: what was over is told with the next turn, too.
    assert_eq!(bodies[0], bodies[1]);
    eventually("it is told", || running.metrics.notifications.get() == 1).await;
    assert_eq!(running.metrics.notifications_failed.get(), 1);
    assert_eq!(running.metrics.retries.get(), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_receiver_that_does_not_want_the_end_is_spared() {
    let server = hook(&[ok()]).await;
    let route = "group_interval: 20ms";
    let running = Running::start(
        config(&server, route, "send_resolved: false"),
        &Arc::default(),
    );
    running
        .notifier
        .receive(vec![alert("A", "1", false), alert("A", "2", true)]);
    let bodies = arrived(&server, 1).await;
    assert_eq!(bodies[0]["alerts"].as_array().map(Vec::len), Some(1));
    running.notifier.receive(vec![alert("A", "1", true)]);
    eventually("the group ends", || running.metrics.groups.get() == 0).await;
    // It fires again: the log knows that it was over, so this is news.
    running.notifier.receive(vec![alert("A", "1", false)]);
    let bodies = arrived(&server, 2).await;
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[1]["status"], "firing");
    running.stop().await;
}

#[tokio::test]
async fn secrets_are_sent_and_never_said() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/s3cret"))
        .and(header("authorization", "Basic dTpwdw=="))
        .respond_with(ok())
        .mount(&server)
        .await;
    let dir = tempfile::tempdir().expect("a folder");
    let (url, password) = (dir.path().join("url"), dir.path().join("password"));
    std::fs::write(&url, format!("{}/s3cret\n", server.uri())).expect("a file");
    std::fs::write(&password, "pw\n").expect("a file");
    let text = format!(
        "route: {{receiver: r, group_wait: 0s}}\nreceivers: [{{name: r, webhook_configs: [{{url_file: '{}', http_config: {{basic_auth: {{username: u, password_file: '{}'}}}}}}]}}]\n",
        url.display(),
        password.display()
    );
    let config = Config::parse(&text, "am.yml", Path::new(".")).expect("a configuration");
    let running = Running::start(config, &Arc::default());
    running.notifier.receive(vec![alert("A", "1", false)]);
    eventually("it is told", || running.metrics.notifications.get() == 1).await;
    running.stop().await;

    // Nobody listens there; the message names the cause and not the address.
    let text = "route: {receiver: r}\nreceivers: [{name: r, webhook_configs: [{url: 'http://127.0.0.1:1/s3cret'}]}]\n";
    let config = Config::parse(text, "am.yml", Path::new(".")).expect("a configuration");
    assert!(!config.original.contains("s3cret"), "{}", config.original);
    assert!(config.original.contains("<secret>"), "{}", config.original);
    let running = Running::start(config, &Arc::default());
    let outcome = running
        .notifier
        .test("r", Labels::empty())
        .await
        .expect("a receiver");
    let error = outcome[0].result.clone().expect_err("nobody listens");
    assert!(
        !error.contains("s3cret") && !error.contains("127.0.0.1:1/"),
        "{error}"
    );
    assert!(error.contains("connection refused"), "{error}");
    running.stop().await;
}

#[tokio::test]
async fn a_hanging_receiver_does_not_keep_the_process_from_stopping() {
    let slow = ok().set_delay(Duration::from_hours(1));
    let server = hook(&[slow]).await;
    let running = Running::start(config(&server, "group_interval: 1h", ""), &Arc::default());
    running.notifier.receive(vec![alert("A", "1", false)]);
    arrived(&server, 1).await;
    running.stop().await;
}

#[tokio::test]
async fn a_test_message_brings_the_providers_answer() {
    let server = hook(&[
        ok().set_body_string("thanks"),
        ResponseTemplate::new(403).set_body_string("no such key"),
    ])
    .await;
    let running = Running::start(config(&server, "group_interval: 1h", ""), &Arc::default());
    let labels = Labels::from_pairs([("team", "a")]);
    let test = running
        .notifier
        .test("r", labels.clone())
        .await
        .expect("a receiver");
    assert_eq!(
        test[0].result,
        Ok(Answer {
            status: 200,
            text: "thanks".to_owned()
        })
    );
    let body = arrived(&server, 1).await.remove(0);
    assert_eq!(body["alerts"][0]["labels"]["team"], "a");
    let test = running
        .notifier
        .test("r", labels.clone())
        .await
        .expect("a receiver");
    let error = test[0].result.clone().expect_err("refused");
    assert!(
        error.contains("403") && error.contains("no such key"),
        "{error}"
    );
    assert!(running.notifier.test("x", labels).await.is_err());
    running.stop().await;
}

#[tokio::test]
async fn a_busy_receiver_is_left_alone_as_long_as_it_asks() {
    let server = hook(&[
        ResponseTemplate::new(429).insert_header("retry-after", "0.01"),
        ok(),
    ])
    .await;
    let running = Running::start(config(&server, "group_interval: 1h", ""), &Arc::default());
    running.notifier.receive(vec![alert("A", "1", false)]);
    arrived(&server, 2).await;
    eventually("it is told", || running.notifier.health()[0].sent == 1).await;
    let health = running.notifier.health().remove(0);
    assert_eq!(
        (health.receiver.as_str(), health.way.as_str()),
        ("r", "webhook[0]")
    );
    assert_eq!((health.retries, health.failed), (1, 0));
    assert_eq!(health.last_error, "");
    assert!(health.last_failure_ms > 0);
    running.stop().await;
}

#[tokio::test]
async fn a_template_that_fails_is_the_matter_of_its_receiver_only() {
    let server = hook(&[ok()]).await;
    let text = format!(
        "route: {{receiver: r, group_wait: 0s}}\nreceivers: [{{name: r, webhook_configs: [{{url: '{0}/hook', payload: {{x: '{{{{ index .Alerts 99 }}}}'}}}}, {{url: '{0}/hook'}}]}}]\n",
        server.uri()
    );
    let config = Config::parse(&text, "am.yml", Path::new(".")).expect("a configuration");
    let running = Running::start(config, &Arc::default());
    running.notifier.receive(vec![alert("A", "1", false)]);
    arrived(&server, 1).await;
    eventually("one failed", || running.notifier.health()[0].failed == 1).await;
    eventually("one is told", || running.notifier.health()[1].sent == 1).await;
    let error = running.notifier.health()[0].last_error.clone();
    assert!(
        error.contains("payload") && error.contains("index"),
        "{error}"
    );
    running.stop().await;
}

#[tokio::test]
async fn alerts_and_silences_survive_a_restart() {
    let server = hook(&[ok()]).await;
    let state = Arc::new(MemoryState::default());
    let mut waiting = config(&server, "group_interval: 1h", "");
    waiting.route.group_wait_ms = i64::MAX / 4;
    let first = Running::start(waiting, &state);
    first
        .notifier
        .receive(vec![alert("A", "1", false), alert("B", "1", false)]);
    let id = first
        .notifier
        .set_silence(Silence {
            id: String::new(),
            matchers: parse_matchers("alertname=B").expect("a matcher"),
            starts_at_ms: 0,
            ends_at_ms: time::now_ms() + 3_600_000,
            updated_at_ms: 0,
            created_by: "me".to_owned(),
            comment: "why".to_owned(),
        })
        .expect("a silence");
    // Nothing was told yet: the process dies between group_wait and sending.
    first.task.abort();
    drop(first.notifier);

    let second = Running::start(config(&server, "group_interval: 1h", ""), &state);
    let bodies = arrived(&server, 1).await;
    assert_eq!(bodies[0]["groupLabels"]["alertname"], "A");
    assert_eq!(
        second.notifier.silence(&id).expect("it is there").comment,
        "why"
    );
    let views = second.notifier.alerts();
    let silenced: Vec<bool> = views
        .iter()
        .map(|view| !view.silenced_by.is_empty())
        .collect();
    assert_eq!(silenced.iter().filter(|s| **s).count(), 1);
    second.notifier.expire_silence(&id).expect("it ends");
    assert!(
        second
            .notifier
            .alerts()
            .iter()
            .all(|view| view.silenced_by.is_empty())
    );
    assert_eq!(arrived(&server, 1).await.len(), 1);
    second.stop().await;
}

#[tokio::test]
async fn an_external_alertmanager_gets_what_prometheus_would_send() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/prefix/api/v2/alerts"))
        .respond_with(ok())
        .mount(&server)
        .await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let metrics = Metrics::default();
    let external = Arc::new(ExternalAlertmanagers::new(metrics.clone()));
    external
        .apply(vec![ExternalAlertmanager {
            url: format!("{}/prefix/api/v2/alerts", server.uri()),
            http: http_client::HttpClientConfig::default(),
            timeout: Duration::from_secs(10),
            relabel: Arc::new(|labels| (labels.get("alertname") != Some("B")).then_some(labels)),
        }])
        .expect("an address");
    let cancel = CancellationToken::new();
    let task = tokio::spawn(external.clone().run(cancel.clone()));
    external.receive(&[alert("A", "1", false), alert("B", "1", false)]);
    let bodies = arrived(&server, 1).await;
    assert_eq!(bodies[0].as_array().map(Vec::len), Some(1));
    assert_eq!(bodies[0][0]["labels"]["alertname"], "A");
    assert_eq!(bodies[0][0]["startsAt"], "2025-11-23T12:13:20.5Z");
    eventually("it is counted", || metrics.external_sent.get() == 1).await;
    assert_eq!(external.health()[0].sent, 1);
    cancel.cancel();
    task.await.expect("it stops");
}

#[tokio::test]
async fn a_heartbeat_beats_while_all_is_well() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/ping"))
        .respond_with(ok())
        .mount(&server)
        .await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ill = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let metrics = Metrics::default();
    let heartbeat = Arc::new(Heartbeat::new(
        Arc::new({
            let ill = ill.clone();
            move || {
                ill.load(std::sync::atomic::Ordering::Relaxed)
                    .then(|| "the disk is full".to_owned())
            }
        }),
        metrics.clone(),
    ));
    let text = format!("{{url: '{}/ping', every: 1s}}", server.uri());
    let config: HeartbeatConfig = yaml::from_str(&text, "y").expect("settings");
    config.check().expect("they are good");
    heartbeat.apply(Some(config));
    let cancel = CancellationToken::new();
    let task = tokio::spawn(heartbeat.clone().run(cancel.clone()));
    eventually("one is left out", || metrics.heartbeats_missed.get() > 0).await;
    let failing = heartbeat.failing().map(|(error, _)| error);
    assert_eq!(failing.as_deref(), Some("left out: the disk is full"));
    assert_eq!(
        server.received_requests().await.unwrap_or_default().len(),
        0
    );
    ill.store(false, std::sync::atomic::Ordering::Relaxed);
    eventually("one is sent", || metrics.heartbeats.get() > 0).await;
    cancel.cancel();
    task.await.expect("it stops");
}
