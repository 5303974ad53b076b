//! Window functions: `INDEX`, `OFFSET`, `WINDOW`, `ROWNUMBER`, `RANK`.
//!
//! The relation is cut into partitions and each is sorted. A cell's current rows are the rows of
//! the relation that agree with what is known of it: with its row contexts, and, in columns that
//! none of them has, with a combination of values visible in its filter context. Where several rows
//! are current, the function gives what it gives for each of them.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use evercube_base::{Collation, Error, Result, Value};
use evercube_work::watched;

use super::rows::{CellTable, RowColumn};
use super::set_operations::ValueKey;
use super::{Cells, Evaluator, Scalars};
use crate::plan::{Blanks, Current, Kind, Uses, WindowKey, WindowKind, WindowNode};
use crate::scalar as rules;

/// The relation of one cell, in order.
struct Ordered {
    /// Rows of the relation by partition, then by the keys.
    rows: Vec<usize>,
    /// For each row: where its partition begins and ends, its place in it from 0, its rank by the
    /// keys alone from 1 (leaving numbers out after ties; not leaving any out).
    places: HashMap<usize, Place>,
    /// Some rows have the same values in all columns.
    tied: bool,
}

#[derive(Clone, Copy)]
struct Place {
    first: usize,
    end: usize,
    at: usize,
    rank: usize,
    dense_rank: usize,
}

/// Columns of the relation that a row context knows: their places in the relation, the row context,
/// and their places in it.
struct KnownColumns(Vec<(usize, usize, usize)>);

/// Rows of a relation by the values they have in some columns.
type RowsByValues = HashMap<Vec<ValueKey>, Vec<usize>>;

/// Rows of a relation that is the same for all cells.
struct RowIndex {
    /// By the columns that row contexts know.
    known: RowsByValues,
    /// By those of each table of [`WindowNode::visible`].
    visible: Vec<RowsByValues>,
}

impl KnownColumns {
    fn of(window: &WindowNode) -> Self {
        let known = window.current.iter().enumerate().filter_map(|(at, current)| match current {
            Current::Row { frame, column } => Some((at, *frame, *column)),
            _ => None,
        });
        Self(known.collect())
    }

    fn places(&self) -> Vec<usize> {
        self.0.iter().map(|(at, ..)| *at).collect()
    }
}

impl RowIndex {
    /// Rows with values of the part of what is seen that leaves the fewest; all without parts.
    fn rows_seen(&self, seen: &[HashSet<Vec<ValueKey>>]) -> Vec<usize> {
        let of = |(rows, values): &(&RowsByValues, &HashSet<Vec<ValueKey>>)| -> usize {
            values.iter().filter_map(|v| rows.get(v)).map(Vec::len).sum()
        };
        let Some((rows, values)) = self.visible.iter().zip(seen).min_by_key(of) else {
            return self.known.values().flatten().copied().collect();
        };
        let mut found: Vec<usize> =
            values.iter().filter_map(|v| rows.get(v)).flatten().copied().collect();
        found.sort_unstable();
        found
    }
}

impl Evaluator<'_> {
    pub(crate) fn window(&self, cells: &Cells, window: &WindowNode) -> Result<CellTable> {
        let table = self.table(cells, &window.relation)?;
        let from = self.scalars(cells, &window.from.position)?;
        let to = match &window.to {
            Some(to) => Some(self.scalars(cells, &to.position)?),
            None => None,
        };
        let (mut kept, mut of) = (Vec::new(), Vec::new());
        // The rows of a table of the model are told apart by more than their values.
        let is_stored = match &window.relation.kind {
            Kind::Extend { table, keep: true, .. } => matches!(table.kind, Kind::ModelTable { .. }),
            kind => matches!(kind, Kind::ModelTable { .. }),
        };
        self.over_cells(cells, window, &table, |cell, ordered, current| {
            if ordered.tied && !is_stored {
                return Err(tied(window));
            }
            let mut chosen: Vec<usize> = Vec::new();
            for row in current {
                let Some(place) = ordered.places.get(row) else { continue };
                let len = (place.end - place.first) as i64;
                let begin = self.end_at(from.get(cell), window.from.absolute, place, len)?;
                let (begin, end) = match (&to, &window.to) {
                    (Some(to), Some(node)) => {
                        let end = self.end_at(to.get(cell), node.absolute, place, len)?;
                        (begin.max(0), end.min(len - 1))
                    }
                    _ if (0..len).contains(&begin) => (begin, begin),
                    _ => (0, -1),
                };
                let place_of = |at: i64| place.first + usize::try_from(at).unwrap_or(0);
                chosen.extend((begin..=end).map(place_of));
            }
            chosen.sort_unstable();
            chosen.dedup();
            for at in chosen {
                kept.push(ordered.rows[at] as u32);
                of.push(cell as u32);
            }
            Ok(())
        })?;
        Ok(CellTable::from_cells(&table.rows.take(&kept), &of, cells.n))
    }

    /// Position in the partition from 0; may lie outside of it.
    fn end_at(&self, position: &Value, absolute: bool, place: &Place, len: i64) -> Result<i64> {
        let n = self.whole_number(position)?;
        Ok(match (absolute, n) {
            (false, n) => n.saturating_add(place.at as i64),
            (true, 0) => -1,
            (true, n) if n > 0 => n - 1,
            (true, n) => len.saturating_add(n),
        })
    }

    pub(crate) fn window_rank(&self, cells: &Cells, window: &WindowNode) -> Result<Scalars> {
        let table = self.table(cells, &window.relation)?;
        let mut out = Vec::with_capacity(cells.n);
        self.over_cells(cells, window, &table, |_, ordered, current| {
            // A total has several current rows, and no place among them.
            let equals = |a: &usize, b: &usize| self.by_columns(window, &table, *a, *b).is_eq();
            let place = match current {
                [one] => ordered.places.get(one),
                [first, rest @ ..] if ordered.tied && rest.iter().all(|r| equals(first, r)) => {
                    if window.kind == WindowKind::RowNumber {
                        return Err(tied(window));
                    }
                    ordered.places.get(first)
                }
                _ => None,
            };
            let number = place.map(|p| match window.kind {
                WindowKind::Rank { dense: true } => p.dense_rank,
                WindowKind::Rank { dense: false } => p.rank,
                _ => p.at + 1,
            });
            out.push(number.map_or(Value::Blank, |n| Value::Int(n as i64)));
            Ok(())
        })?;
        Ok(Scalars::each(out))
    }

    /// Gives each cell's relation in order, and the rows of it that are current.
    fn over_cells(
        &self,
        cells: &Cells,
        window: &WindowNode,
        table: &CellTable,
        mut found: impl FnMut(usize, &Ordered, &[usize]) -> Result<()>,
    ) -> Result<()> {
        // Where neither the relation nor its order differs between cells, it is sorted once.
        let same = table.starts.is_none()
            && window.order_by.iter().all(|key| {
                let uses = key.node.uses;
                uses.slot == Uses::NONE
                    && uses.frame >= cells.frames.len()
                    && (cells.have_one_context() || !uses.filter_context)
            });
        let rest = if same { cells.representative() } else { cells.clone() };
        self.check_size((0..rest.n).map(|c| table.range(c).len()).sum())?;
        let (inner, _) = rest.iterate(table);
        let mut keys = Vec::new();
        for key in &window.order_by {
            keys.push(self.scalars(&inner, &key.node)?);
        }
        let mut visible = Vec::new();
        for (_, values) in &window.visible {
            visible.push(self.table(cells, values)?);
        }
        let known = KnownColumns::of(window);
        let places = known.places();
        let index = (same && cells.n > 1).then(|| self.row_index(window, &known, table));
        // Cells that see the same of one order have the same current rows.
        let by_seen = same && known.0.is_empty();
        let mut rows_of_seen: HashMap<Vec<u32>, Vec<usize>> = HashMap::new();
        let mut once: Option<Ordered> = None;
        let mut start = 0;
        for cell in watched(0..cells.n) {
            self.check_cancelled()?;
            let fresh = if once.is_none() || !same {
                let range = table.range(cell);
                let ordered = self.ordered(window, table, range.clone(), &keys, start);
                start += range.len();
                Some(ordered)
            } else {
                None
            };
            if fresh.is_some() {
                once = fresh;
            }
            let Some(ordered) = &once else { continue };
            let codes = if by_seen { codes_seen(cell, &visible) } else { None };
            if let Some(current) = codes.as_ref().and_then(|codes| rows_of_seen.get(codes)) {
                found(cell, ordered, current)?;
                continue;
            }
            let key = self.known_key(&known, cells, cell);
            let seen = self.seen(window, cell, &visible);
            let agreeing = match &index {
                Some(index) if known.0.is_empty() => index.rows_seen(&seen),
                Some(index) => index.known.get(&key).cloned().unwrap_or_default(),
                None => {
                    let agrees = |row: &usize| self.row_key_at(table, &places, *row) == key;
                    table.range(cell).filter(agrees).collect()
                }
            };
            let is_seen = |row: &usize| {
                let mut parts = window.visible.iter().zip(&seen);
                parts.all(|((at, _), values)| values.contains(&self.row_key_at(table, at, *row)))
            };
            let current: Vec<usize> = agreeing.into_iter().filter(is_seen).collect();
            found(cell, ordered, &current)?;
            if let Some(codes) = codes {
                rows_of_seen.insert(codes, current);
            }
        }
        Ok(())
    }

    fn row_index(&self, window: &WindowNode, known: &KnownColumns, table: &CellTable) -> RowIndex {
        let by = |places: &[usize]| {
            let mut rows = RowsByValues::new();
            for row in table.range(0) {
                rows.entry(self.row_key_at(table, places, row)).or_default().push(row);
            }
            rows
        };
        // Rows are found by what row contexts know, or else by what is visible.
        let visible = if known.0.is_empty() { window.visible.as_slice() } else { &[] };
        RowIndex {
            known: by(&known.places()),
            visible: visible.iter().map(|(at, _)| by(at)).collect(),
        }
    }

    /// The values of a row of the relation in some of its columns.
    fn row_key_at(&self, table: &CellTable, places: &[usize], row: usize) -> Vec<ValueKey> {
        evercube_work::tick();
        places.iter().map(|c| self.key(&table.rows.value(self.store, *c, row))).collect()
    }

    /// What the row contexts of a cell know.
    fn known_key(&self, known: &KnownColumns, cells: &Cells, cell: usize) -> Vec<ValueKey> {
        let value = |(_, frame, of): &(usize, usize, usize)| {
            let frame = &cells.frames[*frame];
            frame.rows.value(self.store, *of, frame.index[cell] as usize)
        };
        known.0.iter().map(|k| self.key(&value(k))).collect()
    }

    /// What a cell sees in the columns of each table of [`WindowNode::visible`].
    fn seen(
        &self,
        window: &WindowNode,
        cell: usize,
        visible: &[CellTable],
    ) -> Vec<HashSet<Vec<ValueKey>>> {
        let of = |((columns, _), values): (&(Vec<usize>, _), &CellTable)| {
            let places: Vec<usize> = (0..columns.len()).collect();
            values.range(cell).map(|row| self.row_key_at(values, &places, row)).collect()
        };
        window.visible.iter().zip(visible).map(of).collect()
    }

    /// Sorts the rows `range` of a relation; `start` is where their sort keys begin.
    fn ordered(
        &self,
        window: &WindowNode,
        table: &CellTable,
        range: std::ops::Range<usize>,
        keys: &[Scalars],
        start: usize,
    ) -> Ordered {
        let first_row = range.start;
        let partition = |row: usize| -> Vec<ValueKey> {
            let value = |c: &usize| self.key(&table.rows.value(self.store, *c, row));
            window.partition_by.iter().map(value).collect()
        };
        let mut numbers: HashMap<Vec<ValueKey>, usize> = HashMap::new();
        let mut partition_of = Vec::with_capacity(range.len());
        for row in range.clone() {
            let next = numbers.len();
            partition_of.push(*numbers.entry(partition(row)).or_insert(next));
        }
        let way = |key: &WindowKey| Way { descending: key.descending, blanks: key.blanks };
        let by_keys = |a: usize, b: usize| {
            let (a, b) = (start + a - first_row, start + b - first_row);
            keys.iter().zip(&window.order_by).fold(Ordering::Equal, |order, (values, key)| {
                order.then_with(|| by_key(values.get(a), values.get(b), way(key), &self.collation))
            })
        };
        let mut rows: Vec<usize> = range.collect();
        rows.sort_by(|a, b| {
            evercube_work::tick();
            partition_of[a - first_row]
                .cmp(&partition_of[b - first_row])
                .then_with(|| by_keys(*a, *b))
                // Rows that tie are put in the order of all their columns.
                .then_with(|| self.by_columns(window, table, *a, *b))
        });
        let tied = rows.windows(2).any(|w| self.by_columns(window, table, w[0], w[1]).is_eq());
        let mut places = HashMap::with_capacity(rows.len());
        let mut first = 0;
        while first < rows.len() {
            let own = partition_of[rows[first] - first_row];
            let len = rows[first..].iter().take_while(|r| partition_of[**r - first_row] == own);
            let end = first + len.count();
            let (mut rank, mut dense_rank) = (1, 1);
            for at in first..end {
                if at > first && by_keys(rows[at - 1], rows[at]).is_ne() {
                    rank = at - first + 1;
                    dense_rank += 1;
                }
                let place = Place { first, end, at: at - first, rank, dense_rank };
                places.insert(rows[at], place);
            }
            first = end;
        }
        Ordered { rows, places, tied }
    }

    /// The order of two rows by all their columns.
    fn by_columns(&self, window: &WindowNode, table: &CellTable, a: usize, b: usize) -> Ordering {
        let way = Way { descending: false, blanks: window.blanks };
        (0..table.rows.columns.len()).fold(Ordering::Equal, |order, c| {
            order.then_with(|| {
                let value = |row| table.rows.value(self.store, c, row);
                by_key(&value(a), &value(b), way, &self.collation)
            })
        })
    }
}

/// The codes of what a cell sees, where that is little and of columns of the model.
fn codes_seen(cell: usize, visible: &[CellTable]) -> Option<Vec<u32>> {
    const MOST: usize = 16;
    let mut all = Vec::new();
    for values in visible {
        let range = values.range(cell);
        if range.len() > MOST {
            return None;
        }
        all.push(range.len() as u32);
        for column in &values.rows.columns {
            let RowColumn::Codes { codes, .. } = column else { return None };
            all.extend_from_slice(&codes[range.clone()]);
        }
    }
    Some(all)
}

/// In which way values are ordered.
#[derive(Clone, Copy)]
struct Way {
    descending: bool,
    blanks: Blanks,
}

/// Rows with the same values in all columns have no order.
fn tied(window: &WindowNode) -> Error {
    let function = match window.kind {
        WindowKind::Index => "INDEX",
        WindowKind::Offset => "OFFSET",
        WindowKind::Window => "WINDOW",
        WindowKind::RowNumber => "ROWNUMBER",
        WindowKind::Rank { .. } => "RANK",
    };
    Error::evaluation(format!(
        "{function} cannot put its rows in order: some of them have the same values in all columns. Add a column that tells them apart, or take DISTINCT of the table."
    ))
}

/// Order of two values under a part of the order.
fn by_key(a: &Value, b: &Value, way: Way, collation: &Collation) -> Ordering {
    let directed = |o: Ordering| if way.descending { o.reverse() } else { o };
    match (a.is_blank(), b.is_blank()) {
        (true, true) => Ordering::Equal,
        (false, false) => directed(rules::total_order(a, b, collation)),
        (a_is_blank, _) => {
            let blank_first = if a_is_blank { Ordering::Less } else { Ordering::Greater };
            let other = if a_is_blank { b } else { a };
            match way.blanks {
                Blanks::First => blank_first,
                Blanks::Last => blank_first.reverse(),
                Blanks::Default if other.as_f64().is_some_and(|f| f < 0.0) => {
                    directed(blank_first.reverse())
                }
                Blanks::Default => directed(blank_first),
            }
        }
    }
}
