//! Access logs of nginx and Apache (common and combined): the level that the status stands for.
//!
//! `10.0.0.1 - - [02/Jan/2024:03:04:05 +0000] "GET / HTTP/1.1" 503 17 "-" "curl/8"`: the server's
//! own failures (5xx) are errors, refused requests (4xx) warnings, all others information.

use memchr::memchr;
use model::Level;

/// The request line may be long; further on no status is looked for.
const SEARCH_BYTES_MAX: usize = 4 << 10;

/// The level of a line of an access log; `None` where it is none.
pub(crate) fn level(line: &[u8]) -> Option<Level> {
    // Fast path: an address or a name, then `- user [`. Most other lines end here.
    if !line.first()?.is_ascii_alphanumeric() && line.first() != Some(&b':') {
        return None;
    }
    let space = memchr(b' ', line.get(..64).unwrap_or(line))?;
    if line.get(space + 1) != Some(&b'-') || line.get(space + 2) != Some(&b' ') {
        return None;
    }
    let line = line.get(..SEARCH_BYTES_MAX).unwrap_or(line);
    let open = space + memchr(b'[', &line[space..])?;
    let close = open + memchr(b']', &line[open..])?;
    let mut rest = line.get(close + 1..)?.strip_prefix(b" \"")?;
    // A quote inside the request is written `\"` or `\x22`.
    loop {
        let quote = memchr(b'"', rest)?;
        let escaped = quote > 0 && rest[quote - 1] == b'\\';
        rest = &rest[quote + 1..];
        if !escaped {
            break;
        }
    }
    let [
        b' ',
        class @ b'1'..=b'5',
        b'0'..=b'9',
        b'0'..=b'9',
        end @ ..,
    ] = rest
    else {
        return None;
    };
    matches!(end.first(), None | Some(b' ')).then_some(match class {
        b'5' => Level::Error,
        b'4' => Level::Warn,
        _ => Level::Info,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_status_gives_the_level() {
        let check = |line: &str, expected| assert_eq!(level(line.as_bytes()), expected, "{line}");
        let line = |rest: &str| format!("10.0.0.1 - - [02/Jan/2024:03:04:05 +0000] {rest}");
        check(
            &line(r#""GET / HTTP/1.1" 200 17 "-" "curl/8""#),
            Some(Level::Info),
        );
        check(
            &line(r#""TRACE /error HTTP/1.1" 500 1"#),
            Some(Level::Error),
        );
        check(&line(r#""GET /a\"b HTTP/1.1" 404 -"#), Some(Level::Warn));
        check(&line(r#""" 400 0 "-" "-""#), Some(Level::Warn));
        check(
            r#"::1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.0" 301 2326"#,
            Some(Level::Info),
        );
    }

    #[test]
    fn other_lines_have_no_status() {
        let check = |line: &str| assert_eq!(level(line.as_bytes()), None, "{line}");
        check("");
        check("text");
        check("GET /ERROR HTTP/1.1 503");
        check(r#"10.0.0.1 - - [02/Jan/2024:03:04:05 +0000] "GET /"#);
        check(r#"10.0.0.1 - - [02/Jan/2024:03:04:05 +0000] "GET / HTTP/1.1" 5000 1"#);
        check("a - b [c] said \"x\" 500 times");
    }

    proptest! {
        #[test]
        fn never_panics(line in proptest::collection::vec(any::<u8>(), 0..120)) {
            level(&line);
        }

        #[test]
        fn never_panics_near_an_access_log(line in "[a1:] - [\\[\\] a]{0,4}\\] \"[\"\\\\a ]{0,8}\" [0-9]{0,4}[ x]?") {
            level(line.as_bytes());
        }
    }
}
