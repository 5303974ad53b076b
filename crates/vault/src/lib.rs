//! Encryption at rest: the keys of a data folder, and contents encrypted with them.
//!
//! The operator's keys open a small file with the folder's own keys; those encrypt everything else.
//! So an operator's key is replaced by writing that file anew.
//!
//! Never here: what the contents are, and where they lie.

mod frames;
mod key_source;
mod keyring;
mod operator_key;
mod vault;

pub use frames::{is_sealed, plain_length};
pub use key_source::KeySources;
pub use operator_key::OperatorKey;
pub use vault::{Unsealed, Vault};
