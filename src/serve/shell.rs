//! The frame around every page: rail, top bar, time picker, theme. Templates extend
//! `_base.html` and find it as `shell`.

use std::borrow::Borrow;
use std::sync::Arc;

use alert_rules::{AlertState, RuleKind};
use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use crate::html::{Icon, Meter, Moment, State, TimeStyle, Tone};
use crate::request::Visit;
use crate::time_range::{RangeLink, TimeRange, spaced};
use crate::{Services, assets};

/// A page of the rail, or one that is in none (`Error`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    Overview,
    Logs,
    Metrics,
    Alerts,
    Targets,
    Status,
    Error,
}

/// Shortest and longest time between refreshes, seconds.
const REFRESH_S: (i64, i64) = (5, 60);

/// Refreshes while a chart moves by its whole width.
const REFRESHES: i64 = 720;

/// What the rail shows, from top to bottom.
const RAIL: [Page; 6] = [
    Page::Overview,
    Page::Logs,
    Page::Metrics,
    Page::Alerts,
    Page::Targets,
    Page::Status,
];

impl Page {
    /// Name of its sheet, script, template and icon.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Logs => "logs",
            Self::Metrics => "metrics",
            Self::Alerts => "alerts",
            Self::Targets => "targets",
            Self::Status => "status",
            Self::Error => "error",
        }
    }

    /// What people call it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Logs => "Logs",
            Self::Metrics => "Metrics",
            Self::Alerts => "Alerts",
            Self::Targets => "Targets",
            Self::Status => "Status",
            Self::Error => "Error",
        }
    }

    /// Where it is.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Overview => "/",
            Self::Logs => "/logs",
            // `/metrics` is the process' own exposition, which scrapers expect there.
            Self::Metrics => "/metrics-explorer",
            Self::Alerts => "/alerts",
            Self::Targets => "/targets",
            Self::Status => "/status",
            Self::Error => "",
        }
    }

    /// The key after `g` that leads to it.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Overview => "o",
            Self::Logs => "l",
            Self::Metrics => "m",
            Self::Alerts => "a",
            Self::Targets => "t",
            Self::Status => "s",
            Self::Error => "",
        }
    }

    /// Whether it shows a range of time and so has the picker.
    fn has_range(self) -> bool {
        matches!(self, Self::Overview | Self::Logs | Self::Metrics)
    }

    /// Whether the script keeps what the server drew fresh.
    fn is_refreshed(self) -> bool {
        match self {
            Self::Overview | Self::Alerts | Self::Targets | Self::Status => true,
            // They ask by themselves, or there is nothing to ask for.
            Self::Logs | Self::Metrics | Self::Error => false,
        }
    }
}

/// An entry of the rail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RailItem {
    pub(crate) page: Page,
    pub(crate) current: bool,
    /// Firing and pending alerts, for the badge.
    pub(crate) firing: usize,
    pub(crate) pending: usize,
}

/// The frame of one answer.
pub(crate) struct Shell {
    /// The page inside it.
    pub(crate) page: Page,
    /// Heading and window title.
    pub(crate) title: String,
    /// Who asks, and how they like it.
    pub(crate) visit: Visit,
    /// The range shown, on pages that have one.
    pub(crate) range: Option<TimeRange>,
    /// Seconds between refreshes, where the page knows better than its kind; 0 for none.
    pub(crate) refresh: Option<i64>,
    firing: usize,
    pending: usize,
}

impl Shell {
    /// The frame of a page.
    pub(crate) fn new(services: &Services, visit: Visit, page: Page) -> Self {
        let (mut firing, mut pending) = (0, 0);
        for rule in (services.rule_groups)()
            .iter()
            .flat_map(|group| &group.rules)
        {
            let RuleKind::Alerting { alerts, .. } = &rule.kind else {
                continue;
            };
            firing += alerts
                .iter()
                .filter(|a| a.state == AlertState::Firing)
                .count();
            pending += alerts
                .iter()
                .filter(|a| a.state == AlertState::Pending)
                .count();
        }
        Self {
            range: page
                .has_range()
                .then(|| TimeRange::of(&visit.params, visit.now_ms)),
            page,
            refresh: None,
            title: page.title().to_owned(),
            visit,
            firing,
            pending,
        }
    }

    /// The range of a page that has one; the default range elsewhere.
    pub(crate) fn range(&self) -> TimeRange {
        self.range
            .clone()
            .unwrap_or_else(|| TimeRange::of(&self.visit.params, self.visit.now_ms))
    }

    /// The rail's entries.
    pub(crate) fn rail(&self) -> Vec<RailItem> {
        let item = |page| RailItem {
            page,
            current: page == self.page,
            firing: if page == Page::Alerts { self.firing } else { 0 },
            pending: if page == Page::Alerts {
                self.pending
            } else {
                0
            },
        };
        RAIL.into_iter().map(item).collect()
    }

    /// The window's title; a number of firing alerts comes first, so that a tab tells.
    pub(crate) fn window_title(&self) -> String {
        match self.firing {
            0 => format!("{} · Yagura", self.title),
            n => format!("({n}) {} · Yagura", self.title),
        }
    }

    /// Where the page's style sheet lies.
    pub(crate) fn sheet(&self) -> String {
        assets::url(self.page.name(), "css")
    }

    /// Where the page's script lies.
    pub(crate) fn script(&self) -> String {
        assets::url(self.page.name(), "js")
    }

    /// Where the favicon lies.
    #[expect(
        clippy::unused_self,
        reason = "templates reach helpers through the shell"
    )]
    pub(crate) fn favicon(&self) -> String {
        assets::url("favicon", "svg")
    }

    /// Seconds between refreshes; 0 for none. A chart of a day does not change within seconds,
    /// and drawing it costs more.
    pub(crate) fn refresh_s(&self) -> i64 {
        if let Some(seconds) = self.refresh {
            return seconds;
        }
        if !self.page.is_refreshed() {
            return 0;
        }
        let span_ms = self.range.as_ref().map_or(0, TimeRange::span_ms);
        (span_ms / REFRESHES / 1000).clamp(REFRESH_S.0, REFRESH_S.1)
    }

    /// The page with its parameters: where forms lead back to.
    pub(crate) fn here(&self) -> String {
        match self.visit.params.with(&[]).as_str() {
            "?" => self.visit.path.clone(),
            query => format!("{}{query}", self.visit.path),
        }
    }

    /// The zone in which times are written.
    pub(crate) fn zone_name(&self) -> &str {
        self.visit.zone.iana_name().unwrap_or("UTC")
    }

    /// A link to another page that keeps the range, where both have one.
    pub(crate) fn link(&self, page: impl Borrow<Page>, changes: &[(&str, &str)]) -> String {
        let page = *page.borrow();
        let mut pairs = changes.to_vec();
        if let (Some(range), true) = (&self.range, page.has_range()) {
            pairs.extend([("from", range.from.as_str()), ("to", range.to.as_str())]);
        }
        let query = crate::request::Params::default().with(&pairs);
        format!("{}{}", page.path(), query.trim_end_matches('?'))
    }

    /// Words on the time picker.
    pub(crate) fn range_label(&self) -> String {
        let Some(range) = &self.range else {
            return String::new();
        };
        if let Some(span) = range.relative() {
            return format!("last {}", spaced(span));
        }
        let text = |ms: i64, form: &str| {
            jiff::Timestamp::from_millisecond(ms).map_or_else(
                |_| "–".to_owned(),
                |t| {
                    t.to_zoned_datetime(self.visit.zone.clone())
                        .strftime(form)
                        .to_string()
                },
            )
        };
        let (from, to) = (range.from_ms, range.to_ms);
        let day = "%b %-d %H:%M";
        let end = if text(from, "%F") == text(to, "%F") {
            "%H:%M"
        } else {
            day
        };
        format!("{} – {}", text(from, day), text(to, end))
    }

    /// The picker's presets.
    pub(crate) fn presets(&self) -> Vec<RangeLink> {
        self.range().presets(&self.visit.params)
    }

    /// The picker's steps.
    pub(crate) fn steps(&self) -> [RangeLink; 4] {
        self.range().steps(&self.visit.params)
    }

    /// An icon of the sprite.
    #[expect(
        clippy::unused_self,
        reason = "templates reach helpers through the shell"
    )]
    pub(crate) fn icon(&self, name: &'static str) -> Icon {
        Icon(name)
    }

    /// A shape with a word.
    #[expect(
        clippy::unused_self,
        reason = "templates reach helpers through the shell"
    )]
    pub(crate) fn state<'a>(&self, tone: impl Borrow<Tone>, word: &'a str) -> State<'a> {
        State {
            tone: *tone.borrow(),
            word,
        }
    }

    /// A filled bar.
    #[expect(
        clippy::unused_self,
        reason = "templates reach helpers through the shell"
    )]
    pub(crate) fn meter<'a>(
        &self,
        shares: &'a [f64],
        tone: impl Borrow<Tone>,
        label: &'a str,
    ) -> Meter<'a> {
        Meter {
            shares,
            tone: *tone.borrow(),
            label,
        }
    }

    /// A point in time as `4 m ago`.
    pub(crate) fn ago(&self, time_ms: impl Borrow<i64>) -> Moment<'_> {
        self.moment(*time_ms.borrow(), TimeStyle::Ago)
    }

    /// A point in time as `4 m`.
    pub(crate) fn age(&self, time_ms: impl Borrow<i64>) -> Moment<'_> {
        self.moment(*time_ms.borrow(), TimeStyle::Age)
    }

    /// A point in time as `02:41:10`.
    pub(crate) fn clock(&self, time_ms: impl Borrow<i64>) -> Moment<'_> {
        self.moment(*time_ms.borrow(), TimeStyle::Clock)
    }

    fn moment(&self, time_ms: i64, style: TimeStyle) -> Moment<'_> {
        Moment {
            time_ms,
            now_ms: self.visit.now_ms,
            zone: &self.visit.zone,
            style,
        }
    }
}

/// Turns a page's template into an answer.
pub(crate) fn render(page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => html_response(StatusCode::OK, html),
        Err(error) => {
            tracing::error!(%error, "cannot render a page");
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "cannot render this page\n",
            )
                .into_response()
        }
    }
}

/// An answer that browsers ask for anew each time.
pub(crate) fn html_response(status: StatusCode, html: String) -> Response {
    let mut response = (status, Html(html)).into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A page that says what went wrong and where to go from there.
#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    shell: Shell,
    tone: Tone,
    sentence: &'a str,
}

/// Answers with an error page.
pub(crate) fn refuse(
    services: &Arc<Services>,
    visit: Visit,
    status: StatusCode,
    title: &str,
    sentence: &str,
) -> Response {
    let mut shell = Shell::new(services, visit, Page::Error);
    title.clone_into(&mut shell.title);
    let tone = if status.is_server_error() {
        Tone::Err
    } else {
        Tone::Unknown
    };
    let page = ErrorPage {
        shell,
        tone,
        sentence,
    };
    let mut response = render(&page);
    *response.status_mut() = status;
    response
}
