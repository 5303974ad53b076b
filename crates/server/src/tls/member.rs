//! What a member shows other members, and what it wants to see of them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use evercube_metastore::Authority;
use evercube_service::certificates::{Certificates, print};
use evercube_service::identity::{read_sealed, write_sealed};
use evercube_vault::Vault;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ServerConfig, SignatureScheme};
use serde::{Deserialize, Serialize};

use super::trust::Trust;
use super::{authority, certificates, failed, provider, validity};
use crate::failure::{Failure, Outcome};

/// A member's certificate and key, and the authorities it trusts, as PEM: kept in its folder. The
/// one that signed the certificate comes first.
#[derive(Clone, Serialize, Deserialize)]
pub struct Credentials {
    pub node_id: u64,
    pub authority: String,
    pub certificate: String,
    pub key: String,
}

fn file(data: &Path) -> PathBuf {
    data.join("tls").join("member.json")
}

/// A key for a member.
pub fn new_key() -> Outcome<KeyPair> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)
}

impl Credentials {
    /// Credentials of a server that has the authority's key at hand.
    pub fn issue(signed_by: &Authority, node_id: u64, life: Duration) -> Outcome<Self> {
        let key = new_key()?;
        let certificate = authority::issue(signed_by, node_id, &key, life)?;
        let authority = signed_by.certificate.clone();
        Ok(Self { node_id, authority, certificate, key: key.serialize_pem() })
    }

    /// What the folder remembers.
    pub fn load(data: &Path, vault: Option<&Vault>) -> Outcome<Option<Self>> {
        let file = file(data);
        let unusable = |e: &dyn std::fmt::Display| {
            Failure::Refused(format!("{} cannot be read: {e}", file.display()))
        };
        match read_sealed(vault, &file).map_err(|e| Failure::Refused(e.to_string()))? {
            Some(text) => serde_json::from_slice(&text).map(Some).map_err(|e| unusable(&e)),
            None => Ok(None),
        }
    }

    pub fn store(&self, data: &Path, vault: Option<&Vault>) -> Outcome {
        let text = serde_json::to_vec(self).map_err(failed)?;
        write_sealed(vault, &file(data), &text).map_err(|e| Failure::Refused(e.to_string()))
    }

    /// The member's own certificate, then the authority's.
    fn chain(&self) -> Outcome<Vec<CertificateDer<'static>>> {
        let all = format!("{}\n{}", self.certificate, self.authority);
        certificates(all.as_bytes()).map_err(failed)
    }

    fn certified(&self) -> Outcome<Arc<CertifiedKey>> {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(failed)?;
        let key = provider().key_provider.load_private_key(key).map_err(failed)?;
        Ok(Arc::new(CertifiedKey::new(self.chain()?, key)))
    }

    /// How long the certificate is still good for; nothing where it has ended.
    pub fn left(&self) -> Duration {
        let until = self.told().members.map_or(0, |term| term.until_unix);
        let left = until - chrono::Utc::now().timestamp();
        Duration::from_secs(u64::try_from(left).unwrap_or(0))
    }

    /// The authorities it trusts, the signer of its certificate first.
    fn authorities(&self) -> Vec<String> {
        const END: &str = "-----END CERTIFICATE-----";
        let all = self.authority.split_inclusive(END).map(|pem| pem.trim().to_owned());
        all.filter(|pem| !pem.is_empty()).collect()
    }

    /// Whether the certificate is of the first of these, and no others are trusted.
    pub fn fits(&self, authorities: &[String]) -> (bool, bool) {
        let wanted: Vec<String> = authorities.iter().map(|a| a.trim().to_owned()).collect();
        let own = self.authorities();
        (own.first() == wanted.first(), own == wanted)
    }

    /// What status shows of it.
    pub fn told(&self) -> Certificates {
        let chain = self.chain().unwrap_or_default();
        let term = |at: usize| chain.get(at).and_then(validity::term);
        Certificates {
            clients: None,
            members: term(0),
            authority: term(1),
            trusted: self.authorities().iter().map(|a| print(a)).collect(),
        }
    }
}

/// BLAKE3 of an authority's certificate, by which a joining server knows it.
pub fn fingerprint(authority: &str) -> Outcome<blake3::Hash> {
    let all = certificates(authority.as_bytes()).map_err(failed)?;
    let first = all.first().ok_or_else(|| failed("the authority has no certificate"))?;
    Ok(blake3::hash(first))
}

/// This server as other members see it: its certificate may be renewed at any time.
#[derive(Debug)]
pub struct Shown(RwLock<Arc<CertifiedKey>>);

impl Shown {
    fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// New connections see this certificate from now on.
    pub fn renew(&self, with: &Credentials) -> Outcome {
        let new = with.certified()?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Both directions of connections among members. No session is resumed: every connection shows a
/// certificate that counts now.
pub struct Mutual {
    pub shown: Arc<Shown>,
    pub trust: Arc<Trust>,
    pub server: Arc<ServerConfig>,
    pub client: ClientConfig,
}

impl Mutual {
    pub fn new(own: &Credentials) -> Outcome<Self> {
        let shown = Arc::new(Shown(RwLock::new(own.certified()?)));
        let trust = Arc::new(Trust::new(&own.authority)?);
        let mut server = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(failed)?
            .with_client_cert_verifier(Arc::<Trust>::clone(&trust))
            .with_cert_resolver(Arc::<Shown>::clone(&shown));
        server.send_tls13_tickets = 0;
        let mut client = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(failed)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::<Trust>::clone(&trust))
            .with_client_cert_resolver(Arc::<Shown>::clone(&shown));
        client.resumption = Resumption::disabled();
        Ok(Self { shown, trust, server: Arc::new(server), client })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_says_which_member_it_is_of_and_for_how_long() {
        let group = authority::create().unwrap();
        let life = Duration::from_secs(3600);
        let own = Credentials::issue(&group, 0xdead_beef, life).unwrap();
        let chain = own.chain().unwrap();
        assert_eq!(authority::member_of(&chain[0]), Some(0xdead_beef));
        assert_eq!(authority::member_of(&chain[1]), None, "the authority is no member");
        assert!(own.left() <= life && own.left() > life / 2);
        assert!(Mutual::new(&own).is_ok());
        let other = authority::create().unwrap();
        assert_ne!(
            fingerprint(&group.certificate).unwrap(),
            fingerprint(&other.certificate).unwrap()
        );
    }
}
