//! A Prometheus elsewhere sends its alerts here (skipped where Debian's prometheus is missing): to
//! both addresses of the API, and what it sends is told once, and told when it is over.

use std::fs;
use std::io::{ErrorKind, Write};
use std::process::{Child, Command, Stdio};

use crate::alerts::webhook;
use crate::appliance::{PATIENCE, Site};

/// Ends with the story.
struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_prometheus_sends_its_alerts() {
    let (url, bodies) = webhook();
    let site = Site::new();
    site.configure(&format!(
        "alertmanager:\n  \
         route: {{ receiver: hook, group_by: ['...'], group_wait: 0s, group_interval: 1s }}\n  \
         receivers: [{{ name: hook, webhook_configs: [{{ url: '{url}' }}] }}]\n"
    ));
    let yagura = site.start();
    let address = yagura.address.trim_start_matches("http://");
    let rules = site.path("p.rules.yml");
    // It fires for some seconds of each half minute and is over for the others.
    fs::write(
        &rules,
        "groups:\n  - name: g\n    interval: 1s\n    rules:\n      - alert: Sent\n        \
         expr: vector(1) unless on () (vector(time() % 30) > 12)\n        labels: { severity: critical }\n",
    )
    .expect("a rule file");
    fs::write(
        site.path("p.yml"),
        format!(
            "global: {{ external_labels: {{ cluster: far }} }}\nrule_files: [{:?}]\nalerting:\n  \
             alertmanagers:\n    - static_configs: [{{ targets: ['{address}'] }}]\n    \
             - path_prefix: /alertmanager\n      static_configs: [{{ targets: ['{address}'] }}]\n",
            rules.display().to_string()
        ),
    )
    .expect("a configuration");
    let started = Command::new("prometheus")
        .arg(format!("--config.file={}", site.path("p.yml").display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            site.path("tsdb").display()
        ))
        .arg("--web.listen-address=127.0.0.1:0")
        .stdout(Stdio::null())
        .stderr(fs::File::create(site.path("prometheus.log")).expect("a log"))
        .spawn();
    let _prometheus = match started {
        Ok(child) => Prometheus(child),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let _ = writeln!(std::io::stderr(), "skipped: there is no prometheus here");
            return;
        }
        Err(error) => panic!("prometheus does not start: {error}"),
    };
    let told = |status: &str| {
        let body = bodies.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            let log = fs::read_to_string(site.path("prometheus.log")).unwrap_or_default();
            panic!("not told that it is {status}:\n{log}\n{}", yagura.log())
        });
        assert_eq!(body["status"], status, "{body}");
        body
    };
    let body = told("firing");
    // Both addresses are one Yagura: the same alert came twice and is told once.
    assert_eq!(body["alerts"].as_array().map(Vec::len), Some(1));
    let labels = &body["alerts"][0]["labels"];
    assert_eq!(labels["alertname"], "Sent");
    assert_eq!(labels["cluster"], "far");
    let source = body["alerts"][0]["generatorURL"].as_str().expect("a link");
    assert!(source.contains("/graph?g0.expr="), "{source}");
    let fingerprint = body["alerts"][0]["fingerprint"].as_str().expect("one");
    assert_eq!(yagura.get(&format!("/alerts/{fingerprint}")).0, 200);
    told("resolved");
    let counts = yagura.get("/metrics").1;
    let received = counts
        .lines()
        .find_map(|line| line.strip_prefix("yagura_alert_notify_alerts_received_total "))
        .and_then(|count| count.parse::<f64>().ok());
    assert!(received >= Some(4.0), "from both addresses: {received:?}");
}
