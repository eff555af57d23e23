//! Large bodies: written on a blocking thread, piece by piece, while the client takes them.
//!
//! Nothing is copied into one large buffer first. The writer waits for a slow client, holds its
//! query slot meanwhile, and gives up when the client is gone or takes no piece for too long; the
//! connection is then cut, so that nobody takes half an answer for a whole one.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;

/// Size at which a piece is handed over.
pub(crate) const PIECE_BYTES: usize = 64 << 10;

/// Pieces that wait for a slow client before the writer waits too.
const WAITING_MAX: usize = 8;

/// A client that does not take a piece for so long is gone.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);

/// The writing end of a body.
pub(crate) struct Writer {
    sender: mpsc::Sender<Bytes>,
}

impl Writer {
    /// Hands over what was written, once that is enough for a piece. Breaks when nobody takes it.
    pub(crate) fn pause(&self, out: &mut Vec<u8>) -> ControlFlow<()> {
        if out.len() < PIECE_BYTES {
            return ControlFlow::Continue(());
        }
        let piece = std::mem::replace(out, Vec::with_capacity(PIECE_BYTES * 2));
        self.send(piece)
    }

    fn send(&self, piece: Vec<u8>) -> ControlFlow<()> {
        let sending = timeout(TAKEN_WITHIN, self.sender.send(piece.into()));
        match tokio::runtime::Handle::current().block_on(sending) {
            Ok(Ok(())) => ControlFlow::Continue(()),
            Ok(Err(_)) | Err(_) => ControlFlow::Break(()),
        }
    }
}

/// A body that `write` fills, calling [`Writer::pause`] now and then; it breaks off where that
/// breaks.
pub(crate) fn body(
    slot: OwnedSemaphorePermit,
    write: impl FnOnce(&Writer, &mut Vec<u8>) -> ControlFlow<()> + Send + 'static,
) -> Body {
    let (sender, pieces) = mpsc::channel(WAITING_MAX);
    let complete = Arc::new(AtomicBool::new(false));
    tokio::task::spawn_blocking({
        let complete = complete.clone();
        move || {
            let _slot = slot;
            let writer = Writer { sender };
            let mut out = Vec::with_capacity(PIECE_BYTES * 2);
            if write(&writer, &mut out).is_continue() && writer.send(out).is_continue() {
                complete.store(true, Ordering::Release);
            }
        }
    });
    let pieces = stream::unfold(Some((pieces, complete)), |state| async move {
        let (mut pieces, complete) = state?;
        match pieces.recv().await {
            Some(piece) => Some((Ok(piece), Some((pieces, complete)))),
            None if complete.load(Ordering::Acquire) => None,
            None => Some((Err(io::Error::from(io::ErrorKind::TimedOut)), None)),
        }
    });
    Body::from_stream(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;
    use tokio::sync::Semaphore;

    async fn slot() -> (Arc<Semaphore>, OwnedSemaphorePermit) {
        let slots = Arc::new(Semaphore::new(1));
        let slot = slots.clone().acquire_owned().await.expect("open");
        (slots, slot)
    }

    #[tokio::test]
    async fn all_pieces_arrive_in_order() {
        let (slots, slot) = slot().await;
        let body = body(slot, |writer, out| {
            for i in 0..100_000_u32 {
                out.extend_from_slice(&i.to_le_bytes());
                writer.pause(out)?;
            }
            ControlFlow::Continue(())
        });
        let bytes = to_bytes(body, usize::MAX).await.expect("a whole body");
        let expected: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        assert_eq!(bytes, expected);
        let _free = slots.acquire().await.expect("open");
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_no_whole_body() {
        let (_slots, slot) = slot().await;
        let body = body(slot, |_, out| {
            out.extend_from_slice(b"half");
            ControlFlow::Break(())
        });
        assert!(to_bytes(body, usize::MAX).await.is_err());
    }

    #[tokio::test]
    async fn a_client_that_goes_away_frees_the_slot() {
        let (slots, slot) = slot().await;
        let body = body(slot, |writer, out| {
            loop {
                out.resize(PIECE_BYTES, b' ');
                writer.pause(out)?;
            }
        });
        drop(body);
        let _free = slots.acquire().await.expect("open");
    }
}
