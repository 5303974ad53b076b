//! A checksum of what rows say, whatever their segments, codes and order.

use std::ops::Range;

use evercube_base::{Collation, Value};
use rayon::prelude::*;

use crate::encode::double_key;
use crate::object_dir::Hash;
use crate::table::TableData;

/// Rows that one thread sums up at a time.
const CHUNK: usize = 1 << 16;

/// Sum of the BLAKE3 hashes of rows, in four lanes of 64 bits: equal for equal bags of rows, and
/// that of all partitions of a table is the table's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogicalChecksum([u64; 4]);

impl LogicalChecksum {
    pub fn plus(mut self, other: Self) -> Self {
        for (lane, more) in self.0.iter_mut().zip(other.0) {
            *lane = lane.wrapping_add(more);
        }
        self
    }

    pub fn to_hash(self) -> Hash {
        let mut out = [0; 32];
        for (o, lane) in out.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *o = lane.to_le_bytes();
        }
        out
    }

    fn of_hash(hash: &Hash) -> Self {
        let mut lanes = [0; 4];
        for (lane, bytes) in lanes.iter_mut().zip(hash.as_chunks::<8>().0) {
            *lane = u64::from_le_bytes(*bytes);
        }
        Self(lanes)
    }
}

/// The checksum of a table's rows. Texts count as equal where the collation takes them for equal,
/// for a segment keeps one spelling only.
pub fn logical_checksum(table: &TableData) -> LogicalChecksum {
    let chunks = table.rows().div_ceil(CHUNK);
    (0..chunks)
        .into_par_iter()
        .map(|n| rows_checksum(table, n * CHUNK..((n + 1) * CHUNK).min(table.rows())))
        .reduce(LogicalChecksum::default, LogicalChecksum::plus)
}

fn rows_checksum(table: &TableData, rows: Range<usize>) -> LogicalChecksum {
    let mut sum = LogicalChecksum::default();
    for row in rows {
        let mut h = blake3::Hasher::new();
        for i in 0..table.columns() as u32 {
            let column = table.column(i);
            hash_value(&mut h, &column.value(column.code(row)), table.collation());
        }
        sum = sum.plus(LogicalChecksum::of_hash(h.finalize().as_bytes()));
    }
    sum
}

fn hash_value(h: &mut blake3::Hasher, value: &Value, collation: Collation) {
    match value {
        Value::Blank => h.update(&[0]),
        Value::Boolean(b) => h.update(&[1, u8::from(*b)]),
        Value::Int(v) => h.update(&[2]).update(&v.to_le_bytes()),
        Value::Decimal(v) => h.update(&[3]).update(&v.0.to_le_bytes()),
        Value::Double(v) => h.update(&[4]).update(&double_key(*v).to_le_bytes()),
        Value::DateTime(v) => h.update(&[5]).update(&v.0.to_le_bytes()),
        Value::String(s) => {
            let key = collation.key(s);
            h.update(&[6]).update(&(key.len() as u64).to_le_bytes()).update(key.as_bytes())
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use evercube_base::{ColumnData, DataType, RowBatch};

    fn table(rows: &[(i64, &str)]) -> TableData {
        let numbers = rows.iter().map(|r| Some(r.0)).collect();
        let texts = rows.iter().map(|r| Some(r.1.into())).collect();
        let columns = vec![ColumnData::Int64(numbers), ColumnData::String(texts)];
        let batch = RowBatch { columns, rows: rows.len() };
        let types = [DataType::Int64, DataType::String];
        TableData::from_batches(&types, Collation::default(), &[batch]).unwrap()
    }

    #[test]
    fn order_and_spelling_do_not_count_and_values_do() {
        let sum = |rows: &[(i64, &str)]| logical_checksum(&table(rows));
        let all = sum(&[(1, "a"), (2, "b"), (2, "b")]);
        assert_eq!(sum(&[(2, "B"), (1, "A"), (2, "b")]), all);
        assert_eq!(sum(&[(1, "a")]).plus(sum(&[(2, "b"), (2, "b")])), all);
        for other in [&[(1, "a"), (2, "b")][..], &[(1, "b"), (2, "a"), (2, "b")], &[]] {
            assert_ne!(sum(other), all);
        }
        assert_eq!(LogicalChecksum::of_hash(&all.to_hash()), all);
    }
}
