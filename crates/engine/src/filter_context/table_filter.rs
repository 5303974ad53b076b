//! Filters on rows of a table: they filter the columns of its expanded table together, and the table
//! stays expanded as it was where the rows were found.

use std::collections::HashSet;
use std::sync::Arc;

use evercube_store::{BitSet, ColumnId, RelationshipId, TableId};

use super::restriction::collect;
use super::{Filter, FilterContext, Visibility};

/// A table of which a filter on rows has columns that a filtered row has too.
struct Shared {
    table: TableId,
    /// From the rows of the filter.
    from_filter: Vec<RelationshipId>,
    /// From the row that is filtered.
    from_row: Vec<RelationshipId>,
    /// Columns that the filter still has; nothing: all.
    kept: Option<Vec<ColumnId>>,
}

impl FilterContext {
    /// Changes relationships; filters on rows found before keep those they were found under.
    pub(crate) fn relate(&mut self, visibility: &Visibility<'_>, change: impl Fn(&mut Self)) {
        let before = self.relationships();
        change(self);
        let mut filters = std::mem::take(&mut self.filters);
        filters.iter_mut().for_each(|f| f.found_under(&before, self, visibility));
        self.filters = filters;
    }

    /// The relationships alone.
    pub(crate) fn relationships(&self) -> Arc<Self> {
        Arc::new(Self {
            used: self.used.clone(),
            directions: self.directions.clone(),
            ..Self::default()
        })
    }
}

impl Filter {
    /// Says under which relationships rows were found, where their table expands otherwise now.
    pub(crate) fn found_under(
        &mut self,
        before: &Arc<FilterContext>,
        now: &FilterContext,
        visibility: &Visibility<'_>,
    ) {
        if let Self::Rows { table, relationships: relationships @ None, .. } = self
            && visibility.expanded(before, *table) != visibility.expanded(now, *table)
        {
            *relationships = Some(Arc::clone(before));
        }
    }
}

impl Visibility<'_> {
    /// What a filter on rows leaves of `table`, where that has columns of the filter's expanded
    /// table that do not all lie behind one step: from there the filter comes over that step.
    pub(super) fn through_rows(
        &self,
        context: &FilterContext,
        filter: &Filter,
        table: TableId,
    ) -> Option<BitSet> {
        let Filter::Rows { table: from, rows, without, relationships } = filter else {
            return None;
        };
        let all_kept = |t: TableId| !without.iter().any(|c| c.table == t);
        if *from == table && relationships.is_none() && all_kept(table) {
            return Some(rows.as_ref().clone());
        }
        let found_under = relationships.as_deref().unwrap_or(context);
        let shared = self.shared(found_under, *from, context, table, without);
        let step = |s: &Shared| s.from_row.first().copied();
        let first = step(shared.first()?);
        if first.is_some() && shared.iter().all(|s| step(s) == first) {
            return None;
        }
        if let [only] = shared.as_slice()
            && only.table == table
            && only.kept.is_none()
        {
            return Some(self.all_reached(&only.from_filter, rows, self.store.table(table).rows()));
        }
        let seen = |row: usize, path: fn(&Shared) -> &[RelationshipId]| {
            let mut codes = Vec::with_capacity(shared.len());
            shared.iter().for_each(|s| self.push_codes(s, path(s), row, &mut codes));
            codes
        };
        let allowed: HashSet<Vec<u32>> =
            rows.iter().map(|row| seen(row, |s| &s.from_filter)).collect();
        let n = self.store.table(table).rows();
        Some(collect(n, |row| allowed.contains(&seen(row, |s| &s.from_row))))
    }

    /// The tables that decide: what the others say follows from the filtered table's own columns.
    fn shared(
        &self,
        found_under: &FilterContext,
        from: TableId,
        context: &FilterContext,
        table: TableId,
        without: &[ColumnId],
    ) -> Vec<Shared> {
        let of_filter = self.expanded(found_under, from);
        let mut shared: Vec<Shared> = Vec::new();
        for (t, from_row) in self.expanded(context, table) {
            let Some((_, from_filter)) = of_filter.iter().find(|(x, _)| *x == t) else { continue };
            let n = self.store.table(t).columns();
            let columns = (0..n as u32).map(|column| ColumnId { table: t, column });
            let kept: Vec<ColumnId> = columns.filter(|c| !without.contains(c)).collect();
            let follows = |own: &Shared| {
                let key = from_row.first().map(|r| self.model.relationship(*r).def.from);
                own.table == table
                    && *from_filter == [&own.from_filter[..], &from_row].concat()
                    && key.is_some_and(|k| own.kept.as_ref().is_none_or(|kept| kept.contains(&k)))
            };
            if kept.is_empty() || shared.first().is_some_and(follows) {
                continue;
            }
            let kept = (kept.len() < n).then_some(kept);
            shared.push(Shared { table: t, from_filter: from_filter.clone(), from_row, kept });
        }
        shared
    }

    /// What a row has in a shared table: the row there, or its values in the kept columns.
    fn push_codes(
        &self,
        shared: &Shared,
        path: &[RelationshipId],
        row: usize,
        codes: &mut Vec<u32>,
    ) {
        let row = self.reached(path, row);
        let data = self.store.table(shared.table);
        match &shared.kept {
            None => codes.push(row as u32),
            Some(kept) => codes.extend(kept.iter().map(|c| data.column(c.column).code(row))),
        }
    }
}
