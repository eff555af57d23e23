//! Times as programs write them, and numbers that are none.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;

const NEWEST: &str = "2024-03-15T12:00:00Z";

fn ns(text: &str) -> i64 {
    let time: Timestamp = text.parse().expect("a time");
    i64::try_from(time.as_nanosecond()).expect("in range")
}

fn detected(line: &[u8], zone: &str) -> Option<Stamp> {
    let zone = TimeZone::get(zone).expect("a bundled zone");
    let mut context = Context {
        zone: &mut Zone::new(zone),
        newest_ns: ns(NEWEST),
    };
    detect(line, &mut context)
}

#[test]
fn finds_times_as_programs_write_them() {
    let check = |line: &str, expected: &str| {
        let found = detected(line.as_bytes(), "UTC").map(|stamp| stamp.time_ns);
        assert_eq!(found, Some(ns(expected)), "{line}");
    };
    check("2024-01-02T03:04:05Z x", "2024-01-02T03:04:05Z");
    check(
        "2024-01-02T03:04:05.678901234+01:00 x",
        "2024-01-02T02:04:05.678901234Z",
    );
    check("2024-01-02 03:04:05,678 INFO x", "2024-01-02T03:04:05.678Z");
    check(
        "2015-07-29 17:41:44,747 - INFO  [Q",
        "2015-07-29T17:41:44.747Z",
    );
    check(
        "2024-01-02 03:04:05.678 UTC [1] LOG:  x",
        "2024-01-02T03:04:05.678Z",
    );
    check("2024-01-02 03:04:05 +0530 x", "2024-01-01T21:34:05Z");
    check("2024/01/02 03:04:05 [error] 1#1: x", "2024-01-02T03:04:05Z");
    check(
        "[2024-01-02 03:04:05] production.ERROR: x",
        "2024-01-02T03:04:05Z",
    );
    check("Jan  2 03:04:05 host app[1]: x", "2024-01-02T03:04:05Z");
    check("Jan 12 03:04:05 host app[1]: x", "2024-01-12T03:04:05Z");
    check("<34>Jan 12 03:04:05 host app[1]: x", "2024-01-12T03:04:05Z");
    check(
        "<34>1 2024-01-02T03:04:05.003Z h a - - x",
        "2024-01-02T03:04:05.003Z",
    );
    check(
        "I0102 03:04:05.678901    1 a.go:1] x",
        "2024-01-02T03:04:05.678901Z",
    );
    check(
        "[Sun Dec 04 04:47:44 2005] [notice] x",
        "2005-12-04T04:47:44Z",
    );
    check(
        "[Wed Oct 11 14:32:52.123456 2000] [x:error] x",
        "2000-10-11T14:32:52.123456Z",
    );
    check(
        r#"10.0.0.1 - bob [02/Jan/2024:03:04:05 -0700] "GET / HTTP/1.1" 200 1"#,
        "2024-01-02T10:04:05Z",
    );
    check(
        "1:M 02 Jan 2024 03:04:05.678 * Ready",
        "2024-01-02T03:04:05.678Z",
    );
    check("17/06/09 20:10:40 INFO x.Y: z", "2017-06-09T20:10:40Z");
    check(
        "01-02 03:04:05.678  1702  2395 D x",
        "2024-01-02T03:04:05.678Z",
    );
    check("Start-Date: 2024-01-02  03:04:05", "2024-01-02T03:04:05Z");
    check("1704164645 x", "2024-01-02T03:04:05Z");
    check("1704164645.5 x", "2024-01-02T03:04:05.5Z");
    check("1704164645678 x", "2024-01-02T03:04:05.678Z");
    check(
        "api.log 2017-05-16 00:00:00.008 25746 INFO x",
        "2017-05-16T00:00:00.008Z",
    );
}

#[test]
fn leaves_other_numbers_alone() {
    let check = |line: &str| assert_eq!(detected(line.as_bytes(), "UTC"), None, "{line}");
    check("");
    check("plain text");
    check("12345 things");
    check("2024-13-02 03:04:05 x");
    check("2024-01-02");
    check("2024-01-02 03:04:99");
    check("May be later");
    check("192.168.0.1:8080 connected");
    check("\tat a.B.c(B.java:1)");
}

#[test]
fn a_missing_year_is_the_latest_possible_one() {
    let check = |line: &str, expected: &str| {
        let found = detected(line.as_bytes(), "UTC").map(|stamp| stamp.time_ns);
        assert_eq!(found, Some(ns(expected)), "{line}");
    };
    check("Mar 15 11:59:59 h x", "2024-03-15T11:59:59Z");
    check("Mar 16 11:00:00 h x", "2024-03-16T11:00:00Z");
    check("Mar 17 11:00:00 h x", "2023-03-17T11:00:00Z");
    check("Dec 31 23:59:59 h x", "2023-12-31T23:59:59Z");
    check("Feb 29 00:00:00 h x", "2024-02-29T00:00:00Z");
}

#[test]
fn a_missing_zone_is_the_configured_one() {
    let found = detected(b"2024-01-02 03:04:05 x", "Europe/Berlin");
    assert_eq!(found.map(|s| s.time_ns), Some(ns("2024-01-02T02:04:05Z")));
    let found = detected(b"2024-01-02T03:04:05Z x", "Europe/Berlin");
    assert_eq!(found.map(|s| s.time_ns), Some(ns("2024-01-02T03:04:05Z")));
}

#[test]
fn says_where_the_time_ends() {
    let end = |line: &str| detected(line.as_bytes(), "UTC").map(|stamp| stamp.end);
    assert_eq!(end("2024-01-02 03:04:05,678 INFO"), Some(23));
    assert_eq!(end("[Sun Dec 04 04:47:44 2005] [x]"), Some(25));
}

proptest! {
    #[test]
    fn never_panics(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        detected(&line, "UTC");
        rfc3339(&line);
        epoch(&line);
    }

    #[test]
    fn never_panics_near_a_time(line in "[\\[<(]?[0-9IJF]{0,4}[-/ JanMay0-9:.,TZ+]{0,40}") {
        detected(line.as_bytes(), "UTC");
        rfc3339(line.as_bytes());
    }

    #[test]
    fn rfc3339_reads_what_is_written(
        seconds in 0i64..7_000_000_000, nanos in 0i64..1_000_000_000) {
        let text = model::time::rfc3339_ns(seconds * SECOND_NS + nanos);
        let stamp = rfc3339(text.as_bytes());
        prop_assert_eq!(
            stamp, Some(Stamp { time_ns: seconds * SECOND_NS + nanos, end: text.len() }));
    }
}
