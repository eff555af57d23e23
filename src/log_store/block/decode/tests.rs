//! What goes into a block comes out of it, and damage never panics.

use super::*;
use crate::block::encode::Encoder;
use crate::lines::Lines;
use proptest::prelude::*;

const NOW: i64 = 1_795_305_605_123_456_789;

fn round_trip(lines: &Lines) -> EncodedLen {
    let encoded = Encoder::new()
        .and_then(|mut e| e.encode(lines))
        .expect("a block");
    let len = encoded.bytes.len();
    let mut block = Block::open(encoded.bytes).expect("it opens");
    assert_eq!(block.len(), lines.len());
    assert_eq!(block.times().expect("times"), lines.times());
    assert_eq!(block.levels().expect("levels"), lines.levels());
    for (row, text) in lines.texts().enumerate() {
        let mut out = Vec::new();
        block.line(row, &mut out).expect("a line");
        assert_eq!(
            String::from_utf8_lossy(&out),
            String::from_utf8_lossy(text),
            "line {row}"
        );
        assert_eq!(out, text);
    }
    EncodedLen(len)
}

struct EncodedLen(usize);

#[test]
fn every_kind_of_column_comes_back() {
    let mut lines = Lines::default();
    for i in 0..2000i64 {
        let time_ns = NOW + i * 1_000_003;
        let text = format!(
            "{{\"ts\":\"2026-11-22T00:00:{:02}.{:03}Z\",\"n\":{},\"d\":{}.{:03},\"id\":\"{:016x}\",\"level\":\"{}\",\"same\":\"x1\",\"free\":\"v{} w\"}}",
            i % 60,
            i % 1000,
            i * 7919,
            i,
            i % 1000,
            i * 0x9e37_79b9,
            ["info", "warn"][i as usize % 2],
            i * 31
        );
        lines.push(time_ns, Level::Info, text.as_bytes());
    }
    let raw = lines.text_bytes();
    let EncodedLen(len) = round_trip(&lines);
    assert!(len * 8 < raw, "{len} of {raw}");
}

#[test]
fn strange_lines_come_back() {
    let mut lines = Lines::default();
    for text in [
        &b""[..],
        b"\n",
        b"a\nb 12\nc",
        b"\x01\x02\x00",
        b"\xff\xfe 12 \"",
        b"a=\"",
        b"a=\"x\\",
        b"=\"\\\n\"",
        b"007 0.50 1e5 00.1 0.0000001",
        b"9999-12-31T23:59:59Z 23:59:60",
        b"\x1b[31mred1\x1b[0m",
        b"99999999999999999999 18446744073709551616",
    ] {
        for i in 0..5 {
            lines.push(NOW - i, Level::Error, text);
        }
    }
    round_trip(&lines);
}

#[test]
fn damage_is_told_and_never_panics() {
    let mut lines = Lines::default();
    for i in 0..50 {
        lines.push(
            NOW,
            Level::Info,
            format!("took {i}ms id={i:08x}").as_bytes(),
        );
    }
    let good = Encoder::new()
        .and_then(|mut e| e.encode(&lines))
        .expect("a block")
        .bytes;
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        assert!(Block::open(bad).is_err(), "byte {at}");
    }
    // The same with a checksum that matches: wrong answers are possible, panics are not.
    for at in 4..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        let checksum = crc32fast::hash(&bad[4..]);
        bad[..4].copy_from_slice(&checksum.to_le_bytes());
        if let Ok(mut block) = Block::open(bad) {
            let _ = (block.times(), block.levels());
            for row in 0..block.len().min(100) {
                let _ = block.line(row, &mut Vec::new());
            }
        }
    }
}

fn any_text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"level=info ".to_vec()),
        Just(b"\"k\":\"v\", ".to_vec()),
        (0u32..100_000).prop_map(|n| format!("{n} ").into_bytes()),
        (0u32..1000).prop_map(|n| format!("took {n}ms ").into_bytes()),
        (0u32..1000).prop_map(|n| format!("0.{n:03},").into_bytes()),
        any::<u32>().prop_map(|n| format!("id={n:08x};").into_bytes()),
        (0u32..60).prop_map(|n| format!("2026-11-22T10:00:{n:02}.123Z ").into_bytes()),
        (0u32..60).prop_map(|n| format!("10:00:{n:02},123456").into_bytes()),
        "[ -~]{0,8}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_bytes_come_back(
        texts in prop::collection::vec((any_text(), any::<i64>(), 0u8..7), 1..60),
    ) {
        let mut lines = Lines::default();
        for (text, time_ns, level) in &texts {
            lines.push(*time_ns, Level::from_number(*level), text);
        }
        round_trip(&lines);
    }
}
