//! Where in the file is the mistake?
//!
//! Reads the YAML that people write (Yagura's own configuration, Prometheus', Alertmanager's, rule
//! files) into types with `deny_unknown_fields`, and turns every failure into one sentence that
//! names the file, the line, the column, the key and, for a misspelt key, the one that was
//! probably meant. It knows no file system: text comes in.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Error as Cause;
/// A value and where it stands in the text (`referenced` at its use, `defined` at its anchor):
/// for what is found out about a value only after the text was read, such as a rule's expression.
pub use serde_saphyr::Spanned;

/// How alike two keys must be (Jaro-Winkler, 0 to 1) for one to be offered in place of the other.
const SUGGESTION_LIKENESS_MIN: f64 = 0.8;

/// A text that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", self.place())]
pub struct YamlError {
    /// The file's name as the user knows it.
    pub file: String,
    /// Line, counted from 1; 0 where it is not known.
    pub line: u64,
    /// Column, counted from 1; 0 where it is not known.
    pub column: u64,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl YamlError {
    fn place(&self) -> String {
        match self.line {
            0 => format!("{}: ", self.file),
            line => format!("{}:{line}:{}: ", self.file, self.column),
        }
    }
}

/// Reads a text. An empty text (or one of comments only) is an empty mapping, so that a file in
/// which everything is commented out works.
pub fn from_str<T: DeserializeOwned>(text: &str, file: &str) -> Result<T, YamlError> {
    let is_empty = text.lines().all(|line| {
        matches!(line.trim(), "" | "---" | "...") || line.trim_start().starts_with('#')
    });
    let text = if is_empty { "{}" } else { text };
    serde_saphyr::from_str(text).map_err(|error| {
        let cause = error.without_snippet();
        let place = cause.location();
        YamlError {
            file: file.to_owned(),
            line: place.map_or(0, |place| place.line()),
            column: place.map_or(0, |place| place.column()),
            message: message(cause),
        }
    })
}

fn message(cause: &Cause) -> String {
    match cause {
        Cause::SerdeUnknownField {
            field, expected, ..
        } => unknown("key", field, expected),
        Cause::SerdeUnknownVariant {
            variant, expected, ..
        } => unknown("value", variant, expected),
        Cause::SerdeMissingField { field, .. } => format!("the key `{field}` is missing"),
        Cause::Message { msg, .. } => msg.clone(),
        other => {
            // The library writes "… at line 3, column 5": the place is said already.
            let text = other.to_string();
            let line = text.lines().next().unwrap_or_default();
            let line = line.strip_prefix("error: ").unwrap_or(line);
            let start = line
                .strip_prefix("line ")
                .and_then(|rest| rest.split_once(": "))
                .map_or(line, |(_, rest)| rest);
            start.split(" at line ").next().unwrap_or(start).to_owned()
        }
    }
}

fn unknown(what: &str, found: &str, expected: &[&str]) -> String {
    match nearest(found, expected.iter().copied()) {
        Some(near) => format!("unknown {what} `{found}`, did you mean `{near}`?"),
        None => format!(
            "unknown {what} `{found}`, use one of: {}",
            expected.join(", ")
        ),
    }
}

/// Returns the candidate that is most like a misspelt word, if one is like enough.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= SUGGESTION_LIKENESS_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// A key whose value is either the name of a file or the file's content in place.
#[derive(Debug, Clone, PartialEq)]
pub enum FileOrInline<T> {
    /// Name of a file, relative to the file in which it stands.
    File(PathBuf),
    /// What the file would say.
    Inline(T),
}

/// Not `untagged`, which would lose the place of errors inside.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for FileOrInline<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = FileOrInline<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a file, or its keys in place")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
                PathBuf::deserialize(StrDeserializer::new(name)).map(FileOrInline::File)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(FileOrInline::Inline)
            }
        }

        deserializer.deserialize_any(Either(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq, Default)]
    #[serde(deny_unknown_fields, default)]
    struct Outer {
        listen: String,
        limit: u32,
        inner: Option<FileOrInline<Inner>>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        name: String,
    }

    fn check(text: &str, expected: &str) {
        let error = from_str::<Outer>(text, "y.yaml").expect_err(text);
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn errors_name_file_line_key_and_the_likely_one() {
        check(
            "limit: 1\nlissen: x\n",
            "y.yaml:2:1: unknown key `lissen`, did you mean `listen`?",
        );
        check(
            "zzz: 1\n",
            "y.yaml:1:1: unknown key `zzz`, use one of: listen, limit, inner",
        );
        check(
            "inner:\n  nam: x\n",
            "y.yaml:2:3: unknown key `nam`, did you mean `name`?",
        );
        let error = from_str::<Outer>("limit: many\n", "y.yaml").expect_err("no number");
        assert_eq!((error.line, error.column), (1, 8), "{error}");
        let error = from_str::<Outer>("a: [1\nb: 2\n", "y.yaml").expect_err("broken YAML");
        assert!(error.line >= 1, "{error}");
    }

    #[test]
    fn a_file_or_its_content() {
        let read = |text| from_str::<Outer>(text, "y.yaml").expect(text).inner;
        assert_eq!(
            read("inner: a.yml\n"),
            Some(FileOrInline::File("a.yml".into()))
        );
        assert_eq!(
            read("inner: {name: n}\n"),
            Some(FileOrInline::Inline(Inner {
                name: "n".to_owned()
            }))
        );
        assert_eq!(read("# nothing\n---\n"), None);
    }
}
