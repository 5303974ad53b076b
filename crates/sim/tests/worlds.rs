//! Worlds of many seeds, the same world twice, and worlds with planted faults.

use std::process::Command;

use evercube_sim::mutation::Mutation;
use evercube_sim::report::Report;

fn sim(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sim")).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), said + &String::from_utf8_lossy(&output.stderr))
}

/// As many as take some minutes of two processors where the code is optimized.
const SEEDS: &str = if cfg!(debug_assertions) { "6" } else { "200" };

#[test]
fn nothing_is_lost_in_many_worlds() {
    let (well, said) = sim(&["--seed", "1", "--count", SEEDS]);
    println!("{said}");
    assert!(well, "{said}");
}

#[test]
fn a_seed_gives_the_same_history_in_every_process() {
    for seed in ["11", "12", "13"] {
        let one = sim(&["--here", "--history", "--seed", seed]).1;
        let two = sim(&["--here", "--history", "--seed", seed]).1;
        assert!(one == two, "seed {seed} has two histories");
        assert!(one.lines().count() > 100, "{one}");
    }
}

/// The first invariant that a world with the mutation breaks must be one of these.
fn finds(mutation: Mutation, invariants: &[&str]) {
    let name = mutation.to_string();
    for seed in 1..=60 {
        let seed = seed.to_string();
        // What breaks may say so on the way.
        let said = sim(&["--here", "--seed", &seed, "--mutation", &name]).1;
        let mut lines = said.lines().rev();
        let report = lines.find_map(|l| serde_json::from_str::<Report>(l).ok()).unwrap();
        if let Some(broken) = report.violations.first() {
            let expected = report
                .violations
                .iter()
                .any(|v| invariants.iter().any(|i| v.starts_with(&format!("{i}:"))));
            assert!(expected, "{mutation} with seed {seed} broke something else: {broken}");
            return;
        }
    }
    panic!("no world in which {mutation} is found");
}

#[test]
fn i1_finds_disks_that_forget() {
    finds(Mutation::SkipSync, &["I1", "on a quorum", "committed once"]);
}

#[test]
fn i1_finds_full_disks_that_forget() {
    finds(Mutation::FullDiskForgets, &["I1", "on a quorum", "committed once", "panic"]);
}

#[test]
fn i1_finds_slow_disks_that_sync_later() {
    finds(Mutation::SyncLater, &["I1", "on a quorum", "committed once"]);
}

#[test]
fn i1_finds_acknowledgements_of_what_was_not_written() {
    finds(Mutation::AcknowledgeUnwritten, &["I1", "on a quorum"]);
}

#[test]
fn i2_finds_strong_reads_from_the_server_itself() {
    finds(Mutation::StrongReadsLocal, &["I2"]);
}

#[test]
fn i2_finds_writes_done_twice() {
    finds(Mutation::ForgetRequestIds, &["I1", "I2"]);
}

#[test]
fn i3_finds_bounded_reads_without_a_bound() {
    finds(Mutation::BoundedReadsUnbounded, &["I3"]);
}

#[test]
fn i5_finds_a_server_that_applies_something_else() {
    finds(Mutation::AlterEntry, &["I5"]);
}

#[test]
fn i8_finds_messages_waited_for_without_end() {
    finds(Mutation::WaitForEver, &["I8", "healing"]);
}
