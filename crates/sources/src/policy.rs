//! Which files a model may read.

use std::path::{Path, PathBuf};

use evercube_base::{Error, ErrorKind, Result};

/// Which files a model may read.
#[derive(Debug, Clone)]
pub enum FilePolicy {
    /// Any file the server's user can read.
    Any,
    /// Files below these folders, symbolic links followed first.
    Folders(Vec<PathBuf>),
}

impl FilePolicy {
    /// The real path of `path` (relative paths start at `working_dir`), when the policy allows it.
    pub(crate) fn resolve(&self, path: &str, working_dir: &Path) -> Result<PathBuf> {
        let path = path.strip_prefix("file://").unwrap_or(path);
        let full = working_dir.join(path);
        let real = full.canonicalize();
        let Self::Folders(folders) = self else {
            return real.map_err(|e| missing(&full, &e));
        };
        let roots: Vec<PathBuf> = folders.iter().filter_map(|f| f.canonicalize().ok()).collect();
        match &real {
            Ok(p) if roots.iter().any(|r| p.starts_with(r)) => return Ok(p.clone()),
            // Whether a file exists outside of the folders is nobody's business.
            Err(e) if !path.split(['/', '\\']).any(|s| s == "..") => {
                let parent = full.ancestors().skip(1).find_map(|a| a.canonicalize().ok());
                if parent.is_some_and(|p| roots.iter().any(|r| p.starts_with(r))) {
                    return Err(missing(&full, e));
                }
            }
            _ => {}
        }
        let list: Vec<String> = folders.iter().map(|f| format!("'{}'", f.display())).collect();
        Err(Error::new(
            ErrorKind::Denied,
            format!(
                "the file '{path}' is outside of the folders a model may read ({}): move it there \
                 or start the server with --source-dir naming its folder",
                if list.is_empty() { "none".to_owned() } else { list.join(", ") }
            ),
        ))
    }
}

fn missing(path: &Path, e: &std::io::Error) -> Error {
    Error::new(ErrorKind::Source, format!("cannot open the file '{}': {e}", path.display()))
}
