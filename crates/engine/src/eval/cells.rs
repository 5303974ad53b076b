//! Tables of contexts: what an expression is evaluated over. Each cell has a filter context, the
//! rows it stands in, and variables.
//!
//! The filter context of a cell is one of a few explicit contexts, and on top of it equalities on
//! key columns, one code per cell: a thousand groups of a query are one explicit context and one
//! column of codes, and an aggregate over them is one scan grouped by that column.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use evercube_base::Value;
use evercube_store::{BitSet, ColumnId, TableId};
use evercube_work::{map_blocks, watched};

use super::calculation_item::Selected;
use super::rows::{CellTable, Rows};
use super::variable::Variable;
use crate::filter_context::{Filter, FilterContext, Visibility};

/// What a key fixes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum KeyTarget {
    /// One column has this code.
    Column(ColumnId),
    /// The table's own columns are those of this row, but for the ones in `without`.
    Row { table: TableId, without: Vec<ColumnId> },
}

impl KeyTarget {
    pub fn table(&self) -> TableId {
        match self {
            Self::Column(c) => c.table,
            Self::Row { table, .. } => *table,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub target: KeyTarget,
    /// Code or row number for each cell. `NO_CODE`: a value that the column does not have.
    pub codes: Arc<Vec<u32>>,
}

/// A code no row has.
pub(crate) const NO_CODE: u32 = u32::MAX;

/// One row of a table for each cell.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub rows: Arc<Rows>,
    pub index: Arc<Vec<u32>>,
}

/// The rows of the group a `GROUPBY` expression is evaluated for.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub table: CellTable,
    pub index: Arc<Vec<u32>>,
}

/// The rows an iteration went through, as the filter that `ALLSELECTED` goes back to.
#[derive(Debug, Clone)]
pub(crate) struct Shadow {
    /// Rows by cell of the iteration's outside.
    pub table: CellTable,
    pub index: Arc<Vec<u32>>,
    /// Relationships where the rows were gone through.
    pub relationships: Arc<FilterContext>,
    /// The cells that a query's groups stand on; nothing where the rows were gone through.
    pub grouped: Option<Rc<Cells>>,
}

/// A variable's number, what it is, and the cell of its definition for each cell; `None`: its own.
pub(crate) type Definition = (usize, Rc<Variable>, Option<Arc<Vec<u32>>>);

#[derive(Debug, Clone)]
pub(crate) struct Cells {
    pub n: usize,
    /// Explicit contexts that differ.
    pub distinct: Arc<Vec<Arc<FilterContext>>>,
    /// Which of them each cell has; `None`: all the first.
    pub of: Option<Arc<Vec<u32>>>,
    pub keys: Vec<Key>,
    pub frames: Vec<Frame>,
    /// Frames before this one have become filters.
    pub transitioned: usize,
    pub variables: Vec<Definition>,
    pub group: Option<Group>,
    pub shadows: Vec<Shadow>,
    /// The measure that is evaluated, where the model has calculation groups.
    pub selected: Option<Arc<Selected>>,
    /// Calculation groups of which an expression is being applied, the innermost last: what their
    /// lack of a selection stands for has been said.
    pub applied: Vec<AppliedGroup>,
}

/// A calculation group of which an expression is being applied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AppliedGroup {
    pub group: usize,
    /// It is the one for several items or none, which sees what is selected.
    pub many_selected: bool,
}

pub(crate) fn compose(index: &[u32], from: &[u32]) -> Arc<Vec<u32>> {
    Arc::new(map_blocks(from, |i| index[*i as usize]))
}

impl Cells {
    /// One cell with this filter context.
    pub fn one(context: FilterContext) -> Self {
        Self {
            n: 1,
            distinct: Arc::new(vec![Arc::new(context)]),
            of: None,
            keys: Vec::new(),
            frames: Vec::new(),
            transitioned: 0,
            variables: Vec::new(),
            group: None,
            shadows: Vec::new(),
            selected: None,
            applied: Vec::new(),
        }
    }

    pub fn context_of(&self, cell: usize) -> usize {
        self.of.as_ref().map_or(0, |of| of[cell] as usize)
    }

    /// Other cells, each a copy of the one that `from` names.
    pub fn select(&self, from: &[u32]) -> Self {
        let pick = |index: &Arc<Vec<u32>>| compose(index, from);
        let base: Rc<std::cell::OnceCell<Arc<Vec<u32>>>> = Rc::default();
        Self {
            n: from.len(),
            distinct: Arc::clone(&self.distinct),
            of: self.of.as_ref().map(pick),
            keys: self
                .keys
                .iter()
                .map(|k| Key { target: k.target.clone(), codes: pick(&k.codes) })
                .collect(),
            frames: self
                .frames
                .iter()
                .map(|f| Frame { rows: Arc::clone(&f.rows), index: pick(&f.index) })
                .collect(),
            transitioned: self.transitioned,
            variables: self
                .variables
                .iter()
                .map(|(slot, v, index)| {
                    let index = match index {
                        Some(i) => pick(i),
                        None => Arc::clone(base.get_or_init(|| Arc::new(from.to_vec()))),
                    };
                    (*slot, Rc::clone(v), Some(index))
                })
                .collect(),
            group: self
                .group
                .as_ref()
                .map(|g| Group { table: g.table.clone(), index: pick(&g.index) }),
            shadows: self
                .shadows
                .iter()
                .map(|s| Shadow {
                    table: s.table.clone(),
                    index: pick(&s.index),
                    relationships: Arc::clone(&s.relationships),
                    grouped: s.grouped.clone(),
                })
                .collect(),
            selected: self.selected.clone(),
            applied: self.applied.clone(),
        }
    }

    /// A cell for every row of a table: the cells an iterator's body is evaluated over, and the
    /// outer cell of each.
    pub fn iterate(&self, table: &CellTable) -> (Self, Vec<u32>) {
        let (parents, index) = table.pairs(self.n);
        let mut inner = self.select(&parents);
        inner.frames.push(Frame { rows: Arc::clone(&table.rows), index: Arc::new(index) });
        inner.shadows.push(Shadow {
            table: table.clone(),
            index: Arc::new(parents.clone()),
            relationships: self.relationships(),
            grouped: None,
        });
        (inner, parents)
    }

    /// The same for the rows of a table that gets a column: they are no selection that `ALLSELECTED`
    /// goes back to, and come some at a time.
    pub fn in_rows_of(&self, table: &CellTable) -> Self {
        let (mut inner, _) = self.iterate(table);
        inner.shadows.pop();
        inner
    }

    /// Relationships as they are in these cells.
    pub fn relationships(&self) -> Arc<FilterContext> {
        self.distinct.first().map(|c| c.relationships()).unwrap_or_default()
    }

    /// Whether all cells have the same filters.
    pub fn have_one_context(&self) -> bool {
        self.distinct.len() == 1 && self.keys.is_empty()
    }

    /// The first cell alone, without rows and keys: for what does not depend on the cell.
    pub fn representative(&self) -> Self {
        let mut one = self.select(&[0]);
        one.keys.clear();
        one
    }

    /// The first cell alone, with no filter but those of security and every relationship as the
    /// model has it.
    pub fn unfiltered(&self) -> Self {
        let mut free = self.representative();
        free.remove_all();
        free.edit(|c| {
            c.used.clear();
            c.directions.clear();
        });
        free
    }

    /// Drops filters on columns from contexts and keys.
    pub fn remove(&mut self, columns: &[ColumnId]) {
        if self.distinct.iter().any(|c| !c.filters.is_empty()) {
            self.edit(|c| c.remove(columns));
        }
        self.remove_keys(columns);
    }

    pub fn remove_keys(&mut self, columns: &[ColumnId]) {
        self.keys.retain(|k| match k.target {
            KeyTarget::Column(c) => !columns.contains(&c),
            KeyTarget::Row { .. } => true,
        });
        for key in &mut self.keys {
            if let KeyTarget::Row { table, without } = &mut key.target {
                for c in columns.iter().filter(|c| c.table == *table) {
                    if !without.contains(c) {
                        without.push(*c);
                    }
                }
            }
        }
    }

    /// Changes every explicit context the same way.
    pub fn edit(&mut self, change: impl Fn(&mut FilterContext)) {
        let changed = self.distinct.iter().map(|c| {
            let mut c = c.as_ref().clone();
            change(&mut c);
            Arc::new(c)
        });
        self.distinct = Arc::new(changed.collect());
    }

    /// Filters on rows found outside keep the relationships there, where those here are others.
    pub fn found_under(&mut self, outside: &Arc<FilterContext>, visibility: &Visibility<'_>) {
        let same =
            |c: &Arc<FilterContext>| c.used == outside.used && c.directions == outside.directions;
        if !self.distinct.iter().all(same) {
            self.edit(|c| {
                let mut filters = std::mem::take(&mut c.filters);
                filters.iter_mut().for_each(|f| f.found_under(outside, c, visibility));
                c.filters = filters;
            });
        }
    }

    /// Drops every filter and key; security stays.
    pub fn remove_all(&mut self) {
        self.edit(|c| c.filters.clear());
        self.keys.clear();
    }

    /// Adds a filter to each cell; equal contexts stay one.
    pub fn add_each(&mut self, filters: &[Option<Filter>], of: impl Fn(usize) -> usize) {
        let filters: Vec<Vec<Filter>> =
            filters.iter().map(|f| f.clone().into_iter().collect()).collect();
        self.add_filters(&filters, of);
    }

    /// Adds filters to each cell; equal contexts stay one.
    pub fn add_filters(&mut self, filters: &[Vec<Filter>], of: impl Fn(usize) -> usize) {
        let mut known: HashMap<(usize, usize), u32> = HashMap::new();
        let mut distinct = Vec::new();
        let mut index = Vec::with_capacity(self.n);
        for cell in watched(0..self.n) {
            let pair = (self.context_of(cell), of(cell));
            let at = *known.entry(pair).or_insert_with(|| {
                let mut c = self.distinct[pair.0].as_ref().clone();
                c.filters.extend_from_slice(&filters[pair.1]);
                distinct.push(Arc::new(c));
                distinct.len() as u32 - 1
            });
            index.push(at);
        }
        if distinct.is_empty() {
            return;
        }
        self.of = (distinct.len() > 1).then(|| Arc::new(index));
        self.distinct = Arc::new(distinct);
    }

    /// Puts an equality on a column, in place of what filters it now.
    pub fn set_key(&mut self, column: ColumnId, codes: Vec<u32>) {
        self.remove(&[column]);
        self.keys.push(Key { target: KeyTarget::Column(column), codes: Arc::new(codes) });
    }

    /// Turns some keys into explicit filters: every distinct combination becomes a context.
    pub fn keys_to_filters(&self, store: &evercube_store::StoreVersion, which: &[usize]) -> Self {
        let mut out = self.clone();
        let mut known: HashMap<Vec<u32>, usize> = HashMap::new();
        let mut combinations: Vec<Vec<u32>> = Vec::new();
        let mut index = Vec::with_capacity(self.n);
        for cell in watched(0..self.n) {
            let codes: Vec<u32> = which.iter().map(|k| self.keys[*k].codes[cell]).collect();
            let next = combinations.len();
            let at = *known.entry(codes.clone()).or_insert(next);
            if at == next {
                combinations.push(codes);
            }
            index.push(at);
        }
        for (position, k) in which.iter().enumerate() {
            let target = &self.keys[*k].target;
            let filters: Vec<Option<Filter>> =
                combinations.iter().map(|c| Some(key_filter(store, target, c[position]))).collect();
            out.add_each(&filters, |cell| index[cell]);
        }
        let mut i = 0;
        out.keys.retain(|_| {
            i += 1;
            !which.contains(&(i - 1))
        });
        out
    }

    /// The cells as complete explicit contexts.
    pub fn explicit(&self, store: &evercube_store::StoreVersion) -> Self {
        if self.keys.is_empty() {
            return self.clone();
        }
        let all: Vec<usize> = (0..self.keys.len()).collect();
        self.keys_to_filters(store, &all)
    }
}

/// A key as a filter.
fn key_filter(store: &evercube_store::StoreVersion, target: &KeyTarget, code: u32) -> Filter {
    match target {
        KeyTarget::Column(column) => {
            let of = store.table(column.table).column(column.column);
            let mut codes = BitSet::new(of.cardinality() as usize, false);
            if code < of.cardinality() {
                codes.insert(code as usize);
            }
            Filter::Column { column: *column, codes: Arc::new(codes) }
        }
        KeyTarget::Row { table, without } => {
            let data = store.table(*table);
            let columns: Vec<ColumnId> = (0..data.columns() as u32)
                .map(|column| ColumnId { table: *table, column })
                .filter(|c| !without.contains(c))
                .collect();
            let tuple = columns.iter().map(|c| data.column(c.column).code(code as usize)).collect();
            Filter::Tuples { columns, tuples: Arc::new(vec![tuple]) }
        }
    }
}

/// Scalars for cells: one for all, or one for each.
#[derive(Debug, Clone)]
pub(crate) enum Scalars {
    Same(Value),
    Each(Arc<Vec<Value>>),
}

impl Scalars {
    pub fn get(&self, cell: usize) -> &Value {
        match self {
            Self::Same(v) => v,
            Self::Each(v) => &v[cell],
        }
    }
    pub fn each(values: Vec<Value>) -> Self {
        Self::Each(Arc::new(values))
    }
    /// For other cells, each taken from the cell that `from` names.
    pub fn for_cells(&self, from: &[u32]) -> Self {
        match self {
            Self::Same(v) => Self::Same(v.clone()),
            Self::Each(v) => Self::each(map_blocks(from, |i| v[*i as usize].clone())),
        }
    }
    pub fn into_vec(self, n: usize) -> Vec<Value> {
        match self {
            Self::Same(v) => vec![v; n],
            Self::Each(v) => Arc::try_unwrap(v).unwrap_or_else(|v| v.as_ref().clone()),
        }
    }
}
