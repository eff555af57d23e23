//! The index of a partition: which of its blocks hold a term?
//!
//! One tantivy index per partition with a single segment that is never merged, one document per
//! block (its number is the block's), one field, no positions, no norms, nothing stored. The
//! feature `quickwit` of tantivy selects its sstable dictionary, half the size of the other.

use std::path::Path;
use std::sync::Arc;

use tantivy::directory::MmapDirectory;
use tantivy::postings::SegmentPostings;
use tantivy::schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{TextAnalyzer, Token, TokenStream, Tokenizer, TokenizerManager};
use tantivy::{
    DocSet, Index, IndexSettings, InvertedIndexReader, SegmentReader, SingleSegmentIndexWriter,
    TERMINATED, TantivyDocument, Term,
};

use crate::bits::Bits;
use crate::tokens::{Lookup, Marker};

const FIELD: &str = "body";
const TOKENIZER: &str = "terms";

/// The writer flushes nowhere before it is finished; the budget only sizes its tables.
const WRITER_BYTES: usize = 64 << 20;

/// A prefix with more terms than this prunes too little to be worth reading them all.
const PREFIX_TERMS_MAX: usize = 5_000;

/// Writes the index of a partition.
pub(crate) struct IndexWriter {
    writer: SingleSegmentIndexWriter,
    field: Field,
}

impl IndexWriter {
    /// Begins an index in an empty folder.
    pub(crate) fn create(folder: &Path) -> tantivy::Result<Self> {
        let (schema, field) = schema();
        let tokenizers = TokenizerManager::default();
        tokenizers.register(TOKENIZER, TextAnalyzer::from(SplitOnSpace::default()));
        let writer = Index::builder()
            .schema(schema)
            .settings(IndexSettings {
                docstore_compress_dedicated_thread: false,
                ..IndexSettings::default()
            })
            .tokenizers(tokenizers)
            .single_segment_index_writer(MmapDirectory::open(folder)?, WRITER_BYTES)?;
        Ok(Self { writer, field })
    }

    /// Adds the next block by its terms, each once, with spaces between them.
    pub(crate) fn add_block(&mut self, terms: &str) -> tantivy::Result<()> {
        let mut document = TantivyDocument::new();
        document.add_text(self.field, terms);
        self.writer.add_document(document)
    }

    /// Writes it all.
    pub(crate) fn finish(self) -> tantivy::Result<()> {
        self.writer.finalize().map(drop)
    }
}

fn schema() -> (Schema, Field) {
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(TOKENIZER)
        .set_index_option(IndexRecordOption::Basic)
        .set_fieldnorms(false);
    let mut builder = Schema::builder();
    let field =
        builder.add_text_field(FIELD, TextOptions::default().set_indexing_options(indexing));
    (builder.build(), field)
}

/// Splits what `TermSet::join` joined.
#[derive(Clone, Default)]
struct SplitOnSpace {
    token: Token,
}

struct Split<'a> {
    rest: std::str::Split<'a, char>,
    token: &'a mut Token,
}

impl Tokenizer for SplitOnSpace {
    type TokenStream<'a> = Split<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Split<'a> {
        self.token.reset();
        Split {
            rest: text.split(' '),
            token: &mut self.token,
        }
    }
}

impl TokenStream for Split<'_> {
    fn advance(&mut self) -> bool {
        let Some(term) = self.rest.find(|term| !term.is_empty()) else {
            return false;
        };
        self.token.text.clear();
        self.token.text.push_str(term);
        self.token.position = self.token.position.wrapping_add(1);
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

/// Reads the index of a partition.
pub(crate) struct BlockIndex {
    inverted: Arc<InvertedIndexReader>,
    field: Field,
    blocks: usize,
}

impl BlockIndex {
    /// Opens the index of a partition with so many blocks and checks the checksums of its files:
    /// a flipped bit would make searches leave out blocks without a word.
    pub(crate) fn open(folder: &Path, blocks: usize) -> tantivy::Result<Self> {
        let index = Index::open_in_dir(folder)?;
        let field = index.schema().get_field(FIELD)?;
        let segments = index.searchable_segments()?;
        let [segment] = segments.as_slice() else {
            return Err(tantivy::TantivyError::SystemError(format!(
                "{} segments instead of one",
                segments.len()
            )));
        };
        check_files(&index, folder)?;
        let reader = SegmentReader::open(segment)?;
        if reader.max_doc() as usize != blocks {
            return Err(tantivy::TantivyError::SystemError(format!(
                "{} documents for {blocks} blocks",
                reader.max_doc()
            )));
        }
        Ok(Self {
            inverted: reader.inverted_index(field)?,
            field,
            blocks,
        })
    }

    /// The blocks that may hold what is looked up.
    pub(crate) fn blocks_with(&self, lookup: &Lookup) -> tantivy::Result<Bits> {
        match lookup {
            Lookup::Nothing => Ok(Bits::all(self.blocks)),
            Lookup::Term(term, marker) => {
                let mut found = self.with_term(term)?;
                if let Some(marker) = marker {
                    found.unite(&self.with_marker(*marker)?);
                }
                Ok(found)
            }
            Lookup::Prefix(prefix) => self.with_prefix(prefix),
        }
    }

    /// The blocks with a marker.
    pub(crate) fn with_marker(&self, marker: Marker) -> tantivy::Result<Bits> {
        self.with_term(marker.term())
    }

    fn with_term(&self, term: &[u8]) -> tantivy::Result<Bits> {
        let mut found = Bits::none(self.blocks);
        // Terms are whole characters (`TermSet`), and so are the words of queries.
        let Ok(text) = std::str::from_utf8(term) else {
            return Ok(Bits::all(self.blocks));
        };
        let term = Term::from_field_text(self.field, text);
        if let Some(postings) = self
            .inverted
            .read_postings(&term, IndexRecordOption::Basic)?
        {
            add(postings, &mut found);
        }
        Ok(found)
    }

    fn with_prefix(&self, prefix: &[u8]) -> tantivy::Result<Bits> {
        let mut found = Bits::none(self.blocks);
        // No term holds the byte 0xff, so this is the first key behind all that begin so.
        let end: Vec<u8> = prefix.iter().copied().chain([0xff]).collect();
        let mut terms = self
            .inverted
            .terms()
            .range()
            .ge(prefix)
            .lt(end)
            .into_stream()?;
        let mut n = 0;
        while terms.advance() {
            n += 1;
            if n > PREFIX_TERMS_MAX {
                return Ok(Bits::all(self.blocks));
            }
            let info = terms.value();
            add(
                self.inverted
                    .read_postings_from_terminfo(info, IndexRecordOption::Basic)?,
                &mut found,
            );
        }
        Ok(found)
    }
}

/// Refuses an index of which a file has another checksum than when it was written.
fn check_files(index: &Index, folder: &Path) -> tantivy::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let path = Path::new(&name);
        // The files of a segment are named by it; what is JSON says itself when it is damaged.
        let is_checked = path
            .extension()
            .is_some_and(|kind| kind != "json" && kind != "lock");
        if is_checked && !index.directory().validate_checksum(path)? {
            return Err(tantivy::TantivyError::SystemError(format!(
                "the checksum of {} does not match",
                path.display()
            )));
        }
    }
    Ok(())
}

fn add(mut postings: SegmentPostings, found: &mut Bits) {
    let mut doc = postings.doc();
    while doc != TERMINATED {
        found.insert(doc as usize);
        doc = postings.advance();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_blocks_by_term_prefix_and_marker() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut writer = IndexWriter::create(folder.path()).expect("a writer");
        for terms in ["error timeout ", "tim \x01d ", "", "time error "] {
            writer.add_block(terms).expect("added");
        }
        writer.finish().expect("finished");
        let index = BlockIndex::open(folder.path(), 4).expect("it opens");
        let check = |lookup: Lookup, expected: &[usize]| {
            let found: Vec<usize> = index.blocks_with(&lookup).expect("found").iter().collect();
            assert_eq!(found, expected, "{lookup:?}");
        };
        check(Lookup::Term(b"error".to_vec(), None), &[0, 3]);
        check(Lookup::Term(b"none".to_vec(), None), &[]);
        check(Lookup::Term(b"2026".to_vec(), Some(Marker::Date)), &[1]);
        check(Lookup::Prefix(b"time".to_vec()), &[0, 3]);
        check(Lookup::Prefix(b"x".to_vec()), &[]);
        check(Lookup::Nothing, &[0, 1, 2, 3]);
        assert!(BlockIndex::open(folder.path(), 5).is_err());
    }
}
