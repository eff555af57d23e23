//! What the owner may decide about the metric store.

use std::time::Duration;

use model::StoreError;

/// A day, the span of one file of pages.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// The time between two samples of a fine rollup: as far as an instant selector looks back.
pub(crate) const FINE_MS: i64 = 300_000;

/// The time between two samples of a coarse rollup.
pub(crate) const COARSE_MS: i64 = 3_600_000;

/// Settings of the metric store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Samples older than this are dropped, a day at a time. Default: 15 days.
    pub retention: Duration,
    /// How long a sample of every five minutes is kept; where this is not longer than
    /// `retention`, none is. Default: 365 days.
    pub rollup_retention: Duration,
    /// How long a sample of every hour is kept; where this is not longer than the two others,
    /// none is. Default: five years of 365 days.
    pub hourly_retention: Duration,
    /// The oldest days are dropped when all files together take more bytes. Default: 10 GiB.
    pub disk_bytes_max: u64,
    /// Memory that head, index and caches may take, in bytes, estimated. A quarter is for caches;
    /// when the head takes more than half, windows are sealed early; when all of it is taken, new
    /// series are refused. Default: 256 MiB.
    pub memory_bytes_max: u64,
    /// How far behind the newest sample a sample may be. Default: 1 hour.
    pub out_of_order_window: Duration,
    /// The span that is sealed at once; must divide a day. Default: 2 hours.
    pub window: Duration,
    /// How many series may be written to at the same time. Default: 250,000.
    pub series_max: usize,
    /// How many series one target may have at the same time; newcomers are left out. Default:
    /// 100,000.
    pub series_per_target_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            retention: Duration::from_hours(15 * 24),
            rollup_retention: Duration::from_hours(365 * 24),
            hourly_retention: Duration::from_hours(5 * 365 * 24),
            disk_bytes_max: 10 << 30,
            memory_bytes_max: 256 << 20,
            out_of_order_window: Duration::from_hours(1),
            window: Duration::from_hours(2),
            series_max: 250_000,
            series_per_target_max: 100_000,
        }
    }
}

/// How samples are kept until they are so old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level {
    /// The time between two of them; 0 as they came.
    pub(crate) resolution_ms: i64,
    /// Until when.
    pub(crate) kept_ms: i64,
}

/// The same settings in milliseconds, checked.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) retention_ms: i64,
    /// What samples become as they grow old: as they came first, then ever coarser.
    pub(crate) levels: Vec<Level>,
    pub(crate) out_of_order_ms: i64,
    pub(crate) window_ms: i64,
    pub(crate) disk_bytes_max: u64,
    pub(crate) memory_bytes_max: u64,
    pub(crate) series_max: usize,
    pub(crate) series_per_target_max: usize,
}

impl Limits {
    pub(crate) fn new(config: &Config) -> Result<Self, StoreError> {
        let ms = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX / 4);
        let window_ms = ms(config.window);
        if !(1000..=DAY_MS).contains(&window_ms) || DAY_MS % window_ms != 0 {
            return Err(StoreError::Refused(format!(
                "the metric store's window of {:?} does not divide a day: use 2h, 1h or 30m",
                config.window
            )));
        }
        let mut levels: Vec<Level> = Vec::new();
        for (resolution_ms, kept) in [
            (0, config.retention),
            (FINE_MS, config.rollup_retention),
            (COARSE_MS, config.hourly_retention),
        ] {
            let kept_ms = ms(kept).min(i64::MAX / 4);
            if levels.iter().all(|finer| finer.kept_ms < kept_ms) {
                levels.push(Level {
                    resolution_ms,
                    kept_ms,
                });
            }
        }
        Ok(Self {
            retention_ms: ms(config.retention).min(i64::MAX / 4),
            levels,
            out_of_order_ms: ms(config.out_of_order_window).min(i64::MAX / 4),
            window_ms,
            disk_bytes_max: config.disk_bytes_max,
            memory_bytes_max: config.memory_bytes_max,
            series_max: config.series_max,
            series_per_target_max: config.series_per_target_max,
        })
    }

    /// How long anything of a sample is kept.
    pub(crate) fn kept_ms(&self) -> i64 {
        let longest = self.levels.iter().map(|level| level.kept_ms).max();
        longest.unwrap_or(self.retention_ms)
    }

    /// The levels that are coarser than a resolution, the finest of them first.
    pub(crate) fn coarser_than(&self, resolution_ms: i64) -> impl Iterator<Item = &Level> {
        let is_coarser = move |level: &&Level| level.resolution_ms > resolution_ms;
        self.levels.iter().filter(is_coarser)
    }

    /// How long samples at a resolution are kept. Of a resolution that is not wanted any more,
    /// what the next finer one says counts.
    pub(crate) fn kept_at(&self, resolution_ms: i64) -> i64 {
        let mut levels = self.levels.iter().rev();
        let level = levels.find(|level| level.resolution_ms <= resolution_ms);
        level.map_or(0, |level| level.kept_ms)
    }

    /// Where the window that a time lies in begins.
    pub(crate) fn window_of(&self, time_ms: i64) -> i64 {
        time_ms
            .div_euclid(self.window_ms)
            .saturating_mul(self.window_ms)
    }
}
