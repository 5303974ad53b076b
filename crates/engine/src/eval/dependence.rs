//! Columns whose values decide those of another column of their table: the month its year, the key
//! of a product its colour. Groups by the one tell groups by the other.

use std::sync::Arc;

use evercube_store::{Column, ColumnId};
use hashbrown::HashMap;

use super::Evaluator;

/// Longer tables are not gone through for it.
const MOST_ROWS: usize = 1 << 16;

/// For pairs of columns, what the first one's codes decide, as far as it was asked.
pub(super) type Decided = HashMap<(ColumnId, ColumnId), Option<Arc<Vec<u32>>>>;

impl Evaluator<'_> {
    /// For each code of `key` that of `other`, a column of the same table, in its rows; `None` where
    /// rows of one value differ, or nobody looked.
    pub(super) fn decided_codes(&self, key: ColumnId, other: ColumnId) -> Option<Arc<Vec<u32>>> {
        let table = self.store.table(key.table);
        if key.table != other.table || table.rows() > MOST_ROWS {
            return None;
        }
        if let Some(known) = self.decided.borrow().get(&(key, other)) {
            return known.clone();
        }
        let found = decided(table.column(key.column), table.column(other.column)).map(Arc::new);
        self.decided.borrow_mut().insert((key, other), found.clone());
        found
    }
}

/// The blank row counts, whether or not the table has it: blank decides blank.
fn decided(key: &Column, other: &Column) -> Option<Vec<u32>> {
    if key.cardinality() < other.present().count() as u32 {
        return None;
    }
    let mut codes = vec![u32::MAX; key.cardinality() as usize];
    codes[0] = 0;
    for (key, code) in key.all_codes().into_iter().zip(other.all_codes()) {
        let known = &mut codes[key as usize];
        if *known != u32::MAX && *known != code {
            return None;
        }
        *known = code;
    }
    // What no row has is asked of no row.
    codes.iter_mut().filter(|c| **c == u32::MAX).for_each(|c| *c = 0);
    Some(codes)
}
