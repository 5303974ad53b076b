//! The keys of an issuer, as it publishes them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use evercube_base::{Error, Result};
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm};
use serde::Deserialize;

/// Keys that may have signed a token.
#[derive(Debug, Clone, Default)]
pub struct KeySet(Vec<Key>);

#[derive(Debug, Clone)]
pub(super) struct Key {
    kid: Option<String>,
    /// The one algorithm it is for, where it says so.
    alg: Option<String>,
    material: Material,
}

#[derive(Debug, Clone)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// A point: 4, x, y.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// Keys an issuer may have at once.
const MOST: usize = 100;

impl KeySet {
    /// Reads a key document. Keys of kinds that are not known here are left out, as the
    /// specification wants it.
    ///
    /// # Errors
    /// `Invalid` for what is no key document, or has no key that can be used.
    pub fn read(document: &[u8]) -> Result<Self> {
        let read: Document = serde_json::from_slice(document)
            .map_err(|e| Error::invalid(format!("the issuer's keys cannot be read: {e}")))?;
        let jwks = read.keys.into_iter().take(MOST);
        let jwks = jwks.filter_map(|k| serde_json::from_value::<Jwk>(k).ok());
        let keys: Vec<Key> = jwks.filter_map(Key::of).collect();
        if keys.is_empty() {
            return Err(Error::invalid("the issuer publishes no key that can be used"));
        }
        Ok(Self(keys))
    }

    /// The key a token names; without a name, all.
    pub(super) fn candidates<'a>(&'a self, kid: Option<&'a str>) -> impl Iterator<Item = &'a Key> {
        self.0.iter().filter(move |k| kid.is_none() || k.kid.as_deref() == kid)
    }
}

impl Key {
    fn of(jwk: Jwk) -> Option<Self> {
        if jwk.usage.as_deref().is_some_and(|u| u != "sig") {
            return None;
        }
        let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
        let point = |length: usize| {
            let (x, y) = (bytes(&jwk.x)?, bytes(&jwk.y)?);
            let fits = x.len() == length && y.len() == length;
            fits.then(|| [&[4][..], &x, &y].concat())
        };
        let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => Material::Rsa { n: bytes(&jwk.n)?, e: bytes(&jwk.e)? },
            ("EC", Some("P-256")) => Material::P256(point(32)?),
            ("EC", Some("P-384")) => Material::P384(point(48)?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes(&jwk.x)?),
            _ => return None,
        };
        Some(Self { kid: jwk.kid, alg: jwk.alg, material })
    }

    /// Whether the key signed the text by the algorithm the token names, which must be one of this
    /// kind of key.
    pub(super) fn verifies(&self, alg: &str, signed: &str, signature: &[u8]) -> bool {
        if self.alg.as_deref().is_some_and(|own| own != alg) {
            return false;
        }
        let plain = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
            let key = signature::UnparsedPublicKey::new(algorithm, key);
            key.verify(signed.as_bytes(), signature).is_ok()
        };
        match (&self.material, alg) {
            (Material::Rsa { n, e }, _) => rsa(alg).is_some_and(|algorithm| {
                let key = RsaPublicKeyComponents { n, e };
                key.verify(algorithm, signed.as_bytes(), signature).is_ok()
            }),
            (Material::P256(key), "ES256") => plain(&signature::ECDSA_P256_SHA256_FIXED, key),
            (Material::P384(key), "ES384") => plain(&signature::ECDSA_P384_SHA384_FIXED, key),
            (Material::Ed25519(key), "EdDSA" | "Ed25519") => plain(&signature::ED25519, key),
            _ => false,
        }
    }
}

fn rsa(alg: &str) -> Option<&'static RsaParameters> {
    Some(match alg {
        "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
        "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
        "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
        "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
        "PS384" => &signature::RSA_PSS_2048_8192_SHA384,
        "PS512" => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}
