//! Rules as they are written: a list under `logs.rules`, documented in `docs/processing-rules.md`.
//!
//! Every value remembers its place, because most mistakes (a query, a regular expression, two
//! actions in one rule) are found only after the YAML was read.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{SeqAccessDeserializer, StrDeserializer};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use yaml::Spanned;

/// One rule: at most one name, at most one condition, exactly one action.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuleConfig {
    /// What its counters are called; none: its number and its action.
    pub name: Option<Spanned<String>>,
    /// A query: which lines the rule is about. None: all.
    #[serde(rename = "if")]
    pub condition: Option<Spanned<String>>,
    /// A query: lines that satisfy it are not stored.
    pub drop: Option<Spanned<String>>,
    /// A query: lines that do not satisfy it are not stored.
    pub keep: Option<Spanned<String>>,
    /// Parts of the text are replaced.
    pub redact: Option<Spanned<RedactConfig>>,
    /// The share of lines that is stored, such as `10%`.
    pub sample: Option<Spanned<String>>,
    /// Beside `sample`: lines with the same value of this field are kept or dropped together.
    pub sample_by: Option<Spanned<String>>,
    /// Labels and JSON fields get other names.
    pub rename: Option<Spanned<RenameConfig>>,
    /// Labels that lines get.
    pub add_labels: Option<Spanned<BTreeMap<String, String>>>,
    /// The level that lines get.
    pub set_level: Option<Spanned<String>>,
    /// JSON within JSON is unfolded, as Fluent Bit's kubernetes filter does.
    pub merge_log: Option<Spanned<MergeConfig>>,
}

/// What is replaced by what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedactConfig {
    /// Well-known secrets: one name or a list.
    pub preset: Option<OneOrMore<Preset>>,
    /// A regular expression. Where it has a group named `secret`, only that part is replaced.
    pub regex: Option<Spanned<String>>,
    /// What is written instead; none: `***`.
    pub with: Option<Spanned<String>>,
}

/// Old name → new name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RenameConfig {
    /// Labels of the stream.
    pub labels: BTreeMap<String, String>,
    /// Fields of JSON lines; nested ones by their full name, joined by dots.
    pub fields: BTreeMap<String, String>,
}

/// How JSON within a line's `log` field is unfolded.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MergeConfig {
    /// Merged fields go below this name; empty: to the top.
    pub key: String,
    /// Line breaks at the end of merged texts are taken off.
    pub trim: bool,
    /// The merged field itself stays.
    pub keep_log: bool,
}

impl Default for MergeConfig {
    fn default() -> Self {
        Self {
            key: String::new(),
            trim: true,
            keep_log: true,
        }
    }
}

/// Secrets that many programs write, known by their form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Addresses of people: `ann@example.org`.
    Email,
    /// Keys of well-known services, JSON web tokens, private keys, passwords in URLs and behind
    /// names such as `password=` or `"api_key":`.
    Token,
    /// `192.0.2.7`.
    Ipv4,
    /// Thirteen to nineteen digits with a right check digit.
    CreditCard,
    /// What follows `Bearer` or `Basic`.
    Bearer,
}

/// A value or a list of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOrMore<T>(pub Vec<T>);

/// Not `untagged`, which would lose the place of errors.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMore<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = OneOrMore<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one name or a list of names")
            }

            fn visit_str<E: serde::de::Error>(self, one: &str) -> Result<Self::Value, E> {
                T::deserialize(StrDeserializer::new(one)).map(|one| OneOrMore(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(OneOrMore)
            }
        }

        deserializer.deserialize_any(Either(PhantomData))
    }
}
