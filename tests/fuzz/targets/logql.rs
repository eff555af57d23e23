//! Any text as LogQL: understood or refused, never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use log_query::logql;

fuzz_target!(|text: &str| {
    // Either is fine.
    let _ = logql::parse(text);
    let _ = logql::parse_selector(text);
});
