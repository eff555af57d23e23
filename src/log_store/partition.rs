//! A partition: an immutable folder with a block file, a block table and an index
//! (docs/formats/log_store.md).
//!
//! It is written beside under a temporary name, synced, and renamed; it counts when the catalogue
//! says so. What the catalogue does not know is removed at the next start.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use model::{StoreError, StreamId};
use parking_lot::Mutex;
use rayon::prelude::*;
use tracing::warn;

use crate::block;
use crate::block::decode::Block;
use crate::block::encode::{EncodedBlock, Encoder};
use crate::block::summary::Summary;
use crate::catalogue::PartitionRow;
use crate::failure::{index_failed, io_failed};
use crate::index::{BlockIndex, IndexWriter};
use crate::lines::Lines;
use crate::metrics::Metrics;
use crate::open::Generation;
use crate::patterns::{self, PatternTable};
use crate::table::{self, BlockMeta, count_minutes, levels_of};
use crate::values::{self, FieldValues, ValuesWriter};

const BLOCK_FILE: &str = "blocks";
const TABLE_FILE: &str = "table";
const INDEX_FOLDER: &str = "index";
const TEMPORARY: &str = ".tmp";

/// Blocks encoded at a time: enough for every core of a small machine, 4 MB of text.
const ENCODE_BATCH: usize = 16;

/// A sealed partition.
pub(crate) struct Partition {
    pub(crate) row: PartitionRow,
    folder: PathBuf,
    pub(crate) blocks: Vec<BlockMeta>,
    /// Opened when first asked; `None` inside if that failed.
    index: OnceLock<Option<BlockIndex>>,
    /// Set when retention has dropped it: its files may vanish under a search.
    dropped: AtomicBool,
    damage_told: AtomicBool,
}

/// A block waiting to be encoded.
struct PendingBlock {
    stream: StreamId,
    first_sequence: u64,
    lines: Lines,
}

/// A block ready to be written.
struct ReadyBlock {
    block: PendingBlock,
    encoded: EncodedBlock,
    patterns: PatternTable,
    summary: Summary,
}

/// The name of a partition's folder.
pub(crate) fn folder_name(id: u64) -> String {
    format!("partition-{id:010}")
}

/// The number in the name of a partition's folder, finished or not.
pub(crate) fn folder_number(name: &str) -> Option<u64> {
    let name = name.strip_suffix(TEMPORARY).unwrap_or(name);
    name.strip_prefix("partition-")?.parse().ok()
}

impl Partition {
    /// Opens a partition of the catalogue. One whose table is damaged has no blocks: it is
    /// reported and kept until retention drops it.
    pub(crate) fn open(store: &Path, row: PartitionRow, metrics: &Metrics) -> Self {
        let folder = store.join(folder_name(row.id));
        let path = folder.join(TABLE_FILE);
        let blocks = match fs::read(&path) {
            Ok(bytes) => table::read(&bytes).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let blocks = blocks.unwrap_or_else(|error| {
            metrics.blocks_damaged.inc();
            tracing::error!(
                path = %path.display(), lines = row.lines, error,
                "cannot read a block table, the lines of this partition are missing from answers"
            );
            Vec::new()
        });
        Self::new(folder, row, blocks)
    }

    fn new(folder: PathBuf, row: PartitionRow, blocks: Vec<BlockMeta>) -> Self {
        Self {
            row,
            folder,
            blocks,
            index: OnceLock::new(),
            dropped: AtomicBool::new(false),
            damage_told: AtomicBool::new(false),
        }
    }

    /// Writes a generation, which must hold lines, as a partition and syncs it. On failure nothing
    /// is left behind but what the next start removes.
    pub(crate) fn write(
        store: &Path,
        id: u64,
        generation: &Generation,
        block_bytes: usize,
        sealed_ns: i64,
    ) -> Result<Self, StoreError> {
        let folder = store.join(folder_name(id));
        let temporary = store.join(format!("{}{TEMPORARY}", folder_name(id)));
        let written = write_folder(&temporary, generation, block_bytes).and_then(|blocks| {
            let disk_bytes = folder_bytes(&temporary)?;
            fs::rename(&temporary, &folder)
                .map_err(|source| io_failed("rename", &temporary, source))?;
            sync_folder(store)?;
            Ok((blocks, disk_bytes))
        });
        let (blocks, disk_bytes) = written.inspect_err(|_| {
            remove_quietly(&temporary);
            remove_quietly(&folder);
        })?;
        let row = PartitionRow {
            id,
            min_ns: blocks.iter().map(|b| b.min_ns).min().unwrap_or_default(),
            max_ns: blocks.iter().map(|b| b.max_ns).max().unwrap_or_default(),
            sealed_ns,
            lines: blocks.iter().map(|b| u64::from(b.lines)).sum(),
            text_bytes: blocks.iter().map(|b| b.text_bytes).sum(),
            disk_bytes,
        };
        Ok(Self::new(folder, row, blocks))
    }

    /// Reads and opens a block. The file is opened anew: a search may touch thousands of
    /// partitions, and opening costs little beside decoding.
    pub(crate) fn block(&self, meta: &BlockMeta) -> Result<Block, StoreError> {
        let path = self.folder.join(BLOCK_FILE);
        let file = File::open(&path).map_err(|source| io_failed("open", &path, source))?;
        let mut bytes = vec![0u8; meta.len as usize];
        file.read_exact_at(&mut bytes, meta.offset)
            .map_err(|source| match source.kind() {
                std::io::ErrorKind::UnexpectedEof => self.damaged(meta, "the file is too short"),
                _ => io_failed("read", &path, source),
            })?;
        let block = Block::open(bytes).map_err(|error| self.damaged(meta, &error.to_string()))?;
        if block.len() == meta.lines as usize {
            Ok(block)
        } else {
            Err(self.damaged(meta, "the number of lines differs from the table's"))
        }
    }

    /// The error of a block that does not decode.
    pub(crate) fn damaged(&self, meta: &BlockMeta, why: &str) -> StoreError {
        StoreError::Damaged(format!(
            "block at {} of {}: {why}",
            meta.offset,
            self.folder.join(BLOCK_FILE).display()
        ))
    }

    /// Reports a block that was left out: once per partition in the log, every time in the metric.
    pub(crate) fn tell_damage(&self, error: &StoreError, metrics: &Metrics) {
        metrics.blocks_damaged.inc();
        if !self.damage_told.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, "a damaged block is left out of answers");
        }
    }

    /// Its index, or `None` where it cannot be read: then every block has to be looked at.
    pub(crate) fn index(&self, metrics: &Metrics) -> Option<&BlockIndex> {
        let open = || {
            let folder = self.folder.join(INDEX_FOLDER);
            match BlockIndex::open(&folder, self.blocks.len()) {
                Ok(index) => Some(index),
                Err(error) => {
                    metrics.index_failures.inc();
                    warn!(
                        path = %folder.display(), %error,
                        "cannot read a block index, all its blocks will be searched"
                    );
                    None
                }
            }
        };
        self.index.get_or_init(open).as_ref()
    }

    /// When its patterns were seen; `None` where that cannot be read.
    pub(crate) fn patterns(&self, metrics: &Metrics) -> Option<PatternTable> {
        match patterns::read(&self.folder) {
            Ok(table) => Some(table),
            Err(_) if self.is_dropped() => None,
            Err(why) => {
                let path = self.folder.join(patterns::FILE);
                let error = StoreError::Damaged(format!("{}: {why}", path.display()));
                self.tell_damage(&error, metrics);
                None
            }
        }
    }

    /// How often a field has which values in each block; `None` where that is not known.
    pub(crate) fn values(&self, field: &str, metrics: &Metrics) -> Option<FieldValues> {
        match values::read(&self.folder, field) {
            Ok(values) => values,
            Err(_) if self.is_dropped() => None,
            Err(why) => {
                let path = self.folder.join(values::FILE);
                let error = StoreError::Damaged(format!("{}: {why}", path.display()));
                self.tell_damage(&error, metrics);
                None
            }
        }
    }

    pub(crate) fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Removes its folder, once the catalogue has forgotten it.
    pub(crate) fn remove(&self) {
        self.dropped.store(true, Ordering::Relaxed);
        remove_quietly(&self.folder);
    }
}

/// Removes a folder; what stays behind is tried again at the next start.
pub(crate) fn remove_quietly(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        warn!(path = %folder.display(), %error, "cannot remove a folder, trying again at the next start");
    }
}

fn write_folder(
    folder: &Path,
    generation: &Generation,
    block_bytes: usize,
) -> Result<Vec<BlockMeta>, StoreError> {
    remove_quietly(folder);
    let index_folder = folder.join(INDEX_FOLDER);
    fs::create_dir_all(&index_folder)
        .map_err(|source| io_failed("create", &index_folder, source))?;
    let mut index = IndexWriter::create(&index_folder)
        .map_err(|error| index_failed("create an index in", &index_folder, error))?;
    let path = folder.join(BLOCK_FILE);
    let file = File::create(&path).map_err(|source| io_failed("create", &path, source))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let mut blocks: Vec<BlockMeta> = Vec::new();
    let mut offset = 0u64;
    let mut pending = Vec::with_capacity(ENCODE_BATCH);
    let encoders = Mutex::new(Vec::new());
    let mut all_patterns = PatternTable::default();
    let mut all_values = ValuesWriter::default();
    let mut write_batch = |pending: &mut Vec<PendingBlock>| {
        for ready in encode_batch(pending, &encoders, &path)? {
            let ReadyBlock {
                block,
                encoded,
                patterns,
                summary,
            } = ready;
            all_patterns.merge(patterns);
            all_values.add(summary);
            out.write_all(&encoded.bytes)
                .map_err(|source| io_failed("write", &path, source))?;
            index
                .add_block(&encoded.terms)
                .map_err(|error| index_failed("write an index in", &index_folder, error))?;
            blocks.push(meta_of(&block, offset, encoded.bytes.len())?);
            offset += encoded.bytes.len() as u64;
        }
        Ok::<_, StoreError>(())
    };
    for (stream, (_, segments)) in &generation.streams {
        let mut lines = Lines::default();
        let mut first_sequence = 0;
        for segment in segments {
            let times = segment.lines.times().iter().zip(segment.lines.levels());
            for (row, (text, (time_ns, level))) in segment.lines.texts().zip(times).enumerate() {
                let is_full = lines.text_bytes() + text.len() > block_bytes
                    || lines.len() >= block::LINES_MAX;
                if !lines.is_empty() && is_full {
                    pending.push(PendingBlock {
                        stream: *stream,
                        first_sequence,
                        lines: std::mem::take(&mut lines),
                    });
                    if pending.len() >= ENCODE_BATCH {
                        write_batch(&mut pending)?;
                    }
                }
                if lines.is_empty() {
                    first_sequence = segment.first_sequence + row as u64;
                }
                lines.push(*time_ns, model::Level::from_number(*level), text);
            }
        }
        if !lines.is_empty() {
            pending.push(PendingBlock {
                stream: *stream,
                first_sequence,
                lines,
            });
        }
        if pending.len() >= ENCODE_BATCH {
            write_batch(&mut pending)?;
        }
    }
    write_batch(&mut pending)?;
    let file = out
        .into_inner()
        .map_err(|error| io_failed("write", &path, error.into_error()))?;
    file.sync_all()
        .map_err(|source| io_failed("sync", &path, source))?;
    index
        .finish()
        .map_err(|error| index_failed("write an index in", &index_folder, error))?;
    let path = folder.join(TABLE_FILE);
    let bytes = table::write(&blocks).map_err(|source| io_failed("compress", &path, source))?;
    write_synced(&path, &bytes)?;
    let path = folder.join(patterns::FILE);
    let bytes = all_patterns
        .write()
        .map_err(|source| io_failed("compress", &path, source))?;
    write_synced(&path, &bytes)?;
    let path = folder.join(values::FILE);
    let bytes = all_values
        .write()
        .map_err(|source| io_failed("compress", &path, source))?;
    write_synced(&path, &bytes)?;
    sync_files(&index_folder)?;
    sync_folder(folder)?;
    Ok(blocks)
}

/// Encodes blocks on all cores, in order. Encoders are kept for the next batch: making one costs
/// as much as a block.
fn encode_batch(
    pending: &mut Vec<PendingBlock>,
    encoders: &Mutex<Vec<Encoder>>,
    path: &Path,
) -> Result<Vec<ReadyBlock>, StoreError> {
    let blocks = std::mem::take(pending);
    let encoded: Vec<std::io::Result<_>> = blocks
        .par_iter()
        .map(|block| {
            let kept = encoders.lock().pop();
            let mut encoder = kept.map_or_else(Encoder::new, Ok)?;
            let encoded = encoder.encode(&block.lines);
            encoders.lock().push(encoder);
            let encoded = encoded?;
            // Read back at once, as a search will: a block that could not be is never committed.
            let (patterns, summary) =
                read_back(&encoded, &block.lines).map_err(std::io::Error::other)?;
            Ok((encoded, patterns, summary))
        })
        .collect();
    blocks
        .into_iter()
        .zip(encoded)
        .map(|(block, encoded)| {
            let (encoded, patterns, summary) =
                encoded.map_err(|source| io_failed("compress a block of", path, source))?;
            Ok(ReadyBlock {
                block,
                encoded,
                patterns,
                summary,
            })
        })
        .collect()
}

/// What is told of a block beside it.
fn read_back(
    encoded: &EncodedBlock,
    lines: &Lines,
) -> Result<(PatternTable, Summary), block::bytes::Corrupt> {
    let mut block = Block::open(encoded.bytes.clone())?;
    let patterns = PatternTable::of_block(&mut block, lines)?;
    Ok((patterns, block.summary(lines)?))
}

fn meta_of(block: &PendingBlock, offset: u64, len: usize) -> Result<BlockMeta, StoreError> {
    let (min_ns, max_ns) = block.lines.time_range().unwrap_or_default();
    let counts = count_minutes(block.lines.times(), block.lines.levels());
    Ok(BlockMeta {
        stream: block.stream,
        first_sequence: block.first_sequence,
        lines: block.lines.len() as u32,
        text_bytes: block.lines.text_bytes() as u64,
        offset,
        len: u32::try_from(len)
            .map_err(|_| StoreError::Refused("a line does not fit into a block".to_owned()))?,
        min_ns,
        max_ns,
        levels: levels_of(&counts),
        counts,
    })
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    File::create(path)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .map_err(|source| io_failed("write", path, source))
}

/// Syncs a folder's entries.
fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| io_failed("sync", folder, source))
}

/// Syncs the files in a folder and the folder itself.
fn sync_files(folder: &Path) -> Result<(), StoreError> {
    let failed = |source| io_failed("sync", folder, source);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        File::open(&path)
            .and_then(|file| file.sync_all())
            .map_err(|source| io_failed("sync", &path, source))?;
    }
    sync_folder(folder)
}

fn folder_bytes(folder: &Path) -> Result<u64, StoreError> {
    let failed = |source| io_failed("read", folder, source);
    let mut bytes = 0;
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let metadata = entry.metadata().map_err(failed)?;
        bytes += if metadata.is_dir() {
            folder_bytes(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(bytes)
}
