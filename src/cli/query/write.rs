//! Writes an answer: aligned for people, or as CSV (RFC 4180) for programs.

use std::fmt::Write;

use super::answer::{Data, Histogram, Metric, Sample, Series};

/// A sparkline is no wider; longer ones show the mean of neighbours.
const SPARK_CHARS_MAX: usize = 60;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Labels and values in columns; series over time with sparkline, least, greatest and last value.
pub(super) fn table(data: &Data, color: bool) -> String {
    match data {
        Data::Scalar(Sample(_, value)) => format!("{value}\n"),
        Data::String(Sample(_, text)) => format!("{}\n", safe(text)),
        Data::Vector(points) => {
            let rows = points.iter().map(|point| {
                let value = match (&point.value, &point.histogram) {
                    (Some(sample), _) => sample.1.clone(),
                    (None, Some(histogram)) => histogram_text(&histogram.1),
                    (None, None) => String::new(),
                };
                vec![name(&point.metric), value]
            });
            aligned(&["series", "value"], &rows.collect::<Vec<_>>(), color)
        }
        Data::Matrix(series) => {
            let rows = series.iter().map(row);
            aligned(
                &["series", "", "min", "max", "last"],
                &rows.collect::<Vec<_>>(),
                color,
            )
        }
    }
}

fn row(series: &Series) -> Vec<String> {
    let name = name(&series.metric);
    if let (true, Some(last)) = (series.values.is_empty(), series.histograms.last()) {
        let many = format!("{} histograms", series.histograms.len());
        return vec![
            name,
            many,
            String::new(),
            String::new(),
            histogram_text(&last.1),
        ];
    }
    let numbers: Vec<f64> = series.values.iter().map(Sample::number).collect();
    let there = || numbers.iter().copied().filter(|v| v.is_finite());
    let text = |v: f64| {
        if v.is_finite() {
            short(v)
        } else {
            "–".to_owned()
        }
    };
    vec![
        name,
        sparkline(&numbers),
        text(there().fold(f64::NAN, f64::min)),
        text(there().fold(f64::NAN, f64::max)),
        series
            .values
            .last()
            .map(|last| match last.number() {
                number if number.is_finite() => short(number),
                // NaN and the infinities are values too.
                _ => last.1.clone(),
            })
            .unwrap_or_default(),
    ]
}

/// One line per sample under a head: the labels that any series has, `time`, `value`. A native
/// histogram is its count and sum.
pub(super) fn csv(data: &Data) -> String {
    let empty = Metric::new();
    let mut rows: Vec<(&Metric, f64, String)> = Vec::new();
    match data {
        Data::Scalar(Sample(time, value)) | Data::String(Sample(time, value)) => {
            rows.push((&empty, *time, value.clone()));
        }
        Data::Vector(points) => {
            for point in points {
                let value = point.value.iter().map(|v| (v.0, v.1.clone()));
                let histogram = point.histogram.iter().map(|h| (h.0, histogram_text(&h.1)));
                rows.extend(value.chain(histogram).map(|(t, v)| (&point.metric, t, v)));
            }
        }
        Data::Matrix(series) => {
            for one in series {
                let values = one.values.iter().map(|v| (v.0, v.1.clone()));
                let histograms = one.histograms.iter().map(|h| (h.0, histogram_text(&h.1)));
                rows.extend(values.chain(histograms).map(|(t, v)| (&one.metric, t, v)));
            }
        }
    }
    let mut names: Vec<&str> = Vec::new();
    for (metric, _, _) in &rows {
        for name in metric.keys() {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
    }
    names.sort_unstable();
    let mut out = String::new();
    let head = names.iter().copied().chain(["time", "value"]);
    out.push_str(&head.map(cell).collect::<Vec<_>>().join(","));
    out.push_str("\r\n");
    for (metric, time, value) in rows {
        for name in &names {
            out.push_str(&cell(metric.get(*name).map_or("", String::as_str)));
            out.push(',');
        }
        let _ = write!(out, "{time},{}\r\n", cell(&value));
    }
    out
}

/// In quotes where it must be.
fn cell(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn histogram_text(histogram: &Histogram) -> String {
    format!("count {} sum {}", histogram.count, histogram.sum)
}

/// `name{label="value"}`, as one would ask for it.
fn name(metric: &Metric) -> String {
    let own = metric.get("__name__").map_or("", String::as_str);
    let labels: Vec<String> = metric
        .iter()
        .filter(|(name, _)| *name != "__name__")
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    safe(&match (own, labels.is_empty()) {
        (own, false) => format!("{own}{{{}}}", labels.join(",")),
        ("", true) => "{}".to_owned(),
        (own, true) => own.to_owned(),
    })
}

/// Control characters would speak to the terminal.
fn safe(text: &str) -> String {
    text.replace(char::is_control, "�")
}

/// Five significant digits: enough to compare.
fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let power = value.abs().log10().floor() as i32;
    if !(-5..15).contains(&power) {
        return format!("{value:.4e}");
    }
    let decimals = usize::try_from(4 - power).unwrap_or(0);
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        let text = text.trim_end_matches('0');
        text.trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Values as bars of eighths between the least and the greatest; a gap is a space.
fn sparkline(values: &[f64]) -> String {
    let every = values.len().div_ceil(SPARK_CHARS_MAX).max(1);
    let means: Vec<f64> = values
        .chunks(every)
        .map(|part| {
            let there = || part.iter().filter(|v| v.is_finite());
            there().sum::<f64>() / there().count() as f64
        })
        .collect();
    let there = || means.iter().copied().filter(|v| v.is_finite());
    let (least, most) = (
        there().fold(f64::INFINITY, f64::min),
        there().fold(f64::NEG_INFINITY, f64::max),
    );
    let bar = |value: &f64| {
        if !value.is_finite() {
            return ' ';
        }
        let share = if most > least {
            (value - least) / (most - least)
        } else {
            0.0
        };
        let eighth = (share * 7.0).round() as usize;
        BARS.get(eighth).copied().unwrap_or('█')
    };
    means.iter().map(bar).collect()
}

/// Columns under their names, the first and sparklines to the left, numbers to the right.
fn aligned(names: &[&str], rows: &[Vec<String>], color: bool) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let width = |i: usize| {
        let column = rows.iter().filter_map(|row| row.get(i));
        let widest = column.map(|cell| cell.chars().count()).max().unwrap_or(0);
        widest.max(names.get(i).map_or(0, |name| name.chars().count()))
    };
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    let head: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut out = String::new();
    for (index, row) in std::iter::once(&head).chain(rows).enumerate() {
        let mut line = String::new();
        for (i, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let gap = if i == 0 { "" } else { "  " };
            let is_text = i == 0 || names.get(i).is_some_and(|name| name.is_empty());
            let _ = if is_text {
                write!(line, "{gap}{cell:<width$}")
            } else {
                write!(line, "{gap}{cell:>width$}")
            };
        }
        let line = line.trim_end();
        let _ = if index == 0 && color {
            writeln!(out, "\x1b[1m{line}\x1b[0m")
        } else {
            writeln!(out, "{line}")
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::answer::Answer;
    use super::*;

    fn data(json: &str) -> Data {
        Answer::parse(json.as_bytes()).expect("an answer").data
    }

    const MATRIX: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[
        {"metric":{"__name__":"up","job":"a\u001b[2J"},"values":[[1,"0"],[2,"1"],[3,"0.5"]]},
        {"metric":{"job":"b,\"c\""},"values":[[3,"NaN"]]}]}}"#;

    #[test]
    fn series_over_time_have_sparklines() {
        let text = table(&data(MATRIX), false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0].split_whitespace().collect::<Vec<_>>(),
            ["series", "min", "max", "last"]
        );
        assert!(
            lines[1].contains("▁█▅") && lines[1].ends_with("0.5"),
            "{text}"
        );
        assert!(!text.contains('\x1b'), "nothing speaks to the terminal");
        assert!(table(&data(MATRIX), true).starts_with("\x1b[1mseries"));
    }

    #[test]
    fn csv_has_a_column_per_label_and_quotes() {
        let text = csv(&data(MATRIX));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "__name__,job,time,value");
        assert_eq!(lines[4], ",\"b,\"\"c\"\"\",3,NaN");
    }

    #[test]
    fn other_kinds_of_answers() {
        let scalar = data(r#"{"data":{"resultType":"scalar","result":[1,"3"]}}"#);
        assert_eq!(table(&scalar, false), "3\n");
        let vector = data(
            r#"{"data":{"resultType":"vector","result":[
            {"metric":{},"value":[1,"2.5"]},
            {"metric":{"__name__":"h"},"histogram":[1,{"count":"4","sum":"9","buckets":[]}]}]}}"#,
        );
        assert_eq!(
            table(&vector, false),
            "series          value\n{}                2.5\nh       count 4 sum 9\n"
        );
        let none = data(r#"{"data":{"resultType":"vector","result":[]}}"#);
        assert!(none.is_empty() && table(&none, false).is_empty());
    }

    #[test]
    fn sparklines_are_bounded() {
        assert_eq!(sparkline(&vec![1.0; 600]).chars().count(), 60);
        assert_eq!(sparkline(&[1.0, f64::NAN, 2.0]), "▁ █");
        assert_eq!(sparkline(&[]), "");
        assert_eq!(
            [short(1234.56789), short(0.000_123_456), short(2.0)],
            ["1234.6", "0.00012346", "2"]
        );
    }
}
