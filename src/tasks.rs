//! Every long-running piece of work has an owner, a name, a stop signal and a restart policy.
//!
//! [`Tasks`] is that owner. A task that panics or ends on its own is counted, reported on the
//! Status page and started again after a pause that doubles up to a minute. Tasks stop in the
//! reverse order of their start; the one that does not finish in time is named in the log.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use model::StoreError;
use parking_lot::Mutex;
use serve::TaskReport;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// First pause before a failed task is started again.
const RESTART_PAUSE_MIN: Duration = Duration::from_millis(500);
/// Longest pause.
const RESTART_PAUSE_MAX: Duration = Duration::from_mins(1);
/// A failure that lasts is written to the log again after this time.
const RETELL: Duration = Duration::from_mins(1);
/// A task that ran this long without trouble starts again with the shortest pause.
const RESTART_PAUSE_FORGIVEN: Duration = Duration::from_mins(5);

/// All tasks of the process, in the order in which they were started.
#[derive(Default)]
pub(crate) struct Tasks {
    entries: Mutex<Vec<Entry>>,
}

struct Entry {
    report: Arc<Mutex<TaskReport>>,
    cancel: CancellationToken,
    handle: JoinHandle<()>,
}

impl Tasks {
    /// Starts an asynchronous task. `make` is called again for each restart; the future it gives
    /// ends soon after the token is cancelled, and only then.
    pub(crate) fn spawn<F>(
        &self,
        name: &str,
        make: impl Fn(CancellationToken) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let report = new_report(name);
        let cancel = CancellationToken::new();
        let handle = tokio::spawn(supervise(report.clone(), cancel.clone(), make));
        self.entries.lock().push(Entry {
            report,
            cancel,
            handle,
        });
    }

    /// Starts a task that blocks, on a thread of its own, with the same policy.
    pub(crate) fn spawn_thread(
        &self,
        name: &'static str,
        work: impl Fn(CancellationToken) + Send + Sync + 'static,
    ) {
        let work = Arc::new(work);
        self.spawn(name, move |cancel| {
            let work = work.clone();
            async move {
                let (done, wait) = tokio::sync::oneshot::channel();
                let thread = std::thread::Builder::new()
                    .name(name.to_owned())
                    .spawn(move || {
                        let result = std::panic::catch_unwind(AssertUnwindSafe(|| work(cancel)));
                        // Nobody waits any more only when the runtime itself is going away.
                        let _ = done.send(result);
                    });
                match thread {
                    Ok(_) => {
                        if let Ok(Err(panic)) = wait.await {
                            std::panic::resume_unwind(panic);
                        }
                    }
                    Err(error) => error!(task = name, %error, "cannot start a thread"),
                }
            }
        });
    }

    /// Starts a task that calls something that blocks, again and again. Its failures are told on
    /// the Status page and in the log (once a minute while they last); the next call tries again.
    pub(crate) fn spawn_every(
        &self,
        name: &'static str,
        period: Duration,
        work: impl Fn() -> Result<(), StoreError> + Clone + Send + Sync + 'static,
    ) {
        let report = new_report(name);
        let cancel = CancellationToken::new();
        let make = {
            let report = report.clone();
            move |cancel| repeat(period, work.clone(), report.clone(), cancel)
        };
        let handle = tokio::spawn(supervise(report.clone(), cancel.clone(), make));
        self.entries.lock().push(Entry {
            report,
            cancel,
            handle,
        });
    }

    /// What each task is doing, in order of start.
    pub(crate) fn report(&self) -> Vec<TaskReport> {
        self.entries
            .lock()
            .iter()
            .map(|entry| entry.report.lock().clone())
            .collect()
    }

    /// Stops all tasks, last started first, each before the one below it is asked. Each may take
    /// half of the time that is left, so that one that hangs leaves time to the others. Returns
    /// the names of those that did not finish (they are abandoned).
    pub(crate) async fn stop(&self, deadline: Instant) -> Vec<String> {
        let mut late = Vec::new();
        let entries = std::mem::take(&mut *self.entries.lock());
        for entry in entries.into_iter().rev() {
            let name = entry.report.lock().name.clone();
            let started = Instant::now();
            entry.cancel.cancel();
            let patience = deadline.saturating_duration_since(started) / 2;
            if tokio::time::timeout(patience, entry.handle).await.is_err() {
                warn!(task = name, "did not stop in time");
                late.push(name);
            } else {
                info!(
                    task = name,
                    took_ms = started.elapsed().as_millis(),
                    "stopped"
                );
            }
        }
        late
    }
}

async fn repeat(
    period: Duration,
    work: impl Fn() -> Result<(), StoreError> + Clone + Send + Sync + 'static,
    report: Arc<Mutex<TaskReport>>,
    cancel: CancellationToken,
) {
    let mut clock = tokio::time::interval(period);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told: Option<Instant> = None;
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = clock.tick() => {}
        }
        match tokio::task::spawn_blocking(work.clone()).await {
            Ok(Ok(())) => {
                if told.take().is_some() {
                    let mut report = report.lock();
                    info!(task = report.name, "works again");
                    report.last_error.clear();
                }
            }
            Ok(Err(error)) => {
                let mut report = report.lock();
                report.last_error = error.to_string();
                if told.is_none_or(|at| at.elapsed() > RETELL) {
                    error!(task = report.name, %error, "failed, trying again");
                    told = Some(Instant::now());
                }
            }
            Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
            // The runtime is going away.
            Err(_) => return,
        }
    }
}

fn new_report(name: &str) -> Arc<Mutex<TaskReport>> {
    Arc::new(Mutex::new(TaskReport {
        name: name.to_owned(),
        state: "running".to_owned(),
        ..TaskReport::default()
    }))
}

async fn supervise<F>(
    report: Arc<Mutex<TaskReport>>,
    cancel: CancellationToken,
    make: impl Fn(CancellationToken) -> F,
) where
    F: Future<Output = ()>,
{
    let name = report.lock().name.clone();
    let mut pause = RESTART_PAUSE_MIN;
    loop {
        let started = Instant::now();
        "running".clone_into(&mut report.lock().state);
        let result = AssertUnwindSafe(async { make(cancel.clone()).await })
            .catch_unwind()
            .await;
        if cancel.is_cancelled() {
            break;
        }
        let reason = match &result {
            Ok(()) => "ended without being asked".to_owned(),
            Err(panic) => format!("panicked: {}", panic_text(panic.as_ref())),
        };
        error!(task = name, reason, "a task failed and is started again");
        {
            let mut report = report.lock();
            "restarting".clone_into(&mut report.state);
            report.restarts += 1;
            report.panics += u64::from(result.is_err());
            report.last_error = reason;
        }
        if started.elapsed() > RESTART_PAUSE_FORGIVEN {
            pause = RESTART_PAUSE_MIN;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = cancel.cancelled() => break,
        }
        pause = (pause * 2).min(RESTART_PAUSE_MAX);
    }
    "stopped".clone_into(&mut report.lock().state);
}

/// The text that a panic carried.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[tokio::test(start_paused = true)]
    async fn a_panicking_task_is_counted_and_started_again() {
        let tasks = Tasks::default();
        let runs = Arc::new(AtomicU32::new(0));
        let (reached, mut wait) = tokio::sync::mpsc::channel(1);
        let counter = runs.clone();
        tasks.spawn("shaky", move |cancel| {
            let run = counter.fetch_add(1, Ordering::SeqCst);
            let reached = reached.clone();
            async move {
                assert!(run >= 2, "run {run} fails");
                let _ = reached.send(()).await;
                cancel.cancelled().await;
            }
        });
        wait.recv().await.expect("the third run lives");
        let report = tasks.report().remove(0);
        assert_eq!((report.restarts, report.panics), (2, 2));
        assert_eq!(report.last_error, "panicked: run 1 fails");
        assert!(tasks.stop(soon()).await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn stops_in_reverse_and_names_the_late() {
        let tasks = Tasks::default();
        let order = Arc::new(Mutex::new(Vec::new()));
        for name in ["store", "stubborn", "collector"] {
            let order = order.clone();
            tasks.spawn(name, move |cancel| {
                let order = order.clone();
                async move {
                    cancel.cancelled().await;
                    if name == "stubborn" {
                        std::future::pending::<()>().await;
                    }
                    order.lock().push(name);
                }
            });
        }
        tokio::task::yield_now().await;
        assert_eq!(tasks.stop(soon()).await, ["stubborn"]);
        assert_eq!(order.lock().first(), Some(&"collector"));
    }
}
