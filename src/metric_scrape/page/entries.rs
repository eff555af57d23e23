//! The memory of a page's keys: finding, claiming, adding, forgetting.

use hashbrown::HashTable;
use model::{SlotId, StoreError};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Counts, Entry, Fate, FoundExemplar, Key, Kind, NewLine, OpenSlot, Pages, Timestamps};

fn slot_hash(slot: SlotId) -> u64 {
    // Fibonacci hashing: slots are dense, the table wants its high bits mixed.
    u64::from(slot.0).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Pages {
    pub(super) fn find(&self, key: Key) -> Option<u32> {
        let same = |index: &u32| self.entries[*index as usize].key == key;
        self.by_key.find(key.hash, same).copied()
    }

    pub(super) fn find_slot(&self, slot: SlotId) -> Option<u32> {
        let same = |index: &u32| self.entries[*index as usize].kind == Kind::Series(slot);
        self.by_slot.find(slot_hash(slot), same).copied()
    }

    /// Claims the next sample of a known key: its slot, unless the sample is left out.
    #[inline]
    pub(super) fn claim(
        &mut self,
        index: u32,
        timestamp_ms: Option<i64>,
        counts: &mut Counts,
    ) -> Option<SlotId> {
        counts.scraped += 1;
        let page_number = self.page_number;
        let mut entry = &mut self.entries[index as usize];
        if let Kind::Alias(canonical) = entry.kind {
            entry.seen = page_number;
            entry = &mut self.entries[canonical as usize];
        }
        let Kind::Series(slot) = entry.kind else {
            entry.seen = page_number;
            return None;
        };
        counts.kept += 1;
        entry.timed = timestamp_ms.is_some();
        let twice = entry.seen == page_number;
        entry.seen = page_number;
        if timestamp_ms.is_none() && twice {
            counts.duplicates += 1;
            return None;
        }
        Some(slot)
    }

    /// Whether an exemplar was not on the last page. One with a time is left to the store, which
    /// knows the newest.
    pub(super) fn is_news(&mut self, index: u32, exemplar: &FoundExemplar) -> bool {
        if exemplar.timestamp_ms.is_some() {
            return true;
        }
        let value = exemplar.value.to_bits().to_le_bytes();
        let hash = xxh3_64_with_seed(&value, exemplar.labels.fingerprint());
        self.exemplars.insert(index, hash) != Some(hash)
    }

    /// Makes an entry of a new line.
    pub(super) fn admit(
        &mut self,
        new: &NewLine,
        open: &mut OpenSlot<'_>,
    ) -> Result<u32, StoreError> {
        let kind = match &new.fate {
            Fate::Remark(kind) => Kind::Remark(*kind),
            Fate::Dropped => Kind::Dropped,
            Fate::Series(labels) => {
                let slot = open(labels)?;
                self.find_slot(slot).map_or(Kind::Series(slot), Kind::Alias)
            }
        };
        let seen = match kind {
            Kind::Remark(_) | Kind::Dropped => self.page_number,
            _ => 0,
        };
        let entry = Entry {
            key: new.key,
            seen,
            position: 0,
            kind,
            timed: false,
        };
        let index = if let Some(index) = self.free.pop() {
            self.entries[index as usize] = entry;
            index
        } else {
            // A page has fewer lines than bytes, and bytes are limited far below 2^31.
            self.entries.push(entry);
            self.entries.len() as u32 - 1
        };
        let entries = &self.entries;
        self.by_key
            .insert_unique(new.key.hash, index, |i| entries[*i as usize].key.hash);
        match kind {
            Kind::Series(slot) => {
                let hash = |i: &u32| match entries[*i as usize].kind {
                    Kind::Series(slot) => slot_hash(slot),
                    _ => 0,
                };
                self.by_slot.insert_unique(slot_hash(slot), index, hash);
            }
            Kind::Alias(_) => self.aliases += 1,
            _ => {}
        }
        Ok(index)
    }

    /// Forgets what was not on this page, and notes the series among it.
    pub(super) fn sweep(&mut self, timestamps: Timestamps, stale: &mut Vec<SlotId>) {
        for index in 0..self.entries.len() as u32 {
            let entry = self.entries[index as usize];
            if entry.seen == self.page_number || entry.kind == Kind::Free {
                continue;
            }
            if self.live {
                stale.extend(entry.tracked(timestamps));
            }
            remove(&mut self.by_key, entry.key.hash, index);
            self.exemplars.remove(&index);
            match entry.kind {
                Kind::Series(slot) => remove(&mut self.by_slot, slot_hash(slot), index),
                Kind::Alias(_) => self.aliases -= 1,
                _ => {}
            }
            self.entries[index as usize].kind = Kind::Free;
            self.free.push(index);
        }
    }
}

impl Entry {
    /// The slot that needs a stale marker when the line is gone.
    pub(super) fn tracked(&self, timestamps: Timestamps) -> Option<SlotId> {
        let untracked = self.timed
            && timestamps
                != Timestamps::Honor {
                    track_staleness: true,
                };
        match self.kind {
            Kind::Series(slot) if !untracked => Some(slot),
            _ => None,
        }
    }
}

fn remove(table: &mut HashTable<u32>, hash: u64, index: u32) {
    if let Ok(entry) = table.find_entry(hash, |i| *i == index) {
        entry.remove();
    }
}
