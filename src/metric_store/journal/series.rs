//! Records of new series: number and labels. They are kept until the catalogue has the series.

use model::Labels;

use super::file::{begin_frame, end_frame};
use crate::codec::CodecError;
use crate::codec::varint::{Reader, put_text, put_varint};
use crate::index::SeriesId;

/// Appends a record.
pub(crate) fn encode(id: SeriesId, labels: &Labels, out: &mut Vec<u8>) {
    let at = begin_frame(out);
    put_varint(out, u64::from(id));
    put_varint(out, labels.len() as u64);
    for label in labels {
        put_text(out, &label.name);
        put_text(out, &label.value);
    }
    end_frame(out, at);
}

/// Reads a record's body.
pub(crate) fn decode(body: &[u8]) -> Result<(SeriesId, Labels), CodecError> {
    let mut reader = Reader::new(body);
    let id = SeriesId::try_from(reader.varint()?)
        .map_err(|_| CodecError::Malformed("a series number beyond 32 bits"))?;
    let mut pairs = Vec::new();
    for _ in 0..reader.varint()? {
        pairs.push((reader.text()?, reader.text()?));
    }
    Ok((id, Labels::from_pairs(pairs)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_come_back() {
        let labels = Labels::from_pairs([("__name__", "up"), ("job", "größe")]);
        let mut out = Vec::new();
        encode(77, &labels, &mut out);
        assert_eq!(decode(&out[8..]), Ok((77, labels)));
        assert!(decode(&out[8..out.len() - 1]).is_err());
    }
}
