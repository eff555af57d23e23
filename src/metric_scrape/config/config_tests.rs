//! Configurations good and bad.

use http_client::Secret;
use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    global: GlobalConfig,
    #[serde(default)]
    scrape_configs: Vec<ScrapeConfig>,
}

fn load(yaml: &str) -> Result<File, String> {
    let file: File = serde_saphyr::from_str(yaml).map_err(|error| error.to_string())?;
    check(&file.global, &file.scrape_configs).map_err(|error| error.to_string())?;
    Ok(file)
}

#[test]
fn reads_a_usual_file() {
    let file = load(
        r#"
global:
  scrape_interval: 15s
  external_labels: { cluster: a }
scrape_configs:
  - job_name: prometheus
    static_configs:
      - targets: ["localhost:9090", "10.0.0.3:9100"]
        labels: { env: prod, number: 1 }
  - job_name: secure
    scrape_interval: 1m
    scrape_timeout: 20s
    scheme: https
    metrics_path: /m
    params: { module: [a, b] }
    honor_labels: true
    honor_timestamps: false
    basic_auth: { username: me, password: hunter2 }
    tls_config: { insecure_skip_verify: true, min_version: TLS12 }
    relabel_configs:
      - { source_labels: [__address__], target_label: host }
    metric_relabel_configs:
      - { regex: id, action: labeldrop }
    sample_limit: 1000
    body_size_limit: 10MB
    follow_redirects: false
    enable_compression: false
    scrape_protocols: [PrometheusText0.0.4]
    fallback_scrape_protocol: PrometheusText0.0.4
"#,
    )
    .expect("a good file");
    let [plain, secure] = &file.scrape_configs[..] else {
        panic!("two jobs: {file:?}");
    };
    assert_eq!(plain.scrape_interval(&file.global).as_secs(), 15);
    assert_eq!(plain.scrape_timeout(&file.global).as_secs(), 10);
    assert_eq!(plain.static_configs[0].labels["number"], "1");
    assert_eq!(secure.scrape_timeout(&file.global).as_secs(), 20);
    assert_eq!(secure.body_size_limit, Some(Size(10 << 20)));
    assert_eq!(secure.http_client().follow_redirects, Some(false));
    assert_eq!(plain.enable_compression, None);
}

#[test]
fn never_shows_secrets() {
    let file = load(
        "scrape_configs:\n- job_name: a\n  basic_auth: {username: me, password: hunter2}\n\
         - {job_name: b, bearer_token: hunter3}\n",
    )
    .expect("a good file");
    let shown = serde_saphyr::to_string(&file.scrape_configs).expect("it serialises");
    for text in [format!("{file:?}"), shown] {
        assert!(!text.contains("hunter"), "{text}");
        assert!(text.contains("<secret>"), "{text}");
    }
    let password = file.scrape_configs[0]
        .basic_auth
        .as_ref()
        .expect("it is there");
    assert_eq!(
        password.password.as_ref().map(Secret::reveal),
        Some("hunter2")
    );
}

#[test]
fn what_is_written_reads_back() {
    let yaml = "scrape_configs:\n- {job_name: a, scrape_interval: 90s, body_size_limit: 3MB,\n  \
                static_configs: [{targets: ['h:1']}]}\n";
    let file = load(yaml).expect("a good file");
    let shown = serde_saphyr::to_string(&file.scrape_configs).expect("it serialises");
    let back: Vec<ScrapeConfig> = serde_saphyr::from_str(&shown).expect(&shown);
    assert_eq!(back, file.scrape_configs);
}

#[test]
fn says_where_and_what_is_wrong() {
    let check = |yaml: &str, parts: &[&str]| {
        let error = load(yaml).expect_err(yaml);
        for part in parts {
            assert!(error.contains(part), "{yaml}: {error}");
        }
    };
    let job = |keys: &str| format!("scrape_configs:\n- job_name: web\n  {keys}\n");
    check(
        &job("scrape_intervall: 15s"),
        &["scrape_intervall", "line 3"],
    );
    check(&job("scrape_interval: 15"), &["not a duration", "line 3"]);
    check(
        &job("kubernetes_sd_configs: [{role: pod}]"),
        &["kubernetes_sd_configs is not supported", "line 3"],
    );
    check(
        &job("consul_sd_configs: [{server: x}]"),
        &[
            "consul_sd_configs is not supported",
            "file_sd_configs",
            "line 3",
        ],
    );
    check(
        &job("scrape_timeout: 2m"),
        &[
            "job \"web\"",
            "scrape_timeout",
            "longer than scrape_interval, 1m",
        ],
    );
    check(&job("scheme: ftp"), &["job \"web\"", "scheme", "ftp"]);
    check(
        &job("bearer_token: a\n  basic_auth: {username: b}"),
        &["job \"web\"", "authorization", "give one of"],
    );
    check(
        &job("relabel_configs: [{action: replace}]"),
        &[
            "job \"web\"",
            "relabel_configs",
            "rule 1: replace needs a target_label",
        ],
    );
    check(
        &job("static_configs: [{targets: ['http://a:1/metrics']}]"),
        &["job \"web\"", "static_configs", "http://a:1/metrics"],
    );
    check(
        "scrape_configs: [{job_name: a}, {job_name: a}]",
        &["job \"a\"", "another job"],
    );
    check(
        "global: {scrape_interval: 0s}",
        &["global", "scrape_interval", "cannot be 0"],
    );
    check(
        &job("scrape_protocols: [PrometheusText]"),
        &["PrometheusText", "line 3"],
    );
    check(
        &job("scrape_native_histograms: true\n  native_histogram_min_bucket_factor: -1"),
        &["job \"web\"", "native_histogram_min_bucket_factor"],
    );
    check(
        &job("metric_name_validation_scheme: legacy\n  metric_name_escaping_scheme: allow-utf-8"),
        &["job \"web\"", "contradicts"],
    );
    check(
        &job("file_sd_configs: [{files: [targets.txt]}]"),
        &["file_sd_configs", "targets.txt", ".json"],
    );
    check(
        &job("http_sd_configs: [{url: 'ftp://h/'}]"),
        &["http_sd_configs", "http://"],
    );
    check(
        &job("dns_sd_configs: [{names: [a], type: A}]"),
        &["dns_sd_configs", "a port is needed"],
    );
}

#[test]
fn formats_are_asked_for_as_prometheus_does() {
    let accept = |keys: &str| {
        let text = format!("scrape_configs:\n- job_name: a\n{keys}");
        let file: File = serde_saphyr::from_str(&text).expect(keys);
        let job = &file.scrape_configs[0];
        let protocols = job.scrape_protocols(&file.global);
        ScrapeProtocol::accept(&protocols, job.escaping_scheme(&file.global))
    };
    let proto = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
                 encoding=delimited";
    assert_eq!(
        accept("  scrape_native_histograms: true\n"),
        format!(
            "{proto};q=0.7,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
        )
    );
    assert_eq!(
        accept(
            "  metric_name_validation_scheme: legacy\n  scrape_protocols: [PrometheusText1.0.0]\n"
        ),
        "text/plain;version=1.0.0;escaping=underscores;q=0.3,*/*;q=0.2"
    );
}

#[test]
fn relative_files_start_in_the_folder_of_the_configuration() {
    let mut file = load(
        "scrape_configs:\n- job_name: a\n  bearer_token_file: t\n  \
         file_sd_configs: [{files: [d/*.yml]}]\n",
    )
    .expect("a good file");
    let job = &mut file.scrape_configs[0];
    job.files_in(std::path::Path::new("/etc/p"));
    assert_eq!(job.bearer_token_file.as_deref(), Some("/etc/p/t"));
    assert_eq!(job.file_sd_configs[0].files, ["/etc/p/d/*.yml"]);
}

#[test]
fn every_refused_key_has_a_reason() {
    for (key, why) in refused::REFUSED {
        assert!(!why.is_empty(), "{key}");
    }
}
