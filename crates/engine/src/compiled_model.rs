//! A model made ready for evaluation: names to ids, expressions parsed, each object's state.
//!
//! Compiling never fails: a bad expression is recorded with its object, and the rest works.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use evercube_base::{DataType, Error, Result};
use evercube_dax::ast::{Expr, Parameter, Query};

use crate::calculation_group::CalculationGroupInfo;
use crate::filter_context::PlainPaths;
use crate::object_security::HiddenObject;
use crate::scalar::Culture;
use evercube_store::{ColumnId, RelationshipDef, RelationshipId, TableId};

mod compile;
mod levels;

use levels::Levels;

/// After the name of an object: the expression of its format string.
pub(crate) const FORMAT_OF: &str = "/formatStringDefinition";
const FORMAT_NAME: &str = " FormatString";

/// A table's name as expressions write it.
pub(crate) fn quoted(table: &str) -> String {
    format!("'{}'", table.replace('\'', "''"))
}

/// The own name of a column or measure as expressions write it.
pub(crate) fn bracketed(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

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
    /// The model says that it tells the rows of its table apart.
    pub unique: bool,
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
    levels: Levels,
    relationships: Vec<RelationshipInfo>,
    plain_paths: PlainPaths,
    /// By falling precedence.
    calculation_groups: Vec<CalculationGroupInfo>,
    /// Filters of `SUMMARIZECOLUMNS` on columns of one table are one filter.
    coalesces_filters: bool,
    /// What calculation items make of a measure's type, where they leave one.
    types_under_groups: Vec<(DataType, DataType)>,
    role_filters: Vec<RoleFilter>,
    hidden_objects: Vec<HiddenObject>,
    /// The model this one is a part of, where some of it is hidden.
    whole: Option<Arc<CompiledModel>>,
    states: Vec<ObjectState>,
    /// How constants in expressions say numbers and dates.
    culture: Culture,
    /// The expressions of the objects in `states`.
    texts: Vec<Arc<str>>,
}

impl CompiledModel {
    /// Puts the columns that levels of hierarchies stand for in their places.
    pub fn resolve_levels(&self, query: &mut Query) {
        query.expressions_mut().for_each(|e| self.levels.resolve(e));
    }

    /// Whether a table is that of some column's hierarchy.
    pub fn is_of_levels(&self, table: &str) -> bool {
        self.levels.has_table(table)
    }

    /// How constants in expressions say numbers and dates.
    pub(crate) fn culture(&self) -> &Culture {
        &self.culture
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

    pub(crate) fn columns_of(&self, table: TableId) -> Vec<ColumnId> {
        let n = self.table(table).columns.len() as u32;
        (0..n).map(|column| ColumnId { table, column }).collect()
    }

    /// The columns whose filters a filter on these replaces: one on the date key of a date table
    /// replaces every filter on that table.
    pub(crate) fn columns_replaced(&self, mut by: Vec<ColumnId>) -> Vec<ColumnId> {
        let is_date = |c: &&ColumnId| self.table(c.table).date_column == Some(c.column);
        let dates: Vec<TableId> = by.iter().filter(is_date).map(|c| c.table).collect();
        by.extend(dates.into_iter().flat_map(|t| self.columns_of(t)));
        by
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
        quoted(&self.table(id.table).name) + &bracketed(&self.column_info(id).name)
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

    /// Whether filters of `SUMMARIZECOLUMNS` on columns of one table are one filter on the
    /// combinations that occur.
    pub fn coalesces_filters(&self) -> bool {
        self.coalesces_filters
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
mod tests;
