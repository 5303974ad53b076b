use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use serde_json::json;

use super::keys::KeySet;
use super::*;

const NOW: i64 = 1_800_000_000;
const ISSUER: &str = "https://login.example.com";

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa() -> RsaKeyPair {
    // Made for this test and used nowhere else.
    RsaKeyPair::from_pkcs8(include_bytes!("test-key.der")).unwrap()
}

fn rsa_parts(key: &RsaKeyPair) -> (String, String) {
    let public = signature::RsaPublicKeyComponents::<Vec<u8>>::from(key.public());
    (b64(public.n), b64(public.e))
}

fn jwks(key: &RsaKeyPair) -> KeySet {
    let (n, e) = rsa_parts(key);
    let document = json!({ "keys": [
        { "kty": "RSA", "kid": "other", "use": "enc", "n": n, "e": e },
        { "kty": "unheard of" },
        { "kty": "RSA", "kid": "k1", "use": "sig", "n": n, "e": e },
    ] });
    KeySet::read(document.to_string().as_bytes()).unwrap()
}

fn config() -> IssuerConfig {
    IssuerConfig {
        issuer: ISSUER.into(),
        audiences: vec!["api://evercube".into()],
        user_claim: "preferred_username".into(),
        groups_claim: "groups".into(),
        administrators: vec!["Admins".into()],
    }
}

fn claims() -> Json {
    json!({ "iss": ISSUER, "aud": "api://evercube", "sub": "s1", "exp": NOW + 600, "nbf": NOW,
        "preferred_username": "Ann@Example.com", "groups": ["Sales", "Admins"] })
}

fn token(header: &Json, claims: &Json, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let signed = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
    let signature = b64(sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn rs256(key: &RsaKeyPair, header: &Json, claims: &Json) -> String {
    token(header, claims, |text| {
        let mut out = vec![0; key.public().modulus_len()];
        key.sign(&signature::RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut out).unwrap();
        out
    })
}

fn check(token: &str, keys: &KeySet) -> Result<Identity, String> {
    Unchecked::read(token).and_then(|t| t.check(&config(), keys, NOW)).map_err(|e| e.message)
}

#[test]
fn a_token_of_the_issuer_says_who_the_caller_is() {
    let key = rsa();
    let token = rs256(&key, &json!({ "alg": "RS256", "kid": "k1" }), &claims());
    let identity = check(&token, &jwks(&key)).unwrap();
    assert_eq!((identity.user.as_str(), identity.is_admin), ("Ann@Example.com", true));
    assert_eq!(identity.groups, ["Admins", "Sales"]);
    // A program has no such name.
    let mut of_program = claims();
    of_program.as_object_mut().unwrap().remove("preferred_username");
    of_program["groups"] = json!("Sales");
    of_program["aud"] = json!(["x", "api://evercube"]);
    let token = rs256(&key, &json!({ "alg": "RS256" }), &of_program);
    let identity = check(&token, &jwks(&key)).unwrap();
    assert_eq!((identity.user.as_str(), identity.is_admin), ("s1", false));
}

#[test]
fn what_is_wrong_with_a_token_refuses_it() {
    let key = rsa();
    let keys = jwks(&key);
    let header = json!({ "alg": "RS256", "kid": "k1" });
    let with = |claim: &str, value: Json| {
        let mut all = claims();
        all[claim] = value;
        rs256(&key, &header, &all)
    };
    let without = |claim: &str| {
        let mut all = claims();
        all.as_object_mut().unwrap().remove(claim);
        rs256(&key, &header, &all)
    };
    for (token, why) in [
        (with("exp", json!(NOW - 61)), "expired"),
        (with("exp", json!("soon")), "no time"),
        (with("exp", json!(null)), "no time"),
        (without("exp"), "never expires"),
        (with("nbf", json!(NOW + 61)), "not valid yet"),
        (with("nbf", json!("0")), "no time"),
        (with("iat", json!(NOW + 3600)), "not valid yet"),
        (with("iss", json!("https://login.example.com/")), "another issuer"),
        (without("iss"), "another issuer"),
        (with("aud", json!("api://other")), "another audience"),
        (with("aud", json!([1])), "names no audience"),
        (without("aud"), "names no audience"),
        (with("preferred_username", json!("a\nb")), "no name has"),
        (with("preferred_username", json!("nna\u{202e}")), "no name has"),
        (with("preferred_username", json!("")), "who the caller is"),
        (rs256(&key, &json!({ "alg": "RS256", "kid": "k2" }), &claims()), "no such key"),
        (rs256(&key, &json!({ "alg": "RS256", "kid": "other" }), &claims()), "no such key"),
        (rs256(&key, &json!({ "alg": "RS384", "kid": "k1" }), &claims()), "signature"),
        (rs256(&key, &json!({ "alg": "RS256", "crit": ["b64"] }), &claims()), "extension"),
        ("a.b".to_owned(), "neither"),
        ("a.b.c.d".to_owned(), "neither"),
        ("x".repeat(20_000), "too long"),
    ] {
        let refused = check(&token, &keys).expect_err(why);
        assert!(refused.contains(why), "{refused} is not about: {why}");
    }
    // Clocks may differ by a minute.
    assert!(check(&with("exp", json!(NOW - 59)), &keys).is_ok());
    assert!(check(&with("nbf", json!(NOW + 59)), &keys).is_ok());
}

/// The public key taken for a shared secret, no signature at all, and a signature of something else.
#[test]
fn no_token_chooses_how_it_is_checked() {
    let key = rsa();
    let keys = jwks(&key);
    let (n, e) = rsa_parts(&key);
    for secret in [n.as_bytes(), e.as_bytes(), key.public().as_ref(), b"" as &[u8]] {
        let hmac = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
        let forged = token(&json!({ "alg": "HS256", "kid": "k1" }), &claims(), |text| {
            ring::hmac::sign(&hmac, text).as_ref().to_vec()
        });
        assert!(check(&forged, &keys).unwrap_err().contains("signature"));
    }
    for alg in ["none", "None", "NONE", "", "RS256", "ES256", "EdDSA"] {
        let forged = token(&json!({ "alg": alg }), &claims(), |_| Vec::new());
        assert!(check(&forged, &keys).unwrap_err().contains("signature"), "{alg}");
    }
    let good = rs256(&key, &json!({ "alg": "RS256", "kid": "k1" }), &claims());
    let signature = good.rsplit_once('.').unwrap().1;
    let mut other = claims();
    other["preferred_username"] = json!("root");
    let swapped = token(&json!({ "alg": "RS256", "kid": "k1" }), &other, |_| Vec::new());
    assert!(check(&format!("{swapped}{signature}"), &keys).is_err());
    for at in (0..good.len()).step_by(7) {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(check(&changed, &keys).is_err(), "a changed character at {at}");
    }
}

#[test]
fn curves_sign_too_and_each_key_only_as_its_own_kind() {
    let random = SystemRandom::new();
    let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let p256 = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let ed = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
    let point = p256.public_key().as_ref();
    let document = json!({ "keys": [
        { "kty": "EC", "kid": "p", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..]) },
        { "kty": "OKP", "kid": "e", "crv": "Ed25519", "x": b64(ed.public_key()) },
    ] });
    let keys = KeySet::read(document.to_string().as_bytes()).unwrap();
    let es256 = |kid: &str, alg: &str| {
        token(&json!({ "alg": alg, "kid": kid }), &claims(), |text| {
            p256.sign(&random, text).unwrap().as_ref().to_vec()
        })
    };
    let eddsa = token(&json!({ "alg": "EdDSA", "kid": "e" }), &claims(), |text| {
        ed.sign(text).as_ref().to_vec()
    });
    assert!(check(&es256("p", "ES256"), &keys).is_ok());
    assert!(check(&eddsa, &keys).is_ok());
    for wrong in [es256("p", "RS256"), es256("p", "EdDSA"), es256("e", "ES256")] {
        assert!(check(&wrong, &keys).unwrap_err().contains("signature"));
    }
}
