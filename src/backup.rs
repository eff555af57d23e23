//! A copy of all data: metrics, logs and what people decided, in the layout of the data folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use log_store::LogStore;
use metric_store::MetricStore;
use model::SeriesAdmin;
use state_store::StateStore;

/// Copies that were asked for over the API lie in this folder of the data folder.
pub(crate) const SNAPSHOTS: &str = "snapshots";

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
        let partial = partial(folder)?;
        fs::create_dir(&partial).with_context(|| format!("cannot create {}", partial.display()))?;
        let copied = self.copy_parts(&partial).and_then(|()| {
            fs::rename(&partial, folder)
                .with_context(|| format!("cannot rename {}", partial.display()))
        });
        if copied.is_err() {
            let _ = fs::remove_dir_all(&partial);
        }
        copied
    }

    fn copy_parts(&self, folder: &Path) -> anyhow::Result<()> {
        self.metrics.snapshot(&folder.join("metrics"))?;
        self.logs.copy_to(&folder.join("logs"))?;
        self.state.copy_to(&folder.join("state.db"))?;
        Ok(())
    }
}

/// The name under which a folder is filled; a leftover of an interrupted copy is removed.
pub(crate) fn partial(folder: &Path) -> anyhow::Result<PathBuf> {
    if folder.exists() {
        anyhow::bail!("{} exists: choose a folder that does not", folder.display());
    }
    let mut name = folder
        .file_name()
        .with_context(|| format!("{} cannot name a copy", folder.display()))?
        .to_owned();
    name.push(".partial");
    let partial = folder.with_file_name(name);
    if partial.exists() {
        fs::remove_dir_all(&partial)
            .with_context(|| format!("cannot remove {}", partial.display()))?;
    }
    Ok(partial)
}
