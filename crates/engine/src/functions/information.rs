//! What a value is, who asks, and comparison of sort keys.

use std::cmp::Ordering;

use evercube_base::DataType::{Boolean, String as TextType};
use evercube_base::{Result, Value};

use super::FunctionKind::Scalar as F;
use super::ReturnType::{self, Fixed};
use super::arguments::{Args, arg, num};
use super::{Family, Row, ScalarContext};
use crate::scalar;

const B: ReturnType = Fixed(Boolean);
const S: ReturnType = Fixed(TextType);

pub(crate) const FAMILIES: &[Family] = &[Family("Information", INFORMATION)];

const INFORMATION: &[Row] = &[
    Row(
        "ISBLANK",
        "Value",
        "Whether a value is blank.",
        B,
        F(|_, a| Ok(arg(a, 0).is_blank().into())),
    ),
    Row(
        "ISNUMBER",
        "Value",
        "Whether a value is a number.",
        B,
        F(|_, a| Ok(is_number(arg(a, 0)).into())),
    ),
    Row(
        "ISNUMERIC",
        "Value",
        "Whether a value is a number.",
        B,
        F(|_, a| Ok(is_number(arg(a, 0)).into())),
    ),
    Row("ISTEXT", "Value", "Whether a value is text.", B, F(|_, a| Ok(is_text(arg(a, 0)).into()))),
    Row(
        "ISSTRING",
        "Value",
        "Whether a value is text.",
        B,
        F(|_, a| Ok(is_text(arg(a, 0)).into())),
    ),
    Row(
        "ISNONTEXT",
        "Value",
        "Whether a value is not text; blank is not.",
        B,
        F(|_, a| Ok((!is_text(arg(a, 0))).into())),
    ),
    Row(
        "ISLOGICAL",
        "Value",
        "Whether a value is true or false.",
        B,
        F(|_, a| Ok(matches!(arg(a, 0), Value::Boolean(_)).into())),
    ),
    Row(
        "ISBOOLEAN",
        "Value",
        "Whether a value is true or false.",
        B,
        F(|_, a| Ok(matches!(arg(a, 0), Value::Boolean(_)).into())),
    ),
    Row(
        "ISINT64",
        "Value",
        "Whether a value is a whole number.",
        B,
        F(|_, a| Ok(matches!(arg(a, 0), Value::Int(_)).into())),
    ),
    Row(
        "ISINTEGER",
        "Value",
        "Whether a value is a whole number.",
        B,
        F(|_, a| Ok(matches!(arg(a, 0), Value::Int(_)).into())),
    ),
    Row(
        "ISDECIMAL",
        "Value",
        "Whether a value is a fixed decimal number.",
        B,
        F(|_, a| Ok(matches!(arg(a, 0), Value::Decimal(_)).into())),
    ),
    Row(
        "ISCURRENCY",
        "Value",
        "Whether a value is a fixed decimal number.",
        B,
        F(|_, a| Ok(matches!(arg(a, 0), Value::Decimal(_)).into())),
    ),
    Row(
        "ISDOUBLE",
        "Value",
        "Whether a value is a decimal number.",
        B,
        F(|_, a| Ok(matches!(arg(a, 0), Value::Double(_)).into())),
    ),
    Row(
        "ISDATETIME",
        "Value",
        "Whether a value is a date.",
        B,
        F(|_, a| Ok(matches!(arg(a, 0), Value::DateTime(_)).into())),
    ),
    Row(
        "ISEVEN",
        "Number",
        "Whether a number is even.",
        B,
        F(|_, a| Ok((num(a, 0)?.trunc() % 2.0 == 0.0).into())),
    ),
    Row(
        "ISODD",
        "Number",
        "Whether a number is odd.",
        B,
        F(|_, a| Ok((num(a, 0)?.trunc() % 2.0 != 0.0).into())),
    ),
    Row(
        "ISAFTER",
        "Value1...,Value2...,[Order]...",
        "Whether the first values come after the second in the orders.",
        B,
        F(|c, a| Ok(order(c, a)?.is_gt().into())),
    ),
    Row(
        "ISONORAFTER",
        "Value1...,Value2...,[Order]...",
        "Whether the first values are the second or come after them.",
        B,
        F(|c, a| Ok(order(c, a)?.is_ge().into())),
    ),
    Row("USERNAME", "", "The user who asks.", S, F(|c, _| Ok(c.user.into()))),
    Row(
        "USERPRINCIPALNAME",
        "",
        "The principal name of the user who asks.",
        S,
        F(|c, _| Ok(c.user.into())),
    ),
    Row("USEROBJECTID", "", "The object id of the user who asks.", S, F(|c, _| Ok(c.user.into()))),
    Row(
        "USERCULTURE",
        "",
        "The locale of the user who asks.",
        S,
        F(|c, _| Ok(c.user_culture.into())),
    ),
    Row(
        "CUSTOMDATA",
        "",
        "The custom data of the connection.",
        S,
        F(|c, _| Ok(c.custom_data.map_or(Value::Blank, Value::from))),
    ),
];

fn is_number(v: &Value) -> bool {
    matches!(v, Value::Int(_) | Value::Decimal(_) | Value::Double(_) | Value::DateTime(_))
}

fn is_text(v: &Value) -> bool {
    matches!(v, Value::String(_))
}

/// Order of two keys given as triples of value, value and `ASC` or `DESC`; a pair alone ascends.
fn order(c: &ScalarContext<'_>, a: Args<'_>) -> Result<Ordering> {
    for key in a.chunks(3) {
        let key = a.with(key);
        let o = scalar::total_order(arg(key, 0), arg(key, 1), &c.collation);
        let descending = match arg(key, 2) {
            Value::String(s) => s.eq_ignore_ascii_case("DESC"),
            Value::Blank => false,
            other => !scalar::to_bool(other, a.culture)?,
        };
        let o = if descending { o.reverse() } else { o };
        if o.is_ne() {
            return Ok(o);
        }
    }
    Ok(Ordering::Equal)
}
