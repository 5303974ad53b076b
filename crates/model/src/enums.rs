//! Enumerations as numbers of the tabular protocol and as words of TMSL: one table for both ways.

/// One enumeration: its number and word pairs.
#[derive(Debug)]
pub struct Names(pub &'static [(i64, &'static str)]);

impl Names {
    /// Number of a word, letter case aside.
    pub fn number(&self, word: &str) -> Option<i64> {
        self.0.iter().find(|(_, w)| w.eq_ignore_ascii_case(word)).map(|(n, _)| *n)
    }
    /// Word of a number.
    pub fn word(&self, number: i64) -> Option<&'static str> {
        self.0.iter().find(|(n, _)| *n == number).map(|(_, w)| *w)
    }
}

pub static DATA_TYPE: Names = Names(&[
    (1, "automatic"),
    (2, "string"),
    (6, "int64"),
    (8, "double"),
    (9, "dateTime"),
    (10, "decimal"),
    (11, "boolean"),
    (17, "binary"),
    (19, "unknown"),
    (20, "variant"),
]);
pub static COLUMN_TYPE: Names =
    Names(&[(1, "data"), (2, "calculated"), (3, "rowNumber"), (4, "calculatedTableColumn")]);
pub static PARTITION_TYPE: Names = Names(&[
    (1, "query"),
    (2, "calculated"),
    (3, "none"),
    (4, "m"),
    (5, "entity"),
    (6, "policyRange"),
    (7, "calculationGroup"),
    (8, "inferred"),
]);
pub static MODE: Names = Names(&[
    (0, "import"),
    (1, "directQuery"),
    (2, "default"),
    (3, "push"),
    (4, "dual"),
    (5, "directLake"),
]);
pub static DATA_VIEW: Names = Names(&[(0, "full"), (1, "sample"), (3, "default")]);
pub static SUMMARIZE_BY: Names = Names(&[
    (1, "default"),
    (2, "none"),
    (3, "sum"),
    (4, "min"),
    (5, "max"),
    (6, "count"),
    (7, "average"),
    (8, "distinctCount"),
]);
pub static ALIGNMENT: Names = Names(&[(1, "default"), (2, "left"), (3, "right"), (4, "center")]);
pub static ENCODING_HINT: Names = Names(&[(0, "default"), (1, "hash"), (2, "value")]);
pub static RELATIONSHIP_TYPE: Names = Names(&[(1, "singleColumn")]);
pub static CROSS_FILTERING: Names =
    Names(&[(1, "oneDirection"), (2, "bothDirections"), (3, "automatic")]);
pub static SECURITY_FILTERING: Names =
    Names(&[(1, "oneDirection"), (2, "bothDirections"), (3, "none")]);
pub static JOIN_ON_DATE: Names = Names(&[(1, "dateAndTime"), (2, "datePartOnly")]);
pub static CARDINALITY: Names = Names(&[(0, "none"), (1, "one"), (2, "many")]);
pub static MODEL_PERMISSION: Names =
    Names(&[(1, "none"), (2, "read"), (3, "readRefresh"), (4, "refresh"), (5, "administrator")]);
pub static METADATA_PERMISSION: Names = Names(&[(0, "default"), (1, "none"), (2, "read")]);
pub static MEMBER_TYPE: Names = Names(&[(1, "auto"), (2, "user"), (3, "group")]);
pub static DATA_SOURCE_TYPE: Names = Names(&[(1, "provider"), (2, "structured")]);
pub static IMPERSONATION: Names = Names(&[
    (1, "default"),
    (2, "impersonateAccount"),
    (3, "impersonateAnonymous"),
    (4, "impersonateCurrentUser"),
    (5, "impersonateServiceAccount"),
    (6, "impersonateUnattendedAccount"),
]);
pub static ISOLATION: Names = Names(&[(1, "readCommitted"), (2, "snapshot")]);
pub static HIDE_MEMBERS: Names = Names(&[(0, "default"), (1, "hideBlankMembers")]);
pub static EXTENDED_PROPERTY_TYPE: Names = Names(&[(0, "string"), (1, "json")]);
pub static EXPRESSION_KIND: Names = Names(&[(0, "m")]);
pub static CONTENT_TYPE: Names = Names(&[(0, "xml"), (1, "json")]);
pub static GRANULARITY: Names =
    Names(&[(-1, "invalid"), (0, "day"), (1, "month"), (2, "quarter"), (3, "year")]);
pub static POLICY_TYPE: Names = Names(&[(0, "basic")]);
pub static POLICY_MODE: Names = Names(&[(0, "import"), (1, "hybrid")]);
pub static SUMMARIZATION: Names =
    Names(&[(0, "groupBy"), (1, "sum"), (2, "count"), (3, "min"), (4, "max")]);
pub static TRANSLATED_PROPERTY: Names = Names(&[
    (1, "translatedCaption"),
    (2, "translatedDescription"),
    (3, "translatedDisplayFolder"),
]);
pub static SOURCE_VERSION: Names =
    Names(&[(0, "powerBI_V1"), (1, "powerBI_V2"), (2, "powerBI_V3")]);
pub static VARIABLES_OVERRIDE: Names = Names(&[(0, "disallow"), (1, "allow")]);
pub static DIRECT_LAKE: Names =
    Names(&[(0, "automatic"), (1, "directLakeOnly"), (2, "directQueryOnly")]);
pub static VALUE_FILTER: Names = Names(&[(0, "automatic"), (1, "independent"), (2, "coalesced")]);
pub static SELECTION_EXPRESSION: Names =
    Names(&[(0, "automatic"), (1, "visual"), (2, "nonvisual")]);
