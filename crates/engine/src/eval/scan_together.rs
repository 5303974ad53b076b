//! Many contexts that differ only in filters on one dimension, answered by one scan: it groups by
//! the dimension's rows, and each context puts together the rows it sees. Year-to-date, prior-year
//! and moving totals over a hundred months are one scan at day grain instead of a hundred.

use std::sync::Arc;

use evercube_base::{Result, Value};
use evercube_store::{
    Aggregate, BitSet, ColumnId, PathColumn, RelationshipId, ScanFilter, ScanRequest, ScanResult,
    TableId,
};
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::Evaluator;
use super::aggregate::sum;
use super::cells::Cells;
use super::scan::{Grouped, KeyedCells, MakeAggregates, Reach};
use crate::filter_context::{Filter, FilterContext};
use crate::rules::Rule;
use crate::scalar as rules;

/// Fewer contexts than this are scanned for one by one.
const WORTH_IT: usize = 3;
/// So many groups cost little whatever the table.
const FEW_GROUPS: usize = 1 << 16;
/// Pairs of a context and a dimension row it sees that one scan may serve.
const MOST_PAIRS: usize = 20_000_000;

/// Contexts that have everything in common but what they see of one dimension.
struct Together {
    /// Without the filters on the dimension.
    common: Arc<FilterContext>,
    reach: Reach,
    path: Vec<RelationshipId>,
    /// A column of the dimension that tells its rows apart.
    key: ColumnId,
    /// Dimension rows that each context sees, the blank row last.
    rows: Vec<BitSet>,
}

/// For each combination of key codes, for each context: the cells that ask for it.
type CellsByCodes = HashMap<Vec<u32>, Vec<Vec<u32>>>;

impl Evaluator<'_> {
    /// As [`Evaluator::scan`] without a blank row; `None` where the contexts have to be scanned for
    /// one by one.
    pub(crate) fn scan_together(
        &self,
        cells: &Cells,
        contexts: &[(usize, Vec<u32>)],
        base: TableId,
        group: &[ColumnId],
        make: MakeAggregates<'_>,
    ) -> Result<Option<Grouped>> {
        if !self.has(Rule::ScanTogether) {
            return Ok(None);
        }
        let Some(together) = self.together(cells, contexts, base) else { return Ok(None) };
        let aggregates = make(&together.reach)?;
        let adds_up = |a: &Aggregate| {
            !matches!(a, Aggregate::DistinctCount { .. } | Aggregate::SingleValue(_))
        };
        if !aggregates.iter().all(adds_up) {
            return Ok(None);
        }
        let mut by_codes = CellsByCodes::new();
        let mut columns = Vec::new();
        for (at, (_, members)) in contexts.iter().enumerate() {
            let Ok(keyed) = self.keyed(cells, members, &together.common, base, &together.reach)
            else {
                return Ok(None);
            };
            columns = keyed.columns;
            for (codes, of) in keyed.by_codes {
                by_codes.entry(codes).or_insert_with(|| vec![Vec::new(); contexts.len()])[at] = of;
            }
        }
        let mut union = together.rows[0].clone();
        together.rows.iter().for_each(|r| union.union(r));
        let combinations = group
            .iter()
            .map(|c| self.store.table(c.table).column(c.column).cardinality() as usize)
            .fold(by_codes.len().saturating_mul(union.count()), usize::saturating_mul);
        if combinations > FEW_GROUPS.max(self.store.table(base).rows() / 2) {
            return Ok(None);
        }
        let mut filters = self.scan_filters(&together.common, base, &together.reach);
        filters.push(ScanFilter::Rows { path: together.path.clone(), rows: Arc::new(union) });
        let mut keys = columns.clone();
        for column in group {
            let Some(column) = together.reach.column(*column) else { return Ok(None) };
            keys.push(column);
        }
        keys.push(PathColumn { path: together.path.clone(), column: together.key });
        let asked = by_codes.keys().map(|codes| (codes.clone(), Vec::new())).collect();
        self.narrow(&KeyedCells { columns, by_codes: asked }, &mut filters);
        let request = ScanRequest { table: base, filters, keys, aggregates };
        let result = self.run_scan(request.clone(), None)?;
        self.check_size(result.groups)?;
        self.put_together(&together, &by_codes, group.len(), &request, &result).map(Some)
    }

    /// What the contexts share, and how they differ; `None` where they differ otherwise.
    fn together(
        &self,
        cells: &Cells,
        contexts: &[(usize, Vec<u32>)],
        base: TableId,
    ) -> Option<Together> {
        if contexts.len() < WORTH_IT {
            return None;
        }
        let all: Vec<&FilterContext> =
            contexts.iter().map(|(c, _)| cells.distinct[*c].as_ref()).collect();
        let first = *all.first()?;
        let is_alike = |c: &&FilterContext| {
            c.used == first.used && c.directions == first.directions && c.secured == first.secured
        };
        if !all.iter().all(is_alike) {
            return None;
        }
        let in_all = |f: &&Filter| all.iter().all(|c| c.filters.contains(f));
        let shared: Vec<Filter> = first.filters.iter().filter(in_all).cloned().collect();
        let mut dimension = None;
        let mut own = Vec::new();
        for context in &all {
            let rest = context.filters.iter().filter(|f| !shared.contains(f));
            let rest: Vec<Filter> = rest.cloned().collect();
            for filter in &rest {
                let table = table_of(filter)?;
                if *dimension.get_or_insert(table) != table {
                    return None;
                }
            }
            own.push(rest);
        }
        let dimension = dimension?;
        let common = FilterContext { filters: shared, ..first.clone() };
        let reach = self.reach(&common, base);
        let path = reach.path(dimension)?.clone();
        let column = self.unique_column(dimension)?;
        let data = self.store.table(dimension);
        if path.is_empty() || data.column(column).has_blank() {
            return None;
        }
        let mut pairs = 0;
        let mut rows = Vec::new();
        for filters in own {
            let alone = FilterContext { filters, secured: Arc::default(), ..common.clone() };
            let seen = self.visibility().rows(&alone, dimension);
            pairs += seen.count();
            if pairs > MOST_PAIRS {
                return None;
            }
            rows.push(seen);
        }
        let key = ColumnId { table: dimension, column };
        Some(Together { common: Arc::new(common), reach, path, key, rows })
    }

    fn put_together(
        &self,
        together: &Together,
        by_codes: &CellsByCodes,
        grouped_by: usize,
        request: &ScanRequest,
        result: &ScanResult,
    ) -> Result<Grouped> {
        let column = self.store.table(together.key.table).column(together.key.column);
        let last = column.rows();
        // Contexts that see each code of the dimension's key; code 0 is the blank row's.
        let mut seen_by = vec![Vec::new(); column.cardinality() as usize];
        for (context, rows) in (0u32..).zip(&together.rows) {
            for row in rows.iter() {
                seen_by[if row == last { 0 } else { column.code(row) as usize }].push(context);
            }
        }
        let (width, of_rows) = (request.keys.len() - grouped_by - 1, request.keys.len() - 1);
        let mut out = Grouped {
            keys: vec![Vec::new(); grouped_by],
            aggregates: vec![Vec::new(); result.aggregates.len()],
            ..Grouped::default()
        };
        let mut places: HashMap<(u32, Vec<u32>), usize> = HashMap::new();
        for g in 0..result.groups {
            let codes: Vec<u32> = result.keys[..width].iter().map(|k| k[g]).collect();
            let Some(of_contexts) = by_codes.get(&codes) else { continue };
            let group: Vec<u32> = result.keys[width..of_rows].iter().map(|k| k[g]).collect();
            for context in &seen_by[result.keys[of_rows][g] as usize] {
                for cell in &of_contexts[*context as usize] {
                    match places.entry((*cell, group.clone())) {
                        Entry::Vacant(free) => {
                            free.insert(out.cells.len());
                            out.cells.push(*cell);
                            out.keys.iter_mut().zip(&group).for_each(|(k, c)| k.push(*c));
                            out.push_aggregates(&result.aggregates, g);
                        }
                        Entry::Occupied(known) => {
                            for (i, values) in out.aggregates.iter_mut().enumerate() {
                                let place = &mut values[*known.get()];
                                let more = &result.aggregates[i][g];
                                *place = self.joined(&request.aggregates[i], place, more)?;
                            }
                        }
                    }
                }
            }
        }
        Ok(out)
    }

    /// The aggregate of two sets of rows from the aggregates of each.
    fn joined(&self, aggregate: &Aggregate, a: &Value, b: &Value) -> Result<Value> {
        let want = match aggregate {
            Aggregate::Min(_) => std::cmp::Ordering::Less,
            Aggregate::Max(_) => std::cmp::Ordering::Greater,
            _ => return sum([a, b].into_iter()),
        };
        Ok(match (a.is_blank(), b.is_blank()) {
            (true, _) => b.clone(),
            (_, true) => a.clone(),
            _ if rules::compare(b, a, &self.collation)? == want => b.clone(),
            _ => a.clone(),
        })
    }
}

/// The one table a filter is on.
fn table_of(filter: &Filter) -> Option<TableId> {
    match filter {
        Filter::Column { column, .. } => Some(column.table),
        Filter::Tuples { columns, .. } => {
            let table = columns.first()?.table;
            columns.iter().all(|c| c.table == table).then_some(table)
        }
        Filter::Rows { table, without, .. } => without.is_empty().then_some(*table),
    }
}
