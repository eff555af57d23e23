//! Label sets as text: `{app="web", env="prod"}`, the form in which protobuf pushes carry them.

use model::{Labels, LabelsBuilder};

use crate::Refused;

/// Reads a label set. Strings are quoted as in Go: `"…"` with escapes, or `` `…` `` without.
pub(crate) fn parse(text: &str) -> Result<Labels, Refused> {
    read(text).ok_or_else(|| {
        let shown: String = text.chars().take(200).collect();
        Refused::Bad(format!(
            "the labels {shown:?} cannot be read: they must look like {{app=\"web\", env=\"prod\"}}"
        ))
    })
}

fn read(text: &str) -> Option<Labels> {
    let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    let mut labels = LabelsBuilder::default();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let name = name.trim();
        if name.is_empty() || name.contains(['"', ',', '{', '}', ' ']) {
            return None;
        }
        let after = after.trim_start();
        let (value, after) = match after.as_bytes().first()? {
            b'"' => quoted(after.get(1..)?)?,
            b'`' => {
                let (value, after) = after.get(1..)?.split_once('`')?;
                (value.to_owned(), after)
            }
            _ => return None,
        };
        labels.set(name, value);
        rest = after.trim_start();
        if !rest.is_empty() {
            rest = rest.strip_prefix(',')?.trim_start();
        }
    }
    Some(labels.build())
}

/// A string behind its opening quote, and what follows its closing one.
fn quoted(text: &str) -> Option<(String, &str)> {
    // Fast path: no escapes.
    let end = text.find(['"', '\\'])?;
    if text.as_bytes().get(end) == Some(&b'"') {
        return Some((text.get(..end)?.to_owned(), text.get(end + 1..)?));
    }
    let mut bytes = Vec::with_capacity(text.len().min(64));
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                let value = String::from_utf8_lossy(&bytes).into_owned();
                return Some((value, text.get(at + 1..)?));
            }
            '\\' => {
                let (_, kind) = chars.next()?;
                let digits = match kind {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    _ => 0,
                };
                if digits > 0 {
                    let mut number = 0u32;
                    for _ in 0..digits {
                        number = number.checked_mul(16)? + chars.next()?.1.to_digit(16)?;
                    }
                    if kind == 'x' {
                        bytes.push(number as u8);
                    } else {
                        let c = char::from_u32(number)?;
                        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    }
                } else {
                    bytes.push(match kind {
                        'n' => b'\n',
                        't' => b'\t',
                        'r' => b'\r',
                        'a' => 7,
                        'b' => 8,
                        'f' => 12,
                        'v' => 11,
                        '\\' | '"' | '\'' => kind as u8,
                        _ => return None,
                    });
                }
            }
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sets_are_read_as_agents_write_them() {
        let check = |text: &str, pairs: &[(&str, &str)]| {
            let expected = Labels::from_pairs(pairs.iter().copied());
            assert_eq!(parse(text).expect(text), expected, "{text}");
        };
        check("{}", &[]);
        check(r#"{app="web"}"#, &[("app", "web")]);
        check(
            r#"{ app="web" , env = "prod", }"#,
            &[("app", "web"), ("env", "prod")],
        );
        check(
            r#"{path="C:\\x\t\"q\"", u="\u00e9\xc3\xa9é"}"#,
            &[("path", "C:\\x\t\"q\""), ("u", "ééé")],
        );
        check("{a=`b\\c`}", &[("a", "b\\c")]);
        check(r#"{a="x,y={}"}"#, &[("a", "x,y={}")]);
    }

    #[test]
    fn what_is_no_set_is_refused_with_its_text() {
        for text in [
            "",
            "{",
            "app=web",
            "{app=web}",
            r#"{app="web}"#,
            r#"{="x"}"#,
        ] {
            let refused = parse(text).expect_err(text).to_string();
            assert!(refused.contains("cannot be read"), "{refused}");
        }
    }

    proptest! {
        #[test]
        fn any_text_never_panics(text in ".{0,60}") {
            let _ = parse(&text);
            let _ = parse(&format!("{{a=\"{text}\"}}"));
        }
    }
}
