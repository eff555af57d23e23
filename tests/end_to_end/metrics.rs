//! Samples from scrape to chart, over Prometheus' API.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::appliance::Site;

/// A target on a free port that answers every request with what `page` gives.
pub(crate) fn target(page: impl Fn(u64) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let asked = Arc::new(AtomicU64::new(0));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut request = [0u8; 4096];
            let _ = stream.read(&mut request);
            let body = page(asked.fetch_add(1, Ordering::SeqCst));
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    address
}

pub(crate) fn scrape_config(job: &str, address: &str) -> String {
    format!(
        "prometheus:\n  global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}\n  \
         scrape_configs:\n    - job_name: {job}\n      static_configs: [{{ targets: [\"{address}\"] }}]\n"
    )
}

#[test]
fn a_scraped_counter_becomes_a_rate() {
    let address = target(|n| {
        format!(
            "# HELP pump_strokes_total Strokes of the pump.\n# TYPE pump_strokes_total counter\n\
             pump_strokes_total{{pump=\"north\"}} {}\npump_heat 4.5\n",
            n * 10
        )
    });
    let site = Site::new();
    site.configure(&scrape_config("pumps", &address));
    let yagura = site.start();
    let rate = yagura.wait_for("a rate", |y| {
        y.value("sum by (pump) (rate(pump_strokes_total{pump=\"north\"}[30s]))")
            .filter(|rate| *rate > 1.0)
    });
    assert!(rate < 30.0, "ten strokes a scrape, not {rate} a second");
    let labels = &yagura.query("pump_heat")[0]["metric"];
    assert_eq!(labels["job"], "pumps");
    assert_eq!(labels["instance"], address.as_str());

    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let range = yagura.json(&format!(
        "/api/v1/query_range?query=pump_strokes_total&start={}&end={now}&step=1",
        now - 60
    ));
    assert_eq!(range["data"]["resultType"], "matrix");
    let points = range["data"]["result"][0]["values"]
        .as_array()
        .expect("points");
    assert!(points.len() >= 2, "{range}");

    let metadata = yagura.json("/api/v1/metadata?metric=pump_strokes_total");
    assert_eq!(
        metadata["data"]["pump_strokes_total"][0]["help"],
        "Strokes of the pump."
    );
    let names = yagura.json("/api/v1/label/__name__/values");
    let names = names["data"].as_array().expect("names");
    assert!(names.iter().any(|name| name == "pump_heat"));
    assert!(names.iter().any(|name| name == "node_load1"));
    let targets = yagura.json("/api/v1/targets");
    let active = targets["data"]["activeTargets"]
        .as_array()
        .expect("targets");
    assert!(
        active
            .iter()
            .any(|t| t["scrapePool"] == "pumps" && t["health"] == "up"),
        "{targets}"
    );
}

#[test]
fn this_machine_and_yagura_itself_are_there_without_configuration() {
    let site = Site::new();
    let yagura = site.start();
    assert!(
        yagura.first_line.contains("scraping 2 targets"),
        "{}",
        yagura.first_line
    );
    yagura.wait_for("the host", |y| {
        y.value("node_memory_MemTotal_bytes{job=\"node-exporter\"}")
    });
    yagura.wait_for("Yagura's own metrics", |y| {
        y.value("process_resident_memory_bytes{job=\"yagura\"}")
    });
    assert_eq!(yagura.value("count(up == 0)"), None);
}
