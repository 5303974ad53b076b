//! Logins of data sources as the group keeps them: sealed, by source and by the database that may
//! use them.

use std::collections::BTreeMap;

use evercube_base::Error;
use serde::{Deserialize, Serialize};

/// A login whose secret nobody reads without the group's keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedLogin {
    /// Who logs in, where that is said.
    pub user: Option<String>,
    pub sealed: String,
}

/// Logins by the name of their source, then by the lower-case name of the database; an empty name
/// stands for every database.
pub type SealedLogins = BTreeMap<String, BTreeMap<String, SealedLogin>>;

/// A login that comes or goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginChange {
    pub source: String,
    /// `None`: of every database.
    pub database: Option<String>,
    /// `None`: it goes.
    pub login: Option<SealedLogin>,
}

pub(crate) fn change(logins: &mut SealedLogins, change: LoginChange) -> Result<(), Error> {
    let LoginChange { source, database, login } = change;
    let database = database.unwrap_or_default().to_lowercase();
    if let Some(login) = login {
        logins.entry(source).or_default().insert(database, login);
        return Ok(());
    }
    let of = logins.get_mut(&source);
    if of.and_then(|of| of.remove(&database)).is_none() {
        let message = format!("there is no login for the data source '{source}' there");
        return Err(Error::not_found(message));
    }
    logins.retain(|_, of| !of.is_empty());
    Ok(())
}

/// Takes the logins of a database along when it gets another name; `None`: it ended.
pub(crate) fn database_is_called(logins: &mut SealedLogins, before: &str, now: Option<&str>) {
    let (before, now) = (before.to_lowercase(), now.map(str::to_lowercase));
    if now.as_deref() == Some(&before) || before.is_empty() {
        return;
    }
    for of in logins.values_mut() {
        if let (Some(login), Some(now)) = (of.remove(&before), &now) {
            of.insert(now.clone(), login);
        }
    }
    logins.retain(|_, of| !of.is_empty());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_follow_their_database() {
        let mut logins = SealedLogins::new();
        let put = |logins: &mut SealedLogins, database: Option<&str>| {
            let login = SealedLogin { user: None, sealed: "x".into() };
            let database = database.map(str::to_owned);
            let one = LoginChange { source: "pg a".into(), database, login: Some(login) };
            change(logins, one).unwrap();
        };
        put(&mut logins, Some("Sales"));
        put(&mut logins, None);
        database_is_called(&mut logins, "SALES", Some("Shop"));
        assert_eq!(logins["pg a"].keys().collect::<Vec<_>>(), ["", "shop"]);
        database_is_called(&mut logins, "Shop", None);
        assert_eq!(logins["pg a"].keys().collect::<Vec<_>>(), [""]);
        let gone = |database: Option<&str>| LoginChange {
            source: "pg a".into(),
            database: database.map(str::to_owned),
            login: None,
        };
        assert!(change(&mut logins, gone(Some("Shop"))).is_err());
        change(&mut logins, gone(None)).unwrap();
        assert!(logins.is_empty());
    }
}
