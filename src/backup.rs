//! A copy of all data: metrics, logs and what people decided, in the layout of the data folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use log_store::LogStore;
use metric_store::MetricStore;
use model::SeriesAdmin;
use state_store::StateStore;

/// Copies that were asked for over the API lie in this folder of the data folder.
pub(crate) const SNAPSHOTS: &str = "snapshots";

/// What the name of a folder ends with while it is being filled.
const PARTIAL: &str = ".partial";

/// The file that says who fills it.
const MARK: &str = ".yagura-copy";

/// What is copied.
#[derive(Clone)]
pub(crate) struct Backup {
    pub(crate) data: PathBuf,
    pub(crate) metrics: Arc<MetricStore>,
    pub(crate) logs: Arc<LogStore>,
    pub(crate) state: Arc<StateStore>,
}

impl Backup {
    /// Makes `DATA/snapshots/NAME` and tells the name, which is made of the time: for
    /// `POST /api/v1/admin/tsdb/snapshot`. Blocks until everything is durable.
    pub(crate) fn snapshot(&self, now_ms: i64) -> anyhow::Result<String> {
        let time = jiff::Timestamp::from_millisecond(now_ms)?;
        let name = time.strftime("%Y%m%dT%H%M%S%3fZ").to_string();
        let folder = self.data.join(SNAPSHOTS);
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        self.copy_to(&folder.join(&name))?;
        Ok(name)
    }

    /// Writes a copy into a folder that does not exist yet. It is there wholly or not at all.
    pub(crate) fn copy_to(&self, folder: &Path) -> anyhow::Result<()> {
        let partial = PartialFolder::beside(folder)?;
        self.copy_parts(partial.path())?;
        partial.finish(folder)
    }

    fn copy_parts(&self, folder: &Path) -> anyhow::Result<()> {
        self.metrics.snapshot(&folder.join("metrics"))?;
        self.logs.copy_to(&folder.join("logs"))?;
        self.state.copy_to(&folder.join("state.db"))?;
        Ok(())
    }
}

/// A folder that is being filled: `NAME.partial` beside where it will be `NAME`. A mark in it, which
/// is locked for as long as somebody fills it, tells whose it is: leftovers of a copy that was cut
/// short are removed, what anybody else has there never is. Removed when it is dropped.
pub(crate) struct PartialFolder {
    path: PathBuf,
    mark: Option<File>,
}

impl PartialFolder {
    /// Makes it for a folder that must not exist.
    pub(crate) fn beside(folder: &Path) -> anyhow::Result<Self> {
        if folder.exists() {
            anyhow::bail!("{} exists: choose a folder that does not", folder.display());
        }
        let mut name = folder
            .file_name()
            .with_context(|| format!("{} cannot name a copy", folder.display()))?
            .to_owned();
        name.push(PARTIAL);
        let path = folder.with_file_name(name);
        match Remains::of(&path) {
            Remains::Nothing => {}
            Remains::Leftover => fs::remove_dir_all(&path)
                .with_context(|| format!("cannot remove {}", path.display()))?,
            Remains::InUse => anyhow::bail!(
                "another process is making {}: wait for it, or choose another folder",
                folder.display()
            ),
            Remains::Foreign => anyhow::bail!(
                "{} exists and is no leftover of a copy: choose another folder, or move it away",
                path.display()
            ),
        }
        fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let mut made = Self { path, mark: None };
        let mark = made.path.join(MARK);
        let file =
            File::create_new(&mark).with_context(|| format!("cannot create {}", mark.display()))?;
        file.try_lock()
            .with_context(|| format!("cannot lock {}", mark.display()))?;
        made.mark = Some(file);
        Ok(made)
    }

    /// Where to write.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name; durable.
    pub(crate) fn finish(mut self, folder: &Path) -> anyhow::Result<()> {
        let parent = folder.parent().filter(|p| !p.as_os_str().is_empty());
        let sync = |dir: &Path| File::open(dir).and_then(|dir| dir.sync_all());
        sync(&self.path)
            .and_then(|()| fs::rename(&self.path, folder))
            .with_context(|| format!("cannot rename {}", self.path.display()))?;
        // Nothing to remove any more.
        self.path = PathBuf::new();
        // Whole with the mark as well: that only says who made it.
        let _ = fs::remove_file(folder.join(MARK));
        sync(parent.unwrap_or(Path::new(".")))
            .with_context(|| format!("cannot sync what holds {}", folder.display()))
    }
}

impl Drop for PartialFolder {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// What stands at the place of a folder that is to be filled.
#[derive(Debug, PartialEq, Eq)]
enum Remains {
    Nothing,
    /// Of a copy that was cut short.
    Leftover,
    /// Somebody fills it.
    InUse,
    /// Not ours.
    Foreign,
}

impl Remains {
    fn of(path: &Path) -> Self {
        // A link is looked at itself: what it leads to is somebody else's.
        let Ok(found) = fs::symlink_metadata(path) else {
            return Self::Nothing;
        };
        if !found.is_dir() {
            return Self::Foreign;
        }
        match File::open(path.join(MARK)) {
            Ok(mark) => match mark.try_lock() {
                Ok(()) => Self::Leftover,
                Err(_) => Self::InUse,
            },
            // Cut short before its mark was made.
            Err(_) if fs::read_dir(path).is_ok_and(|mut all| all.next().is_none()) => {
                Self::Leftover
            }
            Err(_) => Self::Foreign,
        }
    }
}

/// Whether a folder is a copy that was cut short, or is being made.
pub(crate) fn is_unfinished(folder: &Path) -> bool {
    let is_named_so = folder
        .file_name()
        .is_some_and(|name| name.to_string_lossy().ends_with(PARTIAL));
    is_named_so && folder.join(MARK).is_file()
}

/// Removes what copies that were cut short left in the data folder. Called at start.
pub(crate) fn remove_leftovers(data: &Path) {
    let Ok(entries) = fs::read_dir(data.join(SNAPSHOTS)) else {
        return;
    };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let is_partial = path.to_string_lossy().ends_with(PARTIAL);
        if !is_partial || Remains::of(&path) != Remains::Leftover {
            continue;
        }
        match fs::remove_dir_all(&path) {
            Ok(()) => tracing::info!(path = %path.display(), "removed a copy that was cut short"),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot remove a copy that was cut short");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_copy_left_is_removed() {
        let dir = tempfile::tempdir().expect("a folder");
        let (folder, partial) = (dir.path().join("copy"), dir.path().join("copy.partial"));
        // Somebody else's folder, or file, stays.
        fs::create_dir(&partial).expect("makes");
        fs::write(partial.join("diary.txt"), "precious").expect("writes");
        let error = PartialFolder::beside(&folder).err().expect("refused");
        assert!(error.to_string().contains("no leftover"), "{error}");
        assert!(partial.join("diary.txt").exists());
        fs::remove_dir_all(&partial).expect("removes");
        fs::write(&partial, "a file").expect("writes");
        assert!(PartialFolder::beside(&folder).is_err());
        fs::remove_file(&partial).expect("removes");
        // One that is being filled stays; dropped, it goes.
        let filled = PartialFolder::beside(&folder).expect("makes");
        fs::write(filled.path().join("a"), "b").expect("writes");
        let error = PartialFolder::beside(&folder).err().expect("refused");
        assert!(error.to_string().contains("another process"), "{error}");
        drop(filled);
        assert!(!partial.exists() && !folder.exists());
        // A leftover: its mark is there, and nobody holds it.
        fs::create_dir(&partial).expect("makes");
        fs::write(partial.join(MARK), "").expect("writes");
        fs::write(partial.join("half"), "of it").expect("writes");
        assert!(is_unfinished(&partial));
        let filled = PartialFolder::beside(&folder).expect("makes");
        assert!(!filled.path().join("half").exists());
        fs::write(filled.path().join("a"), "b").expect("writes");
        filled.finish(&folder).expect("finishes");
        assert!(folder.join("a").exists() && !folder.join(MARK).exists());
        assert!(!partial.exists());
        assert!(PartialFolder::beside(&folder).is_err(), "it exists");
    }

    #[test]
    fn leftovers_go_at_start_and_copies_stay() {
        let dir = tempfile::tempdir().expect("a folder");
        let snapshots = dir.path().join(SNAPSHOTS);
        for name in ["whole", "cut.partial", "mine.partial"] {
            fs::create_dir_all(snapshots.join(name)).expect("makes");
        }
        fs::write(snapshots.join("cut.partial").join(MARK), "").expect("writes");
        fs::write(snapshots.join("mine.partial/x"), "").expect("writes");
        remove_leftovers(dir.path());
        assert!(snapshots.join("whole").exists());
        assert!(snapshots.join("mine.partial").exists());
        assert!(!snapshots.join("cut.partial").exists());
    }
}
