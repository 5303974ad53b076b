//! Values written as M would write them.

use std::rc::Rc;

use evercube_base::{DateTime, Decimal, Result};

use super::eval::Interp;
use super::value::{Lazy, M, Num};

pub(crate) fn number(n: Num) -> String {
    match n {
        Num::Int(i) => i.to_string(),
        Num::Exact(v, s) => match Decimal::from_scaled(v, s) {
            Some(d) if s <= 4 => d.to_string(),
            _ if s > 0 => {
                let digits = format!("{:0>1$}", v.unsigned_abs(), s as usize + 1);
                let (whole, frac) = digits.split_at(digits.len() - s as usize);
                let frac = frac.trim_end_matches('0');
                let sign = if v < 0 { "-" } else { "" };
                let dot = if frac.is_empty() { "" } else { "." };
                format!("{sign}{whole}{dot}{frac}")
            }
            _ => format!("{v}{}", "0".repeat(s.unsigned_abs() as usize)),
        },
        Num::Double(d) if d.is_nan() => "NaN".into(),
        Num::Double(d) if d.is_infinite() => if d > 0.0 { "∞" } else { "-∞" }.into(),
        Num::Double(d) if d != 0.0 && (d.abs() >= 1e15 || d.abs() < 1e-5) => {
            let t = format!("{d:E}");
            match t.split_once('E') {
                Some((m, e)) if e.starts_with('-') => format!("{m}E-{:0>2}", &e[1..]),
                Some((m, e)) => format!("{m}E+{e:0>2}"),
                None => t,
            }
        }
        Num::Double(d) => d.to_string(),
    }
}

fn quote(t: &str) -> String {
    format!("\"{}\"", t.replace('"', "\"\"").replace('\n', "#(lf)").replace('\r', "#(cr)"))
}

fn time(t: i64) -> String {
    let (h, m, s, us) = DateTime(t).hms();
    let frac = if us > 0 { format!(".{us:06}") } else { String::new() };
    format!("{h}, {m}, {s}{}", frac.trim_end_matches('0'))
}

pub(crate) fn print(it: &Rc<Interp>, v: &M) -> Result<String> {
    let list = |l: &[Lazy]| -> Result<String> {
        let mut out = Vec::new();
        for v in l {
            out.push(print(it, &v.force(it)?)?);
        }
        Ok(format!("{{{}}}", out.join(", ")))
    };
    Ok(match v {
        M::Null => "null".into(),
        M::Logical(b) => b.to_string(),
        M::Number(n) => number(*n),
        M::Text(t) => quote(t),
        M::Date(d) => {
            let (y, m, d) = d.ymd();
            format!("#date({y}, {m}, {d})")
        }
        M::DateTime(d) => {
            let (y, m, day) = d.ymd();
            format!("#datetime({y}, {m}, {day}, {})", time(d.time_micros()))
        }
        M::Time(t) => format!("#time({})", time(*t)),
        M::Duration(d) => {
            let days = d.div_euclid(evercube_base::datetime::MICROS_PER_DAY);
            let rest = d.rem_euclid(evercube_base::datetime::MICROS_PER_DAY);
            format!("#duration({days}, {})", time(rest))
        }
        M::Binary(_) => "#binary(…)".into(),
        M::List(l) => list(l)?,
        M::Record(r) => {
            let mut out = Vec::new();
            for (n, v) in r.iter() {
                out.push(format!("{n} = {}", print(it, &v.force(it)?)?));
            }
            format!("[{}]", out.join(", "))
        }
        M::Table(t) => {
            let names: Vec<String> = t.names.iter().map(|n| quote(n)).collect();
            let mut rows = Vec::new();
            for r in t.rows(it)? {
                let cells: Result<Vec<String>> = r.iter().map(|c| print(it, c)).collect();
                rows.push(format!("{{{}}}", cells?.join(", ")));
            }
            format!("#table({{{}}}, {{{}}})", names.join(", "), rows.join(", "))
        }
        M::Navigation(_) => "a database".into(),
        M::Function(_) => "a function".into(),
        M::Type(t) => format!("type {}{}", if t.nullable { "nullable " } else { "" }, t.name()),
        M::WithMeta(p) => print(it, &p.0)?,
    })
}
