//! Who may come in: users, administrators, API tokens, the firewall. All of it is state of the
//! group, so every server knows it, one that joins included.

use std::collections::BTreeMap;
use std::net::IpAddr;

use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::{Command, FirewallRule, TokenEntry, UserEntry};
use serde::Serialize;

use crate::auth::{Identity, hash_password, is_password, password_of, require_admin};
use crate::call::Call;
use crate::objects::blocking;
use crate::once::{request_id, secret_bytes};
use crate::seal::SealingKey;
use crate::service::Service;

#[derive(Debug, Clone, Serialize)]
pub struct UserRow {
    pub name: String,
    pub admin: bool,
}

#[derive(Debug, Clone, Serialize)]
pub struct TokenRow {
    pub name: String,
    pub user: String,
    /// Seconds since 1970; null: it does not end.
    pub expires_unix: Option<i64>,
}

/// What was made, with the secret that is shown this once.
#[derive(Debug, Clone, Serialize)]
pub struct Made {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

const DAY: i64 = 24 * 3600;
/// What every token begins with, so that scanners of source code find stray ones.
const TOKEN_PREFIX: &str = "evercube_";

/// Whether a secret has the form of the group's tokens.
pub fn is_of_group(secret: &str) -> bool {
    secret.starts_with(TOKEN_PREFIX)
}

pub(crate) fn need(name: &str, what: &str) -> Result<()> {
    let fit = !name.is_empty() && name.len() <= 200 && !name.contains([':', '/', '\\']);
    let wrong = || Error::invalid(format!("'{name}' cannot be the name of a {what}"));
    if fit && !name.chars().any(steers) { Ok(()) } else { Err(wrong()) }
}

/// Whether a character changes how what follows is shown, so that a name looks like another one.
pub(crate) fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Of something that was made under a request id, and is not what was made any more.
pub(crate) fn told_no_more(what: &str, name: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "the {what} '{name}' was made under this request id, and was removed or replaced since; make another one"
        ),
    )
}

impl Service {
    /// Lets an administrator go on, on the newest state of the group; under which name the request
    /// is recorded.
    async fn may_change_access(&self, call: &Call) -> Result<String> {
        require_admin(call.session.rules(), "Changing who may come in")?;
        let id = request_id(call)?;
        self.see_all_commits().await?;
        Ok(id)
    }

    async fn change_access(&self, call: &Call, command: Command) -> Result<()> {
        let id = self.may_change_access(call).await?;
        self.change_once(&id, command).await.map(drop)
    }

    pub fn users(&self, call: &Call) -> Result<Vec<UserRow>> {
        require_admin(call.session.rules(), "Listing users")?;
        let state = self.metastore.state();
        let row = |(name, u): (&String, &UserEntry)| UserRow { name: name.clone(), admin: u.admin };
        Ok(state.users.iter().map(row).collect())
    }

    /// Makes a user, or gives one a new password. Without a password one is drawn.
    pub async fn put_user(
        &self,
        call: &Call,
        name: &str,
        password: Option<String>,
        admin: bool,
    ) -> Result<Made> {
        let id = self.may_change_access(call).await?;
        need(name, "user")?;
        let drawn = self.drawn_passwords(&id, name)?;
        let known = self.metastore.state().users.get(&name.to_lowercase()).cloned();
        if let Some(done) = self.answered(&id) {
            done?;
            let secret = self.which_is_right(known.filter(|_| password.is_none()), drawn).await?;
            return Ok(Made { name: name.to_lowercase(), secret });
        }
        if let Some(known) = known.as_ref().filter(|_| admin && password.is_none()) {
            if !known.admin {
                let command = Command::SetAdmin { name: name.to_owned(), admin: true };
                self.change_once(&id, command).await?;
            }
            return Ok(Made { name: name.to_lowercase(), secret: None });
        }
        let secret = drawn.into_iter().next().filter(|_| password.is_none());
        let chosen = password.or_else(|| secret.clone()).unwrap_or_default();
        if chosen.chars().count() < 8 {
            return Err(Error::invalid("a password has at least 8 characters"));
        }
        let password_hash = blocking(move || hash_password(&chosen)).await?;
        let admin = admin || known.is_some_and(|u| u.admin);
        let command = Command::PutUser { name: name.to_owned(), password_hash, admin };
        self.change_once(&id, command).await?;
        Ok(Made { name: name.to_lowercase(), secret })
    }

    /// The passwords a request draws for a user: under each key of the group, the newest first.
    fn drawn_passwords(&self, request_id: &str, name: &str) -> Result<Vec<String>> {
        let what = format!("password of {}", name.to_lowercase());
        let drawn = |key: &SealingKey| {
            let mut bytes = [0_u8; 256];
            secret_bytes(key, request_id, &what, &mut bytes);
            password_of(&bytes)
        };
        Ok(self.secret_keys()?.iter().map(drawn).collect())
    }

    /// The one of these passwords that is the user's; none where it was changed since.
    async fn which_is_right(
        &self,
        user: Option<UserEntry>,
        drawn: Vec<String>,
    ) -> Result<Option<String>> {
        let Some(user) = user else { return Ok(None) };
        let check = move || Ok(drawn.into_iter().find(|p| is_password(&user.password_hash, p)));
        blocking(check).await
    }

    pub async fn delete_user(&self, call: &Call, name: &str) -> Result<()> {
        let id = self.may_change_access(call).await?;
        if let Some(done) = self.answered(&id) {
            return done.map(drop);
        }
        if !self.metastore.state().users.contains_key(&name.to_lowercase()) {
            return Err(Error::not_found(format!("there is no user '{name}'")));
        }
        self.change_once(&id, Command::DeleteUser { name: name.to_owned() }).await.map(drop)
    }

    /// The user stays, without the rights of an administrator.
    pub async fn demote(&self, call: &Call, name: &str) -> Result<()> {
        let command = Command::SetAdmin { name: name.to_owned(), admin: false };
        self.change_access(call, command).await
    }

    pub fn tokens(&self, call: &Call) -> Result<Vec<TokenRow>> {
        require_admin(call.session.rules(), "Listing tokens")?;
        let state = self.metastore.state();
        let row = |(name, t): (&String, &TokenEntry)| TokenRow {
            name: name.clone(),
            user: t.user.clone(),
            expires_unix: t.expires_unix,
        };
        Ok(state.tokens.iter().map(row).collect())
    }

    /// Makes a token for a user; its secret is told once and kept as a hash.
    pub async fn put_token(
        &self,
        call: &Call,
        name: &str,
        user: Option<&str>,
        days: Option<u32>,
    ) -> Result<Made> {
        let id = self.may_change_access(call).await?;
        need(name, "token")?;
        let user = user.unwrap_or(&call.session.user).to_lowercase();
        let state = self.metastore.state();
        let secrets = self.tokens_of(&id, name)?;
        if let Some(done) = self.answered(&id) {
            done?;
            let known = state.tokens.get(name).map(|t| blake3::Hash::from(t.hash));
            let secret = secrets.into_iter().find(|s| known == Some(blake3::hash(s.as_bytes())));
            return match secret {
                Some(secret) => Ok(Made { name: name.to_owned(), secret: Some(secret) }),
                None => Err(told_no_more("token", name)),
            };
        }
        if !state.users.contains_key(&user) {
            return Err(Error::not_found(format!("there is no user '{user}'; add the user first")));
        }
        if state.tokens.contains_key(name) {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("there is a token '{name}' already; remove it first"),
            ));
        }
        let secret = secrets.into_iter().next().unwrap_or_default();
        let expires_unix = days.map(|d| chrono::Utc::now().timestamp() + i64::from(d) * DAY);
        let hash = *blake3::hash(secret.as_bytes()).as_bytes();
        let token = TokenEntry { hash, user, expires_unix };
        let name = name.to_owned();
        self.change_once(&id, Command::PutToken { name: name.clone(), token }).await?;
        Ok(Made { name, secret: Some(secret) })
    }

    /// The secrets of the token a request makes: under each key of the group, the newest first.
    fn tokens_of(&self, request_id: &str, name: &str) -> Result<Vec<String>> {
        let secret = |key: &SealingKey| {
            let mut bytes = [0_u8; 32];
            secret_bytes(key, request_id, &format!("token {name}"), &mut bytes);
            format!("{TOKEN_PREFIX}{}", hex::encode(bytes))
        };
        Ok(self.secret_keys()?.iter().map(secret).collect())
    }

    pub async fn delete_token(&self, call: &Call, name: &str) -> Result<()> {
        self.change_access(call, Command::DeleteToken { name: name.to_owned() }).await
    }

    /// The user a token stands for, with the rights that user has now.
    pub fn authenticate_token(&self, secret: &str) -> Result<Identity> {
        let hash = blake3::hash(secret.as_bytes());
        let state = self.metastore.state();
        let now = chrono::Utc::now().timestamp();
        let is_it = |t: &&TokenEntry| {
            blake3::Hash::from(t.hash) == hash && t.expires_unix.is_none_or(|end| now < end)
        };
        let found = state.tokens.values().find(is_it);
        let user = found.and_then(|t| Some((t.user.clone(), state.users.get(&t.user)?.admin)));
        user.map(|(user, is_admin)| Identity { user, is_admin, groups: Vec::new() })
            .ok_or_else(|| Error::new(ErrorKind::Denied, "The access token is not known here."))
    }

    pub fn firewall(&self, call: &Call) -> Result<BTreeMap<String, FirewallRule>> {
        require_admin(call.session.rules(), "Listing firewall rules")?;
        Ok(self.metastore.state().firewall.clone())
    }

    /// Lets clients in from a range of addresses; without any rule they come from anywhere.
    pub async fn put_firewall_rule(
        &self,
        call: &Call,
        name: &str,
        first: &str,
        last: Option<&str>,
    ) -> Result<Made> {
        need(name, "firewall rule")?;
        let address = |text: &str| {
            // One of version 4 is told as such, however it is written: so are those of clients.
            text.trim().parse::<IpAddr>().map(|a| a.to_canonical()).map_err(|_| {
                Error::invalid(format!(
                    "'{text}' is no address; write one as 10.0.0.1, and a range as its first and its last address, as 10.0.0.0 10.0.0.255"
                ))
            })
        };
        let first = address(first)?;
        let last = last.map_or(Ok(first), address)?;
        let rule = FirewallRule { first, last };
        if first.is_ipv4() != last.is_ipv4() {
            return Err(Error::invalid(format!(
                "{first} and {last} are of different kinds; both are of version 4, as 10.0.0.1, or both of version 6, as fd00::1"
            )));
        }
        if !rule.lets_in(first) {
            return Err(Error::invalid(format!("there is no address from {first} to {last}")));
        }
        let command = Command::PutFirewallRule { name: name.to_owned(), rule };
        self.change_access(call, command).await?;
        Ok(Made { name: name.to_owned(), secret: None })
    }

    pub async fn delete_firewall_rule(&self, call: &Call, name: &str) -> Result<()> {
        self.change_access(call, Command::DeleteFirewallRule { name: name.to_owned() }).await
    }

    /// Whether the firewall lets a client in; one on this machine always.
    pub fn lets_in(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        let state = self.metastore.state();
        client.is_loopback()
            || state.firewall.is_empty()
            || state.firewall.values().any(|rule| rule.lets_in(client))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_looks_like_itself() {
        for name in ["ann", "Jörg Müller", "דוד", "ann@example.com"] {
            assert!(need(name, "user").is_ok(), "{name}");
        }
        let long = "x".repeat(201);
        for name in ["", "a:b", "a/b", "a\\b", "a\nb", "nna\u{202e}", "\u{2067}x", &long] {
            assert!(need(name, "user").is_err(), "{name:?}");
        }
    }
}
