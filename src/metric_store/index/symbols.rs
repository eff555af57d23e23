//! Strings, each kept once and numbered.

use std::sync::Arc;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

/// All names and values.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    texts: Vec<Arc<str>>,
    ids: HashTable<u32>,
    bytes: usize,
}

impl Symbols {
    pub(crate) fn get(&self, id: u32) -> Option<&Arc<str>> {
        self.texts.get(id as usize)
    }

    pub(crate) fn find(&self, text: &str) -> Option<u32> {
        // xxh3 rather than Fx: the texts come from outside.
        self.ids
            .find(xxh3_64(text.as_bytes()), |id| {
                self.get(*id).is_some_and(|known| **known == *text)
            })
            .copied()
    }

    pub(crate) fn intern(&mut self, text: &Arc<str>) -> u32 {
        if let Some(id) = self.find(text) {
            return id;
        }
        let id = self.texts.len() as u32;
        self.bytes += text.len();
        self.texts.push(text.clone());
        let texts = &self.texts;
        self.ids.insert_unique(xxh3_64(text.as_bytes()), id, |id| {
            texts
                .get(*id as usize)
                .map_or(0, |text| xxh3_64(text.as_bytes()))
        });
        id
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        // Two reference counts stand before each text.
        self.bytes + self.texts.len() * 16 + self.texts.capacity() * 16 + self.ids.capacity() * 5
    }
}
