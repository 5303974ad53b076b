//! `RANKX` and `RANK.EQ`.

use std::collections::HashMap;

use evercube_base::{Result, Value};
use evercube_work::watched;

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
        let own = match value {
            Some(v) => self.scalars(cells, v)?,
            None => Scalars::Same(Value::Blank),
        };
        let ranked_by = |cell: u32| place.map_or(cell, |p| p[cell as usize]);
        let mut members: Vec<u32> = (0..cells.n as u32).collect();
        members.sort_by_key(|cell| ranked_by(*cell));
        let mut members = members.into_iter().peekable();
        let mut out = vec![Value::Blank; cells.n];
        self.each_run(ranking, &table, expression, |first, run, part| {
            let (inner, _) = run.iterate(part);
            let values = self.scalars(&inner, expression)?;
            // Cells often rank against the same values.
            let mut known: HashMap<Vec<super::set_operations::ValueKey>, Vec<Value>> =
                HashMap::new();
            let mut start = 0;
            for cell in watched(0..run.n) {
                let len = part.range(cell).len();
                let of_cell: Vec<&Value> = (start..start + len).map(|i| values.get(i)).collect();
                start += len;
                let key = of_cell.iter().map(|v| self.key(v)).collect();
                let ranked =
                    known.entry(key).or_insert_with(|| self.ranked(of_cell, *ascending, *dense));
                let ranking_cell = (first + cell) as u32;
                while let Some(member) = members.next_if(|m| ranked_by(*m) == ranking_cell) {
                    let mine = own.get(member as usize);
                    let ahead =
                        ranked.partition_point(|v| self.better(v, mine, *ascending).is_lt());
                    out[member as usize] = Value::Int(ahead as i64 + 1);
                }
            }
            Ok(())
        })?;
        Ok(Scalars::each(out))
    }

    /// Values in the order of their ranks; each once where ranks are dense.
    fn ranked(&self, values: Vec<&Value>, ascending: bool, dense: bool) -> Vec<Value> {
        let mut sorted: Vec<Value> = values.into_iter().cloned().collect();
        sorted.sort_by(|a, b| {
            evercube_work::tick();
            self.better(a, b, ascending)
        });
        if dense {
            sorted.dedup_by(|a, b| self.better(a, b, ascending).is_eq());
        }
        sorted
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
