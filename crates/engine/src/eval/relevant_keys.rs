//! Which keys of cells an expression can tell apart: those that filter a table it reads. The dates
//! of last year are the same for every customer of a year.

use evercube_store::TableId;

use super::Evaluator;
use super::cells::Cells;
use crate::explain::parts;
use crate::filter_context::FilterContext;
use crate::plan::{FilterArgument, Kind, Node};

impl Evaluator<'_> {
    /// The cells without the keys that change nothing for an expression; `None` where all may.
    pub(super) fn with_relevant_keys(&self, cells: &Cells, node: &Node) -> Option<Cells> {
        let mut tables = Vec::new();
        if cells.keys.is_empty() || !self.reads(node, &mut tables) {
            return None;
        }
        let mut contexts: Vec<&FilterContext> = Vec::new();
        for c in cells.distinct.iter() {
            if !contexts.iter().any(|k| k.used == c.used && k.directions == c.directions) {
                contexts.push(c);
            }
        }
        let is_relevant = |from: TableId| {
            let mut pairs = contexts.iter().flat_map(|c| tables.iter().map(move |t| (*c, *t)));
            pairs.any(|(context, table)| self.visibility().reaches(context, from, table))
        };
        let kept: Vec<bool> = cells.keys.iter().map(|k| is_relevant(k.target.table())).collect();
        if kept.iter().all(|k| *k) {
            return None;
        }
        let mut fewer = cells.clone();
        let mut kept = kept.into_iter();
        fewer.keys.retain(|_| kept.next().unwrap_or(true));
        Some(fewer)
    }

    /// Adds the tables whose visible rows decide an expression's value; false where that cannot be
    /// told.
    fn reads(&self, node: &Node, out: &mut Vec<TableId>) -> bool {
        let is_known = match &node.kind {
            Kind::Measure { .. } => self.model.calculation_groups().is_empty(),
            Kind::ModelTable { table, .. } => {
                out.push(*table);
                true
            }
            Kind::Values { columns, .. } | Kind::Context { columns, .. } => {
                out.extend(columns.iter().map(|c| c.table));
                true
            }
            Kind::Iterate { extra, order_by, .. } => extra.is_empty() && order_by.is_empty(),
            Kind::SingleValue { otherwise, .. } => otherwise.is_none(),
            Kind::Calculate { filters, .. } | Kind::CalculateTable { filters, .. } => {
                filters.iter().all(|f| {
                    matches!(
                        f,
                        FilterArgument::Table { .. }
                            | FilterArgument::Remove(_)
                            | FilterArgument::RemoveAll
                    )
                })
            }
            Kind::Dates { arguments, .. } => arguments.iter().all(|a| self.reads(a, out)),
            Kind::NonBlank { table, expression, .. } => {
                self.reads(table, out) && self.reads(expression, out)
            }
            Kind::Literal(_)
            | Kind::RowColumn { .. }
            | Kind::Related { .. }
            | Kind::Scalar { .. }
            | Kind::Binary { .. }
            | Kind::And(..)
            | Kind::Or(..)
            | Kind::Not(_)
            | Kind::Negate(_)
            | Kind::If { .. }
            | Kind::CountRows(_)
            | Kind::IsEmpty(_)
            | Kind::Filter { .. }
            | Kind::Distinct(_)
            | Kind::KeepFilters(_)
            | Kind::Unfiltered(_)
            | Kind::TreatAs(_) => true,
            _ => false,
        };
        is_known && parts(node).into_iter().all(|part| self.reads(part, out))
    }
}
