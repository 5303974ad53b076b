//! Who asks: a login cookie, a token of the group or of the issuer, Basic credentials, or everyone
//! where authentication is off.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use evercube_base::ErrorKind;
use evercube_service::access::is_of_group;
use evercube_service::auth::Identity;
use tokio::sync::Semaphore;

use super::answer::{Answer, challenge, failed, refused, too_many};
use super::asked::Asked;
use super::{ServerState, audit};

/// A token of the group, for programs that cannot set `Authorization`.
const API_KEY: &str = "x-api-key";
pub const LOGIN_COOKIE: &str = "evercube-login";

pub struct Caller {
    pub identity: Identity,
    /// A login cookie to give back, after a password was checked.
    pub cookie: Option<String>,
}

/// Finds the caller, or the refusal to send.
pub async fn find(
    state: &Arc<ServerState>,
    asked: &Asked,
    from: Option<IpAddr>,
) -> Result<Caller, Answer> {
    let service = &state.service;
    if service.config.no_auth {
        return Ok(Caller { identity: Identity::everyone(), cookie: None });
    }
    let authorization = asked.header("authorization");
    // Who says who it is is nobody else because of a cookie that came along.
    let says_nothing = ["authorization", API_KEY].iter().all(|n| !asked.headers.contains_key(*n));
    let cookie = asked.cookie(LOGIN_COOKIE).filter(|_| says_nothing);
    if let Some(identity) = cookie.and_then(|c| service.from_login_cookie(c)) {
        return Ok(Caller { identity, cookie: None });
    }
    if let Some(token) = authorization.and_then(bearer).or_else(|| asked.header(API_KEY)) {
        return by_token(state, asked, from, token).await;
    }
    let (user, password) =
        authorization.and_then(credentials).ok_or_else(|| challenge(state.issuer.is_some()))?;
    by_password(state, asked, from, user, password).await
}

/// A token of the group, or of the issuer.
async fn by_token(
    state: &Arc<ServerState>,
    asked: &Asked,
    from: Option<IpAddr>,
    token: &str,
) -> Result<Caller, Answer> {
    let (found, how) = match (&state.issuer, is_of_group(token)) {
        (Some(issuer), false) => (issuer.identify(token).await, "bearer"),
        _ => (state.service.authenticate_token(token), "token"),
    };
    match found {
        Ok(identity) => {
            audit::signed_in(state, asked, from, &identity.user, how, None);
            Ok(Caller { identity, cookie: None })
        }
        Err(e) if e.kind == ErrorKind::Denied => {
            audit::signed_in(state, asked, from, "", how, Some(e.kind));
            Err(refused(&e, state.issuer.is_some()))
        }
        Err(e) => Err(failed(&e)),
    }
}

/// Passwords that are checked at once, each with some memory, and callers that wait for that.
static CHECKS: Semaphore = Semaphore::const_new(4);
static WAITING: AtomicUsize = AtomicUsize::new(0);
const MOST_WAITING: usize = 256;

async fn by_password(
    state: &Arc<ServerState>,
    asked: &Asked,
    from: Option<IpAddr>,
    user: String,
    password: String,
) -> Result<Caller, Answer> {
    let service = &state.service;
    let address = from.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    if let Some(wait) = service.attempts.wait(&user, address, Instant::now()) {
        audit::signed_in(state, asked, from, &user, "locked out", Some(ErrorKind::Denied));
        return Err(too_many(wait));
    }
    // Programs that know no other way may send a token of theirs as the password.
    let found = match service.authenticate_again(&user, &password) {
        Some(identity) => Some(identity),
        None if is_of_group(&password) => {
            let known = service.authenticate_token(&password).ok();
            known.filter(|i| i.user.eq_ignore_ascii_case(&user))
        }
        None => checked(state, user.clone(), password).await?,
    };
    let Some(identity) = found else {
        service.attempts.failed(&user, address, Instant::now());
        audit::signed_in(state, asked, from, &user, "password", Some(ErrorKind::Denied));
        return Err(challenge(state.issuer.is_some()));
    };
    service.attempts.succeeded(&identity.user, address, Instant::now());
    audit::signed_in(state, asked, from, &identity.user, "password", None);
    let cookie = service.login_cookie(&identity).ok();
    Ok(Caller { identity, cookie })
}

/// Checks a password that was not right before: that takes its time, and not on a network thread.
async fn checked(
    state: &Arc<ServerState>,
    user: String,
    password: String,
) -> Result<Option<Identity>, Answer> {
    if WAITING.fetch_add(1, Ordering::Relaxed) >= MOST_WAITING {
        WAITING.fetch_sub(1, Ordering::Relaxed);
        return Err(too_many(Duration::from_secs(1)));
    }
    let turn = CHECKS.acquire().await;
    WAITING.fetch_sub(1, Ordering::Relaxed);
    let service = Arc::clone(&state.service);
    let task = tokio::task::spawn_blocking(move || service.authenticate(&user, &password).ok());
    let found = task.await.unwrap_or_default();
    drop(turn);
    Ok(found)
}

/// The token of a `Bearer` header.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, rest) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| rest.trim())
}

/// User and password of a `Basic` header.
fn credentials(header: &str) -> Option<(String, String)> {
    let (scheme, rest) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(rest.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    // Windows clients send DOMAIN\user.
    let user = user.rsplit('\\').next().unwrap_or(user);
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_are_read() {
        let given = |h: &str| credentials(h).map(|(u, p)| format!("{u}/{p}"));
        assert_eq!(given("Basic dTpwdw==").as_deref(), Some("u/pw"));
        assert_eq!(given("basic ZG9tXHU6cDpx").as_deref(), Some("u/p:q"));
        assert_eq!(given("Bearer x"), None);
        assert_eq!((bearer("bearer a.b "), bearer("Basic x")), (Some("a.b"), None));
        assert_eq!(given("Basic !"), None);
    }
}
