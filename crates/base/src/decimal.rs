//! Fixed decimal: an integer scaled by 10,000, with checked arithmetic.

use std::fmt;

/// Value × 10⁴ in an `i64`: ±922,337,203,685,477.5807.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Default,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct Decimal(pub i64);

impl Decimal {
    pub const ZERO: Self = Self(0);
    /// Units of one.
    pub const SCALE: i64 = 10_000;

    pub fn from_int(v: i64) -> Option<Self> {
        v.checked_mul(Self::SCALE).map(Self)
    }
    /// Rounds half away from zero; `None` outside the range or for a value that is not finite.
    pub fn from_f64(v: f64) -> Option<Self> {
        /// Below this a number may have a fraction.
        const WHOLE: f64 = (1_u64 << 52) as f64;
        let scaled = v * Self::SCALE as f64;
        if scaled.abs() < WHOLE {
            // Without a call, which `round` is on processors of the baseline.
            let whole = scaled as i64;
            let rest = scaled - whole as f64;
            return Some(Self(whole + i64::from(rest >= 0.5) - i64::from(rest <= -0.5)));
        }
        let scaled = scaled.round();
        (scaled.is_finite() && scaled.abs() < 9.223_372_036_854_775e18)
            .then_some(Self(scaled as i64))
    }
    /// `unscaled × 10^-scale`, rounded half away from zero to four digits.
    pub fn from_scaled(unscaled: i128, scale: i32) -> Option<Self> {
        let shift = scale - 4;
        let v = if shift <= 0 {
            unscaled.checked_mul(10i128.checked_pow(u32::try_from(-shift).ok()?)?)?
        } else {
            let d = 10i128.checked_pow(u32::try_from(shift).ok()?)?;
            let (q, r) = (unscaled / d, unscaled % d);
            if r.abs() * 2 >= d { q + r.signum() } else { q }
        };
        i64::try_from(v).ok().map(Self)
    }
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / Self::SCALE as f64
    }
    /// Whole part, rounded half away from zero.
    pub fn round_to_int(self) -> i64 {
        let (q, r) = (self.0 / Self::SCALE, self.0 % Self::SCALE);
        if r.abs() * 2 >= Self::SCALE { q + r.signum() } else { q }
    }
    pub fn checked_add(self, o: Self) -> Option<Self> {
        self.0.checked_add(o.0).map(Self)
    }
    pub fn checked_sub(self, o: Self) -> Option<Self> {
        self.0.checked_sub(o.0).map(Self)
    }
    /// Product rounded half away from zero to four digits.
    pub fn checked_mul(self, o: Self) -> Option<Self> {
        Self::from_scaled(i128::from(self.0) * i128::from(o.0), 8)
    }
    pub fn checked_neg(self) -> Option<Self> {
        self.0.checked_neg().map(Self)
    }
    /// Plain decimal text (`-12.5`), up to four digits, rounded; `None` where it is no number or too large.
    pub fn parse(text: &str) -> Option<Self> {
        let t = text.trim();
        let (neg, digits) = match t.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, t.strip_prefix('+').unwrap_or(t)),
        };
        let (whole, frac) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && frac.is_empty() || frac.len() > 30 {
            return None;
        }
        let all: String = whole.chars().chain(frac.chars()).collect();
        if !all.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let unscaled: i128 = all.parse().ok()?;
        Self::from_scaled(if neg { -unscaled } else { unscaled }, i32::try_from(frac.len()).ok()?)
    }
}

impl fmt::Display for Decimal {
    /// Shortest exact text: trailing zeros of the fraction are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (abs, sign) = (self.0.unsigned_abs(), if self.0 < 0 { "-" } else { "" });
        let (whole, frac) = (abs / Self::SCALE as u64, abs % Self::SCALE as u64);
        if frac == 0 {
            return write!(f, "{sign}{whole}");
        }
        let digits = format!("{frac:04}");
        write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        for t in ["0", "12.5", "-0.0001", "922337203685477.5807", "-922337203685477.5808"] {
            assert_eq!(Decimal::parse(t).unwrap().to_string(), t);
        }
        assert_eq!(Decimal::parse("1.00005").unwrap().to_string(), "1.0001");
        assert_eq!(Decimal::parse("922337203685477.5808"), None);
        assert_eq!(Decimal::parse("1e5"), None);
    }

    #[test]
    fn products_round_half_away_from_zero() {
        let p =
            |a: &str, b: &str| Decimal::parse(a).unwrap().checked_mul(Decimal::parse(b).unwrap());
        assert_eq!(p("0.01", "0.005").unwrap().to_string(), "0.0001");
        assert_eq!(p("-0.01", "0.005").unwrap().to_string(), "-0.0001");
        assert_eq!(p("922337203685477", "10"), None);
    }
}
