//! What a calculated column needs because `CALCULATE` makes filters of its row: every other column
//! of a table that has no key. Two columns of that kind need each other.

use std::collections::BTreeSet;

use evercube_dax::ast::{Expr, ExprKind};
use evercube_store::{ColumnId, TableId};

use crate::compiled_model::CompiledModel;

/// Functions that make filters of the row they stand in, as `CALCULATE` does, and take no modifier
/// that undoes it.
const TRANSITIONS: [&str; 14] = [
    "RELATEDTABLE",
    "TOTALYTD",
    "TOTALQTD",
    "TOTALMTD",
    "TOTALWTD",
    "OPENINGBALANCEYEAR",
    "OPENINGBALANCEQUARTER",
    "OPENINGBALANCEMONTH",
    "OPENINGBALANCEWEEK",
    "CLOSINGBALANCEYEAR",
    "CLOSINGBALANCEQUARTER",
    "CLOSINGBALANCEMONTH",
    "CLOSINGBALANCEWEEK",
    "DETAILROWS",
];
const CALCULATES: [&str; 2] = ["CALCULATE", "CALCULATETABLE"];
const REMOVES: [&str; 5] =
    ["ALL", "ALLNOBLANKROW", "ALLCROSSFILTERED", "ALLSELECTED", "REMOVEFILTERS"];

/// The other calculated columns of its table that filter what the column's expression asks for. A
/// row of a table with a key is told by the key alone.
pub(crate) fn columns_filtered(
    model: &CompiledModel,
    column: ColumnId,
    e: &Expr,
) -> BTreeSet<ColumnId> {
    let mut columns: BTreeSet<_> = model.columns_of(column.table).into_iter().collect();
    columns.retain(|c| *c != column && model.column_info(*c).expression.is_some());
    let mut found = BTreeSet::new();
    if !columns.is_empty() && !has_key(model, column.table) {
        RowFilters { model, table: column.table, columns, found: &mut found }.visit(e);
    }
    found
}

/// Whether a column of the table tells its rows apart: by what the model says, or as the one side of a
/// relationship.
fn has_key(model: &CompiledModel, table: TableId) -> bool {
    let said = model.table(table).columns.iter().any(|c| c.unique);
    said || model.relationships().iter().any(|r| {
        !r.def.many_to_many
            && (r.def.to.table == table || r.one_to_one && r.def.from.table == table)
    })
}

struct RowFilters<'a> {
    model: &'a CompiledModel,
    table: TableId,
    /// What the row filters where nothing removes it.
    columns: BTreeSet<ColumnId>,
    found: &'a mut BTreeSet<ColumnId>,
}

impl RowFilters<'_> {
    fn visit(&mut self, e: &Expr) {
        match &e.kind {
            ExprKind::Bracketed(name) if self.model.measure(name).is_some() => self.all(),
            ExprKind::Qualified { table, name } if self.model.column(table, name).is_none() => {
                if self.model.measure(name).is_some() {
                    self.all();
                }
            }
            ExprKind::Call { function, arguments, .. } if is_one_of(&CALCULATES, function) => {
                // The first argument sees filters in the row's place; the others see the row.
                let filters = arguments.get(1..).unwrap_or_default();
                let mut left = self.columns.clone();
                filters.iter().for_each(|f| self.remove(f, &mut left));
                self.found.extend(left);
                filters.iter().for_each(|f| self.visit(f));
            }
            ExprKind::Call { function, .. } if is_one_of(&TRANSITIONS, function) => self.all(),
            _ => e.parts().into_iter().for_each(|part| self.visit(part)),
        }
    }

    fn all(&mut self) {
        self.found.extend(self.columns.iter().copied());
    }

    /// Takes from `left` what a filter argument of `CALCULATE` takes away.
    fn remove(&self, filter: &Expr, left: &mut BTreeSet<ColumnId>) {
        let ExprKind::Call { function, arguments, .. } = &filter.kind else { return };
        let named: BTreeSet<ColumnId> =
            arguments.iter().flat_map(|argument| self.columns_of(argument)).collect();
        if is_one_of(&REMOVES, function) {
            left.retain(|c| !arguments.is_empty() && !named.contains(c));
        } else if function.eq_ignore_ascii_case("ALLEXCEPT")
            && let [of, kept @ ..] = arguments.as_slice()
            && !self.columns_of(of).is_empty()
        {
            let kept: Vec<_> = kept.iter().flat_map(|argument| self.columns_of(argument)).collect();
            left.retain(|c| kept.contains(c));
        }
    }

    /// The columns of the table that a name stands for.
    fn columns_of(&self, e: &Expr) -> Vec<ColumnId> {
        match &e.kind {
            ExprKind::Name { name, .. } if self.model.table_id(name) == Some(self.table) => {
                self.model.columns_of(self.table)
            }
            ExprKind::Qualified { table, name } => {
                self.model.column(table, name).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }
}

fn is_one_of(names: &[&str], function: &str) -> bool {
    names.iter().any(|n| n.eq_ignore_ascii_case(function))
}

#[cfg(test)]
mod tests;
