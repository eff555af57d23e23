//! Reads the pages of one target, remembering the last one.
//!
//! Two pages of a target differ in values and hardly in anything else. So:
//!
//! 1. For every line the length and hash of its key are kept, in page order, with the slot that
//!    its series has in the store.
//! 2. A line is first compared with the line that is expected next; a usual line costs this
//!    compare and reading a number (fast path).
//! 3. Otherwise the end of its key is found and looked up: the line may have moved, and the
//!    expectation goes on from there. Only a key never seen is read in full and resolved to labels.
//! 4. [`Pages::read`] changes nothing that lasts, so a page may turn out to be broken in its last
//!    line. [`Pages::commit`] then opens slots for what is new, and finds the series that are gone:
//!    they get stale markers and are forgotten, so the memory is bounded by the present page.
//!
//! It knows no clock, no target and no HTTP.

use hashbrown::HashTable;
use model::{Labels, SlotId, StoreError};
use xxhash_rust::xxh3::xxh3_64;

use crate::exposition::line::{self, Pair};
use crate::exposition::metadata::{self, Comment};
use crate::exposition::{Format, PageError, excerpt, number};

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
    /// Series that were there before and are gone.
    pub stale: Vec<SlotId>,
    /// Series that were not there before.
    pub added: usize,
    /// Duplicates that only showed when their slots were opened.
    pub duplicates: usize,
    /// How many series the store did not take, and what it said first.
    pub refused: Option<(usize, StoreError)>,
}

#[derive(Debug)]
struct NewLine {
    key_hash: u64,
    key_len: u32,
    fate: Fate,
    value: f64,
    timestamp_ms: Option<i64>,
}

#[derive(Debug)]
enum Fate {
    Series(Labels),
    Dropped,
    Remark,
}

/// A line of the last page.
#[derive(Debug, Clone, Copy)]
struct Entry {
    key_hash: u64,
    key_len: u32,
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
    /// HELP, TYPE or UNIT.
    Remark,
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
}

fn slot_hash(slot: SlotId) -> u64 {
    // Fibonacci hashing: slots are dense, the table wants its high bits mixed.
    u64::from(slot.0).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Pages {
    /// Reads a page. `counts` is filled in also when it fails.
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
        let (mut at, mut cursor, mut line_number) = (0, 0, 0);
        let mut ended = false;
        while at < page.len() {
            line_number += 1;
            let fail = |reason| PageError {
                line: line_number,
                reason,
            };
            // Fast path: the expected line.
            if let Some((index, key_end)) = self.expected(page, at, cursor) {
                cursor += 1;
                if let Some(order) = &mut reading.order {
                    order.push(index);
                }
                if self.entries[index as usize].kind == Kind::Remark {
                    self.entries[index as usize].seen = self.page_number;
                    at = key_end + 1;
                    continue;
                }
                if let Some((value, length)) = number::leading(&page[key_end + 1..]) {
                    let end = key_end + 1 + length;
                    if page.get(end).is_none_or(|b| *b == b'\n') {
                        self.visit(index, value, None, &mut reading, counts);
                        at = end + 1;
                        continue;
                    }
                }
                let end = line_end(page, key_end);
                let (value, timestamp_ms) =
                    line::read_tail(&page[key_end..end], options.format).map_err(fail)?;
                let timestamp_ms = options.timestamp(timestamp_ms);
                self.visit(index, value, timestamp_ms, &mut reading, counts);
                at = end + 1;
                continue;
            }
            // Slow path: a line that moved, is new, or says nothing.
            let end = line_end(page, at);
            let whole = &page[at..end];
            at = end + 1;
            let text = whole.trim_ascii_start();
            if text.is_empty() {
                continue;
            }
            if ended {
                return Err(fail(format!("{} after # EOF", excerpt(text))));
            }
            let key_len = if text[0] == b'#' {
                match metadata::read_comment(text).map_err(fail)? {
                    Comment::End => {
                        // Only OpenMetrics gives the remark a meaning.
                        ended = options.format == Format::OpenMetrics;
                        continue;
                    }
                    Comment::Remark => continue,
                    _ => text.len(),
                }
            } else {
                line::key_end(text).map_err(fail)?
            };
            counts.unexpected += 1;
            let order = reading
                .order
                .get_or_insert_with(|| self.order[..cursor].to_vec());
            let (key, tail) = text.split_at(key_len);
            let key_hash = xxh3_64(key);
            if let Some(index) = self.find(key_hash, key_len) {
                order.push(index);
                cursor = self.entries[index as usize].position as usize + 1;
                if self.entries[index as usize].kind == Kind::Remark {
                    self.entries[index as usize].seen = self.page_number;
                    continue;
                }
                let (value, timestamp_ms) = line::read_tail(tail, options.format).map_err(fail)?;
                let timestamp_ms = options.timestamp(timestamp_ms);
                self.visit(index, value, timestamp_ms, &mut reading, counts);
                continue;
            }
            let mut new = NewLine {
                key_hash,
                key_len: key_len as u32,
                fate: Fate::Remark,
                value: 0.0,
                timestamp_ms: None,
            };
            if text[0] == b'#' {
                reading.metadata_changed = true;
            } else {
                let pairs = line::read_key(key).map_err(fail)?;
                let (value, timestamp_ms) = line::read_tail(tail, options.format).map_err(fail)?;
                new.value = value;
                new.timestamp_ms = options.timestamp(timestamp_ms);
                counts.scraped += 1;
                new.fate = match resolve(&pairs).map_err(fail)? {
                    Some(labels) => {
                        counts.kept += 1;
                        Fate::Series(labels)
                    }
                    None => Fate::Dropped,
                };
                // The page will be refused: no need to hold on to a million label sets.
                if counts.kept > options.kept_max {
                    continue;
                }
            }
            order.push(NEW_BIT | reading.new.len() as u32);
            reading.new.push(new);
        }
        if options.format == Format::OpenMetrics && !ended {
            return Err(PageError {
                line: line_number,
                reason: "the page ends without # EOF: it was cut off".to_owned(),
            });
        }
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
            let index = match self.find(new.key_hash, new.key_len as usize) {
                Some(index) => Ok(index),
                None => self.admit(&new, open).inspect(|index| {
                    let is_series = matches!(self.entries[*index as usize].kind, Kind::Series(_));
                    commit.added += usize::from(is_series);
                }),
            };
            match index {
                Ok(index) => {
                    if matches!(new.fate, Fate::Series(_)) {
                        self.visit(
                            index,
                            new.value,
                            new.timestamp_ms,
                            &mut reading,
                            &mut counts,
                        );
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

    /// The expected line, where the page goes on with it: its entry and where its key ends.
    #[inline]
    fn expected(&self, page: &[u8], at: usize, cursor: usize) -> Option<(u32, usize)> {
        let index = *self.order.get(cursor)?;
        let entry = &self.entries[index as usize];
        let key_end = at + entry.key_len as usize;
        let boundary = if entry.kind == Kind::Remark {
            b'\n'
        } else {
            b' '
        };
        // The boundary first: most lines of another length fail there, unhashed.
        let fits = *page.get(key_end)? == boundary && xxh3_64(&page[at..key_end]) == entry.key_hash;
        fits.then_some((index, key_end))
    }

    fn find(&self, key_hash: u64, key_len: usize) -> Option<u32> {
        let same = |index: &u32| {
            let entry = &self.entries[*index as usize];
            entry.key_hash == key_hash && entry.key_len as usize == key_len
        };
        self.by_key.find(key_hash, same).copied()
    }

    fn find_slot(&self, slot: SlotId) -> Option<u32> {
        let same = |index: &u32| self.entries[*index as usize].kind == Kind::Series(slot);
        self.by_slot.find(slot_hash(slot), same).copied()
    }

    /// Takes a sample of a known line.
    #[inline]
    fn visit(
        &mut self,
        index: u32,
        value: f64,
        timestamp_ms: Option<i64>,
        reading: &mut Reading,
        counts: &mut Counts,
    ) {
        counts.scraped += 1;
        let page_number = self.page_number;
        let mut entry = &mut self.entries[index as usize];
        if let Kind::Alias(canonical) = entry.kind {
            entry.seen = page_number;
            entry = &mut self.entries[canonical as usize];
        }
        let Kind::Series(slot) = entry.kind else {
            entry.seen = page_number;
            return;
        };
        counts.kept += 1;
        entry.timed = timestamp_ms.is_some();
        if let Some(timestamp_ms) = timestamp_ms {
            entry.seen = page_number;
            reading.timed.push((timestamp_ms, slot, value));
        } else if entry.seen == page_number {
            counts.duplicates += 1;
        } else {
            entry.seen = page_number;
            reading.samples.push((slot, value));
        }
    }

    /// Makes an entry of a new line.
    fn admit(&mut self, new: &NewLine, open: &mut OpenSlot<'_>) -> Result<u32, StoreError> {
        let kind = match &new.fate {
            Fate::Remark => Kind::Remark,
            Fate::Dropped => Kind::Dropped,
            Fate::Series(labels) => {
                let slot = open(labels)?;
                self.find_slot(slot).map_or(Kind::Series(slot), Kind::Alias)
            }
        };
        let seen = match kind {
            Kind::Remark | Kind::Dropped => self.page_number,
            _ => 0,
        };
        let entry = Entry {
            key_hash: new.key_hash,
            key_len: new.key_len,
            seen,
            position: 0,
            kind,
            timed: false,
        };
        let index = if let Some(index) = self.free.pop() {
            self.entries[index as usize] = entry;
            index
        } else {
            // A page has fewer lines than bytes, and bytes are limited far below 2^31.
            self.entries.push(entry);
            self.entries.len() as u32 - 1
        };
        let entries = &self.entries;
        self.by_key
            .insert_unique(new.key_hash, index, |i| entries[*i as usize].key_hash);
        match kind {
            Kind::Series(slot) => {
                let hash = |i: &u32| match entries[*i as usize].kind {
                    Kind::Series(slot) => slot_hash(slot),
                    _ => 0,
                };
                self.by_slot.insert_unique(slot_hash(slot), index, hash);
            }
            Kind::Alias(_) => self.aliases += 1,
            _ => {}
        }
        Ok(index)
    }

    /// Forgets what was not on this page, and notes the series among it.
    fn sweep(&mut self, timestamps: Timestamps, stale: &mut Vec<SlotId>) {
        for index in 0..self.entries.len() as u32 {
            let entry = self.entries[index as usize];
            if entry.seen == self.page_number || entry.kind == Kind::Free {
                continue;
            }
            if self.live {
                stale.extend(entry.tracked(timestamps));
            }
            remove(&mut self.by_key, entry.key_hash, index);
            match entry.kind {
                Kind::Series(slot) => remove(&mut self.by_slot, slot_hash(slot), index),
                Kind::Alias(_) => self.aliases -= 1,
                _ => {}
            }
            self.entries[index as usize].kind = Kind::Free;
            self.free.push(index);
        }
    }
}

impl Entry {
    /// The slot that needs a stale marker when the line is gone.
    fn tracked(&self, timestamps: Timestamps) -> Option<SlotId> {
        let untracked = self.timed
            && timestamps
                != Timestamps::Honor {
                    track_staleness: true,
                };
        match self.kind {
            Kind::Series(slot) if !untracked => Some(slot),
            _ => None,
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

fn remove(table: &mut HashTable<u32>, hash: u64, index: u32) {
    if let Ok(entry) = table.find_entry(hash, |i| *i == index) {
        entry.remove();
    }
}

fn line_end(page: &[u8], at: usize) -> usize {
    memchr::memchr(b'\n', &page[at..]).map_or(page.len(), |length| at + length)
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
