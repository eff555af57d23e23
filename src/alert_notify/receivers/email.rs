//! E-mail: a message with a text, an HTML part, or both.
//!
//! | sends | to |
//! |---|---|
//! | `From`, `To`, `Subject` and further `headers`, `text`, `html` | `to`, through `smarthost` |
//!
//! TLS by STARTTLS is asked for (`require_tls`), unless the connection begins with it
//! (`force_implicit_tls`, or port 465). `mail.rs` speaks SMTP.

use std::collections::BTreeMap;
use std::path::Path;

use http_client::{HttpClientConfig, Secret, TlsConfig};
use model::time;
use serde::{Deserialize, Serialize};

use super::{Outgoing, Way, default_to, inherit, or_empty, secret_of, start_in};
use crate::config_file::RawGlobal;
use crate::message::Message;
use crate::sha256;

/// The port of SMTP with TLS from the first byte.
const IMPLICIT_TLS_PORT: u16 = 465;

/// Longest part of a message, bytes; what is longer is cut.
const PART_BYTES_MAX: usize = 2 << 20;

/// `email_configs`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Email {
    send_resolved: Option<bool>,
    to: Option<String>,
    from: Option<String>,
    smarthost: Option<String>,
    hello: Option<String>,
    auth_username: Option<String>,
    auth_password: Option<Secret>,
    auth_password_file: Option<String>,
    auth_secret: Option<Secret>,
    auth_secret_file: Option<String>,
    auth_identity: Option<String>,
    require_tls: Option<bool>,
    force_implicit_tls: Option<bool>,
    tls_config: Option<TlsConfig>,
    html: Option<String>,
    text: Option<String>,
    headers: BTreeMap<String, String>,
    threading: Option<Threading>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Threading {
    enabled: bool,
    /// `daily` (a thread per group and day) or `none` (one per group).
    thread_by_date: Option<String>,
}

/// How a connection is kept from listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SmtpSecurity {
    /// It is not.
    None,
    /// TLS after STARTTLS, or no mail.
    StartTls,
    /// TLS from the first byte.
    Implicit,
}

/// Who we say we are.
#[derive(Debug, Clone)]
pub(crate) struct SmtpAuth {
    pub(crate) username: String,
    pub(crate) password: Secret,
}

/// An e-mail and the way to its server.
#[derive(Debug)]
pub(crate) struct Mail {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) hello: String,
    pub(crate) security: SmtpSecurity,
    pub(crate) tls: TlsConfig,
    pub(crate) auth: Option<SmtpAuth>,
    pub(crate) from: String,
    pub(crate) to: String,
    /// Names as written; values without line breaks.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) text: String,
    pub(crate) html: String,
}

impl Email {
    fn host_and_port(&self) -> Result<(String, u16), String> {
        let bad = || "smarthost must be HOST:PORT".to_owned();
        let (host, port) = or_empty(&self.smarthost).rsplit_once(':').ok_or_else(bad)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(bad());
        }
        // Go knows ports by name, too.
        let port = match port {
            "smtp" => 25,
            "submission" => 587,
            "smtps" | "submissions" => IMPLICIT_TLS_PORT,
            number => number.parse().map_err(|_| bad())?,
        };
        Ok((host.to_owned(), port))
    }
}

impl Way for Email {
    const KIND: &'static str = "email";
    const SEND_RESOLVED: bool = false;

    fn complete(&mut self, global: &RawGlobal) -> Result<(), String> {
        for (own, global) in [
            (&mut self.from, &global.smtp_from),
            (&mut self.smarthost, &global.smtp_smarthost),
            (&mut self.hello, &global.smtp_hello),
            (&mut self.auth_username, &global.smtp_auth_username),
            (&mut self.auth_identity, &global.smtp_auth_identity),
        ] {
            if own.is_none() {
                own.clone_from(global);
            }
        }
        inherit(
            &mut self.auth_password,
            &mut self.auth_password_file,
            global.smtp_auth_password.as_ref(),
            global.smtp_auth_password_file.as_ref(),
        );
        inherit(
            &mut self.auth_secret,
            &mut self.auth_secret_file,
            global.smtp_auth_secret.as_ref(),
            global.smtp_auth_secret_file.as_ref(),
        );
        self.require_tls = self.require_tls.or(global.smtp_require_tls);
        self.force_implicit_tls = self.force_implicit_tls.or(global.smtp_force_implicit_tls);
        if self.tls_config.is_none() {
            self.tls_config.clone_from(&global.smtp_tls_config);
        }
        if let Some(tls) = &self.tls_config {
            tls.check().map_err(|wrong| wrong.to_string())?;
        }
        default_to(&mut self.hello, "localhost");
        for (key, text, global) in [
            ("to", &self.to, None),
            ("from", &self.from, Some("smtp_from")),
            ("smarthost", &self.smarthost, Some("smtp_smarthost")),
        ] {
            if or_empty(text).is_empty() {
                let also = global.map_or(String::new(), |g| {
                    format!(" (or {g} in the global section)")
                });
                return Err(format!("{key} is missing{also}"));
            }
        }
        self.host_and_port()?;
        if self.auth_password.is_some() && self.auth_password_file.is_some() {
            return Err("write either auth_password or auth_password_file, not both".to_owned());
        }
        let has_secret = self.auth_secret.is_some() || self.auth_secret_file.is_some();
        let has_password = self.auth_password.is_some() || self.auth_password_file.is_some();
        if has_secret && !has_password {
            return Err("auth_secret is for CRAM-MD5, which Yagura does not speak: use auth_password, which goes by PLAIN or LOGIN over TLS".to_owned());
        }
        let mut seen = std::collections::HashSet::new();
        for name in self.headers.keys() {
            let fits = name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
            if name.is_empty() || !fits {
                return Err(format!("headers: {name:?} is no name of a header"));
            }
            if !seen.insert(name.to_lowercase()) {
                return Err(format!("headers: {name} is there twice"));
            }
        }
        if let Some(by) = self
            .threading
            .as_ref()
            .and_then(|t| t.thread_by_date.as_deref())
            && !["daily", "none"].contains(&by)
        {
            return Err("threading: thread_by_date must be daily or none".to_owned());
        }
        default_to(&mut self.html, r#"{{ template "email.default.html" . }}"#);
        Ok(())
    }

    fn files_in(&mut self, dir: &Path) {
        start_in(dir, &mut self.auth_password_file);
        start_in(dir, &mut self.auth_secret_file);
        if let Some(tls) = &mut self.tls_config {
            for file in [&mut tls.ca_file, &mut tls.cert_file, &mut tls.key_file] {
                start_in(dir, file);
            }
        }
    }

    fn texts(&self) -> Vec<(&'static str, &str)> {
        let mut texts = vec![
            ("to", or_empty(&self.to)),
            ("from", or_empty(&self.from)),
            ("html", or_empty(&self.html)),
            ("text", or_empty(&self.text)),
        ];
        texts.extend(self.headers.values().map(|text| ("headers", text.as_str())));
        texts
    }

    fn prepare(&self, message: &Message<'_>) -> Result<Outgoing, String> {
        let (host, port) = self.host_and_port()?;
        let (given, file) = (
            self.auth_password.as_ref(),
            self.auth_password_file.as_ref(),
        );
        let username = or_empty(&self.auth_username);
        let auth = if username.is_empty() || (given.is_none() && file.is_none()) {
            None
        } else {
            Some(SmtpAuth {
                username: username.to_owned(),
                password: secret_of("auth_password", given, file)?,
            })
        };
        let implicit = self.force_implicit_tls.unwrap_or(port == IMPLICIT_TLS_PORT);
        let mut headers = BTreeMap::new();
        for (name, source) in &self.headers {
            headers.insert(name.clone(), one_line(&message.text("headers", source)?));
        }
        if !headers
            .keys()
            .any(|name| name.eq_ignore_ascii_case("subject"))
        {
            let subject = message.text("headers", r#"{{ template "email.default.subject" . }}"#)?;
            headers.insert("Subject".to_owned(), one_line(&subject));
        }
        if let Some(threading) = self.threading.as_ref().filter(|t| t.enabled) {
            let day = match threading.thread_by_date.as_deref() {
                Some("none") => String::new(),
                _ => format!(
                    "-{}",
                    time::rfc3339_ms(message.now_ms)
                        .get(..10)
                        .unwrap_or_default()
                ),
            };
            let hash = sha256::hex(message.group_key.as_bytes());
            let thread = format!("<alert-{hash}{day}@yagura>");
            headers.insert("References".to_owned(), thread.clone());
            headers.insert("In-Reply-To".to_owned(), thread);
        }
        let html = match or_empty(&self.html) {
            "" => String::new(),
            source => message.html("html", source)?,
        };
        let text = match or_empty(&self.text) {
            "" => String::new(),
            source => message.text("text", source)?,
        };
        Ok(Outgoing::Mail(Box::new(Mail {
            host,
            port,
            hello: or_empty(&self.hello).to_owned(),
            security: match (implicit, self.require_tls.unwrap_or(true)) {
                (true, _) => SmtpSecurity::Implicit,
                (false, true) => SmtpSecurity::StartTls,
                (false, false) => SmtpSecurity::None,
            },
            tls: self.tls_config.clone().unwrap_or_default(),
            auth,
            from: one_line(&message.text("from", or_empty(&self.from))?),
            to: one_line(&message.text("to", or_empty(&self.to))?),
            headers,
            text: super::cut_bytes(&text, PART_BYTES_MAX),
            html: super::cut_bytes(&html, PART_BYTES_MAX),
        })))
    }

    fn send_resolved(&self) -> Option<bool> {
        self.send_resolved
    }

    fn http(&self) -> Option<&HttpClientConfig> {
        None
    }
}

/// A header's value must not begin another header.
fn one_line(text: &str) -> String {
    let spaced: String = text
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    spaced
}
