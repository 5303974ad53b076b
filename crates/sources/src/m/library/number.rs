//! Functions of numbers, and conversions to them; of null they are null.

use evercube_base::{Error, Result};

use super::super::value::{Base, M, Num};
use super::args::Args;
use crate::convert::{parse_number, to_type};

pub(super) const NAMES: &[&str] = &[
    "Byte.From",
    "Currency.From",
    "Decimal.From",
    "Double.From",
    "Int16.From",
    "Int32.From",
    "Int64.From",
    "Int8.From",
    "Logical.From",
    "Number.Abs",
    "Number.Exp",
    "Number.From",
    "Number.FromText",
    "Number.IntegerDivide",
    "Number.IsEven",
    "Number.IsOdd",
    "Number.Ln",
    "Number.Log10",
    "Number.Mod",
    "Number.Power",
    "Number.Round",
    "Number.RoundAwayFromZero",
    "Number.RoundDown",
    "Number.RoundTowardZero",
    "Number.RoundUp",
    "Number.Sign",
    "Number.Sqrt",
    "Number.ToText",
    "Percentage.From",
    "Single.From",
];

pub(super) fn call(a: &Args<'_>) -> Result<M> {
    if matches!(a.m(0)?, M::Null) {
        return Ok(M::Null);
    }
    let digits = |f: fn(f64) -> f64| -> Result<M> {
        let n = a.num(0)?;
        let p = if matches!(a.m(1)?, M::Null) { 0 } else { a.int(1)?.clamp(-15, 15) };
        let scale = 10f64.powi(p as i32);
        let v = f(n.f64() * scale) / scale;
        Ok(M::Number(Num::Double(v).whole().map_or(Num::Double(v), Num::Int)))
    };
    Ok(match a.name {
        "Number.FromText" => {
            let t = a.text(0)?;
            M::Number(parse_number(&t).ok_or_else(|| {
                Error::evaluation(format!("cannot convert the text '{t}' to a number"))
            })?)
        }
        "Number.From" | "Decimal.From" => to_type(&a.m(0)?, Base::Number, None)?,
        "Double.From" | "Single.From" | "Percentage.From" => to_type(&a.m(0)?, Base::Double, None)?,
        "Int64.From" | "Int32.From" | "Int16.From" | "Int8.From" | "Byte.From" => {
            to_type(&a.m(0)?, Base::Int64, None)?
        }
        "Currency.From" => to_type(&a.m(0)?, Base::Currency, None)?,
        "Logical.From" => to_type(&a.m(0)?, Base::Logical, None)?,
        "Number.ToText" => match a.m(1)? {
            M::Null => to_type(&a.m(0)?, Base::Text, None)?,
            _ => return Err(Error::unsupported("Number.ToText with a format is not supported")),
        },
        "Number.Abs" => M::double(a.num(0)?.f64().abs()),
        "Number.Round" => digits(f64::round_ties_even)?,
        "Number.RoundDown" => digits(f64::floor)?,
        "Number.RoundTowardZero" => digits(f64::trunc)?,
        "Number.RoundAwayFromZero" => digits(|v| if v < 0.0 { v.floor() } else { v.ceil() })?,
        "Number.Sign" => {
            let n = a.num(0)?.f64();
            M::int(i64::from(n > 0.0) - i64::from(n < 0.0))
        }
        "Number.IsEven" => M::Logical(a.num(0)?.f64() % 2.0 == 0.0),
        "Number.IsOdd" => M::Logical(a.num(0)?.f64() % 2.0 != 0.0),
        "Number.Sqrt" => M::double(a.num(0)?.f64().sqrt()),
        "Number.Exp" => M::double(a.num(0)?.f64().exp()),
        "Number.Ln" => M::double(a.num(0)?.f64().ln()),
        "Number.Log10" => M::double(a.num(0)?.f64().log10()),
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
        _ => M::double(a.num(0)?.f64().powf(a.num(1)?.f64())),
    })
}
