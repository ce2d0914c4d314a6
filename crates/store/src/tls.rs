//! TLS to PostgreSQL, as `sslmode` and `sslrootcert` of the URL ask for it. They mean what they mean to
//! libpq:
//!
//! | sslmode | encrypted | whose certificate |
//! |---|---|---|
//! | `disable` | no | |
//! | `prefer` (when nothing is said) | if the server can | anybody's |
//! | `require` | yes | anybody's; with `sslrootcert` as `verify-ca` |
//! | `verify-ca` | yes | signed by `sslrootcert` |
//! | `verify-full` | yes | signed by `sslrootcert`, for the host of the URL |
//!
//! `sslrootcert` is a PEM file. Without it, or as `system`, the certificates count that the operating system
//! trusts.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::StoreError;

/// Where the database is, and how to speak to it.
pub(crate) struct Endpoint {
    pub(crate) config: tokio_postgres::Config,
    pub(crate) tls: MakeRustlsConnect,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Check {
    Nothing,
    Signature,
    SignatureAndName,
}

impl Endpoint {
    /// Reads a URL, with the parameters that tokio-postgres does not know.
    pub(crate) fn parse(url: &str) -> Result<Self, StoreError> {
        let (url, mode, roots) = take_tls_parameters(url)?;
        let mut config: tokio_postgres::Config = url.parse().map_err(|_| wrong_url())?;
        // libpq, too, ignores sslmode where nobody can listen in.
        let is_local = config
            .get_hosts()
            .iter()
            .all(|host| matches!(host, Host::Unix(_)));
        let (ssl_mode, check) = match (mode.as_deref(), &roots) {
            _ if is_local => (SslMode::Disable, Check::Nothing),
            (Some("disable"), _) => (SslMode::Disable, Check::Nothing),
            (Some("prefer") | None, _) => (SslMode::Prefer, Check::Nothing),
            (Some("require"), None) => (SslMode::Require, Check::Nothing),
            (Some("require" | "verify-ca"), _) => (SslMode::Require, Check::Signature),
            (Some("verify-full"), _) => (SslMode::Require, Check::SignatureAndName),
            _ => {
                return Err(StoreError::Configuration {
                    what: "sslmode of database.url (disable, prefer, require, verify-ca or verify-full)",
                });
            }
        };
        config.ssl_mode(ssl_mode);
        let provider = Arc::new(ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = match check {
            Check::Nothing => Arc::new(Anybody(provider.clone())),
            Check::Signature => Arc::new(AnyName(signed_by(&provider, roots.as_deref())?)),
            Check::SignatureAndName => signed_by(&provider, roots.as_deref())?,
        };
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| wrong_url())?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(Endpoint {
            config,
            tls: MakeRustlsConnect::new(tls),
        })
    }
}

fn wrong_url() -> StoreError {
    StoreError::Configuration { what: "database.url" }
}

/// The URL without `sslmode` and `sslrootcert`, and these two.
fn take_tls_parameters(url: &str) -> Result<(String, Option<String>, Option<String>), StoreError> {
    let Some((base, query)) = url.split_once('?') else {
        return Ok((url.to_owned(), None, None));
    };
    let (mut mode, mut roots, mut others) = (None, None, Vec::new());
    for parameter in query.split('&') {
        match parameter.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value.to_owned()),
            Some(("sslrootcert", value)) => roots = Some(decoded(value)?),
            _ => others.push(parameter),
        }
    }
    let url = match others.is_empty() {
        true => base.to_owned(),
        false => format!("{base}?{}", others.join("&")),
    };
    Ok((url, mode, roots))
}

/// Percent-decoded, as the rest of a URL is.
fn decoded(value: &str) -> Result<String, StoreError> {
    let decoded = percent_encoding::percent_decode_str(value).decode_utf8();
    decoded.map(Into::into).map_err(|_| wrong_url())
}

fn signed_by(
    provider: &Arc<CryptoProvider>,
    file: Option<&str>,
) -> Result<Arc<WebPkiServerVerifier>, StoreError> {
    let unusable = || StoreError::Configuration {
        what: "sslrootcert of database.url (a file of PEM certificates)",
    };
    let mut roots = RootCertStore::empty();
    match file {
        None | Some("system") => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Some(file) => {
            for certificate in CertificateDer::pem_file_iter(file).map_err(|_| unusable())? {
                let certificate = certificate.map_err(|_| unusable())?;
                roots.add(certificate).map_err(|_| unusable())?;
            }
        }
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|_| unusable())
}

/// Encrypts for whoever answers. What it says of itself is not looked at, so an old certificate is no
/// obstacle either.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
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

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Asks who signed the certificate, and not for whom.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // The name is looked at last, so that everything else is in order when it is all that is wrong.
        match self
            .0
            .verify_server_cert(certificate, intermediates, name, ocsp, now)
        {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Result<SslMode, String> {
        Endpoint::parse(url)
            .map(|endpoint| endpoint.config.get_ssl_mode())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_modes_of_libpq_are_understood_and_others_refused() {
        let url = |parameters| parsed(&format!("postgres://u:p@db.example:5432/x{parameters}"));
        assert_eq!(url("").unwrap(), SslMode::Prefer);
        assert_eq!(url("?sslmode=disable").unwrap(), SslMode::Disable);
        assert_eq!(
            url("?sslmode=require&connect_timeout=3").unwrap(),
            SslMode::Require
        );
        assert!(url("?sslmode=allow").unwrap_err().contains("sslmode"));
        assert!(
            url("?sslmode=verify-full&sslrootcert=/no/such/file")
                .unwrap_err()
                .contains("sslrootcert")
        );
    }

    #[test]
    fn a_socket_on_this_machine_needs_no_encryption() {
        assert_eq!(
            parsed("postgres://u@%2Frun%2Fpostgresql/x?sslmode=require").unwrap(),
            SslMode::Disable
        );
    }

    #[test]
    fn a_path_may_hold_what_a_url_escapes() {
        let (url, mode, roots) =
            take_tls_parameters("postgres://h/x?sslrootcert=%2Fetc%2Four%20ca.pem&sslmode=verify-ca")
                .unwrap();
        assert_eq!(
            (url.as_str(), mode.as_deref(), roots.as_deref()),
            ("postgres://h/x", Some("verify-ca"), Some("/etc/our ca.pem"))
        );
    }
}
