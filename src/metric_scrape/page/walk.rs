//! One walk over a page: what stands next is known, has moved, or is new.

use model::MetricKind;

use super::{
    Content, Counts, Fate, Key, Kind, NEW_BIT, NewLine, Pages, ReadOptions, Reading, Resolve,
    Value, owned,
};
use crate::exposition::line::Pair;

/// The state of a walk.
pub(super) struct Walk<'a, 'r> {
    pub(super) pages: &'a mut Pages,
    pub(super) options: ReadOptions,
    pub(super) resolve: &'a mut Resolve<'r>,
    pub(super) reading: &'a mut Reading,
    pub(super) counts: &'a mut Counts,
    /// The place in `order` that is expected next.
    pub(super) cursor: usize,
}

impl Walk<'_, '_> {
    /// The entry that was expected is there.
    #[inline]
    pub(super) fn advance(&mut self, index: u32) {
        self.cursor += 1;
        if let Some(order) = &mut self.reading.order {
            order.push(index);
        }
    }

    /// Finds a key that is not the expected one; the expectation goes on from there. Nothing for
    /// one never seen.
    pub(super) fn look_up(&mut self, key: Key) -> Option<u32> {
        self.counts.unexpected += 1;
        let (pages, cursor) = (&*self.pages, self.cursor);
        let order = &mut self.reading.order;
        let order = order.get_or_insert_with(|| pages.order[..cursor].to_vec());
        let index = pages.find(key)?;
        order.push(index);
        self.cursor = pages.entries[index as usize].position as usize + 1;
        Some(index)
    }

    /// Takes a sample of a known key.
    #[inline]
    pub(super) fn known(&mut self, index: u32, value: Value, timestamp_ms: Option<i64>) {
        let timestamp_ms = self.options.timestamp(timestamp_ms);
        let slot = self.pages.claim(index, timestamp_ms, self.counts);
        self.reading.take(slot, value, timestamp_ms);
    }

    /// Takes a sample of a known key with its exemplars.
    pub(super) fn known_with_exemplars(&mut self, index: u32, content: Content<'_>) {
        let timestamp_ms = self.options.timestamp(content.timestamp_ms);
        let slot = self.pages.claim(index, timestamp_ms, self.counts);
        self.reading.take(slot, content.value, timestamp_ms);
        if let Some(slot) = slot {
            let exemplars = content.exemplars.into_iter();
            self.reading
                .exemplars
                .extend(exemplars.map(|one| (index, owned(slot, &one, timestamp_ms))));
        }
    }

    /// A line of metadata that is there again.
    #[inline]
    pub(super) fn known_remark(&mut self, index: u32) {
        self.pages.entries[index as usize].seen = self.pages.page_number;
    }

    /// What an entry is.
    #[inline]
    pub(super) fn kind(&self, index: u32) -> Kind {
        self.pages.entries[index as usize].kind
    }

    /// Takes metadata never seen.
    pub(super) fn new_remark(&mut self, key: Key, kind: Option<MetricKind>) {
        self.reading.metadata_changed = true;
        self.push(NewLine {
            key,
            fate: Fate::Remark(kind),
            value: Value::Float(0.0),
            timestamp_ms: None,
            exemplars: Vec::new(),
        });
    }

    /// Takes a sample of a key never seen.
    pub(super) fn new_sample(
        &mut self,
        key: Key,
        pairs: &[Pair<'_>],
        content: Content<'_>,
    ) -> Result<(), String> {
        self.counts.scraped += 1;
        let fate = match (self.resolve)(pairs)? {
            Some(labels) => {
                self.counts.kept += 1;
                Fate::Series(labels)
            }
            None => Fate::Dropped,
        };
        // The page will be refused: no need to hold on to a million label sets.
        if self.counts.kept > self.options.kept_max {
            return Ok(());
        }
        let timestamp_ms = self.options.timestamp(content.timestamp_ms);
        // The slot is known when the series is opened.
        let slot = model::SlotId(0);
        let exemplars = content.exemplars.into_iter();
        self.push(NewLine {
            key,
            fate,
            value: content.value,
            timestamp_ms,
            exemplars: exemplars
                .map(|one| owned(slot, &one, timestamp_ms))
                .collect(),
        });
        Ok(())
    }

    fn push(&mut self, new: NewLine) {
        let order = self.reading.order.get_or_insert_default();
        order.push(NEW_BIT | self.reading.new.len() as u32);
        self.reading.new.push(new);
    }
}
