//! A model made ready for evaluation: names to ids, expressions parsed, each object's state.
//!
//! Compiling never fails: a bad expression is recorded with its object, and the rest works.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use evercube_base::error::line_column;
use evercube_base::{DataType, Error, Result};
use evercube_dax::ast::{Expr, Parameter};
use evercube_dax::parse_expression;
use evercube_model::kpi::kpi_measures;
use evercube_model::tabular::{Database, ExpressionDefinition, Measure, Relationship, Table};

use crate::calculation_group::{
    CalculationGroupInfo, CalculationItemInfo, MANY_SELECTED, NO_SELECTION, name_column,
    rows_expression,
};
use crate::filter_context::PlainPaths;
use crate::object_security::{Hidden, HiddenObject, hidden_objects};
use evercube_store::{ColumnId, RelationshipDef, RelationshipId, TableId};

fn detail_rows(table: &Table, measure: &Measure) -> Option<Result<Expr>> {
    let own = measure.detail_rows_definition.as_ref();
    let given = own.or(table.default_detail_rows_definition.as_ref());
    let text = given.map(|d| &d.expression).filter(|text| !text.trim().is_empty());
    text.map(|text| parse_expression(text).into_result())
}

/// After the name of an object: the expression of its format string.
pub(crate) const FORMAT_OF: &str = "/formatStringDefinition";
const FORMAT_NAME: &str = " FormatString";

/// Names are compared without regard to letter case.
fn key(name: &str) -> String {
    name.to_lowercase()
}

#[derive(Debug, Clone)]
pub struct ColumnInfo {
    pub name: String,
    pub data_type: DataType,
    /// The expression of a calculated column.
    pub expression: Option<Result<Expr>>,
    /// The column of the source, or of the table's expression, that it takes its values from.
    pub source: Option<String>,
    /// The caller may not know of it.
    pub hidden: bool,
}

#[derive(Debug, Clone)]
pub struct TableInfo {
    pub name: String,
    pub columns: Vec<ColumnInfo>,
    /// The position of the date key: of a table marked as date table, or one that others refer to
    /// by date.
    pub date_column: Option<u32>,
    /// The expression of a calculated table.
    pub expression: Option<Result<Expr>>,
    column_ids: HashMap<String, u32>,
}

/// A function stored in the model.
#[derive(Debug, Clone)]
pub struct FunctionInfo {
    pub name: String,
    pub description: Option<String>,
    pub definition: Result<(Vec<Parameter>, Expr)>,
}

#[derive(Debug, Clone)]
pub struct MeasureInfo {
    pub table: TableId,
    pub name: String,
    pub expression: Result<Expr>,
    pub format_string: Option<String>,
    /// What gives the format string of each value, instead.
    pub format: Option<Result<Expr>>,
    /// The rows behind a value of the measure, where the model says which: the measure's own
    /// definition, or that of its table.
    pub detail_rows: Option<Result<Expr>>,
}

/// A relationship with its ends resolved; `from` is the many side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelationshipInfo {
    pub def: RelationshipDef,
    pub active: bool,
    /// Filters also flow from the many side to the one side.
    pub both_directions: bool,
    /// So do the filters of roles.
    pub secures_both_directions: bool,
    pub one_to_one: bool,
}

/// An object with an expression, and what is wrong with it, if anything.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectState {
    /// As `Sales[Amount]`, or `role 'US'/table 'Customer'`.
    pub object: String,
    pub error: Option<Error>,
    /// Line and column of the error in the object's expression, from 1.
    pub place: Option<(usize, usize)>,
}

/// A filter of a role on one table.
#[derive(Debug, Clone)]
pub struct RoleFilter {
    pub role: String,
    pub table: TableId,
    /// A filter that does not parse lets no row through.
    pub expression: Result<Expr>,
}

#[derive(Debug, Clone, Default)]
pub struct CompiledModel {
    tables: Vec<TableInfo>,
    table_ids: HashMap<String, TableId>,
    measures: Vec<MeasureInfo>,
    measure_ids: HashMap<String, usize>,
    /// By lower-case name.
    functions: BTreeMap<String, FunctionInfo>,
    relationships: Vec<RelationshipInfo>,
    plain_paths: PlainPaths,
    /// By falling precedence.
    calculation_groups: Vec<CalculationGroupInfo>,
    /// What calculation items make of a measure's type, where they leave one.
    types_under_groups: Vec<(DataType, DataType)>,
    role_filters: Vec<RoleFilter>,
    hidden_objects: Vec<HiddenObject>,
    /// The model this one is a part of, where some of it is hidden.
    whole: Option<Arc<CompiledModel>>,
    states: Vec<ObjectState>,
    /// The expressions of the objects in `states`.
    texts: Vec<Arc<str>>,
}

impl CompiledModel {
    /// Reads the model. Tables, columns and relationships keep their order, which gives their ids;
    /// relationships with unknown ends are refused at deployment and left out here.
    pub fn compile(database: &Database) -> Self {
        let model = &database.model;
        let mut compiled = Self::default();
        for table in &model.tables {
            let id = TableId(compiled.tables.len() as u32);
            compiled.table_ids.insert(key(&table.name), id);
            let info = compiled.compile_table(table);
            compiled.tables.push(info);
            compiled.compile_calculation_group(id, table);
            for measure in &table.measures {
                let of = compiled.measure_of(id, &table.name, &measure.name, &measure.expression);
                let format = measure.format_string_definition.as_ref();
                let info = MeasureInfo {
                    format_string: measure.format_string.clone(),
                    format: compiled
                        .parse_format(format!("{}[{}]", table.name, measure.name), format),
                    detail_rows: detail_rows(table, measure),
                    ..of
                };
                compiled.add_measure(info);
            }
        }
        compiled.compile_kpis(&model.tables);
        for function in model.functions() {
            let definition = compiled.parsed(
                format!("function '{}'", function.name),
                &function.expression,
                |text| evercube_dax::parse_function(text).into_result(),
            );
            let info = FunctionInfo {
                name: function.name.clone(),
                description: function.description.map(|d| d.to_string()),
                definition,
            };
            compiled.functions.insert(key(&function.name), info);
        }
        let relationships = model.relationships.iter();
        compiled.relationships = relationships.filter_map(|r| compiled.resolve(r)).collect();
        compiled.find_date_keys();
        for role in &model.roles {
            let hidden = hidden_objects(&compiled, role);
            compiled.hidden_objects.extend(hidden);
            for permission in &role.table_permissions {
                let Some(filter) = permission.filter_expression.as_ref() else { continue };
                let Some(table) = compiled.table_id(&permission.name) else { continue };
                let object = format!("role '{}'/table '{}'", role.name, permission.name);
                let expression = compiled.parse(object, filter);
                compiled.role_filters.push(RoleFilter {
                    role: role.name.clone(),
                    table,
                    expression,
                });
            }
        }
        compiled.calculation_groups.sort_by_key(|g| std::cmp::Reverse(g.precedence));
        compiled.types_under_groups = crate::bind::types_under_groups(&compiled);
        compiled.check();
        compiled
    }

    /// A measure with an expression and nothing else.
    fn measure_of(&mut self, id: TableId, table: &str, name: &str, text: &str) -> MeasureInfo {
        MeasureInfo {
            table: id,
            name: name.to_owned(),
            expression: self.parse(format!("{table}[{name}]"), text),
            format_string: None,
            format: None,
            detail_rows: None,
        }
    }

    fn add_measure(&mut self, measure: MeasureInfo) {
        self.measure_ids.insert(key(&measure.name), self.measures.len());
        self.measures.push(measure);
    }

    /// The measures that KPIs make, where the model has none of the name.
    fn compile_kpis(&mut self, tables: &[Table]) {
        for (id, table) in (0..).map(TableId).zip(tables) {
            for (name, expression) in table.measures.iter().flat_map(kpi_measures) {
                if self.measure(&name).is_none() {
                    let info = self.measure_of(id, &table.name, &name, &expression);
                    self.add_measure(info);
                }
            }
        }
    }

    /// A relationship by date makes a date table of its one side.
    fn find_date_keys(&mut self) {
        for r in self.relationships.iter().filter(|r| !r.def.many_to_many) {
            let table = &mut self.tables[r.def.to.table.0 as usize];
            if table.columns[r.def.to.column as usize].data_type == DataType::DateTime {
                table.date_column.get_or_insert(r.def.to.column);
            }
        }
    }

    fn compile_table(&mut self, table: &Table) -> TableInfo {
        let mut columns = Vec::new();
        let mut column_ids = HashMap::new();
        let is_date_table =
            table.data_category.as_deref().is_some_and(|c| c.eq_ignore_ascii_case("time"));
        let mut date_column = None;
        for (i, column) in (0..).zip(&table.columns) {
            let data_type = column.data_type.unwrap_or(DataType::String);
            if is_date_table && column.is_key && data_type == DataType::DateTime {
                date_column = Some(i);
            }
            let expression = column.expression.as_ref().filter(|_| column.is_calculated());
            column_ids.insert(key(&column.name), i);
            columns.push(ColumnInfo {
                name: column.name.clone(),
                data_type,
                expression: expression
                    .map(|e| self.parse(format!("{}[{}]", table.name, column.name), e)),
                source: column.source_column.clone(),
                hidden: false,
            });
        }
        let text = table.partitions.iter().find_map(|p| p.source.calculated_expression());
        let expression = match &table.calculation_group {
            Some(group) => Some(rows_expression(table, group)),
            None => text.map(|e| self.parse(table.name.clone(), e)),
        };
        TableInfo { name: table.name.clone(), columns, date_column, expression, column_ids }
    }

    /// One more column at the end of a table, with values that are in the store already.
    pub(crate) fn add_column(&mut self, table: TableId, name: &str, data_type: DataType) {
        let info = &mut self.tables[table.0 as usize];
        info.column_ids.insert(key(name), info.columns.len() as u32);
        let name = name.to_owned();
        info.columns.push(ColumnInfo {
            name,
            data_type,
            expression: None,
            source: None,
            hidden: false,
        });
    }

    /// One more table at the end, with rows that are in the store already.
    pub(crate) fn add_table(&mut self, name: &str, columns: &[(String, DataType)]) {
        let id = TableId(self.tables.len() as u32);
        self.table_ids.insert(key(name), id);
        self.tables.push(TableInfo {
            name: name.to_owned(),
            columns: Vec::new(),
            date_column: None,
            expression: None,
            column_ids: HashMap::new(),
        });
        for (column, data_type) in columns {
            self.add_column(id, column, *data_type);
        }
    }

    /// The model without names that lead to these objects; their ids stay.
    pub(crate) fn without(self: &Arc<Self>, hidden: &Hidden) -> Self {
        let mut seen = self.as_ref().clone();
        seen.whole = Some(Arc::clone(self));
        seen.table_ids.retain(|_, id| !hidden.table(*id));
        for (t, table) in (0..).map(TableId).zip(&mut seen.tables) {
            table.column_ids.retain(|_, c| !hidden.column(ColumnId { table: t, column: *c }));
            for (column, info) in (0..).zip(&mut table.columns) {
                if hidden.column(ColumnId { table: t, column }) {
                    info.hidden = true;
                    info.name = format!("\0{column}");
                }
            }
        }
        seen.measure_ids.retain(|name, _| !hidden.measure(name));
        seen.functions.retain(|name, _| !hidden.function(name));
        seen
    }

    /// The model with everything that is hidden from the caller.
    pub(crate) fn whole(&self) -> &Self {
        self.whole.as_deref().unwrap_or(self)
    }

    pub(crate) fn hidden_objects(&self) -> &[HiddenObject] {
        &self.hidden_objects
    }

    fn compile_calculation_group(&mut self, id: TableId, table: &Table) {
        let Some(group) = &table.calculation_group else { return };
        let object = |name: &str| format!("{}[{name}]", table.name);
        let items = group.calculation_items.iter().map(|item| CalculationItemInfo {
            name: item.name.clone(),
            expression: self.parse(object(&item.name), &item.expression),
            format: self.parse_format(object(&item.name), item.format_string_definition.as_ref()),
        });
        let items = items.collect();
        let mut selection = |name: &str| {
            let given = group.selection_expression(name)?;
            Some(CalculationItemInfo {
                name: name.to_owned(),
                expression: self.parse(object(name), &given.expression),
                format: self.parse_format(object(name), given.format_string_definition.as_ref()),
            })
        };
        let no_selection = selection(NO_SELECTION);
        let many_selected = selection(MANY_SELECTED);
        self.calculation_groups.push(CalculationGroupInfo {
            table: id,
            column: ColumnId { table: id, column: name_column(table) },
            precedence: group.precedence.unwrap_or_default(),
            items,
            no_selection,
            many_selected,
        });
    }

    /// The expression of a format string of this object.
    fn parse_format(
        &mut self,
        object: String,
        given: Option<&ExpressionDefinition>,
    ) -> Option<Result<Expr>> {
        let text = given.map(|d| &d.expression).filter(|text| !text.trim().is_empty())?;
        Some(self.parse(format!("{object}{FORMAT_OF}"), text))
    }

    fn parse(&mut self, object: String, text: &str) -> Result<Expr> {
        self.parsed(object, text, |text| parse_expression(text).into_result())
    }

    fn parsed<T>(
        &mut self,
        object: String,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T>,
    ) -> Result<T> {
        let parsed = parse(text);
        self.texts.push(text.into());
        self.states.push(ObjectState { object, error: None, place: None });
        if let Err(e) = &parsed {
            self.fail(self.states.len() - 1, e.clone());
        }
        parsed
    }

    /// Records what is wrong with an object's expression.
    fn fail(&mut self, state: usize, error: Error) {
        let (Some(of), Some(text)) = (self.states.get_mut(state), self.texts.get(state)) else {
            return;
        };
        of.place = error.span.map(|(start, _)| line_column(text, start));
        of.error = Some(error);
    }

    /// Binds every expression that parsed, so that its object's state says what is wrong with it.
    fn check(&mut self) {
        let failures: Vec<(usize, Error)> = crate::bind::failures(self)
            .into_iter()
            .filter_map(|(object, error)| {
                let is_it = |s: &ObjectState| s.error.is_none() && s.object == object;
                Some((self.states.iter().position(is_it)?, error))
            })
            .collect();
        for (state, error) in failures {
            self.fail(state, error);
        }
    }

    fn resolve(&self, r: &Relationship) -> Option<RelationshipInfo> {
        let from = self.column(&r.from_table, &r.from_column)?;
        let to = self.column(&r.to_table, &r.to_column)?;
        let is = |text: &Option<String>, what: &str| {
            text.as_deref().is_some_and(|t| t.eq_ignore_ascii_case(what))
        };
        let (from_one, to_many) = (is(&r.from_cardinality, "one"), is(&r.to_cardinality, "many"));
        // One to many as some tools write it: turned round, so that `from` is the many side.
        let (from, to) = if from_one && to_many { (to, from) } else { (from, to) };
        Some(RelationshipInfo {
            def: RelationshipDef { from, to, many_to_many: to_many && !from_one },
            active: r.is_active,
            // A one-to-one relationship always filters both ways.
            both_directions: is(&r.cross_filtering_behavior, "bothDirections")
                || (from_one && !to_many),
            secures_both_directions: is(&r.security_filtering_behavior, "bothDirections")
                || (from_one && !to_many),
            one_to_one: from_one && !to_many,
        })
    }

    pub fn tables(&self) -> &[TableInfo] {
        &self.tables
    }

    pub fn table_id(&self, name: &str) -> Option<TableId> {
        self.table_ids.get(&key(name)).copied()
    }

    pub fn table(&self, id: TableId) -> &TableInfo {
        &self.tables[id.0 as usize]
    }

    pub fn column(&self, table: &str, column: &str) -> Option<ColumnId> {
        let table = self.table_id(table)?;
        let column = *self.table(table).column_ids.get(&key(column))?;
        Some(ColumnId { table, column })
    }

    pub fn column_info(&self, id: ColumnId) -> &ColumnInfo {
        &self.table(id.table).columns[id.column as usize]
    }

    /// A column's name as expressions write it: `'Table'[Column]`.
    pub fn column_name(&self, id: ColumnId) -> String {
        let table = self.table(id.table).name.replace('\'', "''");
        format!("'{table}'[{}]", self.column_info(id).name.replace(']', "]]"))
    }

    pub fn measure(&self, name: &str) -> Option<&MeasureInfo> {
        self.measure_ids.get(&key(name)).map(|i| &self.measures[*i])
    }

    pub fn function(&self, name: &str) -> Option<&FunctionInfo> {
        self.functions.get(&key(name))
    }

    /// The functions the model stores.
    pub fn functions(&self) -> impl Iterator<Item = &FunctionInfo> {
        self.functions.values()
    }

    pub fn measures(&self) -> &[MeasureInfo] {
        &self.measures
    }

    /// Names of the tables that may be named; those hidden from the caller are not among them.
    pub(crate) fn table_names(&self) -> impl Iterator<Item = &str> {
        self.table_ids.values().map(|t| &*self.table(*t).name)
    }

    /// Names of the columns of a table that may be named.
    pub(crate) fn column_names(&self, table: TableId) -> impl Iterator<Item = &str> {
        let table = self.table(table);
        table.column_ids.values().map(|c| &*table.columns[*c as usize].name)
    }

    /// Names of the measures that may be named.
    pub(crate) fn measure_names(&self) -> impl Iterator<Item = &str> {
        self.measure_ids.values().map(|m| &*self.measures[*m].name)
    }

    pub fn relationships(&self) -> &[RelationshipInfo] {
        &self.relationships
    }

    pub fn relationship(&self, id: RelationshipId) -> &RelationshipInfo {
        &self.relationships[id.0 as usize]
    }

    pub(crate) fn plain_paths(&self) -> &PlainPaths {
        &self.plain_paths
    }

    pub fn relationship_defs(&self) -> Vec<RelationshipDef> {
        self.relationships.iter().map(|r| r.def).collect()
    }

    /// The relationship between two columns, in either order.
    pub fn relationship_between(&self, a: ColumnId, b: ColumnId) -> Option<RelationshipId> {
        let joins = |r: &RelationshipInfo| {
            (r.def.from, r.def.to) == (a, b) || (r.def.from, r.def.to) == (b, a)
        };
        self.relationships.iter().position(joins).map(|i| RelationshipId(i as u32))
    }

    /// Calculation groups, the first to apply first.
    pub fn calculation_groups(&self) -> &[CalculationGroupInfo] {
        &self.calculation_groups
    }

    /// The type of a measure whose own expression has this type.
    pub(crate) fn type_under_groups(&self, own: DataType) -> DataType {
        if self.calculation_groups.is_empty() {
            return own;
        }
        let found = self.types_under_groups.iter().find(|(of, _)| *of == own);
        found.map_or(DataType::Variant, |(_, ty)| *ty)
    }

    /// The measure whose format string has this name as a measure: `_Sales FormatString`.
    pub fn measure_of_format(&self, name: &str) -> Option<&MeasureInfo> {
        let inner = name.strip_prefix('_')?;
        let end = inner.len().checked_sub(FORMAT_NAME.len())?;
        let is_format = inner.get(end..)?.eq_ignore_ascii_case(FORMAT_NAME);
        self.measure(inner.get(..end)?).filter(|_| is_format)
    }

    /// The filters of all roles.
    pub fn all_role_filters(&self) -> &[RoleFilter] {
        &self.role_filters
    }

    /// The filters of the named roles.
    pub fn role_filters<'a>(
        &'a self,
        roles: &'a [String],
    ) -> impl Iterator<Item = &'a RoleFilter> + 'a {
        let asked = |f: &&RoleFilter| roles.iter().any(|r| r.eq_ignore_ascii_case(&f.role));
        self.role_filters.iter().filter(asked)
    }

    /// Objects with expressions and what is wrong with them.
    pub fn states(&self) -> &[ObjectState] {
        &self.states
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database() -> Database {
        serde_json::from_str(
            r#"{ "name": "Retail", "model": {
              "tables": [
                { "name": "Sales",
                  "columns": [
                    { "name": "ProductKey", "dataType": "int64" },
                    { "name": "Double", "type": "calculated", "dataType": "int64",
                      "expression": "Sales[ProductKey] * 2" } ],
                  "measures": [
                    { "name": "Lines", "expression": "COUNTROWS ( Sales )" },
                    { "name": "Bad", "expression": "SUM ( " } ] },
                { "name": "Product", "columns": [ { "name": "Key", "dataType": "int64" } ] } ],
              "relationships": [
                { "name": "r", "fromTable": "Sales", "fromColumn": "ProductKey",
                  "toTable": "Product", "toColumn": "Key",
                  "crossFilteringBehavior": "bothDirections" } ],
              "roles": [ { "name": "None", "tablePermissions": [
                { "name": "Product", "filterExpression": "FALSE (" } ] } ] } }"#,
        )
        .unwrap()
    }

    #[test]
    fn names_are_found_whatever_their_case() {
        let m = CompiledModel::compile(&database());
        let key = m.column("SALES", "productkey").unwrap();
        assert_eq!(m.column_info(key).name, "ProductKey");
        assert_eq!(m.measure("lines").unwrap().table, key.table);
        assert!(m.column("Sales", "Nothing").is_none());
        let other = m.column("Product", "Key").unwrap();
        assert_eq!(m.relationship_between(other, key), Some(RelationshipId(0)));
        assert!(m.relationship(RelationshipId(0)).both_directions);
    }

    #[test]
    fn calculation_items_decide_the_types_of_measures() {
        let item = |name: &str, expression: &str| serde_json::json!({ "name": name, "expression": expression });
        let group = |items: Vec<serde_json::Value>| {
            serde_json::json!({ "name": "G", "calculationGroup": { "calculationItems": items },
              "columns": [ { "name": "G", "dataType": "string", "sourceColumn": "Name" } ] })
        };
        let of = |items: Vec<serde_json::Value>, own: DataType| {
            let mut database = database();
            database.model.tables.push(serde_json::from_value(group(items)).unwrap());
            CompiledModel::compile(&database).type_under_groups(own)
        };
        let same = || item("same", "SELECTEDMEASURE ()");
        let last = item("last", "CALCULATE ( SELECTEDMEASURE (), Product[Key] = 1 )");
        let ratio = item("ratio", "DIVIDE ( SELECTEDMEASURE (), 2 )");
        let text = item("text", "\"a\"");
        assert_eq!(of(vec![same(), last], DataType::Decimal), DataType::Decimal);
        assert_eq!(of(vec![same(), ratio.clone()], DataType::Int64), DataType::Double);
        assert_eq!(of(vec![same(), ratio], DataType::String), DataType::Variant);
        assert_eq!(of(vec![same(), text.clone()], DataType::String), DataType::String);
        assert_eq!(of(vec![same(), text], DataType::Int64), DataType::Variant);
        assert_eq!(of(vec![item("bad", "SUM (")], DataType::Int64), DataType::Variant);
    }

    #[test]
    fn a_bad_expression_is_recorded_with_its_object() {
        let m = CompiledModel::compile(&database());
        let bad: Vec<&str> =
            m.states().iter().filter(|s| s.error.is_some()).map(|s| &*s.object).collect();
        assert_eq!(bad, ["Sales[Bad]", "role 'None'/table 'Product'"]);
        assert!(m.measure("Bad").unwrap().expression.is_err());
        assert!(m.measure("Lines").unwrap().expression.is_ok());
        let roles = ["none".to_owned()];
        assert!(m.role_filters(&roles).all(|f| f.expression.is_err()));
        assert_eq!(m.role_filters(&roles).count(), 1);
    }
}
