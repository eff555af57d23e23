//! Any text as Alertmanager's configuration and as a template of a notification: understood or
//! refused with a place, and what is understood prints within the limits of its room, as text and
//! as HTML.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use model::Labels;
use template::notification::{AlertData, Data, FUNCTIONS};
use template::{Env, OUTPUT_BYTES_MAX, Template, Templates};

fn data() -> Data {
    Data {
        receiver: "team".to_owned(),
        alerts: vec![AlertData {
            resolved: false,
            labels: Labels::from_pairs([("alertname", "Down"), ("job", "web")]),
            annotations: Labels::from_pairs([("summary", "It is <down> \"now\"")]),
            starts_at_ms: 1_800_000_000_000,
            ends_at_ms: None,
            generator_url: "http://h/alerts".to_owned(),
            fingerprint: "0123456789abcdef".to_owned(),
        }],
        group_labels: Labels::from_pairs([("alertname", "Down")]),
        external_url: "http://h".to_owned(),
        more: Vec::new(),
    }
}

fuzz_target!(|text: &str| {
    if let Ok(draft) = yaml::from_str::<alert_notify::Draft>(text, "alertmanager.yml") {
        let _ = alert_notify::Config::check(draft, "alertmanager.yml", Path::new("/nowhere"));
    }
    let env = Env {
        now_ms: 1_800_000_000_000,
        external_url: "http://h",
        query: &|_: &str| Ok(Vec::new()),
        more: &[],
    };
    if let Ok(template) = Templates::default().parse("t", text, FUNCTIONS) {
        let dot = data().value();
        for printed in [template.render(&dot, &[], &env), template.render_html(&dot, &[], &env)] {
            assert!(printed.map_or(0, |text| text.len()) <= OUTPUT_BYTES_MAX);
        }
    }
    let _ = Template::parse("rule", text, &template::RULE_VARIABLES);
});
