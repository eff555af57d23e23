//! Whom do we trust, and who are we? `tls_config`, and what rustls wants to know of it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};
use serde::{Deserialize, Serialize};

use crate::config::not_both;
use crate::file::start_in;
use crate::{HttpClientError, Secret, Wrong};

/// TLS: certificates in PEM, in place or in files that are read again when they change.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// Certificates that are trusted instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// File with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Our certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert: Option<String>,
    /// File with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<String>,
    /// Its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Secret>,
    /// File with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<String>,
    /// The name that the peer's certificate must carry, if not that of its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Trust any certificate.
    #[serde(default)]
    pub insecure_skip_verify: bool,
    /// Oldest version that is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_version: Option<TlsVersion>,
    /// Newest version that is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_version: Option<TlsVersion>,
}

/// A version of TLS. The first two are no longer spoken; as a minimum they do no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TlsVersion {
    /// 1.0
    Tls10,
    /// 1.1
    Tls11,
    /// 1.2
    Tls12,
    /// 1.3
    Tls13,
}

impl TlsConfig {
    /// Checks what serde cannot see.
    ///
    /// # Errors
    /// The key at fault, and what to write instead.
    pub fn check(&self) -> Result<(), Wrong> {
        const KEY: &str = "tls_config";
        not_both(KEY, "ca", self.ca.as_ref(), self.ca_file.as_ref())?;
        not_both(KEY, "cert", self.cert.as_ref(), self.cert_file.as_ref())?;
        not_both(KEY, "key", self.key.as_ref(), self.key_file.as_ref())?;
        let has_cert = self.cert.is_some() || self.cert_file.is_some();
        let has_key = self.key.is_some() || self.key_file.is_some();
        if has_cert != has_key {
            let reason = "a certificate needs its key, and a key its certificate";
            return Err(Wrong::new(KEY, reason));
        }
        if self.versions().is_empty() {
            let reason = "min_version and max_version leave neither TLS12 nor TLS13";
            return Err(Wrong::new(KEY, reason));
        }
        if let Some(name) = &self.server_name
            && ServerName::try_from(name.as_str()).is_err()
        {
            let reason = format!("server_name {name:?} is not a name of a host");
            return Err(Wrong::new(KEY, reason));
        }
        Ok(())
    }

    /// Files that make up the client, which is built anew when one changes.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        [&self.ca_file, &self.cert_file, &self.key_file]
            .into_iter()
            .flatten()
            .map(String::as_str)
    }

    pub(crate) fn start_files_in(&mut self, dir: &Path) {
        for file in [&mut self.ca_file, &mut self.cert_file, &mut self.key_file] {
            start_in(dir, file);
        }
    }

    /// What rustls is told; `files` holds the content of [`TlsConfig::files`]. Loads the system's
    /// certificates where no others are given, so it may block.
    pub(crate) fn build(
        &self,
        files: &HashMap<&str, Vec<u8>>,
        http2: bool,
    ) -> Result<ClientConfig, HttpClientError> {
        let provider = CryptoProvider::get_default()
            .cloned()
            .unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
        // Text in place or the content of a file, whichever is given.
        let pem = |text: Option<&str>, file: Option<&str>| match (text, file) {
            (Some(text), _) => Some(text.as_bytes().to_vec()),
            (None, Some(path)) => files.get(path).cloned(),
            (None, None) => None,
        };
        let mut verifier: Arc<dyn ServerCertVerifier> = if self.insecure_skip_verify {
            Arc::new(Anyone {
                provider: provider.clone(),
            })
        } else if let Some(ca) = pem(self.ca.as_deref(), self.ca_file.as_deref()) {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("ca", &ca)? {
                roots.add(certificate).map_err(HttpClientError::tls)?;
            }
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(HttpClientError::tls)?
        } else {
            match rustls_platform_verifier::Verifier::new(provider.clone()) {
                Ok(system) => Arc::new(system),
                // A machine without certificates can still speak HTTP without TLS.
                Err(error) => Arc::new(Nobody {
                    provider: provider.clone(),
                    reason: error.to_string(),
                }),
            }
        };
        if let Some(name) = &self.server_name {
            verifier = Arc::new(Named {
                name: ServerName::try_from(name.clone()).map_err(HttpClientError::tls)?,
                inner: verifier,
            });
        }
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions())
            .map_err(HttpClientError::tls)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let cert = pem(self.cert.as_deref(), self.cert_file.as_deref());
        let key = pem(
            self.key.as_ref().map(Secret::reveal),
            self.key_file.as_deref(),
        );
        let mut config = if let (Some(cert), Some(key)) = (cert, key) {
            let key = PrivateKeyDer::from_pem_slice(&key)
                .map_err(|_| HttpClientError::tls("key is no private key in PEM"))?;
            config
                .with_client_auth_cert(certificates("cert", &cert)?, key)
                .map_err(HttpClientError::tls)?
        } else {
            config.with_no_client_auth()
        };
        config.alpn_protocols = if http2 {
            vec![b"h2".to_vec(), b"http/1.1".to_vec()]
        } else {
            vec![b"http/1.1".to_vec()]
        };
        Ok(config)
    }

    fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let spoken = [
            (TlsVersion::Tls12, &rustls::version::TLS12),
            (TlsVersion::Tls13, &rustls::version::TLS13),
        ];
        let min = self.min_version.unwrap_or(TlsVersion::Tls10);
        let max = self.max_version.unwrap_or(TlsVersion::Tls13);
        let wanted = spoken.iter().filter(|(v, _)| (min..=max).contains(v));
        wanted.map(|(_, version)| *version).collect()
    }
}

fn certificates(key: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, HttpClientError> {
    let bad = || HttpClientError::tls(format!("{key} holds no certificate in PEM"));
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|_| bad())?;
    if certificates.is_empty() {
        return Err(bad());
    }
    Ok(certificates)
}

/// Delegates what is not about names and trust.
macro_rules! verify_signatures_by {
    ($provider:ident) => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let provider: &CryptoProvider = &self.$provider;
            verify_tls12_signature(
                message,
                cert,
                signed,
                &provider.signature_verification_algorithms,
            )
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let provider: &CryptoProvider = &self.$provider;
            verify_tls13_signature(
                message,
                cert,
                signed,
                &provider.signature_verification_algorithms,
            )
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            let provider: &CryptoProvider = &self.$provider;
            provider
                .signature_verification_algorithms
                .supported_schemes()
        }
    };
}

/// `insecure_skip_verify`: any certificate will do.
#[derive(Debug)]
struct Anyone {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    verify_signatures_by!(provider);
}

/// The system has no certificates to trust by.
#[derive(Debug)]
struct Nobody {
    provider: Arc<CryptoProvider>,
    reason: String,
}

impl ServerCertVerifier for Nobody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Err(Error::General(format!(
            "this machine has no certificates to trust by: {} (give ca_file)",
            self.reason
        )))
    }

    verify_signatures_by!(provider);
}

/// `server_name`: the certificate must carry this name rather than that of the address.
///
/// What the peer is told (SNI) remains the address' own name, as reqwest leaves no way to say
/// another; nothing is told where the address is an IP, which is the usual reason for the key.
#[derive(Debug)]
struct Named {
    name: ServerName<'static>,
    inner: Arc<dyn ServerCertVerifier>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.inner
            .verify_server_cert(end_entity, intermediates, &self.name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
