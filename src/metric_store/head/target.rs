//! One target: its slots, and which of a scrape's samples may be stored.

use std::sync::Arc;

use model::{Histogram, SlotId, StoreError, TargetId};
use parking_lot::Mutex;

use super::window::WindowData;
use crate::codec;
use crate::index::SeriesId;
use crate::journal::row_encoder::RowEncoder;

/// A writer's target.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) id: TargetId,
    pub(crate) name: Arc<str>,
    pub(crate) state: Mutex<TargetState>,
}

impl Target {
    pub(crate) fn new(id: TargetId, name: Arc<str>, claimed: bool) -> Self {
        Self {
            id,
            name,
            state: Mutex::new(TargetState {
                claimed,
                ..TargetState::default()
            }),
        }
    }
}

/// A series within a target.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) series: SeriesId,
    /// Whether it has a place (see [`super::places`]); an idle one loses it and gets it back with
    /// its next sample.
    pub(crate) active: bool,
    /// Time of its newest sample, or `i64::MIN`.
    pub(crate) last_ms: i64,
}

/// The series of a slot that was idle for longer than samples are kept: its labels may have left
/// the index.
const FORGOTTEN: SeriesId = SeriesId::MAX;

impl Slot {
    fn is_kept(&self, horizon_ms: i64) -> bool {
        self.series != FORGOTTEN && (self.active || self.last_ms >= horizon_ms)
    }
}

/// A window that takes samples.
#[derive(Debug)]
pub(crate) struct OpenWindow {
    pub(crate) data: WindowData,
    /// What the window's journal knows of this target.
    pub(crate) journal: RowEncoder,
}

/// What a target's lock guards.
#[derive(Debug, Default)]
pub(crate) struct TargetState {
    slots: Vec<Slot>,
    /// How many of them are active.
    n_active: usize,
    windows: Vec<OpenWindow>,
    /// A writer has it open.
    pub(crate) claimed: bool,
    /// No writer will use it again.
    pub(crate) closed: bool,
}

/// A scrape, sorted out. Its buffers are reused from scrape to scrape.
#[derive(Debug, Default)]
pub(crate) struct Sorted<V = f64> {
    /// What is stored, ascending by slot.
    pub(crate) accepted: Vec<(u32, V)>,
    /// Of those, the ones older than their series' newest sample.
    pub(crate) late: Vec<(u32, V)>,
    /// How many were left out because the series has a sample at that time.
    pub(crate) duplicates: u64,
    /// Slots that had no place and need one again.
    pub(crate) revived: Vec<(u32, SeriesId)>,
    in_order: Vec<(u32, V)>,
}

impl TargetState {
    /// Adds a slot at the end.
    pub(crate) fn push_slot(&mut self, series: SeriesId) -> u32 {
        let slot = self.slots.len() as u32;
        if self.slots.len() == self.slots.capacity() {
            // Targets grow once and then stay: an eighth of spare room instead of double.
            self.slots.reserve_exact((self.slots.len() / 8).max(16));
        }
        self.slots.push(Slot {
            series,
            active: true,
            last_ms: i64::MIN,
        });
        self.n_active += 1;
        slot
    }

    /// Sorts out a scrape: ascending by slot, each slot once, without duplicates in time.
    ///
    /// # Errors
    /// `Refused` when a slot was never given out, or was idle for longer than samples are kept
    /// and is forgotten; nothing is changed then.
    pub(crate) fn sort_out<V: Copy>(
        &self,
        window_ms: i64,
        time_ms: i64,
        samples: &[(SlotId, V)],
        sorted: &mut Sorted<V>,
    ) -> Result<(), StoreError> {
        sorted.accepted.clear();
        sorted.late.clear();
        sorted.in_order.clear();
        sorted.revived.clear();
        sorted.duplicates = 0;
        sorted
            .accepted
            .extend(samples.iter().map(|(slot, value)| (slot.0, *value)));
        if !samples.is_sorted_by(|a, b| a.0 < b.0) {
            sorted.accepted.sort_by_key(|(slot, _)| *slot);
            sorted.accepted.dedup_by_key(|(slot, _)| *slot);
            sorted.duplicates += (samples.len() - sorted.accepted.len()) as u64;
        }
        if let Some((last, _)) = sorted.accepted.last()
            && *last as usize >= self.slots.len()
        {
            return Err(StoreError::Refused(format!(
                "slot {last} was never opened: the target has {} slots",
                self.slots.len()
            )));
        }
        let forgotten = |(slot, _): &&(u32, V)| {
            let state = self.slots.get(*slot as usize);
            state.is_some_and(|s| s.series == FORGOTTEN)
        };
        if let Some((slot, _)) = sorted.accepted.iter().find(forgotten) {
            return Err(StoreError::Refused(format!(
                "slot {slot} was not written for longer than samples are kept and is forgotten: \
                 open it again"
            )));
        }
        let data = self.window(window_ms).map(|w| &w.data);
        let Sorted {
            accepted,
            late,
            duplicates,
            revived,
            ..
        } = sorted;
        accepted.retain(|(slot, value)| {
            let Some(state) = self.slots.get(*slot as usize) else {
                return false;
            };
            if !state.active {
                revived.push((*slot, state.series));
            }
            if time_ms > state.last_ms {
                return true;
            }
            if time_ms == state.last_ms || data.is_some_and(|d| d.has(*slot, time_ms)) {
                *duplicates += 1;
                return false;
            }
            late.push((*slot, *value));
            true
        });
        Ok(())
    }

    /// Stores a scrape that has been sorted out (and journalled).
    pub(crate) fn store(
        &mut self,
        window_ms: i64,
        time_ms: i64,
        sorted: &mut Sorted,
        scratch: &mut codec::Scratch,
    ) {
        let at = self.window_at(window_ms);
        let Some(window) = self.windows.get_mut(at) else {
            return;
        };
        let in_order: &[(u32, f64)] = if sorted.late.is_empty() {
            &sorted.accepted
        } else {
            let mut late = sorted.late.iter().peekable();
            sorted.in_order.extend(
                sorted
                    .accepted
                    .iter()
                    .filter(|(slot, _)| late.next_if(|(l, _)| l == slot).is_none()),
            );
            &sorted.in_order
        };
        for (slot, _) in in_order {
            if let Some(state) = self.slots.get_mut(*slot as usize) {
                state.last_ms = time_ms;
                self.n_active += usize::from(!state.active);
                state.active = true;
            }
        }
        window.data.append(time_ms, in_order, &self.slots, scratch);
        for (slot, value) in &sorted.late {
            if let Some(state) = self.slots.get_mut(*slot as usize) {
                self.n_active += usize::from(!state.active);
                state.active = true;
                window
                    .data
                    .append_late(time_ms, *slot, state.series, *value);
            }
        }
    }

    /// Stores native histograms that have been sorted out (and journalled); the sorted values are
    /// places in `samples`.
    pub(crate) fn store_histograms(
        &mut self,
        window_ms: i64,
        time_ms: i64,
        sorted: &Sorted<u32>,
        samples: &[(u32, Arc<Histogram>)],
        scratch: &mut codec::Scratch,
    ) {
        let at = self.window_at(window_ms);
        let Some(window) = self.windows.get_mut(at) else {
            return;
        };
        for (slot, place) in &sorted.accepted {
            let state = self.slots.get_mut(*slot as usize);
            let (Some(state), Some((_, value))) = (state, samples.get(*place as usize)) else {
                continue;
            };
            state.last_ms = state.last_ms.max(time_ms);
            self.n_active += usize::from(!state.active);
            state.active = true;
            let value = value.clone();
            window
                .data
                .append_histogram(time_ms, *slot, state.series, value, scratch);
        }
    }

    /// The journal's memory of an open window, and the slots that it refers to.
    pub(crate) fn journal_of(&mut self, window_ms: i64) -> Option<(&mut RowEncoder, &[Slot])> {
        let at = self.window_at(window_ms);
        let window = self.windows.get_mut(at)?;
        Some((&mut window.journal, &self.slots))
    }

    /// An open window, if it is open.
    pub(crate) fn window(&self, start_ms: i64) -> Option<&OpenWindow> {
        self.windows.iter().find(|w| w.data.start_ms() == start_ms)
    }

    /// The index of an open window, which is opened when it is not.
    fn window_at(&mut self, start_ms: i64) -> usize {
        let at = self
            .windows
            .iter()
            .position(|w| w.data.start_ms() == start_ms);
        at.unwrap_or_else(|| {
            self.windows.push(OpenWindow {
                data: WindowData::new(start_ms),
                journal: RowEncoder::default(),
            });
            self.windows.len() - 1
        })
    }

    /// The open windows' data.
    pub(crate) fn windows(&self) -> impl Iterator<Item = &WindowData> {
        self.windows.iter().map(|w| &w.data)
    }

    /// Where the open windows begin.
    pub(crate) fn window_starts(&self) -> Vec<i64> {
        self.windows().map(WindowData::start_ms).collect()
    }

    /// Takes a window out.
    pub(crate) fn take_window(&mut self, start_ms: i64) -> Option<WindowData> {
        let at = self
            .windows
            .iter()
            .position(|w| w.data.start_ms() == start_ms)?;
        Some(self.windows.swap_remove(at).data)
    }

    /// Takes the place from every slot whose newest sample is older; returns them.
    pub(crate) fn deactivate_before(&mut self, horizon_ms: i64) -> Vec<(u32, SeriesId)> {
        let mut idle = Vec::new();
        for (slot, state) in self.slots.iter_mut().enumerate() {
            // A slot without any sample yet was opened a moment ago, unless the target is gone.
            let fresh = state.last_ms == i64::MIN && horizon_ms != i64::MAX;
            if state.active && state.last_ms < horizon_ms && !fresh {
                state.active = false;
                self.n_active -= 1;
                idle.push((slot as u32, state.series));
            }
        }
        idle
    }

    /// The series of a slot.
    pub(crate) fn series_of(&self, slot: u32) -> Option<SeriesId> {
        let series = self.slots.get(slot as usize)?.series;
        (series != FORGOTTEN).then_some(series)
    }

    /// How many of its series have a place.
    pub(crate) fn n_active(&self) -> usize {
        self.n_active
    }

    /// When a slot was last written to.
    pub(crate) fn last_ms(&self, slot: u32) -> Option<i64> {
        self.slots.get(slot as usize).map(|s| s.last_ms)
    }

    pub(crate) fn slot_series(&self, horizon_ms: i64) -> Vec<SeriesId> {
        let kept = self.slots.iter().filter(|s| s.is_kept(horizon_ms));
        kept.map(|s| s.series).collect()
    }

    pub(crate) fn forget_slots(&mut self, horizon_ms: i64) {
        for slot in &mut self.slots {
            if !slot.is_kept(horizon_ms) {
                slot.series = FORGOTTEN;
            }
        }
    }

    pub(crate) fn samples(&self) -> u64 {
        self.windows().map(WindowData::samples).sum()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let windows: usize = self
            .windows
            .iter()
            .map(|w| w.data.memory_bytes() + w.journal.memory_bytes())
            .sum();
        self.slots.capacity() * size_of::<Slot>() + windows
    }
}
