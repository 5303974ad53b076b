//! Join tokens, and what a server that shows one is given: the group's authority signs for it.

use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::{Authority, Command, JoinToken, Reply};
use serde::Serialize;

use crate::access::told_no_more;
use crate::auth::require_admin;
use crate::call::Call;
use crate::once::{request_id, secret_bytes};
use crate::seal::SealingKey;
use crate::service::Service;

/// A join token as administrators see it; its secret is shown once, when it is made.
#[derive(Debug, Clone, Serialize)]
pub struct JoinTokenRow {
    pub name: String,
    pub created_by: String,
    /// Seconds since 1970.
    pub expires_unix: i64,
    pub uses: u32,
    /// Names of the servers that joined with it, or their numbers until they are members.
    pub used_by: Vec<String>,
}

/// What a token is to be.
#[derive(Debug, Clone)]
pub struct JoinTokenRequest {
    pub name: Option<String>,
    pub seconds: u32,
    pub uses: u32,
}

/// A new token: its secret, and the authority it is good for.
#[derive(Debug)]
pub struct NewJoinToken {
    pub name: String,
    pub secret: String,
    pub uses: u32,
    pub expires_unix: i64,
    pub authority: Authority,
}

const LONGEST: u32 = 366 * 24 * 3600;
const MOST_USES: u32 = 1000;

fn now_unix() -> i64 {
    chrono::Utc::now().timestamp()
}

impl Service {
    async fn propose_joining(&self, command: Command) -> Result<()> {
        match self.metastore.propose(command).await? {
            Reply::Done { .. } => Ok(()),
            Reply::Refused(e) => Err(e),
        }
    }

    /// Makes a token with which servers may join.
    ///
    /// # Errors
    /// `Conflict` in a group whose members do not prove who they are.
    pub async fn put_join_token(
        &self,
        call: &Call,
        asked: &JoinTokenRequest,
    ) -> Result<NewJoinToken> {
        require_admin(call.session.rules(), "Making a join token")?;
        let Some(authority) = self.metastore.state().joining.authority.clone() else {
            return Err(Error::new(
                ErrorKind::Conflict,
                "the members of this group do not prove to each other who they are (it was formed with --no-auth); servers of this machine join it with --no-auth and without a token",
            ));
        };
        if !(1..=LONGEST).contains(&asked.seconds) {
            return Err(Error::invalid("a join token is good for at most a year"));
        }
        if !(1..=MOST_USES).contains(&asked.uses) {
            return Err(Error::invalid(format!("a join token has 1 to {MOST_USES} uses")));
        }
        let id = request_id(call)?;
        self.see_all_commits().await?;
        let mut drawn = self.join_tokens_of(&id, asked.name.as_deref())?;
        if let Some(done) = self.answered(&id) {
            done?;
            return self.token_made(drawn, authority);
        }
        let (name, secret) = drawn.swap_remove(0);
        crate::access::need(&name, "join token")?;
        let created_unix = now_unix();
        let token = JoinToken {
            hash: *blake3::hash(secret.as_bytes()).as_bytes(),
            created_by: call.session.user.clone(),
            created_unix,
            expires_unix: created_unix + i64::from(asked.seconds),
            uses: asked.uses,
            used_by: Vec::new(),
        };
        let expires_unix = token.expires_unix;
        self.change_once(&id, Command::PutJoinToken { name: name.clone(), token }).await?;
        Ok(NewJoinToken { name, secret, uses: asked.uses, expires_unix, authority })
    }

    /// Name and secret of the token a request makes: under each key of the group, the newest first.
    fn join_tokens_of(
        &self,
        request_id: &str,
        name: Option<&str>,
    ) -> Result<Vec<(String, String)>> {
        let drawn = |key: &SealingKey| {
            let mut bytes = [0_u8; 36];
            secret_bytes(key, request_id, "join token", &mut bytes);
            let drawn = || format!("join-{}", hex::encode(&bytes[32..]));
            (name.map_or_else(drawn, str::to_owned), hex::encode(&bytes[..32]))
        };
        Ok(self.secret_keys()?.iter().map(drawn).collect())
    }

    /// The token that was made before, of those a request may have made.
    fn token_made(
        &self,
        drawn: Vec<(String, String)>,
        authority: Authority,
    ) -> Result<NewJoinToken> {
        let state = self.metastore.state();
        let asked = drawn.first().map_or_else(String::new, |(name, _)| name.clone());
        for (name, secret) in drawn {
            let Some(token) = state.joining.tokens.get(&name) else { continue };
            if blake3::Hash::from(token.hash) == blake3::hash(secret.as_bytes()) {
                let (uses, expires_unix) = (token.uses, token.expires_unix);
                return Ok(NewJoinToken { name, secret, uses, expires_unix, authority });
            }
        }
        Err(told_no_more("join token", &asked))
    }

    pub fn join_tokens(&self, call: &Call) -> Result<Vec<JoinTokenRow>> {
        require_admin(call.session.rules(), "Listing join tokens")?;
        let state = self.metastore.state();
        let name_of = |id: &u64| match (state.members.get(id), state.removed.get(id)) {
            (Some(member), _) => member.name.clone(),
            (None, Some(name)) => format!("{name} (removed)"),
            (None, None) => format!("{id:x}"),
        };
        let tokens = state.joining.tokens.iter().map(|(name, t)| JoinTokenRow {
            name: name.clone(),
            created_by: t.created_by.clone(),
            expires_unix: t.expires_unix,
            uses: t.uses,
            used_by: t.used_by.iter().map(name_of).collect(),
        });
        Ok(tokens.collect())
    }

    /// The token lets no further server in; those that came in with it stay.
    pub async fn delete_join_token(&self, call: &Call, name: &str) -> Result<()> {
        require_admin(call.session.rules(), "Removing a join token")?;
        let id = request_id(call)?;
        let command = Command::DeleteJoinToken { name: name.to_owned() };
        self.change_once(&id, command).await.map(drop)
    }

    /// The authority that signs for a server which shows this secret.
    ///
    /// # Errors
    /// `Denied` where the token does not let it in; `Unavailable` while the group takes no writes.
    pub async fn admit_by_token(&self, secret: &str, server: u64) -> Result<Authority> {
        let hash = *blake3::hash(secret.as_bytes()).as_bytes();
        let command = Command::UseJoinToken { hash, server, now_unix: now_unix() };
        self.propose_joining(command).await?;
        self.authority().ok_or_else(|| Error::internal("the group has no authority"))
    }

    /// The authority that signs for the members, where they prove who they are.
    pub fn authority(&self) -> Option<Authority> {
        self.metastore.state().joining.authority.clone()
    }

    /// The certificates of all authorities whose members are trusted, the present one first.
    pub fn trusted_authorities(&self) -> Vec<String> {
        let state = self.metastore.state();
        state.joining.trusted().into_iter().map(str::to_owned).collect()
    }

    /// Makes what a founding server drew the group's authority.
    pub async fn record_authority(&self, authority: Authority) -> Result<()> {
        self.propose_joining(Command::PutAuthority(authority)).await
    }

    /// Why the server with this id, which the group's authority signed for, is not answered on a
    /// path; `says` is which member the message claims to be from.
    ///
    /// One that was not taken in yet may only ask for that and follow the consensus.
    pub fn stranger(&self, id: u64, says: Option<&str>, path: &str) -> Option<Error> {
        const INVITED: [&str; 5] =
            ["raft/join", "raft/who", "raft/append", "raft/vote", "raft/snapshot"];
        let state = self.metastore.state();
        if let Some(name) = state.removed.get(&id) {
            return Some(evercube_metastore::removed(name));
        }
        let claimed = says.and_then(|s| s.rsplit_once('/')).map(|(_, member)| member);
        if claimed.is_some_and(|member| member.parse() != Ok(id)) {
            return Some(Error::new(
                ErrorKind::Denied,
                "the certificate shown belongs to another member than the one the message says it comes from",
            ));
        }
        // A server that has just started knows nobody yet, and takes the authority's word.
        let known = state.members.is_empty() || state.members.contains_key(&id);
        if known || INVITED.contains(&path) {
            return None;
        }
        // A server of a history that was left must hear so: with others of it, it would go on.
        if let Some(left) = says.and_then(|says| self.refusal(says)) {
            return Some(left);
        }
        Some(Error::new(ErrorKind::Denied, "this server is not a member of the group yet"))
    }
}
