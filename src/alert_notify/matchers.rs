//! Label matchers as Alertmanager writes them: `severity="critical"`, `team=~"a|b"`, in braces or
//! not, with or without quotes.

use model::{MatchOp, Matcher};

/// Reads one entry of `matchers`: a matcher, or several with commas, in braces or not.
pub(crate) fn parse(text: &str) -> Result<Vec<Matcher>, String> {
    let bad = |what: &str| format!("cannot read matcher {text:?}: {what}");
    let trimmed = text.trim();
    let inner = match trimmed.strip_prefix('{') {
        Some(rest) => rest
            .strip_suffix('}')
            .ok_or_else(|| bad("the closing } is missing"))?,
        None => trimmed,
    };
    let mut rest = inner.trim();
    let mut matchers = Vec::new();
    while !rest.is_empty() {
        let (name, after) =
            word(rest, |c| "=!~,{}\"".contains(c) || c.is_whitespace()).map_err(bad)?;
        if name.is_empty() {
            return Err(bad("a label name is missing"));
        }
        let (op, after) = operator(after.trim_start())
            .ok_or_else(|| bad("write =, !=, =~ or !~ behind the label name"))?;
        let (value, after) = word(after.trim_start(), |c| {
            ",{}\"".contains(c) || c.is_whitespace()
        })
        .map_err(bad)?;
        matchers.push(Matcher::new(name, op, value).map_err(|error| error.to_string())?);
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if after.is_empty() => after,
            None => {
                return Err(bad(
                    "a comma is missing between two matchers, or quotes around a value",
                ));
            }
        };
    }
    if matchers.is_empty() {
        return Err(bad("it is empty"));
    }
    Ok(matchers)
}

fn operator(text: &str) -> Option<(MatchOp, &str)> {
    // The longer ones first.
    [
        ("=~", MatchOp::Regex),
        ("!~", MatchOp::NotRegex),
        ("!=", MatchOp::NotEqual),
        ("=", MatchOp::Equal),
    ]
    .into_iter()
    .find_map(|(sign, op)| Some((op, text.strip_prefix(sign)?)))
}

/// A word in double quotes (with `\"`, `\\` and `\n`) or up to a character that ends it.
fn word(text: &str, ends: fn(char) -> bool) -> Result<(String, &str), &'static str> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(ends).unwrap_or(text.len());
        return Ok((text[..end].to_owned(), &text[end..]));
    };
    let mut out = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((out, &quoted[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => out.push('\n'),
                Some((_, c @ ('"' | '\\'))) => out.push(c),
                // A regular expression's own escape, as the classic parser took it.
                Some((_, c)) => out.extend(['\\', c]),
                None => break,
            },
            c => out.push(c),
        }
    }
    Err("the closing quote is missing")
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
        check(r#""a b"="c""#, r#"{a b="c"}"#);
        check("a=", r#"{a=""}"#);
    }

    #[test]
    fn refuses_the_rest_with_a_reason() {
        let check = |text: &str, expected: &str| {
            let error = parse(text).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("", "it is empty");
        check("severity", "write =, !=");
        check("{a=b", "closing }");
        check("a=\"b", "closing quote");
        check("a=b c=d", "comma is missing");
        check("a=~\"(\"", "regular expression");
        check("=b", "label name is missing");
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
