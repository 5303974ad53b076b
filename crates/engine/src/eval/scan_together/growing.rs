//! Contexts of which each sees what the one before it sees and more, as those of a running total:
//! what a context has is what the one before it had and what is new, instead of everything that
//! it sees.

use evercube_base::{Result, Value};
use evercube_store::{BitSet, ScanRequest, ScanResult};
use evercube_work::{tick, watched};

use super::{Asked, Grouped, Together};
use crate::eval::Evaluator;
use crate::eval::numbering::Numbering;

/// The contexts in the order in which they see more; `None` where it is not always more.
pub(super) fn growing(seen: &[BitSet]) -> Option<Vec<usize>> {
    let mut order: Vec<usize> = (0..seen.len()).collect();
    order.sort_by_key(|context| seen[*context].count());
    let is_within = |(a, b): (usize, usize)| {
        seen[a].words().iter().zip(seen[b].words()).all(|(a, b)| a & !b == 0)
    };
    order.windows(2).all(|pair| is_within((pair[0], pair[1]))).then_some(order)
}

impl Evaluator<'_> {
    /// Puts together the groups of the scan for contexts in such an `order`.
    pub(super) fn put_together_growing(
        &self,
        together: &Together,
        asked: &Asked,
        grouped_by: usize,
        request: &ScanRequest,
        result: &ScanResult,
        order: &[usize],
    ) -> Result<Grouped> {
        let steps = self.first_steps(together, order);
        let (width, of_rows) = (request.keys.len() - grouped_by - 1, request.keys.len() - 1);
        let group = |g: usize| result.keys[width..of_rows].iter().map(move |k| k[g]);
        // The groups of each line: those that differ in the row of the dimension alone.
        let mut lines = Numbering::of_columns(
            &result.keys[..of_rows].iter().map(Vec::as_slice).collect::<Vec<_>>(),
            result.groups,
        );
        let mut of_line: Vec<Vec<(u32, usize)>> = Vec::new();
        for g in watched(0..result.groups) {
            let Some(step) = steps[result.keys[of_rows][g] as usize] else { continue };
            let line = lines.number(result.keys[..of_rows].iter().map(|k| k[g])) as usize;
            of_line.resize_with(of_line.len().max(line + 1), Vec::new);
            of_line[line].push((step, g));
        }
        let mut out = Grouped {
            keys: vec![Vec::new(); grouped_by],
            aggregates: vec![Vec::new(); result.aggregates.len()],
            ..Grouped::default()
        };
        for mut line in of_line {
            line.sort_unstable();
            let Some((_, first)) = line.first().copied() else { continue };
            let codes = result.keys[..width].iter().map(|k| k[first]);
            let Some(number) = asked.keyed.find(codes) else { continue };
            let mut so_far = vec![Value::Blank; result.aggregates.len()];
            let mut rest = line.iter().peekable();
            for (step, context) in (0..).zip(order) {
                tick();
                while let Some((_, g)) = rest.next_if(|(of, _)| *of <= step) {
                    for (i, value) in so_far.iter_mut().enumerate() {
                        let more = &result.aggregates[i][*g];
                        *value = self.joined(&request.aggregates[i], value, more)?;
                    }
                }
                if line[0].0 > step {
                    continue;
                }
                let pair = asked.pairs.find([number, *context as u32].into_iter());
                for cell in pair.map_or(&[][..], |pair| asked.cells.get(pair)) {
                    out.cells.push(*cell);
                    out.keys.iter_mut().zip(group(first)).for_each(|(k, c)| k.push(c));
                    out.aggregates.iter_mut().zip(&so_far).for_each(|(to, v)| to.push(v.clone()));
                }
            }
        }
        Ok(out)
    }

    /// For each code of the grain, the place in the order of the first context that sees it.
    pub(super) fn first_steps(&self, together: &Together, order: &[usize]) -> Vec<Option<u32>> {
        let column = self.store.table(together.key.table).column(together.key.column);
        let codes = column.all_codes();
        let mut steps = vec![None; column.cardinality() as usize];
        let mut known: Option<&BitSet> = None;
        for (step, context) in (0..).zip(order) {
            let rows = &together.rows[*context];
            for row in rows.iter().filter(|row| known.is_none_or(|known| !known.get(*row))) {
                steps[codes[row] as usize].get_or_insert(step);
            }
            known = Some(rows);
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(bits: &[usize]) -> BitSet {
        let mut set = BitSet::new(100, false);
        bits.iter().for_each(|bit| set.insert(*bit));
        set
    }

    #[test]
    fn each_sees_what_the_one_before_it_sees() {
        let sets = [set(&[1, 70, 99]), set(&[]), set(&[70]), set(&[70])];
        assert_eq!(growing(&sets), Some(vec![1, 2, 3, 0]));
        assert_eq!(growing(&[set(&[1, 2]), set(&[2, 3, 4])]), None);
    }
}
