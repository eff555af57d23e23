//! `file_sd_configs`: files that something else writes.
//!
//! Every second the files' times and sizes are looked at; one that differs is read. Looking costs
//! a `stat` per file, works on network file systems and with files that are moved into place, and
//! needs no watch. A file that does not read keeps the targets that it had; one that is gone takes
//! its targets with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Discovery, DiscoveryTask, Found, TargetGroup, WrittenGroup};
use crate::config::FileSdConfig;

/// Files are looked at so often; they are read anew, changed or not, every `refresh_interval`.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Larger files are not read: this is room for some 500,000 targets.
const FILE_BYTES_MAX: u64 = 32 << 20;

/// More files are not read. Each costs a `stat` per second.
const FILES_MAX: usize = 10_000;

/// Label that says which file a target comes from.
const PATH_LABEL: &str = "__meta_filepath";

/// Targets in files.
pub(super) struct FileDiscovery {
    config: FileSdConfig,
}

/// What is known of a file.
#[derive(Debug, Default)]
struct Known {
    stamp: Option<(SystemTime, u64)>,
    groups: Vec<TargetGroup>,
    error: String,
}

/// The files of one section.
#[derive(Debug, Default)]
pub(super) struct Files(BTreeMap<PathBuf, Known>);

impl FileDiscovery {
    pub(super) fn new(config: FileSdConfig) -> Self {
        Self { config }
    }
}

impl Discovery for FileDiscovery {
    fn name(&self) -> String {
        format!("file {}", self.config.files.join(", "))
    }

    fn run(self: Arc<Self>, found: Found) -> DiscoveryTask {
        Box::pin(async move {
            let mut files = Files::default();
            let mut since_read = Duration::ZERO;
            loop {
                let this = self.clone();
                let anew = since_read >= self.config.refresh_interval();
                if anew {
                    since_read = Duration::ZERO;
                }
                let looked = tokio::task::spawn_blocking(move || {
                    let result = files.look(&this.config.files, anew);
                    (files, result)
                });
                let Ok((back, result)) = looked.await else {
                    found.fail("an internal error while files of targets were read");
                    return;
                };
                files = back;
                found.set_partly(files.groups(), result.err().unwrap_or_default());
                tokio::time::sleep(LOOK_INTERVAL).await;
                since_read += LOOK_INTERVAL;
            }
        })
    }
}

impl Files {
    /// Reads what has changed, or everything. The error is the first; all other files are read.
    pub(super) fn look(&mut self, patterns: &[String], anew: bool) -> Result<(), String> {
        let mut paths = Vec::new();
        for pattern in patterns {
            paths.extend(matching(Path::new(pattern))?);
        }
        paths.sort();
        paths.dedup();
        let too_many = paths.len() > FILES_MAX;
        paths.truncate(FILES_MAX);
        self.0.retain(|path, _| paths.contains(path));
        for path in paths {
            let known = self.0.entry(path.clone()).or_default();
            if let Err(error) = known.look(&path, anew) {
                known.error = error;
            }
        }
        if too_many {
            return Err(format!(
                "more than {FILES_MAX} files of targets: the rest is left out"
            ));
        }
        let mut errors = self.0.values().map(|known| &known.error);
        match errors.find(|error| !error.is_empty()) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    pub(super) fn groups(&self) -> Vec<TargetGroup> {
        let groups = self.0.values().flat_map(|known| &known.groups);
        groups.cloned().collect()
    }
}

impl Known {
    fn look(&mut self, path: &Path, anew: bool) -> Result<(), String> {
        let cannot = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
        let metadata = std::fs::metadata(path).map_err(cannot)?;
        let stamp = Some((metadata.modified().map_err(cannot)?, metadata.len()));
        if stamp == self.stamp && !anew {
            return Ok(());
        }
        if metadata.len() > FILE_BYTES_MAX {
            return Err(format!(
                "{} is too large to be a list of targets",
                path.display()
            ));
        }
        let text = std::fs::read_to_string(path).map_err(cannot)?;
        self.stamp = stamp;
        self.groups = read(path, &text)?;
        self.error.clear();
        Ok(())
    }
}

fn read(path: &Path, text: &str) -> Result<Vec<TargetGroup>, String> {
    let name = path.display().to_string();
    let is_json = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("json"));
    let groups: Vec<WrittenGroup> = if is_json {
        serde_json::from_str(text).map_err(|error| format!("{name}: {error}"))?
    } else if text.trim().is_empty() {
        Vec::new()
    } else {
        yaml::from_str(text, &name).map_err(|error| error.to_string())?
    };
    let groups = groups
        .into_iter()
        .map(|group| group.from(PATH_LABEL, &name));
    Ok(groups.collect())
}

/// The files that a name stands for; its last part may hold `*`. Hidden ones are not meant, as in a
/// shell, unless the name says so.
///
/// # Errors
/// Where the folder cannot be listed, a sentence.
pub fn matching(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let name = pattern.file_name().unwrap_or_default().to_string_lossy();
    let parts: Vec<&str> = name.split('*').collect();
    let [start, between @ .., end] = &parts[..] else {
        return Ok(vec![pattern.to_owned()]);
    };
    let dir = match pattern.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let cannot = |error: std::io::Error| format!("cannot list {}: {error}", dir.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(cannot)? {
        let name = entry.map_err(cannot)?.file_name();
        let text = name.to_string_lossy();
        let inner = text.strip_prefix(start).and_then(|t| t.strip_suffix(end));
        let fits = inner.is_some_and(|inner| {
            let mut rest = inner;
            between.iter().all(|part| {
                let found = rest.split_once(part);
                rest = found.map_or("", |(_, rest)| rest);
                found.is_some()
            })
        });
        if fits && (!text.starts_with('.') || start.starts_with('.')) {
            paths.push(dir.join(name));
        }
    }
    Ok(paths)
}
