//! DAX text to tokens to a tree with positions, recovering from errors; and back to text.
//!
//! Never here: knowledge of a model. Names stay names; the engine binds them.

pub mod ast;
