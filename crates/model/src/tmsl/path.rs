//! Which object of a database a command speaks of.

use std::fmt;

use crate::objects::kinds::Kind;

/// A kind of object that a command can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    Database,
    Model,
    Table,
    Partition,
    Column,
    Measure,
    Hierarchy,
    CalculationGroup,
    CalculationItem,
    Role,
    RoleMember,
    TablePermission,
    DataSource,
    Relationship,
    Expression,
    Perspective,
    Culture,
    QueryGroup,
    Annotation,
}

impl ObjectKind {
    pub(crate) const ALL: [Self; 19] = [
        Self::Database,
        Self::Model,
        Self::Table,
        Self::Partition,
        Self::Column,
        Self::Measure,
        Self::Hierarchy,
        Self::CalculationGroup,
        Self::CalculationItem,
        Self::Role,
        Self::RoleMember,
        Self::TablePermission,
        Self::DataSource,
        Self::Relationship,
        Self::Expression,
        Self::Perspective,
        Self::Culture,
        Self::QueryGroup,
        Self::Annotation,
    ];

    /// The property that names an object of this kind in a command.
    pub fn word(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Model => "model",
            Self::Table => "table",
            Self::Partition => "partition",
            Self::Column => "column",
            Self::Measure => "measure",
            Self::Hierarchy => "hierarchy",
            Self::CalculationGroup => "calculationGroup",
            Self::CalculationItem => "calculationItem",
            Self::Role => "role",
            Self::RoleMember => "roleMembership",
            Self::TablePermission => "tablePermission",
            Self::DataSource => "dataSource",
            Self::Relationship => "relationship",
            Self::Expression => "expression",
            Self::Perspective => "perspective",
            Self::Culture => "culture",
            Self::QueryGroup => "queryGroup",
            Self::Annotation => "annotation",
        }
    }

    /// The kind a word stands for, letter case aside.
    pub fn parse(word: &str) -> Option<Self> {
        let word = if word.eq_ignore_ascii_case("roleMember") { "roleMembership" } else { word };
        Self::ALL.into_iter().find(|k| k.word().eq_ignore_ascii_case(word))
    }

    /// Objects of a table are found through it.
    pub fn belongs_to_table(self) -> bool {
        matches!(
            self,
            Self::Partition
                | Self::Column
                | Self::Measure
                | Self::Hierarchy
                | Self::CalculationGroup
                | Self::CalculationItem
        )
    }

    /// Objects of a role are found through it.
    pub fn belongs_to_role(self) -> bool {
        matches!(self, Self::RoleMember | Self::TablePermission)
    }

    /// The kind as the model keeps it; a database is above the model.
    pub(crate) fn kind(self) -> Option<Kind> {
        Some(match self {
            Self::Database => return None,
            Self::Model => Kind::Model,
            Self::Table => Kind::Table,
            Self::Partition => Kind::Partition,
            Self::Column => Kind::Column,
            Self::Measure => Kind::Measure,
            Self::Hierarchy => Kind::Hierarchy,
            Self::CalculationGroup => Kind::CalculationGroup,
            Self::CalculationItem => Kind::CalculationItem,
            Self::Role => Kind::Role,
            Self::RoleMember => Kind::RoleMembership,
            Self::TablePermission => Kind::TablePermission,
            Self::DataSource => Kind::DataSource,
            Self::Relationship => Kind::Relationship,
            Self::Expression => Kind::Expression,
            Self::Perspective => Kind::Perspective,
            Self::Culture => Kind::Culture,
            Self::QueryGroup => Kind::QueryGroup,
            Self::Annotation => Kind::Annotation,
        })
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CalculationGroup => "calculation group",
            Self::CalculationItem => "calculation item",
            Self::RoleMember => "role member",
            Self::TablePermission => "table permission",
            Self::DataSource => "data source",
            Self::QueryGroup => "query group",
            other => other.word(),
        })
    }
}

/// The way to an object: database, then the table or the role it belongs to, then its name.
/// Neither table, role nor object: the database itself. A table or role without object: itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObjectPath {
    pub database: String,
    pub table: Option<String>,
    pub role: Option<String>,
    pub object: Option<(ObjectKind, String)>,
}

impl ObjectPath {
    pub fn of_database(name: impl Into<String>) -> Self {
        Self { database: name.into(), ..Self::default() }
    }

    /// Kind of the object at the end of the path.
    pub fn kind(&self) -> ObjectKind {
        match (&self.object, &self.table, &self.role) {
            (Some((kind, _)), ..) => *kind,
            (None, Some(_), _) => ObjectKind::Table,
            (None, None, Some(_)) => ObjectKind::Role,
            (None, None, None) => ObjectKind::Database,
        }
    }

    /// Name of the object at the end of the path.
    pub fn name(&self) -> &str {
        let name = self.object.as_ref().map(|(_, name)| name);
        name.or(self.table.as_ref()).or(self.role.as_ref()).unwrap_or(&self.database)
    }

    /// The path of an object of this one.
    #[must_use]
    pub fn child(&self, kind: ObjectKind, name: &str) -> Self {
        let mut path = self.clone();
        match kind {
            ObjectKind::Database => path = Self::of_database(name),
            ObjectKind::Table => path.table = Some(name.to_owned()),
            ObjectKind::Role => path.role = Some(name.to_owned()),
            other => path.object = Some((other, name.to_owned())),
        }
        path
    }
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "database '{}'", self.database)?;
        if let Some(table) = &self.table {
            write!(f, "/table '{table}'")?;
        }
        if let Some(role) = &self.role {
            write!(f, "/role '{role}'")?;
        }
        match &self.object {
            Some((kind, name)) if name.is_empty() => write!(f, "/{kind}"),
            Some((kind, name)) => write!(f, "/{kind} '{name}'"),
            None => Ok(()),
        }
    }
}
