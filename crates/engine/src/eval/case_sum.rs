//! `SUMX` of one thing or another by conditions on the row: the sum of each over the rows it is
//! for, instead of a choice for every row.

use evercube_base::{Result, Value};
use evercube_store::TableId;

use super::Evaluator;
use super::aggregate::sum;
use super::cells::{Cells, Scalars};
use super::row_condition::complement;
use crate::plan::{Fold, Kind, Node};
use crate::rules::Rule;

/// More cases than this are not worth a scan each.
const MOST_CASES: usize = 8;

impl Evaluator<'_> {
    /// The sum over the rows of `table`; `None` where the body is no choice between things that a
    /// scan can sum, by conditions that are filters.
    pub(super) fn case_sum(
        &self,
        cells: &Cells,
        table: TableId,
        body: &Node,
    ) -> Result<Option<Scalars>> {
        let is_case = matches!(body.kind, Kind::If { .. } | Kind::Switch { .. });
        if !is_case || !body.data_type().is_numeric() || !self.has(Rule::CodeFilter) {
            return Ok(None);
        }
        let mut sums = Vec::new();
        Ok(match self.add_cases(cells, table, body, &mut sums)? {
            true => Some(self.each(cells.n, |i| sum(sums.iter().map(|s| s.get(i))))?),
            false => None,
        })
    }

    /// Adds the sums of the cases of a body; whether that could be done.
    fn add_cases(
        &self,
        cells: &Cells,
        table: TableId,
        body: &Node,
        sums: &mut Vec<Scalars>,
    ) -> Result<bool> {
        let (cases, otherwise) = match &body.kind {
            Kind::Literal(Value::Blank) => return Ok(true),
            Kind::If { condition, then, otherwise } => {
                (vec![(condition.as_ref(), then.as_ref())], otherwise.as_deref())
            }
            Kind::Switch { value, cases, otherwise }
                if matches!(value.kind, Kind::Literal(Value::Boolean(true))) =>
            {
                (cases.iter().map(|(test, then)| (test, then)).collect(), otherwise.as_deref())
            }
            _ => {
                let found = self.scanned(cells, Fold::Sum, table, body)?;
                let is_found = found.is_some();
                sums.extend(found);
                return Ok(is_found && sums.len() <= MOST_CASES);
            }
        };
        let mut rest = cells.clone();
        for (test, then) in cases {
            let Some(holds) = self.condition(&rest, table, test)? else { return Ok(false) };
            let Some(fails) = complement(&holds) else { return Ok(false) };
            let mut inner = rest.clone();
            inner.edit(|c| c.filters.push(holds.clone()));
            if !self.add_cases(&inner, table, then, sums)? {
                return Ok(false);
            }
            rest.edit(|c| c.filters.push(fails.clone()));
        }
        otherwise.map_or(Ok(true), |o| self.add_cases(&rest, table, o, sums))
    }
}
