//! Iterators: evaluate a body for the rows of a table, then fold. Plain arithmetic over a model
//! table is one scan instead.

use evercube_base::{Result, Value};
use evercube_store::{Aggregate, ColumnId, PathColumn, TableId};
use evercube_work::watched;

use super::Evaluator;
use super::cells::{Cells, Scalars};
use super::rows::CellTable;
use super::scan::Reach;
use crate::plan::{Fold, Kind, Node};
use crate::rules::Rule;
use crate::scalar as rules;

impl Evaluator<'_> {
    pub(crate) fn iterate(&self, cells: &Cells, node: &Node) -> Result<Scalars> {
        let Kind::Iterate { fold, table, body, extra, order_by } = &node.kind else {
            return Ok(Scalars::Same(Value::Blank));
        };
        if let Kind::ModelTable { table, blank_row: false } = table.kind
            && self.has(Rule::IterationAsScan)
        {
            if let Some(values) = self.scanned(cells, *fold, table, body)? {
                return Ok(values);
            }
            if let Some(values) = self.by_values(cells, *fold, table, body, extra)? {
                return Ok(values);
            }
        }
        if let Some(values) = self.scanned_where(cells, *fold, table, body)? {
            return Ok(values);
        }
        if extra.is_empty() && order_by.is_empty() {
            if *fold == Fold::Sum
                && let Some(values) = self.related_sum(cells, table, body)?
            {
                return Ok(values);
            }
            if let Some(values) = self.folded_by_scan(cells, *fold, table, body)? {
                return Ok(values);
            }
        }
        if let (Fold::Sum, Kind::ModelTable { table, blank_row: false }) = (fold, &table.kind)
            && let Some(values) = self.case_sum(cells, *table, body)?
        {
            return Ok(values);
        }
        if let Some(values) = self.folded_in_order(cells, node)? {
            return Ok(values);
        }
        let table = self.table(cells, table)?;
        // The rows are the same for every cell and so is the body: once is enough.
        if table.starts.is_none()
            && cells.n > 1
            && cells.keys.is_empty()
            && cells.of.is_none()
            && self.has(Rule::EqualCells)
            && only_uses_frame(body, cells.frames.len())
            && extra.iter().all(|e| e.uses.is_constant())
            && order_by.is_empty()
        {
            let one = cells.representative();
            let (inner, _) = one.iterate(&table);
            let values = self.scalars(&inner, body)?;
            let value = self.fold_cells(&one, &inner, &table, *fold, &values, extra, order_by)?;
            return Ok(Scalars::Same(value.into_iter().next().unwrap_or_default()));
        }
        let is_plain = extra.iter().all(|e| e.uses.is_constant()) && order_by.is_empty();
        if is_plain && let Some((some, place)) = self.same_rows(cells, &table, body) {
            return Ok(self.folded(&some, &table, node)?.for_cells(&place));
        }
        self.folded(cells, &table, node)
    }

    /// The values of an iteration over rows that are known.
    pub(super) fn folded(&self, cells: &Cells, table: &CellTable, node: &Node) -> Result<Scalars> {
        let Kind::Iterate { fold, body, extra, order_by, .. } = &node.kind else {
            return Ok(Scalars::Same(Value::Blank));
        };
        let mut folded = Vec::with_capacity(cells.n);
        self.each_run(cells, table, body, |_, run, part| {
            let (inner, _) = run.iterate(part);
            let values = self.scalars(&inner, body)?;
            folded.extend(self.fold_cells(run, &inner, part, *fold, &values, extra, order_by)?);
            Ok(())
        })?;
        Ok(Scalars::each(folded))
    }

    /// Answers an iteration over a model table by scans, where its body is plain arithmetic.
    pub(super) fn scanned(
        &self,
        cells: &Cells,
        fold: Fold,
        table: TableId,
        body: &Node,
    ) -> Result<Option<Scalars>> {
        let aggregates = self.plain_aggregates(fold, table, body, cells.frames.len());
        if aggregates.is_empty() {
            return Ok(None);
        }
        let make = |_: &Reach| Ok(aggregates.clone());
        let grouped = self.scan(cells, table, &[], false, &make)?;
        let mut out = vec![Value::Blank; cells.n];
        for (g, cell) in watched(&grouped.cells).enumerate() {
            out[*cell as usize] = of_aggregates(fold, |i| grouped.aggregates[i][g].clone());
        }
        Ok(Some(Scalars::each(out)))
    }

    pub(crate) fn count_rows(&self, cells: &Cells, table: &Node) -> Result<Scalars> {
        let mut out = vec![Value::Blank; cells.n];
        if let Kind::ModelTable { table, blank_row: false } = table.kind {
            let grouped =
                self.scan(cells, table, &[], false, &|_| Ok(vec![Aggregate::CountRows]))?;
            for (g, cell) in watched(&grouped.cells).enumerate() {
                if let Value::Int(n) = grouped.aggregates[0][g] {
                    out[*cell as usize] = not_zero(n);
                }
            }
            return Ok(Scalars::each(out));
        }
        // Rows of a filter are counted without being kept.
        if let Kind::Filter { table, condition } = &table.kind {
            if let Kind::ModelTable { table: id, blank_row: false } = table.kind
                && let Some(inner) = self.cells_where(cells, id, condition)?
            {
                return self.count_rows(&inner, table);
            }
            if let Some(counts) = self.passing_by_scan(cells, table, condition)? {
                return Ok(counts);
            }
            if let Some(counts) = self.passing_in_order(cells, table, condition)? {
                return Ok(counts);
            }
            let table = self.table(cells, table)?;
            if let Some((some, place)) = self.same_rows(cells, &table, condition) {
                let found = self.filter_rows(&some, &table, condition)?;
                let count = |at: &u32| not_zero(found.range(*at as usize).len() as i64);
                return Ok(Scalars::each(place.iter().map(count).collect()));
            }
            if let Some(counts) = self.count_in_order(cells, &table, condition)? {
                return Ok(Scalars::each(counts.into_iter().map(not_zero).collect()));
            }
            let mut counts = vec![0_i64; cells.n];
            self.each_run(cells, &table, condition, |first, run, part| {
                let (inner, parents) = run.iterate(part);
                let test = self.scalars(&inner, condition)?;
                for (i, parent) in watched(&parents).enumerate() {
                    if rules::to_bool(test.get(i), &self.culture)? {
                        counts[first + *parent as usize] += 1;
                    }
                }
                Ok(())
            })?;
            return Ok(Scalars::each(counts.into_iter().map(not_zero).collect()));
        }
        // Of other contexts, in which nothing is listed but counted.
        if let Kind::CalculateTable { body, filters } = &table.kind {
            let inner = self.calculate_cells(cells, filters, true)?;
            return self.count_rows(&inner, body);
        }
        if let Some(counts) = self.count_in_sets(cells, table)? {
            return Ok(counts);
        }
        let table = self.table(cells, table)?;
        for (cell, v) in watched(out.iter_mut()).enumerate() {
            *v = not_zero(table.range(cell).len() as i64);
        }
        Ok(Scalars::each(out))
    }
}

/// What an iteration gives, from the aggregates that a scan took for it.
pub(super) fn of_aggregates(fold: Fold, a: impl Fn(usize) -> Value) -> Value {
    match fold {
        Fold::Average => match (a(0).as_f64(), a(1)) {
            (Some(sum), Value::Int(n)) if n > 0 => Value::Double(sum / n as f64),
            _ => Value::Blank,
        },
        Fold::CountBlank => match (a(0), a(1)) {
            (Value::Int(all), Value::Int(filled)) if all > 0 => Value::Int(all - filled),
            _ => Value::Blank,
        },
        Fold::Count | Fold::DistinctCount | Fold::DistinctCountNoBlank => match a(0) {
            Value::Int(n) => not_zero(n),
            v => v,
        },
        _ => a(0),
    }
}

/// Counts of nothing are blank.
pub(crate) fn not_zero(n: i64) -> Value {
    if n == 0 { Value::Blank } else { Value::Int(n) }
}

/// The column an expression is, of the row of a row context or of one that row refers to. `row`:
/// the row context, and the table it goes through.
pub(super) fn column_of_row(node: &Node, (frame, table): (usize, TableId)) -> Option<PathColumn> {
    match &node.kind {
        Kind::RowColumn { frame: f, column } if *f == frame => {
            let column = ColumnId { table, column: *column as u32 };
            Some(PathColumn { path: Vec::new(), column })
        }
        Kind::Related { frame: f, path, column } if *f == frame => {
            Some(PathColumn { path: path.clone(), column: *column })
        }
        _ => None,
    }
}

/// Whether a body looks at nothing but the row of the iteration itself.
fn only_uses_frame(body: &Node, frame: usize) -> bool {
    match &body.kind {
        Kind::Literal(_) => true,
        Kind::RowColumn { frame: f, .. } | Kind::Related { frame: f, .. } => *f == frame,
        Kind::Binary { left, right, .. } => {
            only_uses_frame(left, frame) && only_uses_frame(right, frame)
        }
        Kind::Scalar { arguments, .. } => {
            !body.uses.volatile && arguments.iter().all(|a| only_uses_frame(a, frame))
        }
        _ => false,
    }
}
