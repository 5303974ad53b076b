//! The kinds of objects of a tabular model: where TMSL keeps them and which columns they have.

use super::fields::Field;

/// A kind of object. The order is that of creation: what others belong to comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Model,
    QueryGroup,
    DataSource,
    Expression,
    Function,
    Table,
    CalculationGroup,
    Column,
    AttributeHierarchy,
    Partition,
    Measure,
    Hierarchy,
    Level,
    Relationship,
    Variation,
    AlternateOf,
    RelatedColumnDetails,
    GroupByColumn,
    CalculationItem,
    Kpi,
    RefreshPolicy,
    DetailRowsDefinition,
    FormatStringDefinition,
    Perspective,
    PerspectiveTable,
    PerspectiveColumn,
    PerspectiveMeasure,
    PerspectiveHierarchy,
    Role,
    RoleMembership,
    TablePermission,
    ColumnPermission,
    Culture,
    LinguisticMetadata,
    ObjectTranslation,
    ExtendedProperty,
    ChangedProperty,
    Annotation,
}

/// What is known of a kind.
#[derive(Debug)]
pub struct Spec {
    pub kind: Kind,
    /// Name of one object, as in path columns: `TableID.Table`.
    pub name: &'static str,
    /// Without `TMSCHEMA_`.
    pub rowset: &'static str,
    /// Element of a change, and segment of a path.
    pub collection: &'static str,
    pub object_type: i64,
    /// TMSL property with the name; empty for kinds of which a parent has one.
    pub key: &'static str,
    pub fields: &'static [Field],
}

/// Where TMSL keeps the objects that belong to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub kind: Kind,
    pub property: &'static str,
    /// A list, not a single object.
    pub many: bool,
}

const fn many(kind: Kind, property: &'static str) -> Place {
    Place { kind, property, many: true }
}
const fn one(kind: Kind, property: &'static str) -> Place {
    Place { kind, property, many: false }
}

const ANNOTATIONS: Place = many(Kind::Annotation, "annotations");
const EXTENDED: Place = many(Kind::ExtendedProperty, "extendedProperties");
const CHANGED: Place = many(Kind::ChangedProperty, "changedProperties");

impl Kind {
    pub fn spec(self) -> &'static Spec {
        super::specs::of(self)
    }

    /// The kind whose objects an element of this name holds, letter case aside.
    pub fn of_collection(name: &str) -> Option<Self> {
        super::specs::ALL.iter().find(|s| s.collection.eq_ignore_ascii_case(name)).map(|s| s.kind)
    }

    /// Kinds that belong to this one, with their places.
    pub fn places(self) -> &'static [Place] {
        match self {
            Self::Model => {
                const {
                    &[
                        many(Self::QueryGroup, "queryGroups"),
                        many(Self::DataSource, "dataSources"),
                        many(Self::Expression, "expressions"),
                        many(Self::Function, "functions"),
                        many(Self::Table, "tables"),
                        many(Self::Relationship, "relationships"),
                        many(Self::Perspective, "perspectives"),
                        many(Self::Role, "roles"),
                        many(Self::Culture, "cultures"),
                        EXTENDED,
                        ANNOTATIONS,
                    ]
                }
            }
            Self::Table => {
                const {
                    &[
                        one(Self::CalculationGroup, "calculationGroup"),
                        many(Self::Column, "columns"),
                        many(Self::Partition, "partitions"),
                        many(Self::Measure, "measures"),
                        many(Self::Hierarchy, "hierarchies"),
                        one(Self::RefreshPolicy, "refreshPolicy"),
                        one(Self::DetailRowsDefinition, "defaultDetailRowsDefinition"),
                        EXTENDED,
                        CHANGED,
                        ANNOTATIONS,
                    ]
                }
            }
            Self::Column => {
                const {
                    &[
                        one(Self::AttributeHierarchy, "attributeHierarchy"),
                        many(Self::Variation, "variations"),
                        one(Self::AlternateOf, "alternateOf"),
                        one(Self::RelatedColumnDetails, "relatedColumnDetails"),
                        EXTENDED,
                        CHANGED,
                        ANNOTATIONS,
                    ]
                }
            }
            Self::RelatedColumnDetails => const { &[many(Self::GroupByColumn, "groupByColumns")] },
            Self::Measure => {
                const {
                    &[
                        one(Self::Kpi, "kpi"),
                        one(Self::DetailRowsDefinition, "detailRowsDefinition"),
                        one(Self::FormatStringDefinition, "formatStringDefinition"),
                        EXTENDED,
                        CHANGED,
                        ANNOTATIONS,
                    ]
                }
            }
            Self::Hierarchy => {
                const { &[many(Self::Level, "levels"), EXTENDED, CHANGED, ANNOTATIONS] }
            }
            Self::CalculationGroup => {
                const { &[many(Self::CalculationItem, "calculationItems"), EXTENDED, ANNOTATIONS] }
            }
            Self::CalculationItem => {
                const { &[one(Self::FormatStringDefinition, "formatStringDefinition"), CHANGED] }
            }
            Self::Perspective => {
                const { &[many(Self::PerspectiveTable, "tables"), EXTENDED, ANNOTATIONS] }
            }
            Self::PerspectiveTable => {
                const {
                    &[
                        many(Self::PerspectiveColumn, "columns"),
                        many(Self::PerspectiveMeasure, "measures"),
                        many(Self::PerspectiveHierarchy, "hierarchies"),
                        EXTENDED,
                        ANNOTATIONS,
                    ]
                }
            }
            Self::Role => {
                const {
                    &[
                        many(Self::RoleMembership, "members"),
                        many(Self::TablePermission, "tablePermissions"),
                        EXTENDED,
                        ANNOTATIONS,
                    ]
                }
            }
            Self::TablePermission => {
                const { &[many(Self::ColumnPermission, "columnPermissions"), EXTENDED, ANNOTATIONS] }
            }
            Self::Culture => {
                const { &[one(Self::LinguisticMetadata, "linguisticMetadata"), EXTENDED, ANNOTATIONS] }
            }
            Self::Level | Self::Relationship => const { &[EXTENDED, CHANGED, ANNOTATIONS] },
            Self::DataSource
            | Self::Expression
            | Self::Partition
            | Self::AttributeHierarchy
            | Self::Variation
            | Self::Kpi
            | Self::RefreshPolicy
            | Self::PerspectiveColumn
            | Self::PerspectiveMeasure
            | Self::PerspectiveHierarchy
            | Self::RoleMembership
            | Self::ColumnPermission
            | Self::LinguisticMetadata
            | Self::AlternateOf
            | Self::QueryGroup => const { &[EXTENDED, ANNOTATIONS] },
            // What else a function carries stays with it: annotations tell the type of what they
            // belong to by a number, and that of functions is not known here.
            Self::Function
            | Self::GroupByColumn
            | Self::DetailRowsDefinition
            | Self::FormatStringDefinition
            | Self::ObjectTranslation
            | Self::ExtendedProperty
            | Self::ChangedProperty
            | Self::Annotation => const { &[] },
        }
    }

    /// Place of objects of `kind` in an object of this kind.
    pub fn place_of(self, kind: Self) -> Option<Place> {
        self.places().iter().find(|p| p.kind == kind).copied()
    }
}
