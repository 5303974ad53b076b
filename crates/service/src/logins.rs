//! Logins of data sources: a store of the group's own, sealed with its keys. They are in no model,
//! no backup, no log and no answer.

use std::collections::BTreeMap;

use evercube_base::Result;
use evercube_metastore::{Command, LoginChange, SealedLogin};
use evercube_sources::{Login, Logins, source_named};
use serde::{Deserialize, Serialize};

use crate::auth::require_admin;
use crate::call::Call;
use crate::seal::{Purpose, open, seal};
use crate::service::Service;

/// A login as it is told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginRow {
    /// Kind and path.
    pub source: String,
    /// The one database that may use it; null: every one.
    pub database: Option<String>,
    pub user: Option<String>,
}

/// What is sealed: the place besides, so that no login opens at another one.
#[derive(Serialize, Deserialize)]
struct Plain {
    source: String,
    database: String,
    login: Login,
}

impl Service {
    pub fn logins(&self, call: &Call) -> Result<Vec<LoginRow>> {
        require_admin(call.session.rules(), "Listing the logins of data sources")?;
        let state = self.metastore.state();
        let rows = state.logins.iter().flat_map(|(source, of)| {
            of.iter().map(move |(database, login)| LoginRow {
                source: source.clone(),
                database: Some(database.clone()).filter(|d| !d.is_empty()),
                user: login.user.clone(),
            })
        });
        Ok(rows.collect())
    }

    /// Keeps a login for a source, for one database or all; its name.
    pub async fn put_login(
        &self,
        call: &Call,
        (kind, path): (&str, &str),
        database: Option<&str>,
        login: &Login,
    ) -> Result<String> {
        require_admin(call.session.rules(), "Changing the logins of data sources")?;
        let source = source_named(kind, path)?;
        login.check()?;
        if let Some(database) = database
            && self.metastore.state().database(database).is_none()
        {
            return Err(self.no_such_database(database));
        }
        let change = self.sealed_login(source.clone(), database, login)?;
        self.apply_change(Command::Login(change)).await?;
        Ok(source)
    }

    pub async fn delete_login(
        &self,
        call: &Call,
        (kind, path): (&str, &str),
        database: Option<&str>,
    ) -> Result<String> {
        require_admin(call.session.rules(), "Changing the logins of data sources")?;
        let source = source_named(kind, path)?;
        let database = database.map(str::to_owned);
        let change = LoginChange { source: source.clone(), database, login: None };
        self.apply_change(Command::Login(change)).await?;
        Ok(source)
    }

    /// The logins that came with a model, as they are committed with it.
    pub(crate) fn sealed_logins(
        &self,
        database: &str,
        logins: &BTreeMap<String, Login>,
    ) -> Result<Vec<LoginChange>> {
        let sealed = |(source, login): (&String, &Login)| {
            self.sealed_login(source.clone(), Some(database), login)
        };
        logins.iter().map(sealed).collect()
    }

    fn sealed_login(
        &self,
        source: String,
        database: Option<&str>,
        login: &Login,
    ) -> Result<LoginChange> {
        let user = login.user.clone();
        let plain = Plain {
            source: source.clone(),
            database: database.unwrap_or_default().to_lowercase(),
            login: login.clone(),
        };
        let sealed = seal(&self.keys(), Purpose::SourceLogin, &crate::service::to_json(&plain)?)?;
        let database = database.map(str::to_owned);
        Ok(LoginChange { source, database, login: Some(SealedLogin { user, sealed }) })
    }

    /// What a database may log in with: its own logins before those of every database.
    pub(crate) fn logins_of(&self, database: &str) -> Logins {
        let (state, keys) = (self.metastore.state(), self.keys());
        let database = database.to_lowercase();
        let mut found = BTreeMap::new();
        for (source, of) in &state.logins {
            let login = of.get_key_value(&database).or_else(|| of.get_key_value(""));
            let Some((place, login)) = login else { continue };
            let opened = open(&keys, Purpose::SourceLogin, &login.sealed);
            match opened.and_then(|plain| serde_json::from_slice::<Plain>(&plain).ok()) {
                // A login follows its database when that gets another name.
                Some(p) if p.source == *source && p.database.is_empty() == place.is_empty() => {
                    found.insert(source.clone(), p.login);
                }
                _ => tracing::warn!(source, "the login of a data source cannot be opened"),
            }
        }
        Logins(found)
    }
}
