//! `GET /api/v1/logs/tail`: a WebSocket with matching lines as they arrive.
//!
//! 1. The store calls [`Waiting::push`] on the thread that stores; it never waits. When the queue
//!    is full the oldest line in it goes, and is counted.
//! 2. Four times a second what waits is sent, a line of JSON each, in one message: at most
//!    [`LINES_PER_FLUSH_MAX`], so that no browser drowns. `{"skipped": n}` stands where lines are
//!    missing.
//! 3. `q` is a filter: pipes are an error, as they are about lines that are all there.
//! 4. A client that does not answer pings is let go.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

use axum::Extension;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{RawQuery, State};
use axum::response::Response;
use log_query::{Record, Subscription};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Asked, RecordJson, TAILS_MAX};
use crate::api::error::ApiError;
use crate::api::follower;
use crate::{Metrics, Services, ask};

/// Lines in one message: 500 a second, more than anybody can read.
const LINES_PER_FLUSH_MAX: usize = 125;

/// Lines that wait for a client: a burst of some seconds.
const LINES_WAITING_MAX: usize = 2_000;

/// Bytes of text that wait for a client.
const BYTES_WAITING_MAX: usize = 4 << 20;

/// Largest message that a client may send; it has nothing to say but pongs.
const INCOMING_BYTES_MAX: usize = 4096;

pub(super) async fn tail(
    State(services): State<Arc<Services>>,
    Extension(tails): Extension<Arc<Semaphore>>,
    RawQuery(query): RawQuery,
    upgrade: WebSocketUpgrade,
) -> Result<Response, ApiError> {
    let asked = Asked::of(query.as_deref());
    let query = asked.filter()?;
    let with_text = asked.flag("text");
    let permit = tails.try_acquire_owned().map_err(|_| {
        ApiError::unavailable(format!(
            "{TAILS_MAX} followers are connected already: close one of them"
        ))
    })?;
    let waiting = Arc::new(Waiting::default());
    let queue = waiting.clone();
    let metrics = services.metrics.clone();
    let subscription = ask::blocking(&services, move |services| {
        let take = move |record| {
            queue.push(record, &metrics);
            ControlFlow::Continue(())
        };
        services.logs.tail(query, Box::new(take))
    })
    .await??;
    let follower = Follower {
        waiting,
        with_text,
        _subscription: subscription,
        _permit: permit,
    };
    Ok(upgrade
        .max_message_size(INCOMING_BYTES_MAX)
        .on_upgrade(move |socket| follower.run(socket)))
}

/// Lines between the store and a client.
#[derive(Default)]
struct Waiting(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    lines: VecDeque<Record>,
    bytes: usize,
    skipped: u64,
}

impl Waiting {
    fn push(&self, record: Record, metrics: &Metrics) {
        let mut queue = self.0.lock();
        queue.bytes += record.text.len();
        queue.lines.push_back(record);
        while queue.lines.len() > LINES_WAITING_MAX || queue.bytes > BYTES_WAITING_MAX {
            let Some(oldest) = queue.lines.pop_front() else {
                break;
            };
            queue.bytes -= oldest.text.len();
            queue.skipped += 1;
            metrics.tail_lines_skipped.inc();
        }
    }

    /// The oldest lines, and how many are missing before them.
    fn take(&self) -> (u64, Vec<Record>) {
        let mut queue = self.0.lock();
        let n = queue.lines.len().min(LINES_PER_FLUSH_MAX);
        let lines: Vec<Record> = queue.lines.drain(..n).collect();
        queue.bytes -= lines.iter().map(|line| line.text.len()).sum::<usize>();
        (std::mem::take(&mut queue.skipped), lines)
    }
}

/// A connected client.
struct Follower {
    waiting: Arc<Waiting>,
    with_text: bool,
    _subscription: Subscription,
    _permit: OwnedSemaphorePermit,
}

impl Follower {
    async fn run(self, mut socket: WebSocket) {
        follower::keep(&mut socket, || self.message()).await;
    }

    fn message(&self) -> Option<Message> {
        let (skipped, lines) = self.waiting.take();
        let mut out = Vec::new();
        if skipped > 0 {
            out.extend_from_slice(format!("{{\"skipped\":{skipped}}}\n").as_bytes());
        }
        for record in &lines {
            RecordJson {
                record,
                with_text: self.with_text,
            }
            .write_line(&mut out);
        }
        let text = String::from_utf8(out).unwrap_or_default();
        (!text.is_empty()).then(|| Message::Text(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Labels, Level};
    use prometheus_client::registry::Registry;

    fn record(sequence: u64, bytes: usize) -> Record {
        Record {
            labels: Labels::empty(),
            sequence,
            time_ns: 0,
            level: Level::Info,
            text: vec![b'x'; bytes],
        }
    }

    #[test]
    fn a_slow_client_loses_the_oldest_lines_and_is_told() {
        let metrics = Metrics::new(&mut Registry::default());
        let waiting = Waiting::default();
        for i in 0..LINES_WAITING_MAX as u64 + 3 {
            waiting.push(record(i, 1), &metrics);
        }
        let (skipped, lines) = waiting.take();
        assert_eq!(skipped, 3);
        assert_eq!(lines.len(), LINES_PER_FLUSH_MAX);
        assert_eq!(lines.first().map(|line| line.sequence), Some(3));
        assert_eq!(waiting.take().0, 0, "told once");
        assert_eq!(metrics.tail_lines_skipped.get(), 3);
    }

    #[test]
    fn long_lines_are_bounded_too() {
        let metrics = Metrics::new(&mut Registry::default());
        let waiting = Waiting::default();
        for i in 0..5 {
            waiting.push(record(i, BYTES_WAITING_MAX / 2), &metrics);
        }
        let (skipped, lines) = waiting.take();
        assert_eq!((skipped, lines.len()), (3, 2));
        assert_eq!(waiting.0.lock().bytes, 0);
    }
}
