//! What cells see of a table that their keys reach only over a two-way relationship, from its many
//! side: products by customer through the sales. One scan of the many side finds which cells meet
//! which rows; filtering the table for one cell after the other would scan it for each.

use std::sync::Arc;

use evercube_base::{Result, Value};
use evercube_store::{
    Aggregate, ColumnId, PathColumn, RelationshipId, ScanRequest, ScanResult, TableId,
};
use evercube_work::watched;

use super::Evaluator;
use super::cells::Cells;
use super::keyed_cells::KeyedCells;
use super::numbering::Numbering;
use super::scan::{Grouped, MakeAggregates};
use crate::filter_context::{Direction, FilterContext};
use crate::rules::Rule;

/// Over a long table fewer cells are scanned for one by one.
const WORTH_IT: usize = 8;
const NO_GROUP: u32 = u32::MAX;

/// A scan of a table with a group for each of its rows.
struct RowGroups {
    /// For each row, its group; [`NO_GROUP`]: it is not visible.
    of_row: Vec<u32>,
    /// Codes of the columns to group by, group by group.
    keys: Vec<Vec<u32>>,
    aggregates: Vec<Vec<Value>>,
    asked: Vec<Aggregate>,
}

impl Evaluator<'_> {
    /// Groups and aggregates of the rows of `base` that each cell sees, as [`Evaluator::scan`] has
    /// them; `None` where keys do not all come over one relationship. `hard`: the keys of cells that
    /// are no keys of a scan of `base`.
    pub(super) fn scan_across(
        &self,
        cells: &Cells,
        context: &Arc<FilterContext>,
        base: TableId,
        hard: &[usize],
        group: &[ColumnId],
        make: MakeAggregates<'_>,
    ) -> Result<Option<Grouped>> {
        if !self.has(Rule::AcrossScan) {
            return Ok(None);
        }
        let Some((step, keyed)) = self.step_across(cells, context, base, hard) else {
            return Ok(None);
        };
        let many = self.model.relationship(step).def.from;
        let is_long = self.store.table(many.table).rows() >= self.context.long_table;
        if is_long && cells.n < WORTH_IT {
            return Ok(None);
        }
        let Some(rows) = self.row_groups(context, base, group, make)? else { return Ok(None) };
        let met = self.keys_met(context, &keyed, many)?;
        let Some(index) = self.store.relationship(step) else { return Ok(None) };
        let row_of_code = index.row_of_code();
        let width = keyed.columns.len();
        let by_number = keyed.by_number();
        let cards = std::iter::once(cells.n as u64)
            .chain(group.iter().map(|c| u64::from(self.cardinality(*c))))
            .collect();
        let mut places = Numbering::new(cards, cells.n);
        let mut out = Grouped {
            keys: vec![Vec::new(); group.len()],
            aggregates: vec![Vec::new(); rows.asked.len()],
            ..Grouped::default()
        };
        for pair in watched(0..met.groups) {
            evercube_work::tick();
            let row = row_of_code[met.keys[width][pair] as usize] as usize;
            let Some(from) = rows.of_row.get(row).filter(|g| **g != NO_GROUP) else { continue };
            let Some(number) = keyed.find(met.keys[..width].iter().map(|k| k[pair])) else {
                continue;
            };
            for cell in by_number.get(number) {
                let codes = || rows.keys.iter().map(|k| k[*from as usize]);
                let place = places.number(std::iter::once(*cell).chain(codes()));
                if place as usize == out.cells.len() {
                    out.cells.push(*cell);
                    out.keys.iter_mut().zip(codes()).for_each(|(k, c)| k.push(c));
                }
                self.join_group(&mut out, place, &rows.asked, &rows.aggregates, *from as usize)?;
            }
        }
        Ok(Some(out))
    }

    /// Which keys of cells occur with which values of a column of their base table.
    fn keys_met(
        &self,
        context: &Arc<FilterContext>,
        keyed: &KeyedCells,
        column: ColumnId,
    ) -> Result<Arc<ScanResult>> {
        let reach = self.reach(context, column.table);
        let mut filters = self.scan_filters(context, column.table, &reach);
        self.narrow(keyed, &mut filters);
        let mut keys = keyed.columns.clone();
        keys.push(PathColumn { path: Vec::new(), column });
        let request = ScanRequest { table: column.table, filters, keys, aggregates: Vec::new() };
        let met = self.run_scan(request, None)?;
        self.check_size(met.groups)?;
        Ok(met)
    }

    /// The relationship all hard keys come over, and the cells by their keys on its many side.
    fn step_across(
        &self,
        cells: &Cells,
        context: &Arc<FilterContext>,
        base: TableId,
        hard: &[usize],
    ) -> Option<(RelationshipId, KeyedCells)> {
        let members: Vec<u32> = (0..cells.n as u32).collect();
        (0..).zip(self.model.relationships()).find_map(|(i, r)| {
            let step = RelationshipId(i);
            let is_across = r.def.to.table == base
                && !r.def.many_to_many
                && self.store.relationship(step).is_some()
                && self.visibility().flows(context, step) == Direction::Both;
            if !is_across {
                return None;
            }
            let many = r.def.from.table;
            let reach = self.reach(context, many);
            if reach.path(base).map(Vec::as_slice) != Some(&[step]) {
                return None;
            }
            // Keys that come over another way as well leave fewer rows.
            let mut without = context.as_ref().clone();
            without.directions.push((step, Direction::None));
            let comes_otherwise = |key: &usize| {
                let table = cells.keys[*key].target.table();
                self.visibility().reaches(&without, table, base)
            };
            if hard.iter().any(comes_otherwise) {
                return None;
            }
            let keyed = self.keyed(cells, &members, context, many, &reach).ok()?;
            Some((step, keyed))
        })
    }

    /// The visible rows of a table, each with its group codes and aggregates of its own; `None`
    /// where aggregates of rows do not make those of sets of rows.
    fn row_groups(
        &self,
        context: &Arc<FilterContext>,
        base: TableId,
        group: &[ColumnId],
        make: MakeAggregates<'_>,
    ) -> Result<Option<RowGroups>> {
        let reach = self.reach(context, base);
        let asked = make(&reach)?;
        let unique = self.unique_column(base).map(|column| ColumnId { table: base, column });
        let unique = unique.filter(|c| self.tells_rows(*c));
        let Some(unique) = unique.filter(|_| asked.iter().all(Aggregate::adds_up)) else {
            return Ok(None);
        };
        let mut keys = vec![PathColumn { path: Vec::new(), column: unique }];
        for column in group {
            let Some(column) = reach.column(*column) else { return Ok(None) };
            keys.push(column);
        }
        let filters = self.scan_filters(context, base, &reach);
        let request = ScanRequest { table: base, filters, keys, aggregates: asked.clone() };
        let found = self.run_scan(request, None)?;
        let rows_of_codes = self.rows_of_codes(unique);
        let mut of_row = vec![NO_GROUP; self.store.table(base).rows()];
        for (g, code) in (0..).zip(&found.keys[0]) {
            of_row[rows_of_codes[*code as usize] as usize] = g;
        }
        let (keys, aggregates) = (found.keys[1..].to_vec(), found.aggregates.clone());
        Ok(Some(RowGroups { of_row, keys, aggregates, asked }))
    }
}
