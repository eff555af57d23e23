//! Needs the program `prometheus` (any version from 2.41 on): skipped with a sentence without it.
//!
//! Prometheus beside us: what it understands (`parsing`) and what it computes (`values`).

#![allow(
    clippy::print_stdout,
    reason = "a test says what it compared, or why it did not"
)]

mod compare;
mod data;
mod differences;
mod expressions;
mod folder;
mod parsing;
mod prometheus;
mod values;
