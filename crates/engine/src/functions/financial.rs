//! Payments, depreciation and rates.

use evercube_base::DataType::Double;
use evercube_base::{Error, Result, Value};

use super::FunctionKind::Scalar as F;
use super::ReturnType::{self, Fixed};
use super::arguments::{Args, arg, date, domain_error, flag, nearest, num, num_or, real, require};
use super::day_count::year_fraction;
use super::{Family, Row, ScalarContext};

const D: ReturnType = Fixed(Double);

pub(crate) const FAMILIES: &[Family] = &[Family("Financial", ROWS)];

const ROWS: &[Row] = &[
    Row(
        "PMT",
        "Rate,Nper,Pv,[Fv],[Type]",
        "The payment of a loan with equal payments.",
        D,
        F(|_, a| {
            let (r, n) = (num(a, 0)?, payments("PMT", a, 1)?);
            real("PMT", pmt(r, n, num(a, 2)?, num(a, 3)?, due(a, 4)?))
        }),
    ),
    Row(
        "PV",
        "Rate,Nper,Pmt,[Fv],[Type]",
        "The present value of payments.",
        D,
        F(|_, a| {
            let (r, n) = (num(a, 0)?, payments("PV", a, 1)?);
            let (p, fv, t) = (num(a, 2)?, num(a, 3)?, due(a, 4)?);
            let v = if r == 0.0 {
                -(fv + p * n)
            } else {
                let q = (1.0 + r).powf(n);
                -(fv + p * (1.0 + r * t) * (q - 1.0) / r) / q
            };
            real("PV", v)
        }),
    ),
    Row(
        "FV",
        "Rate,Nper,Pmt,[Pv],[Type]",
        "The future value of payments.",
        D,
        F(|_, a| {
            let (r, n) = (num(a, 0)?, payments("FV", a, 1)?);
            real("FV", fv(r, n, num(a, 2)?, num(a, 3)?, due(a, 4)?))
        }),
    ),
    Row(
        "NPER",
        "Rate,Pmt,Pv,[Fv],[Type]",
        "The number of payments.",
        D,
        F(|_, a| {
            let (r, p, pv, fv, t) = (num(a, 0)?, num(a, 1)?, num(a, 2)?, num(a, 3)?, due(a, 4)?);
            if r == 0.0 {
                return real("NPER", -(pv + fv) / p);
            }
            let p = p * (1.0 + r * t);
            real("NPER", ((p - fv * r) / (p + pv * r)).ln() / (1.0 + r).ln())
        }),
    ),
    Row(
        "RATE",
        "Nper,Pmt,Pv,[Fv],[Type],[Guess]",
        "The interest rate of payments.",
        D,
        F(|_, a| {
            let (n, p, pv, fv0, t) = (num(a, 0)?, num(a, 1)?, num(a, 2)?, num(a, 3)?, due(a, 4)?);
            require("RATE", n > 0.0)?;
            solve("RATE", num_or(a, 5, 0.1)?, |r| fv0 - fv(r, n, p, pv, t))
        }),
    ),
    Row(
        "IPMT",
        "Rate,Per,Nper,Pv,[Fv],[Type]",
        "The interest in a payment.",
        D,
        F(|_, a| {
            let (r, per, n) = (num(a, 0)?, num(a, 1)?, payments("IPMT", a, 2)?);
            require("IPMT", per >= 1.0 && per <= n)?;
            real("IPMT", ipmt(r, per, n, num(a, 3)?, num(a, 4)?, due(a, 5)?))
        }),
    ),
    Row(
        "PPMT",
        "Rate,Per,Nper,Pv,[Fv],[Type]",
        "The repayment in a payment.",
        D,
        F(|_, a| {
            let (r, per, n) = (num(a, 0)?, num(a, 1)?, payments("PPMT", a, 2)?);
            let (pv, fv, t) = (num(a, 3)?, num(a, 4)?, due(a, 5)?);
            require("PPMT", per >= 1.0 && per <= n)?;
            real("PPMT", pmt(r, n, pv, fv, t) - ipmt(r, per, n, pv, fv, t))
        }),
    ),
    Row(
        "ISPMT",
        "Rate,Per,Nper,Pv",
        "The interest of a period with equal repayments.",
        D,
        F(|_, a| {
            require("ISPMT", num(a, 2)? != 0.0)?;
            real("ISPMT", num(a, 3)? * num(a, 0)? * (num(a, 1)? / num(a, 2)? - 1.0))
        }),
    ),
    Row(
        "CUMIPMT",
        "Rate,Nper,Pv,StartPeriod,EndPeriod,Type",
        "The interest paid between two periods.",
        D,
        F(|_, a| cumulate("CUMIPMT", a, ipmt)),
    ),
    Row(
        "CUMPRINC",
        "Rate,Nper,Pv,StartPeriod,EndPeriod,Type",
        "The repayment between two periods.",
        D,
        F(|_, a| {
            cumulate("CUMPRINC", a, |r, per, n, pv, fv, t| {
                pmt(r, n, pv, fv, t) - ipmt(r, per, n, pv, fv, t)
            })
        }),
    ),
    Row(
        "SLN",
        "Cost,Salvage,Life",
        "Straight-line depreciation of a period.",
        D,
        F(|_, a| {
            require("SLN", num(a, 2)? != 0.0)?;
            real("SLN", (num(a, 0)? - num(a, 1)?) / num(a, 2)?)
        }),
    ),
    Row(
        "SYD",
        "Cost,Salvage,Life,Per",
        "Sum-of-years depreciation of a period.",
        D,
        F(|_, a| {
            let (life, per) = (num(a, 2)?, num(a, 3)?);
            require("SYD", life > 0.0 && per >= 1.0 && per <= life)?;
            real(
                "SYD",
                (num(a, 0)? - num(a, 1)?) * (life - per + 1.0) * 2.0 / (life * (life + 1.0)),
            )
        }),
    ),
    Row(
        "DB",
        "Cost,Salvage,Life,Period,[Month]",
        "Fixed-declining depreciation of a period.",
        D,
        F(declining),
    ),
    Row(
        "DDB",
        "Cost,Salvage,Life,Period,[Factor]",
        "Double-declining depreciation of a period.",
        D,
        F(|_, a| {
            let (cost, salvage, life, per) =
                (num(a, 0)?, num(a, 1)?, num(a, 2)?, num(a, 3)?.round());
            let factor = num_or(a, 4, 2.0)?;
            require(
                "DDB",
                cost >= 0.0
                    && salvage >= 0.0
                    && life >= 1.0
                    && per >= 1.0
                    && per <= life
                    && factor > 0.0,
            )?;
            real("DDB", ddb(cost, salvage, life, per, factor))
        }),
    ),
    Row(
        "VDB",
        "Cost,Salvage,Life,StartPeriod,EndPeriod,[Factor],[NoSwitch]",
        "Declining depreciation between two points of time.",
        D,
        F(variable_declining),
    ),
    Row(
        "EFFECT",
        "NominalRate,Npery",
        "The effective annual rate.",
        D,
        F(|_, a| {
            let (r, n) = (num(a, 0)?, num(a, 1)?.round());
            require("EFFECT", r > 0.0 && n >= 1.0)?;
            real("EFFECT", (1.0 + r / n).powf(n) - 1.0)
        }),
    ),
    Row(
        "NOMINAL",
        "EffectRate,Npery",
        "The nominal annual rate.",
        D,
        F(|_, a| {
            let (r, n) = (num(a, 0)?, num(a, 1)?.round());
            require("NOMINAL", r > 0.0 && n >= 1.0)?;
            real("NOMINAL", ((1.0 + r).powf(1.0 / n) - 1.0) * n)
        }),
    ),
    Row(
        "PDURATION",
        "Rate,Pv,Fv",
        "Periods until a value is reached.",
        D,
        F(|_, a| {
            let (r, pv, fv) = (num(a, 0)?, num(a, 1)?, num(a, 2)?);
            require("PDURATION", r > 0.0 && pv > 0.0 && fv > 0.0)?;
            real("PDURATION", (fv.ln() - pv.ln()) / (1.0 + r).ln())
        }),
    ),
    Row(
        "RRI",
        "Nper,Pv,Fv",
        "The rate of growth between two values.",
        D,
        F(|_, a| {
            let (n, pv, fv) = (num(a, 0)?, num(a, 1)?, num(a, 2)?);
            require("RRI", n > 0.0 && pv != 0.0)?;
            real("RRI", (fv / pv).powf(1.0 / n) - 1.0)
        }),
    ),
    Row(
        "DOLLARDE",
        "FractionalDollar,Fraction",
        "A price in fractions as decimal number.",
        D,
        F(|_, a| {
            let (x, f) = (num(a, 0)?, num(a, 1)?.round());
            require("DOLLARDE", f >= 1.0)?;
            real("DOLLARDE", x.trunc() + x.fract() * 10f64.powf(f.log10().ceil()) / f)
        }),
    ),
    Row(
        "DOLLARFR",
        "DecimalDollar,Fraction",
        "A decimal price in fractions.",
        D,
        F(|_, a| {
            let (x, f) = (num(a, 0)?, num(a, 1)?.round());
            require("DOLLARFR", f >= 1.0)?;
            real("DOLLARFR", x.trunc() + x.fract() * f / 10f64.powf(f.log10().ceil()))
        }),
    ),
    Row(
        "AMORLINC",
        "Cost,DatePurchased,FirstPeriod,Salvage,Period,Rate,[Basis]",
        "French linear depreciation of a period.",
        D,
        F(amorlinc),
    ),
    Row(
        "AMORDEGRC",
        "Cost,DatePurchased,FirstPeriod,Salvage,Period,Rate,[Basis]",
        "French declining depreciation of a period.",
        D,
        F(amordegrc),
    ),
];

/// 1 where payments are due at the beginning of a period.
fn due(a: Args<'_>, i: usize) -> Result<f64> {
    Ok(if nearest(a, i)? == 0 { 0.0 } else { 1.0 })
}

/// The number of payments, at least one.
fn payments(function: &str, a: Args<'_>, i: usize) -> Result<f64> {
    let n = num(a, i)?;
    require(function, n >= 1.0)?;
    Ok(n)
}

fn pmt(r: f64, n: f64, pv: f64, fv: f64, t: f64) -> f64 {
    if r == 0.0 {
        return -(pv + fv) / n;
    }
    let q = (1.0 + r).powf(n);
    -r * (pv * q + fv) / ((1.0 + r * t) * (q - 1.0))
}

fn fv(r: f64, n: f64, p: f64, pv: f64, t: f64) -> f64 {
    if r == 0.0 {
        return -(pv + p * n);
    }
    let q = (1.0 + r).powf(n);
    -(pv * q + p * (1.0 + r * t) * (q - 1.0) / r)
}

fn ipmt(r: f64, per: f64, n: f64, pv: f64, future: f64, t: f64) -> f64 {
    let p = pmt(r, n, pv, future, t);
    if t == 0.0 {
        return fv(r, per - 1.0, p, pv, 0.0) * r;
    }
    if per == 1.0 { 0.0 } else { (fv(r, per - 2.0, p, pv, 1.0) - p) * r }
}

fn cumulate(
    function: &str,
    a: Args<'_>,
    f: fn(f64, f64, f64, f64, f64, f64) -> f64,
) -> Result<Value> {
    let (r, n, pv) = (num(a, 0)?, num(a, 1)?, num(a, 2)?);
    let (from, to, t) = (num(a, 3)?.round(), num(a, 4)?.round(), num(a, 5)?.round());
    require(function, t == 0.0 || t == 1.0)?;
    require(
        function,
        r > 0.0 && (1.0..=1e6).contains(&n) && pv > 0.0 && from >= 1.0 && from <= to && to <= n,
    )?;
    let mut sum = 0.0;
    let mut per = from;
    while per <= to {
        sum += f(r, per, n, pv, 0.0, t);
        per += 1.0;
    }
    real(function, sum)
}

/// The root of `f` near `guess`, by secants.
pub(crate) fn solve(function: &str, guess: f64, f: impl Fn(f64) -> f64) -> Result<Value> {
    let (mut x0, mut x1) = (guess, guess + 0.001 * guess.abs().max(0.1));
    let (mut y0, mut y1) = (f(x0), f(x1));
    for _ in 0..200 {
        if y1 == 0.0 || (x1 - x0).abs() <= 1e-15 * x1.abs().max(1e-3) {
            break;
        }
        let step = y1 * (x1 - x0) / (y1 - y0);
        if !step.is_finite() {
            break;
        }
        // Rates stay above minus one.
        let step = step.min((x1 + 1.0) / 2.0);
        (x0, y0) = (x1, y1);
        x1 -= step;
        y1 = f(x1);
    }
    let scale = (f(x1 + 1e-4) - y1).abs().max(1e-12) * 1e4;
    if x1.is_finite() && y1.abs() <= scale * 1e-7 {
        Ok(Value::Double(x1))
    } else {
        Err(Error::evaluation(format!(
            "Function '{function}' found no result near its guess. Give another guess."
        )))
    }
}

fn declining(_: &ScalarContext<'_>, a: Args<'_>) -> Result<Value> {
    let (cost, salvage, life, per) = (num(a, 0)?, num(a, 1)?, num(a, 2)?, num(a, 3)?.round());
    let month = num_or(a, 4, 12.0)?.round();
    let last = if month < 12.0 { life + 1.0 } else { life };
    require(
        "DB",
        cost > 0.0
            && salvage >= 0.0
            && (1.0..=1e6).contains(&life)
            && per >= 1.0
            && per <= last
            && (1.0..=12.0).contains(&month),
    )?;
    let rate = ((1.0 - (salvage / cost).powf(1.0 / life)) * 1000.0).round() / 1000.0;
    let mut depreciation = cost * rate * month / 12.0;
    let mut total = depreciation;
    let mut p = 2.0;
    while p <= per {
        depreciation = (cost - total) * rate;
        if p > life {
            depreciation *= (12.0 - month) / 12.0;
        }
        total += depreciation;
        p += 1.0;
    }
    real("DB", depreciation)
}

fn ddb(cost: f64, salvage: f64, life: f64, per: f64, factor: f64) -> f64 {
    let rate = (factor / life).min(1.0);
    let before = if rate >= 1.0 {
        if per <= 1.0 { cost } else { 0.0 }
    } else {
        cost * (1.0 - rate).powf(per - 1.0)
    };
    let after = cost * (1.0 - rate).powf(per);
    (before - after.max(salvage)).max(0.0)
}

/// Depreciation from the start to `period` with a switch to straight-line over `rest_life`.
fn switching(cost: f64, salvage: f64, life: f64, rest_life: f64, period: f64, factor: f64) -> f64 {
    let end = period.ceil();
    let mut rest = cost - salvage;
    let mut line = None;
    let (mut sum, mut i) = (0.0, 1.0);
    while i <= end {
        let mut term = match line {
            Some(term) => term,
            None => {
                let declining = ddb(cost, salvage, life, i, factor);
                let straight = rest / (rest_life - (i - 1.0));
                if straight > declining {
                    line = Some(straight);
                    straight
                } else {
                    rest -= declining;
                    declining
                }
            }
        };
        if i == end {
            term *= period + 1.0 - end;
        }
        sum += term;
        i += 1.0;
    }
    sum
}

fn variable_declining(_: &ScalarContext<'_>, a: Args<'_>) -> Result<Value> {
    let (cost, salvage, life) = (num(a, 0)?, num(a, 1)?, num(a, 2)?);
    let (start, end, factor) = (num(a, 3)?, num(a, 4)?, num_or(a, 5, 2.0)?);
    require(
        "VDB",
        cost >= 0.0
            && salvage >= 0.0
            && start >= 0.0
            && start <= end
            && end <= life
            && life > 0.0
            && life <= 1e5
            && factor > 0.0,
    )?;
    let (first, last) = (start.floor(), end.ceil());
    let mut sum = 0.0;
    if flag(a, 6)? {
        let mut i = first + 1.0;
        while i <= last {
            let part = end.min(i) - start.max(i - 1.0);
            sum += ddb(cost, salvage, life, i, factor) * part;
            i += 1.0;
        }
        return real("VDB", sum);
    }
    let book = |at: f64| cost - switching(cost, salvage, life, life, at, factor);
    if last > first {
        sum = switching(book(first), salvage, life, life - first, last - first, factor);
    }
    if start > first {
        sum -= (start - first) * switching(book(first), salvage, life, life - first, 1.0, factor);
    }
    if end < last {
        let from = last - 1.0;
        sum -= (last - end) * switching(book(from), salvage, life, life - from, 1.0, factor);
    }
    real("VDB", sum)
}

fn amorlinc(_: &ScalarContext<'_>, a: Args<'_>) -> Result<Value> {
    let (cost, salvage, per, rate) = (num(a, 0)?, num(a, 3)?, num(a, 4)?.round(), num(a, 5)?);
    let basis = years_of("AMORLINC", a)?;
    require(
        "AMORLINC",
        cost >= 0.0 && salvage >= 0.0 && salvage <= cost && per >= 0.0 && rate > 0.0,
    )?;
    let one = cost * rate;
    let zero = one * year_fraction(date(a, 1)?, date(a, 2)?, basis);
    let whole = ((cost - salvage - zero) / one).floor();
    let value = if per == 0.0 {
        zero
    } else if per <= whole {
        one
    } else if per == whole + 1.0 {
        cost - salvage - one * whole - zero
    } else {
        0.0
    };
    real("AMORLINC", value.max(0.0))
}

fn amordegrc(_: &ScalarContext<'_>, a: Args<'_>) -> Result<Value> {
    let (mut cost, salvage, per, rate) = (num(a, 0)?, num(a, 3)?, num(a, 4)?.round(), num(a, 5)?);
    let basis = years_of("AMORDEGRC", a)?;
    require(
        "AMORDEGRC",
        cost >= 0.0
            && salvage >= 0.0
            && salvage <= cost
            && (0.0..=1e6).contains(&per)
            && rate > 0.0,
    )?;
    let life = 1.0 / rate;
    let has_coefficient = life >= 5.0 || (3.0..=4.0).contains(&life);
    require("AMORDEGRC", has_coefficient)?;
    let rate = rate
        * match life {
            l if l < 5.0 => 1.5,
            l if l <= 6.0 => 2.0,
            _ => 2.5,
        };
    let mut depreciation = (year_fraction(date(a, 1)?, date(a, 2)?, basis) * rate * cost).round();
    cost -= depreciation;
    let mut rest = cost - salvage;
    let mut i = 0.0;
    while i < per {
        depreciation = (rate * cost).round();
        rest -= depreciation;
        if rest < 0.0 {
            let left = per - i;
            return real("AMORDEGRC", if left <= 2.0 { (cost * 0.5).round() } else { 0.0 });
        }
        cost -= depreciation;
        i += 1.0;
    }
    real("AMORDEGRC", depreciation)
}

/// The day-count basis of French depreciations, which know no year of actual days over 360.
fn years_of(function: &str, a: Args<'_>) -> Result<i64> {
    let basis = basis(function, a, 6)?;
    require(function, basis != 2)?;
    Ok(basis)
}

/// The day-count basis, 0 to 4; 0 where it is left out.
pub(crate) fn basis(function: &str, a: Args<'_>, i: usize) -> Result<i64> {
    match arg(a, i) {
        Value::Blank => Ok(0),
        _ => {
            let b = nearest(a, i)?;
            if (0..=4).contains(&b) { Ok(b) } else { Err(domain_error(function)) }
        }
    }
}
