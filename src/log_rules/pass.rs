//! Brings a batch through rules.
//!
//! 1. Each line meets the rules in their order, as earlier rules have left it; who drops it ends
//!    its way.
//! 2. As long as all lines are as they came, nothing is copied. From the first that is not, the
//!    batch is written anew.
//! 3. What the rules did is noted beside, and counted by the caller once the batch is stored.

use std::borrow::Cow;

use log_query::LineView;
use model::{Labels, LogBatch, LogLine, StoreError, StreamId};

use crate::labels::Answer;
use crate::metrics::Tally;
use crate::rule::{Effect, Rule};

/// A batch behind the rules.
#[derive(Debug)]
pub(crate) struct Passed {
    /// What is left; `None` when the batch is as it was.
    pub(crate) batch: Option<LogBatch>,
    /// What each rule did.
    pub(crate) tallies: Vec<Tally>,
    /// Lines that kept their stream because the store takes no more.
    pub(crate) streams_refused: u64,
}

/// What the rules made of one line.
struct Outcome<'a> {
    dropped: bool,
    line: LogLine,
    text: Cow<'a, [u8]>,
    /// Where they are not those of the line's stream.
    labels: Option<Labels>,
}

/// Brings a batch through the rules. `known` tells the labels of a stream, `open` gives labels
/// theirs.
///
/// # Errors
/// Those of `open`: nothing was done.
pub(crate) fn pass<'k>(
    rules: &[Rule],
    batch: &LogBatch,
    known: impl Fn(StreamId) -> Option<&'k Labels>,
    mut open: impl FnMut(&Labels) -> Result<Answer, StoreError>,
) -> Result<Passed, StoreError> {
    let mut passed = Passed {
        batch: None,
        tallies: vec![Tally::default(); rules.len()],
        streams_refused: 0,
    };
    let nothing = Labels::empty();
    let mut text_start = 0usize;
    for (i, (line, text)) in batch.iter().enumerate() {
        let labels = known(line.stream).unwrap_or(&nothing);
        let mut outcome = bring(rules, line, text, labels, &mut passed.tallies);
        if let Some(labels) = outcome.labels.take() {
            match open(&labels)? {
                Answer::Stream(stream) => outcome.line.stream = stream,
                Answer::Refused => passed.streams_refused += 1,
            }
        }
        let same =
            !outcome.dropped && outcome.line == line && matches!(outcome.text, Cow::Borrowed(_));
        if passed.batch.is_none() && !same {
            passed.batch = Some(before(batch, i, text_start));
        }
        if let Some(out) = &mut passed.batch
            && !outcome.dropped
        {
            let LogLine {
                stream,
                time_ns,
                level,
                ..
            } = outcome.line;
            out.push(stream, time_ns, level, &outcome.text);
        }
        text_start = line.text_end as usize;
    }
    Ok(passed)
}

/// The first lines of a batch and all its checkpoints.
fn before(batch: &LogBatch, lines: usize, text_bytes: usize) -> LogBatch {
    let mut text = Vec::with_capacity(batch.text.len());
    text.extend_from_slice(batch.text.get(..text_bytes).unwrap_or_default());
    let mut kept = Vec::with_capacity(batch.lines.len());
    kept.extend_from_slice(batch.lines.get(..lines).unwrap_or_default());
    LogBatch {
        text,
        lines: kept,
        checkpoints: batch.checkpoints.clone(),
    }
}

/// Brings one line through all rules.
fn bring<'a>(
    rules: &[Rule],
    line: LogLine,
    text: &'a [u8],
    stream_labels: &Labels,
    tallies: &mut [Tally],
) -> Outcome<'a> {
    let mut now = Outcome {
        dropped: false,
        line,
        text: Cow::Borrowed(text),
        labels: None,
    };
    let mut rest = rules.iter().zip(tallies);
    // Each turn looks at the line as it is until a rule changes it.
    loop {
        let view = LineView::new(
            now.labels.as_ref().unwrap_or(stream_labels),
            now.line.level,
            &now.text,
        );
        let change = rest.by_ref().find_map(|(rule, tally)| {
            if !rule.condition.matches(&view) {
                return None;
            }
            tally.lines_seen += 1;
            let effect = rule.action.apply(&view, line.time_ns);
            match &effect {
                Effect::Same => return None,
                Effect::Dropped => {
                    tally.lines_dropped += 1;
                    tally.dropped_bytes += view.text.len() as u64;
                }
                Effect::Changed { .. } => tally.lines_changed += 1,
            }
            Some(effect)
        });
        match change {
            None | Some(Effect::Same) => return now,
            Some(Effect::Dropped) => {
                now.dropped = true;
                return now;
            }
            Some(Effect::Changed {
                text,
                labels,
                level,
            }) => {
                if let Some(text) = text {
                    now.text = Cow::Owned(text);
                }
                if labels.is_some() {
                    now.labels = labels;
                }
                now.line.level = level.unwrap_or(now.line.level);
            }
        }
    }
}
