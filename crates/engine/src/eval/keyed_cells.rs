//! Keys of cells as codes of columns that a scan of a base table can group by.

use evercube_store::{ColumnId, PathColumn, TableId};
use evercube_work::{map_blocks, watched};

use super::Evaluator;
use super::cells::{Cells, KeyTarget, NO_CODE};
use super::numbering::{ByNumber, Numbering};
use super::scan::Reach;
use crate::filter_context::FilterContext;

/// The cells of one explicit context with their easy keys: columns to group by, and which cells
/// have which codes.
pub(super) struct KeyedCells {
    pub columns: Vec<PathColumn>,
    /// For each column, the code of each combination.
    pub codes: Vec<Vec<u32>>,
    numbering: Numbering,
    /// Number of the combination and cell.
    pub numbers: Vec<(u32, u32)>,
}

impl KeyedCells {
    /// The number of the combination of these codes, where some cell has it.
    pub fn find(&self, codes: impl Iterator<Item = u32>) -> Option<u32> {
        self.numbering.find(codes)
    }

    pub fn combinations(&self) -> u32 {
        self.numbering.len
    }

    pub fn by_number(&self) -> ByNumber {
        ByNumber::new(&self.numbers, self.numbering.len)
    }
}

impl Evaluator<'_> {
    /// Columns that stand for a key in a scan.
    fn key_columns(&self, target: &KeyTarget) -> Vec<ColumnId> {
        match target {
            KeyTarget::Column(c) => vec![*c],
            KeyTarget::Row { table, without } => {
                let all = 0..self.store.table(*table).columns() as u32;
                let free = |c: &u32| !without.contains(&ColumnId { table: *table, column: *c });
                match self.unique_column(*table).filter(free) {
                    Some(column) => vec![ColumnId { table: *table, column }],
                    None => {
                        all.filter(free).map(|column| ColumnId { table: *table, column }).collect()
                    }
                }
            }
        }
    }

    /// Splits the keys of cells for a base table: `Err` has those that must become filters.
    pub(super) fn keyed(
        &self,
        cells: &Cells,
        members: &[u32],
        context: &FilterContext,
        base: TableId,
        reach: &Reach,
    ) -> std::result::Result<KeyedCells, Vec<usize>> {
        let mut hard = Vec::new();
        let mut easy = Vec::new();
        for (i, key) in cells.keys.iter().enumerate() {
            let table = key.target.table();
            if reach.path(table).is_some() {
                easy.push(i);
            } else if self.visibility().reaches(context, table, base) {
                hard.push(i);
            }
        }
        if !hard.is_empty() {
            return Err(hard);
        }
        // For each scan key: its column, and the codes of the cells.
        let mut keys: Vec<(PathColumn, Vec<u32>)> = Vec::new();
        for i in easy {
            let key = &cells.keys[i];
            for column in self.key_columns(&key.target) {
                let Some(path) = reach.column(column) else { continue };
                let of = self.store.table(column.table).column(column.column);
                let code = |cell: &u32| match (&key.target, key.codes[*cell as usize]) {
                    (_, NO_CODE) => NO_CODE,
                    (KeyTarget::Row { .. }, row) => of.code(row as usize),
                    (KeyTarget::Column(_), code) => code,
                };
                keys.push((path, map_blocks(members, code)));
            }
        }
        self.drop_told(&mut keys);
        let width = keys.len();
        let (columns, codes): (Vec<PathColumn>, Vec<Vec<u32>>) = keys.into_iter().unzip();
        // No row has these: the cells stay without groups.
        let all = watched(0..members.len());
        let known = |i: &usize| codes.iter().all(|c| c[*i] != NO_CODE);
        let asked: Vec<usize> = all.filter(known).collect();
        let card = |c: &Vec<u32>| asked.iter().map(|i| u64::from(c[*i]) + 1).max().unwrap_or(0);
        let mut numbering = Numbering::new(codes.iter().map(card).collect(), asked.len());
        let mut of_number = vec![Vec::new(); width];
        let mut numbers = Vec::with_capacity(asked.len());
        for i in watched(asked) {
            let next = numbering.len;
            let number = numbering.number(codes.iter().map(|c| c[i]));
            if number == next {
                of_number.iter_mut().zip(&codes).for_each(|(to, c)| to.push(c[i]));
            }
            numbers.push((number, members[i]));
        }
        Ok(KeyedCells { columns, codes: of_number, numbering, numbers })
    }

    /// Leaves out keys that another one tells, as the region where the customer is a key too. Cells
    /// whose codes contradict each other get none.
    fn drop_told(&self, keys: &mut Vec<(PathColumn, Vec<u32>)>) {
        let tells_others = |keys: &[(PathColumn, Vec<u32>)], i: usize| {
            let mut beside = keys.iter().enumerate().filter(|(j, _)| *j != i);
            self.tells_rows(keys[i].0.column) && beside.any(|(_, k)| k.0.path == keys[i].0.path)
        };
        while let Some(telling) = (0..keys.len()).find(|i| tells_others(keys, *i)) {
            let (key, mut codes) = keys.remove(telling);
            let rows = self.rows_of_codes(key.column);
            let data = self.store.table(key.column.table);
            keys.retain(|(told, of)| {
                if told.path != key.path {
                    return true;
                }
                let column = data.column(told.column.column);
                for (code, other) in watched(codes.iter_mut().zip(of)) {
                    let fits = *code != NO_CODE
                        && rows
                            .get(*code as usize)
                            .is_some_and(|r| column.code(*r as usize) == *other);
                    if !fits {
                        *code = NO_CODE;
                    }
                }
                false
            });
            keys.push((key, codes));
        }
    }
}
