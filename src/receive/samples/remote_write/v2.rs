//! `io.prometheus.write.v2.Request`, read where it lies: texts stand once, in a table.
//!
//! ```text
//! Request    { string symbols = 4; TimeSeries timeseries = 5 }
//! TimeSeries { uint32 labels_refs = 1; Sample samples = 2; Histogram histograms = 3;
//!              Exemplar exemplars = 4; Metadata metadata = 5 }
//! Exemplar   { uint32 labels_refs = 1; double value = 2; int64 timestamp = 3 }
//! Metadata   { enum type = 1; uint32 help_ref = 3; uint32 unit_ref = 4 }
//! ```

use model::{Exemplar, Labels, MetricMetadata, stale_nan};
use wire::histogram_chunk::Sample;
use wire::remote::{kind, read_histogram, read_sample};
use wire::{Malformed, Message};
use xxhash_rust::xxh3::xxh3_128;

use super::LABELS_MAX;
use crate::Refused;
use crate::samples::batch::Batch;

/// Symbols of a request: with two new ones for each of the samples that fit into a body.
const SYMBOLS_MAX: usize = 2_000_000;

/// The texts of a request, and a hash of each, so that a series' key needs no text.
struct Symbols<'a> {
    texts: Vec<&'a [u8]>,
    hashes: Vec<[u64; 2]>,
}

impl<'a> Symbols<'a> {
    fn text(&self, at: u64) -> Result<&'a str, Malformed> {
        let bytes = usize::try_from(at).ok().and_then(|at| self.texts.get(at));
        let bytes = bytes.ok_or(Malformed("a series names a symbol that is not there"))?;
        std::str::from_utf8(bytes).map_err(|_| Malformed("a text is no UTF-8"))
    }

    fn pairs(&self, references: &[u64]) -> Result<Vec<(&'a str, &'a str)>, Malformed> {
        let (pairs, rest) = references.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(Malformed("a series has a label without a value"));
        }
        if pairs.len() > LABELS_MAX {
            return Err(Malformed("a series has too many labels"));
        }
        let pairs = pairs.iter();
        pairs
            .map(|[name, value]| Ok((self.text(*name)?, self.text(*value)?)))
            .collect()
    }
}

/// What is reused from series to series.
#[derive(Default)]
struct Buffers {
    references: Vec<u64>,
    key: Vec<u8>,
}

pub(super) fn decode(batch: &mut Batch<'_>, body: &[u8]) -> Result<(), Refused> {
    let mut symbols = Symbols {
        texts: Vec::new(),
        hashes: Vec::new(),
    };
    let mut request = Message::new(body);
    while let Some((field, value)) = request.next()? {
        if field == 4 {
            if symbols.texts.len() >= SYMBOLS_MAX {
                return Err(Refused::TooLarge(format!(
                    "a request has more than {SYMBOLS_MAX} symbols: send fewer samples at a time"
                )));
            }
            symbols.texts.push(value.bytes());
        }
    }
    let hashes = symbols.texts.iter();
    symbols.hashes = hashes
        .map(|text| {
            let hash = xxh3_128(text);
            [hash as u64, (hash >> 64) as u64]
        })
        .collect();
    let mut buffers = Buffers::default();
    let mut request = Message::new(body);
    while let Some((field, value)) = request.next()? {
        if field == 5 {
            series(batch, &symbols, value.bytes(), &mut buffers)?;
        }
    }
    Ok(())
}

fn series(
    batch: &mut Batch<'_>,
    symbols: &Symbols<'_>,
    bytes: &[u8],
    buffers: &mut Buffers,
) -> Result<(), Refused> {
    let Buffers { references, key } = buffers;
    references.clear();
    key.clear();
    let mut n = 0;
    let mut fields = Message::new(bytes);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => value.numbers(|reference| references.push(reference))?,
            2..=4 => n += 1,
            _ => {}
        }
    }
    for reference in references.iter() {
        let hash = usize::try_from(*reference).ok();
        let hash = hash.and_then(|at| symbols.hashes.get(at));
        let hash = hash.ok_or(Malformed("a series names a symbol that is not there"))?;
        for half in hash {
            key.extend_from_slice(&half.to_le_bytes());
        }
    }
    let read = || {
        let mut pairs = symbols.pairs(references).map_err(|why| why.to_string())?;
        super::labels(&mut pairs)
    };
    let Some(place) = batch.place(xxh3_128(key), n, read)? else {
        return Ok(());
    };
    let mut fields = Message::new(bytes);
    while let Some((field, value)) = fields.next()? {
        match field {
            2 => {
                let (time_ms, value) = read_sample(value.bytes())?;
                batch.float(place, time_ms, value);
            }
            3 => match read_histogram(value.bytes())? {
                (time_ms, Sample::Histogram(histogram)) => {
                    batch.histogram(place, time_ms, histogram);
                }
                (time_ms, Sample::Stale) => batch.float(place, time_ms, stale_nan()),
            },
            4 => match exemplar(symbols, value.bytes()) {
                Ok(exemplar) => batch.exemplar(place, exemplar),
                Err(why) => batch.reject(1, || why.to_string()),
            },
            5 => metadata(batch, symbols, references, value.bytes())?,
            _ => {}
        }
    }
    Ok(())
}

fn exemplar(symbols: &Symbols<'_>, bytes: &[u8]) -> Result<Exemplar, Malformed> {
    let mut references = Vec::new();
    let mut exemplar = Exemplar {
        labels: Labels::empty(),
        value: 0.0,
        timestamp_ms: 0,
    };
    let mut fields = Message::new(bytes);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => value.numbers(|reference| references.push(reference))?,
            2 => exemplar.value = value.float(),
            3 => exemplar.timestamp_ms = value.number() as i64,
            _ => {}
        }
    }
    exemplar.labels = Labels::from_pairs(symbols.pairs(&references)?);
    Ok(exemplar)
}

/// Metadata comes with every series: it is looked at only where it says something.
fn metadata(
    batch: &mut Batch<'_>,
    symbols: &Symbols<'_>,
    references: &[u64],
    bytes: &[u8],
) -> Result<(), Refused> {
    let (mut number, mut help, mut unit) = (0, 0, 0);
    let mut fields = Message::new(bytes);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => number = value.number(),
            3 => help = value.number(),
            4 => unit = value.number(),
            _ => {}
        }
    }
    if (number, help, unit) == (0, 0, 0) {
        return Ok(());
    }
    let kind = kind(number);
    for pair in references.chunks_exact(2) {
        if let [name, value] = pair
            && symbols.text(*name)? == model::METRIC_NAME
        {
            let found = MetricMetadata {
                kind,
                help: symbols.text(help)?.into(),
                unit: symbols.text(unit)?.into(),
            };
            let family = super::family(symbols.text(*value)?, kind);
            batch.metadata(family, found);
        }
    }
    Ok(())
}
