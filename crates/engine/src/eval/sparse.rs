//! Which tables decide whether an expression is blank: where none of their rows is visible, it is.

use evercube_store::{ColumnId, TableId};

use super::Evaluator;
use super::cells::Cells;
use crate::filter_context::Filter;
use crate::plan::{FilterArgument, Fold, Kind, Node};
use evercube_dax::ast::BinaryOperator;

impl Evaluator<'_> {
    /// Tables such that every named expression is blank in a group without rows of any of them;
    /// `None` where that cannot be told.
    pub(crate) fn deciding_tables(
        &self,
        named: &[&Node],
        groups: &[ColumnId],
        outer: &Cells,
    ) -> Option<Vec<TableId>> {
        let mut out = Vec::new();
        let plain = self.measures_are_plain(groups, outer);
        for node in named {
            self.deciding(node, groups, plain, &mut out)?;
        }
        out.sort_unstable();
        out.dedup();
        Some(out)
    }

    fn is_calculation_group(&self, table: TableId) -> bool {
        self.model.calculation_groups().iter().any(|g| g.table == table)
    }

    /// Whether no calculation item takes a measure's place in these cells and groups.
    fn measures_are_plain(&self, groups: &[ColumnId], outer: &Cells) -> bool {
        let on = |filter: &Filter| match filter {
            Filter::Column { column, .. } => self.is_calculation_group(column.table),
            Filter::Tuples { columns, .. } => {
                columns.iter().any(|c| self.is_calculation_group(c.table))
            }
            Filter::Rows { table, .. } => self.is_calculation_group(*table),
        };
        self.model.calculation_groups().iter().all(|g| g.no_selection.is_none())
            && !groups.iter().any(|c| self.is_calculation_group(c.table))
            && !outer.keys.iter().any(|k| self.is_calculation_group(k.target.table()))
            && !outer.distinct.iter().any(|c| c.filters.iter().any(on))
    }

    fn deciding(
        &self,
        node: &Node,
        groups: &[ColumnId],
        plain: bool,
        out: &mut Vec<TableId>,
    ) -> Option<()> {
        match &node.kind {
            Kind::Measure { body, .. } if plain => self.deciding(body, groups, plain, out),
            Kind::Iterate {
                fold:
                    Fold::Sum
                    | Fold::Average
                    | Fold::Min
                    | Fold::Max
                    | Fold::Count
                    | Fold::CountBlank
                    | Fold::DistinctCount
                    | Fold::DistinctCountNoBlank,
                table,
                ..
            } => deciding_rows(table, out),
            Kind::CountRows(table) => deciding_rows(table, out),
            Kind::Binary { operator, left, right } => match operator {
                BinaryOperator::Add | BinaryOperator::Subtract => {
                    self.deciding(left, groups, plain, out)?;
                    self.deciding(right, groups, plain, out)
                }
                BinaryOperator::Multiply | BinaryOperator::Divide => {
                    self.deciding(left, groups, plain, out)
                }
                _ => None,
            },
            Kind::Negate(inner) => self.deciding(inner, groups, plain, out),
            Kind::Scalar { name: "DIVIDE", arguments, .. } if arguments.len() == 2 => {
                self.deciding(&arguments[0], groups, plain, out)
            }
            Kind::Calculate { body, filters, .. } => {
                let narrows = |f: &FilterArgument| match f {
                    FilterArgument::Table { table, keep } => {
                        let schema = table.schema();
                        let mut on = schema.iter().filter_map(|c| c.lineage);
                        if on.clone().any(|c| self.is_calculation_group(c.table)) {
                            return false;
                        }
                        let whole =
                            matches!(table.kind, Kind::ModelTable { .. } | Kind::Filter { .. })
                                && schema.iter().any(|c| {
                                    c.lineage.is_some_and(|l| {
                                        self.model.table(l.table).columns.len() == schema.len()
                                    })
                                });
                        *keep
                            || (!whole
                                && on.all(|c| {
                                    let dates = self.model.table(c.table).date_column;
                                    !groups.contains(&c)
                                        && (dates != Some(c.column)
                                            || groups.iter().all(|g| g.table != c.table))
                                }))
                    }
                    _ => false,
                };
                if !filters.iter().all(narrows) {
                    return None;
                }
                self.deciding(body, groups, plain, out)
            }
            _ => None,
        }
    }
}

fn deciding_rows(node: &Node, out: &mut Vec<TableId>) -> Option<()> {
    match &node.kind {
        Kind::ModelTable { table, .. } => {
            out.push(*table);
            Some(())
        }
        Kind::Values { columns, blank_row: false } => {
            out.push(columns.first()?.table);
            Some(())
        }
        Kind::Filter { table, .. } => deciding_rows(table, out),
        _ => None,
    }
}
