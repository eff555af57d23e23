//! How much may be under way at the same time: bodies that are being read, and decoding.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Refused;

/// Bodies that are being read or decoded take at most so much memory together: two of the
/// largest, or some thousands of the usual ones.
const BODIES_KIB_MAX: usize = 48 << 10;
/// Requests that are decoded at the same time. Each may take several times its body's memory for
/// a moment; more than there are cores would not make it faster.
const DECODING_MAX: usize = 2;

/// Requests that are decoded or wait for the journal: each holds a thread. Those that wait share
/// a sync of the disk, so that more would not make it faster either.
const TURNS_MAX: usize = 64;

/// Memory that a part of a body may take; given back when dropped.
#[derive(Debug)]
pub struct Reserved(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// Leave to decode a request and hand it over; it ends when dropped.
#[derive(Debug)]
pub struct Turn {
    _turn: Option<OwnedSemaphorePermit>,
    decoding: Option<OwnedSemaphorePermit>,
}

impl Turn {
    /// Lets another one decode, while this one waits for the disk.
    pub fn decoded(&mut self) {
        self.decoding = None;
    }
}

/// The bounds of what is under way.
#[derive(Debug, Clone)]
pub struct Room {
    bodies_kib: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    decoding: Arc<Semaphore>,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            bodies_kib: Arc::new(Semaphore::new(BODIES_KIB_MAX)),
            turns: Arc::new(Semaphore::new(TURNS_MAX)),
            decoding: Arc::new(Semaphore::new(DECODING_MAX)),
        }
    }
}

impl Room {
    /// Reserves memory for so many bytes of a body.
    ///
    /// # Errors
    /// `Full` where other bodies have it all.
    pub fn reserve(&self, bytes: usize) -> Result<Reserved, Refused> {
        let kib = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX);
        let permit = self.bodies_kib.clone().try_acquire_many_owned(kib);
        permit.map(Reserved).map_err(|_| {
            Refused::Full(format!(
                "{} MiB of requests are under way already: send it again later",
                BODIES_KIB_MAX >> 10
            ))
        })
    }

    /// Waits for a turn.
    pub async fn turn(&self) -> Turn {
        // The semaphores are never closed.
        Turn {
            _turn: self.turns.clone().acquire_owned().await.ok(),
            decoding: self.decoding.clone().acquire_owned().await.ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back() {
        let room = Room::default();
        let most = BODIES_KIB_MAX << 10;
        let all = room.reserve(most).expect("all of it");
        assert!(matches!(room.reserve(1), Err(Refused::Full(_))));
        drop(all);
        room.reserve(most).expect("again");
    }
}
