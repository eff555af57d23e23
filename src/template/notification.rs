//! What notification templates know: Alertmanager's data (`.Alerts.Firing`,
//! `.CommonLabels.SortedPairs`, `.StartsAt.Format "15:04"`) and its functions.
//!
//! ```text
//! let mut templates = Templates::default();
//! templates.add("default.tmpl", text, notification::FUNCTIONS)?;
//! let template = templates.parse("slack.title", "{{ template \"title\" . }}", notification::FUNCTIONS)?;
//! let text = template.render(&Data { … }.value(), &[], &env)?;
//! ```
//!
//! Prometheus' functions (`humanize`, `stripPort`, …) work here too, where Alertmanager has none
//! of the same name; `query` answers what [`crate::Env::query`] answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use model::Labels;

use crate::builtins::{Function, too_long};
use crate::encodings::{base64_decode, base64_encode, url_unescape};
use crate::methods::{ZERO_TIME_MS, between};
use crate::value::Value;
use crate::{Call, OUTPUT_BYTES_MAX, json, layout, prometheus};

/// The most elements that `append` may make a list of.
const LIST_MAX: usize = 2_000;

/// How deep lists and maps that a template makes may lie in one another.
const MADE_NESTING_MAX: usize = 8;

/// An alert as templates see it.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertData {
    /// Whether it is over (`.Status` is `resolved`) or not (`firing`).
    pub resolved: bool,
    /// `.Labels`.
    pub labels: Labels,
    /// `.Annotations`.
    pub annotations: Labels,
    /// `.StartsAt`, milliseconds since 1970-01-01 UTC.
    pub starts_at_ms: i64,
    /// `.EndsAt`; `None` while it fires: Go's zero time.
    pub ends_at_ms: Option<i64>,
    /// `.GeneratorURL`.
    pub generator_url: String,
    /// `.Fingerprint`, 16 hex digits.
    pub fingerprint: String,
}

/// The dot of a notification's templates.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Data {
    /// `.Receiver`.
    pub receiver: String,
    /// `.Alerts`, in the order in which they are told; `.Status` is `firing` where one fires.
    pub alerts: Vec<AlertData>,
    /// `.GroupLabels`.
    pub group_labels: Labels,
    /// `.ExternalURL`.
    pub external_url: String,
    /// Further fields by name: of the route (`RouteLabels`), of our own (`Evidence`).
    pub more: Vec<(&'static str, Value)>,
}

impl Data {
    /// The value to render with.
    pub fn value(&self) -> Value {
        let firing = self.alerts.iter().any(|alert| !alert.resolved);
        let mut fields = vec![
            ("Receiver", Value::str(self.receiver.as_str())),
            ("Status", status(!firing)),
            (
                "Alerts",
                Value::List(self.alerts.iter().map(AlertData::value).collect()),
            ),
            ("GroupLabels", Value::KeyValues(self.group_labels.clone())),
            (
                "CommonLabels",
                Value::KeyValues(common(self.alerts.iter().map(|alert| &alert.labels))),
            ),
            (
                "CommonAnnotations",
                Value::KeyValues(common(self.alerts.iter().map(|alert| &alert.annotations))),
            ),
            ("ExternalURL", Value::str(self.external_url.as_str())),
        ];
        fields.extend(self.more.iter().cloned());
        Value::fields("*template.Data", fields)
    }
}

impl AlertData {
    /// One of `.Alerts`.
    pub fn value(&self) -> Value {
        let ends_at_ms = self.ends_at_ms.unwrap_or(ZERO_TIME_MS);
        Value::fields(
            "template.Alert",
            vec![
                ("Status", status(self.resolved)),
                ("Labels", Value::KeyValues(self.labels.clone())),
                ("Annotations", Value::KeyValues(self.annotations.clone())),
                ("StartsAt", Value::time_ms(self.starts_at_ms)),
                ("EndsAt", Value::time_ms(ends_at_ms)),
                ("GeneratorURL", Value::str(self.generator_url.as_str())),
                ("Fingerprint", Value::str(self.fingerprint.as_str())),
            ],
        )
    }
}

fn status(resolved: bool) -> Value {
    Value::str(if resolved { "resolved" } else { "firing" })
}

/// The pairs that all sets have.
pub fn common<'a>(mut sets: impl Iterator<Item = &'a Labels>) -> Labels {
    let first = sets.next().cloned().unwrap_or_default();
    sets.fold(first, |common, set| {
        common.filtered(|name| common.get(name) == set.get(name))
    })
}

const fn f(name: &'static str, min: usize, max: usize, call: Call) -> Function {
    Function {
        name,
        arguments: min..=max,
        call,
    }
}

/// Alertmanager's functions: for [`crate::Template::parse_with`] and [`crate::Templates`].
pub static FUNCTIONS: &[Function] = &[
    f("title", 1, 1, |args, _| {
        Ok(Value::str(prometheus::title(
            &text(&args[0])?.to_lowercase(),
        )))
    }),
    f("trimSpace", 1, 1, |args, _| {
        Ok(Value::str(text(&args[0])?.trim()))
    }),
    f("join", 2, 2, |args, _| join(text(&args[0])?, &args[1])),
    f("safeUrl", 1, 1, |args, _| {
        Ok(Value::Url(Arc::from(text(&args[0])?)))
    }),
    f("urlUnescape", 1, 1, |args, _| {
        url_unescape(text(&args[0])?).map(Value::str)
    }),
    f("stringSlice", 0, usize::MAX, |args, _| {
        args.iter().try_for_each(|arg| text(arg).map(drop))?;
        Ok(Value::List(args.into()))
    }),
    f("date", 2, 2, |args, _| match &args[1] {
        Value::Time(time) => layout::format(time, text(&args[0])?).map(Value::str),
        other => Err(expected("time.Time", other)),
    }),
    f("tz", 2, 2, |args, _| match &args[1] {
        Value::Time(time) => {
            let name = text(&args[0])?;
            let zone = zone(name)?;
            Ok(Value::Time(Arc::new(time.with_time_zone(zone))))
        }
        other => Err(expected("time.Time", other)),
    }),
    f("now", 0, 0, |_, env| Ok(Value::time_ms(env.now_ms))),
    f("since", 1, 1, |args, env| {
        match (&args[0], Value::time_ms(env.now_ms)) {
            (Value::Time(time), Value::Time(now)) => Ok(Value::Duration(between(time, &now))),
            (other, _) => Err(expected("time.Time", other)),
        }
    }),
    f("toDate", 2, 2, |args, _| {
        let read = layout::parse(text(&args[1])?, text(&args[0])?);
        Ok(read.map_or(Value::time_ms(ZERO_TIME_MS), |time| {
            Value::Time(Arc::new(time))
        }))
    }),
    f("mustToDate", 2, 2, |args, _| {
        layout::parse(text(&args[1])?, text(&args[0])?).map(|time| Value::Time(Arc::new(time)))
    }),
    f("toJson", 1, 1, |args, _| {
        json::encode(&args[0]).map(Value::str)
    }),
    f("base64encode", 1, 1, |args, _| {
        bounded(base64_encode(text(&args[0])?.as_bytes()))
    }),
    f("base64decode", 1, 1, |args, _| {
        let bytes = base64_decode(text(&args[0])?).ok_or("illegal base64 data")?;
        Ok(Value::str(String::from_utf8_lossy(&bytes).into_owned()))
    }),
    f("list", 0, usize::MAX, |args, _| {
        made(Value::List(args.into()))
    }),
    f("append", 1, usize::MAX, |args, _| append(args)),
    f("dict", 0, usize::MAX, |args, _| dict(args)),
    // The labels of the route that an alert took, where the caller brings them.
    f("routeLabels", 1, 1, |args, _| {
        let labels = args[0].field("RouteLabels");
        labels.ok_or_else(|| expected("*template.Data", &args[0]))
    }),
];

fn expected(kind: &str, given: &Value) -> String {
    format!(
        "wrong type for value; expected {kind}; got {}",
        given.type_name()
    )
}

fn text(value: &Value) -> Result<&str, String> {
    let text = value.as_text().map(|text| &**text);
    text.ok_or_else(|| expected("string", value))
}

fn bounded(text: String) -> Result<Value, String> {
    if text.len() > OUTPUT_BYTES_MAX {
        return Err(too_long());
    }
    Ok(Value::str(text))
}

/// A list or map that a template made, refused where it lies too deep or has too many values: it
/// could be put into another one, again and again.
fn made(value: Value) -> Result<Value, String> {
    let mut seen = 0;
    if value.nesting(LIST_MAX, &mut seen) > MADE_NESTING_MAX || seen > LIST_MAX {
        return Err("the values are too many or nested too deeply".to_owned());
    }
    Ok(value)
}

fn join(separator: &str, value: &Value) -> Result<Value, String> {
    let Value::List(list) = value else {
        return Err(expected("[]string", value));
    };
    let mut out = String::new();
    for (i, item) in list.iter().enumerate() {
        if i > 0 {
            out.push_str(separator);
        }
        out.push_str(text(item)?);
        if out.len() > OUTPUT_BYTES_MAX {
            return Err(too_long());
        }
    }
    Ok(Value::str(out))
}

fn append(args: &[Value]) -> Result<Value, String> {
    let Some((Value::List(list), more)) = args.split_first() else {
        return Err(expected("[]interface {}", &args[0]));
    };
    made(Value::List(list.iter().chain(more).cloned().collect()))
}

fn dict(args: &[Value]) -> Result<Value, String> {
    let mut map = BTreeMap::new();
    for pair in args.chunks(2) {
        let [key, value] = pair else {
            return Err("dict wants keys and values in turn".to_owned());
        };
        map.insert(Arc::from(text(key)?), value.clone());
    }
    made(Value::Map(Arc::new(map)))
}

/// A time zone by its name in the tz database; `UTC` and the empty name are UTC.
fn zone(name: &str) -> Result<TimeZone, String> {
    match name {
        "" | "UTC" | "Local" => Ok(TimeZone::UTC),
        name => TimeZone::get(name).map_err(|_| format!("unknown time zone {name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Env, Templates};

    fn alert(name: &str, resolved: bool) -> AlertData {
        AlertData {
            resolved,
            labels: Labels::from_pairs([("alertname", name), ("a", "1"), ("severity", "page")]),
            annotations: Labels::from_pairs([("summary", "it's <b>down</b>")]),
            starts_at_ms: 1_700_000_000_000,
            ends_at_ms: resolved.then_some(1_700_000_060_000),
            generator_url: "http://y/graph?g0.expr=up".to_owned(),
            fingerprint: "0123456789abcdef".to_owned(),
        }
    }

    fn data() -> Data {
        Data {
            receiver: "team-x".to_owned(),
            alerts: vec![alert("Down", false), alert("Up", true)],
            group_labels: Labels::from_pairs([("severity", "page")]),
            external_url: "http://y".to_owned(),
            more: vec![(
                "RouteLabels",
                Value::KeyValues(Labels::from_pairs([("team", "x")])),
            )],
        }
    }

    fn rendered(file: &str, source: &str, html: bool) -> Result<String, String> {
        let mut templates = Templates::default();
        templates
            .add("dir/my.tmpl", file, FUNCTIONS)
            .map_err(|error| error.to_string())?;
        let template = templates
            .parse("t", source, FUNCTIONS)
            .map_err(|error| error.to_string())?;
        let env = Env {
            now_ms: 1_700_000_090_500,
            external_url: "http://y",
            query: &|_| Err("no metrics here".to_owned()),
            more: &[],
        };
        let value = data().value();
        let text = if html {
            template.render_html(&value, &[], &env)
        } else {
            template.render(&value, &[], &env)
        };
        text.map_err(|error| error.to_string())
    }

    #[track_caller]
    fn check(source: &str, expected: &str) {
        assert_eq!(
            rendered("", source, false).as_deref(),
            Ok(expected),
            "{source}"
        );
    }

    #[test]
    fn prints_what_alertmanager_prints() {
        check("{{ .Status | toUpper }} {{ .Receiver }}", "FIRING team-x");
        check(
            "{{ len .Alerts }} {{ .Alerts.Firing | len }} {{ len .Alerts.Resolved }}",
            "2 1 1",
        );
        check(
            "{{ range .Alerts.Firing }}{{ range .Labels.SortedPairs }}{{ .Name }}={{ .Value }};{{ end }}{{ end }}",
            "alertname=Down;a=1;severity=page;",
        );
        check("{{ .CommonLabels.SortedPairs }}", "a=1, severity=page");
        check("{{ .CommonLabels }}", "a=1, severity=page");
        check(
            "{{ (.CommonLabels.Remove .GroupLabels.Names).SortedPairs.Values | join \" \" }}",
            "1",
        );
        check("{{ .GroupLabels.SortedPairs.Values | join \",\" }}", "page");
        check(
            "{{ with .CommonLabels.nope }}x{{ else }}none{{ end }}",
            "none",
        );
        check("{{ (index .Alerts 0).Labels.alertname }}", "Down");
        check("{{ index .CommonLabels.SortedPairs 0 }}", "{a 1}");
        check(
            "{{ (index .Alerts 0).StartsAt.Format \"2006-01-02 15:04:05 MST\" }}",
            "2023-11-14 22:13:20 UTC",
        );
        check(
            "{{ range .Alerts.Firing }}{{ .StartsAt.Unix }} {{ .EndsAt.IsZero }} {{ .EndsAt }}{{ end }}",
            "1700000000 true 0001-01-01 00:00:00 +0000 UTC",
        );
        check(
            "{{ (index .Alerts 0).StartsAt | tz \"Europe/Berlin\" | date \"15:04 MST\" }}",
            "23:13 CET",
        );
        check("{{ \"15:04\" | (index .Alerts 1).EndsAt.Format }}", "22:14");
        check(
            "{{ since (index .Alerts 0).StartsAt }} {{ since (index .Alerts 0).StartsAt | humanizeDuration }}",
            "1m30.5s 1m 30s",
        );
        check(
            "{{ ((index .Alerts 1).EndsAt.Sub (index .Alerts 1).StartsAt).Minutes }} {{ now.Year }}",
            "1 2023",
        );
        check("{{ title \"hello wORLD\" }}", "Hello World");
        check("{{ stringSlice \"a\" \"b\" | join \"-\" }}", "a-b");
        check(
            "{{ .CommonLabels | toJson }}",
            r#"{"a":"1","severity":"page"}"#,
        );
        check(
            "{{ \"ä b\" | base64encode }} {{ \"w6QgYg==\" | base64decode }}",
            "w6QgYg== ä b",
        );
        check(
            "{{ urlUnescape \"a%20b+c\" }} {{ trimSpace \" x \" }}",
            "a b c x",
        );
        check(
            "{{ (dict \"k\" (list 1 2)).k }} {{ append (list 1) 2 3 }}",
            "[1 2] [1 2 3]",
        );
        check("{{ (routeLabels .).team }}", "x");
        check("{{ humanize 1500.0 }} {{ stripPort \"a:1\" }}", "1.5k a");
        check(
            "{{ (toDate \"2006-01-02\" \"2023-11-14\").Weekday }}",
            "Tuesday",
        );
        check(
            "{{ reReplaceAll \"o+\" \"0\" \"foo\" }} {{ match \"^f\" \"foo\" }}",
            "f0 true",
        );
    }

    #[test]
    fn files_call_each_other_and_say_where_they_fail() {
        let file = "{{ define \"title\" }}[{{ .Status }}]{{ end }}\n\
            {{ define \"all\" }}{{ template \"title\" . }} {{ .CommonLabels.a }}{{ end }}\n\
            {{ define \"bad\" }}\n{{ .Nope }}{{ end }}around";
        let check = |source: &str, expected: &str| {
            let text = rendered(file, source, false).unwrap_or_else(|error| error);
            assert!(text.contains(expected), "{source}: {text}");
        };
        check("{{ template \"all\" . }}", "[firing] 1");
        check("{{ template \"my.tmpl\" . }}", "around");
        check(
            "{{ define \"title\" }}mine{{ end }}{{ template \"all\" . }}",
            "mine 1",
        );
        check("{{ tmpl \"title\" . | toUpper }}", "[FIRING]");
        check(
            "{{ template \"bad\" . }}",
            "my.tmpl:4:4: executing \"dir/my.tmpl\" at <.Nope>: can't evaluate field Nope",
        );
        check("{{ template \"nope\" . }}", "template \"nope\" not defined");
        check("{{ (index .Alerts 5).Status }}", "index out of range: 5");
        check("{{ .Receiver.Format \"x\" }}", "Format is not a method");
        check("{{ (index .Alerts 0).StartsAt.Format }}", "want 1 got 0");
        check(
            "{{ tz \"Nowhere/City\" now }}",
            "unknown time zone Nowhere/City",
        );
    }

    #[test]
    fn html_is_escaped_where_it_must_be() {
        let html = |source: &str| rendered("", source, true).unwrap_or_else(|error| error);
        assert_eq!(
            html(
                "<p title=\"{{ .CommonAnnotations.summary }}\">{{ .CommonAnnotations.summary }}</p>"
            ),
            "<p title=\"it&#39;s &lt;b&gt;down&lt;/b&gt;\">it&#39;s &lt;b&gt;down&lt;/b&gt;</p>"
        );
        assert_eq!(
            html(
                "{{ .CommonAnnotations.summary | safeHtml }}{{ .CommonAnnotations.summary | html }}"
            ),
            "it's <b>down</b>it&#39;s &lt;b&gt;down&lt;/b&gt;"
        );
        assert_eq!(
            html("<a href=\"{{ (index .Alerts 0).GeneratorURL }}&x={{ .Status }}\">"),
            "<a href=\"http://y/graph?g0.expr=up&x=firing\">"
        );
    }

    #[test]
    fn lists_that_grow_without_end_are_refused() {
        let check = |source: &str| {
            let error = rendered("", source, false).expect_err(source);
            assert!(error.contains("too many or nested"), "{error}");
        };
        check("{{ $x := list 1 }}{{ range 100000 }}{{ $x = list $x $x }}{{ end }}");
        check("{{ $x := list 1 }}{{ range 100000 }}{{ $x = append $x 1 }}{{ end }}");
        check("{{ $x := list 1 }}{{ range 100000 }}{{ $x = dict \"a\" $x }}{{ end }}");
    }
}
