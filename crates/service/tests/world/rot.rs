//! What disks and stores do to files that they had taken in.

use std::fs;
use std::path::{Path, PathBuf};

use super::chance::Chance;

/// Every file below a folder, in order.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Damages up to three files below a folder; what became of which.
pub fn damage(folder: &Path, chance: &mut Chance) -> Vec<String> {
    let all = files(folder);
    if all.is_empty() {
        return Vec::new();
    }
    let damaged = (0..=chance.within(3)).map(|_| {
        let file = chance.of(&all);
        let Ok(mut bytes) = fs::read(file) else { return format!("{} again", file.display()) };
        let how = match chance.within(5) {
            0 if !bytes.is_empty() => {
                let at = chance.within(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << chance.within(8);
                "a bit"
            }
            1 => {
                bytes.truncate(bytes.len() / 2);
                "its end"
            }
            2 => {
                bytes.clear();
                "everything"
            }
            3 => {
                bytes = fs::read(chance.of(&all)).unwrap_or_default();
                "its place to another"
            }
            _ => {
                let _may_be_gone = fs::remove_file(file);
                return format!("{} itself", file.display());
            }
        };
        fs::write(file, bytes).unwrap();
        format!("{} {how}", file.display())
    });
    damaged.collect()
}
