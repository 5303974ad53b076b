//! What named expressions of `SUMMARIZE` see of a group: every column of the group's rows, those of
//! the expanded table among them, is filtered to what these rows have. Where an expression asks only
//! for rows that the group columns choose just as well, these are all the filter it gets.

use std::sync::Arc;

use evercube_base::{Result, Value};
use evercube_store::{ColumnId, PathColumn, TableId};

use super::Evaluator;
use super::cells::{Cells, KeyTarget};
use super::iterate::column_of_row;
use super::rows::CellTable;
use crate::filter_context::{Filter, FilterContext};
use crate::plan::{FilterArgument, Kind, NamedNode, Node};
use crate::rules::Rule;

/// Groups are gone through so many at a time that the sets of their rows have no more bits, and no
/// more than a thread scans rows.
const MOST_BITS: usize = 1 << 31;

/// What decides whether an expression tells a group's rows from its group columns.
struct Clusters<'e> {
    evaluator: &'e Evaluator<'e>,
    cells: &'e Cells,
    /// Tables of which a filter on the group columns leaves the rows that the group's rows leave.
    alike: Vec<TableId>,
    groups: &'e [ColumnId],
    /// All columns that the group's rows filter.
    filtered: Vec<ColumnId>,
    /// Columns of calculation groups, whose items are told by filters.
    items: Vec<ColumnId>,
}

impl Evaluator<'_> {
    /// Columns that rows of a model table are grouped by, where filters on them reach the table the
    /// way its rows reach them.
    pub(super) fn columns_grouped_by(
        &self,
        cells: &Cells,
        table: TableId,
        groups: &[Node],
    ) -> Option<Vec<ColumnId>> {
        let row = cells.frames.len();
        let is_usual = |at: &PathColumn| {
            let mut reaches = cells.distinct.iter().map(|c| self.reach(c, table));
            at.path.is_empty() || reaches.all(|r| r.path(at.column.table) == Some(&at.path))
        };
        let column = |group| column_of_row(group, (row, table)).filter(is_usual);
        groups.iter().map(|g| column(g).map(|at| at.column)).collect()
    }

    /// Whether named expressions over the groups of a table are the same under filters on the group
    /// columns alone.
    pub(super) fn columns_tell_groups(
        &self,
        cells: &Cells,
        table: &Node,
        groups: &[Node],
        named: &[NamedNode],
    ) -> bool {
        let Kind::ModelTable { table, .. } = table.kind else { return false };
        // Rows around become filters too, which those of the group were found without.
        if !self.has(Rule::GroupsByScan) || cells.transitioned < cells.frames.len() {
            return false;
        }
        // Group columns of a blank row are blank, as those of other rows may be.
        if self.store.has_blank_row(table) {
            return false;
        }
        let Some(groups) = self.columns_grouped_by(cells, table, groups) else { return false };
        let Some(context) = cells.distinct.first() else { return false };
        let expanded = |t| self.visibility().expanded(context, t);
        let beyond = expanded(table);
        let all = (0..self.model.tables().len() as u32).map(TableId);
        let alike = all.filter(|t| {
            *t == table
                || self.filters_flow_one_way(context)
                    && expanded(*t).iter().any(|(of, _)| *of == table)
        });
        let of_groups = self.model.calculation_groups().iter();
        let clusters = Clusters {
            evaluator: self,
            cells,
            alike: alike.collect(),
            groups: &groups,
            items: of_groups.flat_map(|g| self.model.columns_of(g.table)).collect(),
            filtered: beyond.iter().flat_map(|(t, _)| self.model.columns_of(*t)).collect(),
        };
        named.iter().all(|c| clusters.are_not_seen(&c.node, false))
    }

    /// A model table and the cells that see of it what a table expression gives, where the filters of
    /// the expression may be there for the named expressions over its groups, too: they see the rows of
    /// the group in either case.
    pub(super) fn seen_through<'n>(
        &self,
        cells: &Cells,
        table: &'n Node,
        groups: &[Node],
        named: &[NamedNode],
    ) -> Result<Option<(Cells, &'n Node)>> {
        Ok(match &table.kind {
            Kind::Filter { table: rows, condition } => match rows.kind {
                Kind::ModelTable { table: id, blank_row: false }
                    if self.columns_tell_groups(cells, rows, groups, named) =>
                {
                    let inner = match self.cells_where(cells, id, condition)? {
                        Some(inner) => inner,
                        None => {
                            let found = self.table(cells, table)?;
                            let mut inner = cells.clone();
                            self.put_filter(&mut inner, &found, None, true);
                            inner
                        }
                    };
                    Some((inner, &**rows))
                }
                _ => None,
            },
            Kind::CalculateTable { body, filters } => match body.kind {
                Kind::ModelTable { table: id, .. }
                    if filters.is_empty() || named.iter().all(|c| asks_for_rows(&c.node, id)) =>
                {
                    Some((self.calculate_cells(cells, filters, true)?, &**body))
                }
                _ => None,
            },
            _ => None,
        })
    }

    /// Named expressions over groups under filters on their rows.
    pub(super) fn under_members(
        &self,
        of_groups: &Cells,
        table: &CellTable,
        members: &[Vec<u32>],
        named: &[NamedNode],
    ) -> Result<Vec<Vec<Value>>> {
        let mut out = vec![Vec::with_capacity(of_groups.n); named.len()];
        let rows = table.rows.base.as_ref().map_or(0, |(t, _)| self.store.table(*t).rows());
        let at_once = (MOST_BITS / (rows + 1)).min(self.context.scan_part).max(1);
        for (run, members) in members.chunks(at_once).enumerate() {
            self.check_cancelled()?;
            let first = out.first().map_or(0, Vec::len) as u32;
            if run > 0 {
                // What was seen under the groups before is not asked for again.
                self.visible_rows.borrow_mut().clear();
            }
            let which: Vec<u32> = (first..first + members.len() as u32).collect();
            let mut cells = of_groups.select(&which);
            self.put_filter(&mut cells, &rows_of(table, members), None, true);
            for (values, column) in out.iter_mut().zip(named) {
                values.extend(self.scalars(&cells, &column.node)?.into_vec(cells.n));
            }
        }
        Ok(out)
    }

    /// Whether filters reach other tables only from the one side of relationships.
    fn filters_flow_one_way(&self, context: &FilterContext) -> bool {
        let is_plain = |r: &crate::compiled_model::RelationshipInfo| {
            !r.def.many_to_many && !r.both_directions && !r.one_to_one
        };
        context.used.is_empty()
            && context.directions.is_empty()
            && self.model.relationships().iter().all(is_plain)
    }
}

impl Clusters<'_> {
    /// Whether an expression has the same value under filters on the group columns alone. `inside`:
    /// in rows of an iteration, which become filters where a measure is called.
    fn are_not_seen(&self, node: &Node, inside: bool) -> bool {
        let all = |nodes: &[&Node], inside| nodes.iter().all(|n| self.are_not_seen(n, inside));
        match &node.kind {
            Kind::Literal(_)
            | Kind::RowColumn { .. }
            | Kind::Related { .. }
            | Kind::Variable(_) => true,
            // Evaluated under no filter at all.
            Kind::Unfiltered(_) => true,
            Kind::ModelTable { table, .. } => self.alike.contains(table),
            Kind::Values { columns, .. } => columns.iter().all(|c| self.alike.contains(&c.table)),
            Kind::Measure { body, .. } => {
                !inside && !self.may_be_replaced() && self.are_not_seen(body, false)
            }
            Kind::Calculate { body, filters, .. } | Kind::CalculateTable { body, filters } => {
                !inside
                    && filters.iter().filter_map(FilterArgument::table).all(|t| all(&[t], inside))
                    && self.are_not_seen_within(body, filters)
            }
            Kind::Let { .. } => all(&node.children(), inside),
            kind if kind.is_of_its_parts() => all(&node.children(), inside),
            Kind::Iterate { .. }
            | Kind::Filter { .. }
            | Kind::TopN { .. }
            | Kind::Extend { .. } => all(&node.children(), true),
            _ => false,
        }
    }

    /// Whether a calculation item may stand in the place of measures.
    fn may_be_replaced(&self) -> bool {
        let stands_in = |c: &ColumnId| self.groups.contains(c) || self.is_filtered_outside(*c);
        let groups = self.evaluator.model.calculation_groups();
        groups.iter().any(|g| g.no_selection.is_some()) || self.items.iter().any(stands_in)
    }

    /// The same under filter arguments of `CALCULATE`. A column that is filtered anew is one that the
    /// group's rows still differ in only where it is no group column; and they are all rows of the
    /// group only where nothing outside filtered it.
    fn are_not_seen_within(&self, body: &Node, filters: &[FilterArgument]) -> bool {
        let is_left_alone =
            |c: &ColumnId| !self.groups.contains(c) && !self.is_filtered_outside(*c);
        let selects = |t: &Node| t.lineages().iter().any(|c| self.items.contains(c));
        if filters.iter().filter_map(FilterArgument::table).any(selects) {
            return false;
        }
        let mut gone = false;
        for filter in filters {
            let stays = match filter {
                FilterArgument::RemoveAll => {
                    gone = true;
                    true
                }
                FilterArgument::Remove(columns) => {
                    let is_all = self.filtered.iter().all(|c| columns.contains(c));
                    gone |= is_all;
                    is_all || columns.iter().all(is_left_alone)
                }
                FilterArgument::Table { keep: true, .. } => true,
                FilterArgument::Table { table, keep: false } => {
                    lists_columns(table)
                        && self
                            .evaluator
                            .model
                            .columns_replaced(table.lineages())
                            .iter()
                            .all(is_left_alone)
                }
                FilterArgument::Selected(_)
                | FilterArgument::Use(_)
                | FilterArgument::Direct(..) => false,
            };
            if !stays {
                return false;
            }
        }
        gone || self.are_not_seen(body, false)
    }

    /// Whether a column may be filtered where the groups were looked for.
    fn is_filtered_outside(&self, column: ColumnId) -> bool {
        let by_filter = |f: &Filter| matches!(f, Filter::Rows { .. }) || f.is_on(column);
        let by_key = |target: &KeyTarget| match target {
            KeyTarget::Column(c) => *c == column,
            KeyTarget::Row { table, .. } => *table == column.table,
        };
        self.cells.distinct.iter().any(|c| c.filters.iter().any(by_filter))
            || self.cells.keys.iter().any(|k| by_key(&k.target))
    }
}

/// Whether an expression asks for rows of one table alone, and changes no filter.
fn asks_for_rows(node: &Node, of: TableId) -> bool {
    match &node.kind {
        Kind::ModelTable { table, .. } => *table == of,
        Kind::Values { columns, .. } => columns.iter().all(|c| c.table == of),
        Kind::Measure { body, .. } => asks_for_rows(body, of),
        Kind::Calculate { .. } | Kind::CalculateTable { .. } => false,
        _ => node.children().iter().all(|n| asks_for_rows(n, of)),
    }
}

/// The rows of each group.
fn rows_of(table: &CellTable, members: &[Vec<u32>]) -> CellTable {
    let order: Vec<u32> = members.iter().flatten().copied().collect();
    let ends = members.iter().scan(0, |end, of| {
        *end += of.len() as u32;
        Some(*end)
    });
    CellTable {
        rows: Arc::new(table.rows.take(&order)),
        starts: Some(Arc::new(std::iter::once(0).chain(ends).collect())),
    }
}

/// Whether a table filters the columns it has and no others, as whole rows of a model table do.
fn lists_columns(table: &Node) -> bool {
    match &table.kind {
        Kind::Values { .. } | Kind::Rows(_) | Kind::TreatAs(_) => true,
        Kind::Unfiltered(body) | Kind::Distinct(body) => lists_columns(body),
        Kind::Filter { table, .. } => lists_columns(table),
        Kind::CrossJoin(all) | Kind::Set(_, all) => all.iter().all(lists_columns),
        _ => false,
    }
}
