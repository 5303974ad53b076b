//! `RANKX` and `RANK.EQ`.

use std::collections::HashMap;

use evercube_base::{Result, Value};

use super::Evaluator;
use super::cells::{Cells, Scalars};
use crate::plan::{Kind, Node};
use crate::scalar as rules;

impl Evaluator<'_> {
    pub(crate) fn rank_x(&self, cells: &Cells, node: &Node) -> Result<Scalars> {
        let Kind::RankX { table, expression, value, ascending, dense } = &node.kind else {
            return Ok(Scalars::Same(Value::Blank));
        };
        let table = self.table(cells, table)?;
        let same = self.same_rows(cells, &table, expression);
        let (ranking, place) = match &same {
            Some((ranking, place)) => (ranking, Some(place)),
            None => (cells, None),
        };
        self.check_size((0..ranking.n).map(|c| table.range(c).len()).sum())?;
        let (inner, _) = ranking.iterate(&table);
        let values = self.scalars(&inner, expression)?;
        let own = match value {
            Some(v) => self.scalars(cells, v)?,
            None => Scalars::Same(Value::Blank),
        };
        // Cells often rank against the same values.
        let mut known: HashMap<Vec<super::set_operations::ValueKey>, usize> = HashMap::new();
        let mut sorted: Vec<Vec<Value>> = Vec::new();
        let mut of = Vec::with_capacity(ranking.n);
        let mut start = 0;
        for cell in 0..ranking.n {
            let len = table.range(cell).len();
            let of_cell: Vec<&Value> = (start..start + len).map(|i| values.get(i)).collect();
            start += len;
            let key = of_cell.iter().map(|v| self.key(v)).collect();
            of.push(*known.entry(key).or_insert_with(|| {
                let mut v: Vec<Value> = of_cell.into_iter().cloned().collect();
                v.sort_by(|a, b| {
                    evercube_work::tick();
                    self.better(a, b, *ascending)
                });
                if *dense {
                    v.dedup_by(|a, b| self.better(a, b, *ascending).is_eq());
                }
                sorted.push(v);
                sorted.len() - 1
            }));
        }
        let mut out = Vec::with_capacity(cells.n);
        for cell in 0..cells.n {
            let ranked = &sorted[of[place.map_or(cell, |p| p[cell] as usize)]];
            let mine = own.get(cell);
            let ahead = ranked.partition_point(|v| self.better(v, mine, *ascending).is_lt());
            out.push(Value::Int(ahead as i64 + 1));
        }
        Ok(Scalars::each(out))
    }

    /// Order in which values rank; blank ranks as zero among numbers.
    fn better(&self, a: &Value, b: &Value, ascending: bool) -> std::cmp::Ordering {
        let order = rules::compare(a, b, &self.collation)
            .unwrap_or_else(|_| rules::total_order(a, b, &self.collation));
        if ascending { order } else { order.reverse() }
    }

    pub(crate) fn rank_eq(
        &self,
        cells: &Cells,
        value: &Node,
        column: &Node,
        ascending: bool,
    ) -> Result<Scalars> {
        let mine = self.scalars(cells, value)?;
        let table = self.table(cells, column)?;
        self.each(cells.n, |cell| {
            let (mut ahead, mut found) = (0, false);
            if mine.get(cell).is_blank() {
                return Ok(Value::Blank);
            }
            for row in table.range(cell) {
                let v = table.rows.value(self.store, 0, row);
                if v.is_blank() {
                    continue;
                }
                let order = self.better(&v, mine.get(cell), ascending);
                ahead += i64::from(order.is_lt());
                found |= order.is_eq();
            }
            Ok(if found { Value::Int(ahead + 1) } else { Value::Blank })
        })
    }
}
