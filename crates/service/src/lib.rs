//! The use cases of the server: sessions, queries, schema rowsets, deploying and changing models,
//! refreshing, shipping and committing versions, loading and verifying them, backup and restore.
//!
//! Never here: HTTP, XML.

mod able;
pub mod access;
pub mod agreement;
pub mod alarm;
pub mod attempts;
pub mod audit;
pub mod auth;
pub mod backup;
pub mod backup_use;
pub mod bearer;
pub mod browse;
pub mod call;
pub mod certificates;
pub mod change;
mod clocks;
mod collect;
pub mod commit;
pub mod config;
pub mod damage;
pub mod deploy;
pub mod discover;
pub mod drift;
pub mod encryption;
mod gap;
pub mod group;
mod guardian;
pub mod history;
pub mod identity;
pub mod joining;
mod layout;
mod loader;
pub mod logins;
pub mod objects;
mod once;
pub mod operations;
mod other_group;
mod parcel;
pub mod progress;
pub mod query;
pub mod read;
pub mod refresh;
mod rights;
pub mod running;
pub mod schedule;
mod scrub;
pub mod seal;
pub mod service;
pub mod session;
pub mod shared;
mod silence;
pub mod standby;
pub mod status;
mod traced;
pub mod traces;
pub mod verify;
pub mod versions;
pub mod watch;
mod windows_locale;

pub use backup::NamedTargets;
pub use config::ServiceConfig;
pub use evercube_sources::{Authorities, ClientCertificate, FilePolicy, Login, source_named};
pub use service::Service;

/// Stack of threads that evaluate expressions: nesting is limited, and the limit fits in it.
pub const STACK: usize = 16 << 20;
