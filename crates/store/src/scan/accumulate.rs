//! Aggregates of groups, as they grow.

use std::cmp::Ordering;
use std::sync::Arc;

use evercube_base::{Collation, DataType, Decimal, Error, Result, Value};

use super::distinct_pairs::Pairs;
use super::few_groups;
use super::integers::Integers;
use super::path::CodeReader;
use super::reals::Reals;
use super::row_value::{RowPlan, overflow};
use super::rows::Rows;
use crate::scan_request::{Aggregate, PathColumn, RowExpr};
use crate::version::StoreVersion;

/// Words of bits that distinct codes of all groups may take in any table.
const MOST_DISTINCT_WORDS: usize = 1 << 22;

/// An aggregate with its columns resolved.
pub(super) enum Plan<'a> {
    CountRows,
    /// Sum of whole numbers or fixed decimals that are never blank and cannot overflow.
    SumIntegers(Integers<'a>),
    /// Sum of a column of whole numbers or fixed decimals.
    SumColumn(CodeReader<'a>),
    SumDoubles(CodeReader<'a>),
    /// Sum of real numbers, or of fixed decimals made of them.
    SumReals(Reals<'a>),
    Sum(RowPlan<'a>),
    /// Smallest or largest value of a column, by the places of its codes in their order; `None`
    /// where codes are in order themselves.
    ExtremeCode {
        column: CodeReader<'a>,
        want: Ordering,
        ranks: Option<Arc<Vec<u32>>>,
    },
    Extreme {
        value: RowPlan<'a>,
        want: Ordering,
    },
    CountColumn(CodeReader<'a>),
    Count(RowPlan<'a>),
    Distinct {
        column: CodeReader<'a>,
        with_blank: bool,
        /// Rows of the table.
        rows: usize,
    },
    Single(CodeReader<'a>),
}

impl<'a> Plan<'a> {
    pub(super) fn new(
        version: &'a StoreVersion,
        scan: u64,
        aggregate: &Aggregate,
        rows: usize,
    ) -> Result<Self> {
        let row = |e: &RowExpr| RowPlan::new(version, scan, e);
        let codes = |c: &PathColumn| CodeReader::new(version, scan, c);
        Ok(match aggregate {
            Aggregate::CountRows => Self::CountRows,
            Aggregate::Sum(e) => {
                if let Some(integers) = Integers::new(version, scan, e, rows)? {
                    return Ok(Self::SumIntegers(integers));
                }
                let RowExpr::Column(c) = e else {
                    let reals = Reals::new(version, scan, e)?.map(Self::SumReals);
                    return reals.map_or_else(|| Ok(Self::Sum(row(e)?)), Ok);
                };
                let reader = codes(c)?;
                match reader.column.data_type() {
                    DataType::Int64 | DataType::Decimal => Self::SumColumn(reader),
                    DataType::Double => Self::SumDoubles(reader),
                    DataType::DateTime => Self::Sum(RowPlan::Column(reader)),
                    other => {
                        return Err(Error::evaluation(format!(
                            "a column of type {other} cannot be summed"
                        )));
                    }
                }
            }
            Aggregate::Min(e) => Self::extreme(row(e)?, Ordering::Less),
            Aggregate::Max(e) => Self::extreme(row(e)?, Ordering::Greater),
            Aggregate::Count(RowExpr::Column(c)) => {
                let column = codes(c)?;
                if column.is_never_blank() { Self::CountRows } else { Self::CountColumn(column) }
            }
            Aggregate::Count(e) => Self::Count(row(e)?),
            Aggregate::DistinctCount { column, with_blank } => {
                Self::Distinct { column: codes(column)?, with_blank: *with_blank, rows }
            }
            Aggregate::SingleValue(c) => Self::Single(codes(c)?),
        })
    }

    fn extreme(value: RowPlan<'a>, want: Ordering) -> Self {
        match value {
            RowPlan::Column(column) => {
                let ranks = (!column.column.is_in_order()).then(|| column.column.sorted_ranks());
                Self::ExtremeCode { column, want, ranks }
            }
            value => Self::Extreme { value, want },
        }
    }

    /// Whether parts of the rows give the same answer in whatever order they are put together.
    pub(super) fn is_exact(&self) -> bool {
        match self {
            Self::SumReals(reals) => reals.is_decimal,
            Self::SumDoubles(_) | Self::Sum(_) | Self::Extreme { .. } => false,
            _ => true,
        }
    }

    /// Whether groups no row belongs to would take much memory all the same.
    pub(super) fn is_large(&self) -> bool {
        matches!(self, Self::Extreme { .. })
    }

    /// `groups`: as many as there will be, or 0 where that is not known.
    pub(super) fn accumulator(&self, groups: usize) -> Accumulator {
        match self {
            Self::CountRows | Self::CountColumn(_) | Self::Count(_) => {
                Accumulator::Count(Vec::new())
            }
            Self::SumIntegers(_) => Accumulator::SumIntegers(Vec::new()),
            Self::SumColumn(_) => Accumulator::SumColumn(Vec::new()),
            Self::SumReals(reals) if reals.is_decimal => Accumulator::SumColumn(Vec::new()),
            Self::Sum(_) | Self::SumDoubles(_) | Self::SumReals(_) => Accumulator::Sum(Vec::new()),
            Self::ExtremeCode { want, .. } => Accumulator::ExtremeCode(*want, Vec::new()),
            Self::Extreme { want, .. } => Accumulator::Extreme(*want, Vec::new()),
            Self::Distinct { column, rows, .. } => {
                let words = (column.column.cardinality() as usize).div_ceil(64);
                // Bits may take what a pair for each row would.
                let most = MOST_DISTINCT_WORDS.max(*rows);
                if groups > 0 && groups.saturating_mul(words) <= most {
                    Accumulator::DistinctBits { words, bits: Vec::new() }
                } else {
                    Accumulator::DistinctPairs(Pairs::default())
                }
            }
            Self::Single(_) => Accumulator::Single(Vec::new()),
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
    SumIntegers(Vec<i64>),
    /// Sum, and whether any value was not blank.
    SumColumn(Vec<(i128, bool)>),
    Sum(Vec<Sum>),
    /// Places in the order of values, one more than they are for smallest ones so that blank, which
    /// does not count, is the largest.
    ExtremeCode(Ordering, Vec<u32>),
    Extreme(Ordering, Vec<Value>),
    /// So many words of bits for each group.
    DistinctBits {
        words: usize,
        bits: Vec<u64>,
    },
    DistinctPairs(Pairs),
    /// The only code of each group, or one of these.
    Single(Vec<u32>),
}

const NO_ROW: u32 = u32::MAX;
const SEVERAL: u32 = u32::MAX - 1;

/// Memory that lasts from block to block.
#[derive(Default)]
pub(super) struct ValueSpace {
    codes: Vec<u32>,
    integers: Vec<i64>,
    reals: Vec<f64>,
}

impl Accumulator {
    pub(super) fn grow(&mut self, groups: usize) {
        match self {
            Self::Count(v) => v.resize(groups, 0),
            Self::SumIntegers(v) => v.resize(groups, 0),
            Self::SumColumn(v) => v.resize(groups, (0, false)),
            Self::Sum(v) => v.resize(groups, Sum::default()),
            Self::ExtremeCode(want, v) => v.resize(groups, no_place(*want)),
            Self::Extreme(_, v) => v.resize(groups, Value::Blank),
            Self::DistinctBits { words, bits } => bits.resize(groups * *words, 0),
            Self::DistinctPairs(_) => {}
            Self::Single(v) => v.resize(groups, NO_ROW),
        }
    }

    /// Adds rows to the groups `numbers`; without numbers, to the only group.
    pub(super) fn add(
        &mut self,
        plan: &Plan<'_>,
        rows: Rows<'_>,
        numbers: Option<&[u32]>,
        space: &mut ValueSpace,
    ) -> Result<()> {
        let ValueSpace { codes, integers, reals } = space;
        match (self, plan) {
            (Self::Count(v), Plan::CountRows) => match numbers {
                None => v[0] += rows.len() as u64,
                Some(numbers) if v.len() <= few_groups::FEW => few_groups::count(v, numbers),
                Some(numbers) => numbers.iter().for_each(|g| v[*g as usize] += 1),
            },
            (Self::Count(v), Plan::CountColumn(c)) => {
                c.read(rows, codes);
                each(numbers, codes.iter(), |g, code| v[g] += u64::from(*code != 0));
            }
            (Self::Count(v), Plan::Count(e)) => {
                let values = e.evaluate(rows)?;
                each(numbers, values.iter(), |g, value| v[g] += u64::from(!value.is_blank()));
            }
            (Self::SumIntegers(sums), Plan::SumIntegers(e)) => match numbers {
                // The plan's bounds leave no room for overflow.
                None => sums[0] += e.sum(rows, integers),
                Some(numbers) => e.add_to(sums, numbers, rows, integers),
            },
            (Self::SumColumn(sums), Plan::SumColumn(c)) => {
                c.read(rows, codes);
                each(numbers, codes.iter(), |g, code| {
                    if *code != 0 {
                        sums[g].0 += i128::from(c.column.integer(*code));
                        sums[g].1 = true;
                    }
                });
            }
            (Self::Sum(v), Plan::SumDoubles(c)) => {
                c.read(rows, codes);
                each(numbers, codes.iter(), |g, code| {
                    if *code != 0 {
                        v[g].add_double(c.column.double(*code));
                    }
                });
            }
            (Self::Sum(v), Plan::SumReals(e)) => {
                e.evaluate(rows, reals)?;
                each(numbers, reals.iter(), |g, value| v[g].add_double(*value));
            }
            (Self::SumColumn(sums), Plan::SumReals(e)) => {
                e.evaluate(rows, reals)?;
                integers.clear();
                for value in reals {
                    integers.push(Decimal::from_f64(*value).ok_or_else(overflow)?.0);
                }
                each(numbers, integers.iter(), |g, raw| {
                    sums[g] = (sums[g].0 + i128::from(*raw), true);
                });
            }
            (Self::Sum(v), Plan::Sum(e)) => {
                for (i, value) in e.evaluate(rows)?.iter().enumerate() {
                    v[numbers.map_or(0, |n| n[i] as usize)].add(value)?;
                }
            }
            (Self::ExtremeCode(want, v), Plan::ExtremeCode { column, ranks, .. }) => {
                column.read(rows, codes);
                let rank = |code: u32| ranks.as_ref().map_or(code, |r| r[code as usize]);
                match want {
                    Ordering::Less => each(numbers, codes.iter(), |g, code| {
                        v[g] = v[g].min(rank(*code).wrapping_sub(1));
                    }),
                    _ => each(numbers, codes.iter(), |g, code| v[g] = v[g].max(rank(*code))),
                }
            }
            (Self::Extreme(want, v), Plan::Extreme { value, .. }) => {
                each(numbers, value.evaluate(rows)?.into_iter(), |g, x| keep(&mut v[g], x, *want));
            }
            (Self::DistinctBits { words, bits }, Plan::Distinct { column, .. }) => {
                column.read(rows, codes);
                each(numbers, codes.iter(), |g, code| {
                    bits[g * *words + *code as usize / 64] |= 1 << (code % 64);
                });
            }
            (Self::DistinctPairs(pairs), Plan::Distinct { column, .. }) => {
                column.read(rows, codes);
                each(numbers, codes.iter(), |g, code| pairs.push(g, *code));
                pairs.tidy();
            }
            (Self::Single(v), Plan::Single(column)) => {
                column.read(rows, codes);
                each(numbers, codes.iter(), |g, code| v[g] = only(v[g], *code));
            }
            _ => return Err(Error::internal("an aggregate met the state of another")),
        }
        Ok(())
    }

    /// Adds another part's groups; `numbers` are their numbers here, where they differ.
    pub(super) fn merge(&mut self, other: Self, numbers: Option<&[u32]>) -> Result<()> {
        let at = |i: usize| numbers.map_or(i, |n| n[i] as usize);
        match (self, other) {
            (Self::Count(a), Self::Count(b)) => {
                b.into_iter().enumerate().for_each(|(i, x)| a[at(i)] += x);
            }
            (Self::SumIntegers(a), Self::SumIntegers(b)) => {
                b.into_iter().enumerate().for_each(|(i, x)| a[at(i)] += x);
            }
            (Self::SumColumn(a), Self::SumColumn(b)) => {
                for (i, x) in b.into_iter().enumerate() {
                    let sum = &mut a[at(i)];
                    *sum = (sum.0 + x.0, sum.1 | x.1);
                }
            }
            (Self::Sum(a), Self::Sum(b)) => {
                b.iter().enumerate().for_each(|(i, x)| a[at(i)].merge(x));
            }
            (Self::ExtremeCode(want, a), Self::ExtremeCode(_, b)) => {
                for (i, x) in b.into_iter().enumerate() {
                    let place = &mut a[at(i)];
                    *place = if *want == Ordering::Less { x.min(*place) } else { x.max(*place) };
                }
            }
            (Self::Extreme(want, a), Self::Extreme(_, b)) => {
                b.into_iter().enumerate().for_each(|(i, x)| keep(&mut a[at(i)], x, *want));
            }
            (Self::DistinctBits { bits: a, .. }, Self::DistinctBits { bits: b, .. }) => {
                a.iter_mut().zip(b).for_each(|(a, b)| *a |= b);
            }
            (Self::DistinctPairs(a), Self::DistinctPairs(b)) => a.merge(&b, at),
            (Self::Single(a), Self::Single(b)) => {
                for (i, x) in b.into_iter().enumerate().filter(|(_, x)| *x != NO_ROW) {
                    a[at(i)] = only(a[at(i)], x);
                }
            }
            _ => return Err(Error::internal("parts of a scan disagree about an aggregate")),
        }
        Ok(())
    }

    /// The values of some groups, which all have rows, or of the only one, which may have none.
    pub(super) fn finish(
        self,
        plan: &Plan<'_>,
        groups: &[u32],
        has_rows: bool,
    ) -> Result<Vec<Value>> {
        let count = |n: u64| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
        let at = groups.iter().map(|g| *g as usize);
        Ok(match (self, plan) {
            (Self::Count(v), _) => at.map(|g| count(v[g])).collect(),
            (Self::SumIntegers(_), _) if !has_rows => vec![Value::Blank; groups.len()],
            (Self::SumIntegers(v), Plan::SumIntegers(e)) if e.is_decimal => {
                at.map(|g| Value::Decimal(Decimal(v[g]))).collect()
            }
            (Self::SumIntegers(v), _) => at.map(|g| Value::Int(v[g])).collect(),
            (Self::SumColumn(v), plan) => {
                let is_decimal = match plan {
                    Plan::SumColumn(c) => c.column.data_type() == DataType::Decimal,
                    _ => true,
                };
                let value = |(sum, any): (i128, bool)| {
                    if any { whole(sum, is_decimal) } else { Ok(Value::Blank) }
                };
                at.map(|g| value(v[g])).collect::<Result<_>>()?
            }
            (Self::Sum(v), _) => at.map(|g| v[g].finish()).collect::<Result<_>>()?,
            (Self::ExtremeCode(want, v), Plan::ExtremeCode { column, ranks, .. }) => {
                let codes = ranks.as_ref().map(|ranks| codes_by_rank(ranks));
                let value = |place: u32| {
                    if place == no_place(want) {
                        return Value::Blank;
                    }
                    let rank = if want == Ordering::Less { place + 1 } else { place };
                    column.column.value(codes.as_ref().map_or(rank, |c| c[rank as usize]))
                };
                at.map(|g| value(v[g])).collect()
            }
            (Self::Extreme(_, v), _) => at.map(|g| v[g].clone()).collect(),
            (Self::DistinctBits { words, bits }, Plan::Distinct { with_blank, .. }) => {
                let of = |g: usize| {
                    let bits = &bits[g * words..(g + 1) * words];
                    let all: u64 = bits.iter().map(|w| u64::from(w.count_ones())).sum();
                    all - u64::from(!with_blank && bits[0] & 1 == 1)
                };
                at.map(|g| count(of(g))).collect()
            }
            (Self::DistinctPairs(mut pairs), Plan::Distinct { with_blank, .. }) => {
                let all = groups.iter().max().map_or(0, |last| *last as usize + 1);
                let counts = pairs.counts(all, *with_blank)?;
                at.map(|g| count(counts[g])).collect()
            }
            (Self::Single(v), Plan::Single(reader)) => {
                let value = |code: u32| match code {
                    NO_ROW | SEVERAL => Value::Blank,
                    code => reader.column.value(code),
                };
                at.map(|g| value(v[g])).collect()
            }
            _ => return Err(Error::internal("an aggregate met the state of another")),
        })
    }
}

/// Calls `add` with the group and the value of each row.
#[inline]
fn each<T>(
    numbers: Option<&[u32]>,
    values: impl Iterator<Item = T>,
    mut add: impl FnMut(usize, T),
) {
    match numbers {
        None => values.for_each(|v| add(0, v)),
        Some(numbers) => numbers.iter().zip(values).for_each(|(g, v)| add(*g as usize, v)),
    }
}

fn no_place(want: Ordering) -> u32 {
    if want == Ordering::Less { u32::MAX } else { 0 }
}

fn codes_by_rank(ranks: &[u32]) -> Vec<u32> {
    let mut codes = vec![0; ranks.len()];
    for (code, rank) in (0u32..).zip(ranks) {
        codes[*rank as usize] = code;
    }
    codes
}

fn whole(sum: i128, decimal: bool) -> Result<Value> {
    let fit = i64::try_from(sum).map_err(|_| overflow())?;
    Ok(if decimal { Value::Decimal(Decimal(fit)) } else { Value::Int(fit) })
}

fn only(known: u32, code: u32) -> u32 {
    match known {
        NO_ROW => code,
        known if known == code => known,
        _ => SEVERAL,
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
fn keep(kept: &mut Value, value: Value, want: Ordering) {
    if value.is_blank() {
        return;
    }
    let order = match (&value, &*kept) {
        (_, Value::Blank) => want,
        (Value::String(a), Value::String(b)) => Collation::default().compare(a, b),
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
