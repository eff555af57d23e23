//! What a usual page costs: one like the last, and one never seen.

use std::fmt::Write as _;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use metric_scrape::exposition::Format;
use metric_scrape::exposition::line::Pair;
use metric_scrape::page::{Counts, Histograms, Pages, ReadOptions, Timestamps};
use model::{Labels, SlotId};

fn main() {
    divan::main();
}

const FAMILIES: usize = 100;
const SERIES_PER_FAMILY: usize = 50;
const TIMESTAMPS: Timestamps = Timestamps::Honor {
    track_staleness: false,
};

/// Like a big exporter: 5,000 series, half of them small integers.
fn page(round: usize) -> String {
    let mut page = String::new();
    for family in 0..FAMILIES {
        let _ = writeln!(
            page,
            "# HELP app_http_requests_{family}_total How many requests there were, by all.\n\
             # TYPE app_http_requests_{family}_total counter"
        );
        for series in 0..SERIES_PER_FAMILY {
            let value = match series % 2 {
                0 => (series * round) as f64,
                _ => series as f64 * 1.618_033 + round as f64 * 0.01,
            };
            let _ = writeln!(
                page,
                "app_http_requests_{family}_total{{method=\"GET\",path=\"/api/v1/things/{series}\",\
                 code=\"200\",zone=\"eu-west-1\"}} {value}"
            );
        }
    }
    page
}

fn read(pages: &mut Pages, page: &str, slots: &mut u32) -> usize {
    let options = ReadOptions {
        format: Format::Text,
        timestamps: TIMESTAMPS,
        kept_max: usize::MAX,
        histograms: Histograms::default(),
    };
    let mut resolve = |pairs: &[Pair<'_>]| {
        let pairs = pairs.iter().map(|(name, value)| (&**name, &**value));
        Ok(Some(Labels::from_pairs(pairs)))
    };
    let mut counts = Counts::default();
    let reading = pages
        .read(page.as_bytes(), options, &mut resolve, &mut counts)
        .expect("a good page");
    let mut open = |_: &Labels| {
        *slots += 1;
        Ok(SlotId(*slots))
    };
    pages.commit(reading, TIMESTAMPS, &mut open).samples.len()
}

#[divan::bench]
fn page_like_the_last(bencher: Bencher<'_, '_>) {
    let rounds: Vec<String> = (0..10).map(page).collect();
    let (mut pages, mut slots, mut round) = (Pages::default(), 0, 0);
    read(&mut pages, &rounds[0], &mut slots);
    bencher
        .counter(ItemsCount::new(FAMILIES * SERIES_PER_FAMILY))
        .counter(BytesCount::new(rounds[1].len()))
        .bench_local(|| {
            round = (round + 1) % rounds.len();
            read(&mut pages, &rounds[round], &mut slots)
        });
}

#[divan::bench]
fn page_never_seen(bencher: Bencher<'_, '_>) {
    let page = page(1);
    bencher
        .counter(ItemsCount::new(FAMILIES * SERIES_PER_FAMILY))
        .bench_local(|| read(&mut Pages::default(), &page, &mut 0));
}
