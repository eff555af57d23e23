//! Configurations that are read, and mistakes that are named.

use std::time::Duration;

use serde::Deserialize;

use super::*;

#[test]
fn a_usual_configuration_is_read() {
    let config = Config::parse(
        r"
global:
  resolve_timeout: 1m
  http_config: {authorization: {credentials: s3cret-token}}
route:
  receiver: hook
  group_by: [alertname, job]
  group_wait: 500ms
  group_interval: 2m
  repeat_interval: 1h
  routes:
  - matchers: ['severity=info']
    receiver: quiet
receivers:
- name: hook
  webhook_configs:
  - url: http://example.com/s3cret-path
    max_alerts: 10
  - url_file: /etc/hook
    send_resolved: false
    http_config: {basic_auth: {username: u, password: s3cret-word}}
- name: quiet
inhibit_rules:
- source_matchers: [severity=critical]
  target_match: {severity: warning}
  equal: [alertname]
",
        "am.yml",
        Path::new("."),
    )
    .expect("a configuration");
    assert_eq!(config.resolve_timeout, Duration::from_mins(1));
    let child = &config.route.routes[0];
    assert_eq!(
        (child.group_wait_ms, child.group_interval_ms),
        (500, 120_000)
    );
    assert_eq!(config.receivers["hook"].integrations.len(), 2);
    assert!(config.receivers["quiet"].integrations.is_empty());
    assert_eq!(config.inhibit_rules.len(), 1);
    let shown = format!("{config:?}");
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn mistakes_are_named() {
    let check = |text: &str, expected: &str| {
        let error = Config::parse(text, "am.yml", Path::new("."))
            .expect_err(text)
            .to_string();
        assert!(error.contains(expected), "{text}: {error}");
    };
    let with =
        |receiver: &str| format!("route: {{receiver: r}}\nreceivers:\n- name: r\n  {receiver}\n");
    check(
        &with("jira_configs: [{project: x}]"),
        "am.yml:1: a route leads to the receiver \"r\", which has jira_configs: Yagura cannot send there",
    );
    check(
        &with("jira_configs: [{projekt: x}]"),
        "did you mean `project`?",
    );
    check(&with("slack_configs: [{channel: x}]"), "api_url is missing");
    check(&with("webhok_configs: []"), "am.yml:4:");
    check(
        &with("webhok_configs: []"),
        "did you mean `webhook_configs`?",
    );
    check(
        &with("webhook_configs: [{}]"),
        "receiver \"r\": webhook_configs[0]: url is missing",
    );
    check(
        &with("webhook_configs: [{url: 'ftp://s3cret@x'}]"),
        "must begin with http",
    );
    check(
        &with(
            "webhook_configs: [{url: 'http://x', http_config: {tls_config: {ca: a, ca_file: x}}}]",
        ),
        "tls_config",
    );
    check(
        &with("slack_configs: [{api_url: 'http://x', title: '{{ nope }}'}]"),
        "slack_configs[0]: title:",
    );
    check(&with("email_configs: [{to: x}]"), "smtp_from");
    check(
        &with("email_configs: [{to: x, from: y, smarthost: z}]"),
        "HOST:PORT",
    );
    check(
        &with("pagerduty_configs: [{service_key: s3cret}]"),
        "routing_key",
    );
    check(&with("telegram_configs: [{bot_token: s3cret}]"), "chat_id");
    check("receivers: [{name: r}]\n", "`route` is missing");
    check("route: {}\n", "needs a receiver");
    check(
        "route: {receiver: hok}\nreceivers: [{name: hook}]\n",
        "did you mean \"hook\"?",
    );
    check(
        "route: {receiver: r, matchers: [a=b]}\nreceivers: [{name: r}]\n",
        "must not have matchers",
    );
    check(
        "route: {receiver: r, continue: true}\nreceivers: [{name: r}]\n",
        "must not have continue",
    );
    check(
        "route: {receiver: r, group_by: [a, a]}\nreceivers: [{name: r}]\n",
        "there twice",
    );
    check(
        "route: {receiver: r, group_by: [a, '...']}\nreceivers: [{name: r}]\n",
        "stands alone",
    );
    check(
        "route: {receiver: r, group_interval: 0s}\nreceivers: [{name: r}]\n",
        "group_interval cannot be zero",
    );
    check(
        "route: {receiver: r, group_wait: soon}\nreceivers: [{name: r}]\n",
        "group_wait: not a duration",
    );
    check(
        "route: {receiver: r}\nreceivers: [{name: r}, {name: r}]\n",
        "there twice",
    );
    check(
        "route: {receiver: r, routes: [{matchers: ['a']}]}\nreceivers: [{name: r}]\n",
        "cannot read matcher",
    );
    check(
        "route: {receiver: r, mute_time_intervals: [x]}\nreceivers: [{name: r}]\n",
        "must not have mute_time_intervals",
    );
}

#[test]
fn a_receiver_that_nobody_is_routed_to_may_be_of_any_kind() {
    let text = "route: {receiver: r}\nreceivers: [{name: r}, {name: j, jira_configs: [{api_url: 'http://s3cret'}]}]\n";
    let config = Config::parse(text, "am.yml", Path::new(".")).expect("a configuration");
    assert!(!config.original.contains("s3cret"), "{}", config.original);
}

#[test]
fn what_is_shown_reads_back_and_holds_no_secret() {
    let text = r"
global: {slack_api_url: 'https://s3cret', smtp_auth_password: s3cret, http_config: {proxy_url: 'http://u:s3cret@p'}}
route:
  receiver: r
  group_by: ['...']
  routes: [{matchers: ['a=~b|c'], mute_time_intervals: [night], group_by: []}]
time_intervals: [{name: night, time_intervals: [{times: [{start_time: '22:00', end_time: '24:00'}], days_of_month: [1, '-2:-1']}]}]
receivers:
- name: r
  slack_configs: [{channel: '#x', title: '{{ .Status }}'}]
  pagerduty_configs: [{routing_key: s3cret}]
  telegram_configs: [{bot_token: s3cret, chat_id: -5}]
  opsgenie_configs: [{api_key: s3cret}]
  ntfy_configs: [{topic: s3cret, token: s3cret}]
  pushover_configs: [{user_key: s3cret, token: s3cret}]
  discord_configs: [{webhook_url: 'https://x/s3cret'}]
  msteamsv2_configs: [{webhook_url: 'https://x/s3cret'}]
";
    let config = Config::parse(text, "am.yml", Path::new(".")).expect("a configuration");
    assert!(!config.original.contains("s3cret"), "{}", config.original);
    assert!(!format!("{config:?}").contains("s3cret"));
    let shown = config
        .original
        .replace("<secret>", "https://hidden.example");
    let back = Config::parse(&shown, "am.yml", Path::new(".")).expect(&shown);
    assert_eq!(back.route, config.route);
    assert_eq!(back.time_intervals, config.time_intervals);
}

#[test]
fn it_may_stand_inside_another_file() {
    #[derive(Debug, Deserialize)]
    struct Outer {
        alertmanager: Draft,
    }
    let good = "alertmanager:\n  route: {receiver: r}\n  receivers: [{name: r}]\n";
    let read = |text: &str| {
        let outer: Outer = yaml::from_str(text, "y.yaml").expect(text);
        Config::check(outer.alertmanager, "y.yaml", Path::new("."))
    };
    assert_eq!(&*read(good).expect("a configuration").route.receiver, "r");
    let error = read(&good.replace("route: {receiver: r}", "route: {receiver: x}"));
    let text = error.expect_err("refused").to_string();
    assert!(text.starts_with("y.yaml:2: a route names"), "{text}");
}

#[test]
fn a_watchdog_is_awaited_where_a_route_names_it_and_somebody_is_told() {
    let awaits = |route: &str| {
        let text = format!(
            "route: {{receiver: quiet, routes: [{route}]}}\nreceivers: [{{name: quiet}}, \
             {{name: snitch, webhook_configs: [{{url: 'http://x/'}}]}}]\n"
        );
        let config = Config::parse(&text, "a.yml", Path::new("."));
        config.expect(route).awaits("Watchdog")
    };
    assert!(awaits(
        "{receiver: snitch, matchers: ['alertname=\"Watchdog\"']}"
    ));
    assert!(awaits(
        "{receiver: snitch, match_re: {alertname: 'Watch.*|Dead'}}"
    ));
    assert!(!awaits(
        "{receiver: quiet, matchers: ['alertname=\"Watchdog\"']}"
    ));
    assert!(!awaits(
        "{receiver: snitch, matchers: ['alertname=~\".*\"']}"
    ));
    assert!(!awaits(
        "{receiver: snitch, matchers: ['alertname!=\"Watchdog\"']}"
    ));
    assert!(!Config::silent().awaits("Watchdog"));
}
