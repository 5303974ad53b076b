//! What it takes to ask another group: its address, and a token that is kept sealed.

use evercube_base::{Error, Result};

use crate::seal::{self, Purpose};
use crate::service::Service;

impl Service {
    pub(crate) fn sealed(&self, token: Option<&String>) -> Result<Option<String>> {
        let keys = self.keys();
        token.map(|t| seal::seal(&keys, Purpose::OtherGroup, t.as_bytes())).transpose()
    }

    pub(crate) fn opened(&self, sealed: Option<&str>) -> Result<Option<String>> {
        let Some(sealed) = sealed else { return Ok(None) };
        let opened = seal::open(&self.keys(), Purpose::OtherGroup, sealed);
        let token = opened.and_then(|bytes| String::from_utf8(bytes).ok());
        token.map(Some).ok_or_else(|| {
            Error::invalid(
                "the token of the other group cannot be opened any more; set the sync mode again",
            )
        })
    }
}

/// A name as one segment of a path.
pub(crate) fn encoded(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        match byte {
            b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => out.push(char::from(b)),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

/// Refuses an address that is none, or over which a token could be read on the way.
pub(crate) fn need_address(url: &str, with_token: bool) -> Result<()> {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let host = rest.split('/').next().unwrap_or_default();
    if host.is_empty() || host.contains('@') || !["http", "https"].contains(&scheme) {
        return Err(Error::invalid(format!(
            "'{url}' is no address of another group; write it as https://host:port"
        )));
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let near = name == "localhost"
        || name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|a| a.is_loopback());
    match scheme == "http" && with_token && !near {
        true => Err(Error::invalid(format!(
            "the token could be read on the way to {url}; use https:// (a private authority is named by the setting ca)"
        ))),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_travels_encrypted_or_not_at_all() {
        for url in ["https://b.example", "http://127.0.0.1:1", "http://localhost", "http://[::1]:2"]
        {
            assert!(need_address(url, true).is_ok(), "{url}");
        }
        assert!(need_address("http://b.example", false).is_ok());
        for url in ["http://b.example", "http://10.0.0.1:80", "ftp://b", "b.example", "https://u@b"]
        {
            assert!(need_address(url, true).is_err(), "{url}");
        }
    }
}
