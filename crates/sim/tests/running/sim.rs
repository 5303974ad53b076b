//! Runs the simulation as a user would.

use std::process::Command;

use evercube_sim::report::Report;

fn sim(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sim")).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), said + &String::from_utf8_lossy(&output.stderr))
}

/// Nothing goes wrong in so many worlds.
pub fn all_is_well(world: &str, seeds: u64) {
    let (well, said) = sim(&["--world", world, "--seed", "1", "--count", &seeds.to_string()]);
    println!("{said}");
    assert!(well, "{said}");
}

/// Each of these worlds has one history, to the byte.
pub fn is_the_same_again(world: &str, seeds: &[u64]) {
    for seed in seeds {
        let seed = seed.to_string();
        let asked = ["--here", "--history", "--world", world, "--seed", &seed];
        let (one, two) = (sim(&asked).1, sim(&asked).1);
        let differ = one.lines().zip(two.lines()).find(|(a, b)| a != b);
        assert!(one == two, "seed {seed} has two histories, which differ in {differ:?}");
        assert!(one.lines().count() > 100, "{one}");
    }
}

/// The first invariant that a world with the mutation breaks must be one of these.
pub fn finds(world: &str, mutation: &str, seeds: u64, invariants: &[&str]) {
    for seed in 1..=seeds {
        let seed = seed.to_string();
        // What breaks may say so on the way.
        let asked = ["--here", "--world", world, "--seed", &seed, "--mutation", mutation];
        let said = sim(&asked).1;
        let mut lines = said.lines().rev();
        let report = lines.find_map(|l| serde_json::from_str::<Report>(l).ok());
        let report = report.unwrap_or_else(|| panic!("seed {seed} ended early: {said}"));
        if let Some(broken) = report.violations.first() {
            let is_it = |v: &String| invariants.iter().any(|i| v.starts_with(&format!("{i}:")));
            let expected = report.violations.iter().any(is_it);
            assert!(expected, "{mutation} with seed {seed} broke something else: {broken}");
            return;
        }
    }
    panic!("no world in which {mutation} is found");
}
