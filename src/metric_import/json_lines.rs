//! JSON lines as VictoriaMetrics exports and imports them: an object per line,
//! `{"metric":{"__name__":"up","job":"a"},"values":[1,null,"NaN"],"timestamps":[1700000000000,…]}`,
//! times in milliseconds. `null` and words stand for what JSON has no numbers for.

use std::io::BufRead;

use model::{Labels, Samples};
use serde::Deserialize;

use crate::{ImportError, PART_SAMPLES, Report, Series, Take};

/// A line longer than this is refused: it is a mistake, or it must be cut.
const LINE_BYTES_MAX: u64 = 64 << 20;

#[derive(Deserialize)]
struct Line {
    metric: std::collections::BTreeMap<String, String>,
    values: Vec<Value>,
    timestamps: Vec<i64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Number(f64),
    Word(String),
    Nothing(()),
}

impl Value {
    fn float(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Nothing(()) => Some(f64::NAN),
            Self::Word(word) => match word.to_ascii_lowercase().as_str() {
                "inf" | "+inf" | "infinity" => Some(f64::INFINITY),
                "-inf" | "-infinity" => Some(f64::NEG_INFINITY),
                "nan" => Some(f64::NAN),
                other => other.parse().ok(),
            },
        }
    }
}

/// Reads a line.
///
/// # Errors
/// What is wrong with it, a sentence without an end.
pub fn line(text: &[u8]) -> Result<Series, String> {
    let line: Line = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if line.values.len() != line.timestamps.len() {
        return Err(format!(
            "it has {} values and {} timestamps",
            line.values.len(),
            line.timestamps.len()
        ));
    }
    let labels = Labels::from_pairs(line.metric);
    if labels.metric_name().is_none() {
        return Err("its metric has no __name__".to_owned());
    }
    let mut samples = Samples::default();
    for (value, time_ms) in line.values.iter().zip(line.timestamps) {
        let value = value
            .float()
            .ok_or_else(|| "one of its values is no number".to_owned())?;
        samples.push(time_ms, value);
    }
    Ok((labels, samples))
}

/// Reads lines up to the end. Bad ones are told in the report.
///
/// # Errors
/// `Io` where reading fails, `Store` where the series are not taken.
pub fn read(mut input: impl BufRead, take: &mut Take<'_>) -> Result<Report, ImportError> {
    let mut report = Report::default();
    let mut part: Vec<Series> = Vec::new();
    let (mut n_samples, mut number) = (0, 0u64);
    let mut text = Vec::new();
    loop {
        text.clear();
        number += 1;
        let mut bounded = std::io::Read::take(&mut input, LINE_BYTES_MAX + 1);
        let n = bounded
            .read_until(b'\n', &mut text)
            .map_err(|source| ImportError::Io {
                context: format!("cannot read line {number}"),
                source,
            })?;
        if n as u64 > LINE_BYTES_MAX {
            return Err(ImportError::Bad(format!(
                "line {number} is longer than {} MiB: export with smaller parts \
                 (max_rows_per_line)",
                LINE_BYTES_MAX >> 20
            )));
        }
        if n > 0 && text.trim_ascii().is_empty() {
            continue;
        }
        if n > 0 {
            match line(&text) {
                Ok((labels, samples)) => {
                    n_samples += samples.len();
                    report.samples += samples.len() as u64;
                    part.push((labels, samples));
                }
                Err(why) => report.notice(format!("line {number}: {why}")),
            }
        }
        if n_samples >= PART_SAMPLES || n == 0 {
            n_samples = 0;
            take(std::mem::take(&mut part))?;
        }
        if n == 0 {
            return Ok(report);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_bad_ones_named() {
        let text = br#"{"metric":{"__name__":"up","job":"a"},"values":[1,null,"-Inf",2.5e3],"timestamps":[1,2,3,4]}

{"metric":{"job":"a"},"values":[1],"timestamps":[1]}
{"metric":{"__name__":"up"},"values":[1],"timestamps":[]}
nothing
"#;
        let mut found = Vec::new();
        let report = read(&text[..], &mut |part| {
            found.extend(part);
            Ok(())
        })
        .expect("reads");
        assert_eq!(report.samples, 4);
        assert_eq!(report.notices.len(), 3, "{:?}", report.notices);
        assert!(report.notices[0].contains("line 3: its metric has no __name__"));
        let (labels, samples) = &found[0];
        assert_eq!(labels.to_string(), r#"up{job="a"}"#);
        assert_eq!(samples.timestamps_ms, [1, 2, 3, 4]);
        assert!(samples.values[1].is_nan() && samples.values[2] == f64::NEG_INFINITY);
    }
}
