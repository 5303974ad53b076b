//! Aggregates of groups, as they grow.

use std::cmp::Ordering;

use evercube_base::{Collation, DataType, Decimal, Error, Result, Value};

use super::code_set::CodeSet;
use super::integers::Integers;
use super::path::CodeReader;
use super::row_value::{RowPlan, overflow};
use crate::scan_request::{Aggregate, PathColumn, RowExpr};
use crate::version::StoreVersion;

/// An aggregate with its columns resolved.
pub(super) enum Plan<'a> {
    CountRows,
    /// Sum of a column of whole numbers or fixed decimals.
    SumIntegers(CodeReader<'a>),
    /// Sum of arithmetic over whole numbers.
    SumCalculated(Integers<'a>),
    SumDoubles(CodeReader<'a>),
    Sum(RowPlan<'a>),
    Extreme {
        value: RowPlan<'a>,
        want: Ordering,
        collation: Collation,
    },
    Count(RowPlan<'a>),
    Distinct {
        column: CodeReader<'a>,
        with_blank: bool,
    },
    Single(CodeReader<'a>),
}

impl<'a> Plan<'a> {
    pub(super) fn new(version: &'a StoreVersion, aggregate: &Aggregate) -> Result<Self> {
        let row = |e: &RowExpr| RowPlan::new(version, e);
        let codes = |c: &PathColumn| CodeReader::new(version, c);
        Ok(match aggregate {
            Aggregate::CountRows => Self::CountRows,
            Aggregate::Sum(RowExpr::Column(c)) => {
                let reader = codes(c)?;
                match reader.column.data_type() {
                    DataType::Int64 | DataType::Decimal => Self::SumIntegers(reader),
                    DataType::Double => Self::SumDoubles(reader),
                    DataType::DateTime => Self::Sum(RowPlan::Column(reader)),
                    other => {
                        return Err(Error::evaluation(format!(
                            "a column of type {other} cannot be summed"
                        )));
                    }
                }
            }
            Aggregate::Sum(e) => match Integers::new(version, e)? {
                Some(integers) => Self::SumCalculated(integers),
                None => Self::Sum(row(e)?),
            },
            Aggregate::Min(e) => Self::extreme(row(e)?, Ordering::Less),
            Aggregate::Max(e) => Self::extreme(row(e)?, Ordering::Greater),
            Aggregate::Count(e) => Self::Count(row(e)?),
            Aggregate::DistinctCount { column, with_blank } => {
                Self::Distinct { column: codes(column)?, with_blank: *with_blank }
            }
            Aggregate::SingleValue(c) => Self::Single(codes(c)?),
        })
    }

    fn extreme(value: RowPlan<'a>, want: Ordering) -> Self {
        let collation = match &value {
            RowPlan::Column(c) => c.column.collation(),
            _ => Collation::default(),
        };
        Self::Extreme { value, want, collation }
    }

    pub(super) fn accumulator(&self) -> Accumulator {
        match self {
            Self::CountRows | Self::Count(_) => Accumulator::Count(Vec::new()),
            Self::SumIntegers(c) if c.column.range().is_some() => {
                Accumulator::SumOffsets(Vec::new())
            }
            Self::SumIntegers(c) => Accumulator::SumIntegers {
                decimal: c.column.data_type() == DataType::Decimal,
                sums: Vec::new(),
            },
            Self::SumCalculated(_) => Accumulator::SumIntegers { decimal: false, sums: Vec::new() },
            Self::Sum(_) | Self::SumDoubles(_) => Accumulator::Sum(Vec::new()),
            Self::Extreme { want, collation, .. } => {
                Accumulator::Extreme { want: *want, collation: *collation, values: Vec::new() }
            }
            Self::Distinct { .. } => Accumulator::Distinct(Vec::new()),
            Self::Single(c) => {
                let all = (0..c.column.cardinality()).map(|code| c.column.value(code)).collect();
                Accumulator::Single { codes: Vec::new(), values: all }
            }
        }
    }
}

/// A running sum: exact for whole numbers and fixed decimals, in row order for doubles.
#[derive(Clone, Copy, Default)]
pub(super) struct Sum {
    any: bool,
    integers: i128,
    decimals: i128,
    doubles: f64,
    has_decimal: bool,
    has_double: bool,
}

pub(super) enum Accumulator {
    Count(Vec<u64>),
    SumIntegers {
        decimal: bool,
        sums: Vec<(i128, bool)>,
    },
    /// Sum and number of the codes of a column whose codes are offsets, until the chunk ends.
    SumOffsets(Vec<(u64, u64)>),
    Sum(Vec<Sum>),
    Extreme {
        want: Ordering,
        collation: Collation,
        values: Vec<Value>,
    },
    Distinct(Vec<CodeSet>),
    /// `None`: no row yet; `Some(None)`: several values.
    Single {
        codes: Vec<Option<Option<u32>>>,
        values: Vec<Value>,
    },
}

impl Accumulator {
    pub(super) fn grow(&mut self, groups: usize) {
        match self {
            Self::Count(v) => v.resize(groups, 0),
            Self::SumIntegers { sums, .. } => sums.resize(groups, (0, false)),
            Self::SumOffsets(v) => v.resize(groups, (0, 0)),
            Self::Sum(v) => v.resize(groups, Sum::default()),
            Self::Extreme { values, .. } => values.resize(groups, Value::Blank),
            Self::Distinct(v) => v.resize_with(groups, CodeSet::default),
            Self::Single { codes, .. } => codes.resize(groups, None),
        }
    }

    /// Adds the selected rows (offsets from `first`) to the groups `numbers`. `scratch` is as long
    /// as the rows there are to choose from.
    pub(super) fn add(
        &mut self,
        plan: &Plan<'_>,
        first: usize,
        selected: &[u32],
        numbers: &[u32],
        scratch: &mut [u32],
    ) -> Result<()> {
        let mut read = |reader: &CodeReader<'_>| {
            let mut codes = Vec::with_capacity(selected.len());
            reader.read_selected(first, selected, scratch, &mut codes);
            codes
        };
        let groups = numbers.iter().map(|g| *g as usize);
        match (self, plan) {
            (Self::Count(v), Plan::CountRows) if v.len() == 1 => v[0] += selected.len() as u64,
            (Self::Count(v), Plan::CountRows) => groups.for_each(|g| v[g] += 1),
            (Self::Count(v), Plan::Count(e)) => {
                for (g, value) in groups.zip(e.evaluate(first, selected, scratch)?) {
                    v[g] += u64::from(!value.is_blank());
                }
            }
            (Self::SumOffsets(sums), Plan::SumIntegers(c)) => add_codes(sums, &read(c), numbers),
            (Self::SumIntegers { sums, .. }, Plan::SumIntegers(c)) => {
                for (g, code) in groups.zip(read(c)) {
                    if code != 0 {
                        sums[g].0 += i128::from(c.column.integer(code));
                        sums[g].1 = true;
                    }
                }
            }
            (Self::SumIntegers { sums, .. }, Plan::SumCalculated(e)) => {
                let values = e.evaluate(first, selected, scratch)?;
                if let [(sum, any)] = sums.as_mut_slice() {
                    *sum += values.iter().map(|v| i128::from(*v)).sum::<i128>();
                    *any |= !values.is_empty();
                    return Ok(());
                }
                for (g, value) in groups.zip(values) {
                    sums[g].0 += i128::from(value);
                    sums[g].1 = true;
                }
            }
            (Self::Sum(v), Plan::SumDoubles(c)) => {
                for (g, code) in groups.zip(read(c)) {
                    if code != 0 {
                        v[g].add_double(c.column.double(code));
                    }
                }
            }
            (Self::Sum(v), Plan::Sum(e)) => {
                for (g, value) in groups.zip(e.evaluate(first, selected, scratch)?) {
                    v[g].add(&value)?;
                }
            }
            (Self::Extreme { want, collation, values }, Plan::Extreme { value, .. }) => {
                for (g, value) in groups.zip(value.evaluate(first, selected, scratch)?) {
                    keep(&mut values[g], value, *want, *collation);
                }
            }
            (Self::Distinct(v), Plan::Distinct { column, with_blank }) => {
                let all = column.column.cardinality();
                for (g, code) in groups.zip(read(column)) {
                    if code != 0 || *with_blank {
                        v[g].insert(code, all);
                    }
                }
            }
            (Self::Single { codes: v, .. }, Plan::Single(column)) => {
                for (g, code) in groups.zip(read(column)) {
                    v[g] = one(v[g], Some(code));
                }
            }
            _ => return Err(Error::internal("an aggregate met the state of another")),
        }
        Ok(())
    }

    /// Ends a chunk: sums of offsets become sums of values.
    pub(super) fn settle(&mut self, plan: &Plan<'_>) {
        let (Self::SumOffsets(offsets), Plan::SumIntegers(c)) = (&mut *self, plan) else { return };
        let (base, unit) = c.column.range().unwrap_or((0, 1));
        let value = |(codes, count): (u64, u64)| {
            // The value of code c is base + (c - 1) * unit.
            let steps = i128::from(codes) - i128::from(count);
            (i128::from(base) * i128::from(count) + steps * i128::from(unit), count > 0)
        };
        *self = Self::SumIntegers {
            decimal: c.column.data_type() == DataType::Decimal,
            sums: offsets.drain(..).map(value).collect(),
        };
    }

    /// Adds another chunk's groups; `numbers` are their numbers here.
    pub(super) fn merge(&mut self, other: Self, numbers: &[u32]) -> Result<()> {
        let at = numbers.iter().map(|g| *g as usize);
        match (self, other) {
            (Self::Count(a), Self::Count(b)) => at.zip(b).for_each(|(g, x)| a[g] += x),
            (Self::SumIntegers { sums: a, .. }, Self::SumIntegers { sums: b, .. }) => {
                at.zip(b).for_each(|(g, x)| a[g] = (a[g].0 + x.0, a[g].1 | x.1));
            }
            (Self::Sum(a), Self::Sum(b)) => at.zip(b).for_each(|(g, x)| a[g].merge(&x)),
            (Self::Extreme { want, collation, values }, Self::Extreme { values: theirs, .. }) => {
                at.zip(theirs).for_each(|(g, x)| keep(&mut values[g], x, *want, *collation));
            }
            (Self::Distinct(a), Self::Distinct(b)) => at.zip(b).for_each(|(g, x)| a[g].merge(x)),
            (Self::Single { codes: a, .. }, Self::Single { codes: b, .. }) => {
                for (g, x) in at.zip(b) {
                    if let Some(code) = x {
                        a[g] = one(a[g], code);
                    }
                }
            }
            _ => return Err(Error::internal("chunks of a scan disagree about an aggregate")),
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Vec<Value>> {
        let count = |n: u64| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
        Ok(match self {
            Self::Count(v) => v.into_iter().map(count).collect(),
            Self::Distinct(v) => v.into_iter().map(|s| count(s.len())).collect(),
            Self::Extreme { values, .. } => values,
            Self::SumOffsets(_) => {
                return Err(Error::internal("a chunk of a scan was not ended"));
            }
            Self::SumIntegers { decimal, sums } => sums
                .into_iter()
                .map(|(sum, any)| if any { whole(sum, decimal) } else { Ok(Value::Blank) })
                .collect::<Result<_>>()?,
            Self::Sum(v) => v.into_iter().map(Sum::finish).collect::<Result<_>>()?,
            Self::Single { codes, values } => codes
                .into_iter()
                .map(|c| c.flatten().and_then(|c| values.get(c as usize).cloned()))
                .map(Option::unwrap_or_default)
                .collect(),
        })
    }
}

/// Adds codes, and how many are not blank, to their groups.
fn add_codes(sums: &mut [(u64, u64)], codes: &[u32], groups: &[u32]) {
    if let [(sum, count)] = sums {
        *sum += codes.iter().map(|c| u64::from(*c)).sum::<u64>();
        *count += codes.iter().map(|c| u64::from(*c != 0)).sum::<u64>();
        return;
    }
    for (group, code) in groups.iter().zip(codes) {
        let (sum, count) = &mut sums[*group as usize];
        *sum += u64::from(*code);
        *count += u64::from(*code != 0);
    }
}

fn whole(sum: i128, decimal: bool) -> Result<Value> {
    let fit = i64::try_from(sum).map_err(|_| overflow())?;
    Ok(if decimal { Value::Decimal(Decimal(fit)) } else { Value::Int(fit) })
}

fn one(known: Option<Option<u32>>, code: Option<u32>) -> Option<Option<u32>> {
    match known {
        None => Some(code),
        Some(k) if k == code => known,
        Some(_) => Some(None),
    }
}

impl Sum {
    fn add(&mut self, value: &Value) -> Result<()> {
        match value {
            Value::Blank => return Ok(()),
            Value::Int(i) => self.integers += i128::from(*i),
            Value::Decimal(d) => {
                self.decimals += i128::from(d.0);
                self.has_decimal = true;
            }
            Value::Double(_) | Value::DateTime(_) => {
                self.doubles += value.as_f64().unwrap_or(0.0);
                self.has_double = true;
            }
            Value::Boolean(_) | Value::String(_) => {
                return Err(Error::evaluation("only numbers and dates can be summed"));
            }
        }
        self.any = true;
        Ok(())
    }

    fn add_double(&mut self, value: f64) {
        self.doubles += value;
        self.has_double = true;
        self.any = true;
    }

    fn merge(&mut self, other: &Self) {
        self.any |= other.any;
        self.integers += other.integers;
        self.decimals += other.decimals;
        self.doubles += other.doubles;
        self.has_decimal |= other.has_decimal;
        self.has_double |= other.has_double;
    }

    fn finish(self) -> Result<Value> {
        if !self.any {
            return Ok(Value::Blank);
        }
        if self.has_double {
            let exact = self.integers as f64 + self.decimals as f64 / 10_000.0;
            return Ok(Value::Double(self.doubles + exact));
        }
        if self.has_decimal {
            let scaled = self.integers.checked_mul(10_000).ok_or_else(overflow)?;
            return whole(scaled + self.decimals, true);
        }
        whole(self.integers, false)
    }
}

/// Keeps the smaller or larger of two values of one type; blanks do not count.
fn keep(kept: &mut Value, value: Value, want: Ordering, collation: Collation) {
    if value.is_blank() {
        return;
    }
    let order = match (&value, &*kept) {
        (_, Value::Blank) => want,
        (Value::String(a), Value::String(b)) => collation.compare(a, b),
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Decimal(a), Value::Decimal(b)) => a.cmp(b),
        (Value::DateTime(a), Value::DateTime(b)) => a.cmp(b),
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        (a, b) => a.as_f64().unwrap_or(f64::NAN).total_cmp(&b.as_f64().unwrap_or(f64::NAN)),
    };
    if order == want {
        *kept = value;
    }
}
