//! What the collector counts about itself.

use model::LogGap;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Why something happened: a closed set of words.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Reason {
    /// One of the reasons named in the metric's help text.
    pub reason: &'static str,
}

/// The collector's counters and gauges.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Files that are being followed.
    pub files: Gauge,
    /// Files that are held open.
    pub open_files: Gauge,
    /// Files that cannot be read or are left alone because of what is in them.
    pub files_failed: Gauge,
    /// Bytes in followed files that are not read yet, as of the last look.
    pub lag_bytes: Gauge,
    /// Lines handed to the store.
    pub lines: Counter,
    /// Bytes read from files.
    pub bytes: Counter,
    /// Lines that were not stored, by reason: refused (by the store).
    pub lines_dropped: Family<Reason, Counter>,
    /// Lines that were longer than the limit and were cut with a mark.
    pub lines_cut: Counter,
    /// Joined records that were full and go on in another one.
    pub records_split: Counter,
    /// Marks for missing lines that were put into streams, by reason: rotated_away, truncated,
    /// deleted, replaced, damaged.
    pub gaps: Family<Reason, Counter>,
    /// Bytes that are known to be missing at those marks, by the same reasons.
    pub gap_bytes: Family<Reason, Counter>,
    /// Compressed rotated files that were read.
    pub packed_files: Counter,
    /// Files of which lines will be lost if nothing changes.
    pub files_endangered: Gauge,
    /// How many files may be open at most.
    pub open_files_max: Gauge,
    /// Bytes cut off from lines that were longer than the limit.
    pub cut_bytes: Counter,
    /// Bytes of holes (runs of NUL) that were skipped in text files.
    pub nul_bytes: Counter,
    /// Lines of a container's log that are not in its format; they are kept as they are.
    pub lines_malformed: Counter,
    /// Files that were renamed while they were followed.
    pub rotations: Counter,
    /// Files that became shorter or were rewritten in place, and are read again from the start.
    pub truncations: Counter,
    /// Files that were deleted, read to their end and forgotten.
    pub files_gone: Counter,
    /// Files that were gone before they could be found again after a restart, or were closed when
    /// they vanished: lines may be missing.
    pub files_lost: Counter,
    /// Attempts to open or read a file that failed.
    pub read_errors: Counter,
    /// Times that a file was closed before its end because too many were open.
    pub open_files_bound_reached: Counter,
    /// Files that were not followed because there are too many.
    pub files_bound_reached: Counter,
    /// Folders for which the system reports no changes (its limit of watches); they are looked at
    /// every few seconds instead.
    pub watch_errors: Counter,
    /// Times that change reports were lost and everything was looked at instead.
    pub events_lost: Counter,
    /// Batches that the store did not take at first, by reason: no_space, io, limit, damaged,
    /// database.
    pub store_retries: Family<Reason, Counter>,
    /// Checkpoints that could not be read; their files are read from the beginning.
    pub checkpoints_unreadable: Counter,
}

impl Metrics {
    /// Registers everything; the registry's prefix is the product's.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let all = registry.sub_registry_with_prefix("yagura_log_tail");
        let m = &metrics;
        let gauges = [
            ("files", "Files that are being followed", &m.files),
            ("open_files", "Files that are held open", &m.open_files),
            (
                "open_files_max",
                "How many files may be held open at most",
                &m.open_files_max,
            ),
            (
                "files_endangered",
                "Files of which lines will be lost if nothing changes",
                &m.files_endangered,
            ),
            (
                "files_failed",
                "Files that cannot be read or are left alone because of what is in them",
                &m.files_failed,
            ),
            (
                "lag_bytes",
                "Bytes in followed files that are not read yet, as of the last look",
                &m.lag_bytes,
            ),
        ];
        for (name, help, gauge) in gauges {
            all.register(name, help, gauge.clone());
        }
        let counters = [
            ("lines", "Lines handed to the store", &m.lines),
            ("read_bytes", "Bytes read from files", &m.bytes),
            (
                "lines_cut",
                "Lines that were longer than the limit and were cut with a mark",
                &m.lines_cut,
            ),
            (
                "records_split",
                "Joined records that were full and go on in another one",
                &m.records_split,
            ),
            (
                "packed_files",
                "Compressed rotated files that were read",
                &m.packed_files,
            ),
            (
                "cut_bytes",
                "Bytes cut off from lines that were longer than the limit",
                &m.cut_bytes,
            ),
            (
                "nul_bytes",
                "Bytes of holes (runs of NUL) that were skipped in text files",
                &m.nul_bytes,
            ),
            (
                "lines_malformed",
                "Lines of a container's log that are not in its format and were kept as they are",
                &m.lines_malformed,
            ),
            (
                "rotations",
                "Files that were renamed while they were followed",
                &m.rotations,
            ),
            (
                "truncations",
                "Files that became shorter or were rewritten in place, and are read again",
                &m.truncations,
            ),
            (
                "files_gone",
                "Files that were deleted, read to their end and forgotten",
                &m.files_gone,
            ),
            (
                "files_lost",
                "Files that vanished while they were closed or while nobody followed them: lines may be missing",
                &m.files_lost,
            ),
            (
                "read_errors",
                "Attempts to open or read a file that failed",
                &m.read_errors,
            ),
            (
                "open_files_bound_reached",
                "Times that a file was closed because too many were open",
                &m.open_files_bound_reached,
            ),
            (
                "files_bound_reached",
                "Files that were not followed because there are too many",
                &m.files_bound_reached,
            ),
            (
                "watch_errors",
                "Folders for which the system reports no changes, looked at every few seconds instead",
                &m.watch_errors,
            ),
            (
                "events_lost",
                "Times that change reports were lost and everything was looked at instead",
                &m.events_lost,
            ),
            (
                "checkpoints_unreadable",
                "Checkpoints that could not be read, whose files are read from the beginning",
                &m.checkpoints_unreadable,
            ),
        ];
        for (name, help, counter) in counters {
            all.register(name, help, counter.clone());
        }
        all.register(
            "lines_dropped",
            "Lines that were not stored, by reason",
            m.lines_dropped.clone(),
        );
        all.register(
            "gaps",
            "Marks for missing lines that were put into streams, by reason",
            m.gaps.clone(),
        );
        all.register(
            "gap_bytes",
            "Bytes that are known to be missing at those marks, by reason",
            m.gap_bytes.clone(),
        );
        all.register(
            "store_retries",
            "Batches that the store did not take at first, by reason",
            m.store_retries.clone(),
        );
        metrics
    }

    /// Counts a mark for missing lines.
    pub(crate) fn count_gap(&self, gap: &LogGap) {
        let reason = Reason {
            reason: gap.reason.as_str(),
        };
        self.gaps.get_or_create(&reason).inc();
        self.gap_bytes.get_or_create(&reason).inc_by(gap.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_house() {
        let mut registry = Registry::default();
        let metrics = Metrics::new(&mut registry);
        metrics.lines.inc_by(3);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("encodes");
        assert!(text.contains("yagura_log_tail_lines_total 3"), "{text}");
        assert!(
            text.contains("# TYPE yagura_log_tail_open_files gauge"),
            "{text}"
        );
    }
}
