//! The use cases of the server. Today: sealed sessions, passwords, running requests, schema
//! rowsets and DMV queries.
//!
//! Never here: HTTP, XML.

pub mod auth;
pub mod call;
pub mod discover;
pub mod progress;
pub mod running;
pub mod seal;
pub mod session;
