//! Verdicts are right, and for usual texts they leave nothing open.

use super::*;
use crate::block::encode::Encoder;
use crate::lines::Lines;
use log_query::Needle;
use model::Level;
use proptest::prelude::*;

fn block(texts: &[Vec<u8>]) -> Block {
    let mut lines = Lines::default();
    for (i, text) in texts.iter().enumerate() {
        let time_ns = 1_795_305_600_000_000_000 + i as i64 * 1_000_000_000;
        lines.push(time_ns, Level::Info, text);
    }
    let encoded = Encoder::new()
        .and_then(|mut e| e.encode(&lines))
        .expect("a block");
    Block::open(encoded.bytes).expect("it opens")
}

/// The verdict never says what is wrong; returns how many rows it left open.
fn check(texts: &[Vec<u8>], sought: &Sought, shown: &str) -> usize {
    let mut block = block(texts);
    let verdict = block.find(sought, None).expect("a verdict");
    for (row, text) in texts.iter().enumerate() {
        let holds = sought.is_in(text);
        let line = String::from_utf8_lossy(text);
        assert!(
            holds || !verdict.sure.contains(row),
            "{shown:?} in {line:?}"
        );
        assert!(
            !holds || verdict.maybe.contains(row),
            "{shown:?} in {line:?}"
        );
    }
    verdict.open().count()
}

fn all_ways(text: &str) -> Vec<Sought> {
    [
        Needle::whole(text).map(|needle| Sought::needle(&needle)),
        Needle::prefix(text).map(|needle| Sought::needle(&needle)),
        Sought::in_any_case(text),
        Sought::exact(text.as_bytes()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn usual_texts_are_decided_without_lines() {
    let texts: Vec<Vec<u8>> = (0..200)
        .map(|i| {
            format!(
                "at 10:00:{:02}.{:06} user={} id={:08x} took {}.5s kind=\"{}\" code {} ok {}ms",
                i % 60,
                i,
                ["ann", "bob", "cy"][i % 3],
                i * 7919,
                i,
                ["a b", "c-d"][i % 2],
                5000 + i,
                i % 7
            )
            .into_bytes()
        })
        .collect();
    for text in [
        "ann",
        "d",
        "took",
        "5077",
        "77",
        "000077",
        "0001ee",
        "nothing",
        "kind",
        "user=ann",
        "code 5077 ok",
        "kind=\"a b\"",
        "\" code 50",
        "=ann id=0",
        "7.5s",
        "10:00:07",
        "cy id",
        "b\" code",
        "1ee",
        "01e",
        "5",
        "ok 5ms",
        "CODE 5012",
        "001eef",
    ] {
        for sought in all_ways(text) {
            check(&texts, &sought, text);
        }
        let exact = Sought::exact(text.as_bytes()).expect("not empty");
        assert_eq!(check(&texts, &exact, text), 0, "{text}");
    }
    for word in [
        "ann", "took", "5077", "000077", "nothing", "kind", "user=ann", "0001eef0",
    ] {
        let needle = Needle::whole(word).expect("not empty");
        assert_eq!(check(&texts, &Sought::needle(&needle), word), 0, "{word}");
    }
}

fn any_line() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("error ".to_owned()),
        Just("a=ab ".to_owned()),
        Just("a=ba,".to_owned()),
        Just("\"a\":\"ab ba\",".to_owned()),
        Just("\"a\":\"a\\\"b\",".to_owned()),
        Just("\u{e9}".to_owned()),
        Just("=\u{c9}a\u{e9} ".to_owned()),
        Just("=a\u{e9}1".to_owned()),
        Just("\u{65e5}1\u{672c}".to_owned()),
        Just("\x1b[31mab\x1b[0m".to_owned()),
        Just("\x1b[31m1\x1b[0m".to_owned()),
        Just("\x1b[1m10:00:05".to_owned()),
        Just("\n".to_owned()),
        Just("\u{1}".to_owned()),
        (0u32..130).prop_map(|n| format!("{n}")),
        (0u32..130).prop_map(|n| format!("{n}ms ")),
        (0u32..130).prop_map(|n| format!("{n}m")),
        (0u32..130).prop_map(|n| format!("{n}.5 ")),
        (0u32..5).prop_map(|n| format!("id={:08x};", n * 0x0101_ab1f)),
        (0u32..3).prop_map(|n| format!("2026-11-22T00:00:0{n}.123Z ")),
        "[ab1 \"=:.]{1,3}",
    ];
    let raw = prop::collection::vec(any::<u8>(), 0..3);
    prop_oneof![
        9 => prop::collection::vec(piece, 0..5).prop_map(|p| p.concat().into_bytes()),
        1 => (prop::collection::vec("[ab1= \"]{1,3}", 0..3), raw)
            .prop_map(|(p, raw)| [p.concat().into_bytes(), raw].concat()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// Some lines, each several times with its own numbers, so that every kind of column comes
    /// about; sought is a part of one of them, or something similar.
    #[test]
    fn verdicts_are_never_wrong(
        kinds in prop::collection::vec(any_line(), 1..6),
        repeats in 1usize..9,
        at in any::<(prop::sample::Index, prop::sample::Index, prop::sample::Index)>(),
        len in 1usize..14,
        other in "[abé1 \"=:.]{1,4}",
    ) {
        let mut texts = Vec::new();
        for i in 0..repeats {
            for kind in &kinds {
                // Digits are counted on, so that numbers differ from line to line.
                let text: Vec<u8> = kind
                    .iter()
                    .map(|b| if *b == b'5' { b'0' + (i % 10) as u8 } else { *b })
                    .collect();
                texts.push(text);
            }
        }
        let text = &texts[at.0.index(texts.len())];
        let shown = String::from_utf8_lossy(text).into_owned();
        let chars: Vec<char> = shown.chars().collect();
        let start = at.1.index(chars.len().max(1));
        let part: String = chars.iter().skip(start).take(len).collect();
        let turned: String = part.chars().flat_map(char::to_uppercase).collect();
        for text in [part, turned, other] {
            for sought in all_ways(&text) {
                check(&texts, &sought, &text);
            }
        }
        let bytes = at.2.index(text.len().max(1));
        if let Some(sought) = text.get(bytes..(bytes + len).min(text.len())).and_then(Sought::exact) {
            check(&texts, &sought, "bytes");
        }
    }
}
