//! `logproto.PushRequest`, read where it lies.
//!
//! ```text
//! PushRequest { repeated Stream streams = 1 }
//! Stream      { string labels = 1; repeated Entry entries = 2 }
//! Entry       { Timestamp timestamp = 1; string line = 2; repeated Pair structured_metadata = 3 }
//! Timestamp   { int64 seconds = 1; int32 nanos = 2 }
//! Pair        { string name = 1; string value = 2 }
//! ```

use std::borrow::Cow;

use super::{add, labels, open};
use crate::{Push, Refused};
use wire::Message;

/// Metadata of one line beyond this is refused: fields are for a few facts.
const METADATA_MAX: usize = 256;

pub(super) fn decode(push: &mut Push, body: &[u8]) -> Result<(), Refused> {
    let mut request = Message::new(body);
    while let Some((field, value)) = request.next()? {
        if field == 1 {
            stream(push, value.bytes())?;
        }
    }
    Ok(())
}

fn stream(push: &mut Push, bytes: &[u8]) -> Result<(), Refused> {
    // Labels may stand behind the entries, though nobody writes them there.
    let mut text: &[u8] = b"";
    let mut entries = 0u64;
    let mut fields = Message::new(bytes);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => text = value.bytes(),
            2 => entries += 1,
            _ => {}
        }
    }
    let set = std::str::from_utf8(text)
        .map_err(|_| Refused::Bad("the labels of a stream are no UTF-8".to_owned()))
        .and_then(labels::parse);
    let set = match set {
        Ok(set) => set,
        Err(why) => {
            push.reject(entries, || why.to_string());
            return Ok(());
        }
    };
    let Some((stream, level)) = open(push, &set, entries)? else {
        return Ok(());
    };
    let mut metadata = Vec::new();
    let mut fields = Message::new(bytes);
    while let Some((field, value)) = fields.next()? {
        if field != 2 {
            continue;
        }
        metadata.clear();
        let (time_ns, line) = entry(value.bytes(), &mut metadata)?;
        let pairs = metadata.iter().map(|(k, v)| (&**k, &**v));
        add(push, stream, level, time_ns, line, pairs)?;
    }
    Ok(())
}

type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Time and text of an entry.
fn entry<'a>(bytes: &'a [u8], metadata: &mut Vec<Pair<'a>>) -> Result<(i64, &'a [u8]), Refused> {
    let mut time_ns = 0;
    let mut line: &[u8] = b"";
    let mut fields = Message::new(bytes);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => time_ns = timestamp(value.bytes())?,
            2 => line = value.bytes(),
            3 if metadata.len() >= METADATA_MAX => {
                return Err(Refused::Bad(format!(
                    "a line has more than {METADATA_MAX} entries of structured metadata"
                )));
            }
            3 => metadata.push(pair(value.bytes())?),
            _ => {}
        }
    }
    Ok((time_ns, line))
}

fn timestamp(bytes: &[u8]) -> Result<i64, Refused> {
    let (mut seconds, mut nanos) = (0i64, 0i64);
    let mut fields = Message::new(bytes);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => seconds = value.number() as i64,
            2 => nanos = value.number() as i64,
            _ => {}
        }
    }
    Ok(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

fn pair(bytes: &[u8]) -> Result<Pair<'_>, Refused> {
    let mut pair = (Cow::Borrowed(""), Cow::Borrowed(""));
    let mut fields = Message::new(bytes);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => pair.0 = String::from_utf8_lossy(value.bytes()),
            2 => pair.1 = String::from_utf8_lossy(value.bytes()),
            _ => {}
        }
    }
    Ok(pair)
}
