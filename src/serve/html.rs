//! Small pieces of HTML that templates put in as they are: icons, states, times, meters.
//!
//! Each type writes markup of its own and escapes whatever text it was given, which is why it may
//! call itself safe.

use std::fmt;

use askama::filters::HtmlSafe;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::humanize;

/// Text with the characters escaped that HTML gives a meaning.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            let (plain, tail) = rest.split_at(at);
            f.write_str(plain)?;
            f.write_str(match tail.as_bytes().first() {
                Some(b'&') => "&amp;",
                Some(b'<') => "&lt;",
                Some(b'>') => "&gt;",
                Some(b'"') => "&quot;",
                _ => "&#39;",
            })?;
            rest = &tail[1..];
        }
        f.write_str(rest)
    }
}

impl HtmlSafe for Escaped<'_> {}

/// An icon of the sprite (`templates/_icons.html`).
pub(crate) struct Icon(pub(crate) &'static str);

impl fmt::Display for Icon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0;
        write!(
            f,
            r##"<svg class="icon" aria-hidden="true"><use href="#i-{name}"/></svg>"##
        )
    }
}

impl HtmlSafe for Icon {}

/// How a thing is. Never told by colour alone: a shape, a word, and colour only for trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tone {
    /// Nobody knows yet.
    Unknown,
    /// As it should be.
    Fine,
    /// Under way, catching up.
    Busy,
    /// Someone should look.
    Warn,
    /// Something is broken.
    Err,
}

impl Tone {
    /// Its shape in the sprite.
    pub(crate) fn icon(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Fine => "ok",
            Self::Busy => "busy",
            Self::Warn => "warn",
            Self::Err => "err",
        }
    }

    /// Its class in the style sheet.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Unknown | Self::Fine | Self::Busy => "calm",
            Self::Warn => "warn",
            Self::Err => "err",
        }
    }
}

/// A shape with a word.
pub(crate) struct State<'a> {
    pub(crate) tone: Tone,
    pub(crate) word: &'a str,
}

impl fmt::Display for State<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (class, icon, word) = (
            self.tone.class(),
            Icon(self.tone.icon()),
            Escaped(self.word),
        );
        write!(f, r#"<span class="state {class}">{icon}{word}</span>"#)
    }
}

impl HtmlSafe for State<'_> {}

/// How a point in time is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeStyle {
    /// `4 m ago`
    Ago,
    /// `4 m`
    Age,
    /// `02:41:10`, with the day where it is another one.
    Clock,
}

/// A point in time; the whole of it shows on hovering.
pub(crate) struct Moment<'a> {
    pub(crate) time_ms: i64,
    pub(crate) now_ms: i64,
    pub(crate) zone: &'a TimeZone,
    pub(crate) style: TimeStyle,
}

impl fmt::Display for Moment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(time) = Timestamp::from_millisecond(self.time_ms) else {
            return f.write_str("–");
        };
        let local = time.to_zoned_datetime(self.zone.clone());
        let age_ms = self.now_ms - self.time_ms;
        let (style, text) = match self.style {
            TimeStyle::Ago => ("ago", humanize::ago_ms(age_ms)),
            TimeStyle::Age => ("age", humanize::span_ms(age_ms - age_ms % 1000)),
            TimeStyle::Clock => {
                let near = age_ms.abs() < 12 * 3_600_000;
                let form = if near { "%H:%M:%S" } else { "%b %-d %H:%M" };
                ("clock", local.strftime(form).to_string())
            }
        };
        let whole = local.strftime("%Y-%m-%d %H:%M:%S %Z");
        write!(
            f,
            r#"<time datetime="{time}" data-style="{style}" title="{whole}">{text}</time>"#
        )
    }
}

impl HtmlSafe for Moment<'_> {}

/// A bar that is filled to a share (0 to 1).
pub(crate) struct Meter<'a> {
    /// Shares from left to right, in the classes `a`, `b` and `c`.
    pub(crate) shares: &'a [f64],
    pub(crate) tone: Tone,
    /// What it says to those who do not see it.
    pub(crate) label: &'a str,
}

impl fmt::Display for Meter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (class, label) = (self.tone.class(), Escaped(self.label));
        write!(
            f,
            r#"<svg class="meter {class}" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label="{label}"><rect class="track" width="100" height="6"/>"#
        )?;
        let mut start = 0.0;
        for (share, class) in self.shares.iter().zip(["a", "b", "c"]) {
            let share = if share.is_finite() { *share } else { 0.0 };
            let width = (share * 100.0).clamp(0.0, 100.0 - start);
            write!(
                f,
                r#"<rect class="{class}" x="{start:.2}" width="{width:.2}" height="6"/>"#
            )?;
            start += width;
        }
        f.write_str("</svg>")
    }
}

impl HtmlSafe for Meter<'_> {}

/// A text as one segment of a URL's path.
pub(crate) fn path_segment(text: &str) -> String {
    let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    encoded.replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_all_that_html_gives_a_meaning() {
        assert_eq!(
            Escaped(r#"<a href="x" id='y'>&ü</a>"#).to_string(),
            "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;ü&lt;/a&gt;"
        );
        let state = State {
            tone: Tone::Err,
            word: "<b>",
        };
        assert!(state.to_string().contains("&lt;b&gt;"));
    }

    #[test]
    fn moments_carry_the_whole_time() {
        let moment = |style, time_ms| {
            let zone = TimeZone::UTC;
            Moment {
                time_ms,
                now_ms: 1_763_900_000_000,
                zone: &zone,
                style,
            }
            .to_string()
        };
        assert_eq!(
            moment(TimeStyle::Clock, 1_763_900_000_000),
            r#"<time datetime="2025-11-23T12:13:20Z" data-style="clock" title="2025-11-23 12:13:20 UTC">12:13:20</time>"#
        );
        assert!(moment(TimeStyle::Clock, 1_763_800_000_000).contains(">Nov 22 08:26<"));
        assert!(moment(TimeStyle::Ago, 1_763_899_995_000).contains(">5 s ago<"));
        assert_eq!(moment(TimeStyle::Ago, i64::MAX), "–");
    }

    #[test]
    fn meters_never_run_over() {
        let meter = Meter {
            shares: &[0.7, 0.7],
            tone: Tone::Fine,
            label: "disk",
        };
        assert!(meter.to_string().contains(r#"x="70.00" width="30.00""#));
    }
}
