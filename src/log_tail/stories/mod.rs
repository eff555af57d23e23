//! Stories with real files: a folder, the collector's engine with a clock of ours, and a sink
//! that can crash as the store can.

mod crash;
mod engine;
mod formats;
mod gaps;
mod live;
mod many;
mod packed;
mod races;

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::tz::TimeZone;
use model::{Checkpoint, Labels, Level, LogBatch, LogSink, StoreError, StreamId};
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::files::{Files, Now, Statuses};
use crate::find::Finder;
use crate::metrics::Metrics;
use crate::multiline::TRACE_QUIET;
use crate::outlet::Outlet;
use crate::reading::Readings;

/// A stored line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) labels: Labels,
    pub(crate) time_ns: i64,
    pub(crate) level: Level,
    pub(crate) text: Vec<u8>,
}

#[derive(Default)]
struct Inside {
    streams: Vec<Labels>,
    lines: Vec<Stored>,
    checkpoints: HashMap<String, Vec<u8>>,
    /// How many lines are committed, and the checkpoints with them.
    committed_lines: usize,
    committed: HashMap<String, Vec<u8>>,
    /// So many calls fail from now on.
    failures: usize,
    largest_batch: usize,
    refuses: bool,
}

/// A store in memory: lines are visible at once and safe after [`Sink::commit`].
#[derive(Default)]
pub(crate) struct Sink(Mutex<Inside>);

impl Sink {
    pub(crate) fn commit(&self) {
        let mut inside = self.0.lock();
        inside.committed_lines = inside.lines.len();
        inside.committed = inside.checkpoints.clone();
    }

    /// Loses what is not committed, as a kill does.
    pub(crate) fn crash(&self) {
        let mut inside = self.0.lock();
        let committed = inside.committed_lines;
        inside.lines.truncate(committed);
        inside.checkpoints = inside.committed.clone();
    }

    pub(crate) fn fail(&self, times: usize) {
        self.0.lock().failures = times;
    }

    /// Takes no stream from now on.
    pub(crate) fn refuse(&self) {
        self.0.lock().refuses = true;
    }

    /// How many calls will fail still.
    pub(crate) fn failures(&self) -> usize {
        self.0.lock().failures
    }

    pub(crate) fn lines(&self) -> Vec<Stored> {
        self.0.lock().lines.clone()
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        let inside = self.0.lock();
        let text = |line: &Stored| String::from_utf8_lossy(&line.text).into_owned();
        inside.lines.iter().map(text).collect()
    }

    pub(crate) fn n_checkpoints(&self) -> usize {
        self.0.lock().checkpoints.len()
    }

    fn may_fail(inside: &mut Inside) -> Result<(), StoreError> {
        if inside.failures > 0 {
            inside.failures -= 1;
            return Err(StoreError::NoSpace("the test says so".to_owned()));
        }
        Ok(())
    }
}

impl LogSink for Sink {
    fn open_stream(&self, labels: &Labels) -> Result<StreamId, StoreError> {
        let mut inside = self.0.lock();
        Self::may_fail(&mut inside)?;
        if inside.refuses {
            return Err(StoreError::Refused("the test says so".to_owned()));
        }
        if let Some(at) = inside.streams.iter().position(|known| known == labels) {
            return Ok(StreamId(at as u32));
        }
        inside.streams.push(labels.clone());
        Ok(StreamId(inside.streams.len() as u32 - 1))
    }

    fn append(&self, batch: &LogBatch) -> Result<(), StoreError> {
        let mut inside = self.0.lock();
        Self::may_fail(&mut inside)?;
        inside.largest_batch = inside.largest_batch.max(batch.text.len());
        for (line, text) in batch.iter() {
            let stored = Stored {
                labels: inside.streams[line.stream.0 as usize].clone(),
                time_ns: line.time_ns,
                level: line.level,
                text: text.to_vec(),
            };
            inside.lines.push(stored);
        }
        for Checkpoint { source, state } in batch.checkpoints.clone() {
            match state {
                Some(state) => inside.checkpoints.insert(source, state),
                None => inside.checkpoints.remove(&source),
            };
        }
        Ok(())
    }

    fn committed_checkpoints(&self) -> Result<Vec<Checkpoint>, StoreError> {
        let mut inside = self.0.lock();
        Self::may_fail(&mut inside)?;
        let checkpoint = |(source, state): (&String, &Vec<u8>)| Checkpoint {
            source: source.clone(),
            state: Some(state.clone()),
        };
        Ok(inside.committed.iter().map(checkpoint).collect())
    }

    fn committed_checkpoint(&self, source: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.lock().committed.get(source).cloned())
    }
}

/// A folder whose log files are followed.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) sink: Arc<Sink>,
    pub(crate) metrics: Metrics,
    pub(crate) statuses: Statuses,
    pub(crate) config: Config,
    files: Option<Files>,
    elapsed: Duration,
}

impl World {
    /// Follows `*.log` in a new folder.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = config(folder.path());
        change(&mut config);
        Self {
            folder,
            sink: Arc::default(),
            metrics: Metrics::default(),
            statuses: Statuses::default(),
            config,
            files: None,
            elapsed: Duration::ZERO,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        append(&self.path(name), text);
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("renamed");
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).expect("removed");
    }

    pub(crate) fn truncate(&self, name: &str) {
        let file = OpenOptions::new().write(true).open(self.path(name));
        file.and_then(|file| file.set_len(0)).expect("truncated");
    }

    /// Compresses a file as rotation does: the plain one is gone behind it.
    pub(crate) fn gzip(&self, name: &str) {
        let content = fs::read(self.path(name)).expect("read");
        let packed = gzipped(&content);
        fs::write(self.path(&format!("{name}.tmp")), packed).expect("written");
        self.rename(&format!("{name}.tmp"), &format!("{name}.gz"));
        self.remove(name);
    }

    fn now(&self) -> Now {
        Now {
            wall_ns: model::time::now_ns(),
            elapsed: self.elapsed,
        }
    }

    /// Looks and reads all there is, and waits until nothing is held back any more.
    pub(crate) fn step(&mut self) {
        self.glance();
        self.elapsed += TRACE_QUIET;
        let now = self.now();
        if let Some(files) = &mut self.files {
            while files.round(now).expect("not stopped") {}
        }
    }

    /// Looks, and gives each file one turn.
    pub(crate) fn glance_once(&mut self) {
        let now = self.now();
        let files = self.files(now);
        files.look(now).expect("not stopped");
        files.round(now).expect("not stopped");
    }

    /// Looks and reads all there is. The last record of each file may be held back.
    pub(crate) fn glance(&mut self) {
        let now = self.now();
        let files = self.files(now);
        files.look(now).expect("not stopped");
        while files.round(now).expect("not stopped") {}
    }

    /// Looks and reads all there is; something happens after the folders were listed.
    pub(crate) fn glance_while(&mut self, happens: impl FnOnce(&mut Self)) {
        let now = self.now();
        let sight = self.files(now).see();
        happens(self);
        let files = self.files(now);
        files.understand(sight, now).expect("not stopped");
        while files.round(now).expect("not stopped") {}
    }

    fn files(&mut self, now: Now) -> &mut Files {
        match &mut self.files {
            Some(files) => files,
            empty => empty.insert(
                Files::new(
                    self.config.clone(),
                    Finder::new(&self.config).expect("good patterns"),
                    Readings::new(&self.config).expect("good rules"),
                    Outlet::new(
                        Arc::clone(&self.sink) as Arc<dyn LogSink>,
                        self.metrics.clone(),
                        CancellationToken::new(),
                        Arc::default(),
                    ),
                    self.metrics.clone(),
                    Arc::clone(&self.statuses),
                    now.wall_ns,
                )
                .expect("not stopped"),
            ),
        }
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self, seconds: u64) {
        self.elapsed += Duration::from_secs(seconds);
    }

    /// The process ends; what the store has not committed is lost when it was killed.
    pub(crate) fn stop(&mut self, killed: bool) {
        self.files = None;
        if killed {
            self.sink.crash();
        } else {
            self.sink.commit();
        }
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.sink.texts()
    }

    /// The state that people are shown of a file, by the end of its path.
    pub(crate) fn source(&self, name: &str) -> model::LogSource {
        let statuses = self.statuses.read();
        let mut sources = statuses.values().map(|status| status.source(0));
        sources
            .find(|source| source.path.ends_with(name))
            .expect("followed")
    }
}

pub(crate) fn gzipped(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).expect("in memory");
    encoder.finish().expect("in memory")
}

pub(crate) fn config(folder: &Path) -> Config {
    Config {
        globs: vec![format!("{}/*.log", folder.display())],
        zone: TimeZone::UTC,
        rescan_interval: Duration::from_millis(200),
        ..Config::default()
    }
}

pub(crate) fn append(path: &Path, text: impl AsRef<[u8]>) {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .expect("opened");
    file.write_all(text.as_ref()).expect("written");
}
