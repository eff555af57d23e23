//! What was accepted before the process ended comes back: catalogue, then journals.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use model::{Histogram, SlotId, StoreError};
use roaring::RoaringBitmap;
use rustc_hash::FxHashMap;

use crate::append::Buffers;
use crate::errors::io_error;
use crate::head::places::Place;
use crate::head::target::{Sorted, Target};
use crate::index::SeriesId;
use crate::journal::file::{self, Header, Kind, Replayed};
use crate::journal::row_decoder::{RowDecoder, RowTaker};
use crate::journal::rows::target_of;
use crate::journal::{OldFile, series};
use crate::store::Shared;

/// Journals up to this size are read by one thread: starting others takes as long.
const REPLAY_ALONE_BYTES: u64 = 1 << 20;

/// Threads that read a journal together; each checks all of it.
const REPLAY_WORKERS_MAX: usize = 4;

impl Shared {
    /// Reads catalogue and journals into memory. Called once, before anybody else has the store.
    pub(crate) fn recover(&self, files: Vec<OldFile>) -> Result<(), StoreError> {
        let mut next_id = 0;
        {
            let mut index = self.index.write();
            self.catalogue.load_series(|id, labels| {
                index.insert(id, &labels);
                next_id = next_id.max(id + 1);
            })?;
        }
        *self.series_committed.lock() = next_id;
        self.recover_segments()?;
        let mut windows = Vec::new();
        let mut names = Vec::new();
        for file in files {
            match file::read_header(&file.path)? {
                Some(header) if header.kind == Kind::Series => names.push((header, file)),
                Some(header) => windows.push((header, file)),
                None => self.set_aside(&file)?,
            }
        }
        for (header, file) in names {
            let replayed = file::replay(&file.path, |body| {
                let (id, labels) = series::decode(body)?;
                self.index.write().insert(id, &labels);
                Ok(())
            })?;
            self.tell(&file, &replayed);
            self.journals.adopt(file, &header);
        }
        windows.sort_by_key(|(header, file)| (header.window_ms, file.number));
        let sealed = self.catalogue.sealed()?;
        for (header, file) in windows {
            self.recover_window(&header, file, sealed.get(&header.window_ms))?;
        }
        Ok(())
    }

    fn recover_segments(&self) -> Result<(), StoreError> {
        let segments = self.catalogue.segments()?;
        let known: RoaringBitmap = segments.iter().map(|s| s.id).collect();
        let mut sound = Vec::new();
        for day in self.days.all() {
            if !segments.iter().any(|s| s.file() == day.key) {
                // Of a day that was rolled up, or that a crash left before its first window.
                self.days.drop_day(day.key)?;
                continue;
            }
            match day.delete_unknown(|id| known.contains(id)) {
                Ok(()) => sound.push(day.key),
                Err(error @ (StoreError::Refused(_) | StoreError::NoSpace(_))) => {
                    return Err(error);
                }
                Err(error) => {
                    self.metrics.damaged.inc();
                    tracing::error!(%error, "cannot read a day of samples, going on without it");
                }
            }
        }
        for segment in segments {
            self.journals.skip_to(segment.journal + 1);
            if sound.contains(&segment.file()) {
                self.head.saw(segment.end_ms);
                self.add_segment(segment);
            } else if self.days.day(segment.file()).is_none() {
                tracing::warn!(segment = segment.id, "the file of a sealed window is gone");
                self.catalogue.drop_day(segment.file())?;
            }
        }
        Ok(())
    }

    fn recover_window(
        &self,
        header: &Header,
        file: OldFile,
        sealed: Option<&u64>,
    ) -> Result<(), StoreError> {
        if sealed.is_some_and(|journal| *journal >= file.number) {
            return fs::remove_file(&file.path).map_err(io_error("delete", &file.path));
        }
        let replayed = self.replay_window(&file.path, header.window_ms)?;
        file::cut(&file.path, &replayed);
        self.tell(&file, &replayed);
        self.journals.adopt(file, header);
        Ok(())
    }

    /// Puts the rows of a journal into the head. Targets know nothing of each other, so each
    /// worker reads the whole file and decodes the records of its own targets only.
    fn replay_window(&self, path: &Path, window_ms: i64) -> Result<Replayed, StoreError> {
        let bytes = fs::metadata(path).map_err(io_error("read journal", path))?;
        let n_workers = if bytes.len() < REPLAY_ALONE_BYTES {
            1
        } else {
            thread::available_parallelism().map_or(1, |n| n.get().min(REPLAY_WORKERS_MAX)) as u32
        };
        let work = |worker: u32| {
            let mut replay = Replay {
                shared: self,
                window_ms,
                targets: FxHashMap::default(),
                buffers: Buffers::default(),
                samples: Vec::new(),
            };
            let mut decoder = RowDecoder::default();
            file::scan(path, |body| {
                if target_of(body)? % n_workers != worker {
                    return Ok(());
                }
                decoder.decode(body, &mut replay)
            })
        };
        let results: Vec<_> = thread::scope(|scope| {
            let others: Vec<_> = (1..n_workers)
                .map(|worker| scope.spawn(move || work(worker)))
                .collect();
            let mut results = vec![work(0)];
            for other in others {
                // A panic goes on in the thread that opens the store.
                results.push(
                    other
                        .join()
                        .unwrap_or_else(|p| std::panic::resume_unwind(p)),
                );
            }
            results
        });
        let results: Vec<Replayed> = results.into_iter().collect::<Result<_, StoreError>>()?;
        // All end at the same place, unless a record is sound and does not decode.
        let first = results.into_iter().min_by_key(|replayed| replayed.sound);
        Ok(first.expect("there is a first worker"))
    }

    fn tell(&self, file: &OldFile, replayed: &file::Replayed) {
        if let Some(offset) = replayed.damaged_at {
            self.metrics.journal_damaged.inc();
            tracing::warn!(
                path = %file.path.display(),
                offset,
                records = replayed.records,
                "a journal is damaged, cut there"
            );
        }
    }

    /// A file whose header cannot be read: nothing can be done with it.
    fn set_aside(&self, file: &OldFile) -> Result<(), StoreError> {
        let bytes = fs::read(&file.path).map_err(io_error("read journal", &file.path))?;
        if bytes.iter().all(|b| *b == 0) {
            // The power went before the header was durable, so nothing was acknowledged in it.
            return fs::remove_file(&file.path).map_err(io_error("delete", &file.path));
        }
        self.metrics.journal_damaged.inc();
        let aside = file.path.with_extension("damaged");
        tracing::warn!(path = %aside.display(), "the head of a journal is damaged, set aside");
        fs::rename(&file.path, &aside).map_err(io_error("rename", &file.path))
    }
}

/// A target of the journal.
struct JournalTarget {
    target: Arc<Target>,
    /// The journal's slots as ours; `None` for a series that nobody knows.
    slots: Vec<Option<u32>>,
}

/// Puts a window's journal into the head.
struct Replay<'a> {
    shared: &'a Shared,
    window_ms: i64,
    targets: FxHashMap<u32, JournalTarget>,
    buffers: Buffers,
    samples: Vec<(SlotId, f64)>,
}

impl RowTaker for Replay<'_> {
    fn target(&mut self, number: u32, name: &str) {
        let head = &self.shared.head;
        let target = head.open_target(name, false).and_then(|id| head.target(id));
        match target {
            Ok(target) => {
                let slots = Vec::new();
                self.targets.insert(number, JournalTarget { target, slots });
            }
            Err(error) => tracing::error!(%error, name, "cannot open a target of the journal"),
        }
    }

    fn slot(&mut self, number: u32, slot: u32, series: SeriesId) {
        let Some(of) = self.targets.get_mut(&number) else {
            return;
        };
        let known = {
            let index = self.shared.index.read();
            index.contains(series)
        };
        let ours = known.then(|| {
            let mut places = self.shared.head.places().write();
            let id = of.target.id;
            let there = places.get(series).iter().find(|p| p.target == id);
            let there = there.map(|place| place.slot);
            there.unwrap_or_else(|| {
                let slot = of.target.state.lock().push_slot(series);
                places.insert(series, Place { target: id, slot });
                slot
            })
        });
        if ours.is_none() {
            // Its number must not be given to another series while this journal lives.
            self.shared.index.write().skip_to(series.saturating_add(1));
        }
        let at = slot as usize;
        if of.slots.len() <= at {
            of.slots.resize(at + 1, None);
        }
        if let Some(place) = of.slots.get_mut(at) {
            *place = ours;
        }
    }

    fn row(&mut self, number: u32, time_ms: i64, samples: &[(u32, f64)]) {
        let metrics = &self.shared.metrics;
        let Some(of) = self.targets.get(&number) else {
            metrics
                .journal_orphaned_samples
                .inc_by(samples.len() as u64);
            return;
        };
        self.samples.clear();
        self.samples
            .extend(samples.iter().filter_map(|(slot, value)| {
                let ours = (*of.slots.get(*slot as usize)?)?;
                Some((SlotId(ours), *value))
            }));
        let orphans = samples.len() - self.samples.len();
        metrics.journal_orphaned_samples.inc_by(orphans as u64);
        let mut state = of.target.state.lock();
        let Buffers { sorted, codec, .. } = &mut self.buffers;
        if state
            .sort_out(self.window_ms, time_ms, &self.samples, sorted)
            .is_ok()
        {
            state.store(self.window_ms, time_ms, sorted, codec);
            self.shared.head.saw(time_ms);
            let accepted = sorted.accepted.len() as u64;
            metrics.journal_replayed_samples.inc_by(accepted);
        }
    }

    fn histograms(&mut self, number: u32, time_ms: i64, samples: &[(u32, Arc<Histogram>)]) {
        let metrics = &self.shared.metrics;
        let Some(of) = self.targets.get(&number) else {
            let orphans = samples.len() as u64;
            metrics.journal_orphaned_samples.inc_by(orphans);
            return;
        };
        let known = samples.iter().filter_map(|(slot, value)| {
            let ours = (*of.slots.get(*slot as usize)?)?;
            Some((ours, value.clone()))
        });
        let known: Vec<(u32, Arc<Histogram>)> = known.collect();
        let orphans = samples.len() - known.len();
        metrics.journal_orphaned_samples.inc_by(orphans as u64);
        let places: Vec<(SlotId, u32)> = known.iter().map(|(s, _)| SlotId(*s)).zip(0..).collect();
        let mut sorted = Sorted::<u32>::default();
        let mut state = of.target.state.lock();
        if state
            .sort_out(self.window_ms, time_ms, &places, &mut sorted)
            .is_ok()
        {
            let codec = &mut self.buffers.codec;
            state.store_histograms(self.window_ms, time_ms, &sorted, &known, codec);
            self.shared.head.saw(time_ms);
            let accepted = sorted.accepted.len() as u64;
            metrics.journal_replayed_samples.inc_by(accepted);
        }
    }
}
