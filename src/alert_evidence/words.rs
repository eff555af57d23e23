//! Evidence as text for receivers: a curve of block characters and the lines that stand out most.

use std::fmt::Write as _;

use log_query::pattern_of;

use crate::Evidence;
use crate::lines::{LINES_MAX as KEPT_LINES_MAX, Line, Risen};

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
    /// The value that began it, or empty.
    pub value: String,
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
            words.value = evidence.value.map(number).unwrap_or_default();
            if let Some((operator, value)) = &curve.threshold {
                words.threshold = format!("{operator} {}", number(*value));
            }
        }
        let Some(logs) = &evidence.logs else {
            return words;
        };
        let mut told: Vec<String> = Vec::new();
        for risen in &logs.risen {
            words.lines.push(risen_line(risen));
            told.push(pattern_of(&risen.text));
        }
        // The newest of each kind, with the number of those like it.
        let errors = || logs.lines.iter().filter(|line| is_error(&line.level));
        for line in errors().rev() {
            let pattern = pattern_of(&line.text);
            if told.contains(&pattern) {
                continue;
            }
            let alike = errors().filter(|other| pattern_of(&other.text) == pattern);
            words.lines.push(plain_line(line, alike.count()));
            told.push(pattern);
        }
        words.lines.truncate(LINES_MAX);
        words
    }

    /// All of it as a few lines; empty where there is nothing.
    pub fn text(&self) -> String {
        let mut out = String::new();
        out.push_str(&self.sparkline);
        if !self.value.is_empty() {
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(&self.value);
        }
        if !self.threshold.is_empty() && !out.is_empty() {
            let _ = write!(out, " (limit {})", self.threshold);
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
    format!("{}× ({usual}) {}", risen.count, cut(timeless(&risen.text)))
}

fn plain_line(line: &Line, alike: usize) -> String {
    let times = match alike {
        0 | 1 => String::new(),
        // There may be more than were kept.
        n if n >= KEPT_LINES_MAX => format!("{n}× or more "),
        n => format!("{n}× "),
    };
    let source = match line.source.as_str() {
        "" => String::new(),
        source => format!("{source}: "),
    };
    format!("{times}{source}{}", cut(timeless(&line.text)))
}

/// A line without the time that it begins with: the message has come just now.
fn timeless(text: &str) -> &str {
    /// Words that a time may have: `Mon Nov 23 22:44:42 2026`.
    const WORDS_MAX: usize = 5;
    const NAMES: [&str; 19] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Mon",
        "Tue", "Wed", "Thu", "Fri", "Sat", "Sun",
    ];
    let is_part = |word: &str| {
        let word = word.trim_matches(['[', ']', ',']);
        let is_number = |c: char| c.is_ascii_digit() || "-:.,+/TZ".contains(c);
        NAMES.contains(&word)
            || word.contains(|c: char| c.is_ascii_digit()) && word.chars().all(is_number)
    };
    let mut rest = text.trim_start();
    let mut has_clock = false;
    for _ in 0..WORDS_MAX {
        let Some((word, after)) = rest.split_once(' ') else {
            break;
        };
        if !is_part(word) {
            break;
        }
        has_clock |= word.matches(':').count() >= 2;
        rest = after.trim_start();
    }
    // A line may begin with a number that is no time.
    if has_clock { rest } else { text }
}

/// A number as people say it: four digits, and a letter for thousands.
fn number(value: f64) -> String {
    let units = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")];
    let found = units.into_iter().find(|(least, _)| value.abs() >= *least);
    let (scaled, unit) = match found {
        Some((_, "k")) => (value / 1e3, "k"),
        Some((least, unit)) => (value / least, unit),
        None => (value, ""),
    };
    if scaled == 0.0 || !scaled.is_finite() {
        return format!("{scaled}");
    }
    let digits = scaled.abs().log10().floor() as i32;
    if digits < -6 {
        return format!("{scaled:.3e}");
    }
    let decimals = usize::try_from(3 - digits).unwrap_or(0);
    let text = format!("{scaled:.decimals$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text}{unit}")
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
    // What was not there yet is not drawn.
    let first = values.iter().position(Option::is_some).unwrap_or(0);
    let values = values.get(first..).unwrap_or_default();
    if there().nth(1).is_none() {
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
        // One point is no curve, and a curve begins where it begins.
        check(&[None, Some(2.0)], 24, "");
        check(&[None, None, Some(0.0), Some(7.0)], 24, "▁█");
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
            value: Some(1.0),
            logs: Some(LogEvidence {
                lines: vec![
                    line("12:00:01 first"),
                    line("timeout"),
                    line("2026-11-23T22:44:40.485Z last 1"),
                    line("2026-11-23T22:44:41.485Z last 2"),
                ],
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
            "▁█ 1 (limit > 0.5)\n40× (usually 2) timeout\n2× web: last 2\nweb: first"
        );
        assert_eq!(Words::of(&Evidence::default()).text(), "");
    }

    #[test]
    fn times_at_the_beginning_go() {
        let check = |text: &str, expected: &str| assert_eq!(timeless(text), expected);
        check("2026-11-23T22:44:40.485110Z ERROR x", "ERROR x");
        check("Nov 23 22:44:40 pi5 kernel: oom", "pi5 kernel: oom");
        check("[2026/11/23 22:44:40] x", "x");
        check("2026-11-23 22:44:40,123 +0100 x", "x");
        check("500 GET /", "500 GET /");
        check("22:44:40", "22:44:40");
        check("", "");
    }

    #[test]
    fn numbers_are_short() {
        let check = |value: f64, expected: &str| assert_eq!(number(value), expected, "{value}");
        check(0.0, "0");
        check(97.5, "97.5");
        check(0.953_412, "0.9534");
        check(-3.0, "-3");
        check(9_999.0, "9999");
        check(12_345.0, "12.35k");
        check(10_737_418_240.0, "10.74G");
        check(0.000_000_04, "4.000e-8");
        check(f64::INFINITY, "inf");
    }
}
