//! engine

pub mod functions;
pub mod scalar;
