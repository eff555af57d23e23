//! Everything that can be found at one moment.

use std::sync::Arc;

use model::{Labels, StreamId};
use parking_lot::RwLock;

use super::plan::Plan;
use super::scan::{Counters, Place, Source, Window};
use crate::bits::Bits;
use crate::metrics::Metrics;
use crate::open::Segment;
use crate::partition::Partition;
use crate::streams::Streams;

/// Open segments, those being sealed included, and sealed partitions, taken at one moment: each
/// line is in exactly one of them. Holding it changes nothing for whoever appends.
pub(crate) struct Snapshot {
    pub(crate) open: Vec<(StreamId, Arc<Segment>)>,
    pub(crate) partitions: Arc<Vec<Arc<Partition>>>,
    pub(crate) streams: Arc<RwLock<Streams>>,
}

impl Snapshot {
    /// The labels of a stream.
    pub(crate) fn labels(&self, id: StreamId) -> Option<Labels> {
        Some(self.streams.read().get(id)?.labels.clone())
    }

    /// The sources that may hold matching lines, after block tables and indexes have ruled out
    /// what they can. Prepares the plan for their streams.
    pub(crate) fn sources(
        &self,
        plan: &mut Plan<'_>,
        window: Window,
        metrics: &Metrics,
        counters: &mut Counters,
    ) -> Vec<Source> {
        let mut sources = Vec::new();
        for (stream, segment) in &self.open {
            let Some((min_ns, max_ns)) = segment.lines.time_range() else {
                continue;
            };
            if window.overlaps(min_ns, max_ns) && self.is_wanted(plan, *stream) {
                sources.push(Source {
                    stream: *stream,
                    min_ns,
                    max_ns,
                    place: Place::Open(Arc::clone(segment)),
                });
            }
        }
        for partition in self.partitions.iter() {
            if window.overlaps(partition.row.min_ns, partition.row.max_ns) {
                self.add_blocks(partition, plan, window, metrics, counters, &mut sources);
            }
        }
        sources
    }

    /// Whether lines of this stream can match at all.
    fn is_wanted(&self, plan: &mut Plan<'_>, stream: StreamId) -> bool {
        if !plan.has_stream(stream) {
            let Some(labels) = self.labels(stream) else {
                return false;
            };
            plan.add_stream(stream, &labels);
        }
        plan.stream(stream)
            .is_some_and(|stream| !stream.need.is_nothing())
    }

    fn add_blocks(
        &self,
        partition: &Arc<Partition>,
        plan: &mut Plan<'_>,
        window: Window,
        metrics: &Metrics,
        counters: &mut Counters,
        sources: &mut Vec<Source>,
    ) {
        // The index is asked once per need, and only if a block of such a stream is in question.
        let mut candidates: Vec<Option<Bits>> = Vec::new();
        for (number, block) in partition.blocks.iter().enumerate() {
            if !window.overlaps(block.min_ns, block.max_ns) {
                continue;
            }
            if !self.is_wanted(plan, block.stream) {
                counters.blocks_skipped += 1;
                continue;
            }
            let Some(of_stream) = plan.stream(block.stream) else {
                continue;
            };
            if candidates.len() <= of_stream.number {
                candidates.resize(of_stream.number + 1, None);
            }
            let Some(slot) = candidates.get_mut(of_stream.number) else {
                continue;
            };
            let of_need = slot.get_or_insert_with(|| {
                let need = of_stream.need;
                let asks_index = need.is_exact().is_none();
                let index = asks_index.then(|| partition.index(metrics)).flatten();
                need.blocks(index, &partition.blocks)
                    .unwrap_or_else(|error| {
                        metrics.index_failures.inc();
                        tracing::warn!(
                            partition = partition.row.id, %error,
                            "cannot read a block index, searching all its blocks"
                        );
                        Bits::all(partition.blocks.len())
                    })
            });
            if !of_need.contains(number) {
                counters.blocks_skipped += 1;
                continue;
            }
            sources.push(Source {
                stream: block.stream,
                min_ns: block.min_ns,
                max_ns: block.max_ns,
                place: Place::Block {
                    partition: Arc::clone(partition),
                    number,
                },
            });
        }
    }
}
