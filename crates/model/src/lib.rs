//! The tabular object model: typed objects that keep what they do not know, TMSL, validation, diff.
//!
//! Never here: data, engines, input or output.

pub mod apply;
pub mod changes;
pub mod document;
pub mod enums;
pub mod ids;
pub mod kpi;
mod objects;
pub mod script;
pub mod tabular;
pub mod tmschema;
pub mod tmsl;
pub mod validate;

pub use objects::wire::{is_secret, without_password};
