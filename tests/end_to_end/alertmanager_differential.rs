//! Debian's prometheus-alertmanager and Yagura with the same configuration and the same alerts:
//! what arrives at webhooks must be the same (skipped where prometheus-alertmanager is missing).
//!
//! Each case is a route of its own below one root, so that all run at the same time in one process
//! each. Batches are compared by group, in order, with everything in them but times; the moments
//! of arrival may differ by [`TOLERANCE`].

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::alerts::webhook;
use crate::appliance::{PATIENCE, Site};

/// Machines that run tests are busy; a wrong timer of these cases would be off by more, or change
/// the number of batches.
const TOLERANCE: Duration = Duration::from_secs(8);

/// Long after the last batch that is expected.
const QUIET: Duration = Duration::from_secs(5);

/// Name, route below the case's matcher, settings of its webhook.
const CASES: &[(&str, &str, &str)] = &[
    ("grouping", "group_by: [alertname], group_wait: 1s", ""),
    ("each", "group_by: ['...'], group_wait: 1s", ""),
    ("together", "group_by: [], group_wait: 3s", ""),
    (
        "interval",
        "group_by: [alertname], group_wait: 1s, group_interval: 4s",
        "",
    ),
    (
        "resolved",
        "group_by: [alertname], group_wait: 0s, group_interval: 4s",
        "",
    ),
    (
        "unresolved",
        "group_by: [alertname], group_wait: 0s, group_interval: 4s",
        "send_resolved: false",
    ),
    (
        "repeated",
        "group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 3500ms",
        "",
    ),
    ("inhibited", "group_by: [alertname], group_wait: 1s", ""),
    ("silenced", "group_by: [], group_wait: 1s", ""),
    ("muted", "group_wait: 0s, mute_time_intervals: [always]", ""),
    (
        "inactive",
        "group_wait: 0s, active_time_intervals: [never]",
        "",
    ),
    (
        "active",
        "group_wait: 0s, active_time_intervals: [always, never]",
        "",
    ),
    ("continued", "group_wait: 1s, continue: true", ""),
    (
        "nested",
        "group_wait: 1s, routes: [{match_re: {team: 'a|b'}, group_by: [team]}, {match: {team: c}, group_by: [alertname, team]}]",
        "",
    ),
    ("truncated", "group_by: [], group_wait: 1s", "max_alerts: 2"),
    ("old", "group_by: [], group_wait: 5m", ""),
    (
        "flapping",
        "group_by: [alertname], group_wait: 0s, group_interval: 4s",
        "",
    ),
    (
        "forgotten",
        "group_by: [alertname], group_wait: 0s, group_interval: 1s",
        "",
    ),
];

fn configuration(url: &str) -> String {
    let mut routes = String::new();
    let mut receivers = String::from("  - name: nobody\n");
    for (name, route, hook) in CASES {
        let _ = writeln!(
            routes,
            "    - {{ receiver: {name}, matchers: ['case=\"{name}\"'], {route} }}"
        );
        let _ = writeln!(
            receivers,
            "  - {{ name: {name}, webhook_configs: [{{ url: '{url}', {hook} }}] }}"
        );
    }
    // The second route of the case that goes on.
    routes.push_str("    - { receiver: grouping, matchers: ['case=~\"conti.*\"'], group_by: [node], group_wait: 1s }\n");
    format!(
        "global: {{ resolve_timeout: 3s }}\nroute:\n  receiver: nobody\n  group_interval: 5m\n  repeat_interval: 1h\n  routes:\n{routes}receivers:\n{receivers}inhibit_rules:\n  - {{ source_matchers: ['case=inhibited', 'severity=critical'], target_matchers: ['case=inhibited', 'severity=warning'], equal: [node] }}\ntime_intervals:\n  - {{ name: always, time_intervals: [{{ months: ['1:12'] }}] }}\n  - {{ name: never, time_intervals: [{{ years: ['1999'] }}] }}\n"
    )
}

/// An alert of a case; `more` are further labels.
fn alert(case: &str, name: &str, node: &str, more: &[(&str, &str)]) -> Value {
    let mut labels = json!({"case": case, "alertname": name, "node": node});
    for (key, value) in more {
        labels[key] = json!(value);
    }
    json!({
        "labels": labels,
        "annotations": {"summary": format!("{name} burns"), "node": node},
        "generatorURL": "http://here/graph",
        "endsAt": "2099-01-01T00:00:00Z",
    })
}

fn over(mut alert: Value) -> Value {
    alert["startsAt"] = json!("2001-01-01T00:00:00Z");
    alert["endsAt"] = json!("2001-01-02T00:00:00Z");
    alert
}

/// What is posted, and how many seconds after the start.
fn stream() -> Vec<(u64, Value)> {
    let burn = |case: &str, node: &str| alert(case, "Burn", node, &[]);
    let mut first = vec![
        burn("grouping", "1"),
        burn("grouping", "2"),
        alert("grouping", "Smoke", "1", &[]),
        burn("each", "1"),
        burn("each", "2"),
        burn("together", "1"),
        burn("interval", "1"),
        burn("resolved", "1"),
        burn("resolved", "2"),
        burn("unresolved", "1"),
        burn("repeated", "1"),
        alert("inhibited", "Cause", "1", &[("severity", "critical")]),
        alert("inhibited", "Effect", "1", &[("severity", "warning")]),
        alert("inhibited", "Effect", "2", &[("severity", "warning")]),
        burn("silenced", "1"),
        burn("silenced", "2"),
        burn("muted", "1"),
        burn("inactive", "1"),
        burn("active", "1"),
        burn("continued", "1"),
        alert("nested", "Burn", "1", &[("team", "a")]),
        alert("nested", "Burn", "1", &[("team", "b")]),
        alert("nested", "Burn", "1", &[("team", "c")]),
        alert("nested", "Burn", "1", &[("team", "d")]),
        burn("flapping", "1"),
    ];
    first.extend(["1", "2", "3"].map(|node| burn("truncated", node)));
    let mut old = burn("old", "1");
    old["startsAt"] = json!("2020-01-01T00:00:00Z");
    first.push(old);
    let mut forgotten = burn("forgotten", "1");
    forgotten["endsAt"] = Value::Null;
    first.push(forgotten);
    vec![
        (0, Value::Array(first)),
        // Within the wait of one group, after that of another.
        (
            1,
            json!([burn("together", "2"), over(burn("flapping", "1"))]),
        ),
        (2, json!([burn("interval", "2"), burn("flapping", "1")])),
        (
            2,
            json!([over(burn("resolved", "1")), over(burn("unresolved", "1"))]),
        ),
    ]
}

fn post(address: &str, path: &str, body: &Value) {
    let answer = ureq::post(format!("{address}{path}"))
        .header("content-type", "application/json")
        .send(body.to_string());
    answer.unwrap_or_else(|error| panic!("{address}{path}: {error}"));
}

struct Peer {
    address: String,
    bodies: Receiver<Value>,
}

/// Receiver and group → what arrived, in order, without times; and when.
type Heard = BTreeMap<(String, String), Vec<(Value, Duration)>>;

fn listen(bodies: &Receiver<Value>, start: Instant) -> Heard {
    let mut heard = Heard::new();
    while let Ok(mut body) = bodies.recv_timeout(QUIET) {
        let at = start.elapsed();
        for alert in body["alerts"].as_array_mut().into_iter().flatten() {
            let ends_at = alert["endsAt"].take();
            alert["startsAt"] = Value::Null;
            // Whether it has ended is the same; when a time-out passed is not.
            alert["ended"] = json!(ends_at != json!("0001-01-01T00:00:00Z"));
        }
        if let Some(alerts) = body["alerts"].as_array_mut() {
            alerts.sort_by_key(ToString::to_string);
        }
        body["externalURL"] = Value::Null;
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        let key = (text("receiver"), text("groupKey"));
        let batches = heard.entry(key.clone()).or_default();
        // It goes on as long as somebody listens: enough is enough.
        if key.0 != "repeated" || batches.len() < 3 {
            batches.push((body, at));
        } else if at > Duration::from_secs(15) {
            break;
        }
    }
    heard
}

struct Alertmanager(Child);

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait_until_ready(address: &str) {
    let host = address.trim_start_matches("http://");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut answer = String::new();
        if let Ok(mut stream) = TcpStream::connect(host) {
            let _ = stream.write_all(b"GET /-/ready HTTP/1.0\r\nHost: localhost\r\n\r\n");
            let _ = stream.read_to_string(&mut answer);
        }
        if answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200") {
            return;
        }
        assert!(Instant::now() < deadline, "{address} is not ready");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn webhooks_hear_the_same_as_from_alertmanager() {
    let site = Site::new();
    let (their_url, their_bodies) = webhook();
    let (our_url, our_bodies) = webhook();
    std::fs::write(site.path("theirs.yml"), configuration(&their_url)).expect("a file");
    std::fs::write(site.path("ours.yml"), configuration(&our_url)).expect("a file");
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port();
    let child = Command::new("prometheus-alertmanager")
        .arg(format!(
            "--config.file={}",
            site.path("theirs.yml").display()
        ))
        .arg(format!("--storage.path={}", site.path("am-data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(child) = child else {
        eprintln!("skipped: prometheus-alertmanager is not installed");
        return;
    };
    let _alertmanager = Alertmanager(child);
    site.configure("alertmanager: ours.yml\n");
    let yagura = site.start();
    let peers = [
        Peer {
            address: format!("http://127.0.0.1:{port}"),
            bodies: their_bodies,
        },
        Peer {
            address: yagura.address.clone(),
            bodies: our_bodies,
        },
    ];
    wait_until_ready(&peers[0].address);
    let silence = json!({
        "matchers": [
            {"name": "case", "value": "silenced", "isRegex": false, "isEqual": true},
            {"name": "node", "value": "[2-9]", "isRegex": true, "isEqual": true},
        ],
        "startsAt": "2020-01-01T00:00:00Z",
        "endsAt": "2099-01-01T00:00:00Z",
        "createdBy": "me",
        "comment": "why",
    });
    for peer in &peers {
        post(&peer.address, "/api/v2/silences", &silence);
    }
    let start = Instant::now();
    let addresses = [peers[0].address.clone(), peers[1].address.clone()];
    let sender = std::thread::spawn(move || {
        for (at, alerts) in stream() {
            let wait = Duration::from_secs(at).saturating_sub(start.elapsed());
            std::thread::sleep(wait);
            for address in &addresses {
                post(address, "/api/v2/alerts", &alerts);
            }
        }
    });
    let [theirs, ours] = peers
        .map(|peer| std::thread::spawn(move || listen(&peer.bodies, start)))
        .map(|listener| listener.join().expect("somebody listens"));
    sender.join().expect("all was posted");

    let without_times = |heard: &Heard| -> BTreeMap<(String, String), Vec<Value>> {
        let bodies = |batches: &Vec<(Value, Duration)>| {
            batches.iter().map(|(body, _)| body.clone()).collect()
        };
        heard
            .iter()
            .map(|(key, batches)| (key.clone(), bodies(batches)))
            .collect()
    };
    let (a, b) = (without_times(&theirs), without_times(&ours));
    for key in a.keys().chain(b.keys()) {
        let show = |heard: &Heard| format!("{:#?}", heard.get(key));
        assert_eq!(
            a.get(key),
            b.get(key),
            "{key:?}\nAlertmanager: {}\nYagura: {}",
            show(&theirs),
            show(&ours)
        );
    }
    assert!(a.len() > 18, "{:?}", a.keys());
    for (key, batches) in &theirs {
        for ((_, their_time), (_, our_time)) in batches.iter().zip(&ours[key]) {
            assert!(
                their_time.abs_diff(*our_time) < TOLERANCE,
                "{key:?}: Alertmanager after {their_time:?}, Yagura after {our_time:?}"
            );
        }
    }
}
