//! Is a store that nobody has open whole? Every page is decompressed and decoded, every journal
//! read to its end, and the catalogue compared with what is there. Not a byte is changed.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use model::{Histogram, Labels, Samples, StoreError};
use roaring::RoaringBitmap;

use crate::catalogue::{Catalogue, Segment};
use crate::codec::chunk;
use crate::errors::io_error;
use crate::index::SeriesId;
use crate::journal::file::{self, Kind};
use crate::journal::row_decoder::{RowDecoder, RowTaker};
use crate::journal::{self, series};
use crate::pages::DayKey;
use crate::pages::look::DayLook;

/// Problems that are told one by one; the others are counted.
const PROBLEMS_MAX: usize = 100;

/// What a store holds, and what is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Series that the catalogue and the journals know.
    pub series: u64,
    /// Sealed windows and parts of windows.
    pub segments: u64,
    /// Pages read.
    pub pages: u64,
    /// Samples decoded from pages.
    pub samples: u64,
    /// Journals read.
    pub journals: u64,
    /// Samples in journals that are not sealed.
    pub journal_samples: u64,
    /// What is wrong, each a sentence; at most a hundred of them.
    pub problems: Vec<String>,
    /// How many more there are.
    pub problems_more: u64,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    fn problem(&mut self, problem: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        } else {
            self.problems_more += 1;
        }
    }
}

/// Verifies the store in a folder.
///
/// # Errors
/// `Refused` when a process has it open or a newer program wrote it; `Io`, `Damaged` and
/// `Database` when not even the catalogue can be read.
pub fn check(dir: &Path) -> Result<Report, StoreError> {
    let _lock = lock_to_look(dir)?;
    let mut report = Report::default();
    let (catalogue, _) = Catalogue::open_to_look(dir)?;
    let mut known = RoaringBitmap::new();
    catalogue.load_series(|id, labels: Labels| {
        if labels.is_empty() || !known.insert(id) {
            report.problem(format!(
                "meta.db: series {id} has no labels or is there twice"
            ));
        }
    })?;
    let segments = catalogue.segments()?;
    let sealed = catalogue.sealed()?;
    let mut days: BTreeMap<DayKey, Vec<Segment>> = BTreeMap::new();
    for segment in segments {
        days.entry(segment.file()).or_default().push(segment);
    }
    for (key, segments) in days {
        match DayLook::open(&dir.join("days"), key) {
            Ok(day) => {
                for segment in segments {
                    check_segment(&day, &segment, &known, &mut report);
                }
            }
            Err(error) => report.problem(error.to_string()),
        }
    }
    check_journals(&dir.join("journal"), &sealed, &mut known, &mut report)?;
    report.series = known.len();
    Ok(report)
}

/// Whether a process has the store in a folder open.
///
/// # Errors
/// `Io` when its lock cannot be looked at.
pub fn is_in_use(dir: &Path) -> Result<bool, StoreError> {
    match lock_to_look(dir) {
        Ok(_) => Ok(false),
        Err(StoreError::Refused(_)) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Keeps a process from opening the folder meanwhile, and refuses where one has.
fn lock_to_look(dir: &Path) -> Result<Option<File>, StoreError> {
    let path = dir.join("LOCK");
    if !path.exists() {
        // A copy that was never opened.
        return Ok(None);
    }
    let file = File::open(&path).map_err(io_error("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(_) => Err(StoreError::Refused(format!(
            "{} is in use by another process: stop it first, or make a backup and check that",
            dir.display()
        ))),
    }
}

fn check_segment(day: &DayLook, segment: &Segment, known: &RoaringBitmap, report: &mut Report) {
    report.segments += 1;
    let at = format!("segment {} of {}", segment.id, day.name());
    let directory = match day.directory(segment.id) {
        Ok(directory) => directory,
        Err(error) => return report.problem(error.to_string()),
    };
    let (mut samples, mut series) = (0, RoaringBitmap::new());
    let (mut first_ms, mut last_ms) = (i64::MAX, i64::MIN);
    // In the order of the pages, so that each is read once.
    let mut entries = directory.entries.clone();
    entries.sort_by_key(|e| (e.page, e.offset));
    for chunks in entries.chunk_by(|a, b| a.page == b.page) {
        let Some(number) = chunks.first().map(|e| e.page) else {
            continue;
        };
        report.pages += 1;
        let page = match day.page(segment.id, number) {
            Ok(page) => page,
            Err(error) => {
                report.problem(error.to_string());
                continue;
            }
        };
        for entry in chunks {
            let column = directory.times.get(entry.times as usize);
            let start = entry.start as usize;
            let times = column.and_then(|c| c.get(start..start + entry.count as usize));
            let times = times.unwrap_or_default();
            let mut decoded = Samples::default();
            let bytes = page.get(entry.offset as usize..).unwrap_or_default();
            if let Err(error) = chunk::decode(bytes, times.len(), &mut decoded) {
                report.problem(format!("{at}: page {number}: {error}"));
                continue;
            }
            if !times.is_sorted_by(|a, b| a < b) {
                report.problem(format!("{at}: series {} goes back in time", entry.series));
            }
            samples += times.len() as u64;
            series.insert(entry.series);
            first_ms = first_ms.min(times.first().copied().unwrap_or(i64::MAX));
            last_ms = last_ms.max(times.last().copied().unwrap_or(i64::MIN));
        }
    }
    report.samples += samples;
    let of_catalogue = (segment.samples, segment.start_ms, segment.end_ms);
    if of_catalogue != (samples, first_ms, last_ms) || segment.series != series {
        report.problem(format!(
            "{at}: {} samples of {} series were found, the catalogue speaks of {} of {}",
            samples,
            series.len(),
            segment.samples,
            segment.series.len()
        ));
    }
    let strangers = &series - known;
    if let Some(id) = strangers.min() {
        let n = strangers.len();
        report.problem(format!(
            "{at}: {n} series without labels, the first is {id}"
        ));
    }
}

fn check_journals(
    dir: &Path,
    sealed: &BTreeMap<i64, u64>,
    known: &mut RoaringBitmap,
    report: &mut Report,
) -> Result<(), StoreError> {
    let mut rows = Vec::new();
    for old in journal::list(dir)? {
        let Some(header) = file::read_header(&old.path)? else {
            report.problem(format!("{}: its head is damaged", old.path.display()));
            continue;
        };
        if header.kind == Kind::Window {
            let done = sealed.get(&header.window_ms);
            if done.is_none_or(|done| *done < old.number) {
                rows.push(old);
            }
            continue;
        }
        let read = file::scan(&old.path, |body| {
            known.insert(series::decode(body)?.0);
            Ok(())
        })?;
        report.journals += 1;
        tell_damage(&old.path, &read, report);
    }
    for old in rows {
        let mut counter = Counter::default();
        let mut decoder = RowDecoder::default();
        let read = file::scan(&old.path, |body| decoder.decode(body, &mut counter))?;
        report.journals += 1;
        report.journal_samples += counter.samples;
        tell_damage(&old.path, &read, report);
        let strangers = (&counter.series - &*known).len();
        if strangers > 0 {
            let path = old.path.display();
            report.problem(format!("{path}: {strangers} series without labels"));
        }
    }
    Ok(())
}

fn tell_damage(path: &Path, read: &file::Replayed, report: &mut Report) {
    if let Some(offset) = read.damaged_at {
        report.problem(format!(
            "{}: damaged at byte {offset}, after {} sound records",
            path.display(),
            read.records
        ));
    }
}

/// Counts what a journal holds.
#[derive(Debug, Default)]
struct Counter {
    samples: u64,
    series: RoaringBitmap,
}

impl RowTaker for Counter {
    fn target(&mut self, _: u32, _: &str) {}

    fn slot(&mut self, _: u32, _: u32, series: SeriesId) {
        self.series.insert(series);
    }

    fn row(&mut self, _: u32, _: i64, samples: &[(u32, f64)]) {
        self.samples += samples.len() as u64;
    }

    fn histograms(&mut self, _: u32, _: i64, samples: &[(u32, Arc<Histogram>)]) {
        self.samples += samples.len() as u64;
    }
}
