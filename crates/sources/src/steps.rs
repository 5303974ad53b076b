//! The steps of a query over tables: filter, types, computed columns, limits, headers, and so on.

use std::collections::{BTreeSet, HashSet};
use std::rc::Rc;

use evercube_base::{Error, Result};

use crate::convert;
use crate::m::ast::{Expr, Item, Kind};
use crate::m::eval::Interp;
use crate::m::value::{Function, Lazy, M, MType};
use crate::table::{Batch, Cells, Column, Name, Origin, Rows, Table};

type Next = Box<dyn FnMut(&Rc<Interp>, Batch) -> Result<Option<Batch>>>;

/// Batches of an input changed one at a time; `None` from the step ends the stream.
struct Mapped {
    it: Rc<Interp>,
    input: Box<dyn Rows>,
    step: Next,
}

impl Rows for Mapped {
    fn next(&mut self) -> Result<Option<Batch>> {
        while let Some(b) = self.input.next()? {
            match (self.step)(&self.it, b)? {
                Some(b) if b.rows == 0 => {}
                r => return Ok(r),
            }
        }
        Ok(None)
    }
}

/// A step made by a closure that opens its input itself.
struct Step<F>(F);

impl<F: Fn(&Rc<Interp>, &[usize]) -> Result<Box<dyn Rows>>> Origin for Step<F> {
    fn open(&self, it: &Rc<Interp>, wanted: &[usize]) -> Result<Box<dyn Rows>> {
        (self.0)(it, wanted)
    }
}

fn step<F>(f: F) -> Rc<dyn Origin>
where
    F: Fn(&Rc<Interp>, &[usize]) -> Result<Box<dyn Rows>> + 'static,
{
    Rc::new(Step(f))
}

fn mapped(it: &Rc<Interp>, input: Box<dyn Rows>, step: Next) -> Box<dyn Rows> {
    Box::new(Mapped { it: it.clone(), input, step })
}

fn same(t: &Table, origin: Rc<dyn Origin>) -> Table {
    Table { names: t.names.clone(), types: t.types.clone(), origin }
}

/// Fields a row function reads; `None` when it uses the row as a whole.
fn fields_used(f: &M) -> Option<BTreeSet<Name>> {
    let M::Function(f) = f else { return None };
    let Function::Closure { params, body, .. } = &**f else { return None };
    let [p] = params.as_slice() else { return None };
    let mut out = BTreeSet::new();
    walk(body, &p.name, &mut out).then_some(out)
}

fn walk(e: &Expr, row: &Name, out: &mut BTreeSet<Name>) -> bool {
    let mut all = |es: &[&Rc<Expr>]| es.iter().all(|e| walk(e, row, out));
    match &e.kind {
        Kind::Name(n) => n != row,
        Kind::Field { of, name, .. } => {
            if matches!(&of.kind, Kind::Name(n) if n == row) {
                out.insert(name.clone());
                true
            } else {
                all(&[of])
            }
        }
        Kind::Let(b, e) => b.iter().all(|b| walk(&b.1, row, out)) && walk(e, row, out),
        Kind::If(a, b, c) => all(&[a, b, c]),
        Kind::Function(p, body) => p.iter().any(|p| p.name == *row) || all(&[body]),
        Kind::Record(f) => f.iter().all(|f| walk(&f.1, row, out)),
        Kind::List(items) => items.iter().all(|i| match i {
            Item::Single(a) => walk(a, row, out),
            Item::Range(a, b) => walk(a, row, out) && walk(b, row, out),
        }),
        Kind::Projection { of, .. } => all(&[of]),
        Kind::Select { of, index, .. } => all(&[of, index]),
        Kind::Call(f, args) => walk(f, row, out) && args.iter().all(|a| walk(a, row, out)),
        Kind::Unary(_, a) | Kind::Error(a) | Kind::Is(a, _) | Kind::As(a, _) => all(&[a]),
        Kind::Binary(_, a, b) => all(&[a, b]),
        Kind::Try { body, otherwise, .. } => {
            walk(body, row, out) && otherwise.as_ref().is_none_or(|o| walk(o, row, out))
        }
        Kind::Null
        | Kind::Logical(_)
        | Kind::Int(_)
        | Kind::Double(_)
        | Kind::Text(_)
        | Kind::Type(_)
        | Kind::NotImplemented => true,
    }
}

/// The columns a row function needs: names and positions.
fn needed(t: &Table, f: &M) -> (Vec<Name>, Vec<usize>) {
    let at: Vec<usize> = match fields_used(f) {
        Some(used) => used.iter().filter_map(|n| t.position(n).ok()).collect(),
        None => t.all(),
    };
    (at.iter().filter_map(|i| t.names.get(*i).cloned()).collect(), at)
}

fn row_record(names: &[Name], columns: &[Column], row: usize) -> Result<M> {
    let mut out = Vec::with_capacity(names.len());
    for (n, c) in names.iter().zip(columns) {
        out.push((n.clone(), Lazy::done(c.cell(row)?)));
    }
    Ok(M::Record(Rc::new(out)))
}

/// An error with the row it is about, of a batch that comes after `done` rows.
fn of_row(e: Error, b: &Batch, row: usize, done: u64) -> Error {
    let number = done + row as u64 + 1;
    let words = b.columns.first().map(|c| c.row_words(row, number));
    e.context(words.unwrap_or_else(|| format!("row {number}")))
}

/// `Table.SelectRows`
pub(crate) fn filter(t: &Rc<Table>, f: M) -> Table {
    let input = t.clone();
    same(
        t,
        step(move |it, wanted| {
            let (names, at) = needed(&input, &f);
            let (keep, f) = (wanted.len(), f.clone());
            let all: Vec<usize> = wanted.iter().copied().chain(at).collect();
            let rows = input.origin.open(it, &all)?;
            let mut done = 0;
            let next: Next = Box::new(move |it, b| {
                let extra = b.columns.get(keep..).unwrap_or_default();
                let mut chosen = Vec::new();
                for r in 0..b.rows {
                    let row = Lazy::done(row_record(&names, extra, r)?);
                    let answer = it.call(&f, vec![row]).map_err(|e| of_row(e, &b, r, done))?;
                    match answer.strip() {
                        M::Logical(true) => chosen.push(r as u32),
                        M::Logical(false) => {}
                        v => {
                            return Err(Error::evaluation(format!(
                                "the condition of Table.SelectRows gives a {} instead of true or \
                                 false",
                                v.kind()
                            )));
                        }
                    }
                }
                done += b.rows as u64;
                let mut out = if chosen.len() == b.rows { b } else { b.take(chosen) };
                out.columns.truncate(keep);
                Ok(Some(out))
            });
            Ok(mapped(it, rows, next))
        }),
    )
}

type CellStep = Rc<dyn Fn(&Rc<Interp>, M) -> Result<M>>;

/// Each column through its own function, where it has one.
fn per_cell(t: &Rc<Table>, steps: Vec<Option<(CellStep, Option<MType>)>>) -> Table {
    let input = t.clone();
    let steps = Rc::new(steps);
    let types = steps.clone();
    let mut out = same(
        t,
        step(move |it, wanted| {
            let rows = input.origin.open(it, wanted)?;
            let names: Vec<Name> =
                wanted.iter().filter_map(|w| input.names.get(*w).cloned()).collect();
            let (wanted, steps, mut done) = (wanted.to_vec(), steps.clone(), 0u64);
            let next: Next = Box::new(move |it, mut b| {
                for ((c, w), n) in b.columns.iter_mut().zip(&wanted).zip(&names) {
                    let Some(Some((f, t))) = steps.get(*w) else { continue };
                    if t.as_ref().is_some_and(|t| convert::keeps(t, c)) {
                        continue;
                    }
                    let mut out = Vec::with_capacity(b.rows);
                    for r in 0..b.rows {
                        out.push(f(it, c.cell(r)?).map_err(|e| {
                            let row = c.row_words(r, done + r as u64 + 1);
                            e.context(format!("column [{n}], {row}"))
                        })?);
                    }
                    *c = c.made(out);
                }
                done += b.rows as u64;
                Ok(Some(b))
            });
            Ok(mapped(it, rows, next))
        }),
    );
    for (t, s) in out.types.iter_mut().zip(types.iter()) {
        if let Some((_, Some(ty))) = s {
            *t = Some(ty.clone());
        }
    }
    out
}

/// `Table.TransformColumnTypes`
pub(crate) fn change_types(
    t: &Rc<Table>,
    types: &[(Name, MType)],
    culture: Option<Name>,
) -> Result<Table> {
    let mut steps: Vec<Option<(CellStep, Option<MType>)>> = vec![None; t.names.len()];
    for (n, ty) in types {
        let (at, to, culture) = (t.position(n)?, ty.clone(), culture.clone());
        let f: CellStep = Rc::new(move |_, v| convert::to_type(&v, to.base, culture.as_deref()));
        if let Some(s) = steps.get_mut(at) {
            *s = Some((f, Some(ty.clone())));
        }
    }
    Ok(per_cell(t, steps))
}

/// `Table.TransformColumns`
pub(crate) fn transform(t: &Rc<Table>, functions: Vec<(Name, M, Option<MType>)>) -> Result<Table> {
    let mut steps: Vec<Option<(CellStep, Option<MType>)>> = vec![None; t.names.len()];
    for (n, f, _) in functions {
        let at = t.position(&n)?;
        let f: CellStep = Rc::new(move |it, v| it.call(&f, vec![Lazy::done(v)]).map(M::strip));
        if let Some(s) = steps.get_mut(at) {
            *s = Some((f, None));
        }
    }
    Ok(per_cell(t, steps))
}

/// `Table.AddColumn`
pub(crate) fn add_column(t: &Rc<Table>, name: Name, f: M, ty: Option<MType>) -> Result<Table> {
    if t.names.contains(&name) {
        return Err(Error::evaluation(format!("the table has a column [{name}] already")));
    }
    let input = t.clone();
    let new = t.names.len();
    let shown = name.clone();
    let origin = step(move |it, wanted| {
        let (names, at) = needed(&input, &f);
        let plain: Vec<usize> = wanted.iter().copied().filter(|w| *w != new).collect();
        if plain.len() == wanted.len() {
            return input.origin.open(it, wanted);
        }
        let (keep, f, wanted) = (plain.len(), f.clone(), wanted.to_vec());
        let all: Vec<usize> = plain.iter().copied().chain(at).collect();
        let rows = input.origin.open(it, &all)?;
        let (shown, mut done) = (shown.clone(), 0);
        let next: Next = Box::new(move |it, b| {
            let extra = b.columns.get(keep..).unwrap_or_default();
            let mut out = Vec::with_capacity(b.rows);
            for r in 0..b.rows {
                let row = Lazy::done(row_record(&names, extra, r)?);
                let cell = it
                    .call(&f, vec![row])
                    .map_err(|e| of_row(e, &b, r, done).context(format!("column [{shown}]")))?;
                out.push(cell.strip());
            }
            done += b.rows as u64;
            let made = match b.columns.first() {
                Some(beside) => beside.made(out),
                None => Column::values(out),
            };
            let mut old = b.columns.iter();
            let columns = wanted
                .iter()
                .filter_map(|w| if *w == new { Some(made.clone()) } else { old.next().cloned() })
                .collect();
            Ok(Some(Batch { columns, rows: b.rows }))
        });
        Ok(mapped(it, rows, next))
    });
    let mut out = same(t, origin);
    out.names.push(name);
    out.types.push(ty);
    Ok(out)
}

/// Rows from `skip` on, at most `count` of them.
pub(crate) fn window(t: &Rc<Table>, skip: u64, count: Option<u64>) -> Table {
    let input = t.clone();
    same(
        t,
        step(move |it, wanted| {
            let rows = input.origin.open(it, wanted)?;
            let (mut skip, mut left) = (skip, count.unwrap_or(u64::MAX));
            let next: Next = Box::new(move |_, b| {
                if left == 0 {
                    return Ok(None);
                }
                let n = b.rows as u64;
                let from = skip.min(n);
                let to = n.min(from.saturating_add(left));
                skip -= from;
                left -= to - from;
                if from == 0 && to == n {
                    return Ok(Some(b));
                }
                Ok(Some(b.take((from as u32..to as u32).collect())))
            });
            Ok(mapped(it, rows, next))
        }),
    )
}

/// `Table.PromoteHeaders`
pub(crate) fn promote(it: &Rc<Interp>, t: &Rc<Table>) -> Result<Table> {
    let Some(M::Record(first)) = t.row(it, 0)? else { return Ok(same(t, t.origin.clone())) };
    let mut names: Vec<Name> = Vec::new();
    for (i, (_, v)) in first.iter().enumerate() {
        let text = match convert::to_type(&v.force(it)?, crate::m::value::Base::Text, None)? {
            M::Text(t) if !t.is_empty() => t,
            _ => format!("Column{}", i + 1).into(),
        };
        let mut name = text.clone();
        let mut n = 1;
        while names.contains(&name) {
            name = format!("{text}_{n}").into();
            n += 1;
        }
        names.push(name);
    }
    Ok(Table { names, ..window(t, 1, None) })
}

/// `Table.Distinct` over the whole row or the named columns.
pub(crate) fn distinct(t: &Rc<Table>, by: Vec<usize>) -> Table {
    let input = t.clone();
    same(
        t,
        step(move |it, wanted| {
            let keep = wanted.len();
            let all: Vec<usize> = wanted.iter().chain(&by).copied().collect();
            let rows = input.origin.open(it, &all)?;
            let mut seen: HashSet<String> = HashSet::new();
            let next: Next = Box::new(move |it, b| {
                let mut chosen = Vec::new();
                for r in 0..b.rows {
                    let mut key = String::new();
                    for c in b.columns.get(keep..).unwrap_or_default() {
                        key.push_str(&crate::m::print::print(it, &c.cell(r)?)?);
                        key.push('\u{1}');
                    }
                    if seen.insert(key) {
                        chosen.push(r as u32);
                    }
                }
                let mut b = b.take(chosen);
                b.columns.truncate(keep);
                Ok(Some(b))
            });
            Ok(mapped(it, rows, next))
        }),
    )
}

struct Chain {
    it: Rc<Interp>,
    inputs: std::vec::IntoIter<Rc<Table>>,
    wanted: Vec<Name>,
    now: Option<Box<dyn Rows>>,
}

impl Rows for Chain {
    fn next(&mut self) -> Result<Option<Batch>> {
        loop {
            if let Some(rows) = &mut self.now
                && let Some(b) = rows.next()?
            {
                return Ok(Some(b));
            }
            let Some(t) = self.inputs.next() else { return Ok(None) };
            let t = Table::select(&t, &self.wanted, true)?;
            self.now = Some(t.origin.open(&self.it, &t.all())?);
        }
    }
}

/// `Table.Combine`: one after the other, columns matched by name.
pub(crate) fn combine(tables: Vec<Rc<Table>>) -> Table {
    let mut names: Vec<Name> = Vec::new();
    for n in tables.iter().flat_map(|t| &t.names) {
        if !names.contains(n) {
            names.push(n.clone());
        }
    }
    let all = names.clone();
    let origin = step(move |it, wanted| {
        Ok(Box::new(Chain {
            it: it.clone(),
            inputs: tables.clone().into_iter(),
            wanted: wanted.iter().filter_map(|w| all.get(*w).cloned()).collect(),
            now: None,
        }))
    });
    Table::new(names, origin)
}

/// True for cells that hold text already.
pub(crate) fn is_text(c: &Column) -> bool {
    match &c.cells {
        Cells::Arrow(a) => match a.data_type() {
            arrow_schema::DataType::Utf8 => true,
            arrow_schema::DataType::Dictionary(_, of) => **of == arrow_schema::DataType::Utf8,
            _ => false,
        },
        Cells::Values(_) => false,
    }
}
