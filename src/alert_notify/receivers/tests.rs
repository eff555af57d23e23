//! What each kind posts, against bodies written by hand.

use std::path::Path;

use model::Labels;
use serde_json::{Value, json};
use template::notification::{AlertData, Data};

use super::*;
use crate::config::Config;
use crate::message::Message;

fn data(resolved: bool) -> Data {
    Data {
        receiver: "r".to_owned(),
        alerts: vec![AlertData {
            resolved,
            labels: Labels::from_pairs([
                ("alertname", "Burn"),
                ("node", "<n1>"),
                ("severity", "critical"),
            ]),
            annotations: Labels::from_pairs([("summary", "it <burns> & smokes")]),
            starts_at_ms: 1_763_900_000_000,
            ends_at_ms: resolved.then_some(1_763_900_060_000),
            generator_url: "http://yagura/graph".to_owned(),
            fingerprint: "00ff".to_owned(),
        }],
        group_labels: Labels::from_pairs([("alertname", "Burn")]),
        external_url: "http://yagura".to_owned(),
        more: vec![("Evidence", crate::Evidence::default().value())],
    }
}

/// The requests that a kind with these settings makes.
#[track_caller]
fn outgoing(section: &str, settings: &str, resolved: bool) -> Outgoing {
    let text =
        format!("route: {{receiver: r}}\nreceivers: [{{name: r, {section}: [{settings}]}}]\n");
    let config = Config::parse(&text, "am.yml", Path::new(".")).expect(settings);
    let data = data(resolved);
    let key = "{}:{alertname=\"Burn\"}";
    let message = Message::new(&data, key, 1_763_900_000_000, &config.wording);
    let way = &config.receivers["r"].integrations[0];
    way.channel.prepare(&message).expect(settings)
}

/// URL, headers and JSON body of each request.
#[track_caller]
fn calls(section: &str, settings: &str, resolved: bool) -> Vec<(String, Vec<String>, Value)> {
    let Outgoing::Http(calls) = outgoing(section, settings, resolved) else {
        panic!("{section} does not go by HTTP");
    };
    let one = |call: Call| {
        let header = |(name, value): &(&str, Secret)| format!("{name}: {}", value.reveal());
        (
            format!("{} {}", call.method, call.url.0),
            call.headers.iter().map(header).collect(),
            serde_json::from_slice(&call.body).expect("JSON"),
        )
    };
    calls.into_iter().map(one).collect()
}

const SUBJECT: &str = "[FIRING:1] Burn (<n1> critical)";
const LINES: &str = "it <burns> & smokes\n";

#[test]
fn slack() {
    let settings = "{api_url: 'http://s/hook', channel: '#{{ .Status }}', fields: [{title: Node, value: '{{ .CommonLabels.node }}', short: true}], actions: [{type: button, text: Go, url: 'http://x'}]}";
    let calls = calls("slack_configs", settings, false);
    assert_eq!(calls[0].0, "POST http://s/hook");
    let link = "http://yagura/alerts?receiver=r";
    let expected = json!({
        "channel": "#firing",
        "username": "Yagura",
        "attachments": [{
            "title": SUBJECT,
            "title_link": link,
            "text": LINES,
            "fallback": format!("{SUBJECT} | {link}"),
            "callback_id": "",
            "fields": [{"title": "Node", "value": "<n1>", "short": true}],
            "actions": [{"type": "button", "text": "Go", "url": "http://x"}],
            "footer": "",
            "color": "danger",
            "mrkdwn_in": ["fallback", "pretext", "text"],
        }],
    });
    assert_eq!(calls[0].2, expected);
    let token = super::tests::calls("slack_configs", "{app_token: xoxb, channel: a}", true);
    assert_eq!(token[0].0, "POST https://slack.com/api/chat.postMessage");
    assert_eq!(token[0].1, ["authorization: Bearer xoxb"]);
    assert_eq!(token[0].2["attachments"][0]["color"], "good");
}

#[test]
fn slack_says_no_with_a_good_status() {
    let Outgoing::Http(calls) = outgoing("slack_configs", "{api_url: 'http://s/hook'}", false)
    else {
        panic!("it goes by HTTP");
    };
    let accept = calls[0].accept;
    assert_eq!(accept(b"ok"), Ok(()));
    assert_eq!(accept(br#"{"ok":true}"#), Ok(()));
    let error = accept(br#"{"ok":false,"error":"channel_not_found"}"#).expect_err("it said no");
    assert_eq!(error, "Slack says channel_not_found");
}

#[test]
fn pagerduty() {
    let settings = "{routing_key: k, url: 'http://p/v2', severity: '{{ .CommonLabels.severity }}', details: {firing: '{{ .Alerts.Firing | len }}'}, links: [{href: 'http://l', text: L}]}";
    let calls = calls("pagerduty_configs", settings, false);
    let hash = crate::sha256::hex(b"{}:{alertname=\"Burn\"}");
    let expected = json!({
        "routing_key": "k",
        "event_action": "trigger",
        "dedup_key": hash,
        "client": "Yagura",
        "client_url": "http://yagura/alerts?receiver=r",
        "payload": {
            "summary": SUBJECT,
            "source": "Yagura",
            "severity": "critical",
            "custom_details": {
                "firing": "1",
                "resolved": [],
                "num_firing": "1",
                "num_resolved": "0",
            },
        },
        "links": [{"href": "http://l", "text": "L"}],
    });
    assert_eq!(calls[0].2, expected);
    let over = super::tests::calls("pagerduty_configs", settings, true);
    assert_eq!(over[0].2["event_action"], "resolve");
    assert_eq!(over[0].2["dedup_key"], json!(hash));
}

#[test]
fn opsgenie() {
    let settings = "{api_key: k, api_url: 'http://o', update_alerts: true, tags: 'a, b', responders: [{name: 'x,y', type: teams}], priority: P1}";
    let calls = calls("opsgenie_configs", settings, false);
    let alias = crate::sha256::hex(b"{}:{alertname=\"Burn\"}");
    let urls: Vec<&str> = calls.iter().map(|call| call.0.as_str()).collect();
    assert_eq!(
        urls,
        [
            "POST http://o/v2/alerts".to_owned(),
            format!("PUT http://o/v2/alerts/{alias}/message?identifierType=alias"),
            format!("PUT http://o/v2/alerts/{alias}/description?identifierType=alias"),
        ]
    );
    assert_eq!(calls[0].1, ["authorization: GenieKey k"]);
    let body = &calls[0].2;
    assert_eq!(body["message"], SUBJECT);
    assert_eq!(body["details"]["node"], "<n1>");
    assert_eq!(body["tags"], json!(["a", "b"]));
    assert_eq!(body["priority"], "P1");
    let teams = json!([{"name": "x", "type": "team"}, {"name": "y", "type": "team"}]);
    assert_eq!(body["responders"], teams);
    let over = super::tests::calls("opsgenie_configs", settings, true);
    assert_eq!(
        over[0].0,
        format!("POST http://o/v2/alerts/{alias}/close?identifierType=alias")
    );
    assert_eq!(over.len(), 1);
}

#[test]
fn telegram_escapes_html() {
    let settings = "{bot_token: 't:k', chat_id: -5, api_url: 'http://t', message_thread_id: 7}";
    let calls = calls("telegram_configs", settings, false);
    assert_eq!(calls[0].0, "POST http://t/bott:k/sendMessage");
    let expected = json!({
        "chat_id": -5,
        "message_thread_id": 7,
        "text": "<b>[FIRING:1] Burn (&lt;n1&gt; critical)</b>\nit &lt;burns&gt; &amp; smokes\n\
            <a href=\"http://yagura/alerts?receiver=r\">Show in Yagura</a>",
        "parse_mode": "HTML",
        "disable_web_page_preview": true,
    });
    assert_eq!(calls[0].2, expected);
    let plain = super::tests::calls(
        "telegram_configs",
        "{bot_token: t, chat_id: 1, parse_mode: '', message: '{{ .CommonLabels.node }}'}",
        false,
    );
    assert_eq!(plain[0].2["text"], "<n1>");
}

#[test]
fn html_is_cut_between_tags() {
    let check = |html: &str, max: usize, expected: &str| {
        let cut = super::cut_html(html, max);
        assert_eq!(cut, expected, "{html}");
        assert!(super::has_at_most(&cut, max), "{cut}");
    };
    check("<b>a</b>", 100, "<b>a</b>");
    let long = format!("<b>s</b> &amp; <pre>{}</pre>", "x".repeat(200));
    check(&long, 90, "<b>s</b> &amp; <pre>xxxxxx…</pre>");
    check(&long, 82, "<b>s</b> &amp; …");
    check(&long, 77, "<b>s</b> …");
    let link = format!("<a href=\"http://x\">{}</a>", "y".repeat(99));
    check(&link, 86, "<a href=\"http://x\">yyy…</a>");
}

#[test]
fn discord_and_teams() {
    let discord = calls(
        "discord_configs",
        "{webhook_url: 'http://d/h', username: y}",
        false,
    );
    let expected = json!({
        "content": "",
        "username": "y",
        "embeds": [{
            "title": SUBJECT,
            "description": format!("{LINES}[Show in Yagura](http://yagura/alerts?receiver=r)"),
            "color": 10_038_562,
        }],
    });
    assert_eq!(discord[0].2, expected);
    let teams = calls(
        "msteamsv2_configs",
        "{webhook_url: 'http://m/h', text: 'a'}",
        true,
    );
    let card = &teams[0].2["attachments"][0]["content"];
    assert_eq!(card["type"], "AdaptiveCard");
    assert_eq!(card["body"][0]["text"], "[RESOLVED] Burn (<n1> critical)");
    assert_eq!(card["body"][0]["color"], "Good");
    assert_eq!(card["body"][1]["text"], "a");
}

#[test]
fn ntfy_and_gotify() {
    let ntfy = calls(
        "ntfy_configs",
        "{url: 'http://n', topic: x, token: k}",
        false,
    );
    assert_eq!(ntfy[0].0, "POST http://n/");
    assert_eq!(ntfy[0].1, ["authorization: Bearer k"]);
    let expected = json!({
        "topic": "x",
        "title": "Burn",
        "message": "it <burns> & smokes\nnode=<n1>",
        "priority": 5,
        "tags": ["rotating_light"],
        "click": "http://yagura/alerts?receiver=r",
    });
    assert_eq!(ntfy[0].2, expected);
    let gotify = calls("gotify_configs", "{url: 'http://g/', token: k}", true);
    assert_eq!(gotify[0].0, "POST http://g/message");
    assert_eq!(gotify[0].1, ["x-gotify-key: k"]);
    assert_eq!(gotify[0].2["priority"], 2);
    assert_eq!(gotify[0].2["title"], "Over: Burn");
}

#[test]
fn pushover_sends_a_form() {
    let Outgoing::Http(calls) = outgoing(
        "pushover_configs",
        "{user_key: u, token: t, message: '{{ \"\" }}', sound: siren}",
        false,
    ) else {
        panic!("it goes by HTTP");
    };
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(&calls[0].body)
        .into_owned()
        .collect();
    let expected = [
        ("token", "t"),
        ("user", "u"),
        ("title", SUBJECT),
        ("message", "(no details)"),
        ("url", "http://yagura/alerts?receiver=r"),
        ("priority", "2"),
        ("retry", "60"),
        ("expire", "3600"),
        ("sound", "siren"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(pairs, expected);
}

#[test]
fn a_webhook_may_have_a_payload_of_its_own() {
    let settings = "{url: 'http://w/h', payload: {text: '{{ .Status }}', list: ['{{ .CommonLabels.node }}', 5]}}";
    let calls = calls("webhook_configs", settings, false);
    assert_eq!(calls[0].2, json!({"text": "firing", "list": ["<n1>", 5]}));
}

#[test]
fn an_email_has_its_headers_and_escaped_html() {
    let settings = "{to: 'a@x.org, b@x.org', from: y@x.org, smarthost: 'mail.x.org:587', auth_username: u, auth_password: p, headers: {X-Node: \"{{ .CommonLabels.node }}\\nBcc: evil@x.org\"}, threading: {enabled: true}}";
    let Outgoing::Mail(mail) = outgoing("email_configs", settings, false) else {
        panic!("it goes by mail");
    };
    assert_eq!((mail.host.as_str(), mail.port), ("mail.x.org", 587));
    assert_eq!(mail.security, SmtpSecurity::StartTls);
    assert_eq!(mail.headers["Subject"], SUBJECT);
    // A line break would begin another header.
    assert_eq!(mail.headers["X-Node"], "<n1> Bcc: evil@x.org");
    assert!(mail.headers["References"].contains("-2025-11-23@yagura>"));
    assert!(
        mail.html.contains("it &lt;burns&gt; &amp; smokes"),
        "{}",
        mail.html
    );
    assert!(!mail.html.contains("<n1>"));
    assert_eq!(
        mail.auth.as_ref().map(|auth| auth.username.as_str()),
        Some("u")
    );
    let Outgoing::Mail(mail) = outgoing(
        "email_configs",
        "{to: a@x.org, from: y@x.org, smarthost: 'mail.x.org:465', html: ''}",
        false,
    ) else {
        panic!("it goes by mail");
    };
    assert_eq!(mail.security, SmtpSecurity::Implicit);
}

#[tokio::test]
async fn a_mail_server_gets_the_mail() {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a client");
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        let mut heard = Vec::new();
        write.write_all(b"220 hello\r\n").await.expect("written");
        let mut in_data = false;
        while let Ok(Some(line)) = lines.next_line().await {
            heard.push(line.clone());
            let answer: &[u8] = match line.as_str() {
                "." => {
                    in_data = false;
                    b"250 kept as 42\r\n"
                }
                _ if in_data => continue,
                "DATA" => {
                    in_data = true;
                    b"354 go on\r\n"
                }
                "QUIT" => b"221 bye\r\n",
                line if line.starts_with("EHLO") => b"250-me\r\n250 AUTH PLAIN LOGIN\r\n",
                line if line.starts_with("AUTH") => b"235 it is you\r\n",
                _ => b"250 fine\r\n",
            };
            write.write_all(answer).await.expect("written");
            if line == "." {
                break;
            }
        }
        heard
    });
    let settings = format!(
        "{{to: 'a@x.org, b@x.org', from: y@x.org, smarthost: '127.0.0.1:{port}', require_tls: false, auth_username: u, auth_password: p, text: 'plain {{{{ .Status }}}}'}}"
    );
    let outgoing = outgoing("email_configs", &settings, false);
    let clients = http_client::Clients::default();
    let client = clients.client(&HttpClientConfig::default());
    let answer = crate::send::once(&client, &outgoing, Duration::from_mins(1)).await;
    let answer = answer.expect("it is taken");
    assert_eq!((answer.status, answer.text.as_str()), (250, "kept as 42"));
    let heard = server.await.expect("a conversation").join("\n");
    for expected in [
        "EHLO localhost",
        "AUTH PLAIN",
        "MAIL FROM:<y@x.org>",
        "RCPT TO:<a@x.org>",
        "RCPT TO:<b@x.org>",
        "multipart/alternative",
        "plain firing",
        "Subject: ",
    ] {
        assert!(heard.contains(expected), "{expected}: {heard}");
    }
}

#[test]
fn texts_are_cut_by_characters() {
    assert_eq!(cut("äöü", 3), "äöü");
    assert_eq!(cut("äöüß", 3), "äö…");
    assert_eq!(cut_bytes("äöü", 6), "äöü");
    assert_eq!(cut_bytes("äöüß", 7), "äö…");
}
