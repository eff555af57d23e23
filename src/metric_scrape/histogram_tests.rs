//! Pages in protobuf, written field by field as exporters write them: what becomes of histograms,
//! exemplars, staleness, and of noise.

use proptest::prelude::*;
use wire::writer::Writer;

use super::tests::{Fixture, fixture};
use super::*;

impl Fixture {
    fn scrape_as(&mut self, page: &[u8], format: Format) -> Outcome {
        let time = self.time();
        self.ledger
            .store(&self.spec, Ok((page.to_vec(), format)), time)
    }

    fn good(&mut self, page: &[u8]) {
        let outcome = self.scrape_as(page, Format::Protobuf);
        assert!(outcome.up && outcome.error.is_none(), "{:?}", outcome.error);
    }

    /// Values of a series of metric `name` with one more label, or none.
    fn labelled(&self, metric: &str, label: &str) -> String {
        self.sink.series(&name(metric, label))
    }
}

fn name(metric: &str, label: &str) -> String {
    // `le` and `quantile` come after `instance` and `job`.
    let label = match label {
        "" => String::new(),
        label => format!(", {label}"),
    };
    format!("{metric}{{instance=\"h:1\", job=\"j\"{label}}}")
}

/// A family with one metric.
fn family(name: &str, kind: u64, metric: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut family = Writer::default();
    family.field(1, name.as_bytes());
    family.field(2, b"What it means.");
    family.number(3, kind);
    family.message(4, metric);
    let mut page = Writer::default();
    page.varint(family.bytes().len() as u64);
    let mut page = page.into_bytes();
    page.extend_from_slice(family.bytes());
    page
}

fn exemplar(writer: &mut Writer, field: u32, trace: &str, value: f64) {
    writer.message(field, |exemplar| {
        exemplar.message(1, |label| {
            label.field(1, b"trace_id");
            label.field(2, trace.as_bytes());
        });
        exemplar.float(2, value);
        exemplar.message(3, |time| {
            time.number(1, 1_000);
            time.number(2, 500_000_000);
        });
    });
}

/// A histogram with both forms: classic buckets 1 and 2.5, native ones of schema 1.
fn both(observations: u64) -> Vec<u8> {
    family("h", 4, |metric| {
        metric.message(7, |histogram| {
            histogram.number(1, observations);
            histogram.float(2, 12.5);
            for (bound, count) in [(1.0, 1), (2.5, 3)] {
                histogram.message(3, |bucket| {
                    bucket.number(1, count);
                    bucket.float(2, bound);
                    exemplar(bucket, 3, "abc", 0.5);
                });
            }
            histogram.signed(5, 1);
            histogram.float(6, 1e-9);
            histogram.number(7, 2);
            for (offset, length) in [(1, 2), (1, 1)] {
                histogram.message(12, |span| {
                    span.signed(1, offset);
                    span.number(2, length);
                });
            }
            // Counts 1, 3, 2.
            histogram.packed_signed(13, [1, 2, -1]);
        });
    })
}

#[test]
fn simple_families_and_summaries_are_the_series_of_the_text_format() {
    let mut f = fixture("");
    let mut page = family("c_total", 0, |metric| {
        metric.message(3, |counter| {
            counter.float(1, 7.0);
            exemplar(counter, 2, "xyz", 1.0);
        });
    });
    page.extend(family("s", 2, |metric| {
        metric.message(4, |summary| {
            summary.number(1, 9);
            summary.float(2, 4.5);
            summary.message(3, |quantile| {
                quantile.float(1, 1.0);
                quantile.float(2, 0.25);
            });
        });
    }));
    f.good(&page);
    f.good(&page);
    assert_eq!(f.labelled("c_total", ""), "7 7");
    assert_eq!(f.labelled("s_count", ""), "9 9");
    assert_eq!(f.labelled("s_sum", ""), "4.5 4.5");
    assert_eq!(f.labelled("s", "quantile=\"1.0\""), "0.25 0.25");
    assert_eq!(f.sink.help("c_total"), "What it means.");
    let exemplars = f.sink.exemplars(&name("c_total", ""));
    assert_eq!(exemplars[0].timestamp_ms, 1_000_500);
    assert_eq!(exemplars[0].labels.get("trace_id"), Some("xyz"));
    // A second page of the same series surprises nobody, and what is gone is marked.
    f.good(b"");
    assert_eq!(f.labelled("c_total", ""), "7 7 gone");
}

#[test]
fn without_the_setting_only_the_classic_form_is_kept() {
    let mut f = fixture("");
    f.good(&both(6));
    assert_eq!(f.labelled("h_count", ""), "6");
    assert_eq!(f.labelled("h_sum", ""), "12.5");
    assert_eq!(f.labelled("h_bucket", "le=\"1.0\""), "1");
    assert_eq!(f.labelled("h_bucket", "le=\"2.5\""), "3");
    assert_eq!(f.labelled("h_bucket", "le=\"+Inf\""), "6");
    assert!(f.sink.histograms(&name("h", "")).is_empty());
    let exemplars = f.sink.exemplars(&name("h_bucket", "le=\"1.0\""));
    assert_eq!(exemplars.len(), 1);
}

#[test]
fn native_histograms_are_kept_and_end_with_a_marker() {
    let mut f = fixture("scrape_native_histograms: true");
    f.good(&both(8));
    let found = f.sink.histograms(&name("h", ""));
    let histogram = &found[0];
    assert_eq!((histogram.schema, histogram.count), (1, 8.0));
    assert_eq!((histogram.zero_count, histogram.sum), (2.0, 12.5));
    let buckets: Vec<_> = histogram.positive.iter().collect();
    assert_eq!(buckets, [(1, 1.0), (2, 3.0), (4, 2.0)]);
    assert_eq!(f.labelled("h_count", ""), "");
    assert_eq!(f.sink.exemplars(&name("h", "")).len(), 2);
    f.good(b"");
    assert_eq!(f.labelled("h", ""), "NaN gone");
}

#[test]
fn both_forms_are_kept_where_that_is_wanted() {
    let mut f = fixture("scrape_native_histograms: true, always_scrape_classic_histograms: true");
    f.good(&both(8));
    assert_eq!(f.sink.histograms(&name("h", "")).len(), 1);
    assert_eq!(f.labelled("h_bucket", "le=\"2.5\""), "3");
    assert_eq!(f.labelled("h_count", ""), "8");
}

/// A page of text with a classic histogram, a summary and a counter.
const CLASSIC: &str = "# HELP h What it means.\n# TYPE h histogram\n\
    h_bucket{le=\"1\"} 2\nh_bucket{le=\"2.5\"} 2\nh_bucket{le=\"+Inf\"} 5\n\
    h_sum 9.5\nh_count 5\n# TYPE c_total counter\nc_total 7\nc_total 8\n\
    # TYPE broken histogram\nbroken_bucket{le=\"1\"} 3\nbroken_bucket{le=\"+Inf\"} 2\n\
    broken_count 2\nbroken_sum 1\nbroken_bucket 1\n";

#[test]
fn classic_histograms_become_native_ones_with_custom_bounds() {
    let mut f = fixture("convert_classic_histograms_to_nhcb: true");
    for _ in 0..2 {
        let outcome = f.scrape_as(CLASSIC.as_bytes(), Format::Text);
        assert!(outcome.up, "{:?}", outcome.error);
    }
    let found = f.sink.histograms(&name("h", ""));
    let histogram = &found[1];
    assert_eq!(histogram.schema, -53);
    assert_eq!((histogram.count, histogram.sum), (5.0, 9.5));
    assert_eq!(&*histogram.bounds, [1.0, 2.5]);
    let buckets: Vec<_> = histogram.positive.iter().collect();
    assert_eq!(buckets, [(0, 2.0), (2, 3.0)]);
    assert_eq!(f.labelled("h_count", ""), "");
    assert_eq!(f.labelled("h_bucket", "le=\"1.0\""), "");
    assert_eq!(f.sink.help("h"), "What it means.");
    // The others are what they were, and what is there twice counts once.
    assert_eq!(f.labelled("c_total", ""), "7 7");
    // Counts that fall are no histogram: nothing is lost.
    assert!(f.sink.histograms(&name("broken", "")).is_empty());
    assert_eq!(f.labelled("broken_count", ""), "2 2");
    assert_eq!(f.labelled("broken_bucket", "le=\"1.0\""), "3 3");
    assert_eq!(f.labelled("broken_bucket", ""), "1 1");
    assert!(f.scrape_as(b"c_total 9\n", Format::Text).up);
    assert_eq!(f.labelled("h", ""), "NaN NaN gone");
}

#[test]
fn converted_histograms_keep_their_classic_form_where_that_is_wanted() {
    let keys = "convert_classic_histograms_to_nhcb: true, always_scrape_classic_histograms: true";
    let mut f = fixture(keys);
    let page = CLASSIC.split("# TYPE c_total").next().expect("a page");
    let page = format!("{page}# EOF\n");
    assert!(f.scrape_as(page.as_bytes(), Format::OpenMetrics).up);
    assert_eq!(f.sink.histograms(&name("h", "")).len(), 1);
    assert_eq!(f.labelled("h_bucket", "le=\"2.5\""), "2");
    assert_eq!(f.labelled("h_count", ""), "5");
    // A native form wins where it is wanted; else the classic one is converted.
    let mut f = fixture("convert_classic_histograms_to_nhcb: true, scrape_native_histograms: true");
    f.good(&both(8));
    assert_eq!(f.sink.histograms(&name("h", ""))[0].schema, 1);
    let mut f = fixture("convert_classic_histograms_to_nhcb: true");
    f.good(&both(8));
    let found = f.sink.histograms(&name("h", ""));
    assert_eq!((found[0].schema, found[0].count), (-53, 8.0));
    assert_eq!(f.sink.exemplars(&name("h", "")).len(), 2);
    assert_eq!(f.labelled("h_count", ""), "");
}

#[test]
fn limits_make_histograms_coarser_and_say_where_that_does_not_help() {
    let limited = |keys: &str| fixture(&format!("scrape_native_histograms: true, {keys}"));
    let mut f = limited("native_histogram_bucket_limit: 2");
    f.good(&both(8));
    let histogram = &f.sink.histograms(&name("h", ""))[0];
    // Buckets 1 and 2 are one of half the resolution, bucket 4 is another.
    let buckets: Vec<_> = histogram.positive.iter().collect();
    assert_eq!((histogram.schema, buckets), (0, vec![(1, 4.0), (2, 2.0)]));
    // A factor of 4 is schema -1.
    let mut f = limited("native_histogram_min_bucket_factor: 4");
    f.good(&both(8));
    let histogram = &f.sink.histograms(&name("h", ""))[0];
    assert_eq!(histogram.schema, -1);
    assert_eq!(histogram.positive.iter().collect::<Vec<_>>(), [(1, 6.0)]);

    let mut f = limited("native_histogram_bucket_limit: 1");
    let page = family("far", 4, |metric| {
        metric.message(7, |histogram| {
            histogram.number(1, 2);
            for (offset, length) in [(1, 1), (1000, 1)] {
                histogram.message(12, |span| {
                    span.signed(1, offset);
                    span.number(2, length);
                });
            }
            histogram.packed_signed(13, [1, 0]);
        });
    });
    let error = f
        .scrape_as(&page, Format::Protobuf)
        .error
        .expect("it failed");
    assert!(
        error.contains("\"far\"") && error.contains("native_histogram_bucket_limit is 1"),
        "{error}"
    );
}

#[test]
fn gauge_histograms_of_floats_are_gauges() {
    let mut f = fixture("scrape_native_histograms: true");
    let page = family("g", 5, |metric| {
        metric.message(7, |histogram| {
            histogram.float(4, 2.5);
            histogram.float(2, -1.0);
            histogram.message(9, |span| {
                span.signed(1, 3);
                span.number(2, 1);
            });
            histogram.packed_floats(11, &[2.5]);
        });
    });
    f.good(&page);
    let histogram = &f.sink.histograms(&name("g", ""))[0];
    assert_eq!(histogram.reset, model::ResetHint::Gauge);
    assert_eq!(histogram.count, 2.5);
    assert_eq!(histogram.negative.iter().collect::<Vec<_>>(), [(3, 2.5)]);
}

#[test]
fn a_page_cut_off_fails_and_names_the_place() {
    let mut f = fixture("");
    let mut page = both(8);
    page.extend(both(8));
    page.pop();
    let error = f
        .scrape_as(&page, Format::Protobuf)
        .error
        .expect("it failed");
    assert!(
        error.contains("after family \"h\"") && error.contains("cut off"),
        "{error}"
    );
    assert_eq!(f.labelled("h_count", ""), "");
}

#[test]
fn bounds_and_quantiles_of_text_are_written_one_way() {
    let mut f = fixture("");
    let page = b"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\n\
                 # TYPE s summary\ns{quantile=\"1\"} 3\n# TYPE g gauge\ng{le=\"1\"} 4\n";
    f.scrape_as(page, Format::Text);
    f.scrape_as(page, Format::Text);
    assert_eq!(f.labelled("h_bucket", "le=\"1.0\""), "1 1");
    assert_eq!(f.labelled("h_bucket", "le=\"+Inf\""), "2 2");
    assert_eq!(f.labelled("s", "quantile=\"1.0\""), "3 3");
    assert_eq!(f.labelled("g", "le=\"1\""), "4 4");
    // Another type: another series.
    let text = std::str::from_utf8(page).expect("text");
    let untyped = text.replacen("histogram", "untyped", 1);
    f.scrape_as(untyped.as_bytes(), Format::Text);
    assert_eq!(f.labelled("h_bucket", "le=\"1.0\""), "1 1 gone");
    assert_eq!(f.labelled("h_bucket", "le=\"1\""), "1");
}

#[test]
fn exemplars_of_openmetrics_are_kept_once() {
    let mut f = fixture("");
    let page = |trace: &str| {
        format!(
            "# TYPE c counter\nc_total 1 # {{trace_id=\"{trace}\"}} 0.5\n\
             d 2 # {{trace_id=\"t\"}} 1 1.5\n# EOF\n"
        )
    };
    for trace in ["a", "a", "b"] {
        f.scrape_as(page(trace).as_bytes(), Format::OpenMetrics);
    }
    let found = f.sink.exemplars(&name("c_total", ""));
    let traces: Vec<_> = found
        .iter()
        .filter_map(|e| e.labels.get("trace_id"))
        .collect();
    assert_eq!(traces, ["a", "b"]);
    assert_eq!(found[0].timestamp_ms, 1_015_000);
    assert_eq!(f.sink.exemplars(&name("d", ""))[0].timestamp_ms, 1_500);
}

proptest! {
    #[test]
    fn no_bytes_panic(
        mut page in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            Just(both(8)),
        ],
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        for (place, byte) in flips {
            if !page.is_empty() {
                let place = place.index(page.len());
                page[place] = byte;
            }
        }
        let mut f = fixture("scrape_native_histograms: true, always_scrape_classic_histograms: true");
        f.scrape_as(&page, Format::Protobuf);
        for histogram in f.sink.histograms(&name("h", "")) {
            prop_assert_eq!(histogram.check(), Ok(()));
        }
    }
}
