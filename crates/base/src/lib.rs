//! Ground of the workspace: values, their types and coercions, collation, errors.
//!
//! Never here: input or output, clocks, threads, async.

pub mod arithmetic;
pub mod batch;
pub mod collation;
pub mod datetime;
pub mod decimal;
pub mod error;
pub mod format;
pub mod letter_case;
pub mod outage;
pub mod rowset;
pub mod types;
pub mod value;

pub use batch::{ColumnData, RowBatch};
pub use collation::Collation;
pub use datetime::DateTime;
pub use decimal::Decimal;
pub use error::{Diagnostic, Error, ErrorKind, Result, Severity};
pub use outage::{Outage, Told};
pub use rowset::{ColumnKind, NestedRows, Rowset, RowsetColumn};
pub use types::DataType;
pub use value::Value;
