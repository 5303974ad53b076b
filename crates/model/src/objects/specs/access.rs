//! Perspectives, roles and cultures.

use super::*;

pub const PERSPECTIVE: Spec = Spec {
    kind: Kind::Perspective,
    name: "Perspective",
    rowset: "PERSPECTIVES",
    collection: "Perspectives",
    object_type: 29,
    key: "name",
    fields: &[
        s("ID", Special::Id),
        f("ModelID", Parent),
        f("Name", Text("name")),
        f("Description", Text("description")),
        s("ModifiedTime", Special::Modified),
        s("Version", Special::Version),
    ],
};

pub const PERSPECTIVE_TABLE: Spec = Spec {
    kind: Kind::PerspectiveTable,
    name: "PerspectiveTable",
    rowset: "PERSPECTIVE_TABLES",
    collection: "PerspectiveTables",
    object_type: 30,
    key: "name",
    fields: &[
        s("ID", Special::Id),
        f("PerspectiveID", Parent),
        top("TableID", Kind::Table, "name"),
        f("IncludeAll", Flag("includeAll", false)),
        s("ModifiedTime", Special::Modified),
        s("Version", Special::Version),
    ],
};

pub const PERSPECTIVE_COLUMN: Spec = Spec {
    kind: Kind::PerspectiveColumn,
    name: "PerspectiveColumn",
    rowset: "PERSPECTIVE_COLUMNS",
    collection: "PerspectiveColumns",
    object_type: 31,
    key: "name",
    fields: &[
        s("ID", Special::Id),
        f("PerspectiveTableID", Parent),
        near("ColumnID", Kind::Column, "name"),
        s("ModifiedTime", Special::Modified),
        s("Version", Special::Version),
    ],
};

pub const PERSPECTIVE_MEASURE: Spec = Spec {
    kind: Kind::PerspectiveMeasure,
    name: "PerspectiveMeasure",
    rowset: "PERSPECTIVE_MEASURES",
    collection: "PerspectiveMeasures",
    object_type: 33,
    key: "name",
    fields: &[
        s("ID", Special::Id),
        f("PerspectiveTableID", Parent),
        near("MeasureID", Kind::Measure, "name"),
        s("ModifiedTime", Special::Modified),
        s("Version", Special::Version),
    ],
};

pub const PERSPECTIVE_HIERARCHY: Spec = Spec {
    kind: Kind::PerspectiveHierarchy,
    name: "PerspectiveHierarchy",
    rowset: "PERSPECTIVE_HIERARCHIES",
    collection: "PerspectiveHierarchies",
    object_type: 32,
    key: "name",
    fields: &[
        s("ID", Special::Id),
        f("PerspectiveTableID", Parent),
        near("HierarchyID", Kind::Hierarchy, "name"),
        s("ModifiedTime", Special::Modified),
        s("Version", Special::Version),
    ],
};

pub const ROLE: Spec = Spec {
    kind: Kind::Role,
    name: "Role",
    rowset: "ROLES",
    collection: "Roles",
    object_type: 34,
    key: "name",
    fields: &[
        s("ID", Special::Id),
        f("ModelID", Parent),
        f("Name", Text("name")),
        f("Description", Text("description")),
        f("ModelPermission", Enum("modelPermission", &MODEL_PERMISSION, Some(1))),
        s("ModifiedTime", Special::Modified),
        s("Version", Special::Version),
    ],
};

pub const ROLE_MEMBERSHIP: Spec = Spec {
    kind: Kind::RoleMembership,
    name: "RoleMembership",
    rowset: "ROLE_MEMBERSHIPS",
    collection: "RoleMemberships",
    object_type: 35,
    key: "memberName",
    fields: &[
        s("ID", Special::Id),
        f("RoleID", Parent),
        f("MemberName", Text("memberName")),
        f("MemberID", Text("memberId")),
        f("IdentityProvider", Text("identityProvider")),
        f("MemberType", Enum("memberType", &MEMBER_TYPE, Some(1))),
        s("ModifiedTime", Special::Modified),
        s("Version", Special::Version),
    ],
};

pub const TABLE_PERMISSION: Spec = Spec {
    kind: Kind::TablePermission,
    name: "TablePermission",
    rowset: "TABLE_PERMISSIONS",
    collection: "TablePermissions",
    object_type: 36,
    key: "name",
    fields: &[
        s("ID", Special::Id),
        f("RoleID", Parent),
        top("TableID", Kind::Table, "name"),
        f("FilterExpression", Text("filterExpression")),
        s("ModifiedTime", Special::Modified),
        s("State", Special::State),
        s("ErrorMessage", Special::ErrorMessage),
        f("MetadataPermission", Enum("metadataPermission", &METADATA_PERMISSION, Some(0))),
        s("Version", Special::Version),
    ],
};

pub const COLUMN_PERMISSION: Spec = Spec {
    kind: Kind::ColumnPermission,
    name: "ColumnPermission",
    rowset: "COLUMN_PERMISSIONS",
    collection: "ColumnPermissions",
    object_type: 42,
    key: "name",
    fields: &[
        s("ID", Special::Id),
        f("TablePermissionID", Parent),
        near("ColumnID", Kind::Column, "name"),
        s("ModifiedTime", Special::Modified),
        f("MetadataPermission", Enum("metadataPermission", &METADATA_PERMISSION, Some(0))),
        s("Version", Special::Version),
    ],
};

pub const CULTURE: Spec = Spec {
    kind: Kind::Culture,
    name: "Culture",
    rowset: "CULTURES",
    collection: "Cultures",
    object_type: 13,
    key: "name",
    fields: &[
        s("ID", Special::Id),
        f("ModelID", Parent),
        f("Name", Text("name")),
        f("LinguisticMetadataID", Child(Kind::LinguisticMetadata)),
        s("ModifiedTime", Special::Modified),
        s("StructureModifiedTime", Special::StructureModified),
        s("Version", Special::Version),
    ],
};

pub const LINGUISTIC_METADATA: Spec = Spec {
    kind: Kind::LinguisticMetadata,
    name: "LinguisticMetadata",
    rowset: "LINGUISTIC_METADATA",
    collection: "LinguisticMetadata",
    object_type: 15,
    key: "",
    fields: &[
        s("ID", Special::Id),
        f("CultureID", Parent),
        s("Content", Special::LinguisticContent),
        s("ModifiedTime", Special::Modified),
        f("ContentType", Enum("contentType", &CONTENT_TYPE, None)),
        s("Version", Special::Version),
    ],
};

pub const OBJECT_TRANSLATION: Spec = Spec {
    kind: Kind::ObjectTranslation,
    name: "ObjectTranslation",
    rowset: "OBJECT_TRANSLATIONS",
    collection: "ObjectTranslations",
    object_type: 14,
    key: "",
    fields: &[
        s("ID", Special::Id),
        f("CultureID", Parent),
        f("ObjectID", Of::Link(Link::Any)),
        s("ObjectType", Special::ObjectType),
        f("Property", Enum("property", &TRANSLATED_PROPERTY, None)),
        f("Value", Text("value")),
        s("ModifiedTime", Special::Modified),
        f("Altered", Flag("altered", false)),
        s("Version", Special::Version),
    ],
};
