//! From a path to the labels that name a group: `job/NAME`, then pairs of label and value. A name
//! that ends in `@base64` has its value in base64 (for slashes and empty texts).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Marks a label whose value is in base64.
const BASE64: &str = "@base64";
/// Most labels of a key: Prometheus' own advice is a handful.
const LABELS_MAX: usize = 32;

/// What is wrong with a path, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadKey(String);

/// The labels that name a group, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKey(Vec<(String, String)>);

impl GroupKey {
    /// Reads what follows `/metrics/` of a path, still percent-encoded: `job/a/instance/b`.
    ///
    /// # Errors
    /// Where it names no job, a label twice, a label that is reserved, or a value that does not
    /// decode.
    pub fn of_path(path: &str) -> Result<Self, BadKey> {
        let mut parts: Vec<&str> = path.split('/').collect();
        // A slash at the end of an otherwise whole path says nothing.
        if parts.len() % 2 == 1 && parts.last() == Some(&"") {
            parts.pop();
        }
        let (pairs, odd) = parts.as_chunks::<2>();
        if !odd.is_empty() {
            return Err(BadKey(format!(
                "the path /metrics/{path} ends with a label that has no value: write /metrics/job/JOB/LABEL/VALUE"
            )));
        }
        if pairs.len() > LABELS_MAX {
            return Err(BadKey(format!(
                "a group has at most {LABELS_MAX} labels, this path names {}",
                pairs.len()
            )));
        }
        let mut labels = Vec::with_capacity(pairs.len());
        for [name, value] in pairs {
            labels.push(pair(name, value)?);
        }
        match labels.first() {
            Some((name, job)) if name == "job" && !job.is_empty() => {}
            _ => return Err(BadKey("a group needs a job: /metrics/job/JOB".to_owned())),
        }
        Self::of_labels(labels)
    }

    /// A key of labels in any order.
    ///
    /// # Errors
    /// Where one is there twice.
    pub(crate) fn of_labels(mut labels: Vec<(String, String)>) -> Result<Self, BadKey> {
        labels.sort_unstable();
        let twice = |pair: &&[(String, String)]| matches!(pair, [a, b] if a.0 == b.0);
        match labels.windows(2).find(twice) {
            Some([(name, _), ..]) => {
                Err(BadKey(format!("the path names the label {name:?} twice")))
            }
            _ => Ok(Self(labels)),
        }
    }

    /// Its labels, sorted by name.
    pub fn labels(&self) -> &[(String, String)] {
        &self.0
    }

    /// The same text for the same key, and for no other.
    pub(crate) fn id(&self) -> String {
        let labels: Vec<String> = self.0.iter().map(|(n, v)| format!("{n:?}={v:?}")).collect();
        labels.join(",")
    }
}

fn pair(name: &str, value: &str) -> Result<(String, String), BadKey> {
    let (name, value) = (unescape(name)?, unescape(value)?);
    let (name, value) = match name.strip_suffix(BASE64) {
        None => (name, value),
        Some(plain) => {
            // Padding is as one likes it; `=` alone is the empty text.
            let bytes = URL_SAFE_NO_PAD.decode(value.trim_end_matches('='));
            let bytes = bytes.map_err(|error| {
                BadKey(format!(
                    "the value {value:?} of {name:?} is no base64: {error}"
                ))
            })?;
            let text = String::from_utf8(bytes);
            let text = text.map_err(|_| BadKey(format!("the value of {name:?} is no UTF-8")))?;
            (plain.to_owned(), text)
        }
    };
    if name.is_empty() || name.starts_with("__") {
        return Err(BadKey(format!(
            "{name:?} is no name for a label of a group"
        )));
    }
    Ok((name, value))
}

/// Resolves `%2F` and the like.
fn unescape(text: &str) -> Result<String, BadKey> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let code = rest.split_at_checked(2).and_then(|(code, tail)| {
            let code = u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok()?;
            Some((code, tail))
        });
        let (code, tail) =
            code.ok_or_else(|| BadKey(format!("{text:?} has a % without two digits behind it")))?;
        bytes.push(code);
        rest = tail;
    }
    String::from_utf8(bytes).map_err(|_| BadKey(format!("{text:?} is no UTF-8")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_name_groups() {
        let check = |path: &str, expected: &[(&str, &str)]| {
            let key = GroupKey::of_path(path).expect(path);
            let labels: Vec<_> = key.labels().iter().map(|(n, v)| (&**n, &**v)).collect();
            assert_eq!(labels, expected, "{path}");
        };
        check("job/a", &[("job", "a")]);
        check("job/a/", &[("job", "a")]);
        check("job/a/instance/b", &[("instance", "b"), ("job", "a")]);
        check("job/a/x/", &[("job", "a"), ("x", "")]);
        check("job/a%20b/x/%C3%A4", &[("job", "a b"), ("x", "ä")]);
        check("job@base64/L3Zhci90bXA", &[("job", "/var/tmp")]);
        check("job@base64/L3Zhci90bXA=", &[("job", "/var/tmp")]);
        check("job/a/x@base64/=", &[("job", "a"), ("x", "")]);
    }

    #[test]
    fn other_paths_are_refused_in_words() {
        let check = |path: &str, part: &str| {
            let error = GroupKey::of_path(path).expect_err(path).to_string();
            assert!(error.contains(part), "{path}: {error}");
        };
        check("job", "no value");
        check("job/", "needs a job");
        check("job/a/instance", "no value");
        check("instance/a", "needs a job");
        check("job/a/job/b", "\"job\" twice");
        check("job/a/__x/b", "no name for a label");
        check("job/a/x@base64/ä", "no base64");
        check("job/a/x@base64/_w", "no UTF-8");
        check("job/%2", "two digits");
        check("job/%ff", "no UTF-8");
        check(&format!("job/a{}", "/x/y".repeat(32)), "at most 32");
    }

    proptest! {
        #[test]
        fn any_path_never_panics(path in "[a-z/%@0-9=_]{0,40}") {
            let _ = GroupKey::of_path(&path);
        }
    }
}
