//! Who asks, for what, and how they like it: the parts of a request that every page needs.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use jiff::tz::TimeZone;
use url::form_urlencoded;

use crate::Services;

/// Sent by the scripts: answer with the part of the page that changes, without its frame.
pub(crate) const FRAGMENT_HEADER: &str = "x-yagura-fragment";

/// The parameters of a URL in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads a query string, without its question mark.
    pub(crate) fn parse(query: &str) -> Self {
        Self(
            form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    /// The first value of a name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// All values of a name, in their order.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The value of a name without spaces around it, empty where there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).map_or("", str::trim)
    }

    /// All but the named ones: what a form carries on as hidden fields.
    pub(crate) fn without(&self, names: &[&str]) -> Vec<(String, String)> {
        self.0
            .iter()
            .filter(|(key, _)| !names.contains(&key.as_str()))
            .cloned()
            .collect()
    }

    /// The query string (with its question mark) with some values changed; an empty value takes
    /// the parameter out.
    pub(crate) fn with(&self, changes: &[(&str, &str)]) -> String {
        let mut pairs = self.0.clone();
        for (name, value) in changes {
            match pairs.iter_mut().find(|(key, _)| key == name) {
                Some(pair) => (*value).clone_into(&mut pair.1),
                None => pairs.push(((*name).to_owned(), (*value).to_owned())),
            }
        }
        let mut out = form_urlencoded::Serializer::for_suffix(String::from("?"), 1);
        for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
            out.append_pair(name, value);
        }
        out.finish()
    }
}

/// Dark, light, or as the system likes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Theme {
    #[default]
    Auto,
    Dark,
    Light,
}

impl Theme {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Dark => "dark",
            Self::Light => "light",
        }
    }

    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "dark" => Self::Dark,
            "light" => Self::Light,
            _ => Self::Auto,
        }
    }

    /// The one that the switch goes to.
    pub(crate) fn next(self) -> Self {
        match self {
            Self::Auto => Self::Dark,
            Self::Dark => Self::Light,
            Self::Light => Self::Auto,
        }
    }

    /// Its icon in the sprite.
    pub(crate) fn icon(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Dark => "moon",
            Self::Light => "sun",
        }
    }
}

/// A request for a page, as an extractor that never refuses.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    /// The path, `/alerts`.
    pub(crate) path: String,
    /// The parameters.
    pub(crate) params: Params,
    /// Cookie `yagura_theme`.
    pub(crate) theme: Theme,
    /// Cookie `yagura_rail`: whether the rail shows names.
    pub(crate) rail_open: bool,
    /// Cookie `yagura_zone`: in which zone times are written; set by the script, UTC without.
    pub(crate) zone: TimeZone,
    /// Whether single-letter keys are on (cookie `yagura_keys`).
    pub(crate) keys: bool,
    /// Whether only the changing part of the page is wanted.
    pub(crate) fragment: bool,
    /// Host and port that the browser knows Yagura by; may be empty.
    pub(crate) host: String,
    /// Cookies that only one page understands, by their names without `yagura_`.
    choices: Vec<(String, String)>,
    /// When it was asked, milliseconds since 1970-01-01 UTC.
    pub(crate) now_ms: i64,
}

impl Visit {
    /// Reads what a request says.
    pub(crate) fn new(path: &str, query: &str, headers: &HeaderMap, now_ms: i64) -> Self {
        let cookie = |name: &str| cookie(headers, name).unwrap_or_default();
        Self {
            path: path.to_owned(),
            params: Params::parse(query),
            theme: Theme::parse(cookie("yagura_theme")),
            rail_open: cookie("yagura_rail") == "open",
            zone: zone(cookie("yagura_zone")),
            keys: cookie("yagura_keys") != "off",
            fragment: headers.contains_key(FRAGMENT_HEADER),
            host: host(headers),
            choices: choices(headers),
            now_ms,
        }
    }

    /// Reads what the head of a request says, now.
    pub(crate) fn of(parts: &Parts) -> Self {
        Self::new(
            parts.uri.path(),
            parts.uri.query().unwrap_or_default(),
            &parts.headers,
            model::time::now_ms(),
        )
    }
}

impl Visit {
    /// What somebody chose on a page, as the script keeps it in the cookie `yagura_NAME`.
    pub(crate) fn choice(&self, name: &str) -> &str {
        let choice = self.choices.iter().find(|(key, _)| key == name);
        choice.map_or("", |(_, value)| value.as_str())
    }
}

impl FromRequestParts<Arc<Services>> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        _services: &Arc<Services>,
    ) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    cookies(headers)
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// Scripts write cookies with `encodeURIComponent`, which leaves no plus sign.
fn choices(headers: &HeaderMap) -> Vec<(String, String)> {
    cookies(headers)
        .filter_map(|(key, value)| Some((key.strip_prefix("yagura_")?, value)))
        .filter_map(|(key, value)| {
            let (value, _) = form_urlencoded::parse(value.as_bytes()).next()?;
            Some((key.to_owned(), value.into_owned()))
        })
        .collect()
}

/// The guard has checked it; here it is only shown, as part of commands to copy.
fn host(headers: &HeaderMap) -> String {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    host.unwrap_or_default().to_owned()
}

/// The zone of a cookie: `Europe/Berlin`, with its slash as it is or as `%2F`.
fn zone(name: &str) -> TimeZone {
    let name = name.replace("%2F", "/");
    // Only names of the zone data base: jiff would also take POSIX strings and paths.
    let plain = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '+'));
    if name.is_empty() || !plain || name.starts_with('/') {
        return TimeZone::UTC;
    }
    TimeZone::get(&name).unwrap_or(TimeZone::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn parameters_are_changed_in_place() {
        let params = Params::parse("q=a+b&state=firing&q=second");
        assert_eq!(params.get("q"), Some("a b"));
        assert_eq!(
            params.with(&[("state", ""), ("to", "now")]),
            "?q=a+b&q=second&to=now"
        );
    }

    #[test]
    fn cookies_shape_the_page_and_bad_ones_do_no_harm() {
        let visit = |cookies: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(
                header::COOKIE,
                HeaderValue::from_str(cookies).expect("ascii"),
            );
            Visit::new("/", "", &headers, 0)
        };
        let shaped = visit("yagura_theme=light; yagura_rail=open; yagura_zone=Europe%2FBerlin");
        assert_eq!((shaped.theme, shaped.rail_open), (Theme::Light, true));
        assert_eq!(shaped.zone.iana_name(), Some("Europe/Berlin"));
        let odd = visit("yagura_theme=\"><script>; yagura_zone=../../etc/passwd");
        assert_eq!((odd.theme, odd.zone), (Theme::Auto, TimeZone::UTC));
    }
}
