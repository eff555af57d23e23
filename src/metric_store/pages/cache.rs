//! Directories kept in memory, up to a number of bytes; the least recently used ones go.

use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::directory::Directory;

#[derive(Debug)]
struct Kept {
    directory: Arc<Directory>,
    bytes: usize,
    used: u64,
}

#[derive(Debug, Default)]
struct State {
    kept: FxHashMap<u32, Kept>,
    bytes: usize,
    /// Counts uses: the clock of "recently".
    uses: u64,
}

/// Directories by segment.
#[derive(Debug)]
pub(crate) struct DirectoryCache {
    bytes_max: usize,
    state: Mutex<State>,
}

impl DirectoryCache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            state: Mutex::default(),
        }
    }

    pub(crate) fn get(&self, segment: u32) -> Option<Arc<Directory>> {
        let mut state = self.state.lock();
        state.uses += 1;
        let uses = state.uses;
        let kept = state.kept.get_mut(&segment)?;
        kept.used = uses;
        Some(kept.directory.clone())
    }

    /// Keeps a directory; returns how many others had to go. One that is larger than the whole
    /// cache is not kept.
    pub(crate) fn put(&self, segment: u32, directory: Arc<Directory>) -> usize {
        let bytes = directory.memory_bytes();
        if bytes > self.bytes_max {
            return 0;
        }
        let mut state = self.state.lock();
        state.uses += 1;
        let used = state.uses;
        let kept = Kept {
            directory,
            bytes,
            used,
        };
        state.bytes += bytes;
        if let Some(old) = state.kept.insert(segment, kept) {
            state.bytes -= old.bytes;
        }
        let mut evicted = 0;
        while state.bytes > self.bytes_max {
            let oldest = state.kept.iter().min_by_key(|(_, kept)| kept.used);
            let Some(oldest) = oldest.map(|(segment, _)| *segment) else {
                break;
            };
            if let Some(kept) = state.kept.remove(&oldest) {
                state.bytes -= kept.bytes;
                evicted += 1;
            }
        }
        evicted
    }

    pub(crate) fn remove(&self, segment: u32) {
        let mut state = self.state.lock();
        if let Some(kept) = state.kept.remove(&segment) {
            state.bytes -= kept.bytes;
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.state.lock().bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes() {
        let directory = || {
            Arc::new(Directory {
                entries: Vec::new(),
                times: vec![vec![0; 100].into()],
            })
        };
        let bytes = directory().memory_bytes();
        let cache = DirectoryCache::new(bytes * 2);
        assert_eq!(cache.put(1, directory()), 0);
        assert_eq!(cache.put(2, directory()), 0);
        assert!(cache.get(1).is_some());
        assert_eq!(cache.put(3, directory()), 1);
        assert!(cache.get(2).is_none());
        assert!(cache.get(1).is_some() && cache.get(3).is_some());
        cache.remove(1);
        assert_eq!(cache.memory_bytes(), bytes);
    }
}
