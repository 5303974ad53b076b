//! From what a model says about a database to where it is and how to log in.

use evercube_base::{Error, Result};
use evercube_model::tabular::DataSource;

use crate::postgres::{PgTarget, SslMode};

fn unsupported(name: &str, what: &str) -> Error {
    Error::unsupported(format!(
        "the data source '{name}' is of the kind '{what}', which is not supported: use PostgreSQL \
         or files"
    ))
}

fn with_address(target: &mut PgTarget, server: &str) {
    let server = server.trim();
    match server.rsplit_once(':') {
        Some((h, p)) if p.parse::<u16>().is_ok() => {
            target.host = h.to_owned();
            target.port = p.parse().unwrap_or(5432);
        }
        _ => target.host = server.to_owned(),
    }
}

/// `PostgreSQL.Database(server, database)`; the login is the one of the data source with the same
/// address, where the model has one.
pub(crate) fn of_address(server: &str, db: &str, sources: &[DataSource]) -> Result<PgTarget> {
    let mut t = PgTarget::default();
    with_address(&mut t, server);
    t.database = db.to_owned();
    for s in sources {
        if let Ok(known) = of_data_source(s)
            && known.host == t.host
            && known.port == t.port
            && known.database == t.database
        {
            return Ok(known);
        }
    }
    Ok(t)
}

/// A data source of the model, `provider` or `structured`.
pub(crate) fn of_data_source(d: &DataSource) -> Result<PgTarget> {
    let mut t = PgTarget::default();
    if let Some(details) = &d.connection_details {
        let protocol = details.get("protocol").and_then(|p| p.as_str()).unwrap_or("");
        if !protocol.eq_ignore_ascii_case("postgresql") {
            return Err(unsupported(&d.name, protocol));
        }
        let text = |n: &str| details.pointer(n).and_then(|v| v.as_str()).unwrap_or("");
        with_address(&mut t, text("/address/server"));
        t.database = text("/address/database").to_owned();
        let credential = d.credential.as_ref();
        let field = |n: &str| credential.and_then(|c| c.get(n)).and_then(|v| v.as_str());
        t.user = field("Username").or_else(|| field("username")).map(str::to_owned);
        t.password = field("Password").or_else(|| field("password")).map(str::to_owned);
        let encrypt = credential.and_then(|c| c.get("EncryptConnection"));
        // As Power Query means it: what is encrypted is checked as well.
        t.mode = match encrypt.and_then(|v| v.as_bool()) {
            Some(true) => SslMode::VerifyFull,
            Some(false) => SslMode::Disable,
            None => SslMode::default(),
        };
        return Ok(t);
    }
    let Some(text) = &d.connection_string else {
        return Err(Error::invalid(format!(
            "the data source '{}' has neither connectionDetails nor a connectionString",
            d.name
        )));
    };
    for part in text.split(';').filter(|p| !p.trim().is_empty()) {
        let (k, v) = part.split_once('=').unwrap_or((part, ""));
        let v = v.trim().trim_matches('"').to_owned();
        match k.trim().to_ascii_lowercase().as_str() {
            "host" | "server" | "data source" => with_address(&mut t, &v),
            "port" => {
                t.port = v.parse().map_err(|_| {
                    Error::invalid(format!("data source '{}': '{v}' is no port", d.name))
                })?;
            }
            "database" | "initial catalog" => t.database = v,
            "username" | "user id" | "user" | "uid" => t.user = Some(v),
            "password" | "pwd" => t.password = Some(v),
            "sslmode" | "ssl mode" => {
                t.mode = SslMode::parse(&v).ok_or_else(|| {
                    Error::invalid(format!(
                        "data source '{}': '{v}' is no SSL Mode; there are Disable, Prefer, Require, VerifyCA and VerifyFull",
                        d.name
                    ))
                })?;
            }
            "provider" if !v.to_ascii_lowercase().contains("npgsql") => {
                return Err(unsupported(&d.name, &v));
            }
            _ => {}
        }
    }
    if let Some(p) = &d.provider
        && !p.to_ascii_lowercase().contains("npgsql")
        && !p.to_ascii_lowercase().contains("postgres")
    {
        return Err(unsupported(&d.name, p));
    }
    Ok(t)
}
