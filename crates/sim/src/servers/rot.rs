//! What disks and stores do to files that they had taken in.

use std::fs;
use std::path::{Path, PathBuf};

use crate::chance::Chance;
use crate::host::files;

/// Every file below a folder, in order.
pub fn all_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(all_below(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Damages up to three files below a folder; what became of which.
pub fn damage(folder: &Path, chance: &mut Chance) -> Vec<String> {
    let all = all_below(folder);
    if all.is_empty() {
        return Vec::new();
    }
    let damaged = (0..=chance.within(0..3)).map(|_| {
        files::by_the_world(|| {
            let file = chance.of(&all);
            let Ok(mut bytes) = fs::read(file) else { return format!("{} again", file.display()) };
            let how = match chance.within(0..5) {
                0 if !bytes.is_empty() => {
                    let at = chance.within(0..bytes.len() as u64) as usize;
                    bytes[at] ^= 1 << chance.within(0..8);
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
            fs::write(file, bytes).expect("a file of the world can be written");
            format!("{} {how}", file.display())
        })
    });
    damaged.collect()
}
