//! What a state says, part by part, so that members can tell whether they hold the same.

use std::collections::BTreeMap;

use serde_json::Value;

use super::State;

impl State {
    /// Hash of every part, hexadecimal, by what it is in words; each database is a part.
    pub fn parts(&self) -> BTreeMap<String, String> {
        let mut parts = BTreeMap::new();
        let Ok(Value::Object(fields)) = serde_json::to_value(self) else { return parts };
        for (name, value) in fields {
            match value {
                Value::Object(databases) if name == "databases" => {
                    for (key, entry) in databases {
                        parts.insert(database_part(&key), hash(&entry));
                    }
                }
                value => {
                    parts.insert(format!("the group's {}", name.replace('_', " ")), hash(&value));
                }
            }
        }
        parts
    }
}

/// The part that is a database.
pub(crate) fn database_part(key: &str) -> String {
    format!("database '{key}'")
}

/// Maps of a value are sorted, so that equal values have equal bytes.
fn hash(value: &Value) -> String {
    blake3::hash(value.to_string().as_bytes()).to_hex().to_string()
}

/// One hash over all parts.
pub fn digest(parts: &BTreeMap<String, String>) -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, hash) in parts {
        hasher.update(name.as_bytes()).update(&[0]).update(hash.as_bytes()).update(b"\n");
    }
    hasher.finalize().to_hex().to_string()
}
