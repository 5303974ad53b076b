//! `SUMMARIZE`: groups of a table's rows by its columns and those related to it; named expressions
//! see the group's rows as filters.

use std::sync::Arc;

use evercube_base::{DataType, Result, Value};

use super::Evaluator;
use super::cells::Cells;
use super::group_by::pick;
use super::rows::{CellTable, RowColumn, Rows};
use crate::plan::{GroupFilter, Kind, NamedNode, Node, Rollup, Schema, TableColumn};
use crate::rules::Rule;

impl Evaluator<'_> {
    pub(crate) fn summarize(
        &self,
        cells: &Cells,
        table: &Node,
        groups: &[Node],
        rollup: &Rollup,
        columns: &[NamedNode],
        schema: &Schema,
    ) -> Result<CellTable> {
        if !columns.is_empty()
            && let Some((inner, rows)) = self.seen_through(cells, table, groups, columns)?
            && self.columns_tell_groups(&inner, rows, groups, columns)
        {
            return self.summarize(&inner, rows, groups, rollup, columns, schema);
        }
        let plain = columns.is_empty() || self.columns_tell_groups(cells, table, groups, columns);
        if rollup.chains.is_empty()
            && plain
            && let Some(found) = self.groups_of(cells, table, groups, columns, schema)?
        {
            let set = GroupingSet {
                columns: vec![false; groups.len()],
                flags: Vec::new(),
                filters: Vec::new(),
            };
            if found.starts.is_none() && columns.is_empty() {
                return Ok(CellTable::shared(Self::set_rows(
                    schema,
                    &found.rows,
                    &set,
                    Vec::new(),
                )));
            }
            let (of_groups, parents) = cells.iterate(&found);
            let of_groups = self.transition(&of_groups)?;
            self.share_scans_of(&of_groups, &columns.iter().map(|c| &c.node).collect::<Vec<_>>())?;
            let named = columns
                .iter()
                .map(|c| Ok(self.scalars(&of_groups, &c.node)?.into_vec(of_groups.n)))
                .collect::<Result<Vec<_>>>()?;
            let rows = Self::set_rows(schema, &found.rows, &set, named);
            return Ok(CellTable::from_cells(&rows, &parents, cells.n));
        }
        let table = self.table(cells, table)?;
        let (inner, _) = cells.iterate(&table);
        let keys: Vec<RowColumn> =
            groups.iter().map(|g| self.group_column(&inner, g)).collect::<Result<_>>()?;
        let mut parts = Vec::new();
        for rolled in grouping_sets(groups.len(), rollup) {
            let kept: Vec<usize> = (0..groups.len()).filter(|g| !rolled.columns[*g]).collect();
            let of_kept: Vec<RowColumn> = kept.iter().map(|k| keys[*k].clone()).collect();
            let found = self.form_groups(cells.n, &table, &of_kept);
            let kept_rows = Rows {
                keep: false,
                schema: Arc::new(kept.iter().map(|k| schema[*k].clone()).collect()),
                len: found.cells.len(),
                base: None,
                columns: of_kept.iter().map(|k| pick(k, &found.first)).collect(),
            };
            let group_rows = Self::widened(schema, &kept_rows, &rolled);
            let told = Self::with_subtotals(&group_rows, &rolled);
            let group_table = CellTable::from_cells(&told, &found.cells, cells.n);
            let (of_groups, _) = cells.iterate(&group_table);
            let of_groups = self.transition(&of_groups)?;
            let named = match plain {
                true => columns
                    .iter()
                    .map(|c| Ok(self.scalars(&of_groups, &c.node)?.into_vec(of_groups.n)))
                    .collect::<Result<Vec<_>>>()?,
                false => self.under_members(&of_groups, &table, &found.members, columns)?,
            };
            parts.push((found.cells, Self::set_rows(schema, &group_rows, &rolled, named)));
        }
        let all: Vec<u32> = parts.iter().flat_map(|(of, _)| of.clone()).collect();
        let rows: Vec<&Rows> = parts.iter().map(|(_, r)| r).collect();
        let rows = Rows::concat(self.store, Arc::clone(schema), &rows);
        Ok(CellTable::from_cells(&rows, &all, cells.n))
    }

    /// Groups of a table, where a scan of a model table finds them. Rows under filters of their own
    /// are seen by named expressions, which only groups of visible rows can do without.
    fn groups_of(
        &self,
        cells: &Cells,
        table: &Node,
        groups: &[Node],
        named: &[NamedNode],
        schema: &Schema,
    ) -> Result<Option<CellTable>> {
        match &table.kind {
            Kind::ModelTable { .. } => self.scanned_groups(cells, table, groups, schema),
            _ if !named.is_empty() || !is_model_rows(table) => Ok(None),
            Kind::AllSelected { columns, body } => {
                let mut inner = cells.clone();
                self.restore_selected(&mut inner, Some(columns), cells);
                if matches!(body.kind, Kind::ModelTable { .. }) && inner.have_one_context() {
                    let one = inner.representative();
                    let found = self.groups_of(&one, body, groups, named, schema)?;
                    return Ok(found.map(|found| found.as_shared()));
                }
                self.groups_of(&inner, body, groups, named, schema)
            }
            Kind::Unfiltered(body) => {
                let found = self.groups_of(&cells.unfiltered(), body, groups, named, schema)?;
                Ok(found.map(|found| found.as_shared()))
            }
            Kind::CalculateTable { body, filters } => {
                let inner = self.calculate_cells(cells, filters, true)?;
                self.groups_of(&inner, body, groups, named, schema)
            }
            Kind::Filter { table, condition } => match table.kind {
                Kind::ModelTable { table: id, blank_row: false } => {
                    match self.cells_where(cells, id, condition)? {
                        Some(inner) => self.scanned_groups(&inner, table, groups, schema),
                        None => Ok(None),
                    }
                }
                _ => Ok(None),
            },
            _ => Ok(None),
        }
    }

    /// Groups of the rows of a model table by its columns and those it is related to, found by a
    /// scan.
    fn scanned_groups(
        &self,
        cells: &Cells,
        table: &Node,
        groups: &[Node],
        schema: &Schema,
    ) -> Result<Option<CellTable>> {
        let Kind::ModelTable { table, blank_row } = table.kind else { return Ok(None) };
        if groups.is_empty() || !self.has(Rule::GroupsByScan) {
            return Ok(None);
        }
        let Some(columns) = self.columns_grouped_by(cells, table, groups) else { return Ok(None) };
        let own: Schema = Arc::new(schema.iter().take(groups.len()).cloned().collect());
        self.distinct_over(cells, &[table], &columns, blank_row, &own).map(Some)
    }

    /// The rows of one grouping set with a column for every group; those rolled up are blank and
    /// filter nothing.
    pub(crate) fn widened(schema: &Schema, kept: &Rows, rolled: &GroupingSet) -> Rows {
        let (mut columns, mut of) = (Vec::new(), Vec::new());
        let mut next = kept.columns.iter();
        for (is_rolled, shown) in rolled.columns.iter().zip(schema.iter()) {
            let blank = || RowColumn::Values(Arc::new(vec![Value::Blank; kept.len]));
            columns.push(if *is_rolled {
                blank()
            } else {
                next.next().cloned().unwrap_or_else(blank)
            });
            let lineage = shown.lineage.filter(|_| !is_rolled);
            of.push(TableColumn { lineage, ..shown.clone() });
        }
        Rows { keep: false, schema: Arc::new(of), len: kept.len, base: None, columns }
    }

    /// Group columns, and after them for each whether it is rolled up: what `ISSUBTOTAL` reads.
    fn with_subtotals(groups: &Rows, rolled: &GroupingSet) -> Rows {
        let mut rows = groups.clone();
        let flags = rolled.columns.iter().map(|is_rolled| {
            RowColumn::Values(Arc::new(vec![Value::Boolean(*is_rolled); groups.len]))
        });
        rows.columns.extend(flags);
        let told = (0..rolled.columns.len()).map(subtotal_column);
        rows.schema = Arc::new(groups.schema.iter().cloned().chain(told).collect());
        rows
    }

    /// Rows of one grouping set in the shape of the result: group columns (blank where rolled
    /// up), subtotal flags, named expressions.
    pub(crate) fn set_rows(
        schema: &Schema,
        groups: &Rows,
        rolled: &GroupingSet,
        named: Vec<Vec<Value>>,
    ) -> Rows {
        let len = groups.len;
        let group = |(i, c): (usize, &RowColumn)| match (rolled.columns[i], schema[i].lineage) {
            (true, Some(column)) => RowColumn::Codes { column, codes: Arc::new(vec![0; len]) },
            _ => c.clone(),
        };
        let mut columns: Vec<RowColumn> = groups.columns.iter().enumerate().map(group).collect();
        for flag in &rolled.flags {
            columns.push(RowColumn::Values(Arc::new(vec![Value::Boolean(*flag); len])));
        }
        columns.extend(named.into_iter().map(|v| RowColumn::Values(Arc::new(v))));
        Rows { keep: false, schema: Arc::clone(schema), len, base: None, columns }
    }
}

/// Whether a table is the rows of a model table, under whatever filters.
fn is_model_rows(table: &Node) -> bool {
    match &table.kind {
        Kind::ModelTable { .. } => true,
        Kind::AllSelected { body, .. }
        | Kind::Unfiltered(body)
        | Kind::CalculateTable { body, .. } => is_model_rows(body),
        Kind::Filter { table, .. } => {
            matches!(table.kind, Kind::ModelTable { blank_row: false, .. })
        }
        _ => false,
    }
}

/// One combination of columns grouped by.
#[derive(Debug, Clone)]
pub(crate) struct GroupingSet {
    /// For each group column: rolled up here.
    pub columns: Vec<bool>,
    /// Values of the subtotal flags.
    pub flags: Vec<bool>,
    /// Filters of this combination alone.
    pub filters: Vec<GroupFilter>,
}

/// For each chain the detail, then with levels taken away from the innermost out; every
/// combination of the chains.
pub(crate) fn grouping_sets(groups: usize, rollup: &Rollup) -> Vec<GroupingSet> {
    let detail =
        GroupingSet { columns: vec![false; groups], flags: Vec::new(), filters: Vec::new() };
    let mut sets = vec![detail];
    for chain in &rollup.chains {
        let levels = &chain.levels;
        let with_taken = |set: &GroupingSet, taken: usize| {
            let mut set = set.clone();
            let left = levels.len() - taken;
            for (i, level) in levels.iter().enumerate() {
                let is_gone = i >= left;
                level.columns.iter().for_each(|c| set.columns[*c] |= is_gone);
                set.flags.extend(level.flag.is_some().then_some(is_gone));
            }
            let innermost = left.checked_sub(1).and_then(|i| levels.get(i));
            let filters = innermost.map_or(&chain.total_filters, |level| &level.filters);
            set.filters.extend(filters.iter().cloned());
            set
        };
        let each = sets.iter().flat_map(|s| (0..=levels.len()).map(move |taken| (s, taken)));
        sets = each.map(|(s, taken)| with_taken(s, taken)).collect();
    }
    sets
}

/// The column that tells whether a group column of `SUMMARIZE` is rolled up; no expression can
/// write its name.
pub(crate) fn subtotal_column(group: usize) -> TableColumn {
    TableColumn {
        name: format!("\0{group}").into(),
        lineage: None,
        table: None,
        data_type: DataType::Boolean,
    }
}

/// The flag columns of a rollup.
pub(crate) fn flag_columns(rollup: &Rollup) -> Vec<TableColumn> {
    let flag = |name: &Arc<str>| TableColumn {
        name: Arc::clone(name),
        lineage: None,
        table: None,
        data_type: DataType::Boolean,
    };
    let levels = rollup.chains.iter().flat_map(|chain| &chain.levels);
    levels.filter_map(|level| level.flag.as_ref().map(flag)).collect()
}
