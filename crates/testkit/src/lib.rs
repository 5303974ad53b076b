//! Development only: what holds the workspace together.

pub mod coverage;
pub mod edges;
pub mod random;
pub mod reference;
pub mod script;
