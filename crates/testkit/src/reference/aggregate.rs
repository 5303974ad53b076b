//! Aggregates over columns and iterators over tables.

use std::cmp::Ordering;

use evercube_base::{Collation, Error, Result, Value};
use evercube_dax::ast::{BinaryOperator, Expr, ExprKind};
use evercube_engine::scalar as rules;
use evercube_store::{ColumnId, RelationshipId};

use super::scalar::unknown;
use super::{Env, Reference, unsupported};

impl Reference {
    pub(super) fn aggregate(&self, env: &Env, function: &str, arguments: &[Expr]) -> Result<Value> {
        let count = |n: usize| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
        match function {
            "COUNTROWS" => {
                let table = arguments.first().ok_or_else(|| unsupported("COUNTROWS ()"))?;
                let n = self.table(env, table)?.rows.len();
                Ok(if n == 0 { Value::Blank } else { count(n) })
            }
            "ISEMPTY" => Ok(self.table(env, &arguments[0])?.rows.is_empty().into()),
            "HASONEVALUE" => Ok((self.visible_values(env, &arguments[0])?.len() == 1).into()),
            "SELECTEDVALUE" => match self.visible_values(env, &arguments[0])?.as_slice() {
                [only] => Ok(only.clone()),
                _ => arguments.get(1).map_or(Ok(Value::Blank), |e| self.scalar(env, e)),
            },
            "ISFILTERED" => {
                let columns = self.named_columns(&arguments[..1])?;
                let on = |f: &evercube_engine::Filter| columns.iter().any(|c| f.is_on(*c));
                Ok(env.filters.filters.iter().any(on).into())
            }
            "MIN" | "MAX" if arguments.len() == 2 => {
                let values =
                    vec![self.scalar(env, &arguments[0])?, self.scalar(env, &arguments[1])?];
                self.fold(function, values)
            }
            "DISTINCTCOUNT" | "DISTINCTCOUNTNOBLANK" | "COUNTBLANK" => {
                let mut values = self.column_values(env, &arguments[0])?;
                if function == "COUNTBLANK" {
                    let n = values.iter().filter(|v| v.is_blank()).count();
                    return Ok(if values.is_empty() { Value::Blank } else { count(n) });
                }
                values.retain(|v| function == "DISTINCTCOUNT" || !v.is_blank());
                values.sort_by(|a, b| rules::total_order(a, b, &Collation::default()));
                values.dedup_by(|a, b| {
                    rules::total_order(a, b, &Collation::default()) == Ordering::Equal
                });
                Ok(if values.is_empty() { Value::Blank } else { count(values.len()) })
            }
            "SUM" | "AVERAGE" | "MIN" | "MAX" | "COUNT" | "COUNTA" => {
                let values = self.column_values(env, &arguments[0])?;
                self.fold(function, values)
            }
            "MINX" | "MAXX" if arguments.len() > 2 => Err(unsupported("values of several types")),
            "SUMX" | "AVERAGEX" | "MINX" | "MAXX" | "COUNTX" | "COUNTAX" => {
                let values = self.values_over(env, &arguments[0], &arguments[1])?;
                self.fold(function.strip_suffix('X').unwrap_or(function), values)
            }
            "STDEV.P" | "STDEV.S" | "VAR.P" | "VAR.S" => {
                self.spread(function, &self.column_values(env, &arguments[0])?)
            }
            "STDEVX.P" | "STDEVX.S" | "VARX.P" | "VARX.S" => {
                let values = self.values_over(env, &arguments[0], &arguments[1])?;
                self.spread(&function.replace('X', ""), &values)
            }
            "MEDIAN" => self.percentile(&self.column_values(env, &arguments[0])?, 0.5, true),
            "MEDIANX" => {
                let values = self.values_over(env, &arguments[0], &arguments[1])?;
                self.percentile(&values, 0.5, true)
            }
            "PERCENTILE.INC" | "PERCENTILE.EXC" => {
                let values = self.column_values(env, &arguments[0])?;
                let k = rules::to_f64(&self.scalar(env, &arguments[1])?, &self.culture)?;
                self.percentile(&values, k, function == "PERCENTILE.INC")
            }
            "PERCENTILEX.INC" | "PERCENTILEX.EXC" => {
                let values = self.values_over(env, &arguments[0], &arguments[1])?;
                let k = rules::to_f64(&self.scalar(env, &arguments[2])?, &self.culture)?;
                self.percentile(&values, k, function == "PERCENTILEX.INC")
            }
            "RANKX" => self.rank_x(env, arguments),
            "RANK" | "ROWNUMBER" => self.row_place(env, function, arguments),
            "ISSUBTOTAL" => self.is_subtotal(env, &arguments[0]),
            other => Err(unsupported(other)),
        }
    }

    /// Values of a column in the visible rows of its table.
    fn column_values(&self, env: &Env, column: &Expr) -> Result<Vec<Value>> {
        let id = self.one_column(column)?;
        let data = self.store.table(id.table);
        let visible = self.visible(&env.filters, id.table);
        let rows = visible.iter().filter(|r| *r < data.rows());
        let column = data.column(id.column);
        Ok(rows.map(|r| column.value(column.code(r))).collect())
    }

    /// Distinct visible values of a column, the blank row's included.
    fn visible_values(&self, env: &Env, column: &Expr) -> Result<Vec<Value>> {
        let id = self.one_column(column)?;
        let values = self.combinations(&env.filters, &[id], true);
        Ok(values.rows.into_iter().flatten().collect())
    }

    pub(super) fn one_column(&self, e: &Expr) -> Result<ColumnId> {
        match &e.kind {
            ExprKind::Qualified { table, name } => {
                self.column_named(table, name).ok_or_else(|| unknown(table, name))
            }
            ExprKind::Bracketed(name) => {
                let tables = self.model.tables().iter();
                let mut found = tables.filter_map(|t| self.column_named(&t.name, name));
                match (found.next(), found.next()) {
                    (Some(id), None) => Ok(id),
                    (None, _) => Err(unknown("", name)),
                    // One of the table of the measure at hand comes first.
                    _ => Err(unsupported("columns of several tables without their table")),
                }
            }
            _ => Err(Error::invalid("A column name is expected here.")),
        }
    }

    fn fold(&self, function: &str, mut values: Vec<Value>) -> Result<Value> {
        let collation = Collation::default();
        values.retain(|v| !v.is_blank());
        let add = |a: Value, b: &Value| {
            rules::binary(BinaryOperator::Add, &a, b, &collation, &self.culture)
        };
        let n = values.len();
        if n == 0 {
            return Ok(Value::Blank);
        }
        match function {
            "SUM" => values.iter().try_fold(Value::Blank, add),
            "AVERAGE" => {
                let sum = values.iter().try_fold(Value::Blank, add)?;
                Ok(Value::Double(rules::to_f64(&sum, &self.culture)? / n as f64))
            }
            "COUNT" | "COUNTA" => Ok(Value::Int(i64::try_from(n).unwrap_or(i64::MAX))),
            "MIN" | "MAX" => {
                let want = if function == "MIN" { Ordering::Less } else { Ordering::Greater };
                let mut best = values[0].clone();
                for v in &values[1..] {
                    if rules::compare(v, &best, &collation)? == want {
                        best = v.clone();
                    }
                }
                Ok(best)
            }
            other => Err(unsupported(&format!("the aggregate {other}"))),
        }
    }

    /// The value of a column on the one side of the current row's table.
    pub(super) fn related(&self, env: &Env, column: &Expr) -> Result<Value> {
        self.related_to(env, self.one_column(column)?, column.span.passed)
    }

    pub(super) fn related_to(&self, env: &Env, id: ColumnId, passed: u8) -> Result<Value> {
        for row in env.rows_seen(passed) {
            for (at, c) in row.columns.iter().enumerate() {
                let Some(key) = c.lineage else { continue };
                let expanded = self.visibility().expanded(&row.relationships, key.table);
                let Some((_, path)) =
                    expanded.iter().find(|(t, p)| *t == id.table && !p.is_empty())
                else {
                    continue;
                };
                if self.model.relationship(path[0]).def.from == key {
                    return Ok(self.follow(key, &row.values[at], path, id));
                }
            }
        }
        Err(Error::invalid(format!(
            "RELATED needs a current row from which '{}' is reached over many-to-one relationships.",
            self.model.table(id.table).name
        )))
    }

    /// `LOOKUPVALUE`: the one value of a column in the rows of its table, filtered or not, that have
    /// the values looked for.
    pub(super) fn lookup_value(&self, env: &Env, arguments: &[Expr]) -> Result<Value> {
        let wanted = self.one_column(&arguments[0])?;
        let (mut pairs, otherwise) = (Vec::new(), arguments[1..].chunks_exact(2).remainder());
        for pair in arguments[1..].chunks_exact(2) {
            let column = self.one_column(&pair[0])?;
            if column.table != wanted.table {
                return Err(unsupported("LOOKUPVALUE over several tables"));
            }
            pairs.push((column.column, self.scalar(env, &pair[1])?));
        }
        let all = self.whole_table(&self.unfiltered(), wanted.table, false);
        let mut found: Vec<Value> = Vec::new();
        for row in &all.rows {
            let meets = |(c, v): &(u32, Value)| {
                rules::strict_equal(&row[*c as usize], v, &Collation::default())
            };
            let value = &row[wanted.column as usize];
            let is_one = pairs.iter().map(meets).collect::<Result<Vec<bool>>>()?;
            if is_one.into_iter().all(|m| m) && !found.contains(value) {
                found.push(value.clone());
            }
        }
        match (found.as_slice(), otherwise.first()) {
            ([one], _) => Ok(one.clone()),
            (_, Some(e)) => self.scalar(env, e),
            ([], None) => Ok(Value::Blank),
            (_, None) => Err(Error::evaluation("Several values were found where one was sought.")),
        }
    }

    pub(super) fn follow(
        &self,
        key: ColumnId,
        value: &Value,
        path: &[RelationshipId],
        wanted: ColumnId,
    ) -> Value {
        // Any row with this key leads to the same row of the one side.
        let column = self.store.table(key.table).column(key.column);
        let row = (0..column.rows()).find(|r| column.value(column.code(*r)) == *value);
        row.map_or(Value::Blank, |r| {
            let code = self.visibility().code(wanted, path, r);
            self.store.table(wanted.table).column(wanted.column).value(code)
        })
    }
}
