//! Iterations over those rows of a common table that a cell lets through by their place in order:
//! the rows are put in that order once, with what they add up to so far, and each cell takes its
//! part of it. Cumulative shares, ranks by counting and the like take as long as sorting.

use std::ops::Range;

use evercube_base::{Decimal, Result, Value};
use evercube_work::{map_blocks, map_range, tick, watched};

use super::Evaluator;
use super::aggregate::sum;
use super::cells::{Cells, Scalars};
use super::iterate::not_zero;
use super::ordered_filter::Part;
use super::ordered_rows::{OrderedRows, both};
use crate::plan::{Fold, Kind, Node};

/// The rows of every cell, put in order: those of one cell that stands for others after the other,
/// within it by what cells ask one value of, then by what they ask a range of.
pub(super) struct InOrder {
    rows: Vec<u32>,
    /// Where in it the rows of each cell lie: two runs at most, blank being apart.
    pub cells: Vec<[Range<usize>; 2]>,
}

impl Evaluator<'_> {
    /// An iteration over the rows of a filter, where it is known how these add up; `None` where it
    /// is another one.
    pub(super) fn folded_in_order(&self, cells: &Cells, node: &Node) -> Result<Option<Scalars>> {
        let Kind::Iterate { fold, table, body, extra, order_by } = &node.kind else {
            return Ok(None);
        };
        let Kind::Filter { table, condition } = &table.kind else { return Ok(None) };
        let is_plain = extra.is_empty() && order_by.is_empty() && adds_up(*fold);
        let frame = cells.frames.len();
        if !is_plain
            || !super::same_rows::is_of_row(body, frame)
            || super::alike::mentions_selected(body)
        {
            return Ok(None);
        }
        let Some(found) = self.ordered_rows(cells, table, condition, &[body])? else {
            return Ok(None);
        };
        let in_order = InOrder::of(&found, cells.n);
        let asked = |order: &InOrder| order.asked() >= found.table.rows.len;
        let Some(in_order) = in_order.filter(asked) else {
            return self.folded(cells, &self.passing_rows(cells.n, &found)?, node).map(Some);
        };
        let (inner, _) = found.some.iterate(&found.table);
        let values = match self.scalars(&inner, body) {
            // A row that no cell lets through may be what fails.
            Err(e) if !e.kind.is_stop() => return Ok(None),
            values => values?,
        };
        self.fold_in_order(&in_order, *fold, &values)
    }

    /// How many rows of a filter each cell has.
    pub(super) fn passing_in_order(
        &self,
        cells: &Cells,
        table: &Node,
        condition: &Node,
    ) -> Result<Option<Scalars>> {
        let Some(found) = self.ordered_rows(cells, table, condition, &[])? else { return Ok(None) };
        let counts: Vec<usize> = match InOrder::of(&found, cells.n) {
            Some(order) => {
                order.cells.iter().map(|runs| runs.iter().map(Range::len).sum()).collect()
            }
            None => (0..cells.n).map(|cell| found.passing(cell).count()).collect(),
        };
        Ok(Some(Scalars::each(counts.into_iter().map(|n| not_zero(n as i64)).collect())))
    }

    /// The values of the rows folded for each cell; `None` where these do not add up.
    pub(super) fn fold_in_order(
        &self,
        order: &InOrder,
        fold: Fold,
        values: &Scalars,
    ) -> Result<Option<Scalars>> {
        let of_rows: Vec<&Value> = map_blocks(&order.rows, |row| values.get(*row as usize));
        if matches!(fold, Fold::Min | Fold::Max) {
            return self.extremes_in_order(order, fold == Fold::Max, values);
        }
        let Some(sums) = Sums::of(&of_rows) else { return Ok(None) };
        let folded = order.cells.iter().map(|runs| {
            tick();
            let filled = || runs.iter().map(|run| sums.filled(run)).sum::<usize>();
            let total = || sums.total(runs);
            Ok(match fold {
                Fold::Count => not_zero(filled() as i64),
                Fold::CountBlank => {
                    let all: usize = runs.iter().map(Range::len).sum();
                    let blanks = all - filled();
                    if all == 0 { Value::Blank } else { Value::Int(blanks as i64) }
                }
                Fold::Average => match (total()?.as_f64(), filled()) {
                    (Some(total), n) if n > 0 => Value::Double(total / n as f64),
                    _ => Value::Blank,
                },
                _ => total()?,
            })
        });
        Ok(Some(Scalars::each(folded.collect::<Result<_>>()?)))
    }

    /// The smallest or largest value of each cell's rows: of equal ones the one of the first row.
    fn extremes_in_order(
        &self,
        order: &InOrder,
        is_larger: bool,
        values: &Scalars,
    ) -> Result<Option<Scalars>> {
        let n = watched(&order.rows).map(|row| *row as usize + 1).max().unwrap_or(0);
        let Some((places, _)) = self.places(values, n)? else { return Ok(None) };
        let of_row = |row: &u32| {
            let at = *row as usize;
            let place = if is_larger { u32::MAX - places[at] } else { places[at] };
            (!values.get(at).is_blank()).then_some((place, *row))
        };
        let first = |a: &Option<(u32, u32)>, b: &Option<(u32, u32)>| match (a, b) {
            (Some(a), Some(b)) => Some(*a.min(b)),
            (a, b) => a.or(*b),
        };
        let tree = Tree::of(map_blocks(&order.rows, of_row), first);
        let found = order.cells.iter().map(|[a, b]| {
            tick();
            let best = first(&tree.over(a, first), &tree.over(b, first));
            best.map_or(Value::Blank, |(_, row)| values.get(row as usize).clone())
        });
        Ok(Some(Scalars::each(found.collect())))
    }
}

pub(super) fn adds_up(fold: Fold) -> bool {
    use Fold as F;
    matches!(fold, F::Sum | F::Average | F::Min | F::Max | F::Count | F::CountBlank)
}

impl InOrder {
    /// `None` where cells ask ranges of more than one thing.
    pub(super) fn of(found: &OrderedRows, n: usize) -> Option<Self> {
        let parts = merged(&found.parts);
        let (points, ranges): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(is_point);
        if ranges.len() > 1 {
            return None;
        }
        let axis = ranges.first();
        let by_points = |row: u32| points.iter().map(move |p| p.places[row as usize]);
        let by_axis = |row: u32| axis.map_or(0, |p| p.places[row as usize]);
        let mut rows: Vec<u32> = (0..found.table.rows.len as u32).collect();
        for cell in 0..found.some.n {
            rows[found.table.range(cell)].sort_unstable_by(|a, b| {
                tick();
                let by_place = || by_axis(*a).cmp(&by_axis(*b));
                by_points(*a).cmp(by_points(*b)).then_with(by_place).then(a.cmp(b))
            });
        }
        let run = |cell: usize, wanted: Range<u32>| {
            let all = found.table.range(found.place[cell] as usize);
            let from = all.start;
            let Some(point) = points.iter().map(|p| point_of(p, cell)).collect::<Option<Vec<_>>>()
            else {
                return from..from;
            };
            let until = |place: u32| {
                let before = |row: &u32| {
                    by_points(*row)
                        .cmp(point.iter().copied())
                        .then(by_axis(*row).cmp(&place))
                        .is_lt()
                };
                from + rows[all.clone()].partition_point(before)
            };
            let start = until(wanted.start);
            start..until(wanted.end).max(start)
        };
        let runs = |cell: usize| {
            tick();
            let Some(axis) = axis else { return [run(cell, 0..1), 0..0] };
            let wanted = axis.ranges[cell].clone();
            match &axis.blanks {
                None => [run(cell, wanted), 0..0],
                Some(blanks) => {
                    let values = both(&wanted, &(1..u32::MAX));
                    [run(cell, values), if blanks[cell] { run(cell, 0..1) } else { 0..0 }]
                }
            }
        };
        let cells = (0..n).map(runs).collect();
        Some(Self { rows, cells })
    }

    /// How many pairs of a cell and a row there are.
    pub(super) fn asked(&self) -> usize {
        self.cells.iter().flatten().map(Range::len).sum()
    }
}

/// Comparisons of the same thing as one.
fn merged(parts: &[Part]) -> Vec<Part> {
    let mut out: Vec<Part> = Vec::new();
    for part in parts {
        let known = out.iter_mut().find(|known| {
            known.places == part.places && known.blanks.is_some() == part.blanks.is_some()
        });
        let Some(known) = known else {
            out.push(Part {
                places: part.places.clone(),
                ranges: part.ranges.clone(),
                blanks: part.blanks.clone(),
            });
            continue;
        };
        known.ranges.iter_mut().zip(&part.ranges).for_each(|(a, b)| *a = both(a, b));
        if let (Some(a), Some(b)) = (&mut known.blanks, &part.blanks) {
            a.iter_mut().zip(b).for_each(|(a, b)| *a &= *b);
        }
    }
    out
}

/// Whether each cell lets one place through at most.
fn is_point(part: &Part) -> bool {
    let blank = |cell: usize| part.blanks.as_ref().is_some_and(|blanks| blanks[cell]);
    let (ranges, apart) = (&part.ranges, part.blanks.is_some());
    ranges.iter().enumerate().all(|(cell, r)| {
        let values = if apart { both(r, &(1..u32::MAX)).len() } else { r.len() };
        values + usize::from(blank(cell)) <= 1
    })
}

/// The one place that a cell lets through.
fn point_of(part: &Part, cell: usize) -> Option<u32> {
    match &part.blanks {
        Some(blanks) if blanks[cell] => Some(0),
        Some(_) => both(&part.ranges[cell], &(1..u32::MAX)).next(),
        None => part.ranges[cell].clone().next(),
    }
}

/// What values add up to, from the first to each of them: whole numbers and fixed decimals exactly.
struct Sums {
    filled: Vec<u32>,
    whole: Exact,
    fixed: Exact,
    real: Option<Tree<Option<f64>>>,
}

/// Numbers without fractions, and how many there are.
#[derive(Default)]
struct Exact {
    sums: Vec<i128>,
    counts: Vec<u32>,
}

impl Exact {
    /// `None` where a sum of some of them may be too large.
    fn of(values: &[&Value], number: impl Fn(&Value) -> Option<i64>) -> Option<Self> {
        let (mut sum, mut size, mut count) = (0_i128, 0_i128, 0_u32);
        let mut out = Self { sums: vec![0], counts: vec![0] };
        for value in watched(values) {
            if let Some(number) = number(value) {
                (sum, size) = (sum + i128::from(number), size + i128::from(number).abs());
                count += 1;
            }
            out.sums.push(sum);
            out.counts.push(count);
        }
        (size <= i128::from(i64::MAX)).then_some(out)
    }

    fn over(&self, runs: &[Range<usize>]) -> Option<i64> {
        let count: u32 = runs.iter().map(|r| self.counts[r.end] - self.counts[r.start]).sum();
        let sum: i128 = runs.iter().map(|r| self.sums[r.end] - self.sums[r.start]).sum();
        (count > 0).then_some(sum as i64)
    }
}

impl Sums {
    /// `None` where something is no number.
    fn of(values: &[&Value]) -> Option<Self> {
        if values.iter().any(|v| matches!(v, Value::String(_))) {
            return None;
        }
        let whole = |v: &Value| if let Value::Int(i) = v { Some(*i) } else { None };
        let fixed = |v: &Value| if let Value::Decimal(Decimal(d)) = v { Some(*d) } else { None };
        let real = |v: &Value| match v {
            Value::Blank | Value::Int(_) | Value::Decimal(_) | Value::String(_) => None,
            other => Some(other.as_f64().unwrap_or(0.0)),
        };
        let mut filled = vec![0];
        let mut so_far = 0;
        filled.extend(watched(values).map(|v| {
            so_far += u32::from(!v.is_blank());
            so_far
        }));
        let reals = map_range(values.len(), |i| real(values[i]));
        let real = reals.iter().any(Option::is_some).then(|| Tree::of(reals, added));
        Some(Self {
            filled,
            whole: Exact::of(values, whole)?,
            fixed: Exact::of(values, fixed)?,
            real,
        })
    }

    fn filled(&self, run: &Range<usize>) -> usize {
        (self.filled[run.end] - self.filled[run.start]) as usize
    }

    fn total(&self, runs: &[Range<usize>; 2]) -> Result<Value> {
        let real = self
            .real
            .as_ref()
            .and_then(|tree| added(&tree.over(&runs[0], added), &tree.over(&runs[1], added)));
        let kinds = [
            self.whole.over(runs).map(Value::Int),
            self.fixed.over(runs).map(|d| Value::Decimal(Decimal(d))),
            real.map(Value::Double),
        ];
        sum(kinds.iter().flatten())
    }
}

fn added(a: &Option<f64>, b: &Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(*b),
    }
}

/// Values put together over runs of them, pair by pair: what a run comes to is known from a few of
/// the pairs.
struct Tree<T> {
    leaves: usize,
    nodes: Vec<T>,
}

impl<T: Clone + Default> Tree<T> {
    fn of(values: Vec<T>, join: impl Fn(&T, &T) -> T) -> Self {
        let leaves = values.len().next_power_of_two();
        let mut nodes = vec![T::default(); 2 * leaves];
        nodes[leaves..leaves + values.len()].clone_from_slice(&values);
        for node in watched((1..leaves).rev()) {
            nodes[node] = join(&nodes[2 * node], &nodes[2 * node + 1]);
        }
        Self { leaves, nodes }
    }

    fn over(&self, run: &Range<usize>, join: impl Fn(&T, &T) -> T) -> T {
        let (mut from, mut until) = (run.start + self.leaves, run.end + self.leaves);
        let (mut left, mut right) = (T::default(), T::default());
        while from < until {
            if from % 2 == 1 {
                left = join(&left, &self.nodes[from]);
                from += 1;
            }
            if until % 2 == 1 {
                until -= 1;
                right = join(&self.nodes[until], &right);
            }
            (from, until) = (from / 2, until / 2);
        }
        join(&left, &right)
    }
}
