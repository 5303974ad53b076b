//! Rows by a comparison of two expressions over their columns.

use std::cmp::Ordering;

use evercube_base::{DataType, Result, Value};
use evercube_work::{check, for_all};

use super::SCAN_PART;
use super::integers::{Node, comparable};
use super::kernel::{self, Level};
use super::part::{Block, blocks};
use super::path::CodeReader;
use super::rows::{BLOCK, Rows};
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
    let (mut a, mut b) = (Vec::new(), Vec::new());
    let mut found = [0_u64; BLOCK / 64];
    for Block { first, n, .. } in blocks(part.clone(), ends) {
        check()?;
        let rows = Rows { first, n, picked: None };
        left.evaluate(rows, &mut a);
        right.evaluate(rows, &mut b);
        let found = &mut found[..n.div_ceil(64)];
        compare(&a, &b, holds, found);
        // Blocks end where segments do, which need not be the end of a word.
        let at = first - part.start;
        let (word, bit) = (at / 64, at % 64);
        for (i, bits) in found.iter().enumerate() {
            words[word + i] |= bits << bit;
            if bit > 0
                && let Some(next) = words.get_mut(word + i + 1)
            {
                *next |= bits >> (64 - bit);
            }
        }
    }
    Ok(())
}

/// One bit for each pair, set where the comparison holds.
fn compare(a: &[i64], b: &[i64], holds: &[Ordering], words: &mut [u64]) {
    let level = Level::best();
    let [less, equal, greater] =
        [Ordering::Less, Ordering::Equal, Ordering::Greater].map(|o| holds.contains(&o));
    let is_opposite = match (less, equal, greater) {
        (less, equal, greater) if less == equal && equal == greater => {
            words.fill(0);
            less
        }
        (less, equal, greater) if less == greater => {
            kernel::equal(level, a, b, words);
            !equal
        }
        (true, equal, _) => {
            let (a, b) = if equal { (b, a) } else { (a, b) };
            kernel::less(level, a, b, words);
            equal
        }
        (false, equal, _) => {
            let (a, b) = if equal { (a, b) } else { (b, a) };
            kernel::less(level, a, b, words);
            equal
        }
    };
    if is_opposite {
        words.iter_mut().for_each(|word| *word = !*word);
        if let (Some(last), rest @ 1..) = (words.last_mut(), a.len() % 64) {
            *last &= (1 << rest) - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_set_of_orders_holds_for_its_pairs() {
        let orders = [Ordering::Less, Ordering::Equal, Ordering::Greater];
        let a: Vec<i64> = (0..70).collect();
        let b: Vec<i64> = a.iter().map(|n| n + n % 3 - 1).collect();
        for set in 0..8 {
            let holds: Vec<Ordering> =
                (0..3).filter(|i| set >> i & 1 == 1).map(|i| orders[i]).collect();
            let mut words = [u64::MAX; 2];
            compare(&a, &b, &holds, &mut words);
            let found: Vec<bool> = (0..128).map(|i| words[i / 64] >> (i % 64) & 1 == 1).collect();
            let wanted: Vec<bool> =
                (0..128).map(|i| i < a.len() && holds.contains(&a[i].cmp(&b[i]))).collect();
            assert_eq!(found, wanted, "{holds:?}");
        }
    }
}
