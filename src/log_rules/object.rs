//! A JSON object whose keys can be renamed and whose values stay as they are written, byte for
//! byte and in their order. Only the spaces between them are lost.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Objects with more keys are left as they are.
const KEYS_MAX: usize = 4096;

/// What an original is called that had to make room for a merged or renamed value.
pub(crate) const ASIDE: &str = "original_";

/// Keys and raw values.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Object {
    pub(crate) pairs: Vec<(String, String)>,
}

impl Object {
    /// Reads exactly one object, and nothing else, from a text.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
        if first != Some(&b'{') {
            return None;
        }
        serde_json::from_slice(text).ok()
    }

    /// The raw value of a key; of a key that comes twice, the last.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.place(key)
            .and_then(|i| self.pairs.get(i))
            .map(|(_, value)| value.as_str())
    }

    /// The value of a key that is a string, resolved.
    pub(crate) fn string(&self, key: &str) -> Option<String> {
        serde_json::from_str(self.get(key)?).ok()
    }

    pub(crate) fn place(&self, key: &str) -> Option<usize> {
        self.pairs.iter().rposition(|(name, _)| name == key)
    }

    /// Takes a key out.
    pub(crate) fn take(&mut self, key: &str) -> Option<String> {
        let place = self.place(key)?;
        Some(self.pairs.remove(place).1)
    }

    /// Makes a name free: a value that has it goes aside.
    pub(crate) fn make_room(&mut self, key: &str) {
        while let Some(place) = self.place(key) {
            let aside = aside(key, |name| self.place(name).is_some());
            if let Some((name, _)) = self.pairs.get_mut(place) {
                *name = aside;
            }
        }
    }

    /// As JSON.
    pub(crate) fn write(&self) -> Vec<u8> {
        let bytes = |(name, value): &(String, String)| name.len() + value.len() + 4;
        let mut out = Vec::with_capacity(2 + self.pairs.iter().map(bytes).sum::<usize>());
        out.push(b'{');
        for (i, (name, value)) in self.pairs.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            out.extend_from_slice(quoted(name).as_bytes());
            out.push(b':');
            out.extend_from_slice(value.as_bytes());
        }
        out.push(b'}');
        out
    }
}

/// A text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The name under which the original of `key` is kept: `original_key`, and once more where that is
/// taken.
pub(crate) fn aside(key: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let mut name = format!("{ASIDE}{key}");
    while is_taken(&name) {
        name.insert_str(0, ASIDE);
    }
    name
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut pairs = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                    if pairs.len() >= KEYS_MAX {
                        return Err(serde::de::Error::custom("too many keys"));
                    }
                    pairs.push((key, value.get().to_owned()));
                }
                Ok(Object { pairs })
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn order_numbers_and_duplicates_stay() {
        let text = br#" { "b": 1.50e3, "a": {"x": [1, 2]}, "b": "\u00e9" } "#;
        let object = Object::parse(text).expect("an object");
        assert_eq!(
            object.write(),
            br#"{"b":1.50e3,"a":{"x": [1, 2]},"b":"\u00e9"}"#
        );
        assert_eq!(object.string("b").as_deref(), Some("é"));
    }

    #[test]
    fn only_one_whole_object_is_one() {
        for text in [
            "",
            "42",
            "\"s\"",
            "[\"a\"]",
            "{\"a\":1}{\"b\":2}",
            "{\"a\":1} trailing",
            "{\"a\":",
        ] {
            assert_eq!(Object::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_is_in_the_way_goes_aside() {
        let mut object = Object::parse(br#"{"a":1,"original_a":2,"a":3}"#).expect("an object");
        object.make_room("a");
        assert_eq!(
            String::from_utf8_lossy(&object.write()),
            r#"{"original_original_original_a":1,"original_a":2,"original_original_a":3}"#
        );
    }

    proptest! {
        #[test]
        fn never_panics_and_means_the_same(text in r#"[{}\[\]",:a0\\ ]{0,40}"#) {
            if let Some(object) = Object::parse(text.as_bytes()) {
                let again = Object::parse(&object.write());
                prop_assert_eq!(again, Some(object));
            }
        }
    }
}
