//! The meaning of DAX: models made ready for evaluation, filter contexts, the function library.
//!
//! Binding, planning and execution of whole queries are not here yet.
//!
//! Never here: network, clock, async.

pub mod compiled_model;
pub mod filter_context;
pub mod functions;
pub mod scalar;

pub use compiled_model::CompiledModel;
pub use filter_context::{Direction, Filter, FilterContext, Visibility};
