//! Real servers on this machine: down, slow, endless, garbled, zipped.

use std::io::Write as _;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

/// Installs the provider that the binary installs in production.
fn install_tls() {
    // A second test finds it installed: fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn client(keys: &str) -> Arc<JobClient> {
    install_tls();
    let job: ScrapeConfig =
        serde_saphyr::from_str(&format!("{{job_name: j, {keys}}}")).expect("a good job");
    let global = GlobalConfig::default();
    job.check(&global).expect("a good job");
    Arc::new(JobClient::of_job(&Clients::default(), &global, &job))
}

async fn fetch_with(
    client: &Arc<JobClient>,
    url: &str,
    timeout: Duration,
    body_bytes_max: u64,
) -> Result<FetchedPage, String> {
    let url = Url::parse(url).expect("a good URL");
    let budget = PageBudget::default();
    client
        .fetch(&url, timeout, body_bytes_max, &budget)
        .await
        .map_err(|error| error.to_string())
}

async fn fetch(keys: &str, url: &str) -> Result<FetchedPage, String> {
    fetch_with(&client(keys), url, Duration::from_secs(10), 64 << 20).await
}

async fn failure(keys: &str, url: &str) -> String {
    fetch(keys, url).await.err().expect("a failure")
}

/// Answers every connection by a function; returns its URL.
async fn server<F, Fut>(answer: F) -> String
where
    F: Fn(TcpStream) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            tokio::spawn(answer(stream));
        }
    });
    format!("http://{address}/metrics")
}

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n";

#[tokio::test]
async fn sends_what_exporters_expect() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/metrics"))
        .respond_with(ResponseTemplate::new(200).set_body_raw("a 1\n", "text/plain"))
        .mount(&server)
        .await;
    let page = fetch(
        "basic_auth: {username: me, password: pw}",
        &format!("{}/metrics", server.uri()),
    )
    .await
    .expect("a page");
    assert_eq!(page.body, b"a 1\n");
    assert_eq!(page.format, Format::Text);
    let requests = server.received_requests().await.expect("they are recorded");
    let sent = |name: &str| requests[0].headers[name].to_str().expect("text").to_owned();
    assert_eq!(sent("accept-encoding"), "gzip");
    assert_eq!(sent("x-prometheus-scrape-timeout-seconds"), "10");
    assert_eq!(sent("authorization"), "Basic bWU6cHc=");
    assert!(sent("user-agent").starts_with("Yagura/"));
    assert_eq!(
        sent("accept"),
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
         application/openmetrics-text;version=0.0.1;q=0.5,\
         text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
         text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
    );
}

#[tokio::test]
async fn reads_tokens_at_scrape_time() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("token");
    let server = MockServer::start().await;
    for token in ["first", "second"] {
        Mock::given(header("authorization", format!("Bearer {token}").as_str()))
            .respond_with(ResponseTemplate::new(200).set_body_raw(token, "text/plain"))
            .mount(&server)
            .await;
    }
    let client = client(&format!("bearer_token_file: '{}'", file.display()));
    let wait = Duration::from_secs(10);
    for token in ["first", "second"] {
        std::fs::write(&file, format!("{token}\n")).expect("it can be written");
        let page = fetch_with(&client, &server.uri(), wait, 1000)
            .await
            .expect("a page");
        assert_eq!(page.body, token.as_bytes());
    }
    std::fs::remove_file(&file).expect("it can be removed");
    let error = fetch_with(&client, &server.uri(), wait, 1000).await.err();
    assert!(error.is_some_and(|e| e.contains("cannot read") && e.contains("token")));
}

#[tokio::test]
async fn a_target_that_is_down() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let error = failure("", &format!("http://{address}/metrics")).await;
    assert_eq!(
        error,
        format!("connection refused: is anything listening on {address}?")
    );
    let error = failure("", "http://no-such-host.invalid:9100/metrics").await;
    assert!(
        error.contains("cannot resolve no-such-host.invalid"),
        "{error}"
    );
}

#[tokio::test]
async fn a_target_that_is_slow() {
    let silent = server(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let short = Duration::from_millis(100);
    let error = fetch_with(&client(""), &silent, short, 1000).await.err();
    assert_eq!(
        error.as_deref(),
        Some("no whole page within 100ms: the target has not answered")
    );
    let dripping = server(|mut stream| async move {
        let _ = stream
            .write_all(format!("{HEAD}\r\na 1\n").as_bytes())
            .await;
        std::future::pending::<()>().await;
    })
    .await;
    let error = fetch_with(&client(""), &dripping, Duration::from_millis(500), 1000)
        .await
        .err();
    assert_eq!(
        error.as_deref(),
        Some("no whole page within 500ms: 4 bytes have come so far")
    );
}

#[tokio::test]
async fn a_target_that_sends_100_mb_is_cut_off() {
    let (sender, mut sent) = tokio::sync::mpsc::channel(1);
    let url = server(move |mut stream| {
        let sender = sender.clone();
        async move {
            let _ = stream.write_all(format!("{HEAD}\r\n").as_bytes()).await;
            let chunk = "some_metric_name 12345678\n".repeat(4000);
            let mut bytes = 0;
            while bytes < 100_000_000 && stream.write_all(chunk.as_bytes()).await.is_ok() {
                bytes += chunk.len();
            }
            let _ = sender.send(bytes).await;
        }
    })
    .await;
    let wait = Duration::from_mins(1);
    let error = fetch_with(&client(""), &url, wait, 8 << 20).await.err();
    assert!(error.is_some_and(|e| e.contains("larger than 8 MiB")));
    // The connection was dropped, not read to its end.
    let bytes = sent.recv().await.expect("the server ends");
    assert!(bytes < 60_000_000, "{bytes}");
}

#[tokio::test]
async fn a_zip_bomb_is_cut_off_by_its_uncompressed_size() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let chunk = "a 1\n".repeat(1 << 18);
    for _ in 0..16 {
        encoder.write_all(chunk.as_bytes()).expect("it compresses");
    }
    let body = encoder.finish().expect("it compresses");
    assert!(body.len() < 1 << 20);
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(
            ResponseTemplate::new(200)
                .insert_header("content-encoding", "gzip")
                .set_body_raw(body, "text/plain"),
        )
        .mount(&server)
        .await;
    let wait = Duration::from_mins(1);
    let page = fetch_with(&client(""), &server.uri(), wait, 64 << 20)
        .await
        .expect("a page");
    assert_eq!(page.body.len(), 16 << 20);
    assert!(!page.memory.is_empty());
    let error = fetch_with(&client(""), &server.uri(), wait, 16 << 20)
        .await
        .err();
    assert!(error.is_some_and(|e| e.contains("larger than 16 MiB")));
}

#[tokio::test]
async fn large_pages_share_a_budget() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_raw(vec![b'\n'; 3 << 20], "text/plain"))
        .mount(&server)
        .await;
    let url = Url::parse(&server.uri()).expect("a good URL");
    let budget = PageBudget::default();
    let client = client("");
    let wait = Duration::from_secs(10);
    let taken = budget
        .0
        .clone()
        .acquire_many_owned(255)
        .await
        .expect("it is open");
    let error = client.fetch(&url, wait, 64 << 20, &budget).await.err();
    assert!(error.is_some_and(|e| e.to_string().contains("256 MiB")));
    drop(taken);
    let page = client
        .fetch(&url, wait, 64 << 20, &budget)
        .await
        .expect("a page");
    assert_eq!(budget.0.available_permits(), 254);
    drop(page);
    assert_eq!(budget.0.available_permits(), 256);
}

#[tokio::test]
async fn answers_that_are_no_pages() {
    let server = MockServer::start().await;
    let answer = |route: &str, answer: ResponseTemplate| {
        Mock::given(path(route.to_owned()))
            .respond_with(answer)
            .mount(&server)
    };
    answer(
        "/html",
        ResponseTemplate::new(200).set_body_raw("<html>", "text/html"),
    )
    .await;
    answer("/500", ResponseTemplate::new(500)).await;
    answer("/401", ResponseTemplate::new(401)).await;
    answer(
        "/away",
        ResponseTemplate::new(302).insert_header("location", "/html"),
    )
    .await;
    let unzipped = ResponseTemplate::new(200).insert_header("content-encoding", "gzip");
    answer("/zip", unzipped.set_body_raw("not zipped", "text/plain")).await;
    let check = async |keys: &str, route: &str, part: &str| {
        let error = failure(keys, &format!("{}{route}", server.uri())).await;
        assert!(error.contains(part), "{route}: {error}");
    };
    check("", "/html", "text/html").await;
    check("", "/500", "500 Internal Server Error").await;
    check("", "/401", "wants credentials").await;
    check("", "/nowhere", "is metrics_path right?").await;
    check("", "/away", "text/html").await;
    check(
        "follow_redirects: false",
        "/away",
        "302 Found: follow_redirects is off",
    )
    .await;
    check("", "/zip", "cannot be decompressed").await;
    let html = format!("{}/html", server.uri());
    let page = fetch("fallback_scrape_protocol: OpenMetricsText1.0.0", &html).await;
    assert_eq!(page.expect("a page").format, Format::OpenMetrics);
}

#[tokio::test]
async fn peers_that_speak_something_else() {
    let noise = server(|mut stream| async move {
        let _ = stream.write_all(b"220 mail.example ESMTP\r\n").await;
    })
    .await;
    let error = failure("", &noise).await;
    assert!(error.contains("does not answer in HTTP"), "{error}");
    let error = failure("scheme: https", &noise.replace("http:", "https:")).await;
    assert!(error.contains("does not speak TLS"), "{error}");
    let hangs_up = server(|stream| async move { drop(stream) }).await;
    let error = failure("", &hangs_up).await;
    assert!(
        error.contains("hung up") || error.contains("broke the connection"),
        "{error}"
    );
}

#[tokio::test]
async fn bad_certificate_files_are_named() {
    let error = failure(
        "tls_config: {ca_file: /does/not/exist}",
        "https://localhost:1/",
    )
    .await;
    assert!(error.contains("cannot read /does/not/exist"), "{error}");
    let error = failure(
        "tls_config: {cert: nonsense, key: nonsense}",
        "https://localhost:1/",
    )
    .await;
    assert!(error.contains("the TLS settings do not work"), "{error}");
}
