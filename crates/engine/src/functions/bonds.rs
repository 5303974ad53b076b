//! Securities: discount, interest at maturity, treasury bills and regular coupons.

use evercube_base::DataType::{DateTime as DateType, Double, Int64};
use evercube_base::{DateTime, Result, Value};

use super::FunctionKind::Scalar as F;
use super::ReturnType::{self, Fixed};
use super::arguments::{Args, date, domain_error, flag, nearest, num, real, require};
use super::day_count::{add_months, days_between, end_of_month, is_month_end, year_fraction};
use super::financial::{basis, solve};
use super::{Family, Row, ScalarContext};

const D: ReturnType = Fixed(Double);
const I: ReturnType = Fixed(Int64);
const T: ReturnType = Fixed(DateType);

pub(crate) const FAMILIES: &[Family] = &[Family("Financial", ROWS)];

const ROWS: &[Row] = &[
    Row(
        "ACCRINT",
        "Issue,FirstInterest,Settlement,Rate,Par,Frequency,[Basis],[CalcMethod]",
        "Accrued interest of a security with coupons.",
        D,
        F(accrued),
    ),
    Row(
        "ACCRINTM",
        "Issue,Maturity,Rate,Par,[Basis]",
        "Accrued interest of a security paying at maturity.",
        D,
        F(|_, a| {
            let f = span("ACCRINTM", a, 0, 1, 4)?;
            require("ACCRINTM", num(a, 2)? > 0.0 && num(a, 3)? > 0.0)?;
            real("ACCRINTM", num(a, 3)? * num(a, 2)? * f)
        }),
    ),
    Row(
        "DISC",
        "Settlement,Maturity,Pr,Redemption,[Basis]",
        "The discount rate of a security.",
        D,
        F(|_, a| {
            let (f, pr, red) =
                (span("DISC", a, 0, 1, 4)?, positive("DISC", a, 2)?, positive("DISC", a, 3)?);
            real("DISC", (red - pr) / red / f)
        }),
    ),
    Row(
        "INTRATE",
        "Settlement,Maturity,Investment,Redemption,[Basis]",
        "The interest rate of a fully invested security.",
        D,
        F(|_, a| {
            let (f, inv, red) = (
                span("INTRATE", a, 0, 1, 4)?,
                positive("INTRATE", a, 2)?,
                positive("INTRATE", a, 3)?,
            );
            real("INTRATE", (red - inv) / inv / f)
        }),
    ),
    Row(
        "RECEIVED",
        "Settlement,Maturity,Investment,Discount,[Basis]",
        "The amount received at maturity.",
        D,
        F(|_, a| {
            let (f, inv, disc) = (
                span("RECEIVED", a, 0, 1, 4)?,
                positive("RECEIVED", a, 2)?,
                positive("RECEIVED", a, 3)?,
            );
            real("RECEIVED", inv / (1.0 - disc * f))
        }),
    ),
    Row(
        "PRICEDISC",
        "Settlement,Maturity,Discount,Redemption,[Basis]",
        "The price of a discounted security.",
        D,
        F(|_, a| {
            let (f, disc, red) = (
                span("PRICEDISC", a, 0, 1, 4)?,
                positive("PRICEDISC", a, 2)?,
                positive("PRICEDISC", a, 3)?,
            );
            real("PRICEDISC", red * (1.0 - disc * f))
        }),
    ),
    Row(
        "YIELDDISC",
        "Settlement,Maturity,Pr,Redemption,[Basis]",
        "The yield of a discounted security.",
        D,
        F(|_, a| {
            let (f, pr, red) = (
                span("YIELDDISC", a, 0, 1, 4)?,
                positive("YIELDDISC", a, 2)?,
                positive("YIELDDISC", a, 3)?,
            );
            real("YIELDDISC", (red / pr - 1.0) / f)
        }),
    ),
    Row(
        "PRICEMAT",
        "Settlement,Maturity,Issue,Rate,Yld,[Basis]",
        "The price of a security paying interest at maturity.",
        D,
        F(|_, a| {
            let (rest, whole, past) = maturity_spans("PRICEMAT", a)?;
            let (rate, yld) = (not_negative("PRICEMAT", a, 3)?, not_negative("PRICEMAT", a, 4)?);
            real("PRICEMAT", ((1.0 + whole * rate) / (1.0 + rest * yld) - past * rate) * 100.0)
        }),
    ),
    Row(
        "YIELDMAT",
        "Settlement,Maturity,Issue,Rate,Pr,[Basis]",
        "The yield of a security paying interest at maturity.",
        D,
        F(|_, a| {
            let (rest, whole, past) = maturity_spans("YIELDMAT", a)?;
            let (rate, pr) = (not_negative("YIELDMAT", a, 3)?, positive("YIELDMAT", a, 4)?);
            real("YIELDMAT", ((1.0 + whole * rate) / (pr / 100.0 + past * rate) - 1.0) / rest)
        }),
    ),
    Row(
        "TBILLPRICE",
        "Settlement,Maturity,Discount",
        "The price of a treasury bill.",
        D,
        F(|_, a| {
            let days = bill_days("TBILLPRICE", a)?;
            let p = 100.0 * (1.0 - positive("TBILLPRICE", a, 2)? * days / 360.0);
            require("TBILLPRICE", p >= 0.0)?;
            real("TBILLPRICE", p)
        }),
    ),
    Row(
        "TBILLYIELD",
        "Settlement,Maturity,Pr",
        "The yield of a treasury bill.",
        D,
        F(|_, a| {
            let (days, pr) = (bill_days("TBILLYIELD", a)?, positive("TBILLYIELD", a, 2)?);
            real("TBILLYIELD", (100.0 - pr) / pr * 360.0 / days)
        }),
    ),
    Row(
        "TBILLEQ",
        "Settlement,Maturity,Discount",
        "The bond-equivalent yield of a treasury bill.",
        D,
        F(|_, a| {
            let (days, disc) = (bill_days("TBILLEQ", a)?, positive("TBILLEQ", a, 2)?);
            if days <= 182.0 {
                return real("TBILLEQ", 365.0 * disc / (360.0 - disc * days));
            }
            let price = 1.0 - disc * days / 360.0;
            let x = days / if days == 366.0 { 366.0 } else { 365.0 };
            let root = (x * x - (2.0 * x - 1.0) * (1.0 - 1.0 / price)).sqrt();
            real("TBILLEQ", (2.0 * root - 2.0 * x) / (2.0 * x - 1.0))
        }),
    ),
    Row(
        "COUPPCD",
        "Settlement,Maturity,Frequency,[Basis]",
        "The coupon date before settlement.",
        T,
        F(|_, a| Ok(Coupons::read("COUPPCD", a, 2, 3)?.previous.into())),
    ),
    Row(
        "COUPNCD",
        "Settlement,Maturity,Frequency,[Basis]",
        "The coupon date after settlement.",
        T,
        F(|_, a| Ok(Coupons::read("COUPNCD", a, 2, 3)?.next.into())),
    ),
    Row(
        "COUPNUM",
        "Settlement,Maturity,Frequency,[Basis]",
        "The coupons between settlement and maturity.",
        I,
        F(|_, a| Ok(Value::Int(Coupons::read("COUPNUM", a, 2, 3)?.count as i64))),
    ),
    Row(
        "COUPDAYS",
        "Settlement,Maturity,Frequency,[Basis]",
        "Days of the coupon period of settlement.",
        D,
        F(|_, a| Ok(Coupons::read("COUPDAYS", a, 2, 3)?.days.into())),
    ),
    Row(
        "COUPDAYBS",
        "Settlement,Maturity,Frequency,[Basis]",
        "Days from the coupon period's start to settlement.",
        D,
        F(|_, a| Ok(Coupons::read("COUPDAYBS", a, 2, 3)?.past.into())),
    ),
    Row(
        "COUPDAYSNC",
        "Settlement,Maturity,Frequency,[Basis]",
        "Days from settlement to the next coupon.",
        D,
        F(|_, a| Ok(Coupons::read("COUPDAYSNC", a, 2, 3)?.rest.into())),
    ),
    Row(
        "PRICE",
        "Settlement,Maturity,Rate,Yld,Redemption,Frequency,[Basis]",
        "The price of a security with coupons.",
        D,
        F(|_, a| {
            let c = Coupons::read("PRICE", a, 5, 6)?;
            let (rate, yld, red) = (
                not_negative("PRICE", a, 2)?,
                not_negative("PRICE", a, 3)?,
                positive("PRICE", a, 4)?,
            );
            real("PRICE", c.price(rate, yld, red))
        }),
    ),
    Row(
        "YIELD",
        "Settlement,Maturity,Rate,Pr,Redemption,Frequency,[Basis]",
        "The yield of a security with coupons.",
        D,
        F(|_, a| {
            let c = Coupons::read("YIELD", a, 5, 6)?;
            let (rate, pr, red) =
                (not_negative("YIELD", a, 2)?, positive("YIELD", a, 3)?, positive("YIELD", a, 4)?);
            if c.count <= 1.0 {
                let coupon = rate / c.frequency;
                let paid = pr / 100.0 + c.past / c.days * coupon;
                return real(
                    "YIELD",
                    (red / 100.0 + coupon - paid) / paid * c.frequency * c.days / c.rest,
                );
            }
            solve("YIELD", rate.max(0.01), |y| c.price(rate, y, red) - pr)
        }),
    ),
    Row(
        "DURATION",
        "Settlement,Maturity,Coupon,Yld,Frequency,[Basis]",
        "Macaulay's duration of a security.",
        D,
        F(|_, a| {
            let c = Coupons::read("DURATION", a, 4, 5)?;
            real(
                "DURATION",
                c.duration(not_negative("DURATION", a, 2)?, not_negative("DURATION", a, 3)?),
            )
        }),
    ),
    Row(
        "MDURATION",
        "Settlement,Maturity,Coupon,Yld,Frequency,[Basis]",
        "The modified duration of a security.",
        D,
        F(|_, a| {
            let c = Coupons::read("MDURATION", a, 4, 5)?;
            let yld = not_negative("MDURATION", a, 3)?;
            real(
                "MDURATION",
                c.duration(not_negative("MDURATION", a, 2)?, yld) / (1.0 + yld / c.frequency),
            )
        }),
    ),
];

pub(crate) fn positive(function: &str, a: Args<'_>, i: usize) -> Result<f64> {
    let v = num(a, i)?;
    require(function, v > 0.0)?;
    Ok(v)
}

pub(crate) fn not_negative(function: &str, a: Args<'_>, i: usize) -> Result<f64> {
    let v = num(a, i)?;
    require(function, v >= 0.0)?;
    Ok(v)
}

/// Part of a year from the date at `from` to the later one at `to`.
fn span(function: &str, a: Args<'_>, from: usize, to: usize, basis_at: usize) -> Result<f64> {
    let (s, m) = (date(a, from)?, date(a, to)?);
    require(function, s.days() < m.days())?;
    Ok(year_fraction(s, m, basis(function, a, basis_at)?))
}

/// Parts of a year from settlement to maturity, issue to maturity and issue to settlement.
fn maturity_spans(function: &str, a: Args<'_>) -> Result<(f64, f64, f64)> {
    let (settlement, maturity, issue) = (date(a, 0)?, date(a, 1)?, date(a, 2)?);
    let b = basis(function, a, 5)?;
    require(function, settlement.days() < maturity.days() && issue.days() <= settlement.days())?;
    Ok((
        year_fraction(settlement, maturity, b),
        year_fraction(issue, maturity, b),
        year_fraction(issue, settlement, b),
    ))
}

fn bill_days(function: &str, a: Args<'_>) -> Result<f64> {
    let (s, m) = (date(a, 0)?, date(a, 1)?);
    let limit = add_months(s, 12).map_or(i64::MAX, DateTime::days);
    require(function, s.days() < m.days() && m.days() <= limit)?;
    Ok((m.days() - s.days()) as f64)
}

/// Coupons a year: 1, 2 or 4.
pub(crate) fn frequency(function: &str, a: Args<'_>, i: usize) -> Result<i64> {
    let f = nearest(a, i)?;
    require(function, matches!(f, 1 | 2 | 4))?;
    Ok(f)
}

/// The coupon date `count` periods before `anchor`; the end of a month stays the end.
pub(crate) fn coupon_date(anchor: DateTime, frequency: i64, count: i64) -> Option<DateTime> {
    let months = -count * 12 / frequency;
    if is_month_end(anchor) { end_of_month(anchor, months) } else { add_months(anchor, months) }
}

/// Days of a coupon period under a basis.
pub(crate) fn period_days(from: DateTime, to: DateTime, frequency: i64, basis: i64) -> f64 {
    match basis {
        1 => (to.days() - from.days()) as f64,
        3 => 365.0 / frequency as f64,
        _ => 360.0 / frequency as f64,
    }
}

/// Coupon periods from `from` to `to`, parts included, of the calendar of coupons through `anchor`.
pub(crate) fn periods_between(
    function: &str,
    from: DateTime,
    to: DateTime,
    anchor: DateTime,
    frequency: i64,
    basis: i64,
) -> Result<f64> {
    let bad = || domain_error(function);
    let mut sum = 0.0;
    let months = |d: DateTime| i64::from(d.ymd().0) * 12 + i64::from(d.ymd().1);
    // The first period ends at or after `to`.
    let mut k = (months(anchor) - months(to)).div_euclid(12 / frequency) - 1;
    loop {
        let end = coupon_date(anchor, frequency, k).ok_or_else(bad)?;
        let start = coupon_date(anchor, frequency, k + 1).ok_or_else(bad)?;
        if end.days() <= from.days() {
            return Ok(sum);
        }
        let (lo, hi) = (start.max(from), end.min(to));
        if (lo, hi) == (start, end) {
            // Whole, whatever the basis makes of the month ends.
            sum += 1.0;
        } else if lo.days() < hi.days() {
            sum += days_between(lo, hi, basis) / period_days(start, end, frequency, basis);
        }
        k += 1;
    }
}

/// The coupons of a security seen from its settlement.
struct Coupons {
    previous: DateTime,
    next: DateTime,
    frequency: f64,
    /// Coupons from settlement to maturity.
    count: f64,
    /// Days of the period, from its start to settlement and from there to its end.
    days: f64,
    past: f64,
    rest: f64,
}

impl Coupons {
    /// Reads settlement and maturity from the first two arguments.
    fn read(function: &str, a: Args<'_>, frequency_at: usize, basis_at: usize) -> Result<Self> {
        let (settlement, maturity) = (date(a, 0)?.with_time(0), date(a, 1)?.with_time(0));
        let f = frequency(function, a, frequency_at)?;
        let basis = basis(function, a, basis_at)?;
        require(function, settlement < maturity)?;
        let mut count = 1;
        let mut next = maturity;
        let previous = loop {
            let d = coupon_date(maturity, f, count).ok_or_else(|| domain_error(function))?;
            if d <= settlement {
                break d;
            }
            next = d;
            count += 1;
        };
        let days = period_days(previous, next, f, basis);
        let past = days_between(previous, settlement, basis);
        let rest = match basis {
            0 | 4 => days - past,
            _ => days_between(settlement, next, basis),
        };
        Ok(Self { previous, next, frequency: f as f64, count: count as f64, days, past, rest })
    }

    fn price(&self, rate: f64, yld: f64, redemption: f64) -> f64 {
        let coupon = 100.0 * rate / self.frequency;
        let accrued = coupon * self.past / self.days;
        let part = self.rest / self.days;
        let y = yld / self.frequency;
        if self.count <= 1.0 {
            return (coupon + redemption) / (1.0 + y * part) - accrued;
        }
        let mut sum = redemption / (1.0 + y).powf(self.count - 1.0 + part);
        let mut k = 0.0;
        while k < self.count {
            sum += coupon / (1.0 + y).powf(k + part);
            k += 1.0;
        }
        sum - accrued
    }

    /// Years, weighted by the present values of the payments.
    fn duration(&self, rate: f64, yld: f64) -> f64 {
        let coupon = 100.0 * rate / self.frequency;
        let part = self.rest / self.days;
        let q = 1.0 + yld / self.frequency;
        let (mut weighted, mut total, mut k) = (0.0, 0.0, 0.0);
        while k < self.count {
            let t = k + part;
            let payment = if k + 1.0 >= self.count { coupon + 100.0 } else { coupon };
            let value = payment / q.powf(t);
            weighted += t * value;
            total += value;
            k += 1.0;
        }
        weighted / total / self.frequency
    }
}

fn accrued(_: &ScalarContext<'_>, a: Args<'_>) -> Result<Value> {
    const NAME: &str = "ACCRINT";
    let (issue, first, settlement) = (date(a, 0)?, date(a, 1)?, date(a, 2)?);
    let (rate, par) = (positive(NAME, a, 3)?, positive(NAME, a, 4)?);
    let (f, b) = (frequency(NAME, a, 5)?, basis(NAME, a, 6)?);
    require(NAME, issue.days() < settlement.days())?;
    let from_issue = a.get(7).is_none_or(Value::is_blank) || flag(a, 7)?;
    let periods = match from_issue {
        true => periods_between(NAME, issue, settlement, first, f, b)?,
        false => periods_around(NAME, issue, settlement, first, f, b)?,
    };
    real(NAME, par * rate / f as f64 * periods)
}

/// The coupon periods of the other method of `ACCRINT`: what lies before and after the whole
/// periods between issue and the last coupon before the first interest.
fn periods_around(
    function: &str,
    issue: DateTime,
    settlement: DateTime,
    first: DateTime,
    frequency: i64,
    basis: i64,
) -> Result<f64> {
    let coupon = |k| coupon_date(first, frequency, k).ok_or_else(|| domain_error(function));
    let (mut end, mut start) = (first, coupon(1)?);
    let part = |from: DateTime, to: DateTime, start: DateTime, end: DateTime| {
        days_between(from, to, basis) / period_days(start, end, frequency, basis)
    };
    let mut sum = part(issue.max(start), settlement, start, end);
    let mut k = 2;
    while issue < start {
        (end, start) = (start, coupon(k)?);
        if issue > start {
            sum += part(issue, end, start, end);
        }
        k += 1;
    }
    Ok(sum)
}
