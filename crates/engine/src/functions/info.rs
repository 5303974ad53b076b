//! `INFO.…`: the rowsets of tabular metadata as tables of a query.

use super::FunctionKind::Special;
use super::ReturnType::Table;
use super::{Family, Row};

/// A function, the rowset it answers with, and what that holds.
struct Info(&'static str, &'static str, &'static str);

const ALL: [Info; 68] = [
    Info(
        "INFO.ALTERNATEOFDEFINITIONS",
        "TMSCHEMA_ALTERNATE_OF_DEFINITIONS",
        "Aggregation columns.",
    ),
    Info("INFO.ANNOTATIONS", "TMSCHEMA_ANNOTATIONS", "Annotations of the model's objects."),
    Info(
        "INFO.ATTRIBUTEHIERARCHIES",
        "TMSCHEMA_ATTRIBUTE_HIERARCHIES",
        "Hierarchies of single columns.",
    ),
    Info(
        "INFO.CALCULATIONGROUPS",
        "TMSCHEMA_CALCULATION_GROUPS",
        "Calculation groups of the model.",
    ),
    Info("INFO.CALCULATIONITEMS", "TMSCHEMA_CALCULATION_ITEMS", "Items of calculation groups."),
    Info("INFO.CHANGEDPROPERTIES", "TMSCHEMA_CHANGED_PROPERTIES", "Properties changed by hand."),
    Info(
        "INFO.COLUMNPERMISSIONS",
        "TMSCHEMA_COLUMN_PERMISSIONS",
        "Permissions of roles on columns.",
    ),
    Info("INFO.COLUMNS", "TMSCHEMA_COLUMNS", "Columns of the model."),
    Info("INFO.CULTURES", "TMSCHEMA_CULTURES", "Cultures of the model."),
    Info("INFO.DATASOURCES", "TMSCHEMA_DATA_SOURCES", "Data sources of the model."),
    Info(
        "INFO.DETAILROWSDEFINITIONS",
        "TMSCHEMA_DETAIL_ROWS_DEFINITIONS",
        "Detail rows expressions.",
    ),
    Info("INFO.EXPRESSIONS", "TMSCHEMA_EXPRESSIONS", "Shared expressions of the model."),
    Info(
        "INFO.EXTENDEDPROPERTIES",
        "TMSCHEMA_EXTENDED_PROPERTIES",
        "Extended properties of objects.",
    ),
    Info(
        "INFO.FORMATSTRINGDEFINITIONS",
        "TMSCHEMA_FORMAT_STRING_DEFINITIONS",
        "Dynamic format strings.",
    ),
    Info("INFO.GROUPBYCOLUMNS", "TMSCHEMA_GROUP_BY_COLUMNS", "Columns that others are grouped by."),
    Info("INFO.HIERARCHIES", "TMSCHEMA_HIERARCHIES", "Hierarchies of the model."),
    Info("INFO.KPIS", "TMSCHEMA_KPIS", "Key performance indicators."),
    Info("INFO.LEVELS", "TMSCHEMA_LEVELS", "Levels of hierarchies."),
    Info(
        "INFO.LINGUISTICMETADATA",
        "TMSCHEMA_LINGUISTIC_METADATA",
        "Linguistic metadata of cultures.",
    ),
    Info("INFO.MEASURES", "TMSCHEMA_MEASURES", "Measures of the model."),
    Info("INFO.MODEL", "TMSCHEMA_MODEL", "Properties of the model itself."),
    Info(
        "INFO.OBJECTTRANSLATIONS",
        "TMSCHEMA_OBJECT_TRANSLATIONS",
        "Translations of names and texts.",
    ),
    Info("INFO.PARTITIONS", "TMSCHEMA_PARTITIONS", "Partitions of tables."),
    Info("INFO.PERSPECTIVECOLUMNS", "TMSCHEMA_PERSPECTIVE_COLUMNS", "Columns in perspectives."),
    Info(
        "INFO.PERSPECTIVEHIERARCHIES",
        "TMSCHEMA_PERSPECTIVE_HIERARCHIES",
        "Hierarchies in perspectives.",
    ),
    Info("INFO.PERSPECTIVEMEASURES", "TMSCHEMA_PERSPECTIVE_MEASURES", "Measures in perspectives."),
    Info("INFO.PERSPECTIVES", "TMSCHEMA_PERSPECTIVES", "Perspectives of the model."),
    Info("INFO.PERSPECTIVETABLES", "TMSCHEMA_PERSPECTIVE_TABLES", "Tables in perspectives."),
    Info("INFO.QUERYGROUPS", "TMSCHEMA_QUERY_GROUPS", "Folders of shared expressions."),
    Info("INFO.REFRESHPOLICIES", "TMSCHEMA_REFRESH_POLICIES", "Refresh policies of tables."),
    Info(
        "INFO.RELATEDCOLUMNDETAILS",
        "TMSCHEMA_RELATED_COLUMN_DETAILS",
        "Details of related columns.",
    ),
    Info("INFO.RELATIONSHIPS", "TMSCHEMA_RELATIONSHIPS", "Relationships of the model."),
    Info("INFO.ROLEMEMBERSHIPS", "TMSCHEMA_ROLE_MEMBERSHIPS", "Members of roles."),
    Info("INFO.ROLES", "TMSCHEMA_ROLES", "Roles of the model."),
    Info("INFO.TABLEPERMISSIONS", "TMSCHEMA_TABLE_PERMISSIONS", "Permissions of roles on tables."),
    Info("INFO.TABLES", "TMSCHEMA_TABLES", "Tables of the model."),
    Info("INFO.VARIATIONS", "TMSCHEMA_VARIATIONS", "Variations of columns."),
    Info("INFO.USERDEFINEDFUNCTIONS", "TMSCHEMA_FUNCTIONS", "Functions the model defines."),
    Info("INFO.CALENDARS", "TMSCHEMA_CALENDARS", "Calendars of the model."),
    Info(
        "INFO.CALENDARCOLUMNGROUPS",
        "TMSCHEMA_CALENDAR_COLUMN_GROUPS",
        "Column groups of calendars.",
    ),
    Info(
        "INFO.CALENDARCOLUMNREFERENCES",
        "TMSCHEMA_CALENDAR_COLUMN_REFERENCES",
        "Columns of calendars.",
    ),
    Info(
        "INFO.DATACOVERAGEDEFINITIONS",
        "TMSCHEMA_DATA_COVERAGE_DEFINITIONS",
        "Data coverage of partitions.",
    ),
    Info("INFO.EXCLUDEDARTIFACTS", "TMSCHEMA_EXCLUDED_ARTIFACTS", "Objects left out of the model."),
    Info("INFO.STORAGEFOLDERS", "TMSCHEMA_STORAGE_FOLDERS", "Folders of stored data."),
    Info("INFO.STORAGEFILES", "TMSCHEMA_STORAGE_FILES", "Files of stored data."),
    Info("INFO.TABLESTORAGES", "TMSCHEMA_TABLE_STORAGES", "Stored forms of tables."),
    Info("INFO.COLUMNSTORAGES", "TMSCHEMA_COLUMN_STORAGES", "Stored forms of columns."),
    Info("INFO.PARTITIONSTORAGES", "TMSCHEMA_PARTITION_STORAGES", "Stored forms of partitions."),
    Info("INFO.SEGMENTMAPSTORAGES", "TMSCHEMA_SEGMENT_MAP_STORAGES", "Stored maps of segments."),
    Info("INFO.DICTIONARYSTORAGES", "TMSCHEMA_DICTIONARY_STORAGES", "Stored dictionaries."),
    Info(
        "INFO.COLUMNPARTITIONSTORAGES",
        "TMSCHEMA_COLUMN_PARTITION_STORAGES",
        "Stored columns of partitions.",
    ),
    Info("INFO.SEGMENTSTORAGES", "TMSCHEMA_SEGMENT_STORAGES", "Stored segments."),
    Info("INFO.RELATIONSHIPSTORAGES", "TMSCHEMA_RELATIONSHIP_STORAGES", "Stored relationships."),
    Info(
        "INFO.RELATIONSHIPINDEXSTORAGES",
        "TMSCHEMA_RELATIONSHIP_INDEX_STORAGES",
        "Stored indexes of relationships.",
    ),
    Info(
        "INFO.ATTRIBUTEHIERARCHYSTORAGES",
        "TMSCHEMA_ATTRIBUTE_HIERARCHY_STORAGES",
        "Stored hierarchies of columns.",
    ),
    Info("INFO.HIERARCHYSTORAGES", "TMSCHEMA_HIERARCHY_STORAGES", "Stored hierarchies."),
    Info(
        "INFO.DELTATABLEMETADATASTORAGES",
        "TMSCHEMA_DELTA_TABLE_METADATA_STORAGES",
        "Metadata of Delta tables.",
    ),
    Info(
        "INFO.PARQUETFILESTORAGES",
        "TMSCHEMA_PARQUET_FILE_STORAGES",
        "Parquet files of Delta tables.",
    ),
    Info(
        "INFO.GENERALSEGMENTMAPSEGMENTMETADATASTORAGES",
        "TMSCHEMA_GENERAL_SEGMENT_MAP_SEGMENT_METADATA_STORAGES",
        "Metadata of segments in maps.",
    ),
    Info("INFO.STORAGETABLES", "DISCOVER_STORAGE_TABLES", "Tables as they are stored."),
    Info(
        "INFO.STORAGETABLECOLUMNS",
        "DISCOVER_STORAGE_TABLE_COLUMNS",
        "Columns as they are stored.",
    ),
    Info(
        "INFO.STORAGETABLECOLUMNSEGMENTS",
        "DISCOVER_STORAGE_TABLE_COLUMN_SEGMENTS",
        "Segments of columns as they are stored.",
    ),
    Info("INFO.CALCDEPENDENCY", "DISCOVER_CALC_DEPENDENCY", "Which objects use which."),
    Info("INFO.DEPENDENCIES", "DISCOVER_CALC_DEPENDENCY", "Which objects use which."),
    Info("INFO.CATALOGS", "DBSCHEMA_CATALOGS", "The database."),
    Info(
        "INFO.CSDLMETADATA",
        "DISCOVER_CSDL_METADATA",
        "The model as clients of its metadata read it.",
    ),
    Info("INFO.FUNCTIONS", "MDSCHEMA_FUNCTIONS", "The functions of the language."),
    Info("INFO.PROPERTIES", "DISCOVER_PROPERTIES", "Properties of the connection."),
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

const VIEWS: &[Row] = &[
    Row("INFO.VIEW.COLUMNS", "", "Columns of the model, for people.", Table, Special),
    Row("INFO.VIEW.MEASURES", "", "Measures of the model, for people.", Table, Special),
    Row("INFO.VIEW.RELATIONSHIPS", "", "Relationships of the model, for people.", Table, Special),
    Row("INFO.VIEW.TABLES", "", "Tables of the model, for people.", Table, Special),
];

pub(crate) const FAMILIES: &[Family] =
    &[Family("Information", &ROWS), Family("Information", VIEWS)];

/// The rowset, as `TMSCHEMA_TABLES`, a function answers with.
pub(crate) fn rowset_of(function: &str) -> Option<&'static str> {
    ALL.iter().find(|i| i.0 == function).map(|i| i.1)
}
