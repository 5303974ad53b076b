//! Which tables decide whether an expression is blank: where none of their rows is visible, it is.

use evercube_store::{ColumnId, TableId};

use super::Evaluator;
use crate::plan::{FilterArgument, Fold, Kind, NamedNode, Node};
use evercube_dax::ast::BinaryOperator;

impl Evaluator<'_> {
    /// Tables such that every named expression is blank in a group without rows of any of them;
    /// `None` where that cannot be told.
    pub(crate) fn deciding_tables(
        &self,
        named: &[NamedNode],
        groups: &[ColumnId],
    ) -> Option<Vec<TableId>> {
        let mut out = Vec::new();
        for column in named {
            self.deciding(&column.node, groups, &mut out)?;
        }
        out.sort_unstable();
        out.dedup();
        Some(out)
    }

    fn deciding(&self, node: &Node, groups: &[ColumnId], out: &mut Vec<TableId>) -> Option<()> {
        match &node.kind {
            Kind::Measure { body, .. } if self.model.calculation_groups().is_empty() => {
                self.deciding(body, groups, out)
            }
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
                    self.deciding(left, groups, out)?;
                    self.deciding(right, groups, out)
                }
                BinaryOperator::Multiply | BinaryOperator::Divide => {
                    self.deciding(left, groups, out)
                }
                _ => None,
            },
            Kind::Negate(inner) => self.deciding(inner, groups, out),
            Kind::Scalar { name: "DIVIDE", arguments, .. } if arguments.len() == 2 => {
                self.deciding(&arguments[0], groups, out)
            }
            Kind::Calculate { body, filters, .. } => {
                let narrows = |f: &FilterArgument| match f {
                    FilterArgument::Table { table, keep } => {
                        let schema = table.schema();
                        let mut on = schema.iter().filter_map(|c| c.lineage);
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
                self.deciding(body, groups, out)
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
