//! Live tails: whoever wants to see lines as they come.
//!
//! Handlers run on the thread that appends, one line at a time. One that panics is ended and
//! counted; the line is stored all the same.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use log_query::{LineView, Query, Record, RecordHandler, Subscription};
use model::{Labels, Level, StoreError};
use parking_lot::Mutex;

use crate::metrics::Metrics;

/// All live tails.
pub(crate) struct Tails {
    live: Mutex<Vec<Tail>>,
    max: usize,
    metrics: Metrics,
}

struct Tail {
    query: Arc<Query>,
    handler: Box<RecordHandler<'static>>,
    ended: Arc<AtomicBool>,
}

/// A line as a tail sees it.
#[derive(Clone, Copy)]
pub(crate) struct NewLine<'a> {
    pub(crate) labels: &'a Labels,
    pub(crate) sequence: u64,
    pub(crate) time_ns: i64,
    pub(crate) level: Level,
    pub(crate) text: &'a [u8],
}

impl Tails {
    pub(crate) fn new(max: usize, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            live: Mutex::new(Vec::new()),
            max,
            metrics,
        })
    }

    /// Adds a tail; it ends when the subscription is dropped or its handler breaks.
    pub(crate) fn add(
        self: &Arc<Self>,
        query: Arc<Query>,
        handler: Box<RecordHandler<'static>>,
    ) -> Result<Subscription, StoreError> {
        let mut tails = self.live.lock();
        Self::remove_ended(&mut tails, &self.metrics);
        if tails.len() >= self.max {
            return Err(StoreError::Limit(format!(
                "more than {} live tails at a time: close one",
                self.max
            )));
        }
        let ended = Arc::new(AtomicBool::new(false));
        tails.push(Tail {
            query,
            handler,
            ended: Arc::clone(&ended),
        });
        self.metrics.tails.set(tails.len() as i64);
        let all: Weak<Self> = Arc::downgrade(self);
        Ok(Subscription::new(move || {
            ended.store(true, Ordering::Relaxed);
            // The subscription may be dropped within a handler, under this very lock; then the
            // next line removes it.
            if let Some(all) = all.upgrade()
                && let Some(mut tails) = all.live.try_lock()
            {
                Self::remove_ended(&mut tails, &all.metrics);
            }
        }))
    }

    /// Whether anybody listens.
    pub(crate) fn is_empty(&self) -> bool {
        self.live.lock().is_empty()
    }

    /// Hands lines to those who want them.
    pub(crate) fn tell<'a>(&self, lines: impl Iterator<Item = NewLine<'a>>) {
        let mut tails = self.live.lock();
        for line in lines {
            let view = LineView::new(line.labels, line.level, line.text);
            for tail in tails.iter_mut() {
                if !tail.ended.load(Ordering::Relaxed) && tail.query.filter.matches(&view) {
                    self.hand(tail, line);
                }
            }
        }
        Self::remove_ended(&mut tails, &self.metrics);
    }

    fn hand(&self, tail: &mut Tail, line: NewLine<'_>) {
        let record = Record {
            labels: line.labels.clone(),
            sequence: line.sequence,
            time_ns: line.time_ns,
            level: line.level,
            text: line.text.to_vec(),
        };
        // A handler that panicked is never called again, so what it left half done is not seen.
        let handler = AssertUnwindSafe(|| (tail.handler)(record));
        match catch_unwind(handler) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => tail.ended.store(true, Ordering::Relaxed),
            Err(_) => {
                self.metrics.tail_panics.inc();
                tracing::error!("the handler of a live tail panicked, the tail is ended");
                tail.ended.store(true, Ordering::Relaxed);
            }
        }
    }

    fn remove_ended(tails: &mut Vec<Tail>, metrics: &Metrics) {
        tails.retain(|tail| !tail.ended.load(Ordering::Relaxed));
        metrics.tails.set(tails.len() as i64);
    }
}
