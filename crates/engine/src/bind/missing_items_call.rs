//! `ADDMISSINGITEMS`.

use evercube_base::{Error, Result};
use evercube_dax::ast::{Expr, ExprKind, Span};
use evercube_store::ColumnId;

use super::grouping_call::called;
use super::{Binder, CONTEXT, Scope, table_type};
use crate::plan::{GroupFilter, Kind, Node, Rollup};

/// Group columns with their places in the table, and where its subtotal flags are.
#[derive(Default)]
struct Grouping {
    columns: Vec<ColumnId>,
    on: Vec<usize>,
    flags: Vec<usize>,
}

impl Binder<'_> {
    /// `ADDMISSINGITEMS ( [shown column, …] table, [group column, …] [filter, …] )`.
    pub(super) fn add_missing_items(
        &mut self,
        scope: &Scope,
        arguments: &[Expr],
        span: Span,
    ) -> Result<Node> {
        let is_column = |e: &Expr| matches!(e.kind, ExprKind::Qualified { .. });
        let first = arguments.iter().position(|a| !is_column(a)).unwrap_or(arguments.len());
        let Some((table, rest)) = arguments[first..].split_first() else {
            return Err(Error::invalid("ADDMISSINGITEMS needs a table after the columns to show."));
        };
        let shown: Vec<ColumnId> =
            arguments[..first].iter().map(|e| self.column_reference(e)).collect::<Result<_>>()?;
        let table = self.table(scope, table)?;
        let mut grouping = Grouping::default();
        let mut filters = Vec::new();
        for e in rest {
            match (called(e, "ROLLUPGROUP"), called(e, "ROLLUPISSUBTOTAL")) {
                _ if is_column(e) => self.group_of(&table, e, &mut grouping)?,
                (Some(columns), _) => {
                    for c in columns {
                        self.group_of(&table, c, &mut grouping)?;
                    }
                }
                (_, Some(levels)) => self.subtotals_of(scope, &table, levels, &mut grouping)?,
                _ => {
                    let given = self.filter_arguments(scope, std::slice::from_ref(e))?;
                    let visual = true;
                    filters.extend(given.into_iter().map(|filter| GroupFilter { filter, visual }));
                }
            }
        }
        let Grouping { columns, on, flags } = grouping;
        // Without columns to show, all are shown.
        let is_present = |i: &usize| !shown.is_empty() && !shown.contains(&columns[*i]);
        let present = (0..columns.len()).filter(is_present).collect();
        let schema = columns.iter().map(|c| self.model_column(*c)).collect();
        let combinations = Kind::SummarizeColumns {
            groups: columns,
            rollup: Rollup::default(),
            filters,
            columns: Vec::new(),
            ignored: Vec::new(),
        };
        let combinations = Self::node(combinations, table_type(schema), CONTEXT, span);
        let (ty, uses) = (table.ty.clone(), table.uses.and(CONTEXT));
        let (table, combinations) = (Box::new(table), Box::new(combinations));
        let kind = Kind::MissingItems { table, combinations, on, present, flags };
        Ok(Self::node(kind, ty, uses, span))
    }

    fn group_of(&self, table: &Node, e: &Expr, out: &mut Grouping) -> Result<()> {
        let column = self.column_reference(e)?;
        let at = table.schema().iter().position(|c| c.lineage == Some(column));
        let Some(at) = at else {
            return Err(Error::invalid(format!(
                "The table of ADDMISSINGITEMS has no column {}.",
                self.model.column_name(column)
            ))
            .at(e.span.place()));
        };
        out.columns.push(column);
        out.on.push(at);
        Ok(())
    }

    /// `ROLLUPISSUBTOTAL ( [filter,] column or group, flag, … )`.
    fn subtotals_of(
        &mut self,
        scope: &Scope,
        table: &Node,
        levels: &[Expr],
        out: &mut Grouping,
    ) -> Result<()> {
        let mut rest = levels;
        while let Some((e, after)) = rest.split_first() {
            rest = after;
            let columns = match called(e, "ROLLUPGROUP") {
                Some(columns) => columns,
                None if matches!(e.kind, ExprKind::Qualified { .. }) => std::slice::from_ref(e),
                None => continue,
            };
            for c in columns {
                self.group_of(table, c, out)?;
            }
            if let Some((flag, after)) = rest.split_first()
                && matches!(flag.kind, ExprKind::Bracketed(_))
            {
                out.flags.push(self.position(scope, table, flag)?);
                rest = after;
            }
        }
        Ok(())
    }
}
