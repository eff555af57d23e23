//! Who sends, for people: a source per protocol and sender, as `/targets` shows files.

use std::collections::HashMap;
use std::net::IpAddr;

use model::{Labels, LogSource, LogSourceState};
use parking_lot::Mutex;

use crate::push::{Protocol, Push};

/// Senders that are listed; of a larger crowd the one that was silent longest is forgotten.
const SENDERS_MAX: usize = 200;

#[derive(Debug, Default)]
struct Sender {
    lines: u64,
    bytes: u64,
    rejected: u64,
    last_ns: i64,
    /// Why its last request was refused; empty once one was taken.
    problem: String,
}

/// How much a request brought.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sent {
    lines: u64,
    bytes: u64,
    rejected: u64,
}

impl Sent {
    pub(crate) fn of(push: &Push) -> Self {
        Self {
            lines: push.lines() as u64,
            bytes: push.batch.text.len() as u64,
            rejected: push.rejected().map_or(0, |(lines, _)| lines),
        }
    }
}

type Key = (Protocol, Option<IpAddr>);

/// All senders since the start.
#[derive(Debug, Default)]
pub(crate) struct Senders(Mutex<HashMap<Key, Sender>>);

impl Senders {
    /// Notes what a sender has sent.
    pub(crate) fn took(&self, protocol: Protocol, from: Option<IpAddr>, now_ns: i64, sent: Sent) {
        self.note((protocol, from), now_ns, |sender| {
            sender.lines += sent.lines;
            sender.bytes += sent.bytes;
            sender.rejected += sent.rejected;
            sender.problem.clear();
        });
    }

    /// Notes that a sender was sent away.
    pub(crate) fn refused(
        &self,
        protocol: Protocol,
        from: Option<IpAddr>,
        now_ns: i64,
        why: String,
    ) {
        self.note((protocol, from), now_ns, |sender| sender.problem = why);
    }

    fn note(&self, key: Key, now_ns: i64, change: impl FnOnce(&mut Sender)) {
        let mut all = self.0.lock();
        if all.len() >= SENDERS_MAX && !all.contains_key(&key) {
            let quietest = all.iter().min_by_key(|(_, s)| s.last_ns).map(|(k, _)| *k);
            quietest.and_then(|key| all.remove(&key));
        }
        let sender = all.entry(key).or_default();
        sender.last_ns = now_ns;
        change(sender);
    }

    /// What is known of them, in the order of their names.
    pub(crate) fn sources(&self) -> Vec<LogSource> {
        let all = self.0.lock();
        let mut sources: Vec<LogSource> = all
            .iter()
            .map(|((protocol, from), sender)| LogSource {
                path: match from {
                    Some(from) => format!("{} from {from}", protocol.name()),
                    None => protocol.name().to_owned(),
                },
                labels: Labels::empty(),
                format: protocol.as_str().to_owned(),
                state: if sender.problem.is_empty() {
                    LogSourceState::Following
                } else {
                    LogSourceState::Failed(sender.problem.clone())
                },
                bytes_read: sender.bytes,
                lines_read: sender.lines,
                lines_dropped: sender.rejected,
                last_line_ns: sender.last_ns,
                ..LogSource::default()
            })
            .collect();
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        sources
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push::tests::push;

    #[test]
    fn senders_are_listed_and_bounded() {
        let senders = Senders::default();
        let from = |n: u32| Some(IpAddr::from(n.to_be_bytes()));
        let sent = Sent::of(&push(Protocol::Loki));
        senders.took(Protocol::Loki, from(0x0a00_0005), 5, sent);
        senders.refused(Protocol::Otlp, None, 7, "the body is bad".to_owned());
        let sources = senders.sources();
        let paths: Vec<&str> = sources.iter().map(|s| s.path.as_str()).collect();
        assert_eq!(paths, ["loki push from 10.0.0.5", "otlp logs"]);
        assert!(matches!(sources[1].state, LogSourceState::Failed(_)));
        for n in 0..300 {
            senders.took(Protocol::Elastic, from(n), 9, sent);
        }
        assert_eq!(senders.sources().len(), SENDERS_MAX);
    }
}
