//! What a message says beside its words: the curve, the log lines that stand out, the link. A
//! metric rule and a log rule fire; a webhook, Slack, Telegram and ntfy are told of both.

use std::collections::HashMap;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use serde_json::Value;

use crate::alerts::receiver;
use crate::appliance::{Appliance, PATIENCE, Site, append};
use crate::metrics::{scrape_config, target};

/// What a line of a log may hold, and no receiver may act on.
const HOSTILE: &str = "<!channel> </pre><b>bold</b> ``` @everyone & more";

const RULES: &str = r"
groups:
  - name: pumps
    interval: 1s
    rules:
      - alert: PumpHot
        expr: pump_heat > 90
        labels: { severity: critical }
        annotations:
          summary: 'Pump {{ $labels.pump }} is at {{ $value }} degrees'
          runbook_url: https://runbooks.example/pump
  - name: lines
    source: logs
    interval: 1s
    rules:
      - alert: ManyTimeouts
        expr: 'level:error.. timeout | stats count() as n by (file) | where n > 5 [10m]'
        labels: { severity: warning }
        annotations: { summary: '{{ $value }} timeouts' }
";

fn timestamp(seconds_ago: i64) -> String {
    model::time::rfc3339_ms(model::time::now_ms() - seconds_ago * 1_000)
}

/// The first message about each of two alerts in each way.
fn messages(
    yagura: &Appliance,
    posts: &std::sync::mpsc::Receiver<(String, Value)>,
) -> HashMap<(String, String), Value> {
    let mut found = HashMap::new();
    let deadline = Instant::now() + PATIENCE;
    while found.len() < 8 {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok((path, body)) = posts.recv_timeout(left) else {
            let have: Vec<_> = found.keys().collect();
            panic!("only {have:?} were told:\n{}", yagura.log());
        };
        let text = body.to_string();
        for name in ["PumpHot", "ManyTimeouts"] {
            if text.contains(name) {
                let way = path.trim_start_matches('/').to_owned();
                found.entry((way, name.to_owned())).or_insert(body.clone());
            }
        }
    }
    found
}

#[test]
fn messages_carry_curve_lines_and_a_link_that_works() {
    let asked = AtomicU32::new(0);
    let heat = target(move |_| {
        let n = asked.fetch_add(1, Ordering::Relaxed);
        let heat = if n < 4 { 40.5 } else { 97.5 };
        format!("pump_heat{{app=\"shop\",pump=\"north\"}} {heat}\n")
    });
    let (address, posts) = receiver();
    let site = Site::new();
    fs::write(site.path("all.rules.yml"), RULES).expect("a rule file");
    let log = site.path("logs/shop.log");
    // The file is what the machine's alert and the lines have in common.
    let labels = format!(", labels: {{ file: {:?} }}", log.display().to_string());
    let scrape = scrape_config("pumps", &heat).replace("] }]", &format!("]{labels} }}]"));
    site.configure(&format!(
        "{scrape}  rule_files: [\"*.rules.yml\"]
alertmanager:
  route: {{ receiver: all, group_wait: 100ms, group_by: [alertname] }}
  receivers:
    - name: all
      webhook_configs: [{{ url: '{address}/hook', evidence: true }}]
      slack_configs: [{{ api_url: '{address}/slack', channel: '#ops' }}]
      telegram_configs: [{{ api_url: '{address}/bot', bot_token: t, chat_id: 1 }}]
      ntfy_configs: [{{ url: '{address}', topic: t }}]
"
    ));
    // Usual lines of the hour before, then errors that were never there.
    append(
        &log,
        (0..40).map(|i| {
            format!(
                "{} INFO GET /item/{i} took {i} ms",
                timestamp(3_000 - i * 60)
            )
        }),
    );
    let yagura = site.start();
    append(
        &log,
        (0..8).map(|i| {
            let time = timestamp(8 - i);
            format!("{time} ERROR payment timeout after {i} s {HOSTILE}")
        }),
    );
    let found = messages(&yagura, &posts);
    let of = |way: &str, name: &str| {
        // Telegram's path holds the token, ntfy's is bare.
        let is_it = |(path, alert): &&(String, String)| {
            alert == name
                && match way {
                    "ntfy" => path.is_empty(),
                    way => path.starts_with(way),
                }
        };
        let key = found.keys().find(is_it);
        &found[key.unwrap_or_else(|| panic!("{way} was not told of {name}"))]
    };

    for name in ["PumpHot", "ManyTimeouts"] {
        let hook = of("hook", name);
        let page = hook["evidence"]["url"].as_str().expect("a link");
        assert_eq!(hook["alerts"][0]["generatorURL"], page);
        let path = page.strip_prefix(&yagura.address).expect("our own address");
        let (status, html) = yagura.get(path);
        assert_eq!(status, 200, "{path}");
        assert!(
            html.contains("payment timeout"),
            "{name}: no line on its page"
        );
        assert!(!html.contains("<b>bold</b>"), "{name}: a line became HTML");
        assert!(html.contains("Open in Logs"), "{name}: no way to the logs");
        let text = hook["evidence"]["text"].as_str().expect("a text");
        assert!(text.contains("payment timeout"), "{name}: {text}");
        assert!(
            !text.contains(&timestamp(0)[..10]),
            "{name} says the time again: {text}"
        );

        let slack = &of("slack", name)["attachments"][0];
        assert_eq!(slack["title_link"], page);
        let said = slack["text"].as_str().expect("a text");
        assert!(
            said.contains("&lt;!channel&gt;") && !said.contains("<!"),
            "{said}"
        );
        assert_eq!(said.matches("```").count(), 2, "{said}");

        let telegram = of("bot", name)["text"].as_str().expect("a text");
        assert_eq!(telegram.matches("</pre>").count(), 1, "{telegram}");
        assert!(
            !telegram.contains("<b>bold") && telegram.contains(page),
            "{telegram}"
        );

        let ntfy = of("ntfy", name);
        assert_eq!(ntfy["title"], name);
        assert_eq!(ntfy["click"], page);
        let said = ntfy["message"].as_str().expect("a text");
        assert!(
            said.contains("payment timeout") && said.len() < 4096,
            "{said}"
        );
        assert!(said.contains("(limit > "), "no limit: {said}");
    }
    let said = of("ntfy", "PumpHot")["message"].as_str().expect("a text");
    assert!(
        said.starts_with("Pump north is at 97.5 degrees\n"),
        "{said}"
    );
    assert!(said.contains("97.5 (limit > 90)"), "{said}");
    assert!(
        said.contains("Runbook: https://runbooks.example/pump"),
        "{said}"
    );
    let page = of("hook", "ManyTimeouts")["evidence"]["url"].as_str();
    let (_, html) = yagura.get(&page.expect("a link")[yagura.address.len()..]);
    assert!(
        html.contains("class=\"limit\""),
        "no graph on the log rule's page"
    );
    assert!(html.contains("/logs?q=level"), "no link to its lines");
}

#[test]
fn an_alert_that_is_over_at_once_leaves_an_incident_and_a_receiver_that_fails_is_named() {
    let site = Site::new();
    // Nobody listens there.
    site.configure(
        "alertmanager:\n  route: { receiver: deaf, group_wait: 0s, group_interval: 1s }\n  \
         receivers: [{ name: deaf, webhook_configs: [{ url: 'http://127.0.0.1:1/' }] }]\n",
    );
    let yagura = site.start();
    let post = |name: &str, ends_ms: i64| {
        let now_ms = model::time::now_ms();
        let body = serde_json::json!([{
            "labels": {"alertname": name, "pump": "north"},
            "startsAt": model::time::rfc3339_ms(now_ms - 10),
            "endsAt": model::time::rfc3339_ms(now_ms + ends_ms),
        }]);
        let headers = [("content-type", "application/json")];
        let answer = yagura.send("/api/v2/alerts", &headers, body.to_string().as_bytes());
        let (status, text) = answer.expect("an answer");
        assert_eq!(status, 200, "{text}");
    };
    for n in 0..5 {
        post(&format!("Flash{n}"), 60_000);
        post(&format!("Flash{n}"), -1);
    }
    yagura.wait_for("all five in the history, all over", |y| {
        let (_, page) = y.get("/alerts/history");
        (0..5)
            .all(|n| page.contains(&format!("Flash{n}")))
            .then_some(())
    });

    post("Lasting", 60_000);
    yagura.wait_for("the receiver on the status page", |y| {
        let (_, page) = y.get("/status");
        page.contains("the receiver deaf (webhook[0])")
            .then_some(())
    });
    let (_, overview) = yagura.get("/");
    assert!(overview.contains("Messages do not reach the receiver deaf"));
    let failing = yagura.value("yagura_alert_notify_receiver_failing{receiver=\"deaf\"}");
    let (_, own) = yagura.get("/metrics");
    assert!(
        failing == Some(1.0)
            || own.contains("receiver_failing{receiver=\"deaf\",way=\"webhook[0]\"} 1"),
        "{failing:?}"
    );
}
