//! `GET /api/v1/logs/query` and `GET /api/v1/logs/export`: what a query answers, while it is found.
//!
//! 1. The search runs on a thread that may block and fills pieces of [`PIECE_BYTES`].
//! 2. The answer begins with the first piece, so that an error before it still has its status.
//! 3. A client that goes away stops the search. So does one that takes longer than
//!    `Services::query_timeout`; an export may take any time, as long as each piece is taken
//!    within [`PIECE_TAKEN_WITHIN`].
//!
//! `query` answers at most `limit` lines (100,000; 1,000 when nothing is said), an export all of
//! them. An answer with as many lines as the header `x-yagura-limit` says may not be all there is:
//! `after`, the `id` of its last line, with `time`, the time of that line, asks for the lines
//! behind it, in the same order. Of a query whose pipes remember lines (`sort`, `limit`, `uniq`)
//! there are no further pages. `direction` is `backward` (newest first; the way of a query) or
//! `forward` (the way of an export).
//!
//! `format` and what tables look like: `formats.rs`. An error behind the first piece is the last
//! line: `{"error": "…"}`, in formats that are no JSON `# error: …`.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use log_query::{Answer, Cursor, Direction, Line, Search};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use super::formats::{self, Format, LineWriter};
use super::{Asked, LIMIT_DEFAULT, LIMIT_MAX, StopOnDrop};
use crate::Services;
use crate::api::error::ApiError;
use crate::around::{self, LineId};
use crate::ask::NoAnswer;

/// Size of the pieces in which lines are sent.
const PIECE_BYTES: usize = 32 * 1024;

/// Pieces that wait for a slow client before the search waits too.
const PIECES_WAITING_MAX: usize = 16;

/// Header that tells the limit in force.
const LIMIT_HEADER: &str = "x-yagura-limit";

type Piece = Result<Bytes, ApiError>;

/// A client of an export that does not take a piece for so long is gone.
const PIECE_TAKEN_WITHIN: Duration = Duration::from_mins(2);

/// Exports at the same time; each keeps a thread and reads everything in its time range.
pub(super) const EXPORTS_MAX: usize = 4;

/// Lines of an export that are asked for at once, so that what is found waits in no memory.
const EXPORT_PAGE_LINES: usize = 5_000;

/// Bounds exports.
#[derive(Clone)]
pub(super) struct Exports(pub(super) Arc<Semaphore>);

pub(super) async fn query(
    State(services): State<Arc<Services>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let asked = Asked::of(query.as_deref());
    let limit = asked.number("limit", LIMIT_DEFAULT, LIMIT_MAX)?;
    let now_ns = model::time::now_ns();
    let search = asked.search(now_ns, limit)?;
    let deadline = Instant::now() + services.query_timeout;
    let slots = services.query_slots.clone();
    let slot = tokio::time::timeout_at(deadline, slots.acquire_owned())
        .await
        .map_err(|_| ApiError::from(NoAnswer::Timeout(services.query_timeout)))?
        .map_err(|_| ApiError::unavailable("the server is stopping"))?;
    let question = Question::of(&asked, search, now_ns, Patience::Until(deadline))?;
    let mut response = question.answer(services, slot).await?;
    let headers = response.headers_mut();
    headers.insert(LIMIT_HEADER, HeaderValue::from(limit));
    Ok(response)
}

pub(super) async fn export(
    State(services): State<Arc<Services>>,
    Extension(exports): Extension<Exports>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let asked = Asked::of(query.as_deref());
    let now_ns = model::time::now_ns();
    let mut search = asked.search(now_ns, usize::MAX)?;
    if asked.text("direction").is_none() {
        search.direction = Direction::Forward;
    }
    let slot = exports.0.try_acquire_owned().map_err(|_| {
        ApiError::unavailable(format!(
            "{EXPORTS_MAX} exports are under way already: wait for one of them to end"
        ))
    })?;
    let question = Question::of(
        &asked,
        search,
        now_ns,
        Patience::PerPiece(PIECE_TAKEN_WITHIN),
    )?;
    question.answer(services, slot).await
}

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
enum Patience {
    /// For the whole answer.
    Until(Instant),
    /// For each piece.
    PerPiece(Duration),
}

impl Patience {
    fn deadline(self) -> Instant {
        match self {
            Self::Until(deadline) => deadline,
            Self::PerPiece(patience) => Instant::now() + patience,
        }
    }
}

/// What is asked, and how it is to be answered.
struct Question {
    search: Search,
    format: Format,
    with_text: bool,
    patience: Patience,
    /// The line behind which to go on, with its time where that is known.
    after: Option<(LineId, Option<i64>)>,
}

impl Question {
    fn of(
        asked: &Asked,
        search: Search,
        now_ns: i64,
        patience: Patience,
    ) -> Result<Self, ApiError> {
        let table = search.query.makes_table();
        let format = match asked.text("format") {
            Some(name) => Format::parse(name)?,
            None if table => Format::Json,
            None => Format::Ndjson,
        };
        let after = match asked.id("after")? {
            Some(id) => {
                if table || !search.query.has_pages() {
                    return Err(ApiError::bad_data(
                        "after cannot be used with pipes that remember lines (sort, limit, uniq) \
                         or make a table: ask without it",
                    ));
                }
                let time = asked.text("time").is_some();
                let time_ns = time
                    .then(|| asked.time("time", "now", now_ns))
                    .transpose()?;
                Some((id, time_ns))
            }
            None => None,
        };
        Ok(Self {
            search,
            format,
            with_text: asked.flag("text"),
            patience,
            after,
        })
    }

    /// Starts the search and answers with what it finds.
    async fn answer(
        self,
        services: Arc<Services>,
        slot: OwnedSemaphorePermit,
    ) -> Result<Response, ApiError> {
        let guard = StopOnDrop(self.search.stop.clone());
        let (patience, format) = (self.patience, self.format);
        let limit = services.query_timeout;
        let late = move || {
            ApiError::from(NoAnswer::Timeout(match patience {
                Patience::Until(_) => limit,
                Patience::PerPiece(patience) => patience,
            }))
        };
        let (sender, mut pieces) = mpsc::channel::<Piece>(PIECES_WAITING_MAX);
        let run = Run {
            writer: LineWriter {
                format,
                shown: self.search.query.shown(),
                with_text: self.with_text,
                is_empty: true,
            },
            question: self,
            sender,
            piece: Vec::with_capacity(PIECE_BYTES + 1024),
        };
        tokio::task::spawn_blocking(move || {
            let _slot = slot;
            run.search(&services);
        });
        // An export may search long before it finds the first line.
        let first = match patience {
            Patience::Until(deadline) => tokio::time::timeout_at(deadline, pieces.recv())
                .await
                .map_err(|_| late())?,
            Patience::PerPiece(_) => pieces.recv().await,
        };
        let first = match first {
            Some(Ok(piece)) => piece,
            Some(Err(error)) => return Err(error),
            None => Bytes::new(),
        };
        let rest = stream::unfold(Some((pieces, guard)), move |state| async move {
            let (mut pieces, guard) = state?;
            let next = match patience {
                Patience::Until(deadline) => tokio::time::timeout_at(deadline, pieces.recv()).await,
                Patience::PerPiece(_) => Ok(pieces.recv().await),
            };
            let error = match next {
                Ok(None) => return None,
                Ok(Some(Ok(piece))) => return Some((piece, Some((pieces, guard)))),
                Ok(Some(Err(error))) => error,
                Err(_) => late(),
            };
            let mut last = Vec::new();
            let writer = LineWriter {
                format,
                shown: log_query::Shown::default(),
                with_text: false,
                is_empty: false,
            };
            writer.tail(Some(&error.message), &mut last);
            Some((last.into(), None))
        });
        // Fused: whoever compresses the answer asks once more behind its end.
        let body = stream::iter([first])
            .chain(rest.fuse())
            .map(Ok::<_, std::convert::Infallible>);
        let mut response = Response::new(Body::from_stream(body));
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(format.content_type()),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }
}

/// The searching side.
struct Run {
    question: Question,
    writer: LineWriter,
    sender: mpsc::Sender<Piece>,
    piece: Vec<u8>,
}

impl Run {
    fn search(mut self, services: &Services) {
        if let Err(error) = self.pages(services) {
            // What was found stands before the error. When the client is gone nobody reads either.
            if self.flush().is_continue() {
                let _ = self.send(Err(error));
            }
        }
    }

    fn pages(&mut self, services: &Services) -> Result<(), ApiError> {
        let mut search = self.question.search.clone();
        if let Some((id, time_ns)) = self.question.after {
            search.after = match time_ns {
                Some(time_ns) => Some(id.at(time_ns)),
                None => around::place(&*services.logs, id, &search.stop)?,
            };
            if search.after.is_none() {
                return Err(ApiError::not_found(
                    "no line has the id of after, or not any more: give its time too",
                ));
            }
        }
        if self.question.search.query.makes_table() {
            return match log_query::run(&*services.logs, &search, &mut |_| {
                ControlFlow::Continue(())
            })? {
                Answer::Table(table) => {
                    let text = formats::table(&table, self.writer.format);
                    for piece in text.chunks(PIECE_BYTES) {
                        if self.send(Ok(Bytes::copy_from_slice(piece))).is_break() {
                            break;
                        }
                    }
                    Ok(())
                }
                Answer::Lines(_) => Ok(()),
            };
        }
        self.writer.head(&mut self.piece);
        let all = search.limit == usize::MAX && search.query.has_pages();
        if all {
            search.limit = EXPORT_PAGE_LINES;
        }
        loop {
            let mut n_lines = 0;
            let mut last = None;
            let mut gone = false;
            log_query::run(&*services.logs, &search, &mut |line: Line| {
                n_lines += 1;
                if all && n_lines == EXPORT_PAGE_LINES {
                    last = Some(Cursor {
                        time_ns: line.record.time_ns,
                        stream: line.record.labels.fingerprint(),
                        sequence: line.record.sequence,
                    });
                }
                self.writer.line(&line, &mut self.piece);
                if self.piece.len() >= PIECE_BYTES && self.flush().is_break() {
                    gone = true;
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            })?;
            if gone {
                return Ok(());
            }
            match last {
                Some(cursor) => search.after = Some(cursor),
                None => break,
            }
        }
        self.writer.tail(None, &mut self.piece);
        let _ = self.flush();
        Ok(())
    }

    /// Hands over what is written.
    fn flush(&mut self) -> ControlFlow<()> {
        if self.piece.is_empty() {
            return ControlFlow::Continue(());
        }
        let piece = std::mem::take(&mut self.piece);
        self.send(Ok(piece.into()))
    }

    /// Hands a piece over; breaks when the client is gone or the time is over.
    fn send(&self, piece: Piece) -> ControlFlow<()> {
        let deadline = self.question.patience.deadline();
        let sending = tokio::time::timeout_at(deadline, self.sender.send(piece));
        match tokio::runtime::Handle::current().block_on(sending) {
            Ok(Ok(())) => ControlFlow::Continue(()),
            Ok(Err(_)) | Err(_) => ControlFlow::Break(()),
        }
    }
}
