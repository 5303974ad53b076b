//! Table expressions.

use std::sync::Arc;

use evercube_base::{Error, Result, Value};
use evercube_work::watched;

use super::Evaluator;
use super::cells::Cells;
use super::rows::{CellTable, Rows};
use super::variable::Evaluated;
use crate::plan::{Kind, Node};
use crate::scalar as rules;

impl Evaluator<'_> {
    /// The rows of an expression in each cell.
    pub(crate) fn table(&self, cells: &Cells, node: &Node) -> Result<CellTable> {
        if cells.n == 0 {
            let rows = Rows::from_values(node.schema(), Vec::new());
            return Ok(CellTable { rows: Arc::new(rows), starts: Some(Arc::new(vec![0])) });
        }
        if node.uses.is_constant() && cells.n > 1 {
            let one = self.deeper(|| self.table_each(&cells.representative(), node))?;
            return Ok(one.as_shared());
        }
        if cells.n > 8
            && is_heavy(&node.kind)
            && let Some((some, place)) = self.alike(cells, node)
        {
            let some = cells.select(&some);
            let found = self.deeper(|| self.table(&some, node))?;
            return self.for_same(&some, &found, &place);
        }
        let mark = self.begin(node, cells.n);
        let found =
            self.deeper(|| self.table_each(cells, node)).map_err(|e| e.at(node.span.place()))?;
        self.end(mark, found.rows.len);
        Ok(if cells.n == 1 { found.as_shared() } else { found })
    }

    fn table_each(&self, cells: &Cells, node: &Node) -> Result<CellTable> {
        match &node.kind {
            Kind::ModelTable { table, blank_row } => {
                self.model_rows(cells, *table, *blank_row, &node.schema())
            }
            Kind::Values { columns, blank_row } => {
                self.distinct_values(cells, columns, *blank_row, &node.schema())
            }
            Kind::Unfiltered(inner) => Ok(self.table(&cells.unfiltered(), inner)?.as_shared()),
            Kind::KeepFilters(inner) => {
                let mut found = self.table(cells, inner)?;
                Arc::make_mut(&mut found.rows).keep = true;
                Ok(found)
            }
            Kind::Filters(column) => self.direct_filters(cells, *column, &node.schema()),
            Kind::Variable(slot) => match self.variable(cells, *slot)? {
                (Evaluated::Table(t), Some(index)) => Ok(t.for_cells(&index)),
                (Evaluated::Table(t), None) => Ok(t),
                (Evaluated::Scalars(_), _) => {
                    Err(Error::invalid("A variable that holds a single value is used as a table."))
                }
            },
            Kind::Let { bindings, result } => {
                self.table(&self.with_variables(cells, bindings), result)
            }
            Kind::Filter { table, condition } => {
                if let Kind::ModelTable { table: id, blank_row: false } = table.kind
                    && let Some(inner) = self.cells_where(cells, id, condition)?
                {
                    return self.table(&inner, table);
                }
                if let Some(found) = self.filtered_in_order(cells, table, condition)? {
                    return Ok(found);
                }
                let table = self.table(cells, table)?;
                self.filter_rows(cells, &table, condition)
            }
            Kind::Extend { table, columns, keep } => {
                let table = self.table(cells, table)?;
                self.extend(cells, &table, columns, *keep, &node.schema())
            }
            Kind::Rows(rows) => self.constructed(cells, rows, node),
            Kind::CrossJoin(tables) => self.cross_join(cells, tables, node),
            Kind::Generate { outer, inner, all } => {
                self.generate(cells, outer, inner, *all, &node.schema())
            }
            Kind::Set(operation, tables) => self.set_operation(cells, *operation, tables, node),
            Kind::Distinct(inner) => {
                let table = self.table(cells, inner)?;
                Ok(self.distinct_rows(cells.n, &table))
            }
            Kind::NaturalJoin { left, right, outer, on, once } => {
                self.natural_join(cells, (left, right), *outer, (on, *once), &node.schema())
            }
            Kind::TopN { count, skip, table, order_by } => {
                self.top_n(cells, count, skip.as_deref(), table, order_by)
            }
            Kind::Sample { count, table, order_by } => self.sample(cells, count, table, order_by),
            Kind::Summarize { table, groups, rollup, columns } => {
                self.summarize(cells, table, groups, rollup, columns, &node.schema())
            }
            Kind::GroupBy { table, groups, columns } => {
                self.group_by(cells, table, groups, columns, &node.schema())
            }
            Kind::CurrentGroup => match &cells.group {
                Some(g) => Ok(g.table.for_cells(&g.index)),
                None => Err(Error::invalid("CURRENTGROUP is only known inside GROUPBY.")),
            },
            Kind::SummarizeColumns { .. } => self.summarize_columns(cells, node),
            Kind::MissingItems { .. } => self.missing_items(cells, node),
            Kind::CalculateTable { body, filters } => {
                let inner = self.calculate_cells(cells, filters, true)?;
                self.table(&inner, body)
            }
            Kind::AllSelected { columns, body } => {
                let mut inner = cells.clone();
                self.restore_selected(&mut inner, Some(columns), cells);
                self.table(&inner, body)
            }
            Kind::TreatAs(inner) => {
                let table = self.table(cells, inner)?;
                self.treat_as(&table, &node.schema(), cells.n)
            }
            Kind::Dates { .. } => self.dates(cells, node),
            Kind::NonBlank { table, expression, last } => {
                self.non_blank(cells, table, expression, *last)
            }
            Kind::Calendar(arguments) => self.calendar(cells, arguments, node),
            Kind::CalendarAuto(month) => self.calendar_auto(cells, month, node),
            Kind::GenerateSeries(arguments) => self.generate_series(cells, arguments, node),
            Kind::SubstituteWithIndex { table, index, on, keep, order_by } => self
                .substitute_with_index(cells, (table, index), on, keep, order_by, &node.schema()),
            Kind::Window(window) => self.window(cells, window),
            Kind::FitLine { table, values, intercept } => {
                self.fit_line(cells, table, values, *intercept, &node.schema())
            }
            Kind::SampleAxis { count, table, axis, measures } => {
                self.sample_axis(cells, count, table, axis, measures)
            }
            Kind::ColumnStatistics => self.column_statistics(cells, &node.schema()),
            _ => Err(Error::internal("a scalar expression was evaluated as a table")),
        }
    }

    /// Cells and their rows, as many at a time as are good to evaluate `body` over at once: all of
    /// them would be too many where iterators are nested.
    pub(crate) fn each_run(
        &self,
        cells: &Cells,
        table: &CellTable,
        body: &Node,
        mut run: impl FnMut(usize, &Cells, &CellTable) -> Result<()>,
    ) -> Result<()> {
        /// Arithmetic over rows that stay in the processor's cache.
        const ROWS: usize = 1 << 17;
        /// One scan answers many cells: the more the better.
        const SCANNED_ROWS: usize = 1 << 22;
        let limit = if body.uses.filter_context { SCANNED_ROWS } else { ROWS };
        let runs = table.runs(cells.n, limit);
        if runs.len() == 1 {
            self.check_size(watched(0..cells.n).map(|c| table.range(c).len()).sum())?;
            return run(0, cells, table);
        }
        for of in runs {
            let part = table.of_cells(of.clone());
            self.check_size((0..of.len()).map(|c| part.range(c).len()).sum())?;
            let picked: Vec<u32> = (of.start as u32..of.end as u32).collect();
            run(of.start, &cells.select(&picked), &part)?;
        }
        Ok(())
    }

    /// Rows where a condition on the row holds.
    pub(crate) fn filter_rows(
        &self,
        cells: &Cells,
        table: &CellTable,
        condition: &Node,
    ) -> Result<CellTable> {
        if let Some((some, place)) = self.same_rows(cells, table, condition) {
            let found = self.filter_rows(&some, table, condition)?;
            return self.for_same(&some, &found, &place);
        }
        if let Some(found) = self.filter_in_order(cells, table, condition)? {
            return Ok(found);
        }
        if cells.n == 1 && !condition.uses.filter_context {
            return self.filter_in_slices(cells, &table.rows, condition);
        }
        let mut kept = Vec::new();
        let mut of = Vec::new();
        self.each_run(cells, table, condition, |first, run, part| {
            let (inner, parents) = run.iterate(part);
            let test = self.scalars(&inner, condition)?;
            let (_, rows) = part.pairs(run.n);
            for i in watched(0..inner.n) {
                if rules::to_bool(test.get(i), &self.culture)? {
                    kept.push(rows[i]);
                    of.push(parents[i] + first as u32);
                }
            }
            self.check_size(kept.len())
        })?;
        Ok(CellTable::from_cells(&table.rows.take(&kept), &of, cells.n))
    }

    /// The rows of one cell, some at a time: what is worked out for them stays in the processor's cache.
    fn filter_in_slices(&self, cells: &Cells, rows: &Rows, condition: &Node) -> Result<CellTable> {
        const ROWS: usize = 1 << 14;
        let mut kept = Vec::new();
        let mut first = 0;
        while first < rows.len || first == 0 {
            let slice: Vec<u32> = (first as u32..rows.len.min(first + ROWS) as u32).collect();
            let (inner, _) = cells.iterate(&CellTable::shared(rows.take(&slice)));
            let test = self.scalars(&inner, condition)?;
            for (at, row) in watched(slice.iter().enumerate()) {
                if rules::to_bool(test.get(at), &self.culture)? {
                    kept.push(*row);
                }
            }
            self.check_size(kept.len())?;
            first += ROWS;
        }
        Ok(CellTable::shared(rows.take(&kept)))
    }

    fn constructed(&self, cells: &Cells, rows: &[Vec<Node>], node: &Node) -> Result<CellTable> {
        let schema = node.schema();
        let mut values = Vec::new();
        self.share_scans_of(cells, &rows.iter().flatten().collect::<Vec<_>>())?;
        for row in rows {
            let cellwise =
                row.iter().map(|e| self.scalars(cells, e)).collect::<Result<Vec<_>>>()?;
            values.push(cellwise);
        }
        let mut out = Vec::new();
        let mut of = Vec::new();
        for cell in watched(0..cells.n) {
            for row in &values {
                out.push(row.iter().map(|v| v.get(cell).clone()).collect::<Vec<Value>>());
                of.push(cell as u32);
            }
        }
        Ok(CellTable::from_cells(&Rows::from_values(schema, out), &of, cells.n))
    }
}

impl CellTable {
    /// The table of a single cell as one that every cell shares.
    pub(crate) fn as_shared(&self) -> Self {
        Self { rows: Arc::clone(&self.rows), starts: None }
    }

    /// Other rows in the same places.
    pub(crate) fn with_rows(&self, rows: Rows) -> Self {
        Self { rows: Arc::new(rows), starts: self.starts.clone() }
    }
}

/// Whether evaluating a table once for equal cells is worth looking for them.
fn is_heavy(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Filter { .. }
            | Kind::Extend { .. }
            | Kind::Generate { .. }
            | Kind::CrossJoin(_)
            | Kind::Set(..)
            | Kind::Distinct(_)
            | Kind::NaturalJoin { .. }
            | Kind::TopN { .. }
            | Kind::Summarize { .. }
            | Kind::GroupBy { .. }
            | Kind::SummarizeColumns { .. }
            | Kind::CalculateTable { .. }
            | Kind::AllSelected { .. }
    )
}
