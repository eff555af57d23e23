//! Unfolds JSON within JSON as the kubernetes filter of Fluent Bit does with `Merge_Log`.
//!
//! 1. Where the line is a JSON object with a text (or an object) in `log`, else in `message`, that
//!    is the log and the line is its record. Else the line itself is the log, as it came from a
//!    container, and its labels are the record.
//! 2. The log must be exactly one JSON object; anything else is left as it is.
//! 3. Its fields get their places in the record: at the top or below `key`. Where the record has a
//!    field (or the stream a label) of that name, the merged value gets the name and the original
//!    is kept aside as `original_NAME`. Labels that say where a line comes from stay: Fluent Bit has
//!    them apart from the record, too.
//! 4. Without `keep_log` the field that was merged goes.

use model::{Labels, Level};

use crate::config::MergeConfig;
use crate::object::{Object, aside, quoted};

/// Where records keep the log, the likeliest first.
const LOG_FIELDS: [&str; 2] = ["log", "message"];

/// Where loggers write the level.
const LEVEL_FIELDS: [&str; 6] = [
    "level",
    "lvl",
    "severity",
    "loglevel",
    "levelname",
    "log.level",
];

/// Labels that say where a line comes from: never set aside for a field of the line.
const ORIGIN_LABELS: [&str; 9] = [
    "namespace",
    "pod",
    "container",
    "node",
    "host",
    "file",
    "unit",
    "job",
    "instance",
];

/// What became of a line.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Merged {
    /// The new text, where it changes.
    pub(crate) text: Option<Vec<u8>>,
    /// The new labels, where they change.
    pub(crate) labels: Option<Labels>,
    /// The level that the merged fields give.
    pub(crate) level: Option<Level>,
}

/// Merges a line; `None` when there is nothing to merge.
pub(crate) fn merge(config: &MergeConfig, text: &[u8], labels: &Labels) -> Option<Merged> {
    let line = Object::parse(text)?;
    let merged = match log_of(&line) {
        Some(LogField { name, log }) => into_record(config, line, name, log),
        None => in_place(config, line, labels),
    };
    merged.filter(|merged| *merged != Merged::default())
}

struct LogField {
    name: &'static str,
    log: Object,
}

fn log_of(line: &Object) -> Option<LogField> {
    LOG_FIELDS.into_iter().find_map(|name| {
        let log = match line.string(name) {
            Some(text) => Object::parse(text.as_bytes()),
            None => Object::parse(line.get(name)?.as_bytes()),
        };
        log.map(|log| LogField { name, log })
    })
}

/// The log is a field of the line.
fn into_record(
    config: &MergeConfig,
    mut record: Object,
    name: &str,
    mut log: Object,
) -> Option<Merged> {
    if config.trim {
        trim(&mut log);
    }
    let level = level_of(&log);
    if !config.keep_log {
        record.take(name);
    }
    if config.key.is_empty() {
        for (key, _) in &log.pairs {
            record.make_room(key);
        }
        record.pairs.append(&mut log.pairs);
    } else if !log.pairs.is_empty() {
        record.make_room(&config.key);
        let nested = String::from_utf8(log.write()).ok()?;
        record.pairs.push((config.key.clone(), nested));
    }
    Some(Merged {
        text: Some(record.write()),
        labels: None,
        level,
    })
}

/// The line is the log: its fields are read from it as they stand there.
fn in_place(config: &MergeConfig, mut line: Object, labels: &Labels) -> Option<Merged> {
    let trimmed = config.trim && trim(&mut line);
    if !config.key.is_empty() {
        if line.pairs.is_empty() {
            return None;
        }
        let nested = String::from_utf8(line.write()).ok()?;
        let outer = Object {
            pairs: vec![(config.key.clone(), nested)],
        };
        return Some(Merged {
            text: Some(outer.write()),
            labels: without(labels, &[&config.key]),
            level: None,
        });
    }
    let keys: Vec<&str> = line.pairs.iter().map(|(key, _)| key.as_str()).collect();
    Some(Merged {
        labels: without(labels, &keys),
        text: trimmed.then(|| line.write()),
        level: None,
    })
}

/// The labels, those with these names set aside; `None` when there are none.
fn without(labels: &Labels, keys: &[&str]) -> Option<Labels> {
    let goes = |name: &str| keys.contains(&name) && !ORIGIN_LABELS.contains(&name);
    if !labels.iter().any(|label| goes(&label.name)) {
        return None;
    }
    let is_taken = |name: &str| labels.get(name).is_some() || keys.contains(&name);
    Some(Labels::from_pairs(labels.iter().map(|label| {
        let name = if goes(&label.name) {
            aside(&label.name, is_taken)
        } else {
            label.name.to_string()
        };
        (name, label.value.clone())
    })))
}

/// Takes line breaks off the ends of texts; whether there were any.
fn trim(object: &mut Object) -> bool {
    let mut trimmed = false;
    for (_, value) in &mut object.pairs {
        // Fast path: the escape of a line break before the closing quote.
        if !(value.ends_with("\\n\"") || value.ends_with("\\r\"")) {
            continue;
        }
        if let Ok(text) = serde_json::from_str::<String>(value)
            && text.ends_with(['\n', '\r'])
        {
            *value = quoted(text.trim_end_matches(['\n', '\r']));
            trimmed = true;
        }
    }
    trimmed
}

fn level_of(log: &Object) -> Option<Level> {
    LEVEL_FIELDS
        .into_iter()
        .find_map(|name| log.string(name)?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(config: &MergeConfig, text: &str, expected: Option<&str>) {
        let merged = merge(config, text.as_bytes(), &Labels::empty());
        let found = merged
            .and_then(|merged| merged.text)
            .map(|text| String::from_utf8(text).expect("UTF-8"));
        assert_eq!(found.as_deref(), expected, "{text}");
    }

    #[test]
    fn fields_of_the_log_come_to_the_top_and_originals_go_aside() {
        check(
            &MergeConfig::default(),
            r#"{"time":"t","stream":"stdout","log":"{\"level\":\"info\",\"msg\":\"m\",\"time\":\"app\",\"stream\":\"s\"}\n"}"#,
            Some(
                r#"{"original_time":"t","original_stream":"stdout","log":"{\"level\":\"info\",\"msg\":\"m\",\"time\":\"app\",\"stream\":\"s\"}\n","level":"info","msg":"m","time":"app","stream":"s"}"#,
            ),
        );
        check(
            &MergeConfig::default(),
            r#"{"log":{"a":1},"b":2}"#,
            Some(r#"{"log":{"a":1},"b":2,"a":1}"#),
        );
        check(
            &MergeConfig::default(),
            r#"{"message":"{\"a\":1}","_p":"F"}"#,
            Some(r#"{"message":"{\"a\":1}","_p":"F","a":1}"#),
        );
    }

    #[test]
    fn what_is_no_single_object_is_left_alone() {
        for log in [
            r#"["a"]"#,
            "42",
            r#""s""#,
            r#"{"a":1}{"b":2}"#,
            r#"{"a":1} trailing"#,
            "plain",
        ] {
            let line = format!(r#"{{"log":{},"x":1}}"#, quoted(log));
            for keep_log in [true, false] {
                let config = MergeConfig {
                    keep_log,
                    ..MergeConfig::default()
                };
                check(&config, &line, None);
                check(&config, log, None);
            }
        }
    }

    #[test]
    fn line_breaks_are_trimmed_unless_told_otherwise() {
        let line = r#"{"msg":"x\n","n":1}"#;
        check(&MergeConfig::default(), line, Some(r#"{"msg":"x","n":1}"#));
        let as_is = MergeConfig {
            trim: false,
            ..MergeConfig::default()
        };
        check(&as_is, line, None);
        let record = format!(r#"{{"log":{}}}"#, quoted(line));
        check(
            &as_is,
            &record,
            Some(&format!(r#"{{"log":{},"msg":"x\n","n":1}}"#, quoted(line))),
        );
    }

    #[test]
    fn the_log_goes_when_it_is_merged_and_not_kept() {
        let config = MergeConfig {
            keep_log: false,
            ..MergeConfig::default()
        };
        check(
            &config,
            r#"{"log":"{\"a\":1}","s":2}"#,
            Some(r#"{"s":2,"a":1}"#),
        );
        check(&config, r#"{"log":"plain","s":2}"#, None);
        // What the application itself calls `log` is not the one that was merged.
        check(
            &config,
            r#"{"log":"{\"log\":\"inner\"}"}"#,
            Some(r#"{"log":"inner"}"#),
        );
    }

    #[test]
    fn a_key_holds_the_merged_fields() {
        let config = MergeConfig {
            key: "app".to_owned(),
            ..MergeConfig::default()
        };
        check(&config, r#"{"a":1}"#, Some(r#"{"app":{"a":1}}"#));
        check(&config, "{}", None);
        check(
            &config,
            r#"{"log":"{\"a\":1}","app":2}"#,
            Some(r#"{"log":"{\"a\":1}","original_app":2,"app":{"a":1}}"#),
        );
    }

    #[test]
    fn labels_in_the_way_go_aside_too() {
        let labels = Labels::from_pairs([("pod", "p"), ("stream", "stdout")]);
        let merged = merge(
            &MergeConfig::default(),
            br#"{"msg":"m","stream":"s","pod":"other"}"#,
            &labels,
        )
        .expect("changed");
        assert_eq!(merged.text, None);
        assert_eq!(
            merged.labels,
            Some(Labels::from_pairs([
                ("original_stream", "stdout"),
                ("pod", "p")
            ]))
        );
    }

    #[test]
    fn the_level_comes_from_the_merged_fields() {
        let line = br#"{"log":"{\"level\":\"warning\"}"}"#;
        let merged = merge(&MergeConfig::default(), line, &Labels::empty());
        assert_eq!(merged.and_then(|m| m.level), Some(Level::Warn));
    }
}
