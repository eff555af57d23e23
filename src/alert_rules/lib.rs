//! What is wrong?
//!
//! Rule files in Prometheus' format become groups on a clock; each evaluation asks `promql`,
//! moves alerts between inactive, pending and firing, and hands the alerts that someone should
//! know about to whoever was plugged in. Groups and alerts are state machines without a clock;
//! only `manager.rs` knows the time. This room knows no receiver and no HTTP.

mod alerting;
mod builtin;
mod doctor;
mod expand;
mod file;
mod group;
mod log_query;
mod manager;
mod metrics;
mod promql_query;
mod query;
pub mod rehearse;
mod restore;
mod schedule;
mod scratch;
mod series;
mod snapshot;
mod spec;
pub mod unit_test;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use builtin::{BUILTIN_FILE, BuiltinChange, BuiltinChanges, builtin};
pub use doctor::Missing;
pub use file::{FILE_BYTES_MAX, FILES_MAX, Loaded, Problem, load, parse};
pub use group::{ALERTS_PER_RULE_MAX, Evaluation, Group, RECORDED_SERIES_PER_RULE_MAX, World};
pub use log_query::LogQuery;
pub use manager::{Options, RuleManager, Tell};
pub use metrics::Metrics;
pub use promql_query::PromqlQuery;
pub use query::{Languages, Reads, RuleQuery};
pub use snapshot::{ActiveAlert, AlertState, GroupSnapshot, RuleHealth, RuleKind, RuleSnapshot};
pub use spec::{GroupSpec, RuleOutput, RuleSpec, Source, Text};
