//! Where a backup goes to and comes from.

use std::path::{Path, PathBuf};

use evercube_base::{Error, Result};

use crate::backup::local::file_for_backup;
use crate::backup::named::StorageSettings;
use crate::backup::repository::place::split;
use crate::backup::repository::{Base, Pick, RepositoryPlace};

/// A place named by whoever asks for a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A path on the server; a folder gets a file named after the database.
    File(PathBuf),
    /// A name in the group's own folder, as clients send it.
    Own(String),
    /// Object storage.
    Cloud(CloudPlace),
    /// A repository, or backups in one.
    Repository(RepositoryPlace),
}

/// A service that keeps objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    Azure,
    S3,
    Google,
}

impl Provider {
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Azure => "az",
            Self::S3 => "s3",
            Self::Google => "gs",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Azure => "Azure storage",
            Self::S3 => "S3 storage",
            Self::Google => "Google Cloud Storage",
        }
    }

    /// The variables of the environment that hold the server's credentials.
    pub fn variables(self) -> &'static str {
        match self {
            Self::Azure => {
                "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY (or AZURE_STORAGE_CONNECTION_STRING)"
            }
            Self::S3 => "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION",
            Self::Google => "GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT",
        }
    }
}

/// An object in a bucket or container; an empty name, or one that ends with `/`, is a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudPlace {
    pub provider: Provider,
    pub bucket: String,
    pub name: String,
    /// What the configuration says of this place; the environment says the rest.
    pub settings: StorageSettings,
}

impl CloudPlace {
    pub fn describe(&self) -> String {
        format!("{}://{}/{}", self.provider.scheme(), self.bucket, self.name)
    }

    pub fn is_folder(&self) -> bool {
        self.name.is_empty() || self.name.ends_with('/')
    }
}

/// Extension of backups that are named by the product.
pub const EXTENSION: &str = "evb";

impl Target {
    /// Reads a target; relative paths start at `working_dir`.
    pub fn parse(text: &str, working_dir: &Path) -> Result<Self> {
        let text = text.trim();
        if text.is_empty() || text.contains('\0') {
            return Err(Error::invalid(
                "no target is given; use a path, file:PATH, s3://bucket/name, az://container/name, gs://bucket/name, or a bare file name for the group's own folder",
            ));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return cloud(&scheme.to_ascii_lowercase(), rest, text).map(Self::repository);
        }
        let file = text.get(..5).filter(|p| p.eq_ignore_ascii_case("file:")).and(text.get(5..));
        if let Some(path) = file {
            return if path.is_empty() {
                Err(Error::invalid(format!("the target '{text}' names no file; write file:PATH")))
            } else {
                Ok(Self::File(working_dir.join(path)).repository())
            };
        }
        if text.contains('/') {
            return Ok(Self::File(working_dir.join(text)).repository());
        }
        own(text)
    }

    /// What leads to a repository, or into one, is one.
    fn repository(self) -> Self {
        let pick = |rest: &str| match rest {
            "" => Pick::All,
            rest => Pick::Text(rest.to_owned()),
        };
        match &self {
            Self::File(path) => {
                let Some(path) = path.to_str() else { return self };
                let Some((base, rest)) = split(path) else { return self };
                Self::Repository(RepositoryPlace::new(Base::Folder(base.into()), pick(rest)))
            }
            Self::Cloud(at) => {
                let Some((base, rest)) = split(&at.name) else { return self };
                let base = Base::Cloud(CloudPlace { name: base.to_owned(), ..at.clone() });
                Self::Repository(RepositoryPlace::new(base, pick(rest)))
            }
            Self::Own(_) | Self::Repository(_) => self,
        }
    }

    /// The place in object storage it is, or is in.
    pub fn cloud_place(&self) -> Option<&CloudPlace> {
        match self {
            Self::Cloud(at) => Some(at),
            Self::Repository(RepositoryPlace { base: Base::Cloud(at), .. }) => Some(at),
            _ => None,
        }
    }

    /// The path on the server it is, or is in.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Repository(RepositoryPlace { base: Base::Folder(path), .. }) => Some(path),
            _ => None,
        }
    }

    /// As it is, with other settings of its storage.
    pub fn with_settings(self, settings: StorageSettings) -> Self {
        match self {
            Self::Cloud(at) => Self::Cloud(CloudPlace { settings, ..at }),
            Self::Repository(RepositoryPlace { base: Base::Cloud(at), pick, .. }) => {
                let base = Base::Cloud(CloudPlace { settings, ..at });
                Self::Repository(RepositoryPlace::new(base, pick))
            }
            other => other,
        }
    }

    /// The file a backup of `database` goes to, where only a folder is named.
    pub fn for_database(&self, database: &str) -> Self {
        match self {
            Self::File(path) => Self::File(file_for_backup(path, database)),
            Self::Cloud(at) if at.is_folder() => {
                let name = format!("{}{}", at.name, file_name(database));
                Self::Cloud(CloudPlace { name, ..at.clone() })
            }
            other => other.clone(),
        }
    }

    /// Whether it names a folder and not yet a backup in it.
    pub fn is_folder(&self) -> bool {
        match self {
            Self::File(path) => path.is_dir(),
            Self::Cloud(at) => at.is_folder(),
            Self::Own(_) => false,
            Self::Repository(place) => !matches!(place.pick, Pick::One(..)),
        }
    }

    /// The place in words.
    pub fn describe(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Own(name) => format!("'{name}' in the group's own folder"),
            Self::Cloud(at) => at.describe(),
            Self::Repository(place) => place.describe(),
        }
    }
}

fn cloud(scheme: &str, rest: &str, text: &str) -> Result<Target> {
    match scheme {
        "file" => {
            // `file://HOST/path` names no other host than this one.
            let path = rest.strip_prefix("localhost").unwrap_or(rest);
            if path.starts_with('/') && path.len() > 1 {
                return Ok(Target::File(PathBuf::from(path)));
            }
            Err(Error::invalid(format!(
                "the target '{text}' names no path on this server; write file:PATH"
            )))
        }
        "az" | "azure" => place(Provider::Azure, rest, text),
        "s3" => place(Provider::S3, rest, text),
        "gs" | "gcs" => place(Provider::Google, rest, text),
        other => Err(Error::invalid(format!(
            "'{other}://' is no kind of backup target; use file:PATH, a path, s3://bucket/name, az://container/name, gs://bucket/name, or a bare file name"
        ))),
    }
}

fn place(provider: Provider, rest: &str, text: &str) -> Result<Target> {
    let (bucket, name) = rest.split_once('/').unwrap_or((rest, ""));
    let more = match provider {
        Provider::Azure => "-$",
        Provider::S3 => "-.",
        Provider::Google => "-._",
    };
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || more.contains(c);
    if bucket.is_empty() || !bucket.chars().all(fits) {
        let kind = if provider == Provider::Azure { "container" } else { "bucket" };
        return Err(Error::invalid(format!(
            "the target '{text}' names no {kind}; write {}://{kind}/name",
            provider.scheme()
        )));
    }
    Ok(Target::Cloud(CloudPlace {
        provider,
        bucket: bucket.to_owned(),
        name: name.trim_start_matches('/').to_owned(),
        settings: StorageSettings::default(),
    }))
}

/// A bare name; it must not lead out of the folder, nor to a file that is being written.
fn own(name: &str) -> Result<Target> {
    if split(name).is_some() {
        return Err(Error::invalid(format!(
            "'{name}' is a repository, which needs a place of its own: /path/{name}, s3://bucket/{name}, az://container/{name} or gs://bucket/{name}"
        )));
    }
    if let Some((target, _)) = name.split_once(':') {
        return Err(Error::invalid(format!(
            "there is no target '{target}', neither in the settings of the server nor in the group (evercube target list)"
        )));
    }
    let odd = |c: char| c.is_control() || r#"\:*?"<>|"#.contains(c);
    if name.starts_with('.') || name.contains(odd) || name.len() > 200 {
        return Err(Error::invalid(format!(
            "'{name}' cannot be the name of a backup in the group's own folder; use a plain file name such as sales.abf"
        )));
    }
    Ok(Target::Own(name.to_owned()))
}

/// File name for a backup of `database` where only a folder is given.
pub fn file_name(database: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || " -_.()".contains(c);
    let safe: String = database.chars().map(|c| if plain(c) { c } else { '_' }).take(60).collect();
    // What begins with a dot is hidden, and not listed.
    let safe = match safe.trim_start_matches('.') {
        "" => "_",
        safe => safe,
    };
    format!("{safe}.{EXTENSION}")
}

/// The one backup among the names in a folder.
pub fn only_backup(folder: &str, mut names: Vec<String>) -> Result<String> {
    names.retain(|n| n.ends_with(&format!(".{EXTENSION}")));
    names.sort();
    match names.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Error::not_found(format!("there is no backup (*.{EXTENSION}) in {folder}"))),
        [first, second, ..] => Err(Error::invalid(format!(
            "there are {} backups in {folder}, as {first} and {second}; name the one to restore",
            names.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Target> {
        Target::parse(text, Path::new("/work"))
    }

    #[test]
    fn targets_are_read() {
        let file = |p: &str| Some(Target::File(p.into()));
        assert_eq!(parse("/b/x.evb").ok(), file("/b/x.evb"));
        assert_eq!(parse("b/x.evb").ok(), file("/work/b/x.evb"));
        assert_eq!(parse("file:/b/x").ok(), file("/b/x"));
        assert_eq!(parse("file:x").ok(), file("/work/x"));
        assert_eq!(parse("file:///b/x").ok(), file("/b/x"));
        assert_eq!(parse("Sales.abf").ok(), Some(Target::Own("Sales.abf".into())));
        let cloud = |text: &str| match parse(text) {
            Ok(Target::Cloud(at)) => (at.provider, at.bucket, at.name),
            other => panic!("{text}: {other:?}"),
        };
        let found = |p, b: &str, n: &str| (p, b.to_owned(), n.to_owned());
        assert_eq!(cloud("az://box/a/b"), found(Provider::Azure, "box", "a/b"));
        assert_eq!(cloud("az://box"), found(Provider::Azure, "box", ""));
        assert_eq!(cloud("S3://my.bucket/p/"), found(Provider::S3, "my.bucket", "p/"));
        assert_eq!(cloud("gs://my_bucket/x.evb"), found(Provider::Google, "my_bucket", "x.evb"));
    }

    #[test]
    fn a_repository_is_told_by_its_name() {
        let found = |text: &str| match Target::parse(text, Path::new("/here")) {
            Ok(Target::Repository(place)) => (place.base.describe(), place.describe()),
            other => panic!("{text}: {other:?}"),
        };
        let pair = |base: &str, whole: &str| (base.to_owned(), whole.to_owned());
        assert_eq!(found("/b/g.evr"), pair("/b/g.evr", "/b/g.evr"));
        assert_eq!(found("b/g.evr/"), pair("/here/b/g.evr", "/here/b/g.evr"));
        assert_eq!(found("file:g.evr/Sales"), pair("/here/g.evr", "/here/g.evr/Sales"));
        assert_eq!(found("s3://b/p/g.evr/S@7"), pair("s3://b/p/g.evr", "s3://b/p/g.evr/S@7"));
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for text in ["", " ", "file:", "az:///x", "az://Box/x", "..", ".x", "a\\b", "ftp://x"] {
            assert!(parse(text).is_err(), "{text}");
        }
        let unknown = parse("offsite:x").unwrap_err();
        assert!(unknown.message.contains("no target 'offsite'"), "{unknown}");
        for text in ["group.evr", "s3://", "s3://My/x", "s3://key:secret@bucket/x", "gs:///x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn folders_get_and_give_one_backup() {
        assert_eq!(file_name("Sales/2024"), "Sales_2024.evb");
        assert_eq!(file_name("../x"), "_x.evb");
        let list = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        assert_eq!(only_backup("b", list(&["a.txt", "s.evb"])).ok().as_deref(), Some("s.evb"));
        assert!(only_backup("b", list(&["a.evb", "s.evb"])).is_err());
    }
}
