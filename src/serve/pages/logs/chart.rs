//! The histogram over the lines: bars stacked by level, each a link to its part of the range.
//!
//! All measures are percentages, so that the drawing fits any width without a script; only the
//! height in pixels is the style sheet's.

use alert_rules::{AlertState, GroupSnapshot, RuleKind};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use log_query::{Bucket, field_term, with_term};
use model::Level;

use super::link;
use crate::humanize;
use crate::shell::{Page, Shell};

/// Marks on the time axis, at most.
const MARKS_MAX: usize = 30;

/// Distances between labels of the time axis, in seconds.
const TICKS_S: [i64; 15] = [
    1, 5, 15, 30, 60, 300, 600, 900, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 604_800,
];

/// Labels on the time axis, at most.
const TICKS_MAX: i64 = 8;

/// Part of a bar that is left free, as a share of its place.
const GAP: f64 = 0.12;

/// What is drawn as one colour: a name, the letter that stands for it, and the levels in it.
const GROUPS: [(&str, &str, &[Level]); 5] = [
    ("fatal", "F", &[Level::Fatal]),
    ("error", "E", &[Level::Error]),
    ("warn", "W", &[Level::Warn]),
    ("info", "I", &[Level::Info]),
    ("rest", "·", &[Level::Debug, Level::Trace, Level::Unknown]),
];

/// The histogram as the template draws it.
pub(super) struct Chart {
    /// Lines in the whole range.
    pub(super) total: u64,
    /// Lines of the tallest bar.
    pub(super) max: String,
    /// Start and end, milliseconds since 1970-01-01 UTC.
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
    pub(super) step_ms: i64,
    pub(super) bars: Vec<Bar>,
    pub(super) ticks: Vec<Tick>,
    pub(super) legend: Vec<Legend>,
    /// What else happened in that time.
    pub(super) marks: Vec<Mark>,
    /// What it shows, for those who do not see it.
    pub(super) sentence: String,
}

/// One bar, with a place as tall as the drawing that can be clicked.
pub(super) struct Bar {
    pub(super) x: f64,
    pub(super) width: f64,
    pub(super) place_x: f64,
    pub(super) place_width: f64,
    pub(super) href: String,
    pub(super) title: String,
    pub(super) parts: Vec<Part>,
}

/// The lines of some levels in a bar.
pub(super) struct Part {
    pub(super) group: &'static str,
    pub(super) y: f64,
    pub(super) height: f64,
}

/// A label of the time axis.
pub(super) struct Tick {
    pub(super) x: f64,
    pub(super) text: String,
}

/// Something that happened at a point in time.
pub(super) struct Mark {
    pub(super) x: f64,
    pub(super) title: String,
    pub(super) href: String,
}

/// An alert that began at a time, milliseconds since 1970-01-01 UTC.
pub(super) struct Begun {
    at_ms: i64,
    name: String,
}

/// Alerts that fire now and began within the range.
pub(super) fn alerts(shell: &Shell, groups: &[GroupSnapshot]) -> Vec<Begun> {
    let range = shell.range();
    let rules = groups.iter().flat_map(|group| &group.rules);
    let mut begun: Vec<Begun> = rules
        .filter_map(|rule| match &rule.kind {
            RuleKind::Alerting { alerts, .. } => Some((rule, alerts)),
            RuleKind::Recording => None,
        })
        .flat_map(|(rule, alerts)| alerts.iter().map(move |alert| (rule, alert)))
        .filter(|(_, alert)| alert.state == AlertState::Firing)
        .filter(|(_, alert)| (range.from_ms..range.to_ms).contains(&alert.active_at_ms))
        .map(|(rule, alert)| Begun {
            at_ms: alert.active_at_ms,
            name: rule.name.clone(),
        })
        .collect();
    begun.sort_by_key(|alert| std::cmp::Reverse(alert.at_ms));
    begun.truncate(MARKS_MAX);
    begun
}

/// A level with its lines in the whole range.
pub(super) struct Legend {
    pub(super) group: &'static str,
    pub(super) letter: &'static str,
    pub(super) name: &'static str,
    pub(super) count: String,
    pub(super) href: String,
}

impl Chart {
    pub(super) fn new(
        shell: &Shell,
        q: &str,
        buckets: &[Bucket],
        step_ns: i64,
        alerts: Vec<Begun>,
    ) -> Self {
        let step_ms = (step_ns / 1_000_000).max(1);
        let start_ms = |bucket: &Bucket| bucket.start_ns.div_euclid(1_000_000);
        let from_ms = buckets.first().map_or(0, start_ms);
        let to_ms = buckets
            .last()
            .map_or(step_ms, |last| start_ms(last) + step_ms);
        let span = (to_ms - from_ms).max(1) as f64;
        let lines = |bucket: &Bucket| bucket.counts.iter().sum::<u64>();
        let max = buckets.iter().map(lines).max().unwrap_or(0);
        let total: u64 = buckets.iter().map(lines).sum();
        let share = |ms: i64| (ms - from_ms) as f64 / span * 100.0;
        let place_width = step_ms as f64 / span * 100.0;
        let bars = buckets
            .iter()
            .filter(|bucket| lines(bucket) > 0)
            .map(|bucket| {
                let (from, to) = (start_ms(bucket), start_ms(bucket) + step_ms);
                let utc = model::time::rfc3339_ms;
                Bar {
                    x: share(from) + place_width * GAP / 2.0,
                    width: place_width * (1.0 - GAP),
                    place_x: share(from),
                    place_width,
                    href: link(shell, &[("from", &utc(from)), ("to", &utc(to))]),
                    title: title(bucket, &shell.visit.zone, step_ms),
                    parts: parts(bucket, max),
                }
            })
            .collect();
        Self {
            total,
            max: humanize::count(max),
            from_ms,
            to_ms,
            step_ms,
            bars,
            ticks: ticks(from_ms, to_ms, &shell.visit.zone),
            legend: legend(shell, q, buckets),
            marks: alerts
                .into_iter()
                .map(|alert| Mark {
                    x: share(alert.at_ms).clamp(0.0, 100.0),
                    title: format!(
                        "{} alert {}",
                        clock(alert.at_ms, &shell.visit.zone, "%H:%M:%S"),
                        alert.name
                    ),
                    href: shell.link(Page::Alerts, &[]),
                })
                .collect(),
            sentence: sentence(buckets, total, step_ms, &shell.visit.zone),
        }
    }
}

fn count(bucket: &Bucket, levels: &[Level]) -> u64 {
    levels
        .iter()
        .filter_map(|level| bucket.counts.get(*level as usize))
        .sum()
}

/// The parts of a bar from the axis upwards, the worst first: trouble is never carried away by
/// what is below it.
fn parts(bucket: &Bucket, max: u64) -> Vec<Part> {
    let mut below = 0.0;
    GROUPS
        .iter()
        .filter_map(|(group, _, levels)| {
            let lines = count(bucket, levels);
            let height = lines as f64 / max.max(1) as f64 * 100.0;
            below += height;
            (lines > 0).then_some(Part {
                group,
                y: 100.0 - below,
                height,
            })
        })
        .collect()
}

pub(super) fn clock(ms: i64, zone: &TimeZone, form: &str) -> String {
    Timestamp::from_millisecond(ms).map_or_else(
        |_| "–".to_owned(),
        |time| {
            time.to_zoned_datetime(zone.clone())
                .strftime(form)
                .to_string()
        },
    )
}

fn title(bucket: &Bucket, zone: &TimeZone, step_ms: i64) -> String {
    let form = match step_ms {
        ..1_000 => "%H:%M:%S%.3f",
        1_000..60_000 => "%H:%M:%S",
        60_000..86_400_000 => "%b %-d %H:%M",
        _ => "%b %-d",
    };
    let from = bucket.start_ns.div_euclid(1_000_000);
    let mut out = format!(
        "{} + {}",
        clock(from, zone, form),
        humanize::span_ms(step_ms)
    );
    for (name, letter, levels) in GROUPS {
        let lines = count(bucket, levels);
        if lines > 0 {
            out.push_str(
                &format_args!("\n{letter} {name}: {}", humanize::count(lines)).to_string(),
            );
        }
    }
    out
}

pub(super) fn ticks(from_ms: i64, to_ms: i64, zone: &TimeZone) -> Vec<Tick> {
    let span_s = (to_ms - from_ms).max(1) / 1000;
    let step_s = TICKS_S
        .into_iter()
        .find(|step| span_s / step <= TICKS_MAX)
        .unwrap_or(span_s / TICKS_MAX);
    let form = match step_s {
        ..60 => "%H:%M:%S",
        60..86_400 => "%H:%M",
        _ => "%b %-d",
    };
    let step_ms = step_s.max(1) * 1000;
    // Labels stand at round local times, as far as the zone's offset does not change in between.
    let offset_ms = Timestamp::from_millisecond(from_ms)
        .map_or(0, |time| i64::from(zone.to_offset(time).seconds()) * 1000);
    let first = (from_ms + offset_ms).div_euclid(step_ms) + 1;
    let last = (to_ms - 1 + offset_ms).div_euclid(step_ms);
    (first..=last)
        .map(|n| n * step_ms - offset_ms)
        .map(|ms| Tick {
            x: (ms - from_ms) as f64 / (to_ms - from_ms) as f64 * 100.0,
            text: clock(ms, zone, form),
        })
        // A label at the very edge would be cut off.
        .filter(|tick| (2.0..=98.0).contains(&tick.x))
        .collect()
}

fn legend(shell: &Shell, q: &str, buckets: &[Bucket]) -> Vec<Legend> {
    let entry = |(group, letter, levels): (&'static str, &'static str, &[Level])| {
        let lines: u64 = buckets.iter().map(|bucket| count(bucket, levels)).sum();
        let term = match levels {
            [level] => field_term("level", level.as_str(), false),
            _ => "(level:..debug or level:unknown)".to_owned(),
        };
        (lines > 0).then(|| Legend {
            group,
            letter,
            name: if group == "rest" { "other" } else { group },
            count: humanize::count(lines),
            href: link(shell, &[("q", &with_term(q, &term))]),
        })
    };
    GROUPS.into_iter().filter_map(entry).collect()
}

fn sentence(buckets: &[Bucket], total: u64, step_ms: i64, zone: &TimeZone) -> String {
    let lines = |bucket: &&Bucket| bucket.counts.iter().sum::<u64>();
    let Some(most) = buckets.iter().max_by_key(lines).filter(|_| total > 0) else {
        return "no lines in this range".to_owned();
    };
    let troubled: u64 = buckets
        .iter()
        .map(|bucket| count(bucket, &[Level::Error, Level::Fatal]))
        .sum();
    format!(
        "{} over time in steps of {}, {} of them errors; most at {} with {}",
        humanize::things(total, "line", "lines"),
        humanize::span_ms(step_ms),
        humanize::count(troubled),
        clock(most.start_ns.div_euclid(1_000_000), zone, "%b %-d %H:%M:%S"),
        humanize::count(lines(&most)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(start_s: i64, counts: [u64; 7]) -> Bucket {
        Bucket {
            start_ns: start_s * 1_000_000_000,
            counts,
        }
    }

    #[test]
    fn parts_stand_on_the_worst() {
        let parts = parts(&bucket(0, [1, 0, 1, 4, 2, 2, 0]), 20);
        let drawn: Vec<_> = parts.iter().map(|p| (p.group, p.y, p.height)).collect();
        assert_eq!(
            drawn,
            [
                ("error", 90.0, 10.0),
                ("warn", 80.0, 10.0),
                ("info", 60.0, 20.0),
                ("rest", 50.0, 10.0)
            ]
        );
    }

    #[test]
    fn ticks_stand_at_round_local_times() {
        let hour = 1_763_900_000_000;
        let berlin = TimeZone::get("Asia/Kolkata").expect("a zone");
        let ticks = ticks(hour, hour + 3_600_000, &berlin);
        let texts: Vec<_> = ticks.iter().map(|tick| tick.text.as_str()).collect();
        assert_eq!(
            texts,
            ["17:50", "18:00", "18:10", "18:20", "18:30", "18:40"]
        );
        assert!(ticks.windows(2).all(|w| w[0].x < w[1].x));
    }

    #[test]
    fn any_range_has_few_ticks() {
        for span in [
            1,
            50,
            1_000,
            90_000,
            86_400_000,
            400 * 86_400_000,
            40_000 * 86_400_000,
        ] {
            let ticks = ticks(0, span, &TimeZone::UTC);
            assert!(
                ticks.len() as i64 <= TICKS_MAX + 1,
                "{span}: {}",
                ticks.len()
            );
        }
    }
}
