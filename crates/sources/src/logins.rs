//! Logins of data sources, kept apart from models and found by what a source is.
//!
//! A source is called by its kind and its path, as `postgresql db.example.com:5432;sales`; one
//! without a database stands for all of its server.

use std::collections::BTreeMap;
use std::fmt;

use evercube_base::{Error, Result};
use evercube_model::tabular::DataSource;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

pub use crate::postgres::ClientCertificate;
use crate::postgres::PgTarget;

/// Who logs in.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Login {
    /// `None`: the user that the model names.
    pub user: Option<String>,
    /// Empty where the certificate is all that is asked for.
    pub password: String,
    /// Shown to a server that knows its clients by their certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<ClientCertificate>,
}

impl Login {
    /// # Errors
    /// `Invalid` where there is nothing to log in with, or the certificate cannot be used.
    pub fn check(&self) -> Result<()> {
        match &self.certificate {
            Some(certificate) => certificate.check(),
            None if self.password.is_empty() => {
                Err(Error::invalid("a login needs a password, or a certificate with its key"))
            }
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// The kinds of sources that log in anywhere.
const POSTGRES: &str = "postgresql";
const POSTGRES_PORT: &str = ":5432";

/// Logins by the name of their source.
#[derive(Debug, Clone, Default)]
pub struct Logins(pub BTreeMap<String, Login>);

impl Logins {
    /// Gives a target that has no password the login of its database, or else of its server.
    pub(crate) fn complete(&self, mut target: PgTarget) -> PgTarget {
        if target.password.is_some() {
            return target;
        }
        let server = format!("{}:{}", target.host, target.port);
        let names = [format!("{server};{}", target.database), server].map(|p| named(POSTGRES, &p));
        if let Some(login) = names.iter().find_map(|name| self.0.get(name)) {
            target.user = login.user.clone().or(target.user);
            target.password = Some(login.password.clone()).filter(|p| !p.is_empty());
            target.certificate.clone_from(&login.certificate);
        }
        target
    }
}

/// The name of a source, whatever its case and spaces.
fn named(kind: &str, path: &str) -> String {
    let parts = path.split(';').map(|p| p.trim().to_lowercase()).filter(|p| !p.is_empty());
    let mut parts: Vec<String> = parts.collect();
    if let Some(server) = parts.first_mut().filter(|_| kind == POSTGRES)
        && let Some(usual) = server.strip_suffix(POSTGRES_PORT)
    {
        *server = usual.to_owned();
    }
    format!("{kind} {}", parts.join(";"))
}

/// The name of a source that is given by kind and path.
///
/// # Errors
/// `Unsupported` for kinds that nothing is read from with a login.
pub fn source_named(kind: &str, path: &str) -> Result<String> {
    let kind = kind.trim().to_lowercase();
    if kind != POSTGRES {
        return Err(Error::unsupported(format!(
            "no data source of the kind '{kind}' logs in; there is PostgreSQL, whose path is SERVER or SERVER;DATABASE"
        )));
    }
    if path.split(';').all(|p| p.trim().is_empty()) || path.split(';').count() > 2 {
        let message = "the path of a PostgreSQL source is SERVER or SERVER;DATABASE";
        return Err(Error::invalid(message));
    }
    Ok(named(&kind, path))
}

/// Keys of a credential that are secret.
fn is_secret(key: &str) -> bool {
    evercube_model::is_secret(key)
}

/// Takes every secret out of a data source: the login, with the name of the source it is for.
/// Secrets that nothing here can use are dropped.
pub fn take_login(source: &mut DataSource) -> Option<(String, Login)> {
    let target = crate::connection::of_data_source(source);
    let name = target.map(|t| named(POSTGRES, &format!("{}:{};{}", t.host, t.port, t.database)));
    let login = take_structured(source).or_else(|| take_legacy(source));
    source.extra.retain(|key, _| !key.eq_ignore_ascii_case("password"));
    login.and_then(|login| Some((name.ok()?, login)))
}

fn take_structured(source: &mut DataSource) -> Option<Login> {
    let credential = source.credential.as_mut()?.as_object_mut()?;
    let text = |wanted: &str| {
        let found = credential.iter().find(|(key, _)| key.eq_ignore_ascii_case(wanted));
        found.and_then(|(_, v)| v.as_str()).filter(|v| !v.is_empty()).map(str::to_owned)
    };
    let login = text("password").map(|password| {
        let user = text("username");
        Login { user, password, certificate: None }
    });
    credential.retain(|key, _| !is_secret(key));
    login
}

fn take_legacy(source: &mut DataSource) -> Option<Login> {
    let text = source.connection_string.as_mut()?;
    let part = |wanted: &[&str]| {
        text.split(';').find_map(|part| {
            let (key, value) = part.split_once('=')?;
            let is_it = wanted.contains(&key.trim().to_ascii_lowercase().as_str());
            is_it.then(|| value.trim().trim_matches('"').to_owned())
        })
    };
    let login = part(&["password", "pwd"]).filter(|p| !p.is_empty()).map(|password| {
        let user = part(&["username", "user id", "user", "uid"]);
        Login { user: user.filter(|u| !u.is_empty()), password, certificate: None }
    });
    *text = evercube_model::without_password(text);
    login
}

/// A data source with other properties while something is read: those of `properties`, which are
/// spelled as in a model, replace its own; a credential is completed.
///
/// # Errors
/// `Invalid` where a property is none of a data source.
pub fn overridden(source: &DataSource, properties: &Json) -> Result<DataSource> {
    let wrong = |_| {
        let name = &source.name;
        Error::invalid(format!("what is said of the data source '{name}' is not one"))
    };
    let mut own = serde_json::to_value(source).map_err(wrong)?;
    for (key, value) in properties.as_object().into_iter().flatten() {
        let before = own.get(key).and_then(Json::as_object);
        let merged = match (key.as_str(), value.as_object(), before) {
            ("credential", Some(new), Some(before)) => {
                let mut all = before.clone();
                all.extend(new.clone());
                Json::Object(all)
            }
            _ => value.clone(),
        };
        own[key] = merged;
    }
    serde_json::from_value(own).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn source(value: Json) -> DataSource {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn logins_leave_a_data_source_and_are_found_again() {
        let structured = json!({ "type": "structured", "name": "a",
            "connectionDetails": { "protocol": "postgresql",
                "address": { "server": "Db.Example:5432", "database": "Sales" } },
            "credential": { "AuthenticationKind": "UsernamePassword", "kind": "PostgreSQL",
                "Username": "ann", "Password": "canary", "EncryptConnection": false } });
        let legacy = |rest: &str| {
            json!({ "name": "b", "provider": "Npgsql", "password": "canary", "connectionString":
                format!("Host=db.example;Database=sales;Username=ann;{rest}") })
        };
        for given in [structured, legacy("Password=canary"), legacy(" pwd = \"canary\" ;Timeout=5")]
        {
            let mut of = source(given);
            let (name, login) = take_login(&mut of).unwrap();
            assert_eq!(name, "postgresql db.example;sales");
            assert_eq!((login.user.as_deref(), login.password.as_str()), (Some("ann"), "canary"));
            let left = serde_json::to_string(&of).unwrap();
            assert!(!left.contains("canary") && left.contains("ann"), "{left}");
            assert!(!format!("{login:?}").contains("canary"));
            assert_eq!(take_login(&mut of), None);
            let logins = Logins(BTreeMap::from([(name, login)]));
            let target = logins.complete(crate::connection::of_data_source(&of).unwrap());
            assert_eq!(target.password.as_deref(), Some("canary"));
        }
        // One that cannot be read loses its secret all the same.
        let mut other = source(json!({ "name": "c", "provider": "SQLNCLI11",
            "connectionString": "Data Source=x;Password=canary" }));
        assert_eq!(take_login(&mut other), None);
        assert!(!serde_json::to_string(&other).unwrap().contains("canary"));
    }

    #[test]
    fn the_login_of_a_database_goes_before_that_of_its_server() {
        let login = |p: &str| {
            let (user, password) = (Some(p.to_owned()), p.to_owned());
            Login { user, password, certificate: None }
        };
        let name = |path: &str| source_named("PostgreSQL", path).unwrap();
        let all = [(name("DB:5432"), login("server")), (name("db; Sales"), login("database"))];
        let logins = Logins(BTreeMap::from(all));
        let of = |server: &str, db: &str| {
            let target = crate::connection::of_address(server, db, &[]).unwrap();
            logins.complete(target).user
        };
        assert_eq!(of("db", "SALES").as_deref(), Some("database"));
        assert_eq!(of("db:5432", "other").as_deref(), Some("server"));
        assert_eq!(of("db:5433", "sales"), None);
        for (kind, path) in [("SQL", "x"), ("PostgreSQL", " ; "), ("PostgreSQL", "a;b;c")] {
            assert!(source_named(kind, path).is_err());
        }
    }

    #[test]
    fn an_override_replaces_properties_and_completes_a_credential() {
        let of = source(json!({ "name": "a", "connectionString": "Host=x",
            "credential": { "Username": "ann", "kind": "PostgreSQL" } }));
        let with = json!({ "connectionString": "Host=y", "credential": { "Password": "p" } });
        let new = overridden(&of, &with).unwrap();
        assert_eq!(new.connection_string.as_deref(), Some("Host=y"));
        assert_eq!(new.credential.unwrap()["Username"], "ann");
        assert!(overridden(&of, &json!({ "connectionString": 7 })).is_err());
    }
}
