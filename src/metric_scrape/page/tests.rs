//! Pages that change, break, repeat themselves, and pages made of noise.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

const HONOR: Timestamps = Timestamps::Honor {
    track_staleness: false,
};

/// A store that only gives out slots, and the pages of one target.
#[derive(Default)]
struct Fixture {
    pages: Pages,
    slots: BTreeMap<String, SlotId>,
    series_max: Option<usize>,
    resolved: usize,
    counts: Counts,
}

impl Fixture {
    fn read(&mut self, page: &str, format: Format) -> Result<Reading, PageError> {
        let options = ReadOptions {
            format,
            timestamps: HONOR,
            kept_max: usize::MAX,
            histograms: Histograms::default(),
        };
        self.counts = Counts::default();
        let resolved = &mut self.resolved;
        let mut resolve = |pairs: &[Pair<'_>]| {
            *resolved += 1;
            let dropped = pairs.iter().any(|(name, _)| name == "drop");
            let pairs = pairs.iter().map(|(name, value)| (&**name, &**value));
            Ok((!dropped).then(|| Labels::from_pairs(pairs)))
        };
        self.pages
            .read(page.as_bytes(), options, &mut resolve, &mut self.counts)
    }

    fn commit(&mut self, reading: Reading) -> Commit {
        let (slots, series_max) = (&mut self.slots, self.series_max);
        let mut open = |labels: &Labels| {
            let next = SlotId(slots.len() as u32);
            let name = labels.to_string();
            if !slots.contains_key(&name) && series_max.is_some_and(|max| slots.len() >= max) {
                return Err(StoreError::Limit("too many series".to_owned()));
            }
            Ok(*slots.entry(name).or_insert(next))
        };
        self.pages.commit(reading, HONOR, &mut open)
    }

    fn name(&self, slot: SlotId) -> &str {
        let found = self.slots.iter().find(|(_, s)| **s == slot);
        found.expect("a slot that was opened").0
    }

    /// Reads and stores a page; shows samples, samples with times of their own and stale series.
    fn scrape(&mut self, page: &str) -> String {
        let reading = self.read(page, Format::Text).expect("a good page");
        let commit = self.commit(reading);
        let mut out = String::new();
        for (slot, value) in &commit.samples {
            let _ = write!(out, "{}={value} ", self.name(*slot));
        }
        for (time, slot, value) in &commit.timed {
            let _ = write!(out, "{}={value}@{time} ", self.name(*slot));
        }
        for slot in &commit.stale {
            let _ = write!(out, "{} gone ", self.name(*slot));
        }
        out.trim_end().to_owned()
    }
}

#[test]
fn a_page_like_the_last_one_is_not_resolved_again() {
    let mut fixture = Fixture::default();
    let first = "# HELP a A.\n# TYPE a gauge\na 1\na{b=\"c\"} 2\n\na{b=\"d\",drop=\"1\"} 3\n";
    assert_eq!(fixture.scrape(first), "a=1 a{b=\"c\"}=2");
    assert_eq!(fixture.resolved, 3);
    assert_eq!((fixture.counts.scraped, fixture.counts.kept), (3, 2));
    let second = first.replace(" 2\n", " 7e3\n");
    assert_eq!(fixture.scrape(&second), "a=1 a{b=\"c\"}=7000");
    assert_eq!(fixture.resolved, 3);
    assert_eq!(fixture.counts.unexpected, 0);
    assert_eq!((fixture.counts.scraped, fixture.counts.kept), (3, 2));
}

#[test]
fn series_that_come_and_go_are_followed() {
    let mut fixture = Fixture::default();
    assert_eq!(fixture.scrape("a 1\nb 2\nc 3\n"), "a=1 b=2 c=3");
    assert_eq!(fixture.scrape("a 1\nc 3\n"), "a=1 c=3 b gone");
    assert_eq!(fixture.scrape("a 1\nc 3\n"), "a=1 c=3");
    assert_eq!(fixture.scrape("a 1\nx 9\nc 3\n"), "a=1 c=3 x=9");
    assert_eq!(fixture.scrape("c 3\na 1\nx 9\n"), "c=3 a=1 x=9");
    assert_eq!(fixture.scrape("c 3\na 1\nx 9\n"), "c=3 a=1 x=9");
    assert_eq!(fixture.counts.unexpected, 0);
    assert_eq!(fixture.scrape("x 9\n"), "x=9 a gone c gone");
    assert_eq!(fixture.pages.series_count(), 1);
    assert_eq!(fixture.scrape(""), "x gone");
    assert_eq!(fixture.scrape("b 4\n"), "b=4");
    assert_eq!(fixture.slots.len(), 4);
}

#[test]
fn a_line_costs_one_surprise_when_others_are_put_before_it() {
    let mut fixture = Fixture::default();
    let lines: Vec<String> = (0..100).map(|i| format!("m{i} {i}\n")).collect();
    let page = lines.concat();
    fixture.scrape(&page);
    fixture.scrape(&format!("new 1\n{page}"));
    assert_eq!(fixture.counts.unexpected, 1);
    fixture.scrape(&page);
    assert_eq!(fixture.counts.unexpected, 1);
}

#[test]
fn a_series_twice_on_a_page_counts_once() {
    let mut fixture = Fixture::default();
    let page = "a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 2\na{x=\"1\",y=\"2\"} 3\n";
    for _ in 0..2 {
        assert_eq!(fixture.scrape(page), "a{x=\"1\", y=\"2\"}=1");
    }
    assert_eq!(fixture.counts.duplicates, 2);
    // The other spelling goes on alone; the series is not gone.
    let other = "a{y=\"2\",x=\"1\"} 2\n";
    assert_eq!(fixture.scrape(other), "a{x=\"1\", y=\"2\"}=2");
    assert_eq!(fixture.scrape("b 1\n"), "b=1 a{x=\"1\", y=\"2\"} gone");
    assert_eq!(fixture.scrape(other), "a{x=\"1\", y=\"2\"}=2 b gone");
}

#[test]
fn failure_marks_every_series_once_and_forgets_none() {
    let mut fixture = Fixture::default();
    fixture.scrape("a 1\nb 2\n");
    assert_eq!(fixture.pages.fail(HONOR).len(), 2);
    assert_eq!(fixture.pages.fail(HONOR).len(), 0);
    assert_eq!(fixture.scrape("a 1\n"), "a=1");
    assert_eq!(fixture.resolved, 2);
    assert_eq!(fixture.pages.fail(HONOR).len(), 1);
}

#[test]
fn a_page_that_breaks_changes_nothing() {
    let mut fixture = Fixture::default();
    fixture.scrape("a 1\nb 2\n");
    let error = fixture
        .read("a 1\nc 3\nb two\n", Format::Text)
        .expect_err("a broken page");
    assert_eq!(error.line, 3);
    assert_eq!(error.reason, "\"two\" is not a number");
    assert_eq!(fixture.counts.scraped, 2);
    assert_eq!(fixture.slots.len(), 2);
    assert_eq!(fixture.pages.fail(HONOR).len(), 2);
    assert_eq!(fixture.scrape("a 1\nb 2\n"), "a=1 b=2");
}

#[test]
fn samples_with_times_of_their_own_end_without_a_marker() {
    let mut fixture = Fixture::default();
    assert_eq!(fixture.scrape("a 1 5000\nb 2\n"), "b=2 a=1@5000");
    assert_eq!(fixture.scrape("a 1 6000\nb 2\n"), "b=2 a=1@6000");
    assert_eq!(fixture.scrape("b 2\n"), "b=2");
    assert_eq!(fixture.scrape(""), "b gone");
}

#[test]
fn new_meaning_of_keys_ends_only_what_does_not_come_again() {
    let mut fixture = Fixture::default();
    fixture.scrape("a 1\nb 2\n");
    fixture.pages.forget_keys(HONOR);
    assert_eq!(fixture.scrape("b 2\n"), "b=2 a gone");
    assert_eq!(fixture.scrape("b 2\n"), "b=2");
}

#[test]
fn series_that_the_store_refuses_are_tried_again() {
    let mut fixture = Fixture {
        series_max: Some(1),
        ..Fixture::default()
    };
    let reading = fixture.read("a 1\nb 2\nc 3\n", Format::Text).expect("good");
    let commit = fixture.commit(reading);
    assert_eq!(commit.samples.len(), 1);
    assert!(matches!(commit.refused, Some((2, StoreError::Limit(_)))));
    fixture.series_max = None;
    assert_eq!(fixture.scrape("a 1\nb 2\nc 3\n"), "a=1 b=2 c=3");
}

#[test]
fn openmetrics_must_end() {
    let mut fixture = Fixture::default();
    let check = |fixture: &mut Fixture, page: &str, expected: &str| {
        let error = fixture
            .read(page, Format::OpenMetrics)
            .expect_err("a broken page");
        assert!(error.reason.contains(expected), "{error}");
    };
    check(&mut fixture, "a 1\n", "cut off");
    check(&mut fixture, "a 1\n# EOF\nb 2\n", "after # EOF");
    fixture
        .read("a 1 1.5 # {x=\"y\"} 2\n# EOF\n", Format::OpenMetrics)
        .expect("a good page");
    // In the text format it is a remark like others.
    fixture
        .read("a 1\n# EOF\nb 2\n", Format::Text)
        .expect("a good page");
}

#[test]
fn metadata_is_noticed_when_it_changes() {
    let mut fixture = Fixture::default();
    let changed = |fixture: &mut Fixture, page: &str| {
        let reading = fixture.read(page, Format::Text).expect("a good page");
        let changed = reading.metadata_changed;
        fixture.commit(reading);
        changed
    };
    assert!(changed(&mut fixture, "# HELP a A.\na 1\n"));
    assert!(!changed(&mut fixture, "# HELP a A.\na 2\n"));
    assert!(!changed(&mut fixture, "# remark\n# HELP a A.\na 2\n"));
    assert!(changed(&mut fixture, "# HELP a B.\na 2\n"));
}

fn text_escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// Writes a page with names bare or quoted as they need.
fn written(series: &[(String, BTreeMap<String, String>, f64)]) -> String {
    let mut page = String::new();
    for (name, labels, value) in series {
        let mut inner: Vec<String> = labels
            .iter()
            .map(|(n, v)| format!("\"{}\"=\"{}\"", text_escaped(n), text_escaped(v)))
            .collect();
        inner.insert(0, format!("\"{}\"", text_escaped(name)));
        let _ = writeln!(page, "{{{}}} {value}", inner.join(","));
    }
    page
}

fn series() -> impl Strategy<Value = (String, BTreeMap<String, String>, f64)> {
    let labels = proptest::collection::btree_map("[a-z .\"\\\\é]{1,4}", "\\PC{1,8}", 0..4);
    ("[a-zA-Z_:. ]{1,8}", labels, -1e9..1e9)
}

proptest! {
    #[test]
    fn written_pages_read_back(series in proptest::collection::vec(series(), 0..20)) {
        let mut fixture = Fixture::default();
        let mut expected = BTreeMap::new();
        for (name, labels, value) in &series {
            let pairs = labels.iter().map(|(n, v)| (n.as_str(), v.as_str()));
            let all = Labels::from_pairs(pairs.chain([("__name__", name.as_str())]));
            expected.entry(all.to_string()).or_insert(*value);
        }
        let page = written(&series);
        for _ in 0..2 {
            let reading = fixture.read(&page, Format::Text).expect("a good page");
            let commit = fixture.commit(reading);
            let got: BTreeMap<String, f64> = commit
                .samples
                .iter()
                .map(|(slot, value)| (fixture.name(*slot).to_owned(), *value))
                .collect();
            prop_assert_eq!(&got, &expected);
            prop_assert!(commit.stale.is_empty());
        }
    }

    #[test]
    fn no_bytes_panic(
        pages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..4),
    ) {
        let mut fixture = Fixture::default();
        for page in &pages {
            noise(&mut fixture, page);
        }
    }

    #[test]
    fn nothing_nearly_right_panics(
        pages in proptest::collection::vec("([#a-c{}=\",\\\\ \n0-9.é]|TYPE|HELP|EOF){0,60}", 1..5),
    ) {
        let mut fixture = Fixture::default();
        for page in &pages {
            noise(&mut fixture, page.as_bytes());
        }
    }
}

/// Reads a page that may be anything, in both formats, and stores what reads well.
fn noise(fixture: &mut Fixture, page: &[u8]) {
    let page = String::from_utf8_lossy(page).into_owned();
    for format in [Format::Text, Format::OpenMetrics] {
        match fixture.read(&page, format) {
            Ok(reading) => {
                let commit = fixture.commit(reading);
                let known = commit.samples.len() + commit.timed.len();
                assert!(known <= fixture.counts.kept, "{page:?}");
            }
            Err(error) => assert!(error.line <= page.split('\n').count(), "{page:?}: {error}"),
        }
    }
}
