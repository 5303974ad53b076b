//! The demonstration as a user starts it, with fewer rows.

use std::process::Command;

#[test]
fn the_tour_ends_well() {
    let out = Command::new(env!("CARGO_BIN_EXE_evercube"))
        .args(["demo", "--once", "--rows", "20000"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    let errors = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(0), "{text}\n{errors}");
    for part in ["deployed", "Denmark", "SIGKILL", "none failed", "all servers hold the same"] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}
