//! Filter contexts: which rows of each table an expression sees.
//!
//! A context is a list of filters over model columns. A filter reaches a table when its columns
//! lie in the table's *expanded table* (the table and everything on the one side of it), and over
//! relationships that filter in both directions or join many to many.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use evercube_store::{
    BitSet, ColumnId, PathColumn, RelationshipId, ScanFilter, StoreVersion, TableId,
};
use evercube_work::tick;

use crate::compiled_model::CompiledModel;

mod paths;
mod table_filter;

pub(crate) use paths::PlainPaths;
use paths::{Paths, weight};

/// Where at most one row in so many is wanted, each is looked up for itself.
pub(crate) const SPARSE: usize = 16;

/// One filter. Codes are those of the columns in the version at hand.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Filter {
    /// The column has one of these values (code 0 is blank).
    Column { column: ColumnId, codes: Arc<BitSet> },
    /// The columns together have one of these combinations.
    Tuples { columns: Vec<ColumnId>, tuples: Arc<Vec<Vec<u32>>> },
    /// These rows of a table, its blank row last; filters every column of the expanded table but
    /// those in `without`.
    Rows {
        table: TableId,
        rows: Arc<BitSet>,
        without: Vec<ColumnId>,
        /// Relationships as they were where the rows were found, which expand the table: set where
        /// `USERELATIONSHIP` or `CROSSFILTER` has made them others since.
        relationships: Option<Arc<FilterContext>>,
    },
}

impl Filter {
    /// Whether the filter is on this column.
    pub fn is_on(&self, column: ColumnId) -> bool {
        match self {
            Self::Column { column: c, .. } => *c == column,
            Self::Tuples { columns, .. } => columns.contains(&column),
            Self::Rows { table, without, .. } => {
                *table == column.table && !without.contains(&column)
            }
        }
    }
}

/// How `CROSSFILTER` changes a relationship.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    None,
    OneWay,
    Both,
}

/// Filters in force together, and the relationships as `USERELATIONSHIP` and `CROSSFILTER` left them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct FilterContext {
    pub filters: Vec<Filter>,
    /// Rows that roles let through, of every table that they reach: nothing removes these, and
    /// they reach no other table.
    pub secured: Arc<Vec<Filter>>,
    /// The filters are those of roles: they flow as the model secures, not as it filters.
    pub by_security: bool,
    /// Relationships switched on, the inner ones last; others between the same tables are off.
    pub used: Vec<RelationshipId>,
    pub directions: Vec<(RelationshipId, Direction)>,
}

/// Works out visible rows of one version under contexts.
#[derive(Debug, Clone, Copy)]
pub struct Visibility<'a> {
    pub model: &'a CompiledModel,
    pub store: &'a StoreVersion,
}

impl FilterContext {
    /// Drops every filter on the columns: what an explicit filter on them does first.
    pub fn remove(&mut self, columns: &[ColumnId]) {
        let mut kept = Vec::new();
        for filter in self.filters.drain(..) {
            match filter {
                Filter::Tuples { columns: of, tuples } => {
                    let stay: Vec<usize> =
                        (0..of.len()).filter(|i| !columns.contains(&of[*i])).collect();
                    if stay.len() == of.len() {
                        kept.push(Filter::Tuples { columns: of, tuples });
                    } else if !stay.is_empty() {
                        // What remains is the projection onto the other columns.
                        let project = |t: &Vec<u32>| stay.iter().map(|i| t[*i]).collect();
                        let left: BTreeSet<Vec<u32>> =
                            tuples.iter().inspect(|_| tick()).map(project).collect();
                        kept.push(Filter::Tuples {
                            columns: stay.iter().map(|i| of[*i]).collect(),
                            tuples: Arc::new(left.into_iter().collect()),
                        });
                    }
                }
                Filter::Rows { table, rows, mut without, relationships } => {
                    without.extend(
                        columns
                            .iter()
                            .filter(|c| !without.contains(c))
                            .copied()
                            .collect::<Vec<_>>(),
                    );
                    kept.push(Filter::Rows { table, rows, without, relationships });
                }
                f if columns.iter().any(|c| f.is_on(*c)) => {}
                f => kept.push(f),
            }
        }
        self.filters = kept;
    }
}

impl Visibility<'_> {
    /// Whether a relationship filters under `context`, and whether from its many side too.
    fn flows(&self, context: &FilterContext, id: RelationshipId) -> Option<bool> {
        let info = self.model.relationship(id);
        let ends = |r: RelationshipId| {
            let d = self.model.relationship(r).def;
            BTreeSet::from([d.from.table, d.to.table])
        };
        // Of several between the same tables, the one used last.
        let active = match context.used.iter().rev().find(|u| ends(**u) == ends(id)) {
            Some(used) => *used == id,
            None => info.active,
        };
        let set = context.directions.iter().rev().find(|(r, _)| *r == id).map(|(_, d)| *d);
        match set {
            _ if !active => None,
            Some(Direction::None) => None,
            Some(Direction::OneWay) => Some(false),
            Some(Direction::Both) => Some(true),
            None if context.by_security => Some(info.secures_both_directions),
            None => Some(info.both_directions),
        }
    }

    /// The tables of the expanded table of `table` with the steps that lead there.
    pub fn expanded(
        &self,
        context: &FilterContext,
        table: TableId,
    ) -> Vec<(TableId, Vec<RelationshipId>)> {
        let mut found: Vec<(TableId, Vec<RelationshipId>)> = vec![(table, Vec::new())];
        let mut next = 0;
        while next < found.len() {
            let (at, path) = found[next].clone();
            next += 1;
            for (i, r) in (0..).zip(self.model.relationships()) {
                let id = RelationshipId(i);
                if r.def.from.table != at
                    || r.def.many_to_many
                    || r.def.to.table == table
                    || path.contains(&id)
                    || self.flows(context, id).is_none()
                {
                    continue;
                }
                let mut longer = path.clone();
                longer.push(id);
                match found.iter().position(|(t, _)| *t == r.def.to.table) {
                    None => found.push((r.def.to.table, longer)),
                    // Of several ways the one over what USERELATIONSHIP names, else the shortest.
                    Some(known) if weight(context, &longer) > weight(context, &found[known].1) => {
                        found.remove(known);
                        next -= usize::from(known < next);
                        found.push((r.def.to.table, longer));
                    }
                    Some(_) => {}
                }
            }
        }
        found
    }

    /// Rows of `table` that are visible, its blank row last (set only where the table has one).
    pub fn rows(&self, context: &FilterContext, table: TableId) -> BitSet {
        let n = self.store.table(table).rows();
        let mut visible = self
            .restricted(context, table)
            .or_else(|| self.secured(context, table))
            .unwrap_or_else(|| BitSet::new(n + 1, true));
        if !self.store.has_blank_row(table) {
            visible.remove(n);
        }
        visible
    }

    /// Rows that roles let through; `None`: all.
    fn secured(&self, context: &FilterContext, table: TableId) -> Option<BitSet> {
        context.secured.iter().find_map(|filter| match filter {
            Filter::Rows { table: t, rows, .. } if *t == table => Some(rows.as_ref().clone()),
            _ => None,
        })
    }

    /// Rows left by the filters that reach `table`, of those that roles let through; `None`: no
    /// filter reaches it.
    pub(crate) fn restricted(&self, context: &FilterContext, table: TableId) -> Option<BitSet> {
        match self.paths_where_several(context, table) {
            None => self.restricted_but_over(context, table, &mut Vec::new()),
            Some(paths) => self.restricted_along(context, table, &paths, &mut Vec::new()),
        }
    }

    /// Where filters have several ways: those of each table take the best.
    fn restricted_along(
        &self,
        context: &FilterContext,
        table: TableId,
        paths: &Paths,
        via: &mut Vec<RelationshipId>,
    ) -> Option<BitSet> {
        let ends_here = match paths.best.get(&table) {
            Some(best) => best.relationships == *via,
            None => via.is_empty(),
        };
        let mut visible = ends_here.then(|| self.filtered_directly(context, table)).flatten();
        let mut meet = |rows: BitSet| match &mut visible {
            Some(v) => v.intersect(&rows),
            none => *none = Some(rows),
        };
        let further = paths.best.values().filter_map(|p| {
            p.relationships.strip_prefix(via.as_slice()).and_then(|rest| rest.first())
        });
        for id in further.copied().collect::<BTreeSet<_>>() {
            let def = self.model.relationship(id).def;
            let is_down = def.from.table == table;
            let next = if is_down { def.to.table } else { def.from.table };
            via.push(id);
            if let Some(other) = self.restricted_along(context, next, paths, via) {
                meet(match is_down {
                    true => self.onto_many_side(id, &other),
                    false => self.onto_one_side(id, &other),
                });
            }
            via.pop();
        }
        if let Some(v) = &mut visible
            && let Some(rows) = self.secured(context, table)
        {
            v.intersect(&rows);
        }
        visible
    }

    /// Rows left by the filters that reach `table` otherwise than over `via`, where there is one
    /// way between any two tables.
    fn restricted_but_over(
        &self,
        context: &FilterContext,
        table: TableId,
        via: &mut Vec<RelationshipId>,
    ) -> Option<BitSet> {
        let mut visible = self.filtered_directly(context, table);
        let mut meet = |rows: BitSet| match &mut visible {
            Some(v) => v.intersect(&rows),
            none => *none = Some(rows),
        };
        for (i, r) in (0..).zip(self.model.relationships()) {
            let id = RelationshipId(i);
            // A filter does not come back over a relationship it came along.
            if via.contains(&id) {
                continue;
            }
            let Some(both) = self.flows(context, id) else { continue };
            via.push(id);
            if r.def.from.table == table
                && let Some(other) = self.restricted_but_over(context, r.def.to.table, via)
            {
                meet(self.onto_many_side(id, &other));
            }
            if r.def.to.table == table
                && both
                && let Some(other) = self.restricted_but_over(context, r.def.from.table, via)
            {
                meet(self.onto_one_side(id, &other));
            }
            via.pop();
        }
        if let Some(v) = &mut visible
            && let Some(rows) = self.secured(context, table)
        {
            v.intersect(&rows);
        }
        visible
    }

    /// What the filters on columns of the table's own expanded table leave of it. Filters over
    /// several tables count with the columns that are there.
    fn filtered_directly(&self, context: &FilterContext, table: TableId) -> Option<BitSet> {
        let n = self.store.table(table).rows();
        let expanded = self.expanded(context, table);
        let path_to = |t: TableId| expanded.iter().find(|(x, _)| *x == t).map(|(_, p)| p);
        let mut visible: Option<BitSet> = None;
        let mut meet = |rows: BitSet| match &mut visible {
            Some(v) => v.intersect(&rows),
            none => *none = Some(rows),
        };
        let on_columns = context.filters.iter().filter_map(|filter| match filter {
            Filter::Column { column, codes } if column.table == table => {
                Some((*column, Arc::clone(codes)))
            }
            _ => None,
        });
        let on_columns: Vec<_> = on_columns.collect();
        if !on_columns.is_empty() {
            meet(self.rows_with(table, &on_columns));
        }
        for filter in &context.filters {
            match filter {
                Filter::Rows { .. } => {
                    if let Some(rows) = self.through_rows(context, filter, table) {
                        meet(rows);
                    }
                }
                Filter::Tuples { columns, tuples } => {
                    let here: Vec<(usize, &Vec<RelationshipId>)> = (0..columns.len())
                        .filter_map(|i| Some((i, path_to(columns[i].table)?)))
                        .collect();
                    // Where all columns lie behind one step, the filter comes over that step.
                    let first = here.first().map(|(_, path)| path.first());
                    let is_over_one_step = first.is_none_or(|step| {
                        step.is_some() && here.iter().all(|(_, path)| path.first() == step)
                    });
                    if is_over_one_step {
                        continue;
                    }
                    let allowed: HashSet<Vec<u32>> = tuples
                        .iter()
                        .inspect(|_| tick())
                        .map(|t| here.iter().map(|(i, _)| t[*i]).collect())
                        .collect();
                    meet(collect(n, |row| {
                        let codes = here.iter().map(|(i, path)| self.code(columns[*i], path, row));
                        allowed.contains(&codes.collect::<Vec<_>>())
                    }));
                }
                Filter::Column { .. } => {}
            }
        }
        visible
    }

    /// Rows that have one of these codes in each of these columns of the table; the blank row, which
    /// is blank in all of them, comes last.
    pub(crate) fn rows_with(&self, table: TableId, columns: &[(ColumnId, Arc<BitSet>)]) -> BitSet {
        let filter = |(column, codes): &(ColumnId, Arc<BitSet>)| ScanFilter::Codes {
            column: PathColumn { path: Vec::new(), column: *column },
            codes: Arc::clone(codes),
        };
        let mut rows = self.passing(table, columns.iter().map(filter).collect());
        if columns.iter().all(|(_, codes)| codes.get(0)) {
            rows.insert(rows.len() - 1);
        }
        rows
    }

    /// Rows that pass filters, the blank row not among them. Relationships in them have an index.
    fn passing(&self, table: TableId, filters: Vec<ScanFilter>) -> BitSet {
        let rows = self.store.passing(table, filters);
        rows.unwrap_or_else(|stopped| evercube_work::interrupt(stopped))
    }

    /// The row a path leads to.
    pub fn reached(&self, path: &[RelationshipId], row: usize) -> usize {
        let mut row = row;
        for step in path {
            row = self.store.relationship(*step).map_or(row, |r| r.target(row) as usize);
        }
        row
    }

    /// The rows that a path leads to from any of these; there are `n` and the blank row.
    fn all_reached(&self, path: &[RelationshipId], rows: &BitSet, n: usize) -> BitSet {
        if let Some((step, rest)) = path.split_first()
            && self.store.relationship(*step).is_some()
            && rows.count() * SPARSE > rows.len()
        {
            // Reading all keys in their order costs less than looking up those of many rows.
            let reached = self.onto_one_side(*step, rows);
            return if rest.is_empty() { reached } else { self.all_reached(rest, &reached, n) };
        }
        let mut reached = BitSet::new(n + 1, false);
        rows.iter().for_each(|row| reached.insert(self.reached(path, row)));
        reached
    }

    /// The code of a column seen from each row over a path, the blank row last.
    pub fn codes(&self, column: ColumnId, path: &[RelationshipId], rows: usize) -> Vec<u32> {
        let mut codes = vec![0; rows + 1];
        let first =
            path.split_first().and_then(|(id, rest)| Some((self.store.relationship(*id)?, rest)));
        match first {
            None if path.is_empty() => {
                self.store.table(column.table).column(column.column).read_codes(0, &mut codes);
            }
            // The table a missing relationship leads to is not seen.
            None => {}
            Some((step, rest)) => {
                let one = self.store.table(step.def.to.table).rows();
                let behind: Vec<u32> = (0..=one).map(|row| self.code(column, rest, row)).collect();
                step.each_target(|row, target| codes[row] = behind[target]);
                codes[rows] = behind[one];
            }
        }
        codes
    }

    /// Whether a filter on `from` can restrict `table` at all.
    pub fn reaches(&self, context: &FilterContext, from: TableId, table: TableId) -> bool {
        let mut seen = vec![table];
        let mut next = 0;
        while next < seen.len() {
            let at = seen[next];
            next += 1;
            if at == from {
                return true;
            }
            for (i, r) in (0..).zip(self.model.relationships()) {
                let Some(both) = self.flows(context, RelationshipId(i)) else { continue };
                let ends = (r.def.from.table, r.def.to.table);
                if ends.0 == at && !seen.contains(&ends.1) {
                    seen.push(ends.1);
                }
                if ends.1 == at && both && !seen.contains(&ends.0) {
                    seen.push(ends.0);
                }
            }
        }
        false
    }

    /// The code of a column seen from a row over a path.
    pub fn code(&self, column: ColumnId, path: &[RelationshipId], row: usize) -> u32 {
        let mut row = row;
        for step in path {
            match self.store.relationship(*step) {
                Some(r) => row = r.target(row) as usize,
                None => return 0,
            }
        }
        self.store.table(column.table).column(column.column).code(row)
    }

    fn onto_many_side(&self, id: RelationshipId, one: &BitSet) -> BitSet {
        let def = self.model.relationship(id).def;
        let n = self.store.table(def.from.table).rows();
        match self.store.relationship(id) {
            Some(r) => {
                let filter = ScanFilter::Rows { path: vec![id], rows: Arc::new(one.clone()) };
                let mut rows = self.passing(def.from.table, vec![filter]);
                if one.get(r.target(n) as usize) {
                    rows.insert(n);
                }
                rows
            }
            None => self.by_value(def.to, one, def.from),
        }
    }

    fn onto_one_side(&self, id: RelationshipId, many: &BitSet) -> BitSet {
        let def = self.model.relationship(id).def;
        let n = self.store.table(def.to.table).rows();
        match self.store.relationship(id) {
            Some(r) => {
                let mut rows = r.targets(many);
                // The blank row of the many side refers to that of the one side.
                if self.store.has_blank_row(def.from.table)
                    && many.get(self.store.table(def.from.table).rows())
                {
                    rows.insert(n);
                }
                rows
            }
            None => self.by_value(def.from, many, def.to),
        }
    }

    /// Rows of `to` whose value occurs in the visible rows of `from`: a limited relationship.
    fn by_value(&self, from: ColumnId, visible: &BitSet, to: ColumnId) -> BitSet {
        let source = self.store.table(from.table).column(from.column);
        let target = self.store.table(to.table).column(to.column);
        let mut codes = BitSet::new(target.cardinality() as usize, false);
        let real = self.store.table(from.table).rows();
        let seen: HashSet<u32> =
            visible.iter().take_while(|r| *r < real).map(|r| source.code(r)).collect();
        let mut seen: Vec<u32> = seen.into_iter().collect();
        seen.sort_unstable();
        for code in seen {
            if let Some(c) = target.code_of(&source.value(code)) {
                codes.insert(c as usize);
            }
        }
        collect(self.store.table(to.table).rows(), |row| codes.get(target.code(row) as usize))
    }
}

/// Bits of rows `0..=n`; row `n` is the blank row.
fn collect(n: usize, visible: impl Fn(usize) -> bool) -> BitSet {
    let mut rows = BitSet::new(n + 1, false);
    for row in (0..=n).inspect(|_| tick()).filter(|r| visible(*r)) {
        rows.insert(row);
    }
    rows
}

#[cfg(test)]
mod tests;
