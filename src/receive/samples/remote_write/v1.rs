//! `prometheus.WriteRequest`, read where it lies.
//!
//! ```text
//! WriteRequest { TimeSeries timeseries = 1; MetricMetadata metadata = 3 }
//! TimeSeries   { Label labels = 1; Sample samples = 2; Exemplar exemplars = 3;
//!                Histogram histograms = 4 }
//! Label        { string name = 1; string value = 2 }
//! Exemplar     { Label labels = 1; double value = 2; int64 timestamp = 3 }
//! MetricMetadata { enum type = 1; string metric_family_name = 2; string help = 4;
//!                  string unit = 5 }
//! ```

use model::{Exemplar, Labels, MetricMetadata, stale_nan};
use wire::histogram_chunk::Sample;
use wire::remote::{kind, read_histogram, read_sample};
use wire::writer::Writer;
use wire::{Malformed, Message};
use xxhash_rust::xxh3::xxh3_128;

use super::LABELS_MAX;
use crate::Refused;
use crate::samples::batch::Batch;

pub(super) fn decode(batch: &mut Batch<'_>, body: &[u8]) -> Result<(), Refused> {
    let mut request = Message::new(body);
    while let Some((field, value)) = request.next()? {
        match field {
            1 => series(batch, value.bytes())?,
            3 => metadata(batch, value.bytes())?,
            _ => {}
        }
    }
    Ok(())
}

fn series(batch: &mut Batch<'_>, bytes: &[u8]) -> Result<(), Refused> {
    // Labels come first as a rule: their bytes as they lie are the key of the series.
    let mut fields = Message::new(bytes);
    let mut labels_end = 0;
    let mut has_ended = false;
    let mut in_order = true;
    let mut n = 0;
    loop {
        let at = bytes.len() - fields.rest().len();
        let Some((field, _)) = fields.next()? else {
            break;
        };
        match field {
            1 if has_ended => in_order = false,
            1 => labels_end = bytes.len() - fields.rest().len(),
            _ => {
                has_ended = true;
                n += 1;
                // The rest is read below; only labels that come late must be seen.
                labels_end = labels_end.min(at);
            }
        }
    }
    let gathered;
    let label_bytes = if in_order {
        bytes.get(..labels_end).unwrap_or_default()
    } else {
        let mut writer = Writer::default();
        let mut fields = Message::new(bytes);
        while let Some((field, value)) = fields.next()? {
            if field == 1 {
                writer.field(1, value.bytes());
            }
        }
        gathered = writer.into_bytes();
        &gathered
    };
    let read = || read_series_labels(label_bytes);
    let Some(place) = batch.place(xxh3_128(label_bytes), n, read)? else {
        return Ok(());
    };
    let mut fields = if in_order {
        Message::new(bytes.get(labels_end..).unwrap_or_default())
    } else {
        Message::new(bytes)
    };
    while let Some((field, value)) = fields.next()? {
        match field {
            2 => {
                let (time_ms, value) = read_sample(value.bytes())?;
                batch.float(place, time_ms, value);
            }
            3 => match exemplar(value.bytes()) {
                Ok(exemplar) => batch.exemplar(place, exemplar),
                Err(why) => batch.reject(1, || why.to_string()),
            },
            4 => match read_histogram(value.bytes())? {
                (time_ms, Sample::Histogram(histogram)) => {
                    batch.histogram(place, time_ms, histogram);
                }
                (time_ms, Sample::Stale) => batch.float(place, time_ms, stale_nan()),
            },
            _ => {}
        }
    }
    Ok(())
}

fn read_series_labels(bytes: &[u8]) -> Result<Labels, String> {
    let mut pairs = read_pairs(bytes).map_err(|why| why.to_string())?;
    super::labels(&mut pairs)
}

/// Names and values of the labels among the fields.
fn read_pairs(bytes: &[u8]) -> Result<Vec<(&str, &str)>, Malformed> {
    let mut pairs = Vec::new();
    let mut fields = Message::new(bytes);
    while let Some((field, label)) = fields.next()? {
        if field != 1 {
            continue;
        }
        let (mut name, mut text) = ("", "");
        let mut parts = Message::new(label.bytes());
        while let Some((part, value)) = parts.next()? {
            match part {
                1 => name = value.text()?,
                2 => text = value.text()?,
                _ => {}
            }
        }
        pairs.push((name, text));
    }
    Ok(pairs)
}

fn exemplar(bytes: &[u8]) -> Result<Exemplar, Malformed> {
    let pairs = read_pairs(bytes)?;
    if pairs.len() > LABELS_MAX {
        return Err(Malformed("an exemplar has too many labels"));
    }
    let mut exemplar = Exemplar {
        labels: Labels::from_pairs(pairs),
        value: 0.0,
        timestamp_ms: 0,
    };
    let mut fields = Message::new(bytes);
    while let Some((field, value)) = fields.next()? {
        match field {
            2 => exemplar.value = value.float(),
            3 => exemplar.timestamp_ms = value.number() as i64,
            _ => {}
        }
    }
    Ok(exemplar)
}

fn metadata(batch: &mut Batch<'_>, bytes: &[u8]) -> Result<(), Refused> {
    let mut found = MetricMetadata::default();
    let mut family = "";
    let mut fields = Message::new(bytes);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => found.kind = kind(value.number()),
            2 => family = value.text()?,
            4 => found.help = value.text()?.into(),
            5 => found.unit = value.text()?.into(),
            _ => {}
        }
    }
    batch.metadata(family, found);
    Ok(())
}
