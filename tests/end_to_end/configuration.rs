//! What is written wrong is said with file, line and key, and never takes a running process down.

use std::fs;
use std::process::Command;

use crate::appliance::Site;

#[test]
fn a_misspelt_key_is_named_with_its_place() {
    let site = Site::new();
    site.configure("lissen: 127.0.0.1:0\n");
    let log = site.try_start().err().expect("it does not start");
    assert!(log.contains("yagura.yaml:2:1"), "{log}");
    assert!(log.contains("did you mean `listen`"), "{log}");

    let check = Command::new(env!("CARGO_BIN_EXE_yagura"))
        .args(["check", "config"])
        .arg(site.path("yagura.yaml"))
        .output()
        .expect("the binary runs");
    assert!(!check.status.success());
    assert!(String::from_utf8_lossy(&check.stderr).contains("did you mean `listen`"));
}

#[test]
fn the_configuration_of_prometheus_can_be_checked_alone() {
    let site = Site::new();
    let file = site.path("prometheus.yml");
    let check = |text: &str| {
        fs::write(&file, text).expect("a file");
        let check = Command::new(env!("CARGO_BIN_EXE_yagura"))
            .args(["check", "config", "--prometheus-config"])
            .arg(&file)
            .output()
            .expect("the binary runs");
        let said = [check.stdout, check.stderr].concat();
        (
            check.status.code(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    };
    let job = "scrape_configs:\n- job_name: web\n  static_configs: [{ targets: ['h:1'] }]\n";
    let (code, said) = check(job);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("prometheus.yml: good (scrape jobs: 1"),
        "{said}"
    );
    for (more, expected) in [
        ("  scrape_intervall: 5s\n", "prometheus.yml:4:3"),
        ("  scrape_interval: 5 apples\n", "prometheus.yml:4:20"),
        ("  scrape_timeout: 5m\n", "job \"web\": scrape_timeout"),
        (
            "  relabel_configs: [{ regex: '(' }]\n",
            "job \"web\": relabel_configs",
        ),
        (
            "remote_write: [{ url: 'ftp://x' }]\n",
            "url: it must begin with http",
        ),
    ] {
        let (code, said) = check(&format!("{job}{more}"));
        assert_eq!(code, Some(1), "{more}: {said}");
        assert!(said.contains("prometheus.yml"), "{more}: {said}");
        assert!(said.contains(expected), "{more}: {said}");
    }
}

#[test]
fn a_bad_reload_keeps_the_old_configuration_and_shows_the_error() {
    let site = Site::new();
    let yagura = site.start();
    site.configure("storage: { disk: lots }\n");
    let (status, text) = yagura.post("/-/reload", &[]);
    assert_eq!(status, 500, "{text}");
    assert!(text.contains("yagura.yaml:2"), "{text}");
    let (status, page) = yagura.get("/status");
    assert_eq!(status, 200);
    assert!(
        page.contains("not a size"),
        "the Status page shows the error"
    );
    site.configure("");
    assert_eq!(yagura.post("/-/reload", &[]).0, 200);
    assert!(!yagura.get("/status").1.contains("not a size"));
}

#[test]
fn a_hangup_reloads_rules() {
    let site = Site::new();
    site.configure("prometheus: { rule_files: [\"*.rules.yml\"] }\n");
    let yagura = site.start();
    fs::write(
        site.path("new.rules.yml"),
        "groups: [{ name: late, rules: [{ record: late:one, expr: vector(1) }] }]\n",
    )
    .expect("a rule file");
    yagura.signal("HUP");
    yagura.wait_for("the new group", |y| {
        y.get("/api/v1/rules").1.contains("late:one").then_some(())
    });
}
