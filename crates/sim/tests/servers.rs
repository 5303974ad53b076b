//! Worlds of whole servers: of many seeds, the same world twice, and worlds with planted faults.

#[path = "running/sim.rs"]
mod sim;

use evercube_sim::servers::Planted;

/// As many as take some minutes of two processors where the code is optimized.
const SEEDS: u64 = if cfg!(debug_assertions) { 2 } else { 100 };

#[test]
fn nothing_is_lost_wrong_or_told_while_disks_rot_and_wires_break() {
    sim::all_is_well("servers", SEEDS);
}

#[test]
fn a_seed_gives_the_same_history_in_every_process() {
    sim::is_the_same_again("servers", &[11, 12]);
}

fn finds(planted: Planted, invariants: &[&str]) {
    sim::finds("servers", &planted.to_string(), 8, invariants);
}

#[test]
fn i4_finds_answers_of_another_version() {
    finds(Planted::AnswerOfBefore, &["I4"]);
}

#[test]
fn i6_finds_receipts_for_what_never_came() {
    finds(Planted::MadeUpReceipts, &["I6"]);
}

#[test]
fn i6_finds_full_disks_that_lie() {
    finds(Planted::FullDisksLie, &["I6"]);
}

#[test]
fn i6_finds_slow_disks_that_lie() {
    finds(Planted::SlowDisksLie, &["I6"]);
}

#[test]
fn i7_finds_a_change_that_is_two() {
    finds(Planted::TwoCommits, &["I7"]);
}

#[test]
fn i9_finds_a_password_in_the_log() {
    finds(Planted::SecretInLog, &["I9"]);
}

#[test]
fn healing_finds_files_that_stay_damaged() {
    // What a disk that hung has missed never comes either, until no majority can hold a change.
    finds(Planted::NothingHeals, &["healing", "I8"]);
}
