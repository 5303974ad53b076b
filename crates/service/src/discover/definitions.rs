//! The rowsets this server answers: names, identifiers, restrictions in their order, columns.

/// One rowset. Restrictions and columns are `name:type` separated by blanks; a nested column is
/// `name:nested(name:type,…)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Definition {
    pub name: &'static str,
    pub guid: &'static str,
    pub restrictions: &'static str,
    pub columns: &'static str,
}

pub const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "DISCOVER_PROPERTIES",
        guid: "4B40ADFB-8B09-4758-97BB-636E8AE97BCF",
        restrictions: "PropertyName:string",
        columns: "PropertyName:string PropertyDescription:string PropertyType:string \
         PropertyAccessType:string IsRequired:boolean Value:string",
    },
    Definition {
        name: "DISCOVER_DATASOURCES",
        guid: "06C03D41-F66D-49F3-B1B8-987F7AF4CF18",
        restrictions: "DataSourceName:string URL:string ProviderName:string ProviderType:string \
         AuthenticationMode:string",
        columns: "DataSourceName:string DataSourceDescription:string URL:string DataSourceInfo:string \
         ProviderName:string ProviderType:nested(:string) AuthenticationMode:string",
    },
    Definition {
        name: "DISCOVER_SCHEMA_ROWSETS",
        guid: "EEA0302B-7922-4992-8991-0E605D0E5593",
        restrictions: "SchemaName:string",
        columns: "SchemaName:string SchemaGuid:uuid Restrictions:nested(Name:string,Type:string) \
         Description:string RestrictionsMask:unsignedLong",
    },
    Definition {
        name: "DISCOVER_XML_METADATA",
        guid: "3444B255-171E-4CB9-AD98-19E57888A75F",
        restrictions: "ObjectExpansion:string DatabaseID:string DimensionID:string CubeID:string \
         MeasureGroupID:string PartitionID:string PerspectiveID:string DataSourceID:string \
         DataSourceViewID:string RoleID:string MiningStructureID:string ModifiedAfter:string",
        columns: "METADATA:xml",
    },
    Definition {
        name: "DISCOVER_CSDL_METADATA",
        guid: "87B86062-21C3-460F-B4F8-5BE98394F13B",
        restrictions: "CATALOG_NAME:string PERSPECTIVE_NAME:string VERSION:string",
        columns: "METADATA:xml",
    },
    Definition {
        name: "DISCOVER_LITERALS",
        guid: "C3EF5ECB-0A07-4665-A140-B075722DBDC2",
        restrictions: "LiteralName:string",
        columns: "LiteralName:string LiteralValue:string LiteralInvalidChars:string \
         LiteralInvalidStartingChars:string LiteralMaxLength:int LiteralNameEnumValue:int",
    },
    Definition {
        name: "DISCOVER_KEYWORDS",
        guid: "1426C443-4CDD-4A40-8F45-572FAB9BBAA1",
        restrictions: "Keyword:string",
        columns: "Keyword:string",
    },
    Definition {
        name: "DISCOVER_ENUMERATORS",
        guid: "55A9E78B-ACCB-45B4-95A6-94C5065617A7",
        restrictions: "EnumName:string",
        columns: "EnumName:string EnumDescription:string EnumType:string ElementName:string \
         ElementDescription:string ElementValue:string",
    },
    Definition {
        name: "DISCOVER_INSTANCES",
        guid: "20518699-2474-4C15-9885-0E947EC7A7E3",
        restrictions: "INSTANCE_NAME:string",
        columns: "INSTANCE_NAME:string INSTANCE_PORT_NUMBER:int INSTANCE_STATE:int",
    },
    Definition {
        name: "DISCOVER_SESSIONS",
        guid: "A07CCD26-8148-11D0-87BB-00C04FC33942",
        restrictions: "SESSION_ID:string SESSION_SPID:int SESSION_CONNECTION_ID:int SESSION_USER_NAME:string \
         SESSION_CURRENT_DATABASE:string SESSION_ELAPSED_TIME_MS:unsignedLong \
         SESSION_CPU_TIME_MS:unsignedLong SESSION_IDLE_TIME_MS:unsignedLong SESSION_STATUS:int \
         RESTRICT_CATALOG_ID:string REQUEST_ACTIVITY_ID:string CLIENT_ACTIVITY_ID:string",
        columns: "SESSION_COMMAND_COUNT:int SESSION_CONNECTION_ID:int SESSION_CPU_TIME_MS:unsignedLong \
         SESSION_CURRENT_DATABASE:string SESSION_ELAPSED_TIME_MS:unsignedLong SESSION_ID:string \
         SESSION_IDLE_TIME_MS:unsignedLong SESSION_LAST_COMMAND:string \
         SESSION_LAST_COMMAND_CPU_TIME_MS:unsignedLong \
         SESSION_LAST_COMMAND_ELAPSED_TIME_MS:unsignedLong SESSION_LAST_COMMAND_END_TIME:dateTime \
         SESSION_LAST_COMMAND_START_TIME:dateTime SESSION_PROPERTIES:string \
         SESSION_READ_KB:unsignedLong SESSION_READS:unsignedLong SESSION_SPID:int \
         SESSION_START_TIME:dateTime SESSION_STATUS:int SESSION_USED_MEMORY:int \
         SESSION_USER_NAME:string SESSION_WRITE_KB:unsignedLong SESSION_WRITES:unsignedLong",
    },
    Definition {
        name: "DISCOVER_CONNECTIONS",
        guid: "A07CCD25-8148-11D0-87BB-00C04FC33942",
        restrictions: "",
        columns: "CONNECTION_ID:int CONNECTION_USER_NAME:string CONNECTION_IMPERSONATED_USER_NAME:string \
         CONNECTION_HOST_NAME:string CONNECTION_HOST_APPLICATION:string \
         CONNECTION_START_TIME:dateTime CONNECTION_ELAPSED_TIME_MS:long \
         CONNECTION_LAST_COMMAND_START_TIME:dateTime CONNECTION_LAST_COMMAND_END_TIME:dateTime \
         CONNECTION_LAST_COMMAND_ELAPSED_TIME_MS:long CONNECTION_IDLE_TIME_MS:long \
         CONNECTION_BYTES_SENT:long CONNECTION_DATA_BYTES_SENT:long \
         CONNECTION_BYTES_RECEIVED:long CONNECTION_DATA_BYTES_RECEIVED:long",
    },
    Definition {
        name: "DISCOVER_COMMANDS",
        guid: "A07CCD34-8148-11D0-87BB-00C04FC33942",
        restrictions: "",
        columns: "SESSION_SPID:int SESSION_COMMAND_COUNT:int COMMAND_START_TIME:dateTime \
         COMMAND_ELAPSED_TIME_MS:long COMMAND_CPU_TIME_MS:long COMMAND_READS:long \
         COMMAND_READ_KB:long COMMAND_WRITES:long COMMAND_WRITE_KB:long COMMAND_TEXT:string \
         COMMAND_END_TIME:dateTime",
    },
    Definition {
        name: "DISCOVER_JOBS",
        guid: "A07CCD27-8148-11D0-87BB-00C04FC33942",
        restrictions: "SPID:int JOB_ID:int JOB_DESCRIPTION:string JOB_THREADPOOL_ID:int",
        columns: "JOB_CREATION_TIME:dateTime JOB_DESCRIPTION:string JOB_EXECUTION_TIME_MS:long JOB_ID:int \
         JOB_START_TIME:dateTime JOB_THREADPOOL_ID:int JOB_TOTAL_TIME_MS:long SPID:int",
    },
    Definition {
        name: "DISCOVER_LOCKS",
        guid: "A07CCD24-8148-11D0-87BB-00C04FC33942",
        restrictions: "SPID:int LOCK_TRANSACTION_ID:uuid LOCK_OBJECT_ID:string LOCK_STATUS:int LOCK_TYPE:int \
         LOCK_MIN_TOTAL_MS:long",
        columns: "LOCK_CREATION_TIME:dateTime LOCK_GRANT_TIME:dateTime LOCK_ID:uuid LOCK_OBJECT_ID:string \
         LOCK_STATUS:int LOCK_TRANSACTION_ID:uuid LOCK_TYPE:int SPID:int",
    },
    Definition {
        name: "DISCOVER_TRACES",
        guid: "A07CCD1A-8148-11D0-87BB-00C04FC33942",
        restrictions: "TraceId:int Type:string",
        columns: "TraceID:string TraceName:string LogFileName:string LogFileSize:int \
         LogFileRollover:boolean AutoRestart:boolean CreationTime:dateTime StopTime:dateTime \
         Type:string",
    },
    Definition {
        name: "DISCOVER_TRACE_EVENT_CATEGORIES",
        guid: "A07CCD19-8148-11D0-87BB-00C04FC33942",
        restrictions: "",
        columns: "Data:string",
    },
    Definition {
        name: "DISCOVER_TRACE_COLUMNS",
        guid: "A07CCD18-8148-11D0-87BB-00C04FC33942",
        restrictions: "",
        columns: "Data:string",
    },
    Definition {
        name: "DISCOVER_TRACE_DEFINITION_PROVIDERINFO",
        guid: "A07CCD1B-8148-11D0-87BB-00C04FC33942",
        restrictions: "",
        columns: "Data:string",
    },
    Definition {
        name: "DISCOVER_CALC_DEPENDENCY",
        guid: "A07CCD46-8148-11D0-87BB-00C04FC33942",
        restrictions: "DATABASE_NAME:string OBJECT_TYPE:string QUERY:string",
        columns: "DATABASE_NAME:string OBJECT_TYPE:string QUERY:string TABLE:string OBJECT:string \
         EXPRESSION:string REFERENCED_OBJECT_TYPE:string REFERENCED_TABLE:string \
         REFERENCED_OBJECT:string REFERENCED_EXPRESSION:string",
    },
    Definition {
        name: "DISCOVER_STORAGE_TABLES",
        guid: "A07CCD43-8148-11D0-87BB-00C04FC33942",
        restrictions: "DATABASE_NAME:string CUBE_NAME:string MEASURE_GROUP_NAME:string PARTITION_NAME:string",
        columns: "DATABASE_NAME:string CUBE_NAME:string MEASURE_GROUP_NAME:string PARTITION_NAME:string \
         DIMENSION_NAME:string TABLE_ID:string TABLE_PARTITIONS_COUNT:long HINT_TABLE_TYPE:string \
         ROWS_COUNT:long RIVIOLATION_COUNT:long",
    },
    Definition {
        name: "DISCOVER_STORAGE_TABLE_COLUMNS",
        guid: "A07CCD44-8148-11D0-87BB-00C04FC33942",
        restrictions: "",
        columns: "DATABASE_NAME:string CUBE_NAME:string MEASURE_GROUP_NAME:string DIMENSION_NAME:string \
         ATTRIBUTE_NAME:string TABLE_ID:string COLUMN_ID:string COLUMN_TYPE:string \
         COLUMN_ENCODING:long DATATYPE:string ISKEY:boolean ISUNIQUE:boolean ISNULLABLE:boolean \
         ISROWNUMBER:boolean DICTIONARY_SIZE:unsignedLong DICTIONARY_LAST_VERSION:long \
         DICTIONARY_ISPAGEABLE:boolean DICTIONARY_ISRESIDENT:boolean \
         DICTIONARY_TEMPERATURE:double DICTIONARY_LAST_ACCESSED:dateTime",
    },
    Definition {
        name: "DISCOVER_STORAGE_TABLE_COLUMN_SEGMENTS",
        guid: "A07CCD45-8148-11D0-87BB-00C04FC33942",
        restrictions: "",
        columns: "DATABASE_NAME:string CUBE_NAME:string MEASURE_GROUP_NAME:string PARTITION_NAME:string \
         DIMENSION_NAME:string TABLE_ID:string COLUMN_ID:string SEGMENT_NUMBER:long \
         TABLE_PARTITION_NUMBER:long RECORDS_COUNT:long ALLOCATED_SIZE:unsignedLong \
         USED_SIZE:unsignedLong COMPRESSION_TYPE:string BITS_COUNT:long BOOKMARK_BITS_COUNT:long \
         VERTIPAQ_STATE:string ISPAGEABLE:boolean ISRESIDENT:boolean TEMPERATURE:double \
         LAST_ACCESSED:dateTime",
    },
    Definition {
        name: "DISCOVER_OBJECT_MEMORY_USAGE",
        guid: "A07CCD37-8148-11D0-87BB-00C04FC33942",
        restrictions: "OBJECT_PARENT_PATH:string OBJECT_ID:string",
        columns: "OBJECT_PARENT_PATH:string OBJECT_ID:string OBJECT_MEMORY_SHRINKABLE:long \
         OBJECT_MEMORY_NONSHRINKABLE:long OBJECT_VERSION:int OBJECT_DATA_VERSION:int \
         OBJECT_TYPE_ID:int OBJECT_TIME_CREATED:dateTime",
    },
    Definition {
        name: "DISCOVER_MEMORYUSAGE",
        guid: "A07CCD21-8148-11D0-87BB-00C04FC33942",
        restrictions: "",
        columns: "MemoryID:unsignedLong MemoryName:string SPID:unsignedInt CreationTime:dateTime \
         BaseObjectType:unsignedInt MemoryUsed:unsignedLong MemoryAllocated:unsignedLong \
         MemoryAllocBase:unsignedLong MemoryAllocFromAlloc:unsignedLong ElementCount:unsignedInt \
         Shrinkable:boolean ObjectParentPath:string ObjectID:string",
    },
    Definition {
        name: "DISCOVER_TRANSACTIONS",
        guid: "A07CCD28-8148-11D0-87BB-00C04FC33942",
        restrictions: "ID:string SESSION_ID:string",
        columns: "TRANSACTION_ID:string TRANSACTION_SESSION_ID:string TRANSACTION_START_TIME:dateTime \
         TRANSACTION_ELAPSED_TIME_MS:long TRANSACTION_CPU_TIME_MS:long",
    },
    Definition {
        name: "DISCOVER_DB_CONNECTIONS",
        guid: "A07CCD2A-8148-11D0-87BB-00C04FC33942",
        restrictions: "CONNECTION_ID:int CONNECTION_IN_USE:int CONNECTION_SERVER_NAME:string \
         CONNECTION_CATALOG_NAME:string CONNECTION_SPID:int",
        columns: "CONNECTION_CATALOG_NAME:string CONNECTION_ID:int CONNECTION_IDLE_TIME_MS:long \
         CONNECTION_IN_USE:int CONNECTION_LAST_COMMAND_END_TIME:dateTime \
         CONNECTION_LAST_COMMAND_START_TIME:dateTime CONNECTION_SERVER_NAME:string \
         CONNECTION_SPID:int CONNECTION_START_TIME:dateTime CONNECTION_USAGE_TIME_MS:long",
    },
    Definition {
        name: "DISCOVER_PERFORMANCE_COUNTERS",
        guid: "A07CCD2E-8148-11D0-87BB-00C04FC33942",
        restrictions: "",
        columns: "PERF_COUNTER_NAME:string PERF_COUNTER_VALUE:double",
    },
    Definition {
        name: "DBSCHEMA_CATALOGS",
        guid: "C8B52211-5CF3-11CE-ADE5-00AA0044773D",
        restrictions: "CATALOG_NAME:string",
        columns: "CATALOG_NAME:string DESCRIPTION:string ROLES:string DATE_MODIFIED:dateTime \
         COMPATIBILITY_LEVEL:int TYPE:int VERSION:long DATABASE_ID:string DATE_QUERIED:dateTime \
         CURRENTLY_USED:boolean POPULARITY:double",
    },
    Definition {
        name: "DBSCHEMA_TABLES",
        guid: "C8B52229-5CF3-11CE-ADE5-00AA0044773D",
        restrictions: "TABLE_CATALOG:string TABLE_SCHEMA:string TABLE_NAME:string TABLE_TYPE:string \
         TABLE_OLAP_TYPE:string",
        columns: "TABLE_CATALOG:string TABLE_SCHEMA:string TABLE_NAME:string TABLE_TYPE:string \
         TABLE_GUID:uuid DESCRIPTION:string TABLE_PROPID:unsignedInt DATE_CREATED:dateTime \
         DATE_MODIFIED:dateTime TABLE_OLAP_TYPE:string",
    },
    Definition {
        name: "DBSCHEMA_COLUMNS",
        guid: "C8B52214-5CF3-11CE-ADE5-00AA0044773D",
        restrictions: "TABLE_CATALOG:string TABLE_SCHEMA:string TABLE_NAME:string COLUMN_NAME:string \
         COLUMN_OLAP_TYPE:string",
        columns: "TABLE_CATALOG:string TABLE_SCHEMA:string TABLE_NAME:string COLUMN_NAME:string \
         COLUMN_GUID:uuid COLUMN_PROPID:unsignedInt ORDINAL_POSITION:unsignedInt \
         COLUMN_HAS_DEFAULT:boolean COLUMN_DEFAULT:string COLUMN_FLAGS:unsignedInt \
         IS_NULLABLE:boolean DATA_TYPE:string TYPE_GUID:uuid CHARACTER_MAXIMUM_LENGTH:unsignedInt \
         CHARACTER_OCTET_LENGTH:unsignedInt NUMERIC_PRECISION:unsignedShort NUMERIC_SCALE:short \
         DATETIME_PRECISION:unsignedInt CHARACTER_SET_CATALOG:string CHARACTER_SET_SCHEMA:string \
         CHARACTER_SET_NAME:string COLLATION_CATALOG:string COLLATION_SCHEMA:string \
         COLLATION_NAME:string DOMAIN_CATALOG:string DOMAIN_SCHEMA:string DOMAIN_NAME:string \
         DESCRIPTION:string COLUMN_OLAP_TYPE:string",
    },
    Definition {
        name: "DBSCHEMA_PROVIDER_TYPES",
        guid: "C8B5222C-5CF3-11CE-ADE5-00AA0044773D",
        restrictions: "DATA_TYPE:unsignedShort BEST_MATCH:boolean",
        columns: "TYPE_NAME:string DATA_TYPE:unsignedShort COLUMN_SIZE:unsignedInt LITERAL_PREFIX:string \
         LITERAL_SUFFIX:string CREATE_PARAMS:string IS_NULLABLE:boolean CASE_SENSITIVE:boolean \
         SEARCHABLE:unsignedInt UNSIGNED_ATTRIBUTE:boolean FIXED_PREC_SCALE:boolean \
         AUTO_UNIQUE_VALUE:boolean LOCAL_TYPE_NAME:string MINIMUM_SCALE:short MAXIMUM_SCALE:short \
         GUID:uuid TYPELIB:string VERSION:string IS_LONG:boolean BEST_MATCH:boolean \
         IS_FIXEDLENGTH:boolean",
    },
    Definition {
        name: "DBSCHEMA_SCHEMATA",
        guid: "45766572-6375-6265-0000-000000000001",
        restrictions: "",
        columns: "CATALOG_NAME:string SCHEMA_NAME:string SCHEMA_OWNER:string",
    },
    Definition {
        name: "MDSCHEMA_CUBES",
        guid: "C8B522D8-5CF3-11CE-ADE5-00AA0044773D",
        restrictions: "CATALOG_NAME:string SCHEMA_NAME:string CUBE_NAME:string CUBE_SOURCE:unsignedShort \
         BASE_CUBE_NAME:string",
        columns: "CATALOG_NAME:string SCHEMA_NAME:string CUBE_NAME:string CUBE_TYPE:string CUBE_GUID:uuid \
         CREATED_ON:dateTime LAST_SCHEMA_UPDATE:dateTime SCHEMA_UPDATED_BY:string \
         LAST_DATA_UPDATE:dateTime DATA_UPDATED_BY:string DESCRIPTION:string \
         IS_DRILLTHROUGH_ENABLED:boolean IS_LINKABLE:boolean IS_WRITE_ENABLED:boolean \
         IS_SQL_ENABLED:boolean CUBE_CAPTION:string BASE_CUBE_NAME:string \
         CUBE_SOURCE:unsignedShort PREFERRED_QUERY_PATTERNS:unsignedShort",
    },
    Definition {
        name: "MDSCHEMA_DIMENSIONS",
        guid: "C8B522D9-5CF3-11CE-ADE5-00AA0044773D",
        restrictions: "CATALOG_NAME:string SCHEMA_NAME:string CUBE_NAME:string DIMENSION_NAME:string \
         DIMENSION_UNIQUE_NAME:string CUBE_SOURCE:unsignedShort \
         DIMENSION_VISIBILITY:unsignedShort",
        columns: "CATALOG_NAME:string SCHEMA_NAME:string CUBE_NAME:string DIMENSION_NAME:string \
         DIMENSION_UNIQUE_NAME:string DIMENSION_GUID:uuid DIMENSION_CAPTION:string \
         DIMENSION_ORDINAL:unsignedInt DIMENSION_TYPE:short DIMENSION_CARDINALITY:unsignedInt \
         DEFAULT_HIERARCHY:string DESCRIPTION:string IS_VIRTUAL:boolean IS_READWRITE:boolean \
         DIMENSION_UNIQUE_SETTINGS:int DIMENSION_MASTER_NAME:string DIMENSION_IS_VISIBLE:boolean",
    },
    Definition {
        name: "MDSCHEMA_HIERARCHIES",
        guid: "C8B522DA-5CF3-11CE-ADE5-00AA0044773D",
        restrictions: "CATALOG_NAME:string SCHEMA_NAME:string CUBE_NAME:string DIMENSION_UNIQUE_NAME:string \
         HIERARCHY_NAME:string HIERARCHY_UNIQUE_NAME:string HIERARCHY_ORIGIN:unsignedShort \
         CUBE_SOURCE:unsignedShort HIERARCHY_VISIBILITY:unsignedShort",
        columns: "CATALOG_NAME:string SCHEMA_NAME:string CUBE_NAME:string DIMENSION_UNIQUE_NAME:string \
         HIERARCHY_NAME:string HIERARCHY_UNIQUE_NAME:string HIERARCHY_GUID:uuid \
         HIERARCHY_CAPTION:string DIMENSION_TYPE:short HIERARCHY_CARDINALITY:unsignedInt \
         DEFAULT_MEMBER:string ALL_MEMBER:string DESCRIPTION:string STRUCTURE:short \
         IS_VIRTUAL:boolean IS_READWRITE:boolean DIMENSION_UNIQUE_SETTINGS:int \
         DIMENSION_MASTER_UNIQUE_NAME:string DIMENSION_IS_VISIBLE:boolean \
         HIERARCHY_ORDINAL:unsignedInt DIMENSION_IS_SHARED:boolean HIERARCHY_IS_VISIBLE:boolean \
         HIERARCHY_ORIGIN:unsignedShort HIERARCHY_DISPLAY_FOLDER:string \
         INSTANCE_SELECTION:unsignedShort GROUPING_BEHAVIOR:unsignedShort STRUCTURE_TYPE:string",
    },
    Definition {
        name: "MDSCHEMA_LEVELS",
        guid: "C8B522DB-5CF3-11CE-ADE5-00AA0044773D",
        restrictions: "CATALOG_NAME:string SCHEMA_NAME:string CUBE_NAME:string DIMENSION_UNIQUE_NAME:string \
         HIERARCHY_UNIQUE_NAME:string LEVEL_NAME:string LEVEL_UNIQUE_NAME:string \
         LEVEL_ORIGIN:unsignedShort CUBE_SOURCE:unsignedShort LEVEL_VISIBILITY:unsignedShort",
        columns: "CATALOG_NAME:string SCHEMA_NAME:string CUBE_NAME:string DIMENSION_UNIQUE_NAME:string \
         HIERARCHY_UNIQUE_NAME:string LEVEL_NAME:string LEVEL_UNIQUE_NAME:string LEVEL_GUID:uuid \
         LEVEL_CAPTION:string LEVEL_NUMBER:unsignedInt LEVEL_CARDINALITY:unsignedInt \
         LEVEL_TYPE:int DESCRIPTION:string CUSTOM_ROLLUP_SETTINGS:int LEVEL_UNIQUE_SETTINGS:int \
         LEVEL_IS_VISIBLE:boolean LEVEL_ORDERING_PROPERTY:string LEVEL_DBTYPE:int \
         LEVEL_MASTER_UNIQUE_NAME:string LEVEL_NAME_SQL_COLUMN_NAME:string \
         LEVEL_KEY_SQL_COLUMN_NAME:string LEVEL_UNIQUE_NAME_SQL_COLUMN_NAME:string \
         LEVEL_ATTRIBUTE_HIERARCHY_NAME:string LEVEL_KEY_CARDINALITY:unsignedShort \
         LEVEL_ORIGIN:unsignedShort",
    },
    Definition {
        name: "MDSCHEMA_MEASURES",
        guid: "C8B522DC-5CF3-11CE-ADE5-00AA0044773D",
        restrictions: "CATALOG_NAME:string SCHEMA_NAME:string CUBE_NAME:string MEASURE_NAME:string \
         MEASURE_UNIQUE_NAME:string MEASUREGROUP_NAME:string CUBE_SOURCE:unsignedShort \
         MEASURE_VISIBILITY:unsignedShort",
        columns: "CATALOG_NAME:string SCHEMA_NAME:string CUBE_NAME:string MEASURE_NAME:string \
         MEASURE_UNIQUE_NAME:string MEASURE_CAPTION:string MEASURE_GUID:uuid \
         MEASURE_AGGREGATOR:int DATA_TYPE:unsignedShort NUMERIC_PRECISION:unsignedShort \
         NUMERIC_SCALE:short MEASURE_UNITS:string DESCRIPTION:string EXPRESSION:string \
         MEASURE_IS_VISIBLE:boolean LEVELS_LIST:string MEASURE_NAME_SQL_COLUMN_NAME:string \
         MEASURE_UNQUALIFIED_CAPTION:string MEASUREGROUP_NAME:string \
         MEASURE_DISPLAY_FOLDER:string DEFAULT_FORMAT_STRING:string",
    },
    Definition {
        name: "MDSCHEMA_PROPERTIES",
        guid: "C8B522DD-5CF3-11CE-ADE5-00AA0044773D",
        restrictions: "CATALOG_NAME:string SCHEMA_NAME:string CUBE_NAME:string DIMENSION_UNIQUE_NAME:string \
         HIERARCHY_UNIQUE_NAME:string LEVEL_UNIQUE_NAME:string MEMBER_UNIQUE_NAME:string \
         PROPERTY_NAME:string PROPERTY_TYPE:short PROPERTY_CONTENT_TYPE:short \
         PROPERTY_ORIGIN:unsignedShort CUBE_SOURCE:unsignedShort \
         PROPERTY_VISIBILITY:unsignedShort",
        columns: "CATALOG_NAME:string SCHEMA_NAME:string CUBE_NAME:string DIMENSION_UNIQUE_NAME:string \
         HIERARCHY_UNIQUE_NAME:string LEVEL_UNIQUE_NAME:string MEMBER_UNIQUE_NAME:string \
         PROPERTY_TYPE:short PROPERTY_NAME:string PROPERTY_CAPTION:string DATA_TYPE:unsignedShort \
         CHARACTER_MAXIMUM_LENGTH:unsignedInt CHARACTER_OCTET_LENGTH:unsignedInt \
         NUMERIC_PRECISION:unsignedShort NUMERIC_SCALE:short DESCRIPTION:string \
         PROPERTY_CONTENT_TYPE:short SQL_COLUMN_NAME:string LANGUAGE:unsignedShort \
         PROPERTY_ORIGIN:unsignedShort PROPERTY_ATTRIBUTE_HIERARCHY_NAME:string \
         PROPERTY_CARDINALITY:string MIME_TYPE:string PROPERTY_IS_VISIBLE:boolean",
    },
    Definition {
        name: "MDSCHEMA_MEMBERS",
        guid: "C8B522DE-5CF3-11CE-ADE5-00AA0044773D",
        restrictions: "CATALOG_NAME:string SCHEMA_NAME:string CUBE_NAME:string DIMENSION_UNIQUE_NAME:string \
         HIERARCHY_UNIQUE_NAME:string LEVEL_UNIQUE_NAME:string LEVEL_NUMBER:unsignedInt \
         MEMBER_NAME:string MEMBER_UNIQUE_NAME:string MEMBER_CAPTION:string MEMBER_TYPE:int \
         TREE_OP:int CUBE_SOURCE:unsignedShort SCOPE:int",
        columns: "CATALOG_NAME:string SCHEMA_NAME:string CUBE_NAME:string DIMENSION_UNIQUE_NAME:string \
         HIERARCHY_UNIQUE_NAME:string LEVEL_UNIQUE_NAME:string LEVEL_NUMBER:unsignedInt \
         MEMBER_ORDINAL:unsignedInt MEMBER_NAME:string MEMBER_UNIQUE_NAME:string MEMBER_TYPE:int \
         MEMBER_GUID:uuid MEMBER_CAPTION:string CHILDREN_CARDINALITY:unsignedInt \
         PARENT_LEVEL:unsignedInt PARENT_UNIQUE_NAME:string PARENT_COUNT:unsignedInt \
         DESCRIPTION:string EXPRESSION:string MEMBER_KEY:string IS_PLACEHOLDERMEMBER:boolean \
         IS_DATAMEMBER:boolean SCOPE:int",
    },
    Definition {
        name: "MDSCHEMA_SETS",
        guid: "A07CCD0B-8148-11D0-87BB-00C04FC33942",
        restrictions: "CATALOG_NAME:string SCHEMA_NAME:string CUBE_NAME:string SET_NAME:string SCOPE:int \
         HIERARCHY_UNIQUE_NAME:string CUBE_SOURCE:unsignedShort SET_EVALUATION_CONTEXT:int",
        columns: "CATALOG_NAME:string SCHEMA_NAME:string CUBE_NAME:string SET_NAME:string SCOPE:int \
         DESCRIPTION:string EXPRESSION:string DIMENSIONS:string SET_CAPTION:string \
         SET_DISPLAY_FOLDER:string SET_EVALUATION_CONTEXT:int",
    },
    Definition {
        name: "MDSCHEMA_KPIS",
        guid: "2AE44109-ED3D-4842-B16F-B694D1CB0E3F",
        restrictions: "CATALOG_NAME:string SCHEMA_NAME:string CUBE_NAME:string KPI_NAME:string \
         CUBE_SOURCE:unsignedShort SCOPE:int",
        columns: "CATALOG_NAME:string SCHEMA_NAME:string CUBE_NAME:string MEASUREGROUP_NAME:string \
         KPI_NAME:string KPI_CAPTION:string KPI_DESCRIPTION:string KPI_DISPLAY_FOLDER:string \
         KPI_VALUE:string KPI_GOAL:string KPI_STATUS:string KPI_TREND:string \
         KPI_STATUS_GRAPHIC:string KPI_TREND_GRAPHIC:string KPI_WEIGHT:string \
         KPI_CURRENT_TIME_MEMBER:string KPI_PARENT_KPI_NAME:string ANNOTATIONS:string SCOPE:int",
    },
    Definition {
        name: "MDSCHEMA_MEASUREGROUPS",
        guid: "E1625EBF-FA96-42FD-BEA6-DB90ADAFD96B",
        restrictions: "CATALOG_NAME:string SCHEMA_NAME:string CUBE_NAME:string MEASUREGROUP_NAME:string",
        columns: "CATALOG_NAME:string SCHEMA_NAME:string CUBE_NAME:string MEASUREGROUP_NAME:string \
         DESCRIPTION:string IS_WRITE_ENABLED:boolean MEASUREGROUP_CAPTION:string",
    },
    Definition {
        name: "MDSCHEMA_MEASUREGROUP_DIMENSIONS",
        guid: "A07CCD33-8148-11D0-87BB-00C04FC33942",
        restrictions: "CATALOG_NAME:string SCHEMA_NAME:string CUBE_NAME:string MEASUREGROUP_NAME:string \
         DIMENSION_UNIQUE_NAME:string DIMENSION_VISIBILITY:unsignedShort",
        columns: "CATALOG_NAME:string SCHEMA_NAME:string CUBE_NAME:string MEASUREGROUP_NAME:string \
         MEASUREGROUP_CARDINALITY:string DIMENSION_UNIQUE_NAME:string \
         DIMENSION_CARDINALITY:string DIMENSION_IS_VISIBLE:boolean \
         DIMENSION_IS_FACT_DIMENSION:boolean DIMENSION_PATH:nested(MeasureGroupDimension:string) \
         DIMENSION_GRANULARITY:string",
    },
    Definition {
        name: "MDSCHEMA_FUNCTIONS",
        guid: "A07CCD07-8148-11D0-87BB-00C04FC33942",
        restrictions: "LIBRARY_NAME:string INTERFACE_NAME:string FUNCTION_NAME:string ORIGIN:int",
        columns: "FUNCTION_NAME:string DESCRIPTION:string PARAMETER_LIST:string RETURN_TYPE:int ORIGIN:int \
         INTERFACE_NAME:string LIBRARY_NAME:string DLL_NAME:string HELP_FILE:string \
         HELP_CONTEXT:int OBJECT:string CAPTION:string \
         PARAMETERINFO:nested(NAME:string,DESCRIPTION:string,OPTIONAL:boolean,REPEATABLE:boolean,REPEATGROUP:int) \
         DIRECTQUERY_PUSHABLE:int",
    },
    Definition {
        name: "MDSCHEMA_ACTIONS",
        guid: "A07CCD08-8148-11D0-87BB-00C04FC33942",
        restrictions: "CATALOG_NAME:string SCHEMA_NAME:string CUBE_NAME:string ACTION_NAME:string \
         ACTION_TYPE:int COORDINATE:string COORDINATE_TYPE:int INVOCATION:int \
         CUBE_SOURCE:unsignedShort",
        columns: "CATALOG_NAME:string SCHEMA_NAME:string CUBE_NAME:string ACTION_NAME:string \
         ACTION_TYPE:int COORDINATE:string COORDINATE_TYPE:int ACTION_CAPTION:string \
         DESCRIPTION:string CONTENT:string APPLICATION:string INVOCATION:int",
    },
    Definition {
        name: "MDSCHEMA_INPUT_DATASOURCES",
        guid: "A07CCD32-8148-11D0-87BB-00C04FC33942",
        restrictions: "CATALOG_NAME:string SCHEMA_NAME:string DATASOURCE_NAME:string DATASOURCE_TYPE:string",
        columns: "CATALOG_NAME:string SCHEMA_NAME:string DATASOURCE_NAME:string DATASOURCE_TYPE:string \
         CREATED_ON:dateTime LAST_SCHEMA_UPDATE:dateTime DESCRIPTION:string TIMEOUT:unsignedInt",
    },
];

/// Rowsets of tabular metadata with the object type their rows describe. Their columns come from
/// the model; their identifiers are this product's own.
pub const METADATA_ROWSETS: &[(&str, &str)] = &[
    ("TMSCHEMA_MODEL", "Model"),
    ("TMSCHEMA_DATA_SOURCES", "DataSource"),
    ("TMSCHEMA_TABLES", "Table"),
    ("TMSCHEMA_COLUMNS", "Column"),
    ("TMSCHEMA_ATTRIBUTE_HIERARCHIES", "AttributeHierarchy"),
    ("TMSCHEMA_PARTITIONS", "Partition"),
    ("TMSCHEMA_RELATIONSHIPS", "Relationship"),
    ("TMSCHEMA_MEASURES", "Measure"),
    ("TMSCHEMA_HIERARCHIES", "Hierarchy"),
    ("TMSCHEMA_LEVELS", "Level"),
    ("TMSCHEMA_ANNOTATIONS", "Annotation"),
    ("TMSCHEMA_KPIS", "KPI"),
    ("TMSCHEMA_CULTURES", "Culture"),
    ("TMSCHEMA_OBJECT_TRANSLATIONS", "ObjectTranslation"),
    ("TMSCHEMA_LINGUISTIC_METADATA", "LinguisticMetadata"),
    ("TMSCHEMA_PERSPECTIVES", "Perspective"),
    ("TMSCHEMA_PERSPECTIVE_TABLES", "PerspectiveTable"),
    ("TMSCHEMA_PERSPECTIVE_COLUMNS", "PerspectiveColumn"),
    ("TMSCHEMA_PERSPECTIVE_HIERARCHIES", "PerspectiveHierarchy"),
    ("TMSCHEMA_PERSPECTIVE_MEASURES", "PerspectiveMeasure"),
    ("TMSCHEMA_ROLES", "Role"),
    ("TMSCHEMA_ROLE_MEMBERSHIPS", "RoleMembership"),
    ("TMSCHEMA_TABLE_PERMISSIONS", "TablePermission"),
    ("TMSCHEMA_VARIATIONS", "Variation"),
    ("TMSCHEMA_EXTENDED_PROPERTIES", "ExtendedProperty"),
    ("TMSCHEMA_EXPRESSIONS", "Expression"),
    ("TMSCHEMA_COLUMN_PERMISSIONS", "ColumnPermission"),
    ("TMSCHEMA_DETAIL_ROWS_DEFINITIONS", "DetailRowsDefinition"),
    ("TMSCHEMA_CALCULATION_GROUPS", "CalculationGroup"),
    ("TMSCHEMA_CALCULATION_ITEMS", "CalculationItem"),
    ("TMSCHEMA_ALTERNATE_OF_DEFINITIONS", "AlternateOf"),
    ("TMSCHEMA_REFRESH_POLICIES", "RefreshPolicy"),
    ("TMSCHEMA_FORMAT_STRING_DEFINITIONS", "FormatStringDefinition"),
    ("TMSCHEMA_QUERY_GROUPS", "QueryGroup"),
    ("TMSCHEMA_CHANGED_PROPERTIES", "ChangedProperty"),
    ("TMSCHEMA_SETS", "Set"),
    ("TMSCHEMA_PERSPECTIVE_SETS", "PerspectiveSet"),
    ("TMSCHEMA_RELATED_COLUMN_DETAILS", "RelatedColumnDetails"),
    ("TMSCHEMA_GROUP_BY_COLUMNS", "GroupByColumn"),
    ("TMSCHEMA_EXCLUDED_ARTIFACTS", "ExcludedArtifact"),
    ("TMSCHEMA_ANALYTICS_AIMETADATA", "AnalyticsAIMetadata"),
    ("TMSCHEMA_DATA_COVERAGE_DEFINITIONS", "DataCoverageDefinition"),
    ("TMSCHEMA_CALCULATION_EXPRESSIONS", "CalculationExpression"),
    ("TMSCHEMA_CALENDARS", "Calendar"),
    ("TMSCHEMA_CALENDAR_COLUMN_GROUPS", "CalendarColumnGroup"),
    ("TMSCHEMA_CALENDAR_COLUMN_REFERENCES", "CalendarColumnReference"),
    ("TMSCHEMA_FUNCTIONS", "Function"),
    ("TMSCHEMA_BINDING_INFO_COLLECTION", "BindingInfo"),
    ("TMSCHEMA_STORAGE_FOLDERS", "StorageFolder"),
    ("TMSCHEMA_STORAGE_FILES", "StorageFile"),
    ("TMSCHEMA_TABLE_STORAGES", "TableStorage"),
    ("TMSCHEMA_COLUMN_STORAGES", "ColumnStorage"),
    ("TMSCHEMA_PARTITION_STORAGES", "PartitionStorage"),
    ("TMSCHEMA_SEGMENT_MAP_STORAGES", "SegmentMapStorage"),
    ("TMSCHEMA_DICTIONARY_STORAGES", "DictionaryStorage"),
    ("TMSCHEMA_COLUMN_PARTITION_STORAGES", "ColumnPartitionStorage"),
    ("TMSCHEMA_SEGMENT_STORAGES", "SegmentStorage"),
    ("TMSCHEMA_RELATIONSHIP_STORAGES", "RelationshipStorage"),
    ("TMSCHEMA_RELATIONSHIP_INDEX_STORAGES", "RelationshipIndexStorage"),
    ("TMSCHEMA_ATTRIBUTE_HIERARCHY_STORAGES", "AttributeHierarchyStorage"),
    ("TMSCHEMA_HIERARCHY_STORAGES", "HierarchyStorage"),
    ("TMSCHEMA_DELTA_TABLE_METADATA_STORAGES", "DeltaTableMetadataStorage"),
    ("TMSCHEMA_PARQUET_FILE_STORAGES", "ParquetFileStorage"),
    (
        "TMSCHEMA_GENERAL_SEGMENT_MAP_SEGMENT_METADATA_STORAGES",
        "GeneralSegmentMapSegmentMetadataStorage",
    ),
    ("TMSCHEMA_DELTA_TABLE_COLUMN_STORAGES", "DeltaTableColumnStorage"),
    ("TMSCHEMA_STRING_INDEX_STORAGES", ""),
    ("TMSCHEMA_COLUMN_INDEX_STORAGES", ""),
];
