//! `POST /settings`: theme, rail and keys, kept as cookies in this browser only.
//!
//! The forms that lead here work without script; the script changes the page at once and sends
//! the same form in the background.

use std::sync::Arc;

use axum::Router;
use axum::extract::Form;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Deserialize;

use crate::Services;
use crate::request::Theme;

/// Cookies live for a year.
const MAX_AGE_S: u32 = 31_536_000;

pub(crate) fn router() -> Router<Arc<Services>> {
    Router::new().route("/settings", post(save))
}

/// What may be set; what is absent stays.
#[derive(Debug, Deserialize)]
struct Settings {
    theme: Option<String>,
    rail: Option<String>,
    keys: Option<String>,
    /// The page to go back to.
    #[serde(default)]
    back: String,
}

async fn save(Form(settings): Form<Settings>) -> Response {
    let theme = settings.theme.as_deref().map(|t| Theme::parse(t).as_str());
    let rail = settings
        .rail
        .as_deref()
        .map(|r| one_of(r, "open", "closed"));
    let keys = settings.keys.as_deref().map(|k| one_of(k, "off", "on"));
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    for (name, value) in [("theme", theme), ("rail", rail), ("keys", keys)] {
        let Some(value) = value else { continue };
        let cookie = format!("yagura_{name}={value}; Path=/; Max-Age={MAX_AGE_S}; SameSite=Lax");
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            headers.append(header::SET_COOKIE, cookie);
        }
    }
    let back = HeaderValue::from_str(own_path(&settings.back));
    headers.insert(
        header::LOCATION,
        back.unwrap_or(HeaderValue::from_static("/")),
    );
    response
}

fn one_of(given: &str, named: &'static str, other: &'static str) -> &'static str {
    if given == named { named } else { other }
}

/// A path of ours, never another site: `//evil.example` and `/\evil.example` leave it.
pub(super) fn own_path(path: &str) -> &str {
    let second = path.as_bytes().get(1);
    let ours = path.starts_with('/') && !matches!(second, Some(b'/' | b'\\'));
    if ours { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_leads_away() {
        let check = |path: &str, expected: &str| assert_eq!(own_path(path), expected);
        check("/alerts?q=a", "/alerts?q=a");
        check("//evil.example", "/");
        check("/\\evil.example", "/");
        check("https://evil.example", "/");
        check("", "/");
    }
}
