//! Label matchers as Alertmanager writes them: `severity="critical"`, `team=~"a|b"`, in braces or
//! not, with or without quotes.
//!
//! Alertmanager has two grammars, and a text is read as it reads it: by the newer one (any UTF-8
//! in quotes, Go's escapes), else by the classic one (plain label names, only `\n`, `\"` and `\\`
//! are escapes, spaces within a bare value); where both read the text and disagree, the classic
//! one counts, because files were written for it.

use model::{MatchOp, Matcher};

/// A matcher before its regular expression is compiled.
type Parts = (String, MatchOp, String);

/// Reads one entry of `matchers`: a matcher, or several with commas, in braces or not.
pub(crate) fn parse(text: &str) -> Result<Vec<Matcher>, String> {
    let bad = |what: &str| format!("cannot read matcher {text:?}: {what}");
    let parts = match (utf8(text), classic(text)) {
        (Ok(new), Ok(old)) if new == old => new,
        (_, Ok(old)) => old,
        (Ok(new), Err(_)) => new,
        (Err(error), Err(_)) => return Err(bad(error)),
    };
    if parts.is_empty() {
        return Err(bad("it is empty"));
    }
    let compile = |(name, op, value): Parts| Matcher::new(name, op, value);
    parts
        .into_iter()
        .map(|parts| compile(parts).map_err(|error| error.to_string()))
        .collect()
}

/// The operator at the start of a text, and the rest; the longer ones first.
fn operator(text: &str) -> Option<(MatchOp, &str)> {
    [
        ("=~", MatchOp::Regex),
        ("!~", MatchOp::NotRegex),
        ("!=", MatchOp::NotEqual),
        ("=", MatchOp::Equal),
    ]
    .into_iter()
    .find_map(|(sign, op)| Some((op, text.strip_prefix(sign)?)))
}

// The newer grammar.

/// Reads a list by the newer grammar.
fn utf8(text: &str) -> Result<Vec<Parts>, &'static str> {
    let trimmed = text.trim();
    let inner = match trimmed.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}').ok_or("the closing } is missing")?,
        None => trimmed,
    };
    let mut rest = inner.trim();
    let mut matchers = Vec::new();
    while !rest.is_empty() {
        let (name, after) = word(rest)?;
        if name.is_empty() {
            return Err("a label name is missing");
        }
        let (op, after) =
            operator(after.trim_start()).ok_or("write =, !=, =~ or !~ behind the label name")?;
        let after = after.trim_start();
        let (value, left) = word(after)?;
        if left.len() == after.len() {
            return Err("a value is missing; write \"\" for an empty one");
        }
        matchers.push((name, op, value));
        let left = left.trim_start();
        rest = match left.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if left.is_empty() => left,
            None => {
                return Err("a comma is missing between two matchers, or quotes around a value");
            }
        };
    }
    Ok(matchers)
}

/// A text in double quotes with Go's escapes, or a run of characters that mean nothing else.
fn word(text: &str) -> Result<(String, &str), &'static str> {
    let Some(quoted) = text.strip_prefix('"') else {
        let reserved = |c: char| "{}!=~,\\\"'`".contains(c) || c.is_whitespace();
        let end = text.find(reserved).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        return Ok((word.to_owned(), rest));
    };
    let mut end = None;
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => {
                end = Some(at);
                break;
            }
            _ => {}
        }
    }
    let end = end.ok_or("the closing quote is missing")?;
    let (inner, rest) = quoted.split_at(end);
    let word = unquote(inner).ok_or("there is an escape that is not known")?;
    Ok((word, rest.get(1..).unwrap_or_default()))
}

/// What stands between double quotes in Go's source, or `None` where Go would refuse it.
fn unquote(inner: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..)?;
        if c == '\n' {
            return None;
        }
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let kind = rest.chars().next()?;
        // Where the digits of a number begin, how many there are, and their base.
        let (skip, digits, radix) = match kind {
            'x' => (1, 2, 16),
            'u' => (1, 4, 16),
            'U' => (1, 8, 16),
            '0'..='7' => (0, 3, 8),
            c => {
                bytes.push(match c {
                    'a' => 7,
                    'b' => 8,
                    'f' => 12,
                    'n' => b'\n',
                    'r' => b'\r',
                    't' => b'\t',
                    'v' => 11,
                    '\\' => b'\\',
                    '"' => b'"',
                    _ => return None,
                });
                rest = rest.get(1..)?;
                continue;
            }
        };
        let number = u32::from_str_radix(rest.get(skip..skip + digits)?, radix).ok()?;
        rest = rest.get(skip + digits..)?;
        if matches!(kind, 'u' | 'U') {
            push_char(&mut bytes, number)?;
        } else {
            bytes.push(u8::try_from(number).ok()?);
        }
    }
    String::from_utf8(bytes).ok()
}

fn push_char(bytes: &mut Vec<u8>, code: u32) -> Option<()> {
    let c = char::from_u32(code)?;
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    Some(())
}

// The classic grammar.

/// Reads a list by the classic grammar: split at commas outside quotes, each part a matcher.
fn classic(text: &str) -> Result<Vec<Parts>, &'static str> {
    let text = text.strip_prefix('{').unwrap_or(text);
    let text = text.strip_suffix('}').unwrap_or(text);
    let (mut quoted, mut escaped) = (false, false);
    let parts = text.split(|c| {
        match c {
            ',' if !quoted => return true,
            '"' if escaped => escaped = false,
            '"' => quoted = !quoted,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
        false
    });
    let parts: Vec<&str> = parts.collect();
    let last = parts.len().saturating_sub(1);
    parts
        .into_iter()
        .enumerate()
        // A comma may end the list.
        .filter(|(i, part)| *i != last || !part.trim().is_empty())
        .map(|(_, part)| classic_one(part))
        .collect()
}

fn classic_one(text: &str) -> Result<Parts, &'static str> {
    let text = text.trim_start();
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    let end = text
        .find(|c: char| !(is_first(c) || c.is_ascii_digit()))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if !name.starts_with(is_first) {
        return Err("a label name is missing");
    }
    let (op, value) = operator(rest.trim_start()).ok_or("an operator is missing")?;
    let value = value.trim();
    let (value, in_quotes) = match value.strip_prefix('"') {
        Some(inner) => (inner, true),
        None => (value, false),
    };
    let mut out = String::new();
    let mut closed = false;
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some(c @ ('"' | '\\')) => out.push(c),
                Some(c) => out.extend(['\\', c]),
                None => out.push('\\'),
            },
            '"' if in_quotes && chars.peek().is_none() => closed = true,
            '"' => return Err("a double quote stands within the value"),
            c => out.push(c),
        }
    }
    if in_quotes && !closed {
        return Err("the closing quote is missing");
    }
    Ok((name.to_owned(), op, out))
}

/// A list of matchers in Alertmanager's form, in order of name: part of group keys.
pub(crate) fn display(matchers: &[Matcher]) -> String {
    let mut sorted: Vec<&Matcher> = matchers.iter().collect();
    sorted.sort_by(|a, b| {
        let key = |m: &Matcher| (m.name.clone(), m.value.clone(), m.op.as_str());
        key(a).cmp(&key(b))
    });
    let list: Vec<String> = sorted
        .into_iter()
        .map(|m| {
            let value = m
                .value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            format!("{}{}\"{value}\"", m.name, m.op.as_str())
        })
        .collect();
    format!("{{{}}}", list.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_that_is_in_use() {
        let check = |text: &str, expected: &str| {
            assert_eq!(display(&parse(text).expect(text)), expected, "{text}");
        };
        check("severity=critical", r#"{severity="critical"}"#);
        check(r#" severity = "critical" "#, r#"{severity="critical"}"#);
        check(r#"{b=~"x|y", a!="",}"#, r#"{a!="",b=~"x|y"}"#);
        check(r#"a!~"\\d+""#, r#"{a!~"\\d+"}"#);
        check(r#"a="say \"hi\"""#, r#"{a="say \"hi\""}"#);
        check("foo=🙂", "{foo=\"🙂\"}");
        check("severity =~ warning|info", r#"{severity=~"warning|info"}"#);
    }

    #[test]
    fn the_newer_grammar_takes_names_in_quotes() {
        let check = |text: &str, expected: &str| {
            assert_eq!(display(&parse(text).expect(text)), expected, "{text}");
        };
        check(r#""a b"="c""#, r#"{a b="c"}"#);
        check(r#"{"fo\u00f6"="\x41\101\n"}"#, "{foö=\"AA\\n\"}");
        check("🙂=x", "{🙂=\"x\"}");
    }

    #[test]
    fn where_both_grammars_read_a_text_the_classic_one_counts() {
        let check = |text: &str, expected: &str| {
            let parsed = parse(text).expect(text);
            assert_eq!(&*parsed[0].value, expected, "{text}");
        };
        check("a=", "");
        check("a=b c", "b c");
        check("a={b}", "{b");
        check(r"a=\d", r"\d");
        check(r#"a=~"\d+""#, r"\d+");
        check(r#"a="\u00e9""#, r"\u00e9");
        check(r#"a="\t""#, r"\t");
        check(r#"a="\n""#, "\n");
    }

    #[test]
    fn refuses_the_rest_with_a_reason() {
        let check = |text: &str, expected: &str| {
            let error = parse(text).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("", "it is empty");
        check("{}", "it is empty");
        check("severity", "write =, !=");
        check("a=\"b", "closing quote");
        check("\"a\"=b c=d", "comma is missing");
        check("a=~\"(\"", "regular expression");
        check("=b", "label name is missing");
        check("\"a\"=", "value is missing");
        check("\"a\"=\"\\q\"", "escape");
    }

    proptest::proptest! {
        #[test]
        fn what_is_displayed_reads_back(name in "[a-z]{1,5}", value in "(?s).{0,20}") {
            let matcher = Matcher::equal(name, value);
            let text = display(std::slice::from_ref(&matcher));
            proptest::prop_assert_eq!(parse(&text), Ok(vec![matcher]));
        }

        #[test]
        fn never_panics(text in "(?s).{0,40}") {
            let _ = parse(&text);
        }
    }
}
