//! A chart as SVG, for those without script: lines stretched to their place, texts not.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use askama::filters::HtmlSafe;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Chart;
use crate::ask::Steps;
use crate::html::Escaped;
use crate::humanize;

/// Height of the lines in their own units.
const HEIGHT: f64 = 100.0;

/// Below the lines stands the axis of times, so much of the whole, percent.
pub(super) const BELOW: f64 = 9.0;

/// The axis of values stands left of the lines, so much of the whole, percent.
const LEFT: f64 = 5.0;

/// A chart with its drawing's zone.
pub(crate) struct Drawing<'a> {
    chart: &'a Chart,
    zone: &'a TimeZone,
    /// Per series the upper edge of what is drawn: its values, or where it stands on others.
    tops: Vec<Cow<'a, [f64]>>,
}

impl<'a> Drawing<'a> {
    pub(super) fn new(chart: &'a Chart, zone: &'a TimeZone) -> Self {
        let tops = if chart.stacked {
            let lines: Vec<&[f64]> = chart.series.iter().map(|line| &*line.values).collect();
            stacked(&lines).into_iter().map(Cow::Owned).collect()
        } else {
            let lines = chart.series.iter();
            lines.map(|line| Cow::Borrowed(&*line.values)).collect()
        };
        Self { chart, zone, tops }
    }

    /// Lowest and highest value of the axis: the values, widened to ticks and, where it costs
    /// less than half of the height, to 0. Areas always begin at 0.
    fn bounds(&self) -> (f64, f64) {
        let all = || self.tops.iter().flat_map(|top| top.iter().copied());
        let there = || all().filter(|value| value.is_finite());
        let (mut min, mut max) = (
            there().fold(f64::NAN, f64::min),
            there().fold(f64::NAN, f64::max),
        );
        if !min.is_finite() || !max.is_finite() {
            return (0.0, 1.0);
        }
        if self.chart.stacked {
            (min, max) = (min.min(0.0), max.max(0.0));
        }
        match () {
            () if min == max => (
                min - min.abs().max(1.0) * 0.1,
                max + max.abs().max(1.0) * 0.1,
            ),
            () if min >= 0.0 && min < max / 2.0 => (0.0, max * 1.04),
            () if max <= 0.0 && max > min / 2.0 => (min * 1.04, 0.0),
            () => (min, max),
        }
    }
}

/// Where each column ends when it stands on those before it. A gap adds nothing, and is a gap.
fn stacked(lines: &[&[f64]]) -> Vec<Vec<f64>> {
    let mut sums: Vec<f64> = Vec::new();
    lines
        .iter()
        .map(|values| {
            sums.resize(values.len().max(sums.len()), 0.0);
            values
                .iter()
                .zip(&mut sums)
                .map(|(value, sum)| {
                    if !value.is_finite() {
                        return f64::NAN;
                    }
                    *sum += value;
                    *sum
                })
                .collect()
        })
        .collect()
}

/// Round values between two bounds, about so many.
pub(crate) fn ticks(min: f64, max: f64, about: f64) -> Vec<f64> {
    let raw = (max - min) / about;
    let power = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .map(|m| m * power)
        .into_iter()
        .find(|s| *s >= raw);
    let Some(step) = step.filter(|step| step.is_finite() && *step > 0.0) else {
        return Vec::new();
    };
    let first = (min / step).ceil() as i64;
    let last = (max / step).floor() as i64;
    (first..=last.min(first + 20))
        .map(|n| n as f64 * step)
        .collect()
}

/// Writes times below a drawing that begins `left` percent from the left.
pub(super) fn times(
    f: &mut fmt::Formatter<'_>,
    steps: Steps,
    zone: &TimeZone,
    left: f64,
) -> fmt::Result {
    let (start, end) = (steps.start_ms, steps.end_ms());
    let form = if end - start > 2 * 86_400_000 {
        "%b %-d"
    } else {
        "%H:%M"
    };
    for i in 1..6 {
        let time_ms = start + (end - start) * i / 6;
        let x = left + (100.0 - left) * i as f64 / 6.0;
        let text = Timestamp::from_millisecond(time_ms)
            .map(|time| {
                time.to_zoned_datetime(zone.clone())
                    .strftime(form)
                    .to_string()
            })
            .unwrap_or_default();
        write!(
            f,
            r#"<text x="{x:.2}%" y="99%" text-anchor="middle">{text}</text>"#
        )?;
    }
    Ok(())
}

impl fmt::Display for Drawing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chart = self.chart;
        let (min, max) = self.bounds();
        let part = |value: f64| (value - min) / (max - min);
        write!(
            f,
            r#"<svg class="drawing" role="img" aria-label="{}">"#,
            Escaped(&chart.sentence())
        )?;
        for tick in ticks(min, max, 5.0) {
            let y = 2.0 + (1.0 - part(tick)) * (98.0 - BELOW);
            write!(
                f,
                r#"<line class="grid" x1="{LEFT}%" x2="100%" y1="{y:.2}%" y2="{y:.2}%"/><text x="{:.1}%" y="{y:.2}%" dy="4" text-anchor="end">{}</text>"#,
                LEFT - 0.6,
                humanize::value(tick)
            )?;
        }
        times(f, chart.steps, self.zone, LEFT)?;
        let width = chart.steps.count.max(2) - 1;
        write!(
            f,
            r#"<svg x="{LEFT}%" y="2%" width="{}%" height="{}%" viewBox="0 0 {width} {HEIGHT}" preserveAspectRatio="none">"#,
            100.0 - LEFT,
            98.0 - BELOW
        )?;
        let y = |value: f64| (1.0 - part(value)) * HEIGHT;
        // The first lies on top, and the areas of a stack cover those that end above them.
        for (line, top) in chart.series.iter().zip(&self.tops).rev() {
            let (class, mut path, mut at) = (line.class(), String::new(), 0);
            let mut area = String::new();
            for run in top.split(|value| !value.is_finite()) {
                let from = path.len();
                for (i, value) in run.iter().enumerate() {
                    let pen = if i == 0 { 'M' } else { 'L' };
                    let _ = write!(path, "{pen}{} {:.2}", at + i, y(*value));
                }
                if chart.stacked && run.len() > 1 {
                    let edge = path.get(from..).unwrap_or_default();
                    let _ = write!(area, "{edge}V{:.2}H{at}Z", y(0.0));
                }
                at += run.len() + 1;
            }
            if !area.is_empty() {
                // The ground first, so that what lies below does not shine through.
                write!(
                    f,
                    r#"<path class="ground" d="{area}"/><path class="area {class}" d="{area}"/>"#
                )?;
            }
            write!(f, r#"<path class="{class}" d="{path}"/>"#)?;
        }
        f.write_str("</svg></svg>")
    }
}

impl HtmlSafe for Drawing<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_on_each_other() {
        let nan = f64::NAN;
        let tops = stacked(&[&[1.0, nan, 3.0], &[10.0, 20.0, nan], &[100.0, 100.0, 100.0]]);
        assert_eq!(tops[2], [111.0, 120.0, 103.0]);
        assert!(tops[0][1].is_nan() && tops[1][2].is_nan());
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(ticks(0.0, 1.0, 5.0).len(), 6);
        assert!(ticks(0.0, f64::INFINITY, 5.0).is_empty());
    }
}
