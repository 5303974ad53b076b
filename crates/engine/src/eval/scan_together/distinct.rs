//! Distinct counts of many contexts from one scan: it tells which values there are at each value of
//! the grain, and each context counts the different ones among those it sees. Customers of the year
//! to date or of the last ninety days are counted so.

use evercube_base::{Result, Value};
use evercube_store::ScanRequest;
use evercube_work::{tick, watched};

use super::{Asked, Grouped, Together, growing};
use crate::eval::Evaluator;
use crate::eval::numbering::{ByNumber, Numbering};

/// So many combinations of grain and value are numbered by an array as quickly as a filter is
/// tested, and so many less quickly; beyond that they are found by hashing.
const DENSE: usize = 1 << 22;
const SPARSE: usize = 1 << 25;

/// Whether one scan for all is less work than one for each context: scans that find many pairs take
/// longer than those which only count.
pub(super) fn is_worth_it(contexts: usize, combinations: usize) -> bool {
    contexts
        >= match combinations {
            n if n <= DENSE => 6,
            n if n <= SPARSE => 12,
            _ => 40,
        }
}

/// What contexts see, by codes of the grain.
enum Sees {
    /// Each what the one before it in the order sees, and more: the step at which a code is seen.
    Growing { order: Vec<usize>, steps: Vec<Option<u32>> },
    /// The codes of each.
    Apart(Vec<Vec<u32>>),
}

impl Evaluator<'_> {
    /// Counts the codes of the request's last key; the one before it is the grain, those before that
    /// are the cells' own.
    pub(super) fn distinct_together(
        &self,
        together: &Together,
        asked: &Asked,
        request: &ScanRequest,
        with_blank: bool,
    ) -> Result<Grouped> {
        let result = self.run_scan(request.clone(), None)?;
        self.check_size(result.groups)?;
        // The cells' own keys come before the grain.
        let of_grain = request.keys.len() - 2;
        let card = |at: usize| u64::from(self.cardinality(request.keys[at].column));
        let numbers = u64::from(asked.keyed.combinations());
        // The values of each combination of cells' keys and grain.
        let mut lists = Numbering::new(vec![numbers, card(of_grain)], result.groups);
        let mut values = Vec::with_capacity(result.groups);
        for g in watched(0..result.groups) {
            tick();
            let codes = result.keys[..of_grain].iter().map(|k| k[g]);
            let Some(number) = asked.keyed.find(codes) else { continue };
            let list = lists.number([number, result.keys[of_grain][g]].into_iter());
            values.push((list, result.keys[of_grain + 1][g]));
        }
        let values = ByNumber::new(&values, lists.len);
        let sees = self.sees(together);
        let mut counter = Counter::new(card(of_grain + 1) as usize, with_blank);
        let mut out = Grouped { aggregates: vec![Vec::new()], ..Grouped::default() };
        for number in watched(0..asked.keyed.combinations()) {
            let list = |code: u32| {
                let list = lists.find([number, code].into_iter());
                list.map_or(&[][..], |list| values.get(list))
            };
            for (context, count) in counter.counts(&sees, list) {
                let pair = asked.pairs.find([number, context as u32].into_iter());
                for cell in pair.map_or(&[][..], |pair| asked.cells.get(pair)) {
                    out.cells.push(*cell);
                    out.aggregates[0].push(Value::Int(count));
                }
            }
        }
        Ok(out)
    }

    fn sees(&self, together: &Together) -> Sees {
        if let Some(order) = growing::growing(&together.rows) {
            let steps = self.first_steps(together, &order);
            return Sees::Growing { order, steps };
        }
        let mut codes = vec![Vec::new(); together.rows.len()];
        for (code, contexts) in (0..).zip(self.seen_by(together)) {
            contexts.iter().for_each(|context| codes[*context as usize].push(code));
        }
        Sees::Apart(codes)
    }
}

/// Counts different values.
struct Counter {
    /// For each value what it was met in last.
    met: Vec<u32>,
    stamp: u32,
    with_blank: bool,
}

impl Counter {
    fn new(values: usize, with_blank: bool) -> Self {
        Self { met: vec![0; values], stamp: 0, with_blank }
    }

    /// How many of the values are met for the first time since `begin`.
    fn add(&mut self, list: &[u32]) -> i64 {
        let mut new = 0;
        for value in list {
            let met = &mut self.met[*value as usize];
            new += i64::from(*met != self.stamp && (self.with_blank || *value > 0));
            *met = self.stamp;
        }
        new
    }

    fn begin(&mut self) {
        if self.stamp == u32::MAX {
            self.met.fill(0);
            self.stamp = 0;
        }
        self.stamp += 1;
    }

    /// The different values of every context that sees some, each with the context.
    fn counts<'l>(&mut self, sees: &Sees, list: impl Fn(u32) -> &'l [u32]) -> Vec<(usize, i64)> {
        match sees {
            Sees::Growing { order, steps } => self.growing(order, steps, list),
            Sees::Apart(codes) => {
                let mut out = Vec::new();
                for (context, codes) in codes.iter().enumerate() {
                    self.begin();
                    let (mut count, mut has_rows) = (0, false);
                    for code in codes {
                        tick();
                        let list = list(*code);
                        has_rows |= !list.is_empty();
                        count += self.add(list);
                    }
                    if has_rows {
                        out.push((context, count));
                    }
                }
                out
            }
        }
    }

    fn growing<'l>(
        &mut self,
        order: &[usize],
        steps: &[Option<u32>],
        list: impl Fn(u32) -> &'l [u32],
    ) -> Vec<(usize, i64)> {
        self.begin();
        let mut by_step: Vec<(u32, &[u32])> = (0..)
            .zip(steps)
            .filter_map(|(code, step)| Some(((*step)?, list(code))))
            .filter(|(_, list)| !list.is_empty())
            .collect();
        by_step.sort_by_key(|(step, _)| *step);
        let Some((first, _)) = by_step.first().copied() else { return Vec::new() };
        let mut rest = by_step.into_iter().peekable();
        let (mut out, mut count) = (Vec::new(), 0);
        for (step, context) in (0..).zip(order) {
            tick();
            while let Some((_, list)) = rest.next_if(|(of, _)| *of <= step) {
                count += self.add(list);
            }
            if step >= first {
                out.push((*context, count));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_once_for_each_context() {
        let lists: [&[u32]; 4] = [&[], &[0, 3, 5], &[5, 6], &[3, 7]];
        let list = |code: u32| lists[code as usize];
        let apart = Sees::Apart(vec![vec![1, 2], vec![2, 3], vec![0], vec![1, 2, 3]]);
        let growing =
            Sees::Growing { order: vec![2, 0, 1], steps: vec![Some(0), Some(1), Some(1), Some(2)] };
        for (with_blank, blank) in [(true, 1), (false, 0)] {
            let mut counter = Counter::new(8, with_blank);
            let counts = counter.counts(&apart, list);
            assert_eq!(counts, [(0, 3 + blank), (1, 4), (3, 4 + blank)]);
            assert_eq!(counter.counts(&growing, list), [(0, 3 + blank), (1, 4 + blank)]);
        }
    }
}
