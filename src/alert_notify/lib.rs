//! Who must know?
//!
//! Alerts come in; routed, grouped, inhibited, silenced and deduplicated as Alertmanager does, they
//! go out to receivers, with patience where one does not answer. Routing and grouping are a state
//! machine without a clock (`dispatch.rs`); the clock is in `notifier.rs`, the sockets are in
//! `send.rs` and `mail.rs`, and what each kind of receiver is sent is in `receivers/`. What must
//! survive a restart is kept behind [`NotificationState`], so that a restart repeats nothing and
//! loses nothing. This room knows no rule, no store and no page.

mod config;
mod config_check;
mod config_file;
mod dedup;
mod dispatch;
mod external;
mod health;
mod heartbeat;
mod inhibit;
mod mail;
mod matchers;
mod message;
mod metrics;
mod notifier;
mod patient;
mod payload;
mod receivers;
mod route;
mod send;
mod sha256;
mod shown;
mod silences;
mod simple;
mod state;
mod time_interval;

#[cfg(test)]
mod tests;

pub use config::{Config, ConfigError, Draft, Reached, Receiver};
pub use dispatch::{ALERTS_MAX, AlertGroup, AlertView, Batch, Dispatcher, GROUPS_MAX};
pub use external::{ExternalAlertmanager, ExternalAlertmanagers, Relabel};
pub use health::WayHealth;
pub use heartbeat::{Heartbeat, HeartbeatConfig};
pub use message::Evidence;
pub use metrics::Metrics;
pub use notifier::{ChangesTo, EvidenceOf, Notifier, PostedAlert, TestOutcome};
pub use route::{GroupBy, InhibitRule, Route};
pub use send::Answer;
pub use silences::{RETENTION_MS, SILENCES_MAX, Silence, SilenceError, SilenceState};
pub use simple::Notify;
pub use state::{Kind, MemoryState, NotificationEntry, NotificationState, StateError};

/// The version of Alertmanager whose configuration and API are spoken here.
pub const ALERTMANAGER_VERSION: &str = "0.28.0";

/// Reads label matchers as Alertmanager and amtool write them: one, or several with commas, in
/// braces or not.
///
/// # Errors
/// A sentence that repeats the text and says what is wrong with it.
pub fn parse_matchers(text: &str) -> Result<Vec<model::Matcher>, String> {
    matchers::parse(text)
}
