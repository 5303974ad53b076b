//! The part of the REST interface about the logins of data sources.

use evercube_base::{Error, Result};
use evercube_service::call::Call;
use evercube_service::{ClientCertificate, Login, Service, source_named};
use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::answer::{Answer, json_of};
use super::asked::Asked;
use super::rest::body;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    List,
    Add,
    Remove,
}

/// The request that a path below `/api/v1` names.
pub fn request(method: &Method, parts: &[&str]) -> Option<Verb> {
    match parts {
        ["credentials"] if method == Method::GET => Some(Verb::List),
        ["credentials"] if method == Method::POST => Some(Verb::Add),
        ["credentials", "remove"] if method == Method::POST => Some(Verb::Remove),
        _ => None,
    }
}

/// A login of a source.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddBody {
    kind: String,
    path: String,
    database: Option<String>,
    username: Option<String>,
    #[serde(default)]
    password: String,
    /// PEM, with its `key`.
    certificate: Option<String>,
    key: Option<String>,
}

fn login(
    user: Option<String>,
    password: String,
    certificate: Option<String>,
    key: Option<String>,
) -> Result<Login> {
    let certificate = match (certificate, key) {
        (None, None) => None,
        (Some(chain), Some(key)) => Some(ClientCertificate { chain, key }),
        _ => return Err(Error::invalid("'certificate' and 'key' go together")),
    };
    Ok(Login { user, password, certificate })
}

impl AddBody {
    /// The name of the source, and the login, for one refresh.
    ///
    /// # Errors
    /// Where the source is of no kind that logs in.
    pub fn login(self) -> Result<(String, Login)> {
        if self.database.is_some() {
            return Err(Error::invalid("the login of a refresh is of no other database"));
        }
        let source = source_named(&self.kind, &self.path)?;
        let login = login(self.username, self.password, self.certificate, self.key)?;
        login.check()?;
        Ok((source, login))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RemoveBody {
    kind: String,
    path: String,
    database: Option<String>,
}

pub async fn run(service: &Service, call: &Call, asked: &Asked, verb: Verb) -> Result<Answer> {
    let source = match verb {
        Verb::List => return Ok(json_of(&json!({ "credentials": service.logins(call)? }))),
        Verb::Add => {
            let given: AddBody = body(asked)?;
            let AddBody { kind, path, database, username, password, certificate, key } = given;
            let login = login(username, password, certificate, key)?;
            let of = (kind.as_str(), path.as_str());
            service.put_login(call, of, database.as_deref(), &login).await?
        }
        Verb::Remove => {
            let given: RemoveBody = body(asked)?;
            let of = (given.kind.as_str(), given.path.as_str());
            service.delete_login(call, of, given.database.as_deref()).await?
        }
    };
    Ok(json_of(&json!({ "source": source })))
}
