//! Any text as PromQL: it is understood or refused with a place in it; what is understood is
//! written so that it is understood in the same way, on one line and on several.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match promql::format_line(text) {
        Ok(line) => {
            assert_eq!(promql::format_line(&line).as_deref(), Ok(&*line), "{text}");
            let pretty = promql::format(text).expect("it was understood");
            assert_eq!(promql::format_line(&pretty).as_deref(), Ok(&*line), "{text}");
            let outline = promql::explain(text).expect("it was understood");
            assert!(outline.place.1 <= text.chars().count());
            promql::tree_json(text).expect("it was understood");
        }
        Err(error) => {
            let place = error.position.expect("errors have a place");
            assert!(place <= text.chars().count(), "{error}");
        }
    }
    let _ = promql::parse_selector(text);
});
