//! The column store: segments on disk, tables in memory, relationship indexes, scans.
//!
//! Never here: DAX, names. Tables and columns are ids; what they mean is the engine's.

pub mod scan_request;
