//! `AVERAGEX ( VALUES ( Orders[Key] ), [Sales] )` and the like by one scan: what a plain aggregate is
//! for each value is a scan grouped by the column, without a list of the values and a cell for each.

use evercube_base::{DataType, Result, Value};
use evercube_store::{Aggregate, ColumnId, TableId};
use evercube_work::watched;

use super::Evaluator;
use super::cells::{Cells, KeyTarget, Scalars};
use super::iterate::not_zero;
use super::scan::{Grouped, Reach};
use crate::filter_context::Filter;
use crate::plan::{Fold, Kind, Node};
use crate::rules::Rule;
use crate::scalar as rules;

/// An aggregate over a model table.
pub(super) struct Plain<'n> {
    pub table: TableId,
    pub fold: Fold,
    /// What is folded; nothing where rows are counted.
    pub body: Option<&'n Node>,
    /// The number of the row context of the table.
    pub frame: usize,
}

/// What an iteration goes through.
pub(super) struct Iterated {
    pub table: TableId,
    /// The columns whose values it goes through; none where it goes through the rows.
    pub columns: Vec<ColumnId>,
}

/// Rows that are asked for a plain aggregate each.
struct Asked<'n> {
    iterated: Iterated,
    plain: Plain<'n>,
    /// The rows are those that the aggregate's table has, and not all values of the columns.
    is_of_table: bool,
}

impl Iterated {
    /// `None` where it is neither rows of a model table nor visible values of its columns.
    pub(super) fn of(table: &Node) -> Option<Self> {
        match &table.kind {
            Kind::ModelTable { table, blank_row: false } => {
                Some(Self { table: *table, columns: Vec::new() })
            }
            Kind::Values { columns, blank_row: true } => {
                Some(Self { table: columns.first()?.table, columns: columns.clone() })
            }
            _ => None,
        }
    }

    pub(super) fn is_rows(&self) -> bool {
        self.columns.is_empty()
    }

    /// The column of the model at a position.
    pub(super) fn column(&self, at: usize) -> Option<ColumnId> {
        match self.is_rows() {
            true => Some(ColumnId { table: self.table, column: at as u32 }),
            false => self.columns.get(at).copied(),
        }
    }
}

impl Evaluator<'_> {
    /// An iteration over the values of columns whose body is a plain aggregate; `None` where it is
    /// another one.
    pub(super) fn folded_by_scan(
        &self,
        cells: &Cells,
        fold: Fold,
        table: &Node,
        body: &Node,
    ) -> Result<Option<Scalars>> {
        let is_exact = matches!(body.data_type(), DataType::Int64 | DataType::Decimal);
        let is_known = match fold {
            Fold::Sum | Fold::Average => is_exact,
            Fold::Min | Fold::Max | Fold::Count => true,
            _ => false,
        };
        let Some(iterated) = Iterated::of(table) else { return Ok(None) };
        let Some(plain) = plain(body, cells.frames.len()).filter(|_| is_known) else {
            return Ok(None);
        };
        let asked = Asked { iterated, plain, is_of_table: false };
        let Some(found) = self.asked_values(cells, &asked)? else { return Ok(None) };
        let mut of_cells: Vec<Vec<&Value>> = vec![Vec::new(); cells.n];
        for (cell, value) in watched(found.cells.iter().zip(asked.plain.values(&found))) {
            of_cells[*cell as usize].push(value);
        }
        let folded = of_cells.iter().map(|values| self.fold(fold, values, None));
        Ok(Some(Scalars::each(folded.collect::<Result<_>>()?)))
    }

    /// How many rows of a table pass a comparison of a plain aggregate with a constant; `None`
    /// where something else is counted.
    pub(super) fn passing_by_scan(
        &self,
        cells: &Cells,
        table: &Node,
        condition: &Node,
    ) -> Result<Option<Scalars>> {
        let Some((asked, test)) = self.comparison(cells, table, condition) else {
            return Ok(None);
        };
        // What has no rows is blank.
        if !asked.is_of_table && test(&Value::Blank)? {
            return Ok(None);
        }
        let Some(found) = self.asked_values(cells, &asked)? else { return Ok(None) };
        let mut counts = vec![0_i64; cells.n];
        for (cell, value) in watched(found.cells.iter().zip(asked.plain.values(&found))) {
            evercube_work::tick();
            counts[*cell as usize] += i64::from(test(value)?);
        }
        Ok(Some(Scalars::each(counts.into_iter().map(not_zero).collect())))
    }

    fn comparison<'n>(
        &'n self,
        cells: &Cells,
        table: &'n Node,
        condition: &'n Node,
    ) -> Option<(Asked<'n>, impl Fn(&Value) -> Result<bool> + 'n)> {
        let Kind::Binary { operator, left, right } = &condition.kind else { return None };
        let (asked_first, value, constant) = match (&left.kind, &right.kind) {
            (_, Kind::Literal(constant)) => (true, left, constant),
            (Kind::Literal(constant), _) => (false, right, constant),
            _ => return None,
        };
        if !operator.is_comparison() {
            return None;
        }
        let asked = match (&table.kind, &value.kind) {
            (Kind::Values { .. } | Kind::ModelTable { .. }, _) => Asked {
                iterated: Iterated::of(table)?,
                plain: plain(value, cells.frames.len())?,
                is_of_table: false,
            },
            (
                Kind::Summarize { table, groups, rollup, columns },
                Kind::RowColumn { frame, column },
            ) if *frame == cells.frames.len() && rollup.chains.is_empty() => {
                let Kind::ModelTable { table, blank_row } = table.kind else { return None };
                if blank_row && self.store.has_blank_row(table) {
                    return None;
                }
                let own = |group: &Node| match group.kind {
                    Kind::RowColumn { frame: f, column } if f == *frame => {
                        Some(ColumnId { table, column: column as u32 })
                    }
                    _ => None,
                };
                let named = columns.get(column.checked_sub(groups.len())?)?;
                // Expressions of SUMMARIZE are asked where the group is a filter already.
                let plain = plain(&named.node, *frame)
                    .or_else(|| aggregate(&named.node, frame + 1))
                    .filter(|p| p.table == table)?;
                let columns = groups.iter().map(own).collect::<Option<Vec<_>>>()?;
                let iterated = (!columns.is_empty()).then_some(Iterated { table, columns })?;
                Asked { iterated, plain, is_of_table: true }
            }
            _ => return None,
        };
        let test = move |value: &Value| {
            let (a, b) = if asked_first { (value, constant) } else { (constant, value) };
            rules::to_bool(
                &rules::binary(*operator, a, b, &self.collation, &self.culture)?,
                &self.culture,
            )
        };
        Some((asked, test))
    }

    /// The aggregate of each combination of values that has rows, cell by cell; `None` where that
    /// is not what an iteration would find.
    fn asked_values(&self, cells: &Cells, asked: &Asked<'_>) -> Result<Option<Grouped>> {
        let Asked { iterated, plain, .. } = asked;
        let columns = match iterated.is_rows() {
            true => self.key_of(iterated.table).into_iter().collect(),
            false => iterated.columns.clone(),
        };
        let is_alike = self.has(Rule::GroupsByScan)
            && !columns.is_empty()
            && self.is_apart(cells, iterated, plain.table);
        if !is_alike {
            return Ok(None);
        }
        let aggregates = match plain.body {
            None => vec![Aggregate::CountRows],
            Some(body) => self.plain_aggregates(plain.fold, plain.table, body, plain.frame),
        };
        if aggregates.len() != 1 {
            return Ok(None);
        }
        let found = self.scan(cells, plain.table, &columns, false, &|_| Ok(aggregates.clone()))?;
        Ok(Some(found))
    }

    /// A column whose values are different in every row of a table, and in none of them blank.
    fn key_of(&self, table: TableId) -> Option<ColumnId> {
        let column = ColumnId { table, column: self.unique_column(table)? };
        let has_blank = self.store.table(table).column(column.column).has_blank();
        (!has_blank && self.tells_rows(column)).then_some(column)
    }

    /// Whether what an aggregate over `base` sees of a row or value that is gone through is what it
    /// sees in the cell, as far as it belongs to that: each row of `base` to one of them.
    pub(super) fn is_apart(&self, cells: &Cells, iterated: &Iterated, base: TableId) -> bool {
        // Rows around the iteration would become filters in it, and not of its table.
        if cells.transitioned != cells.frames.len() || !self.model.calculation_groups().is_empty() {
            return false;
        }
        cells.distinct.iter().all(|context| {
            let reach = self.reach(context, base);
            let is_reached = match reach.path(iterated.table) {
                // The blank row is no row that is gone through.
                Some(path) if iterated.is_rows() => {
                    let to = |step| self.model.relationship(step).def.to.table;
                    !path.is_empty() && !path.iter().any(|s| self.store.has_blank_row(to(*s)))
                }
                found => found.is_some(),
            };
            // A row fixes what it refers to as well.
            let fixed = match iterated.is_rows() {
                true => self.reach(context, iterated.table),
                false => Reach::default(),
            };
            let is_fixed = |c: &ColumnId| match iterated.is_rows() {
                true => fixed.path(c.table).is_some(),
                false => iterated.columns.contains(c),
            };
            is_reached
                && context.filters.iter().all(|filter| match filter {
                    Filter::Column { .. } => true,
                    Filter::Tuples { columns, .. } => !columns.iter().any(is_fixed),
                    Filter::Rows { .. } => false,
                })
                && cells.keys.iter().all(|key| match &key.target {
                    KeyTarget::Column(_) => true,
                    KeyTarget::Row { table, .. } if iterated.is_rows() => {
                        fixed.path(*table).is_none()
                    }
                    KeyTarget::Row { table, .. } => *table != iterated.table,
                })
        })
    }
}

impl Plain<'_> {
    /// The aggregate of each group; counts of nothing are blank.
    fn values<'g>(&self, found: &'g Grouped) -> impl Iterator<Item = &'g Value> {
        const NOTHING: &Value = &Value::Blank;
        let counts = !matches!(self.fold, Fold::Sum | Fold::Min | Fold::Max);
        let of_groups = found.aggregates.first().into_iter().flatten();
        of_groups.map(move |v| if counts && *v == Value::Int(0) { NOTHING } else { v })
    }
}

/// The plain aggregate that a measure or `CALCULATE` without filters is; `frame` is the row context
/// it is asked in.
pub(super) fn plain(node: &Node, frame: usize) -> Option<Plain<'_>> {
    if node.uses.volatile {
        return None;
    }
    let (mut at, mut frame) = match &node.kind {
        Kind::Measure { body, .. } => (body.as_ref(), 0),
        Kind::Calculate { body, filters, transition: true } if filters.is_empty() => {
            (body.as_ref(), frame + 1)
        }
        _ => return None,
    };
    while let Kind::Measure { body, .. } = &at.kind {
        (at, frame) = (body.as_ref(), 0);
    }
    aggregate(at, frame)
}

/// The plain aggregate that a measure is.
pub(super) fn plain_in(measure: &Node) -> Option<Plain<'_>> {
    match measure.kind {
        Kind::Measure { .. } => plain(measure, 0),
        _ => None,
    }
}

/// An aggregate over a model table whose row context has the number `frame`.
pub(super) fn aggregate(node: &Node, frame: usize) -> Option<Plain<'_>> {
    let (table, fold, body) = match &node.kind {
        Kind::CountRows(table) => (table, Fold::Count, None),
        Kind::Iterate { fold, table, body, extra, order_by }
            if extra.is_empty() && order_by.is_empty() =>
        {
            (table, *fold, Some(body.as_ref()))
        }
        _ => return None,
    };
    let is_known = matches!(
        fold,
        Fold::Sum
            | Fold::Min
            | Fold::Max
            | Fold::Count
            | Fold::DistinctCount
            | Fold::DistinctCountNoBlank
    );
    match table.kind {
        Kind::ModelTable { table, blank_row: false } if is_known => {
            Some(Plain { table, fold, body, frame })
        }
        _ => None,
    }
}
