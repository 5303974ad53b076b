//! One of the targets of `crates/fuzzing`, named by `EVERCUBE_TARGET`.
#![no_main]

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

fuzz_target!(|bytes: &[u8]| (target().run)(bytes));
