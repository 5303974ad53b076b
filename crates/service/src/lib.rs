//! service

pub mod discover;
