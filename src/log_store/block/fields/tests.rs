//! Columns say of each line what the line says itself.

use super::*;
use crate::block::encode::Encoder;
use crate::lines::Lines;
use model::Level;
use proptest::prelude::*;

const NOW: i64 = 1_795_305_605_123_456_789;

fn block(texts: &[Vec<u8>]) -> Block {
    let mut lines = Lines::default();
    for (i, text) in texts.iter().enumerate() {
        lines.push(NOW + i as i64 * 1_000_000_007, Level::Info, text);
    }
    let encoded = Encoder::new().and_then(|mut e| e.encode(&lines));
    Block::open(encoded.expect("a block").bytes).expect("it opens")
}

/// Compares what columns say of these fields with what the lines say, and returns of how many
/// values the columns knew nothing.
fn check(texts: &[Vec<u8>], names: &[&str]) -> usize {
    let mut block = block(texts);
    let rows = Bits::all(texts.len());
    let mut asked = 0;
    for name in names {
        let first = block.field(Wanted::First(name), &rows).expect("it");
        let only = block.field(Wanted::Only(name), &rows).expect("it");
        let message = block.field(Wanted::Message, &rows).expect("it");
        for (row, text) in texts.iter().enumerate() {
            let fields = LineFields::of(text);
            let shown = text.escape_ascii();
            let is = |column: &FieldColumn, expected: Option<&str>| {
                match column.numbers[row] {
                    ASK => return 1,
                    ABSENT => assert_eq!(expected, None, "{name} of {shown}"),
                    n => assert_eq!(
                        expected,
                        Some(&*column.values[n as usize]),
                        "{name} of {shown}"
                    ),
                }
                0
            };
            asked += is(&first, fields.values(name).next());
            asked += is(&message, fields.message());
            if is(&only, fields.values(name).next()) == 0 {
                assert!(fields.values(name).count() <= 1, "{name} of {shown}");
            }
        }
    }
    asked
}

fn many(line: impl Fn(usize) -> String) -> Vec<Vec<u8>> {
    (0..60).map(|i| line(i).into_bytes()).collect()
}

#[test]
fn usual_lines_are_read_from_columns() {
    let known = |texts: &[Vec<u8>], names: &[&str]| {
        let asked = check(texts, names);
        assert_eq!(asked, 0, "{}", texts[1].escape_ascii());
    };
    known(
        &many(|i| {
            format!(
                "{{\"level\":\"info\",\"ts\":\"2026-11-22T00:00:{i:02}.123Z\",\"msg\":\"got {i} items\",\
                 \"path\":\"/api/v1/orders/{i}?q=\u{e9}\",\"status\":{},\"took\":{},\"d\":{}.{:02},\
                 \"id\":\"{:016x}\",\"http\":{{\"method\":\"{}\",\"n\":-{i}}},\"ok\":true,\"x\":null}}",
                200 + i % 3 * 100,
                // Decimals of different lengths are stored as texts.
                i as f64 / 8.0,
                i,
                i,
                i * 7919,
                ["GET", "PUT"][i % 2]
            )
        }),
        &[
            "level",
            "msg",
            "path",
            "status",
            "took",
            "d",
            "id",
            "http.method",
            "http.n",
            "ok",
            "x",
            "no",
        ],
    );
    known(
        &many(|i| {
            format!(
                "ts=2026-11-22T00:00:{i:02}.123Z level=info caller=compact.go:{i} msg=\"write {i} of it\" \
                 ulid=01H{i:08x} path=/api/ds/query addr=10.0.{}.{i} took={i}.5ms user={} empty=",
                i % 4,
                ["ann", "bob"][i % 2]
            )
        }),
        &[
            "ts", "level", "caller", "msg", "ulid", "path", "addr", "took", "user", "empty", "no",
        ],
    );
    known(
        &many(|i| {
            format!(
                "I1122 00:04:{i:02}.426349       1 schedule_one.go:252] \"Bound pod to node\" \
                 pod=\"kube-system/p-{i:x}\" node=\"node-c{i}\" evaluated={i}, done"
            )
        }),
        &["pod", "node", "evaluated", "no"],
    );
    known(
        &many(|i| format!("2026-11-22 00:00:{i:02},123 plain words {i} of [worker-{i}]")),
        &["words", "worker"],
    );
}

#[test]
fn what_could_be_read_differently_is_asked() {
    // Each of them would be answered wrongly by a sketch alone.
    let check = |line: &dyn Fn(usize) -> String, names: &[&str]| {
        check(&many(line), names);
    };
    check(
        &|i| format!("{{\"a\":{}}}", ["1_0", "12", "3e5"][i % 3]),
        &["a"],
    );
    check(&|i| format!("{{\"a\":10:00:{i:02}}}"), &["a"]);
    check(
        &|i| format!("{{\"k{i}\":\"v{i}\",\"k\":1}}"),
        &["k1", "k", "k0"],
    );
    check(
        &|i| format!("{{\"a\":[\"k:\",\"x{i}\"],\"b\":{i}}}"),
        &["a", "b"],
    );
    check(
        &|i| format!("{{\"a\":\"2026-11-22T00:00:{i:02}Z c:\\\\d{i}\"}}"),
        &["a"],
    );
    check(&|i| format!("{{\"a\":{i},\"a\":\"{i}\"}}"), &["a"]);
    check(&|i| format!("{{\"a\":\"cut {i}"), &["a"]);
    check(&|i| format!("{{\"b\":{i},\"a\":\"cut {i}"), &["a", "b"]);
    check(&|i| format!("k{i}=v{i} x={i}"), &["k1", "x"]);
    check(&|i| format!("{}x=5 y=1", ["7", "a7"][i % 2]), &["a7x", "y"]);
    check(
        &|i| format!("ts=2026-11-22 00:00:{i:02} b={i}"),
        &["ts", "b"],
    );
    check(
        &|i| format!("a=v{}c=d b=1\r", ["\r", "-", "\x0c"][i % 3]),
        &["a", "b", "c"],
    );
    check(&|i| format!("a=w{}\r", ["ann", "bob"][i % 2]), &["a"]);
    check(&|i| format!("call n={}(x{i})", ["f", "g"][i % 2]), &["n"]);
    check(
        &|i| format!("call n={}x) b={i}", ["f(", "g"][i % 2]),
        &["n", "b"],
    );
    check(
        &|i| format!("why: \"{} no\" b={i}", ["a=1", "b=x y"][i % 2]),
        &["a", "b"],
    );
    check(&|i| format!("a=b:\"c{} d\" e={i}", i % 2), &["a", "e"]);
    check(
        &|i| format!("msg=\"2026-11-22T00:00:{i:02}Z a\\\"b user=ann{i}\""),
        &["msg", "user"],
    );
    check(
        &|i| format!("a==b{i} c={i} d=>x{i} e=~{i}"),
        &["a", "c", "d", "e"],
    );
    check(
        &|i| format!("\x1b[32mlevel{i}\x1b[0m=\x1b[3mx\x1b[0m a={i}"),
        &["a", "level1"],
    );
}

#[test]
fn rows_that_nobody_wants_are_not_read() {
    let texts = many(|i| format!("{{\"a\":{i}}}"));
    let mut block = block(&texts);
    let mut rows = Bits::none(texts.len());
    rows.insert(7);
    let column = block.field(Wanted::First("a"), &rows).expect("it");
    assert_eq!(column.values, ["7"]);
    let known = column.numbers.iter().filter(|number| **number != ASK);
    assert_eq!(known.count(), 1);
}

/// A value of a kind, different from row to row.
fn value(kind: usize, n: u64) -> String {
    let strange = [
        "a=b",
        "x y",
        "f(",
        "g)",
        "[h]",
        "{",
        "k:\"v",
        "\\",
        "\\n",
        "\"",
        "c\rd",
        "e\x0cf",
        "null",
        "1_0",
        "=",
        ">z",
        "~",
        "m,",
        "\x1b[3mq",
        "\u{e9}",
        "\u{65e5}\u{672c}",
        "",
        "true",
        "-",
        "b=c d",
    ];
    match kind {
        0 => n.to_string(),
        1 => format!("{}ms", n % 1000),
        2 => format!("{}.{}", n % 7, n % 1000),
        3 => format!("{:08x}", n as u32),
        4 => format!("2026-11-22T10:00:{:02}.123Z", n % 60),
        5 => format!("2026-11-22 10:00:{:02}", n % 60),
        6 => format!("u{}", n % 90),
        7 => ["ann", "bob", "cy"][n as usize % 3].to_owned(),
        8 => strange[n as usize % strange.len()].to_owned(),
        9 => format!("{}{}", strange[n as usize % strange.len()], n % 100),
        _ => format!("{}{}", n % 100, strange[n as usize % strange.len()]),
    }
}

/// Lines that differ in some places only. A line is written with `<` and a letter for a place
/// and its kind.
fn alike() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let slot = (0u8..11).prop_map(|kind| format!("<{}", char::from(b'a' + kind)));
    let part = prop_oneof![
        4 => slot,
        1 => "[a-c0-9_=.:,;()\\[\\]{}\"\\\\ /-]{1,3}",
        1 => Just(" ".to_owned()),
    ];
    let value_text = prop::collection::vec(part, 1..3).prop_map(|parts| parts.concat());
    let name = prop_oneof![
        8 => Just("a".to_owned()),
        8 => Just("b".to_owned()),
        4 => Just("msg".to_owned()),
        1 => Just("a<a".to_owned()),
        1 => Just("7".to_owned()),
    ];
    let json =
        (name.clone(), value_text.clone(), 0..4).prop_map(|(name, value, form)| match form {
            0 => format!("\"{name}\":{value}"),
            1 => format!("\"{name}\":[\"{value}\",1]"),
            _ => format!("\"{name}\":\"{value}\""),
        });
    let logfmt = (name, value_text, 0..5).prop_map(|(name, value, form)| match form {
        0 => format!("{name}: \"{value}\""),
        1 => value,
        2 => format!("{name}=\"{value}\""),
        _ => format!("{name}={value}"),
    });
    let json = prop::collection::vec(json, 1..4).prop_map(|all| format!("{{{}}}", all.join(",")));
    let pairs = prop::collection::vec(logfmt, 1..5).prop_map(|all| all.join(" "));
    let line = prop_oneof![json, pairs];
    (line, any::<u64>(), 1usize..40).prop_map(|(line, seed, n)| {
        (0..n as u64)
            .map(|row| {
                let mut out = String::new();
                for (i, part) in line.split('<').enumerate() {
                    let Some(kind) = part.bytes().next().filter(|_| i > 0) else {
                        out.push_str(part);
                        continue;
                    };
                    let n = (seed ^ i as u64)
                        .wrapping_add(row)
                        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    out.push_str(&value(usize::from(kind - b'a'), n >> 40));
                    out.push_str(&part[1..]);
                }
                out.into_bytes()
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn columns_say_what_lines_say(texts in prop::collection::vec(alike(), 1..4)) {
        check(&texts.concat(), &["a", "b", "msg", "a1", "7"]);
    }
}
