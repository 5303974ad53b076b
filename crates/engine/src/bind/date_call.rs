//! Time intelligence, calendars and series.

use evercube_base::{DataType, Error, Result, Value};
use evercube_dax::ast::{Expr, ExprKind, Span};
use evercube_store::ColumnId;

use super::call::all_uses;
use super::{Binder, Scope, column, literal, series_type, table_type};
use crate::functions::time_intelligence::{Interval, YearEnd, parse_year_end};
use crate::plan::{DateSet, FilterArgument, Kind, Node, Uses};

/// A set of dates by the name of its function, where dates are all it needs.
fn plain_set(name: &str) -> Option<DateSet> {
    use Interval::{Day, Month, Quarter, Year};
    Some(match name {
        "DATESMTD" => DateSet::ToDate(Month),
        "DATESQTD" => DateSet::ToDate(Quarter),
        "DATESYTD" => DateSet::ToDate(Year),
        "SAMEPERIODLASTYEAR" => DateSet::SamePeriodLastYear,
        "PREVIOUSDAY" => DateSet::Previous(Day),
        "PREVIOUSMONTH" => DateSet::Previous(Month),
        "PREVIOUSQUARTER" => DateSet::Previous(Quarter),
        "PREVIOUSYEAR" => DateSet::Previous(Year),
        "NEXTDAY" => DateSet::Next(Day),
        "NEXTMONTH" => DateSet::Next(Month),
        "NEXTQUARTER" => DateSet::Next(Quarter),
        "NEXTYEAR" => DateSet::Next(Year),
        "STARTOFMONTH" => DateSet::StartOf(Month),
        "STARTOFQUARTER" => DateSet::StartOf(Quarter),
        "STARTOFYEAR" => DateSet::StartOf(Year),
        "ENDOFMONTH" => DateSet::EndOf(Month),
        "ENDOFQUARTER" => DateSet::EndOf(Quarter),
        "ENDOFYEAR" => DateSet::EndOf(Year),
        "FIRSTDATE" => DateSet::First,
        "LASTDATE" => DateSet::Last,
        _ => return None,
    })
}

/// The sets of dates that `TOTAL…` and `…BALANCE…` filter by: inner first.
fn balance_sets(name: &str) -> Option<Vec<DateSet>> {
    use Interval::{Day, Month, Quarter, Year};
    let opening = |i| vec![DateSet::StartOf(i), DateSet::Previous(Day)];
    Some(match name {
        "TOTALMTD" => vec![DateSet::ToDate(Month)],
        "TOTALQTD" => vec![DateSet::ToDate(Quarter)],
        "TOTALYTD" => vec![DateSet::ToDate(Year)],
        "CLOSINGBALANCEMONTH" => vec![DateSet::EndOf(Month)],
        "CLOSINGBALANCEQUARTER" => vec![DateSet::EndOf(Quarter)],
        "CLOSINGBALANCEYEAR" => vec![DateSet::EndOf(Year)],
        "OPENINGBALANCEMONTH" => opening(Month),
        "OPENINGBALANCEQUARTER" => opening(Quarter),
        "OPENINGBALANCEYEAR" => opening(Year),
        _ => return None,
    })
}

/// A table of dates and the model column they come from.
struct Dates {
    table: Node,
    column: Option<ColumnId>,
}

impl Binder<'_> {
    pub(super) fn date_call(
        &mut self,
        scope: &Scope,
        name: &str,
        arguments: &[Expr],
        span: Span,
    ) -> Result<Option<Node>> {
        if let Some(set) = plain_set(name) {
            let dates = self.dates(scope, name, &arguments[0])?;
            let year_end = self.year_end(arguments.get(1))?;
            return Ok(Some(date_node(set, dates, Vec::new(), Interval::Day, year_end, span)));
        }
        if let Some(sets) = balance_sets(name) {
            return self.balance(scope, name, sets, arguments, span).map(Some);
        }
        Ok(Some(match name {
            "DATEADD" | "PARALLELPERIOD" => {
                if arguments.len() > 3 {
                    return Err(Error::unsupported(format!(
                        "The extension and truncation arguments of {name} are not known in this version."
                    )));
                }
                let dates = self.dates(scope, name, &arguments[0])?;
                let number = self.scalar(scope, &arguments[1])?;
                let interval = interval(&arguments[2])?;
                let set =
                    if name == "DATEADD" { DateSet::DateAdd } else { DateSet::ParallelPeriod };
                date_node(set, dates, vec![number], interval, None, span)
            }
            "DATESINPERIOD" => {
                let dates = self.dates(scope, name, &arguments[0])?;
                let bound = self.scalars_of(scope, &arguments[1..3])?;
                let interval = interval(&arguments[3])?;
                date_node(DateSet::InPeriod, dates, bound, interval, None, span)
            }
            "DATESBETWEEN" => {
                let dates = self.dates(scope, name, &arguments[0])?;
                let bound = self.scalars_of(scope, &arguments[1..])?;
                date_node(DateSet::Between, dates, bound, Interval::Day, None, span)
            }
            "FIRSTNONBLANK" | "LASTNONBLANK" => {
                let expression = &arguments[1];
                let table = self.column_or_table(scope, &arguments[0])?;
                let inner = self.inside(scope, &table);
                let expression = self.scalar(&inner, expression)?;
                non_blank(scope, table, expression, name.starts_with("LAST"), span)
            }
            "FIRSTNONBLANKVALUE" | "LASTNONBLANKVALUE" => {
                let table = self.column_or_table(scope, &arguments[0])?;
                let inner = self.inside(scope, &table);
                let test = self.scalar(&inner, &arguments[1])?;
                let test = Self::calculate(&inner, test, Vec::new(), span);
                let table = non_blank(scope, table, test, name.starts_with("LAST"), span);
                let body = self.scalar(scope, &arguments[1])?;
                let filter = FilterArgument::Table { table, keep: false };
                Self::calculate(scope, body, vec![filter], span)
            }
            "CALENDAR" => {
                let bound = self.scalars_of(scope, arguments)?;
                let uses = all_uses(&bound);
                let ty = table_type(vec![column("Date", DataType::DateTime)]);
                Self::node(Kind::Calendar(bound), ty, uses, span)
            }
            "CALENDARAUTO" => {
                let month = match arguments.first() {
                    Some(e) => self.scalar(scope, e)?,
                    None => literal(Value::Blank, span),
                };
                let ty = table_type(vec![column("Date", DataType::DateTime)]);
                Self::node(Kind::CalendarAuto(Box::new(month)), ty, Uses::default(), span)
            }
            "GENERATESERIES" => {
                let bound = self.scalars_of(scope, arguments)?;
                let given = bound.iter().filter(|n| !n.is_blank_literal()).map(Node::data_type);
                let ty = table_type(vec![column("Value", series_type(given))]);
                let uses = all_uses(&bound);
                Self::node(Kind::GenerateSeries(bound), ty, uses, span)
            }
            _ => return Ok(None),
        }))
    }

    fn column_or_table(&mut self, scope: &Scope, e: &Expr) -> Result<Node> {
        match &e.kind {
            ExprKind::Qualified { .. } => {
                let id = self.column_reference(e)?;
                Ok(self.values(vec![id], true, e.span))
            }
            _ if self.is_condition(e) => self.condition(scope, e),
            _ => self.table(scope, e),
        }
    }

    /// Dates as a column, whose visible values are meant, as a condition on a column, or as a table
    /// of one column.
    fn dates(&mut self, scope: &Scope, name: &str, e: &Expr) -> Result<Dates> {
        let table = match &e.kind {
            ExprKind::Qualified { .. } => {
                let id = self.column_reference(e)?;
                let values = self.values(vec![id], false, e.span);
                Self::calculate_table(scope, values, Vec::new(), e.span)
            }
            _ if self.is_condition(e) => self.condition(scope, e)?,
            _ => self.table(scope, e)?,
        };
        let schema = table.schema();
        let [only] = &schema[..] else {
            return Err(Error::invalid(format!(
                "{name} expects a column of dates, or a table with one such column."
            ))
            .at(e.span.place()));
        };
        if only.data_type != DataType::DateTime && only.data_type != DataType::Variant {
            return Err(Error::invalid(format!(
                "{name} expects dates, but '{}' is a column of type {:?}.",
                only.name, only.data_type
            ))
            .at(e.span.place()));
        }
        Ok(Dates { column: only.lineage, table })
    }

    fn balance(
        &mut self,
        scope: &Scope,
        name: &str,
        sets: Vec<DateSet>,
        arguments: &[Expr],
        span: Span,
    ) -> Result<Node> {
        let body = self.scalar(scope, &arguments[0])?;
        let mut dates = self.dates(scope, name, &arguments[1])?;
        // The year's end may stand in the place of the filter.
        let is_text = |e: &Expr| matches!(e.kind, ExprKind::Literal(Value::String(_)));
        let (filter, end) = match arguments.get(2) {
            Some(e) if is_text(e) => (None, Some(e)),
            filter => (filter, arguments.get(3)),
        };
        let year_end = self.year_end(end)?;
        for set in sets {
            let column = dates.column;
            let table = date_node(set, dates, Vec::new(), Interval::Day, year_end, span);
            dates = Dates { table, column };
        }
        let mut filters = vec![FilterArgument::Table { table: dates.table, keep: false }];
        if let Some(f) = filter {
            filters.extend(self.filter_arguments(scope, std::slice::from_ref(f))?);
        }
        Ok(Self::calculate(scope, body, filters, span))
    }
}

fn date_node(
    set: DateSet,
    dates: Dates,
    arguments: Vec<Node>,
    interval: Interval,
    year_end: YearEnd,
    span: Span,
) -> Node {
    let uses = all_uses(&arguments).and(dates.table.uses);
    let ty = dates.table.ty.clone();
    let Dates { table, column } = dates;
    let dates = Box::new(table);
    Node { kind: Kind::Dates { set, dates, column, arguments, interval, year_end }, ty, uses, span }
}

fn non_blank(scope: &Scope, table: Node, expression: Node, last: bool, span: Span) -> Node {
    let uses = expression.uses.outside_frame(scope.frames.len()).and(table.uses);
    let ty = table.ty.clone();
    let kind = Kind::NonBlank { table: Box::new(table), expression: Box::new(expression), last };
    Node { kind, ty, uses, span }
}

fn interval(e: &Expr) -> Result<Interval> {
    let word = match &e.kind {
        ExprKind::Name { name, .. } => name,
        ExprKind::Call { function, .. } => function,
        _ => "",
    };
    Interval::parse(word).ok_or_else(|| {
        Error::invalid("The interval is one of DAY, MONTH, QUARTER, YEAR.").at(e.span.place())
    })
}

impl Binder<'_> {
    /// The constant end of a year, in the words of the model's culture.
    fn year_end(&self, e: Option<&Expr>) -> Result<YearEnd> {
        match e.map(|e| (&e.kind, e)) {
            None | Some((ExprKind::Omitted, _)) => Ok(None),
            Some((ExprKind::Literal(Value::String(s)), e)) => {
                parse_year_end(s, self.model.culture()).map(Some).ok_or_else(|| {
                    Error::invalid("The end of the year is a text such as \"6/30\".")
                        .at(e.span.place())
                })
            }
            Some((_, e)) => {
                Err(Error::invalid("The end of the year is a constant text such as \"6/30\".")
                    .at(e.span.place()))
            }
        }
    }
}
