//! Many contexts that differ only in filters on one dimension, answered by one scan: it groups by
//! a column of the dimension that tells what each sees, and each puts together its values.
//! Year-to-date, prior-year and moving totals over a hundred months are one scan at month grain
//! instead of a hundred.

mod distinct;
mod growing;
mod sets;

use std::sync::Arc;

use evercube_base::{Result, Value};
use evercube_store::{
    Aggregate, BitSet, ColumnId, PathColumn, RelationshipId, ScanFilter, ScanRequest, ScanResult,
    TableId,
};
use evercube_work::watched;

use super::Evaluator;
use super::aggregate::sum;
use super::cells::Cells;
use super::keyed_cells::KeyedCells;
use super::numbering::{ByNumber, Numbering};
use super::scan::{Grouped, MakeAggregates, Reach};
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
    /// A column of the dimension that tells apart the rows that some contexts see and others not.
    key: ColumnId,
    /// Dimension rows that each context sees, the blank row last.
    rows: Vec<BitSet>,
}

/// What one scan for all contexts asks.
struct Grained {
    keyed: KeyedCells,
    filters: Vec<ScanFilter>,
    /// Those of the cells, those of the groups, the grain.
    keys: Vec<PathColumn>,
    /// How many values of the grain some context sees.
    values: usize,
}

/// Cells by the combination of their key codes and their context.
struct Asked {
    keyed: KeyedCells,
    /// Numbers for a combination and a context.
    pairs: Numbering,
    cells: ByNumber,
}

impl Asked {
    fn new(keyed: KeyedCells, contexts: &[(usize, Vec<u32>)], n: usize) -> Self {
        let mut context_of = vec![0; n];
        for (at, (_, members)) in (0u32..).zip(contexts) {
            members.iter().for_each(|cell| context_of[*cell as usize] = at);
        }
        let cards = vec![u64::from(keyed.combinations()), contexts.len() as u64];
        let mut pairs = Numbering::new(cards, n);
        let numbers: Vec<(u32, u32)> = keyed
            .numbers
            .iter()
            .map(|(n, cell)| (pairs.number([*n, context_of[*cell as usize]].into_iter()), *cell))
            .collect();
        let cells = ByNumber::new(&numbers, pairs.len);
        Self { keyed, pairs, cells }
    }
}

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
        let mut aggregates = make(&together.reach)?;
        let counted = match aggregates.as_slice() {
            [Aggregate::DistinctCount { column, with_blank }] if group.is_empty() => {
                Some((column.clone(), *with_blank))
            }
            all if all.iter().all(Aggregate::adds_up) => None,
            _ => return Ok(None),
        };
        let Some(Grained { keyed, filters, mut keys, values }) =
            self.grained(cells, &together, base, group)
        else {
            return Ok(None);
        };
        let combinations = group
            .iter()
            .map(|c| self.store.table(c.table).column(c.column).cardinality() as usize)
            .fold((keyed.combinations() as usize).saturating_mul(values), usize::saturating_mul);
        let is_worth_it = match &counted {
            Some((column, _)) => {
                let values = self.cardinality(column.column) as usize;
                distinct::is_worth_it(contexts.len(), combinations.saturating_mul(values))
            }
            None => combinations <= FEW_GROUPS.max(self.store.table(base).rows() / 2),
        };
        if !is_worth_it {
            return Ok(None);
        }
        if let Some((column, with_blank)) = counted {
            keys.push(column);
            aggregates.clear();
            let request = ScanRequest { table: base, filters, keys, aggregates };
            let asked = Asked::new(keyed, contexts, cells.n);
            return self.distinct_together(&together, &asked, &request, with_blank).map(Some);
        }
        let request = ScanRequest { table: base, filters, keys, aggregates };
        let result = self.run_scan(request.clone(), None)?;
        self.check_size(result.groups)?;
        let asked = Asked::new(keyed, contexts, cells.n);
        self.put_together(&together, &asked, group.len(), &request, &result).map(Some)
    }

    /// What the one scan asks but for its aggregates; `None` where the keys of cells are no keys of a
    /// scan.
    fn grained(
        &self,
        cells: &Cells,
        together: &Together,
        base: TableId,
        group: &[ColumnId],
    ) -> Option<Grained> {
        let everyone: Vec<u32> = (0..cells.n as u32).collect();
        let keyed = self.keyed(cells, &everyone, &together.common, base, &together.reach).ok()?;
        let key = self.store.table(together.key.table).column(together.key.column);
        let mut seen = BitSet::new(key.cardinality() as usize, false);
        let codes = key.all_codes();
        let rows = together.rows.iter().flat_map(BitSet::iter);
        rows.for_each(|row| seen.insert(codes[row] as usize));
        let values = seen.count();
        let grain = PathColumn { path: together.path.clone(), column: together.key };
        let mut filters = self.scan_filters(&together.common, base, &together.reach);
        filters.extend(self.codes_filter(&grain, seen));
        let mut keys = keyed.columns.clone();
        for column in group {
            keys.push(together.reach.column(*column)?);
        }
        keys.push(grain);
        self.narrow(&keyed, &mut filters);
        Some(Grained { keyed, filters, keys, values })
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
        if path.is_empty() {
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
        let key = self.grain(dimension, &rows)?;
        Some(Together { common: Arc::new(common), reach, path, key, rows })
    }

    /// The column of fewest values such that each set of rows is all rows of some of its values:
    /// the year where every set is whole years, the date where nothing coarser will do.
    fn grain(&self, table: TableId, sets: &[BitSet]) -> Option<ColumnId> {
        let data = self.store.table(table);
        let finest = self.unique_column(table).filter(|c| !data.column(*c).has_blank());
        let most = finest.map_or(u32::MAX, |c| data.column(c).cardinality());
        let mut columns: Vec<u32> = (0..data.columns() as u32)
            .filter(|c| data.column(*c).cardinality() < most && self.has(Rule::CoarseGrain))
            .collect();
        columns.sort_by_key(|c| (data.column(*c).cardinality(), *c));
        let found = columns.into_iter().find(|c| self.is_union_of_values(table, *c, sets));
        found.or(finest).map(|column| ColumnId { table, column })
    }

    /// Whether each set of rows is all rows of some values of a column.
    fn is_union_of_values(&self, table: TableId, column: u32, sets: &[BitSet]) -> bool {
        let of = self.store.table(table).column(column);
        let codes = of.all_codes();
        let rows = of.rows() + usize::from(self.store.has_blank_row(table));
        let mut rows_of = vec![0_usize; of.cardinality() as usize];
        codes[..rows].iter().for_each(|code| rows_of[*code as usize] += 1);
        let mut met = vec![usize::MAX; rows_of.len()];
        sets.iter().enumerate().all(|(i, rows)| {
            let (mut here, mut whole) = (0, 0);
            for row in rows.iter() {
                let code = codes[row] as usize;
                here += 1;
                if met[code] != i {
                    met[code] = i;
                    whole += rows_of[code];
                }
            }
            here == whole
        })
    }

    /// For each code of the grain, the contexts that see its rows.
    fn seen_by(&self, together: &Together) -> Vec<Vec<u32>> {
        let column = self.store.table(together.key.table).column(together.key.column);
        let codes = column.all_codes();
        let mut seen_by: Vec<Vec<u32>> = vec![Vec::new(); column.cardinality() as usize];
        for (context, rows) in (0u32..).zip(&together.rows) {
            for row in rows.iter() {
                let of = &mut seen_by[codes[row] as usize];
                if of.last() != Some(&context) {
                    of.push(context);
                }
            }
        }
        seen_by
    }

    fn put_together(
        &self,
        together: &Together,
        asked: &Asked,
        grouped_by: usize,
        request: &ScanRequest,
        result: &ScanResult,
    ) -> Result<Grouped> {
        if let Some(order) = growing::growing(&together.rows) {
            return self.put_together_growing(together, asked, grouped_by, request, result, &order);
        }
        let seen_by = self.seen_by(together);
        let (width, of_rows) = (request.keys.len() - grouped_by - 1, request.keys.len() - 1);
        let mut out = Grouped {
            keys: vec![Vec::new(); grouped_by],
            aggregates: vec![Vec::new(); result.aggregates.len()],
            ..Grouped::default()
        };
        let card = |k: &PathColumn| u64::from(self.cardinality(k.column));
        let cells = asked.keyed.numbers.iter().map(|(_, cell)| u64::from(*cell) + 1).max();
        let groups = request.keys[width..of_rows].iter().map(card);
        let cards = cells.into_iter().chain(groups).collect();
        let mut places = Numbering::new(cards, asked.keyed.numbers.len());
        for g in watched(0..result.groups) {
            let codes = result.keys[..width].iter().map(|k| k[g]);
            let Some(number) = asked.keyed.find(codes) else { continue };
            let group = || result.keys[width..of_rows].iter().map(|k| k[g]);
            for context in &seen_by[result.keys[of_rows][g] as usize] {
                let Some(pair) = asked.pairs.find([number, *context].into_iter()) else { continue };
                for cell in asked.cells.get(pair) {
                    let place = places.number(std::iter::once(*cell).chain(group()));
                    if place as usize == out.cells.len() {
                        out.cells.push(*cell);
                        out.keys.iter_mut().zip(group()).for_each(|(k, c)| k.push(c));
                    }
                    self.join_group(&mut out, place, &request.aggregates, &result.aggregates, g)?;
                }
            }
        }
        Ok(out)
    }

    /// Puts aggregates of a group `from` together with what the group at `place` has, which may be
    /// nothing yet.
    pub(super) fn join_group(
        &self,
        out: &mut Grouped,
        place: u32,
        asked: &[Aggregate],
        aggregates: &[Vec<Value>],
        from: usize,
    ) -> Result<()> {
        for (i, to) in out.aggregates.iter_mut().enumerate() {
            let more = &aggregates[i][from];
            match to.get_mut(place as usize) {
                Some(known) => *known = self.joined(&asked[i], known, more)?,
                None => to.push(more.clone()),
            }
        }
        Ok(())
    }

    /// The aggregate of two sets of rows from the aggregates of each.
    pub(super) fn joined(&self, aggregate: &Aggregate, a: &Value, b: &Value) -> Result<Value> {
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
        Filter::Rows { table, without, relationships, .. } => {
            (without.is_empty() && relationships.is_none()).then_some(*table)
        }
    }
}
