//! The values of a column that many contexts see, as sets: one scan tells which values there are at
//! each value of the grain, and each context has those of all the values of the grain that it sees.

use evercube_base::Result;
use evercube_store::{BitSet, ColumnId, ScanRequest};
use evercube_work::{tick, watched};

use super::{Asked, Grained, Together, growing};
use crate::eval::Evaluator;
use crate::eval::cells::Cells;
use crate::eval::numbering::Numbering;
use crate::rules::Rule;

impl Evaluator<'_> {
    /// The values of `column` that each cell sees, its blank row left aside; `None` where contexts
    /// have to be scanned for one by one, or the sets would have more than `most` words.
    pub(crate) fn sets_together(
        &self,
        cells: &Cells,
        contexts: &[(usize, Vec<u32>)],
        column: ColumnId,
        most: usize,
    ) -> Result<Option<Vec<BitSet>>> {
        if !self.has(Rule::ScanTogether) {
            return Ok(None);
        }
        let base = column.table;
        let Some(together) = self.together(cells, contexts, base) else { return Ok(None) };
        let Some(Grained { keyed, filters, mut keys, values }) =
            self.grained(cells, &together, base, &[])
        else {
            return Ok(None);
        };
        let size = self.cardinality(column) as usize;
        let sets = (keyed.combinations() as usize).saturating_mul(values);
        let Some(path) = together.reach.column(column) else { return Ok(None) };
        if sets.saturating_mul(size.div_ceil(64)) > most {
            return Ok(None);
        }
        let of_grain = keys.len() - 1;
        keys.push(path);
        let result = self
            .run_scan(ScanRequest { table: base, filters, keys, aggregates: Vec::new() }, None)?;
        let asked = Asked::new(keyed, contexts, cells.n);
        let codes = u64::from(self.cardinality(together.key));
        let numbers = u64::from(asked.keyed.combinations());
        let mut places = Numbering::new(vec![numbers, codes], sets);
        let mut of_places: Vec<BitSet> = Vec::new();
        for g in watched(0..result.groups) {
            tick();
            let own = result.keys[..of_grain].iter().map(|k| k[g]);
            let Some(number) = asked.keyed.find(own) else { continue };
            let place = places.number([number, result.keys[of_grain][g]].into_iter()) as usize;
            if place == of_places.len() {
                of_places.push(BitSet::new(size, false));
            }
            of_places[place].insert(result.keys[of_grain + 1][g] as usize);
        }
        let set = |number: u32, code: u32| {
            places.find([number, code].into_iter()).map(|place| &of_places[place as usize])
        };
        Ok(Some(self.sets_of_cells(cells.n, size, &together, &asked, set)))
    }

    /// Puts the sets at values of the grain together for each cell.
    fn sets_of_cells<'s>(
        &self,
        n: usize,
        size: usize,
        together: &Together,
        asked: &Asked,
        set: impl Fn(u32, u32) -> Option<&'s BitSet>,
    ) -> Vec<BitSet> {
        let mut out = vec![BitSet::new(size, false); n];
        let mut put = |number: u32, context: usize, seen: &BitSet| {
            tick();
            let pair = asked.pairs.find([number, context as u32].into_iter());
            for cell in pair.map_or(&[][..], |pair| asked.cells.get(pair)) {
                out[*cell as usize] = seen.clone();
            }
        };
        // The codes that each context sees, or that are new in it.
        let order = growing::growing(&together.rows);
        let mut codes: Vec<Vec<u32>> = vec![Vec::new(); together.rows.len()];
        match &order {
            Some(order) => {
                for (code, step) in (0..).zip(self.first_steps(together, order)) {
                    step.iter().for_each(|step| codes[*step as usize].push(code));
                }
            }
            None => {
                for (code, contexts) in (0..).zip(self.seen_by(together)) {
                    contexts.iter().for_each(|context| codes[*context as usize].push(code));
                }
            }
        }
        for number in watched(0..asked.keyed.combinations()) {
            let mut seen = BitSet::new(size, false);
            for (step, codes) in codes.iter().enumerate() {
                if order.is_none() {
                    seen = BitSet::new(size, false);
                }
                codes.iter().filter_map(|c| set(number, *c)).for_each(|more| seen.union(more));
                put(number, order.as_ref().map_or(step, |order| order[step]), &seen);
            }
        }
        out
    }
}
