//! Typed objects of a tabular database. Field names follow TMSL; every object keeps the
//! properties it does not know in `extra`, so that a document reads back unchanged.

use evercube_base::DataType;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value as Json};

/// Text that TMSL writes as a string or as an array of lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text(pub String);

impl std::ops::Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if self.0.contains('\n') {
            s.collect_seq(self.0.split('\n'))
        } else {
            s.serialize_str(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            One(String),
            Lines(Vec<String>),
        }
        Ok(Self(match Form::deserialize(d)? {
            Form::One(t) => t,
            Form::Lines(l) => l.join("\n"),
        }))
    }
}

pub type Extra = Map<String, Json>;

fn is_false(b: &bool) -> bool {
    !*b
}
fn yes() -> bool {
    true
}
fn is_true(b: &bool) -> bool {
    *b
}
fn is_empty(text: &Text) -> bool {
    text.0.is_empty()
}

/// A database as TMSL writes it: `{ name, id, compatibilityLevel, model }`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Database {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compatibility_level: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    pub model: Model,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Model {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub culture: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_mode: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub discourage_implicit_measures: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub data_sources: Vec<DataSource>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<Table>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relationships: Vec<Relationship>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub perspectives: Vec<Perspective>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cultures: Vec<Culture>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expressions: Vec<NamedExpression>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<Annotation>,
    /// `queryGroups`, `extendedProperties`, `dataAccessOptions`, … kept as they are.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Model {
    /// Whether measures are blank where several items of a calculation group or none are selected,
    /// and the group says nothing about that.
    pub fn blanks_many_selected(&self) -> bool {
        let given = self.extra.get("selectionExpressionBehavior").and_then(Json::as_str);
        given.is_some_and(|given| given.eq_ignore_ascii_case("visual"))
    }

    /// Whether filters of `SUMMARIZECOLUMNS` on columns of one table are one filter on the
    /// combinations that occur; `automatic` is this.
    pub fn coalesces_filters(&self) -> bool {
        let given = self.extra.get("valueFilterBehavior").and_then(Json::as_str);
        !given.is_some_and(|given| given.eq_ignore_ascii_case("independent"))
    }

    /// Functions that expressions of the model and queries may call.
    pub fn functions(&self) -> Vec<StoredFunction> {
        let given = self.extra.get("functions").and_then(Json::as_array);
        let one = |json: &Json| serde_json::from_value(json.clone()).ok();
        given.into_iter().flatten().filter_map(one).collect()
    }
}

/// A function of the model; its expression is `( parameters ) => body`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StoredFunction {
    pub name: String,
    pub description: Option<Text>,
    pub expression: Text,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Annotation {
    pub name: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub value: Text,
    #[serde(flatten)]
    pub extra: Extra,
}

/// `type` is `provider` (legacy, with `connectionString`) or `structured` (with `connectionDetails`).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DataSource {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_string: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_details: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<Json>,
    #[serde(flatten)]
    pub extra: Extra,
}

/// Shared M expression or parameter.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NamedExpression {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    pub expression: Text,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Table {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    /// `Time` marks a date table (with a key column of type dateTime).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_category: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub is_hidden: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Column>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<Partition>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub measures: Vec<Measure>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hierarchies: Vec<Hierarchy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calculation_group: Option<CalculationGroup>,
    /// `{ "expression": … }`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_detail_rows_definition: Option<ExpressionDefinition>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<Annotation>,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Column {
    /// `data` (also when absent), `calculated`, `calculatedTableColumn`, `rowNumber`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_type: Option<DataType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_column: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expression: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    #[serde(skip_serializing_if = "is_false")]
    pub is_hidden: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub is_key: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub is_unique: bool,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub is_nullable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_category: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format_string: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort_by_column: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summarize_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_folder: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<Annotation>,
    #[serde(flatten)]
    pub extra: Extra,
}

impl Column {
    /// Computed row by row from an expression of its own.
    pub fn is_calculated(&self) -> bool {
        self.kind.as_deref() == Some("calculated")
    }
    /// A column of a calculated table; its values come from the table's expression.
    pub fn is_calculated_table_column(&self) -> bool {
        self.kind.as_deref() == Some("calculatedTableColumn")
    }
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Partition {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_view: Option<String>,
    pub source: PartitionSource,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<Annotation>,
    #[serde(flatten)]
    pub extra: Extra,
}

/// `type` one of `m`, `query`, `calculated`, `calculationGroup`, `policyRange`, `entity`, `none`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PartitionSource {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expression: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_source: Option<String>,
    #[serde(flatten)]
    pub extra: Extra,
}

impl PartitionSource {
    /// The table expression of a calculated table.
    pub fn calculated_expression(&self) -> Option<&str> {
        let is_calculated = self.kind.as_deref() == Some("calculated");
        self.expression.as_deref().filter(|_| is_calculated)
    }
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Measure {
    pub name: String,
    pub expression: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format_string: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format_string_definition: Option<ExpressionDefinition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail_rows_definition: Option<ExpressionDefinition>,
    #[serde(skip_serializing_if = "is_false")]
    pub is_hidden: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_folder: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kpi: Option<Json>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<Annotation>,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExpressionDefinition {
    #[serde(skip_serializing_if = "is_empty")]
    pub expression: Text,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hierarchy {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    #[serde(skip_serializing_if = "is_false")]
    pub is_hidden: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_folder: Option<String>,
    pub levels: Vec<Level>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<Annotation>,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Level {
    pub name: String,
    pub ordinal: i64,
    pub column: String,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CalculationGroup {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precedence: Option<i64>,
    pub calculation_items: Vec<CalculationItem>,
    #[serde(flatten)]
    pub extra: Extra,
}

impl CalculationGroup {
    /// `noSelectionExpression` or `multipleOrEmptySelectionExpression`, which stand beside the
    /// items as `{"expression": …, "formatStringDefinition": …}`.
    pub fn selection_expression(&self, name: &str) -> Option<CalculationItem> {
        let given = self.extra.get(name)?;
        given.get("expression")?;
        serde_json::from_value(given.clone()).ok()
    }
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CalculationItem {
    pub name: String,
    pub expression: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ordinal: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format_string_definition: Option<ExpressionDefinition>,
    #[serde(flatten)]
    pub extra: Extra,
}

/// Defaults where a property is absent: many (from) to one (to), one direction, active.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Relationship {
    pub name: String,
    pub from_table: String,
    pub from_column: String,
    pub to_table: String,
    pub to_column: String,
    /// `one`, `many`, `none`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_cardinality: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_cardinality: Option<String>,
    /// `oneDirection`, `bothDirections`, `automatic`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_filtering_behavior: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_filtering_behavior: Option<String>,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub is_active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join_on_date_behavior: Option<String>,
    #[serde(flatten)]
    pub extra: Extra,
}

impl Default for Relationship {
    fn default() -> Self {
        Self {
            name: String::new(),
            from_table: String::new(),
            from_column: String::new(),
            to_table: String::new(),
            to_column: String::new(),
            from_cardinality: None,
            to_cardinality: None,
            cross_filtering_behavior: None,
            security_filtering_behavior: None,
            is_active: true,
            join_on_date_behavior: None,
            extra: Extra::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Role {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    /// `none`, `read`, `readRefresh`, `refresh`, `administrator`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_permission: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<RoleMember>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub table_permissions: Vec<TablePermission>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<Annotation>,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RoleMember {
    pub member_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_provider: Option<String>,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TablePermission {
    /// Name of the table.
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter_expression: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_permission: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub column_permissions: Vec<ColumnPermission>,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ColumnPermission {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_permission: Option<String>,
    #[serde(flatten)]
    pub extra: Extra,
}

/// Perspectives and cultures carry nothing the engine computes with; their parts stay as they are.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Perspective {
    pub name: String,
    #[serde(flatten)]
    pub extra: Extra,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Culture {
    pub name: String,
    #[serde(flatten)]
    pub extra: Extra,
}
