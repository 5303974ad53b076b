//! Which tables a row of a table knows, and over which relationships filters flow.

use std::collections::BTreeSet;

use evercube_store::{BitSet, ColumnId, RelationshipId, TableId};

use super::paths::weight;
use super::{Direction, FilterContext, Visibility};

/// So many rows are looked up one by one.
const FEW_ROWS: usize = 1 << 10;

impl Visibility<'_> {
    /// How filters pass a relationship under `context`.
    pub(crate) fn flows(&self, context: &FilterContext, id: RelationshipId) -> Direction {
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
        let is_both = match context.by_security {
            true => info.secures_both_directions,
            false => info.both_directions,
        };
        match set {
            _ if !active => Direction::None,
            Some(direction) => direction,
            None if is_both => Direction::Both,
            None => Direction::OneWay,
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
                    || self.flows(context, id) == Direction::None
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

    /// The row a path leads to.
    pub fn reached(&self, path: &[RelationshipId], row: usize) -> usize {
        let mut row = row;
        for step in path {
            row = self.store.relationship(*step).map_or(row, |r| r.target(row) as usize);
        }
        row
    }

    /// The rows that a path leads to from any of these; there are `n` and the blank row.
    pub(super) fn all_reached(&self, path: &[RelationshipId], rows: &BitSet, n: usize) -> BitSet {
        if let Some((step, rest)) = path.split_first()
            && self.store.relationship(*step).is_some()
            && rows.count() > FEW_ROWS
        {
            // Keys are read block by block, where a block has more than a few of the rows.
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
                let direction = self.flows(context, RelationshipId(i));
                let ends = (r.def.from.table, r.def.to.table);
                if ends.0 == at && direction.is_forward() && !seen.contains(&ends.1) {
                    seen.push(ends.1);
                }
                if ends.1 == at && direction.is_backward() && !seen.contains(&ends.0) {
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
}
