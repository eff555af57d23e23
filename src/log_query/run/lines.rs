//! Lines on their way through pipes that remember: `limit`, `uniq`, `sort`.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::ops::ControlFlow;

use model::StoreError;
use xxhash_rust::xxh3::xxh3_64;

use crate::matches::LineView;
use crate::plan::{Pipe, SortKey};
use crate::reader::Record;
use crate::run::groups::push_value;
use crate::run::stages::{self, Found};
use crate::run::table::compare;

/// Lines that a `sort` without `limit` keeps, bytes.
pub const SORT_BYTES_MAX: usize = 64 << 20;

/// Different values that `uniq` of lines remembers.
pub const UNIQ_MAX: usize = 1_000_000;

/// A line of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The line as it is kept; its level may be one that was read out of it.
    pub record: Record,
    /// What `parse` found in it, names with values; each name once.
    pub found: Vec<(String, String)>,
}

impl Line {
    /// A label, field or property by its name: what was found first, then `time`, `level`,
    /// labels, `message` and the line's own fields.
    pub fn value(&self, name: &str) -> Option<String> {
        let record = &self.record;
        let view = LineView::with_found(&record.labels, record.level, &record.text, &self.found);
        stages::value(&view, record.time_ns, name).map(std::borrow::Cow::into_owned)
    }
}

/// Takes lines as they come; `Break` wants no more.
pub type LineHandler<'a> = dyn FnMut(Line) -> ControlFlow<()> + Send + 'a;

/// A pipe with what it remembers.
pub(crate) enum Stage<'p> {
    Linewise(&'p Pipe),
    Limit(usize),
    Uniq {
        by: &'p [String],
        seen: HashSet<u64>,
    },
    Sort {
        by: &'p [SortKey],
        /// So many are enough.
        keep: Option<usize>,
        lines: Vec<(Vec<String>, Line)>,
        bytes: usize,
    },
}

/// Makes the pipes ready; of the last one so many lines are wanted.
pub(crate) fn stages(pipes: &[Pipe], wanted: usize) -> Vec<Stage<'_>> {
    let after = |i: usize| {
        let next = pipes.get(i + 1..).unwrap_or_default();
        match next
            .iter()
            .find(|pipe| !matches!(pipe, Pipe::Fields(_) | Pipe::Drop(_)))
        {
            Some(Pipe::Limit(n)) => Some(*n),
            Some(_) => None,
            None => Some(wanted).filter(|n| *n < usize::MAX),
        }
    };
    let mut out = Vec::with_capacity(pipes.len());
    for (i, pipe) in pipes.iter().enumerate() {
        out.push(match pipe {
            Pipe::Limit(n) => Stage::Limit(*n),
            Pipe::Uniq(by) => Stage::Uniq {
                by,
                seen: HashSet::new(),
            },
            Pipe::Sort(by) => Stage::Sort {
                by,
                keep: after(i),
                lines: Vec::new(),
                bytes: 0,
            },
            pipe => Stage::Linewise(pipe),
        });
    }
    out
}

/// Hands a line to the first of the stages; what passes all of them goes to the handler.
pub(crate) fn push(
    stages: &mut [Stage<'_>],
    mut line: Line,
    handler: &mut LineHandler<'_>,
) -> Result<ControlFlow<()>, StoreError> {
    let Some((stage, rest)) = stages.split_first_mut() else {
        return Ok(handler(line));
    };
    match stage {
        Stage::Linewise(pipe) => {
            let record = &mut line.record;
            let mut found = Found {
                fields: std::mem::take(&mut line.found),
            };
            let one = std::slice::from_ref(*pipe);
            if !stages::pass(
                one,
                &record.labels,
                &mut record.level,
                &record.text,
                &mut found,
            ) {
                return Ok(ControlFlow::Continue(()));
            }
            line.found = found.fields;
            push(rest, line, handler)
        }
        Stage::Limit(0) => Ok(ControlFlow::Break(())),
        Stage::Limit(left) => {
            *left -= 1;
            let last = *left == 0;
            let flow = push(rest, line, handler)?;
            Ok(if last { ControlFlow::Break(()) } else { flow })
        }
        Stage::Uniq { by, seen } => {
            let mut key = Vec::new();
            for name in *by {
                push_value(&mut key, line.value(name).as_deref());
            }
            if !seen.insert(xxh3_64(&key)) {
                return Ok(ControlFlow::Continue(()));
            }
            if seen.len() > UNIQ_MAX {
                return Err(StoreError::Limit(format!(
                    "more than {UNIQ_MAX} different values of {}: filter before, or narrow the \
                     time range",
                    by.join(", ")
                )));
            }
            push(rest, line, handler)
        }
        Stage::Sort {
            by,
            keep,
            lines,
            bytes,
        } => {
            let values: Vec<String> = by
                .iter()
                .map(|key| line.value(&key.name).unwrap_or_default())
                .collect();
            *bytes += line.record.text.len() + size_of::<Line>();
            lines.push((values, line));
            if let Some(keep) = keep
                && lines.len() >= 2 * (*keep).max(512)
            {
                in_order(lines, by);
                lines.truncate(*keep);
                *bytes = lines
                    .iter()
                    .map(|(_, l)| l.record.text.len() + size_of::<Line>())
                    .sum();
            }
            if *bytes > SORT_BYTES_MAX {
                return Err(StoreError::Limit(format!(
                    "more than {} MiB of lines to sort: write | limit behind it, filter before, \
                     or narrow the time range",
                    SORT_BYTES_MAX >> 20
                )));
            }
            Ok(ControlFlow::Continue(()))
        }
    }
}

/// Hands on what sorting stages have kept back, after the last line.
pub(crate) fn finish(
    stages: &mut [Stage<'_>],
    handler: &mut LineHandler<'_>,
) -> Result<(), StoreError> {
    let Some((stage, rest)) = stages.split_first_mut() else {
        return Ok(());
    };
    if let Stage::Sort { by, lines, .. } = stage {
        in_order(lines, by);
        for (_, line) in std::mem::take(lines) {
            if push(rest, line, handler)?.is_break() {
                break;
            }
        }
    }
    finish(rest, handler)
}

/// Sorts; lines that are equal stay as they came.
fn in_order(lines: &mut [(Vec<String>, Line)], by: &[SortKey]) {
    lines.sort_by(|(a, _), (b, _)| {
        a.iter()
            .zip(b)
            .zip(by)
            .map(|((a, b), key)| compare(a, b, key.descending))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    });
}
