//! Bad input of any kind: a clear message, a counter, and the rest goes on.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;

use crate::appliance::{Site, append, encode};
use crate::metrics::target;

#[test]
fn bad_log_files_do_not_stop_the_good_one() {
    let site = Site::new();
    fs::write(
        site.path("logs/binary.log"),
        [0u8, 1, 2, 0, 0, 255].repeat(5000),
    )
    .expect("written");
    let mut long = vec![b'x'; 10 << 20];
    long.extend_from_slice(b"\nafter the long line\n");
    fs::write(site.path("logs/long.log"), long).expect("written");
    fs::write(site.path("logs/latin.log"), b"caf\xe9 is closed\n").expect("written");
    append(&site.path("logs/good.log"), ["a good line".to_owned()]);
    let yagura = site.start();
    yagura.wait_for("the good line", |y| y.logs("\"good line\"", 1).pop());
    yagura.wait_for("the line behind the long one", |y| {
        y.logs("\"after the long line\"", 1).pop()
    });
    let latin = yagura.wait_for("the line in Latin-1", |y| y.logs("closed", 1).pop());
    assert_eq!(latin["message"], "caf\u{fffd} is closed");
    let cut = yagura
        .logs("cut", 10)
        .into_iter()
        .find(|r| r["message"].as_str().is_some_and(|m| m.starts_with("xxx")));
    assert!(cut.is_some(), "the long line is there, with a mark");
    let (_, page) = yagura.get("/targets");
    assert!(
        page.contains("binary.log") && page.contains("binary"),
        "{page}"
    );
}

#[test]
fn bad_targets_do_not_stop_the_good_one() {
    let good = target(|_| "pump_heat 1\n".to_owned());
    let garbage = target(|_| "<html>this is no metrics page</html>\n".to_owned());
    let flood = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let mut request = [0u8; 4096];
                let _ = stream.read(&mut request);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
                let line = "flood_metric 1\n".repeat(70_000);
                // About 100 MB; the reader gives up long before.
                for _ in 0..100 {
                    if stream.write_all(line.as_bytes()).is_err() {
                        break;
                    }
                }
            }
        });
        address
    };
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let silent_address = silent.local_addr().expect("an address").to_string();
    let site = Site::new();
    site.configure(&format!(
        "prometheus:\n  global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\n  scrape_configs:\n    \
         - job_name: mixed\n      static_configs: [{{ targets: [\"{good}\", \"{garbage}\", \"{flood}\", \"{silent_address}\", \"127.0.0.1:1\"] }}]\n"
    ));
    let yagura = site.start();
    yagura.wait_for("one good and four bad targets", |y| {
        let up = y.query(&format!("up{{job=\"mixed\",instance=\"{good}\"}} == 1"));
        (up.len() == 1 && y.value("count(up{job=\"mixed\"} == 0)") == Some(4.0)).then_some(())
    });
    let targets = yagura.json("/api/v1/targets");
    let reason = |address: &str| -> String {
        targets["data"]["activeTargets"]
            .as_array()
            .expect("targets")
            .iter()
            .find(|t| t["labels"]["instance"] == address)
            .and_then(|t| t["lastError"].as_str())
            .unwrap_or_default()
            .to_owned()
    };
    assert!(
        reason("127.0.0.1:1").contains("refused"),
        "{}",
        reason("127.0.0.1:1")
    );
    assert!(reason(&garbage).contains("line 1"), "{}", reason(&garbage));
    assert!(!reason(&flood).is_empty() && !reason(&silent_address).is_empty());
}

#[test]
fn a_rule_with_a_syntax_error_is_named_and_the_others_work() {
    let site = Site::new();
    fs::write(
        site.path("bad.rules.yml"),
        "groups:\n  - name: broken\n    rules:\n      - alert: Broken\n        expr: sum(rate(up[5m)\n",
    )
    .expect("written");
    fs::write(
        site.path("good.rules.yml"),
        "groups:\n  - name: works\n    rules:\n      - record: one\n        expr: vector(1)\n",
    )
    .expect("written");
    site.configure(
        "prometheus: { global: { evaluation_interval: 1s }, rule_files: [\"*.rules.yml\"] }\n",
    );
    let yagura = site.start();
    yagura.wait_for("the good rule", |y| y.value("one"));
    let (_, page) = yagura.get("/status");
    assert!(
        page.contains("bad.rules.yml"),
        "the Status page names the file"
    );
}

#[test]
fn bad_queries_get_answers_like_prometheus() {
    let site = Site::new();
    let yagura = site.start();
    for query in ["sum(", "up{", "nosuchfunction(up)", "up[5m", "1 +"] {
        let (status, text) = yagura.get(&format!("/api/v1/query?query={}", encode(query)));
        assert_eq!(status, 400, "{query}: {text}");
        assert!(text.contains("\"errorType\":\"bad_data\""), "{text}");
    }
    assert_eq!(yagura.get("/-/healthy").0, 200);
}
