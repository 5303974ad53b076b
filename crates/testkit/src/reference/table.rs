//! Expressions that give tables.

use std::collections::BTreeSet;

use evercube_base::{Collation, DataType, Error, Result, Value};
use evercube_dax::ast::{Expr, ExprKind};
use evercube_engine::functions::lookup;
use evercube_engine::{FilterContext, scalar as rules};
use evercube_store::{ColumnId, TableId};

use super::{Bound, Env, Reference, Table, TableColumn, unsupported};

impl Reference {
    pub(super) fn table(&self, env: &Env, e: &Expr) -> Result<Table> {
        self.deeper(|| self.table_inner(env, e))
    }

    fn table_inner(&self, env: &Env, e: &Expr) -> Result<Table> {
        match &e.kind {
            ExprKind::Name { name, .. } => match (env.variable(name), self.table_named(name)) {
                (Some(Bound::Table(t)), _) => Ok(t.as_ref().clone()),
                (Some(Bound::Expression(p)), _) => self.table(&env.of_passed(p), &p.expression),
                (None, Some(id)) => Ok(self.whole_table(&env.filters, id, false)),
                _ => Err(Error::invalid(format!("There is no table or variable '{name}'."))),
            },
            ExprKind::TableConstructor(rows) => self.constructor(env, rows),
            ExprKind::Variables { bindings, result } => {
                let mut inner = env.clone();
                for b in bindings {
                    let value = self.bind(&inner, &b.expression)?;
                    inner.variables.push((b.name.to_lowercase(), value));
                }
                self.table(&inner, result)
            }
            ExprKind::Call { function, arguments, .. } if lookup(function).is_none() => {
                let (inner, body) = self.entered(env, function, arguments)?;
                self.table(&inner, &body)
            }
            ExprKind::Call { function, arguments, .. } => {
                self.table_call(env, &function.to_ascii_uppercase(), arguments)
            }
            _ => Err(Error::invalid("A table expression is expected here.")),
        }
    }

    pub(super) fn table_call(
        &self,
        env: &Env,
        function: &str,
        arguments: &[Expr],
    ) -> Result<Table> {
        match function {
            "FILTER" => {
                let table = self.table(env, &arguments[0])?;
                self.filter_rows(env, table, &arguments[1])
            }
            "VALUES" | "DISTINCT" => self.values(env, &arguments[0], function == "VALUES"),
            "ALL" | "ALLNOBLANKROW" => {
                let none = self.unfiltered();
                let blank_row = function == "ALL";
                match arguments {
                    [Expr { kind: ExprKind::Name { name, .. }, .. }] => {
                        let id = self.table_named(name);
                        let id = id.ok_or_else(|| {
                            Error::invalid(format!("There is no table '{name}'."))
                        })?;
                        Ok(self.whole_table(&none, id, blank_row))
                    }
                    columns => {
                        let columns = self.named_columns(columns)?;
                        Ok(self.combinations(&none, &columns, blank_row))
                    }
                }
            }
            "ADDCOLUMNS" | "SELECTCOLUMNS" => self.extend(env, arguments, function == "ADDCOLUMNS"),
            "ROW" => {
                let (mut columns, mut row) = (Vec::new(), Vec::new());
                for pair in arguments.chunks_exact(2) {
                    columns.push(TableColumn { name: self.text(env, &pair[0])?, lineage: None });
                    row.push(self.scalar(env, &pair[1])?);
                }
                Ok(Table { columns, rows: vec![row], ..Table::default() })
            }
            "CALCULATETABLE" => {
                let inner = self.calculate(env, &arguments[1..])?;
                self.table(&inner, &arguments[0])
            }
            "CROSSJOIN" => {
                let mut tables = arguments.iter().map(|a| self.shown_table(env, a));
                let first = tables.next().unwrap_or_else(|| Ok(Table::default()))?;
                tables.try_fold(first, |left, right| Ok(cross(&left, &right?)))
            }
            "TREATAS" => {
                let table = self.shown_table(env, &arguments[0])?;
                let lineage = self.named_columns(&arguments[1..])?;
                if lineage.len() != table.columns.len() {
                    return Err(Error::invalid(
                        "TREATAS takes one column for each column of its table.",
                    ));
                }
                // Values that do not occur in the column are left out.
                let stored = |(id, v): (&ColumnId, &Value)| {
                    let column = self.store.table(id.table).column(id.column);
                    let has = |code: &u32| (0..column.rows()).any(|row| column.code(row) == *code);
                    let is_of_blank_row =
                        |code: u32| code == 0 && self.store.has_blank_row(id.table);
                    let code = column.code_of(v).filter(|code| is_of_blank_row(*code) || has(code));
                    code.map(|code| column.value(code))
                };
                let row = |row: &Vec<Value>| lineage.iter().zip(row).map(stored).collect();
                let rows = table.rows.iter().filter_map(row).collect();
                let columns = lineage.iter().map(|id| self.model_column(*id)).collect();
                Ok(Table { columns, rows, ..Table::default() })
            }
            "SUMMARIZECOLUMNS" => self.summarize_columns(env, arguments),
            "KEEPFILTERS" => Ok(Table { keep: true, ..self.table(env, &arguments[0])? }),
            "UNION" | "INTERSECT" | "EXCEPT" => self.set(env, function, arguments),
            "TOPN" => self.top_n(env, arguments),
            "SUMMARIZE" => self.summarize(env, arguments),
            "GENERATE" | "GENERATEALL" => {
                self.generate(env, &arguments[0], &arguments[1], function == "GENERATEALL")
            }
            "ALLSELECTED" if !arguments.is_empty() => self.all_selected(env, arguments),
            "DETAILROWS" => self.detail_rows(env, &arguments[0]),
            "DATATABLE" => self.data_table(env, arguments),
            "GROUPBY" => self.group_by(env, arguments),
            "CURRENTGROUP" => match &env.group {
                Some(group) => Ok(group.as_ref().clone()),
                None => Err(Error::invalid("CURRENTGROUP () stands in GROUPBY only.")),
            },
            "INDEX" | "OFFSET" | "WINDOW" => self.window(env, function, arguments),
            "NATURALINNERJOIN" => self.natural_join(env, arguments, false),
            "NATURALLEFTOUTERJOIN" => self.natural_join(env, arguments, true),
            "SUBSTITUTEWITHINDEX" => self.substitute_with_index(env, arguments),
            "FIRSTNONBLANK" | "LASTNONBLANK" => {
                self.non_blank(env, arguments, function == "LASTNONBLANK")
            }
            "RELATEDTABLE" => self.table(&self.calculate(env, &[])?, &arguments[0]),
            other => match self.dates(env, other, arguments)? {
                Some(dates) => Ok(dates),
                None => Err(unsupported(other)),
            },
        }
    }

    pub(super) fn text(&self, env: &Env, e: &Expr) -> Result<String> {
        Ok(rules::to_text(&self.scalar(env, e)?, &self.culture))
    }

    pub(super) fn model_column(&self, id: ColumnId) -> TableColumn {
        TableColumn { name: self.model.column_info(id).name.clone(), lineage: Some(id) }
    }

    /// Visible rows of a model table with all its columns.
    pub(super) fn whole_table(&self, context: &FilterContext, id: TableId, blank: bool) -> Table {
        let data = self.store.table(id);
        let ids = (0..data.columns() as u32).map(|column| ColumnId { table: id, column });
        let columns: Vec<TableColumn> = ids.map(|c| self.model_column(c)).collect();
        let visible = self.visible(context, id);
        let rows = visible.iter().filter(|r| blank || *r < data.rows());
        let value = |row: usize, c: u32| data.column(c).value(data.column(c).code(row));
        let rows = rows.map(|r| (0..data.columns() as u32).map(|c| value(r, c)).collect());
        Table { columns, rows: rows.collect(), whole: Some(id), keep: false }
    }

    /// Distinct visible combinations of columns: of one table as they occur, of several crossed.
    pub(super) fn combinations(
        &self,
        context: &FilterContext,
        columns: &[ColumnId],
        blank: bool,
    ) -> Table {
        let mut tables: Vec<TableId> = columns.iter().map(|c| c.table).collect();
        tables.dedup();
        let mut out = Table { columns: Vec::new(), rows: vec![Vec::new()], ..Table::default() };
        for id in tables {
            let of: Vec<ColumnId> = columns.iter().filter(|c| c.table == id).copied().collect();
            let data = self.store.table(id);
            let visible = self.visible(context, id);
            let tuples: BTreeSet<Vec<u32>> = visible
                .iter()
                .filter(|r| blank || *r < data.rows())
                .map(|r| of.iter().map(|c| data.column(c.column).code(r)).collect())
                .collect();
            let decode = |t: Vec<u32>| {
                t.iter().zip(&of).map(|(code, c)| data.column(c.column).value(*code)).collect()
            };
            let part = Table {
                columns: of.iter().map(|c| self.model_column(*c)).collect(),
                rows: tuples.into_iter().map(decode).collect(),
                ..Table::default()
            };
            out = cross(&out, &part);
        }
        out
    }

    /// Combinations of group columns: those of tables that refer to each other as they occur in
    /// the rows of the one that refers, those of others crossed.
    pub(super) fn group_combinations(
        &self,
        context: &FilterContext,
        columns: &[ColumnId],
        seen: &dyn Fn(&[TableId]) -> Result<FilterContext>,
    ) -> Result<Table> {
        let mut clusters: Vec<(TableId, Vec<ColumnId>)> = Vec::new();
        for c in columns {
            match clusters.iter_mut().find(|(t, _)| *t == c.table) {
                Some((_, of)) => of.push(*c),
                None => clusters.push((c.table, vec![*c])),
            }
        }
        let refers = |from: TableId, to: TableId| {
            from != to && self.visibility().expanded(context, from).iter().any(|(t, _)| *t == to)
        };
        let next = |clusters: &[(TableId, Vec<ColumnId>)]| {
            let pairs = (0..clusters.len()).flat_map(|i| (0..clusters.len()).map(move |j| (i, j)));
            pairs.into_iter().find(|(i, j)| refers(clusters[*j].0, clusters[*i].0))
        };
        while let Some((i, j)) = next(&clusters) {
            let (_, of) = clusters[i].clone();
            clusters[j].1.extend(of);
            clusters.remove(i);
        }
        let mut out = Table { rows: vec![Vec::new()], ..Table::default() };
        for (base, of) in clusters {
            let tables: Vec<TableId> = of.iter().map(|c| c.table).collect();
            out = cross(&out, &self.occurring(&seen(&tables)?, base, &of));
        }
        let place = |c: &ColumnId| out.columns.iter().position(|o| o.lineage == Some(*c));
        let order: Vec<usize> = columns.iter().filter_map(place).collect();
        let row = |r: &Vec<Value>| order.iter().map(|i| r[*i].clone()).collect();
        Ok(Table {
            columns: order.iter().map(|i| out.columns[*i].clone()).collect(),
            rows: out.rows.iter().map(row).collect(),
            ..Table::default()
        })
    }

    /// Combinations of columns of the expanded table of `base` in its visible rows.
    fn occurring(&self, context: &FilterContext, base: TableId, of: &[ColumnId]) -> Table {
        let expanded = self.visibility().expanded(context, base);
        let code = |c: &ColumnId, row: usize| {
            let path = expanded.iter().find(|(t, _)| *t == c.table).map(|(_, path)| path);
            path.map_or(0, |path| self.visibility().code(*c, path, row))
        };
        let visible = self.visible(context, base);
        let tuples: BTreeSet<Vec<u32>> =
            visible.iter().map(|row| of.iter().map(|c| code(c, row)).collect()).collect();
        let value =
            |(c, code): (&ColumnId, &u32)| self.store.table(c.table).column(c.column).value(*code);
        Table {
            columns: of.iter().map(|c| self.model_column(*c)).collect(),
            rows: tuples.iter().map(|t| of.iter().zip(t).map(value).collect()).collect(),
            ..Table::default()
        }
    }

    pub(super) fn filter_rows(&self, env: &Env, table: Table, condition: &Expr) -> Result<Table> {
        let mut kept = Vec::new();
        for (inner, row) in env.with_rows(&table).iter().zip(&table.rows) {
            if rules::to_bool(&self.scalar(inner, condition)?, &self.culture)? {
                kept.push(row.clone());
            }
        }
        Ok(Table { rows: kept, ..table })
    }

    fn values(&self, env: &Env, argument: &Expr, blank: bool) -> Result<Table> {
        match &argument.kind {
            ExprKind::Qualified { .. } => {
                let columns = self.named_columns(std::slice::from_ref(argument))?;
                Ok(self.combinations(&env.filters, &columns, blank))
            }
            ExprKind::Name { name, .. } if env.variable(name).is_none() => {
                let id = self.table_named(name);
                let id =
                    id.ok_or_else(|| Error::invalid(format!("There is no table '{name}'.")))?;
                Ok(distinct(self.whole_table(&env.filters, id, blank)))
            }
            _ => Ok(distinct(self.table(env, argument)?)),
        }
    }

    fn constructor(&self, env: &Env, rows: &[Vec<Expr>]) -> Result<Table> {
        let width = rows.first().map_or(1, Vec::len);
        let name = |i: usize| if width == 1 { "Value".into() } else { format!("Value{}", i + 1) };
        let columns = (0..width).map(|i| TableColumn { name: name(i), lineage: None }).collect();
        let row = |r: &Vec<Expr>| r.iter().map(|e| self.scalar(env, e)).collect();
        let mut rows: Vec<Vec<Value>> = rows.iter().map(row).collect::<Result<_>>()?;
        self.texts_together(width, &mut rows);
        Ok(Table { columns, rows, ..Table::default() })
    }

    /// Beside a text all values of a column are texts.
    pub(super) fn texts_together(&self, width: usize, rows: &mut [Vec<Value>]) {
        for i in 0..width {
            if rows.iter().any(|r| matches!(r[i], Value::String(_))) {
                for row in rows.iter_mut().filter(|r| !r[i].is_blank()) {
                    row[i] = rules::to_text(&row[i], &self.culture).into();
                }
            }
        }
    }

    /// `DETAILROWS`: what the measure says, else the rows of its table, as the measure would see them.
    fn detail_rows(&self, env: &Env, measure: &Expr) -> Result<Table> {
        let (ExprKind::Bracketed(name) | ExprKind::Qualified { name, .. }) = &measure.kind else {
            return Err(Error::invalid("DETAILROWS takes a measure."));
        };
        let unknown = || Error::invalid(format!("There is no measure [{name}]."));
        let info = self.measure_named(name).ok_or_else(unknown)?;
        let inner = self.in_measure(env)?;
        match &info.detail_rows {
            Some(expression) => self.table(&inner, expression.as_ref().map_err(Clone::clone)?),
            None => Ok(self.whole_table(&inner.filters, info.table, false)),
        }
    }

    /// `DATATABLE`: names and types, then rows of constants.
    fn data_table(&self, env: &Env, arguments: &[Expr]) -> Result<Table> {
        let Some((Expr { kind: ExprKind::TableConstructor(rows), .. }, heads)) =
            arguments.split_last()
        else {
            return Err(Error::invalid("DATATABLE ends with its rows."));
        };
        let (mut columns, mut types) = (Vec::new(), Vec::new());
        for head in heads.chunks_exact(2) {
            columns.push(TableColumn { name: self.text(env, &head[0])?, lineage: None });
            let ExprKind::Name { name, .. } = &head[1].kind else {
                return Err(Error::invalid("A column of DATATABLE has a type."));
            };
            types.push(match name.to_ascii_uppercase().as_str() {
                "BOOLEAN" => DataType::Boolean,
                "CURRENCY" => DataType::Decimal,
                "DATETIME" => DataType::DateTime,
                "DOUBLE" => DataType::Double,
                "INTEGER" => DataType::Int64,
                "STRING" => DataType::String,
                _ => return Err(Error::invalid(format!("{name} is no type of DATATABLE."))),
            });
        }
        let mut out = Table { columns, ..Table::default() };
        for row in rows {
            let [Expr { kind: ExprKind::TableConstructor(cells), .. }] = row.as_slice() else {
                return Err(Error::invalid("A row of DATATABLE stands in braces."));
            };
            let cells = cells.iter().flatten();
            if cells.clone().count() != types.len() {
                return Err(Error::invalid("A row of DATATABLE has a value for each column."));
            }
            let value = |(cell, to): (&Expr, &DataType)| match self.scalar(env, cell)? {
                Value::Blank => Ok(Value::Blank),
                v => rules::convert(&v, *to, &self.culture),
            };
            out.rows.push(cells.zip(&types).map(value).collect::<Result<_>>()?);
        }
        Ok(out)
    }

    /// `ADDCOLUMNS` and `SELECTCOLUMNS`; the latter keeps the lineage of plain column references, and
    /// their names where it gives none.
    fn extend(&self, env: &Env, arguments: &[Expr], keep: bool) -> Result<Table> {
        let source = self.table(env, &arguments[0])?;
        let inner = env.with_rows(&source);
        let mut out = Table::default();
        if keep {
            out.columns.clone_from(&source.columns);
        }
        let column = |e: &Expr| match &e.kind {
            ExprKind::Qualified { table, name } => self.column_named(table, name),
            _ => None,
        };
        let (mut rest, mut given) = (&arguments[1..], Vec::new());
        while let Some((first, others)) = rest.split_first() {
            if let (false, Some(id)) = (keep, column(first)) {
                out.columns.push(self.model_column(id));
                given.push(first);
                rest = others;
                continue;
            }
            if let (false, ExprKind::Bracketed(name)) = (keep, &first.kind) {
                out.columns.push(TableColumn { name: name.to_string(), lineage: None });
                given.push(first);
                rest = others;
                continue;
            }
            let (value, others) =
                others.split_first().ok_or_else(|| Error::invalid("An expression is missing."))?;
            let lineage = if keep { None } else { column(value) };
            out.columns.push(TableColumn { name: self.text(env, first)?, lineage });
            given.push(value);
            rest = others;
        }
        for (row, inner) in source.rows.into_iter().zip(&inner) {
            let mut values = if keep { row } else { Vec::new() };
            for e in &given {
                values.push(self.scalar(inner, e)?);
            }
            out.rows.push(values);
        }
        Ok(out)
    }
}

pub(super) fn cross(left: &Table, right: &Table) -> Table {
    let columns = left.columns.iter().chain(&right.columns).cloned().collect();
    let pairs = left.rows.iter().flat_map(|l| {
        right.rows.iter().map(move |r| l.iter().chain(r).cloned().collect::<Vec<Value>>())
    });
    Table { columns, rows: pairs.collect(), ..Table::default() }
}

fn distinct(table: Table) -> Table {
    let is_same = |a: &Value, b: &Value| match (a, b) {
        (Value::String(a), Value::String(b)) => Collation::default().eq(a, b),
        _ => a == b,
    };
    let mut seen: Vec<Vec<Value>> = Vec::new();
    for row in table.rows {
        if !seen.iter().any(|s| s.iter().zip(&row).all(|(a, b)| is_same(a, b))) {
            seen.push(row);
        }
    }
    Table { rows: seen, ..table }
}
