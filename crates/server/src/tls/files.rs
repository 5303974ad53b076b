//! A certificate chain and its key in files; renewed ones are taken over without a restart.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use evercube_service::certificates::CertificateBook;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::signal::unix::{SignalKind, signal};

use super::accept::Acceptor;
use super::{certificates, failed, provider, validity};
use crate::failure::{Failure, Outcome};

const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Where a listener's certificate and key are, and how old a TLS it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// TLS 1.3 only; else 1.2 too.
    pub only_newest: bool,
}

/// The files a listener is told of, if any.
///
/// # Errors
/// `Usage` for one file without the other, or a version that is not spoken.
pub fn files(
    certificate: Option<&Path>,
    key: Option<&Path>,
    min_version: &str,
) -> Outcome<Option<Files>> {
    let only_newest = match min_version {
        "1.2" => false,
        "1.3" => true,
        other => {
            return Err(Failure::Usage(format!(
                "the setting tls_min_version = '{other}' cannot be used: it is 1.2 or 1.3"
            )));
        }
    };
    match (certificate, key) {
        (Some(certificate), Some(key)) => {
            Ok(Some(Files { certificate: certificate.into(), key: key.into(), only_newest }))
        }
        (None, None) => Ok(None),
        _ => Err(Failure::Usage(
            "a certificate and its key go together: give both tls_certificate and tls_key".into(),
        )),
    }
}

/// What to say where clients of other machines connect without encryption.
pub fn in_the_clear(address: SocketAddr, scheme: &str) -> Option<String> {
    (scheme == "http" && !address.ip().is_loopback()).then(|| {
        format!(
            "WARNING: {address} is reached from other machines without TLS: passwords, tokens and data can be read on the way. Give --tls-certificate and --tls-key, or put a proxy that speaks TLS in front and listen on loopback"
        )
    })
}

/// The certificate that new connections see.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn unusable(file: &Path, e: &dyn std::fmt::Display) -> Failure {
    Failure::Refused(format!("the file {} cannot be used for TLS: {e}", file.display()))
}

impl Files {
    /// The bytes of both files, to tell whether they changed.
    fn bytes(&self) -> Outcome<(Vec<u8>, Vec<u8>)> {
        let read = |file: &Path| std::fs::read(file).map_err(|e| unusable(file, &e));
        Ok((read(&self.certificate)?, read(&self.key)?))
    }

    /// What the files hold, also told in the book.
    fn certified(
        &self,
        (chain, key): &(Vec<u8>, Vec<u8>),
        book: &CertificateBook,
    ) -> Outcome<Arc<CertifiedKey>> {
        let of_chain = |e: &dyn std::fmt::Display| unusable(&self.certificate, e);
        let of_key = |e: &dyn std::fmt::Display| unusable(&self.key, e);
        let chain = certificates(chain).map_err(|e| of_chain(&e))?;
        let Some(own) = chain.first().cloned() else {
            return Err(of_chain(&"there is no certificate in it; PEM is expected"));
        };
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| of_key(&"there is no private key in it; PEM is expected"))?;
        let key = provider().key_provider.load_private_key(key).map_err(|e| of_key(&e))?;
        let certified = CertifiedKey::new(chain, key);
        if matches!(certified.keys_match(), Err(rustls::Error::InconsistentKeys(_))) {
            return Err(of_key(&format!(
                "it is not the key of the certificate in {}",
                self.certificate.display()
            )));
        }
        book.change(|told| told.clients = validity::term(&own));
        if let Some((from, until)) = validity::of(&own) {
            let now = chrono::Utc::now();
            if now < from || until < now {
                tracing::warn!(
                    file = %self.certificate.display(), %from, %until,
                    "clients will refuse the certificate: it is not valid now"
                );
            }
        }
        Ok(Arc::new(certified))
    }

    /// Accepts encrypted connections with what the files hold, also once they change.
    ///
    /// # Errors
    /// `Refused` naming the file that cannot be used.
    pub fn acceptor(self, book: &CertificateBook) -> Outcome<Acceptor> {
        let seen = self.bytes()?;
        let current = Arc::new(Current(RwLock::new(self.certified(&seen, book)?)));
        let versions: &[_] = match self.only_newest {
            true => &[&rustls::version::TLS13],
            false => &[&rustls::version::TLS13, &rustls::version::TLS12],
        };
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .map_err(failed)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Current>::clone(&current));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        tokio::spawn(self.follow(current, seen, book.clone()));
        Ok(Acceptor::encrypted(Arc::new(config)))
    }

    async fn follow(
        self,
        current: Arc<Current>,
        mut seen: (Vec<u8>, Vec<u8>),
        book: CertificateBook,
    ) {
        let mut hung_up = signal(SignalKind::hangup()).ok();
        loop {
            let asked = async {
                match &mut hung_up {
                    Some(signal) => signal.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = asked => {}
            }
            // While one file is written it may be gone for a moment.
            let Ok(now) = self.bytes() else { continue };
            if now == seen {
                continue;
            }
            match self.certified(&now, &book) {
                Ok(new) => {
                    *current.0.write().unwrap_or_else(PoisonError::into_inner) = new;
                    eprintln!("the certificate in {} was renewed", self.certificate.display());
                }
                // Certificate and key are seldom written at once: the old pair serves meanwhile.
                Err(e) => tracing::warn!("the certificate before goes on: {e}"),
            }
            seen = now;
        }
    }
}
