//! Where the aliases `link://HOST/link/NAME` lead: to this group, or to another one.

use evercube_base::{Error, Result};
use evercube_metastore::{Command, Link, LinkChange};
use serde::Serialize;

use super::{Progress, Report};
use crate::auth::require_admin;
use crate::call::Call;
use crate::once::{part_of, request_id};
use crate::service::Service;

/// The server's name where an alias or a URL says none; it is for the client to show.
pub const SERVER_NAME: &str = "evercube";
/// The target that is this group.
pub const HERE: &str = "here";

/// An alias as administrators see it.
#[derive(Debug, Clone, Serialize)]
pub struct LinkRow {
    pub name: String,
    pub target: String,
    /// Promoting this standby makes the alias lead here.
    pub database: Option<String>,
}

impl Service {
    pub fn links(&self, call: &Call) -> Result<Vec<LinkRow>> {
        require_admin(call.session.rules(), "Listing links")?;
        let state = self.metastore.state();
        let row = |(name, link): (&String, &Link)| LinkRow {
            name: name.clone(),
            target: link.target.clone().unwrap_or_else(|| HERE.to_owned()),
            database: link.database.clone(),
        };
        Ok(state.links.iter().map(row).collect())
    }

    /// Makes an alias lead to `target`: `asazure://host/name`, the base URL of a group by https, or
    /// [`HERE`].
    pub async fn put_link(
        &self,
        call: &Call,
        name: &str,
        target: &str,
        database: Option<String>,
    ) -> Result<Report> {
        self.may_operate(call, "Setting where a link leads").await?;
        need_name(name)?;
        let target = parsed(target)?;
        if let Some(database) = &database {
            let state = self.metastore.state();
            state.database(database).ok_or_else(|| self.no_such_database(database))?;
        }
        let link = Link { target, database };
        let mut progress = Progress::new();
        let told = sentence(name, &link);
        self.order(call, Command::Links(LinkChange::Put { name: name.to_owned(), link })).await?;
        progress.note(told);
        progress.end().await
    }

    /// The alias leads to whichever group it is asked at, as one nobody set.
    pub async fn remove_link(&self, call: &Call, name: &str) -> Result<Report> {
        self.may_operate(call, "Removing a link").await?;
        let mut progress = Progress::new();
        self.order(call, Command::Links(LinkChange::Remove { name: name.to_owned() })).await?;
        progress.note(format!("link '{name}' leads to the group it is asked at"));
        progress.end().await
    }

    /// Where an alias leads; `None`: to this group. `:rw` behind its name goes behind the target's.
    pub fn link_target(&self, alias: &str) -> Option<String> {
        let (name, suffix) = match alias.split_once(':') {
            Some((name, _)) => (name, &alias[name.len()..]),
            None => (alias, ""),
        };
        let state = self.metastore.state();
        let target = state.links.get(&name.to_lowercase())?.target.clone()?;
        Some(format!("{target}{suffix}"))
    }

    /// Aliases that wait for the promotion of this database lead here from now on.
    pub(crate) async fn links_follow(
        &self,
        call: &Call,
        database: &str,
        progress: &mut Progress,
    ) -> Result<()> {
        let state = self.metastore.state();
        let waits = |link: &Link| {
            let named = link.database.as_deref().map(str::to_lowercase);
            link.target.is_some() && named == Some(database.to_lowercase())
        };
        for (name, link) in state.links.iter().filter(|(_, link)| waits(link)) {
            let link = Link { target: None, ..link.clone() };
            let told = sentence(name, &link);
            let id = part_of(&request_id(call)?, &format!("link {name}"));
            let change = LinkChange::Put { name: name.clone(), link };
            self.change_once(&id, Command::Links(change)).await?;
            progress.note(told);
        }
        Ok(())
    }
}

fn sentence(name: &str, link: &Link) -> String {
    let there = link.target.as_deref().unwrap_or("this group");
    match link.database.as_ref().filter(|_| link.target.is_some()) {
        Some(database) => format!(
            "link '{name}' leads to {there}, and here once database '{database}' is promoted"
        ),
        None => format!("link '{name}' leads to {there}"),
    }
}

fn need_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    match !name.is_empty() && name.len() <= 200 && name.chars().all(plain) {
        true => Ok(()),
        false => Err(Error::invalid(format!(
            "'{name}' cannot be the name of a link; it is letters, digits, - _ and ."
        ))),
    }
}

/// The address clients are told; `None` for this group.
fn parsed(target: &str) -> Result<Option<String>> {
    let target = target.trim().trim_end_matches('/');
    if target.eq_ignore_ascii_case(HERE) {
        return Ok(None);
    }
    let wrong = || {
        Error::invalid(format!(
            "a link cannot lead to '{target}'; write asazure://host/name, https://host:port or here"
        ))
    };
    let (scheme, rest) = target.split_once("://").ok_or_else(wrong)?;
    let (host, name) = rest.split_once('/').unwrap_or((rest, SERVER_NAME));
    let name = match scheme.to_ascii_lowercase().as_str() {
        "asazure" => name,
        "https" => SERVER_NAME,
        _ => return Err(wrong()),
    };
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-.:[]_".contains(c);
    let is_name = |c: char| c.is_alphanumeric() || "-_.:".contains(c);
    let fits = !host.is_empty() && host.chars().all(is_host) && host.len() <= 300;
    match fits && !name.is_empty() && name.chars().all(is_name) && name.len() <= 200 {
        true => Ok(Some(format!("asazure://{host}/{name}"))),
        false => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_addresses_clients_understand() {
        for (given, told) in [
            ("https://b.example:8443", "asazure://b.example:8443/evercube"),
            ("https://b.example/xmla/", "asazure://b.example/evercube"),
            ("asazure://b.example/sales:rw", "asazure://b.example/sales:rw"),
            ("https://[::1]:8443", "asazure://[::1]:8443/evercube"),
        ] {
            assert_eq!(parsed(given).unwrap().as_deref(), Some(told));
        }
        assert_eq!(parsed(" Here ").unwrap(), None);
        for wrong in ["", "b.example", "http://b", "asazure://", "https://u@b", "asazure://b/x y"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
        assert!(need_name("sales-eu").is_ok() && need_name("a/b").is_err());
        assert!(need_name("a:rw").is_err(), "what stands behind the colon is the client's");
    }
}
