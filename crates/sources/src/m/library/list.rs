//! Functions of lists.

use std::cmp::Ordering;

use evercube_base::{Error, Result};

use super::super::ast::Op;
use super::super::eval::logical;
use super::super::value::{Lazy, M};
use super::args::Args;
use super::operators::{arithmetic, equal};

pub(super) const NAMES: &[&str] = &[
    "List.Accumulate",
    "List.AllTrue",
    "List.AnyTrue",
    "List.Average",
    "List.Combine",
    "List.Contains",
    "List.Count",
    "List.Dates",
    "List.Distinct",
    "List.First",
    "List.FirstN",
    "List.Generate",
    "List.IsEmpty",
    "List.Last",
    "List.Max",
    "List.Min",
    "List.NonNullCount",
    "List.Numbers",
    "List.PositionOf",
    "List.RemoveNulls",
    "List.Repeat",
    "List.Reverse",
    "List.Select",
    "List.Skip",
    "List.Sort",
    "List.Sum",
    "List.Transform",
    "List.Zip",
];

/// Values of a list that a function makes.
const MOST: usize = 10_000_000;

pub(super) fn call(a: &Args<'_>) -> Result<M> {
    if a.name == "List.Dates" || a.name == "List.Numbers" {
        let n = a.count(1)?.min(MOST);
        let step = if a.args.len() > 2 { a.m(2)? } else { M::int(1) };
        let (mut v, mut out) = (a.m(0)?, Vec::new());
        for _ in 0..n {
            let next = arithmetic(Op::Add, v.clone(), step.clone())?;
            out.push(std::mem::replace(&mut v, next));
        }
        return Ok(M::list(out));
    }
    if a.name == "List.Generate" {
        return generate(a);
    }
    let l = a.list(0)?;
    let best = |want: Ordering| {
        let values = l.iter().filter(|v| !matches!(v, M::Null)).cloned();
        values.reduce(|x, y| if y.compare(&x) == Some(want) { y } else { x }).unwrap_or(M::Null)
    };
    Ok(match a.name {
        "List.Count" => M::int(l.len() as i64),
        "List.NonNullCount" => M::int(non_null(l).count() as i64),
        "List.IsEmpty" => M::Logical(l.is_empty()),
        "List.RemoveNulls" => M::list(non_null(l)),
        "List.Reverse" => M::list(l.into_iter().rev()),
        "List.FirstN" => M::list(l.into_iter().take(a.count(1)?)),
        "List.Skip" => {
            let n = if matches!(a.m(1)?, M::Null) { 1 } else { a.count(1)? };
            M::list(l.into_iter().skip(n))
        }
        "List.Repeat" => {
            let n = a.count(1)?;
            if n.saturating_mul(l.len()) > MOST {
                return Err(too_many(a));
            }
            M::list((0..n).flat_map(|_| l.clone()))
        }
        "List.Average" => {
            let values: Vec<M> = non_null(l).collect();
            let n = M::int(values.len() as i64);
            match total(values)? {
                M::Null => M::Null,
                sum => arithmetic(Op::Divide, sum, n)?,
            }
        }
        "List.AllTrue" | "List.AnyTrue" => {
            let wanted = a.name == "List.AnyTrue";
            let mut hit = false;
            for v in l {
                hit = hit || logical(v)? == wanted;
            }
            M::Logical(hit == wanted)
        }
        "List.Combine" => {
            let lists: Vec<Vec<M>> = l.iter().map(|v| a.items(v)).collect::<Result<_>>()?;
            M::list(lists.into_iter().flatten())
        }
        "List.Zip" => {
            let lists: Vec<Vec<M>> = l.iter().map(|v| a.items(v)).collect::<Result<_>>()?;
            let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
            let at = |i: usize| lists.iter().map(move |l| l.get(i).cloned().unwrap_or(M::Null));
            M::list((0..longest).map(|i| M::list(at(i))))
        }
        "List.PositionOf" => {
            let wanted = a.m(1)?;
            if !matches!(a.m(2)?, M::Null) {
                return Err(Error::unsupported("List.PositionOf gives the first place only"));
            }
            let mut found = -1;
            for (i, v) in (0..).zip(&l) {
                if equal(a.it, v, &wanted)? {
                    found = i;
                    break;
                }
            }
            M::int(found)
        }
        "List.Accumulate" => {
            let (mut state, f) = (a.m(1)?, a.m(2)?);
            for v in l {
                let given = vec![Lazy::done(state), Lazy::done(v)];
                state = a.it.call(&f, given)?.strip();
            }
            state
        }
        "List.Sort" => sorted(a, l)?,
        "List.First" => l.first().cloned().unwrap_or(M::Null),
        "List.Last" => l.last().cloned().unwrap_or(M::Null),
        "List.Max" => best(Ordering::Greater),
        "List.Min" => best(Ordering::Less),
        "List.Sum" => total(non_null(l).collect())?,
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
        _ => {
            let (f, mut out) = (a.m(1)?, Vec::new());
            for v in l {
                if logical(a.call(&f, v.clone())?)? {
                    out.push(v);
                }
            }
            M::list(out)
        }
    })
}

fn too_many(a: &Args<'_>) -> Error {
    Error::evaluation(format!("{}: the list would have more than {MOST} values", a.name))
}

fn non_null(l: Vec<M>) -> impl Iterator<Item = M> {
    l.into_iter().filter(|v| !matches!(v, M::Null))
}

/// The sum of values of which none is null; of none it is null.
fn total(values: Vec<M>) -> Result<M> {
    let mut values = values.into_iter();
    let Some(first) = values.next() else { return Ok(M::Null) };
    values.try_fold(first, |sum, v| arithmetic(Op::Add, sum, v))
}

/// `List.Sort ( list, [Order.Descending] )`; nulls come first.
fn sorted(a: &Args<'_>, mut l: Vec<M>) -> Result<M> {
    let descending = match a.m(1)? {
        M::Null => false,
        M::Number(n) => n.f64() == 1.0,
        _ => {
            return Err(Error::unsupported(
                "List.Sort puts values in their own order, ascending or Order.Descending; functions that compare are not supported",
            ));
        }
    };
    let mut alike = true;
    l.sort_by(|x, y| match (x, y) {
        (M::Null, M::Null) => Ordering::Equal,
        (M::Null, _) => Ordering::Less,
        (_, M::Null) => Ordering::Greater,
        _ => x.compare(y).unwrap_or_else(|| {
            alike = false;
            Ordering::Equal
        }),
    });
    if !alike {
        return Err(Error::evaluation("List.Sort: values of different kinds have no order"));
    }
    if descending {
        l.reverse();
    }
    Ok(M::list(l))
}

/// `List.Generate ( initial, condition, next, [selector] )`.
fn generate(a: &Args<'_>) -> Result<M> {
    let (go_on, next, selector) = (a.m(1)?, a.m(2)?, a.m(3)?);
    let mut state = a.it.call(&a.m(0)?, Vec::new())?.strip();
    let mut out = Vec::new();
    while logical(a.call(&go_on, state.clone())?)? {
        if out.len() >= MOST {
            return Err(too_many(a));
        }
        out.push(match &selector {
            M::Null => state.clone(),
            f => a.call(f, state.clone())?,
        });
        state = a.call(&next, state)?;
    }
    Ok(M::list(out))
}
