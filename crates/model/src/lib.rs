//! The tabular object model: typed objects that keep what they do not know, TMSL, validation, diff.
//!
//! Never here: data, engines, input or output.

pub mod tabular;
