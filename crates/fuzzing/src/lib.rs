//! Everything that reads what others wrote, as functions of bytes that must not panic: for the
//! bounded run among the tests (`tests/bounded.rs`) and for coverage-guided runs (`scripts/fuzz`).

pub mod mutate;
mod targets;

pub use targets::{TARGETS, Target};
