//! What is wrong?
//!
//! Rule files in Prometheus' format become groups on a clock; each evaluation asks `promql`,
//! moves alerts between inactive, pending and firing, and hands the alerts that someone should
//! know about to whoever was plugged in. This room knows no receiver and no HTTP.

mod snapshot;

pub use snapshot::{ActiveAlert, AlertState, GroupSnapshot, RuleHealth, RuleKind, RuleSnapshot};
