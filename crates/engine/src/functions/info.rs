//! `INFO.…`: the rowsets of tabular metadata as tables of a query.

use super::FunctionKind::Special;
use super::ReturnType::Table;
use super::{Family, Row};

/// A function, the rowset it answers with, and what that holds.
struct Info(&'static str, &'static str, &'static str);

const ALL: [Info; 39] = [
    Info("INFO.ALTERNATEOFDEFINITIONS", "ALTERNATE_OF_DEFINITIONS", "Aggregation columns."),
    Info("INFO.ANNOTATIONS", "ANNOTATIONS", "Annotations of the model's objects."),
    Info("INFO.ATTRIBUTEHIERARCHIES", "ATTRIBUTE_HIERARCHIES", "Hierarchies of single columns."),
    Info("INFO.CALCULATIONGROUPS", "CALCULATION_GROUPS", "Calculation groups of the model."),
    Info("INFO.CALCULATIONITEMS", "CALCULATION_ITEMS", "Items of calculation groups."),
    Info("INFO.CHANGEDPROPERTIES", "CHANGED_PROPERTIES", "Properties changed by hand."),
    Info("INFO.COLUMNPERMISSIONS", "COLUMN_PERMISSIONS", "Permissions of roles on columns."),
    Info("INFO.COLUMNS", "COLUMNS", "Columns of the model."),
    Info("INFO.CULTURES", "CULTURES", "Cultures of the model."),
    Info("INFO.DATASOURCES", "DATA_SOURCES", "Data sources of the model."),
    Info("INFO.DETAILROWSDEFINITIONS", "DETAIL_ROWS_DEFINITIONS", "Detail rows expressions."),
    Info("INFO.EXPRESSIONS", "EXPRESSIONS", "Shared expressions of the model."),
    Info("INFO.EXTENDEDPROPERTIES", "EXTENDED_PROPERTIES", "Extended properties of objects."),
    Info("INFO.FORMATSTRINGDEFINITIONS", "FORMAT_STRING_DEFINITIONS", "Dynamic format strings."),
    Info("INFO.GROUPBYCOLUMNS", "GROUP_BY_COLUMNS", "Columns that others are grouped by."),
    Info("INFO.HIERARCHIES", "HIERARCHIES", "Hierarchies of the model."),
    Info("INFO.KPIS", "KPIS", "Key performance indicators."),
    Info("INFO.LEVELS", "LEVELS", "Levels of hierarchies."),
    Info("INFO.LINGUISTICMETADATA", "LINGUISTIC_METADATA", "Linguistic metadata of cultures."),
    Info("INFO.MEASURES", "MEASURES", "Measures of the model."),
    Info("INFO.MODEL", "MODEL", "Properties of the model itself."),
    Info("INFO.OBJECTTRANSLATIONS", "OBJECT_TRANSLATIONS", "Translations of names and texts."),
    Info("INFO.PARTITIONS", "PARTITIONS", "Partitions of tables."),
    Info("INFO.PERSPECTIVECOLUMNS", "PERSPECTIVE_COLUMNS", "Columns in perspectives."),
    Info("INFO.PERSPECTIVEHIERARCHIES", "PERSPECTIVE_HIERARCHIES", "Hierarchies in perspectives."),
    Info("INFO.PERSPECTIVEMEASURES", "PERSPECTIVE_MEASURES", "Measures in perspectives."),
    Info("INFO.PERSPECTIVES", "PERSPECTIVES", "Perspectives of the model."),
    Info("INFO.PERSPECTIVETABLES", "PERSPECTIVE_TABLES", "Tables in perspectives."),
    Info("INFO.QUERYGROUPS", "QUERY_GROUPS", "Folders of shared expressions."),
    Info("INFO.REFRESHPOLICIES", "REFRESH_POLICIES", "Refresh policies of tables."),
    Info("INFO.RELATEDCOLUMNDETAILS", "RELATED_COLUMN_DETAILS", "Details of related columns."),
    Info("INFO.RELATIONSHIPS", "RELATIONSHIPS", "Relationships of the model."),
    Info("INFO.ROLEMEMBERSHIPS", "ROLE_MEMBERSHIPS", "Members of roles."),
    Info("INFO.ROLES", "ROLES", "Roles of the model."),
    Info("INFO.TABLEPERMISSIONS", "TABLE_PERMISSIONS", "Permissions of roles on tables."),
    Info("INFO.TABLES", "TABLES", "Tables of the model."),
    Info("INFO.VARIATIONS", "VARIATIONS", "Variations of columns."),
    Info("INFO.USERDEFINEDFUNCTIONS", "FUNCTIONS", "Functions the model defines."),
    Info("INFO.CALENDARS", "CALENDARS", "Calendars of the model."),
];

const ROWS: [Row; ALL.len()] = {
    let mut rows = [Row("", "", "", Table, Special); ALL.len()];
    let mut i = 0;
    while i < ALL.len() {
        rows[i] =
            Row(ALL[i].0, "[RestrictionName]...,[RestrictionValue]...", ALL[i].2, Table, Special);
        i += 1;
    }
    rows
};

pub(crate) const FAMILIES: &[Family] = &[Family("Information", &ROWS)];

/// The rowset, as `TMSCHEMA_TABLES`, a function answers with.
pub(crate) fn rowset_of(function: &str) -> Option<String> {
    ALL.iter().find(|i| i.0 == function).map(|i| format!("TMSCHEMA_{}", i.1))
}
