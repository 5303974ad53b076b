//! A scalar of DAX.

use std::sync::Arc;

use crate::{DataType, DateTime, Decimal};

/// A DAX scalar. `Blank` is a value of every type; the null of a source becomes `Blank` on load.
///
/// `PartialEq` is plain structural equality (doubles by `==`, text byte by byte). Comparison by
/// DAX rules (blank equals zero, collation, mixed numbers) is in the engine.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub enum Value {
    #[default]
    Blank,
    Boolean(bool),
    Int(i64),
    Decimal(Decimal),
    Double(f64),
    DateTime(DateTime),
    String(Arc<str>),
}

impl Value {
    pub fn is_blank(&self) -> bool {
        matches!(self, Self::Blank)
    }
    /// The type, or `None` for blank.
    pub fn data_type(&self) -> Option<DataType> {
        Some(match self {
            Self::Blank => return None,
            Self::Boolean(_) => DataType::Boolean,
            Self::Int(_) => DataType::Int64,
            Self::Decimal(_) => DataType::Decimal,
            Self::Double(_) => DataType::Double,
            Self::DateTime(_) => DataType::DateTime,
            Self::String(_) => DataType::String,
        })
    }
    pub fn text(s: impl Into<Arc<str>>) -> Self {
        Self::String(s.into())
    }
    /// Number behind a numeric, boolean or date value (OLE days); blank is 0; `None` for text.
    pub fn as_f64(&self) -> Option<f64> {
        Some(match self {
            Self::Blank => 0.0,
            Self::Boolean(b) => f64::from(u8::from(*b)),
            Self::Int(i) => *i as f64,
            Self::Decimal(d) => d.to_f64(),
            Self::Double(d) => *d,
            Self::DateTime(t) => t.to_ole(),
            Self::String(_) => return None,
        })
    }
}

impl From<bool> for Value {
    fn from(v: bool) -> Self {
        Self::Boolean(v)
    }
}
impl From<i64> for Value {
    fn from(v: i64) -> Self {
        Self::Int(v)
    }
}
impl From<f64> for Value {
    fn from(v: f64) -> Self {
        Self::Double(v)
    }
}
impl From<&str> for Value {
    fn from(v: &str) -> Self {
        Self::String(v.into())
    }
}
impl From<String> for Value {
    fn from(v: String) -> Self {
        Self::String(v.into())
    }
}
impl From<DateTime> for Value {
    fn from(v: DateTime) -> Self {
        Self::DateTime(v)
    }
}
impl From<Decimal> for Value {
    fn from(v: Decimal) -> Self {
        Self::Decimal(v)
    }
}
