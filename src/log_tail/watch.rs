//! Hears from the operating system what changes in which folder, and keeps it until asked.
//!
//! Reports only make the collector look sooner; what it does not hear of it finds at the next
//! regular look. So nothing here may fail loudly or wait.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{EventKind, ModifyKind};
use notify::{Event, INotifyWatcher, RecursiveMode, Watcher};
use parking_lot::{Condvar, Mutex};
use tracing::warn;

use crate::identity::Inode;
use crate::metrics::Metrics;

/// More paths than that changed since they were asked for: everything is looked at instead.
const PATHS_MAX: usize = 16 << 10;

/// What was heard.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Files that were written to, or appeared.
    pub(crate) paths: HashSet<PathBuf>,
    /// Something appeared, vanished or was renamed.
    pub(crate) structure: bool,
    /// Reports were lost.
    pub(crate) lost: bool,
}

impl Heard {
    fn is_empty(&self) -> bool {
        self.paths.is_empty() && !self.structure && !self.lost
    }
}

/// Where reports wait.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    heard: Mutex<Heard>,
    wake: Condvar,
}

impl Inbox {
    /// Takes what was heard.
    pub(crate) fn take(&self) -> Heard {
        std::mem::take(&mut *self.heard.lock())
    }

    /// Waits until something is heard, or for so long.
    pub(crate) fn wait(&self, timeout: Duration) {
        let mut heard = self.heard.lock();
        if heard.is_empty() {
            self.wake.wait_for(&mut heard, timeout);
        }
    }

    fn put(&self, event: notify::Result<Event>) {
        let (paths, structure, lost) = match event {
            Ok(event) => match event.kind {
                // Our own reading among others.
                EventKind::Access(_) => return,
                EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_)) => {
                    (event.paths, false, false)
                }
                EventKind::Other => (Vec::new(), false, true),
                _ => (event.paths, true, false),
            },
            Err(_) => (Vec::new(), false, true),
        };
        let mut heard = self.heard.lock();
        let was_empty = heard.is_empty();
        heard.structure |= structure;
        heard.lost |= lost;
        if heard.paths.len() + paths.len() > PATHS_MAX {
            heard.paths.clear();
            heard.lost = true;
        } else {
            heard.paths.extend(paths);
        }
        if was_empty {
            self.wake.notify_one();
        }
    }
}

/// The folders that are watched.
pub(crate) struct Watch {
    watcher: Option<INotifyWatcher>,
    /// With their inodes: a folder may be deleted and made again.
    folders: BTreeMap<PathBuf, Inode>,
    failed: BTreeSet<PathBuf>,
    metrics: Metrics,
    said: bool,
}

impl Watch {
    pub(crate) fn new(inbox: &Arc<Inbox>, metrics: Metrics) -> Self {
        let inbox = Arc::clone(inbox);
        let watcher = INotifyWatcher::new(move |event| inbox.put(event), notify::Config::default());
        let watcher = watcher
            .inspect_err(|error| {
                metrics.watch_errors.inc();
                warn!(%error, "the system reports no changes of files, looking at them every few seconds instead");
            })
            .ok();
        Self {
            watcher,
            folders: BTreeMap::new(),
            failed: BTreeSet::new(),
            metrics,
            said: false,
        }
    }

    /// Watches these folders and no others. Returns whether there are new ones: what happened in
    /// them before is not reported.
    pub(crate) fn set<'a>(&mut self, folders: impl Iterator<Item = &'a Path>) -> bool {
        let Some(watcher) = &mut self.watcher else {
            return false;
        };
        let mut wanted: BTreeMap<&Path, Inode> = BTreeMap::new();
        for folder in folders {
            if !wanted.contains_key(folder)
                && let Ok(metadata) = fs::metadata(folder)
            {
                wanted.insert(folder, Inode::of(&metadata));
            }
        }
        let stale: Vec<PathBuf> = (self.folders.iter())
            .filter(|(folder, inode)| wanted.get(folder.as_path()) != Some(inode))
            .map(|(folder, _)| folder.clone())
            .collect();
        for folder in stale {
            // Fails where the folder is gone, and with it the watch.
            let _ = watcher.unwatch(&folder);
            self.folders.remove(&folder);
        }
        self.failed
            .retain(|folder| wanted.contains_key(folder.as_path()));
        let mut new = false;
        for (folder, inode) in wanted {
            if self.folders.contains_key(folder) {
                continue;
            }
            match watcher.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.folders.insert(folder.to_owned(), inode);
                    self.failed.remove(folder);
                    new = true;
                }
                Err(error) => {
                    if self.failed.insert(folder.to_owned()) {
                        self.metrics.watch_errors.inc();
                    }
                    if !std::mem::replace(&mut self.said, true) {
                        warn!(
                            folder = %folder.display(), %error,
                            "cannot watch folder, looking at it every few seconds instead (raise fs.inotify.max_user_watches if the limit is reached)"
                        );
                    }
                }
            }
        }
        new
    }
}
