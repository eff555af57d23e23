//! The streams of one file: by output, opened when their first line comes.

use model::{Labels, StreamId};

use crate::decode::Record;
use crate::formats::Output;
use crate::outlet::{Outlet, Stopped};

/// A stream of a file, once the store was asked for it. `Refused`: its lines are dropped.
#[derive(Debug, Clone, Copy)]
enum Stream {
    NotOpened,
    Open(StreamId),
    Refused,
}

/// The streams of a file: without output, stdout, stderr.
#[derive(Debug)]
pub(crate) struct Streams {
    labels: Labels,
    opened: [Stream; 3],
}

impl Streams {
    pub(crate) fn new(labels: Labels) -> Self {
        Self {
            labels,
            opened: [Stream::NotOpened; 3],
        }
    }

    /// Adds a record to its stream.
    pub(crate) fn give(&mut self, record: Record<'_>, outlet: &mut Outlet) -> Result<(), Stopped> {
        let slot = record.output.map_or(0, |output| 1 + output as usize);
        if matches!(self.opened[slot], Stream::NotOpened) {
            let labels = self.labels_of(record.output);
            self.opened[slot] = match outlet.open_stream(&labels)? {
                Some(stream) => Stream::Open(stream),
                None => Stream::Refused,
            };
        }
        match self.opened[slot] {
            Stream::Open(stream) => {
                outlet.line(stream, record.time_ns, record.level, record.text);
            }
            Stream::NotOpened | Stream::Refused => outlet.drop_line(record.text.len()),
        }
        Ok(())
    }

    fn labels_of(&self, output: Option<Output>) -> Labels {
        match output {
            Some(output) => {
                let mut labels = self.labels.to_builder();
                labels.set("stream", output.as_str());
                labels.build()
            }
            None => self.labels.clone(),
        }
    }
}
