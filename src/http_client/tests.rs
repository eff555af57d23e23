//! Settings good and bad, and peers on this machine that are asked in every way.

use std::path::Path;
use std::sync::Arc;

use reqwest::Method;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use url::Url;
use wiremock::matchers::{body_string_contains, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::*;

const CA: &str = include_str!("testdata/ca.pem");
const SERVER_CERT: &str = include_str!("testdata/server.pem");
const SERVER_KEY: &str = include_str!("testdata/server.key");
const CLIENT_CERT: &str = include_str!("testdata/client.pem");
const CLIENT_KEY: &str = include_str!("testdata/client.key");

fn config(yaml: &str) -> HttpClientConfig {
    let config: HttpClientConfig = serde_saphyr::from_str(yaml).expect(yaml);
    config.check().expect(yaml);
    config
}

fn client(yaml: &str) -> Arc<Client> {
    Clients::default().client(&config(yaml))
}

/// The answer's text, or the failure's.
async fn get(client: &Arc<Client>, url: &str) -> Result<String, String> {
    let url = Url::parse(url).expect(url);
    let request = client.request(Method::GET, &url).await;
    let request = request.map_err(|error| error.to_string())?;
    let of_request = |error: reqwest::Error| HttpClientError::of_request(&error, &url).to_string();
    let response = request.send().await.map_err(of_request)?;
    let body = read_body(response, &url, 1000).await;
    let body = body.map_err(|error| error.to_string())?;
    Ok(String::from_utf8(body).expect("text"))
}

#[test]
fn settings_that_cannot_work_are_named() {
    let check = |yaml: &str, key: &str, part: &str| {
        let config: HttpClientConfig = serde_saphyr::from_str(yaml).expect(yaml);
        let wrong = config.check().expect_err(yaml);
        assert_eq!(wrong.key, key, "{yaml}");
        assert!(wrong.reason.contains(part), "{yaml}: {wrong}");
    };
    check(
        "{bearer_token: a, basic_auth: {username: b}}",
        "authorization",
        "give one of",
    );
    check(
        "basic_auth: {password: a, password_file: b}",
        "basic_auth",
        "not both",
    );
    check(
        "authorization: {type: basic, credentials: a}",
        "authorization",
        "use basic_auth",
    );
    check("tls_config: {cert: a}", "tls_config", "needs its key");
    check(
        "tls_config: {max_version: TLS11}",
        "tls_config",
        "neither TLS12 nor TLS13",
    );
    check(
        "tls_config: {server_name: 'a b'}",
        "tls_config",
        "not a name of a host",
    );
    check("no_proxy: a", "no_proxy", "needs proxy_url");
    check("proxy_url: 'me:pw@host'", "proxy_url", "http://host:port");
    check(
        "{proxy_url: 'http://a:1', proxy_from_environment: true}",
        "proxy_from_environment",
        "not both",
    );
    check(
        "proxy_connect_header: {a: [b]}",
        "proxy_connect_header",
        "needs",
    );
    check(
        "http_headers: {Authorization: {values: [a]}}",
        "http_headers",
        "Authorization is set by other keys",
    );
    check(
        "http_headers: {X-A: {secrets: [\"a\\nb\"]}}",
        "http_headers",
        "a value of X-A",
    );
    check(
        "oauth2: {client_id: a, token_url: nowhere}",
        "oauth2",
        "token_url",
    );
    check(
        "oauth2: {client_id: a, token_url: 'http://a/', claims: {a: 1}}",
        "oauth2",
        "claims is not supported",
    );
    check(
        "oauth2: {client_id: a, token_url: 'http://a/', grant_type: 'urn:x'}",
        "oauth2",
        "client_credentials is the only one",
    );
}

#[test]
fn secrets_are_never_shown() {
    let config = config(
        "{basic_auth: {username: me, password: hunter2}, proxy_url: 'http://me:hunter3@p:1',
          proxy_connect_header: {a: [hunter4]}, http_headers: {X-A: {secrets: [hunter5]}},
          tls_config: {cert: a, key: hunter6}}",
    );
    let shown = serde_saphyr::to_string(&config).expect("it can be written");
    let client = Clients::default().client(&config);
    for text in [format!("{config:?} {client:?}"), shown] {
        assert!(!text.contains("hunter"), "{text}");
        assert!(text.contains("<secret>"), "{text}");
    }
}

#[test]
fn relative_files_start_in_the_folder_of_the_configuration() {
    let mut config = config(
        "{bearer_token_file: token, tls_config: {ca_file: /etc/ca.pem, cert_file: c, key_file: k},
          http_headers: {X-A: {files: [f]}}}",
    );
    config.http_files_in(Path::new("/etc/prometheus"));
    assert_eq!(
        config.bearer_token_file.as_deref(),
        Some("/etc/prometheus/token")
    );
    let tls = config.tls_config.expect("it is there");
    assert_eq!(tls.ca_file.as_deref(), Some("/etc/ca.pem"));
    assert_eq!(tls.key_file.as_deref(), Some("/etc/prometheus/k"));
    assert_eq!(config.http_headers["X-A"].files, ["/etc/prometheus/f"]);
}

#[test]
fn equal_settings_share_a_client_for_as_long_as_it_is_used() {
    let clients = Clients::default();
    let one = clients.client(&config("bearer_token: a"));
    let same = clients.client(&config("bearer_token: a"));
    let other = clients.client(&config("bearer_token: b"));
    assert!(Arc::ptr_eq(&one, &same));
    assert!(!Arc::ptr_eq(&one, &other));
    let weak = Arc::downgrade(&one);
    drop((one, same));
    assert!(weak.upgrade().is_none());
}

#[tokio::test]
async fn headers_and_tokens_are_sent_and_read_anew() {
    let dir = tempfile::tempdir().expect("a folder");
    let token = dir.path().join("token");
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_string("ok"))
        .mount(&server)
        .await;
    let client = client(&format!(
        "{{bearer_token_file: '{}', http_headers: {{X-Scope: {{values: [a, b], secrets: [c]}}}}}}",
        token.display()
    ));
    for text in ["first", "second"] {
        std::fs::write(&token, format!("{text}\n")).expect("it can be written");
        assert_eq!(get(&client, &server.uri()).await.as_deref(), Ok("ok"));
    }
    std::fs::remove_file(&token).expect("it can be removed");
    let error = get(&client, &server.uri()).await.expect_err("no token");
    assert!(error.contains("cannot read"), "{error}");
    let requests = server.received_requests().await.expect("they are kept");
    let sent: Vec<_> = requests
        .iter()
        .map(|request| &request.headers["authorization"])
        .collect();
    assert_eq!(sent, ["Bearer first", "Bearer second"]);
    let values: Vec<_> = requests[0].headers.get_all("x-scope").iter().collect();
    assert_eq!(values, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_kept() {
    let server = MockServer::start().await;
    let answer =
        serde_json::json!({"access_token": "t1", "token_type": "bearer", "expires_in": 3600});
    Mock::given(path("/token"))
        .and(header("authorization", "Basic bWU6aHVudGVyJTI2Mg=="))
        .and(body_string_contains("grant_type=client_credentials"))
        .and(body_string_contains("scope=a+b"))
        .and(body_string_contains("audience=x"))
        .respond_with(ResponseTemplate::new(200).set_body_json(answer))
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(path("/metrics"))
        .and(header("authorization", "Bearer t1"))
        .respond_with(ResponseTemplate::new(200).set_body_string("ok"))
        .expect(8)
        .mount(&server)
        .await;
    let client = client(&format!(
        "oauth2: {{client_id: me, client_secret: 'hunter&2', token_url: '{}/token',
          scopes: [a, b], endpoint_params: {{audience: x}}}}",
        server.uri()
    ));
    let url = format!("{}/metrics", server.uri());
    let asks: Vec<_> = (0..8)
        .map(|_| {
            let (client, url) = (client.clone(), url.clone());
            tokio::spawn(async move { get(&client, &url).await })
        })
        .collect();
    for ask in asks {
        assert_eq!(ask.await.expect("no panic").as_deref(), Ok("ok"));
    }
}

#[tokio::test]
async fn a_token_server_that_wants_the_secret_in_the_body() {
    let dir = tempfile::tempdir().expect("a folder");
    let secret = dir.path().join("secret");
    let server = MockServer::start().await;
    for (secret, token) in [("one", "t1"), ("two", "t2")] {
        Mock::given(path("/token"))
            .and(body_string_contains(format!("client_secret={secret}")))
            .respond_with(
                ResponseTemplate::new(200).set_body_json(
                    serde_json::json!({"access_token": token, "expires_in": "3600"}),
                ),
            )
            .expect(1)
            .mount(&server)
            .await;
        Mock::given(path("/metrics"))
            .and(header("authorization", format!("Bearer {token}").as_str()))
            .respond_with(ResponseTemplate::new(200).set_body_string(token))
            .mount(&server)
            .await;
    }
    Mock::given(path("/token"))
        .respond_with(
            ResponseTemplate::new(401)
                .set_body_json(serde_json::json!({"error": "invalid_client"})),
        )
        .mount(&server)
        .await;
    let client = client(&format!(
        "oauth2: {{client_id: me, client_secret_file: '{}', token_url: '{}/token'}}",
        secret.display(),
        server.uri()
    ));
    let url = format!("{}/metrics", server.uri());
    for (text, token) in [("one", "t1"), ("two", "t2"), ("wrong", "")] {
        std::fs::write(&secret, text).expect("it can be written");
        let answer = get(&client, &url).await;
        match token {
            "" => {
                let error = answer.expect_err("a wrong secret");
                assert!(error.starts_with("no token from 127.0.0.1:"), "{error}");
                assert!(
                    error.contains("401 Unauthorized: invalid_client"),
                    "{error}"
                );
            }
            token => assert_eq!(answer.as_deref(), Ok(token)),
        }
    }
}

/// A TLS server that wants a client certificate where `ask_client`; returns its port.
async fn tls_server(ask_client: bool) -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let pem = |text: &str| {
        CertificateDer::pem_slice_iter(text.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .expect("good certificates")
    };
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("usual versions");
    let builder = if ask_client {
        let mut roots = RootCertStore::empty();
        roots.add(pem(CA).remove(0)).expect("a good certificate");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::from_pem_slice(SERVER_KEY.as_bytes()).expect("a good key");
    let config = builder
        .with_single_cert(pem(SERVER_CERT), key)
        .expect("they belong together");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    .await;
            });
        }
    });
    port
}

fn yaml_text(pem: &str) -> String {
    serde_json::to_string(pem).expect("text is JSON")
}

#[tokio::test]
async fn certificates_are_checked_by_the_name_that_is_wanted() {
    let port = tls_server(false).await;
    let url = format!("https://127.0.0.1:{port}/metrics");
    let ca = yaml_text(CA);
    let ask = async |yaml: &str| get(&client(yaml), &url).await;
    let named = format!("tls_config: {{ca: {ca}, server_name: target.example}}");
    assert_eq!(ask(&named).await.as_deref(), Ok("ok"));
    let skipped = "tls_config: {insecure_skip_verify: true}";
    assert_eq!(ask(skipped).await.as_deref(), Ok("ok"));
    for distrusting in [
        format!("tls_config: {{ca: {ca}}}"),
        format!("tls_config: {{ca: {ca}, server_name: other.example}}"),
    ] {
        let error = ask(&distrusting).await.expect_err("another name");
        assert!(error.contains("is not trusted"), "{error}");
        assert!(error.contains(&port.to_string()), "{error}");
    }
    let error = ask("tls_config: {server_name: target.example}").await;
    let error = error.expect_err("an unknown authority");
    assert!(
        error.contains("is not trusted") || error.contains("no certificates to trust"),
        "{error}"
    );
    let old = format!(
        "tls_config: {{ca: {ca}, server_name: target.example, min_version: TLS10,
          max_version: TLS12}}"
    );
    assert_eq!(ask(&old).await.as_deref(), Ok("ok"));
}

#[tokio::test]
async fn our_certificate_is_shown_and_read_anew() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("it can be written");
        path.display().to_string()
    };
    let port = tls_server(true).await;
    let url = format!("https://127.0.0.1:{port}/");
    let client = client(&format!(
        "tls_config: {{ca_file: '{}', cert_file: '{}', key_file: '{}',
          server_name: target.example}}",
        file("ca", CA),
        file("cert", "nonsense"),
        file("key", CLIENT_KEY)
    ));
    let error = get(&client, &url).await.expect_err("no certificate");
    assert!(
        error.contains("cert holds no certificate in PEM"),
        "{error}"
    );
    file("cert", CLIENT_CERT);
    assert_eq!(get(&client, &url).await.as_deref(), Ok("ok"));
    std::fs::remove_file(dir.path().join("ca")).expect("it can be removed");
    let error = get(&client, &url).await.expect_err("no authority");
    assert!(error.contains("cannot read"), "{error}");
}

#[tokio::test]
async fn proxies_are_asked_for_what_they_should_be() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (sender, mut heads) = tokio::sync::mpsc::channel(8);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap_or(0);
            request.truncate(length);
            let _ = sender
                .send(String::from_utf8_lossy(&request).into_owned())
                .await;
            let answer = if request.starts_with(b"CONNECT") {
                "HTTP/1.1 403 Forbidden\r\n\r\n"
            } else {
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
            };
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let client = client(&format!(
        "{{proxy_url: 'http://me:pw@{address}', no_proxy: 'direct.invalid',
          proxy_connect_header: {{X-Cell: [a]}}}}"
    ));
    let answer = get(&client, "http://target.invalid/metrics").await;
    assert_eq!(answer.as_deref(), Ok("ok"));
    let head = heads.recv().await.expect("a request");
    assert!(
        head.starts_with("GET http://target.invalid/metrics "),
        "{head}"
    );
    assert!(head.contains("Basic bWU6cHc="), "{head}");

    let error = get(&client, "https://target.invalid/metrics").await;
    let error = error.expect_err("the proxy refuses");
    assert!(
        error.contains("the proxy does not reach target.invalid:443"),
        "{error}"
    );
    let head = heads.recv().await.expect("a request");
    assert!(head.starts_with("CONNECT target.invalid:443 "), "{head}");
    assert!(head.to_lowercase().contains("x-cell: a"), "{head}");

    let error = get(&client, "http://direct.invalid/").await;
    let error = error.expect_err("there is no such host");
    assert!(error.contains("cannot resolve direct.invalid"), "{error}");
}

#[test]
fn the_environment_names_proxies() {
    let config = config("proxy_from_environment: true");
    let build = |name: &str, value: &str| {
        let (name, value) = (name.to_owned(), value.to_owned());
        let proxies = config
            .proxy()
            .build(|asked| (asked == name).then(|| value.clone()));
        proxies.map(|proxies| proxies.len())
    };
    assert_eq!(build("https_proxy", "http://p:1").ok(), Some(1));
    assert_eq!(build("HTTP_PROXY", "").ok(), Some(0));
    assert_eq!(build("NO_PROXY", "a").ok(), Some(0));
    let error = build("HTTP_PROXY", "http://").expect_err("no address");
    assert!(error.to_string().contains("HTTP_PROXY"), "{error}");
}

#[tokio::test]
async fn answers_are_read_up_to_a_limit_and_addresses_stay_private() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_string("x".repeat(1001)))
        .mount(&server)
        .await;
    let plain = client("{}");
    let error = get(&plain, &server.uri()).await.expect_err("too long");
    assert_eq!(error, "the answer has more than 1000 bytes");

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let error = get(&plain, &format!("http://{address}/hooks/hunter2")).await;
    assert_eq!(
        error.expect_err("nobody is there"),
        format!("connection refused: is anything listening on {address}?")
    );
    let error = get(&client("bearer_token_file: /no/such/file"), &server.uri()).await;
    let error = error.expect_err("no file");
    assert!(error.starts_with("cannot read /no/such/file: "), "{error}");
}
