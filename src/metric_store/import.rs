//! The way in for history: samples of any age, as whole series, straight into sealed windows.
//!
//! 1. Samples are divided into windows; those beyond the retention or in the future are counted
//!    and left out.
//! 2. What a window has already is left out, so that importing again changes nothing.
//! 3. The rest is written as one more segment of the window: pages first, then, in one
//!    transaction, the row that makes it visible. A crash leaves a window out or in, never half.
//!
//! Journal and head are not involved: a window that is still open gets a segment beside them, as
//! it does for samples that come late.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{
    Histogram, Labels, METRIC_NAME, MatchOp, Matcher, Samples, Selection, SeriesReader, StoreError,
};

use crate::catalogue::{Change, Segment};
use crate::codec::histograms::is_storable;
use crate::config::DAY_MS;
use crate::index::SeriesId;
use crate::pages::DayKey;
use crate::read::merge::sort_tail;
use crate::store::MetricStore;

/// What became of an import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    /// Samples that are stored now and were not before.
    pub samples: u64,
    /// Samples that were there already.
    pub known: u64,
    /// Samples that are older than the retention, or in the future.
    pub out_of_range: u64,
    /// Native histograms that are inconsistent or absurdly large.
    pub unstorable: u64,
    /// Series with at least one new sample.
    pub series: u64,
}

impl std::ops::AddAssign for Imported {
    fn add_assign(&mut self, other: Self) {
        self.samples += other.samples;
        self.known += other.known;
        self.out_of_range += other.out_of_range;
        self.unstorable += other.unstorable;
        self.series += other.series;
    }
}

/// A sample may be so far in the future: clocks differ.
const AHEAD_MAX_MS: i64 = 600_000;

/// Metrics that are looked up at once: long lists make long expressions.
const NAMES_AT_ONCE: usize = 256;

type Window = Vec<(Labels, Samples)>;

impl MetricStore {
    /// The span of a window, milliseconds. An import that brings all series of a window at once
    /// makes one segment of it, which is read fastest.
    pub fn window_ms(&self) -> i64 {
        self.shared().limits.window_ms
    }

    /// Stores series of any age; see the head of this file. The samples of a series need not be
    /// in order; a series may come in several parts, also in later calls. Blocks; appending and
    /// reading go on meanwhile.
    ///
    /// # Errors
    /// `Limit` when there are too many series; `NoSpace`, `Io`, `Database` when it cannot be
    /// written. Windows that were finished stay; doing it again brings in the others.
    pub fn import(
        &self,
        series: Vec<(Labels, Samples)>,
        now_ms: i64,
    ) -> Result<Imported, StoreError> {
        let mut imported = Imported::default();
        for (window_ms, part) in self.windows(series, now_ms, &mut imported) {
            self.import_window(window_ms, part, &mut imported)?;
        }
        Ok(imported)
    }

    fn windows(
        &self,
        series: Vec<(Labels, Samples)>,
        now_ms: i64,
        imported: &mut Imported,
    ) -> BTreeMap<i64, Window> {
        let limits = &self.shared().limits;
        // What is too old to stay as it is becomes a rollup soon.
        let oldest_ms = now_ms.saturating_sub(limits.kept_ms());
        let newest_ms = now_ms.saturating_add(AHEAD_MAX_MS);
        let mut windows: BTreeMap<i64, Window> = BTreeMap::new();
        for (labels, mut samples) in series {
            imported.unstorable += leave_out_unstorable(&mut samples);
            sort_tail(&mut samples, 0);
            let times = &samples.timestamps_ms;
            let mut at = times.partition_point(|t| *t < oldest_ms);
            let end = times.partition_point(|t| *t <= newest_ms).max(at);
            imported.out_of_range += (at + times.len() - end) as u64;
            while at < end
                && let Some(first) = times.get(at)
            {
                let window_ms = limits.window_of(*first);
                let next_ms = window_ms.saturating_add(limits.window_ms);
                let to = times.partition_point(|t| *t < next_ms).min(end);
                let part = slice(&samples, at, to);
                windows
                    .entry(window_ms)
                    .or_default()
                    .push((labels.clone(), part));
                at = to;
            }
        }
        windows
    }

    fn import_window(
        &self,
        window_ms: i64,
        mut part: Window,
        imported: &mut Imported,
    ) -> Result<(), StoreError> {
        let shared = self.shared();
        let _one_at_a_time = shared.maintenance.lock();
        part.sort_by(|a, b| a.0.cmp(&b.0));
        part.dedup_by(|later, first| {
            let same = later.0 == first.0;
            if same {
                join(&mut first.1, &later.1);
            }
            same
        });
        imported.known += self.leave_out_known(window_ms, &mut part)?;
        part.retain(|(_, samples)| !samples.is_empty());
        if part.is_empty() {
            return Ok(());
        }
        let mut columns: Vec<(SeriesId, Samples)> = Vec::with_capacity(part.len());
        for (labels, samples) in part {
            columns.push((shared.series_id(&labels)?, samples));
        }
        {
            let index = shared.index.read();
            columns.sort_by(|a, b| index.compare(a.0, b.0));
        }
        shared.commit_series()?;
        let day_ms = window_ms.div_euclid(DAY_MS) * DAY_MS;
        let day = shared.days.day_or_new(DayKey::raw(day_ms));
        let id = shared.catalogue.next_segment()?;
        day.delete_unknown(|known| shared.is_known(known))?;
        // Times of their own: equal ones are found by what they are.
        let likely: Arc<[i64]> = Arc::from([]);
        let written = day.write_segment(id, |writer| {
            for (series, samples) in &columns {
                writer.series(*series, samples, &likely)?;
            }
            Ok(())
        })?;
        let segment = Segment {
            id,
            window_ms,
            day_ms,
            resolution_ms: 0,
            // It holds nothing of any journal.
            journal: 0,
            start_ms: written.start_ms,
            end_ms: written.end_ms,
            samples: written.samples,
            bytes: written.bytes,
            series: written.series,
        };
        shared.catalogue.commit(&Change {
            add: Some(&segment),
            ..Change::default()
        })?;
        imported.samples += segment.samples;
        imported.series += columns.len() as u64;
        shared.add_segment(segment);
        Ok(())
    }

    /// Takes away the samples that a window has already; tells how many. `part` is sorted.
    fn leave_out_known(&self, window_ms: i64, part: &mut Window) -> Result<u64, StoreError> {
        let names = part.iter().filter_map(|(l, _)| l.metric_name());
        let names: BTreeSet<String> = names.map(escape).collect();
        let names: Vec<String> = names.into_iter().collect();
        let mut known = 0;
        for names in names.chunks(NAMES_AT_ONCE) {
            let matcher = Matcher::new(METRIC_NAME, MatchOp::Regex, names.join("|"));
            let matcher = matcher.map_err(|why| StoreError::Refused(why.to_string()))?;
            let cursors = self.select(&Selection {
                matchers: vec![matcher],
                start_ms: window_ms - 1,
                end_ms: window_ms + self.window_ms() - 1,
                series_max: usize::MAX,
                cursors_max: 1,
            })?;
            let mut there = Samples::default();
            for mut cursor in cursors {
                while let Some(labels) = cursor.next_series(&mut there)? {
                    if let Ok(at) = part.binary_search_by(|(l, _)| l.cmp(&labels))
                        && let Some((_, samples)) = part.get_mut(at)
                    {
                        known += without(samples, &there.timestamps_ms);
                    }
                }
            }
        }
        Ok(known)
    }
}

/// A text as an expression that matches only itself.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_punctuation() && c != '_' && c != ':' {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// The samples from one place to another.
fn slice(samples: &Samples, from: usize, to: usize) -> Samples {
    let histograms = samples.histograms.iter();
    Samples {
        timestamps_ms: samples
            .timestamps_ms
            .get(from..to)
            .unwrap_or_default()
            .to_vec(),
        values: samples.values.get(from..to).unwrap_or_default().to_vec(),
        histograms: histograms
            .filter(|(at, _)| (from..to).contains(at))
            .map(|(at, histogram)| (at - from, histogram.clone()))
            .collect(),
    }
}

/// Adds samples; of several at one time the first one counts.
fn join(first: &mut Samples, later: &Samples) {
    let base = first.len();
    first.timestamps_ms.extend_from_slice(&later.timestamps_ms);
    first.values.extend_from_slice(&later.values);
    let histograms = later.histograms.iter();
    first
        .histograms
        .extend(histograms.map(|(at, histogram)| (at + base, histogram.clone())));
    sort_tail(first, 0);
}

/// Takes away the native histograms that the store cannot keep, as it does where they are
/// scraped; tells how many.
fn leave_out_unstorable(samples: &mut Samples) -> u64 {
    let bad = |(_, histogram): &&(usize, Arc<Histogram>)| !is_storable(histogram);
    let bad: Vec<usize> = samples
        .histograms
        .iter()
        .filter(bad)
        .map(|(at, _)| *at)
        .collect();
    keep(samples, |at, _| bad.binary_search(&at).is_err())
}

/// Takes away the samples at these times, which ascend; tells how many.
fn without(samples: &mut Samples, times: &[i64]) -> u64 {
    keep(samples, |_, time| times.binary_search(&time).is_err())
}

/// Takes away the samples that are not wanted, by place and time; tells how many.
fn keep(samples: &mut Samples, is_wanted: impl Fn(usize, i64) -> bool) -> u64 {
    let times = samples.timestamps_ms.iter().enumerate();
    let kept: Vec<usize> = times
        .filter(|(at, time)| is_wanted(*at, **time))
        .map(|(at, _)| at)
        .collect();
    let gone = samples.len() - kept.len();
    if gone == 0 {
        return 0;
    }
    let mut histograms = std::mem::take(&mut samples.histograms)
        .into_iter()
        .peekable();
    let mut out = Samples::default();
    for at in kept {
        while histograms.peek().is_some_and(|(place, _)| *place < at) {
            histograms.next();
        }
        let (Some(time), Some(value)) = (samples.timestamps_ms.get(at), samples.values.get(at))
        else {
            continue;
        };
        match histograms.next_if(|(place, _)| *place == at) {
            Some((_, histogram)) => out.push_histogram(*time, histogram),
            None => out.push(*time, *value),
        }
    }
    *samples = out;
    gone as u64
}
