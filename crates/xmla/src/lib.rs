//! XMLA messages and rowsets as bytes. Never here: sockets, sessions.

pub mod decode;
pub mod escape;
pub mod names;
pub mod request;
pub mod response;
pub mod rowset;
pub mod schema;
pub mod tree;

pub use decode::decode;
pub use request::{
    Backup, Cancel, Command, Discover, Engine, Execute, Method, ObjectCommand, ObjectRows,
    ObjectVerb, Request, Restore, SessionHeader,
};
pub use response::{Kind, Message, Response, Results, error_code, fault};
pub use rowset::{Content, write_rowset, write_table};
pub use tree::Limits;
