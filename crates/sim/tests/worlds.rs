//! Worlds of the metastore: of many seeds, the same world twice, and worlds with planted faults.

#[path = "running/sim.rs"]
mod sim;

use evercube_sim::mutation::Mutation;

/// As many as take some minutes of two processors where the code is optimized.
const SEEDS: u64 = if cfg!(debug_assertions) { 6 } else { 200 };

#[test]
fn nothing_is_lost_in_many_worlds() {
    sim::all_is_well("metastore", SEEDS);
}

#[test]
fn a_seed_gives_the_same_history_in_every_process() {
    sim::is_the_same_again("metastore", &[11, 12, 13]);
}

fn finds(mutation: Mutation, invariants: &[&str]) {
    sim::finds("metastore", &mutation.to_string(), 60, invariants);
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
