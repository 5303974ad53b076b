//! Percentiles and spreads of a column: a scan counts the rows of each value, and no row is looked
//! at for itself.

use evercube_base::{Result, Value};
use evercube_store::{Aggregate, ColumnId, PathColumn, RowExpr, TableId};
use evercube_work::watched;

use super::Evaluator;
use super::cells::{Cells, Scalars};
use super::model_rows::NO_NUMBER;
use super::order_statistic::nth_and_next;
use super::statistics;
use crate::plan::{Fold, Kind, Node, Schema};
use crate::scalar as rules;

/// In long tables a scan by value pays where each has so many rows.
const ROWS_OF_A_VALUE: usize = 8;

fn column_of(column: ColumnId) -> RowExpr {
    RowExpr::Column(PathColumn { path: Vec::new(), column })
}

impl Evaluator<'_> {
    /// Answers a statistic over a column of a model table; `None` where it is over something else.
    pub(super) fn by_values(
        &self,
        cells: &Cells,
        fold: Fold,
        table: TableId,
        body: &Node,
        extra: &[Node],
    ) -> Result<Option<Scalars>> {
        let column = match body.kind {
            Kind::RowColumn { frame, column } if frame == cells.frames.len() => column as u32,
            _ if statistics::is_spread(fold) => {
                return self.variances_of_expression(cells, fold, table, body);
            }
            _ => return Ok(None),
        };
        let column = ColumnId { table, column };
        if !statistics::is_of_numbers(fold)
            || !body.data_type().is_numeric()
            || self.tells_rows(column)
        {
            return Ok(None);
        }
        let arguments = extra.first().map(|e| self.scalars(cells, e)).transpose()?;
        let data = self.store.table(table);
        let values = data.column(column.column);
        let is_long = data.rows() >= self.context.long_table;
        let hardly_shares = values.cardinality() as usize > data.rows() / ROWS_OF_A_VALUE;
        let argument = match &arguments {
            None => Some(&Value::Blank),
            Some(Scalars::Same(value)) => Some(value),
            Some(Scalars::Each(_)) => None,
        };
        if let Some(argument) = argument
            && is_long
            && hardly_shares
            && statistics::is_by_place(fold)
        {
            return self.by_place(cells, fold, column, argument).map(Some);
        }
        if is_long
            && hardly_shares
            && statistics::is_spread(fold)
            && !values.has_blank()
            && let Some(found) = self.variances(cells, fold, table, column_of(column))?
        {
            return Ok(Some(found));
        }
        let counted = match is_long && hardly_shares {
            false => self.counted_by_scan(cells, column)?,
            true => self.counted_in_order(cells, column)?,
        };
        let number = |(code, times): &(u32, u64)| {
            Ok((rules::to_f64(&values.value(*code), &self.culture)?, *times))
        };
        let found = watched(0..cells.n).map(|cell| {
            let Some(codes) = counted.get(cell).or(counted.first()) else {
                return Ok(Value::Blank);
            };
            let filled = codes.iter().filter(|(code, _)| *code != 0);
            let numbers = filled.map(number).collect::<Result<_>>()?;
            statistics::of_numbers(
                fold,
                numbers,
                arguments.as_ref().map(|a| a.get(cell)),
                &self.culture,
            )
        });
        Ok(Some(Scalars::each(found.collect::<Result<_>>()?)))
    }

    /// The codes of each cell's rows, each with how often it occurs.
    fn counted_by_scan(&self, cells: &Cells, column: ColumnId) -> Result<Vec<Vec<(u32, u64)>>> {
        let count = |_: &_| Ok(vec![Aggregate::CountRows]);
        let grouped = self.scan(cells, column.table, &[column], false, &count)?;
        let mut of_cells = vec![Vec::new(); cells.n];
        for (g, cell) in grouped.cells.iter().enumerate() {
            evercube_work::tick();
            if let Value::Int(rows) = grouped.aggregates[0][g] {
                of_cells[*cell as usize].push((grouped.keys[0][g], rows as u64));
            }
        }
        Ok(of_cells)
    }

    /// The same where hardly two rows share a value: their codes are put in order. One for all
    /// cells where these see the same rows.
    fn counted_in_order(&self, cells: &Cells, column: ColumnId) -> Result<Vec<Vec<(u32, u64)>>> {
        self.codes_of_cells(cells, column, |mut codes| {
            codes.sort_unstable_by(|a, b| {
                evercube_work::tick();
                a.cmp(b)
            });
            let runs = codes.chunk_by(|a, b| a == b);
            Ok(runs.map(|run| (run[0], run.len() as u64)).collect())
        })
    }

    /// Medians and percentiles where hardly two rows share a value: only what stands at the place is
    /// brought there.
    fn by_place(
        &self,
        cells: &Cells,
        fold: Fold,
        column: ColumnId,
        argument: &Value,
    ) -> Result<Scalars> {
        let values = self.store.table(column.table).column(column.column);
        // Places of codes in the order of values, and the codes of places.
        let places = values.ranks().map(|ranks| {
            let mut codes = vec![0; ranks.len()];
            watched((0..).zip(ranks.iter())).for_each(|(code, rank)| codes[*rank as usize] = code);
            (ranks, codes)
        });
        let number = |rank: u32| {
            let code = places.as_ref().map_or(rank, |(_, codes)| codes[rank as usize]);
            rules::to_f64(&values.value(code), &self.culture)
        };
        let found = self.codes_of_cells(cells, column, |mut codes| {
            codes.retain(|code| *code != 0);
            if codes.is_empty() {
                return Ok(Value::Blank);
            }
            if let Some((ranks, _)) = &places {
                codes.iter_mut().for_each(|code| *code = ranks[*code as usize]);
            }
            let place = statistics::place(fold, codes.len() as f64, Some(argument), &self.culture)?;
            let at = (place.floor() as usize).min(codes.len() - 1);
            let (low, high) = nth_and_next(&codes, at)?;
            Ok(Value::Double(statistics::between(number(low)?, number(high)?, place)))
        })?;
        Ok(match found.as_slice() {
            [one] => Scalars::Same(one.clone()),
            _ => Scalars::each(found),
        })
    }

    /// What `see` makes of the codes of each cell's rows; once for all cells where they see the same
    /// rows.
    fn codes_of_cells<T: Clone>(
        &self,
        cells: &Cells,
        column: ColumnId,
        see: impl Fn(Vec<u32>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let data = self.store.table(column.table);
        let mut codes = vec![0; data.rows()];
        data.column(column.column).read_codes(0, &mut codes);
        if let Some(found) = self.by_number(cells, column.table, &codes, &see)? {
            return Ok(found);
        }
        let rows = self.model_rows(cells, column.table, false, &Schema::default())?;
        let of_cell = |cell| {
            evercube_work::check()?;
            let of_rows = watched(rows.range(cell)).map(|row| codes[rows.rows.base_row(row)]);
            see(of_rows.collect())
        };
        let different = if rows.starts.is_some() { cells.n } else { cells.n.min(1) };
        watched(0..different).map(of_cell).collect()
    }

    /// The same without a list of rows, where cells of one filter context differ by their keys.
    fn by_number<T: Clone>(
        &self,
        cells: &Cells,
        table: TableId,
        codes: &[u32],
        see: &impl Fn(Vec<u32>) -> Result<T>,
    ) -> Result<Option<Vec<T>>> {
        let [(context, members)] = &Self::by_context(cells)[..] else { return Ok(None) };
        let context = &cells.distinct[*context];
        let reach = self.reach(context, table);
        let Ok(keyed) = self.keyed(cells, members, context, table, &reach) else {
            return Ok(None);
        };
        if keyed.columns.is_empty() {
            return Ok(None);
        }
        self.check_paths(context, cells, table)?;
        let visible = self.visible(context, table);
        let numbers = self.row_numbers(&keyed, codes.len());
        let mut of_number = vec![Vec::new(); keyed.combinations() as usize];
        for row in visible.iter().take_while(|row| *row < codes.len()) {
            evercube_work::tick();
            if numbers[row] != NO_NUMBER {
                of_number[numbers[row] as usize].push(codes[row]);
            }
        }
        let (by_number, mut of_cells) = (keyed.by_number(), vec![None; cells.n]);
        for (number, codes) in of_number.into_iter().enumerate() {
            evercube_work::check()?;
            let found = see(codes)?;
            for cell in by_number.get(number as u32) {
                of_cells[*cell as usize] = Some(found.clone());
            }
        }
        // No row has the keys of the others.
        let found = of_cells.into_iter().map(|found| found.map_or_else(|| see(Vec::new()), Ok));
        found.collect::<Result<_>>().map(Some)
    }
}
