//! Samples that come from other systems and go to them: one Yagura into another, and Debian's
//! Prometheus in both directions (skipped with a sentence where the program `prometheus` is
//! missing).

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use crate::appliance::{Site, encode, send_to};

/// A configuration that sends everything under a label of its own.
fn sending_to(url: &str) -> String {
    format!(
        "prometheus:\n  global: {{ scrape_interval: 1s, external_labels: {{ origin: story }} }}\n  \
         remote_write:\n  - url: {url}\n    protobuf_message: io.prometheus.write.v2.Request\n    \
         queue_config: {{ batch_send_deadline: 100ms, min_backoff: 10ms, max_backoff: 200ms }}\n    \
         write_relabel_configs: [{{ source_labels: [__name__], regex: go_.*, action: drop }}]\n"
    )
}

#[test]
fn one_yagura_writes_to_another_and_goes_on_when_that_was_away() {
    let (near, far) = (Site::new(), Site::new());
    let receiver = far.start();
    let address = receiver.address.clone();
    near.configure(&sending_to(&format!("{address}/api/v1/write")));
    let sender = near.start();
    let up = r#"up{job="node-exporter",origin="story"}"#;
    receiver.wait_for("a sample of the sender", |y| {
        y.value(up).filter(|v| *v == 1.0)
    });
    receiver.kill();
    sender.wait_for("a request that fails", |y| {
        let (_, text) = y.get("/metrics");
        let retries = |line: &&str| line.starts_with("yagura_remote_write_retries_total");
        text.lines()
            .find(retries)
            .filter(|line| !line.ends_with(" 0"))
            .map(|_| ())
    });
    let receiver = far.start_at(address.trim_start_matches("http://"));
    let after = format!("timestamp({up}) > {}", now_s());
    receiver.wait_for("a sample of now", |y| y.value(&after));
    // What was queued meanwhile came too: no hole as long as the receiver was away.
    let holes = r#"count_over_time(up{job="node-exporter",origin="story"}[1m])"#;
    assert!(receiver.value(holes).is_some_and(|n| n >= 2.0));
}

#[test]
fn remotes_come_change_and_go_with_a_reload() {
    let (near, far) = (Site::new(), Site::new());
    let receiver = far.start();
    let here = "prometheus: { global: { scrape_interval: 1s } }\n";
    near.configure(here);
    let sender = near.start();
    let reload = |config: &str| {
        near.configure(config);
        assert_eq!(sender.post("/-/reload", &[]).0, 200, "{}", sender.log());
        assert!(!sender.log().contains("restart Yagura"), "{}", sender.log());
    };
    let origin = |origin: &str| format!("up{{job=\"node-exporter\",origin={origin:?}}}");
    let arrives = |which: &str| {
        receiver.wait_for("a sample of the sender", |y| {
            y.value(&origin(which)).filter(|v| *v == 1.0)
        });
    };
    let with = sending_to(&format!("{}/api/v1/write", receiver.address));
    reload(&with);
    arrives("story");
    reload(&with.replace("origin: story", "origin: sequel"));
    arrives("sequel");
    // The remote itself changes: another label, and the same queue.
    let relabelled = with.replace(
        "action: drop }]",
        "action: drop }, { target_label: origin, replacement: end }]",
    );
    reload(&relabelled);
    arrives("end");
    let folder = || fs::read_dir(near.path("data/remote_write")).expect("lists");
    assert_eq!(folder().count(), 1);
    // A bad one leaves the good one.
    near.configure(&with.replace("v2.Request", "v3.Request"));
    let (status, why) = sender.post("/-/reload", &[]);
    assert!(
        status >= 400 && why.contains("protobuf_message"),
        "{status} {why}"
    );
    reload(here);
    sender.wait_for("the end of the remote", |y| {
        let gone = !y
            .get("/metrics")
            .1
            .contains("yagura_remote_write_queue_bytes{");
        (gone && folder().next().is_none()).then_some(())
    });
}

fn now_s() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs()
}

/// A Prometheus that ends with its story.
struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts Debian's Prometheus; `None`, and a sentence, where it is missing.
fn prometheus(site: &Site, address: &str, config: &str) -> Option<Prometheus> {
    let file = site.path("prometheus.yml");
    fs::write(&file, config).expect("a configuration file");
    let child = Command::new("prometheus")
        .arg(format!("--config.file={}", file.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            site.path("tsdb").display()
        ))
        .arg(format!("--web.listen-address={address}"))
        .arg("--web.enable-remote-write-receiver")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    match child {
        Ok(child) => Some(Prometheus(child)),
        Err(error) => {
            eprintln!("skipped: the program prometheus cannot be started: {error}");
            None
        }
    }
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

/// Needs Debian's prometheus.
#[test]
fn prometheus_writes_to_yagura() {
    let site = Site::new();
    let yagura = site.start();
    let address = free_address();
    let config = format!(
        "global: {{ scrape_interval: 1s }}\nscrape_configs:\n- job_name: itself\n  static_configs: \
         [{{ targets: [\"{address}\"] }}]\nremote_write:\n- url: {}/api/v1/write\n  \
         queue_config: {{ batch_send_deadline: 100ms }}\n",
        yagura.address
    );
    let Some(_prometheus) = prometheus(&site, &address, &config) else {
        return;
    };
    yagura.wait_for("what Prometheus says of itself", |y| {
        y.value(r#"up{job="itself"}"#).filter(|v| *v == 1.0)
    });
    yagura.wait_for("a counter that was sent", |y| {
        y.value(r#"count(prometheus_tsdb_head_samples_appended_total{job="itself"}) > 0"#)
    });
}

/// Needs Debian's prometheus.
#[test]
fn prometheus_reads_from_yagura() {
    let site = Site::new();
    site.configure("prometheus: { global: { scrape_interval: 1s } }\n");
    let yagura = site.start();
    let address = free_address();
    let config = format!(
        "remote_read:\n- url: {}/api/v1/read\n  read_recent: true\n",
        yagura.address
    );
    let Some(_prometheus) = prometheus(&site, &address, &config) else {
        return;
    };
    yagura.wait_for("samples of its own", |y| {
        y.value("count_over_time(up{job=\"node-exporter\"}[1m])")
            .filter(|n| *n >= 2.0)
    });
    // It has no samples of its own: what it answers it has from Yagura.
    let ask = |query: &str| {
        let path = format!("/api/v1/query?query={}", encode(query));
        let (status, answer) = send_to(&format!("http://{address}"), &path, &[], b"")?;
        (status == 200 && answer.contains("\"value\":[")).then_some(answer)
    };
    yagura.wait_for("an answer of Prometheus", |_| {
        ask("up{job=\"node-exporter\"} == 1")
    });
    let selected = "count({job=\"node-exporter\"})";
    let here = yagura.value(selected).expect("series");
    assert!(here > 50.0, "{here}");
    let there = ask(selected).expect("the same question there");
    let rate = "sum(rate(node_cpu_seconds_total[1m]))";
    assert!(ask(rate).is_some(), "{there}");
}

/// Needs Debian's prometheus.
#[test]
fn yagura_writes_to_prometheus() {
    let site = Site::new();
    let address = free_address();
    let Some(_prometheus) = prometheus(&site, &address, "global: {}\n") else {
        return;
    };
    let config = sending_to(&format!("http://{address}/api/v1/write"));
    // Prometheus before 2.54 knows the old version only.
    site.configure(&config.replace("    protobuf_message: io.prometheus.write.v2.Request\n", ""));
    let yagura = site.start();
    yagura.wait_for("samples that Prometheus has taken", |y| {
        let (_, text) = y.get("/metrics");
        let sent = text
            .lines()
            .find(|l| l.starts_with("yagura_remote_write_samples_total"))?;
        let n: f64 = sent.rsplit_once(' ')?.1.parse().ok()?;
        (n > 0.0).then_some(())
    });
    let query = "/api/v1/query?query=up%7Borigin%3D%22story%22%7D";
    let (status, answer) =
        send_to(&format!("http://{address}"), query, &[], b"").expect("Prometheus answers");
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("node-exporter"), "{answer}");
}
