//! Any bytes as a page of a target, in each format: read or refused with a place, never a panic;
//! a second look at the same page finds the same samples where it expects them; and families that
//! are kept come back as they were.

#![no_main]

use libfuzzer_sys::fuzz_target;
use metric_scrape::exposition::line::Pair;
use metric_scrape::exposition::{Format, family};
use metric_scrape::page::{Commit, Counts, Histograms, Pages, ReadOptions, Timestamps};
use model::{Labels, SlotId};

fn read(pages: &mut Pages, page: &[u8], options: ReadOptions, slots: &mut Vec<Labels>) -> Option<Commit> {
    let mut resolve = |pairs: &[Pair<'_>]| {
        let pairs = pairs.iter().map(|(name, value)| (&**name, &**value));
        Ok(Some(Labels::from_pairs(pairs)))
    };
    let mut counts = Counts::default();
    let reading = pages.read(page, options, &mut resolve, &mut counts).ok()?;
    Some(pages.commit(reading, options.timestamps, &mut |labels| {
        let at = slots.iter().position(|known| known == labels);
        let at = at.unwrap_or_else(|| {
            slots.push(labels.clone());
            slots.len() - 1
        });
        Ok(SlotId(at as u32))
    }))
}

fuzz_target!(|input: &[u8]| {
    let Some((kind, page)) = input.split_first() else {
        return;
    };
    let format = [Format::Text, Format::OpenMetrics, Format::Protobuf][usize::from(kind % 3)];
    let options = ReadOptions {
        format,
        timestamps: Timestamps::Honor { track_staleness: kind & 8 != 0 },
        kept_max: usize::MAX,
        histograms: Histograms {
            native: kind & 16 != 0,
            classic_always: kind & 32 != 0,
            custom_bounds: kind & 64 != 0,
            ..Histograms::default()
        },
    };
    let (mut pages, mut slots) = (Pages::default(), Vec::new());
    if let Some(first) = read(&mut pages, page, options, &mut slots) {
        let again = read(&mut pages, page, options, &mut slots).expect("it was read before");
        assert_eq!(first.samples.len(), again.samples.len());
        assert_eq!(first.timed.len(), again.timed.len());
        assert_eq!(first.histograms.len(), again.histograms.len());
        assert!(again.stale.is_empty() && again.added == 0);
        for histogram in first.histograms {
            histogram.2.check().expect("what is kept is sound");
        }
    }
    if let Ok(families) = family::read(page, format) {
        let mut whole = Vec::new();
        for one in &families {
            family::append_to_page(&mut whole, &one.message());
        }
        let back = family::read(&whole, Format::Protobuf).expect("it was written here");
        // A NaN is not equal to itself: the bytes are.
        let bytes = |all: &[family::Family]| all.iter().map(family::Family::message).collect::<Vec<_>>();
        assert_eq!(bytes(&back), bytes(&families));
    }
});
