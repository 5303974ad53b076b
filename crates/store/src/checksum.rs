//! A checksum of what a table says, whatever its segments and codes.

use evercube_base::Value;

use crate::object_dir::Hash;
use crate::table::TableData;

/// Order-independent checksum of the table's rows: the sum, byte by byte in 32-byte lanes of
/// 64 bits, of the BLAKE3 hashes of the rows. Equal for equal bags of rows.
pub fn logical_checksum(table: &TableData) -> Hash {
    let mut lanes = [0u64; 4];
    for row in 0..table.rows() {
        let mut h = blake3::Hasher::new();
        for i in 0..table.columns() as u32 {
            let column = table.column(i);
            match column.value(column.code(row)) {
                Value::Blank => h.update(&[0]),
                Value::Boolean(b) => h.update(&[1, u8::from(b)]),
                Value::Int(v) => h.update(&[2]).update(&v.to_le_bytes()),
                Value::Decimal(v) => h.update(&[3]).update(&v.0.to_le_bytes()),
                Value::Double(v) => h.update(&[4]).update(&v.to_bits().to_le_bytes()),
                Value::DateTime(v) => h.update(&[5]).update(&v.0.to_le_bytes()),
                Value::String(s) => {
                    h.update(&[6]).update(&(s.len() as u64).to_le_bytes()).update(s.as_bytes())
                }
            };
        }
        let hash = h.finalize();
        for (lane, bytes) in lanes.iter_mut().zip(hash.as_bytes().as_chunks::<8>().0) {
            *lane = lane.wrapping_add(u64::from_le_bytes(*bytes));
        }
    }
    let mut out = [0; 32];
    for (o, lane) in out.as_chunks_mut::<8>().0.iter_mut().zip(lanes) {
        *o = lane.to_le_bytes();
    }
    out
}
