//! Blocks that are handed to a fold as counts, without being opened.
//!
//! - Where labels and levels decide, and times are wanted coarsely, the block table says it all.
//! - Where one field of the lines is wanted too, the partition may say how often it has which
//!   values in the block (`values.rs`).

use std::collections::HashMap;
use std::sync::OnceLock;

use log_query::{Fold, LEVEL, MESSAGE, Row, Search, Wanted};
use model::{Labels, Level};

use super::plan::{OfStream, Plan};
use super::scan::{Place, Source, Window};
use crate::metrics::Metrics;
use crate::table::{BlockMeta, MINUTE_NS};
use crate::values::FieldValues;

/// What can be counted of blocks, and what has been read for it.
pub(crate) struct Counted<'a> {
    plan: &'a Plan<'a>,
    window: Window,
    wanted: &'a Wanted,
    metrics: &'a Metrics,
    /// By partition and number of the wanted field; read when first asked for.
    values: HashMap<(u64, usize), OnceLock<Option<FieldValues>>>,
}

impl<'a> Counted<'a> {
    pub(crate) fn new(
        plan: &'a Plan<'a>,
        search: &Search,
        wanted: &'a Wanted,
        metrics: &'a Metrics,
        sources: &[Source],
    ) -> Self {
        let mut values = HashMap::new();
        let mut last = None;
        for source in sources {
            if let Place::Block { partition, .. } = &source.place
                && last.replace(partition.row.id) != Some(partition.row.id)
            {
                for field in 0..wanted.fields.len() {
                    values.insert((partition.row.id, field), OnceLock::new());
                }
            }
        }
        Self {
            plan,
            window: Window::of(search),
            wanted,
            metrics,
            values,
        }
    }

    /// The grain, where counts by label, level and rounded time are all that is wanted of a stream.
    pub(crate) fn grain_ns(&self, labels: &Labels) -> Option<i64> {
        let is_told = |name: &String| name == LEVEL || labels.get(name).is_some();
        self.coarse_ns()
            .filter(|_| self.wanted.fields.iter().all(is_told))
    }

    /// The grain, where lines are wanted as counts at all.
    fn coarse_ns(&self) -> Option<i64> {
        let Wanted {
            text,
            pattern,
            grain_ns,
            ..
        } = self.wanted;
        grain_ns.filter(|grain_ns| *grain_ns > 0 && !text && !pattern)
    }

    /// Hands over a block and says how many lines that were; `None` where it has to be opened.
    pub(crate) fn fold(&self, source: &Source, fold: &mut dyn Fold) -> Option<u64> {
        let block = source.meta()?;
        let of_stream = self.plan.stream(source.stream)?;
        let grain_ns = self.coarse_ns()?;
        let levels = of_stream.need.is_exact()?;
        if !self.window.covers(block.min_ns, block.max_ns) {
            return None;
        }
        match self.grain_ns(of_stream.labels) {
            Some(grain_ns) => fold_table(block, grain_ns, levels, of_stream, fold),
            None => self.fold_values(source, block, grain_ns, levels, of_stream, fold),
        }
    }

    /// Hands over how often a field has which values.
    fn fold_values(
        &self,
        source: &Source,
        block: &BlockMeta,
        grain_ns: i64,
        levels: u8,
        of_stream: OfStream<'_>,
        fold: &mut dyn Fold,
    ) -> Option<u64> {
        let labels = of_stream.labels;
        let start_ns = one_grain(block, grain_ns)?;
        let Place::Block { partition, number } = &source.place else {
            return None;
        };
        let fields = || self.wanted.fields.iter().map(String::as_str).enumerate();
        let mut open = fields().filter(|(_, name)| *name != LEVEL && labels.get(name).is_none());
        let (field, name) = open.next()?;
        // How two fields go together is not known; the sentence may be the whole text.
        if open.next().is_some() || name == MESSAGE {
            return None;
        }
        let values = self.values.get(&(partition.row.id, field))?;
        let values = values
            .get_or_init(|| partition.values(name, self.metrics))
            .as_ref()?;
        let levels = levels & block.levels;
        let counts = values.of_block(*number, levels)?;
        let is_wanted = |level: u8| levels >> level & 1 == 1;
        let mut without = lines_by_level(block);
        for count in counts.iter().filter(|count| is_wanted(count.level)) {
            // More than there are: not to be believed.
            let left = without.get_mut(usize::from(count.level))?;
            *left = left.checked_sub(count.lines)?;
        }
        let mut hand_over = |level: u8, value: Option<&str>, lines: u32| {
            let level = Level::from_number(level);
            let values: Vec<Option<&str>> = fields()
                .map(|(i, name)| match name {
                    _ if i == field => value,
                    LEVEL => Some(level.as_str()),
                    name => labels.get(name),
                })
                .collect();
            let row = Row {
                labels,
                time_ns: start_ns,
                level,
                text: &[],
                values: &values,
                pattern: "",
            };
            fold.alike(&row, u64::from(lines));
            u64::from(lines)
        };
        let mut lines = 0;
        for count in counts.iter().filter(|count| is_wanted(count.level)) {
            lines += hand_over(count.level, Some(values.value(*count)), count.lines);
        }
        for (level, without) in (0..).zip(without) {
            if is_wanted(level) && without > 0 {
                lines += hand_over(level, None, without);
            }
        }
        Some(lines)
    }
}

/// How many lines of each level a block has.
fn lines_by_level(block: &BlockMeta) -> [u32; Level::ALL.len()] {
    let mut lines = [0; Level::ALL.len()];
    for count in &block.counts {
        if let Some(lines) = lines.get_mut(usize::from(count.level)) {
            *lines += count.lines;
        }
    }
    lines
}

/// The grain in which all lines of a block lie, if there is one.
fn one_grain(block: &BlockMeta, grain_ns: i64) -> Option<i64> {
    let is_one = block.min_ns.div_euclid(grain_ns) == block.max_ns.div_euclid(grain_ns);
    is_one.then(|| floor(block.min_ns, grain_ns))
}

/// Hands over a block by its entry in the table.
fn fold_table(
    block: &BlockMeta,
    grain_ns: i64,
    levels: u8,
    of_stream: OfStream<'_>,
    fold: &mut dyn Fold,
) -> Option<u64> {
    let one_grain = one_grain(block, grain_ns);
    if one_grain.is_none() && grain_ns % MINUTE_NS != 0 {
        return None;
    }
    let mut lines = 0;
    for count in &block.counts {
        if levels >> count.level & 1 == 0 {
            continue;
        }
        // All lines of a minute lie in one grain, but its start may lie before the oldest line
        // and, at the edge of time, before what 64 bits hold.
        let start_ns = one_grain.unwrap_or_else(|| {
            let time_ns = count.minute.saturating_mul(MINUTE_NS).max(block.min_ns);
            floor(time_ns, grain_ns)
        });
        let n = u64::from(count.lines);
        let level = Level::from_number(count.level);
        fold.lines(of_stream.labels, level, start_ns, n);
        lines += n;
    }
    Some(lines)
}

/// The beginning of the grain in which a time lies.
pub(crate) fn floor(time_ns: i64, grain_ns: i64) -> i64 {
    time_ns.div_euclid(grain_ns).saturating_mul(grain_ns)
}
