//! Lines over the network: every protocol finds its way, what is bad is refused with a reason,
//! and what was acknowledged is there exactly once after kill -9.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::appliance::{Appliance, Site, send_to};

const JSON: (&str, &str) = ("content-type", "application/json");

/// Nanoseconds since 1970 of this moment.
fn now_ns() -> u128 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_nanos()
}

/// The only record that a query finds.
fn found(yagura: &Appliance, query: &str) -> Value {
    yagura.wait_for(query, |y| match y.logs(query, 3).as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        more => panic!("{query} finds {} lines", more.len()),
    })
}

/// A protobuf field of bytes: key, length, content.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    varint(&mut out, content.len() as u128);
    out.extend_from_slice(content);
    out
}

fn varint(out: &mut Vec<u8>, mut number: u128) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A block of snappy that compresses nothing: the size, then literals.
fn snappy(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, bytes.len() as u128);
    for piece in bytes.chunks(60) {
        out.push((piece.len() as u8 - 1) << 2);
        out.extend_from_slice(piece);
    }
    out
}

#[test]
fn loki_pushes_of_both_kinds_are_found() {
    let site = Site::new();
    let yagura = site.start();
    let body = format!(
        r#"{{"streams":[{{"stream":{{"app":"web","env":"test"}},"values":[["{}","a line in JSON",{{"trace_id":"ab12"}}]]}}]}}"#,
        now_ns()
    );
    let answer = yagura.send("/loki/api/v1/push", &[JSON], body.as_bytes());
    assert_eq!(answer, Some((204, String::new())));
    let record = found(&yagura, "app:web trace_id:ab12");
    assert_eq!(record["message"], "a line in JSON", "{record}");

    let mut time = vec![0x08];
    varint(&mut time, now_ns() / 1_000_000_000);
    let entry = [field(1, &time), field(2, b"a line in protobuf")].concat();
    let stream = [field(1, br#"{app="agent"}"#), field(2, &entry)].concat();
    let body = snappy(&field(1, &stream));
    let headers = [("content-type", "application/x-protobuf")];
    let answer = yagura.send("/loki/api/v1/push", &headers, &body);
    assert_eq!(answer, Some((204, String::new())));
    let record = found(&yagura, "app:agent");
    assert_eq!(record["message"], "a line in protobuf", "{record}");
    let lines = yagura.get("/metrics").1;
    let counted = "yagura_receive_lines_total{protocol=\"loki\"} 2";
    assert!(lines.contains(counted), "{lines}");
    let (_, targets) = yagura.get("/targets");
    assert!(targets.contains("loki push from 127.0.0.1"), "{targets}");
}

#[test]
fn otlp_bulk_and_json_lines_are_found() {
    let site = Site::new();
    let yagura = site.start();
    let body = format!(
        r#"{{"resourceLogs":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"checkout"}}}}]}},"scopeLogs":[{{"logRecords":[{{"timeUnixNano":"{}","severityNumber":17,"body":{{"stringValue":"payment failed"}},"attributes":[{{"key":"order","value":{{"intValue":"42"}}}}]}}]}}]}}]}}"#,
        now_ns()
    );
    let answer = yagura.send("/v1/logs", &[JSON], body.as_bytes());
    assert_eq!(answer, Some((200, "{}".to_owned())));
    let record = found(&yagura, "service_name:checkout level:error order:42");
    assert_eq!(record["message"], "payment failed", "{record}");

    // What Filebeat asks before it sends, and what it sends then.
    let hello = ureq::get(format!("{}/", yagura.address))
        .header("accept", "application/json")
        .call()
        .expect("an answer");
    assert_eq!(hello.headers()["x-elastic-product"], "Elasticsearch");
    assert!(yagura.json("/_license")["license"]["type"] == "basic");
    assert_eq!(yagura.get("/_index_template/filebeat").0, 200);
    let (_, page) = yagura.get("/");
    assert!(page.contains("<html"), "browsers get the page");
    let body = concat!(
        r#"{"create":{"_index":"filebeat-8.17.0"}}"#,
        "\n",
        r#"{"message":"a document","host":{"name":"h1"},"agent":{"type":"filebeat"}}"#,
        "\n",
        r#"{"create":{"_index":"filebeat-8.17.0"}}"#,
        "\n{oops\n",
    );
    let headers = [("content-type", "application/x-ndjson")];
    let (status, text) = yagura
        .send("/_bulk", &headers, body.as_bytes())
        .expect("an answer");
    assert_eq!(status, 200, "{text}");
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(answer["errors"], true, "{text}");
    assert_eq!(answer["items"][0]["create"]["status"], 201, "{text}");
    assert_eq!(answer["items"][1]["create"]["status"], 400, "{text}");
    let record = found(&yagura, "host:h1 agent.type:filebeat");
    assert_eq!(record["message"], "a document", "{record}");

    let path = "/api/v1/logs/push?_stream_fields=team&extra_fields=env%3Dtest";
    let body = "{\"msg\":\"a JSON line\",\"team\":\"shop\",\"n\":7}\n";
    let (status, text) = yagura.send(path, &[], body.as_bytes()).expect("an answer");
    assert_eq!(
        (status, text.as_str()),
        (200, r#"{"lines":1,"status":"success"}"#)
    );
    let record = found(&yagura, "team:shop env:test n:7");
    assert_eq!(record["message"], "a JSON line", "{record}");
}

#[test]
fn what_is_bad_is_refused_with_a_reason() {
    let site = Site::new();
    site.configure("receive: { body: 4KiB, inflated_body: 8KiB, line: 4KiB }\n");
    let yagura = site.start();
    let check = |headers: &[(&str, &str)], body: &[u8], status: u16, why: &str| {
        let answer = yagura.send("/loki/api/v1/push", headers, body);
        let (found, text) = answer.expect("an answer");
        assert_eq!(found, status, "{text}");
        assert!(text.contains(why), "{text}");
    };
    check(&[JSON], b"{\"streams\":7}", 400, "line 1 column 12");
    check(&[("content-type", "text/csv")], b"a,b", 415, "text/csv");
    check(&[JSON, ("content-encoding", "br")], b"{}", 415, "\"br\"");
    check(&[JSON, ("content-encoding", "gzip")], b"{}", 400, "gzip");
    check(&[JSON], &[b' '; 5000], 413, "receive.body");
    let foreign = ("origin", "http://evil.example");
    check(&[JSON, foreign], b"{\"streams\":[]}", 403, "may not change");
    assert!(yagura.logs("", 1).is_empty());
}

#[test]
fn syslog_of_logger_is_found() {
    let site = Site::new();
    site.configure("syslog: { udp: \"127.0.0.1:0\", tcp: \"127.0.0.1:0\" }\n");
    let yagura = site.start();
    let port = |protocol: &str| {
        let log = yagura.log();
        let line = log
            .lines()
            .find(|line| line.contains("listening for syslog") && line.contains(protocol))
            .unwrap_or_else(|| panic!("no {protocol} in {log}"));
        let digits = line.split("127.0.0.1:").nth(1).expect("an address");
        let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
        digits
    };
    for (protocol, arguments) in [
        ("udp", &["-d", "--rfc5424", "-t", "sixtyone"][..]),
        ("udp", &["-d", "--rfc3164", "-t", "sixtytwo"]),
        ("tcp", &["-T", "--rfc5424", "-t", "sixtythree"]),
        ("tcp", &["-T", "--octet-count", "-i", "-t", "sixtyfour"]),
    ] {
        let sent = Command::new("logger")
            .args(["-n", "127.0.0.1", "-P", &port(protocol), "-p", "daemon.err"])
            .args(arguments)
            .arg("the disk is full")
            .status()
            .expect("logger is installed");
        assert!(sent.success(), "{arguments:?}");
        let app = arguments.last().expect("a tag");
        let record = found(&yagura, &format!("app:{app} level:error facility:daemon"));
        assert_eq!(record["message"], "the disk is full", "{record}");
    }
}

const SENDERS: usize = 4;

/// Each sends lines one by one until the process is gone; returns what was acknowledged.
fn send_until_gone(address: &str, round: usize, acknowledged: &AtomicUsize) -> BTreeSet<String> {
    let one = |sender: usize| {
        let mut taken = BTreeSet::new();
        for n in 0.. {
            let line = format!("r{round}s{sender}n{n:05}");
            let body = format!(
                r#"{{"streams":[{{"stream":{{"app":"kill","sender":"{sender}"}},"values":[["{}","{line}"]]}}]}}"#,
                now_ns()
            );
            match send_to(address, "/loki/api/v1/push", &[JSON], body.as_bytes()) {
                Some((204, _)) => {
                    taken.insert(line);
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                }
                Some((status, text)) => panic!("{status} {text}"),
                None => break,
            }
        }
        taken
    };
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| scope.spawn(move || one(sender)))
            .collect();
        senders
            .into_iter()
            .flat_map(|sender| sender.join().expect("a sender"))
            .collect()
    })
}

#[test]
fn what_was_acknowledged_is_there_exactly_once_after_kills() {
    const ROUNDS: usize = 3;
    let site = Site::new();
    let mut acknowledged = BTreeSet::new();
    for round in 0..ROUNDS {
        let yagura = site.start();
        let address = yagura.address.clone();
        let count = Arc::new(AtomicUsize::new(0));
        let senders = {
            let count = count.clone();
            std::thread::spawn(move || send_until_gone(&address, round, &count))
        };
        yagura.wait_for("acknowledged lines", |_| {
            (count.load(Ordering::SeqCst) >= 150).then_some(())
        });
        yagura.kill();
        acknowledged.extend(senders.join().expect("the senders end"));
    }
    let yagura = site.start();
    yagura.wait_for("the journal to be handed over", |y| {
        let all = y.logs("app:kill", 10_000).len();
        (all >= acknowledged.len()).then_some(())
    });
    let mut times_found: BTreeMap<String, usize> = BTreeMap::new();
    for record in yagura.logs("app:kill", 10_000) {
        let message = record["message"].as_str().expect("a message").to_owned();
        *times_found.entry(message).or_default() += 1;
    }
    let doubled: Vec<_> = times_found.iter().filter(|(_, n)| **n != 1).collect();
    assert!(doubled.is_empty(), "found more than once: {doubled:?}");
    let lost: Vec<_> = acknowledged
        .iter()
        .filter(|line| !times_found.contains_key(*line))
        .collect();
    assert!(lost.is_empty(), "acknowledged and gone: {lost:?}");
    // Beside them at most what was on its way when the process was killed.
    let unasked = times_found.len() - acknowledged.len();
    assert!(
        unasked <= ROUNDS * SENDERS,
        "{unasked} more than acknowledged"
    );
}
