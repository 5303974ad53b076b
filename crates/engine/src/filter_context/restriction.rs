//! The rows of a table that the filters of a context leave.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use evercube_store::{BitSet, ColumnId, PathColumn, RelationshipId, ScanFilter, TableId};
use evercube_work::tick;

use super::paths::Paths;
use super::{Filter, FilterContext, Visibility};

impl Visibility<'_> {
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
    pub(super) fn secured(&self, context: &FilterContext, table: TableId) -> Option<BitSet> {
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
            let direction = self.flows(context, id);
            via.push(id);
            if r.def.from.table == table
                && direction.is_forward()
                && let Some(other) = self.restricted_but_over(context, r.def.to.table, via)
            {
                meet(self.onto_many_side(id, &other));
            }
            if r.def.to.table == table
                && direction.is_backward()
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
    pub(super) fn filtered_directly(
        &self,
        context: &FilterContext,
        table: TableId,
    ) -> Option<BitSet> {
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
    pub(crate) fn passing(&self, table: TableId, filters: Vec<ScanFilter>) -> BitSet {
        let rows = self.store.passing(table, filters);
        rows.unwrap_or_else(|stopped| evercube_work::interrupt(stopped))
    }

    pub(super) fn onto_many_side(&self, id: RelationshipId, one: &BitSet) -> BitSet {
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

    pub(super) fn onto_one_side(&self, id: RelationshipId, many: &BitSet) -> BitSet {
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
    pub(super) fn by_value(&self, from: ColumnId, visible: &BitSet, to: ColumnId) -> BitSet {
        let source = self.store.table(from.table).column(from.column);
        let target = self.store.table(to.table).column(to.column);
        let mut codes = BitSet::new(target.cardinality() as usize, false);
        let real = self.store.table(from.table).rows();
        let mut seen: HashSet<u32> =
            visible.iter().take_while(|r| *r < real).map(|r| source.code(r)).collect();
        // The blank row has the value blank, here as where it is reached.
        if self.store.has_blank_row(from.table) && visible.get(real) {
            seen.insert(0);
        }
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
pub(super) fn collect(n: usize, visible: impl Fn(usize) -> bool) -> BitSet {
    let mut rows = BitSet::new(n + 1, false);
    for row in (0..=n).inspect(|_| tick()).filter(|r| visible(*r)) {
        rows.insert(row);
    }
    rows
}
