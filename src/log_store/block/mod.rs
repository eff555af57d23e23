//! A block: some 256 KB of consecutive lines of one stream, as columns, lossless to the byte
//! (docs/formats/log_store.md).
//!
//! 1. [`template`] takes each line apart into its shape and its variables.
//! 2. [`encode`] turns the variables of equal shapes into typed columns, packs them into a few
//!    zstd frames, and collects the words for the index on the way.
//! 3. [`decode`] opens a block and decodes only the [`frames`] and the columns of its [`directory`]
//!    that are asked for.
//! 4. [`fields`] reads a field of JSON, logfmt and the like as a column.
//! 5. [`patterns`] says which lines look alike, [`summary`] which values fields have how often.
//! 6. [`find`] says which lines hold a text by looking at shapes and columns, without rebuilding
//!    a single line; what is [`sought`] may reach over several pieces ([`crossing`]).
//!
//! Blocks know nothing of streams, files and queries.

pub(crate) mod bytes;
mod crossing;
pub(crate) mod decode;
mod directory;
pub(crate) mod encode;
pub(crate) mod fields;
mod find;
mod frames;
mod ints;
pub(crate) mod patterns;
pub(crate) mod sought;
pub(crate) mod summary;
pub(crate) mod template;
pub(crate) mod time_text;
mod values;
pub(crate) mod verdict;

/// Version of the format that is written. Readers know all up to it.
pub(crate) const VERSION: u8 = 2;

/// The oldest version that is read. It has no [`kind::PLAIN`] and no [`HAS_RETURNS`].
const VERSION_OLDEST: u8 = 1;

/// Bits of the byte in the directory that tells what stands in any of the lines.
const HAS_ESCAPES: u8 = 1;
const HAS_RETURNS: u8 = 2;

/// Lines in a block at most: short lines would else make blocks that take long to open.
pub(crate) const LINES_MAX: usize = 1 << 16;

/// Columns with less than so many bytes share a frame: a frame of its own costs more than it saves.
const SMALL_COLUMN_BYTES: usize = 512;

/// Frames below this size are not worth compressing.
const COMPRESS_MIN_BYTES: usize = 40;

/// The frames with a fixed place; large columns follow.
const FRAME_DIRECTORY: usize = 0;
const FRAME_DICTIONARY: usize = 1;
const FRAME_TEXT: usize = 2;
const FRAME_PACKED: usize = 3;
const FRAME_SMALL: usize = 4;
const FRAME_ODD: usize = 5;
const FRAMES_FIXED: usize = 6;

/// How the values of a variable are stored.
mod kind {
    pub(super) const CONSTANT: u8 = 0;
    pub(super) const INTEGER: u8 = 1;
    pub(super) const DECIMAL: u8 = 2;
    pub(super) const HEX: u8 = 3;
    pub(super) const DICTIONARY: u8 = 4;
    pub(super) const TEXT: u8 = 5;
    pub(super) const TIME_CONSTANT: u8 = 6;
    pub(super) const TIME: u8 = 7;
    pub(super) const PLAIN: u8 = 8;
}

/// Values end with this byte in the text and dictionary frames; none of them holds it.
const VALUE_END: u8 = b'\n';
