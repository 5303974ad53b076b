//! The settings that all servers of a group should have alike, as texts without secrets.

use std::collections::BTreeMap;

use super::{Origin, Settings};

/// What is one server's own business: its place in the network and the group, and its files.
const OWN: [&str; 15] = [
    "data",
    "listen",
    "name",
    "region",
    "peer_listen",
    "join",
    "join_token_file",
    "advertise",
    "kind",
    "tls_certificate",
    "tls_key",
    "ca",
    "encryption_key",
    "encryption_key_file",
    "encryption_key_command",
];
/// An address that may carry a secret.
const HASHED: &str = "alarm_webhook";

pub(super) fn compared(settings: &Settings) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (name, _, setting) in settings.iter().filter(|(name, ..)| !OWN.contains(name)) {
        let Some(setting) = setting else { continue };
        // Machines have as many processors and as much memory as they have.
        if matches!(name, "threads" | "calculation_memory") && setting.origin == Origin::Default {
            continue;
        }
        let text = setting.values.join(", ");
        let text = match name {
            HASHED => format!("hash {}", &blake3::hash(text.as_bytes()).to_hex()[..8]),
            _ => text,
        };
        all.insert(name.to_owned(), text);
    }
    let tls = settings.text("tls_certificate").is_some();
    all.insert("tls".into(), if tls { "https" } else { "http" }.into());
    for (name, of) in settings.targets() {
        let plain = ["url", "endpoint", "region", "allow_http"];
        let told = of.iter().filter(|(key, _)| plain.contains(&key.as_str()));
        let told = told.map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>();
        all.insert(format!("targets.{name}"), told.join(", "));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::Flags;
    use super::*;

    #[test]
    fn what_is_compared_is_neither_secret_nor_one_servers_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("evercube.toml");
        let text = "name = \"a\"\nquery_rows = 5\nencryption_key = \"hush\"\nalarm_webhook = \"http://h/hush\"\n\
            [targets.off]\nurl = \"s3://b/p\"\nsecret_access_key = \"hush\"\n";
        std::fs::write(&file, text).unwrap();
        let flags = Flags { config: Some(file), ..Flags::default() };
        let all = compared(&Settings::resolve(&flags, |_| None, 7).unwrap());
        assert_eq!(all["query_rows"], "5");
        assert_eq!(all["targets.off"], "url s3://b/p");
        assert_eq!(all["tls"], "http");
        assert!(!all.contains_key("name") && !all.contains_key("threads"), "{all:?}");
        assert!(!format!("{all:?}").contains("hush"), "{all:?}");
    }
}
