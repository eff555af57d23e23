//! How fast lines are matched: `cargo bench -p log_query`. The text is web server lines of about
//! 120 bytes in which the words that are looked for are rare.

use divan::counter::{BytesCount, ItemsCount};
use log_query::{LineView, Needle, Query};
use model::{Labels, Level};

fn main() {
    divan::main();
}

const LINES: usize = 50_000;

fn lines() -> Vec<String> {
    (0..LINES)
        .map(|i| {
            format!(
                "10.42.{}.{} - - \"GET /api/v1/items/{}?page={} HTTP/1.1\" 200 {} \"Mozilla/5.0 (X11; \
                 Linux x86_64)\" rt=0.{:03}",
                i % 256,
                i % 199,
                i * 7919 % 100_000,
                i % 17,
                i * 31 % 50_000,
                i % 1000
            )
        })
        .collect()
}

/// One search through the whole text, as a store does with a block.
#[divan::bench(args = ["timeout", "connection refused", "zürich", "7f3a9c"])]
fn whole_text(bencher: divan::Bencher<'_, '_>, word: &str) {
    let text = lines().join("\n");
    let needle = Needle::whole(word).expect("not empty");
    bencher
        .counter(BytesCount::new(text.len()))
        .bench(|| needle.is_in(text.as_bytes()));
}

/// The memchr crate's search with case, for comparison.
#[divan::bench]
fn whole_text_memmem(bencher: divan::Bencher<'_, '_>) {
    let text = lines().join("\n");
    let finder = memchr::memmem::Finder::new("timeout");
    bencher
        .counter(BytesCount::new(text.len()))
        .bench(|| finder.find(text.as_bytes()));
}

/// Each line on its own, as `Filter::matches` sees them.
#[divan::bench(args = ["timeout", "timeout refused -debug", "level:error timeout", "/time(out|d)/", "status:500"])]
fn line_by_line(bencher: divan::Bencher<'_, '_>, query: &str) {
    let lines = lines();
    let query = Query::parse(query).expect("valid");
    let labels = Labels::from_pairs([("namespace", "shop"), ("pod", "web-1")]);
    bencher.counter(ItemsCount::new(LINES)).bench(|| {
        lines
            .iter()
            .filter(|line| {
                query
                    .filter
                    .matches(&LineView::new(&labels, Level::Info, line.as_bytes()))
            })
            .count()
    });
}

const JSON: &str = r#"{"ts":"2026-08-22T01:10:00.123Z","level":"info","msg":"request 8841 done in 15ms","status":200,"http":{"method":"GET","path":"/api/v1/items/8841"},"user":{"id":17},"took":"15ms"}"#;
const LOGFMT: &str = r#"ts=2026-08-22T01:10:00.123Z level=info msg="request 8841 done in 15ms" status=200 method=GET path=/api/v1/items/8841 user=17 took=15ms"#;
const PLAIN: &str = "2026-08-22 01:10:00,123 INFO [worker-7] com.example.shop.Orders - request 8841 of user=ana from 10.42.0.17:5060 done in 15 ms (id 7e7cc42f-3cb9-4dea-aaaa-12ab34cd56ef)";

/// The fields of one line.
#[divan::bench(args = [JSON, LOGFMT, PLAIN])]
fn fields(bencher: divan::Bencher<'_, '_>, line: &str) {
    bencher
        .counter(BytesCount::new(line.len()))
        .bench(|| log_query::LineFields::of(divan::black_box(line).as_bytes()));
}

/// The pattern of one line, its fields included.
#[divan::bench(args = [JSON, LOGFMT, PLAIN])]
fn pattern(bencher: divan::Bencher<'_, '_>, line: &str) {
    let labels = Labels::empty();
    bencher.counter(BytesCount::new(line.len())).bench(|| {
        let text = divan::black_box(line).as_bytes();
        log_query::pattern(&LineView::new(&labels, Level::Info, text))
    });
}
