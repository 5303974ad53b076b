//! Rows of model tables, and values of their columns, that each cell sees.

use std::sync::Arc;

use evercube_base::Result;
use evercube_store::{Column, ColumnId, PathColumn, TableId};
use evercube_work::{map_blocks, map_range, tick, watched};

use super::Evaluator;
use super::cells::Cells;
use super::keyed_cells::KeyedCells;
use super::rows::{CellTable, RowColumn, Rows};
use super::scan::Grouped;
use crate::filter_context::SPARSE;
use crate::plan::Schema;

/// The number of a row that no cell asks for.
pub(super) const NO_NUMBER: u32 = u32::MAX;

impl Evaluator<'_> {
    /// Rows of a model table that each cell sees.
    pub(crate) fn model_rows(
        &self,
        cells: &Cells,
        table: TableId,
        blank_row: bool,
        schema: &Schema,
    ) -> Result<CellTable> {
        let n = self.store.table(table).rows();
        let mut rows: Vec<u32> = Vec::new();
        let mut of: Vec<u32> = Vec::new();
        let mut shared = false;
        let contexts = Self::by_context(cells);
        if contexts.len() > 1 {
            self.not_batched(
                "rows are found for one filter context after the other",
                contexts.len(),
            );
        }
        for (context, members) in contexts {
            let context = &cells.distinct[context];
            self.check_paths(context, cells, table)?;
            let reach = self.reach(context, table);
            let keyed = match self.keyed(cells, &members, context, table, &reach) {
                Ok(keyed) => keyed,
                Err(hard) => {
                    let explicit = cells.select(&members).keys_to_filters(self.store, &hard);
                    let inner = self.model_rows(&explicit, table, blank_row, schema)?;
                    let (inner_cells, inner_rows) = inner.pairs(members.len());
                    of.extend(inner_cells.iter().map(|c| members[*c as usize]));
                    rows.extend(inner_rows.iter().map(|r| inner.rows.base_row(*r as usize) as u32));
                    continue;
                }
            };
            let visible = self.visible(context, table);
            let wanted = watched(visible.iter()).filter(|r| blank_row || *r < n);
            if keyed.columns.is_empty() {
                let found: Vec<u32> = wanted.map(|r| r as u32).collect();
                if members.len() == cells.n {
                    shared = true;
                    rows = found;
                    break;
                }
                self.check_size(rows.len() + found.len() * members.len())?;
                for cell in &members {
                    of.extend(std::iter::repeat_n(*cell, found.len()));
                    rows.extend(&found);
                }
                continue;
            }
            let by_number = keyed.by_number();
            let mut see = |row: usize, number: u32| {
                evercube_work::tick();
                for cell in by_number.get(number) {
                    of.push(*cell);
                    rows.push(row as u32);
                }
            };
            // Reading all codes in their order costs less than looking up those of many rows.
            if visible.count() * SPARSE > n {
                let numbers = self.row_numbers(&keyed, n);
                wanted.for_each(|row| {
                    if numbers[row] != NO_NUMBER {
                        see(row, numbers[row]);
                    }
                });
            } else {
                let seen = self.visibility();
                for row in wanted {
                    let codes = keyed.columns.iter().map(|c| seen.code(c.column, &c.path, row));
                    if let Some(number) = keyed.find(codes) {
                        see(row, number);
                    }
                }
            }
            self.check_size(rows.len())?;
        }
        let rows = self.own_rows(table, rows, schema);
        Ok(if shared {
            CellTable::shared(rows)
        } else {
            CellTable::from_cells(&rows, &of, cells.n)
        })
    }

    /// For each of a table's rows, the blank row last, the number of the combination it has.
    pub(super) fn row_numbers(&self, keyed: &KeyedCells, rows: usize) -> Vec<u32> {
        let seen = self.visibility();
        let codes_of = |c: &PathColumn| seen.codes(c.column, &c.path, rows);
        let find = |codes: &mut dyn Iterator<Item = u32>| keyed.find(codes).unwrap_or(NO_NUMBER);
        if let [only] = keyed.columns.as_slice() {
            let column = self.store.table(only.column.table).column(only.column.column);
            let codes = 0..column.cardinality();
            let of_code: Vec<u32> =
                watched(codes).map(|code| find(&mut std::iter::once(code))).collect();
            return map_blocks(&codes_of(only), |code| of_code[*code as usize]);
        }
        let codes: Vec<Vec<u32>> = keyed.columns.iter().map(codes_of).collect();
        let number = |row: usize| {
            evercube_work::tick();
            find(&mut codes.iter().map(|c| c[row]))
        };
        (0..=rows).map(number).collect()
    }

    /// Rows of a model table by number.
    pub(crate) fn own_rows(&self, table: TableId, rows: Vec<u32>, schema: &Schema) -> Rows {
        let columns =
            (0..schema.len() as u32).map(|column| RowColumn::Own(ColumnId { table, column }));
        Rows {
            keep: false,
            schema: Arc::clone(schema),
            len: rows.len(),
            base: Some((table, Arc::new(rows))),
            columns: columns.collect(),
        }
    }

    /// Distinct visible combinations of columns of one table for each cell.
    pub(crate) fn distinct_values(
        &self,
        cells: &Cells,
        columns: &[ColumnId],
        blank_row: bool,
        schema: &Schema,
    ) -> Result<CellTable> {
        let Some(first) = columns.first() else {
            return Ok(CellTable::shared(Rows { schema: Arc::clone(schema), ..Rows::default() }));
        };
        self.distinct_over(cells, &[first.table], columns, blank_row, schema)
    }

    /// Distinct combinations of columns as they occur in the visible rows of any of the base
    /// tables, whose expanded tables all have the columns.
    pub(crate) fn distinct_over(
        &self,
        cells: &Cells,
        bases: &[TableId],
        columns: &[ColumnId],
        blank_row: bool,
        schema: &Schema,
    ) -> Result<CellTable> {
        let mut grouped = Grouped { keys: vec![Vec::new(); columns.len()], ..Grouped::default() };
        let everyone: Vec<u32> = (0..cells.n as u32).collect();
        for base in bases {
            let found = self.scan(cells, *base, columns, blank_row, &|_| Ok(Vec::new()))?;
            grouped.append(found, &everyone);
        }
        if bases.len() > 1 {
            grouped.deduplicate();
        }
        self.check_size(grouped.cells.len())?;
        // By cell, then by value: an order that every server finds.
        let ranks: Vec<Ranks> = columns
            .iter()
            .map(|c| Ranks::new(self.store.table(c.table).column(c.column)))
            .collect();
        let order = in_order(&grouped, cells.n, &ranks);
        self.note_group_order(&order);
        let of = map_blocks(&order, |g| grouped.cells[*g as usize]);
        let row_columns = columns.iter().zip(&grouped.keys).map(|(column, codes)| {
            let codes = map_blocks(&order, |g| codes[*g as usize]);
            RowColumn::Codes { column: *column, codes: Arc::new(codes) }
        });
        let rows = Rows {
            keep: false,
            schema: Arc::clone(schema),
            len: order.len(),
            base: None,
            columns: row_columns.collect(),
        };
        Ok(CellTable::from_cells(&rows, &of, cells.n))
    }
}

/// The places of a column's codes in the order of their values.
struct Ranks {
    codes: u64,
    /// `None`: codes are in that order themselves.
    of: Option<Arc<Vec<u32>>>,
}

impl Ranks {
    fn new(column: &Column) -> Self {
        Self { codes: u64::from(column.cardinality()), of: column.ranks() }
    }

    fn get(&self, code: u32) -> u32 {
        self.of.as_ref().map_or(code, |ranks| ranks[code as usize])
    }
}

/// Groups by cell, then by the ranks of their codes.
fn in_order(grouped: &Grouped, cells: usize, ranks: &[Ranks]) -> Vec<u32> {
    let groups = grouped.cells.len();
    let rank = |g: usize, i: usize| ranks[i].get(grouped.keys[i][g]);
    // As many columns as one number holds; the rest decides among those that are equal in them.
    let (mut space, mut fitting) = (cells.max(1) as u64, 0);
    while let Some(more) = ranks.get(fitting).and_then(|r| space.checked_mul(r.codes)) {
        (space, fitting) = (more, fitting + 1);
    }
    let packed = |g: usize| {
        (0..fitting).fold(u64::from(grouped.cells[g]), |packed, i| {
            packed * ranks[i].codes + u64::from(rank(g, i))
        })
    };
    let is_whole = fitting == ranks.len();
    // No two groups are the same, so that each has a place of its own.
    if is_whole && space <= (groups as u64 * 8).max(1 << 12) {
        let mut places = vec![u32::MAX; space as usize];
        watched(0..groups).for_each(|g| places[packed(g) as usize] = g as u32);
        places.retain(|g| *g != u32::MAX);
        return places;
    }
    let mut order = map_range(groups, |g| (packed(g), g as u32));
    order.sort_unstable_by(|a, b| {
        tick();
        a.cmp(b)
    });
    if !is_whole {
        for equal in order.chunk_by_mut(|a, b| a.0 == b.0) {
            equal.sort_unstable_by(|(_, a), (_, b)| {
                tick();
                let by_value = |i| rank(*a as usize, i).cmp(&rank(*b as usize, i));
                let found = (fitting..ranks.len()).map(by_value).find(|o| o.is_ne());
                found.unwrap_or_else(|| a.cmp(b))
            });
        }
    }
    map_blocks(&order, |(_, g)| *g)
}
