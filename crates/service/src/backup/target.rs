//! Where a backup goes to and comes from.

use std::path::{Path, PathBuf};

use evercube_base::{Error, Result};

/// A place named by whoever asks for a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A path on the server; a folder gets a file named after the database.
    File(PathBuf),
    /// A name in the group's own folder, as clients send it.
    Own(String),
    /// Azure Blob storage; an empty name, or one that ends with `/`, is a folder.
    Azure { container: String, name: String },
}

/// Extension of backups that are named by the product.
pub const EXTENSION: &str = "evb";

impl Target {
    /// Reads a target; relative paths start at `working_dir`.
    pub fn parse(text: &str, working_dir: &Path) -> Result<Self> {
        let text = text.trim();
        if text.is_empty() || text.contains('\0') {
            return Err(Error::invalid(
                "no target is given; use a path, file:PATH, az://container/name, or a bare file name for the group's own folder",
            ));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return cloud(&scheme.to_ascii_lowercase(), rest, text);
        }
        let file = text.get(..5).filter(|p| p.eq_ignore_ascii_case("file:")).and(text.get(5..));
        if let Some(path) = file {
            return if path.is_empty() {
                Err(Error::invalid(format!("the target '{text}' names no file; write file:PATH")))
            } else {
                Ok(Self::File(working_dir.join(path)))
            };
        }
        if text.contains('/') {
            return Ok(Self::File(working_dir.join(text)));
        }
        own(text)
    }

    /// The place in words.
    pub fn describe(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Own(name) => format!("'{name}' in the group's own folder"),
            Self::Azure { container, name } => format!("az://{container}/{name}"),
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
        "az" | "azure" => {
            let (container, name) = rest.split_once('/').unwrap_or((rest, ""));
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-$".contains(c);
            if container.is_empty() || !container.chars().all(fits) {
                return Err(Error::invalid(format!(
                    "the target '{text}' names no container; write az://container/name"
                )));
            }
            let name = name.trim_start_matches('/').to_owned();
            Ok(Target::Azure { container: container.to_owned(), name })
        }
        "s3" | "gs" => Err(Error::unsupported(format!(
            "backups to {scheme}:// are not built in yet; back up to a path or to az://container/name"
        ))),
        other => Err(Error::invalid(format!(
            "'{other}://' is no kind of backup target; use file:PATH, a path, az://container/name, or a bare file name"
        ))),
    }
}

/// A bare name; it must not lead out of the folder, nor to a file that is being written.
fn own(name: &str) -> Result<Target> {
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
    format!("{}.{EXTENSION}", safe.trim_start_matches('.'))
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
        let azure = |c: &str, n: &str| Some(Target::Azure { container: c.into(), name: n.into() });
        assert_eq!(parse("az://box/a/b").ok(), azure("box", "a/b"));
        assert_eq!(parse("az://box").ok(), azure("box", ""));
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for text in ["", " ", "file:", "az:///x", "az://Box/x", "..", ".x", "a\\b", "ftp://x"] {
            assert!(parse(text).is_err(), "{text}");
        }
        for text in ["s3://bucket/x", "gs://bucket/x"] {
            assert!(parse(text).unwrap_err().message.contains("not built in yet"));
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
