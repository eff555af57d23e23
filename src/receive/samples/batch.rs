//! The samples of one request, from the decoder to the store.

use std::sync::Arc;

use model::{
    Exemplar, Histogram, Labels, MetricMetadata, SampleSink, Scrape, SlotId, StoreError, TargetId,
};

use super::series::{Place, SeriesTable};
use super::{Written, refusal};
use crate::Refused;

/// A sample that is older than this and that the store does not take is told to its sender as too
/// old; a younger one was there already (an earlier attempt of the sender, as a rule).
const TOO_OLD_MS: i64 = 3_600_000;

/// Exemplars of one request; what is beyond is counted as rejected.
const EXEMPLARS_MAX: usize = 50_000;

/// A float, and where it belongs.
#[derive(Debug, Clone, Copy)]
struct Float {
    place: Place,
    time_ms: i64,
    value: f64,
}

/// What a decoder has read.
#[derive(Debug, Default)]
pub(super) struct Pending {
    floats: Vec<Float>,
    histograms: Vec<(Place, i64, Arc<Histogram>)>,
    exemplars: Vec<(Place, Exemplar)>,
    metadata: Vec<(String, MetricMetadata)>,
    written: Written,
}

/// What a decoder writes into. It knows the store only to find the places of series.
pub(crate) struct Batch<'a> {
    sink: &'a dyn SampleSink,
    series: &'a mut SeriesTable,
    now_ms: i64,
    pending: Pending,
}

impl<'a> Batch<'a> {
    pub(super) fn new(sink: &'a dyn SampleSink, series: &'a mut SeriesTable, now_ms: i64) -> Self {
        Self {
            sink,
            series,
            now_ms,
            pending: Pending::default(),
        }
    }

    pub(super) fn finish(self) -> Pending {
        self.pending
    }

    /// The place of a series by the hash of its labels; `labels` is asked where it is new. `None`:
    /// the series is not taken, and its `n` samples are noted as rejected.
    ///
    /// # Errors
    /// Where the store fails.
    pub(crate) fn place(
        &mut self,
        key: u128,
        n: u64,
        labels: impl FnOnce() -> Result<Labels, String>,
    ) -> Result<Option<Place>, Refused> {
        if let Some(place) = self.series.find(key, self.now_ms) {
            return Ok(Some(place));
        }
        let labels = match labels() {
            Ok(labels) => labels,
            Err(why) => {
                self.reject(n, || why);
                return Ok(None);
            }
        };
        match self.series.open(self.sink, key, &labels, self.now_ms) {
            Ok(place) => Ok(Some(place)),
            Err(StoreError::Limit(why) | StoreError::Refused(why)) => {
                self.reject(n, || why);
                Ok(None)
            }
            Err(other) => Err(refusal(other)),
        }
    }

    /// The place of a series that is at hand as labels.
    ///
    /// # Errors
    /// As [`Batch::place`].
    pub(crate) fn place_of(&mut self, labels: &Labels, n: u64) -> Result<Option<Place>, Refused> {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        for label in labels {
            hash.update(label.name.as_bytes());
            hash.update(&[0xff]);
            hash.update(label.value.as_bytes());
            hash.update(&[0xff]);
        }
        self.place(hash.digest128(), n, || Ok(labels.clone()))
    }

    #[inline]
    pub(crate) fn float(&mut self, place: Place, time_ms: i64, value: f64) {
        self.pending.floats.push(Float {
            place,
            time_ms,
            value,
        });
    }

    /// A native histogram, unless it is inconsistent.
    pub(crate) fn histogram(&mut self, place: Place, time_ms: i64, histogram: Arc<Histogram>) {
        match histogram.check() {
            Ok(()) => self.pending.histograms.push((place, time_ms, histogram)),
            Err(why) => self.reject(1, || format!("a native histogram is inconsistent: {why}")),
        }
    }

    pub(crate) fn exemplar(&mut self, place: Place, exemplar: Exemplar) {
        if self.pending.exemplars.len() < EXEMPLARS_MAX {
            self.pending.exemplars.push((place, exemplar));
        } else {
            self.reject(1, || {
                format!("a request has more than {EXEMPLARS_MAX} exemplars")
            });
        }
    }

    pub(crate) fn metadata(&mut self, family: &str, metadata: MetricMetadata) {
        // Series of a family follow each other, and each brings it along.
        let known = self.pending.metadata.last();
        if !family.is_empty() && known.is_none_or(|(last, _)| last != family) {
            self.pending.metadata.push((family.to_owned(), metadata));
        }
    }

    pub(crate) fn reject(&mut self, n: u64, why: impl FnOnce() -> String) {
        self.pending.written.reject(n, why);
    }
}

impl Pending {
    /// Hands everything to the store, as scrapes: samples of one target that share their time.
    pub(super) fn write(mut self, sink: &dyn SampleSink, now_ms: i64) -> Result<Written, Refused> {
        // Stable: of a series that comes twice at one time, the first counts.
        self.floats
            .sort_by_key(|f| (f.place.target, f.time_ms, f.place.slot));
        let mut samples: Vec<(SlotId, f64)> = Vec::new();
        let same =
            |a: &Float, b: &Float| (a.place.target, a.time_ms) == (b.place.target, b.time_ms);
        let floats = std::mem::take(&mut self.floats);
        for group in floats.chunk_by(same) {
            let Some(Float { place, time_ms, .. }) = group.first() else {
                continue;
            };
            samples.clear();
            samples.extend(group.iter().map(|f| (f.place.slot, f.value)));
            let stored = sink.append(Scrape {
                target: place.target,
                timestamp_ms: *time_ms,
                samples: &samples,
            });
            let n = samples.len() as u64;
            let stored = stored.map_err(refusal)? as u64;
            self.note(n, stored, *time_ms, now_ms, |w| &mut w.samples);
        }
        self.histograms
            .sort_by_key(|(place, time_ms, _)| (place.target, *time_ms, place.slot));
        let histograms = std::mem::take(&mut self.histograms);
        let same =
            |a: &(Place, i64, _), b: &(Place, i64, _)| (a.0.target, a.1) == (b.0.target, b.1);
        for group in histograms.chunk_by(same) {
            if let Some((place, time_ms, _)) = group.first() {
                self.write_histograms(sink, place.target, *time_ms, now_ms, group)?;
            }
        }
        for (place, exemplar) in self.exemplars.drain(..) {
            sink.append_exemplar(place.target, place.slot, exemplar);
            self.written.exemplars += 1;
        }
        for (family, metadata) in self.metadata.drain(..) {
            sink.describe(&family, &metadata);
        }
        Ok(self.written)
    }

    fn write_histograms(
        &mut self,
        sink: &dyn SampleSink,
        target: TargetId,
        time_ms: i64,
        now_ms: i64,
        group: &[(Place, i64, Arc<Histogram>)],
    ) -> Result<(), Refused> {
        let samples: Vec<_> = group.iter().map(|(p, _, h)| (p.slot, h.clone())).collect();
        let n = samples.len() as u64;
        match sink.append_histograms(target, time_ms, &samples) {
            Ok(stored) => {
                self.note(n, stored as u64, time_ms, now_ms, |w| &mut w.histograms);
                Ok(())
            }
            Err(StoreError::Refused(why)) => {
                self.written.reject(n, || why);
                Ok(())
            }
            Err(other) => Err(refusal(other)),
        }
    }

    /// Counts what the store has taken of `n` samples, and tells what it never will take.
    fn note(
        &mut self,
        n: u64,
        stored: u64,
        time_ms: i64,
        now_ms: i64,
        count: impl FnOnce(&mut Written) -> &mut u64,
    ) {
        let age_ms = now_ms.saturating_sub(time_ms);
        if stored == 0 && n > 0 && !(-TOO_OLD_MS..=TOO_OLD_MS).contains(&age_ms) {
            self.written.reject(n, || {
                format!(
                    "samples of {} are too far from now to be stored as they come: import older \
                     history with `yagura import`",
                    model::time::rfc3339_ms(time_ms)
                )
            });
        } else {
            *count(&mut self.written) += n;
        }
    }
}
