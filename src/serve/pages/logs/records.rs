//! Lines for the page's script: the API's objects, cut to what rows and their details show.

use log_query::Record;
use serde_json::{Value, json};

use crate::api::logs::RecordJson;

/// Characters of a line that the script is given at first; the rest is fetched when it is opened.
const KEPT_CHARS: usize = 8 * 1024;

/// Longer values of fields are left out of a line that is cut.
const FIELD_CHARS: usize = 256;

/// The lines as a JSON array that can stand inside a `<script>` element: the text never holds the
/// character that could end it.
pub(super) fn embedded(records: &[Record]) -> String {
    let lines: Vec<Value> = records.iter().map(cut).collect();
    Value::from(lines).to_string().replace('<', "\\u003c")
}

/// A line as an object; of a long one the beginning, with `cut`, the number of characters that
/// are missing.
pub(super) fn cut(record: &Record) -> Value {
    let object = RecordJson {
        record,
        with_text: true,
    };
    let Ok(mut line) = serde_json::to_value(object) else {
        return Value::Null;
    };
    let whole = ["text", "message"]
        .iter()
        .find_map(|name| line.get(name)?.as_str())
        .map_or(0, |text| text.chars().count());
    if whole <= KEPT_CHARS {
        return line;
    }
    for name in ["text", "message"] {
        if let Some(Value::String(text)) = line.get_mut(name)
            && let Some((at, _)) = text.char_indices().nth(KEPT_CHARS)
        {
            text.truncate(at);
        }
    }
    if let Some(Value::Object(fields)) = line.get_mut("fields") {
        fields.retain(|_, value| value.as_str().is_some_and(|text| text.len() <= FIELD_CHARS));
    }
    if let Value::Object(line) = &mut line {
        line.insert("cut".to_owned(), json!(whole - KEPT_CHARS));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Labels, Level};

    fn record(text: &str) -> Record {
        Record {
            labels: Labels::from_pairs([("file", "</script>")]),
            sequence: 1,
            time_ns: 5,
            level: Level::Info,
            text: text.as_bytes().to_vec(),
        }
    }

    #[test]
    fn nothing_ends_the_element_around_it() {
        let text = embedded(&[record("a </script><script>alert(1)</script><!-- b")]);
        assert!(!text.contains('<'));
        let lines: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            lines[0]["message"],
            "a </script><script>alert(1)</script><!-- b"
        );
    }

    #[test]
    fn long_lines_are_cut_and_say_so() {
        let line = cut(&record(&"é".repeat(KEPT_CHARS + 3)));
        assert_eq!(line["cut"], 3);
        let message = line["message"].as_str().expect("a text");
        assert_eq!(message.chars().count(), KEPT_CHARS);
        assert_eq!(cut(&record("short")).get("cut"), None);
    }
}
