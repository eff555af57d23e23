//! What the store is told, scrape by scrape.

use super::*;
use crate::fixture::MemorySink;
use crate::{GlobalConfig, ScrapeConfig};
use http_client::Clients;

/// A store, and a target that is asked every 15 s.
pub(super) struct Fixture {
    pub(super) sink: Arc<MemorySink>,
    pub(super) ledger: Ledger,
    pub(super) spec: Arc<TargetSpec>,
    now_ms: i64,
}

/// A target of a job with these keys.
pub(super) fn fixture(keys: &str) -> Fixture {
    let yaml = format!("{{job_name: j, static_configs: [{{targets: ['h:1']}}], {keys}}}");
    let job: ScrapeConfig = serde_saphyr::from_str(&yaml).expect("a good job");
    let global = GlobalConfig::default();
    job.check(&global).expect("a good job");
    let job = crate::target::Job::new(&global, &job, &Clients::default()).expect("a good job");
    let targets = job.targets(&[], &[]).targets;
    let sink = MemorySink::new();
    Fixture {
        ledger: Ledger::new(sink.clone(), Metrics::default()),
        sink,
        spec: targets[0].clone(),
        now_ms: 1_000_000,
    }
}

impl Fixture {
    pub(super) fn time(&mut self) -> ScrapeTime {
        self.now_ms += 15_000;
        ScrapeTime {
            timestamp_ms: self.now_ms,
            duration: Duration::from_millis(250),
        }
    }

    fn scrape(&mut self, page: &str) -> Outcome {
        let time = self.time();
        let page = Ok((page.as_bytes().to_vec(), Format::Text));
        self.ledger.store(&self.spec, page, time)
    }

    fn fail(&mut self) -> Outcome {
        let time = self.time();
        let failure = Err(ScrapeError::Local("nobody there".to_owned()));
        self.ledger.store(&self.spec, failure, time)
    }

    fn series(&self, metric: &str) -> String {
        self.sink
            .series(&format!("{metric}{{instance=\"h:1\", job=\"j\"}}"))
    }
}

#[test]
fn a_scrape_is_stored_with_its_own_metrics() {
    let mut f =
        fixture("metric_relabel_configs: [{source_labels: [__name__], regex: d.*, action: drop}]");
    let page = "# HELP a A thing.\n# TYPE a gauge\na 1\nb 2\ndropped 3\n";
    let outcome = f.scrape(page);
    assert!(outcome.up && outcome.error.is_none());
    f.scrape(page);
    assert_eq!(f.series("a"), "1 1");
    assert_eq!(f.series("dropped"), "");
    assert_eq!(f.series("up"), "1 1");
    assert_eq!(f.series("scrape_duration_seconds"), "0.25 0.25");
    assert_eq!(f.series("scrape_samples_scraped"), "3 3");
    assert_eq!(f.series("scrape_samples_post_metric_relabeling"), "2 2");
    assert_eq!(f.series("scrape_series_added"), "2 0");
    assert_eq!(f.sink.help("a"), "A thing.");
}

#[test]
fn a_failed_scrape_ends_all_series_but_its_own() {
    let mut f = fixture("");
    f.scrape("a 1\n");
    let outcome = f.fail();
    assert!(!outcome.up);
    assert_eq!(outcome.error.as_deref(), Some("nobody there"));
    f.fail();
    f.scrape("a 2\n");
    assert_eq!(f.series("a"), "1 gone 2");
    assert_eq!(f.series("up"), "1 0 0 1");
}

#[test]
fn garbage_fails_the_scrape_and_says_where() {
    let mut f = fixture("");
    f.scrape("a 1\nb 1\n");
    let outcome = f.scrape("a 2\n<html>\n");
    let error = outcome.error.expect("it failed");
    assert!(error.contains("line 2"), "{error}");
    assert_eq!(f.series("a"), "1 gone");
    assert_eq!(f.series("scrape_samples_scraped"), "2 1");
}

#[test]
fn over_the_sample_limit_nothing_is_stored() {
    let mut f = fixture("sample_limit: 2");
    assert!(f.scrape("a 1\nb 1\n").up);
    let outcome = f.scrape("a 1\nb 1\nc 1\nd 1\n");
    let error = outcome.error.expect("it failed");
    assert!(
        error.contains("4 samples") && error.contains("sample_limit is 2"),
        "{error}"
    );
    assert_eq!(f.series("a"), "1 gone");
    assert_eq!(f.series("c"), "");
    assert_eq!(f.series("scrape_samples_post_metric_relabeling"), "2 4");
    assert!(!f.sink.names().iter().any(|name| name.starts_with('c')));
}

#[test]
fn over_a_label_limit_the_scrape_fails() {
    let mut f = fixture("label_limit: 3");
    assert!(f.scrape("a 1\n").up);
    let error = f.scrape("a 1\nb{x=\"1\"} 1\n").error.expect("it failed");
    assert!(
        error.contains("line 2: b has 4 labels, label_limit is 3"),
        "{error}"
    );
}

#[test]
fn own_timestamps_are_honored_or_not() {
    let mut honors = fixture("");
    honors.scrape("a 1 900000\nb 1\nc 1 9000000\n");
    assert_eq!(
        honors.sink.times("a{instance=\"h:1\", job=\"j\"}"),
        [900_000]
    );
    // More than ten minutes ahead of the scrape.
    assert_eq!(honors.series("c"), "");
    honors.scrape("b 1\n");
    assert_eq!(honors.series("a"), "1");
    let mut ignores = fixture("honor_timestamps: false");
    ignores.scrape("a 1 900000\n");
    ignores.scrape("");
    assert_eq!(ignores.series("a"), "1 gone");
    let mut tracks = fixture("track_timestamps_staleness: true");
    tracks.scrape("a 1 900000\n");
    tracks.scrape("");
    assert_eq!(tracks.series("a"), "1 gone");
}

#[test]
fn a_full_store_is_told_and_outlived() {
    let mut f = fixture("");
    f.scrape("a 1\nb 1\n");
    f.sink.set_full(true);
    // The marker for b is owed.
    let outcome = f.scrape("a 2\n");
    assert!(!outcome.up);
    assert!(
        outcome
            .error
            .is_some_and(|e| e.contains("the disk is full"))
    );
    f.sink.set_full(false);
    assert!(f.scrape("a 3\n").up);
    assert_eq!(f.series("a"), "1 3");
    assert_eq!(f.series("b"), "1 gone");
}

#[test]
fn series_beyond_the_stores_limit_are_named_and_the_rest_goes_on() {
    let mut f = fixture("");
    f.scrape("a 1\n");
    f.sink.set_series_max(6);
    let outcome = f.scrape("a 2\nb 2\nc 2\n");
    assert!(outcome.up);
    let error = outcome.error.expect("a complaint");
    assert!(error.contains("2 new series were not stored"), "{error}");
    assert_eq!(f.series("a"), "1 2");
    assert_eq!(f.series("up"), "1 1");
}

#[test]
fn a_removed_target_ends() {
    let mut f = fixture("");
    f.scrape("a 1\n");
    assert!(f.sink.is_open("scrape/j/"));
    f.ledger.close(&f.spec, f.now_ms);
    assert_eq!(f.series("a"), "1 gone");
    assert_eq!(f.series("up"), "1 gone");
    assert!(!f.sink.is_open("scrape/j/"));
}

#[test]
fn changed_rules_end_only_what_they_change() {
    let mut f = fixture("");
    f.scrape("a 1\nb 1\n");
    let after =
        fixture("metric_relabel_configs: [{source_labels: [__name__], regex: b, action: drop}]");
    f.spec = after.spec;
    f.ledger.rules_changed(&f.spec);
    f.scrape("a 2\nb 2\n");
    assert_eq!(f.series("a"), "1 2");
    assert_eq!(f.series("b"), "1 gone");
}

#[test]
fn extra_metrics_of_a_scrape_are_written_where_they_are_wanted() {
    let mut f = fixture("extra_scrape_metrics: true, sample_limit: 7, scrape_timeout: 5s");
    f.scrape("a 1\n");
    f.fail();
    assert_eq!(f.series("scrape_timeout_seconds"), "5 5");
    assert_eq!(f.series("scrape_sample_limit"), "7 7");
    assert_eq!(f.series("scrape_body_size_bytes"), "4 0");
    let mut plain = fixture("sample_limit: 7");
    plain.scrape("a 1\n");
    assert_eq!(plain.series("scrape_sample_limit"), "");
}

#[test]
fn legacy_names_are_insisted_on_where_they_are_wanted() {
    let page = "{\"a.b\"} 1\n";
    let mut any = fixture("honor_labels: true");
    assert!(any.scrape(page).up);
    let mut legacy = fixture("metric_name_validation_scheme: legacy");
    let outcome = legacy.scrape(page);
    assert!(!outcome.up);
    assert!(
        outcome
            .error
            .is_some_and(|e| e.contains("\"a.b\"") && e.contains("legacy"))
    );
}
