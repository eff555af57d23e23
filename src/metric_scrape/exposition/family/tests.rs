//! A page taken to pieces and put together again says what it said.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::page::{Counts, Histograms, Pages, ReadOptions, Timestamps};

/// The series that a scrape makes of a page, sorted, each as `labels value`.
fn scraped(page: &[u8], format: Format) -> Vec<String> {
    let mut pages = Pages::default();
    let options = ReadOptions {
        format,
        timestamps: Timestamps::Ignore,
        kept_max: usize::MAX,
        histograms: Histograms {
            native: true,
            ..Histograms::default()
        },
    };
    let mut labels = Vec::new();
    let mut resolve = |pairs: &[crate::exposition::line::Pair<'_>]| {
        let pairs = pairs.iter().map(|(name, value)| (&**name, &**value));
        Ok(Some(model::Labels::from_pairs(pairs)))
    };
    let reading = pages
        .read(page, options, &mut resolve, &mut Counts::default())
        .expect("a good page");
    let commit = pages.commit(reading, Timestamps::Ignore, &mut |series| {
        labels.push(series.to_string());
        Ok(model::SlotId(labels.len() as u32 - 1))
    });
    let name = |slot: model::SlotId| labels[slot.0 as usize].clone();
    let floats = commit.samples.iter();
    let mut out: Vec<String> = floats
        .map(|(slot, value)| format!("{} {value}", name(*slot)))
        .collect();
    let exemplars = commit.exemplars.iter();
    out.extend(exemplars.map(|e| format!("{} # {} {}", name(e.slot), e.labels, e.value)));
    out.extend(
        commit
            .histograms
            .iter()
            .map(|(_, slot, h)| format!("{} {}/{}", name(*slot), h.count, h.sum)),
    );
    out.sort_unstable();
    out
}

/// A page written anew from its families.
fn rewritten(page: &[u8], format: Format) -> Vec<u8> {
    let mut out = Vec::new();
    for family in read(page, format).expect("a good page") {
        let message = family.message();
        assert_eq!(Family::from_message(&message).as_ref(), Ok(&family));
        append_to_page(&mut out, &message);
    }
    out
}

const TEXT: &str = "# HELP b_seconds How long.\n# TYPE b_seconds histogram\n\
    b_seconds_bucket{q=\"a\",le=\"0.1\"} 1\nb_seconds_bucket{q=\"a\",le=\"+Inf\"} 3\n\
    b_seconds_sum{q=\"a\"} 4.5\nb_seconds_count{q=\"a\"} 3\n\
    # TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 2\ns_count 3\n\
    # TYPE c_total counter\nc_total{x=\"1\"} 7\nc_total{x=\"2\"} 8\n\
    # TYPE g gauge\ng -1.5\nuntyped 9\n";

#[test]
fn text_comes_back_as_the_same_series() {
    let page = rewritten(TEXT.as_bytes(), Format::Text);
    assert_eq!(
        scraped(&page, Format::Protobuf),
        scraped(TEXT.as_bytes(), Format::Text)
    );
    let families = read(TEXT.as_bytes(), Format::Text).expect("families");
    let names: Vec<_> = families.iter().map(|f| (&*f.name, f.kind)).collect();
    assert_eq!(
        names,
        [
            ("b_seconds", FamilyKind::Histogram),
            ("s", FamilyKind::Summary),
            ("c_total", FamilyKind::Counter),
            ("g", FamilyKind::Gauge),
            ("untyped", FamilyKind::Untyped),
        ]
    );
    assert_eq!(families[0].help, "How long.");
    // Protobuf comes back to the byte.
    assert_eq!(rewritten(&page, Format::Protobuf), page);
}

#[test]
fn openmetrics_keeps_exemplars_and_names() {
    let text = "# TYPE c counter\nc_total{a=\"b\"} 5 # {trace=\"x\"} 2\n\
        # TYPE i info\ni_info{v=\"1\"} 1\n\
        # TYPE h histogram\nh_bucket{le=\"1\"} 2 # {trace=\"y\"} 0.5 10.25\n\
        h_bucket{le=\"+Inf\"} 2\nh_count 2\nh_sum 1\n# EOF\n";
    let page = rewritten(text.as_bytes(), Format::OpenMetrics);
    let text = text.as_bytes();
    assert_eq!(
        scraped(&page, Format::Protobuf),
        scraped(text, Format::OpenMetrics)
    );
}

#[test]
fn what_cannot_be_kept_is_said_with_its_line() {
    let check = |page: &str, format, part: &str| {
        let error = read(page.as_bytes(), format).expect_err(page).to_string();
        assert!(error.contains(part), "{page}: {error}");
    };
    let text = Format::Text;
    check("a 1\nb one\n", text, "line 2: \"one\" is not a number");
    check("a 1\na 2\n", text, "line 2: \"a\" is there twice");
    check("a 1\n# TYPE a gauge\n", text, "comes after its samples");
    check("# TYPE a gauge\n# TYPE a counter\n", text, "two types");
    check(
        "# TYPE h histogram\nh_bucket 1\n",
        text,
        "needs the label le",
    );
    let wrong = "# TYPE h histogram\nh_bucket{le=\"x\"} 1\n";
    check(wrong, text, "le=\"x\" of \"h_bucket\" is not a number");
    check("a 1\n", Format::OpenMetrics, "without # EOF");
    let mut twice = rewritten(b"a 1\n", text);
    twice.extend_from_within(..);
    let error = read(&twice, Format::Protobuf).expect_err("twice");
    assert_eq!(error.to_string(), "family \"a\": it is there twice");
}

#[test]
fn a_histogram_of_many_buckets_takes_no_time_to_speak_of() {
    // Compared with one another, these would take minutes.
    let mut page = "# TYPE h histogram\n".to_owned();
    for i in 0..200_000 {
        writeln!(page, "h_bucket{{le=\"{i}\"}} {i}").expect("a string grows");
    }
    let families = read(page.as_bytes(), Format::Text).expect("a good page");
    let whole = families[0].metrics[0].numbers(FamilyKind::Histogram);
    assert!(matches!(whole, Ok(Numbers::Histogram { buckets, .. }) if buckets.len() == 200_000));
}

#[test]
fn numbers_can_be_looked_at() {
    let families = read(TEXT.as_bytes(), Format::Text).expect("families");
    let numbers = |i: usize| families[i].metrics[0].numbers(families[i].kind);
    assert_eq!(
        numbers(0),
        Ok(Numbers::Histogram {
            count: 3.0,
            sum: 4.5,
            buckets: vec![(0.1, 1.0), (f64::INFINITY, 3.0)],
        })
    );
    assert_eq!(
        numbers(1),
        Ok(Numbers::Summary {
            count: 3.0,
            sum: 2.0,
            quantiles: vec![(0.5, 1.0)],
        })
    );
    assert_eq!(numbers(3), Ok(Numbers::Value(-1.5)));
}

proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
            let _ = read(&bytes, format);
        }
    }
}
