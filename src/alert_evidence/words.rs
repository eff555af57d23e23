//! Evidence as text for receivers: a curve of block characters and the lines that stand out most.

use std::fmt::Write as _;

use crate::Evidence;
use crate::lines::{Line, Risen};

/// Block characters of a curve.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Characters of a curve in a message.
const WIDTH: usize = 24;

/// Lines in a message.
const LINES_MAX: usize = 3;

/// The longest line in a message, characters.
const LINE_CHARS_MAX: usize = 160;

/// Evidence in words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Words {
    /// `▁▁▂▃▅▇█`, or empty.
    pub sparkline: String,
    /// What the value is compared with: `> 150`, or empty.
    pub threshold: String,
    /// The lines that stand out most.
    pub lines: Vec<String>,
}

impl Words {
    /// Boils evidence down.
    pub fn of(evidence: &Evidence) -> Self {
        let mut words = Self::default();
        if let Some(curve) = &evidence.curve {
            words.sparkline = sparkline(&curve.values, WIDTH);
            if let Some((operator, value)) = &curve.threshold {
                words.threshold = format!("{operator} {value}");
            }
        }
        let Some(logs) = &evidence.logs else {
            return words;
        };
        let risen = logs.risen.iter().map(risen_line);
        let errors = logs.lines.iter().filter(|l| is_error(&l.level));
        let more = errors
            .rev()
            .filter(|line| logs.risen.iter().all(|risen| risen.text != line.text))
            .map(plain_line);
        words.lines = risen.chain(more).take(LINES_MAX).collect();
        words
    }

    /// All of it as a few lines; empty where there is nothing.
    pub fn text(&self) -> String {
        let mut out = String::new();
        if !self.sparkline.is_empty() {
            out.push_str(&self.sparkline);
            if !self.threshold.is_empty() {
                let _ = write!(out, " (limit {})", self.threshold);
            }
        }
        for line in &self.lines {
            if !out.is_empty() {
                out.push('\n');
            }
            out.push_str(line);
        }
        out
    }
}

fn is_error(level: &str) -> bool {
    matches!(level, "error" | "fatal")
}

fn risen_line(risen: &Risen) -> String {
    let usual = if risen.usual < 0.5 {
        "new".to_owned()
    } else {
        format!("usually {:.0}", risen.usual)
    };
    format!("{}× ({usual}) {}", risen.count, cut(&risen.text))
}

fn plain_line(line: &Line) -> String {
    let text = cut(&line.text);
    if line.source.is_empty() {
        text
    } else {
        format!("{}: {text}", line.source)
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LINE_CHARS_MAX {
        return text.to_owned();
    }
    let kept: String = text.chars().take(LINE_CHARS_MAX - 1).collect();
    format!("{kept}…")
}

/// A curve in block characters, a space for a gap; empty where there is no value.
pub fn sparkline(values: &[Option<f64>], width: usize) -> String {
    let there = || values.iter().flatten().copied();
    let (min, max) = (
        there().fold(f64::INFINITY, f64::min),
        there().fold(f64::NEG_INFINITY, f64::max),
    );
    if min > max || width == 0 {
        return String::new();
    }
    let width = width.min(values.len());
    let mut out = String::new();
    for column in 0..width {
        let (from, to) = (
            column * values.len() / width,
            (column + 1) * values.len() / width,
        );
        let part = values.get(from..to).unwrap_or_default().iter().flatten();
        // The peak of its part: what fires is what was high (or low) for a moment.
        let top = part.copied().fold(f64::NEG_INFINITY, f64::max);
        if top.is_finite() {
            let share = if max > min {
                (top - min) / (max - min)
            } else {
                0.0
            };
            let block = (share * (BLOCKS.len() - 1) as f64).round() as usize;
            out.push(BLOCKS.get(block).copied().unwrap_or('█'));
        } else {
            out.push(' ');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Curve, LogEvidence};

    #[test]
    fn curves_become_blocks() {
        let check = |values: &[Option<f64>], width, expected: &str| {
            assert_eq!(sparkline(values, width), expected, "{values:?}");
        };
        check(&[Some(0.0), Some(3.5), Some(7.0)], 24, "▁▅█");
        check(&[Some(2.0), None, Some(2.0)], 24, "▁ ▁");
        check(&[Some(0.0), Some(7.0), Some(0.0), Some(0.0)], 2, "█▁");
        check(&[None, None], 24, "");
        check(&[], 24, "");
    }

    #[test]
    fn what_stands_out_comes_before_errors_and_nothing_is_said_twice() {
        let line = |text: &str| Line {
            level: "error".to_owned(),
            source: "web".to_owned(),
            text: text.to_owned(),
            ..Line::default()
        };
        let evidence = Evidence {
            curve: Some(Curve {
                values: vec![Some(0.0), Some(1.0)],
                threshold: Some((">".to_owned(), 0.5)),
                ..Curve::default()
            }),
            logs: Some(LogEvidence {
                lines: vec![line("first"), line("timeout"), line("last")],
                risen: vec![Risen {
                    text: "timeout".to_owned(),
                    count: 40,
                    usual: 2.0,
                    ..Risen::default()
                }],
                ..LogEvidence::default()
            }),
            ..Evidence::default()
        };
        assert_eq!(
            Words::of(&evidence).text(),
            "▁█ (limit > 0.5)\n40× (usually 2) timeout\nweb: last\nweb: first"
        );
        assert_eq!(Words::of(&Evidence::default()).text(), "");
    }
}
