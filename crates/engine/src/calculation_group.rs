//! Calculation groups of a model: tables whose rows are items, each an expression that takes the
//! place of a measure where the item is selected.

use evercube_base::Result;
use evercube_dax::ast::Expr;
use evercube_dax::parse_expression;
use evercube_model::tabular::{CalculationGroup, Table};
use evercube_store::{ColumnId, TableId};

#[derive(Debug, Clone)]
pub struct CalculationItemInfo {
    pub name: String,
    pub expression: Result<Expr>,
    /// What gives the format string of its values; none leaves that of the measure.
    pub format: Option<Result<Expr>>,
}

#[derive(Debug, Clone)]
pub struct CalculationGroupInfo {
    pub table: TableId,
    /// The column of the items' names.
    pub column: ColumnId,
    /// The group with the highest is applied first.
    pub precedence: i64,
    pub items: Vec<CalculationItemInfo>,
    /// What takes a measure's place where the group is not filtered at all.
    pub no_selection: Option<CalculationItemInfo>,
    /// What takes a measure's place where several items or none are selected.
    pub many_selected: Option<CalculationItemInfo>,
}

pub(crate) const NO_SELECTION: &str = "noSelectionExpression";
pub(crate) const MANY_SELECTED: &str = "multipleOrEmptySelectionExpression";

impl CalculationGroupInfo {
    /// Everything that may take a measure's place.
    pub(crate) fn all(&self) -> impl Iterator<Item = &CalculationItemInfo> {
        self.items.iter().chain(&self.no_selection).chain(&self.many_selected)
    }
}

/// The place of the column with the items' names: the source column `Name`, or the first text
/// column.
pub(crate) fn name_column(table: &Table) -> u32 {
    let is_name = |s: &Option<String>| s.as_deref().is_some_and(|s| s.eq_ignore_ascii_case("name"));
    let named = table.columns.iter().position(|c| is_name(&c.source_column));
    let texts = |c: &evercube_model::tabular::Column| {
        !matches!(c.data_type, Some(t) if t.is_numeric()) && !c.is_calculated()
    };
    named.or_else(|| table.columns.iter().position(texts)).unwrap_or_default() as u32
}

/// The rows of the group's table as an expression: a calculated table like others.
pub(crate) fn rows_expression(table: &Table, group: &CalculationGroup) -> Result<Expr> {
    let name = name_column(table) as usize;
    let source = |at: usize, or: &str| {
        let of = table.columns.get(at);
        of.map_or(or.to_owned(), |c| c.source_column.clone().unwrap_or_else(|| c.name.clone()))
    };
    let ordinal = table.columns.iter().position(|c| {
        c.source_column.as_deref().is_some_and(|s| s.eq_ignore_ascii_case("ordinal"))
    });
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let rows: Vec<String> = (0i64..)
        .zip(&group.calculation_items)
        .map(|(i, item)| {
            format!("({}, {})", quoted(&item.name), item.ordinal.filter(|o| *o >= 0).unwrap_or(i))
        })
        .collect();
    let named = format!("{}, [Value1]", quoted(&source(name, "Name")));
    let ordered = ordinal
        .map_or_else(String::new, |o| format!(", {}, [Value2]", quoted(&source(o, "Ordinal"))));
    let text = if rows.is_empty() {
        format!("FILTER(ROW({}, \"\"), FALSE())", quoted(&source(name, "Name")))
    } else {
        format!("SELECTCOLUMNS({{{}}}, {named}{ordered})", rows.join(", "))
    };
    parse_expression(&text).into_result()
}
