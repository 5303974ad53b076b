//! `cargo xtask deny`: whether what the workspace builds on keeps to `deny.toml`: licences, crates
//! that are not wanted, and where crates come from. It reads what `cargo deny` reads, and takes
//! seconds where building that takes minutes; a setting it does not know is an error.

mod licence;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Rules {
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
    #[serde(rename = "advisories")]
    _advisories: toml::Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Licenses {
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Bans {
    multiple_versions: Word,
    wildcards: Word,
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Sources {
    unknown_registry: Word,
    unknown_git: Word,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Allow,
    Deny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// `None`: a path.
    source: Option<String>,
}

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Reads both and tells what does not fit.
///
/// # Errors
/// What cannot be read or run, in words.
pub fn run(workspace: &Path) -> Result<Vec<String>, String> {
    let text = std::fs::read_to_string(workspace.join("deny.toml")).map_err(|e| e.to_string())?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let asked = ["metadata", "--locked", "--format-version", "1"];
    let output = Command::new(cargo).current_dir(workspace).args(asked).output();
    let output = output.map_err(|e| format!("cargo metadata cannot be run: {e}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout).map_err(|e| e.to_string())?;
    println!("{} packages looked at", metadata.packages.len());
    problems(&text, &metadata)
}

fn problems(rules: &str, metadata: &Metadata) -> Result<Vec<String>, String> {
    let rules: Rules = toml::from_str(rules).map_err(|e| format!("deny.toml: {e}"))?;
    if rules.bans.multiple_versions == Word::Deny || rules.bans.wildcards == Word::Deny {
        return Err("deny.toml: this check knows only 'allow' for these bans".into());
    }
    let mut found = Vec::new();
    for package in &metadata.packages {
        let named = format!("{} {}", package.name, package.version);
        match package.license.as_deref().map(licence::parse) {
            None => found.push(format!("{named} names no licence")),
            Some(Err(e)) => found.push(format!("{named}: {e}")),
            Some(Ok(tree)) if !tree.is_met_by(&rules.licenses.allow) => {
                let text = package.license.as_deref().unwrap_or_default();
                found.push(format!("{named} is under {text}, which is not allowed"));
            }
            Some(Ok(_)) => {}
        }
        if let Some(ban) = rules.bans.deny.iter().find(|b| b.name == package.name) {
            found.push(format!("{named} is banned: {}", ban.reason));
        }
        let wanted = match package.source.as_deref() {
            None | Some(REGISTRY) => true,
            Some(git) if git.starts_with("git+") => rules.sources.unknown_git == Word::Allow,
            Some(_) => rules.sources.unknown_registry == Word::Allow,
        };
        if !wanted {
            let from = package.source.as_deref().unwrap_or_default();
            found.push(format!("{named} comes from {from}"));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r#"
        [licenses]
        allow = ["MIT"]
        [bans]
        multiple-versions = "allow"
        wildcards = "allow"
        deny = [{ crate = "bad", reason = "is bad" }]
        [sources]
        unknown-registry = "deny"
        unknown-git = "deny"
        [advisories]
        ignore = []
    "#;

    fn of(name: &str, license: Option<&str>, source: Option<&str>) -> Vec<String> {
        let package = Package {
            name: name.into(),
            version: "1.0.0".into(),
            license: license.map(str::to_owned),
            source: source.map(str::to_owned),
        };
        problems(RULES, &Metadata { packages: vec![package] }).unwrap()
    }

    #[test]
    fn what_does_not_fit_is_told() {
        assert!(of("good", Some("MIT OR GPL-3.0"), Some(REGISTRY)).is_empty());
        assert!(of("own", Some("MIT"), None).is_empty());
        for (name, license, source, said) in [
            ("a", None, Some(REGISTRY), "names no licence"),
            ("a", Some("MIT AND GPL-3.0"), Some(REGISTRY), "not allowed"),
            ("a", Some("MIT OR"), Some(REGISTRY), "cannot be read"),
            ("bad", Some("MIT"), Some(REGISTRY), "is banned: is bad"),
            ("a", Some("MIT"), Some("git+https://example.org/a"), "comes from git+"),
            ("a", Some("MIT"), Some("registry+https://example.org"), "comes from registry+"),
        ] {
            let found = of(name, license, source);
            assert!(found.len() == 1 && found[0].contains(said), "{found:?}");
        }
    }

    #[test]
    fn a_setting_that_is_not_known_is_an_error() {
        let none = Metadata { packages: Vec::new() };
        let with = format!("{RULES}\n[graph]\nall-features = true");
        assert!(problems(&with, &none).is_err());
        assert!(
            problems(&RULES.replace("wildcards = \"allow\"", "wildcards = \"deny\""), &none)
                .is_err()
        );
    }
}
