//! `/alerts/receivers`: who is told, how that has been going, and a test message whose answer is
//! shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use alert_notify::{TestOutcome, WayHealth};
use askama::Template;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use model::Labels;

use crate::html::Tone;
use crate::request::{Params, Visit};
use crate::shell::{Page, Shell, render};
use crate::{Services, humanize};

#[derive(Template)]
#[template(path = "alert_receivers.html")]
struct ReceiversPage {
    shell: Shell,
    receivers: Vec<ReceiverView>,
    outcomes: Vec<TestOutcome>,
    error: String,
}

struct ReceiverView {
    name: String,
    ways: Vec<WayHealth>,
}

/// Draws the page.
pub(super) async fn page(State(services): State<Arc<Services>>, visit: Visit) -> Response {
    draw(&services, visit, "", Ok(Vec::new()))
}

/// `POST /alerts/receivers/test`: sends a test message and shows what the provider said.
pub(super) async fn test(
    State(services): State<Arc<Services>>,
    visit: Visit,
    body: Bytes,
) -> Response {
    let form = Params::parse(&String::from_utf8_lossy(&body));
    let receiver = form.text("receiver").to_owned();
    let outcome = services.notifier.test(&receiver, Labels::empty()).await;
    draw(&services, visit, &receiver, outcome)
}

fn draw(
    services: &Arc<Services>,
    visit: Visit,
    tested: &str,
    outcome: Result<Vec<TestOutcome>, String>,
) -> Response {
    let mut by_name: BTreeMap<String, Vec<WayHealth>> = BTreeMap::new();
    // Those that are told in no way are there, too: alerts that go to them are seen here only.
    for name in services.notifier.config().receivers.keys() {
        by_name.entry(name.to_string()).or_default();
    }
    for way in (services.notify_health)() {
        by_name.entry(way.receiver.clone()).or_default().push(way);
    }
    let (outcomes, error) = match outcome {
        Ok(outcomes) => (outcomes, String::new()),
        Err(error) => (Vec::new(), error),
    };
    let mut shell = Shell::new(services, visit, Page::Alerts);
    "Receivers".clone_into(&mut shell.title);
    if !tested.is_empty() {
        // The answer stays until somebody goes on; what leads back here leads to the page.
        shell.refresh = Some(0);
        "/alerts/receivers".clone_into(&mut shell.visit.path);
    }
    let mut receivers: Vec<ReceiverView> = by_name
        .into_iter()
        .map(|(name, ways)| ReceiverView { name, ways })
        .collect();
    receivers.sort_by_key(|r| {
        (
            r.ways.iter().all(|way| way.last_error.is_empty()),
            r.ways.is_empty(),
        )
    });
    // Then the page says how somebody can be told.
    if receivers.iter().all(|r| r.ways.is_empty()) {
        receivers.clear();
    }
    render(&ReceiversPage {
        shell,
        receivers,
        outcomes,
        error,
    })
}

impl ReceiversPage {
    fn tone(way: &WayHealth) -> Tone {
        match () {
            () if !way.last_error.is_empty() => Tone::Err,
            () if way.last_success_ms > 0 => Tone::Fine,
            () if way.pending > 0 => Tone::Busy,
            () => Tone::Unknown,
        }
    }

    fn word(way: &WayHealth) -> &'static str {
        match Self::tone(way) {
            Tone::Err | Tone::Warn => "failing",
            Tone::Fine => "works",
            Tone::Busy => "under way",
            Tone::Unknown => "nothing told yet",
        }
    }

    /// Whether a test can be asked for: Alertmanagers elsewhere take none.
    fn can_test(&self, receiver: &ReceiverView) -> bool {
        let _ = self;
        receiver.ways.iter().any(|way| way.way.contains('['))
    }
}
