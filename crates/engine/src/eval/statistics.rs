//! Statistics over numbers: spread, percentiles, means, dated payments.

use evercube_base::{Error, Result, Value};

use crate::plan::Fold;
use crate::scalar as rules;

pub(crate) fn of_numbers(fold: Fold, mut x: Vec<f64>, argument: Option<&Value>) -> Result<Value> {
    let n = x.len() as f64;
    let squares = |x: &[f64]| {
        let mean = x.iter().sum::<f64>() / n;
        x.iter().map(|v| (v - mean).powi(2)).sum::<f64>()
    };
    let too_few = x.is_empty() || (x.len() < 2 && matches!(fold, Fold::StdevS | Fold::VarS));
    if too_few {
        return Ok(Value::Blank);
    }
    Ok(Value::Double(match fold {
        Fold::VarP => squares(&x) / n,
        Fold::VarS => squares(&x) / (n - 1.0),
        Fold::StdevP => (squares(&x) / n).sqrt(),
        Fold::StdevS => (squares(&x) / (n - 1.0)).sqrt(),
        Fold::GeoMean => {
            if x.iter().any(|v| *v <= 0.0) {
                return Err(Error::evaluation("GEOMEAN needs numbers above zero."));
            }
            (x.iter().map(|v| v.ln()).sum::<f64>() / n).exp()
        }
        Fold::Median => {
            x.sort_by(f64::total_cmp);
            at(&x, 0.5 * (n - 1.0))
        }
        Fold::PercentileInc => {
            let k = percent(argument)?;
            if !(0.0..=1.0).contains(&k) {
                return Err(out_of_range());
            }
            x.sort_by(f64::total_cmp);
            at(&x, k * (n - 1.0))
        }
        Fold::PercentileExc => {
            let k = percent(argument)?;
            let place = k * (n + 1.0);
            if !(1.0..=n).contains(&place) {
                return Err(out_of_range());
            }
            x.sort_by(f64::total_cmp);
            at(&x, place - 1.0)
        }
        _ => return Err(Error::internal("not a statistic")),
    }))
}

fn percent(argument: Option<&Value>) -> Result<f64> {
    rules::to_f64(argument.unwrap_or(&Value::Blank))
}

fn out_of_range() -> Error {
    Error::evaluation("The percentile is outside of what this number of values allows.")
}

/// The value at a place between sorted numbers.
fn at(x: &[f64], place: f64) -> f64 {
    let low = place.floor() as usize;
    let high = (low + 1).min(x.len() - 1);
    x[low] + (place - place.floor()) * (x[high] - x[low])
}

/// `XNPV` and `XIRR` over (amount, day).
pub(crate) fn dated_flows(
    fold: Fold,
    flows: &[(f64, f64)],
    argument: Option<&Value>,
) -> Result<Value> {
    let Some((_, first)) = flows.first().copied() else { return Ok(Value::Blank) };
    let worth = |rate: f64| -> f64 {
        flows.iter().map(|(v, d)| v / (1.0 + rate).powf((d - first) / 365.0)).sum()
    };
    if fold == Fold::Xnpv {
        let rate = rules::to_f64(argument.unwrap_or(&Value::Blank))?;
        return Ok(Value::Double(worth(rate)));
    }
    let guess = match argument {
        Some(v) if !v.is_blank() => rules::to_f64(v)?,
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
