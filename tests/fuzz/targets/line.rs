//! Any bytes as a line: its fields, its message, its pattern.

#![no_main]

use libfuzzer_sys::fuzz_target;
use log_query::{FIELDS_MAX, LineFields, LineView, PATTERN_CHARS_MAX, pattern};
use model::{Labels, Level};

fuzz_target!(|line: &[u8]| {
    let fields = LineFields::of(line);
    assert!(fields.iter().count() <= FIELDS_MAX);
    for (name, value) in fields.iter() {
        assert!(fields.values(name).any(|other| other == value));
        log_query::parse_number(value);
    }
    let labels = Labels::empty();
    let view = LineView::new(&labels, Level::Info, line);
    let shape = pattern(&view);
    assert!(shape.chars().count() <= PATTERN_CHARS_MAX + 1, "{shape}");
});
