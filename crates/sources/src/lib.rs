//! Rows from outside: files and databases, asked for in M or SQL, as batches of model columns.
//!
//! Never here: the model's meaning, segments, the network side of the server.

mod arrow_cell;
mod connection;
mod convert;
mod csv_file;
mod files_read;
mod hosts;
mod logins;
mod m;
mod parquet_file;
mod policy;
mod postgres;
mod read;
mod steps;
mod table;
mod text_check;

pub use files_read::{FileMark, FilesRead};
pub use hosts::SourceHosts;
pub use logins::{ClientCertificate, Login, Logins, overridden, source_named, take_login};
pub use policy::FilePolicy;
pub use postgres::Authorities;
pub use read::{ColumnRequest, SourceContext, check, check_expression, read_partition, read_rows};
