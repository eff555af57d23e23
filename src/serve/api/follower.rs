//! A client that follows lines over a WebSocket: messages now and then, pings, and its end.

use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use tokio::time::{Instant, MissedTickBehavior};

/// Lines are gathered for so long.
const FLUSH_EVERY: Duration = Duration::from_millis(250);

/// Proxies and port-forwards close connections on which nothing happens.
const PING_EVERY: Duration = Duration::from_secs(15);

/// A client that says nothing for so long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(40);

/// Sends what `message` gives until the client is gone.
pub(super) async fn keep(socket: &mut WebSocket, mut message: impl FnMut() -> Option<Message>) {
    let mut flush = tokio::time::interval(FLUSH_EVERY);
    flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ping = tokio::time::interval(PING_EVERY);
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            _ = flush.tick() => {
                if let Some(message) = message()
                    && send(socket, message).await.is_err()
                {
                    return;
                }
            }
            _ = ping.tick() => {
                let alive = heard.elapsed() < SILENCE_MAX;
                let ping = Message::Ping(axum::body::Bytes::new());
                if !alive || send(socket, ping).await.is_err() {
                    return;
                }
            }
            message = socket.recv() => match message {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => heard = Instant::now(),
            },
        }
    }
}

/// Sends a message to a client that takes it in time.
pub(super) async fn send(socket: &mut WebSocket, message: Message) -> Result<(), ()> {
    match tokio::time::timeout(SILENCE_MAX, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(()),
    }
}
