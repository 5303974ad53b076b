//! What operators make of values.

use std::cmp::Ordering;
use std::rc::Rc;

use evercube_base::{DateTime, Error, Result};

use super::super::ast::Op;
use super::super::eval::{Interp, unfit};
use super::super::value::{Base, M, MType, Num};
use crate::steps;

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

pub(crate) fn arithmetic(op: Op, a: M, b: M) -> Result<M> {
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
