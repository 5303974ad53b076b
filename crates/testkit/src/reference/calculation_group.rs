//! Calculation groups: where one item is selected, its expression takes the place of a measure.

use evercube_base::{Error, Result, Value};
use evercube_dax::ast::{Expr, ExprKind};
use evercube_store::ColumnId;

use super::{Env, Reference};

impl Reference<'_> {
    /// The value of a measure under the first group, by falling precedence, that has something to
    /// put in its place; `None` where there is no such group. `env` is that of the measure's expression.
    pub(super) fn under_group(&self, env: &Env, measure: &str) -> Result<Option<Value>> {
        for group in self.model.calculation_groups() {
            let n = self.model.table(group.table).columns.len() as u32;
            let columns: Vec<ColumnId> =
                (0..n).map(|column| ColumnId { table: group.table, column }).collect();
            let is_on = |id: &ColumnId| env.filters.filters.iter().any(|f| f.is_on(*id));
            let applied = env.applied_groups.contains(&group.table);
            let item = match columns.iter().any(is_on) {
                false if applied => None,
                false => group.no_selection.as_ref(),
                true => {
                    let selected = self.combinations(&env.filters, &[group.column], false).rows;
                    match selected.as_slice() {
                        [one] => {
                            let is_it =
                                |name: &str| matches!(&one[0], Value::String(s) if **s == *name);
                            group.items.iter().find(|i| is_it(&i.name))
                        }
                        _ => group.many_selected.as_ref(),
                    }
                }
            };
            let Some(item) = item else { continue };
            let expression = item.expression.as_ref().map_err(Clone::clone)?;
            let mut inner = env.clone();
            inner.filters.remove(&columns);
            inner.selected_measure = Some(measure.to_owned());
            inner.applied_groups.push(group.table);
            return self.scalar(&inner, expression).map(Some);
        }
        Ok(None)
    }

    /// `SELECTEDMEASURE`, its name, and whether it is one of some.
    pub(super) fn selected_measure(
        &self,
        env: &Env,
        function: &str,
        arguments: &[Expr],
    ) -> Result<Value> {
        let Some(measure) = &env.selected_measure else {
            return Err(Error::invalid("No calculation item is being applied."));
        };
        let named = |e: &Expr| match &e.kind {
            ExprKind::Bracketed(name) | ExprKind::Qualified { name, .. } => {
                name.eq_ignore_ascii_case(measure)
            }
            _ => false,
        };
        match function {
            "SELECTEDMEASURE" => self.measure(env, measure),
            "SELECTEDMEASURENAME" => {
                let stored = self.model.measure(measure).map(|m| m.name.as_str());
                Ok(Value::from(stored.unwrap_or(measure)))
            }
            _ => Ok(arguments.iter().any(named).into()),
        }
    }
}
