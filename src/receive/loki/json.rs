//! The JSON form of a push, with strings borrowed from the body.

use std::borrow::Cow;
use std::fmt;

use model::Labels;
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, SeqAccess, Visitor};

use super::{add, open};
use crate::text::{Text, TextMap};
use crate::{Push, Refused};

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    streams: Vec<Stream<'a>>,
}

#[derive(Deserialize)]
struct Stream<'a> {
    #[serde(borrow, default)]
    stream: TextMap<'a>,
    #[serde(borrow, default)]
    values: Vec<Entry<'a>>,
}

/// `["<nanoseconds>", "<line>", {metadata}?]`
struct Entry<'a> {
    time: Cow<'a, str>,
    line: Text<'a>,
    metadata: TextMap<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Entry<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntryVisitor;

        impl<'de> Visitor<'de> for EntryVisitor {
            type Value = Entry<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[\"<nanoseconds>\", \"<line>\", {metadata}]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let time: Text<'de> = seq
                    .next_element()?
                    .ok_or_else(|| de::Error::invalid_length(0, &self))?;
                let line = seq
                    .next_element()?
                    .ok_or_else(|| de::Error::invalid_length(1, &self))?;
                let metadata = seq.next_element()?.unwrap_or_default();
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Entry {
                    time: time.0,
                    line,
                    metadata,
                })
            }
        }

        deserializer.deserialize_seq(EntryVisitor)
    }
}

pub(super) fn decode(push: &mut Push, body: &[u8]) -> Result<(), Refused> {
    let body: Body<'_> = serde_json::from_slice(body)
        .map_err(|error| Refused::Bad(format!("the body is no push request: {error}")))?;
    for (s, stream) in body.streams.iter().enumerate() {
        let pairs = stream
            .stream
            .0
            .iter()
            .map(|(name, value)| (&**name, &**value));
        let labels = Labels::from_pairs(pairs);
        let Some((id, level)) = open(push, &labels, stream.values.len() as u64)? else {
            continue;
        };
        for (i, entry) in stream.values.iter().enumerate() {
            let Ok(time_ns) = entry.time.parse() else {
                push.reject(1, || {
                    format!(
                        "streams[{s}].values[{i}]: the time {:?} is no number of nanoseconds \
                         since 1970",
                        entry.time
                    )
                });
                continue;
            };
            let metadata = entry
                .metadata
                .0
                .iter()
                .map(|(name, value)| (&**name, &**value));
            add(push, id, level, time_ns, entry.line.as_bytes(), metadata)?;
        }
    }
    Ok(())
}
