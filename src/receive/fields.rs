//! Puts fields that came beside a line into the line, so that the search reads them like any
//! other field and the line stays what a person reads.
//!
//! | the line | what becomes of it |
//! |---|---|
//! | a JSON object | the fields become its last members |
//! | logfmt (begins with `key=`) | the fields become pairs at its end |
//! | any other text | `{"message":"…", fields}` |
//!
//! A field whose name the object has already is added all the same: both values are found.

use serde::de::IgnoredAny;

/// The key under which a text is put beside its fields.
pub(crate) const MESSAGE_KEY: &str = "message";

/// Writes a line with the fields that came beside it.
pub(crate) fn write_with_fields<'a>(
    out: &mut Vec<u8>,
    line: &[u8],
    fields: impl IntoIterator<Item = (&'a str, &'a str)>,
) {
    let mut fields = fields.into_iter().peekable();
    if fields.peek().is_none() {
        out.extend_from_slice(line);
        return;
    }
    if let Some(open) = open_object(line) {
        out.extend_from_slice(open);
        let mut object = Object::continued(out, open.last() == Some(&b'{'));
        for (name, value) in fields {
            object.text(name, value);
        }
        object.end();
    } else if is_logfmt(line) {
        out.extend_from_slice(line);
        for (name, value) in fields {
            write_pair(out, name, value);
        }
    } else {
        let mut object = Object::begin(out);
        object.text(MESSAGE_KEY, &String::from_utf8_lossy(line));
        for (name, value) in fields {
            object.text(name, value);
        }
        object.end();
    }
}

/// A JSON object without its closing brace and the space before it.
fn open_object(line: &[u8]) -> Option<&[u8]> {
    let line = line.trim_ascii();
    let open = line.strip_suffix(b"}")?;
    let sound = line.first() == Some(&b'{') && serde_json::from_slice::<IgnoredAny>(line).is_ok();
    sound.then(|| open.trim_ascii_end())
}

fn is_logfmt(line: &[u8]) -> bool {
    let key = line
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'/' | b'@'))
        .count();
    key > 0 && line.get(key) == Some(&b'=') && !matches!(line.get(key + 1), None | Some(b'='))
}

fn write_pair(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b' ');
    // Spaces and equal signs would end the key.
    out.extend(name.bytes().map(|b| match b {
        b' ' | b'=' | b'"' | 0..=0x1f => b'_',
        b => b,
    }));
    out.push(b'=');
    let bare = !value.is_empty()
        && value
            .bytes()
            .all(|b| b > b' ' && !matches!(b, b'"' | b'=' | b'\\' | 0x7f));
    if bare {
        out.extend_from_slice(value.as_bytes());
    } else {
        write_string(out, value);
    }
}

/// Writes a JSON string.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a string can always be written to memory");
}

/// A JSON object that is being written.
pub(crate) struct Object<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
}

impl<'o> Object<'o> {
    pub(crate) fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self {
            out,
            is_empty: true,
        }
    }

    /// Goes on with one whose closing brace is not written yet.
    pub(crate) fn continued(out: &'o mut Vec<u8>, is_empty: bool) -> Self {
        Self { out, is_empty }
    }

    /// Writes a key; the caller writes the value to what it gets.
    pub(crate) fn key(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.is_empty) {
            self.out.push(b',');
        }
        write_string(self.out, name);
        self.out.push(b':');
        self.out
    }

    pub(crate) fn text(&mut self, name: &str, value: &str) {
        let out = self.key(name);
        write_string(out, value);
    }

    /// Adds members that are written already, `"a":1,"b":2`; none for an empty text.
    pub(crate) fn members(&mut self, members: &[u8]) {
        if members.is_empty() {
            return;
        }
        if !std::mem::take(&mut self.is_empty) {
            self.out.push(b',');
        }
        self.out.extend_from_slice(members);
    }

    pub(crate) fn end(self) {
        self.out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(line: &str, fields: &[(&str, &str)]) -> String {
        let mut out = Vec::new();
        write_with_fields(&mut out, line.as_bytes(), fields.iter().copied());
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn each_form_of_line_keeps_its_form() {
        let check = |line: &str, fields: &[(&str, &str)], expected: &str| {
            assert_eq!(written(line, fields), expected);
        };
        let fields = [("trace_id", "ab12"), ("user", "a \"b\"")];
        check("a line", &[], "a line");
        check(
            "a line",
            &fields,
            r#"{"message":"a line","trace_id":"ab12","user":"a \"b\""}"#,
        );
        check(
            r#"{"msg":"x"} "#,
            &fields,
            r#"{"msg":"x","trace_id":"ab12","user":"a \"b\""}"#,
        );
        check("{ }", &fields, r#"{"trace_id":"ab12","user":"a \"b\""}"#);
        check(
            "level=info msg=hi",
            &fields,
            r#"level=info msg=hi trace_id=ab12 user="a \"b\"""#,
        );
        check(
            "{not json}",
            &[("a", "1")],
            r#"{"message":"{not json}","a":"1"}"#,
        );
        check("a == b", &[("a", "1")], r#"{"message":"a == b","a":"1"}"#);
    }

    proptest! {
        #[test]
        fn what_is_wrapped_is_json(line in ".{0,40}", name in ".{1,8}", value in ".{0,12}") {
            let out = written(&line, &[(name.as_str(), value.as_str())]);
            if !is_logfmt(line.as_bytes()) {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{out}");
            }
        }
    }
}
