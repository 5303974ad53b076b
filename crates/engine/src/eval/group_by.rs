//! `GROUPBY`: groups of the rows of a table, with iterators over `CURRENTGROUP`.

use std::collections::HashMap;
use std::sync::Arc;

use evercube_base::Result;
use evercube_work::{map_blocks, watched};

use super::Evaluator;
use super::cells::{Cells, Group, Scalars};
use super::rows::{CellTable, RowColumn, Rows};
use crate::plan::{Kind, NamedNode, Node, Schema};

/// Groups of the rows of a table, cell by cell.
pub(crate) struct Groups {
    /// One row per group, its first: positions in `CellTable::pairs`.
    pub first: Vec<u32>,
    pub cells: Vec<u32>,
    /// Rows of the table, group by group.
    pub members: Vec<Vec<u32>>,
}

impl Evaluator<'_> {
    pub(crate) fn group_by(
        &self,
        cells: &Cells,
        table: &Node,
        groups: &[Node],
        columns: &[NamedNode],
        schema: &Schema,
    ) -> Result<CellTable> {
        if let Some(found) = self.grouped_by_scan(cells, table, groups, columns, schema)? {
            return Ok(found);
        }
        let table = self.table(cells, table)?;
        let (inner, _) = cells.iterate(&table);
        let keys: Vec<RowColumn> =
            groups.iter().map(|g| self.group_column(&inner, g)).collect::<Result<_>>()?;
        let found = self.form_groups(cells.n, &table, &keys);
        let mut order = Vec::new();
        let mut starts = vec![0u32];
        for members in &found.members {
            order.extend(members);
            starts.push(order.len() as u32);
        }
        let of_groups =
            CellTable { rows: Arc::new(table.rows.take(&order)), starts: Some(Arc::new(starts)) };
        let mut group_cells = cells.select(&found.cells);
        group_cells.group = Some(Group {
            table: of_groups,
            index: Arc::new((0..found.cells.len() as u32).collect()),
        });
        let mut out: Vec<RowColumn> = keys.iter().map(|k| pick(k, &found.first)).collect();
        for column in columns {
            let values = self.scalars(&group_cells, &column.node)?;
            out.push(RowColumn::Values(Arc::new(values.into_vec(group_cells.n))));
        }
        let rows = Rows {
            keep: false,
            schema: Arc::clone(schema),
            len: found.cells.len(),
            base: None,
            columns: out,
        };
        Ok(CellTable::from_cells(&rows, &found.cells, cells.n))
    }

    /// A group column over the rows of an iteration; codes where it is a model column.
    pub(crate) fn group_column(&self, inner: &Cells, node: &Node) -> Result<RowColumn> {
        match &node.kind {
            Kind::RowColumn { frame, column } => {
                let f = &inner.frames[*frame];
                Ok(f.rows.take(&f.index).detached(self.store, *column))
            }
            Kind::Related { frame, path, column } => {
                let f = &inner.frames[*frame];
                let code =
                    |i: &u32| self.visibility().code(*column, path, f.rows.base_row(*i as usize));
                Ok(RowColumn::Codes {
                    column: *column,
                    codes: Arc::new(map_blocks(&f.index, code)),
                })
            }
            _ => {
                let values: Scalars = self.scalars(inner, node)?;
                Ok(RowColumn::Values(Arc::new(values.into_vec(inner.n))))
            }
        }
    }

    /// Groups rows by their keys, in the order of first appearance.
    pub(crate) fn form_groups(&self, n: usize, table: &CellTable, keys: &[RowColumn]) -> Groups {
        let (of, rows) = table.pairs(n);
        let all = Rows {
            keep: false,
            schema: Arc::default(),
            len: of.len(),
            base: None,
            columns: keys.to_vec(),
        };
        let mut known: HashMap<(u32, Vec<GroupKey>), usize> = HashMap::new();
        let mut out = Groups { first: Vec::new(), cells: Vec::new(), members: Vec::new() };
        for i in watched(0..of.len()) {
            let key = keys.iter().enumerate().map(|(c, k)| match k {
                RowColumn::Codes { codes, .. } => GroupKey::Code(codes[i]),
                _ => GroupKey::Value(self.key(&all.value(self.store, c, i))),
            });
            let next = out.cells.len();
            let at = *known.entry((of[i], key.collect())).or_insert(next);
            if at == next {
                out.first.push(i as u32);
                out.cells.push(of[i]);
                out.members.push(Vec::new());
            }
            out.members[at].push(rows[i]);
        }
        out
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum GroupKey {
    Code(u32),
    Value(super::set_operations::ValueKey),
}

/// Some rows of a column.
pub(crate) fn pick(column: &RowColumn, rows: &[u32]) -> RowColumn {
    match column {
        RowColumn::Codes { column, codes } => RowColumn::Codes {
            column: *column,
            codes: Arc::new(map_blocks(rows, |r| codes[*r as usize])),
        },
        RowColumn::Values(v) => {
            RowColumn::Values(Arc::new(rows.iter().map(|r| v[*r as usize].clone()).collect()))
        }
        RowColumn::Own(c) => RowColumn::Own(*c),
    }
}
