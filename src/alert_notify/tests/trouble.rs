//! Receivers that hang, answer nonsense or ask for much, and texts that fail: the rest goes on.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// A server that reads a request and answers with bytes, however little they look like HTTP: with
/// the last of them from then on. The address and how often it was asked.
async fn raw(answers: Vec<Vec<u8>>) -> (String, Arc<std::sync::atomic::AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let answer = answers[n.min(answers.len() - 1)].clone();
            tokio::spawn(async move {
                let mut request = [0; 16 << 10];
                let _ = stream.read(&mut request).await;
                // The other side may have had enough.
                let _ = stream.write_all(&answer).await;
            });
        }
    });
    (url, asked)
}

const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

fn one_hook(url: &str, route: &str, more: &str) -> Config {
    let text = format!(
        "route: {{receiver: r, group_wait: 0s, {route}}}\nreceivers: [{{name: r, webhook_configs: [{{url: '{url}'}}]}}]\n{more}"
    );
    Config::parse(&text, "am.yml", Path::new(".")).expect("a configuration")
}

#[tokio::test]
async fn garbage_in_place_of_an_answer_is_named_and_asked_again() {
    let garbage = b"\x00\xffSSH-2.0-nothing like HTTP\r\n".to_vec();
    let broken = b"HTTP/1.1 200 OK\r\ncontent-le".to_vec();
    let (url, _) = raw(vec![garbage.clone(), broken, GOOD.to_vec()]).await;
    let running = Running::start(one_hook(&url, "group_interval: 1h", ""), &Arc::default());
    running.notifier.receive(vec![alert("A", "1", false)]);
    eventually("it is told", || running.metrics.notifications.get() == 1).await;
    assert_eq!(running.metrics.retries.get(), 2);
    assert_eq!(running.notifier.health()[0].last_error, "");
    running.stop().await;

    let (url, _) = raw(vec![garbage]).await;
    let running = Running::start(one_hook(&url, "group_interval: 1h", ""), &Arc::default());
    let test = running.notifier.test("r", Labels::empty()).await;
    let error = test.expect("a receiver")[0].result.clone();
    let error = error.expect_err("no answer");
    assert!(!error.is_empty() && !error.contains("/hook"), "{error}");
    running.stop().await;
}

#[tokio::test]
async fn an_endless_answer_is_read_as_far_as_it_matters() {
    let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    endless.extend(std::iter::repeat_n(0x07, 8 << 20));
    let (url, _) = raw(vec![endless]).await;
    let running = Running::start(one_hook(&url, "group_interval: 1h", ""), &Arc::default());
    let test = running.notifier.test("r", Labels::empty()).await;
    let answer = test.expect("a receiver")[0].result.clone();
    let answer = answer.expect("its status was good");
    assert_eq!(answer.status, 200);
    assert!(answer.text.len() <= 4 << 10, "{}", answer.text.len());
    running.stop().await;
}

#[tokio::test]
async fn a_hanging_receiver_is_named_and_the_others_are_told_at_once() {
    let slow = ok().set_delay(Duration::from_hours(1));
    let (hanging, good) = (hook(&[slow, ok()]).await, hook(&[ok()]).await);
    let text = format!(
        "route: {{receiver: h, group_wait: 0s, group_interval: 1h, routes: [{{receiver: h, continue: true}}, {{receiver: g}}]}}\nreceivers: [{{name: h, webhook_configs: [{{url: '{}/hook', timeout: 1s}}]}}, {{name: g, webhook_configs: [{{url: '{}/hook'}}]}}]\n",
        hanging.uri(),
        good.uri()
    );
    let config = Config::parse(&text, "am.yml", Path::new(".")).expect("a configuration");
    let running = Running::start(config, &Arc::default());
    let h = || {
        let all = running.notifier.health();
        all.into_iter().find(|h| h.receiver == "h").expect("h")
    };
    running.notifier.receive(vec![alert("A", "1", false)]);
    arrived(&good, 1).await;
    eventually("it is named", || {
        h().last_error.contains("no answer in time")
    })
    .await;
    // It is asked again, and then it is told, once.
    eventually("it is told", || h().sent == 1).await;
    assert_eq!((h().retries, h().failed), (1, 0));
    assert_eq!(h().last_error, "");
    assert_eq!(arrived(&hanging, 2).await.len(), 2);
    running.stop().await;
}

#[tokio::test]
async fn a_receiver_that_asks_for_an_age_is_told_with_the_next_turn() {
    let busy = ResponseTemplate::new(429)
        .insert_header("retry-after", "9000000000000000000")
        .set_body_string("<html>busy</html>");
    let server = hook(&[busy, ok()]).await;
    let route = "group_interval: 100ms";
    let running = Running::start(config(&server, route, ""), &Arc::default());
    running.notifier.receive(vec![alert("A", "1", false)]);
    eventually("it is told", || running.metrics.notifications.get() == 1).await;
    assert_eq!(running.metrics.notifications_failed.get(), 1);
    assert_eq!(running.metrics.retries.get(), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_receiver_that_asks_for_no_pause_is_not_asked_without_end() {
    let again =
        b"HTTP/1.1 429 Busy\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let (url, asked) = raw(vec![again.to_vec()]).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = http_client::Clients::default().client(&http_client::HttpClientConfig::default());
    let address = crate::receivers::Address(url::Url::parse(&url).expect("a URL"));
    let call = crate::receivers::Call::json(address, &json!({})).expect("JSON");
    let outgoing = crate::receivers::Outgoing::Http(vec![call]);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(1);
    let result = crate::send::deliver(&client, &outgoing, None, deadline, |_| ()).await;
    let error = result.expect_err("it is busy");
    assert!(
        error.contains("429") && error.contains("given up"),
        "{error}"
    );
    // Half a second, then half as long again: the third attempt would come too late.
    let asked = asked.load(std::sync::atomic::Ordering::Relaxed);
    assert!((1..=2).contains(&asked), "{asked}");
}

#[tokio::test]
async fn evidence_that_panics_costs_only_itself() {
    let server = hook(&[ok()]).await;
    let running = Running::start(config(&server, "group_interval: 1h", ""), &Arc::default());
    running.notifier.know_evidence(Arc::new(|_| panic!("lost")));
    running.notifier.receive(vec![alert("A", "1", false)]);
    let bodies = arrived(&server, 1).await;
    assert_eq!(bodies[0]["alerts"][0]["labels"]["alertname"], "A");
    running.stop().await;
}

#[tokio::test]
async fn a_template_that_calls_itself_is_the_matter_of_its_receiver_only() {
    let server = hook(&[ok()]).await;
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("loop.tmpl");
    std::fs::write(
        &file,
        r#"{{ define "loop" }}{{ template "loop" . }}{{ end }}"#,
    )
    .expect("a file");
    let text = format!(
        "templates: ['{1}']\nroute: {{receiver: r, group_wait: 0s, group_interval: 1h}}\nreceivers: [{{name: r, webhook_configs: [{{url: '{0}/hook', payload: {{x: '{{{{ template \"loop\" . }}}}'}}}}, {{url: '{0}/hook'}}]}}]\n",
        server.uri(),
        file.display()
    );
    let config = Config::parse(&text, "am.yml", dir.path()).expect("a configuration");
    let running = Running::start(config, &Arc::default());
    running.notifier.receive(vec![alert("A", "1", false)]);
    arrived(&server, 1).await;
    eventually("one failed", || running.notifier.health()[0].failed == 1).await;
    eventually("one is told", || running.notifier.health()[1].sent == 1).await;
    let error = running.notifier.health()[0].last_error.clone();
    assert!(error.contains("nested deeper"), "{error}");
    running.stop().await;
}
