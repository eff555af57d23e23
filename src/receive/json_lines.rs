//! Lines over plain HTTP: a JSON object per line, a JSON array of objects, or texts.
//!
//! The parameters are those of VictoriaLogs' `/insert/jsonline`:
//!
//! | parameter | header | meaning |
//! |---|---|---|
//! | `_stream_fields=a,b` | `VL-Stream-Fields` | these fields are the labels of the stream |
//! | `_msg_field=a,b` | `VL-Msg-Field` | where the message is; the first that is there |
//! | `_time_field=a,b` | `VL-Time-Field` | where the time is |
//! | `extra_fields=k=v,…` | `VL-Extra-Fields` | labels that all lines of the request get |
//!
//! Without `_stream_fields` the labels are those that [`document`](crate::document) finds.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::document::{Documents, Plan};
use crate::inflate::{Encoding, inflate};
use crate::{Push, Refused};

/// Names in one parameter: each costs a comparison per field.
const NAMES_MAX: usize = 32;

/// Parameters that VictoriaLogs has and that would change what is stored: refused by name rather
/// than left out in silence.
const UNKNOWN: &[&str] = &["ignore_fields", "decolorize_fields", "debug"];

/// How the lines of a request are to be read.
#[derive(Debug, Clone)]
pub struct Options {
    plan: Plan,
    is_text: bool,
}

impl Options {
    /// Reads the content type and the parameters (those of the URL and, under the same names, of
    /// the headers).
    ///
    /// # Errors
    /// `Unsupported` for other content types, `Bad` for a parameter that cannot be read.
    pub fn new(
        content_type: Option<&str>,
        parameter: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Refused> {
        let whole = content_type.unwrap_or_default();
        let kind = whole.split(';').next().unwrap_or_default().trim();
        let is_text = match kind.to_ascii_lowercase().as_str() {
            "text/plain" => true,
            // What curl says when nobody tells it what to say.
            ""
            | "application/x-www-form-urlencoded"
            | "application/json"
            | "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/stream+json"
            | "application/json-lines" => false,
            _ => {
                return Err(Refused::Unsupported(format!(
                    "the content type {whole:?} is not understood: use application/x-ndjson for \
                     JSON lines, or text/plain"
                )));
            }
        };
        if let Some(name) = UNKNOWN.iter().find(|name| parameter(name).is_some()) {
            return Err(Refused::Bad(format!(
                "the parameter {name} is not carried out: leave it out"
            )));
        }
        let names = |name: &str| -> Result<Option<Vec<String>>, Refused> {
            let Some(text) = parameter(name).filter(|text| !text.trim().is_empty()) else {
                return Ok(None);
            };
            let names: Vec<String> = text.split(',').map(|n| n.trim().to_owned()).collect();
            if names.len() > NAMES_MAX || names.iter().any(String::is_empty) {
                return Err(Refused::Bad(format!(
                    "the parameter {name}={text:?} must be 1 to {NAMES_MAX} names with commas \
                     between them"
                )));
            }
            Ok(Some(names))
        };
        let mut plan = Plan::new(
            names("_msg_field")?.as_deref(),
            names("_time_field")?.as_deref(),
            names("_stream_fields")?.as_deref(),
        );
        for pair in names("extra_fields")?.unwrap_or_default() {
            let Some((name, value)) = pair.split_once('=').filter(|(name, _)| !name.is_empty())
            else {
                return Err(Refused::Bad(format!(
                    "{pair:?} in extra_fields must look like name=value"
                )));
            };
            plan.fixed.push((name.to_owned(), value.to_owned()));
        }
        Ok(Self { plan, is_text })
    }
}

/// Reads a body into a push. Bad lines are noted in it, the others are taken.
///
/// # Errors
/// `TooLarge` beyond a limit, `Bad` where nothing can be read.
pub fn decode(
    push: &mut Push,
    body: &[u8],
    encoding: Encoding,
    options: &Options,
) -> Result<(), Refused> {
    let body = inflate(body, encoding, push.limits().inflated_bytes_max)?;
    if options.is_text {
        return texts(push, &body, options);
    }
    let mut documents = Documents::new(&options.plan);
    let mut add = |push: &mut Push, place: &str, at: usize, document: &[u8]| match documents
        .add(push, document, None)
    {
        Err(Refused::Bad(why)) => {
            push.drop_text();
            push.reject(1, || format!("{place} {at}: {why}"));
            Ok(())
        }
        other => other,
    };
    if body.trim_ascii_start().first() == Some(&b'[') {
        // Fluent Bit's `format json` sends an array.
        let elements: Elements<'_> = serde_json::from_slice(&body)
            .map_err(|error| Refused::Bad(format!("the body is no array of objects: {error}")))?;
        for (i, element) in elements.0.iter().enumerate() {
            add(push, "element", i + 1, element.get().as_bytes())?;
        }
        return Ok(());
    }
    for (i, line) in body.split(|b| *b == b'\n').enumerate() {
        if !line.trim_ascii().is_empty() {
            add(push, "line", i + 1, line)?;
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Elements<'a>(#[serde(borrow)] Vec<&'a RawValue>);

/// Each line is a text.
fn texts(push: &mut Push, body: &[u8], options: &Options) -> Result<(), Refused> {
    let fixed = options.plan.fixed.iter();
    let labels = model::Labels::from_pairs(fixed.map(|(k, v)| (k.as_str(), v.as_str())));
    let stream = push.stream(&labels)?;
    for line in body.split(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            push.text().extend_from_slice(line);
            push.end_line(stream, None, None)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Protocol;
    use crate::push::tests::{push, shown};

    fn options(
        content_type: Option<&str>,
        parameters: &[(&str, &str)],
    ) -> Result<Options, Refused> {
        Options::new(content_type, |name| {
            let found = parameters.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn decoded(body: &str, content_type: Option<&str>, parameters: &[(&str, &str)]) -> Push {
        let options = options(content_type, parameters).expect("options");
        let mut push = push(Protocol::JsonLines);
        decode(&mut push, body.as_bytes(), Encoding::Plain, &options).expect("sound");
        push
    }

    #[test]
    fn json_lines_with_the_labels_that_are_asked_for() {
        let body = concat!(
            r#"{"date":"2026-03-01T10:00:01Z","payload":"hello","app":{"name":"web"},"status":200}"#,
            "\n",
            r#"{"date":1772359202.5,"payload":"again","app":{"name":"web"}}"#,
            "\n",
        );
        let parameters = [
            ("_stream_fields", "app.name,env"),
            ("_msg_field", "payload"),
            ("_time_field", "date"),
            ("extra_fields", "team=shop"),
        ];
        assert_eq!(
            shown(&decoded(body, None, &parameters)),
            [
                r#"{app_name="web", team="shop"} 1 unknown {"date":"2026-03-01T10:00:01Z","message":"hello","app":{"name":"web"},"status":200}"#,
                r#"{app_name="web", team="shop"} 2.5 unknown again"#,
            ]
        );
    }

    #[test]
    fn an_array_as_fluent_bit_sends_it() {
        let body =
            r#" [{"date":1772359200.25,"log":"an ERROR"},{"date":1772359201,"log":"x","n":1}]"#;
        assert_eq!(
            shown(&decoded(body, Some("application/json"), &[])),
            [
                r#"{input="jsonline"} 0.25 error an ERROR"#,
                r#"{input="jsonline"} 1 unknown {"date":1772359201,"log":"x","n":1}"#,
            ]
        );
    }

    #[test]
    fn texts_are_lines() {
        let push = decoded(
            "one\r\n\ntwo",
            Some("text/plain; charset=utf-8"),
            &[("extra_fields", "app=demo, env=test")],
        );
        let labels = r#"{app="demo", env="test"}"#;
        assert_eq!(
            shown(&push),
            [
                format!("{labels} 0 unknown one"),
                format!("{labels} 0 unknown two")
            ]
        );
    }

    #[test]
    fn bad_lines_are_named_and_the_others_are_taken() {
        let push = decoded("{\"msg\":\"a\"}\nhello\n{\"msg\":\"b\"}\n[1]\n", None, &[]);
        assert_eq!(push.lines(), 2);
        let (lines, why) = push.rejected().expect("some");
        assert_eq!(lines, 2);
        assert!(why.starts_with("line 2: it is no JSON object"), "{why}");
    }

    #[test]
    fn what_is_not_carried_out_is_refused_by_name() {
        let refused = options(None, &[("ignore_fields", "a")]).expect_err("unknown");
        assert!(refused.to_string().contains("ignore_fields"), "{refused}");
        let refused = options(Some("text/csv"), &[]).expect_err("unknown");
        assert!(matches!(refused, Refused::Unsupported(_)), "{refused}");
        assert!(options(None, &[("extra_fields", "a")]).is_err());
        assert!(options(None, &[("_msg_field", "a,,b")]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let options = options(None, &[("_msg_field", "m")]).expect("options");
            let _ = decode(&mut push(Protocol::JsonLines), &bytes, Encoding::Plain, &options);
        }
    }
}
