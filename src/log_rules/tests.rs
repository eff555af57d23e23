//! Whole batches through whole rules, into a sink that remembers what it was given.

use std::sync::Arc;

use model::{Checkpoint, Labels, Level, LineRules, LogBatch, LogSink, StoreError, StreamId};
use parking_lot::Mutex;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use proptest::prelude::*;
use serde::Deserialize;
use yaml::Spanned;

use crate::{LogRules, Metrics, RuleConfig, Rules};

/// A store that keeps batches; it can be told to take nothing.
#[derive(Default)]
struct Kept {
    streams: Mutex<Vec<Labels>>,
    batches: Mutex<Vec<LogBatch>>,
    is_full: Mutex<bool>,
    streams_max: Option<usize>,
}

impl LogSink for Kept {
    fn open_stream(&self, labels: &Labels) -> Result<StreamId, StoreError> {
        let mut streams = self.streams.lock();
        if let Some(i) = streams.iter().position(|known| known == labels) {
            return Ok(StreamId(i as u32));
        }
        if self.streams_max.is_some_and(|max| streams.len() >= max) {
            return Err(StoreError::Limit("too many streams".to_owned()));
        }
        streams.push(labels.clone());
        Ok(StreamId(streams.len() as u32 - 1))
    }

    fn append(&self, batch: &LogBatch) -> Result<(), StoreError> {
        if *self.is_full.lock() {
            return Err(StoreError::NoSpace("full".to_owned()));
        }
        self.batches.lock().push(batch.clone());
        Ok(())
    }

    fn committed_checkpoints(&self) -> Result<Vec<Checkpoint>, StoreError> {
        Ok(vec![checkpoint()])
    }

    fn committed_checkpoint(&self, source: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let known = checkpoint();
        Ok(known.state.filter(|_| source == known.source))
    }
}

impl Kept {
    /// Labels, level and text of all lines.
    fn lines(&self) -> Vec<(String, Level, String)> {
        let streams = self.streams.lock();
        let batches = self.batches.lock();
        let lines = batches.iter().flat_map(LogBatch::iter);
        lines
            .map(|(line, text)| {
                (
                    streams[line.stream.0 as usize].to_string(),
                    line.level,
                    String::from_utf8_lossy(text).into_owned(),
                )
            })
            .collect()
    }

    fn texts(&self) -> Vec<String> {
        self.lines().into_iter().map(|(_, _, text)| text).collect()
    }
}

fn checkpoint() -> Checkpoint {
    Checkpoint {
        source: "file".to_owned(),
        state: Some(vec![7]),
    }
}

#[derive(Deserialize)]
struct File {
    rules: Vec<Spanned<RuleConfig>>,
}

fn rules(text: &str) -> Rules {
    let file: File = yaml::from_str(&format!("rules:\n{text}"), "y.yaml").expect(text);
    Rules::read(&file.rules, "y.yaml").expect(text)
}

struct House {
    kept: Arc<Kept>,
    rules: LogRules,
    registry: Registry,
}

fn house(text: &str) -> House {
    house_with(Kept::default(), text)
}

fn house_with(kept: Kept, text: &str) -> House {
    let mut registry = Registry::default();
    let kept = Arc::new(kept);
    let log_rules = LogRules::new(kept.clone(), Metrics::new(&mut registry));
    log_rules.replace(rules(text));
    House {
        kept,
        rules: log_rules,
        registry,
    }
}

impl House {
    fn batch(&self, lines: &[&str]) -> LogBatch {
        let labels = Labels::from_pairs([("namespace", "dev"), ("app", "web")]);
        let stream = self.rules.open_stream(&labels).expect("a stream");
        let mut batch = LogBatch::default();
        for (i, line) in lines.iter().enumerate() {
            let level = line.parse().unwrap_or_default();
            batch.push(stream, i as i64, level, line.as_bytes());
        }
        batch.checkpoints.push(checkpoint());
        batch
    }

    fn give(&self, lines: &[&str]) {
        self.rules.append(&self.batch(lines)).expect("taken");
    }

    fn counter(&self, name: &str, rule: &str) -> u64 {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("it can be written");
        let start = format!("yagura_log_rules_{name}_total{{rule=\"{rule}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&start));
        line.expect("the counter is there")
            .parse()
            .expect("a number")
    }
}

#[test]
fn rules_work_in_their_order_and_count() {
    let house = house(
        "- { name: noise, drop: ping }
- { name: pins, redact: { regex: 'pin=(?<secret>\\d+)' } }
- { name: pinned, if: 'pin=***', set_level: warn }
- { name: team, add_labels: { team: media, app: site } }
",
    );
    house.give(&["ping ok", "login pin=1234", "info"]);
    let labels = r#"{app="site", namespace="dev", original_app="web", team="media"}"#;
    assert_eq!(
        house.kept.lines(),
        [
            (labels.to_owned(), Level::Warn, "login pin=***".to_owned()),
            (labels.to_owned(), Level::Info, "info".to_owned()),
        ]
    );
    assert_eq!(house.counter("lines_seen", "noise"), 3);
    assert_eq!(house.counter("lines_dropped", "noise"), 1);
    assert_eq!(house.counter("dropped_bytes", "noise"), 7);
    assert_eq!(house.counter("lines_seen", "pins"), 2);
    assert_eq!(house.counter("lines_changed", "pins"), 1);
    assert_eq!(house.counter("lines_seen", "pinned"), 1);
    assert_eq!(house.counter("lines_changed", "team"), 2);
}

#[test]
fn keep_concerns_only_what_its_condition_selects() {
    let house = house("- { if: 'app:web', keep: 'level:warn..' }\n");
    house.give(&["info", "error"]);
    assert_eq!(house.kept.texts(), ["error"]);
    let other = Labels::from_pairs([("app", "db")]);
    let stream = house.rules.open_stream(&other).expect("a stream");
    let mut batch = LogBatch::default();
    batch.push(stream, 0, Level::Info, b"info of the other");
    house.rules.append(&batch).expect("taken");
    assert_eq!(house.kept.texts(), ["error", "info of the other"]);
}

#[test]
fn positions_are_reached_although_every_line_is_dropped() {
    let house = house("- drop: '*'\n");
    house.give(&["a", "b"]);
    let batches = house.kept.batches.lock();
    assert_eq!(batches.len(), 1);
    assert!(batches[0].lines.is_empty() && batches[0].text.is_empty());
    assert_eq!(batches[0].checkpoints, [checkpoint()]);
}

#[test]
fn a_batch_that_is_sent_again_is_counted_once() {
    let house = house("- { name: noise, drop: ping }\n");
    let batch = house.batch(&["ping", "pong"]);
    *house.kept.is_full.lock() = true;
    for _ in 0..3 {
        let error = house.rules.append(&batch).expect_err("full");
        assert!(matches!(error, StoreError::NoSpace(_)), "{error}");
    }
    *house.kept.is_full.lock() = false;
    house.rules.append(&batch).expect("taken");
    assert_eq!(house.kept.texts(), ["pong"]);
    assert_eq!(house.counter("lines_dropped", "noise"), 1);
}

#[test]
fn the_same_batch_is_handed_on_when_nothing_changes() {
    for text in ["- drop: nothing\n", "  []\n"] {
        let house = house(text);
        let batch = house.batch(&["a", "b"]);
        house.rules.append(&batch).expect("taken");
        let kept = house.kept.batches.lock();
        assert_eq!(kept[0].text, batch.text);
        assert_eq!(kept[0].lines, batch.lines);
        assert_eq!(kept[0].checkpoints, batch.checkpoints);
        assert_eq!(
            house.rules.committed_checkpoints().expect("some"),
            [checkpoint()]
        );
        let committed = house.rules.committed_checkpoint("file").expect("an answer");
        assert_eq!(committed, checkpoint().state);
    }
}

#[test]
fn rules_are_replaced_and_counters_of_the_same_name_go_on() {
    let house = house("- { name: a, drop: x }\n- { name: b, drop: y }\n");
    house.give(&["x", "y", "z"]);
    house.rules.replace(rules("- { name: b, drop: z }\n"));
    house.give(&["x", "y", "z"]);
    assert_eq!(house.kept.texts(), ["z", "x", "y"]);
    assert_eq!(house.counter("lines_dropped", "b"), 2);
    let mut text = String::new();
    encode(&mut text, &house.registry).expect("it can be written");
    assert!(!text.contains("rule=\"a\""), "{text}");
    house.rules.replace(Rules::default());
    assert!(house.rules.is_empty());
    house.give(&["z"]);
    assert_eq!(house.kept.texts().len(), 4);
}

#[test]
fn without_room_for_streams_lines_keep_their_own() {
    let kept = Kept {
        streams_max: Some(1),
        ..Kept::default()
    };
    let house = house_with(kept, "- add_labels: { team: media }\n");
    house.give(&["a"]);
    let lines = house.kept.lines();
    assert_eq!(lines[0].0, r#"{app="web", namespace="dev"}"#);
    assert_eq!(lines[0].2, "a");
    let mut text = String::new();
    encode(&mut text, &house.registry).expect("it can be written");
    assert!(
        text.contains("yagura_log_rules_streams_refused_total 1"),
        "{text}"
    );
}

#[test]
fn a_collector_with_a_journal_brings_lines_through_before() {
    let house = house(
        "- { name: noise, drop: ping }
- { name: team, if: 'pin', add_labels: { team: media } }
- redact: { regex: 'pin=(?<secret>\\d+)' }
",
    );
    let mut streams = vec![Labels::from_pairs([("app", "web")])];
    let mut batch = LogBatch::default();
    for text in ["ping", "pin=1", "pin=2", "other"] {
        batch.push(StreamId(0), 0, Level::Info, text.as_bytes());
    }
    let mut made = streams.clone();
    let passed = house
        .rules
        .pass(&streams, batch.clone(), &mut |labels| {
            let known = made.iter().position(|l| l == labels);
            let place = known.unwrap_or_else(|| {
                made.push(labels.clone());
                made.len() - 1
            });
            Ok(StreamId(place as u32))
        })
        .expect("passed");
    streams = made;
    let lines: Vec<(String, &[u8])> = passed
        .iter()
        .map(|(line, text)| (streams[line.stream.0 as usize].to_string(), text))
        .collect();
    let media = r#"{app="web", team="media"}"#.to_owned();
    assert_eq!(
        lines,
        [
            (media.clone(), &b"pin=***"[..]),
            (media, b"pin=***"),
            (r#"{app="web"}"#.to_owned(), b"other"),
        ]
    );
    assert_eq!(house.counter("lines_dropped", "noise"), 1);
    assert!(house.kept.lines().is_empty(), "nothing is stored by that");
    // Without room for label sets the lines keep theirs.
    let full = |_: &Labels| Err(StoreError::Limit("full".to_owned()));
    let passed = house.rules.pass(&streams, batch, &mut { full });
    let passed = passed.expect("passed");
    assert!(passed.lines.iter().all(|line| line.stream == StreamId(0)));
}

#[test]
fn redaction_sees_all_lines_of_a_record() {
    let house = house("- redact: { regex: '^secret .*$' }\n");
    house.give(&["first\nsecret a b\nlast", "secret c"]);
    assert_eq!(house.kept.texts(), ["first\n***\nlast", "***"]);
}

proptest! {
    /// Whatever the lines, what comes out is what went in, without the lines that match.
    #[test]
    fn dropping_is_exact(lines in proptest::collection::vec("[abx ]{0,6}", 0..30)) {
        let house = house("- drop: x*\n");
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        house.give(&lines);
        let starts_with_x = |line: &&str| line.split(' ').any(|word| word.starts_with('x'));
        let expected: Vec<&str> =
            lines.into_iter().filter(|line| !starts_with_x(line)).collect();
        prop_assert_eq!(house.kept.texts(), expected);
    }
}
