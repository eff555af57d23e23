//! Picks a few values out of a JSON document, by path, without building the document.
//!
//! A path is the keys joined by dots. `host.name` is found nested (`{"host":{"name":…}}`) as well
//! as flat (`{"host.name":…}`).

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::text::Text;
use crate::times;

/// A value as far as anybody here cares.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar<'a> {
    Text(Cow<'a, str>),
    Integer(i64),
    Float(f64),
    /// True, false, null, arrays and objects.
    Other,
}

impl Scalar<'_> {
    /// The text of a text, and of an integer (numbers make fine labels).
    pub(crate) fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Integer(number) => Some(Cow::Owned(number.to_string())),
            Self::Float(_) | Self::Other => None,
        }
    }

    /// The time that it says, nanoseconds since 1970-01-01 UTC.
    pub(crate) fn time_ns(&self) -> Option<i64> {
        match self {
            Self::Text(text) => times::of_text(text),
            Self::Integer(number) => times::of_integer(*number),
            Self::Float(number) => times::of_number(*number),
            Self::Other => None,
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Picked<'a> {
    /// The value of each wanted path.
    pub(crate) values: Vec<Option<Scalar<'a>>>,
    /// Where the keys of the document's outermost object that are wanted paths stand in it.
    pub(crate) keys_at: Vec<Option<usize>>,
    /// Whether the document has anything else.
    pub(crate) has_others: bool,
}

/// Looks for the wanted paths in a document. Of a path that comes twice the last value counts.
///
/// # Errors
/// Where it is no sound JSON object.
pub(crate) fn pick<'a>(
    document: &'a [u8],
    wanted: &[String],
) -> Result<Picked<'a>, serde_json::Error> {
    let mut state = State {
        document,
        wanted,
        prefix: String::new(),
        picked: Picked {
            values: vec![None; wanted.len()],
            keys_at: vec![None; wanted.len()],
            has_others: false,
        },
    };
    let mut deserializer = serde_json::Deserializer::from_slice(document);
    Node {
        state: &mut state,
        at: None,
        is_root: true,
    }
    .deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(state.picked)
}

struct State<'w, 'a> {
    document: &'a [u8],
    wanted: &'w [String],
    /// The path of the object that is being read, with a dot behind it.
    prefix: String,
    picked: Picked<'a>,
}

impl State<'_, '_> {
    /// Whether a wanted path goes through the one in `prefix`.
    fn leads_on(&self) -> bool {
        self.wanted.iter().any(|path| {
            path.strip_prefix(self.prefix.as_str())
                .is_some_and(|rest| rest.starts_with('.'))
        })
    }
}

/// A value on the way: one that is wanted, or an object that may hold what is wanted.
struct Node<'s, 'w, 'a> {
    state: &'s mut State<'w, 'a>,
    /// The wanted path that leads here, where one does.
    at: Option<usize>,
    is_root: bool,
}

impl<'a> DeserializeSeed<'a> for Node<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Node<'_, '_, 'a> {
    /// Takes a value that is no object.
    fn take<E: de::Error>(self, value: Scalar<'a>, found: de::Unexpected<'_>) -> Result<(), E> {
        if self.is_root {
            return Err(E::invalid_type(found, &self));
        }
        let picked = &mut self.state.picked;
        let slot = self.at.and_then(|at| picked.values.get_mut(at));
        picked.has_others |= slot.is_none() || value == Scalar::Other;
        if let Some(slot) = slot {
            *slot = Some(value);
        }
        Ok(())
    }
}

impl<'a> Visitor<'a> for Node<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let state = self.state;
        if !self.is_root && !state.leads_on() {
            state.picked.has_others = true;
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        while let Some(key) = map.next_key::<Text<'a>>()? {
            let before = state.prefix.len();
            if before > 0 {
                state.prefix.push('.');
            }
            state.prefix.push_str(&key);
            let at = state.wanted.iter().position(|path| *path == state.prefix);
            if at.is_some() || state.leads_on() {
                if before == 0
                    && let Cow::Borrowed(key) = key.0
                    && let Some(slot) = at.and_then(|at| state.picked.keys_at.get_mut(at))
                {
                    let start = state.document.as_ptr() as usize;
                    *slot = (key.as_ptr() as usize).checked_sub(start);
                }
                map.next_value_seed(Node {
                    state: &mut *state,
                    at,
                    is_root: false,
                })?;
            } else {
                state.picked.has_others = true;
                map.next_value::<IgnoredAny>()?;
            }
            state.prefix.truncate(before);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        self.take(Scalar::Other, de::Unexpected::Seq)
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'a str) -> Result<(), E> {
        self.take(Scalar::Text(Cow::Borrowed(text)), de::Unexpected::Str(text))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        let value = Scalar::Text(Cow::Owned(text.to_owned()));
        self.take(value, de::Unexpected::Str(text))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.take(Scalar::Other, de::Unexpected::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<(), E> {
        self.take(Scalar::Integer(number), de::Unexpected::Signed(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<(), E> {
        let value = i64::try_from(number).map_or(Scalar::Float(number as f64), Scalar::Integer);
        self.take(value, de::Unexpected::Unsigned(number))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<(), E> {
        self.take(Scalar::Float(number), de::Unexpected::Float(number))
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.take(Scalar::Other, de::Unexpected::Unit)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;

        impl<'de> Visitor<'de> for ScalarVisitor {
            type Value = Scalar<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Integer(number))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Scalar<'de>, E> {
                let integer = i64::try_from(number).map(Scalar::Integer);
                Ok(integer.unwrap_or(Scalar::Float(number as f64)))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Float(number))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Other)
            }

            fn visit_unit<E>(self) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Other)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar<'de>, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar<'de>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }
        }

        deserializer.deserialize_any(ScalarVisitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wanted() -> Vec<String> {
        ["message", "host.name", "kubernetes.pod.name", "n"]
            .map(str::to_owned)
            .to_vec()
    }

    #[test]
    fn values_are_found_nested_and_flat() {
        let check = |document: &str, expected: [Option<Scalar<'_>>; 4], others| {
            let wanted = wanted();
            let picked = pick(document.as_bytes(), &wanted).expect(document);
            assert_eq!(picked.values, expected, "{document}");
            assert_eq!(picked.has_others, others, "{document}");
        };
        let text = |text: &'static str| Some(Scalar::Text(text.into()));
        check(
            r#"{"message":"hi","host":{"name":"h1"},"n":5}"#,
            [text("hi"), text("h1"), None, Some(Scalar::Integer(5))],
            false,
        );
        check(
            r#"{"host.name":"h1","kubernetes":{"pod":{"name":"p","uid":"u"}}}"#,
            [None, text("h1"), text("p"), None],
            true,
        );
        check(r#"{"host":"h1"}"#, [None, None, None, None], true);
        check(
            r#"{"message":null,"host":{}}"#,
            [Some(Scalar::Other), None, None, None],
            true,
        );
        check("{}", [None, None, None, None], false);
        // A wanted path that leads through another wanted one.
        let wanted = ["log", "log.file.path"].map(str::to_owned);
        for (document, expected) in [
            (r#"{"log":"x"}"#, [text("x"), None]),
            (r#"{"log":{"file":{"path":"/a"}}}"#, [None, text("/a")]),
        ] {
            let picked = pick(document.as_bytes(), &wanted).expect(document);
            assert_eq!(picked.values, expected, "{document}");
            assert!(!picked.has_others, "{document}");
        }
    }

    #[test]
    fn the_place_of_a_key_is_told() {
        let document = br#"{"n":1, "message" : "x"}"#;
        let picked = pick(document, &wanted()).expect("sound");
        let at = picked.keys_at[0].expect("found");
        assert_eq!(&document[at..at + 7], b"message");
    }

    #[test]
    fn only_objects_are_documents() {
        for text in ["", "[1]", "7", "\"x\"", "{\"a\":1", "{}{}", "{\"a\":1} x"] {
            assert!(pick(text.as_bytes(), &wanted()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = pick(&bytes, &wanted());
        }
    }
}
