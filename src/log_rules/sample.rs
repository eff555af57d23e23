//! Keeps a share of lines, chosen by what they are: a line that is read again after a crash is
//! chosen alike.
//!
//! A line decides by a hash of its time and text, so that equal lines at different times decide
//! each for itself. With `sample_by` the value of a field decides, so that all lines of a request
//! stay together; a line without it decides by itself.

use log_query::{LEVEL, LineView, MESSAGE};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Which share of lines is kept, and what decides.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// Lines whose hash is below it are kept.
    threshold: u64,
    by: Option<String>,
}

impl Sample {
    /// Reads a share: `10%`, `0.5 %`, `0.1`.
    pub(crate) fn parse(text: &str, by: Option<String>) -> Result<Self, String> {
        let wrong = || {
            format!("cannot read the share {text:?}: write a part of all lines, such as 10% or 0.1")
        };
        let text = text.trim();
        let share = match text.strip_suffix('%') {
            Some(percent) => percent.trim().parse::<f64>().map(|n| n / 100.0),
            None => text.parse(),
        };
        let share = share.map_err(|_| wrong())?;
        if !(share > 0.0 && share < 1.0) {
            return Err(format!(
                "the share {text} keeps all lines or none: write more than 0% and less than 100%, \
                 or use `drop`"
            ));
        }
        // 2^64 as a float; the product stays below it because the share is below 1.
        let threshold = (share * 18_446_744_073_709_551_616.0) as u64;
        Ok(Self { threshold, by })
    }

    /// Whether the line is kept.
    pub(crate) fn keeps(&self, line: &LineView<'_>, time_ns: i64) -> bool {
        let by_value = self.by.as_deref().and_then(|name| hash_of(line, name));
        let hash = by_value.unwrap_or_else(|| xxh3_64_with_seed(line.text, time_ns as u64));
        hash < self.threshold
    }
}

/// The hash of a label's or field's value, where the line has it.
fn hash_of(line: &LineView<'_>, name: &str) -> Option<u64> {
    if name == LEVEL {
        return Some(xxh3_64(line.level.as_str().as_bytes()));
    }
    if let Some(value) = line.labels.get(name) {
        return Some(xxh3_64(value.as_bytes()));
    }
    if name == MESSAGE {
        return Some(xxh3_64(line.message().as_bytes()));
    }
    let value = line.fields().values(name).next()?;
    Some(xxh3_64(value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use model::{Labels, Level};

    use super::*;

    #[test]
    fn about_the_share_is_kept_and_always_the_same_lines() {
        let labels = Labels::empty();
        let sample = Sample::parse("10%", None).expect("a share");
        let kept = |time_ns: i64| {
            let line = LineView::new(&labels, Level::Info, b"ping ok");
            sample.keeps(&line, time_ns)
        };
        let first: Vec<bool> = (0..10_000).map(kept).collect();
        let n = first.iter().filter(|kept| **kept).count();
        assert!((800..1200).contains(&n), "{n} of 10000");
        assert_eq!(first, (0..10_000).map(kept).collect::<Vec<_>>());
    }

    #[test]
    fn lines_with_the_same_value_stay_together() {
        let labels = Labels::empty();
        let sample = Sample::parse("0.5", Some("trace".to_owned())).expect("a share");
        let mut kept_traces = 0;
        for trace in 0..200 {
            let kept: Vec<bool> = (0..5)
                .map(|n| {
                    let text = format!(r#"{{"trace":"t{trace}","n":{n}}}"#);
                    let line = LineView::new(&labels, Level::Info, text.as_bytes());
                    sample.keeps(&line, n)
                })
                .collect();
            assert!(
                kept.iter().all(|k| *k == kept[0]),
                "trace {trace}: {kept:?}"
            );
            kept_traces += usize::from(kept[0]);
        }
        assert!((60..140).contains(&kept_traces), "{kept_traces} of 200");
    }

    #[test]
    fn shares_that_mean_nothing_are_refused() {
        for text in ["", "ten", "0%", "100%", "-5%", "1", "NaN", "200%"] {
            Sample::parse(text, None).expect_err(text);
        }
        for text in ["10%", "0.5 %", "0.25", "99.9%"] {
            Sample::parse(text, None).expect(text);
        }
    }
}
