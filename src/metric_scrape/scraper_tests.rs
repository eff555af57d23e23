//! Stories of a whole scraper: targets come, change, panic, hang, go.

use std::sync::atomic::{AtomicUsize, Ordering};

use model::Health;
use tokio::time::Instant;
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::LocalSource;
use crate::fixture::MemorySink;

struct Fixture {
    sink: Arc<MemorySink>,
    scraper: Arc<Scraper>,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

fn start() -> Fixture {
    // A second test finds it installed: fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sink = MemorySink::new();
    let scraper = Arc::new(Scraper::new(sink.clone(), Metrics::default()));
    let cancel = CancellationToken::new();
    let task = tokio::spawn(scraper.clone().run(cancel.clone()));
    Fixture {
        sink,
        scraper,
        cancel,
        task,
    }
}

impl Fixture {
    /// Waits until something holds; panics when it does not within reason.
    async fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !holds(self) {
            assert!(
                Instant::now() < deadline,
                "{what}: {:#?}",
                self.scraper.targets()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn target(&self, job: &str) -> Option<ScrapeTarget> {
        let mut targets = self.scraper.targets().into_iter();
        targets.find(|target| target.scrape_pool == job)
    }

    fn error(&self, job: &str) -> String {
        self.target(job).map(|t| t.last_error).unwrap_or_default()
    }
}

fn local(
    job: &str,
    source: impl Fn() -> Result<String, String> + Send + Sync + 'static,
) -> LocalTarget {
    LocalTarget {
        job: job.to_owned(),
        instance: "here".to_owned(),
        interval: Duration::from_millis(50),
        honor_labels: false,
        source: LocalSource(Arc::new(move || source().map(Into::into))),
    }
}

fn plan(jobs: &str, locals: &[LocalTarget]) -> Plan {
    Plan {
        global: GlobalConfig {
            scrape_interval: Some(Duration::from_millis(50)),
            ..GlobalConfig::default()
        },
        scrape_configs: serde_saphyr::from_str(jobs).expect("good jobs"),
        locals: locals.to_vec(),
        discoveries: Vec::new(),
    }
}

/// A server that answers everything with the same small page, for as many as may ask.
async fn small_server() -> std::net::SocketAddr {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = Vec::new();
                let mut part = [0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut part).await {
                    request.extend_from_slice(&part[..n]);
                    while let Some(end) = request.windows(4).position(|w| w == b"\r\n\r\n") {
                        request.drain(..end + 4);
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\
                            content-length: 4\r\n\r\na 1\n";
                        if stream.write_all(answer).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_targets_are_all_scraped() {
    let address = small_server().await;
    let targets: Vec<String> = (0..1_000)
        .map(|i| format!("{{targets: ['{address}'], labels: {{instance: 'i{i}'}}}}"))
        .collect();
    let jobs = format!(
        "[{{job_name: many, scrape_interval: 2s, static_configs: [{}]}}]",
        targets.join(",")
    );
    let f = start();
    f.scraper.apply(plan(&jobs, &[])).expect("a good plan");
    let times = |f: &Fixture, i: usize| {
        f.sink
            .times(&format!("a{{instance=\"i{i}\", job=\"many\"}}"))
    };
    f.until("two scrapes of each", |f| {
        (0..1_000).all(|i| times(f, i).len() > 1)
    })
    .await;
    let shown = f.scraper.targets();
    assert_eq!(shown.len(), 1_000);
    assert!(shown.iter().all(|target| target.health == Health::Up));
    // They do not all come at the same time: the second turns are spread over the interval.
    let mut tenths: Vec<i64> = (0..1_000).map(|i| times(&f, i)[1] / 200).collect();
    tenths.sort_unstable();
    tenths.dedup();
    assert!(tenths.len() > 5, "{tenths:?}");
}

#[tokio::test]
async fn targets_come_go_on_and_go() {
    let server = MockServer::start().await;
    Mock::given(path("/metrics"))
        .respond_with(ResponseTemplate::new(200).set_body_raw("a 1\n", "text/plain"))
        .mount(&server)
        .await;
    let address = server.address();
    let both = format!(
        "[{{job_name: stays, static_configs: [{{targets: ['{address}']}}]}},
          {{job_name: goes, static_configs: [{{targets: ['{address}']}}]}}]"
    );
    let one = format!("[{{job_name: stays, static_configs: [{{targets: ['{address}']}}]}}]");
    let calls = Arc::new(AtomicUsize::new(0));
    let counting = calls.clone();
    let host = local("host", move || {
        let n = counting.fetch_add(1, Ordering::Relaxed);
        Ok(format!("# TYPE n counter\nn_total {n}\n# EOF\n"))
    });
    let f = start();
    f.scraper
        .apply(plan(&both, std::slice::from_ref(&host)))
        .expect("a good plan");
    let series = |job: &str| format!("a{{instance=\"{address}\", job=\"{job}\"}}");
    f.until("two scrapes of each", |f| {
        f.sink.times(&series("stays")).len() > 1 && f.sink.times(&series("goes")).len() > 1
    })
    .await;
    assert_eq!(f.scraper.targets().len(), 3);
    let shown = f.target("stays").expect("it is shown");
    assert_eq!(shown.health, Health::Up);
    assert_eq!(shown.last_samples, 1);
    assert_eq!(shown.scrape_url, format!("http://{address}/metrics"));
    assert!(shown.last_scrape_ms > 0 && shown.interval_ms == 50);

    f.scraper.apply(plan(&one, &[host])).expect("a good plan");
    f.until("the end of one", |f| {
        f.sink.series(&series("goes")).ends_with("gone")
    })
    .await;
    let before = f.sink.times(&series("stays")).len();
    f.until("the other goes on", |f| {
        f.sink.times(&series("stays")).len() > before + 1
    })
    .await;
    assert_eq!(f.scraper.targets().len(), 2);
    assert!(!f.sink.is_open("scrape/goes/"));
    assert!(!f.sink.series(&series("stays")).contains("gone"));

    f.cancel.cancel();
    f.task.await.expect("it stops");
    // Whoever stops is back in a moment: no markers.
    assert!(!f.sink.series(&series("stays")).contains("gone"));
    assert!(calls.load(Ordering::Relaxed) > 1);
    assert!(
        f.sink
            .series("n_total{instance=\"here\", job=\"host\"}")
            .starts_with("0 1")
    );
}

#[tokio::test]
async fn a_slow_target_does_not_delay_another() {
    let server = MockServer::start().await;
    Mock::given(path("/slow"))
        .respond_with(
            ResponseTemplate::new(200)
                .set_body_raw("a 1\n", "text/plain")
                .set_delay(Duration::from_mins(1)),
        )
        .mount(&server)
        .await;
    let jobs = format!(
        "[{{job_name: slow, metrics_path: /slow, static_configs: [{{targets: ['{}']}}]}}]",
        server.address()
    );
    let f = start();
    f.scraper
        .apply(plan(&jobs, &[local("quick", || Ok("b 1\n".to_owned()))]))
        .expect("a good plan");
    f.until("the slow one times out", |f| {
        f.error("slow").contains("within 50ms")
    })
    .await;
    let quick = "b{instance=\"here\", job=\"quick\"}";
    f.until("the quick one goes on", |f| f.sink.times(quick).len() > 3)
        .await;
}

#[tokio::test]
async fn sources_that_panic_or_hang_harm_nobody() {
    let (release, hang) = std::sync::mpsc::channel::<()>();
    let hang = Mutex::new(hang);
    let calls = Arc::new(AtomicUsize::new(0));
    let counting = calls.clone();
    let locals = [
        local("panics", || panic!("a bug")),
        local("hangs", move || {
            counting.fetch_add(1, Ordering::Relaxed);
            // Ends when the test drops the other side.
            let _ = hang.lock().recv();
            Err("woken".to_owned())
        }),
        local("fails", || Err("no such disk".to_owned())),
        local("works", || Ok("b 1\n".to_owned())),
    ];
    let f = start();
    f.scraper.apply(plan("[]", &locals)).expect("a good plan");
    f.until("the panic is told", |f| f.error("panics").contains("a bug"))
        .await;
    f.until("the failure is told", |f| {
        f.error("fails") == "no such disk"
    })
    .await;
    f.until("the hanging is told", |f| {
        f.error("hangs").contains("has not come back")
    })
    .await;
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_eq!(f.target("panics").map(|t| t.health), Some(Health::Down));
    let works = "b{instance=\"here\", job=\"works\"}";
    f.until("another works", |f| f.sink.times(works).len() > 3)
        .await;
    drop(release);
    f.until("it is called again", |_| calls.load(Ordering::Relaxed) > 1)
        .await;
}

#[tokio::test]
async fn a_bad_plan_leaves_the_good_one() {
    let f = start();
    let works = local("works", || Ok("b 1\n".to_owned()));
    f.scraper.apply(plan("[]", &[works])).expect("a good plan");
    let bad = plan("[{job_name: x, scrape_timeout: 1h}]", &[]);
    let error = f.scraper.apply(bad).expect_err("a bad plan").to_string();
    assert!(error.contains("job \"x\": scrape_timeout"), "{error}");
    f.until("it is scraped", |f| {
        f.target("works").is_some_and(|t| t.health == Health::Up)
    })
    .await;
}

#[tokio::test]
async fn found_targets_come_and_go_and_dropped_ones_are_shown() {
    let dir = tempfile::tempdir().expect("a folder");
    let list = dir.path().join("list.yml");
    let write = |targets: &str| {
        let text = format!("- targets: [{targets}]\n  labels: {{env: prod}}\n");
        std::fs::write(&list, text).expect("it can be written");
    };
    let server = MockServer::start().await;
    Mock::given(path("/metrics"))
        .respond_with(ResponseTemplate::new(200).set_body_raw("a 1\n", "text/plain"))
        .mount(&server)
        .await;
    let address = server.address();
    write(&format!("'{address}', 'drop.me:1'"));
    let job = |keys: &str| {
        format!(
            "[{{job_name: found, file_sd_configs: [{{files: ['{}']}}], {keys}
               relabel_configs: [{{source_labels: [env], target_label: stage}},
                 {{source_labels: [__address__], regex: 'drop.*', action: drop}}]}}]",
            list.display()
        )
    };
    let f = start();
    f.scraper.apply(plan(&job(""), &[])).expect("a good plan");
    let series =
        format!("a{{env=\"prod\", instance=\"{address}\", job=\"found\", stage=\"prod\"}}");
    f.until("two scrapes", |f| f.sink.times(&series).len() > 1)
        .await;
    let dropped = f.scraper.dropped();
    assert_eq!(dropped.len(), 1);
    assert_eq!((dropped[0].rule, &*dropped[0].scrape_pool), (2, "found"));
    assert_eq!(f.scraper.dropped_counts()["found"], 1);
    let steps = f
        .scraper
        .relabel_steps("found", &dropped[0].discovered_labels);
    let effects: Vec<&str> = steps.iter().map(|step| &*step.effect).collect();
    assert_eq!(
        effects,
        [
            "sets stage to \"prod\"",
            "drops it: __address__ is \"drop.me:1\", which matches drop.*",
        ]
    );

    // A file that no longer reads keeps its target, and says so.
    std::fs::write(&list, "- targets: [").expect("it can be written");
    f.until("the complaint", |f| {
        f.scraper
            .discoveries()
            .iter()
            .any(|state| state.error.contains("list.yml"))
    })
    .await;
    assert_eq!(f.scraper.targets().len(), 1);

    // More than it may have: it is not asked any more, and the page says why.
    write(&format!("'{address}', 'other.invalid:1'"));
    f.scraper
        .apply(plan(&job("target_limit: 1,"), &[]))
        .expect("a good plan");
    f.until("the limit", |f| {
        f.error("found").contains("target_limit is 1")
    })
    .await;

    write("");
    f.until("the end", |f| f.scraper.targets().is_empty()).await;
    f.until("its series' end", |f| {
        f.sink.series(&series).ends_with("gone")
    })
    .await;
    f.cancel.cancel();
    f.task.await.expect("no panic");
}
