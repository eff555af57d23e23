//! Who must know?
//!
//! Alerts come in; routed, grouped, inhibited and deduplicated as Alertmanager does, they go out
//! to receivers, with patience where one does not answer. Routing and grouping are a state machine
//! without a clock (`dispatch.rs`); the clock and the sockets are in `notifier.rs` and `send.rs`.
//! What receivers were told is remembered behind [`NotificationLog`], so that a restart repeats
//! nothing. This room knows no rule, no store and no page.

mod config;
mod config_check;
mod config_file;
mod dedup;
mod dispatch;
mod log;
mod matchers;
mod metrics;
mod notifier;
mod payload;
mod route;
mod secret;
mod send;

#[cfg(test)]
mod tests;

pub use config::{
    Authorization, Config, ConfigError, HttpConfig, Receiver, SecretSource, UrlSource, Webhook,
};
pub use dispatch::{ALERTS_MAX, AlertGroup, Batch, Dispatcher, GROUPS_MAX, GroupAlert};
pub use log::{LogError, MemoryLog, NotificationEntry, NotificationLog};
pub use metrics::Metrics;
pub use notifier::{Notifier, NotifyError};
pub use route::{GroupBy, InhibitRule, Route};
pub use secret::Secret;
