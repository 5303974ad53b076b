//! Values of a source to the types of M and of the model, exactly or not at all.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{Array, DictionaryArray, cast::AsArray, types::*};
use arrow_schema::{DataType as A, TimeUnit};
use evercube_base::{
    ColumnData, DataType, DateTime, Decimal, Error, Result, Value, datetime::MICROS_PER_DAY,
};

use crate::arrow_cell::{date, micros};
use crate::m::print::number;
use crate::m::value::{Base, M, MType, Num};
use crate::steps::is_text;
use crate::table::{Cells, Column, shown};

/// A column that a change of type leaves as it is.
pub(crate) fn keeps(t: &MType, c: &Column) -> bool {
    matches!(t.base, Base::Any) || (t.base == Base::Text && is_text(c))
}

fn refuse(v: &M, to: &str) -> Error {
    let text = text_of(v).unwrap_or_else(|| format!("a {}", v.kind()));
    Error::evaluation(format!("cannot convert the {} '{}' to {to}", v.kind(), shown(&text)))
}

/// Plain text of a scalar, as `Text.From` gives it.
pub(crate) fn text_of(v: &M) -> Option<String> {
    Some(match v {
        M::Text(t) => t.to_string(),
        M::Logical(b) => b.to_string(),
        M::Number(n) => number(*n),
        M::Date(d) => {
            let (y, m, d) = d.ymd();
            format!("{m}/{d}/{y}")
        }
        M::DateTime(d) => {
            let (y, m, day) = d.ymd();
            format!("{m}/{day}/{y} {}", clock(d.time_micros(), true))
        }
        M::Time(t) => clock(*t, false),
        M::Duration(d) => {
            let (h, m, s, _) = DateTime(*d).hms();
            format!("{}.{h:02}:{m:02}:{s:02}", d.div_euclid(MICROS_PER_DAY))
        }
        _ => return None,
    })
}

fn clock(t: i64, seconds: bool) -> String {
    let (h, m, s, _) = DateTime(t).hms();
    let (half, h12) = (if h < 12 { "AM" } else { "PM" }, (h + 11) % 12 + 1);
    if seconds { format!("{h12}:{m:02}:{s:02} {half}") } else { format!("{h12}:{m:02} {half}") }
}

/// Text to number: sign, thousands separators, fraction, exponent, percent.
pub(crate) fn parse_number(t: &str) -> Option<Num> {
    let t = t.trim();
    if let Ok(i) = t.parse::<i64>() {
        return Some(Num::Int(i));
    }
    let (body, percent) = t.strip_suffix('%').map_or((t, false), |b| (b, true));
    let (body, negative) = match body.strip_prefix('(').and_then(|b| b.strip_suffix(')')) {
        Some(b) => (b, true),
        None => (body, false),
    };
    let clean: String = body.chars().filter(|c| *c != ',' && *c != '$').collect();
    if !clean.bytes().any(|b| b.is_ascii_digit())
        || !clean.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b))
    {
        return None;
    }
    let sign = if negative { -1 } else { 1 };
    if !percent && !clean.contains(['e', 'E']) {
        let (whole, frac) = clean.split_once('.').unwrap_or((&clean, ""));
        if frac.len() <= 18
            && let Ok(v) = format!("{whole}{frac}").parse::<i128>()
        {
            return Some(Num::Exact(v * sign, frac.len() as i32));
        }
    }
    let v: f64 = clean.parse().ok().filter(|v: &f64| v.is_finite())?;
    Some(Num::Double(v * sign as f64 / if percent { 100.0 } else { 1.0 }))
}

/// Text to instant: ISO 8601, or month/day/year (day first where the culture writes it so).
pub(crate) fn parse_datetime(t: &str, culture: Option<&str>) -> Option<DateTime> {
    let t = t.trim();
    if let Some(d) = DateTime::parse_iso(t) {
        return Some(d);
    }
    let (date, time) = match t.split_once([' ', 'T']) {
        Some((d, t)) => (d, Some(t.trim())),
        None => (t, None),
    };
    let parts: Vec<&str> = date.split(['/', '.', '-']).collect();
    let &[a, b, c] = parts.as_slice() else { return None };
    let n = |t: &str| t.parse::<i64>().ok().filter(|v| (0..10_000).contains(v));
    let american = culture.is_none_or(|c| c.is_empty() || c.eq_ignore_ascii_case("en-US"));
    let (y, m, d) = if a.len() == 4 {
        (n(a)?, n(b)?, n(c)?)
    } else if american {
        (n(c)?, n(a)?, n(b)?)
    } else {
        (n(c)?, n(b)?, n(a)?)
    };
    let y = if c.len() == 2 && a.len() != 4 { y + if y < 50 { 2000 } else { 1900 } } else { y };
    let day = DateTime::from_ymd(y as i32, m as u32, d as u32)?;
    Some(match time {
        Some(t) => day.with_time(parse_time(t)?),
        None => day,
    })
}

fn parse_time(t: &str) -> Option<i64> {
    let upper = t.trim().trim_end_matches('Z').to_ascii_uppercase();
    let (body, half) = match (upper.strip_suffix("AM"), upper.strip_suffix("PM")) {
        (Some(b), _) => (b.trim(), Some(0)),
        (_, Some(b)) => (b.trim(), Some(12)),
        _ => (upper.as_str(), None),
    };
    let mut p = body.split(':');
    let h: i64 = p.next()?.parse().ok()?;
    let m: i64 = p.next()?.parse().ok()?;
    let s: f64 = p.next().unwrap_or("0").parse().ok()?;
    let h = half.map_or(h, |half| h % 12 + half);
    ((0..24).contains(&h) && (0..60).contains(&m) && (0.0..60.0).contains(&s))
        .then(|| (h * 3600 + m * 60) * 1_000_000 + (s * 1e6).round() as i64)
}

/// A value as a type of M; null stays null and empty text is null for every type but text.
pub(crate) fn to_type(v: &M, to: Base, culture: Option<&str>) -> Result<M> {
    if matches!(v, M::Null) || matches!(to, Base::Any | Base::None) {
        return Ok(v.clone());
    }
    let fail = |name: &str| refuse(v, name);
    if to == Base::Text {
        return text_of(v).map(M::text).ok_or_else(|| fail("text"));
    }
    if let M::Text(t) = v
        && t.trim().is_empty()
    {
        return Ok(M::Null);
    }
    let num = || match v {
        M::Number(n) => Some(*n),
        M::Text(t) => parse_number(t),
        M::Logical(b) => Some(Num::Int(i64::from(*b))),
        M::Date(d) | M::DateTime(d) => Some(Num::Double(d.to_ole())),
        M::Time(t) | M::Duration(t) => Some(Num::Double(*t as f64 / MICROS_PER_DAY as f64)),
        _ => None,
    };
    let instant = || match v {
        M::Date(d) | M::DateTime(d) => Some(*d),
        M::Time(t) => Some(DateTime(*t)),
        M::Text(t) => parse_datetime(t, culture),
        M::Number(n) => DateTime::from_ole(n.f64()),
        _ => None,
    };
    match to {
        Base::Number => num().map(M::Number).ok_or_else(|| fail("a number")),
        Base::Double => num().map(|n| M::double(n.f64())).ok_or_else(|| fail("a number")),
        Base::Int64 => {
            // A fraction is rounded, halves to the even neighbour.
            let n = num().ok_or_else(|| fail("a whole number"))?;
            n.whole()
                .or_else(|| Num::Double(n.f64().round_ties_even()).whole())
                .map(M::int)
                .ok_or_else(|| fail("a whole number"))
        }
        Base::Currency => num()
            .and_then(decimal)
            .map(|d| M::Number(Num::Exact(d.0.into(), 4)))
            .ok_or_else(|| fail("a fixed decimal number")),
        Base::Logical => match v {
            M::Logical(_) => Ok(v.clone()),
            M::Number(n) => Ok(M::Logical(n.f64() != 0.0)),
            M::Text(t) if t.trim().eq_ignore_ascii_case("true") => Ok(M::Logical(true)),
            M::Text(t) if t.trim().eq_ignore_ascii_case("false") => Ok(M::Logical(false)),
            _ => Err(fail("true/false")),
        },
        Base::Date => {
            instant().map(|d| M::Date(DateTime::from_days(d.days()))).ok_or_else(|| fail("a date"))
        }
        Base::DateTime => instant().map(M::DateTime).ok_or_else(|| fail("a date and time")),
        Base::Time => match v {
            M::Text(t) => parse_time(t).or_else(|| instant().map(DateTime::time_micros)),
            _ => instant().map(DateTime::time_micros),
        }
        .map(M::Time)
        .ok_or_else(|| fail("a time")),
        Base::Duration => match v {
            M::Duration(_) => Ok(v.clone()),
            M::Number(n) => Ok(M::Duration((n.f64() * MICROS_PER_DAY as f64).round() as i64)),
            _ => Err(fail("a duration")),
        },
        _ => Err(fail(MType::new(to).name())),
    }
}

fn decimal(n: Num) -> Option<Decimal> {
    match n {
        Num::Int(i) => Decimal::from_int(i),
        Num::Exact(v, s) => Decimal::from_scaled(v, s),
        Num::Double(d) => Decimal::from_f64(d),
    }
}

/// A value of a source as a value of a model column.
fn value(v: &M, to: DataType) -> Result<Value> {
    let base = match to {
        DataType::Boolean => Base::Logical,
        DataType::Int64 => Base::Number,
        DataType::Double => Base::Double,
        DataType::Decimal => Base::Currency,
        DataType::DateTime => Base::DateTime,
        DataType::String | DataType::Binary | DataType::Variant => Base::Text,
    };
    let v2 = match (v, base) {
        (M::Duration(d), Base::DateTime) => M::DateTime(DateTime(*d)),
        (M::Logical(b), Base::Text) => M::text(if *b { "True" } else { "False" }),
        _ => to_type(v, base, None).map_err(|_| refuse(v, &format!("the type {to}")))?,
    };
    let fail = || refuse(v, &format!("the type {to}"));
    Ok(match v2 {
        M::Null => Value::Blank,
        M::Logical(b) => Value::Boolean(b),
        M::Text(t) => Value::String(t),
        M::DateTime(d) => Value::DateTime(d),
        M::Number(n) => match to {
            DataType::Int64 => Value::Int(n.whole().ok_or_else(fail)?),
            DataType::Decimal => Value::Decimal(decimal(n).ok_or_else(fail)?),
            _ => Value::Double(n.f64()),
        },
        _ => return Err(fail()),
    })
}

const INTERNED: usize = 65_536;

/// Turns the batches of one source column into a model column.
pub(crate) struct Converter {
    pub name: String,
    pub to: DataType,
    texts: HashMap<Arc<str>, ()>,
}

impl Converter {
    pub fn new(name: String, to: DataType) -> Self {
        Self { name, to, texts: HashMap::new() }
    }

    fn intern(&mut self, t: &str) -> Arc<str> {
        if let Some((k, ())) = self.texts.get_key_value(t) {
            return k.clone();
        }
        let k: Arc<str> = t.into();
        if self.texts.len() < INTERNED {
            self.texts.insert(k.clone(), ());
        }
        k
    }

    /// `first` is the number, from 1, of the first row of the batch.
    pub fn column(&mut self, c: &Column, rows: usize, first: u64) -> Result<ColumnData> {
        if let Cells::Arrow(a) = &c.cells
            && let Some(out) = self.fast(a.as_ref(), c, rows)
        {
            return Ok(out);
        }
        let mut out = ColumnData::empty(self.to);
        for r in 0..rows {
            let v = c.cell(r).and_then(|m| value(&m, self.to)).map_err(|e| {
                let row = c.row_words(r, first + r as u64);
                e.context(format!("column [{}], {row}", self.name))
            })?;
            let v = match v {
                Value::String(t) => Value::String(self.intern(&t)),
                v => v,
            };
            out.push(v).map_err(|_| Error::internal("a converted value has another type"))?;
        }
        Ok(out)
    }

    /// Arrays whose every value converts without a question.
    fn fast(&mut self, a: &dyn Array, c: &Column, rows: usize) -> Option<ColumnData> {
        Some(match (self.to, a.data_type()) {
            (DataType::Int64, A::Int64) => ColumnData::Int64(whole::<Int64Type>(a, c, rows)?),
            (DataType::Int64, A::Int32) => ColumnData::Int64(whole::<Int32Type>(a, c, rows)?),
            (DataType::Int64, A::Int16) => ColumnData::Int64(whole::<Int16Type>(a, c, rows)?),
            (DataType::Int64, A::Int8) => ColumnData::Int64(whole::<Int8Type>(a, c, rows)?),
            (DataType::Double, A::Float64) => {
                ColumnData::Double(cells::<Float64Type, _>(a, c, rows, Some)?)
            }
            (DataType::Double, A::Float32) => {
                ColumnData::Double(cells::<Float32Type, _>(a, c, rows, |v| Some(v.into()))?)
            }
            (DataType::Boolean, A::Boolean) => {
                let array = a.as_boolean();
                let cell = |i| (i < a.len() && a.is_valid(i)).then(|| array.value(i));
                ColumnData::Boolean((0..rows).map(|r| cell(c.position(r))).collect())
            }
            (DataType::DateTime, A::Date32) => {
                ColumnData::DateTime(cells::<Date32Type, _>(a, c, rows, |d| date(d.into()))?)
            }
            (DataType::DateTime, A::Timestamp(unit, _)) => {
                let unit = *unit;
                let instant = |v| micros(v, unit).and_then(DateTime::from_unix_micros);
                ColumnData::DateTime(match unit {
                    TimeUnit::Second => cells::<TimestampSecondType, _>(a, c, rows, instant)?,
                    TimeUnit::Millisecond => {
                        cells::<TimestampMillisecondType, _>(a, c, rows, instant)?
                    }
                    TimeUnit::Microsecond => {
                        cells::<TimestampMicrosecondType, _>(a, c, rows, instant)?
                    }
                    TimeUnit::Nanosecond => {
                        cells::<TimestampNanosecondType, _>(a, c, rows, instant)?
                    }
                })
            }
            (DataType::String, A::Utf8) => {
                let array = a.as_string::<i32>();
                let mut text =
                    |i: usize| (i < a.len() && a.is_valid(i)).then(|| self.intern(array.value(i)));
                ColumnData::String((0..rows).map(|r| text(c.position(r))).collect())
            }
            (DataType::String, A::Dictionary(key, value))
                if (&**key, &**value) == (&A::Int32, &A::Utf8) =>
            {
                let (values, codes) = numbered(a.as_dictionary::<Int32Type>(), c, rows)?;
                ColumnData::Texts { values, codes }
            }
            _ => return None,
        })
    }
}

/// Cells of an array through a conversion; `None` where it refuses one.
fn cells<T: ArrowPrimitiveType, V>(
    a: &dyn Array,
    c: &Column,
    rows: usize,
    convert: impl Fn(T::Native) -> Option<V>,
) -> Option<Vec<Option<V>>> {
    let array = a.as_primitive_opt::<T>()?;
    let mut out = Vec::with_capacity(rows);
    if c.chosen.is_none() && a.null_count() == 0 && a.len() == rows {
        for v in array.values() {
            out.push(Some(convert(*v)?));
        }
        return Some(out);
    }
    for row in 0..rows {
        let i = c.position(row);
        out.push(if i < a.len() && a.is_valid(i) { Some(convert(array.value(i))?) } else { None });
    }
    Some(out)
}

fn whole<T: ArrowPrimitiveType>(a: &dyn Array, c: &Column, rows: usize) -> Option<Vec<Option<i64>>>
where
    i64: From<T::Native>,
{
    cells::<T, _>(a, c, rows, |v| Some(i64::from(v)))
}

/// The texts a batch really has, and each row's place among them from 1. `None` where the
/// dictionary has so many more texts than the batch has rows that it is not worth it.
fn numbered(
    a: &DictionaryArray<Int32Type>,
    c: &Column,
    rows: usize,
) -> Option<(Vec<Arc<str>>, Vec<u32>)> {
    let all = a.values().as_string_opt::<i32>()?;
    if all.len() > rows.saturating_mul(16) {
        return None;
    }
    let mut number_of = vec![0u32; all.len()];
    let mut values: Vec<Arc<str>> = Vec::new();
    let mut codes = Vec::with_capacity(rows);
    for row in 0..rows {
        let i = c.position(row);
        let key = if i < a.len() { a.key(i) } else { None };
        codes.push(match key.filter(|k| *k < all.len() && all.is_valid(*k)) {
            None => 0,
            Some(key) => {
                if number_of[key] == 0 {
                    values.push(all.value(key).into());
                    number_of[key] = values.len() as u32;
                }
                number_of[key]
            }
        });
    }
    Some((values, codes))
}
