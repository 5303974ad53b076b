//! The functions of M this product has, by name. What is not here is named when it is used.

use std::cmp::Ordering;
use std::rc::Rc;
use std::sync::Arc;

use evercube_base::{DateTime, Error, Result, datetime::MICROS_PER_DAY, datetime::days_in_month};

use super::ast::Op;
use super::eval::{Interp, logical, unfit};
use super::value::{Base, Binary, Lazy, M, MType, Num};
use crate::convert::{parse_number, text_of, to_type};
use crate::table::{Name, Table};
use crate::{csv_file, parquet_file, postgres, steps};

const BUILTINS: &[&str] = &[
    "#binary",
    "#date",
    "#datetime",
    "#duration",
    "#table",
    "#time",
    "Byte.From",
    "Csv.Document",
    "Currency.From",
    "Date.AddDays",
    "Date.AddMonths",
    "Date.AddYears",
    "Date.Day",
    "Date.DayOfWeek",
    "Date.EndOfMonth",
    "Date.From",
    "Date.FromText",
    "Date.Month",
    "Date.QuarterOfYear",
    "Date.StartOfMonth",
    "Date.StartOfYear",
    "Date.ToText",
    "Date.Year",
    "DateTime.Date",
    "DateTime.From",
    "DateTime.FromText",
    "DateTime.Time",
    "Decimal.From",
    "Double.From",
    "Duration.Days",
    "Duration.TotalDays",
    "File.Contents",
    "Int32.From",
    "Int64.From",
    "List.Contains",
    "List.Count",
    "List.Dates",
    "List.Distinct",
    "List.First",
    "List.Last",
    "List.Max",
    "List.Min",
    "List.Numbers",
    "List.Select",
    "List.Sum",
    "List.Transform",
    "Logical.From",
    "Number.Abs",
    "Number.From",
    "Number.FromText",
    "Number.IntegerDivide",
    "Number.Mod",
    "Number.Power",
    "Number.Round",
    "Number.RoundDown",
    "Number.RoundUp",
    "Number.ToText",
    "Parquet.Document",
    "PostgreSQL.Database",
    "Record.Field",
    "Record.FieldNames",
    "Table.AddColumn",
    "Table.Buffer",
    "Table.ColumnNames",
    "Table.Combine",
    "Table.Distinct",
    "Table.FirstN",
    "Table.FromRecords",
    "Table.FromRows",
    "Table.PromoteHeaders",
    "Table.RemoveColumns",
    "Table.RenameColumns",
    "Table.ReorderColumns",
    "Table.RowCount",
    "Table.SelectColumns",
    "Table.SelectRows",
    "Table.Skip",
    "Table.TransformColumnTypes",
    "Table.TransformColumns",
    "Text.Combine",
    "Text.Contains",
    "Text.End",
    "Text.EndsWith",
    "Text.From",
    "Text.Length",
    "Text.Lower",
    "Text.Middle",
    "Text.PadStart",
    "Text.Replace",
    "Text.Split",
    "Text.Start",
    "Text.StartsWith",
    "Text.Trim",
    "Text.Upper",
    "Value.Metadata",
    "Value.NativeQuery",
];

pub(crate) fn builtin(name: &str) -> Option<&'static str> {
    BUILTINS.iter().find(|b| **b == name).copied()
}

pub(crate) fn primitive(name: &str) -> Base {
    match name {
        "none" => Base::None,
        "null" => Base::Null,
        "logical" => Base::Logical,
        "number" => Base::Number,
        "text" => Base::Text,
        "date" => Base::Date,
        "datetime" | "datetimezone" => Base::DateTime,
        "time" => Base::Time,
        "duration" => Base::Duration,
        "binary" => Base::Binary,
        "list" => Base::List,
        "record" => Base::Record,
        "table" => Base::Table,
        "function" => Base::Function,
        "type" => Base::Type,
        _ => Base::Any,
    }
}

pub(crate) fn constant(name: &str) -> Option<M> {
    let base = match name {
        "Int64.Type" | "Int32.Type" | "Int16.Type" | "Int8.Type" | "Byte.Type" => Base::Int64,
        "Currency.Type" => Base::Currency,
        "Double.Type" | "Single.Type" | "Percentage.Type" => Base::Double,
        "Number.Type" | "Decimal.Type" => Base::Number,
        "Text.Type" | "Guid.Type" | "Character.Type" => Base::Text,
        "Logical.Type" => Base::Logical,
        "Date.Type" => Base::Date,
        "DateTime.Type" | "DateTimeZone.Type" => Base::DateTime,
        "Time.Type" => Base::Time,
        "Duration.Type" => Base::Duration,
        "Binary.Type" => Base::Binary,
        "Any.Type" => Base::Any,
        "QuoteStyle.None"
        | "CsvStyle.QuoteAfterDelimiter"
        | "MissingField.Error"
        | "Day.Sunday"
        | "ExtraValues.List"
        | "BinaryEncoding.Base64" => return Some(M::int(0)),
        "QuoteStyle.Csv"
        | "CsvStyle.QuoteAlways"
        | "MissingField.Ignore"
        | "Day.Monday"
        | "ExtraValues.Error" => return Some(M::int(1)),
        "MissingField.UseNull" | "ExtraValues.Ignore" | "Day.Tuesday" => return Some(M::int(2)),
        "TextEncoding.Utf8" => return Some(M::int(65001)),
        "TextEncoding.Windows" => return Some(M::int(1252)),
        "TextEncoding.Utf16" | "TextEncoding.Unicode" => return Some(M::int(1200)),
        "TextEncoding.BigEndianUnicode" => return Some(M::int(1201)),
        "TextEncoding.Ascii" => return Some(M::int(20127)),
        _ => return None,
    };
    Some(M::Type(Rc::new(MType::new(base))))
}

pub(crate) fn is_of(v: &M, t: &MType) -> bool {
    match (v, t.base) {
        (_, Base::Any) => true,
        (M::Null, b) => t.nullable || b == Base::Null,
        (M::Number(_), b) => {
            matches!(b, Base::Number | Base::Int64 | Base::Currency | Base::Double)
        }
        (v, _) => v.kind() == t.name(),
    }
}

pub(crate) fn equal(it: &Rc<Interp>, a: &M, b: &M) -> Result<bool> {
    Ok(match (a, b) {
        (M::List(x), M::List(y)) => {
            let mut same = x.len() == y.len();
            for (p, q) in x.iter().zip(y.iter()) {
                same = same && equal(it, &p.force(it)?, &q.force(it)?)?;
            }
            same
        }
        (M::Record(x), M::Record(y)) => {
            let mut same = x.len() == y.len();
            for (n, p) in x.iter() {
                match y.iter().find(|f| f.0 == *n) {
                    Some(q) => same = same && equal(it, &p.force(it)?, &q.1.force(it)?)?,
                    None => same = false,
                }
            }
            same
        }
        (M::Type(x), M::Type(y)) => x == y,
        _ => a.compare(b) == Some(Ordering::Equal),
    })
}

pub(crate) fn arithmetic(it: &Rc<Interp>, op: Op, a: M, b: M) -> Result<M> {
    if op == Op::Concat {
        return match (&a, &b) {
            (M::Null, M::Null | M::Text(_)) | (M::Text(_), M::Null) => Ok(M::Null),
            (M::Text(x), M::Text(y)) => Ok(M::text(format!("{x}{y}"))),
            (M::List(x), M::List(y)) => {
                Ok(M::List(Rc::new(x.iter().chain(y.iter()).cloned().collect())))
            }
            (M::Record(x), M::Record(y)) => {
                let mut out = (**x).clone();
                for f in y.iter() {
                    match out.iter_mut().find(|o| o.0 == f.0) {
                        Some(o) => *o = f.clone(),
                        None => out.push(f.clone()),
                    }
                }
                Ok(M::Record(Rc::new(out)))
            }
            (M::Table(x), M::Table(y)) => {
                Ok(M::Table(Rc::new(steps::combine(vec![x.clone(), y.clone()]))))
            }
            (M::Date(d), M::Time(t)) => Ok(M::DateTime(d.with_time(*t))),
            _ => Err(unfit("join (&)", &a, &b)),
        };
    }
    let _ = it;
    let moved = |d: DateTime, by: i64| {
        d.0.checked_add(by)
            .map(DateTime)
            .ok_or_else(|| Error::evaluation("the date is out of range"))
    };
    let sign = if op == Op::Subtract { -1 } else { 1 };
    match (op, &a, &b) {
        (_, M::Null, _) | (_, _, M::Null) => Ok(M::Null),
        (_, M::Number(x), M::Number(y)) => Ok(M::Number(numbers(op, *x, *y))),
        (Op::Add | Op::Subtract, M::DateTime(d), M::Duration(t)) => {
            Ok(M::DateTime(moved(*d, t.saturating_mul(sign))?))
        }
        (Op::Add | Op::Subtract, M::Date(d), M::Duration(t)) => {
            Ok(M::Date(DateTime::from_days(moved(*d, t.saturating_mul(sign))?.days())))
        }
        (Op::Subtract, M::Date(x) | M::DateTime(x), M::Date(y) | M::DateTime(y)) => {
            Ok(M::Duration(x.0 - y.0))
        }
        (Op::Add | Op::Subtract, M::Duration(x), M::Duration(y)) => {
            Ok(M::Duration(x.saturating_add(y.saturating_mul(sign))))
        }
        (Op::Multiply, M::Duration(x), M::Number(n))
        | (Op::Multiply, M::Number(n), M::Duration(x)) => {
            Ok(M::Duration((*x as f64 * n.f64()).round() as i64))
        }
        _ => Err(unfit("calculate with", &a, &b)),
    }
}

fn numbers(op: Op, x: Num, y: Num) -> Num {
    if let (Num::Int(a), Num::Int(b)) = (x, y) {
        let exact = match op {
            Op::Add => a.checked_add(b),
            Op::Subtract => a.checked_sub(b),
            Op::Multiply => a.checked_mul(b),
            _ if b != 0 && a.checked_rem(b) == Some(0) => a.checked_div(b),
            _ => None,
        };
        if let Some(v) = exact {
            return Num::Int(v);
        }
    }
    if let (Num::Exact(a, s), Num::Exact(b, t)) = (x, y) {
        let exact = match op {
            Op::Add if s == t => a.checked_add(b).map(|v| Num::Exact(v, s)),
            Op::Subtract if s == t => a.checked_sub(b).map(|v| Num::Exact(v, s)),
            Op::Multiply if s + t <= 18 => a.checked_mul(b).map(|v| Num::Exact(v, s + t)),
            _ => None,
        };
        if let Some(v) = exact {
            return v;
        }
    }
    let (a, b) = (x.f64(), y.f64());
    Num::Double(match op {
        Op::Add => a + b,
        Op::Subtract => a - b,
        Op::Multiply => a * b,
        _ => a / b,
    })
}

struct Args<'a> {
    it: &'a Rc<Interp>,
    name: &'static str,
    args: &'a [Lazy],
}

impl Args<'_> {
    fn m(&self, i: usize) -> Result<M> {
        self.args.get(i).map_or(Ok(M::Null), |a| a.force(self.it))
    }
    fn wrong(&self, i: usize, want: &str, v: &M) -> Error {
        let (n, k) = (self.name, v.kind());
        Error::evaluation(format!("{n}: argument {} is a {k}, not a {want}", i + 1))
    }
    fn text(&self, i: usize) -> Result<Arc<str>> {
        match self.m(i)? {
            M::Text(t) => Ok(t),
            v => Err(self.wrong(i, "text", &v)),
        }
    }
    fn num(&self, i: usize) -> Result<Num> {
        match self.m(i)? {
            M::Number(n) => Ok(n),
            v => Err(self.wrong(i, "number", &v)),
        }
    }
    fn int(&self, i: usize) -> Result<i64> {
        let n = self.num(i)?;
        n.whole().ok_or_else(|| self.wrong(i, "whole number", &M::Number(n)))
    }
    fn count(&self, i: usize) -> Result<usize> {
        let n = self.int(i)?;
        usize::try_from(n).map_err(|_| self.wrong(i, "number from 0", &M::int(n)))
    }
    fn opt_text(&self, i: usize) -> Result<Option<Arc<str>>> {
        match self.m(i)? {
            M::Null => Ok(None),
            M::Text(t) => Ok(Some(t)),
            // A record of options may hold the culture.
            M::Record(r) => match r.iter().find(|f| &*f.0 == "Culture") {
                Some(f) => match f.1.force(self.it)? {
                    M::Text(t) => Ok(Some(t)),
                    _ => Ok(None),
                },
                None => Ok(None),
            },
            v => Err(self.wrong(i, "text", &v)),
        }
    }
    fn list(&self, i: usize) -> Result<Vec<M>> {
        match self.m(i)? {
            M::List(l) => l.iter().map(|v| v.force(self.it)).collect(),
            v => Err(self.wrong(i, "list", &v)),
        }
    }
    fn table(&self, i: usize) -> Result<Rc<Table>> {
        match self.m(i)? {
            M::Table(t) => Ok(t),
            v => Err(self.wrong(i, "table", &v)),
        }
    }
    fn items(&self, v: &M) -> Result<Vec<M>> {
        match v {
            M::List(l) => l.iter().map(|v| v.force(self.it)).collect(),
            v => Err(self.wrong(1, "list", v)),
        }
    }
    /// One name or a list of names.
    fn names(&self, i: usize) -> Result<Vec<Name>> {
        match self.m(i)? {
            M::Text(t) => Ok(vec![t]),
            v => self.names_of(&v),
        }
    }
    fn names_of(&self, v: &M) -> Result<Vec<Name>> {
        let mut out = Vec::new();
        for v in self.items(v)? {
            match v {
                M::Text(t) => out.push(t),
                v => return Err(self.wrong(1, "list of names", &v)),
            }
        }
        Ok(out)
    }
    /// A list of lists, or a single such list, each starting with a name.
    fn pairs(&self, i: usize) -> Result<Vec<Vec<M>>> {
        let items = self.list(i)?;
        if matches!(items.first(), Some(M::Text(_))) {
            return Ok(vec![items]);
        }
        items.iter().map(|p| self.items(p)).collect()
    }
    fn call(&self, f: &M, v: M) -> Result<M> {
        self.it.call(f, vec![Lazy::done(v)]).map(M::strip)
    }
}

pub(crate) fn call(it: &Rc<Interp>, name: &'static str, args: &[Lazy]) -> Result<M> {
    let a = Args { it, name, args };
    if name == "Value.Metadata" {
        return Ok(match args.first().map(|v| v.force_raw(it)).transpose()? {
            Some(M::WithMeta(p)) => p.1.clone(),
            _ => M::Record(Rc::default()),
        });
    }
    match name.split('.').next().unwrap_or_default() {
        "Table" | "#table" => table(&a).map(|t| match t {
            Made::Table(t) => M::Table(Rc::new(t)),
            Made::Value(v) => v,
        }),
        "Text" => text(&a),
        "List" | "Record" => list(&a),
        "File" | "Parquet" | "Csv" | "PostgreSQL" | "Value" | "#binary" => source(&a),
        _ => scalar(&a),
    }
}

enum Made {
    Table(Table),
    Value(M),
}

fn type_arg(a: &Args<'_>, v: &M) -> Result<MType> {
    match v {
        M::Type(t) => Ok((**t).clone()),
        v => Err(a.wrong(1, "type", v)),
    }
}

fn table(a: &Args<'_>) -> Result<Made> {
    Ok(Made::Table(match a.name {
        "#table" | "Table.FromRows" => {
            let (columns, rows) = if a.name == "#table" { (0, 1) } else { (1, 0) };
            let (names, types) = match a.m(columns)? {
                M::Type(t) => (t.columns.iter().map(|c| c.0.clone()).collect::<Vec<_>>(), Some(t)),
                M::Number(n) => {
                    let n = n.whole().unwrap_or(0).clamp(0, 16_384);
                    ((1..=n).map(|i| format!("Column{i}").into()).collect(), None)
                }
                v => (a.names_of(&v)?, None),
            };
            let mut out = Vec::new();
            for r in a.list(rows)? {
                let M::List(r) = r else { return Err(a.wrong(rows, "list of rows", &r)) };
                if r.len() != names.len() {
                    return Err(Error::evaluation(format!(
                        "{}: row {} has {} values for {} columns",
                        a.name,
                        out.len() + 1,
                        r.len(),
                        names.len()
                    )));
                }
                out.push((*r).clone());
            }
            let mut t = Table::literal(names, out);
            if let Some(ty) = types {
                t.types = ty.columns.iter().map(|c| Some(c.1.clone())).collect();
            }
            t
        }
        "Table.FromRecords" => {
            let mut names: Vec<Name> = Vec::new();
            let mut records = Vec::new();
            for r in a.list(0)? {
                let M::Record(r) = r else { return Err(a.wrong(0, "list of records", &r)) };
                for f in r.iter().filter(|_| records.is_empty()) {
                    names.push(f.0.clone());
                }
                records.push(r);
            }
            let null = || Lazy::done(M::Null);
            let cell = |r: &[(Name, Lazy)], n: &Name| {
                r.iter().find(|f| f.0 == *n).map_or_else(null, |f| f.1.clone())
            };
            let rows = records.iter().map(|r| names.iter().map(|n| cell(r, n)).collect()).collect();
            Table::literal(names, rows)
        }
        "Table.PromoteHeaders" => steps::promote(a.it, &a.table(0)?)?,
        "Table.SelectColumns" => {
            let optional = matches!(a.m(2)?, M::Number(n) if n.f64() != 0.0);
            Table::select(&a.table(0)?, &a.names(1)?, optional)?
        }
        "Table.RemoveColumns" => {
            let (t, gone) = (a.table(0)?, a.names(1)?);
            if matches!(a.m(2)?, M::Null) {
                t.positions(&gone)?;
            }
            let rest: Vec<Name> = t.names.iter().filter(|n| !gone.contains(n)).cloned().collect();
            Table::select(&t, &rest, false)?
        }
        "Table.ReorderColumns" => {
            let (t, order) = (a.table(0)?, a.names(1)?);
            t.positions(&order)?;
            let mut next = order.iter();
            let place = |n: &Name| if order.contains(n) { next.next().cloned() } else { None };
            let mut place = place;
            let names: Vec<Name> =
                t.names.iter().map(|n| place(n).unwrap_or_else(|| n.clone())).collect();
            Table::select(&t, &names, false)?
        }
        "Table.RenameColumns" => {
            let t = a.table(0)?;
            let mut names = t.names.clone();
            for p in a.pairs(1)? {
                let (Some(M::Text(old)), Some(M::Text(new))) = (p.first(), p.get(1)) else {
                    return Err(Error::evaluation("Table.RenameColumns: give {\"old\", \"new\"}"));
                };
                match t.position(old) {
                    Ok(i) => names[i] = new.clone(),
                    Err(_) if !matches!(a.m(2)?, M::Null) => {}
                    Err(e) => return Err(e),
                }
            }
            Table { names, types: t.types.clone(), origin: t.origin.clone() }
        }
        "Table.TransformColumnTypes" => {
            let t = a.table(0)?;
            let mut types = Vec::new();
            for p in a.pairs(1)? {
                let (Some(M::Text(n)), Some(ty)) = (p.first(), p.get(1)) else {
                    return Err(Error::evaluation(
                        "Table.TransformColumnTypes: give {\"column\", type}",
                    ));
                };
                types.push((n.clone(), type_arg(a, ty)?));
            }
            steps::change_types(&t, &types, a.opt_text(2)?)?
        }
        "Table.TransformColumns" => {
            let mut functions = Vec::new();
            for p in a.pairs(1)? {
                let (Some(M::Text(n)), Some(f)) = (p.first(), p.get(1)) else {
                    return Err(Error::evaluation(
                        "Table.TransformColumns: give {\"column\", function}",
                    ));
                };
                functions.push((n.clone(), f.clone(), None));
            }
            steps::transform(&a.table(0)?, functions)?
        }
        "Table.SelectRows" => steps::filter(&a.table(0)?, a.m(1)?),
        "Table.AddColumn" => {
            let ty = match a.m(3)? {
                M::Type(t) => Some((*t).clone()),
                _ => None,
            };
            steps::add_column(&a.table(0)?, a.text(1)?, a.m(2)?, ty)?
        }
        "Table.FirstN" => steps::window(&a.table(0)?, 0, Some(a.count(1)? as u64)),
        "Table.Skip" => {
            let n = if matches!(a.m(1)?, M::Null) { 1 } else { a.count(1)? };
            steps::window(&a.table(0)?, n as u64, None)
        }
        "Table.Distinct" => {
            let t = a.table(0)?;
            let by = if matches!(a.m(1)?, M::Null) { t.all() } else { t.positions(&a.names(1)?)? };
            steps::distinct(&t, by)
        }
        "Table.Combine" => {
            let mut tables = Vec::new();
            for t in a.list(0)? {
                let M::Table(t) = t else { return Err(a.wrong(0, "list of tables", &t)) };
                tables.push(t);
            }
            steps::combine(tables)
        }
        "Table.ColumnNames" => {
            return Ok(Made::Value(M::list(a.table(0)?.names.iter().cloned().map(M::Text))));
        }
        "Table.RowCount" => {
            let mut rows = a.table(0)?.origin.open(a.it, &[])?;
            let mut n = 0;
            while let Some(b) = rows.next()? {
                n += b.rows as i64;
            }
            return Ok(Made::Value(M::int(n)));
        }
        _ => return Ok(Made::Value(a.m(0)?)),
    }))
}

fn text(a: &Args<'_>) -> Result<M> {
    let v = a.m(0)?;
    if matches!(v, M::Null) && a.name != "Text.Combine" {
        return Ok(M::Null);
    }
    if a.name == "Text.From" {
        return to_type(&v, Base::Text, None);
    }
    if a.name == "Text.Combine" {
        let sep = a.opt_text(1)?.unwrap_or_default();
        let parts: Vec<String> = a.list(0)?.iter().filter_map(text_of).collect();
        return Ok(M::text(parts.join(&sep)));
    }
    let t = a.text(0)?;
    let len = || t.chars().count();
    let part = |from: usize, n: usize| M::text(t.chars().skip(from).take(n).collect::<String>());
    Ok(match a.name {
        "Text.Upper" => M::text(t.to_uppercase()),
        "Text.Lower" => M::text(t.to_lowercase()),
        "Text.Trim" => M::text(t.trim()),
        "Text.Length" => M::int(len() as i64),
        "Text.Start" => part(0, a.count(1)?),
        "Text.End" => part(len().saturating_sub(a.count(1)?), usize::MAX),
        "Text.Middle" => {
            let n = if matches!(a.m(2)?, M::Null) { usize::MAX } else { a.count(2)? };
            part(a.count(1)?, n)
        }
        "Text.Contains" => M::Logical(t.contains(&*a.text(1)?)),
        "Text.StartsWith" => M::Logical(t.starts_with(&*a.text(1)?)),
        "Text.EndsWith" => M::Logical(t.ends_with(&*a.text(1)?)),
        "Text.Replace" => M::text(t.replace(&*a.text(1)?, &a.text(2)?)),
        "Text.Split" => M::list(t.split(&*a.text(1)?).map(M::text)),
        _ => {
            let fill = a.opt_text(2)?.and_then(|f| f.chars().next()).unwrap_or(' ');
            let n = a.count(1)?.min(1_000_000).saturating_sub(len());
            M::text(format!("{}{t}", fill.to_string().repeat(n)))
        }
    })
}

fn list(a: &Args<'_>) -> Result<M> {
    if let M::Record(r) = a.m(0)? {
        return match a.name {
            "Record.FieldNames" => Ok(M::list(r.iter().map(|f| M::Text(f.0.clone())))),
            "Record.Field" => a.it.field(&M::Record(r), &a.text(1)?, false),
            _ => Err(a.wrong(0, "list", &M::Record(r))),
        };
    }
    if a.name == "List.Dates" || a.name == "List.Numbers" {
        let n = a.count(1)?.min(10_000_000);
        let step = if a.args.len() > 2 { a.m(2)? } else { M::int(1) };
        let (mut v, mut out) = (a.m(0)?, Vec::new());
        for _ in 0..n {
            let next = arithmetic(a.it, Op::Add, v.clone(), step.clone())?;
            out.push(std::mem::replace(&mut v, next));
        }
        return Ok(M::list(out));
    }
    let l = a.list(0)?;
    let best = |want: Ordering| {
        let values = l.iter().filter(|v| !matches!(v, M::Null)).cloned();
        values.reduce(|x, y| if y.compare(&x) == Some(want) { y } else { x }).unwrap_or(M::Null)
    };
    Ok(match a.name {
        "List.Count" => M::int(l.len() as i64),
        "List.First" => l.first().cloned().unwrap_or(M::Null),
        "List.Last" => l.last().cloned().unwrap_or(M::Null),
        "List.Max" => best(Ordering::Greater),
        "List.Min" => best(Ordering::Less),
        "List.Sum" => {
            let mut sum = M::Null;
            for v in l.into_iter().filter(|v| !matches!(v, M::Null)) {
                sum = if matches!(sum, M::Null) { v } else { arithmetic(a.it, Op::Add, sum, v)? };
            }
            sum
        }
        "List.Contains" => {
            let (w, mut hit) = (a.m(1)?, false);
            for v in &l {
                hit = hit || equal(a.it, v, &w)?;
            }
            M::Logical(hit)
        }
        "List.Distinct" => {
            let mut out: Vec<M> = Vec::new();
            for v in l {
                let mut seen = false;
                for o in &out {
                    seen = seen || equal(a.it, o, &v)?;
                }
                if !seen {
                    out.push(v);
                }
            }
            M::list(out)
        }
        "List.Transform" => {
            let f = a.m(1)?;
            M::list(l.into_iter().map(|v| a.call(&f, v)).collect::<Result<Vec<_>>>()?)
        }
        "List.Select" => {
            let (f, mut out) = (a.m(1)?, Vec::new());
            for v in l {
                if logical(a.call(&f, v.clone())?)? {
                    out.push(v);
                }
            }
            M::list(out)
        }
        _ => return Err(a.wrong(0, "record", &M::list(l))),
    })
}

fn csv_options(a: &Args<'_>) -> Result<csv_file::Options> {
    let mut o = csv_file::Options {
        delimiter: b',',
        encoding: 65001,
        quoted_breaks: true,
        columns: None,
        width: None,
    };
    let mut given: Vec<(Name, M)> = Vec::new();
    match a.m(1)? {
        M::Record(r) => {
            for f in r.iter() {
                given.push((f.0.clone(), f.1.force(a.it)?));
            }
        }
        v => {
            given.push(("Columns".into(), v));
            given.push(("Delimiter".into(), a.m(2)?));
            given.push(("Encoding".into(), a.m(4)?));
        }
    }
    for (n, v) in given {
        match (&*n, v) {
            (_, M::Null) | ("CsvStyle" | "ExtraValues" | "IncludeByteOrderMark", _) => {}
            ("Delimiter", M::Text(t)) if t.len() == 1 => {
                o.delimiter = t.as_bytes().first().copied().unwrap_or(b',');
            }
            ("Delimiter", v) => {
                return Err(Error::unsupported(format!(
                    "Csv.Document: the delimiter must be one ASCII character, not {}",
                    text_of(&v).map_or_else(|| v.kind().to_owned(), |t| format!("'{t}'"))
                )));
            }
            ("Encoding", M::Number(e)) => o.encoding = e.whole().unwrap_or(-1),
            ("QuoteStyle", M::Number(q)) => o.quoted_breaks = q.f64() != 0.0,
            ("Columns", M::Number(w)) => {
                o.width = w.whole().and_then(|w| usize::try_from(w).ok()).filter(|w| *w <= 16_384);
            }
            ("Columns", M::Type(t)) => {
                o.columns = Some(t.columns.iter().map(|c| c.0.clone()).collect());
            }
            ("Columns", v) => o.columns = Some(a.names_of(&v)?),
            (n, _) => {
                return Err(Error::unsupported(format!("Csv.Document has no option {n} here")));
            }
        }
    }
    Ok(o)
}

fn source(a: &Args<'_>) -> Result<M> {
    let binary = || match a.m(0)? {
        M::Binary(b) => Ok(b),
        M::Text(t) if a.name == "Csv.Document" => {
            Ok(Rc::new(Binary::Bytes(Rc::new(t.as_bytes().to_vec()))))
        }
        v => Err(a.wrong(0, "binary", &v)),
    };
    Ok(match a.name {
        "File.Contents" => {
            let p = a.it.ctx.policy.resolve(&a.text(0)?, &a.it.ctx.working_dir)?;
            a.it.ctx.files.note(&p);
            M::Binary(Rc::new(Binary::File(p)))
        }
        "Parquet.Document" => M::Table(Rc::new(parquet_file::open(&*binary()?)?)),
        "Csv.Document" => M::Table(Rc::new(csv_file::open(&*binary()?, csv_options(a)?)?)),
        "PostgreSQL.Database" => {
            let (server, database) = (a.text(0)?, a.text(1)?);
            let target = crate::connection::of_address(&server, &database, &a.it.ctx.data_sources)?;
            let target = Rc::new(a.it.ctx.logins.complete(target));
            if let M::Record(o) = a.m(2)?
                && let Some(q) = o.iter().find(|f| &*f.0 == "Query")
                && let M::Text(sql) = q.1.force(a.it)?
            {
                return postgres::query(&target, &sql).map(|t| M::Table(Rc::new(t)));
            }
            M::Navigation(target)
        }
        "Value.NativeQuery" => match a.m(0)? {
            M::Navigation(t) => M::Table(Rc::new(postgres::query(&t, &a.text(1)?)?)),
            v => return Err(a.wrong(0, "database", &v)),
        },
        _ => {
            let byte = |v: &M| match v {
                M::Number(n) => n.whole().and_then(|i| u8::try_from(i).ok()),
                _ => None,
            };
            let bytes: Option<Vec<u8>> = a.list(0)?.iter().map(byte).collect();
            let bytes = bytes.ok_or_else(|| Error::evaluation("#binary takes bytes, 0 to 255"))?;
            M::Binary(Rc::new(Binary::Bytes(Rc::new(bytes))))
        }
    })
}

fn scalar(a: &Args<'_>) -> Result<M> {
    if matches!(a.m(0)?, M::Null) {
        return Ok(M::Null);
    }
    let bad = || Error::evaluation(format!("{}: there is no such date or time", a.name));
    let ymd = || -> Result<DateTime> {
        let (y, m, d) = (a.int(0)?, a.int(1)?, a.int(2)?);
        let (Ok(m), Ok(d)) = (u32::try_from(m), u32::try_from(d)) else { return Err(bad()) };
        DateTime::from_ymd(y.clamp(0, 10_000) as i32, m, d)
            .filter(|_| (1..=9999).contains(&y))
            .ok_or_else(bad)
    };
    let clock = |i: usize| -> Result<i64> {
        let (h, m, s) = (a.int(i)?, a.int(i + 1)?, a.num(i + 2)?.f64());
        if !(0..24).contains(&h) || !(0..60).contains(&m) || !(0.0..60.0).contains(&s) {
            return Err(bad());
        }
        Ok((h * 3600 + m * 60) * 1_000_000 + (s * 1e6).round() as i64)
    };
    let day = || match a.m(0)? {
        M::Date(d) | M::DateTime(d) => Ok(d),
        v => Err(a.wrong(0, "date", &v)),
    };
    // The same kind of value as the argument, on another day.
    let on = |d: DateTime| match a.m(0) {
        Ok(M::DateTime(t)) => M::DateTime(d.with_time(t.time_micros())),
        _ => M::Date(d),
    };
    let months = |by: i64| -> Result<M> {
        let (y, m, d) = day()?.ymd();
        let n = i64::from(y) * 12 + i64::from(m) - 1 + by;
        let (y, m) = (n.div_euclid(12).clamp(0, 9999) as i32, n.rem_euclid(12) as u32 + 1);
        DateTime::from_ymd(y, m, d.min(days_in_month(y, m))).map(on).ok_or_else(bad)
    };
    let digits = |f: fn(f64) -> f64| -> Result<M> {
        let n = a.num(0)?;
        let p = if matches!(a.m(1)?, M::Null) { 0 } else { a.int(1)?.clamp(-15, 15) };
        let scale = 10f64.powi(p as i32);
        let v = f(n.f64() * scale) / scale;
        Ok(M::Number(Num::Double(v).whole().map_or(Num::Double(v), Num::Int)))
    };
    Ok(match a.name {
        "#date" => M::Date(ymd()?),
        "#datetime" => M::DateTime(ymd()?.with_time(clock(3)?)),
        "#time" => M::Time(clock(0)?),
        "#duration" => {
            let seconds = a.num(1)?.f64() * 3600.0 + a.num(2)?.f64() * 60.0 + a.num(3)?.f64();
            let days = a.num(0)?.f64() * MICROS_PER_DAY as f64;
            M::Duration((days + seconds * 1e6).round() as i64)
        }
        "Date.Year" => M::int(day()?.ymd().0.into()),
        "Date.Month" => M::int(day()?.ymd().1.into()),
        "Date.Day" => M::int(day()?.ymd().2.into()),
        "Date.QuarterOfYear" => M::int(i64::from(day()?.ymd().1.div_ceil(3))),
        "Date.DayOfWeek" => {
            let first = if matches!(a.m(1)?, M::Null) { 0 } else { a.int(1)? };
            M::int((i64::from(day()?.weekday()) - first).rem_euclid(7))
        }
        "Date.AddDays" => {
            let d = day()?.days().checked_add(a.int(1)?).filter(|d| d.abs() < 4_000_000);
            on(DateTime::from_days(d.ok_or_else(bad)?))
        }
        "Date.AddMonths" => months(a.int(1)?.clamp(-200_000, 200_000))?,
        "Date.AddYears" => months(a.int(1)?.clamp(-10_000, 10_000) * 12)?,
        "Date.StartOfMonth" | "Date.StartOfYear" | "Date.EndOfMonth" => {
            let (y, m, _) = day()?.ymd();
            let (m, d) = match a.name {
                "Date.StartOfYear" => (1, 1),
                "Date.EndOfMonth" => (m, days_in_month(y, m)),
                _ => (m, 1),
            };
            M::Date(DateTime::from_ymd(y, m, d).ok_or_else(bad)?)
        }
        "Date.From" | "Date.FromText" | "DateTime.Date" => {
            to_type(&a.m(0)?, Base::Date, a.opt_text(1)?.as_deref())?
        }
        "DateTime.From" | "DateTime.FromText" => {
            to_type(&a.m(0)?, Base::DateTime, a.opt_text(1)?.as_deref())?
        }
        "DateTime.Time" => to_type(&a.m(0)?, Base::Time, None)?,
        "Date.ToText" => {
            let (y, m, d) = day()?.ymd();
            match a.opt_text(1)? {
                Some(f) => M::text(
                    f.replace("yyyy", &format!("{y:04}"))
                        .replace("MM", &format!("{m:02}"))
                        .replace("dd", &format!("{d:02}")),
                ),
                None => to_type(&a.m(0)?, Base::Text, None)?,
            }
        }
        "Duration.Days" | "Duration.TotalDays" => match a.m(0)? {
            M::Duration(d) if a.name == "Duration.Days" => M::int(d / MICROS_PER_DAY),
            M::Duration(d) => M::double(d as f64 / MICROS_PER_DAY as f64),
            v => return Err(a.wrong(0, "duration", &v)),
        },
        "Number.FromText" => {
            let t = a.text(0)?;
            M::Number(parse_number(&t).ok_or_else(|| {
                Error::evaluation(format!("cannot convert the text '{t}' to a number"))
            })?)
        }
        "Number.From" | "Decimal.From" => to_type(&a.m(0)?, Base::Number, None)?,
        "Double.From" => to_type(&a.m(0)?, Base::Double, None)?,
        "Int64.From" | "Int32.From" | "Byte.From" => to_type(&a.m(0)?, Base::Int64, None)?,
        "Currency.From" => to_type(&a.m(0)?, Base::Currency, None)?,
        "Logical.From" => to_type(&a.m(0)?, Base::Logical, None)?,
        "Number.ToText" => match a.m(1)? {
            M::Null => to_type(&a.m(0)?, Base::Text, None)?,
            _ => return Err(Error::unsupported("Number.ToText with a format is not supported")),
        },
        "Number.Abs" => M::double(a.num(0)?.f64().abs()),
        "Number.Round" => digits(f64::round_ties_even)?,
        "Number.RoundDown" => digits(f64::floor)?,
        "Number.RoundUp" => digits(f64::ceil)?,
        "Number.Mod" => {
            let (x, y) = (a.num(0)?.f64(), a.num(1)?.f64());
            let v = x - y * (x / y).trunc();
            M::Number(Num::Double(v).whole().map_or(Num::Double(v), Num::Int))
        }
        "Number.IntegerDivide" => {
            let v = (a.num(0)?.f64() / a.num(1)?.f64()).trunc();
            M::Number(Num::Double(v).whole().map_or(Num::Double(v), Num::Int))
        }
        "Number.Power" => M::double(a.num(0)?.f64().powf(a.num(1)?.f64())),
        n => {
            return Err(Error::unsupported(format!(
                "the M function or source '{n}' is not supported"
            )));
        }
    })
}
