//! Aggregates with their columns resolved, and the kernels that suit them.

use std::cmp::Ordering;
use std::sync::Arc;

use evercube_base::{DataType, Error, Result};

use super::accumulate::Accumulator;
use super::distinct_pairs::Pairs;
use super::integers::{Integers, Unit};
use super::path::CodeReader;
use super::reals::Reals;
use super::row_value::RowPlan;
use crate::scan_request::{Aggregate, PathColumn, RowExpr};
use crate::version::StoreVersion;

/// Words of bits that distinct codes of all groups may take in any table.
const MOST_DISTINCT_WORDS: usize = 1 << 22;

/// An aggregate with its columns resolved.
pub(super) enum Plan<'a> {
    CountRows,
    /// Sum of whole numbers, fixed decimals or products of two of these that are never blank and
    /// cannot overflow.
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
    /// Of whole numbers or fixed decimals that are never blank.
    ExtremeInteger {
        value: Integers<'a>,
        want: Ordering,
    },
    /// Of real numbers that are never blank, or of fixed decimals made of them.
    ExtremeReal {
        value: Reals<'a>,
        want: Ordering,
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
            Aggregate::Min(e) => Self::extreme(version, scan, e, rows, Ordering::Less)?,
            Aggregate::Max(e) => Self::extreme(version, scan, e, rows, Ordering::Greater)?,
            Aggregate::Count(RowExpr::Column(c)) => {
                let column = codes(c)?;
                if column.is_never_blank() { Self::CountRows } else { Self::CountColumn(column) }
            }
            // It has a value in every row.
            Aggregate::Count(e)
                if Integers::new(version, scan, e, rows)?.is_some()
                    || Reals::new(version, scan, e)?.is_some() =>
            {
                Self::CountRows
            }
            Aggregate::Count(e) => Self::Count(row(e)?),
            Aggregate::DistinctCount { column, with_blank } => {
                Self::Distinct { column: codes(column)?, with_blank: *with_blank, rows }
            }
            Aggregate::SingleValue(c) => Self::Single(codes(c)?),
        })
    }

    fn extreme(
        version: &'a StoreVersion,
        scan: u64,
        expression: &RowExpr,
        rows: usize,
        want: Ordering,
    ) -> Result<Self> {
        if let RowExpr::Column(c) = expression {
            let column = CodeReader::new(version, scan, c)?;
            let ranks = column.column.ranks();
            return Ok(Self::ExtremeCode { column, want, ranks });
        }
        if let Some(value) = Integers::new(version, scan, expression, rows)?
            && value.unit != Unit::HundredMillionth
        {
            return Ok(Self::ExtremeInteger { value, want });
        }
        if let Some(value) = Reals::new(version, scan, expression)? {
            return Ok(Self::ExtremeReal { value, want });
        }
        Ok(Self::Extreme { value: RowPlan::new(version, scan, expression)?, want })
    }

    /// Whether parts of the rows give the same answer in whatever order they are put together.
    pub(super) fn is_exact(&self) -> bool {
        match self {
            Self::SumReals(reals) => reals.is_decimal,
            Self::SumDoubles(_) | Self::Sum(_) | Self::Extreme { .. } => false,
            _ => true,
        }
    }

    /// Whether groups that some row belongs to are those whose aggregate is not zero.
    pub(super) fn tells_groups(&self) -> bool {
        match self {
            Self::CountRows => true,
            Self::SumIntegers(integers) => integers.is_positive,
            _ => false,
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
            Self::ExtremeInteger { want, .. } => Accumulator::ExtremeInteger(*want, Vec::new()),
            Self::ExtremeReal { want, .. } => Accumulator::ExtremeReal(*want, Vec::new()),
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
