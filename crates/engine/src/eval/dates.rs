//! Sets of dates: time intelligence, calendars, number series.

use std::collections::HashMap;
use std::sync::Arc;

use evercube_base::{DataType, DateTime, Decimal, Error, Result, Value};
use evercube_store::ColumnId;
use evercube_work::{tick, watched};

use super::Evaluator;
use super::cells::{Cells, Scalars};
use super::rows::{CellTable, RowColumn, Rows};
use super::summarize_columns::schema_of;
use crate::bind::series_type;
use crate::functions::time_intelligence::{self as time, Interval, YearEnd};
use crate::plan::{DateSet, Kind, Node};
use crate::scalar::{self as rules, Culture};

/// A date as its day number.
fn day(v: &Value, culture: &Culture) -> Result<Option<i64>> {
    Ok(match rules::convert(v, DataType::DateTime, culture)? {
        Value::DateTime(t) => Some(t.days()),
        _ => None,
    })
}

impl Evaluator<'_> {
    pub(crate) fn dates(&self, cells: &Cells, node: &Node) -> Result<CellTable> {
        let Kind::Dates { set, dates, column, arguments, interval, year_end } = &node.kind else {
            return Err(Error::internal("not a set of dates"));
        };
        let current = self.table(cells, dates)?;
        let arguments: Vec<Scalars> =
            arguments.iter().map(|a| self.scalars(cells, a)).collect::<Result<_>>()?;
        let all = match column {
            Some(c) => self.days_of(cells, *c)?,
            None => Vec::new(),
        };
        let (mut rows, mut of) = (Vec::new(), Vec::new());
        let mut known: HashMap<Vec<i64>, Vec<i64>> = HashMap::new();
        for cell in watched(0..cells.n) {
            let mut days = Vec::new();
            for row in current.range(cell) {
                days.extend(day(&current.rows.value(self.store, 0, row), &self.culture)?);
            }
            days.sort_unstable();
            days.dedup();
            let all = if column.is_some() { &all } else { &days };
            let found = if arguments.is_empty() {
                // Many cells see the same dates.
                match known.get(&days) {
                    Some(f) => f.clone(),
                    None => {
                        let f =
                            date_set(*set, &days, all, &[], *interval, *year_end, &self.culture)?;
                        known.insert(days, f.clone());
                        f
                    }
                }
            } else {
                let values: Vec<&Value> = arguments.iter().map(|a| a.get(cell)).collect();
                date_set(*set, &days, all, &values, *interval, *year_end, &self.culture)?
            };
            for d in found {
                tick();
                rows.push(vec![Value::DateTime(DateTime::from_days(d))]);
                of.push(cell as u32);
            }
        }
        Ok(CellTable::from_cells(&Rows::from_values(node.schema(), rows), &of, cells.n))
    }

    /// All days that occur in a date column, sorted.
    fn days_of(&self, cells: &Cells, column: ColumnId) -> Result<Vec<i64>> {
        let of = self.store.table(column.table).column(column.column);
        let mut days = Vec::new();
        if cells.distinct.iter().all(|c| c.secured.is_empty()) {
            for code in watched(of.present().iter()).filter(|code| *code > 0) {
                days.extend(day(&of.value(code as u32), &self.culture)?);
            }
        } else {
            // Those of rows that roles let through.
            let schema = schema_of(self.model, &[column]);
            let found = self.distinct_values(&cells.unfiltered(), &[column], false, &schema)?;
            for row in watched(0..found.rows.len) {
                days.extend(day(&found.rows.value(self.store, 0, row), &self.culture)?);
            }
        }
        days.sort_unstable();
        days.dedup();
        Ok(days)
    }

    pub(crate) fn non_blank(
        &self,
        cells: &Cells,
        table: &Node,
        expression: &Node,
        last: bool,
    ) -> Result<CellTable> {
        let table = self.table(cells, table)?;
        let (inner, _) = cells.iterate(&table);
        let values = self.scalars(&inner, expression)?;
        let (mut kept, mut of) = (Vec::new(), Vec::new());
        let mut start = 0;
        for cell in watched(0..cells.n) {
            let range = table.range(cell);
            let mut best: Option<(usize, Value)> = None;
            for (i, row) in range.clone().enumerate() {
                if values.get(start + i).is_blank() {
                    continue;
                }
                let v = table.rows.value(self.store, 0, row);
                let better = best.as_ref().is_none_or(|(_, b)| {
                    let order = rules::total_order(&v, b, &self.collation);
                    if last { order.is_gt() } else { order.is_lt() }
                });
                if better {
                    best = Some((row, v));
                }
            }
            start += range.len();
            if let Some((row, _)) = best {
                kept.push(row as u32);
                of.push(cell as u32);
            }
        }
        Ok(CellTable::from_cells(&table.rows.take(&kept), &of, cells.n))
    }

    pub(crate) fn calendar(&self, cells: &Cells, ends: &[Node], node: &Node) -> Result<CellTable> {
        let (from, to) = (self.scalars(cells, &ends[0])?, self.scalars(cells, &ends[1])?);
        let (mut rows, mut of) = (Vec::new(), Vec::new());
        for cell in watched(0..cells.n) {
            let (Some(first), Some(last)) =
                (day(from.get(cell), &self.culture)?, day(to.get(cell), &self.culture)?)
            else {
                return Err(Error::evaluation(
                    "CALENDAR needs a first and a last date; one is blank.",
                ));
            };
            if first > last {
                return Err(Error::evaluation("The first date of CALENDAR is after the last one."));
            }
            self.check_size((last - first) as usize)?;
            for d in watched(first..=last) {
                rows.push(vec![Value::DateTime(DateTime::from_days(d))]);
                of.push(cell as u32);
            }
        }
        Ok(CellTable::from_cells(&Rows::from_values(node.schema(), rows), &of, cells.n))
    }

    /// `CALENDARAUTO`: whole fiscal years around every date of the model's source columns.
    pub(crate) fn calendar_auto(
        &self,
        cells: &Cells,
        month: &Node,
        node: &Node,
    ) -> Result<CellTable> {
        let end_month = match self.single(cells, month)? {
            Value::Blank => 12,
            v => self.whole_number(&v)?,
        };
        if !(1..=12).contains(&end_month) {
            return Err(Error::evaluation(
                "The fiscal year of CALENDARAUTO ends in month 1 to 12.",
            ));
        }
        let (mut low, mut high) = (None::<i64>, None::<i64>);
        for (t, table) in (0..).zip(self.model.tables()) {
            for (c, column) in (0..).zip(&table.columns) {
                let is_date = column.data_type == DataType::DateTime && !column.hidden;
                if !is_date || column.expression.is_some() {
                    continue;
                }
                let id = ColumnId { table: evercube_store::TableId(t), column: c };
                let days = self.days_of(cells, id)?;
                low = low.into_iter().chain(days.first().copied()).min();
                high = high.into_iter().chain(days.last().copied()).max();
            }
        }
        let (Some(low), Some(high)) = (low, high) else {
            return Err(Error::evaluation("CALENDARAUTO found no date in the model."));
        };
        let end = Some((end_month as u32, if end_month == 2 { 29 } else { 31 }));
        let first = time::period(low, Interval::Year, end).0;
        let last = time::period(high, Interval::Year, end).1;
        let rows = (first..=last).map(|d| vec![Value::DateTime(DateTime::from_days(d))]).collect();
        Ok(CellTable::shared(Rows::from_values(node.schema(), rows)))
    }

    pub(crate) fn generate_series(
        &self,
        cells: &Cells,
        arguments: &[Node],
        node: &Node,
    ) -> Result<CellTable> {
        let values: Vec<Scalars> =
            arguments.iter().map(|a| self.scalars(cells, a)).collect::<Result<_>>()?;
        let (mut series, mut of) = (Vec::new(), Vec::new());
        for cell in watched(0..cells.n) {
            let start = rules::to_f64(values[0].get(cell), &self.culture)?;
            let end = rules::to_f64(values[1].get(cell), &self.culture)?;
            let step =
                values.get(2).map_or(Ok(1.0), |s| rules::to_f64(s.get(cell), &self.culture))?;
            if step <= 0.0 {
                return Err(Error::evaluation("The step of GENERATESERIES must be above zero."));
            }
            let count = ((end - start) / step + 1e-9).floor();
            if count < 0.0 {
                continue;
            }
            self.check_size(series.len().saturating_add(count as usize))?;
            let target = match node.data_type() {
                DataType::Variant => {
                    series_type(values.iter().filter_map(|v| v.get(cell).data_type()))
                }
                known => known,
            };
            for i in 0..=count as u64 {
                let v = start + step * i as f64;
                tick();
                series.push(match target {
                    DataType::Int64 => Value::Int(v.round() as i64),
                    DataType::Decimal => {
                        Decimal::from_f64(v).map_or(Value::Double(v), Value::Decimal)
                    }
                    DataType::DateTime => {
                        DateTime::from_ole(v).map_or(Value::Double(v), Value::DateTime)
                    }
                    _ => Value::Double(v),
                });
                of.push(cell as u32);
            }
        }
        let rows = Rows {
            schema: node.schema(),
            len: series.len(),
            columns: vec![RowColumn::Values(Arc::new(series))],
            ..Rows::default()
        };
        Ok(CellTable::from_cells(&rows, &of, cells.n))
    }
}

/// What moves dates by a distance asks for all dates between the first and the last.
fn check_contiguous(set: DateSet, current: &[i64], all: &[i64]) -> Result<()> {
    let (Some(first), Some(last)) = (current.first(), current.last()) else { return Ok(()) };
    let between = all.partition_point(|d| d <= last) - all.partition_point(|d| d < first);
    if current.len() == between {
        return Ok(());
    }
    let function = match set {
        DateSet::DateAdd => "DATEADD",
        _ => "SAMEPERIODLASTYEAR",
    };
    Err(Error::evaluation(format!(
        "Function '{function}' only works with contiguous date selections; between the first and the last visible date there are others that a filter leaves out."
    )))
}

fn date_set(
    set: DateSet,
    current: &[i64],
    all: &[i64],
    arguments: &[&Value],
    interval: Interval,
    year_end: YearEnd,
    culture: &Culture,
) -> Result<Vec<i64>> {
    let number = |i: usize| -> Result<i64> {
        Ok(match arguments.get(i) {
            Some(v) => rules::to_f64(v, culture)?.trunc() as i64,
            None => 0,
        })
    };
    if matches!(set, DateSet::DateAdd | DateSet::SamePeriodLastYear) {
        check_contiguous(set, current, all)?;
    }
    Ok(match set {
        DateSet::ToDate(Interval::Year) => time::dates_ytd(current, all, year_end),
        DateSet::ToDate(Interval::Quarter) => time::dates_qtd(current, all),
        DateSet::ToDate(_) => time::dates_mtd(current, all),
        DateSet::DateAdd => time::date_add(current, all, number(0)?, interval),
        DateSet::SamePeriodLastYear => time::same_period_last_year(current, all),
        DateSet::ParallelPeriod => time::parallel_period(current, all, number(0)?, interval),
        DateSet::Previous(i) => time::previous(current, all, i, year_end),
        DateSet::Next(i) => time::next(current, all, i, year_end),
        DateSet::StartOf(i) => time::start_of(current, all, i, year_end),
        DateSet::EndOf(i) => time::end_of(current, all, i, year_end),
        DateSet::First => time::first_date(current),
        DateSet::Last => time::last_date(current),
        DateSet::InPeriod => {
            match arguments.first().map(|v| day(v, culture)).transpose()?.flatten() {
                Some(start) => time::dates_in_period(all, start, number(1)?, interval),
                None => Vec::new(),
            }
        }
        DateSet::Between => {
            let end_of = |i: usize| arguments.get(i).map(|v| day(v, culture)).transpose();
            let low = end_of(0)?.flatten().or_else(|| all.first().copied());
            let high = end_of(1)?.flatten().or_else(|| all.last().copied());
            match (low, high) {
                (Some(l), Some(h)) => time::dates_between(all, l, h),
                _ => Vec::new(),
            }
        }
    })
}
