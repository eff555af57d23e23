//! `GET /loki/api/v1/tail`: a WebSocket with lines as they arrive, as Grafana's live view and
//! `logcli query --tail` want them.
//!
//! 1. The store calls [`Waiting::push`] on the thread that stores; it never waits. When the queue
//!    is full the oldest line goes, and its labels and time are told as a dropped entry.
//! 2. Lines since `start` are looked up once, behind the subscription, so that none is missed
//!    between them; those that come on both ways are sent once.
//! 3. Four times a second what has waited for `delay_for` is sent.

use std::collections::{HashSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::Response;
use log_query::logql::{self, Entry, EvalError, Expr, LogPlan, LogRequest};
use log_query::{Direction, Record, Stop, Subscription};
use model::Labels;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::query::LIMIT_MAX;
use super::{Asked, Refusal, json};
use crate::api::follower;
use crate::api::logs::StopOnDrop;
use crate::api::prometheus::json::{write_labels, write_list};
use crate::{Metrics, Services, ask};

/// Followers at the same time; Loki allows 10.
pub(super) const TAILS_MAX: usize = 64;

/// Earlier lines when the request does not say, as in Loki.
const LIMIT_DEFAULT: usize = 100;

/// Longest delay, seconds, as in Loki.
const DELAY_MAX_S: u64 = 5;

/// Lines in one message.
const LINES_PER_FLUSH_MAX: usize = 500;

/// Lines that wait for a client.
const LINES_WAITING_MAX: usize = 5_000;

/// Bytes of text that wait for a client.
const BYTES_WAITING_MAX: usize = 4 << 20;

/// Dropped entries that are told one by one in a message; all are counted in Yagura's metrics.
const DROPPED_TOLD_MAX: usize = 1_000;

/// Largest message that a client may send; it has nothing to say but pongs.
const INCOMING_BYTES_MAX: usize = 4096;

/// `query`, `delay_for` (seconds), `limit`, `start` (default: an hour ago).
pub(super) async fn tail(
    State(services): State<Arc<Services>>,
    Extension(tails): Extension<Arc<Semaphore>>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
    asked: Asked,
) -> Result<Response, Refusal> {
    let Expr::Log(log) = logql::parse(asked.text("query"))? else {
        return Err(Refusal::bad(
            "only lines can be followed: write a log query",
        ));
    };
    let plan = Arc::new(LogPlan::new(&log)?);
    let delay_s = match asked.text("delay_for") {
        "" => 0,
        text => text
            .parse()
            .ok()
            .filter(|s| *s <= DELAY_MAX_S)
            .ok_or_else(|| {
                Refusal::bad(format!(
                    "delay_for can't be greater than {DELAY_MAX_S} (seconds)"
                ))
            })?,
    };
    let limit = asked.limit("limit", LIMIT_DEFAULT, LIMIT_MAX)?;
    let (start_ns, now_ns) = (asked.time_ns("start")?, asked.now_ns);
    let start_ns = start_ns.unwrap_or(now_ns - super::SINCE_DEFAULT_NS);
    let upgrade = upgrade.map_err(|_| {
        Refusal::bad("tail answers on a WebSocket: connect with ws://, or poll query_range")
    })?;
    let permit = tails.try_acquire_owned().map_err(|_| Refusal {
        code: StatusCode::TOO_MANY_REQUESTS,
        message: format!(
            "max concurrent tail requests limit exceeded, count > limit ({TAILS_MAX})"
        ),
    })?;
    let waiting = Arc::new(Waiting::default());
    let queue = waiting.clone();
    let metrics = services.metrics.clone();
    let stop = Stop::default();
    let _guard = StopOnDrop(stop.clone());
    let (subscription, earlier) = ask::blocking(&services, move |services| {
        let taken = Arc::clone(&plan);
        let take = move |record: Record| {
            if let Some(entry) = taken.apply(&record) {
                queue.push(id(&record), entry, &metrics);
            }
            ControlFlow::Continue(())
        };
        let subscription = services.logs.tail(plan.query(), Box::new(take))?;
        let earlier = earlier(services, &plan, start_ns, limit, stop)?;
        Ok::<_, EvalError>((subscription, earlier))
    })
    .await??;
    let follower = Follower {
        waiting,
        delay: Duration::from_secs(delay_s),
        seen: earlier.iter().map(|(id, _)| *id).collect(),
        _subscription: subscription,
        _permit: permit,
    };
    let earlier = earlier.into_iter().map(|(_, entry)| entry).collect();
    Ok(upgrade
        .max_message_size(INCOMING_BYTES_MAX)
        .on_upgrade(move |socket| follower.run(socket, earlier)))
}

/// The name of a line for ever.
type Id = (u64, u64);

fn id(record: &Record) -> Id {
    (record.labels.fingerprint(), record.sequence)
}

/// The newest lines since a time, in order of time.
fn earlier(
    services: &Services,
    plan: &LogPlan,
    start_ns: i64,
    limit: usize,
    stop: Stop,
) -> Result<Vec<(Id, Entry)>, EvalError> {
    let request = LogRequest {
        start_ns,
        end_ns: i64::MAX,
        direction: Direction::Backward,
        limit,
        stop,
    };
    let mut lines = Vec::new();
    logql::found(&*services.logs, plan, &request, &mut |record, entry| {
        lines.push((id(record), entry));
        ControlFlow::Continue(())
    })?;
    lines.reverse();
    Ok(lines)
}

/// Lines between the store and a client.
#[derive(Default)]
struct Waiting(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    lines: VecDeque<(Arrived, Id, Entry)>,
    bytes: usize,
    dropped: Vec<(Labels, i64)>,
}

/// Lines that are due, and labels and time of those that are missing before them.
type Taken = (Vec<(Id, Entry)>, Vec<(Labels, i64)>);

/// When a line arrived.
type Arrived = std::time::Instant;

impl Waiting {
    fn push(&self, id: Id, entry: Entry, metrics: &Metrics) {
        let mut queue = self.0.lock();
        queue.bytes += entry.line.len();
        queue.lines.push_back((Arrived::now(), id, entry));
        while queue.lines.len() > LINES_WAITING_MAX || queue.bytes > BYTES_WAITING_MAX {
            let Some((_, _, oldest)) = queue.lines.pop_front() else {
                break;
            };
            queue.bytes -= oldest.line.len();
            metrics.tail_lines_skipped.inc();
            if queue.dropped.len() < DROPPED_TOLD_MAX {
                queue.dropped.push((oldest.labels(), oldest.time_ns));
            }
        }
    }

    /// The oldest lines that have waited long enough, and what is missing before them.
    fn take(&self, delay: Duration) -> Taken {
        let mut queue = self.0.lock();
        let n = queue
            .lines
            .iter()
            .take(LINES_PER_FLUSH_MAX)
            .take_while(|(arrived, _, _)| arrived.elapsed() >= delay)
            .count();
        let lines: Vec<(Id, Entry)> = queue.lines.drain(..n).map(|(_, id, e)| (id, e)).collect();
        queue.bytes -= lines
            .iter()
            .map(|(_, entry)| entry.line.len())
            .sum::<usize>();
        (lines, std::mem::take(&mut queue.dropped))
    }
}

/// A connected client.
struct Follower {
    waiting: Arc<Waiting>,
    delay: Duration,
    /// Lines that were sent as earlier ones and may still come as new ones.
    seen: HashSet<Id>,
    _subscription: Subscription,
    _permit: OwnedSemaphorePermit,
}

impl Follower {
    async fn run(mut self, mut socket: WebSocket, earlier: Vec<Entry>) {
        if let Some(message) = message(&earlier, &[])
            && follower::send(&mut socket, message).await.is_err()
        {
            return;
        }
        follower::keep(&mut socket, || {
            let (lines, dropped) = self.waiting.take(self.delay);
            let fresh: Vec<Entry> = lines
                .into_iter()
                .filter(|(id, _)| !self.seen.remove(id))
                .map(|(_, entry)| entry)
                .collect();
            message(&fresh, &dropped)
        })
        .await;
    }
}

/// `{"streams":[…],"dropped_entries":[…]}`; nothing where there is nothing to say.
fn message(entries: &[Entry], dropped: &[(Labels, i64)]) -> Option<Message> {
    if entries.is_empty() && dropped.is_empty() {
        return None;
    }
    let mut out = b"{\"streams\":".to_vec();
    json::write_streams(&mut out, entries, false);
    if !dropped.is_empty() {
        out.extend_from_slice(b",\"dropped_entries\":");
        write_list(&mut out, dropped, |out, (labels, time_ns)| {
            out.extend_from_slice(b"{\"labels\":");
            write_labels(out, labels);
            out.extend_from_slice(format!(",\"timestamp\":\"{time_ns}\"}}").as_bytes());
        });
    }
    out.push(b'}');
    String::from_utf8(out)
        .ok()
        .map(|text| Message::Text(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::registry::Registry;

    fn entry(time_ns: i64) -> Entry {
        Entry {
            stream: Labels::from_pairs([("app", "a")]),
            metadata: Labels::empty(),
            parsed: Labels::empty(),
            time_ns,
            line: "x".to_owned(),
        }
    }

    #[test]
    fn a_slow_client_is_told_what_it_lost() {
        let metrics = Metrics::new(&mut Registry::default());
        let waiting = Waiting::default();
        for i in 0..LINES_WAITING_MAX as i64 + 2 {
            waiting.push((1, i as u64), entry(i), &metrics);
        }
        let (lines, dropped) = waiting.take(Duration::ZERO);
        assert_eq!(lines.len(), LINES_PER_FLUSH_MAX);
        assert_eq!(lines.first().map(|(_, e)| e.time_ns), Some(2));
        assert_eq!(metrics.tail_lines_skipped.get(), 2);
        let Some(Message::Text(text)) = message(&[], &dropped) else {
            panic!("no message");
        };
        assert_eq!(
            text.as_str(),
            r#"{"streams":[],"dropped_entries":[{"labels":{"app":"a"},"timestamp":"0"},{"labels":{"app":"a"},"timestamp":"1"}]}"#
        );
        assert!(
            waiting.take(Duration::from_hours(1)).0.is_empty(),
            "nothing has waited so long"
        );
        assert!(message(&[], &[]).is_none());
    }
}
