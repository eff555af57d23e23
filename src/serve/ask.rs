//! Questions that may take long, off the async threads and within limits.

use std::sync::Arc;

use crate::Services;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// It did not end, or did not even begin, within `Services::query_timeout`.
    #[error("no answer after {} s: narrow the time range or the question", .0.as_secs_f32())]
    Timeout(std::time::Duration),
    /// The computation panicked; it was counted.
    #[error("the question made a part of Yagura fail; the reason is in the process' own log")]
    Panicked,
}

/// Runs a computation on a thread that may block, as soon as one of `Services::query_slots` is
/// free. Whoever gives up waiting leaves the computation to its own limits: it keeps its slot
/// until it ends.
pub(crate) async fn blocking<T: Send + 'static>(
    services: &Arc<Services>,
    compute: impl FnOnce(&Services) -> T + Send + 'static,
) -> Result<T, NoAnswer> {
    let timeout = services.query_timeout;
    let work = async {
        let slot = services.query_slots.clone().acquire_owned().await;
        let services = services.clone();
        tokio::task::spawn_blocking(move || {
            let _slot = slot;
            compute(&services)
        })
        .await
    };
    match tokio::time::timeout(timeout, work).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => {
            services.metrics.panics.inc();
            Err(NoAnswer::Panicked)
        }
        Err(_) => Err(NoAnswer::Timeout(timeout)),
    }
}
