//! Statistics over numbers: spread, percentiles, means, dated payments.

use evercube_base::{Error, Result, Value};

use crate::plan::Fold;
use crate::scalar::{self as rules, Culture};

/// Numbers, each with how often it occurs.
type Counted = Vec<(f64, u64)>;

/// Whether a fold is a statistic of numbers in whatever order.
pub(crate) fn is_of_numbers(fold: Fold) -> bool {
    is_spread(fold) || is_by_place(fold) || fold == Fold::GeoMean
}

/// Whether it says how far numbers are from their mean.
pub(crate) fn is_spread(fold: Fold) -> bool {
    matches!(fold, Fold::VarP | Fold::VarS | Fold::StdevP | Fold::StdevS)
}

/// Whether it is a number at a place in the order of all.
pub(crate) fn is_by_place(fold: Fold) -> bool {
    matches!(fold, Fold::Median | Fold::PercentileInc | Fold::PercentileExc)
}

/// The place of a percentile between `n` numbers in their order, the first one's being 0.
pub(crate) fn place(
    fold: Fold,
    n: f64,
    argument: Option<&Value>,
    culture: &Culture,
) -> Result<f64> {
    let place = match fold {
        Fold::PercentileInc => {
            let k = percent(argument, culture)?;
            (0.0..=1.0).contains(&k).then_some(k * (n - 1.0))
        }
        Fold::PercentileExc => {
            let place = percent(argument, culture)? * (n + 1.0);
            (1.0..=n).contains(&place).then_some(place - 1.0)
        }
        _ => Some(0.5 * (n - 1.0)),
    };
    place.ok_or_else(|| {
        Error::evaluation("The percentile is outside of what this number of values allows.")
    })
}

/// What stands at a place between two numbers that follow each other.
pub(crate) fn between(low: f64, high: f64, place: f64) -> f64 {
    low + (place - place.floor()) * (high - low)
}

pub(crate) fn of_numbers(
    fold: Fold,
    mut x: Counted,
    argument: Option<&Value>,
    culture: &Culture,
) -> Result<Value> {
    let count: u64 = x.iter().map(|(_, times)| times).sum();
    let n = count as f64;
    let total =
        |of: &dyn Fn(f64) -> f64| x.iter().map(|(v, times)| of(*v) * *times as f64).sum::<f64>();
    let squares = || {
        let mean = total(&|v| v) / n;
        total(&|v| (v - mean).powi(2))
    };
    if count == 0 || count < 2 && matches!(fold, Fold::StdevS | Fold::VarS) {
        return Ok(Value::Blank);
    }
    Ok(Value::Double(match fold {
        Fold::VarP => squares() / n,
        Fold::VarS => squares() / (n - 1.0),
        Fold::StdevP => (squares() / n).sqrt(),
        Fold::StdevS => (squares() / (n - 1.0)).sqrt(),
        Fold::GeoMean => {
            if x.iter().any(|(v, _)| *v <= 0.0) {
                return Err(Error::evaluation("GEOMEAN needs numbers above zero."));
            }
            (total(&f64::ln) / n).exp()
        }
        fold if is_by_place(fold) => at(&mut x, place(fold, n, argument, culture)?),
        _ => return Err(Error::internal("not a statistic")),
    }))
}

fn percent(argument: Option<&Value>, culture: &Culture) -> Result<f64> {
    rules::to_f64(argument.unwrap_or(&Value::Blank), culture)
}

/// The value at a place between the numbers in their order, of which there are some.
fn at(x: &mut Counted, place: f64) -> f64 {
    x.sort_by(|a, b| a.0.total_cmp(&b.0));
    let last = x.last().map_or(0.0, |(v, _)| *v);
    let nth = |wanted: u64| {
        let mut before = 0;
        let found = x.iter().find(|(_, times)| {
            before += times;
            before > wanted
        });
        found.map_or(last, |(v, _)| *v)
    };
    let low = nth(place.floor() as u64);
    let high = nth(place.floor() as u64 + 1);
    between(low, high, place)
}

/// `XNPV` and `XIRR` over (amount, day).
pub(crate) fn dated_flows(
    fold: Fold,
    flows: &[(f64, f64)],
    argument: Option<&Value>,
    culture: &Culture,
) -> Result<Value> {
    let Some((_, first)) = flows.first().copied() else { return Ok(Value::Blank) };
    let worth = |rate: f64| -> f64 {
        flows.iter().map(|(v, d)| v / (1.0 + rate).powf((d - first) / 365.0)).sum()
    };
    if fold == Fold::Xnpv {
        let rate = rules::to_f64(argument.unwrap_or(&Value::Blank), culture)?;
        return Ok(Value::Double(worth(rate)));
    }
    let guess = match argument {
        Some(v) if !v.is_blank() => rules::to_f64(v, culture)?,
        _ => 0.1,
    };
    let mut rate = guess;
    for _ in 0..200 {
        let step = 1e-7;
        let slope = (worth(rate + step) - worth(rate)) / step;
        let next = rate - worth(rate) / slope;
        if !next.is_finite() || next <= -1.0 {
            break;
        }
        if (next - rate).abs() < 1e-12 {
            return Ok(Value::Double(next));
        }
        rate = next;
    }
    // Halving where Newton's method leaves the range.
    let (mut low, mut high) = (-0.999_999, 1e6);
    if worth(low) * worth(high) > 0.0 {
        return Err(Error::evaluation("XIRR found no rate for these payments."));
    }
    for _ in 0..300 {
        let middle = f64::midpoint(low, high);
        if worth(low) * worth(middle) <= 0.0 { high = middle } else { low = middle }
    }
    Ok(Value::Double(low))
}
