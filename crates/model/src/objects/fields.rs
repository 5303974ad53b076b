//! How one rowset column relates to a property of TMSL.

use evercube_base::ColumnKind;

use super::kinds::Kind;
use crate::enums::Names;

/// A rowset column of an object kind.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    pub column: &'static str,
    pub of: Of,
}

/// Where the value of a column is. A property may lie deeper, as `source.dataSource`.
#[derive(Debug, Clone, Copy)]
pub enum Of {
    /// Text, one string or lines.
    Text(&'static str),
    Flag(&'static str, bool),
    Int(&'static str, Option<i64>),
    Enum(&'static str, &'static Names, Option<i64>),
    /// A JSON value, on the wire as its text.
    Json(&'static str),
    Time(&'static str),
    Link(Link),
    /// Number of the only child of this kind.
    Child(Kind),
    /// The object this one belongs to.
    Parent,
    Special(Special),
    /// Declared for clients, never filled.
    Nothing(ColumnKind),
}

/// How TMSL names another object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// An object of the model by its name in this property.
    Top(Kind, &'static str),
    /// An object of the same table, or of the table this object speaks of.
    Near(Kind, &'static str),
    /// An object of a table: property with the table's name, property with the object's.
    Pair(Kind, &'static str, &'static str),
    /// Any object; kept as a link only.
    Any,
}

impl Link {
    /// Kind of the object pointed at, where only one is possible.
    pub fn target(self) -> Option<Kind> {
        match self {
            Self::Top(kind, _) | Self::Near(kind, _) | Self::Pair(kind, _, _) => Some(kind),
            Self::Any => None,
        }
    }
}

/// Columns with rules of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    Id,
    Version,
    Modified,
    StructureModified,
    Refreshed,
    State,
    ErrorMessage,
    SystemFlags,
    /// Type of the object a row belongs to.
    ObjectType,
    /// The same as a number of type long.
    LongObjectType,
    MeasureType,
    ExplicitName,
    InferredName,
    ExplicitDataType,
    InferredDataType,
    PartitionType,
    QueryDefinition,
    /// A credential without its secrets.
    Credential,
    /// Text or JSON by the object's type.
    ExtendedValue,
    LinguisticContent,
    LevelOrdinal,
    /// Number of the model's version as metadata knows it.
    ModelVersion,
}

impl Field {
    /// Type of the column on the wire.
    pub fn kind(&self) -> ColumnKind {
        match self.of {
            Of::Text(_) | Of::Json(_) => ColumnKind::String,
            Of::Flag(..) => ColumnKind::Boolean,
            Of::Int(..) => ColumnKind::Int,
            Of::Enum(..) => ColumnKind::Long,
            Of::Time(_) => ColumnKind::DateTime,
            Of::Link(_) | Of::Child(_) | Of::Parent => ColumnKind::UnsignedLong,
            Of::Nothing(kind) => kind,
            Of::Special(special) => match special {
                Special::Id => ColumnKind::UnsignedLong,
                Special::Modified | Special::StructureModified | Special::Refreshed => {
                    ColumnKind::DateTime
                }
                Special::ObjectType | Special::LevelOrdinal => ColumnKind::Int,
                Special::Version
                | Special::ModelVersion
                | Special::State
                | Special::SystemFlags
                | Special::LongObjectType
                | Special::MeasureType
                | Special::ExplicitDataType
                | Special::InferredDataType
                | Special::PartitionType => ColumnKind::Long,
                Special::ErrorMessage
                | Special::ExplicitName
                | Special::InferredName
                | Special::QueryDefinition
                | Special::Credential
                | Special::ExtendedValue
                | Special::LinguisticContent => ColumnKind::String,
            },
        }
    }
}
