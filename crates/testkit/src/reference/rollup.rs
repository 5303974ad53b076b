//! Subtotals: which groupings a list of group columns with roll-ups asks for.

use evercube_base::{Error, Result};
use evercube_dax::ast::{Expr, ExprKind};
use evercube_store::ColumnId;

use super::{Env, Reference};

/// Columns that are grouped by or left out together.
pub(super) struct Step {
    pub columns: Vec<ColumnId>,
    /// The column that says that these are left out.
    pub flag: Option<String>,
}

/// A part of the group columns.
pub(super) struct Rollup {
    /// Steps that are left out from the last one on.
    pub steps: Vec<Step>,
    /// Whether steps are left out at all.
    pub has_subtotals: bool,
    /// For each number of steps that are grouped by, filters of that grouping only.
    pub filters: Vec<Vec<Expr>>,
}

/// One grouping: how many steps of each part are grouped by.
pub(super) type Grouping = Vec<usize>;

impl Rollup {
    fn of(columns: Vec<ColumnId>) -> Self {
        let steps = vec![Step { columns, flag: None }];
        Self { steps, has_subtotals: false, filters: vec![Vec::new(); 2] }
    }
}

/// Every grouping, that of all columns first.
pub(super) fn groupings(parts: &[Rollup]) -> Vec<Grouping> {
    let mut all: Vec<Grouping> = vec![Vec::new()];
    for part in parts {
        let least = if part.has_subtotals { 0 } else { part.steps.len() };
        let longer = |g: &Grouping| -> Vec<Grouping> {
            let with = |n: usize| g.iter().copied().chain([n]).collect();
            (least..=part.steps.len()).rev().map(with).collect()
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

impl Reference {
    /// A group column, `ROLLUP` or `ROLLUPADDISSUBTOTAL`; nothing where the argument is none.
    pub(super) fn group_part(&self, env: &Env, e: &Expr) -> Result<Option<Rollup>> {
        let columns = |e: &Expr| match &e.kind {
            ExprKind::Call { function, arguments, .. }
                if function.eq_ignore_ascii_case("ROLLUPGROUP") =>
            {
                self.named_columns(arguments)
            }
            _ => self.named_columns(std::slice::from_ref(e)),
        };
        match &e.kind {
            ExprKind::Qualified { .. } => Ok(Some(Rollup::of(columns(e)?))),
            ExprKind::Call { function, arguments, .. } => {
                match function.to_ascii_uppercase().as_str() {
                    "ROLLUPGROUP" => Ok(Some(Rollup::of(columns(e)?))),
                    "ROLLUP" => {
                        let step = |e: &Expr| Ok(Step { columns: columns(e)?, flag: None });
                        let steps: Vec<Step> = arguments.iter().map(step).collect::<Result<_>>()?;
                        let filters = vec![Vec::new(); steps.len() + 1];
                        Ok(Some(Rollup { steps, has_subtotals: true, filters }))
                    }
                    "ROLLUPADDISSUBTOTAL" => self.with_flags(env, arguments, columns).map(Some),
                    _ => Ok(None),
                }
            }
            _ => Ok(None),
        }
    }

    /// `[filter of the total], group, flag, [filter of the group], group, flag …`
    fn with_flags(
        &self,
        env: &Env,
        arguments: &[Expr],
        columns: impl Fn(&Expr) -> Result<Vec<ColumnId>>,
    ) -> Result<Rollup> {
        let mut rollup =
            Rollup { steps: Vec::new(), has_subtotals: true, filters: vec![Vec::new()] };
        let mut rest = arguments.iter();
        while let Some(e) = rest.next() {
            let is_group = matches!(&e.kind, ExprKind::Qualified { .. })
                || matches!(&e.kind, ExprKind::Call { function, .. } if function.eq_ignore_ascii_case("ROLLUPGROUP"));
            if is_group {
                let flag = rest.next().ok_or_else(|| Error::invalid("A name is missing."))?;
                let flag = Some(self.text(env, flag)?);
                rollup.steps.push(Step { columns: columns(e)?, flag });
                rollup.filters.push(Vec::new());
            } else if !matches!(e.kind, ExprKind::Omitted)
                && let Some(last) = rollup.filters.last_mut()
            {
                last.push(e.clone());
            }
        }
        Ok(rollup)
    }
}
