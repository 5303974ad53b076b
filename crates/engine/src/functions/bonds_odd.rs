//! Securities whose first or last coupon period is irregular.

use evercube_base::DataType::Double;
use evercube_base::{DateTime, Result};

use super::FunctionKind::Scalar as F;
use super::ReturnType::{self, Fixed};
use super::arguments::{Args, date, real, require};
use super::bonds::{frequency, not_negative, periods_between, positive};
use super::day_count::year_fraction;
use super::financial::{basis, solve};
use super::{Family, Row};

const D: ReturnType = Fixed(Double);

pub(crate) const FAMILIES: &[Family] = &[Family("Financial", ROWS)];

const ROWS: &[Row] = &[
    Row(
        "ODDFPRICE",
        "Settlement,Maturity,Issue,FirstCoupon,Rate,Yld,Redemption,Frequency,[Basis]",
        "The price of a security with an odd first period.",
        D,
        F(|_, a| {
            let o = OddFirst::read("ODDFPRICE", a)?;
            real("ODDFPRICE", o.price(not_negative("ODDFPRICE", a, 5)?))
        }),
    ),
    Row(
        "ODDFYIELD",
        "Settlement,Maturity,Issue,FirstCoupon,Rate,Pr,Redemption,Frequency,[Basis]",
        "The yield of a security with an odd first period.",
        D,
        F(|_, a| {
            let o = OddFirst::read("ODDFYIELD", a)?;
            let pr = positive("ODDFYIELD", a, 5)?;
            solve("ODDFYIELD", o.rate.max(0.01), |y| o.price(y) - pr)
        }),
    ),
    Row(
        "ODDLPRICE",
        "Settlement,Maturity,LastInterest,Rate,Yld,Redemption,Frequency,[Basis]",
        "The price of a security with an odd last period.",
        D,
        F(|_, a| {
            let o = OddLast::read("ODDLPRICE", a)?;
            let yld = not_negative("ODDLPRICE", a, 4)?;
            let coupon = 100.0 * o.rate / o.frequency;
            real(
                "ODDLPRICE",
                (o.redemption + o.whole * coupon) / (1.0 + o.rest * yld / o.frequency)
                    - o.past * coupon,
            )
        }),
    ),
    Row(
        "ODDLYIELD",
        "Settlement,Maturity,LastInterest,Rate,Pr,Redemption,Frequency,[Basis]",
        "The yield of a security with an odd last period.",
        D,
        F(|_, a| {
            let o = OddLast::read("ODDLYIELD", a)?;
            let coupon = 100.0 * o.rate / o.frequency;
            let paid = positive("ODDLYIELD", a, 4)? + o.past * coupon;
            real(
                "ODDLYIELD",
                ((o.redemption + o.whole * coupon) / paid - 1.0) * o.frequency / o.rest,
            )
        }),
    ),
];

/// Lengths in coupon periods.
struct OddFirst {
    rate: f64,
    redemption: f64,
    frequency: f64,
    /// From issue to the first coupon, from issue to settlement, from settlement to the first coupon.
    first: f64,
    past: f64,
    rest: f64,
    /// Coupons after the first.
    later: f64,
}

impl OddFirst {
    fn read(name: &str, a: Args<'_>) -> Result<Self> {
        let day = |i| date(a, i).map(|d: DateTime| d.with_time(0));
        let (settlement, maturity, issue, first) = (day(0)?, day(1)?, day(2)?, day(3)?);
        let (f, b) = (frequency(name, a, 7)?, basis(name, a, 8)?);
        require(name, maturity > first && first > settlement && settlement > issue)?;
        let periods = |from, to| periods_between(name, from, to, first, f, b);
        Ok(Self {
            rate: not_negative(name, a, 4)?,
            redemption: positive(name, a, 6)?,
            frequency: f as f64,
            first: periods(issue, first)?,
            past: periods(issue, settlement)?,
            rest: periods(settlement, first)?,
            later: periods(first, maturity)?.round(),
        })
    }

    fn price(&self, yld: f64) -> f64 {
        let coupon = 100.0 * self.rate / self.frequency;
        let q = 1.0 + yld / self.frequency;
        let mut sum = self.redemption / q.powf(self.later + self.rest)
            + coupon * self.first / q.powf(self.rest)
            - coupon * self.past;
        let mut k = 1.0;
        while k <= self.later {
            sum += coupon / q.powf(k + self.rest);
            k += 1.0;
        }
        sum
    }
}

/// Lengths in coupon periods.
struct OddLast {
    rate: f64,
    redemption: f64,
    frequency: f64,
    /// From the last coupon to maturity, from there to settlement, from settlement to maturity.
    whole: f64,
    past: f64,
    rest: f64,
}

impl OddLast {
    fn read(name: &str, a: Args<'_>) -> Result<Self> {
        let (settlement, maturity, last) = (date(a, 0)?, date(a, 1)?, date(a, 2)?);
        let (f, b) = (frequency(name, a, 6)? as f64, basis(name, a, 7)?);
        require(name, maturity.days() > settlement.days() && settlement.days() > last.days())?;
        Ok(Self {
            rate: not_negative(name, a, 3)?,
            redemption: positive(name, a, 5)?,
            frequency: f,
            whole: year_fraction(last, maturity, b) * f,
            past: year_fraction(last, settlement, b) * f,
            rest: year_fraction(settlement, maturity, b) * f,
        })
    }
}
