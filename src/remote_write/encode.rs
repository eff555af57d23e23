//! Requests of remote write, 1.0 and 2.0.

use std::collections::BTreeMap;

use model::{Labels, MetricMetadata};
use rustc_hash::FxHashMap;
use wire::remote::{kind_number, write_histogram, write_sample};
use wire::writer::Writer;

use crate::queue::Item;

/// What metric families mean.
pub(crate) type Families = BTreeMap<String, MetricMetadata>;

/// `prometheus.WriteRequest` with items in their order; items of a series that follow each other
/// share their labels.
pub(crate) fn v1(items: &[(Labels, Item)]) -> Vec<u8> {
    let mut out = Writer::default();
    for group in items.chunk_by(|a, b| a.0 == b.0) {
        out.message(1, |series| {
            if let Some((labels, _)) = group.first() {
                write_labels(series, labels);
            }
            for (_, item) in group {
                match item {
                    Item::Float(time_ms, value) => write_sample(series, 2, *time_ms, *value),
                    Item::Exemplar(exemplar) => series.message(3, |inner| {
                        write_labels(inner, &exemplar.labels);
                        inner.float(2, exemplar.value);
                        inner.number(3, exemplar.timestamp_ms as u64);
                    }),
                    Item::Histogram(time_ms, histogram) => {
                        write_histogram(series, 4, *time_ms, histogram);
                    }
                }
            }
        });
    }
    out.into_bytes()
}

/// `prometheus.WriteRequest` with what families mean.
pub(crate) fn v1_metadata<'a>(
    families: impl Iterator<Item = (&'a String, &'a MetricMetadata)>,
) -> Vec<u8> {
    let mut out = Writer::default();
    for (family, metadata) in families {
        out.message(3, |inner| {
            inner.number(1, kind_number(metadata.kind));
            inner.field(2, family.as_bytes());
            inner.field(4, metadata.help.as_bytes());
            inner.field(5, metadata.unit.as_bytes());
        });
    }
    out.into_bytes()
}

fn write_labels(out: &mut Writer, labels: &Labels) {
    for label in labels {
        out.message(1, |inner| {
            inner.field(1, label.name.as_bytes());
            inner.field(2, label.value.as_bytes());
        });
    }
}

/// Texts of a request, each once. The first is empty.
struct Symbols<'a> {
    places: FxHashMap<&'a str, u64>,
    all: Vec<&'a str>,
}

impl<'a> Symbols<'a> {
    fn place(&mut self, text: &'a str) -> u64 {
        let next = self.all.len() as u64;
        let place = *self.places.entry(text).or_insert(next);
        if place == next {
            self.all.push(text);
        }
        place
    }

    fn labels(&mut self, labels: &'a Labels) -> Vec<u64> {
        let labels = labels.iter();
        labels
            .flat_map(|label| [self.place(&label.name), self.place(&label.value)])
            .collect()
    }
}

/// `io.prometheus.write.v2.Request`, with what is known of each series' family.
pub(crate) fn v2(items: &[(Labels, Item)], families: &Families) -> Vec<u8> {
    let mut symbols = Symbols {
        places: FxHashMap::from_iter([("", 0)]),
        all: vec![""],
    };
    let mut out = Writer::default();
    for group in items.chunk_by(|a, b| a.0 == b.0) {
        let Some((labels, _)) = group.first() else {
            continue;
        };
        out.message(5, |series| {
            series.packed(1, symbols.labels(labels));
            for (_, item) in group {
                match item {
                    Item::Float(time_ms, value) => write_sample(series, 2, *time_ms, *value),
                    Item::Histogram(time_ms, histogram) => {
                        write_histogram(series, 3, *time_ms, histogram);
                    }
                    Item::Exemplar(exemplar) => {
                        let references = symbols.labels(&exemplar.labels);
                        series.message(4, |inner| {
                            inner.packed(1, references);
                            inner.float(2, exemplar.value);
                            inner.number(3, exemplar.timestamp_ms as u64);
                        });
                    }
                }
            }
            if let Some(metadata) = family(labels, families) {
                let (help, unit) = (symbols.place(&metadata.help), symbols.place(&metadata.unit));
                series.message(5, |inner| {
                    inner.number(1, kind_number(metadata.kind));
                    inner.number(3, help);
                    inner.number(4, unit);
                });
            }
        });
    }
    let mut whole = Writer::default();
    for symbol in symbols.all {
        whole.field(4, symbol.as_bytes());
    }
    let mut bytes = whole.into_bytes();
    bytes.extend_from_slice(out.bytes());
    bytes
}

fn family<'a>(labels: &Labels, families: &'a Families) -> Option<&'a MetricMetadata> {
    let name = labels.metric_name()?;
    let endings = ["", "_bucket", "_count", "_sum", "_total"];
    let mut names = endings
        .iter()
        .filter_map(|ending| name.strip_suffix(ending));
    names.find_map(|name| families.get(name))
}

#[cfg(test)]
mod tests {
    use wire::Message;

    use super::*;

    fn items() -> Vec<(Labels, Item)> {
        let labels = |i: &str| Labels::from_pairs([("__name__", "m_total"), ("i", i)]);
        vec![
            (labels("a"), Item::Float(1, 1.0)),
            (labels("a"), Item::Float(2, 2.0)),
            (labels("b"), Item::Float(1, 3.0)),
        ]
    }

    fn fields(bytes: &[u8], wanted: u64) -> usize {
        let mut message = Message::new(bytes);
        let mut n = 0;
        while let Some((field, _)) = message.next().expect("sound") {
            n += usize::from(field == wanted);
        }
        n
    }

    #[test]
    fn a_series_stands_once() {
        assert_eq!(fields(&v1(&items()), 1), 2);
        let families = Families::from([("m".to_owned(), MetricMetadata::default())]);
        let request = v2(&items(), &families);
        assert_eq!(fields(&request, 5), 2);
        assert_eq!(fields(&request, 4), 6, "the empty one, 2 names, 3 values");
    }
}
