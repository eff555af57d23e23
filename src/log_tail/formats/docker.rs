//! Docker's json-file format: `{"log":"message\n","stream":"stdout","time":"…Z"}`.
//!
//! A `log` without a line break at its end is a part of a longer line. Other members (`attrs`)
//! are not kept.

use std::borrow::Cow;

use serde::Deserialize;

use super::{Enveloped, Output};
use crate::time_detect::rfc3339;

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
    #[serde(borrow)]
    stream: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
}

/// Reads a line, or says `None` where it is not of this format.
pub(crate) fn parse(line: &[u8]) -> Option<Enveloped<'_>> {
    if line.first() != Some(&b'{') {
        return None;
    }
    let entry: Entry<'_> = serde_json::from_slice(line).ok()?;
    let stamp = rfc3339(entry.time.as_bytes())?;
    let mut text = match entry.log {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    };
    let partial = text.last() != Some(&b'\n');
    if !partial {
        match &mut text {
            Cow::Borrowed(text) => *text = &text[..text.len() - 1],
            Cow::Owned(text) => text.truncate(text.len() - 1),
        }
    }
    Some(Enveloped {
        output: Output::from_bytes(entry.stream.as_bytes())?,
        time_ns: stamp.time_ns,
        partial,
        text,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_docker_writes() {
        let check = |line: &str, output, partial, text: &str| {
            let read = parse(line.as_bytes()).expect(line);
            assert_eq!(
                (read.output, read.partial, &*read.text),
                (output, partial, text.as_bytes()),
                "{line}"
            );
        };
        check(
            r#"{"log":"hi\n","stream":"stdout","time":"2026-03-01T10:00:05.123456789Z"}"#,
            Output::Stdout,
            false,
            "hi",
        );
        check(
            r#"{"log":"one ","stream":"stdout","time":"2026-03-01T10:00:06.1Z"}"#,
            Output::Stdout,
            true,
            "one ",
        );
        check(
            r#"{"log":"x\u00e9\t\"\n","stream":"stderr","attrs":{"tag":"t"},"time":"2026-03-01T10:00:07Z"}"#,
            Output::Stderr,
            false,
            "xé\t\"",
        );
    }

    #[test]
    fn refuses_other_lines() {
        let check = |line: &str| assert_eq!(parse(line.as_bytes()), None, "{line}");
        check("");
        check("text");
        check(r#"{"level":"info","msg":"m"}"#);
        check(r#"{"log":"x\n","stream":"stdout","time":"yesterday"}"#);
        check(r#"{"log":"x\n","stream":"stdout"#);
    }

    proptest! {
        #[test]
        fn never_panics(line in proptest::collection::vec(any::<u8>(), 0..120)) {
            parse(&line);
        }

        #[test]
        fn any_text_comes_back(text in "\\PC{0,40}") {
            let entry = serde_json::json!({
                "log": format!("{text}\n"), "stream": "stdout", "time": "2026-03-01T10:00:07Z"});
            let line = entry.to_string();
            let read = parse(line.as_bytes()).map(|line| line.text.into_owned());
            prop_assert_eq!(read, Some(text.into_bytes()));
        }
    }
}
