//! What a line says in fields: JSON, logfmt, or a text with `key=value` pairs in it.

use std::borrow::Cow;

use crate::{json, logfmt};

/// Fields of a line beyond these are left out ([`LineFields::is_truncated`] tells).
pub const FIELDS_MAX: usize = 256;

/// JSON nested deeper than this stays JSON, as the value of the field that holds it.
pub const DEPTH_MAX: usize = 8;

/// Name and value.
pub(crate) type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Where loggers put the sentence that a person reads, the likeliest first.
const MESSAGE_KEYS: &[&str] = &[
    "message",
    "msg",
    "_msg",
    "log",
    "event",
    "fields.message",
    "text",
    "body",
    "short_message",
    "@m",
    "@mt",
    "MESSAGE",
    "Message",
    "Msg",
    "MSG",
];

/// Fields that repeat what every record has anyway, its time and its level.
const ENVELOPE_KEYS: &[&str] = &[
    "time",
    "ts",
    "t",
    "timestamp",
    "@timestamp",
    "_time",
    "@t",
    "date",
    "datetime",
    "asctime",
    "level",
    "lvl",
    "severity",
    "loglevel",
    "log.level",
    "levelname",
    "@l",
];

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// A sentence without fields.
    #[default]
    Plain,
    /// A JSON object.
    Json,
    /// Nothing but `key=value` pairs.
    Logfmt,
    /// A sentence with `key=value` pairs in it. They are fields and part of the sentence.
    Pairs,
}

/// The fields of a line, in the order in which they stand there. A name can come more than once
/// (elements of an array).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LineFields<'a> {
    form: Form,
    pairs: Vec<Pair<'a>>,
    message: Option<usize>,
    truncated: bool,
}

impl<'a> LineFields<'a> {
    /// Reads the fields of a text. Invalid UTF-8 in names and values becomes U+FFFD.
    pub fn of(text: &'a [u8]) -> Self {
        let mut pairs = Vec::new();
        let first = text.iter().find(|b| !b.is_ascii_whitespace());
        if first == Some(&b'{')
            && let json::Outcome::Object { truncated } = json::flatten(text, &mut pairs)
        {
            let message = message_of(&pairs);
            return Self {
                form: Form::Json,
                pairs,
                message,
                truncated,
            };
        }
        let found = logfmt::pairs(text, &mut pairs);
        let form = match (found.begins_with_pair, pairs.is_empty()) {
            (_, true) => Form::Plain,
            (true, false) => Form::Logfmt,
            (false, false) => Form::Pairs,
        };
        let message = (form == Form::Logfmt).then(|| message_of(&pairs)).flatten();
        Self {
            form,
            pairs,
            message,
            truncated: found.truncated,
        }
    }

    /// How the line is written.
    pub fn form(&self) -> Form {
        self.form
    }

    /// The sentence among the fields; `None` when the whole text is the sentence.
    pub fn message(&self) -> Option<&str> {
        self.message
            .and_then(|i| self.pairs.get(i))
            .map(|(_, value)| &**value)
    }

    /// The values of a field.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.pairs
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| &**value)
    }

    /// All fields, the message included.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (&**name, &**value))
    }

    /// All fields but the message.
    pub fn without_message(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter()
            .enumerate()
            .filter(|(i, _)| Some(*i) != self.message)
            .map(|(_, pair)| pair)
    }

    /// Whether fields beyond [`FIELDS_MAX`] were left out.
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }
}

/// Whether a field repeats the record's time or level, so that a list of fields can leave it out.
pub fn is_envelope(name: &str) -> bool {
    ENVELOPE_KEYS.contains(&name)
}

fn message_of(pairs: &[Pair<'_>]) -> Option<usize> {
    MESSAGE_KEYS
        .iter()
        .find_map(|key| pairs.iter().position(|(name, _)| name == key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &[u8], form: Form, message: Option<&str>, rest: &[(&str, &str)]) {
        let fields = LineFields::of(text);
        let shown = text.escape_ascii();
        assert_eq!(fields.form(), form, "{shown}");
        assert_eq!(fields.message(), message, "{shown}");
        let found: Vec<_> = fields.without_message().collect();
        assert_eq!(found, rest, "{shown}");
    }

    #[test]
    fn json_is_flattened() {
        check(
            br#"{"level":"info","msg":"it \"works\"","http":{"status":200,"path":"/a"},"ok":true,"none":null}"#,
            Form::Json,
            Some("it \"works\""),
            &[
                ("level", "info"),
                ("http.status", "200"),
                ("http.path", "/a"),
                ("ok", "true"),
            ],
        );
        check(
            br#" {"tags":["a","b"],"items":[{"id":1},{"id":2}],"e":[],"o":{}} "#,
            Form::Json,
            None,
            &[
                ("tags", "a"),
                ("tags", "b"),
                ("items.id", "1"),
                ("items.id", "2"),
            ],
        );
        check(
            br#"{"fields":{"message":"hello","user":"ana"},"target":"x"}"#,
            Form::Json,
            Some("hello"),
            &[("fields.user", "ana"), ("target", "x")],
        );
        check(b"{\"a\":\"\xff\"}", Form::Json, None, &[("a", "\u{fffd}")]);
    }

    #[test]
    fn json_that_was_cut_gives_what_is_there() {
        check(
            br#"{"a":1,"b":"two","c":"thr"#,
            Form::Json,
            None,
            &[("a", "1"), ("b", "two")],
        );
    }

    #[test]
    fn what_is_no_json_has_no_json_fields() {
        for text in [
            &b"{foo} bar"[..],
            b"{\"a\":1} trailing",
            b"{",
            b"{}x",
            b"[1,2]",
            b"{\"a\" 1}",
            b"{\"a\":}",
        ] {
            check(text, Form::Plain, None, &[]);
        }
        check(b"{}", Form::Json, None, &[]);
    }

    #[test]
    fn deep_json_stays_json() {
        let text = format!("{}1{}", r#"{"a":"#.repeat(10), "}".repeat(10));
        let fields = LineFields::of(text.as_bytes());
        let (name, value) = fields.iter().next().expect("one field");
        assert_eq!(name, ["a"; DEPTH_MAX].join("."));
        assert_eq!(value, r#"{"a":{"a":1}}"#);
    }

    #[test]
    fn many_fields_are_bounded_and_told() {
        let all: Vec<String> = (0..FIELDS_MAX + 5).map(|i| format!("k{i}=v")).collect();
        let text = all.join(" ");
        let fields = LineFields::of(text.as_bytes());
        assert_eq!(fields.iter().count(), FIELDS_MAX);
        assert!(fields.is_truncated());
        let array = format!("{{\"a\":[{}1]}}", "1,".repeat(FIELDS_MAX));
        assert!(LineFields::of(array.as_bytes()).is_truncated());
        assert!(!LineFields::of(b"a=1").is_truncated());
    }

    #[test]
    fn logfmt_is_read() {
        check(
            br#"time=2026-11-23T00:00:00Z level=warn msg="slow \"query\"" took=1.5s empty= q="" flag"#,
            Form::Logfmt,
            Some("slow \"query\""),
            &[
                ("time", "2026-11-23T00:00:00Z"),
                ("level", "warn"),
                ("took", "1.5s"),
                ("empty", ""),
                ("q", ""),
            ],
        );
        check(b"a=1, b", Form::Logfmt, None, &[("a", "1,")]);
        check(b"a=\"open", Form::Logfmt, None, &[("a", "open")]);
    }

    #[test]
    fn sentences_can_carry_pairs() {
        check(
            b"ffmpeg exited with 137 item=8841 user=ana",
            Form::Pairs,
            None,
            &[("item", "8841"), ("user", "ana")],
        );
        check(
            b"authentication failure; logname= uid=0, tty=ssh rhost=10.0.0.1;",
            Form::Pairs,
            None,
            &[
                ("logname", ""),
                ("uid", "0"),
                ("tty", "ssh"),
                ("rhost", "10.0.0.1"),
            ],
        );
        check(b"done (took=5ms) [n=f(x)]", Form::Plain, None, &[]);
        check(b"call n=f(x)", Form::Pairs, None, &[("n", "f(x)")]);
    }

    #[test]
    fn other_equals_signs_are_no_pairs() {
        for text in [
            &b"plain words"[..],
            b"if a == b and x==y",
            b"GET http://host/path?a=b&c=d",
            b"token abc== done",
            b"x => y a=>b",
            b"=foo 1=2",
            b"",
            b"   ",
        ] {
            check(text, Form::Plain, None, &[]);
        }
    }

    proptest! {
        #[test]
        fn takes_any_bytes(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = LineFields::of(&text);
        }

        #[test]
        fn takes_anything_like_json(text in r#"\{["a:{}\[\], 1\\u]{0,60}"#) {
            let _ = LineFields::of(text.as_bytes());
        }

        #[test]
        fn json_strings_come_back(value in "\\PC{0,30}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let text = format!("{{\"k\":\"{quoted}\"}}");
            let fields = LineFields::of(text.as_bytes());
            prop_assert_eq!(fields.values("k").next(), Some(value.as_str()));
        }
    }
}
