//! The time range of a page: `from` and `to` in the URL, and the links of the time picker.

use model::time::{parse_ns, rfc3339_ms};

use crate::request::Params;

/// What is shown when the URL does not say.
const DEFAULT: (&str, &str) = ("now-1h", "now");

/// The picker's presets; the first five also have the keys `t` `1` … `t` `5`.
const PRESETS: [&str; 10] = [
    "5m", "15m", "1h", "6h", "24h", "30m", "3h", "12h", "2d", "7d",
];

/// The shortest window that zooming in gives, milliseconds.
const WINDOW_MIN_MS: i64 = 1_000;

/// A checked range with the words that it was given in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TimeRange {
    /// As in the URL: `now-1h` or RFC 3339.
    pub(crate) from: String,
    /// As in the URL.
    pub(crate) to: String,
    /// Milliseconds since 1970-01-01 UTC, inclusive.
    pub(crate) from_ms: i64,
    /// Milliseconds since 1970-01-01 UTC, later than `from_ms`.
    pub(crate) to_ms: i64,
    /// What was wrong with the URL's range, in a sentence; the default is used then.
    pub(crate) error: Option<String>,
}

/// A link of the picker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RangeLink {
    /// What it says.
    pub(crate) label: String,
    /// The query string, with the page's other parameters kept.
    pub(crate) href: String,
    /// Whether it is the range that is shown.
    pub(crate) current: bool,
}

impl TimeRange {
    /// Reads `from` and `to`.
    pub(crate) fn of(params: &Params, now_ms: i64) -> Self {
        let from = params.get("from").filter(|text| !text.is_empty());
        let to = params.get("to").filter(|text| !text.is_empty());
        let given = Self::parse(from.unwrap_or(DEFAULT.0), to.unwrap_or(DEFAULT.1), now_ms);
        given.unwrap_or_else(|error| Self {
            error: Some(error),
            ..Self::parse(DEFAULT.0, DEFAULT.1, now_ms).expect("the default range is valid")
        })
    }

    fn parse(from: &str, to: &str, now_ms: i64) -> Result<Self, String> {
        let read = |text: &str| {
            parse_ns(text, now_ms.saturating_mul(1_000_000))
                .map(|ns| ns.div_euclid(1_000_000))
                .ok_or_else(|| {
                    format!("cannot read the time {text:?}: write now-1h, now or 2026-08-22T01:10Z")
                })
        };
        let (from_ms, to_ms) = (read(from)?, read(to)?);
        if from_ms >= to_ms {
            return Err(format!(
                "the range from {from} to {to} is empty: it ends before it begins"
            ));
        }
        Ok(Self {
            from: from.to_owned(),
            to: to.to_owned(),
            from_ms,
            to_ms,
            error: None,
        })
    }

    /// How long it is.
    pub(crate) fn span_ms(&self) -> i64 {
        self.to_ms - self.from_ms
    }

    /// Inclusive start, nanoseconds since 1970-01-01 UTC.
    pub(crate) fn start_ns(&self) -> i64 {
        self.from_ms.saturating_mul(1_000_000)
    }

    /// Exclusive end, nanoseconds since 1970-01-01 UTC.
    pub(crate) fn end_ns(&self) -> i64 {
        self.to_ms.saturating_mul(1_000_000)
    }

    /// `Some("1h")` for the last hour, `None` for a range that does not end now.
    pub(crate) fn relative(&self) -> Option<&str> {
        self.from.strip_prefix("now-").filter(|_| self.to == "now")
    }

    /// The picker's presets.
    pub(crate) fn presets(&self, params: &Params) -> Vec<RangeLink> {
        PRESETS
            .iter()
            .map(|span| RangeLink {
                label: spaced(span),
                href: params.with(&[("from", &format!("now-{span}")), ("to", "now")]),
                current: self.relative() == Some(span),
            })
            .collect()
    }

    /// Earlier, later, wider, narrower.
    pub(crate) fn steps(&self, params: &Params) -> [RangeLink; 4] {
        let half = (self.span_ms() / 2).max(WINDOW_MIN_MS / 2);
        let absolute = |label: &str, from_ms: i64, to_ms: i64| RangeLink {
            label: label.to_owned(),
            href: params.with(&[("from", &seconds(from_ms)), ("to", &seconds(to_ms))]),
            current: false,
        };
        let rescaled = |label: &str, span_ms: i64, from_ms: i64, to_ms: i64| {
            if self.relative().is_none() {
                return absolute(label, from_ms, to_ms);
            }
            let span = std::time::Duration::from_millis(span_ms.max(WINDOW_MIN_MS) as u64);
            let from = format!("now-{}", model::duration::format(span));
            RangeLink {
                label: label.to_owned(),
                href: params.with(&[("from", &from), ("to", "now")]),
                current: false,
            }
        };
        let (from, to) = (self.from_ms, self.to_ms);
        [
            absolute("earlier", from - half, to - half),
            absolute("later", from + half, to + half),
            rescaled("wider", half * 4, from - half, to + half),
            rescaled("narrower", half, from + half / 2, to - half / 2),
        ]
    }
}

/// `1h` as `1 h`.
pub(crate) fn spaced(span: &str) -> String {
    let digits = span.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    format!("{digits} {}", &span[digits.len()..])
}

/// RFC 3339 to the second, the form of links.
fn seconds(ms: i64) -> String {
    let text = rfc3339_ms(ms);
    format!("{}Z", text.split('.').next().unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_763_900_000_000;

    fn range(query: &str) -> TimeRange {
        TimeRange::of(&Params::parse(query), NOW)
    }

    #[test]
    fn reads_relative_and_absolute_ranges() {
        assert_eq!(range("").span_ms(), 3_600_000);
        assert_eq!(range("from=now-5m").relative(), Some("5m"));
        let absolute = range("from=2025-11-23T12:00:00Z&to=2025-11-23T12:13:20Z");
        assert_eq!((absolute.relative(), absolute.to_ms), (None, NOW));
    }

    #[test]
    fn says_what_is_wrong_and_shows_the_default() {
        for query in ["from=yesterday", "from=now&to=now-1h", "to=now-2h"] {
            let range = range(query);
            assert!(range.error.is_some(), "{query}");
            assert_eq!(range.span_ms(), 3_600_000);
        }
    }

    #[test]
    fn steps_keep_the_other_parameters() {
        let params = Params::parse("q=up&from=now-1h&to=now");
        let [earlier, _, wider, narrower] = TimeRange::of(&params, NOW).steps(&params);
        assert_eq!(
            earlier.href,
            "?q=up&from=2025-11-23T10%3A43%3A20Z&to=2025-11-23T11%3A43%3A20Z"
        );
        assert_eq!(wider.href, "?q=up&from=now-2h&to=now");
        assert_eq!(narrower.href, "?q=up&from=now-30m&to=now");
    }
}
