//! What `evercube demo` shows: a retail model with data of its own, a group of three servers with
//! a gateway, and a connection that stays while servers come and go.

pub mod connection;
pub mod group;
pub mod retail;
