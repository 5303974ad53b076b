//! Aggregates of groups, as they grow.

use std::cmp::Ordering;

use evercube_base::{Collation, DataType, Decimal, Error, Result, Value};

use super::aggregate_plan::Plan;
use super::distinct_pairs::Pairs;
use super::few_groups;
use super::row_value::overflow;
use super::rows::Rows;
use super::sum::{Sum, whole};

pub(super) enum Accumulator {
    Count(Vec<u64>),
    SumIntegers(Vec<i64>),
    /// Sum, and whether any value was not blank.
    SumColumn(Vec<(i128, bool)>),
    Sum(Vec<Sum>),
    /// Places in the order of values, one more than they are for smallest ones so that blank, which
    /// does not count, is the largest.
    ExtremeCode(Ordering, Vec<u32>),
    ExtremeInteger(Ordering, Vec<i64>),
    ExtremeReal(Ordering, Vec<f64>),
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
            Self::ExtremeInteger(want, v) => v.resize(groups, farthest_integer(*want)),
            Self::ExtremeReal(want, v) => v.resize(groups, farthest_real(*want)),
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
                // The plan's bounds leave no room for overflow, or for one that matters.
                None => sums[0] = sums[0].wrapping_add(e.sum(rows, integers)),
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
            (Self::ExtremeInteger(want, v), Plan::ExtremeInteger { value, .. }) => {
                value.evaluate(rows, integers);
                each(numbers, integers.iter(), |g, x| v[g] = nearer_integer(v[g], *x, *want));
            }
            (Self::ExtremeReal(want, v), Plan::ExtremeReal { value, .. }) => {
                value.evaluate(rows, reals)?;
                each(numbers, reals.iter(), |g, x| v[g] = nearer_real(v[g], *x, *want));
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

    /// For an aggregate that tells which groups have rows: whether this one has.
    pub(super) fn has_rows(&self, group: usize) -> bool {
        match self {
            Self::Count(v) => v[group] != 0,
            Self::SumIntegers(v) => v[group] != 0,
            _ => false,
        }
    }

    /// Adds another part's groups; `numbers` are their numbers here, where they differ.
    pub(super) fn merge(&mut self, other: Self, numbers: Option<&[u32]>) -> Result<()> {
        let at = |i: usize| numbers.map_or(i, |n| n[i] as usize);
        match (self, other) {
            (Self::Count(a), Self::Count(b)) => {
                b.into_iter().enumerate().for_each(|(i, x)| a[at(i)] += x);
            }
            (Self::SumIntegers(a), Self::SumIntegers(b)) => {
                let add = |(i, x)| a[at(i)] = a[at(i)].wrapping_add(x);
                b.into_iter().enumerate().for_each(add);
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
            (Self::ExtremeInteger(want, a), Self::ExtremeInteger(_, b)) => {
                let nearer = |(i, x)| a[at(i)] = nearer_integer(a[at(i)], x, *want);
                b.into_iter().enumerate().for_each(nearer);
            }
            (Self::ExtremeReal(want, a), Self::ExtremeReal(_, b)) => {
                let nearer = |(i, x)| a[at(i)] = nearer_real(a[at(i)], x, *want);
                b.into_iter().enumerate().for_each(nearer);
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
            (Self::SumIntegers(_) | Self::ExtremeInteger(..) | Self::ExtremeReal(..), _)
                if !has_rows =>
            {
                vec![Value::Blank; groups.len()]
            }
            (
                Self::SumIntegers(v) | Self::ExtremeInteger(_, v),
                Plan::SumIntegers(e) | Plan::ExtremeInteger { value: e, .. },
            ) => at.map(|g| e.value(v[g])).collect(),
            (Self::ExtremeReal(_, v), Plan::ExtremeReal { value, .. }) if value.is_decimal => {
                let decimal = |v| Ok(Value::Decimal(Decimal::from_f64(v).ok_or_else(overflow)?));
                at.map(|g| decimal(v[g])).collect::<Result<_>>()?
            }
            (Self::ExtremeReal(_, v), _) => at.map(|g| Value::Double(v[g])).collect(),
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

/// What every number is nearer to the wanted end than.
fn farthest_integer(want: Ordering) -> i64 {
    if want == Ordering::Less { i64::MAX } else { i64::MIN }
}

/// As [`farthest_integer`], in the total order of doubles.
fn farthest_real(want: Ordering) -> f64 {
    let last = f64::from_bits(u64::MAX >> 1);
    if want == Ordering::Less { last } else { -last }
}

fn nearer_integer(a: i64, b: i64, want: Ordering) -> i64 {
    if want == Ordering::Less { a.min(b) } else { a.max(b) }
}

fn nearer_real(a: f64, b: f64, want: Ordering) -> f64 {
    if b.total_cmp(&a) == want { b } else { a }
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

fn only(known: u32, code: u32) -> u32 {
    match known {
        NO_ROW => code,
        known if known == code => known,
        _ => SEVERAL,
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
