//! Reads the pages of one target, remembering the last one.
//!
//! Two pages of a target differ in values and hardly in anything else. So:
//!
//! 1. For every sample the length and hash of its key are kept, in page order, with the slot that
//!    its series has in the store. In the text formats ([`text`]) a key is the line up to its
//!    value; in protobuf ([`protobuf`]) the family's name, the labels, and which part of a
//!    histogram or summary it is.
//! 2. A key is first compared with the one that is expected next; a usual sample costs this
//!    compare and reading a number (fast path).
//! 3. Otherwise it is looked up: the sample may have moved, and the expectation goes on from
//!    there. Only a key never seen is read in full and resolved to labels.
//! 4. [`Pages::read`] changes nothing that lasts, so a page may turn out to be broken in its last
//!    line. [`Pages::commit`] then opens slots for what is new, and finds the series that are gone:
//!    they get stale markers and are forgotten, so the memory is bounded by the present page.
//!
//! It knows no clock, no target and no HTTP.

mod entries;
mod protobuf;
mod text;
mod walk;

use std::collections::HashMap;
use std::sync::Arc;

use hashbrown::HashTable;
use model::{Histogram, Labels, MetricKind, SlotId, StoreError};

use crate::exposition::histogram::Limits;
use crate::exposition::line::{Pair, TextExemplar};
use crate::exposition::{Format, PageError, family};
use walk::Walk;

/// What to do with timestamps that a page carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timestamps {
    /// They are ignored: the time of the scrape counts.
    Ignore,
    /// They count. Series with timestamps of their own end without a stale marker, unless
    /// `track_staleness`.
    Honor {
        /// Mark them stale like others.
        track_staleness: bool,
    },
}

/// Turns the pairs of a key into the labels of its series, `None` to drop it. An error fails the
/// page.
pub type Resolve<'a> = dyn FnMut(&[Pair<'_>]) -> Result<Option<Labels>, String> + 'a;

/// Gives a series its slot in the store.
pub type OpenSlot<'a> = dyn FnMut(&Labels) -> Result<SlotId, StoreError> + 'a;

/// How a page is to be read.
#[derive(Debug, Clone, Copy)]
pub struct ReadOptions {
    /// Its format.
    pub format: Format,
    /// What its timestamps mean.
    pub timestamps: Timestamps,
    /// Series beyond this number are counted and not kept (the caller refuses the page).
    pub kept_max: usize,
    /// Which of the two forms of a histogram are wanted.
    pub histograms: Histograms,
}

/// What is made of histograms.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Histograms {
    /// The native form is kept where there is one.
    pub native: bool,
    /// The classic form is kept also where the native one is.
    pub classic_always: bool,
    /// A classic histogram without a native form becomes one with custom bounds.
    pub custom_bounds: bool,
    /// How fine native ones may be.
    pub limits: Limits,
}

/// What a page held, also one that turned out broken (up to there).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sample lines.
    pub scraped: usize,
    /// Sample lines that relabelling left.
    pub kept: usize,
    /// Samples left out because their series was on the page already.
    pub duplicates: usize,
    /// Lines that were not the expected ones.
    pub unexpected: usize,
}

/// A page that reads well, not stored yet.
#[derive(Debug, Default)]
pub struct Reading {
    samples: Vec<(SlotId, f64)>,
    timed: Vec<(i64, SlotId, f64)>,
    histograms: Vec<(Option<i64>, SlotId, Arc<Histogram>)>,
    /// Each with its entry.
    exemplars: Vec<(u32, FoundExemplar)>,
    new: Vec<NewLine>,
    /// The lines in page order, where that differs from the page before; `NEW_BIT` marks
    /// positions in `new`.
    order: Option<Vec<u32>>,
    /// A HELP, TYPE or UNIT line is new.
    pub metadata_changed: bool,
}

/// What a page means for the store.
#[derive(Debug, Default)]
pub struct Commit {
    /// Samples at the time of the scrape.
    pub samples: Vec<(SlotId, f64)>,
    /// Samples at times of their own, milliseconds.
    pub timed: Vec<(i64, SlotId, f64)>,
    /// Native histograms, some of them with times of their own, milliseconds.
    pub histograms: Vec<(Option<i64>, SlotId, Arc<Histogram>)>,
    /// Exemplars.
    pub exemplars: Vec<FoundExemplar>,
    /// Series that were there before and are gone.
    pub stale: Vec<SlotId>,
    /// Series that were not there before.
    pub added: usize,
    /// Duplicates that only showed when their slots were opened.
    pub duplicates: usize,
    /// How many series the store did not take, and what it said first.
    pub refused: Option<(usize, StoreError)>,
}

/// An exemplar on a page.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundExemplar {
    /// The series.
    pub slot: SlotId,
    /// The exemplar's own labels.
    pub labels: Labels,
    /// The observed value.
    pub value: f64,
    /// Milliseconds since 1970-01-01 UTC; nothing where the time of the scrape counts.
    pub timestamp_ms: Option<i64>,
}

/// The value of a sample.
#[derive(Debug, Clone)]
enum Value {
    Float(f64),
    Histogram(Arc<Histogram>),
}

/// What a sample holds beside its key.
#[derive(Debug, Clone)]
struct Content<'a> {
    value: Value,
    timestamp_ms: Option<i64>,
    exemplars: Vec<TextExemplar<'a>>,
}

/// How long a key is and its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    hash: u64,
    len: u32,
}

/// A line or series that the page before did not have.
#[derive(Debug)]
struct NewLine {
    key: Key,
    fate: Fate,
    value: Value,
    timestamp_ms: Option<i64>,
    /// Slots are not known yet.
    exemplars: Vec<FoundExemplar>,
}

#[derive(Debug)]
enum Fate {
    Series(Labels),
    Dropped,
    /// HELP, TYPE or UNIT, and the type that it names.
    Remark(Option<MetricKind>),
}

/// A line of the last page.
#[derive(Debug, Clone, Copy)]
struct Entry {
    key: Key,
    /// Number of the page that it was last on.
    seen: u32,
    /// Where it is in `order`.
    position: u32,
    kind: Kind,
    /// Its last sample had a timestamp of its own, so that its absence means nothing.
    timed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A sample of this series.
    Series(SlotId),
    /// Another spelling of the series of this entry.
    Alias(u32),
    /// A sample that relabelling drops.
    Dropped,
    /// HELP, TYPE or UNIT, and the type that it names.
    Remark(Option<MetricKind>),
    /// No line: the place is free.
    Free,
}

const NEW_BIT: u32 = 1 << 31;

/// The memory of one target's last page.
#[derive(Debug, Default)]
pub struct Pages {
    entries: Vec<Entry>,
    free: Vec<u32>,
    by_key: HashTable<u32>,
    by_slot: HashTable<u32>,
    /// Entries in page order.
    order: Vec<u32>,
    aliases: usize,
    page_number: u32,
    /// The series of `entries` have a sample from the last page (and not a stale marker since).
    live: bool,
    /// Series of before [`Pages::forget_keys`].
    orphans: Vec<SlotId>,
    /// Entry → hash of its newest exemplar, where that has no time: seen again it is no news.
    exemplars: HashMap<u32, u64>,
}

impl Pages {
    /// Reads a page. `counts` is filled in also when it fails.
    ///
    /// # Errors
    /// Where the page is none of its format, or a series cannot be resolved.
    pub fn read(
        &mut self,
        page: &[u8],
        options: ReadOptions,
        resolve: &mut Resolve<'_>,
        counts: &mut Counts,
    ) -> Result<Reading, PageError> {
        // Zero stays free, so that a new entry is never taken for seen.
        self.page_number = self.page_number.checked_add(1).unwrap_or(1);
        let mut reading = Reading {
            samples: Vec::with_capacity(self.order.len()),
            ..Reading::default()
        };
        let mut walk = Walk {
            pages: self,
            options,
            resolve,
            reading: &mut reading,
            counts,
            cursor: 0,
        };
        match options.format {
            Format::Protobuf => walk.protobuf(page)?,
            Format::Text | Format::OpenMetrics if options.histograms.custom_bounds => {
                // The lines of a histogram must come together first.
                let mut whole = Vec::with_capacity(page.len());
                for family in family::read_for_scrape(page, options.format)? {
                    family::append_to_page(&mut whole, &family.message());
                }
                walk.protobuf(&whole)?;
            }
            Format::Text | Format::OpenMetrics => walk.text(page)?,
        }
        let cursor = walk.cursor;
        if cursor < self.order.len() && reading.order.is_none() {
            reading.order = Some(self.order[..cursor].to_vec());
        }
        Ok(reading)
    }

    /// Opens slots for what is new on a page, and finds what is gone.
    pub fn commit(
        &mut self,
        mut reading: Reading,
        timestamps: Timestamps,
        open: &mut OpenSlot<'_>,
    ) -> Commit {
        let mut commit = Commit::default();
        let mut counts = Counts::default();
        let news = std::mem::take(&mut reading.new);
        let mut indices = Vec::with_capacity(news.len());
        for new in news {
            // A new key that is on the page twice is known the second time.
            let index = match self.find(new.key) {
                Some(index) => Ok(index),
                None => self.admit(&new, open).inspect(|index| {
                    let is_series = matches!(self.entries[*index as usize].kind, Kind::Series(_));
                    commit.added += usize::from(is_series);
                }),
            };
            match index {
                Ok(index) => {
                    if matches!(new.fate, Fate::Series(_)) {
                        let slot = self.claim(index, new.timestamp_ms, &mut counts);
                        reading.take(slot, new.value, new.timestamp_ms);
                        for exemplar in new.exemplars {
                            let exemplar = slot.map(|slot| FoundExemplar { slot, ..exemplar });
                            reading.exemplars.extend(exemplar.map(|one| (index, one)));
                        }
                    }
                    indices.push(Some(index));
                }
                Err(error) => {
                    indices.push(None);
                    match &mut commit.refused {
                        Some((count, _)) => *count += 1,
                        none => *none = Some((1, error)),
                    }
                }
            }
        }
        commit.duplicates = counts.duplicates;

        let order_changed = reading.order.is_some();
        if let Some(order) = reading.order {
            self.order = order
                .into_iter()
                .filter_map(|index| match index & NEW_BIT {
                    0 => Some(index),
                    _ => indices.get((index & !NEW_BIT) as usize).copied().flatten(),
                })
                .collect();
            for (position, index) in self.order.iter().enumerate() {
                self.entries[*index as usize].position = position as u32;
            }
        }
        // While every line was the expected one, nothing can be gone.
        if order_changed || self.aliases > 0 {
            self.sweep(timestamps, &mut commit.stale);
        }
        for slot in std::mem::take(&mut self.orphans) {
            if self.find_slot(slot).is_none() {
                commit.stale.push(slot);
            }
        }
        self.live = true;
        commit.samples = reading.samples;
        commit.timed = reading.timed;
        commit.histograms = reading.histograms;
        let exemplars = reading.exemplars.into_iter();
        commit.exemplars = exemplars
            .filter(|(index, exemplar)| self.is_news(*index, exemplar))
            .map(|(_, exemplar)| exemplar)
            .collect();
        commit
    }

    /// The scrape failed, or the target is gone: returns the series that need a stale marker. The
    /// keys stay known, since most targets come back as they were.
    pub fn fail(&mut self, timestamps: Timestamps) -> Vec<SlotId> {
        let mut stale = std::mem::take(&mut self.orphans);
        if std::mem::take(&mut self.live) {
            stale.extend(self.entries.iter().filter_map(|e| e.tracked(timestamps)));
        }
        stale
    }

    /// Stale markers that could not be stored: the next commit or failure gives them again, but
    /// for series that have come back.
    pub fn owe_markers(&mut self, slots: Vec<SlotId>) {
        self.orphans.extend(slots);
    }

    /// Keys mean other series from now on (relabelling has changed). Series that the next page
    /// does not give again get stale markers then.
    pub fn forget_keys(&mut self, timestamps: Timestamps) {
        let orphans = self.fail(timestamps);
        let page_number = self.page_number;
        *self = Self {
            page_number,
            orphans,
            ..Self::default()
        };
    }

    /// Series on the last page.
    pub fn series_count(&self) -> usize {
        self.by_slot.len()
    }
}

/// An exemplar with labels of its own; without a time it has its sample's.
fn owned(slot: SlotId, exemplar: &TextExemplar<'_>, timestamp_ms: Option<i64>) -> FoundExemplar {
    let pairs = exemplar.labels.iter();
    FoundExemplar {
        slot,
        labels: Labels::from_pairs(pairs.map(|(name, value)| (&**name, &**value))),
        value: exemplar.value,
        timestamp_ms: exemplar.timestamp_ms.or(timestamp_ms),
    }
}

impl Reading {
    /// Notes the value of a series.
    #[inline]
    fn take(&mut self, slot: Option<SlotId>, value: Value, timestamp_ms: Option<i64>) {
        match (slot, value, timestamp_ms) {
            (None, ..) => {}
            (Some(slot), Value::Float(value), None) => self.samples.push((slot, value)),
            (Some(slot), Value::Float(value), Some(time)) => self.timed.push((time, slot, value)),
            (Some(slot), Value::Histogram(histogram), time) => {
                self.histograms.push((time, slot, histogram));
            }
        }
    }
}

impl ReadOptions {
    fn timestamp(self, timestamp_ms: Option<i64>) -> Option<i64> {
        match self.timestamps {
            Timestamps::Ignore => None,
            Timestamps::Honor { .. } => timestamp_ms,
        }
    }
}

#[cfg(test)]
mod tests;
