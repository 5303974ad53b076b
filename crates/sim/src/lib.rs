//! The code of the metastore (`run`), and whole servers (`servers`), in simulated worlds: clock,
//! chance, threads, network and disks follow from a seed, so that what goes wrong once goes wrong
//! again whenever it is asked for.
//!
//! See `docs/simulation.md`.

pub mod chance;
pub mod check;
pub mod client;
pub mod disk;
pub mod faults;
pub mod history;
pub mod host;
pub mod mutation;
pub mod network;
pub mod operator;
pub mod report;
pub mod run;
pub mod servers;
pub mod watch;
pub mod world;
