//! The container runtime interface's log format, as containerd and CRI-O write it:
//! `2024-01-01T00:00:00.000000000Z stdout F message`.
//!
//! Times have any fraction and any zone. The tag is `F` for a whole line and `P` for a part of
//! one; further tags may follow behind colons. Everything behind the one space after the tag is
//! the program's own text, its spaces and bytes untouched.

use std::borrow::Cow;

use memchr::memchr;

use super::{Enveloped, Output};
use crate::time_detect::rfc3339;

/// Reads a line, or says `None` where it is not of this format.
pub(crate) fn parse(line: &[u8]) -> Option<Enveloped<'_>> {
    let stamp = rfc3339(line)?;
    let rest = line.get(stamp.end..)?.strip_prefix(b" ")?;
    let (output, rest) = rest.split_at_checked(6)?;
    let output = Output::from_bytes(output)?;
    let rest = rest.strip_prefix(b" ")?;
    let (tags, text) = match memchr(b' ', rest) {
        Some(space) => (&rest[..space], &rest[space + 1..]),
        None => (rest, &rest[rest.len()..]),
    };
    let partial = match tags {
        [b'F'] | [b'F', b':', ..] => false,
        [b'P'] | [b'P', b':', ..] => true,
        _ => return None,
    };
    Some(Enveloped {
        output,
        time_ns: stamp.time_ns,
        partial,
        text: Cow::Borrowed(text),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(line: &[u8]) -> Option<(Output, String, bool, Vec<u8>)> {
        let line = parse(line)?;
        let time = model::time::rfc3339_ns(line.time_ns);
        Some((line.output, time, line.partial, line.text.into_owned()))
    }

    #[test]
    fn reads_what_runtimes_write() {
        let check = |line: &[u8], output, time: &str, partial, text: &[u8]| {
            assert_eq!(
                parts(line),
                Some((output, time.to_owned(), partial, text.to_vec())),
                "{}",
                String::from_utf8_lossy(line)
            );
        };
        let (out, err) = (Output::Stdout, Output::Stderr);
        check(
            b"2026-03-01T10:00:00.123456789Z stdout F hello world",
            out,
            "2026-03-01T10:00:00.123456789Z",
            false,
            b"hello world",
        );
        check(
            b"2026-03-01T10:00:00.000000001Z stdout P aaa",
            out,
            "2026-03-01T10:00:00.000000001Z",
            true,
            b"aaa",
        );
        check(
            b"2026-03-01T10:00:01Z stdout F ",
            out,
            "2026-03-01T10:00:01.000000000Z",
            false,
            b"",
        );
        check(
            b"2026-03-01T11:00:00.5+01:00 stderr F x",
            err,
            "2026-03-01T10:00:00.500000000Z",
            false,
            b"x",
        );
        check(
            b"2026-03-01T10:00:02.0Z stdout P:foo part",
            out,
            "2026-03-01T10:00:02.000000000Z",
            true,
            b"part",
        );
        check(
            b"2026-03-01T10:00:03.0Z stdout F   \tindented",
            out,
            "2026-03-01T10:00:03.000000000Z",
            false,
            b"  \tindented",
        );
        check(
            b"2026-03-01T10:00:03Z stdout F a\r\0\xff\xfe",
            out,
            "2026-03-01T10:00:03.000000000Z",
            false,
            b"a\r\0\xff\xfe",
        );
    }

    #[test]
    fn refuses_other_lines() {
        let check = |line: &str| assert_eq!(parse(line.as_bytes()), None, "{line}");
        check("not a log line");
        check("");
        check("2026-03-01T10:00:00Z stdout");
        check("2026-03-01T10:00:00Z stdout X text");
        check("2026-03-01T10:00:00Z stdwhat F text");
        check("2026-03-01T10:00:00 stdout F no zone");
    }

    proptest! {
        #[test]
        fn never_panics(
            line in proptest::collection::vec(any::<u8>(), 0..80),
            prefix in "(2026-03-01T10:00:0)?[0-9Z. ]{0,4}(stdout)?( F| P)?[: ]?",
        ) {
            parse(&line);
            parse(&[prefix.as_bytes(), &line].concat());
        }

        #[test]
        fn any_text_comes_back(text in proptest::collection::vec(any::<u8>(), 0..80)) {
            let line = [b"2026-03-01T10:00:00.1Z stderr F ".as_slice(), &text].concat();
            prop_assert_eq!(parse(&line).map(|line| line.text.into_owned()), Some(text));
        }
    }
}
