//! Each action of relabelling, as the documentation of Prometheus tells it.

use super::*;

fn rules(yaml: &str) -> Result<Relabeler, String> {
    let configs: Vec<RelabelConfig> =
        serde_saphyr::from_str(yaml).map_err(|error| error.to_string())?;
    Relabeler::new(&configs)
}

/// Applies rules to labels that are written `a=1 b=2`.
fn check(yaml: &str, labels: &str, expected: Option<&str>) {
    let pairs = labels.split(' ').filter_map(|pair| pair.split_once('='));
    let mut builder = Labels::from_pairs(pairs).to_builder();
    let kept = rules(yaml).expect(yaml).apply(&mut builder);
    let shown: Vec<String> = builder
        .build()
        .iter()
        .map(|l| format!("{}={}", l.name, l.value))
        .collect();
    assert_eq!(kept.then(|| shown.join(" ")).as_deref(), expected, "{yaml}");
}

#[test]
fn steps_say_what_each_rule_does() {
    let rules = rules(
        "[{source_labels: [a], target_label: b}, {regex: a, action: labeldrop},
          {source_labels: [b], target_label: b, replacement: y},
          {source_labels: [none], regex: x, target_label: c},
          {source_labels: [b], regex: 'y.*', action: drop}, {target_label: z, replacement: z}]",
    );
    let steps = rules
        .expect("good rules")
        .steps(&Labels::from_pairs([("a", "x")]));
    let effects: Vec<&str> = steps.iter().map(|step| &*step.effect).collect();
    assert_eq!(
        effects,
        [
            "sets b to \"x\"",
            "takes a away",
            "changes b from \"x\" to \"y\"",
            "changes nothing",
            "drops it: b is \"y\", which matches y.*",
        ]
    );
    assert!(!steps[3].changes && steps[4].drops && steps[4].rule == 5);
}

#[test]
fn replaces() {
    let check = |yaml: &str, labels: &str, expected: &str| check(yaml, labels, Some(expected));
    check("[{source_labels: [a], target_label: b}]", "a=x", "a=x b=x");
    check(
        "[{source_labels: [a], target_label: a, regex: '(.*):\\d+'}]",
        "a=h:9",
        "a=h",
    );
    // Anchored: a part does not match, and nothing happens.
    check(
        "[{source_labels: [a], target_label: d, regex: f}]",
        "a=foo",
        "a=foo",
    );
    check(
        "[{source_labels: [a, b], target_label: d, regex: 'x;y', replacement: z}]",
        "a=x b=y",
        "a=x b=y d=z",
    );
    check(
        "[{source_labels: [a, b], separator: '-', target_label: d}]",
        "a=x b=y",
        "a=x b=y d=x-y",
    );
    check(
        "[{source_labels: [a], target_label: '${1}_t', regex: '(.).*', replacement: v}]",
        "a=xyz",
        "a=xyz x_t=v",
    );
    // An empty result removes the label; a constant needs no source.
    check(
        "[{source_labels: [none], target_label: a}]",
        "a=x b=y",
        "b=y",
    );
    check("[{target_label: a, replacement: k}]", "b=y", "a=k b=y");
    // `$1x` is the group named 1x, which is not there.
    check(
        "[{source_labels: [a], target_label: d, replacement: '$1x'}]",
        "a=v",
        "a=v",
    );
    check(
        "[{source_labels: [a], target_label: d, replacement: '${1}x$$'}]",
        "a=v",
        "a=v d=vx$",
    );
    check(
        "[{source_labels: [a], target_label: d, regex: 'a(?P<n>.)c', replacement: '$n'}]",
        "a=abc",
        "a=abc d=b",
    );
    check(
        "[{source_labels: [__address__], target_label: d, action: Replace}]",
        "__address__=h",
        "__address__=h d=h",
    );
}

#[test]
fn keeps_and_drops() {
    check(
        "[{source_labels: [a], regex: 'x|y', action: keep}]",
        "a=x",
        Some("a=x"),
    );
    check(
        "[{source_labels: [a], regex: 'x|y', action: keep}]",
        "a=xy",
        None,
    );
    check(
        "[{source_labels: [a], regex: '.*o.*', action: drop}]",
        "a=foo",
        None,
    );
    check(
        "[{source_labels: [a], regex: '.*o.*', action: drop}]",
        "a=bar",
        Some("a=bar"),
    );
    check(
        "[{source_labels: [a], target_label: b, action: keepequal}]",
        "a=x b=x",
        Some("a=x b=x"),
    );
    check(
        "[{source_labels: [a], target_label: b, action: keepequal}]",
        "a=x b=y",
        None,
    );
    check(
        "[{source_labels: [a], target_label: b, action: dropequal}]",
        "a=x b=x",
        None,
    );
    check(
        "[{source_labels: [none], target_label: b, action: dropequal}]",
        "a=x",
        None,
    );
}

#[test]
fn works_on_names() {
    check(
        "[{regex: '__meta_(.+)', action: labelmap}]",
        "__meta_a=1 b=2",
        Some("__meta_a=1 a=1 b=2"),
    );
    check(
        "[{regex: '__meta_(.+)', replacement: 'm_$1', action: labelmap}]",
        "__meta_a=1",
        Some("__meta_a=1 m_a=1"),
    );
    check(
        "[{regex: 'a.*', action: labeldrop}]",
        "a=1 ab=2 b=3",
        Some("b=3"),
    );
    check(
        "[{regex: 'a.*', action: labelkeep}]",
        "a=1 ab=2 b=3",
        Some("a=1 ab=2"),
    );
}

#[test]
fn changes_case_and_hashes() {
    check(
        "[{source_labels: [a], target_label: b, action: lowercase}]",
        "a=FoO",
        Some("a=FoO b=foo"),
    );
    check(
        "[{source_labels: [a], target_label: b, action: UPPERCASE}]",
        "a=FoO",
        Some("a=FoO b=FOO"),
    );
    // md5("foo") = acbd18db4cc2f85cedef654fccc4a4d8, of which the last half counts.
    check(
        "[{source_labels: [a], target_label: b, modulus: 1000, action: hashmod}]",
        "a=foo",
        Some(&format!("a=foo b={}", 0xedef_654f_ccc4_a4d8_u64 % 1000)),
    );
}

#[test]
fn rules_follow_one_another_until_one_drops() {
    let yaml = "[{target_label: a, replacement: x}, {source_labels: [a], regex: x, action: drop},
        {target_label: b, replacement: y}]";
    check(yaml, "c=1", None);
}

#[test]
fn refuses_what_prometheus_refuses() {
    let check = |yaml: &str, expected: &str| {
        let error = rules(yaml).expect_err(yaml);
        assert!(error.contains(expected), "{yaml}: {error}");
    };
    check(
        "[{action: keep}, {action: replace}]",
        "rule 2: replace needs a target_label",
    );
    check("[{action: hashmod, target_label: a}]", "modulus");
    check("[{action: paint}]", "\"paint\" is unknown");
    check("[{regex: 'a(', action: keep}]", "regex \"a(\"");
    check(
        "[{action: labeldrop, regex: a, source_labels: [b]}]",
        "does not take source_labels",
    );
    check(
        "[{action: lowercase, target_label: a, replacement: b}]",
        "does not take replacement",
    );
    check(
        "[{action: keepequal, target_label: a, regex: b}]",
        "does not take regex",
    );
    check("[{sourcelabels: [a]}]", "sourcelabels");
}
