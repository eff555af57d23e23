//! Accepts connections until it is told to stop.

use std::future::IntoFuture;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::{Services, router};

/// Answers that are under way when the process stops have this long to end.
const GRACE: Duration = Duration::from_millis(500);

/// Serves on a bound listener until it is cancelled; live tails and long answers are cut after a
/// moment of grace. The listener is cloned, so that a failed server can be started again.
pub async fn run(listener: &TcpListener, services: Arc<Services>, cancel: CancellationToken) {
    let listener = listener
        .try_clone()
        .and_then(|listener| {
            listener.set_nonblocking(true)?;
            tokio::net::TcpListener::from_std(listener)
        })
        .inspect_err(|error| error!(%error, "cannot use the listening socket"));
    let Ok(listener) = listener else { return };
    // Who sends log lines is shown to people by address.
    let service = router(services).into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service)
        .with_graceful_shutdown(cancel.clone().cancelled_owned())
        .into_future();
    let cut = async {
        cancel.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        ended = server => if let Err(error) = ended {
            error!(%error, "the web server ended");
        },
        () = cut => warn!("some connections were still open and are cut"),
    }
}
