//! Which hosts a model may read from.

use std::sync::Arc;

use evercube_base::{Error, ErrorKind, Result};

/// Which hosts a model may read from. What a name of the list resolves to is not looked at: who may
/// change that name decides where it leads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SourceHosts {
    #[default]
    Any,
    /// These, in lower case.
    Only(Arc<[Host]>),
}

/// `db.example.com`, `*.example.com` for every name that ends so, or an address; with `:5433` that
/// port alone, else every port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    name: String,
    port: Option<u16>,
}

impl SourceHosts {
    /// No host at all: for a list that cannot be read.
    pub fn none() -> Self {
        Self::Only(Arc::default())
    }

    /// A list with commas between, or `none`.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim().eq_ignore_ascii_case("none") {
            return Ok(Self::none());
        }
        let all: Result<Vec<Host>, String> = text.split(',').map(Host::parse).collect();
        Ok(Self::Only(all?.into()))
    }

    /// # Errors
    /// `Denied` where a model may not read from this host and port.
    pub(crate) fn check(&self, host: &str, port: u16) -> Result<()> {
        let Self::Only(list) = self else { return Ok(()) };
        if list.iter().any(|h| h.is(host, port)) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Denied,
            format!(
                "models may not read from {host}:{port}: it is not among the source_hosts that an administrator of the group names"
            ),
        ))
    }
}

impl Host {
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim().to_lowercase();
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) if !name.contains(':') => match port.parse() {
                Ok(port) => (name, Some(port)),
                Err(_) => return Err(format!("'{port}' is no port")),
            },
            _ => (&*text, None),
        };
        let plain = name.strip_prefix("*.").unwrap_or(name);
        let is_name = |c: char| c.is_alphanumeric() || "-_.:".contains(c);
        match !plain.is_empty() && plain.chars().all(is_name) {
            true => Ok(Self { name: name.to_owned(), port }),
            false => Err(format!(
                "'{text}' is no host; write db.example.com, *.example.com or db.example.com:5432, with commas between, or none"
            )),
        }
    }

    fn is(&self, host: &str, port: u16) -> bool {
        // The dot at the end of a name makes it no other one.
        let host = host.to_lowercase();
        let host = host.trim_end_matches('.');
        let fits = match self.name.strip_prefix('*') {
            Some(end) => host.len() > end.len() && host.ends_with(end),
            None => host == self.name,
        };
        fits && self.port.is_none_or(|p| p == port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_read_from_the_hosts_that_are_named() {
        let some = "db.example.com, *.corp.example, 10.0.0.5:6000";
        for (list, host, port, may) in [
            (some, "db.example.com", 5432, true),
            (some, "DB.Example.com.", 1, true),
            (some, "xdb.example.com", 5432, false),
            (some, "db.example.com.evil.net", 5432, false),
            (some, "a.b.corp.example", 5432, true),
            (some, "corp.example", 5432, false),
            (some, ".corp.example", 5432, false),
            (some, "evilcorp.example", 5432, false),
            (some, "10.0.0.5", 6000, true),
            (some, "10.0.0.5", 5432, false),
            (some, "169.254.169.254", 80, false),
            (some, "localhost", 5432, false),
            (some, "", 5432, false),
            ("none", "db.example.com", 5432, false),
        ] {
            let hosts = SourceHosts::parse(list).unwrap();
            assert_eq!(hosts.check(host, port).is_ok(), may, "{list}: {host}:{port}");
        }
        for bad in ["", "a,,b", "a b", "*", "*.", "db:x", "db:70000", "http://db", "a*b"] {
            assert!(SourceHosts::parse(bad).is_err(), "{bad}");
        }
        assert!(SourceHosts::default().check("anything", 1).is_ok());
    }
}
