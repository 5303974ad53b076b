//! Encrypted connections: clients to servers and gateways, servers among themselves.

pub mod accept;
pub mod authority;
pub mod enroll;
pub mod files;
pub mod founding;
pub mod member;
pub mod trust;
pub mod validity;

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};

use crate::failure::{Failure, Outcome};

/// Named once, since two providers in one process would have to be told apart everywhere.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

pub fn failed(e: impl std::fmt::Display) -> Failure {
    Failure::Refused(format!("encrypted connections cannot be set up: {e}"))
}

/// The certificates in a PEM text.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())
}

/// A client that shows no certificate and trusts these authorities.
pub fn client_config(roots: RootCertStore) -> Outcome<ClientConfig> {
    Ok(ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// The authorities in a PEM file, or without one those of the machine where they are `wanted`.
///
/// # Errors
/// `Usage` for a file that cannot be used.
pub fn roots(ca: Option<&Path>, wanted: bool) -> Outcome<RootCertStore> {
    match ca {
        Some(file) => trusted(file),
        None if wanted => Ok(machine_roots()),
        None => Ok(RootCertStore::empty()),
    }
}

/// What a server trusts when it asks others by https: the authorities of this machine and those in
/// a file of its own.
///
/// # Errors
/// `Usage` for a file that cannot be used.
pub fn roots_of_server(ca: Option<&Path>) -> Outcome<RootCertStore> {
    let mut roots = machine_roots();
    if let Some(file) = ca {
        roots.extend(trusted(file)?.roots);
    }
    Ok(roots)
}

fn trusted(file: &Path) -> Outcome<RootCertStore> {
    let wrong = |why: String| Failure::Usage(format!("the file '{}': {why}", file.display()));
    let pem = std::fs::read(file).map_err(|e| wrong(e.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&pem).map_err(wrong)? {
        roots.add(certificate).map_err(|e| wrong(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(wrong("there is no certificate in it; PEM is expected".into()));
    }
    Ok(roots)
}

/// What this machine trusts, or `SSL_CERT_FILE` names. A certificate that cannot be used is left
/// out: it vouches for nobody.
fn machine_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// Why a connection failed, in words that say what to do where that is known.
pub fn explained(error: &(dyn std::error::Error + 'static)) -> String {
    let mut at = error;
    loop {
        if let Some(e) = at.downcast_ref::<rustls::Error>() {
            return in_words(e);
        }
        // An I/O error gives the source of what it carries, not what it carries.
        let carried = at.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let next = carried.map(|e| e as &(dyn std::error::Error + 'static)).or_else(|| at.source());
        match next {
            Some(next) => at = next,
            None => return at.to_string(),
        }
    }
}

fn in_words(e: &rustls::Error) -> String {
    use AlertDescription as Alert;
    use CertificateError as Wrong;
    let words = match e {
        rustls::Error::InvalidCertificate(wrong) => match wrong {
            // Authorities of the same name differ in their keys alone.
            Wrong::UnknownIssuer | Wrong::BadSignature => {
                "no authority that is trusted here signed its certificate"
            }
            Wrong::Other(e) if e.0.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity) => {
                "its certificate is that of an authority, not of a server; it needs CA:FALSE"
            }
            Wrong::Expired | Wrong::ExpiredContext { .. } => "its certificate has expired",
            Wrong::NotValidYet | Wrong::NotValidYetContext { .. } => {
                "its certificate is not valid yet; compare the clocks"
            }
            Wrong::NotValidForName | Wrong::NotValidForNameContext { .. } => {
                "its certificate is for another name; use one of its names in the URL"
            }
            other => return format!("its certificate cannot be accepted: {other}"),
        },
        rustls::Error::InvalidMessage(_) => "what answers there does not speak TLS; use http://",
        rustls::Error::AlertReceived(alert) => match alert {
            Alert::CertificateRequired => "it wants to see a certificate",
            Alert::UnknownCA | Alert::BadCertificate | Alert::DecryptError => {
                "it does not accept the certificate shown to it: another authority signed that"
            }
            Alert::CertificateExpired => {
                "it refuses the certificate shown to it: that has expired; compare the clocks"
            }
            Alert::ProtocolVersion => "it does not speak the versions of TLS that are spoken here",
            other => return format!("it refused the connection ({other:?})"),
        },
        other => return other.to_string(),
    };
    words.to_owned()
}
