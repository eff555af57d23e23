//! One target, asked again and again.
//!
//! 1. Wait for the target's next turn. Turns lie on a grid of the interval, shifted by a hash of
//!    the target's name, so that targets are spread over the interval and stay where they are over
//!    restarts. The first scrape does not wait for it.
//! 2. Fetch, read and store. The next turn is found afterwards, so scrapes never overlap; turns
//!    that have passed meanwhile are counted as missed.
//! 3. When the target is removed, its series get stale markers. When the process stops they do
//!    not: it will be back in a moment.

use std::sync::Arc;
use std::time::Duration;

use model::{Health, SampleSink, ScrapeTarget};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::xxh3_64;

use crate::ScrapeError;
use crate::exposition::Format;
use crate::http::PageBudget;
use crate::ledger::{Ledger, Outcome, ScrapeTime};
use crate::local::{LocalCaller, panic_text};
use crate::metrics::Metrics;
use crate::target::{Source, TargetSpec};

/// First scrapes after a start are spread over this time (or the interval, where that is less):
/// soon enough for someone who has just started, and no stampede.
const FIRST_SCRAPE_WITHIN: Duration = Duration::from_secs(2);

/// A scrape that begins this much after its turn still gets the turn's time: equal distances
/// compress better. As in Prometheus.
const ALIGN_TOLERANCE_MS_MAX: i64 = 2;

/// What all loops share.
pub(crate) struct Shared {
    pub(crate) sink: Arc<dyn SampleSink>,
    pub(crate) metrics: Metrics,
    pub(crate) budget: PageBudget,
    /// Pages that are read at the same time; more than there are cores would only cost memory.
    pub(crate) readers: Arc<Semaphore>,
}

/// How a loop is told what to do.
pub(crate) struct Orders {
    /// The target as the configuration has it now.
    pub(crate) spec: watch::Receiver<Arc<TargetSpec>>,
    /// The target is no longer in the configuration.
    pub(crate) removed: CancellationToken,
    /// The process stops.
    pub(crate) stop: CancellationToken,
}

/// What the targets page shows of a target before its first scrape.
pub(crate) fn unscraped(spec: &TargetSpec) -> ScrapeTarget {
    ScrapeTarget {
        scrape_pool: spec.pool.clone(),
        discovered_labels: spec.discovered.clone(),
        labels: spec.labels.clone(),
        scrape_url: spec.shown_url.clone(),
        interval_ms: spec.interval.as_millis() as i64,
        timeout_ms: spec.timeout.as_millis() as i64,
        ..ScrapeTarget::default()
    }
}

/// Scrapes a target until it is removed or the process stops.
pub(crate) async fn run(shared: Arc<Shared>, mut orders: Orders, shown: Arc<Mutex<ScrapeTarget>>) {
    let mut ledger = Ledger::new(shared.sink.clone(), shared.metrics.clone());
    let mut caller = LocalCaller::default();
    let mut spec = orders.spec.borrow_and_update().clone();
    let mut due_ms = first_turn(&spec, model::time::now_ms());
    loop {
        let wait = Duration::from_millis((due_ms - model::time::now_ms()).max(0) as u64);
        tokio::select! {
            biased;
            () = orders.stop.cancelled() => return,
            () = orders.removed.cancelled() => break,
            Ok(()) = orders.spec.changed() => {
                let new = orders.spec.borrow_and_update().clone();
                let reads_like = spec.reads_like(&new);
                spec = new;
                if !reads_like {
                    ledger.rules_changed(&spec);
                }
                due_ms = due_ms.min(next_turn(&spec, model::time::now_ms()));
                let mut shown = shown.lock();
                *shown = ScrapeTarget {
                    health: shown.health,
                    last_error: std::mem::take(&mut shown.last_error),
                    last_scrape_ms: shown.last_scrape_ms,
                    last_scrape_duration_s: shown.last_scrape_duration_s,
                    last_samples: shown.last_samples,
                    ..unscraped(&spec)
                };
                continue;
            }
            () = tokio::time::sleep(wait) => {}
        }
        let timestamp_ms = aligned(model::time::now_ms(), due_ms, spec.interval);
        let started = Instant::now();
        let page = tokio::select! {
            biased;
            () = orders.stop.cancelled() => return,
            () = orders.removed.cancelled() => break,
            page = fetch(&shared, &spec, &mut caller) => page,
        };
        let time = ScrapeTime {
            timestamp_ms,
            duration: started.elapsed(),
        };
        shared
            .metrics
            .duration_seconds
            .observe(time.duration.as_secs_f64());
        let outcome;
        (ledger, outcome) = store(&shared, &spec, ledger, page, time).await;
        show(&mut shown.lock(), outcome, time);

        let now_ms = model::time::now_ms();
        let interval_ms = spec.interval.as_millis() as i64;
        let missed = (now_ms - due_ms).max(0) / interval_ms;
        shared.metrics.scrapes_missed.inc_by(missed as u64);
        due_ms = next_turn(&spec, now_ms.max(due_ms + interval_ms / 2));
    }
    let closing = tokio::task::spawn_blocking(move || {
        ledger.close(&spec, model::time::now_ms());
    });
    if closing.await.is_err() {
        shared.metrics.panics.inc();
    }
}

/// A page with whatever must be given back when it is done with.
type Fetched = (Vec<u8>, Format, Vec<tokio::sync::OwnedSemaphorePermit>);

async fn fetch(
    shared: &Shared,
    spec: &TargetSpec,
    caller: &mut LocalCaller,
) -> Result<Fetched, ScrapeError> {
    match &spec.source {
        Source::Http {
            url,
            client,
            body_bytes_max,
        } => {
            let page = client
                .fetch(url, spec.timeout, *body_bytes_max, &shared.budget)
                .await?;
            Ok((page.body, page.format, page.memory))
        }
        Source::Local(source) => {
            let (body, format) = caller.call(source, spec.timeout).await?;
            Ok((body, format, Vec::new()))
        }
        Source::OverLimit { count, limit } => Err(ScrapeError::TargetLimit {
            count: *count,
            limit: *limit,
        }),
    }
}

/// Reads and stores a page on a blocking thread. Should that panic, the ledger is lost and the
/// next scrape begins with a new one; the store gives the same slots again.
async fn store(
    shared: &Arc<Shared>,
    spec: &Arc<TargetSpec>,
    mut ledger: Ledger,
    page: Result<Fetched, ScrapeError>,
    time: ScrapeTime,
) -> (Ledger, Outcome) {
    if matches!(page, Err(ScrapeError::Panicked(_))) {
        shared.metrics.panics.inc();
    }
    // The semaphore is never closed; should it be, reading goes on without it.
    let permit = shared.readers.clone().acquire_owned().await.ok();
    let for_task = spec.clone();
    let task = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        // The page's memory is given back when the task ends.
        let (page, _memory) = match page {
            Ok((body, format, memory)) => (Ok((body, format)), memory),
            Err(error) => (Err(error), Vec::new()),
        };
        let outcome = ledger.store(&for_task, page, time);
        (ledger, outcome)
    });
    match task.await {
        Ok(done) => done,
        Err(error) => {
            shared.metrics.panics.inc();
            let error = ScrapeError::Panicked(panic_text(error));
            shared.metrics.failed(error.reason());
            tracing::error!(target_name = %spec.name, %error, "reading a page panicked");
            let outcome = Outcome {
                up: false,
                error: Some(error.to_string()),
                samples: 0,
            };
            let ledger = Ledger::new(shared.sink.clone(), shared.metrics.clone());
            (ledger, outcome)
        }
    }
}

fn show(shown: &mut ScrapeTarget, outcome: Outcome, time: ScrapeTime) {
    let health = if outcome.up { Health::Up } else { Health::Down };
    // Once per change: a target that is down for a night fills no log.
    if health != shown.health {
        match (&outcome.error, health) {
            (Some(error), Health::Down) => {
                tracing::info!(job = %shown.scrape_pool, url = %shown.scrape_url, %error, "target is down");
            }
            _ if shown.health == Health::Down => {
                tracing::info!(job = %shown.scrape_pool, url = %shown.scrape_url, "target is up again");
            }
            _ => {}
        }
    }
    shown.health = health;
    shown.last_error = outcome.error.unwrap_or_default();
    shown.last_scrape_ms = time.timestamp_ms;
    shown.last_scrape_duration_s = time.duration.as_secs_f64();
    shown.last_samples = outcome.samples;
}

/// How far the target's turns are shifted, milliseconds.
fn offset_ms(spec: &TargetSpec) -> i64 {
    (xxh3_64(spec.name.as_bytes()) % spec.interval.as_millis().max(1) as u64) as i64
}

/// The first turn after `now_ms`.
fn next_turn(spec: &TargetSpec, now_ms: i64) -> i64 {
    let interval_ms = (spec.interval.as_millis() as i64).max(1);
    let since = (now_ms - offset_ms(spec)).rem_euclid(interval_ms);
    now_ms + interval_ms - since
}

/// When a target is scraped first: at once inside the process, soon over the network.
fn first_turn(spec: &TargetSpec, now_ms: i64) -> i64 {
    match spec.source {
        Source::Local(_) => now_ms,
        Source::Http { .. } | Source::OverLimit { .. } => {
            let within = FIRST_SCRAPE_WITHIN.min(spec.interval).as_millis() as i64;
            now_ms + offset_ms(spec) % within.max(1)
        }
    }
}

/// The time that samples get: that of the turn, unless the scrape came too late for it.
fn aligned(now_ms: i64, due_ms: i64, interval: Duration) -> i64 {
    let tolerance = ALIGN_TOLERANCE_MS_MAX.min(interval.as_millis() as i64 / 100);
    if (now_ms - due_ms).abs() <= tolerance {
        due_ms
    } else {
        now_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::{LocalSource, LocalTarget};

    fn spec(job: &str, interval: Duration) -> TargetSpec {
        LocalTarget {
            job: job.to_owned(),
            instance: "i".to_owned(),
            interval,
            honor_labels: false,
            source: LocalSource(Arc::new(|| Ok(String::new().into()))),
        }
        .spec()
    }

    #[test]
    fn turns_lie_on_a_grid_and_are_spread() {
        let interval = Duration::from_secs(15);
        let mut offsets: Vec<i64> = (0..100)
            .map(|i| {
                let spec = spec(&format!("job{i}"), interval);
                let turn = next_turn(&spec, 1_000_000);
                assert!((1_000_001..=1_015_000).contains(&turn), "{turn}");
                assert_eq!(next_turn(&spec, turn), turn + 15_000);
                assert_eq!(next_turn(&spec, turn - 1), turn);
                turn % 15_000
            })
            .collect();
        offsets.sort_unstable();
        let widest = offsets.windows(2).map(|w| w[1] - w[0]).max();
        assert!(widest.is_some_and(|gap| gap < 1500), "{offsets:?}");
    }

    #[test]
    fn a_thousand_targets_never_come_at_once() {
        let interval = Duration::from_secs(15);
        let mut per_second = [0; 15];
        let mut first = [0; 2];
        for i in 0..1_000 {
            let mut spec = spec(
                &format!("job{}/10.0.{}.{}", i % 7, i / 250, i % 250),
                interval,
            );
            per_second[(offset_ms(&spec) / 1_000) as usize] += 1;
            spec.source = Source::OverLimit { count: 0, limit: 0 };
            first[(first_turn(&spec, 0) / 1_000) as usize] += 1;
        }
        // 67 on average; a fair die seldom leaves these bounds.
        assert!(
            per_second.iter().all(|n| (35..=100).contains(n)),
            "{per_second:?}"
        );
        assert!(first.iter().all(|n| (400..=600).contains(n)), "{first:?}");
    }

    #[test]
    fn small_delays_are_smoothed() {
        let interval = Duration::from_secs(15);
        assert_eq!(aligned(1002, 1000, interval), 1000);
        assert_eq!(aligned(1003, 1000, interval), 1003);
        // One percent of a tenth of a second.
        assert_eq!(aligned(1002, 1000, Duration::from_millis(100)), 1002);
    }
}
