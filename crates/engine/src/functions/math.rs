//! Arithmetic, rounding, trigonometry, bits and combinatorics.

use evercube_base::DataType::{Boolean, Double, Int64};
use evercube_base::{DataType, Decimal, Error, Result, Value};

use super::FunctionKind::Scalar as F;
use super::ReturnType::{self, Fixed, Numeric, SameAsArgument, Variant};
use super::arguments::{Args, arg, domain_error, flag, int, num, num_or, real, require};
use super::value_conversion;
use super::{Family, Row, ScalarContext};
use crate::scalar;

const D: ReturnType = Fixed(Double);
const I: ReturnType = Fixed(Int64);
const B: ReturnType = Fixed(Boolean);
const SAME: ReturnType = SameAsArgument(0);

pub(crate) const FAMILIES: &[Family] = &[
    Family("Math and trig", MATH),
    Family("Math and trig", value_conversion::ROWS),
    Family("Logical", LOGICAL),
    Family("Statistical", COUNTING),
];

const LOGICAL: &[Row] = &[
    Row(
        "AND",
        "Logical1,Logical2",
        "Whether both are true.",
        B,
        F(|_, a| Ok((flag(a, 0)? & flag(a, 1)?).into())),
    ),
    Row(
        "OR",
        "Logical1,Logical2",
        "Whether one of the two is true.",
        B,
        F(|_, a| Ok((flag(a, 0)? | flag(a, 1)?).into())),
    ),
    Row("NOT", "Logical", "The opposite.", B, F(|_, a| Ok((!flag(a, 0)?).into()))),
    Row("TRUE", "", "The value true.", B, F(|_, _| Ok(true.into()))),
    Row("FALSE", "", "The value false.", B, F(|_, _| Ok(false.into()))),
    Row(
        "BITAND",
        "Number1,Number2",
        "Bits set in both numbers.",
        I,
        F(|_, a| Ok((int(a, 0)? & int(a, 1)?).into())),
    ),
    Row(
        "BITOR",
        "Number1,Number2",
        "Bits set in either number.",
        I,
        F(|_, a| Ok((int(a, 0)? | int(a, 1)?).into())),
    ),
    Row(
        "BITXOR",
        "Number1,Number2",
        "Bits set in one number only.",
        I,
        F(|_, a| Ok((int(a, 0)? ^ int(a, 1)?).into())),
    ),
    Row(
        "BITLSHIFT",
        "Number,ShiftAmount",
        "Bits moved to the left.",
        I,
        F(|_, a| Ok(shift(int(a, 0)?, int(a, 1)?).into())),
    ),
    Row(
        "BITRSHIFT",
        "Number,ShiftAmount",
        "Bits moved to the right.",
        I,
        F(|_, a| Ok(shift(int(a, 0)?, int(a, 1)?.saturating_neg()).into())),
    ),
];

const COUNTING: &[Row] = &[
    Row(
        "COMBIN",
        "Number,NumberChosen",
        "Ways to choose, without order.",
        D,
        F(|_, a| {
            let (n, k) = (int(a, 0)?, int(a, 1)?);
            require("COMBIN", n >= 0 && k >= 0 && k <= n)?;
            real("COMBIN", choose(n as f64, k as f64))
        }),
    ),
    Row(
        "COMBINA",
        "Number,NumberChosen",
        "Ways to choose with repetition, without order.",
        D,
        F(|_, a| {
            let (n, k) = (int(a, 0)?, int(a, 1)?);
            require("COMBINA", n >= 0 && k >= 0 && (n > 0 || k == 0))?;
            if k == 0 {
                Ok(1.0.into())
            } else {
                real("COMBINA", choose((n + k - 1) as f64, k as f64))
            }
        }),
    ),
    Row(
        "PERMUT",
        "Number,NumberChosen",
        "Ways to choose, in order.",
        D,
        F(|_, a| {
            let (n, k) = (int(a, 0)?, int(a, 1)?);
            require("PERMUT", n > 0 && k >= 0 && k <= n)?;
            let mut p = 1.0;
            for i in (0..k).take(400) {
                p *= (n - i) as f64;
            }
            real("PERMUT", p)
        }),
    ),
];

const MATH: &[Row] = &[
    Row(
        "ABS",
        "Number",
        "The number without its sign.",
        SAME,
        F(|_, a| match arg(a, 0) {
            Value::Int(i) => i.checked_abs().map(Value::Int).ok_or_else(|| domain_error("ABS")),
            Value::Decimal(d) => {
                d.0.checked_abs()
                    .map(|v| Value::Decimal(Decimal(v)))
                    .ok_or_else(|| domain_error("ABS"))
            }
            Value::Blank => Ok(Value::Blank),
            Value::Boolean(b) => Ok(Value::Int(i64::from(*b))),
            _ => Ok(num(a, 0)?.abs().into()),
        }),
    ),
    Row(
        "SIGN",
        "Number",
        "1, 0 or -1.",
        I,
        F(|_, a| {
            let x = num(a, 0)?;
            Ok(Value::Int(if x > 0.0 {
                1
            } else if x < 0.0 {
                -1
            } else {
                0
            }))
        }),
    ),
    Row(
        "DIVIDE",
        "Numerator,Denominator,[AlternateResult]",
        "Quotient, or the alternate where the denominator is zero.",
        D,
        F(divide),
    ),
    Row(
        "QUOTIENT",
        "Numerator,Denominator",
        "The whole part of a quotient.",
        I,
        F(|_, a| {
            require("QUOTIENT", num(a, 1)? != 0.0)?;
            whole("QUOTIENT", (num(a, 0)? / num(a, 1)?).trunc())
        }),
    ),
    Row(
        "MOD",
        "Number,Divisor",
        "The rest of a division, with the sign of the divisor.",
        Numeric,
        F(modulo),
    ),
    Row(
        "INT",
        "Number",
        "Rounds down to a whole number.",
        I,
        F(|_, a| match arg(a, 0) {
            Value::Blank => Ok(Value::Blank),
            Value::Int(i) => Ok(Value::Int(*i)),
            Value::Decimal(d) => Ok(Value::Int(d.0.div_euclid(10_000))),
            _ => whole("INT", num(a, 0)?.floor()),
        }),
    ),
    Row("TRUNC", "Number,[NumDigits]", "Cuts digits off.", SAME, F(|_, a| rounded(a, f64::trunc))),
    Row(
        "ROUND",
        "Number,NumDigits",
        "Rounds to digits, halves away from zero.",
        SAME,
        F(|_, a| rounded(a, f64::round)),
    ),
    Row(
        "ROUNDDOWN",
        "Number,NumDigits",
        "Rounds towards zero.",
        SAME,
        F(|_, a| rounded(a, f64::trunc)),
    ),
    Row(
        "ROUNDUP",
        "Number,NumDigits",
        "Rounds away from zero.",
        SAME,
        F(|_, a| rounded(a, |v| v.abs().ceil().copysign(v))),
    ),
    Row(
        "MROUND",
        "Number,Multiple",
        "Rounds to a multiple.",
        D,
        F(|_, a| {
            let (x, m) = (num(a, 0)?, num(a, 1)?);
            if m == 0.0 || x == 0.0 {
                return Ok(0.0.into());
            }
            require("MROUND", x * m >= 0.0)?;
            Ok(tidy((x / m + 1e-12).round() * m).into())
        }),
    ),
    Row(
        "CEILING",
        "Number,Significance",
        "Rounds up to a multiple.",
        Variant,
        F(|_, a| in_type_of_multiple("CEILING", a, multiple("CEILING", a, true)?)),
    ),
    Row(
        "FLOOR",
        "Number,Significance",
        "Rounds down to a multiple.",
        D,
        F(|_, a| multiple("FLOOR", a, false)),
    ),
    Row(
        "ISO.CEILING",
        "Number,[Significance]",
        "Rounds up to a multiple, whatever the signs.",
        Variant,
        F(|_, a| {
            if arg(a, 0).is_blank() {
                return Ok(Value::Blank);
            }
            let (x, m) = (num(a, 0)?, num_or(a, 1, 1.0)?.abs());
            let rounded = Value::Double(if m == 0.0 { 0.0 } else { tidy(near(x / m).ceil() * m) });
            in_type_of_multiple("ISO.CEILING", a, rounded)
        }),
    ),
    Row(
        "EVEN",
        "Number",
        "Rounds away from zero to an even number.",
        I,
        F(|_, a| {
            let x = num(a, 0)?;
            whole("EVEN", ((x.abs() / 2.0).ceil() * 2.0).copysign(x))
        }),
    ),
    Row(
        "ODD",
        "Number",
        "Rounds away from zero to an odd number.",
        I,
        F(|_, a| {
            let x = num(a, 0)?;
            whole("ODD", (((x.abs() - 1.0).max(0.0) / 2.0).ceil() * 2.0 + 1.0).copysign(x))
        }),
    ),
    Row(
        "POWER",
        "Number,Power",
        "A number raised to a power.",
        D,
        F(|_, a| scalar::power(arg(a, 0), arg(a, 1), a.culture)),
    ),
    Row("EXP", "Number", "e raised to a power.", D, F(|_, a| real("EXP", num(a, 0)?.exp()))),
    Row("LN", "Number", "Natural logarithm.", D, F(|_, a| real("LN", num(a, 0)?.ln()))),
    Row(
        "LOG",
        "Number,[Base]",
        "Logarithm to a base, 10 unless given.",
        D,
        F(|_, a| {
            let (x, b) = (num(a, 0)?, num_or(a, 1, 10.0)?);
            require("LOG", b > 0.0)?;
            if b == 10.0 {
                real("LOG", x.log10())
            } else if b == 2.0 {
                real("LOG", x.log2())
            } else {
                real("LOG", x.ln() / b.ln())
            }
        }),
    ),
    Row(
        "LOG10",
        "Number",
        "Logarithm to the base 10.",
        D,
        F(|_, a| real("LOG10", num(a, 0)?.log10())),
    ),
    Row(
        "SQRT",
        "Number",
        "Square root.",
        D,
        // As `^ 0.5`.
        F(|_, a| match arg(a, 0) {
            Value::Blank => Ok(Value::Blank),
            _ => real("SQRT", num(a, 0)?.sqrt()),
        }),
    ),
    Row(
        "SQRTPI",
        "Number",
        "Square root of a multiple of pi.",
        D,
        F(|_, a| real("SQRTPI", (num(a, 0)? * std::f64::consts::PI).sqrt())),
    ),
    Row(
        "FACT",
        "Number",
        "Factorial.",
        D,
        F(|_, a| {
            let n = int(a, 0)?;
            require("FACT", (0..=170).contains(&n))?;
            Ok((1..=n).map(|i| i as f64).product::<f64>().into())
        }),
    ),
    Row(
        "GCD",
        "Number1,Number2...",
        "Greatest common divisor.",
        I,
        F(|_, a| {
            let mut g = 0;
            for i in 0..a.len() {
                let n = int(a, i)?;
                require("GCD", (0..1 << 53).contains(&n))?;
                g = gcd(g, n);
            }
            Ok(g.into())
        }),
    ),
    Row(
        "LCM",
        "Number1,Number2...",
        "Least common multiple.",
        I,
        F(|_, a| {
            let mut l = 1i64;
            for i in 0..a.len() {
                let n = int(a, i)?;
                require("LCM", n >= 0)?;
                if n == 0 {
                    return Ok(0i64.into());
                }
                l = (l / gcd(l, n)).checked_mul(n).ok_or_else(|| domain_error("LCM"))?;
                require("LCM", l < 1 << 53)?;
            }
            Ok(l.into())
        }),
    ),
    Row("PI", "", "The number pi.", D, F(|_, _| Ok(std::f64::consts::PI.into()))),
    Row("RAND", "", "A random number from 0 to below 1.", D, F(|c, _| Ok(random(c).into()))),
    Row(
        "RANDBETWEEN",
        "Bottom,Top",
        "A random whole number of a range.",
        I,
        F(|c, a| {
            let (lo, hi) = (num(a, 0)?.ceil(), num(a, 1)?.floor());
            require("RANDBETWEEN", lo <= hi)?;
            whole("RANDBETWEEN", (lo + (random(c) * (hi - lo + 1.0)).floor()).min(hi))
        }),
    ),
    Row(
        "DEGREES",
        "Angle",
        "Radians as degrees.",
        D,
        F(|_, a| real("DEGREES", num(a, 0)?.to_degrees())),
    ),
    Row(
        "RADIANS",
        "Angle",
        "Degrees as radians.",
        D,
        F(|_, a| real("RADIANS", num(a, 0)?.to_radians())),
    ),
    Row("SIN", "Number", "Sine.", D, F(|_, a| real("SIN", num(a, 0)?.sin()))),
    Row("COS", "Number", "Cosine.", D, F(|_, a| real("COS", num(a, 0)?.cos()))),
    Row("TAN", "Number", "Tangent.", D, F(|_, a| real("TAN", num(a, 0)?.tan()))),
    Row("COT", "Number", "Cotangent.", D, F(|_, a| real("COT", 1.0 / angle("COT", a)?.tan()))),
    Row("ASIN", "Number", "Inverse sine.", D, F(|_, a| real("ASIN", num(a, 0)?.asin()))),
    Row("ACOS", "Number", "Inverse cosine.", D, F(|_, a| real("ACOS", num(a, 0)?.acos()))),
    Row("ATAN", "Number", "Inverse tangent.", D, F(|_, a| real("ATAN", num(a, 0)?.atan()))),
    Row(
        "ACOT",
        "Number",
        "Inverse cotangent.",
        D,
        F(|_, a| real("ACOT", std::f64::consts::FRAC_PI_2 - num(a, 0)?.atan())),
    ),
    Row("SINH", "Number", "Hyperbolic sine.", D, F(|_, a| real("SINH", num(a, 0)?.sinh()))),
    Row("COSH", "Number", "Hyperbolic cosine.", D, F(|_, a| real("COSH", num(a, 0)?.cosh()))),
    Row("TANH", "Number", "Hyperbolic tangent.", D, F(|_, a| real("TANH", num(a, 0)?.tanh()))),
    Row(
        "COTH",
        "Number",
        "Hyperbolic cotangent.",
        D,
        F(|_, a| real("COTH", 1.0 / angle("COTH", a)?.tanh())),
    ),
    Row(
        "ASINH",
        "Number",
        "Inverse hyperbolic sine.",
        D,
        F(|_, a| real("ASINH", num(a, 0)?.asinh())),
    ),
    Row(
        "ACOSH",
        "Number",
        "Inverse hyperbolic cosine.",
        D,
        F(|_, a| real("ACOSH", num(a, 0)?.acosh())),
    ),
    Row(
        "ATANH",
        "Number",
        "Inverse hyperbolic tangent.",
        D,
        F(|_, a| real("ATANH", num(a, 0)?.atanh())),
    ),
    Row(
        "ACOTH",
        "Number",
        "Inverse hyperbolic cotangent.",
        D,
        F(|_, a| real("ACOTH", (1.0 / num(a, 0)?).atanh())),
    ),
];

fn whole(function: &str, v: f64) -> Result<Value> {
    if v.abs() < 9.223_372_036_854_775e18 {
        Ok(Value::Int(v as i64))
    } else {
        Err(domain_error(function))
    }
}

fn shift(v: i64, by: i64) -> i64 {
    match by {
        64.. | ..=-64 => 0,
        0.. => v << by,
        _ => v >> -by,
    }
}

/// What cotangents are taken of: neither zero nor 2^27 and beyond.
fn angle(function: &str, a: Args<'_>) -> Result<f64> {
    let x = num(a, 0)?;
    require(function, x != 0.0 && x.abs() < f64::from(1 << 27))?;
    Ok(x)
}

fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn choose(n: f64, k: f64) -> f64 {
    let k = k.min(n - k);
    let (mut r, mut i) = (1.0, 1.0);
    while i <= k && f64::is_finite(r) {
        r = r * (n - k + i) / i;
        i += 1.0;
    }
    r.round()
}

/// Next random number in [0, 1), by the splitmix64 sequence.
fn random(c: &ScalarContext<'_>) -> f64 {
    let s = c.random.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
    c.random.set(s);
    let z = (s ^ (s >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

fn divide(_: &ScalarContext<'_>, a: Args<'_>) -> Result<Value> {
    let (n, d) = (num(a, 0)?, num(a, 1)?);
    if d == 0.0 {
        return Ok(arg(a, 2).clone());
    }
    if arg(a, 0).is_blank() {
        return Ok(Value::Blank);
    }
    Ok(Value::Double(n / d))
}

fn modulo(_: &ScalarContext<'_>, a: Args<'_>) -> Result<Value> {
    let zero = || {
        Error::evaluation(
            "An attempt was made to divide by zero in function 'MOD'. Test the divisor first.",
        )
    };
    match (arg(a, 0), arg(a, 1)) {
        (Value::Blank, _) if num(a, 1)? != 0.0 => Ok(Value::Blank),
        (Value::Int(x), Value::Int(y)) => {
            let r = x.checked_rem(*y).or(if *y == -1 { Some(0) } else { None }).ok_or_else(zero)?;
            Ok(Value::Int(if r != 0 && (r < 0) != (*y < 0) { r + y } else { r }))
        }
        (Value::Decimal(x), Value::Decimal(y)) if y.0 != 0 && y.0 != -1 => {
            let r = x.0 % y.0;
            Ok(Value::Decimal(Decimal(if r != 0 && (r < 0) != (y.0 < 0) { r + y.0 } else { r })))
        }
        _ => {
            let (x, y) = (num(a, 0)?, num(a, 1)?);
            if y == 0.0 {
                return Err(zero());
            }
            let r = x % y;
            real("MOD", if r != 0.0 && (r < 0.0) != (y < 0.0) { r + y } else { r })
        }
    }
}

/// The value without the noise of its last binary digits.
fn tidy(v: f64) -> f64 {
    format!("{v:.14e}").parse().unwrap_or(v)
}

/// A quotient pulled to the whole number it misses by rounding noise only.
fn near(q: f64) -> f64 {
    let r = q.round();
    if (q - r).abs() < 1e-9 * r.abs().max(1.0) { r } else { q }
}

fn multiple(function: &str, a: Args<'_>, up: bool) -> Result<Value> {
    if arg(a, 0).is_blank() {
        return Ok(Value::Blank);
    }
    let (x, m) = (num(a, 0)?, num(a, 1)?);
    if m == 0.0 {
        require(function, up || x == 0.0)?;
        return Ok(0.0.into());
    }
    // A number below zero goes up to a multiple above it, as in Excel; FLOOR wants equal signs.
    require(function, x * m >= 0.0 || up && m > 0.0)?;
    let q = near(x / m);
    Ok(Value::Double(tidy(if up { q.ceil() } else { q.floor() } * m)))
}

/// The type of what `CEILING` makes of a number and a multiple, of which the latter may be left out;
/// of unknown types: the value tells.
pub(crate) fn type_of_multiple(number: DataType, multiple: Option<DataType>) -> DataType {
    use DataType as T;
    match (number, multiple) {
        (T::Decimal, _) => T::Decimal,
        (T::Variant, _) | (_, Some(T::Variant)) => T::Variant,
        (_, None | Some(T::Int64 | T::Boolean)) => T::Int64,
        (_, Some(T::Decimal)) => T::Decimal,
        _ => T::Double,
    }
}

fn in_type_of_multiple(function: &str, a: Args<'_>, rounded: Value) -> Result<Value> {
    let of = |at: usize| a.get(at).and_then(Value::data_type);
    let Value::Double(v) = rounded else { return Ok(rounded) };
    match type_of_multiple(of(0).unwrap_or(DataType::Double), of(1)) {
        DataType::Int64 => whole(function, v),
        DataType::Decimal => {
            Decimal::from_f64(v).map(Value::Decimal).ok_or_else(|| domain_error(function))
        }
        _ => Ok(rounded),
    }
}

/// Rounds the first argument to the digits of the second by `f` on the scaled number.
fn rounded(a: Args<'_>, f: fn(f64) -> f64) -> Result<Value> {
    if arg(a, 0).is_blank() {
        return Ok(Value::Blank);
    }
    let digits = int(a, 1)?.clamp(-400, 400) as i32;
    if let Value::Boolean(b) = arg(a, 0) {
        return rounded(a.with(&[Value::Int(i64::from(*b)), arg(a, 1).clone()]), f);
    }
    if let Value::Int(i) = arg(a, 0)
        && digits >= 0
    {
        return Ok(Value::Int(*i));
    }
    let x = num(a, 0)?;
    let y = round_to(x, digits, f);
    Ok(match arg(a, 0) {
        Value::Int(_) => Value::Int(y as i64),
        Value::Decimal(d) if digits < 4 => {
            Decimal::from_f64(y).map_or(Value::Decimal(*d), Value::Decimal)
        }
        Value::Decimal(d) => Value::Decimal(*d),
        _ => Value::Double(y),
    })
}

/// `x` rounded to decimal digits; noise of the binary form does not decide halves.
pub fn round_to(x: f64, digits: i32, f: fn(f64) -> f64) -> f64 {
    if !x.is_finite() || digits > 300 {
        return x;
    }
    let scale = 10f64.powi(digits.abs());
    let scaled = tidy(if digits >= 0 { x * scale } else { x / scale });
    if !scaled.is_finite() || scaled.abs() > 1e15 {
        return x;
    }
    let r = f(scaled);
    if digits >= 0 { r / scale } else { r * scale }
}
