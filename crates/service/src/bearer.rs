//! Bearer tokens of an OpenID Connect issuer: a signed statement of who the caller is.
//!
//! Pure: the issuer's keys are given. The key decides which algorithms may have signed, so that no
//! token chooses how it is checked; symmetric algorithms and `none` are never among them.

pub mod keys;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use evercube_base::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::access::steers;
use crate::auth::Identity;
use keys::KeySet;

/// An issuer whose tokens count here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IssuerConfig {
    /// Its address, exactly as it stands in its tokens.
    pub issuer: String,
    /// One of these must be among the token's audiences.
    pub audiences: Vec<String>,
    /// The claim with the caller's name; where a token has none, `sub` counts.
    pub user_claim: String,
    pub groups_claim: String,
    /// Groups whose members are server administrators.
    pub administrators: Vec<String>,
}

/// Seconds that clocks may differ.
const SKEW: i64 = 60;
const LONGEST: usize = 16 << 10;
/// They travel in headers from member to member.
const MOST_GROUPS: usize = 200;

fn refused(why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Denied, format!("The bearer token is refused: {why}."))
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that must be understood; none are.
    crit: Option<Json>,
}

/// A token taken apart, not checked yet.
#[derive(Debug)]
pub struct Unchecked<'a> {
    alg: String,
    pub kid: Option<String>,
    /// Who it says made it.
    pub issuer: String,
    signed: &'a str,
    signature: Vec<u8>,
    claims: Map<String, Json>,
}

impl<'a> Unchecked<'a> {
    /// # Errors
    /// `Denied` for what is no signed token.
    pub fn read(token: &'a str) -> Result<Self> {
        if token.len() > LONGEST {
            return Err(refused("it is too long"));
        }
        let wrong = || refused("it is neither a token of this group nor a signed JSON web token");
        let (signed, signature) = token.rsplit_once('.').ok_or_else(wrong)?;
        let (header, claims) = signed.split_once('.').ok_or_else(wrong)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| wrong());
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| wrong())?;
        let claims: Map<String, Json> =
            serde_json::from_slice(&decode(claims)?).map_err(|_| wrong())?;
        if header.crit.is_some() {
            return Err(refused("its header asks for an extension that is not known here"));
        }
        let issuer = claims.get("iss").and_then(Json::as_str).unwrap_or_default().to_owned();
        let signature = decode(signature)?;
        Ok(Self { alg: header.alg, kid: header.kid, issuer, signed, signature, claims })
    }

    /// Whether one of the keys may have signed it.
    pub fn has_key_in(&self, keys: &KeySet) -> bool {
        keys.candidates(self.kid.as_deref()).next().is_some()
    }

    /// Checks signature, issuer, audience and time.
    ///
    /// # Errors
    /// `Denied`, saying which of them is wrong.
    pub fn check(&self, config: &IssuerConfig, keys: &KeySet, now_unix: i64) -> Result<Identity> {
        let mut candidates = keys.candidates(self.kid.as_deref()).peekable();
        if candidates.peek().is_none() {
            return Err(refused("the issuer has no such key"));
        }
        if !candidates.any(|key| key.verifies(&self.alg, self.signed, &self.signature)) {
            return Err(refused("its signature is not one of its issuer's"));
        }
        if self.issuer != config.issuer {
            return Err(refused("it is of another issuer"));
        }
        if !self.audiences()?.iter().any(|a| config.audiences.contains(a)) {
            return Err(refused("it is meant for another audience"));
        }
        let expires = self.time("exp")?.ok_or_else(|| refused("it never expires"))?;
        if now_unix >= expires.saturating_add(SKEW) {
            return Err(refused("it has expired"));
        }
        for claim in ["nbf", "iat"] {
            if self.time(claim)?.is_some_and(|t| now_unix < t.saturating_sub(SKEW)) {
                return Err(refused("it is not valid yet; compare the clocks"));
            }
        }
        self.identity(config)
    }

    fn audiences(&self) -> Result<Vec<String>> {
        let wrong = || refused("it names no audience");
        match self.claims.get("aud") {
            Some(Json::String(one)) => Ok(vec![one.clone()]),
            Some(Json::Array(all)) => {
                all.iter().map(|a| a.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
            }
            _ => Err(wrong()),
        }
    }

    /// A time of the token in seconds; one that is there and is no number refuses the token.
    fn time(&self, claim: &str) -> Result<Option<i64>> {
        match self.claims.get(claim) {
            None => Ok(None),
            Some(Json::Number(n)) => {
                #[expect(clippy::cast_possible_truncation, reason = "saturates")]
                let seconds = n.as_i64().or_else(|| n.as_f64().map(|f| f as i64));
                seconds.map(Some).ok_or_else(|| refused(format!("its '{claim}' is no time")))
            }
            Some(_) => Err(refused(format!("its '{claim}' is no time"))),
        }
    }

    fn identity(&self, config: &IssuerConfig) -> Result<Identity> {
        let text = |claim: &str| self.claims.get(claim).and_then(Json::as_str);
        let user = text(&config.user_claim).or_else(|| text("sub")).map(str::trim);
        let user = user.filter(|u| !u.is_empty() && u.len() <= 300);
        let user = user.ok_or_else(|| refused("it does not say who the caller is"))?;
        if user.chars().any(steers) {
            return Err(refused("the caller's name holds characters no name has"));
        }
        let groups: BTreeSet<String> = match self.claims.get(&config.groups_claim) {
            Some(Json::String(one)) => BTreeSet::from([one.clone()]),
            Some(Json::Array(all)) => {
                all.iter().filter_map(Json::as_str).take(MOST_GROUPS).map(str::to_owned).collect()
            }
            _ => BTreeSet::new(),
        };
        let is_admin = config.administrators.iter().any(|a| groups.contains(a));
        Ok(Identity { user: user.to_owned(), is_admin, groups: groups.into_iter().collect() })
    }
}

#[cfg(test)]
mod tests;
