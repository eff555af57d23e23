//! Any bytes as a line that meets all kinds of processing rules: JSON stays JSON, what is found is
//! found completely, and a second pass finds nothing more to redact.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use log_rules::{LogRules, Metrics, RuleConfig, Rules};
use model::{Checkpoint, Labels, Level, LineRules, LogBatch, LogSink, StoreError, StreamId};
use prometheus_client::registry::Registry;
use serde::Deserialize;
use yaml::Spanned;

#[derive(Deserialize)]
struct File {
    rules: Vec<Spanned<RuleConfig>>,
}

struct Nowhere;

impl LogSink for Nowhere {
    fn open_stream(&self, _: &Labels) -> Result<StreamId, StoreError> {
        Ok(StreamId(0))
    }
    fn append(&self, _: &LogBatch) -> Result<(), StoreError> {
        Ok(())
    }
    fn committed_checkpoints(&self) -> Result<Vec<Checkpoint>, StoreError> {
        Ok(Vec::new())
    }
    fn committed_checkpoint(&self, _: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }
}

fn rules(text: &str) -> LogRules {
    let file: File = yaml::from_str(text, "y").expect("YAML");
    let rules = LogRules::new(Arc::new(Nowhere), Metrics::new(&mut Registry::default()));
    rules.replace(Rules::read(&file.rules, "y").expect("rules"));
    rules
}

static REDACT: LazyLock<LogRules> = LazyLock::new(|| {
    rules("rules: [{redact: {preset: [email, token, ipv4, credit-card, bearer]}}]")
});
static REWRITE: LazyLock<LogRules> = LazyLock::new(|| {
    rules(
        "rules: [{rename: {fields: {a: b, a.b: c}, labels: {x: y}}}, {merge_log: {keep_log: false}},
          {merge_log: {key: k}}, {sample: 99%, sample_by: a}]",
    )
});

fn pass(rules: &LogRules, text: &[u8]) -> Option<Vec<u8>> {
    let streams = [Labels::from_pairs([("x", "1"), ("stream", "stdout")])];
    let mut batch = LogBatch::default();
    batch.push(StreamId(0), 0, Level::Unknown, text);
    let passed = rules
        .pass(&streams, batch, &mut |_| Ok(StreamId(1)))
        .expect("passed");
    passed.iter().next().map(|(_, text)| text.to_vec())
}

fn is_object(text: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(text).is_ok()
}

fuzz_target!(|text: &[u8]| {
    let redacted = pass(&REDACT, text).expect("redaction drops nothing");
    assert!(redacted.len() <= 4 * text.len() + (8 << 10));
    if let Some(rewritten) = pass(&REWRITE, text) {
        assert_eq!(is_object(&rewritten), is_object(text));
    }
});
