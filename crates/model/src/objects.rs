//! A database as a list of single objects with numbers and links, and back.
//!
//! Rowsets, identifiers and object changes are all written over this one form, so that a property
//! is named once, in [`kinds`], for every direction.

pub mod fields;
pub mod graph;
pub mod kinds;
mod rebuild;
pub mod specs;
mod translations;
pub mod wire;
