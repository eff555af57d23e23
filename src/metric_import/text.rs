//! Exposition text with timestamps, Prometheus' or OpenMetrics'. How a line reads, a closure
//! knows; this file only brings the samples of a series together.

use std::io::BufRead;

use model::{Labels, Samples};
use rustc_hash::FxHashMap;

use crate::{ImportError, PART_SAMPLES, Report, Take};

/// A sample of a line: its labels, value, and time in milliseconds where the line has one.
pub type LineSample = (Labels, f64, Option<i64>);

/// Reads lines up to the end; `parse` gives nothing for a comment. Lines that are bad or have no time are told in the report.
///
/// # Errors
/// `Io` where reading fails, `Store` where the series are not taken.
pub fn read(
    input: impl BufRead,
    mut parse: impl FnMut(&str) -> Result<Option<LineSample>, String>,
    take: &mut Take<'_>,
) -> Result<Report, ImportError> {
    let mut report = Report::default();
    let mut series: FxHashMap<Labels, Samples> = FxHashMap::default();
    let mut n_samples = 0;
    let mut without_time = 0u64;
    for (number, line) in input.lines().enumerate() {
        let line = line.map_err(|source| ImportError::Io {
            context: format!("cannot read line {}", number + 1),
            source,
        })?;
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        match parse(line) {
            Ok(None) => {}
            Ok(Some((labels, value, Some(time_ms)))) => {
                series.entry(labels).or_default().push(time_ms, value);
                report.samples += 1;
                n_samples += 1;
            }
            Ok(Some((.., None))) => without_time += 1,
            Err(why) => {
                report.left_out += 1;
                report.notice(format!("line {}: {why}", number + 1));
            }
        }
        if n_samples >= PART_SAMPLES {
            n_samples = 0;
            take(series.drain().collect())?;
        }
    }
    take(series.into_iter().collect())?;
    if without_time > 0 {
        report.left_out += without_time;
        report.notice(format!(
            "{without_time} lines have no timestamp and were left out: history needs one"
        ));
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_series_come_together() {
        let text = "# TYPE a gauge\na 1 5\nb 2 5\na 3 6\nc 1\nbad\n";
        let parse = |line: &str| {
            if line.starts_with('#') {
                return Ok(None);
            }
            let mut words = line.split(' ');
            let name = words.next().unwrap_or_default().to_owned();
            let value = words.next().and_then(|w| w.parse().ok());
            let value = value.ok_or_else(|| "no value".to_owned())?;
            let time = words.next().and_then(|w| w.parse().ok());
            let labels = Labels::from_pairs([("__name__", name)]);
            Ok(Some((labels, value, time)))
        };
        let mut found = Vec::new();
        let report = read(text.as_bytes(), parse, &mut |part| {
            found.extend(part);
            Ok(())
        })
        .expect("reads");
        found.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].1.timestamps_ms, [5, 6]);
        assert_eq!((report.samples, report.left_out), (3, 2));
        assert_eq!(report.notices.len(), 2);
    }
}
