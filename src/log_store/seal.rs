//! Sealing: open buffers become a partition; and the back-pressure while they cannot.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use model::StoreError;
use tracing::warn;

use crate::catalogue::Commit;
use crate::open::Generation;
use crate::partition::Partition;
use crate::store::LogStore;

/// After a failed seal the next attempt waits this long: each writes some megabytes for nothing.
const RETRY_NS: i64 = 5_000_000_000;

/// How long a waiting `append` sleeps before it looks whether it has to seal itself.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Why the last seal failed, and when the next attempt is due.
pub(crate) struct Failure {
    is_full: bool,
    pub(crate) message: String,
    retry_ns: i64,
}

impl Failure {
    /// In words for whoever asks while it lasts.
    pub(crate) fn error(&self) -> StoreError {
        if self.is_full {
            StoreError::NoSpace(self.message.clone())
        } else {
            StoreError::Io {
                context: self.message.clone(),
                source: std::io::Error::other("will be tried again"),
            }
        }
    }
}

impl LogStore {
    /// Whether buffers are full or old enough, or a failed seal is to be repeated.
    pub(crate) fn is_seal_due(&self, now_ns: i64) -> bool {
        let state = self.state.lock();
        if let Some(failure) = &state.failure {
            return now_ns >= failure.retry_ns;
        }
        let age_ns = i64::try_from(self.config.partition_age.as_nanos()).unwrap_or(i64::MAX);
        state.sealing.is_some()
            || state.open.text_bytes >= self.partition_bytes()
            || state
                .open
                .since_ns
                .is_some_and(|since| now_ns.saturating_sub(since) >= age_ns)
    }

    /// Bytes of text at which buffers are sealed: as configured, but early enough that nobody has
    /// to wait for memory.
    fn partition_bytes(&self) -> u64 {
        let most = self.config.open_bytes_max / 4 * 3;
        self.config.partition_bytes.min(most)
    }

    /// Seals everything that is open now, whether it is due or not.
    ///
    /// # Errors
    /// As for writing files; lines stay in memory, can be found, and will be sealed later.
    pub fn seal(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.maintenance.lock();
        self.seal_all()
    }

    /// Seals the generation that failed before, if any, and what is open. The caller holds
    /// `maintenance`.
    fn seal_all(&self) -> Result<(), StoreError> {
        let left_over = self.state.lock().sealing.clone();
        if let Some(generation) = left_over {
            self.write_generation(&generation)?;
        }
        let generation = {
            let mut state = self.state.lock();
            if state.open.is_empty() {
                return Ok(());
            }
            let streams = self.streams.read();
            let generation = Arc::new(state.open.take(|id| streams.get(id).cloned()));
            state.sealing = Some(Arc::clone(&generation));
            generation
        };
        self.write_generation(&generation)
    }

    /// Writes a generation and puts the partition in its place, or notes why not.
    fn write_generation(&self, generation: &Generation) -> Result<(), StoreError> {
        let started = Instant::now();
        let sealed_ns = self.now_ns.load(Ordering::Relaxed);
        let result = self.write_and_commit(generation, sealed_ns);
        let mut state = self.state.lock();
        let result = match result {
            Ok(partition) => {
                if let Some(partition) = partition {
                    let mut partitions = state.partitions.to_vec();
                    partitions.push(Arc::new(partition));
                    state.partitions = Arc::new(partitions);
                }
                state.sealing = None;
                state.failure = None;
                self.metrics.seals.inc();
                self.metrics
                    .seal_seconds
                    .observe(started.elapsed().as_secs_f64());
                Ok(())
            }
            Err(error) => {
                self.metrics.seal_failures.inc();
                if state.failure.is_none() {
                    warn!(%error, "cannot seal log lines, they stay in memory and it is tried again");
                }
                state.failure = Some(Failure {
                    is_full: matches!(error, StoreError::NoSpace(_)),
                    message: match &error {
                        StoreError::NoSpace(why) => why.clone(),
                        other => other.to_string(),
                    },
                    retry_ns: sealed_ns.saturating_add(RETRY_NS),
                });
                Err(error)
            }
        };
        drop(state);
        self.freed.notify_all();
        result
    }

    fn write_and_commit(
        &self,
        generation: &Generation,
        sealed_ns: i64,
    ) -> Result<Option<Partition>, StoreError> {
        let partition = if generation.streams.is_empty() {
            None
        } else {
            let id = {
                let mut state = self.state.lock();
                state.next_partition += 1;
                state.next_partition - 1
            };
            Some(Partition::write(
                &self.folder,
                id,
                generation,
                self.config.block_bytes,
                sealed_ns,
            )?)
        };
        let commit = Commit {
            partition: partition.as_ref().map(|p| p.row),
            streams: generation
                .streams
                .iter()
                .map(|(id, (stream, _))| (*id, stream.clone()))
                .collect(),
            checkpoints: generation
                .checkpoints
                .iter()
                .map(|(source, state)| (source.as_str(), state.as_deref()))
                .collect(),
        };
        match self.catalogue.commit(&commit) {
            Ok(()) => Ok(partition),
            Err(error) => {
                if let Some(partition) = partition {
                    partition.remove();
                }
                Err(error)
            }
        }
    }

    /// Waits until so much memory is free, and seals on this thread if nobody else does: the
    /// back-pressure must end even if the maintenance thread is late.
    pub(crate) fn wait_for_room(&self, bytes: usize) -> Result<(), StoreError> {
        let max = usize::try_from(self.config.open_bytes_max).unwrap_or(usize::MAX);
        let mut has_waited = false;
        loop {
            let mut state = self.state.lock();
            if state.is_closed {
                return Err(StoreError::Cancelled);
            }
            let used = state.memory_bytes();
            // A batch larger than the limit gets in once there is nothing else.
            if used == 0 || used.saturating_add(bytes) <= max {
                return Ok(());
            }
            if let Some(failure) = &state.failure {
                self.metrics.append_refused.inc();
                return Err(failure.error());
            }
            if !has_waited {
                self.metrics.append_waits.inc();
                has_waited = true;
            }
            if let Some(_one_at_a_time) = self.maintenance.try_lock() {
                drop(state);
                // A failure is noted in the state and answered above.
                let _ = self.seal_all();
            } else {
                // Bounded, because the other may be dropping partitions, or be just done.
                self.freed.wait_for(&mut state, LOOK_AGAIN);
            }
        }
    }
}
