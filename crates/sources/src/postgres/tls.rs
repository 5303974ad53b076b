//! Encrypted connections to PostgreSQL, with the words that libpq has for them (`sslmode`).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use evercube_base::{Error, Result};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;

/// How a connection is encrypted, and whom it trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum SslMode {
    Disable,
    /// Encrypted where the server can; nobody is known by it.
    #[default]
    Prefer,
    /// Encrypted or not at all; whoever answers is believed.
    Require,
    /// Besides, the certificate is of an authority that is trusted.
    VerifyCa,
    /// Besides, it is for the host that was asked for.
    VerifyFull,
}

impl SslMode {
    /// As connection strings write it.
    pub fn parse(text: &str) -> Option<Self> {
        let plain: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
        Some(match plain.to_ascii_lowercase().as_str() {
            "disable" => Self::Disable,
            "allow" | "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verifyca" => Self::VerifyCa,
            "verifyfull" => Self::VerifyFull,
            _ => return None,
        })
    }
}

/// The authorities that servers of data are trusted by.
#[derive(Clone)]
pub struct Authorities(Arc<RootCertStore>);

impl Authorities {
    pub fn new(roots: RootCertStore) -> Self {
        Self(Arc::new(roots))
    }
}

impl Default for Authorities {
    fn default() -> Self {
        Self::new(RootCertStore::empty())
    }
}

/// Those of one server are one and the same.
impl PartialEq for Authorities {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.0.is_empty() && other.0.is_empty())
    }
}

impl std::fmt::Debug for Authorities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authorities({})", self.0.len())
    }
}

/// What a client shows that is known by its certificate.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCertificate {
    /// PEM: its own certificate, and those between it and the authority.
    pub chain: String,
    /// PEM.
    pub key: String,
}

impl std::fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientCertificate")
    }
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl ClientCertificate {
    /// # Errors
    /// `Invalid` where certificate and key cannot be read or do not belong together; never with
    /// what was read.
    pub fn check(&self) -> Result<()> {
        Encrypted::new(SslMode::Require, &Authorities::default(), Some(self)).map(|_| ())
    }

    fn read(&self) -> Result<Pair> {
        let wrong =
            |what: &str| Error::invalid(format!("the client's {what} cannot be read as PEM"));
        let chain: std::result::Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(self.chain.as_bytes()).collect();
        let chain = chain.ok().filter(|c| !c.is_empty()).ok_or_else(|| wrong("certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes());
        Ok((chain, key.map_err(|_| wrong("key"))?))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Makes connections of one mode.
#[derive(Clone)]
pub(super) struct Encrypted(Arc<ClientConfig>);

impl Encrypted {
    pub fn new(
        mode: SslMode,
        authorities: &Authorities,
        certificate: Option<&ClientCertificate>,
    ) -> Result<Self> {
        let failed = |e: &dyn std::fmt::Display| {
            Error::internal(format!("encrypted connections cannot be set up: {e}"))
        };
        let known = || {
            let roots = Arc::clone(&authorities.0);
            WebPkiServerVerifier::builder_with_provider(roots, provider()).build().map_err(|e| {
                Error::invalid(format!(
                    "the certificate of the database's server cannot be checked, since this server trusts no authority ({e}): name one with the setting ca, or use SSL Mode=Require on a network you trust"
                ))
            })
        };
        let any_name = |authorities| Arc::new(AnyName { authorities, provider: provider() });
        let verifier: Arc<dyn ServerCertVerifier> = match mode {
            SslMode::Disable | SslMode::Prefer | SslMode::Require => any_name(None),
            SslMode::VerifyCa => any_name(Some(known()?)),
            SslMode::VerifyFull => known()?,
        };
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|e| failed(&e))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let config = match certificate {
            None => config.with_no_client_auth(),
            Some(certificate) => {
                let (chain, key) = certificate.read()?;
                config.with_client_auth_cert(chain, key).map_err(|e| {
                    Error::invalid(format!("the client's certificate cannot be used: {e}"))
                })?
            }
        };
        Ok(Self(Arc::new(config)))
    }
}

impl<S> MakeTlsConnect<S> for Encrypted
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type TlsConnect = Connecting;
    type Error = rustls::pki_types::InvalidDnsNameError;

    fn make_tls_connect(&mut self, host: &str) -> std::result::Result<Connecting, Self::Error> {
        let name = ServerName::try_from(host.to_owned())?;
        Ok(Connecting { connector: TlsConnector::from(Arc::clone(&self.0)), name })
    }
}

pub(super) struct Connecting {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl<S> TlsConnect<S> for Connecting
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move { Ok(Stream(self.connector.connect(self.name, stream).await?)) })
    }
}

pub(super) struct Stream<S>(tokio_rustls::client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Stream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Believes whoever answers, or who has a certificate of an authority that is trusted, whichever host
/// it is for. That he has the key of the certificate he shows is checked in any case.
#[derive(Debug)]
struct AnyName {
    authorities: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let Some(known) = &self.authorities else { return Ok(ServerCertVerified::assertion()) };
        // The name is looked at last: whoever fails there only passed everything else.
        match known.verify_server_cert(certificate, others, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let all = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, all)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let all = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, all)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_as_libpq_and_npgsql_write_them() {
        for (text, mode) in [
            ("verify-full", Some(SslMode::VerifyFull)),
            ("VerifyFull", Some(SslMode::VerifyFull)),
            ("VerifyCA", Some(SslMode::VerifyCa)),
            ("Allow", Some(SslMode::Prefer)),
            ("disable", Some(SslMode::Disable)),
            ("yes", None),
        ] {
            assert_eq!(SslMode::parse(text), mode, "{text}");
        }
    }
}
