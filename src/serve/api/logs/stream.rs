//! `GET /api/v1/logs/query`: lines as NDJSON, while they are found.
//!
//! 1. The search runs on a thread that may block and fills pieces of [`PIECE_BYTES`].
//! 2. The answer begins with the first piece, so that an error before it still has its status.
//! 3. A client that goes away, or takes longer than `Services::query_timeout`, stops the search.
//!
//! An answer with as many lines as the header `x-yagura-limit` says may not be all there is. An
//! error behind the first piece is the last line: `{"error": "…"}`.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use log_query::{Record, Search};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Asked, LIMIT_DEFAULT, LIMIT_MAX, RecordJson, StopOnDrop};
use crate::Services;
use crate::api::error::ApiError;
use crate::ask::NoAnswer;

/// Size of the pieces in which lines are sent.
const PIECE_BYTES: usize = 32 * 1024;

/// Pieces that wait for a slow client before the search waits too.
const PIECES_WAITING_MAX: usize = 16;

/// Header that tells the limit in force.
const LIMIT_HEADER: &str = "x-yagura-limit";

type Piece = Result<Bytes, ApiError>;

pub(super) async fn query(
    State(services): State<Arc<Services>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let asked = Asked::of(query.as_deref());
    let limit = asked.number("limit", LIMIT_DEFAULT, LIMIT_MAX)?;
    let search = asked.search(model::time::now_ns(), limit)?;
    let with_text = asked.flag("text");
    let deadline = Instant::now() + services.query_timeout;
    let guard = StopOnDrop(search.stop.clone());
    let timeout = || ApiError::from(NoAnswer::Timeout(services.query_timeout));

    let slots = services.query_slots.clone();
    let slot = tokio::time::timeout_at(deadline, slots.acquire_owned())
        .await
        .map_err(|_| timeout())?;
    let (sender, mut pieces) = mpsc::channel::<Piece>(PIECES_WAITING_MAX);
    let run = Run {
        sender,
        deadline,
        with_text,
    };
    let searching = services.clone();
    tokio::task::spawn_blocking(move || {
        let _slot = slot;
        run.search(&searching, &search);
    });

    let first = tokio::time::timeout_at(deadline, pieces.recv())
        .await
        .map_err(|_| timeout())?;
    let first = match first {
        Some(Ok(piece)) => piece,
        Some(Err(error)) => return Err(error),
        None => Bytes::new(),
    };
    let late = timeout();
    let rest = stream::unfold(Some((pieces, guard, late)), move |state| async move {
        let (mut pieces, guard, late) = state?;
        let piece = match tokio::time::timeout_at(deadline, pieces.recv()).await {
            Ok(None) => return None,
            Ok(Some(Ok(piece))) => return Some((piece, Some((pieces, guard, late)))),
            Ok(Some(Err(error))) => error,
            Err(_) => late,
        };
        Some((error_line(&piece), None))
    });
    // Fused: whoever compresses the answer asks once more behind its end.
    let body = stream::iter([first])
        .chain(rest.fuse())
        .map(Ok::<_, std::convert::Infallible>);
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-ndjson; charset=utf-8"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(LIMIT_HEADER, HeaderValue::from(limit));
    Ok(response)
}

fn error_line(error: &ApiError) -> Bytes {
    let mut line = serde_json::json!({"error": error.message}).to_string();
    line.push('\n');
    line.into()
}

/// The searching side.
struct Run {
    sender: mpsc::Sender<Piece>,
    deadline: Instant,
    with_text: bool,
}

impl Run {
    fn search(&self, services: &Services, search: &Search) {
        let mut piece = Vec::with_capacity(PIECE_BYTES + 1024);
        let mut take = |record: Record| {
            RecordJson {
                record: &record,
                with_text: self.with_text,
            }
            .write_line(&mut piece);
            if piece.len() >= PIECE_BYTES {
                return self.send(Ok(std::mem::take(&mut piece).into()));
            }
            ControlFlow::Continue(())
        };
        let outcome = services.logs.search(search, &mut take);
        let sent = if piece.is_empty() {
            ControlFlow::Continue(())
        } else {
            self.send(Ok(piece.into()))
        };
        if let (Err(error), ControlFlow::Continue(())) = (outcome, sent) {
            // When the client is gone nobody reads this, and that is fine.
            let _ = self.send(Err(error.into()));
        }
    }

    /// Hands a piece over; breaks when the client is gone or the time is over.
    fn send(&self, piece: Piece) -> ControlFlow<()> {
        let sending = tokio::time::timeout_at(self.deadline, self.sender.send(piece));
        match tokio::runtime::Handle::current().block_on(sending) {
            Ok(Ok(())) => ControlFlow::Continue(()),
            Ok(Err(_)) | Err(_) => ControlFlow::Break(()),
        }
    }
}
