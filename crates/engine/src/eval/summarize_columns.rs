//! `SUMMARIZECOLUMNS`: groups of columns of any tables under filters, and expressions for each.

use std::rc::Rc;
use std::sync::Arc;

use evercube_base::{Error, Result};
use evercube_store::{ColumnId, TableId};
use evercube_work::{map_blocks, watched};

use super::Evaluator;
use super::cells::{Cells, Key, KeyTarget, Scalars, Shadow};
use super::rows::{CellTable, RowColumn, Rows};
use super::summarize::{GroupingSet, grouping_sets};
use crate::filter_context::Filter;
use crate::plan::{FilterArgument, GroupFilter, Kind, NamedNode, Node, Schema, TableColumn};
use crate::rules::Rule;

struct Filtered {
    /// What expressions see.
    outer: Cells,
    /// What groups are formed under, where that is not the same.
    listed: Option<Cells>,
    /// Filters of the call, where there may be others outside.
    own: Option<Vec<FilterArgument>>,
}

/// Where groups are looked for: filters outside count for the columns of their own table alone, as
/// those of the call do not.
struct Outside<'c> {
    cells: &'c Cells,
    own: &'c [FilterArgument],
}

impl Evaluator<'_> {
    pub(crate) fn summarize_columns(&self, cells: &Cells, node: &Node) -> Result<CellTable> {
        self.summarize_columns_of(cells, node, None)
    }

    /// The same of those groups alone that a filter on one of their columns leaves.
    pub(super) fn summarize_columns_of(
        &self,
        cells: &Cells,
        node: &Node,
        only: Option<&Filter>,
    ) -> Result<CellTable> {
        let Kind::SummarizeColumns { groups, rollup, filters, columns, ignored } = &node.kind
        else {
            return Err(Error::internal("not SUMMARIZECOLUMNS"));
        };
        let schema = node.schema();
        // Expressions in IGNORE do not decide which groups there are.
        let decides = |i: &usize| !ignored.contains(i);
        let deciding: Vec<&Node> =
            (0..columns.len()).filter(decides).map(|i| &columns[i].node).collect();
        let mut of_all = self.filtered(cells, filters, &[])?;
        if let Some(only) = only {
            of_all.outer.edit(|c| c.filters.push(only.clone()));
        }
        let mut parts: Vec<(Vec<u32>, Rows)> = Vec::new();
        let sets = grouping_sets(groups.len(), rollup);
        // Sets under filters of their own ask other scans.
        if of_all.listed.is_none() && sets.iter().all(|s| s.filters.is_empty()) {
            self.share_scans_of_sets(&of_all.outer, groups, &sets, columns)?;
        }
        for set in sets {
            let of_set = match set.filters.is_empty() {
                true => None,
                false => Some(self.filtered(cells, filters, &set.filters)?),
            };
            let Filtered { outer, listed, own: filters } = of_set.as_ref().unwrap_or(&of_all);
            let outside = filters.as_ref().map(|own| Outside { cells, own });
            let outside = outside.as_ref();
            let kept: Vec<usize> = (0..groups.len()).filter(|g| !set.columns[*g]).collect();
            let of: Vec<ColumnId> = kept.iter().map(|k| groups[*k]).collect();
            let own: Schema = Arc::new(kept.iter().map(|k| schema[*k].clone()).collect());
            self.scan_ahead(outer, &of, columns)?;
            // Expressions see more than what lists the groups: they do not decide which there are.
            let candidates = match listed {
                Some(listed) => self.group_rows(listed, &of, &[], &own, outside)?,
                None => self.group_rows(outer, &of, &deciding, &own, outside)?,
            };
            let (inner, parents, rows) = self.group_cells(outer, &of, &candidates);
            let named: Vec<_> =
                columns.iter().map(|c| self.scalars(&inner, &c.node)).collect::<Result<_>>()?;
            let shown = |row: usize| {
                let deciding: Vec<usize> = (0..named.len()).filter(decides).collect();
                deciding.is_empty() || deciding.iter().any(|i| !named[*i].get(row).is_blank())
            };
            let kept_rows: Vec<u32> =
                watched(0..inner.n as u32).filter(|r| shown(*r as usize)).collect();
            let taken = map_blocks(&kept_rows, |r| rows[*r as usize]);
            let values = |v: &Scalars| map_blocks(&kept_rows, |r| v.get(*r as usize).clone());
            let values = named.iter().map(values).collect();
            let of_set = Self::widened(&schema, &candidates.rows.take(&taken), &set);
            let shaped = Self::set_rows(&schema, &of_set, &set, values);
            parts.push((map_blocks(&kept_rows, |r| parents[*r as usize]), shaped));
        }
        let of: Vec<u32> = parts.iter().flat_map(|(of, _)| of.clone()).collect();
        let rows: Vec<&Rows> = parts.iter().map(|(_, r)| r).collect();
        let rows = Rows::concat(self.store, schema, &rows);
        Ok(CellTable::from_cells(&rows, &of, cells.n))
    }

    /// Scans once for what the expressions will ask in all grouping sets.
    fn share_scans_of_sets(
        &self,
        outer: &Cells,
        groups: &[ColumnId],
        sets: &[GroupingSet],
        named: &[NamedNode],
    ) -> Result<()> {
        let is_plain = sets.len() == 1 && named.iter().all(|n| self.is_plain(&n.node));
        if is_plain || outer.n != 1 || !self.may_share(named.iter().map(|n| &n.node), sets.len()) {
            return Ok(());
        }
        let nodes: Vec<&Node> = named.iter().map(|n| &n.node).collect();
        self.share_scans(|| {
            for set in sets {
                let kept: Vec<ColumnId> =
                    (0..groups.len()).filter(|g| !set.columns[*g]).map(|g| groups[g]).collect();
                let schema = schema_of(self.model, &kept);
                drop(self.group_rows(outer, &kept, &nodes, &schema, None));
                let probes = self.probes(outer, &kept)?;
                let (cells, _, _) = self.group_cells(outer, &kept, &probes);
                for n in named {
                    drop(self.scalars(&cells, &n.node));
                }
            }
            Ok(())
        })
    }

    /// Every value of every group column in some group, whether or not that occurs: enough to see
    /// what will be asked.
    fn probes(&self, outer: &Cells, columns: &[ColumnId]) -> Result<CellTable> {
        const MOST: usize = 1 << 15;
        let mut codes: Vec<Vec<u32>> = Vec::new();
        for column in columns {
            let schema = schema_of(self.model, &[*column]);
            let found = self.distinct_over(outer, &[column.table], &[*column], true, &schema)?;
            codes.push(match found.rows.columns.as_slice() {
                [RowColumn::Codes { codes, .. }] if !codes.is_empty() => codes.to_vec(),
                _ => {
                    let of = self.store.table(column.table).column(column.column);
                    (1..of.cardinality().min(MOST as u32)).collect()
                }
            });
        }
        let len = codes.iter().map(Vec::len).max().unwrap_or(1).min(MOST);
        let columns = columns.iter().zip(&codes).map(|(column, of)| RowColumn::Codes {
            column: *column,
            codes: Arc::new(
                (0..len).map(|i| of.get(i % of.len().max(1)).map_or(0, |c| *c)).collect(),
            ),
        });
        let columns = columns.collect();
        let schema = Schema::default();
        Ok(CellTable::shared(Rows { keep: false, schema, len, base: None, columns }))
    }

    /// The cells under the filters, and those of the groups where some filters decide groups alone.
    fn filtered(
        &self,
        cells: &Cells,
        all: &[GroupFilter],
        more: &[GroupFilter],
    ) -> Result<Filtered> {
        let given = || all.iter().chain(more);
        let seen: Vec<_> = given().filter(|f| f.visual).map(|f| f.filter.clone()).collect();
        let outer = self.calculate_cells(cells, &seen, true)?;
        let every = || given().map(|f| f.filter.clone()).collect::<Vec<_>>();
        let listed = match given().all(|f| f.visual) {
            true => None,
            false => Some(self.calculate_cells(cells, &every(), true)?),
        };
        let is_free = cells.keys.is_empty()
            && cells.transitioned == cells.frames.len()
            && cells.distinct.iter().all(|c| c.filters.is_empty());
        Ok(Filtered { outer, listed, own: (!is_free).then(every) })
    }

    /// The cells that groups of columns of these tables are looked for in.
    fn outside(&self, outside: &Outside<'_>, tables: &[TableId]) -> Result<Cells> {
        let others = (0..self.model.tables().len() as u32).map(TableId);
        let others = others.filter(|t| !tables.contains(t)).flat_map(|t| self.model.columns_of(t));
        let without = FilterArgument::Remove(others.collect());
        let arguments: Vec<_> = std::iter::once(without).chain(outside.own.to_vec()).collect();
        self.calculate_cells(outside.cells, &arguments, true)
    }

    /// A cell per group: the outer filters, and on top the group's values as keys.
    fn group_cells(
        &self,
        outer: &Cells,
        columns: &[ColumnId],
        groups: &CellTable,
    ) -> (Cells, Vec<u32>, Vec<u32>) {
        let (parents, rows) = groups.pairs(outer.n);
        let mut inner = outer.select(&parents);
        for (column, of) in columns.iter().zip(&groups.rows.columns) {
            if let RowColumn::Codes { codes, .. } = of {
                let codes = map_blocks(&rows, |r| codes[*r as usize]);
                inner.keys.push(Key { target: KeyTarget::Column(*column), codes: Arc::new(codes) });
            }
        }
        if !columns.is_empty() {
            inner.shadows.push(Shadow {
                table: groups.clone(),
                index: Arc::new(parents.clone()),
                relationships: outer.relationships(),
                grouped: Some(Rc::new(outer.clone())),
            });
        }
        (inner, parents, rows)
    }

    /// The groups worth looking at: where every expression is blank without rows of some tables,
    /// the groups that occur in those; else the existing ones of each table, crossed.
    fn group_rows(
        &self,
        outer: &Cells,
        columns: &[ColumnId],
        named: &[&Node],
        schema: &Schema,
        outside: Option<&Outside<'_>>,
    ) -> Result<CellTable> {
        if columns.is_empty() {
            let rows = Rows { schema: Arc::clone(schema), len: 1, ..Rows::default() };
            return Ok(CellTable::shared(rows));
        }
        let context = outer.distinct.first().cloned().unwrap_or_default();
        if self.has(Rule::DecidingTables)
            && let Some(tables) = self.deciding_tables(named, columns, outer)
        {
            let reached = |t: &TableId| {
                let reach = self.reach(&context, *t);
                columns.iter().all(|c| reach.path(c.table).is_some())
            };
            if !tables.is_empty() && tables.iter().all(reached) {
                return self.distinct_over(outer, &tables, columns, false, schema);
            }
        }
        let mut joined: Option<CellTable> = None;
        for (base, of) in self.clusters(&context, columns) {
            let own = Arc::new(of.iter().map(|i| schema[*i].clone()).collect::<Vec<TableColumn>>());
            let ids: Vec<ColumnId> = of.iter().map(|i| columns[*i]).collect();
            let tables: Vec<TableId> = ids.iter().map(|c| c.table).collect();
            let part = match outside {
                Some(outside) => {
                    let cells = self.outside(outside, &tables)?;
                    self.distinct_over(&cells, &[base], &ids, true, &own)?
                }
                None => self.distinct_over(outer, &[base], &ids, true, &own)?,
            };
            joined = Some(match joined {
                Some(left) => self.cross(outer.n, &left, &part)?,
                None => part,
            });
        }
        let joined = joined.unwrap_or_else(|| CellTable::none(Rows::default()));
        // Back in the order of the query.
        let place = |c: &ColumnId| {
            joined.rows.schema.iter().position(|s| s.lineage == Some(*c)).unwrap_or_default()
        };
        let rows = Rows {
            keep: false,
            schema: Arc::clone(schema),
            len: joined.rows.len,
            base: None,
            columns: columns.iter().map(|c| joined.rows.columns[place(c)].clone()).collect(),
        };
        Ok(joined.with_rows(rows))
    }

    /// Group columns by the table whose rows give their combinations: a table takes in those of
    /// its expanded table.
    fn clusters(
        &self,
        context: &crate::filter_context::FilterContext,
        columns: &[ColumnId],
    ) -> Vec<(TableId, Vec<usize>)> {
        let mut out: Vec<(TableId, Vec<usize>)> = Vec::new();
        for (i, c) in columns.iter().enumerate() {
            match out.iter_mut().find(|(t, _)| *t == c.table) {
                Some((_, of)) => of.push(i),
                None => out.push((c.table, vec![i])),
            }
        }
        let mut i = 0;
        while i < out.len() {
            let base = out[i].0;
            let over = (0..out.len())
                .find(|j| *j != i && self.reach(context, out[*j].0).path(base).is_some());
            match over {
                Some(j) => {
                    let (_, of) = out.remove(i);
                    let j = if j > i { j - 1 } else { j };
                    out[j].1.extend(of);
                    i = 0;
                }
                None => i += 1,
            }
        }
        out
    }
}

/// Columns of the model as a schema.
pub(super) fn schema_of(
    model: &crate::compiled_model::CompiledModel,
    columns: &[ColumnId],
) -> Schema {
    let of = |c: &ColumnId| {
        let info = model.column_info(*c);
        TableColumn {
            name: info.name.as_str().into(),
            lineage: Some(*c),
            table: Some(model.table(c.table).name.as_str().into()),
            data_type: info.data_type,
        }
    };
    Arc::new(columns.iter().map(of).collect())
}
