//! Steps: the points in time at which an expression is evaluated.

/// Evenly spaced points in time, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    /// The first point, milliseconds since 1970-01-01 UTC.
    pub(crate) start_ms: i64,
    /// Milliseconds between two points; 0 where all points are the same time (`@`).
    pub(crate) step_ms: i64,
    /// How many points there are.
    pub(crate) count: usize,
}

impl Grid {
    /// A single point.
    pub(crate) fn instant(time_ms: i64) -> Self {
        Self {
            start_ms: time_ms,
            step_ms: 0,
            count: 1,
        }
    }

    /// The points from `start_ms` to at most `end_ms`.
    pub(crate) fn range(start_ms: i64, end_ms: i64, step_ms: i64) -> Self {
        let steps = (end_ms.saturating_sub(start_ms) / step_ms.max(1)).max(0);
        Self {
            start_ms,
            step_ms,
            count: usize::try_from(steps).unwrap_or(usize::MAX - 1) + 1,
        }
    }

    /// The time of a point.
    pub(crate) fn time_ms(&self, index: usize) -> i64 {
        self.start_ms
            .saturating_add(self.step_ms.saturating_mul(index as i64))
    }

    /// The time of the last point.
    pub(crate) fn end_ms(&self) -> i64 {
        self.time_ms(self.count - 1)
    }

    /// The times at which a selector with `offset` and `@` looks when it is asked at these
    /// points: as many, but shifted, or all the same.
    pub(crate) fn shifted(&self, at_ms: Option<i64>, offset_ms: i64) -> Self {
        match at_ms {
            Some(at_ms) => Self {
                start_ms: at_ms.saturating_sub(offset_ms),
                step_ms: 0,
                count: self.count,
            },
            None => Self {
                start_ms: self.start_ms.saturating_sub(offset_ms),
                ..*self
            },
        }
    }
}
