//! Follows new lines over a WebSocket.
//!
//! 1. The connection is opened first, then the lines before it are asked for: what is stored in
//!    between comes twice and is known again by its id.
//! 2. When the connection breaks, it is opened again with growing pauses, and the lines since the
//!    last one that was shown are asked for in the same way. Where more are missing than can be
//!    asked for, that is said.
//! 3. Lines that the server had to leave out are said as "N lines skipped".

use std::collections::{HashSet, VecDeque};
use std::io::Write;
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::Upgraded;
use reqwest::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::ask::{Client, Failure, Question, ids};
use super::record::{Answer, Piece, Record};
use super::show::Show;

/// Lines that are caught up with after a broken connection.
const CATCH_UP_LINES_MAX: usize = 10_000;

/// Ids of shown lines that are remembered: more than can come twice.
const IDS_MAX: usize = CATCH_UP_LINES_MAX + 4_000;

const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// The server pings every 15 seconds: a connection that is silent for longer is dead.
const SILENCE_MAX: Duration = Duration::from_secs(45);

type Socket = WebSocketStream<Upgraded>;

/// Follows until it is interrupted.
///
/// # Errors
/// A query that cannot be understood, output that cannot be written, or a Yagura that cannot be
/// reached at the start. Later it is tried again for ever.
pub(super) async fn follow<W: Write>(
    client: &Client,
    question: &Question,
    out: &mut Show<W>,
) -> Result<bool, Failure> {
    let mut follower = Follower {
        client,
        question,
        out,
        shown: Shown::default(),
    };
    let mut socket = follower.connect().await?;
    follower.catch_up(question).await?;
    loop {
        follower.listen(&mut socket).await?;
        eprintln!("yagura: the connection broke, trying again");
        socket = follower.connect_again().await?;
        eprintln!("yagura: connected again");
        let since = Question {
            from: follower
                .shown
                .last_time
                .clone()
                .unwrap_or_else(|| question.from.clone()),
            limit: CATCH_UP_LINES_MAX,
            ..question.clone()
        };
        follower.catch_up(&since).await?;
    }
}

struct Follower<'a, W: Write> {
    client: &'a Client,
    question: &'a Question,
    out: &'a mut Show<W>,
    shown: Shown,
}

impl<W: Write> Follower<'_, W> {
    async fn connect(&self) -> Result<Socket, Failure> {
        let query = self.question.query.as_str();
        let parameters = [("q", query), ("text", "1")];
        let request = self
            .client
            .get("api/v1/logs/tail", &parameters)?
            .header(CONNECTION, "upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, generate_key());
        let response = self.client.send(request, query).await?;
        if response.status() != reqwest::StatusCode::SWITCHING_PROTOCOLS {
            return Err(Failure::Told(
                "cannot follow: what is between here and Yagura lets no WebSocket through"
                    .to_owned(),
            ));
        }
        let upgraded = response.upgrade().await;
        let upgraded = upgraded.map_err(|error| self.client.unreachable(&error))?;
        Ok(WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await)
    }

    /// Tries until it works, or until the query itself is at fault.
    async fn connect_again(&self) -> Result<Socket, Failure> {
        let mut pause = PAUSE_MIN;
        loop {
            tokio::time::sleep(pause).await;
            match self.connect().await {
                Err(Failure::Told(_)) => pause = (pause * 2).min(PAUSE_MAX),
                other => return other,
            }
        }
    }

    /// Shows lines up to now that were not shown yet.
    async fn catch_up(&mut self, question: &Question) -> Result<(), Failure> {
        let Answer::Lines(records) = self.client.ask(question).await? else {
            return Err(Failure::Told(
                "a query that gives a table cannot be followed: leave out -f, or the pipes"
                    .to_owned(),
            ));
        };
        if self.shown.last_time.is_some()
            && records.len() >= question.limit
            && !ids(&records).any(|id| self.shown.knows(id))
        {
            eprintln!(
                "yagura: more than {} lines came meanwhile, older ones are left out",
                question.limit
            );
        }
        for record in records.iter().rev() {
            self.show(record)?;
        }
        self.out.flush()
    }

    fn show(&mut self, record: &Record) -> Result<(), Failure> {
        if self.shown.is_new(record) {
            self.out.record(record)?;
        }
        Ok(())
    }

    /// Shows lines until the connection ends.
    async fn listen(&mut self, socket: &mut Socket) -> Result<(), Failure> {
        loop {
            // Pings are answered on the way.
            let next = tokio::time::timeout(SILENCE_MAX, socket.next()).await;
            let Ok(Some(Ok(message))) = next else {
                return Ok(());
            };
            let Message::Text(text) = message else {
                continue;
            };
            for json in text.lines() {
                match Piece::parse(json) {
                    Some(Piece::Line(record)) => self.show(&record)?,
                    Some(Piece::Skipped(n)) => {
                        self.out.flush()?;
                        eprintln!("yagura: {n} lines skipped");
                    }
                    Some(Piece::Error(error)) => return Err(Failure::Told(error)),
                    None => {}
                }
            }
            self.out.flush()?;
        }
    }
}

/// Which lines were shown.
#[derive(Default)]
struct Shown {
    ids: HashSet<String>,
    order: VecDeque<String>,
    /// The newest time that was shown.
    last_time: Option<String>,
}

impl Shown {
    fn knows(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    /// Whether the line was not shown before; from now on it was.
    fn is_new(&mut self, record: &Record) -> bool {
        let line = &record.line;
        if !self.ids.insert(line.id.clone()) {
            return false;
        }
        self.order.push_back(line.id.clone());
        if self.order.len() > IDS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        // RFC 3339 in UTC with nine digits: the order of texts is the order of times.
        if self.last_time.as_ref().is_none_or(|last| *last < line.time) {
            self.last_time = Some(line.time.clone());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(n: usize) -> Record {
        let json = format!(r#"{{"time":"2026-01-01T00:00:00.{n:09}Z","id":"s-{n}"}}"#);
        match Piece::parse(&json) {
            Some(Piece::Line(record)) => *record,
            other => panic!("a line: {other:?}"),
        }
    }

    #[test]
    fn a_line_is_shown_once() {
        let mut shown = Shown::default();
        assert!(shown.is_new(&record(2)));
        assert!(shown.is_new(&record(1)));
        assert!(!shown.is_new(&record(2)));
        assert_eq!(
            shown.last_time.as_deref(),
            Some("2026-01-01T00:00:00.000000002Z")
        );
        for n in 3..IDS_MAX + 10 {
            shown.is_new(&record(n));
        }
        assert_eq!(shown.ids.len(), IDS_MAX);
        assert!(!shown.knows("s-2"));
    }
}
