//! The remotes of the configuration in force: each with its queue, its sender, and what becomes of
//! them when the configuration changes.
//!
//! A remote is known by its name. One that both configurations have in the same form goes on
//! undisturbed. One whose settings have changed keeps its queue: its sender ends, and another one
//! begins where that was. One that is gone ends, and its queue is deleted: nobody would ever empty
//! it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::StoreError;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::queue::Queue;
use crate::{Metrics, RemoteWriteConfig, RemoteWriteError, Sender, Tee};

/// How long a sender that has panicked stays away.
const SENDERS_CHECK: Duration = Duration::from_secs(10);

/// A remote: its settings and its queue.
pub(crate) struct Remote {
    pub(crate) settings: Settings,
    pub(crate) config: RemoteWriteConfig,
    /// Shared with the remote of the same name in the configuration before.
    pub(crate) queue: Arc<Mutex<Queue>>,
    pub(crate) metrics: Metrics,
    /// Whether the last thing could not be queued.
    fails: AtomicBool,
}

impl Remote {
    /// Adds `items` things to the queue. What cannot be queued is counted as dropped.
    pub(crate) fn add(&self, items: u64, add: impl FnOnce(&mut Queue) -> Result<(), StoreError>) {
        let remote = &self.settings.name;
        let label = Metrics::of(remote);
        let mut queue = self.queue.lock();
        let added = add(&mut queue);
        let mut dropped = queue.take_dropped();
        let bytes = queue.bytes();
        drop(queue);
        // The first failure and its end are said, what is between is counted.
        match added {
            Ok(()) => {
                if self.fails.swap(false, Ordering::Relaxed) {
                    tracing::info!(remote, "samples for a remote can be queued again");
                }
            }
            Err(error) => {
                dropped += items;
                if !self.fails.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        %error,
                        remote,
                        "samples for a remote cannot be queued: they are stored here, and the \
                         remote will not get them"
                    );
                }
            }
        }
        if dropped > 0 {
            self.metrics.dropped.get_or_create(&label).inc_by(dropped);
        }
        self.metrics
            .queue_bytes
            .get_or_create(&label)
            .set(bytes as i64);
    }
}

/// Opens the queues of remotes.
pub(crate) struct Queues {
    /// Each remote's queue is a folder in here.
    pub(crate) folder: PathBuf,
    pub(crate) bytes_max: u64,
    pub(crate) metrics: Metrics,
}

/// Remotes of a configuration, checked and with their queues.
pub struct Prepared(pub(crate) Vec<Arc<Remote>>);

/// Checks the remotes of a configuration without opening anything.
///
/// # Errors
/// `Config` names remote and key.
pub fn check(configs: &[RemoteWriteConfig]) -> Result<(), RemoteWriteError> {
    all_settings(configs).map(|_| ())
}

fn all_settings(configs: &[RemoteWriteConfig]) -> Result<Vec<Settings>, RemoteWriteError> {
    let mut all: Vec<Settings> = Vec::with_capacity(configs.len());
    for config in configs {
        let own = config.settings()?;
        if all.iter().any(|other| other.name == own.name) {
            return Err(RemoteWriteError::Config {
                remote: own.name,
                key: "name",
                why: "another remote has the same".to_owned(),
            });
        }
        all.push(own);
    }
    Ok(all)
}

impl Queues {
    /// Checks a configuration and opens the queues of remotes that none of `before` has.
    pub(crate) fn prepare(
        &self,
        configs: &[RemoteWriteConfig],
        before: &[Arc<Remote>],
    ) -> Result<Prepared, RemoteWriteError> {
        let settings = all_settings(configs)?;
        let mut remotes = Vec::with_capacity(settings.len());
        for (config, settings) in configs.iter().zip(settings) {
            let of_name = |remote: &&Arc<Remote>| remote.settings.name == settings.name;
            // The newest last: that is the one in force.
            let known = before.iter().rev().find(of_name);
            if let Some(known) = known.filter(|known| known.config == *config) {
                remotes.push(known.clone());
                continue;
            }
            let queue = if let Some(known) = known {
                known.queue.clone()
            } else {
                let folder = folder_of(&self.folder, &settings.name);
                Arc::new(Mutex::new(Queue::open(&folder, self.bytes_max)?))
            };
            remotes.push(Arc::new(Remote {
                settings,
                config: config.clone(),
                queue,
                metrics: self.metrics.clone(),
                fails: AtomicBool::new(false),
            }));
        }
        Ok(Prepared(remotes))
    }
}

/// A name may hold anything; its hash is a folder's name.
fn folder_of(folder: &Path, name: &str) -> PathBuf {
    let hash = xxhash_rust::xxh3::xxh3_64(name.as_bytes());
    folder.join(format!("{hash:016x}"))
}

/// A sender that runs.
struct Running {
    remote: Arc<Remote>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Tee {
    /// Keeps a sender running for each remote of the configuration in force, until it is
    /// cancelled. What did not arrive by then is sent after the next start.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        let mut running: Vec<Running> = Vec::new();
        loop {
            let wanted = self.remotes();
            let (kept, ending): (Vec<_>, Vec<_>) = running.into_iter().partition(|sender| {
                let is_wanted = wanted.iter().any(|one| Arc::ptr_eq(one, &sender.remote));
                is_wanted && !sender.task.is_finished()
            });
            running = kept;
            // The old ones end before new ones begin: two must not read one queue.
            end(ending).await;
            self.forget_retired();
            for remote in wanted {
                if !running.iter().any(|r| Arc::ptr_eq(&r.remote, &remote)) {
                    running.push(self.start(remote, &cancel));
                }
            }
            tokio::select! {
                () = cancel.cancelled() => break,
                () = self.changed.notified() => {}
                // A sender that has panicked is started again.
                () = tokio::time::sleep(SENDERS_CHECK) => {}
            }
        }
        end(running).await;
    }

    fn start(&self, remote: Arc<Remote>, cancel: &CancellationToken) -> Running {
        let stop = cancel.child_token();
        let sender = Arc::new(Sender::new(remote.clone(), self.families.clone()));
        Running {
            remote,
            task: tokio::spawn(sender.run(stop.clone())),
            stop,
        }
    }
}

/// Stops senders and waits for them.
async fn end(senders: Vec<Running>) {
    for sender in &senders {
        sender.stop.cancel();
    }
    for sender in senders {
        if let Err(error) = sender.task.await {
            let remote = &sender.remote.settings.name;
            tracing::error!(%error, remote, "the sender of a remote failed, it is started again");
        }
    }
}

/// Deletes the queue of a remote that is no more.
pub(crate) fn delete(remote: &Remote) {
    let (name, label) = (&remote.settings.name, Metrics::of(&remote.settings.name));
    let queue = remote.queue.lock();
    let bytes = queue.bytes();
    tracing::info!(
        remote = name,
        bytes,
        "a remote is no longer configured: its queue is deleted"
    );
    if let Err(error) = std::fs::remove_dir_all(queue.folder()) {
        tracing::warn!(%error, remote = name, "cannot delete the queue of a remote that is gone");
    }
    remote.metrics.forget(&label);
}
