//! Questions that may take long, off the async threads and within limits.

use std::sync::Arc;
use std::time::Instant;

use model::Samples;
use promql::{Answer, Context, ErrorKind, QueryError};

use tokio::sync::OwnedSemaphorePermit;

use crate::Services;
use crate::time_range::TimeRange;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// It did not end, or did not even begin, within `Services::query_timeout`.
    #[error("no answer after {} s: narrow the time range or the question", .0.as_secs_f32())]
    Timeout(std::time::Duration),
    /// The computation panicked; it was counted.
    #[error("the question made a part of Yagura fail; the reason is in the process' own log")]
    Panicked,
    /// No more questions are taken.
    #[error("the server is stopping")]
    Stopping,
}

/// Runs a computation on a thread that may block, as soon as one of `Services::query_slots` is
/// free. Whoever gives up waiting leaves the computation to its own limits: it keeps its slot
/// until it ends.
pub(crate) async fn blocking<T: Send + 'static>(
    services: &Arc<Services>,
    compute: impl FnOnce(&Services) -> T + Send + 'static,
) -> Result<T, NoAnswer> {
    let (answer, _slot) = with_slot(services, compute).await?;
    Ok(answer)
}

/// The same, for an answer that goes on taking room: the slot comes with it.
pub(crate) async fn with_slot<T: Send + 'static>(
    services: &Arc<Services>,
    compute: impl FnOnce(&Services) -> T + Send + 'static,
) -> Result<(T, OwnedSemaphorePermit), NoAnswer> {
    let timeout = services.query_timeout;
    let work = async {
        let slot = services.query_slots.clone().acquire_owned().await;
        let slot = slot.map_err(|_| NoAnswer::Stopping)?;
        let services = services.clone();
        let work = tokio::task::spawn_blocking(move || (compute(&services), slot));
        work.await.map_err(|_| NoAnswer::Panicked)
    };
    let answer = tokio::time::timeout(timeout, work).await;
    let answer = answer.unwrap_or(Err(NoAnswer::Timeout(timeout)));
    if answer
        .as_ref()
        .is_err_and(|error| *error == NoAnswer::Panicked)
    {
        services.metrics.panics.inc();
    }
    answer
}

/// The value of a PromQL expression at one time; given up at the deadline.
pub(crate) fn instant(
    services: &Services,
    expression: &str,
    time_ms: i64,
    deadline: Instant,
) -> Result<Answer, QueryError> {
    let stop = || (Instant::now() >= deadline).then_some(ErrorKind::Timeout);
    let context = Context {
        stop: Some(&stop),
        ..Context::default()
    };
    services
        .engine
        .instant(&*services.series, expression, time_ms, &context)
}

/// The values of a PromQL expression over time; given up at the deadline.
pub(crate) fn range(
    services: &Services,
    expression: &str,
    steps: Steps,
    deadline: Instant,
) -> Result<Answer, QueryError> {
    let stop = || (Instant::now() >= deadline).then_some(ErrorKind::Timeout);
    let context = Context {
        stop: Some(&stop),
        ..Context::default()
    };
    let (start, end, step) = (steps.start_ms, steps.end_ms(), steps.step_ms);
    services
        .engine
        .range(&*services.series, expression, start, end, step, &context)
}

/// The moments at which a chart has points: aligned to multiples of the step, so that a chart
/// that is drawn again a second later shows the same points and not all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Steps {
    pub(crate) start_ms: i64,
    pub(crate) step_ms: i64,
    pub(crate) count: usize,
}

impl Steps {
    /// About so many points over a range, at least a second apart.
    pub(crate) fn over(range: &TimeRange, points: i64) -> Self {
        const NICE_S: [i64; 17] = [
            1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400,
        ];
        let wanted_ms = range.span_ms() / points.max(1);
        let step_ms = NICE_S
            .iter()
            .map(|s| s * 1000)
            .find(|step| *step >= wanted_ms)
            .unwrap_or_else(|| (wanted_ms / 86_400_000 + 1) * 86_400_000);
        let start_ms = range.from_ms.div_euclid(step_ms) * step_ms;
        let count = (range.to_ms - start_ms).div_euclid(step_ms) + 1;
        Self {
            start_ms,
            step_ms,
            count: count.max(1) as usize,
        }
    }

    /// The last moment.
    pub(crate) fn end_ms(&self) -> i64 {
        self.start_ms + self.step_ms * (self.count as i64 - 1)
    }

    /// A series' samples as a column with one slot per moment, `NaN` where it has none.
    pub(crate) fn column(&self, samples: &Samples) -> Vec<f64> {
        let mut column = vec![f64::NAN; self.count];
        for (time, value) in samples.timestamps_ms.iter().zip(&samples.values) {
            let slot = usize::try_from((time - self.start_ms).div_euclid(self.step_ms));
            if let Some(cell) = slot.ok().and_then(|slot| column.get_mut(slot)) {
                *cell = *value;
            }
        }
        column
    }

    /// How far `rate` should look back at each moment: at least a minute, and never less than
    /// from one point to the next, so that nothing between them is left out.
    pub(crate) fn rate_window(&self) -> String {
        format!("{}s", (self.step_ms / 1000).max(60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Params;

    #[test]
    fn points_are_aligned_and_cover_the_range() {
        let range = TimeRange::of(&Params::parse("from=now-1h"), 1_763_900_007_500);
        let steps = Steps::over(&range, 250);
        assert_eq!(steps.step_ms, 15_000);
        assert_eq!(steps.start_ms % steps.step_ms, 0);
        assert!(steps.start_ms <= range.from_ms && steps.end_ms() <= range.to_ms);
        assert!(range.to_ms - steps.end_ms() < steps.step_ms);
        let samples = Samples {
            timestamps_ms: vec![steps.start_ms + 15_000, steps.end_ms() + 15_000],
            values: vec![4.0, 5.0],
            ..Samples::default()
        };
        let column = steps.column(&samples);
        assert_eq!((column.len(), column[1]), (steps.count, 4.0));
        assert!(
            column[0].is_nan(),
            "what lies outside the range has no slot"
        );
    }

    #[test]
    fn years_have_points_too() {
        let range = TimeRange::of(&Params::parse("from=now-10y"), 1_763_900_007_500);
        let steps = Steps::over(&range, 250);
        assert!(steps.count <= 252 && steps.step_ms % 86_400_000 == 0);
    }
}
