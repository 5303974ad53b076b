//! Targets named in the configuration: where they are, and as whom the server goes there.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use evercube_base::{Error, Result};

use crate::backup::connect::check_settings;
use crate::backup::target::{CloudPlace, Target};

/// Settings of a storage service by name, as `endpoint` or `secret_access_key`. Where the name
/// ends with `_file` the value is read from that file whenever it is needed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StorageSettings(Vec<(String, String)>);

/// The secret that is in a file; some settings name a file themselves.
fn secret_in_file(name: &str) -> Option<&str> {
    let plain = name.strip_suffix("_file")?;
    let secret = ["key", "key_id", "secret", "session_token"];
    secret.iter().any(|s| plain.ends_with(s)).then_some(plain)
}

impl StorageSettings {
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(n, _)| secret_in_file(n).unwrap_or(n))
    }

    /// The settings with what their files hold now.
    pub(crate) fn with_secrets(&self) -> Result<Vec<(String, String)>> {
        let read = |(name, value): &(String, String)| match secret_in_file(name) {
            None => Ok((name.clone(), value.clone())),
            Some(plain) => Ok((plain.to_owned(), read_secret(Path::new(value))?)),
        };
        self.0.iter().map(read).collect()
    }
}

/// A secret in a file of its own.
pub(crate) fn read_secret(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file).map_err(|e| {
        Error::invalid(format!("the secret in {} cannot be read: {e}", file.display()))
    })?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => {
            Err(Error::invalid(format!("the file {} holds no secret: it is empty", file.display())))
        }
        secret => Ok(secret.to_owned()),
    }
}

/// Values are secrets, or may be.
impl fmt::Debug for StorageSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(n, _)| n)).finish()
    }
}

/// A target of the configuration.
#[derive(Debug, Clone)]
pub struct NamedTarget {
    pub url: String,
    pub settings: StorageSettings,
    /// Holds the password of backups there that are given none.
    pub password_file: Option<PathBuf>,
}

/// The targets of the configuration by name.
#[derive(Debug, Clone, Default)]
pub struct NamedTargets {
    named: BTreeMap<String, NamedTarget>,
    /// What lets this server into targets that the group names, by name.
    of_group: BTreeMap<String, Vec<(String, String)>>,
}

impl NamedTargets {
    /// Takes a target up: its name and its settings, `url` among them.
    pub fn add(&mut self, name: &str, mut settings: Vec<(String, String)>) -> Result<()> {
        let wrong = |why: String| Error::invalid(format!("the target '{name}': {why}"));
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if name.len() < 2 || !name.chars().all(plain) || name.eq_ignore_ascii_case("file") {
            return Err(wrong("its name is two or more letters, digits, - and _".into()));
        }
        let mut take = |wanted: &str| {
            let i = settings.iter().position(|(n, _)| n == wanted)?;
            Some(settings.remove(i).1)
        };
        let Some(url) = take("url") else {
            if settings.is_empty() {
                return Err(wrong("it has no settings; 'url' says where it is".into()));
            }
            self.of_group.insert(name.to_lowercase(), settings);
            return Ok(());
        };
        let password_file = take("password_file").map(PathBuf::from);
        let settings = StorageSettings(settings);
        match Target::parse(&url, Path::new("/")).map_err(|e| wrong(e.message))? {
            Target::Own(_) => return Err(wrong("'url' is no place; write a path or URL".into())),
            target => {
                if let Some(at) = target.cloud_place() {
                    check_settings(at.provider, &settings).map_err(|e| wrong(e.message))?;
                } else if let Some(n) = settings.names().next() {
                    return Err(wrong(format!("a folder has no setting '{n}'")));
                }
            }
        }
        self.named.insert(name.to_lowercase(), NamedTarget { url, settings, password_file });
        Ok(())
    }

    /// These, and the group's: what a server says of a target of the group completes it, and its own
    /// target of the same name comes before the group's.
    pub(crate) fn with_those_of_group(
        &self,
        shared: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> Self {
        let mut all = self.clone();
        for (name, settings) in shared.iter().filter(|(name, _)| !self.named.contains_key(*name)) {
            let own = self.of_group.get(name).cloned().unwrap_or_default();
            let of_group = settings.iter().filter(|(n, _)| !own.iter().any(|(o, _)| o == *n));
            let of_group = of_group.map(|(n, v)| (n.clone(), v.clone()));
            let settings = of_group.chain(own.iter().cloned()).collect();
            if let Err(e) = all.add(name, settings) {
                tracing::warn!(name, error = %e, "a target of the group cannot be used here");
            }
        }
        all
    }

    /// Reads a target; `NAME:rest` is below the target of that name, and what lies in the bucket
    /// of a named target is reached as it says.
    pub fn resolve(&self, text: &str, working_dir: &Path) -> Result<Target> {
        let text = text.trim();
        let named = text.split_once(':').filter(|(_, rest)| !rest.starts_with("//"));
        if let Some((name, rest)) = named
            && let Some(target) = self.named.get(&name.to_lowercase())
        {
            if rest.split('/').any(|part| part == "..") {
                return Err(Error::invalid(format!("'{text}' leads out of the target '{name}'")));
            }
            let whole =
                format!("{}/{}", target.url.trim_end_matches('/'), rest.trim_start_matches('/'));
            let found = Target::parse(&whole, working_dir)?;
            return Ok(found.with_settings(target.settings.clone()));
        }
        let found = Target::parse(text, working_dir)?;
        let named = found.cloud_place().and_then(|at| self.of(at, working_dir));
        Ok(match named.map(|n| n.settings.clone()) {
            Some(settings) => found.with_settings(settings),
            None => found,
        })
    }

    /// The password of backups at this place, where its target has one.
    pub(crate) fn password(&self, target: &Target, working_dir: &Path) -> Result<Option<String>> {
        let named = match target {
            Target::Own(_) => None,
            target => match (target.cloud_place(), target.path()) {
                (Some(at), _) => self.of(at, working_dir),
                (None, Some(path)) => self.named.values().find(|t| {
                    let parsed = Target::parse(&t.url, working_dir).ok();
                    parsed.is_some_and(|t| t.path().is_some_and(|folder| path.starts_with(folder)))
                }),
                (None, None) => None,
            },
        };
        named.and_then(|t| t.password_file.as_deref()).map(read_secret).transpose()
    }

    /// The named target that a place lies in; of several the one that says most.
    fn of(&self, at: &CloudPlace, working_dir: &Path) -> Option<&NamedTarget> {
        let holds = |t: &&NamedTarget| {
            let parsed = Target::parse(&t.url, working_dir).ok();
            parsed.as_ref().and_then(Target::cloud_place).is_some_and(|t| {
                t.provider == at.provider
                    && t.bucket == at.bucket
                    && at.name.starts_with(t.name.trim_end_matches('/'))
            })
        };
        self.named.values().filter(holds).max_by_key(|t| t.url.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named() -> NamedTargets {
        let mut all = NamedTargets::default();
        let secret = ("secret_access_key".to_owned(), "hush".to_owned());
        all.add("offsite", vec![("url".into(), "s3://bucket/deep".into()), secret]).unwrap();
        all.add("shelf", vec![("url".into(), "/backups".into())]).unwrap();
        all
    }

    #[test]
    fn a_name_stands_for_its_place_and_secrets() {
        let all = named();
        let find = |text: &str| all.resolve(text, Path::new("/work")).unwrap();
        for text in ["offsite:sales.evb", "s3://bucket/deep/sales.evb"] {
            let Target::Cloud(at) = find(text) else { panic!("{text}") };
            assert_eq!(at.describe(), "s3://bucket/deep/sales.evb");
            assert_eq!(at.settings.with_secrets().unwrap()[0].1, "hush");
        }
        let Target::Cloud(other) = find("s3://other/x") else { panic!() };
        assert_eq!(other.settings.names().count(), 0);
        assert_eq!(find("shelf:x.evb"), Target::File("/backups/x.evb".into()));
        assert!(all.resolve("shelf:../x", Path::new("/")).is_err());
        assert!(!format!("{all:?}").contains("hush"));
    }

    #[test]
    fn a_target_of_the_group_is_completed_by_what_lets_the_server_in() {
        let mut own = NamedTargets::default();
        own.add("cloud", vec![("secret_access_key".into(), "hush".into())]).unwrap();
        own.add("shelf", vec![("url".into(), "/mine".into())]).unwrap();
        assert!(!matches!(own.resolve("cloud:x", Path::new("/")), Ok(Target::Cloud(_))));
        let url = |url: &str| BTreeMap::from([("url".to_owned(), url.to_owned())]);
        let shared = BTreeMap::from([
            ("cloud".to_owned(), url("s3://bucket/deep")),
            ("shelf".to_owned(), url("/theirs")),
        ]);
        let all = own.with_those_of_group(&shared);
        let Ok(Target::Cloud(at)) = all.resolve("cloud:x.evb", Path::new("/")) else { panic!() };
        assert_eq!(at.describe(), "s3://bucket/deep/x.evb");
        assert_eq!(at.settings.with_secrets().unwrap()[0].1, "hush");
        let shelf = all.resolve("shelf:x.evb", Path::new("/")).unwrap();
        assert_eq!(shelf, Target::File("/mine/x.evb".into()));
    }

    #[test]
    fn settings_that_do_not_fit_are_refused() {
        let mut all = NamedTargets::default();
        for settings in [
            vec![],
            vec![("url", "sales.evb")],
            vec![("url", "/backups"), ("endpoint", "http://h")],
            vec![("url", "s3://b"), ("account_key", "x")],
        ] {
            let owned = settings.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            assert!(all.add("name", owned).is_err());
        }
        assert!(all.add("file", vec![("url".into(), "/x".into())]).is_err());
        let file = ("secret_access_key_file".to_owned(), "/nowhere".to_owned());
        all.add("late", vec![("url".into(), "s3://b".into()), file]).unwrap();
        let Ok(Target::Cloud(at)) = all.resolve("late:x", Path::new("/")) else { panic!() };
        assert!(at.settings.with_secrets().is_err());
    }
}
