//! The keys of the OpenID Connect issuer: found by its address, fetched when a token needs one that
//! is not here yet, and again from time to time.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use evercube_base::{Error, ErrorKind, Result};
use evercube_service::auth::Identity;
use evercube_service::bearer::keys::KeySet;
use evercube_service::bearer::{IssuerConfig, Unchecked};
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;

use crate::tls;
use crate::transport::connect::Connector;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(10);
const LARGEST: usize = 1 << 20;
/// Keys are fetched again after this, so that those the issuer takes back end.
const FRESH: Duration = Duration::from_secs(3600);
/// Between two fetches because of unknown keys, whatever tokens are sent.
const PAUSE: Duration = Duration::from_secs(2);
/// How long keys count while the issuer is not reached.
const STALE: Duration = Duration::from_secs(24 * 3600);

struct Known {
    keys: Arc<KeySet>,
    fetched: Instant,
}

pub struct Issuer {
    config: IssuerConfig,
    client: Client<Connector, Full<Bytes>>,
    known: RwLock<Option<Known>>,
    /// When the issuer was last asked, whether it answered or not; held while it is asked.
    asked: tokio::sync::Mutex<Option<Instant>>,
}

fn unreachable(why: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("the issuer of bearer tokens cannot be asked: {why}"),
    )
}

impl Issuer {
    /// `tls` says whose certificates are taken.
    pub fn new(config: IssuerConfig, tls: ClientConfig) -> Self {
        let connector = Connector::new(tls, CONNECT_LIMIT, None);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { config, client, known: RwLock::default(), asked: tokio::sync::Mutex::default() }
    }

    /// Who a token says the caller is.
    ///
    /// # Errors
    /// `Denied` for a token that does not count, `Unavailable` where the issuer's keys are not
    /// known and cannot be fetched.
    pub async fn identify(&self, token: &str) -> Result<Identity> {
        let token = Unchecked::read(token)?;
        if token.issuer != self.config.issuer {
            return Err(Error::new(
                ErrorKind::Denied,
                "The bearer token is refused: it is of another issuer.",
            ));
        }
        let since = Instant::now();
        let mut keys = self.keys(FRESH);
        if !keys.as_ref().is_some_and(|keys| token.has_key_in(keys)) {
            let fetched = self.fetch_again(since).await;
            keys = self.keys(STALE);
            if keys.is_none() {
                fetched?;
            }
        }
        let keys = keys.ok_or_else(|| unreachable("its keys are not known yet"))?;
        token.check(&self.config, &keys, unix_now())
    }

    fn keys(&self, age: Duration) -> Option<Arc<KeySet>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|k| k.fetched.elapsed() < age).map(|k| Arc::clone(&k.keys))
    }

    /// Fetches the keys, unless somebody did `since` then: once however many ask at the same time, and
    /// after a pause, so that a new key counts at once and none is looked for all the time.
    async fn fetch_again(&self, since: Instant) -> Result<()> {
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|at| at >= since) {
            return Err(unreachable("it was asked a moment ago and did not answer well"));
        }
        if let Some(rest) = asked.and_then(|at| PAUSE.checked_sub(at.elapsed())) {
            tokio::time::sleep(rest).await;
        }
        *asked = Some(Instant::now());
        let done = tokio::time::timeout(LIMIT, self.fetch()).await;
        let keys = done.map_err(|_| unreachable("it takes too long to answer")).flatten();
        let keys = keys.inspect_err(|e| tracing::warn!("{e}"))?;
        *self.known.write().unwrap_or_else(PoisonError::into_inner) =
            Some(Known { keys: Arc::new(keys), fetched: Instant::now() });
        Ok(())
    }

    async fn fetch(&self) -> Result<KeySet> {
        #[derive(serde::Deserialize)]
        struct Discovery {
            issuer: String,
            jwks_uri: String,
        }
        let base = self.config.issuer.trim_end_matches('/');
        let found = self.get(&format!("{base}/.well-known/openid-configuration")).await?;
        let found: Discovery = serde_json::from_slice(&found)
            .map_err(|e| unreachable(format!("its description cannot be read: {e}")))?;
        if found.issuer != self.config.issuer {
            return Err(unreachable(format!(
                "it calls itself '{}'; the setting oidc_issuer must say exactly that",
                found.issuer
            )));
        }
        KeySet::read(&self.get(&found.jwks_uri).await?)
    }

    async fn get(&self, address: &str) -> Result<Bytes> {
        let uri: Uri =
            address.parse().map_err(|_| unreachable(format!("'{address}' is no URL")))?;
        if !may_be_asked(&uri) {
            return Err(unreachable(format!("'{address}' is not encrypted")));
        }
        let request = Request::get(uri)
            .header(header::ACCEPT, "application/json")
            .body(Full::default())
            .map_err(unreachable)?;
        let answer = self.client.request(request).await;
        let answer =
            answer.map_err(|e| unreachable(format!("{address}: {}", tls::explained(&e))))?;
        if answer.status() != StatusCode::OK {
            return Err(unreachable(format!("{address} answers {}", answer.status())));
        }
        let body = Limited::new(answer.into_body(), LARGEST).collect().await;
        Ok(body.map_err(|e| unreachable(format!("{address}: {e}")))?.to_bytes())
    }
}

/// Keys that somebody on the way could change prove nothing.
pub fn may_be_asked(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let near = host == "localhost" || host.parse().is_ok_and(|a: std::net::IpAddr| a.is_loopback());
    match uri.scheme_str() {
        Some("https") => true,
        Some("http") => near,
        _ => false,
    }
}

fn unix_now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_encrypted_connections_or_from_this_machine() {
        for (address, may) in [
            ("https://login.example.com/x", true),
            ("http://127.0.0.1:9000/jwks", true),
            ("http://localhost:9000/jwks", true),
            ("http://[::1]:9000/jwks", true),
            ("http://login.example.com/jwks", false),
            ("http://127.0.0.1.example.com/jwks", false),
            ("file:///etc/passwd", false),
        ] {
            assert_eq!(address.parse().is_ok_and(|uri: Uri| may_be_asked(&uri)), may, "{address}");
        }
    }
}
