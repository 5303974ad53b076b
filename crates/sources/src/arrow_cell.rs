//! One cell of an Arrow array as a value of M, exactly.

use arrow_array::{Array, cast::AsArray, types::*};
use arrow_schema::{DataType as A, TimeUnit};
use evercube_base::{DateTime, Error, Result, datetime::UNIX_EPOCH_DAYS};

use crate::m::value::{Binary, M, Num};

/// Microseconds of a count in `unit`; nanoseconds are rounded down.
pub(crate) fn micros(v: i64, unit: TimeUnit) -> Option<i64> {
    match unit {
        TimeUnit::Second => v.checked_mul(1_000_000),
        TimeUnit::Millisecond => v.checked_mul(1000),
        TimeUnit::Microsecond => Some(v),
        TimeUnit::Nanosecond => Some(v.div_euclid(1000)),
    }
}

/// The day a count from 1970-01-01 names, within ten thousand years.
pub(crate) fn date(days: i64) -> Option<DateTime> {
    (days.abs() < 4_000_000).then(|| DateTime::from_days(days + UNIX_EPOCH_DAYS))
}

/// Null outside of the array.
pub(crate) fn cell(a: &dyn Array, at: usize) -> Result<M> {
    if at >= a.len() || a.is_null(at) {
        return Ok(M::Null);
    }
    let int = |v: i64| Ok(M::int(v));
    let instant = |v: Option<i64>| {
        v.and_then(DateTime::from_unix_micros)
            .map(M::DateTime)
            .ok_or_else(|| Error::evaluation("a timestamp of the file is out of range"))
    };
    match a.data_type() {
        A::Null => Ok(M::Null),
        A::Boolean => Ok(M::Logical(a.as_boolean().value(at))),
        A::Int8 => int(a.as_primitive::<Int8Type>().value(at).into()),
        A::Int16 => int(a.as_primitive::<Int16Type>().value(at).into()),
        A::Int32 => int(a.as_primitive::<Int32Type>().value(at).into()),
        A::Int64 => int(a.as_primitive::<Int64Type>().value(at)),
        A::UInt8 => int(a.as_primitive::<UInt8Type>().value(at).into()),
        A::UInt16 => int(a.as_primitive::<UInt16Type>().value(at).into()),
        A::UInt32 => int(a.as_primitive::<UInt32Type>().value(at).into()),
        A::UInt64 => {
            Ok(M::Number(Num::Exact(i128::from(a.as_primitive::<UInt64Type>().value(at)), 0)))
        }
        A::Float16 => Ok(M::double(a.as_primitive::<Float16Type>().value(at).to_f64())),
        A::Float32 => Ok(M::double(a.as_primitive::<Float32Type>().value(at).into())),
        A::Float64 => Ok(M::double(a.as_primitive::<Float64Type>().value(at))),
        A::Decimal32(_, s) => {
            let v = a.as_primitive::<Decimal32Type>().value(at);
            Ok(M::Number(Num::Exact(v.into(), (*s).into())))
        }
        A::Decimal64(_, s) => {
            let v = a.as_primitive::<Decimal64Type>().value(at);
            Ok(M::Number(Num::Exact(v.into(), (*s).into())))
        }
        A::Decimal128(_, s) => {
            Ok(M::Number(Num::Exact(a.as_primitive::<Decimal128Type>().value(at), (*s).into())))
        }
        A::Decimal256(_, s) => a
            .as_primitive::<Decimal256Type>()
            .value(at)
            .to_i128()
            .map(|v| M::Number(Num::Exact(v, (*s).into())))
            .ok_or_else(|| Error::evaluation("a decimal of the file has over 38 digits")),
        A::Utf8 => Ok(M::text(a.as_string::<i32>().value(at))),
        A::LargeUtf8 => Ok(M::text(a.as_string::<i64>().value(at))),
        A::Utf8View => Ok(M::text(a.as_string_view().value(at))),
        A::Binary => Ok(bytes(a.as_binary::<i32>().value(at))),
        A::LargeBinary => Ok(bytes(a.as_binary::<i64>().value(at))),
        A::BinaryView => Ok(bytes(a.as_binary_view().value(at))),
        A::FixedSizeBinary(_) => Ok(bytes(a.as_fixed_size_binary().value(at))),
        A::Date32 => {
            let d = i64::from(a.as_primitive::<Date32Type>().value(at));
            date(d)
                .map(M::Date)
                .ok_or_else(|| Error::evaluation("a date of the file is out of range"))
        }
        A::Date64 => instant(a.as_primitive::<Date64Type>().value(at).checked_mul(1000)),
        A::Timestamp(unit, _) => instant(micros(timestamp(a, *unit, at), *unit)),
        A::Time32(TimeUnit::Second) => {
            let v = a.as_primitive::<Time32SecondType>().value(at);
            Ok(M::Time(i64::from(v) * 1_000_000))
        }
        A::Time32(_) => {
            Ok(M::Time(i64::from(a.as_primitive::<Time32MillisecondType>().value(at)) * 1000))
        }
        A::Time64(TimeUnit::Nanosecond) => {
            Ok(M::Time(a.as_primitive::<Time64NanosecondType>().value(at).div_euclid(1000)))
        }
        A::Time64(_) => Ok(M::Time(a.as_primitive::<Time64MicrosecondType>().value(at))),
        A::Dictionary(key, _) if **key == A::Int32 => {
            let d = a.as_dictionary::<Int32Type>();
            cell(d.values().as_ref(), d.key(at).unwrap_or(usize::MAX))
        }
        A::Dictionary(_, _) => {
            let d = a.as_any_dictionary();
            let key = d.normalized_keys().get(at).copied().unwrap_or(usize::MAX);
            cell(d.values().as_ref(), key)
        }
        t => Err(Error::unsupported(format!(
            "a column of the file has the nested or unusual type {t}: leave it out with \
             Table.RemoveColumns"
        ))),
    }
}

fn bytes(b: &[u8]) -> M {
    // Old writers leave out the mark that says a byte array is text.
    match std::str::from_utf8(b) {
        Ok(t) => M::text(t),
        Err(_) => M::Binary(std::rc::Rc::new(Binary::Bytes(std::rc::Rc::new(b.to_vec())))),
    }
}

pub(crate) fn timestamp(a: &dyn Array, unit: TimeUnit, at: usize) -> i64 {
    match unit {
        TimeUnit::Second => a.as_primitive::<TimestampSecondType>().value(at),
        TimeUnit::Millisecond => a.as_primitive::<TimestampMillisecondType>().value(at),
        TimeUnit::Microsecond => a.as_primitive::<TimestampMicrosecondType>().value(at),
        TimeUnit::Nanosecond => a.as_primitive::<TimestampNanosecondType>().value(at),
    }
}
