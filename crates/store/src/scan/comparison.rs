//! Rows by a comparison of two expressions over their columns.

use std::cmp::Ordering;

use evercube_base::{DataType, Result, Value};
use evercube_work::{check, for_all};

use super::SCAN_PART;
use super::integers::{Node, comparable};
use super::part::{Block, blocks};
use super::path::CodeReader;
use super::rows::Rows;
use crate::scan_request::{BitSet, RowComparison, RowExpr, TableId};
use crate::version::StoreVersion;

/// The rows of a table for which the comparison holds, and one bit more that is not set: that of
/// its blank row. `None` where the expressions are not whole numbers, fixed decimals, dates or
/// texts that are only asked whether they are equal.
pub(crate) fn rows_where(
    version: &StoreVersion,
    table: TableId,
    comparison: &RowComparison,
) -> Result<Option<BitSet>> {
    let scan = version.attributes.begin();
    let RowComparison { left, holds, right } = comparison;
    let sides = match texts(version, scan, left, right)? {
        // These only tell equals from others.
        Some(texts) => (holds.contains(&Ordering::Less) == holds.contains(&Ordering::Greater))
            .then(|| texts.map(Side::Text)),
        None => comparable(version, scan, left, right)?
            .map(|(left, right)| [Side::Numbers(left), Side::Numbers(right)]),
    };
    let Some([left, right]) = sides else { return Ok(None) };
    let data = version.table(table);
    let (rows, ends) = (data.rows(), data.piece_ends());
    let part = |at: usize| {
        let first = at * SCAN_PART;
        let mut words = vec![0_u64; SCAN_PART.min(rows - first).div_ceil(64)];
        of_part(first..(first + SCAN_PART).min(rows), &ends, (&left, &right), holds, &mut words)?;
        Ok(words)
    };
    let parts = for_all(rows.div_ceil(SCAN_PART), part)?;
    Ok(Some(BitSet::from_words(parts.concat(), rows + 1)))
}

/// One side of a comparison.
enum Side<'a> {
    Numbers(Node<'a>),
    Text(Text<'a>),
}

/// A column of text, with numbers that stand for its codes.
struct Text<'a> {
    reader: CodeReader<'a>,
    numbers: Vec<i64>,
}

impl Side<'_> {
    fn evaluate(&self, rows: Rows<'_>, out: &mut Vec<i64>) {
        match self {
            Self::Numbers(node) => node.evaluate(rows, out),
            Self::Text(Text { reader, numbers }) => {
                let mut codes = Vec::with_capacity(rows.len());
                reader.read(rows, &mut codes);
                out.clear();
                out.extend(codes.iter().map(|code| numbers[*code as usize]));
            }
        }
    }
}

/// Numbers for the codes of two columns of text, equal where the texts are, blank being empty text;
/// `None` where one of them is none.
fn texts<'a>(
    version: &'a StoreVersion,
    scan: u64,
    left: &RowExpr,
    right: &RowExpr,
) -> Result<Option<[Text<'a>; 2]>> {
    let (RowExpr::Column(left), RowExpr::Column(right)) = (left, right) else { return Ok(None) };
    let left = CodeReader::new(version, scan, left)?;
    let right = CodeReader::new(version, scan, right)?;
    if [&left, &right].iter().any(|side| side.column.data_type() != DataType::String) {
        return Ok(None);
    }
    let empty = right.column.code_of(&Value::from(""));
    let number = |code: u32| if Some(code) == empty { 0 } else { i64::from(code) };
    let of_left = |code: u32| {
        evercube_work::tick();
        match left.column.value(code) {
            Value::String(text) if text.is_empty() => 0,
            Value::Blank => 0,
            text => right.column.code_of(&text).map_or(-1, number),
        }
    };
    let of_left = (0..left.column.cardinality()).map(of_left).collect();
    let of_right = (0..right.column.cardinality()).map(number).collect();
    let text = |reader, numbers| Text { reader, numbers };
    Ok(Some([text(left, of_left), text(right, of_right)]))
}

fn of_part(
    part: std::ops::Range<usize>,
    ends: &[usize],
    (left, right): (&Side<'_>, &Side<'_>),
    holds: &[Ordering],
    words: &mut [u64],
) -> Result<()> {
    let [less, equal, greater] =
        [Ordering::Less, Ordering::Equal, Ordering::Greater].map(|o| holds.contains(&o));
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for Block { first, n, .. } in blocks(part.clone(), ends) {
        check()?;
        let rows = Rows { first, n, picked: None };
        left.evaluate(rows, &mut a);
        right.evaluate(rows, &mut b);
        for (bit, (a, b)) in (first - part.start..).zip(a.iter().zip(&b)) {
            let is_in = (less & (a < b)) | (equal & (a == b)) | (greater & (a > b));
            words[bit / 64] |= u64::from(is_in) << (bit % 64);
        }
    }
    Ok(())
}
