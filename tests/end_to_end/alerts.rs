//! From a rule file to a webhook.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;

use crate::appliance::{PATIENCE, Site};
use crate::metrics::{scrape_config, target};

/// A webhook on a free port: its URL and the bodies that it gets.
pub(crate) fn webhook() -> (String, Receiver<Value>) {
    let (address, posts) = receiver();
    let (sender, bodies) = channel();
    std::thread::spawn(move || {
        for (_, body) in posts {
            if sender.send(body).is_err() {
                break;
            }
        }
    });
    (format!("{address}/hook"), bodies)
}

/// A server on a free port that takes whatever is posted: its address, and the path and body of
/// each request.
pub(crate) fn receiver() -> (String, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let (sender, posts) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut request = Vec::new();
            let mut part = [0u8; 8192];
            let post = loop {
                let Ok(n @ 1..) = stream.read(&mut part) else {
                    break None;
                };
                request.extend_from_slice(&part[..n]);
                let text = String::from_utf8_lossy(&request);
                let Some((head, body)) = text.split_once("\r\n\r\n") else {
                    continue;
                };
                let length = head
                    .lines()
                    .filter_map(|line| line.split_once(':'))
                    .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                    .and_then(|(_, value)| value.trim().parse::<usize>().ok());
                if Some(body.len()) == length {
                    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                    break serde_json::from_str(body).ok().map(|body| (path, body));
                }
            };
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            if let Some(post) = post {
                let _ = sender.send(post);
            }
        }
    });
    (address, posts)
}

#[test]
fn a_rule_fires_into_a_webhook() {
    let address = target(|_| "pump_heat{pump=\"north\"} 97.5\n".to_owned());
    let (url, bodies) = webhook();
    let site = Site::new();
    fs::write(
        site.path("pumps.rules.yml"),
        r"
groups:
  - name: pumps
    interval: 1s
    rules:
      - alert: PumpHot
        expr: pump_heat > 90
        for: 1s
        labels: { severity: critical }
        annotations:
          summary: 'Pump {{ $labels.pump }} is at {{ $value }} degrees'
",
    )
    .expect("a rule file");
    site.configure(&format!(
        "{}  rule_files: [\"*.rules.yml\"]\nalertmanager:\n  route: {{ receiver: hook, group_wait: 1s, group_by: [alertname] }}\n  receivers:\n    - name: hook\n      webhook_configs: [{{ url: \"{url}\" }}]\n",
        scrape_config("pumps", &address)
    ));
    let yagura = site.start();
    let body = bodies
        .recv_timeout(PATIENCE)
        .unwrap_or_else(|_| panic!("no notification:\n{}", yagura.log()));
    assert_eq!(body["version"], "4");
    assert_eq!(body["status"], "firing");
    assert_eq!(body["receiver"], "hook");
    assert_eq!(body["groupLabels"]["alertname"], "PumpHot");
    let alert = &body["alerts"][0];
    assert_eq!(alert["labels"]["severity"], "critical");
    assert_eq!(
        alert["annotations"]["summary"],
        "Pump north is at 97.5 degrees"
    );
    let rules = yagura.json("/api/v1/rules");
    let states: Vec<_> = rules["data"]["groups"]
        .as_array()
        .expect("groups")
        .iter()
        .filter(|group| group["name"] == "pumps")
        .map(|group| group["rules"][0]["state"].clone())
        .collect();
    assert_eq!(states, ["firing"]);
    let (_, page) = yagura.get("/alerts");
    assert!(page.contains("PumpHot"));
}
