//! The group's certificate authority: made by the founder, kept by the group, and asked by every
//! member for its certificates.

use std::time::Duration;

use evercube_metastore::Authority;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm,
};
use rustls::pki_types::CertificateDer;

use super::failed;
use crate::failure::Outcome;

/// The name every member's certificate holds: members know each other as members of the group, and
/// reach each other under any address.
pub const MEMBER_NAME: &str = "member.evercube.internal";
/// Clocks of servers differ.
const BEFORE: Duration = Duration::from_secs(24 * 3600);
/// How long the authority itself is good for.
const AUTHORITY_LIFE: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn valid_for(params: &mut CertificateParams, life: Duration) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let now = Duration::from_secs(chrono::Utc::now().timestamp().unsigned_abs());
    params.not_before = epoch + now.saturating_sub(BEFORE);
    params.not_after = epoch + now + life;
}

/// The name of an authority tells it from others.
fn authority_params(key: &KeyPair) -> Outcome<CertificateParams> {
    let mut params = CertificateParams::new(Vec::<String>::new()).map_err(failed)?;
    let print = blake3::hash(key.der_bytes()).to_hex();
    params.distinguished_name = named(&format!("Evercube group {}", &print[..16]));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    valid_for(&mut params, AUTHORITY_LIFE);
    Ok(params)
}

/// A new authority.
pub fn create() -> Outcome<Authority> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let certificate = authority_params(&key)?.self_signed(&key).map_err(failed)?;
    Ok(Authority { certificate: certificate.pem(), key: key.serialize_pem() })
}

/// The public key of a server, as it came over the network.
pub struct PublicKey(pub Vec<u8>);

impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// A certificate, as PEM, by which the server with this id and key is a member.
pub fn issue(
    authority: &Authority,
    id: u64,
    key: &impl PublicKeyData,
    life: Duration,
) -> Outcome<String> {
    let issuer_key = KeyPair::from_pem(&authority.key).map_err(failed)?;
    let issuer = Issuer::new(authority_params(&issuer_key)?, issuer_key);
    let names = vec![MEMBER_NAME.to_owned(), format!("{id:x}.{MEMBER_NAME}")];
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params.distinguished_name = named("Evercube member");
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    valid_for(&mut params, life);
    Ok(params.signed_by(key, &issuer).map_err(failed)?.pem())
}

/// The id of the member a certificate belongs to.
pub fn member_of(certificate: &CertificateDer<'_>) -> Option<u64> {
    let parsed = webpki::EndEntityCert::try_from(certificate).ok()?;
    let ids = parsed.valid_dns_names().filter_map(|name| {
        let id = name.strip_suffix(MEMBER_NAME)?.strip_suffix('.')?;
        u64::from_str_radix(id, 16).ok()
    });
    ids.last()
}
