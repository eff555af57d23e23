//! Small charts that the server draws: a line over time, and bars of log lines by level.
//!
//! They are SVGs stretched to their place; numbers stand beside them as text.

use std::fmt::{self, Write as _};

use askama::filters::HtmlSafe;
use log_query::Bucket;
use model::Level;

use crate::html::Escaped;

/// Height of the drawing in its own units; its width is the number of points.
const HEIGHT: f64 = 40.0;

/// A line over time.
pub(crate) struct Sparkline<'a> {
    /// One value per step, `NaN` for a gap.
    pub(crate) values: &'a [f64],
    /// The value at the top; that of the highest point where it is `None`. The bottom is 0.
    pub(crate) top: Option<f64>,
    /// What it says to those who do not see it.
    pub(crate) label: &'a str,
}

impl fmt::Display for Sparkline<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let highest = self
            .values
            .iter()
            .copied()
            .filter(|v| v.is_finite())
            .fold(0.0, f64::max);
        let top = self.top.unwrap_or(highest).max(f64::MIN_POSITIVE);
        let width = self.values.len().max(2) - 1;
        write!(
            f,
            r#"<svg class="spark" viewBox="0 0 {width} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{}"><path class="base" d="M0 {HEIGHT}H{width}"/>"#,
            Escaped(self.label)
        )?;
        let y = |value: f64| HEIGHT - (value / top).clamp(0.0, 1.0) * (HEIGHT - 2.0);
        let mut at = 0;
        // Each run between gaps is a line of its own.
        for run in self.values.split(|value| !value.is_finite()) {
            if !run.is_empty() {
                let last = at + run.len() - 1;
                let mut line = String::new();
                for (i, value) in run.iter().enumerate() {
                    let _ = write!(
                        line,
                        "{}{} {:.1}",
                        if i == 0 { "M" } else { "L" },
                        at + i,
                        y(*value)
                    );
                }
                write!(f, r#"<path class="area" d="{line}V{HEIGHT}H{at}Z"/>"#)?;
                // A lone point has no length; it is drawn one step wide.
                let tail = if run.len() == 1 { "h1" } else { "" };
                write!(f, r#"<path class="line" d="{line}{tail}"/>"#)?;
                at = last + 1;
            }
            at += 1;
        }
        f.write_str("</svg>")
    }
}

impl HtmlSafe for Sparkline<'_> {}

/// Bars of log lines, trouble at the bottom where the eye finds it.
pub(crate) struct LevelBars<'a> {
    pub(crate) buckets: &'a [Bucket],
    /// What it says to those who do not see it.
    pub(crate) label: &'a str,
}

/// From the bottom up: class of the style sheet and the levels that it stands for.
const LAYERS: [(&str, &[Level]); 4] = [
    ("level-fatal", &[Level::Fatal]),
    ("level-error", &[Level::Error]),
    ("level-warn", &[Level::Warn]),
    (
        "level-rest",
        &[Level::Info, Level::Debug, Level::Trace, Level::Unknown],
    ),
];

impl fmt::Display for LevelBars<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |bucket: &Bucket| bucket.counts.iter().sum::<u64>();
        let top = self.buckets.iter().map(sum).max().unwrap_or(0).max(1) as f64;
        let width = self.buckets.len().max(1);
        write!(
            f,
            r#"<svg class="spark" viewBox="0 0 {width} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{}"><path class="base" d="M0 {HEIGHT}H{width}"/>"#,
            Escaped(self.label)
        )?;
        for (class, levels) in LAYERS {
            let mut path = String::new();
            for (x, bucket) in self.buckets.iter().enumerate() {
                let count = |levels: &[Level]| -> u64 {
                    levels
                        .iter()
                        .map(|level| bucket.counts[*level as usize])
                        .sum()
                };
                let own = count(levels);
                if own == 0 {
                    continue;
                }
                let below: u64 = LAYERS
                    .iter()
                    .take_while(|(other, _)| *other != class)
                    .map(|(_, levels)| count(levels))
                    .sum();
                let unit = (HEIGHT - 2.0) / top;
                let (y, height) = (HEIGHT - below as f64 * unit, own as f64 * unit);
                let _ = write!(path, "M{x}.1 {y:.2}h.8v-{height:.2}h-.8z");
            }
            if !path.is_empty() {
                write!(f, r#"<path class="{class}" d="{path}"/>"#)?;
            }
        }
        f.write_str("</svg>")
    }
}

impl HtmlSafe for LevelBars<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_break_the_line() {
        let values = [1.0, 2.0, f64::NAN, 1.0, f64::INFINITY, 2.0, 2.0];
        let svg = Sparkline {
            values: &values,
            top: None,
            label: "<x>",
        }
        .to_string();
        assert_eq!(svg.matches(r#"class="line""#).count(), 3);
        assert!(svg.contains(r#"d="M0 21.0L1 2.0""#) && svg.contains(r#"d="M3 21.0h1""#));
        assert!(svg.contains(r#"d="M5 2.0L6 2.0""#), "{svg}");
        assert!(svg.contains("&lt;x&gt;"));
        let empty = Sparkline {
            values: &[],
            top: None,
            label: "",
        }
        .to_string();
        assert!(!empty.contains("NaN"));
    }

    #[test]
    fn bars_stack_errors_at_the_bottom() {
        let mut bucket = Bucket::default();
        bucket.counts[Level::Error as usize] = 1;
        bucket.counts[Level::Info as usize] = 1;
        let svg = LevelBars {
            buckets: &[bucket],
            label: "",
        }
        .to_string();
        assert!(
            svg.contains(r#"class="level-error" d="M0.1 40.00h.8v-19.00h-.8z""#),
            "{svg}"
        );
        assert!(
            svg.contains(r#"class="level-rest" d="M0.1 21.00h.8v-19.00h-.8z""#),
            "{svg}"
        );
    }
}
