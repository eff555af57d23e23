//! Whatever index, tables and columns rule out: an answer is the one that the meaning of the query
//! gives line by line, on any lines, sealed, open, and after the store was opened again.

mod common;

use common::{NOW, Naive, append, find_all, open, pod, search_for, small, texts};
use log_query::{Cursor, Direction, LogReader, Record, Search, Wanted};
use log_store::LogStore;
use model::{Level, LogSink};
use proptest::prelude::*;

#[test]
fn words_that_columns_hide_are_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), small());
    let lines: Vec<String> = (0..40)
        .flat_map(|i| {
            [
                format!(
                    "2026-11-22T10:00:{:02}.{:06}Z took {}ms",
                    i % 60,
                    i * 1000,
                    i
                ),
                format!("\x1b[31merror{i}\x1b[0m code={} ratio 0.{i:03}", 400 + i),
                format!("{{\"user\":\"u-{i}\",\"path\":\"C:\\\\tmp\\\\{i}\",\"\\u0061b\":{i}}}"),
                format!("\x1b[2m2026-11-22T10:00:{:02}Z\x1b[0m start", i % 60),
                format!("\u{65e5}\u{672c}\u{8a9e}{i} na\u{ef}ve \u{416}{i}"),
            ]
        })
        .collect();
    let lines: Vec<_> = lines
        .iter()
        .enumerate()
        .map(|(i, text)| (NOW + i as i64, Level::Info, text.as_bytes()))
        .collect();
    let mut naive = Naive::default();
    naive.append(&pod("a"), &lines);
    common::append(&store, &pod("a"), &lines, "1");
    store.seal().expect("sealed");
    for query in [
        "7ms",
        "22T10",
        "2026",
        "000007z",
        "007000Z",
        "005000*",
        "error7",
        "31merror7",
        "407",
        "40*",
        "0.007",
        "user:u-7",
        "path:\"C:\\\\tmp\\\\7\"",
        "ab:7",
        "\u{672c}\u{8a9e}",
        "na\u{cf}ve",
        "\u{436}7",
        "na",
        "took -7ms",
        "code:>430",
        "user:*",
        "/err[a-z]+7/",
        "\"took 7ms\"",
        "10:00:07",
        "u-7",
        "tmp",
        "code=407",
        "2m2026",
        "2m20*",
        "start",
        "7*",
    ] {
        let search = search_for(query);
        assert_eq!(
            find_all(&store, &search).0,
            naive.search(&search).0,
            "{query}"
        );
    }
}

#[test]
fn the_index_and_the_tables_prune() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), small());
    for i in 0..60 {
        let text = format!(
            "request {} served to customer{i} in the usual way",
            i * 7919
        );
        common::append(
            &store,
            &pod("a"),
            &[(NOW + i, Level::Info, text.as_bytes())],
            "x",
        );
        common::append(&store, &pod("b"), &[(NOW + i, Level::Error, b"no")], "x");
    }
    store.seal().expect("sealed");
    let blocks = store.stats().blocks;
    assert!(blocks > 5, "{blocks}");
    let check = |query: &str, lines: u64, read_max: u64| {
        let (_, summary) = find_all(&store, &search_for(query));
        assert_eq!(summary.lines, lines, "{query}");
        assert!(summary.blocks_read <= read_max, "{query}: {summary:?}");
        assert_eq!(
            summary.blocks_read + summary.blocks_skipped,
            blocks,
            "{query}"
        );
    };
    check("customer7", 1, 1);
    check("customer99", 0, 0);
    check("55433", 1, 1);
    check("pod:nobody", 0, 0);
    check("pod:b", 60, 1);
    check("level:error", 60, 1);
    check("level:error customer7", 0, 0);
}

#[test]
fn values_of_a_field_are_counted_without_opening_a_block() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), small());
    for i in 0..60i64 {
        let level = if i % 10 == 0 {
            Level::Error
        } else {
            Level::Info
        };
        let text = format!(
            "{{\"msg\":\"done\",\"path\":\"/api/{}\",\"status\":{},\"id\":\"{:08x}\"}}",
            i % 3,
            200 + i % 2,
            i * 0x0101_ab1f
        );
        append(&store, &pod("a"), &[(NOW + i, level, text.as_bytes())], "x");
    }
    store.seal().expect("sealed");
    let check = |query: &str, field: &str, is_counted: bool| {
        let wanted = Wanted {
            fields: vec!["pod".to_owned(), field.to_owned()],
            grain_ns: Some(86_400_000_000_000),
            ..Wanted::default()
        };
        let search = search_for(query);
        let new = || common::nothing_seen(&wanted);
        let (_, summary) = store.fold(&search, &wanted, &new).expect("a fold");
        assert_eq!(summary.blocks_read == 0, is_counted, "{query} | {field}");
        assert!(common::seen(&store, &search, &wanted).len() >= 6, "{query}");
    };
    check("", "path", true);
    check("level:error", "path", true);
    check("level:error pod:a", "status", true);
    check("level:error", "no_such_field", true);
    // Identifiers are not worth a list; what the lines say besides is not known.
    check("", "id", false);
    check("done", "path", false);
    check("", "message", false);
}

#[test]
fn a_limit_ends_the_search_early_and_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), small());
    for i in 0..500 {
        let text = format!("line number {i} of many lines with the same words");
        common::append(
            &store,
            &pod("a"),
            &[(NOW + i, Level::Info, text.as_bytes())],
            "x",
        );
    }
    store.seal().expect("sealed");
    let mut search = search_for("words");
    search.direction = Direction::Backward;
    search.limit = 3;
    let (found, summary) = find_all(&store, &search);
    let times: Vec<i64> = found.iter().map(|r| r.time_ns - NOW).collect();
    assert_eq!(times, [499, 498, 497]);
    assert!(summary.limit_reached);
    assert!(
        summary.blocks_read * 4 < store.stats().blocks,
        "{summary:?}"
    );
    search.limit = 500;
    assert!(!find_all(&store, &search).1.limit_reached);
}

#[test]
fn a_stopped_search_says_cancelled() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), small());
    common::append(&store, &pod("a"), &[(NOW, Level::Info, b"x")], "1");
    let mut search = search_for("x");
    search.end_ns = NOW + 1;
    search.start_ns = NOW;
    search.stop.stop();
    let result = store.search(&search, &mut |_| std::ops::ControlFlow::Continue(()));
    assert!(matches!(result, Err(model::StoreError::Cancelled)));
    assert!(matches!(
        store.histogram(&search, 1),
        Err(model::StoreError::Cancelled)
    ));
}

#[test]
fn facets_and_streams_tell_what_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), small());
    for i in 0..10i64 {
        let text = format!(
            "{{\"msg\":\"m\",\"status\":{}}}",
            [200, 200, 500][i as usize % 3]
        );
        common::append(
            &store,
            &pod("a"),
            &[(NOW + i, Level::Info, text.as_bytes())],
            "x",
        );
    }
    common::append(
        &store,
        &pod("b"),
        &[(NOW + 100, Level::Warn, b"plain")],
        "x",
    );
    store.seal().expect("sealed");
    let facets = store.facets(&search_for(""), 1).expect("facets");
    let shown: Vec<_> = facets
        .iter()
        .map(|f| {
            (
                f.name.as_str(),
                f.values[0].0.as_str(),
                f.values[0].1,
                f.more_values,
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("level", "info", 10, 1),
            ("namespace", "shop", 11, 0),
            ("pod", "a", 10, 1),
            ("status", "200", 7, 1),
        ]
    );
    // Of the newest line only the fields are counted: levels and labels are those of all lines.
    let newest = log_query::Search {
        limit: 1,
        ..search_for("status:*")
    };
    let facets = store.facets(&newest, 5).expect("facets");
    let shown: Vec<_> = facets
        .iter()
        .map(|f| (f.name.as_str(), f.values[0].1, f.whole))
        .collect();
    assert_eq!(
        shown,
        [
            ("level", 10, true),
            ("namespace", 10, true),
            ("pod", 10, true),
            ("status", 1, false),
        ]
    );
    let streams = |start, end| store.streams(start, end).expect("streams");
    assert_eq!(streams(NOW, NOW + 200), [pod("a"), pod("b")]);
    assert_eq!(streams(NOW + 50, NOW + 200), [pod("b")]);
    assert_eq!(streams(0, NOW), []);
}

/// Pages through a search with cursors; between pages, `between` may do something to the store.
fn pages(
    store: &LogStore,
    search: &Search,
    size: usize,
    mut between: impl FnMut(usize),
) -> Vec<Record> {
    let mut all: Vec<Record> = Vec::new();
    for page in 0.. {
        let asked = Search {
            limit: size,
            after: all.last().map(|line| Cursor {
                time_ns: line.time_ns,
                stream: line.labels.fingerprint(),
                sequence: line.sequence,
            }),
            ..search.clone()
        };
        let (found, summary) = find_all(store, &asked);
        all.extend(found);
        if !summary.limit_reached {
            break;
        }
        between(page);
    }
    all
}

#[test]
fn pages_hold_each_line_once_while_others_come() {
    for direction in [Direction::Forward, Direction::Backward] {
        let folder = tempfile::tempdir().expect("a folder");
        let store = open(folder.path(), small());
        let names: Vec<String> = (0..7).map(|i| format!("pod-{i}")).collect();
        // Five instants only, so that pages end in the middle of equal times and streams.
        for i in 0..120i64 {
            let text = format!("line {i} of some with a word in it");
            let labels = pod(&names[i as usize % 7]);
            let line = (NOW + i / 30 * 1000, Level::Info, text.as_bytes());
            common::append(&store, &labels, &[line], "x");
            if i == 50 {
                store.seal().expect("sealed");
            }
        }
        let search = Search {
            direction,
            ..search_for("word")
        };
        let (whole, _) = find_all(&store, &search);
        assert_eq!(whole.len(), 120);
        for size in [1, 7, 30, 119, 120] {
            let paged = pages(&store, &search, size, |page| {
                // Lines that come meanwhile lie before the pages already shown.
                let time = match direction {
                    Direction::Forward => NOW - 10_000,
                    Direction::Backward => NOW + 10_000,
                };
                let text = format!("a word that came at {page}");
                let name = format!("late-{size}-{page}");
                common::append(
                    &store,
                    &pod(&name),
                    &[(time, Level::Info, text.as_bytes())],
                    "x",
                );
                if page % 40 == 1 {
                    store.seal().expect("sealed");
                }
            });
            let old: Vec<&Record> = (paged.iter())
                .filter(|line| line.text.starts_with(b"line"))
                .collect();
            assert_eq!(
                old,
                whole.iter().collect::<Vec<_>>(),
                "{direction:?} {size}"
            );
        }
    }
}

/// Pieces that lines are made of: what the column encoding treats specially, and words in common
/// with the queries.
fn any_line() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("error "),
        Just("time "),
        Just("timeout "),
        Just("k=v "),
        Just("level=info "),
        Just("took 12ms "),
        Just("took 7s "),
        Just("0.5 "),
        Just("user=ann "),
        Just("user=\"b c\" "),
        Just("2026-11-22T10:00:05.123456Z "),
        Just("10:00:05,123 "),
        Just("id=deadbeef12 "),
        Just("id=00ff "),
        Just("16483 "),
        Just("200 "),
        Just("\x1b[31mred\x1b[0m "),
        Just("{\"a\":\"x\",\"n\":5} "),
        Just("took 12m "),
        Just("n=5 "),
        Just("=\u{c9}rror,"),
        Just("\u{e9}16483"),
        Just("{\"status\":503,\"id\":\"a0b\"} "),
        Just("path=C:\\tmp\\x "),
        Just("\"user\":\"\\u0061nn\" "),
        Just("\u{65e5}\u{672c}"),
        Just("\u{c9}t\u{e9} "),
        Just("a_b.c/d-e "),
        Just("\n"),
        Just("\u{1}"),
        Just("\""),
    ];
    let raw = prop::collection::vec(any::<u8>(), 0..3);
    let part = prop_oneof![
        8 => piece.prop_map(|p| p.as_bytes().to_vec()),
        1 => raw,
    ];
    let json = prop_oneof![Just("ann"), Just("b c"), Just("x")]
        .prop_map(|v| format!("{{\"user\":\"{v}\",\"n\":5,\"msg\":\"the end\"}}").into_bytes());
    prop_oneof![
        4 => prop::collection::vec(part, 0..5).prop_map(|parts| parts.concat()),
        1 => json,
    ]
}

fn any_query() -> impl Strategy<Value = String> {
    let term = prop_oneof![
        Just("error"),
        Just("time"),
        Just("tim*"),
        Just("timeout"),
        Just("12ms"),
        Just("7s"),
        Just("7*"),
        Just("user:ann"),
        Just("user:*"),
        Just("user:a*"),
        Just("n:5"),
        Just("n:>4"),
        Just("level:info"),
        Just("level:error.."),
        Just("-level:info"),
        Just("pod:a"),
        Just("pod:b"),
        Just("-pod:a"),
        Just("ns:shop"),
        Just("2026"),
        Just("22T10"),
        Just("123456Z"),
        Just("123456"),
        Just("123"),
        Just("10:00:05"),
        Just("\"took 12ms\""),
        Just("deadbeef12"),
        Just("deadbe*"),
        Just("00ff"),
        Just("16483"),
        Just("164*"),
        Just("200"),
        Just("red"),
        Just("31mred"),
        Just("\u{65e5}\u{672c}"),
        Just("\u{e9}T\u{c9}"),
        Just("d-e"),
        Just("c/d"),
        Just("/e[a-z]+r/"),
        Just("/deadbe/"),
        Just("/16|00f/"),
        Just("/(?i)USER=.?ann/"),
        Just("/\"status\":50[34],.*\"a[0-9]/"),
        Just("/\"status\":50[345]/"),
        Just("/n=5 |12m/"),
        Just("/^error/"),
        Just("/0:05[.,]1/"),
        Just("/\\d{5}/"),
        Just("/\u{e9}1/"),
        Just("-/error/"),
        Just("*rro*"),
        Just("n:5.."),
        Just("status:503"),
        Just("status:>=500"),
        Just("user:/^a/"),
        Just("-user:ann"),
        Just("message:*"),
        Just("message:\"the end\""),
        Just("path:*"),
        Just("\"12m n=5\""),
        Just("\"time error\""),
        Just("n=5"),
        Just("(error or 12ms) -200"),
        Just("k=v"),
        Just("message:end"),
        Just("user=ann"),
        Just("x"),
        Just("b"),
        Just("\"b c\""),
        Just("0.5"),
        Just("5"),
        Just("*"),
    ];
    let negated = (term, prop::bool::weighted(0.2)).prop_map(|(term, not)| {
        if not && !term.starts_with('-') && term != "*" {
            format!("-{term}")
        } else {
            term.to_owned()
        }
    });
    prop::collection::vec((negated, prop::bool::weighted(0.3)), 1..4).prop_map(|terms| {
        let mut query = String::new();
        for (i, (term, or)) in terms.iter().enumerate() {
            if i > 0 {
                query.push_str(if *or { " or " } else { " " });
            }
            query.push_str(term);
        }
        query
    })
}

#[derive(Debug, Clone)]
enum Step {
    Append(usize, Vec<(i64, u8, Vec<u8>)>),
    Seal,
    Reopen,
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let line = (0i64..300_000_000_000, 0u8..7, any_line());
    let append =
        (0usize..3, prop::collection::vec(line, 1..25)).prop_map(|(s, l)| Step::Append(s, l));
    let step = prop_oneof![6 => append, 2 => Just(Step::Seal), 1 => Just(Step::Reopen)];
    prop::collection::vec(step, 1..8)
}

fn check(store: &LogStore, naive: &Naive, query: &str, window: (i64, i64), limit: usize) {
    for direction in [Direction::Forward, Direction::Backward] {
        let mut search = search_for(query);
        search.direction = direction;
        search.limit = limit;
        (search.start_ns, search.end_ns) = (NOW + window.0, NOW + window.0 + window.1);
        let (found, summary) = find_all(store, &search);
        let (expected, more) = naive.search(&search);
        assert_eq!(found, expected, "{query}");
        assert_eq!(summary.limit_reached, more, "{query}");
        assert_eq!(summary.blocks_damaged, 0);
        for step_ns in [60_000_000_000, 7_000_000_000] {
            let buckets = store.histogram(&search, step_ns).expect("a histogram");
            assert_eq!(buckets, naive.histogram(&search, step_ns), "{query}");
        }
    }
    let mut search = search_for(query);
    (search.start_ns, search.end_ns) = (NOW + window.0, NOW + window.0 + window.1);
    let fields = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let everything = Wanted {
        text: true,
        fields: fields(&["user", "message", "level", "pod", "n"]),
        pattern: true,
        grain_ns: None,
    };
    let columns = Wanted {
        text: false,
        pattern: false,
        grain_ns: Some(60_000_000_000),
        ..everything.clone()
    };
    let counts = Wanted {
        fields: fields(&["level", "pod"]),
        ..columns.clone()
    };
    let patterns = Wanted {
        pattern: true,
        ..Wanted::default()
    };
    // Counted without opening blocks, where the partition knows.
    let one_field = |name: &str| Wanted {
        fields: fields(&["level", name, "pod"]),
        grain_ns: Some(86_400_000_000_000),
        ..Wanted::default()
    };
    let all = [
        everything,
        columns,
        counts,
        patterns,
        one_field("user"),
        one_field("n"),
    ];
    for wanted in all {
        assert_eq!(
            common::seen(store, &search, &wanted),
            naive.seen(&search, &wanted),
            "{query} {wanted:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        // What failed becomes a case of its own above.
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn any_search_on_any_lines_is_exact(
        steps in any_steps(),
        queries in prop::collection::vec(any_query(), 6),
        window in (-10_000_000_000i64..200_000_000_000, 1i64..400_000_000_000),
        limit in prop_oneof![Just(usize::MAX), 1usize..40],
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = open(folder.path(), small());
        let pods = [pod("a"), pod("b"), pod("c")];
        // Streams are opened in a fixed order, so that equal times are ordered alike.
        let open_all = |store: &LogStore| pods.iter().for_each(|labels| {
            store.open_stream(labels).expect("a stream");
        });
        open_all(&store);
        let mut naive = Naive { streams: pods.to_vec(), ..Naive::default() };
        for step in steps {
            match step {
                Step::Append(stream, lines) => {
                    let lines: Vec<(i64, Level, &[u8])> = lines
                        .iter()
                        .map(|(t, l, text)| (NOW + t, Level::from_number(*l), text.as_slice()))
                        .collect();
                    naive.append(&pods[stream], &lines);
                    common::append(&store, &pods[stream], &lines, "x");
                }
                Step::Seal => store.seal().expect("sealed"),
                Step::Reopen => {
                    store.seal().expect("sealed");
                    let numbers: Vec<_> = pods.iter().map(|l| store.open_stream(l).expect("a stream").0).collect();
                    drop(store);
                    store = open(folder.path(), small());
                    let again: Vec<_> = pods
                        .iter()
                        .map(|l| store.open_stream(l).expect("a stream").0)
                        .collect();
                    // A stream without lines was forgotten and gets a new number: the order at
                    // equal times follows it.
                    if again != numbers {
                        return Ok(());
                    }
                }
            }
        }
        for query in &queries {
            check(&store, &naive, query, window, limit);
        }
        prop_assert_eq!(texts(&store, "*").len(), naive.lines.len());
    }
}
