//! Any text as a query: it is understood or refused with a place in it and, where a correction is
//! offered, with one that works; and what is understood can be asked of any line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use log_query::{LineView, Query};
use model::{Labels, Level};

const LINES: [&[u8]; 4] = [
    br#"{"level":"error","msg":"a b","status":500,"http":{"path":"/x"},"took":"1.5s"}"#,
    b"level=warn msg=\"a\" status=200",
    b"2026-01-02 03:04:05 ERROR a: \xff b",
    b"",
];

fuzz_target!(|text: &str| {
    let labels = Labels::from_pairs([("namespace", "a"), ("pod", "b-1")]);
    match Query::parse(text) {
        Ok(query) => {
            for line in LINES {
                query
                    .filter
                    .matches(&LineView::new(&labels, Level::Error, line));
            }
        }
        Err(error) => {
            assert!(!error.message.is_empty());
            assert!(error.position <= text.chars().count(), "{error}");
            if let Some(meant) = &error.suggestion {
                assert_ne!(meant, text, "the correction is the mistake: {error}");
            }
        }
    }
});
