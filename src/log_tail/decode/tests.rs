//! Lines in, records out.

use std::convert::Infallible;

use proptest::prelude::*;

use model::Level;

use super::*;
use crate::civil::SECOND_NS;

const NOW: i64 = 1_800_000_000 * SECOND_NS;

fn decoder() -> Decoder {
    Decoder::new(1024, TimeZone::UTC, &Reading::default())
}

fn when(now_ns: i64) -> When {
    When {
        now_ns,
        written_ns: now_ns,
        elapsed: Duration::ZERO,
    }
}

/// Like [`read_some`], and gives out what is held back at the end.
fn read(
    decoder: &mut Decoder,
    when: When,
    lines: &[(u64, &str)],
) -> Vec<(Option<Output>, i64, Level, String)> {
    let mut records = read_some(decoder, when, lines);
    let Ok(()) = decoder.give_due(Duration::MAX, &mut |record: Record<'_>| {
        records.push(owned(record));
        Ok::<_, Infallible>(())
    });
    records
}

fn owned(record: Record<'_>) -> (Option<Output>, i64, Level, String) {
    let text = String::from_utf8_lossy(record.text).into_owned();
    (record.output, record.time_ns, record.level, text)
}

/// Reads lines, as places and texts, and returns (output, time, level, text) of each record.
fn read_some(
    decoder: &mut Decoder,
    when: When,
    lines: &[(u64, &str)],
) -> Vec<(Option<Output>, i64, Level, String)> {
    let mut records = Vec::new();
    for (start, text) in lines {
        let line = Line {
            start: *start,
            text: text.as_bytes(),
            cut_bytes: 0,
        };
        let Ok(()) = decoder.line(&line, when, &mut |record: Record<'_>| {
            records.push(owned(record));
            Ok::<_, Infallible>(())
        });
    }
    records
}

#[test]
fn takes_envelopes_off() {
    let mut cri = decoder();
    let records = read(
        &mut cri,
        when(NOW),
        &[
            (0, "2026-03-01T10:00:00Z stdout F INFO started"),
            (
                50,
                "2026-03-01T10:00:01Z stderr F {\"level\":\"error\",\"msg\":\"x\"}",
            ),
            (99, "not in the format"),
        ],
    );
    let start = 1_772_359_200 * SECOND_NS;
    let json = r#"{"level":"error","msg":"x"}"#.to_owned();
    let (out, err) = (Some(Output::Stdout), Some(Output::Stderr));
    assert_eq!(
        records,
        [
            // An object is whole; a text may go on and is held back.
            (err, start + SECOND_NS, Level::Error, json),
            (out, start, Level::Info, "INFO started".to_owned()),
            (
                out,
                start + SECOND_NS,
                Level::Unknown,
                "not in the format".to_owned()
            ),
        ]
    );
    assert_eq!(cri.format_name(), "cri");
    assert_eq!(cri.take_tally().malformed, 1);
}

#[test]
fn a_line_without_time_belongs_to_the_one_before_or_gets_the_files_time() {
    let mut text = decoder();
    let records = read(
        &mut text,
        When {
            now_ns: NOW,
            written_ns: NOW - 5,
            elapsed: Duration::ZERO,
        },
        &[
            (0, "first"),
            (6, "2026-03-01T10:00:00Z ERROR boom"),
            (35, "\tat a.B"),
            (40, "goes on"),
            (50, r#"{"msg":"next"}"#),
        ],
    );
    let times: Vec<i64> = records.iter().map(|record| record.1).collect();
    let boom = 1_772_359_200 * SECOND_NS;
    assert_eq!(
        times,
        [NOW - 5, boom, boom, NOW - 5],
        "an object stands alone"
    );
    let later = read(&mut text, when(NOW + 60 * SECOND_NS), &[(60, "much later")]);
    assert_eq!(later[0].1, NOW + 60 * SECOND_NS);
    let earlier = read(
        &mut text,
        when(NOW + 50 * SECOND_NS),
        &[(80, "clock set back")],
    );
    assert_eq!(earlier[0].1, NOW + 60 * SECOND_NS, "never backwards");
}

#[test]
fn times_in_the_future_are_mistakes() {
    let records = read(&mut decoder(), when(NOW), &[(0, "2126-03-01T10:00:00Z x")]);
    assert_eq!(records[0].1, NOW);
}

#[test]
fn reading_again_takes_only_the_parts_of_pending_lines() {
    let lines: [(u64, &str); 4] = [
        (0, "2026-03-01T10:00:00Z stdout P aaa"),
        (40, "2026-03-01T10:00:01Z stderr F err"),
        (80, "2026-03-01T10:00:02Z stdout P bbb"),
        (120, "2026-03-01T10:00:03Z stdout F ccc"),
    ];
    let mut first = decoder();
    let stored = read(&mut first, when(NOW), &lines[..3]);
    assert_eq!(stored.len(), 1);
    assert_eq!(first.position(120).1, [Some(0), None]);

    let mut second = decoder();
    second.resume(120, first.position(120).1, "cri");
    assert_eq!(second.position(0).1, [Some(0), None]);
    let rest = read(&mut second, when(NOW), &lines);
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].3, "aaabbbccc");
    assert_eq!(second.position(160).1, [None, None]);
}

proptest! {
    #[test]
    fn never_panics(lines in proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 0..60), 0..10)) {
        let mut decoder = decoder();
        for (start, text) in lines.iter().enumerate() {
            let line = Line { start: start as u64, text, cut_bytes: 0 };
            let Ok(()) = decoder.line(&line, when(NOW), &mut |_| Ok::<_, Infallible>(()));
        }
    }
}
