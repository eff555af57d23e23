//! What did people decide?
//!
//! One SQLite file for what is neither a log line nor a sample: the state of rules, silences,
//! saved views, settings. Its tables come from `migrations/*.sql`, applied in order at start.

/// The open database.
#[derive(Debug)]
pub struct StateStore {}
