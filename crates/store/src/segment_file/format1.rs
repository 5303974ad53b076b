//! Files of format 1, which servers before this one wrote: all blocks compressed, codes at whole
//! bytes. They are read and packed anew.

use std::sync::Arc;

use evercube_base::{DataType, Result};
use serde::{Deserialize, Serialize};

use super::{DictionaryKind, corrupt, directory, read_dictionary, row_count, take, unpacked};
use crate::blocks::Packing;
use crate::bytes::Bytes;
use crate::dictionary::Dictionary;
use crate::segment::{Codes, Segment, SegmentColumn};

pub(super) const MAGIC: &[u8; 8] = b"EVSEG\x00\x01\n";

#[derive(Serialize, Deserialize)]
struct Directory {
    rows: u64,
    columns: Vec<ColumnEntry>,
}

#[derive(Serialize, Deserialize)]
struct ColumnEntry {
    data_type: DataType,
    dictionary: DictionaryKind,
    dictionary_bytes: (u64, u64),
    /// Bytes of a code: 1, 2 or 4; 0 where every row has `constant`.
    width: u8,
    constant: u32,
    codes_bytes: (u64, u64),
}

pub(super) fn read(bytes: &Bytes) -> Result<Segment> {
    let (directory, start) = directory::<Directory>(bytes)?;
    let rows = row_count(directory.rows)?;
    let mut blocks = bytes.slice(start, bytes.len());
    let mut columns = Vec::new();
    for entry in directory.columns {
        let (packed, plain) = entry.dictionary_bytes;
        let plain = unpacked(&take(&mut blocks, packed)?, plain)?;
        let dictionary = match &entry.dictionary {
            DictionaryKind::Strings => {
                let all: Vec<&str> = postcard::from_bytes(&plain)
                    .map_err(|_| corrupt("a dictionary is unreadable"))?;
                Dictionary::Strings(Arc::new(all.into_iter().collect()))
            }
            kind => read_dictionary(kind, &plain)?,
        };
        let (packed, plain) = entry.codes_bytes;
        let codes = codes(&entry, rows, &unpacked(&take(&mut blocks, packed)?, plain)?)?;
        if codes.len() != rows || codes.iter().any(|c| *c > dictionary.len()) {
            return Err(corrupt("a column's codes do not fit"));
        }
        let codes = Codes::pack(&codes, Packing::Shortest);
        columns.push(SegmentColumn { data_type: entry.data_type, dictionary, codes });
    }
    Ok(Segment { rows, columns })
}

fn codes(entry: &ColumnEntry, rows: usize, bytes: &[u8]) -> Result<Vec<u32>> {
    Ok(match entry.width {
        0 => vec![entry.constant; rows],
        1 => bytes.iter().map(|b| u32::from(*b)).collect(),
        2 => bytes.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b).into()).collect(),
        4 => bytes.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b)).collect(),
        w => return Err(corrupt(format!("a column has codes of {w} bytes"))),
    })
}
