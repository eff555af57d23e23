//! Reading the queue from where the remote had everything, file by file.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;

use model::{Labels, StoreError};
use rustc_hash::FxHashMap;

use super::frame::{self, Frame, HEAD, OVERHEAD};
use super::{Item, Known, Position, Queue, failed};

/// Where reading is.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) at: Position,
    file: Option<(u64, File)>,
    /// What the file has explained so far.
    series: FxHashMap<u32, Labels>,
}

/// Samples with their labels, the position behind them, and how many damaged parts were passed over.
type Batch = (Vec<(Labels, Item)>, Position, u64);

impl Reading {
    /// Begins at a place.
    pub(super) fn from(at: Position) -> Self {
        Self {
            at,
            ..Self::default()
        }
    }
}

impl Queue {
    /// Reads further items, at least one frame's and up to about `items_max`, to the place that is
    /// to be committed when they have arrived. Frames that are damaged are told by number.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn read(&mut self, items_max: usize) -> Result<Batch, StoreError> {
        let mut items = Vec::new();
        let mut damaged = 0;
        while items.len() < items_max {
            let Some(known) = self.next_file() else {
                break;
            };
            if !self.enter(known.number)? {
                damaged += 1;
                continue;
            }
            match self.frame()? {
                Frame::Body(body) => {
                    if frame::decode(&body, &mut self.reading.series, &mut items).is_none() {
                        damaged += 1;
                    }
                }
                // The file that is written to goes on; another one is done.
                Frame::End if self.files.back().is_some_and(|f| f.number == known.number) => break,
                Frame::End => self.leave(known.number),
                Frame::Damaged => {
                    damaged += 1;
                    self.leave(known.number);
                }
            }
        }
        Ok((items, self.reading.at, damaged))
    }

    /// Goes back to what has not arrived: whoever had read further is no more.
    pub fn rewind(&mut self) {
        self.reading = Reading::from(self.committed);
    }

    /// The file to read from: that of the position, or the next one where it is gone.
    fn next_file(&self) -> Option<Known> {
        let at = self.reading.at.file;
        self.files.iter().find(|file| file.number >= at).copied()
    }

    fn leave(&mut self, number: u64) {
        self.reading = Reading::from(Position {
            file: number + 1,
            offset: 0,
        });
    }

    /// Opens a file and, where reading goes on in its middle, learns the series before. Says no to
    /// one that is no queue's file.
    fn enter(&mut self, number: u64) -> Result<bool, StoreError> {
        let open = self.reading.file.as_ref();
        if open.is_some_and(|(n, _)| *n == number) {
            return Ok(true);
        }
        let path = self.path(number);
        let mut file = File::open(&path).map_err(failed("open", &path))?;
        let mut head = [0; HEAD.len()];
        if file.read_exact(&mut head).is_err() || head != HEAD {
            self.leave(number);
            return Ok(false);
        }
        let to = match self.reading.at {
            Position { file, offset } if file == number => offset,
            _ => 0,
        };
        self.reading = Reading {
            at: Position {
                file: number,
                offset: HEAD.len() as u64,
            },
            file: Some((number, file)),
            series: FxHashMap::default(),
        };
        let mut passed = Vec::new();
        while self.reading.at.offset < to
            && let Frame::Body(body) = self.frame()?
        {
            passed.clear();
            // What is damaged here was told when it was read first.
            let _ = frame::decode(&body, &mut self.reading.series, &mut passed);
        }
        Ok(true)
    }

    fn frame(&mut self) -> Result<Frame, StoreError> {
        let Some((_, file)) = &mut self.reading.file else {
            return Ok(Frame::End);
        };
        let frame = file
            .seek(SeekFrom::Start(self.reading.at.offset))
            .and_then(|_| Frame::read(file))
            .map_err(failed("read the queue in", &self.folder))?;
        if let Frame::Body(body) = &frame {
            self.reading.at.offset += OVERHEAD + body.len() as u64;
        }
        Ok(frame)
    }

    /// How many items of a file nobody has read yet, as far as it is sound.
    pub(super) fn unread(&self, number: u64) -> u64 {
        let from = match self.reading.at {
            Position { file, .. } if file > number => return 0,
            Position { file, offset } if file == number => offset.max(HEAD.len() as u64),
            _ => HEAD.len() as u64,
        };
        let count = |path: PathBuf| {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(from))?;
            let mut file = BufReader::new(file);
            let mut items = 0;
            while let Frame::Body(body) = Frame::read(&mut file)? {
                items += frame::count(&body);
            }
            Ok::<_, std::io::Error>(items)
        };
        // A file that cannot be read could not have been sent either.
        count(self.path(number)).unwrap_or(0)
    }
}
