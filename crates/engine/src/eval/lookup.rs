//! Values found in tables: single values, `IN`, `CONTAINS`, `LOOKUPVALUE`, `PATH`, `NETWORKDAYS`.

use std::collections::{HashMap, HashSet};

use evercube_base::{Error, Result, Value};
use evercube_store::ColumnId;
use evercube_work::{tick, watched};

use super::Evaluator;
use super::cells::{Cells, Scalars};
use super::set_operations::ValueKey;
use crate::plan::Node;
use crate::scalar as rules;

impl Evaluator<'_> {
    pub(crate) fn single_value(
        &self,
        cells: &Cells,
        table: &Node,
        otherwise: Option<&Node>,
        strict: bool,
    ) -> Result<Scalars> {
        let found = self.table(cells, table)?;
        let mut out = vec![Value::Blank; cells.n];
        let mut open = Vec::new();
        for (cell, v) in watched(out.iter_mut()).enumerate() {
            let range = found.range(cell);
            match range.len() {
                1 => *v = found.rows.value(self.store, 0, range.start),
                0 if strict => {}
                _ if strict => {
                    return Err(Error::evaluation(
                        "A table of multiple values was supplied where a single value was expected.",
                    ));
                }
                _ => open.push(cell as u32),
            }
        }
        if let Some(node) = otherwise
            && !open.is_empty()
        {
            let values = self.scalars(&cells.select(&open), node)?;
            for (i, cell) in open.iter().enumerate() {
                out[*cell as usize] = values.get(i).clone();
            }
        }
        Ok(Scalars::each(out))
    }

    pub(crate) fn is_in(&self, cells: &Cells, left: &[Node], right: &Node) -> Result<Scalars> {
        let left: Vec<Scalars> =
            left.iter().map(|l| self.scalars(cells, l)).collect::<Result<_>>()?;
        let table = self.table(cells, right)?;
        let keys_of = |cell: usize| -> HashSet<Vec<ValueKey>> {
            let key = |row| {
                (0..left.len()).map(|c| self.key(&table.rows.value(self.store, c, row))).collect()
            };
            table.range(cell).map(key).collect()
        };
        let shared = table.starts.is_none().then(|| keys_of(0));
        let mut out = Vec::with_capacity(cells.n);
        for cell in watched(0..cells.n) {
            let key: Vec<ValueKey> = left.iter().map(|l| self.key(l.get(cell))).collect();
            out.push(Value::Boolean(match &shared {
                Some(set) => set.contains(&key),
                None => keys_of(cell).contains(&key),
            }));
        }
        Ok(Scalars::each(out))
    }

    pub(crate) fn contains(
        &self,
        cells: &Cells,
        table: &Node,
        pairs: &[(usize, Node)],
    ) -> Result<Scalars> {
        let table = self.table(cells, table)?;
        let values: Vec<Scalars> =
            pairs.iter().map(|(_, v)| self.scalars(cells, v)).collect::<Result<_>>()?;
        self.each(cells.n, |cell| {
            for row in table.range(cell) {
                let mut all = true;
                for ((column, _), v) in pairs.iter().zip(&values) {
                    let here = table.rows.value(self.store, *column, row);
                    all = all && rules::equal(&here, v.get(cell), &self.collation)?;
                }
                if all {
                    return Ok(Value::Boolean(true));
                }
            }
            Ok(Value::Boolean(false))
        })
    }

    /// Looks in all rows of the result column's table, whatever the filters.
    pub(crate) fn lookup_value(
        &self,
        cells: &Cells,
        result: ColumnId,
        _table: &Node,
        pairs: &[(ColumnId, Node)],
        otherwise: Option<&Node>,
    ) -> Result<Scalars> {
        let values: Vec<Scalars> =
            pairs.iter().map(|(_, v)| self.scalars(cells, v)).collect::<Result<_>>()?;
        let data = self.store.table(result.table);
        let reach = self.reach(&self.base_context, result.table);
        let mut index: HashMap<Vec<u32>, Option<u32>> = HashMap::new();
        let visible = self.visibility().rows(&self.base_context, result.table);
        let paths = pairs
            .iter()
            .map(|(c, _)| {
                reach.path(c.table).cloned().ok_or_else(|| {
                    Error::invalid(
                        "The search columns of LOOKUPVALUE must be in the table of the result column or in one related to it.",
                    )
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let found = data.column(result.column);
        for row in watched(visible.iter()).filter(|r| *r < data.rows()) {
            let codes =
                pairs.iter().zip(&paths).map(|((c, _), p)| self.visibility().code(*c, p, row));
            let code = found.code(row);
            index
                .entry(codes.collect())
                .and_modify(|known| {
                    if *known != Some(code) {
                        *known = None;
                    }
                })
                .or_insert(Some(code));
        }
        let mut out = vec![Value::Blank; cells.n];
        let mut open = Vec::new();
        for (cell, v) in watched(out.iter_mut()).enumerate() {
            let codes: Option<Vec<u32>> = pairs
                .iter()
                .zip(&values)
                .map(|((c, _), s)| self.store.table(c.table).column(c.column).code_of(s.get(cell)))
                .collect();
            match codes.and_then(|c| index.get(&c)) {
                Some(Some(code)) => *v = found.value(*code),
                Some(None) if otherwise.is_none() => {
                    return Err(Error::evaluation(
                        "A table of multiple values was supplied where a single value was expected: LOOKUPVALUE found several different results.",
                    ));
                }
                _ => open.push(cell as u32),
            }
        }
        if let Some(node) = otherwise
            && !open.is_empty()
        {
            let values = self.scalars(&cells.select(&open), node)?;
            for (i, cell) in open.iter().enumerate() {
                out[*cell as usize] = values.get(i).clone();
            }
        }
        Ok(Scalars::each(out))
    }

    /// `PATH`: ids from the root down to each row, by following parents.
    pub(crate) fn path(
        &self,
        cells: &Cells,
        id: &Node,
        parent: &Node,
        ids: ColumnId,
        parents: ColumnId,
    ) -> Result<Scalars> {
        let (own, above) = (self.scalars(cells, id)?, self.scalars(cells, parent)?);
        let data = self.store.table(ids.table);
        let (id_column, parent_column) = (data.column(ids.column), data.column(parents.column));
        let mut parent_of: HashMap<String, String> = HashMap::new();
        for row in watched(0..data.rows()) {
            let key = rules::to_text(&id_column.value(id_column.code(row)), &self.culture);
            let parent =
                rules::to_text(&parent_column.value(parent_column.code(row)), &self.culture);
            if key.contains('|') {
                return Err(Error::evaluation(format!(
                    "PATH puts | between ids, and the id '{key}' has one in it."
                )));
            }
            let before = (!key.is_empty()).then(|| parent_of.insert(key.clone(), parent.clone()));
            if let Some(Some(other)) = before
                && other != parent
            {
                return Err(Error::evaluation(format!(
                    "PATH found several parents of the id '{key}', '{other}' and '{parent}'."
                )));
            }
        }
        self.each(cells.n, |cell| {
            if own.get(cell).is_blank() {
                return Ok(Value::Blank);
            }
            let mut names = vec![rules::to_text(own.get(cell), &self.culture)];
            let mut next = rules::to_text(above.get(cell), &self.culture);
            while !next.is_empty() {
                tick();
                if names.contains(&next) {
                    return Err(Error::evaluation(format!(
                        "PATH runs in a circle at the value '{next}'."
                    )));
                }
                let Some(parent) = parent_of.get(&next) else {
                    return Err(Error::evaluation(format!(
                        "PATH found the parent '{next}' that is in no row of the id column."
                    )));
                };
                names.push(next);
                next = parent.clone();
            }
            names.reverse();
            Ok(Value::from(names.join("|")))
        })
    }

    pub(crate) fn network_days(&self, cells: &Cells, arguments: &[Node]) -> Result<Scalars> {
        let (scalars, holidays) = match arguments {
            [rest @ .., last] if last.is_table() => (rest, Some(self.table(cells, last)?)),
            all => (all, None),
        };
        let values: Vec<Scalars> =
            scalars.iter().map(|a| self.scalars(cells, a)).collect::<Result<_>>()?;
        let date = |v: &Value| rules::to_date(v, &self.culture);
        self.each(cells.n, |cell| {
            let given = |i: usize| values.get(i).map_or(&Value::Blank, |v| v.get(cell));
            if given(0).is_blank() && given(1).is_blank() {
                return Ok(Value::Blank);
            }
            let mut free = Vec::new();
            if let Some(table) = &holidays {
                for row in table.range(cell) {
                    free.push(date(&table.rows.value(self.store, 0, row))?.days());
                }
            }
            let (start, end) = (date(given(0))?, date(given(1))?);
            Ok(Value::Int(crate::functions::date::network_days(start, end, given(2), &free)?))
        })
    }
}
