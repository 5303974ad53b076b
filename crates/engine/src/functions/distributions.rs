//! Statistical distributions.

use evercube_base::DataType::Double;
use evercube_base::{Result, Value};

use super::FunctionKind::Scalar as F;
use super::ReturnType::{self, Fixed};
use super::arguments::{Args, flag, num, num_or, real, require};
use super::{Family, Row, ScalarContext};

const D: ReturnType = Fixed(Double);

pub(crate) const FAMILIES: &[Family] = &[Family("Statistical", ROWS)];

const ROWS: &[Row] = &[
    Row(
        "NORM.DIST",
        "X,Mean,StandardDev,Cumulative",
        "The normal distribution.",
        D,
        F(|_, a| {
            let (x, mean, sd) = (num(a, 0)?, num(a, 1)?, num(a, 2)?);
            require("NORM.DIST", sd > 0.0)?;
            let z = (x - mean) / sd;
            real("NORM.DIST", if flag(a, 3)? { normal(z) } else { density(z) / sd })
        }),
    ),
    Row(
        "NORM.S.DIST",
        "Z,Cumulative",
        "The standard normal distribution.",
        D,
        F(|_, a| {
            let z = num(a, 0)?;
            real("NORM.S.DIST", if flag(a, 1)? { normal(z) } else { density(z) })
        }),
    ),
    Row(
        "NORM.INV",
        "Probability,Mean,StandardDev",
        "The inverse of the normal distribution.",
        D,
        F(|_, a| {
            let (p, mean, sd) = (num(a, 0)?, num(a, 1)?, num(a, 2)?);
            require("NORM.INV", p > 0.0 && p < 1.0 && sd > 0.0)?;
            real("NORM.INV", mean + sd * normal_inverse(p))
        }),
    ),
    Row(
        "NORM.S.INV",
        "Probability",
        "The inverse of the standard normal distribution.",
        D,
        F(|_, a| {
            let p = num(a, 0)?;
            require("NORM.S.INV", p > 0.0 && p < 1.0)?;
            real("NORM.S.INV", normal_inverse(p))
        }),
    ),
    Row(
        "T.DIST",
        "X,DegFreedom,Cumulative",
        "Student's t-distribution.",
        D,
        F(|_, a| {
            let (x, n) = (num(a, 0)?, freedom("T.DIST", a, 1)?);
            if flag(a, 2)? {
                return real("T.DIST", student(x, n));
            }
            let log = ln_gamma((n + 1.0) / 2.0)
                - ln_gamma(n / 2.0)
                - 0.5 * (n * std::f64::consts::PI).ln()
                - (n + 1.0) / 2.0 * (1.0 + x * x / n).ln();
            real("T.DIST", log.exp())
        }),
    ),
    Row(
        "T.DIST.RT",
        "X,DegFreedom",
        "The right tail of Student's t-distribution.",
        D,
        F(|_, a| real("T.DIST.RT", student(-num(a, 0)?, freedom("T.DIST.RT", a, 1)?))),
    ),
    Row(
        "T.DIST.2T",
        "X,DegFreedom",
        "Both tails of Student's t-distribution.",
        D,
        F(|_, a| {
            let x = num(a, 0)?;
            require("T.DIST.2T", x >= 0.0)?;
            real("T.DIST.2T", 2.0 * student(-x, freedom("T.DIST.2T", a, 1)?))
        }),
    ),
    Row(
        "T.INV",
        "Probability,DegFreedom",
        "The inverse of Student's t-distribution.",
        D,
        F(|_, a| {
            let p = num(a, 0)?;
            require("T.INV", p > 0.0 && p < 1.0)?;
            real("T.INV", student_inverse(p, freedom("T.INV", a, 1)?))
        }),
    ),
    Row(
        "T.INV.2T",
        "Probability,DegFreedom",
        "The inverse of both tails of Student's t-distribution.",
        D,
        F(|_, a| {
            let p = num(a, 0)?;
            require("T.INV.2T", p > 0.0 && p <= 1.0)?;
            real("T.INV.2T", -student_inverse(p / 2.0, freedom("T.INV.2T", a, 1)?))
        }),
    ),
    Row(
        "CHISQ.DIST",
        "X,DegFreedom,Cumulative",
        "The chi-squared distribution.",
        D,
        F(|_, a| {
            let (x, n) = (num(a, 0)?, freedom("CHISQ.DIST", a, 1)?);
            require("CHISQ.DIST", x >= 0.0)?;
            if flag(a, 2)? {
                return real("CHISQ.DIST", gamma_p(n / 2.0, x / 2.0));
            }
            let log = (n / 2.0 - 1.0) * x.ln() - x / 2.0 - n / 2.0 * 2f64.ln() - ln_gamma(n / 2.0);
            real("CHISQ.DIST", if x == 0.0 && n == 2.0 { 0.5 } else { log.exp() })
        }),
    ),
    Row(
        "CHISQ.DIST.RT",
        "X,DegFreedom",
        "The right tail of the chi-squared distribution.",
        D,
        F(|_, a| {
            let (x, n) = (num(a, 0)?, freedom("CHISQ.DIST.RT", a, 1)?);
            require("CHISQ.DIST.RT", x >= 0.0)?;
            real("CHISQ.DIST.RT", 1.0 - gamma_p(n / 2.0, x / 2.0))
        }),
    ),
    Row(
        "CHISQ.INV",
        "Probability,DegFreedom",
        "The inverse of the chi-squared distribution.",
        D,
        F(|_, a| {
            let p = num(a, 0)?;
            require("CHISQ.INV", (0.0..1.0).contains(&p))?;
            real("CHISQ.INV", chi_inverse(p, freedom("CHISQ.INV", a, 1)?))
        }),
    ),
    Row(
        "CHISQ.INV.RT",
        "Probability,DegFreedom",
        "The inverse of the right tail of the chi-squared distribution.",
        D,
        F(|_, a| {
            let p = num(a, 0)?;
            require("CHISQ.INV.RT", p > 0.0 && p <= 1.0)?;
            real("CHISQ.INV.RT", chi_inverse(1.0 - p, freedom("CHISQ.INV.RT", a, 1)?))
        }),
    ),
    Row(
        "POISSON.DIST",
        "X,Mean,Cumulative",
        "The Poisson distribution.",
        D,
        F(|_, a| {
            let (x, mean) = (num(a, 0)?.round_ties_even(), num(a, 1)?);
            require("POISSON.DIST", x >= 0.0 && mean >= 0.0)?;
            if mean == 0.0 {
                return Ok(if x == 0.0 || flag(a, 2)? { 1.0 } else { 0.0 }.into());
            }
            real(
                "POISSON.DIST",
                if flag(a, 2)? {
                    1.0 - gamma_p(x + 1.0, mean)
                } else {
                    (x * mean.ln() - mean - ln_gamma(x + 1.0)).exp()
                },
            )
        }),
    ),
    Row(
        "EXPON.DIST",
        "X,Lambda,Cumulative",
        "The exponential distribution.",
        D,
        F(|_, a| {
            let (x, l) = (num(a, 0)?, num(a, 1)?);
            require("EXPON.DIST", x >= 0.0 && l > 0.0)?;
            real("EXPON.DIST", if flag(a, 2)? { -(-l * x).exp_m1() } else { l * (-l * x).exp() })
        }),
    ),
    Row(
        "BETA.DIST",
        "X,Alpha,Beta,Cumulative,[A],[B]",
        "The beta distribution.",
        D,
        F(beta_distribution),
    ),
    Row(
        "BETA.INV",
        "Probability,Alpha,Beta,[A],[B]",
        "The inverse of the beta distribution.",
        D,
        F(|_, a| {
            let (p, alpha, beta) = (num(a, 0)?, num(a, 1)?, num(a, 2)?);
            let (lo, hi) = (num_or(a, 3, 0.0)?, num_or(a, 4, 1.0)?);
            require("BETA.INV", p > 0.0 && p <= 1.0 && alpha > 0.0 && beta > 0.0 && lo < hi)?;
            let x = bisect(0.0, 1.0, |x| beta_i(alpha, beta, x) - p);
            real("BETA.INV", lo + x * (hi - lo))
        }),
    ),
    Row(
        "CONFIDENCE.NORM",
        "Alpha,StandardDev,Size",
        "Half the confidence interval of a mean, normal.",
        D,
        F(|_, a| {
            let (alpha, sd, n) = (num(a, 0)?, num(a, 1)?, num(a, 2)?.trunc());
            require("CONFIDENCE.NORM", alpha > 0.0 && alpha < 1.0 && sd > 0.0 && n >= 1.0)?;
            real("CONFIDENCE.NORM", -normal_inverse(alpha / 2.0) * sd / n.sqrt())
        }),
    ),
    Row(
        "CONFIDENCE.T",
        "Alpha,StandardDev,Size",
        "Half the confidence interval of a mean, by Student's t.",
        D,
        F(|_, a| {
            let (alpha, sd, n) = (num(a, 0)?, num(a, 1)?, num(a, 2)?.trunc());
            require("CONFIDENCE.T", alpha > 0.0 && alpha < 1.0 && sd > 0.0 && n > 1.0)?;
            real("CONFIDENCE.T", -student_inverse(alpha / 2.0, n - 1.0) * sd / n.sqrt())
        }),
    ),
];

fn freedom(function: &str, a: Args<'_>, i: usize) -> Result<f64> {
    let n = num(a, i)?.trunc();
    require(function, (1.0..=1e10).contains(&n))?;
    Ok(n)
}

fn beta_distribution(_: &ScalarContext<'_>, a: Args<'_>) -> Result<Value> {
    let (x, alpha, beta) = (num(a, 0)?, num(a, 1)?, num(a, 2)?);
    let (lo, hi) = (num_or(a, 4, 0.0)?, num_or(a, 5, 1.0)?);
    require("BETA.DIST", alpha > 0.0 && beta > 0.0 && lo < hi && (lo..=hi).contains(&x))?;
    let t = (x - lo) / (hi - lo);
    if flag(a, 3)? {
        return real("BETA.DIST", beta_i(alpha, beta, t));
    }
    let log = ln_gamma(alpha + beta) - ln_gamma(alpha) - ln_gamma(beta);
    real("BETA.DIST", log.exp() * t.powf(alpha - 1.0) * (1.0 - t).powf(beta - 1.0) / (hi - lo))
}

fn density(z: f64) -> f64 {
    (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// Probability below `z` under the standard normal distribution.
fn normal(z: f64) -> f64 {
    let tail = gamma_q(0.5, z * z / 2.0) / 2.0;
    if z < 0.0 { tail } else { 1.0 - tail }
}

fn normal_inverse(p: f64) -> f64 {
    if p == 0.5 {
        return 0.0;
    }
    bisect(-40.0, 40.0, |z| normal(z) - p)
}

fn student(x: f64, n: f64) -> f64 {
    // Near the middle what is between it and `x` is more exact than what is beyond.
    if x * x < n {
        let between = beta_i(0.5, n / 2.0, x * x / (n + x * x)) / 2.0;
        return if x < 0.0 { 0.5 - between } else { 0.5 + between };
    }
    let tail = beta_i(n / 2.0, 0.5, n / (n + x * x)) / 2.0;
    if x < 0.0 { tail } else { 1.0 - tail }
}

fn student_inverse(p: f64, n: f64) -> f64 {
    let mut reach = 1.0;
    while reach < 1e100 && student(-reach, n) > p.min(1.0 - p) {
        reach *= 2.0;
    }
    bisect(-reach, reach, |x| student(x, n) - p)
}

fn chi_inverse(p: f64, n: f64) -> f64 {
    let mut reach = n.max(1.0);
    while reach < 1e100 && gamma_p(n / 2.0, reach / 2.0) < p {
        reach *= 2.0;
    }
    bisect(0.0, reach, |x| gamma_p(n / 2.0, x / 2.0) - p)
}

/// Root of a rising function between two points, to the last bits.
fn bisect(lo: f64, hi: f64, f: impl Fn(f64) -> f64) -> f64 {
    let (mut lo, mut hi) = (lo, hi);
    for _ in 0..400 {
        let mid = lo + (hi - lo) / 2.0;
        if mid <= lo || mid >= hi {
            break;
        }
        if f(mid) < 0.0 {
            lo = mid;
        } else {
            hi = mid;
        }
    }
    lo + (hi - lo) / 2.0
}

/// Logarithm of the gamma function for positive arguments (Lanczos, g = 7, nine terms).
fn ln_gamma(x: f64) -> f64 {
    const C: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        let pi = std::f64::consts::PI;
        return (pi / (pi * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let mut sum = 0.999_999_999_999_809_9;
    for (i, c) in C.iter().enumerate() {
        sum += c / (x + i as f64 + 1.0);
    }
    let t = x + 7.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

/// The regularised lower incomplete gamma function.
fn gamma_p(a: f64, x: f64) -> f64 {
    1.0 - gamma_q(a, x)
}

/// The regularised upper incomplete gamma function: a series for small `x`, else a fraction.
fn gamma_q(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let front = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
        for _ in 0..100_000 {
            n += 1.0;
            term *= x / n;
            sum += term;
            if term.abs() < sum.abs() * 1e-17 {
                break;
            }
        }
        return 1.0 - front * sum;
    }
    const TINY: f64 = 1e-300;
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / b;
    let mut h = d;
    for i in 1..100_000 {
        let i = f64::from(i);
        let an = -i * (i - a);
        b += 2.0;
        d = 1.0 / (an * d + b);
        c = b + an / c;
        if c.abs() < TINY {
            c = TINY;
        }
        let step = d * c;
        h *= step;
        if (step - 1.0).abs() < 1e-16 {
            break;
        }
    }
    front * h
}

/// The regularised incomplete beta function.
fn beta_i(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp();
    if x < (a + 1.0) / (a + b + 2.0) {
        front * beta_fraction(a, b, x) / a
    } else {
        1.0 - front * beta_fraction(b, a, 1.0 - x) / b
    }
}

fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let guard = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut h = d;
    for m in 1..10_000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / guard(1.0 + even * d);
        c = guard(1.0 + even / c);
        h *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / guard(1.0 + odd * d);
        c = guard(1.0 + odd / c);
        let step = d * c;
        h *= step;
        if (step - 1.0).abs() < 1e-16 {
            break;
        }
    }
    h
}
