//! Lists of targets from files, servers and records.

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_resolver::proto::rr::rdata::{A, AAAA, MX, SRV};
use hickory_resolver::proto::rr::{Name, RData};
use tokio::time::{Duration, Instant};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

fn shown(groups: &[TargetGroup]) -> Vec<String> {
    let of_group = |group: &TargetGroup| {
        let addresses: Vec<&str> = group.targets.iter().map(|t| &*t["__address__"]).collect();
        let labels: Vec<String> = group
            .labels
            .iter()
            .filter(|(name, _)| !name.starts_with("__meta"))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        format!("{} {}", addresses.join(","), labels.join(","))
    };
    groups.iter().map(of_group).collect()
}

#[test]
fn files_are_read_when_they_change_and_broken_ones_keep_their_targets() {
    let dir = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).expect("it can be written");
    };
    let patterns = [
        dir.path().join("*.yml").display().to_string(),
        dir.path().join("b.json").display().to_string(),
    ];
    write(
        "a1.yml",
        "- targets: ['h:1', 'h:2']\n  labels: {env: prod}\n",
    );
    write("b.json", r#"[{"targets": ["h:3"]}]"#);
    write(".hidden.yml", "- targets: ['h:9']\n");
    let mut files = file::Files::default();
    assert_eq!(files.look(&patterns, false), Ok(()));
    assert_eq!(shown(&files.groups()), ["h:1,h:2 env=prod", "h:3 "]);
    let path = &files.groups()[0].labels["__meta_filepath"];
    assert!(path.ends_with("/a1.yml"), "{path}");

    write("a1.yml", "- targets: ['h:1'\n");
    let error = files.look(&patterns, false).expect_err("a broken file");
    assert!(error.contains("a1.yml"), "{error}");
    assert_eq!(shown(&files.groups()), ["h:1,h:2 env=prod", "h:3 "]);
    // It goes on being said while the file stays as it is.
    assert!(files.look(&patterns, false).is_err());

    write("a1.yml", "- targets: ['h:4']\n");
    write("a2.yml", "");
    assert_eq!(files.look(&patterns, false), Ok(()));
    assert_eq!(shown(&files.groups()), ["h:4 ", "h:3 "]);

    std::fs::remove_file(dir.path().join("a1.yml")).expect("it can be removed");
    std::fs::remove_file(dir.path().join("b.json")).expect("it can be removed");
    let error = files.look(&patterns, false).expect_err("a missing file");
    assert!(error.contains("b.json"), "{error}");
    // What a pattern no longer finds is gone; a file that is named stays as it was.
    assert_eq!(shown(&files.groups()), ["h:3 "]);
}

#[tokio::test]
async fn servers_are_asked_and_their_failures_keep_the_targets() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_json(
            serde_json::json!([{"targets": ["h:1"], "labels": {"__meta_a": "b", "x": "y"}}]),
        ))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(503))
        .mount(&server)
        .await;
    let job: ScrapeConfig = serde_saphyr::from_str(&format!(
        "{{job_name: j, http_sd_configs: [{{url: '{}/list?token=s3cret', refresh_interval: 20ms}}]}}",
        server.uri()
    ))
    .expect("a good job");
    let discovery = of_job(&job, &Clients::default()).remove(0);
    assert!(!discovery.name().contains("s3cret"), "{}", discovery.name());
    let found = Found::new(Arc::default(), Metrics::default());
    let task = tokio::spawn(discovery.run(found.clone()));
    let deadline = Instant::now() + Duration::from_secs(30);
    while found.state("j", String::new()).error.is_empty() {
        assert!(Instant::now() < deadline, "{found:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    task.abort();
    let state = found.state("j", String::new());
    assert!(
        state.error.ends_with("answered 503 Service Unavailable"),
        "{state:?}"
    );
    assert_eq!(state.targets, 1);
    assert_eq!(shown(&found.groups()), ["h:1 x=y"]);
}

#[test]
fn records_become_addresses_and_labels() {
    let name = |text: &str| Name::from_ascii(text).expect("a good name");
    let check = |data: RData, address: &str, label: (&str, &str)| {
        let labels = dns::target("svc.example", &data, 9100).expect("a target");
        assert_eq!(labels["__address__"], address);
        assert_eq!(labels["__meta_dns_name"], "svc.example");
        assert_eq!(labels[label.0], label.1);
    };
    check(
        RData::SRV(SRV::new(0, 0, 8080, name("a.example."))),
        "a.example:8080",
        ("__meta_dns_srv_record_target", "a.example."),
    );
    check(
        RData::MX(MX::new(10, name("mail.example."))),
        "mail.example:9100",
        ("__meta_dns_mx_record_target", "mail.example."),
    );
    let own = ("__meta_dns_name", "svc.example");
    check(RData::A(A(Ipv4Addr::LOCALHOST)), "127.0.0.1:9100", own);
    check(RData::AAAA(AAAA(Ipv6Addr::LOCALHOST)), "[::1]:9100", own);
    let text = RData::CNAME(hickory_resolver::proto::rr::rdata::CNAME(name("b.")));
    assert_eq!(dns::target("svc.example", &text, 1), None);
}
