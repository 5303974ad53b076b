//! How a repository, and a backup in it, is named: by a folder or prefix that ends in `.evr`.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use evercube_base::{Error, Result};
use tokio::sync::Mutex;

use super::Repository;
use super::config::Setup;
use super::name::SnapshotName;
use super::store::{Listed, Store};
use crate::backup::target::CloudPlace;

/// What the names of repositories end with.
pub const EXTENSION: &str = "evr";

/// Where a repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    Folder(PathBuf),
    Cloud(CloudPlace),
}

impl Base {
    pub fn describe(&self) -> String {
        match self {
            Self::Folder(path) => path.display().to_string(),
            Self::Cloud(at) => at.describe(),
        }
    }
}

/// Which of the backups in a repository are meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Pick {
    #[default]
    All,
    /// `DATABASE`, `DATABASE@VERSION`, or the name of a manifest.
    Text(String),
    /// One that was listed: its name, and the database and version in words.
    One(SnapshotName, Option<String>),
}

/// A repository with the password it was opened with, or why that did not open it.
type Opened = Option<(Option<String>, Result<Arc<Repository>>)>;

/// A repository, or backups in it.
#[derive(Clone)]
pub struct RepositoryPlace {
    pub base: Base,
    pub pick: Pick,
    /// Deriving a key takes time and memory on purpose: it is done once for what is listed together.
    opened: Arc<Mutex<Opened>>,
}

impl fmt::Debug for RepositoryPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RepositoryPlace")
            .field("base", &self.base)
            .field("pick", &self.pick)
            .finish_non_exhaustive()
    }
}

impl PartialEq for RepositoryPlace {
    fn eq(&self, other: &Self) -> bool {
        self.base == other.base && self.pick == other.pick
    }
}

impl Eq for RepositoryPlace {}

impl RepositoryPlace {
    pub fn new(base: Base, pick: Pick) -> Self {
        Self { base, pick, opened: Arc::default() }
    }

    /// One of its backups.
    pub fn one(&self, name: SnapshotName, words: Option<String>) -> Self {
        Self { pick: Pick::One(name, words), ..self.clone() }
    }

    pub fn whole(&self) -> Self {
        Self { pick: Pick::All, ..self.clone() }
    }

    pub fn describe(&self) -> String {
        let base = self.base.describe();
        match &self.pick {
            Pick::All => base,
            Pick::Text(text) => format!("{base}/{text}"),
            Pick::One(_, Some(words)) => format!("{base}/{words}"),
            Pick::One(name, None) => format!("{base}/{}", name.text()),
        }
    }

    pub async fn open(&self, password: Option<&str>) -> Result<Arc<Repository>> {
        let mut opened = self.opened.lock().await;
        if let Some((known, outcome)) = &*opened
            && known.as_deref() == password
        {
            return outcome.clone();
        }
        let outcome = Repository::open(&self.base, password).await.map(Arc::new);
        *opened = Some((password.map(str::to_owned), outcome.clone()));
        outcome
    }

    /// Opens it, making it where there is none.
    pub async fn open_or_make(&self, password: Option<&str>) -> Result<Arc<Repository>> {
        let password = password.map(str::to_owned);
        let setup = Setup { password: password.clone(), ..Setup::default() };
        let repository = Arc::new(Repository::open_or_make(&self.base, setup).await?);
        *self.opened.lock().await = Some((password, Ok(Arc::clone(&repository))));
        Ok(repository)
    }

    /// The names of the manifests that are there and the lengths of their files, oldest version
    /// first; none where there is no repository. No password is needed for that.
    pub async fn names(&self) -> Result<Vec<(SnapshotName, Listed)>> {
        let listed = Store::at(&self.base).await?.list("man").await?;
        let mut names = Vec::new();
        for (path, listed) in listed {
            // What has no such name is nothing of a repository's.
            names.extend(SnapshotName::of_file(&path).ok().map(|name| (name, listed)));
        }
        names.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(names)
    }

    /// Takes the one backup out that it stands for; its objects stay for the grace at least.
    pub async fn forget(&self) -> Result<()> {
        let name = self.picked()?;
        let store = Store::at(&self.base).await?;
        if let Some(bytes) = store.get(&name.path()).await? {
            // Whoever dies in between leaves it in both places.
            store.put(&name.gone(), bytes.into()).await?;
        }
        // The proof goes first: one without its backup tells that this was taken away.
        store.delete(&name.proved()).await?;
        store.delete(&name.path()).await
    }

    /// The one backup it stands for, where it was listed before.
    pub fn picked(&self) -> Result<&SnapshotName> {
        match &self.pick {
            Pick::One(name, _) => Ok(name),
            _ => Err(Error::internal("a backup in a repository was not looked for")),
        }
    }
}

/// Splits a path at the repository it leads to or into: its own path, and what follows.
pub fn split(path: &str) -> Option<(&str, &str)> {
    let mut from = 0;
    for part in path.split('/') {
        let end = from + part.len();
        let stem = part.strip_suffix(EXTENSION).and_then(|p| p.strip_suffix('.'));
        if stem.is_some_and(|s| !s.is_empty()) {
            let rest = path.get(end..).unwrap_or_default();
            return Some((path.get(..end)?, rest.trim_matches('/')));
        }
        from = end + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_known_by_its_name() {
        assert_eq!(split("/b/group.evr"), Some(("/b/group.evr", "")));
        assert_eq!(split("/b/group.evr/"), Some(("/b/group.evr", "")));
        assert_eq!(split("b.evr/Sales@7"), Some(("b.evr", "Sales@7")));
        assert_eq!(split("/x/b.evr/Sales/2024"), Some(("/x/b.evr", "Sales/2024")));
        for other in ["/b/x.evb", "/b/.evr", "/b/evr", "", "/b/x.evrx"] {
            assert_eq!(split(other), None, "{other}");
        }
    }
}
