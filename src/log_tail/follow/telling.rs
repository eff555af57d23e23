//! What a file's follower tells about itself: its position, counts, state, and marks where lines
//! are missing.

use std::io;
use std::sync::atomic::Ordering::Relaxed;

use model::{Checkpoint, GapReason, Level, LogGap, LogSourceState};

use super::{Follow, Place, Surroundings};
use crate::checkpoint::{self, State};
use crate::decode::Record;
use crate::formats::Output;
use crate::metrics::Metrics;
use crate::outlet::{Outlet, Stopped};
use crate::status::Status;
use crate::streams::Streams;

impl Follow {
    /// Everything before it was handed over, except what is pending.
    fn position(&self) -> (u64, [Option<u64>; 2]) {
        self.decoder.position(self.splitter.start())
    }

    pub(crate) fn tell_position_to(&mut self, outlet: &mut Outlet, now_ns: i64) {
        let (offset, pending) = self.position();
        if self.told == Some((offset, pending)) && !self.tell {
            return;
        }
        if self.told.is_none() && offset == 0 && pending == [None, None] && !self.tell {
            return;
        }
        self.told = Some((offset, pending));
        self.tell = false;
        outlet.position(Checkpoint {
            source: self.source.clone(),
            state: Some(checkpoint::encode(&State {
                inode: self.inode,
                head: self.head,
                path: self.path.clone(),
                origin: self.origin.clone(),
                offset,
                pending,
                told_ns: now_ns,
                last_ns: self.last_ns(),
                behind: self.status.lag_bytes.load(Relaxed),
                format: self.decoder.format_name().to_owned(),
                done: self.done,
                head_before: self.heads_before.front().copied().unwrap_or_default(),
                seen_ns: self.seen_ns.unwrap_or_default(),
            })),
        });
    }

    /// Tells the store that the file will not be asked for again.
    pub(crate) fn forget(&self, outlet: &mut Outlet) {
        if self.told.is_some() {
            outlet.position(Checkpoint {
                source: self.source.clone(),
                state: None,
            });
        }
    }

    /// Hands over a mark that says what is missing behind the last record.
    pub(crate) fn give_gap(
        &mut self,
        gap: &LogGap,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Stopped> {
        self.give_held(around)?;
        count_gap(gap, &self.status, around);
        give_gap(
            gap,
            self.decoder.default_output(),
            &mut self.streams,
            around.outlet,
        )
    }

    /// A gap behind the last record.
    pub(crate) fn gap(&self, bytes: u64, reason: GapReason, now_ns: i64) -> LogGap {
        LogGap {
            bytes,
            from_ns: self.last_ns(),
            to_ns: now_ns,
            reason,
            path: self.path.to_string_lossy().into_owned(),
        }
    }

    /// Counts what the turn did, for metrics and people.
    pub(super) fn note(&mut self, read: usize, size: u64, metrics: &Metrics) {
        let tally = self.decoder.take_tally();
        metrics.bytes.inc_by(read as u64);
        metrics.lines_malformed.inc_by(tally.malformed);
        metrics.lines_cut.inc_by(tally.cut_lines);
        metrics.cut_bytes.inc_by(tally.cut_bytes);
        metrics.records_split.inc_by(tally.split_records);
        let nul_bytes = self.splitter.take_nul_bytes();
        metrics.nul_bytes.inc_by(nul_bytes);
        let status = &self.status;
        status.count_lost("cut", 0, tally.cut_bytes);
        status.count_lost("holes", 0, nul_bytes);
        status.bytes_read.fetch_add(read as u64, Relaxed);
        status.lines_read.fetch_add(tally.lines, Relaxed);
        status.last_line_ns.store(self.decoder.last_ns(), Relaxed);
        status.set_format(self.decoder.format_name());
        status.set_state(if !self.at_end && self.place != Place::Named {
            LogSourceState::Draining
        } else if self.at_end {
            LogSourceState::Following
        } else {
            LogSourceState::CatchingUp
        });
        self.note_size(size);
    }
}

/// Hands over a gap's mark in the place of the missing lines.
pub(crate) fn give_gap(
    gap: &LogGap,
    output: Option<Output>,
    streams: &mut Streams,
    outlet: &mut Outlet,
) -> Result<(), Stopped> {
    let text = gap.to_string();
    let record = Record {
        output,
        time_ns: if gap.from_ns > 0 {
            gap.from_ns
        } else {
            gap.to_ns
        },
        level: Level::Warn,
        text: text.as_bytes(),
    };
    streams.give(record, outlet)
}

fn count_gap(gap: &LogGap, status: &Status, around: &Surroundings<'_>) {
    status.count_lost(gap.reason.as_str(), 0, gap.bytes);
    around.metrics.count_gap(gap);
}

/// What failed and what to do, in a sentence.
pub(super) fn failure(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::PermissionDenied {
        "permission denied: run Yagura as root, or let its user read the file (on Debian and \
         Ubuntu: add it to the group adm); it is tried again every few seconds"
            .to_owned()
    } else {
        format!("cannot read: {error}; it is tried again every few seconds")
    }
}
