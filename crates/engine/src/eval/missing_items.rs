//! `ADDMISSINGITEMS`: groups without data beside those a table has.

use std::collections::HashSet;

use evercube_base::{Error, Result, Value};
use evercube_work::watched;

use super::Evaluator;
use super::cells::Cells;
use super::rows::{CellTable, Rows};
use crate::plan::{Kind, Node};

impl Evaluator<'_> {
    pub(crate) fn missing_items(&self, cells: &Cells, node: &Node) -> Result<CellTable> {
        let Kind::MissingItems { table, combinations, on, present, flags } = &node.kind else {
            return Err(Error::internal("not ADDMISSINGITEMS"));
        };
        let schema = node.schema();
        let table = self.table(cells, table)?;
        let combinations = self.table(cells, combinations)?;
        let (mut rows, mut of) = (Vec::new(), Vec::new());
        for cell in watched(0..cells.n) {
            let mut known = HashSet::new();
            let mut found = HashSet::new();
            for row in table.range(cell) {
                let row = table.rows.row(self.store, row);
                let is_subtotal = flags.iter().any(|f| row[*f] == Value::Boolean(true));
                if !is_subtotal {
                    known.insert(on.iter().map(|i| self.key(&row[*i])).collect::<Vec<_>>());
                    found
                        .insert(present.iter().map(|i| self.key(&row[on[*i]])).collect::<Vec<_>>());
                }
                rows.push(row);
                of.push(cell as u32);
            }
            for row in combinations.range(cell) {
                let values = combinations.rows.row(self.store, row);
                let all: Vec<_> = values.iter().map(|v| self.key(v)).collect();
                let of_present = present.iter().map(|i| all[*i].clone()).collect::<Vec<_>>();
                if known.contains(&all) || !found.contains(&of_present) {
                    continue;
                }
                let mut added = vec![Value::Blank; schema.len()];
                on.iter().zip(values).for_each(|(i, v)| added[*i] = v);
                flags.iter().for_each(|f| added[*f] = Value::Boolean(false));
                rows.push(added);
                of.push(cell as u32);
            }
        }
        self.check_size(rows.len())?;
        Ok(CellTable::from_cells(&Rows::from_values(schema, rows), &of, cells.n))
    }
}
