//! Functions of tables: each makes a table that is read when its rows are wanted.

use std::rc::Rc;

use evercube_base::{Error, Result};

use super::super::value::{Function, Lazy, M, MType};
use super::args::Args;
use crate::steps;
use crate::table::{Name, Table};

pub(super) const NAMES: &[&str] = &[
    "#table",
    "Splitter.SplitByNothing",
    "Table.AddColumn",
    "Table.Buffer",
    "Table.ColumnNames",
    "Table.Combine",
    "Table.Distinct",
    "Table.FirstN",
    "Table.FromList",
    "Table.FromRecords",
    "Table.FromRows",
    "Table.IsEmpty",
    "Table.PrefixColumns",
    "Table.PromoteHeaders",
    "Table.RemoveColumns",
    "Table.RenameColumns",
    "Table.ReorderColumns",
    "Table.RowCount",
    "Table.SelectColumns",
    "Table.SelectRows",
    "Table.Skip",
    "Table.TransformColumnNames",
    "Table.TransformColumnTypes",
    "Table.TransformColumns",
];

pub(super) fn call(a: &Args<'_>) -> Result<M> {
    let made = match a.name {
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
            return Ok(M::list(a.table(0)?.names.iter().cloned().map(M::Text)));
        }
        "Table.TransformColumnNames" => {
            let (t, f) = (a.table(0)?, a.m(1)?);
            renamed(a, &t, |n| match a.call(&f, M::Text(n.clone()))? {
                M::Text(n) => Ok(n),
                v => Err(a.wrong(1, "function that gives text", &v)),
            })?
        }
        "Table.PrefixColumns" => {
            let (t, prefix) = (a.table(0)?, a.text(1)?);
            renamed(a, &t, |n| Ok(format!("{prefix}.{n}").into()))?
        }
        "Table.FromList" => from_list(a)?,
        // As a function of one value: the list of it alone.
        "Splitter.SplitByNothing" => {
            return Ok(match a.args {
                [] => M::Function(Rc::new(Function::Builtin(a.name))),
                _ => M::list([a.m(0)?]),
            });
        }
        "Table.IsEmpty" => {
            let mut rows = a.table(0)?.origin.open(a.it, &[])?;
            while let Some(b) = rows.next()? {
                if b.rows > 0 {
                    return Ok(M::Logical(false));
                }
            }
            return Ok(M::Logical(true));
        }
        "Table.RowCount" => {
            let mut rows = a.table(0)?.origin.open(a.it, &[])?;
            let mut n = 0;
            while let Some(b) = rows.next()? {
                n += b.rows as i64;
            }
            return Ok(M::int(n));
        }
        // Table.Buffer: a table is read when it is wanted.
        _ => return a.m(0),
    };
    Ok(M::Table(Rc::new(made)))
}

fn type_arg(a: &Args<'_>, v: &M) -> Result<MType> {
    match v {
        M::Type(t) => Ok((**t).clone()),
        v => Err(a.wrong(1, "type", v)),
    }
}

/// The table with names that a function makes of its own.
fn renamed(a: &Args<'_>, t: &Rc<Table>, name: impl Fn(&Name) -> Result<Name>) -> Result<Table> {
    let names: Vec<Name> = t.names.iter().map(name).collect::<Result<_>>()?;
    let twice = (0..names.len()).find(|i| names[..*i].contains(&names[*i]));
    match twice {
        Some(i) => Err(Error::evaluation(format!(
            "{}: two columns would have the name '{}'",
            a.name, names[i]
        ))),
        None => Ok(Table { names, types: t.types.clone(), origin: t.origin.clone() }),
    }
}

/// `Table.FromList ( list, [splitter], [columns] )`: without a splitter values are texts that commas
/// cut.
fn from_list(a: &Args<'_>) -> Result<Table> {
    let splitter = a.m(1)?;
    let mut rows = Vec::new();
    for v in a.list(0)? {
        let cells = match (&splitter, &v) {
            (M::Null, M::Text(t)) => t.split(',').map(M::text).collect(),
            (M::Null, v) => return Err(a.wrong(0, "list of texts", v)),
            (f, _) => a.items(&a.call(f, v.clone())?)?,
        };
        rows.push(cells);
    }
    let names: Vec<Name> = match a.m(2)? {
        M::Null => {
            let width = rows.iter().map(Vec::len).max().unwrap_or(1);
            (1..=width).map(|i| format!("Column{i}").into()).collect()
        }
        _ => a.names(2)?,
    };
    if let Some(row) = rows.iter().find(|r| r.len() > names.len()) {
        return Err(Error::evaluation(format!(
            "Table.FromList: a row has {} values for {} columns",
            row.len(),
            names.len()
        )));
    }
    let cells = rows.into_iter().map(|row: Vec<M>| {
        let missing = names.len() - row.len();
        row.into_iter().map(Lazy::done).chain((0..missing).map(|_| Lazy::done(M::Null))).collect()
    });
    let rows = cells.collect();
    Ok(Table::literal(names, rows))
}
