//! The arrows between the crates, read from their manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// For each crate of the workspace (by folder name) the crates of ours it builds on, development
/// dependencies left out.
pub fn edges(workspace: &Path) -> std::io::Result<BTreeMap<String, BTreeSet<String>>> {
    let mut out = BTreeMap::new();
    for entry in std::fs::read_dir(workspace.join("crates"))? {
        let folder = entry?.path();
        let Some(name) = folder.file_name().and_then(|n| n.to_str()) else { continue };
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml"))?;
        let mut section = "";
        let mut on = BTreeSet::new();
        for line in manifest.lines().map(str::trim) {
            if line.starts_with('[') {
                section = line;
            } else if section == "[dependencies]"
                && let Some(rest) = line.strip_prefix("evercube-")
            {
                let end = rest.find(['.', ' ', '=']).unwrap_or(rest.len());
                on.extend(rest.get(..end).map(str::to_owned));
            }
        }
        out.insert(name.to_owned(), on);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is tried with changed inputs, and what makes them.
    const FUZZED: [&str; 11] = [
        "base",
        "dax",
        "engine",
        "metastore",
        "model",
        "service",
        "sources",
        "store",
        "testkit",
        "work",
        "xmla",
    ];

    /// What each crate may build on. An arrow that is not here is a decision to be written down.
    const ALLOWED: &[(&str, &[&str])] = &[
        ("base", &[]),
        ("work", &["base"]),
        ("dax", &["base"]),
        ("model", &["base"]),
        ("vault", &["base"]),
        ("store", &["base", "vault", "work"]),
        ("engine", &["base", "dax", "model", "store", "work"]),
        ("metastore", &["base", "vault"]),
        ("sources", &["base", "model"]),
        ("xmla", &["base"]),
        (
            "service",
            &["base", "dax", "model", "store", "engine", "metastore", "sources", "vault", "work"],
        ),
        ("server", &["base", "model", "service", "metastore", "vault", "work", "xmla"]),
        ("sim", &["base", "metastore", "model", "service", "store"]),
        ("xtask", &[]),
        ("testkit", &["base", "dax", "model", "store", "engine", "work"]),
        ("fuzzing", &FUZZED),
    ];

    #[test]
    fn crates_build_only_on_crates_below_them() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
        let found = edges(&workspace).unwrap();
        assert!(found.len() >= ALLOWED.len(), "crates are missing: {found:?}");
        for (name, on) in found {
            let may = allowed.get(name.as_str()).unwrap_or_else(|| {
                panic!("crate '{name}' has no place in the house yet; give it one in this test")
            });
            for other in on {
                assert!(may.contains(&other.as_str()), "'{name}' must not build on '{other}'");
            }
        }
    }
}
