//! What well-known secrets look like. What each preset finds is listed for users in
//! `docs/processing-rules.md`.

use std::ops::Range;

use crate::config::Preset;
use crate::redact::Finder;

const EMAIL: &[&str] =
    &[r"(?i-u)\b[a-z0-9._%+-]{1,64}@(?:[a-z0-9][a-z0-9-]{0,62}\.){1,8}[a-z]{2,24}\b"];

const IPV4: &[&str] = &[
    r"(?-u)\b(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\b",
];

const BEARER: &[&str] = &[r"(?i-u)\b(?:bearer|basic)\s+(?<secret>[a-z0-9._~+/=-]{6,})"];

/// First by their form, then by the name before them: quoted, quoted within quotes, bare.
const TOKEN: &[&str] = &[
    concat!(
        r"(?-u)\b(?:",
        r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{20,}|",
        r"(?:AKIA|ASIA)[A-Z0-9]{16}\b|AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{20,}|",
        r"xox[abeoprs]-[A-Za-z0-9-]{10,}|[rs]k_(?:live|test)_[A-Za-z0-9]{16,}|",
        r"sk-[A-Za-z0-9_-]{20,}|hvs\.[A-Za-z0-9_-]{20,}|dop_v1_[a-f0-9]{32,}|",
        r"npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{30,}|",
        r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)",
    ),
    r"(?s-u)-----BEGIN [A-Z ]*PRIVATE KEY-----(?<secret>.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\z)",
    r"(?-u)\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s:/@]*:(?<secret>[^\s/@]+)@",
    concat!(
        r"(?i-u)(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key|",
        r"secret[_-]?key|private[_-]?key|credentials?)",
        r#""\s*[:=]\s*"(?<secret>(?:[^"\\]|\\.)+)"#,
    ),
    concat!(
        r"(?i-u)(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key|",
        r"secret[_-]?key|private[_-]?key|credentials?)",
        r#"(?:\\"|')?\s*[:=]\s*(?:\\"|["'])(?<secret>[^"'\\]+)"#,
    ),
    concat!(
        r"(?i-u)(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key|",
        r"secret[_-]?key|private[_-]?key|credentials?)",
        r#""?\s*[:=]\s*(?<secret>[^\s"'\\,;&{}\[\]()]{3,})"#,
    ),
];

/// How many digits a card number has.
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// What finds a preset.
pub(crate) fn finders(preset: Preset) -> Vec<Finder> {
    let patterns = match preset {
        Preset::CreditCard => return vec![Finder::CreditCard],
        Preset::Email => EMAIL,
        Preset::Token => TOKEN,
        Preset::Ipv4 => IPV4,
        Preset::Bearer => BEARER,
    };
    patterns
        .iter()
        .map(|pattern| finder(pattern).expect("a test compiles each preset"))
        .collect()
}

/// Compiles a pattern; the error is a reason on one line.
pub(crate) fn finder(pattern: &str) -> Result<Finder, String> {
    let regex = log_query::compile_regex(&format!("(?m){pattern}"))?;
    if regex.is_match(b"") {
        return Err(
            "this regular expression matches also where there is nothing (`x*`): write one that \
             needs at least one character (`x+`)"
                .to_owned(),
        );
    }
    let secret = regex
        .capture_names()
        .position(|name| name == Some("secret"));
    Ok(Finder::Pattern { regex, secret })
}

/// Calls `found` for each card number: digits in groups with single spaces or dashes between
/// them, beginning with 2 to 6, with a right check digit.
pub(crate) fn credit_cards(text: &[u8], mut found: impl FnMut(Range<usize>)) {
    let mut at = 0;
    while let Some(start) = next_digit(text, at) {
        let groups = digit_groups(text, start);
        at = groups.last().map_or(start + 1, |group| group.end);
        let mut first = 0;
        while first < groups.len() {
            match card_at(text, &groups, first) {
                Some(last) => {
                    if let (Some(from), Some(to)) = (groups.get(first), groups.get(last)) {
                        found(from.start..to.end);
                    }
                    first = last + 1;
                }
                None => first += 1,
            }
        }
    }
}

fn next_digit(text: &[u8], from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    rest.iter()
        .position(u8::is_ascii_digit)
        .map(|offset| from + offset)
}

/// The groups of digits from `start` on that only single spaces or dashes separate.
fn digit_groups(text: &[u8], start: usize) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let mut at = start;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let n = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if n == 0 {
            return groups;
        }
        groups.push(at..at + n);
        at += n;
        match text.get(at) {
            Some(b' ' | b'-') => at += 1,
            _ => return groups,
        }
    }
}

/// The last group of the longest card number that begins with the group `first`.
fn card_at(text: &[u8], groups: &[Range<usize>], first: usize) -> Option<usize> {
    let start = groups.get(first)?.start;
    if !matches!(text.get(start), Some(b'2'..=b'6')) {
        return None;
    }
    let mut digits = Vec::with_capacity(*CARD_DIGITS.end());
    let mut last = None;
    for (i, group) in groups.iter().enumerate().skip(first) {
        if digits.len() + group.len() > *CARD_DIGITS.end() {
            break;
        }
        digits.extend(text.get(group.clone())?.iter().map(|byte| byte - b'0'));
        if CARD_DIGITS.contains(&digits.len()) && check_digit_is_right(&digits) {
            last = Some(i);
        }
    }
    last
}

/// Luhn's check: from the right, every second digit doubled, the sum of all digits ends in 0.
fn check_digit_is_right(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, digit)| match (i % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::Redact;

    fn check(preset: Preset, text: &str, expected: &str) {
        let redact = Redact {
            finders: finders(preset),
            with: "***".to_owned(),
        };
        let found = redact.apply(text.as_bytes());
        let found = found.unwrap_or_else(|| text.as_bytes().to_vec());
        assert_eq!(String::from_utf8_lossy(&found), expected, "{text}");
    }

    #[test]
    fn people_and_addresses() {
        let email = |text, expected| check(Preset::Email, text, expected);
        email(
            "mail from <Ann.B+x@Mail.example.org>: ok",
            "mail from <***>: ok",
        );
        email("root@localhost git@v1.2", "root@localhost git@v1.2");
        email(r#"{"to":"a@b.de"}"#, r#"{"to":"***"}"#);
        let ipv4 = |text, expected| check(Preset::Ipv4, text, expected);
        ipv4("from 192.0.2.7:443 to 10.0.0.1", "from ***:443 to ***");
        ipv4("999.1.1.1 1.2.3 v1.2.3.4", "999.1.1.1 1.2.3 v1.2.3.4");
    }

    #[test]
    fn keys_and_passwords() {
        let token = |text, expected| check(Preset::Token, text, expected);
        token(
            "pushed with ghp_0123456789abcdefghij0123456789abcdef ok",
            "pushed with *** ok",
        );
        token("id AKIAIOSFODNN7EXAMPLE.", "id ***.");
        token(
            "jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl end",
            "jwt *** end",
        );
        token(
            "postgres://app:s3cr3t@db:5432/x http://h:80/a@b",
            "postgres://app:***@db:5432/x http://h:80/a@b",
        );
        token("password=hunter2, user=x", "password=***, user=x");
        token("DB_PASSWORD: 'a b c' next", "DB_PASSWORD: '***' next");
        token(
            r#"{"user":"x","apiKey":"a\"b,c","token":null,"pwd":12345}"#,
            r#"{"user":"x","apiKey":"***","token":null,"pwd":"***"}"#,
        );
        token(
            r#"{"msg":"got {\"password\":\"abc\",\"n\":1}"}"#,
            r#"{"msg":"got {\"password\":\"***\",\"n\":1}"}"#,
        );
        token(
            "GET /x?access_token=abcdef&n=1",
            "GET /x?access_token=***&n=1",
        );
        token(
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----\nafter",
            "-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----\nafter",
        );
        token("the password was wrong", "the password was wrong");
        check(
            Preset::Bearer,
            r#"Authorization: Bearer abc.def-123 "basic dXNlcjpwYXNz""#,
            r#"Authorization: Bearer *** "basic ***""#,
        );
    }

    #[test]
    fn card_numbers_have_a_right_check_digit() {
        let card = |text, expected| check(Preset::CreditCard, text, expected);
        card("paid 4111 1111 1111 1111.", "paid ***.");
        card("paid 4111-1111-1111-1112.", "paid 4111-1111-1111-1112.");
        card("1700000000000 4111111111111111 7", "1700000000000 *** 7");
        card("378282246310005", "***");
        card(r#"{"card":4111111111111111}"#, r#"{"card":"***"}"#);
        card("41111111111111111111111111", "41111111111111111111111111");
    }

    #[test]
    fn patterns_are_checked() {
        let check = |pattern: &str, part: &str| {
            let error = finder(pattern).expect_err(pattern);
            assert!(error.contains(part), "{error}");
        };
        check("a(", "not a regular expression");
        check("x*", "at least one character");
        check("(?:[a-z]{1000}){1000}", "bytes of memory");
    }
}
