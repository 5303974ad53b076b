//! Filters of `SUMMARIZECOLUMNS` on columns of one table are one filter on the combinations that
//! occur, as long as the model does not say that they are independent of each other. Expressions
//! that take away some of its columns see the difference: of the others the combinations are left.

use evercube_base::{Error, Result};
use evercube_dax::ast::Span;
use evercube_store::{ColumnId, TableId};

use super::{Binder, Scope};
use crate::plan::{FilterArgument, GroupFilter, Kind, NamedNode, Node};

impl Binder<'_> {
    /// The filters with those on one table put together, where the expressions may see it.
    pub(super) fn coalesced(
        &self,
        scope: &Scope,
        filters: Vec<GroupFilter>,
        named: &[NamedNode],
        span: Span,
    ) -> Result<Vec<GroupFilter>> {
        if !self.model.coalesces_filters() {
            return Ok(filters);
        }
        let (mut out, mut done) = (Vec::new(), Vec::new());
        for filter in &filters {
            let table = self.table_filtered(filter);
            if table.is_some_and(|t| done.contains(&t)) {
                continue;
            }
            let Some(table) = table else {
                out.push(filter.clone());
                continue;
            };
            let is_on_it = |f: &&GroupFilter| self.table_filtered(f) == Some(table);
            let of_table: Vec<&GroupFilter> = filters.iter().filter(is_on_it).collect();
            let columns = columns_on(&of_table);
            // Those on one column meet, together or not.
            let are_several = of_table.len() > 1 && columns.len() > 1;
            if are_several {
                self.check_mixed(&of_table, table, span)?;
            }
            if are_several && named.iter().any(|n| self.may_see_parts(&n.node, &columns)) {
                out.push(self.together(scope, &of_table, &columns, span));
                done.push(table);
            } else {
                out.push(filter.clone());
            }
        }
        Ok(out)
    }

    /// The table whose columns a filter lists; none for filters on several tables, on whole rows,
    /// and for those that expressions do not see.
    fn table_filtered(&self, filter: &GroupFilter) -> Option<TableId> {
        let columns = filter.filter.table().filter(|_| filter.visual)?.lineages();
        let table = columns.first()?.table;
        let is_row = self.model.columns_of(table).iter().all(|c| columns.contains(c));
        (!is_row && columns.iter().all(|c| c.table == table)).then_some(table)
    }

    /// Of filters that replace those outside and filters that keep them none can be made.
    fn check_mixed(&self, filters: &[&GroupFilter], table: TableId, span: Span) -> Result<()> {
        let kept = filters.iter().filter(|f| keeps(f)).count();
        if kept == 0 || kept == filters.len() {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "SUMMARIZECOLUMNS makes one filter of those on the columns of '{}', of which some keep the filters outside and others replace them. Put KEEPFILTERS around all of them or around none.",
            self.model.table(table).name
        ))
        .at(span.place()))
    }

    /// One filter: the combinations of the columns that occur under all of them.
    fn together(
        &self,
        scope: &Scope,
        filters: &[&GroupFilter],
        columns: &[ColumnId],
        span: Span,
    ) -> GroupFilter {
        let each = filters.iter().map(|f| f.filter.clone());
        let arguments = std::iter::once(FilterArgument::RemoveAll).chain(each).collect();
        let body = self.values(columns.to_vec(), true, span);
        let table = Self::calculate_table(scope, body, arguments, span);
        let keep = filters.iter().all(|f| keeps(f));
        GroupFilter { filter: FilterArgument::Table { table, keep }, visual: true }
    }

    /// Whether an expression may take away filters on some of the columns and leave those on others,
    /// or looks at the filters themselves.
    fn may_see_parts(&self, node: &Node, columns: &[ColumnId]) -> bool {
        // Calculation items stand in the place of measures.
        !self.model.calculation_groups().is_empty() || self.sees_parts(node, columns)
    }

    fn sees_parts(&self, node: &Node, columns: &[ColumnId]) -> bool {
        let is_part = |of: &[ColumnId]| {
            let touched = columns.iter().filter(|c| of.contains(c)).count();
            touched > 0 && touched < columns.len()
        };
        let here = match &node.kind {
            Kind::Calculate { filters, .. } | Kind::CalculateTable { filters, .. } => {
                filters.iter().any(|f| match f {
                    FilterArgument::Remove(of) => is_part(of),
                    FilterArgument::Table { table, keep: false } => {
                        is_part(&self.model.columns_replaced(table.lineages()))
                    }
                    FilterArgument::Selected(_) => true,
                    FilterArgument::Table { keep: true, .. }
                    | FilterArgument::RemoveAll
                    | FilterArgument::Use(_)
                    | FilterArgument::Direct(..) => false,
                })
            }
            Kind::AllSelected { .. }
            | Kind::Filters(_)
            | Kind::Context { .. }
            | Kind::SummarizeColumns { .. }
            | Kind::SelectedMeasure(_)
            | Kind::Window(_)
            | Kind::WindowRank(_) => true,
            // Rows without filters become filters, perhaps on some of the columns.
            Kind::Unfiltered(body) => is_part(&body.lineages()),
            Kind::TreatAs(_) | Kind::Rows(_) => is_part(&node.lineages()),
            _ => false,
        };
        here || node.children().into_iter().any(|n| self.sees_parts(n, columns))
    }
}

fn keeps(filter: &GroupFilter) -> bool {
    matches!(filter.filter, FilterArgument::Table { keep: true, .. })
}

/// The columns that filters are on, each once.
fn columns_on(filters: &[&GroupFilter]) -> Vec<ColumnId> {
    let mut out = Vec::new();
    for c in filters.iter().filter_map(|f| f.filter.table()).flat_map(Node::lineages) {
        if !out.contains(&c) {
            out.push(c);
        }
    }
    out
}
