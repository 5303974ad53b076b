//! Calculation groups: where one item is selected, its expression takes the place of a measure, and
//! its format string that of the measure's.

use evercube_base::{Error, Result, Value};
use evercube_dax::ast::{Expr, ExprKind};
use evercube_engine::compiled_model::MeasureInfo;
use evercube_engine::scalar as rules;
use evercube_store::{ColumnId, TableId};

use super::{Env, Reference};

/// A group of which an expression is being applied; whether it is that for several items or none.
#[derive(Debug, Clone)]
pub(super) struct AppliedGroup {
    table: TableId,
    many_selected: bool,
}

/// What is asked of a measure.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Asked {
    Value,
    Format,
}

impl Reference {
    /// The value or format of a measure under the first group, by falling precedence, that has
    /// something to put in its place; `None` where there is no such group. `env` is that of the
    /// measure's expression.
    pub(super) fn under_group(
        &self,
        env: &Env,
        measure: &str,
        asked: Asked,
    ) -> Result<Option<Value>> {
        for group in self.model.calculation_groups() {
            let n = self.model.table(group.table).columns.len() as u32;
            let columns: Vec<ColumnId> =
                (0..n).map(|column| ColumnId { table: group.table, column }).collect();
            let is_on = |id: &ColumnId| env.filters.filters.iter().any(|f| f.is_on(*id));
            let applied = env.applied_groups.iter().rfind(|a| a.table == group.table);
            let mut many_selected = false;
            let item = match columns.iter().any(is_on) {
                false if applied.is_some() => None,
                false => group.no_selection.as_ref(),
                true => {
                    let selected = self.combinations(&env.filters, &[group.column], false).rows;
                    match selected.as_slice() {
                        [one] => {
                            let is_it =
                                |name: &str| matches!(&one[0], Value::String(s) if **s == *name);
                            group.items.iter().find(|i| is_it(&i.name))
                        }
                        _ if applied.is_some_and(|a| a.many_selected) => None,
                        _ => {
                            many_selected = true;
                            group.many_selected.as_ref()
                        }
                    }
                }
            };
            let expression = item.and_then(|item| match asked {
                Asked::Value => Some(&item.expression),
                Asked::Format => item.format.as_ref(),
            });
            let Some(expression) = expression else { continue };
            let expression = expression.as_ref().map_err(Clone::clone)?;
            let mut inner = env.clone();
            if !many_selected {
                inner.filters.remove(&columns);
            }
            inner.selected_measure = Some(measure.to_owned());
            inner.in_own_format = false;
            inner.applied_groups.push(AppliedGroup { table: group.table, many_selected });
            return self.scalar(&inner, expression).map(Some);
        }
        Ok(None)
    }

    /// What the values of a measure are shown with: what an item says, else the measure itself.
    pub(super) fn format_string(&self, env: &Env, measure: &str) -> Result<Value> {
        let mut inner = self.in_measure(env)?;
        let value = match self.under_group(&inner, measure, Asked::Format)? {
            Some(value) => value,
            None => {
                let Some(of) = self.measure_named(measure) else { return Ok(Value::Blank) };
                let Some(expression) = &of.format else { return Ok(fixed_format(of)) };
                inner.selected_measure = Some(measure.to_owned());
                inner.in_own_format = true;
                self.scalar(&inner, expression.as_ref().map_err(Clone::clone)?)?
            }
        };
        Ok(if value.is_blank() {
            value
        } else {
            Value::from(rules::to_text(&value, &self.culture))
        })
    }

    /// `SELECTEDMEASURE`, its name, its format string, and whether it is one of some.
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
                let stored = self.measure_named(measure).map(|m| m.name.as_str());
                Ok(Value::from(stored.unwrap_or(measure)))
            }
            "SELECTEDMEASUREFORMATSTRING" if env.in_own_format => {
                Ok(self.measure_named(measure).map_or(Value::Blank, fixed_format))
            }
            "SELECTEDMEASUREFORMATSTRING" => self.format_string(env, measure),
            _ => Ok(arguments.iter().any(named).into()),
        }
    }
}

fn fixed_format(of: &MeasureInfo) -> Value {
    of.format_string.as_deref().map_or(Value::Blank, Value::from)
}
