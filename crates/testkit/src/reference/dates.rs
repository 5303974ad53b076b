//! Time intelligence, day by day: which days of the date column are in a period.

use evercube_base::datetime::days_in_month;
use evercube_base::format::DateOrder;
use evercube_base::{DataType, DateTime, Error, Result, Value};
use evercube_dax::ast::{Expr, ExprKind, Span};
use evercube_engine::scalar as rules;
use evercube_store::ColumnId;

use super::scalar::unknown;
use super::{Env, Reference, Table, unsupported};

#[derive(Clone, Copy, PartialEq)]
enum Unit {
    Day,
    Month,
    Quarter,
    Year,
}

/// Month and day on which years end.
type YearEnd = (u32, u32);
const DECEMBER: YearEnd = (12, 31);

/// Days of the functions that are looked for in the name: `DATES` + `YTD`, `PREVIOUS` + `MONTH`.
fn unit_named(name: &str) -> Option<Unit> {
    Some(match name {
        "DAY" => Unit::Day,
        "MONTH" | "MTD" => Unit::Month,
        "QUARTER" | "QTD" => Unit::Quarter,
        "YEAR" | "YTD" => Unit::Year,
        _ => return None,
    })
}

fn ymd(day: i64) -> (i32, u32, u32) {
    DateTime::from_days(day).ymd()
}

fn day_of(year: i32, month: u32, day: u32) -> i64 {
    let day = day.min(days_in_month(year, month));
    DateTime::from_ymd(year, month, day).map_or(0, DateTime::days)
}

/// The last day of the period a day is in.
fn end_of(day: i64, unit: Unit, (month, last): YearEnd) -> i64 {
    let (y, m, _) = ymd(day);
    match unit {
        Unit::Day => day,
        Unit::Month => day_of(y, m, 31),
        Unit::Quarter => day_of(y, m.div_ceil(3) * 3, 31),
        Unit::Year => {
            let last = if (month, last) == (2, 28) { 29 } else { last };
            let ends = [y, y + 1].map(|y| day_of(y, month, last));
            if day <= ends[0] { ends[0] } else { ends[1] }
        }
    }
}

/// The first day of the period a day is in: the day after the end of the one before.
fn start_of(day: i64, unit: Unit, ends: YearEnd) -> i64 {
    let own = end_of(day, unit, ends);
    let mut start = day;
    while end_of(start - 1, unit, ends) == own {
        start -= 1;
    }
    start
}

/// The same day of another month, or the last one of a shorter month.
fn shifted(day: i64, n: i64, unit: Unit) -> i64 {
    let months = match unit {
        Unit::Day => return day + n,
        Unit::Month => n,
        Unit::Quarter => n * 3,
        Unit::Year => n * 12,
    };
    let (y, m, d) = ymd(day);
    let at = i64::from(y) * 12 + i64::from(m) - 1 + months;
    day_of(at.div_euclid(12) as i32, at.rem_euclid(12) as u32 + 1, d)
}

fn is_last_of_month(day: i64) -> bool {
    end_of(day, Unit::Month, DECEMBER) == day
}

/// Days moved one by one. Where the last two days of a month are among them, all days to the end of
/// the month they reach are in the result.
fn moved(days: &[i64], n: i64, unit: Unit) -> Vec<i64> {
    let mut out: Vec<i64> = days.iter().map(|d| shifted(*d, n, unit)).collect();
    for d in days.iter().filter(|d| unit != Unit::Day && is_last_of_month(**d)) {
        if days.contains(&(d - 1)) {
            let to = shifted(*d, n, unit);
            out.extend(to..=end_of(to, Unit::Month, DECEMBER));
        }
    }
    out
}

/// A function of a table of dates without arguments, and the interval of its name.
fn named(function: &str) -> Option<(&'static str, Unit)> {
    let kinds = ["DATES", "PREVIOUS", "NEXT", "STARTOF", "ENDOF"];
    kinds.iter().find_map(|kind| Some((*kind, unit_named(function.strip_prefix(kind)?)?)))
}

pub(super) fn is_balance(function: &str) -> bool {
    let rest = function.strip_prefix("TOTAL").or_else(|| {
        let rest = function.strip_prefix("CLOSINGBALANCE");
        rest.or_else(|| function.strip_prefix("OPENINGBALANCE"))
    });
    rest.is_some_and(|unit| unit_named(unit).is_some())
}

fn call(function: String, arguments: Vec<Expr>) -> Expr {
    let span = Span::default();
    let kind = ExprKind::Call { function: function.into(), function_span: span, arguments };
    Expr { kind, span }
}

impl Reference {
    /// A table of dates; `None` where it is no function of time intelligence.
    pub(super) fn dates(
        &self,
        env: &Env,
        function: &str,
        arguments: &[Expr],
    ) -> Result<Option<Table>> {
        let known = matches!(
            function,
            "DATEADD"
                | "SAMEPERIODLASTYEAR"
                | "PARALLELPERIOD"
                | "DATESINPERIOD"
                | "DATESBETWEEN"
                | "FIRSTDATE"
                | "LASTDATE"
        );
        let named = named(function);
        if !known && named.is_none() {
            return Ok(None);
        }
        let (column, days) = self.visible_days(env, &arguments[0])?;
        let all = self.days(&self.combinations(&self.unfiltered(), &[column], false))?;
        // These two take days of the whole column, whichever of them are visible.
        let of_column = matches!(function, "DATESINPERIOD" | "DATESBETWEEN");
        let ends = days.first().copied().zip(days.last().copied());
        let (first, last) = match ends {
            Some(ends) => ends,
            None if of_column => (0, 0),
            None => return Ok(Some(self.date_table(column, &[]))),
        };
        let span = |from: i64, to: i64| (from..=to).collect::<Vec<i64>>();
        let number = |i: usize| -> Result<i64> {
            Ok(rules::to_f64(&self.scalar(env, &arguments[i])?, &self.culture)?.trunc() as i64)
        };
        let ends = match arguments.get(1) {
            Some(e) if named.is_some() => self.year_end(env, e)?,
            _ => DECEMBER,
        };
        let moves = matches!(function, "DATEADD" | "SAMEPERIODLASTYEAR");
        if moves && all.iter().filter(|d| (first..=last).contains(*d)).count() != days.len() {
            return Err(Error::evaluation("The dates to move are not contiguous."));
        }
        let found: Vec<i64> = match (function, named) {
            ("FIRSTDATE", _) => vec![first],
            ("LASTDATE", _) => vec![last],
            ("SAMEPERIODLASTYEAR", _) => moved(&days, -1, Unit::Year),
            ("DATEADD", _) => moved(&days, number(1)?, interval(&arguments[2])?),
            ("PARALLELPERIOD", _) => {
                let (n, unit) = (number(1)?, interval(&arguments[2])?);
                let first = shifted(start_of(first, unit, DECEMBER), n, unit);
                let last = shifted(start_of(last, unit, DECEMBER), n, unit);
                span(first, end_of(last, unit, DECEMBER))
            }
            ("DATESINPERIOD", _) => {
                let Some(at) = self.day(env, &arguments[1])? else {
                    return Ok(Some(self.date_table(column, &[])));
                };
                let (n, unit) = (number(2)?, interval(&arguments[3])?);
                let mut to = shifted(at, n, unit);
                if n < 0 && unit != Unit::Day && is_last_of_month(at) {
                    to = end_of(to, Unit::Month, DECEMBER);
                }
                match n {
                    0 => Vec::new(),
                    n if n > 0 => span(at, to - 1),
                    _ => span(to + 1, at),
                }
            }
            ("DATESBETWEEN", _) => {
                let open = |v: Option<i64>, end: Option<&i64>| v.or(end.copied()).unwrap_or(0);
                let from = open(self.day(env, &arguments[1])?, all.first());
                span(from, open(self.day(env, &arguments[2])?, all.last()))
            }
            (_, Some(("DATES", unit))) => span(start_of(last, unit, ends), last),
            (_, Some(("PREVIOUS", unit))) => {
                let last = start_of(first, unit, ends) - 1;
                span(start_of(last, unit, ends), last)
            }
            (_, Some(("NEXT", unit))) => {
                let first = end_of(last, unit, ends) + 1;
                span(first, end_of(first, unit, ends))
            }
            (_, Some(("STARTOF", unit))) => {
                let from = start_of(first, unit, ends);
                all.iter().copied().find(|d| *d >= from).into_iter().collect()
            }
            _ => {
                let unit = named.map_or(Unit::Day, |(_, unit)| unit);
                let to = end_of(last, unit, ends);
                all.iter().copied().rfind(|d| *d <= to).into_iter().collect()
            }
        };
        let there: Vec<i64> = all.into_iter().filter(|d| found.contains(d)).collect();
        Ok(Some(self.date_table(column, &there)))
    }

    /// `TOTALYTD` and its like, and balances: `CALCULATE` with a table of dates.
    pub(super) fn balance(&self, env: &Env, function: &str, arguments: &[Expr]) -> Result<Value> {
        let dates = arguments[1].clone();
        let is_text = |e: &Expr| matches!(&e.kind, ExprKind::Literal(Value::String(_)));
        let (ends, filters): (Vec<&Expr>, Vec<&Expr>) = arguments[2..]
            .iter()
            .filter(|e| !matches!(e.kind, ExprKind::Omitted))
            .partition(|e| is_text(e));
        let of = |function: String, dates: Expr| {
            call(function, [dates].into_iter().chain(ends.iter().map(|e| (*e).clone())).collect())
        };
        let set = if let Some(unit) = function.strip_prefix("TOTAL") {
            of(format!("DATES{unit}"), dates)
        } else if let Some(unit) = function.strip_prefix("CLOSINGBALANCE") {
            of(format!("ENDOF{unit}"), dates)
        } else {
            let unit = function.strip_prefix("OPENINGBALANCE").unwrap_or_default();
            call("PREVIOUSDAY".into(), vec![of(format!("STARTOF{unit}"), dates)])
        };
        let changes: Vec<Expr> = [set].into_iter().chain(filters.into_iter().cloned()).collect();
        self.scalar(&self.calculate(env, &changes)?, &arguments[0])
    }

    /// `FIRSTNONBLANK`, `LASTNONBLANK`: the first or last value with something behind it.
    pub(super) fn non_blank(&self, env: &Env, arguments: &[Expr], last: bool) -> Result<Table> {
        let mut values = match &arguments[0].kind {
            ExprKind::Qualified { .. } => {
                let columns = self.named_columns(&arguments[..1])?;
                self.combinations(&self.calculate(env, &[])?.filters, &columns, true)
            }
            _ => self.table(env, &arguments[0])?,
        };
        let collation = evercube_base::Collation::default();
        values.rows.sort_by(|a, b| rules::total_order(&a[0], &b[0], &collation));
        if last {
            values.rows.reverse();
        }
        let mut found = None;
        for (inner, row) in env.with_rows(&values).iter().zip(&values.rows) {
            if !self.scalar(inner, &arguments[1])?.is_blank() {
                found = Some(row.clone());
                break;
            }
        }
        Ok(Table { rows: found.into_iter().collect(), ..values })
    }

    /// The dates an argument stands for: of a column those visible once rows are filters.
    fn visible_days(&self, env: &Env, e: &Expr) -> Result<(ColumnId, Vec<i64>)> {
        let table = match &e.kind {
            ExprKind::Qualified { table, name } => {
                let id = self.column_named(table, name).ok_or_else(|| unknown(table, name))?;
                self.combinations(&self.calculate(env, &[])?.filters, &[id], false)
            }
            _ => self.table(env, e)?,
        };
        let column = table.columns.first().and_then(|c| c.lineage);
        let column = column.ok_or_else(|| unsupported("dates of no column of the model"))?;
        Ok((column, self.days(&table)?))
    }

    fn days(&self, table: &Table) -> Result<Vec<i64>> {
        let mut days = Vec::new();
        for row in &table.rows {
            if let Value::DateTime(d) = rules::convert(&row[0], DataType::DateTime, &self.culture)?
            {
                days.push(d.days());
            }
        }
        days.sort_unstable();
        days.dedup();
        Ok(days)
    }

    fn day(&self, env: &Env, e: &Expr) -> Result<Option<i64>> {
        Ok(match rules::convert(&self.scalar(env, e)?, DataType::DateTime, &self.culture)? {
            Value::DateTime(d) => Some(d.days()),
            _ => None,
        })
    }

    fn year_end(&self, env: &Env, e: &Expr) -> Result<YearEnd> {
        let text = self.text(env, e)?;
        let parts: Vec<u32> = text.split(['/', '-', '.']).filter_map(|p| p.parse().ok()).collect();
        let day_first = self.culture.locale.date_order() == DateOrder::DayMonthYear;
        match parts.as_slice() {
            [day @ 1..=31, month @ 1..=12] if day_first => Ok((*month, *day)),
            [month @ 1..=12, day @ 1..=31] => Ok((*month, *day)),
            _ => Err(unsupported("this end of a year")),
        }
    }

    fn date_table(&self, column: ColumnId, days: &[i64]) -> Table {
        let row = |d: &i64| vec![Value::DateTime(DateTime::from_days(*d))];
        Table {
            columns: vec![self.model_column(column)],
            rows: days.iter().map(row).collect(),
            ..Table::default()
        }
    }
}

fn interval(e: &Expr) -> Result<Unit> {
    let ExprKind::Name { name, .. } = &e.kind else {
        return Err(Error::invalid("An interval is DAY, MONTH, QUARTER or YEAR."));
    };
    unit_named(&name.to_ascii_uppercase())
        .ok_or_else(|| Error::invalid("An interval is DAY, MONTH, QUARTER or YEAR."))
}
