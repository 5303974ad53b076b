//! A server that joins gets its certificate from a member, for a token.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use evercube_base::{Outage, Told};
use http::{Request, StatusCode};
use http_body_util::Full;
use rcgen::{KeyPair, PublicKeyData as _};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use serde::{Deserialize, Serialize};

use super::member::{Credentials, new_key};
use super::{failed, provider};
use crate::failure::{Failure, Outcome};
use crate::transport::PeerClient;

const PREFIX: &str = "evercube-join";
const LIMIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(300);
/// Said of a member that cannot prove to be the group's the token is for.
const FOREIGN: &str = "it is no member of the group that made the join token";

/// What a join token's text holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub fingerprint: blake3::Hash,
    pub secret: String,
}

impl Token {
    pub fn to_text(&self) -> String {
        format!("{PREFIX}.{}.{}", self.fingerprint.to_hex(), self.secret)
    }

    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('.');
        let (prefix, fingerprint, secret) = (parts.next()?, parts.next()?, parts.next()?);
        let whole = prefix == PREFIX && parts.next().is_none() && !secret.is_empty();
        let fingerprint = blake3::Hash::from_hex(fingerprint).ok().filter(|_| whole)?;
        Some(Self { fingerprint, secret: secret.to_owned() })
    }
}

/// What a joining server asks a member; its private key stays with it.
#[derive(Serialize, Deserialize)]
pub struct Ask {
    pub secret: String,
    pub node_id: u64,
    /// Base64.
    pub public_key: String,
}

/// What it is given, as PEM.
#[derive(Serialize, Deserialize)]
pub struct Given {
    pub authority: String,
    pub certificate: String,
}

/// Trusts the authority with one fingerprint, which the other side must show.
#[derive(Debug)]
struct Pinned {
    fingerprint: blake3::Hash,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let foreign = || rustls::Error::General(FOREIGN.to_owned());
        let mut shown = intermediates.iter();
        let authority = shown.find(|c| blake3::hash(c) == self.fingerprint).ok_or_else(foreign)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::clone(&self.provider),
        )
        .build()
        .map_err(|e| rustls::Error::General(e.to_string()))?;
        verifier.verify_server_cert(end_entity, &[], server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Asks members for a certificate until one gives it.
///
/// # Errors
/// `Refused` where the token lets nobody in, or who answers is not of the group it is for.
pub async fn enroll(addresses: &[String], token: &Token, node_id: u64) -> Outcome<Credentials> {
    let verifier = Pinned { fingerprint: token.fingerprint, provider: provider() };
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(failed)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    let client = PeerClient::to_members(config)?;
    let key = new_key()?;
    let ask =
        Ask { secret: token.secret.clone(), node_id, public_key: STANDARD.encode(key.der_bytes()) };
    let body = Bytes::from(serde_json::to_vec(&ask).map_err(failed)?);
    let (begun, mut outage) = (Instant::now(), Outage::default());
    loop {
        let mut why_not = Vec::new();
        for address in addresses {
            match ask_one(&client, address, body.clone()).await {
                Ok(given) => return Ok(credentials(node_id, given, &key)),
                Err(Failure::Unreachable(why)) if why.contains(FOREIGN) => {
                    return Err(Failure::Refused(format!(
                        "cannot join through {address}: {FOREIGN}"
                    )));
                }
                Err(Failure::Unreachable(why)) => why_not.push(why),
                Err(final_one) => return Err(final_one),
            }
        }
        if let Some(Told::Fails(lasts)) = outage.look(begun.elapsed(), false) {
            eprintln!(
                "no certificate from the group for {} s, asking again: {}; --join names the peer address of a member, which its start-up line tells as 'peers on'",
                lasts.as_secs(),
                why_not.join("; ")
            );
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn credentials(node_id: u64, given: Given, key: &KeyPair) -> Credentials {
    let Given { authority, certificate } = given;
    Credentials { node_id, authority, certificate, key: key.serialize_pem() }
}

/// `Unreachable` where asking again may help.
async fn ask_one(client: &PeerClient, address: &str, body: Bytes) -> Outcome<Given> {
    let request = Request::post(client.member_url(address, "enroll"))
        .body(Full::new(body))
        .map_err(|e| Failure::Usage(format!("the address {address} cannot be used: {e}")))?;
    let sent = client.send(request, LIMIT).await;
    let answer = sent.map_err(|e| Failure::Unreachable(e.message))?;
    if answer.status() == StatusCode::OK {
        return serde_json::from_slice(answer.body()).map_err(failed);
    }
    let error: Option<evercube_base::Error> = serde_json::from_slice(answer.body()).ok();
    let why = error.map_or_else(|| format!("it answered {}", answer.status()), |e| e.message);
    Err(match answer.status() {
        StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST => {
            Failure::Refused(format!("the group refuses this server: {why}"))
        }
        _ => Failure::Unreachable(format!("the server at {address}: {why}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let token = Token { fingerprint: blake3::hash(b"ca"), secret: "abc".into() };
        assert_eq!(Token::parse(&format!("{}\n", token.to_text())), Some(token.clone()));
        for wrong in ["", "x.y.z", "evercube-join.00.abc", &format!("{}.x", token.to_text())] {
            assert_eq!(Token::parse(wrong), None, "{wrong}");
        }
    }
}
