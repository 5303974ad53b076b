//! `CALCULATE`: from the filter context outside to the one inside.
//!
//! In this order: rows become filters (context transition), relationships are changed, filters are
//! removed, explicit filters are put in place; these are evaluated in the context outside.

use std::collections::BTreeSet;
use std::sync::Arc;

use evercube_base::{Error, Result, Value};
use evercube_dax::ast::{Expr, ExprKind};
use evercube_engine::{Direction, Filter, FilterContext, scalar as rules};
use evercube_store::{BitSet, ColumnId, RelationshipId, TableId};

use super::scalar::unknown;
use super::{Bound, Env, Reference, Table, unsupported};

/// What one argument of `CALCULATE` does.
enum Change {
    Use(RelationshipId),
    Direct(RelationshipId, Direction),
    Remove(Vec<ColumnId>),
    RemoveAll,
    /// The filters on these columns, or on all, become those that were selected.
    Select(Option<Vec<ColumnId>>),
    /// Filters over columns; `keep` leaves the ones outside in force.
    Put {
        filter: Filter,
        columns: Vec<ColumnId>,
        keep: bool,
    },
}

impl Reference {
    /// The environment inside `CALCULATE` with these filter arguments.
    pub(super) fn calculate(&self, env: &Env, arguments: &[Expr]) -> Result<Env> {
        let changes: Vec<Change> =
            arguments.iter().map(|a| self.change(env, a)).collect::<Result<_>>()?;
        let mut inner = env.clone();
        for row in &env.rows[env.transitioned..] {
            let own = row.columns.iter().zip(&row.values);
            let own = own.filter_map(|(column, value)| Some((column.lineage?, value.clone())));
            // A row of the model is a row of its expanded table.
            for (id, value) in own.chain(self.of_expanded(&env.filters, row)) {
                if !row.keep {
                    inner.filters.remove(&[id]);
                }
                inner.filters.filters.push(self.equals(id, &value));
            }
        }
        inner.transitioned = inner.rows.len();
        let context = &mut inner.filters;
        for change in &changes {
            match change {
                Change::Use(id) => context.used.push(*id),
                Change::Direct(id, direction) => context.directions.push((*id, *direction)),
                Change::Remove(columns) => context.remove(columns),
                Change::RemoveAll => context.filters.clear(),
                Change::Select(_) | Change::Put { .. } => {}
            }
        }
        // What was selected comes back after everything is removed.
        for change in &changes {
            if let Change::Select(columns) = change {
                *context = self.selected(env, context, columns.clone())?;
            }
        }
        for change in &changes {
            if let Change::Put { columns, keep: false, .. } = change {
                context.remove(columns);
            }
        }
        for change in changes {
            if let Change::Put { filter, .. } = change {
                context.filters.push(filter);
            }
        }
        Ok(inner)
    }

    fn equals(&self, column: ColumnId, value: &Value) -> Filter {
        let data = self.store.table(column.table).column(column.column);
        let mut codes = BitSet::new(data.cardinality() as usize, false);
        if let Some(code) = data.code_of(value) {
            codes.insert(code as usize);
        }
        Filter::Column { column, codes: Arc::new(codes) }
    }

    fn change(&self, env: &Env, argument: &Expr) -> Result<Change> {
        if let ExprKind::Name { name, .. } = &argument.kind
            && let Some(Bound::Expression(p)) = env.variable(name)
        {
            return self.change(&env.of_passed(p), &p.expression);
        }
        if let ExprKind::Call { function, arguments, .. } = &argument.kind {
            match function.to_ascii_uppercase().as_str() {
                "USERELATIONSHIP" => {
                    return Ok(Change::Use(self.relationship(&arguments[0], &arguments[1])?));
                }
                "CROSSFILTER" => {
                    let id = self.relationship(&arguments[0], &arguments[1])?;
                    let direction = match &arguments[2].kind {
                        ExprKind::Name { name, .. } => name.to_ascii_uppercase(),
                        ExprKind::Literal(number) => rules::plain_text(number),
                        _ => String::new(),
                    };
                    let r = self.model.relationship(id).def;
                    let left_is_one = self.named_columns(&arguments[..1])? == [r.to];
                    let direction = match (direction.as_str(), left_is_one) {
                        ("NONE" | "0", _) => Direction::None,
                        ("ONEWAY" | "1", _) => Direction::OneWay,
                        ("BOTH" | "2", _) => Direction::Both,
                        _ if !r.many_to_many => {
                            return Err(Error::invalid("Only the one side can filter the other."));
                        }
                        ("ONEWAY_RIGHTFILTERSLEFT" | "3", false)
                        | ("ONEWAY_LEFTFILTERSRIGHT" | "4", true) => Direction::OneWay,
                        ("ONEWAY_RIGHTFILTERSLEFT" | "3", true)
                        | ("ONEWAY_LEFTFILTERSRIGHT" | "4", false) => Direction::Reversed,
                        _ => return Err(Error::invalid("CROSSFILTER has no such direction.")),
                    };
                    return Ok(Change::Direct(id, direction));
                }
                "REMOVEFILTERS" | "ALL" if arguments.is_empty() => return Ok(Change::RemoveAll),
                "REMOVEFILTERS" | "ALL" | "ALLNOBLANKROW" => {
                    return Ok(Change::Remove(self.named_columns(arguments)?));
                }
                "ALLEXCEPT" => {
                    let except = self.named_columns(&arguments[1..])?;
                    let mut columns = self.named_columns(&arguments[..1])?;
                    columns.retain(|c| !except.contains(c));
                    return Ok(Change::Remove(columns));
                }
                "KEEPFILTERS" => {
                    return Ok(match self.change(env, &arguments[0])? {
                        Change::Put { filter, columns, .. } => {
                            Change::Put { filter, columns, keep: true }
                        }
                        Change::Remove(none) if none.is_empty() => Change::Remove(none),
                        _ => return Err(Error::invalid("KEEPFILTERS takes a filter.")),
                    });
                }
                "ALLSELECTED" if arguments.is_empty() => return Ok(Change::Select(None)),
                "ALLSELECTED" => {
                    return Ok(Change::Select(Some(self.named_columns(arguments)?)));
                }
                _ => {}
            }
        }
        let table = if self.is_table(env, argument) {
            self.table(env, argument)?
        } else {
            self.condition(env, argument)?
        };
        self.put(&env.filters, &table)
    }

    /// Columns of the expanded table of a row of the model that are not the row's own.
    fn of_expanded(
        &self,
        context: &FilterContext,
        row: &super::RowContext,
    ) -> Vec<(ColumnId, Value)> {
        let beyond = row.whole.map_or_else(Vec::new, |id| self.beyond(context, id));
        let value = |(key, path, id): (ColumnId, Vec<RelationshipId>, ColumnId)| {
            let at = row.columns.iter().position(|c| c.lineage == Some(key))?;
            Some((id, self.follow(key, &row.values[at], &path, id)))
        };
        beyond.into_iter().filter_map(value).collect()
    }

    /// A condition on columns is a filter over all their combinations.
    fn condition(&self, env: &Env, condition: &Expr) -> Result<Table> {
        let mut columns = Vec::new();
        self.columns_in(condition, &mut columns)?;
        let Some(first) = columns.first() else {
            return Err(Error::invalid("A filter of CALCULATE must name a column or be a table."));
        };
        if columns.iter().any(|c| c.table != first.table) {
            return Err(Error::invalid(
                "A condition of CALCULATE may name columns of one table only.",
            ));
        }
        let all = self.combinations(&self.unfiltered(), &columns, true);
        self.filter_rows(env, all, condition)
    }

    fn columns_in(&self, e: &Expr, out: &mut Vec<ColumnId>) -> Result<()> {
        match &e.kind {
            ExprKind::Qualified { table, name } => {
                let id = self.column_named(table, name).ok_or_else(|| unknown(table, name))?;
                if !out.contains(&id) {
                    out.push(id);
                }
            }
            ExprKind::Unary { operand, .. } => self.columns_in(operand, out)?,
            ExprKind::Binary { left, right, .. } | ExprKind::In { left, right } => {
                self.columns_in(left, out)?;
                self.columns_in(right, out)?;
            }
            ExprKind::Call { function, arguments, .. } => {
                let aggregates = evercube_engine::functions::lookup(function)
                    .is_some_and(|f| f.category == "Aggregation");
                if aggregates {
                    return Ok(());
                }
                for a in arguments {
                    self.columns_in(a, out)?;
                }
            }
            ExprKind::Tuple(parts) => {
                for p in parts {
                    self.columns_in(p, out)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A table as a filter over those of its columns that stand for model columns; a whole table
    /// filters the columns of its expanded table too.
    fn put(&self, context: &FilterContext, table: &Table) -> Result<Change> {
        let own = (0..table.columns.len()).filter_map(|i| Some((i, table.columns[i].lineage?)));
        let own: Vec<(usize, ColumnId)> = own.collect();
        // Nothing says which column it is about.
        if own.is_empty() {
            return Ok(Change::Remove(Vec::new()));
        }
        let beyond = table.whole.map_or_else(Vec::new, |id| self.beyond(context, id));
        let code =
            |id: ColumnId, v: &Value| self.store.table(id.table).column(id.column).code_of(v);
        let mut tuples = BTreeSet::new();
        for row in &table.rows {
            let mut codes: Vec<Option<u32>> =
                own.iter().map(|(i, id)| code(*id, &row[*i])).collect();
            for (key, path, id) in &beyond {
                let at = own.iter().find(|(_, of)| of == key).map_or(0, |(i, _)| *i);
                codes.push(code(*id, &self.follow(*key, &row[at], path, *id)));
            }
            // A value that the column does not have lets nothing through.
            tuples.extend(codes.into_iter().collect::<Option<Vec<u32>>>());
        }
        let of_filter: Vec<ColumnId> =
            own.iter().map(|(_, id)| *id).chain(beyond.iter().map(|(_, _, id)| *id)).collect();
        let mut columns = of_filter.clone();
        // A filter on the dates of a date table takes the place of all filters on that table.
        for id in &of_filter {
            let date_table = self.model.table(id.table);
            if date_table.date_column == Some(id.column) {
                let n = date_table.columns.len() as u32;
                columns.extend((0..n).map(|column| ColumnId { table: id.table, column }));
            }
        }
        let tuples = Arc::new(tuples.into_iter().collect());
        let filter = Filter::Tuples { columns: of_filter, tuples };
        Ok(Change::Put { filter, columns, keep: false })
    }

    /// The rows of a table as a filter.
    pub(super) fn filter_of(&self, context: &FilterContext, table: &Table) -> Result<Filter> {
        match self.put(context, table)? {
            Change::Put { filter, .. } => Ok(filter),
            _ => Err(unsupported("this table as a filter")),
        }
    }

    /// Columns of the expanded table, as relationships are in a context, that are not the table's
    /// own: the key they hang on, the way there, the column.
    pub(super) fn beyond(
        &self,
        context: &FilterContext,
        id: TableId,
    ) -> Vec<(ColumnId, Vec<RelationshipId>, ColumnId)> {
        let mut out = Vec::new();
        for (t, path) in self.visibility().expanded(context, id) {
            let Some(first) = path.first() else { continue };
            let key = self.model.relationship(*first).def.from;
            let n = self.model.table(t).columns.len() as u32;
            let columns = (0..n).map(|column| ColumnId { table: t, column });
            out.extend(columns.map(|c| (key, path.clone(), c)));
        }
        out
    }

    fn relationship(&self, a: &Expr, b: &Expr) -> Result<RelationshipId> {
        let ends = self.named_columns(&[a.clone(), b.clone()])?;
        let [a, b] = ends.as_slice() else {
            return Err(Error::invalid("A relationship is named by its two columns."));
        };
        if [a, b].iter().any(|c| self.has_own_rows(c.table)) {
            return Err(Error::invalid("Roles filter a table of the relationship."));
        }
        self.model
            .relationship_between(*a, *b)
            .ok_or_else(|| Error::invalid("There is no relationship between these two columns."))
    }

    /// Columns named by column or table references; a table stands for its expanded table.
    pub(super) fn named_columns(&self, references: &[Expr]) -> Result<Vec<ColumnId>> {
        let mut out = Vec::new();
        for r in references {
            match &r.kind {
                ExprKind::Qualified { table, name } => {
                    out.push(self.column_named(table, name).ok_or_else(|| unknown(table, name))?);
                }
                ExprKind::Name { name, .. } => {
                    let id = self
                        .model
                        .table_id(name)
                        .ok_or_else(|| Error::invalid(format!("There is no table '{name}'.")))?;
                    for (t, _) in self.visibility().expanded(&FilterContext::default(), id) {
                        let n = self.model.table(t).columns.len() as u32;
                        out.extend((0..n).map(|column| ColumnId { table: t, column }));
                    }
                }
                _ => return Err(Error::invalid("A column or table name is expected here.")),
            }
        }
        Ok(out)
    }
}
