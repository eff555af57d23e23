//! Speaks SMTP: one connection per message, TLS as the settings ask for.

use std::time::Duration;

use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailboxes, MultiPart, SinglePart};
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    Certificate, Identity, Tls, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use crate::receivers::{Mail, SmtpSecurity};
use crate::send::{Answer, Failure};

/// The longest time for a command of SMTP; the attempt as a whole has a limit of its own.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest certificate or key file, bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Sends an e-mail.
pub(crate) async fn send(mail: &Mail) -> Result<Answer, Failure> {
    let message = message(mail).map_err(Failure::last)?;
    let parameters = tls(mail).await.map_err(Failure::passing)?;
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&mail.host)
        .port(mail.port)
        .hello_name(ClientId::Domain(mail.hello.clone()))
        .timeout(Some(COMMAND_TIMEOUT))
        .tls(match mail.security {
            SmtpSecurity::None => Tls::None,
            SmtpSecurity::StartTls => Tls::Required(parameters),
            SmtpSecurity::Implicit => Tls::Wrapper(parameters),
        });
    if let Some(auth) = &mail.auth {
        let password = auth.password.reveal().to_owned();
        builder = builder
            .credentials(Credentials::new(auth.username.clone(), password))
            .authentication(vec![Mechanism::Plain, Mechanism::Login]);
    }
    let transport = builder.build();
    let result = transport.send(message).await;
    let response = result.map_err(|error| failure(&error))?;
    let text: Vec<&str> = response.message().collect();
    Ok(Answer {
        status: u16::from(response.code()),
        text: text.join(" "),
    })
}

fn failure(error: &smtp::Error) -> Failure {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    let message = format!("the mail server: {text}");
    if error.is_permanent() || error.is_client() {
        Failure::last(message)
    } else {
        Failure::passing(message)
    }
}

fn message(mail: &Mail) -> Result<Message, String> {
    let boxes = |key: &str, text: &str| {
        let parsed: Result<Mailboxes, _> = text.parse();
        parsed.map_err(|error| format!("{key}: {text:?} is no address: {error}"))
    };
    let from = boxes("from", &mail.from)?.into_single();
    let from = from.ok_or_else(|| format!("from: {:?} must be one address", mail.from))?;
    let to = boxes("to", &mail.to)?;
    let envelope = Envelope::new(
        Some(from.email.clone()),
        to.iter().map(|mailbox| mailbox.email.clone()).collect(),
    )
    .map_err(|error| format!("to: {error}"))?;
    let mut builder = Message::builder()
        .from(from)
        .date_now()
        .message_id(None)
        .envelope(envelope);
    let has = |name: &str| {
        mail.headers
            .keys()
            .any(|key| key.eq_ignore_ascii_case(name))
    };
    if !has("to") {
        for mailbox in to {
            builder = builder.to(mailbox);
        }
    }
    for (name, value) in &mail.headers {
        let header = HeaderName::new_from_ascii(name.clone())
            .map_err(|_| format!("headers: {name:?} is no name of a header"))?;
        builder = builder.raw_header(HeaderValue::new(header, value.clone()));
    }
    let built = match (mail.text.as_str(), mail.html.as_str()) {
        (text, "") => builder.singlepart(SinglePart::plain(text.to_owned())),
        ("", html) => builder.singlepart(SinglePart::html(html.to_owned())),
        (text, html) => builder.multipart(MultiPart::alternative_plain_html(
            text.to_owned(),
            html.to_owned(),
        )),
    };
    built.map_err(|error| format!("cannot write the e-mail: {error}"))
}

async fn tls(mail: &Mail) -> Result<TlsParameters, String> {
    let settings = &mail.tls;
    let name = settings
        .server_name
        .clone()
        .unwrap_or_else(|| mail.host.clone());
    let mut builder: TlsParametersBuilder = TlsParameters::builder(name)
        .dangerous_accept_invalid_certs(settings.insecure_skip_verify)
        .dangerous_accept_invalid_hostnames(settings.insecure_skip_verify);
    let bad = |error: &dyn std::fmt::Display| format!("tls_config: {error}");
    if let Some(pem) = pem(settings.ca.as_deref(), settings.ca_file.as_deref()).await? {
        let authority = Certificate::from_pem(&pem).map_err(|error| bad(&error))?;
        builder = builder.add_root_certificate(authority);
    }
    let certificate = pem(settings.cert.as_deref(), settings.cert_file.as_deref()).await?;
    let key = settings.key.as_ref().map(http_client::Secret::reveal);
    let key = pem(key, settings.key_file.as_deref()).await?;
    if let (Some(certificate), Some(key)) = (certificate, key) {
        let identity = Identity::from_pem(&certificate, &key).map_err(|error| bad(&error))?;
        builder = builder.identify_with(identity);
    }
    builder.build().map_err(|error| bad(&error))
}

async fn pem(given: Option<&str>, file: Option<&str>) -> Result<Option<Vec<u8>>, String> {
    let Some(path) = file.filter(|path| !path.is_empty()) else {
        return Ok(given.map(|text| text.as_bytes().to_vec()));
    };
    let cannot = |error: std::io::Error| format!("tls_config: cannot read {path}: {error}");
    if tokio::fs::metadata(path).await.map_err(cannot)?.len() > FILE_BYTES_MAX {
        return Err(format!("tls_config: {path} is too large for a certificate"));
    }
    tokio::fs::read(path).await.map(Some).map_err(cannot)
}
