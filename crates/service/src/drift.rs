//! Whether the servers were told the same: their settings, and the release they run. Users, the
//! firewall and everything else that the group keeps is compared with the metadata.

use std::collections::{BTreeMap, BTreeSet};

use evercube_metastore::MemberKind;

use crate::status::ServerStatus;

/// What this server runs, as members tell each other: the version, and the newest commands of the
/// group that it understands.
pub fn release() -> String {
    format!("{} (feature level {})", env!("CARGO_PKG_VERSION"), evercube_metastore::LEVEL)
}

/// A setting that is not the same on all servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub setting: String,
    /// Each value and the servers that have it.
    pub words: String,
}

/// What differs between the servers that answer. A witness serves nobody and needs no settings.
pub fn differences(servers: &[ServerStatus]) -> Vec<Difference> {
    let here = servers.iter().filter(|s| s.state != "unreachable");
    let releases = here.clone().map(|s| (s.name.as_str(), s.release.as_deref()));
    let mut found = Vec::from_iter(difference("release", releases, "an earlier one"));
    let witness = MemberKind::Witness.to_string();
    let told: Vec<&ServerStatus> =
        here.filter(|s| s.kind != witness && s.release.is_some()).collect();
    let names: BTreeSet<&String> = told.iter().flat_map(|s| s.settings.keys()).collect();
    for name in names {
        let values = told.iter().map(|s| (s.name.as_str(), s.settings.get(name)));
        let values = values.map(|(server, value)| (server, value.map(String::as_str)));
        found.extend(difference(name, values, "not set"));
    }
    found
}

fn difference<'a>(
    setting: &str,
    values: impl Iterator<Item = (&'a str, Option<&'a str>)>,
    without: &str,
) -> Option<Difference> {
    let mut servers: BTreeMap<Option<&str>, Vec<&str>> = BTreeMap::new();
    for (server, value) in values {
        servers.entry(value).or_default().push(server);
    }
    if servers.len() < 2 {
        return None;
    }
    let told = servers.into_iter().map(|(value, names)| {
        let value = value.map_or_else(|| without.to_owned(), |v| format!("'{v}'"));
        format!("{value} on {}", names.join(", "))
    });
    let words = format!("{setting} is {}", told.collect::<Vec<_>>().join(", "));
    Some(Difference { setting: setting.to_owned(), words })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(name: &str, kind: &str, settings: &[(&str, &str)]) -> ServerStatus {
        let settings = settings.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        ServerStatus {
            name: name.into(),
            kind: kind.into(),
            state: "ready".into(),
            release: Some("1".into()),
            settings,
            ..ServerStatus::default()
        }
    }

    fn words(servers: &[ServerStatus]) -> Vec<String> {
        differences(servers).into_iter().map(|d| d.words).collect()
    }

    #[test]
    fn what_servers_were_told_differently_is_named_with_each_side() {
        let a = server("a", "data", &[("query_rows", "10"), ("ca", "x")]);
        let b = server("b", "data", &[("query_rows", "20")]);
        let c = server("c", "replica", &[("query_rows", "10"), ("ca", "x")]);
        let found = words(&[a.clone(), b, c.clone()]);
        assert_eq!(found[0], "ca is not set on b, 'x' on a, c");
        assert_eq!(found[1], "query_rows is '10' on a, c, '20' on b");
        assert_eq!(words(&[a.clone(), c]), [""; 0]);
        let witness = server("w", "witness", &[]);
        assert_eq!(words(&[a.clone(), witness]), [""; 0]);
        let away = ServerStatus { state: "unreachable".into(), ..server("d", "data", &[]) };
        assert_eq!(words(&[a.clone(), away]), [""; 0]);
        let old = ServerStatus { release: None, ..server("e", "data", &[]) };
        assert_eq!(words(&[a, old]), ["release is an earlier one on e, '1' on a"]);
    }
}
