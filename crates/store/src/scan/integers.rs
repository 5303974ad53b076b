//! Whole numbers and fixed decimals of rows that cannot overflow, without a value for each row: to
//! be summed where none is blank, to be compared where blank counts as zero.
//!
//! What a column's dictionary holds bounds its values, and so those of arithmetic over them; where
//! the bounds leave no room for overflow, nothing is checked row by row.

use evercube_base::{DataType, Decimal, Result, Value};

use super::few_groups;
use super::multiples::{divisor, multiple, twos};
use super::path::CodeReader;
use super::rows::{BLOCK, Local, Rows, Source};
use crate::dictionary::Dictionary;
use crate::scan_request::RowExpr;
use crate::segment::CodeBlock;
use crate::version::StoreVersion;

pub(super) struct Integers<'a> {
    node: Node<'a>,
    pub(super) unit: Unit,
    /// Every value is a multiple of this.
    step: i64,
    /// Every value is above zero.
    pub(super) is_positive: bool,
}

pub(super) enum Node<'a> {
    Column(CodeReader<'a>),
    /// The value of each code, blank as zero.
    Coded(CodeReader<'a>, Vec<i64>),
    Constant(i64),
    Binary(Operator, Box<Node<'a>>, Box<Node<'a>>),
}

#[derive(Clone, Copy)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    /// Of numbers that 32 bits hold without a sign, which processors multiply more at a time.
    MultiplyNarrow,
}

/// A part of an expression with what is known of its values.
struct Typed<'a> {
    node: Node<'a>,
    unit: Unit,
    /// Smallest and largest value.
    bounds: (i128, i128),
    /// Every value is a multiple of this.
    step: i128,
    /// Some value may be blank, which counts as zero here.
    may_be_blank: bool,
}

/// What a raw value of 1 stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    One,
    TenThousandth,
    /// Of products of two fixed decimals, which are real numbers.
    HundredMillionth,
    Microsecond,
}

impl<'a> Integers<'a> {
    /// `None` where the expression is of another kind or `rows` of it might overflow.
    pub(super) fn new(
        version: &'a StoreVersion,
        scan: u64,
        expression: &RowExpr,
        rows: usize,
    ) -> Result<Option<Self>> {
        let Some(typed) = Typed::new(version, scan, expression)? else { return Ok(None) };
        if typed.may_be_blank || typed.unit == Unit::Microsecond {
            return Ok(None);
        }
        let largest = typed.bounds.0.abs().max(typed.bounds.1.abs());
        let sum = largest.saturating_mul(rows.max(1) as i128);
        let step = typed.step.max(1);
        let is_positive = typed.bounds.0 > 0;
        let (unit, node) = (typed.unit, typed.node);
        let Ok(step) = i64::try_from(step) else { return Ok(None) };
        let fits = match unit {
            // What does not fit is told by its lower bits where it is a multiple of something.
            Unit::HundredMillionth => sum / i128::from(step) <= i128::from(i64::MAX >> twos(step)),
            _ => sum <= i128::from(i64::MAX),
        };
        Ok(fits.then_some(Self { node, unit, step, is_positive }))
    }

    /// A sum of its values as what they stand for.
    pub(super) fn value(&self, sum: i64) -> Value {
        match self.unit {
            Unit::TenThousandth => Value::Decimal(Decimal(sum)),
            Unit::HundredMillionth => {
                let whole = i128::from(multiple(sum, self.step)) * i128::from(self.step);
                Value::Double(whole as f64 / (Decimal::SCALE * Decimal::SCALE) as f64)
            }
            Unit::One | Unit::Microsecond => Value::Int(sum),
        }
    }

    /// Values of a block's rows.
    pub(super) fn evaluate(&self, rows: Rows<'_>, out: &mut Vec<i64>) {
        self.node.evaluate(rows, out);
    }

    /// The sum of a block's rows.
    pub(super) fn sum(&self, rows: Rows<'_>, space: &mut Vec<i64>) -> i64 {
        if let Some((local, zero, unit)) = self.steps(rows) {
            // Codes have 32 bits and a block few rows.
            let mut codes = 0_u64;
            local.fill(rows, &[(); BLOCK][..rows.len()], |(), code| codes += u64::from(code));
            let all = zero.wrapping_mul(rows.len() as i64);
            return all.wrapping_add(unit.wrapping_mul(codes as i64));
        }
        self.evaluate(rows, space);
        space.iter().fold(0, |sum, v| sum.wrapping_add(*v))
    }

    /// Adds each row's value to the sum of its group.
    pub(super) fn add_to(
        &self,
        sums: &mut [i64],
        numbers: &[u32],
        rows: Rows<'_>,
        space: &mut Vec<i64>,
    ) {
        if sums.len() <= few_groups::FEW {
            let mut few = few_groups::Sums::new();
            if !self.add_block(&mut few, numbers, rows) {
                self.each(numbers, rows, space, |at, group, value| few.add(at, group, value));
            }
            few.add_to(sums);
        } else if !self.add_block(&mut *sums, numbers, rows) {
            self.each(numbers, rows, space, |_, group, value| {
                sums[group as usize] = sums[group as usize].wrapping_add(value);
            });
        }
    }

    /// Adds the values of a whole block where they are codes in equal steps; otherwise false.
    fn add_block(
        &self,
        sums: &mut (impl AddValue + ?Sized),
        numbers: &[u32],
        rows: Rows<'_>,
    ) -> bool {
        let Some((local, zero, unit)) = self.steps(rows).filter(|_| rows.picked.is_none()) else {
            return false;
        };
        local.with_block(rows.first, rows.n, |block| match block {
            CodeBlock::U8(codes) => add_codes(sums, codes, numbers, zero, unit),
            CodeBlock::U16(codes) => add_codes(sums, codes, numbers, zero, unit),
            CodeBlock::U32(codes) => add_codes(sums, codes, numbers, zero, unit),
            CodeBlock::Constant(code) => {
                let value = zero.wrapping_add(i64::from(code).wrapping_mul(unit));
                numbers.iter().enumerate().for_each(|(at, group)| sums.add(at, *group, value));
            }
        });
        true
    }

    /// Calls `add` with the place, the group and the value of each row.
    #[inline]
    fn each(
        &self,
        numbers: &[u32],
        rows: Rows<'_>,
        space: &mut Vec<i64>,
        mut add: impl FnMut(usize, u32, i64),
    ) {
        let numbers = numbers.iter();
        match self.steps(rows) {
            Some((local, zero, unit)) => {
                local.fill(rows, numbers.enumerate(), |(at, group), code| {
                    add(at, *group, zero.wrapping_add(i64::from(code).wrapping_mul(unit)));
                });
            }
            None => {
                self.evaluate(rows, space);
                let pairs = numbers.zip(space.iter()).enumerate();
                pairs.for_each(|(at, (group, value))| add(at, *group, *value));
            }
        }
    }

    /// Where the values are those of a column in equal steps: its codes, the value of code 0 if it
    /// had one, and a step.
    fn steps(&self, rows: Rows<'_>) -> Option<(Local<'_>, i64, i64)> {
        let Node::Column(reader) = &self.node else { return None };
        let local = reader.source.local(rows.first);
        match (&reader.source, &reader.behind, local.dictionary) {
            (Source::Column(_), None, Some(Dictionary::Range { base, unit, .. })) => {
                Some((local, base.wrapping_sub(*unit), *unit))
            }
            _ => None,
        }
    }
}

/// Sums that values are added to: of row `at` of a block to the sum of its group.
trait AddValue {
    fn add(&mut self, at: usize, group: u32, value: i64);
}

impl AddValue for [i64] {
    #[inline]
    fn add(&mut self, _: usize, group: u32, value: i64) {
        let sum = &mut self[group as usize];
        *sum = sum.wrapping_add(value);
    }
}

impl AddValue for few_groups::Sums {
    #[inline]
    fn add(&mut self, at: usize, group: u32, value: i64) {
        Self::add(self, at, group, value);
    }
}

/// A function of its own, so that all the loop needs stays in registers: a closure that is passed
/// on finds what it captured in memory, for every row again.
#[inline(never)]
fn add_codes<T: Copy + Into<u32>>(
    sums: &mut (impl AddValue + ?Sized),
    codes: &[T],
    numbers: &[u32],
    zero: i64,
    unit: i64,
) {
    for (at, (code, group)) in codes.iter().zip(numbers).enumerate() {
        let code: u32 = (*code).into();
        sums.add(at, *group, zero.wrapping_add(i64::from(code).wrapping_mul(unit)));
    }
}

/// Whole numbers or fixed decimals that are never blank, each of which fits 64 bits.
pub(super) struct Exact<'a> {
    pub(super) node: Node<'a>,
    /// Values are ten-thousandths.
    pub(super) is_decimal: bool,
    pub(super) is_never_zero: bool,
}

impl<'a> Exact<'a> {
    /// `None` where the expression is of another kind.
    pub(super) fn new(
        version: &'a StoreVersion,
        scan: u64,
        expression: &RowExpr,
    ) -> Result<Option<Self>> {
        let typed = Typed::new(version, scan, expression)?;
        let is_exact = |t: &Typed<'_>| matches!(t.unit, Unit::One | Unit::TenThousandth);
        let typed = typed.filter(|t| !t.may_be_blank && is_exact(t));
        Ok(typed.map(|t| Self {
            is_decimal: t.unit == Unit::TenThousandth,
            is_never_zero: t.bounds.0 > 0 || t.bounds.1 < 0,
            node: t.node,
        }))
    }
}

/// Two expressions in one unit, blank being zero; `None` where they are of other kinds or might
/// overflow.
pub(super) fn comparable<'a>(
    version: &'a StoreVersion,
    scan: u64,
    left: &RowExpr,
    right: &RowExpr,
) -> Result<Option<(Node<'a>, Node<'a>)>> {
    let (left, right) = (Typed::new(version, scan, left)?, Typed::new(version, scan, right)?);
    let (Some(left), Some(right)) = (left, right) else { return Ok(None) };
    let both = |l: Option<Typed<'a>>, r: Option<Typed<'a>>| Some((l?.node, r?.node));
    Ok(match (left.unit, right.unit) {
        (Unit::HundredMillionth, _) | (_, Unit::HundredMillionth) => None,
        (l, r) if l == r => both(Some(left), Some(right)),
        (Unit::Microsecond, _) | (_, Unit::Microsecond) => None,
        _ => both(left.into_decimal(), right.into_decimal()),
    })
}

impl<'a> Typed<'a> {
    fn new(version: &'a StoreVersion, scan: u64, expression: &RowExpr) -> Result<Option<Self>> {
        let (operator, a, b) = match expression {
            RowExpr::Column(c) => {
                let reader = CodeReader::new(version, scan, c)?;
                return Ok(Self::column(reader));
            }
            RowExpr::Constant(value) => return Ok(Self::constant(value)),
            RowExpr::Coded { column, values } => {
                return Ok(Self::coded(CodeReader::new(version, scan, column)?, values));
            }
            RowExpr::Divide(..) | RowExpr::SafeDivide(..) => return Ok(None),
            RowExpr::Add(a, b) => (Operator::Add, a, b),
            RowExpr::Subtract(a, b) => (Operator::Subtract, a, b),
            RowExpr::Multiply(a, b) => (Operator::Multiply, a, b),
        };
        let (Some(a), Some(b)) = (Self::new(version, scan, a)?, Self::new(version, scan, b)?)
        else {
            return Ok(None);
        };
        Ok(Self::binary(operator, a, b))
    }

    fn column(reader: CodeReader<'a>) -> Option<Self> {
        let unit = match reader.column.data_type() {
            DataType::Int64 => Unit::One,
            DataType::Decimal => Unit::TenThousandth,
            DataType::DateTime => Unit::Microsecond,
            _ => return None,
        };
        let (mut low, mut high) = reader.column.integer_bounds();
        let may_be_blank = !reader.is_never_blank();
        if may_be_blank {
            (low, high) = (low.min(0), high.max(0));
        }
        let range = reader.column.range();
        let step = range.map_or(1, |(base, unit)| divisor(base.into(), unit.into()));
        Some(Self { node: Node::Column(reader), unit, bounds: (low, high), step, may_be_blank })
    }

    fn coded(reader: CodeReader<'a>, values: &[Value]) -> Option<Self> {
        let first = usize::from(reader.is_never_blank());
        let unit = values.iter().skip(first).find_map(unit_of)?;
        let node = Node::Constant(0);
        let mut typed = Self { node, unit, bounds: (0, 0), step: 0, may_be_blank: false };
        let mut raw = vec![0; values.len()];
        let mut bounds = None;
        for (code, value) in values.iter().enumerate().skip(first) {
            match Self::constant(value) {
                Some(Self { node: Node::Constant(v), unit: of, .. }) if of == unit => raw[code] = v,
                _ if value.is_blank() => typed.may_be_blank = true,
                _ => return None,
            }
            let v = i128::from(raw[code]);
            typed.step = divisor(typed.step, v);
            let (low, high) = bounds.unwrap_or((v, v));
            bounds = Some((low.min(v), high.max(v)));
        }
        Some(Self { node: Node::Coded(reader, raw), bounds: bounds?, ..typed })
    }

    fn constant(value: &Value) -> Option<Self> {
        let unit = unit_of(value)?;
        let raw = match value {
            Value::Int(v) => *v,
            Value::Decimal(d) => d.0,
            Value::DateTime(t) => t.0,
            _ => return None,
        };
        let v = i128::from(raw);
        let node = Node::Constant(raw);
        Some(Self { node, unit, bounds: (v, v), step: v.abs(), may_be_blank: false })
    }

    fn binary(operator: Operator, a: Self, b: Self) -> Option<Self> {
        let is_product = matches!(operator, Operator::Multiply);
        let has = |unit| a.unit == unit || b.unit == unit;
        // A product of two decimals is a real number, of which whole numbers alone make exact ones.
        let unit = match (a.unit, b.unit) {
            (Unit::One, Unit::One) => Unit::One,
            (Unit::TenThousandth, Unit::TenThousandth) if is_product => Unit::HundredMillionth,
            (Unit::One | Unit::TenThousandth, Unit::One | Unit::TenThousandth) => {
                Unit::TenThousandth
            }
            (Unit::HundredMillionth, Unit::One) | (Unit::One, Unit::HundredMillionth)
                if is_product =>
            {
                Unit::HundredMillionth
            }
            _ => return None,
        };
        let is_decimal = has(Unit::TenThousandth);
        let may_be_blank = a.may_be_blank || b.may_be_blank;
        let scaled = |t: Self| if is_decimal && !is_product { t.into_decimal() } else { Some(t) };
        let (a, b) = (scaled(a)?, scaled(b)?);
        let (al, ah) = a.bounds;
        let (bl, bh) = b.bounds;
        let bounds = match operator {
            Operator::Add => (al + bl, ah + bh),
            Operator::Subtract => (al - bh, ah - bl),
            Operator::Multiply | Operator::MultiplyNarrow => {
                let corners = [al * bl, al * bh, ah * bl, ah * bh];
                (*corners.iter().min()?, *corners.iter().max()?)
            }
        };
        let is_narrow = |(low, high): (i128, i128)| low >= 0 && high <= i128::from(u32::MAX);
        let operator = match operator {
            Operator::Multiply if is_narrow(a.bounds) && is_narrow(b.bounds) => {
                Operator::MultiplyNarrow
            }
            operator => operator,
        };
        let step = match is_product {
            true => a.step.checked_mul(b.step)?,
            false => divisor(a.step, b.step),
        };
        let node = Node::Binary(operator, Box::new(a.node), Box::new(b.node));
        Self { node, unit, bounds, step, may_be_blank }.fitting()
    }

    fn into_decimal(self) -> Option<Self> {
        if self.unit == Unit::TenThousandth {
            return Some(self);
        }
        let by = i128::from(Decimal::SCALE);
        let bounds = (self.bounds.0 * by, self.bounds.1 * by);
        let node = Node::Binary(
            Operator::Multiply,
            Box::new(self.node),
            Box::new(Node::Constant(Decimal::SCALE)),
        );
        let step = self.step * by;
        Self { node, unit: Unit::TenThousandth, bounds, step, ..self }.fitting()
    }

    fn fitting(self) -> Option<Self> {
        let fits = |v: i128| i64::try_from(v).is_ok();
        (fits(self.bounds.0) && fits(self.bounds.1)).then_some(self)
    }
}

fn unit_of(value: &Value) -> Option<Unit> {
    match value {
        Value::Int(_) => Some(Unit::One),
        Value::Decimal(_) => Some(Unit::TenThousandth),
        Value::DateTime(_) => Some(Unit::Microsecond),
        _ => None,
    }
}

impl Node<'_> {
    pub(super) fn evaluate(&self, rows: Rows<'_>, out: &mut Vec<i64>) {
        match self {
            Self::Constant(v) => {
                out.clear();
                out.resize(rows.len(), *v);
            }
            Self::Column(reader) => read(reader, rows, out),
            Self::Coded(reader, values) => {
                out.clear();
                out.resize(rows.len(), 0);
                let local = reader.source.local(rows.first);
                match &reader.behind {
                    Some(behind) => local.fill_mapped(rows, out.iter_mut(), |o, code| {
                        *o = values[behind.codes[code as usize] as usize];
                    }),
                    None => local.fill_mapped(rows, out.iter_mut(), |o, code| {
                        *o = values[code as usize];
                    }),
                }
            }
            Self::Binary(operator, a, b) => {
                a.evaluate(rows, out);
                if let Self::Constant(b) = **b {
                    operator.apply(out, std::iter::repeat(b));
                } else {
                    let mut right = Vec::with_capacity(rows.len());
                    b.evaluate(rows, &mut right);
                    operator.apply(out, right.into_iter());
                }
            }
        }
    }
}

impl Operator {
    /// The bounds leave no room for overflow.
    fn apply(self, left: &mut [i64], right: impl Iterator<Item = i64>) {
        let pairs = left.iter_mut().zip(right);
        match self {
            Self::Add => pairs.for_each(|(l, r)| *l = l.wrapping_add(r)),
            Self::Subtract => pairs.for_each(|(l, r)| *l = l.wrapping_sub(r)),
            Self::Multiply => pairs.for_each(|(l, r)| *l = l.wrapping_mul(r)),
            Self::MultiplyNarrow => pairs.for_each(|(l, r)| {
                *l = u64::from(*l as u32).wrapping_mul(u64::from(r as u32)) as i64;
            }),
        }
    }
}

fn read(reader: &CodeReader<'_>, rows: Rows<'_>, out: &mut Vec<i64>) {
    out.clear();
    out.resize(rows.len(), 0);
    let out = out.as_mut_slice();
    let local = reader.source.local(rows.first);
    let column = reader.column;
    if !reader.is_never_blank() {
        let code_behind =
            |code: u32| reader.behind.as_ref().map_or(code, |b| b.codes[code as usize]);
        local.fill_mapped(rows, out, |o, code| match code_behind(code) {
            0 => *o = 0,
            code => *o = column.integer(code),
        });
        return;
    }
    match (&reader.source, &reader.behind, local.dictionary) {
        // The segment's own dictionary needs no way into the column's.
        (Source::Column(_), None, Some(Dictionary::Range { base, unit, .. })) => {
            let zero = base.wrapping_sub(*unit);
            local.fill(rows, out, |o, code| *o = zero.wrapping_add(i64::from(code) * unit));
        }
        (Source::Column(_), None, Some(Dictionary::Integers(values))) => {
            local.fill(rows, out, |o, code| *o = values[code as usize - 1]);
        }
        (_, behind, _) => {
            let code_behind = |code: u32| match behind {
                Some(behind) => behind.codes[code as usize],
                None => code,
            };
            match column.range() {
                Some((base, unit)) => local.fill_mapped(rows, out, |o, code| {
                    let steps = i64::from(code_behind(code)) - 1;
                    *o = base.wrapping_add(steps.wrapping_mul(unit));
                }),
                None => local.fill_mapped(rows, out, |o, code| {
                    *o = column.integer(code_behind(code));
                }),
            }
        }
    }
}
