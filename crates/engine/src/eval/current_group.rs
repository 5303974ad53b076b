//! `GROUPBY` over a model table by one scan, where all that is asked of a group's rows is what a
//! scan takes for it.

use std::ops::Range;
use std::sync::Arc;

use evercube_base::{Result, Value};
use evercube_store::{Aggregate, ColumnId, TableId};
use evercube_work::watched;

use super::Evaluator;
use super::cells::Cells;
use super::iterate::{column_of_row, of_aggregates};
use super::rows::{CellTable, RowColumn, Rows};
use crate::plan::{Fold, Kind, NamedNode, Node, Schema};
use crate::rules::Rule;

/// What one named expression is made of: its fold, and which of the scan's aggregates it takes.
struct Part {
    fold: Fold,
    aggregates: Range<usize>,
}

impl Evaluator<'_> {
    /// The groups; `None` where rows have to be looked at for themselves.
    pub(super) fn grouped_by_scan(
        &self,
        cells: &Cells,
        table: &Node,
        groups: &[Node],
        columns: &[NamedNode],
        schema: &Schema,
    ) -> Result<Option<CellTable>> {
        let Kind::ModelTable { table, blank_row } = table.kind else { return Ok(None) };
        let has_blank_row = blank_row && self.store.has_blank_row(table);
        if has_blank_row || cells.n == 0 || !self.has(Rule::GroupsByScan) {
            return Ok(None);
        }
        let row = (cells.frames.len(), table);
        let of_row = |node: &Node| column_of_row(node, row);
        let Some(keys) = groups.iter().map(of_row).collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        // A scan knows one way to each table.
        let is_plain_way = cells.distinct.iter().all(|context| {
            let reach = self.reach(context, table);
            keys.iter().all(|key| reach.path(key.column.table) == Some(&key.path))
        });
        let mut aggregates = Vec::new();
        let part = |column: &NamedNode| self.part(&column.node, row, &mut aggregates);
        let parts: Option<Vec<Part>> = columns.iter().map(part).collect();
        let Some(parts) = parts.filter(|_| is_plain_way) else { return Ok(None) };
        let keys: Vec<ColumnId> = keys.iter().map(|key| key.column).collect();
        let found = self.scan(cells, table, &keys, false, &|_| Ok(aggregates.clone()))?;
        self.check_size(found.cells.len())?;
        let of_key = |(column, codes): (&ColumnId, &Vec<u32>)| RowColumn::Codes {
            column: *column,
            codes: Arc::new(codes.clone()),
        };
        let mut out: Vec<RowColumn> = keys.iter().zip(&found.keys).map(of_key).collect();
        for part in parts {
            let of_part = &found.aggregates[part.aggregates];
            let value = |g: usize| of_aggregates(part.fold, |i| of_part[i][g].clone());
            let values: Vec<Value> = watched(0..found.cells.len()).map(value).collect();
            out.push(RowColumn::Values(Arc::new(values)));
        }
        let len = found.cells.len();
        let schema = Arc::clone(schema);
        let rows = Rows { keep: false, schema, len, base: None, columns: out };
        Ok(Some(CellTable::from_cells(&rows, &found.cells, cells.n)))
    }

    /// An iteration over the group's rows, or their number; its aggregates are added to those that
    /// the scan takes.
    fn part(
        &self,
        node: &Node,
        (frame, table): (usize, TableId),
        aggregates: &mut Vec<Aggregate>,
    ) -> Option<Part> {
        let first = aggregates.len();
        let fold = match &node.kind {
            Kind::CountRows(rows) if matches!(rows.kind, Kind::CurrentGroup) => {
                aggregates.push(Aggregate::CountRows);
                Fold::Count
            }
            Kind::Iterate { fold, table: rows, body, extra, order_by }
                if matches!(rows.kind, Kind::CurrentGroup)
                    && extra.is_empty()
                    && order_by.is_empty() =>
            {
                let of_body = self.plain_aggregates(*fold, table, body, frame);
                if of_body.is_empty() {
                    return None;
                }
                aggregates.extend(of_body);
                *fold
            }
            _ => return None,
        };
        Some(Part { fold, aggregates: first..aggregates.len() })
    }
}
