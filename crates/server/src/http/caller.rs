//! Who asks: a login cookie, an API token, Basic credentials, or everyone where authentication is off.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use evercube_base::ErrorKind;
use evercube_service::auth::Identity;

use super::answer::{Answer, challenge};
use super::asked::Asked;
use super::{ServerState, audit};

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
    if let Some(identity) = asked.cookie(LOGIN_COOKIE).and_then(|c| service.from_login_cookie(c)) {
        return Ok(Caller { identity, cookie: None });
    }
    if let Some(secret) = asked.header("authorization").and_then(bearer) {
        let known = service.authenticate_token(secret).map_err(|e| {
            audit::signed_in(state, asked, from, "", "token", Some(e.kind));
            challenge()
        })?;
        audit::signed_in(state, asked, from, &known.user, "token", None);
        return Ok(Caller { identity: known, cookie: None });
    }
    let (user, password) =
        asked.header("authorization").and_then(credentials).ok_or_else(challenge)?;
    let (checking, name) = (Arc::clone(service), user.clone());
    // The hash takes its time: not on a network thread.
    let checked =
        tokio::task::spawn_blocking(move || checking.authenticate(&user, &password)).await;
    match checked {
        Ok(Ok(identity)) => {
            audit::signed_in(state, asked, from, &identity.user, "password", None);
            let cookie = service.login_cookie(&identity).ok();
            Ok(Caller { identity, cookie })
        }
        _ => {
            audit::signed_in(state, asked, from, &name, "password", Some(ErrorKind::Denied));
            Err(challenge())
        }
    }
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
