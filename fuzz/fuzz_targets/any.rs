//! One of the targets of `crates/fuzzing`, named by `EVERCUBE_TARGET`. With `EVERCUBE_SEEDS` the seeds
//! of every target, and a dictionary of its words, are written below that folder and nothing is run.
#![no_main]

use std::io;
use std::path::Path;
use std::sync::OnceLock;

use evercube_fuzzing::{TARGETS, Target};
use libfuzzer_sys::fuzz_target;

fn target() -> &'static Target {
    static TARGET: OnceLock<&Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        let name = std::env::var("EVERCUBE_TARGET").unwrap_or_default();
        let found = TARGETS.iter().find(|t| t.name == name);
        found.unwrap_or_else(|| panic!("EVERCUBE_TARGET names no target: '{name}'"))
    })
}

fn write_seeds(folder: &Path) -> io::Result<()> {
    for target in &TARGETS {
        let of = folder.join(target.name);
        std::fs::create_dir_all(&of)?;
        for (n, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(of.join(format!("seed-{n}")), seed)?;
        }
        let quoted = |word: &&str| {
            let hex = |b: u8| format!("\\x{b:02x}");
            format!("\"{}\"\n", word.bytes().map(hex).collect::<String>())
        };
        let words: String = target.words.iter().map(quoted).collect();
        std::fs::write(folder.join(format!("{}.dict", target.name)), words)?;
    }
    Ok(())
}

fn begin() {
    let Some(folder) = std::env::var_os("EVERCUBE_SEEDS") else { return };
    if let Err(e) = write_seeds(Path::new(&folder)) {
        panic!("the seeds cannot be written: {e}");
    }
    std::process::exit(0);
}

fuzz_target!(init: begin(), |bytes: &[u8]| (target().run)(bytes));
