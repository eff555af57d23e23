//! Scripts, styles and icons: built by `build.rs`, embedded, served for ever.
//!
//! Names carry a hash of the content, so a file never changes under its name and browsers may
//! keep it for a year. Each file lies beside its `.br` and `.gz`, made once at build time.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::Services;

#[derive(rust_embed::RustEmbed)]
#[folder = "$OUT_DIR/web/assets"]
struct Files;

/// Logical name (`alerts.css`) → the file's name with its hash.
static MANIFEST: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
    let text = include_str!(concat!(env!("OUT_DIR"), "/web/manifest.json"));
    serde_json::from_str(text).expect("build.mjs writes a JSON object of strings")
});

/// A year, and no question in between.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// Encodings in order of preference, as `Accept-Encoding` and as file suffix.
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

pub(crate) fn router() -> Router<Arc<Services>> {
    Router::new().route("/assets/{file}", get(asset)).route(
        // Browsers ask for it unbidden.
        "/favicon.ico",
        get(async |headers: HeaderMap| {
            let file = MANIFEST.get("favicon.svg").map_or("", String::as_str);
            serve(file, &headers)
        }),
    )
}

/// Where a file lies, for links in pages: `/assets/alerts-3X7K2Q.css`. A page without a script or
/// sheet of its own gets the error page's, which is the shell alone.
pub(crate) fn url(page: &str, extension: &str) -> String {
    let name = MANIFEST
        .get(&format!("{page}.{extension}"))
        .or_else(|| MANIFEST.get(&format!("error.{extension}")))
        .map_or("", String::as_str);
    format!("/assets/{name}")
}

async fn asset(Path(file): Path<String>, headers: HeaderMap) -> Response {
    serve(&file, &headers)
}

fn serve(file: &str, headers: &HeaderMap) -> Response {
    // The variants are no files of their own: who wants one says so in Accept-Encoding.
    let Some(plain) = Files::get(file).filter(|_| content_type(file).is_some()) else {
        return (StatusCode::NOT_FOUND, "no such file\n").into_response();
    };
    let (encoding, body) = ENCODINGS
        .iter()
        .filter(|(name, _)| accepts(headers, name))
        .find_map(|(name, suffix)| {
            Files::get(&format!("{file}{suffix}")).map(|f| (Some(*name), f.data))
        })
        .unwrap_or((None, plain.data));
    // Variants of one file are different representations and need different tags.
    let [a, b, c, d, ..] = plain.metadata.sha256_hash();
    let hash = u32::from_be_bytes([a, b, c, d]);
    let tag = format!("\"{hash:08x}-{}\"", encoding.unwrap_or("plain"));
    let unchanged = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|tags| {
            tags.split(',')
                .any(|t| t.trim().trim_start_matches("W/") == tag)
        });
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let bytes = match body {
            Cow::Borrowed(bytes) => axum::body::Bytes::from_static(bytes),
            Cow::Owned(bytes) => bytes.into(),
        };
        bytes.into_response()
    };
    let out = response.headers_mut();
    out.insert(header::CACHE_CONTROL, FOR_EVER);
    out.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        out.insert(header::ETAG, tag);
    }
    if let Some(kind) = content_type(file) {
        out.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    if let (Some(encoding), false) = (encoding, unchanged) {
        out.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

/// The type of a file that may be asked for; `None` for all others.
fn content_type(file: &str) -> Option<&'static str> {
    let (_, extension) = file.rsplit_once('.')?;
    Some(match extension {
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => return None,
    })
}

/// Whether `Accept-Encoding` names an encoding and does not forbid it by `q=0`.
fn accepts(headers: &HeaderMap, encoding: &str) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|item| {
            let (name, quality) = item.split_once(';').unwrap_or((item, ""));
            let refused = quality
                .trim()
                .strip_prefix("q=")
                .and_then(|q| q.parse::<f32>().ok())
                .is_some_and(|q| q == 0.0);
            name.trim().eq_ignore_ascii_case(encoding) && !refused
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(file: &str, pairs: &[(header::HeaderName, &str)]) -> Response {
        let headers = pairs
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).expect("a value")))
            .collect();
        serve(file, &headers)
    }

    fn sheet() -> String {
        url("error", "css")
            .trim_start_matches("/assets/")
            .to_owned()
    }

    #[test]
    fn picks_the_best_encoding_that_the_browser_takes() {
        let check = |accept: &str, expected: Option<&str>| {
            let response = ask(&sheet(), &[(header::ACCEPT_ENCODING, accept)]);
            let got = response.headers().get(header::CONTENT_ENCODING);
            assert_eq!(
                got.map(HeaderValue::as_bytes),
                expected.map(str::as_bytes),
                "{accept}"
            );
            assert_eq!(
                response.headers()[header::CONTENT_TYPE],
                "text/css; charset=utf-8"
            );
        };
        check("gzip, deflate, br", Some("br"));
        check("gzip", Some("gzip"));
        check("br;q=0, gzip;q=0.5", Some("gzip"));
        check("identity", None);
    }

    #[test]
    fn a_known_tag_is_not_sent_again() {
        let first = ask(&sheet(), &[(header::ACCEPT_ENCODING, "br")]);
        let tag = first.headers()[header::ETAG]
            .to_str()
            .expect("ascii")
            .to_owned();
        let accept = (header::ACCEPT_ENCODING, "br");
        let second = ask(&sheet(), &[accept, (header::IF_NONE_MATCH, &tag)]);
        assert_eq!(second.status(), StatusCode::NOT_MODIFIED);
        let other = ask(&sheet(), &[(header::IF_NONE_MATCH, &tag)]);
        assert_eq!(
            other.status(),
            StatusCode::OK,
            "the plain file has a tag of its own"
        );
    }

    #[test]
    fn serves_nothing_but_built_files() {
        for file in [
            "../manifest.json",
            "manifest.json",
            "",
            &format!("{}.br", sheet()),
        ] {
            assert_eq!(ask(file, &[]).status(), StatusCode::NOT_FOUND, "{file}");
        }
    }
}
