//! What came of a world, and of many.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What came of one world.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    pub seed: u64,
    /// The same for the same history only.
    pub hash: String,
    pub violations: Vec<String>,
    pub faults: BTreeMap<String, u64>,
    pub errors: BTreeMap<String, u64>,
    pub commits: u64,
    pub reads: u64,
    /// Entries of the log seen on the wires.
    pub entries: u64,
    pub messages: u64,
    /// Lines of the history.
    pub steps: u64,
    pub lasted_ms: u64,
}

/// What came of many worlds.
#[derive(Debug, Default)]
pub struct Summary {
    seeds: u64,
    all: Report,
    pub failed: Vec<(u64, Vec<String>)>,
}

fn add(to: &mut BTreeMap<String, u64>, from: &BTreeMap<String, u64>) {
    for (name, n) in from {
        *to.entry(name.clone()).or_default() += n;
    }
}

impl Summary {
    pub fn add(&mut self, report: &Report) {
        self.seeds += 1;
        add(&mut self.all.faults, &report.faults);
        add(&mut self.all.errors, &report.errors);
        self.all.commits += report.commits;
        self.all.reads += report.reads;
        self.all.entries += report.entries;
        self.all.messages += report.messages;
        self.all.steps += report.steps;
        self.all.lasted_ms += report.lasted_ms;
        if !report.violations.is_empty() {
            self.failed.push((report.seed, report.violations.clone()));
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = &self.all;
        writeln!(f, "{} seeds, {} failed", self.seeds, self.failed.len())?;
        writeln!(
            f,
            "{} steps, {} commits, {} reads, {} entries, {} messages, {} s of their time",
            all.steps,
            all.commits,
            all.reads,
            all.entries,
            all.messages,
            all.lasted_ms / 1000
        )?;
        writeln!(f, "faults:")?;
        for (kind, n) in &all.faults {
            writeln!(f, "  {n:>6} {kind}")?;
        }
        writeln!(f, "errors that clients got:")?;
        for (kind, n) in &all.errors {
            writeln!(f, "  {n:>6} {kind}")?;
        }
        for (seed, violations) in &self.failed {
            for violation in violations.iter().take(5) {
                writeln!(f, "seed {seed}: {violation}")?;
            }
        }
        Ok(())
    }
}
