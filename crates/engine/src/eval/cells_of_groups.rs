//! Cells that are the groups of a scan that was made, as those of a query's table mostly are: what
//! they ask again is in its groups, and which one is whose need not be looked up.

use std::sync::Arc;

use evercube_base::Result;
use evercube_store::{PathColumn, ScanResult, TableId};

use super::Evaluator;
use super::cells::{Cells, KeyTarget};
use super::scan::{Grouped, MakeAggregates, Reach};
use crate::filter_context::FilterContext;
use crate::rules::Rule;

/// Fewer groups are found as quickly by their codes.
const WORTH_IT: usize = 16;

impl Evaluator<'_> {
    /// Notes the order that the groups of a scan were put in.
    pub(super) fn note_group_order(&self, order: &[u32]) {
        if order.len() >= WORTH_IT && self.has(Rule::KnownScans) {
            self.group_order.replace(Arc::new(order.to_vec()));
        }
    }

    /// The aggregates of cells without further groups, where the cells are the groups of a scan in
    /// the order noted last; `None` where they are not.
    pub(super) fn of_known_groups(
        &self,
        cells: &Cells,
        context: &Arc<FilterContext>,
        base: TableId,
        reach: &Reach,
        make: MakeAggregates<'_>,
    ) -> Result<Option<Grouped>> {
        let order = Arc::clone(&self.group_order.borrow());
        if cells.n < WORTH_IT || cells.n != order.len() || self.foresees() {
            return Ok(None);
        }
        let column = |target: &KeyTarget| match target {
            KeyTarget::Column(column) => reach.column(*column),
            KeyTarget::Row { .. } => None,
        };
        let keys: Option<Vec<PathColumn>> = cells.keys.iter().map(|k| column(&k.target)).collect();
        let Some(keys) = keys.filter(|keys| !keys.is_empty()) else { return Ok(None) };
        let Some(result) = self.recall(context, base, &keys, &make(reach)?) else {
            return Ok(None);
        };
        if !are_in_order(cells, &result, &order) {
            return Ok(None);
        }
        let aggregates = result.aggregates.iter().map(|values| {
            evercube_work::tick();
            order.iter().map(|group| values[*group as usize].clone()).collect()
        });
        Ok(Some(Grouped {
            cells: (0..cells.n as u32).collect(),
            keys: Vec::new(),
            aggregates: aggregates.collect(),
        }))
    }
}

/// Whether each cell has the codes of the group that the order has in its place.
fn are_in_order(cells: &Cells, result: &ScanResult, order: &[u32]) -> bool {
    result.groups == order.len()
        && cells.keys.iter().zip(&result.keys).all(|(key, of_groups)| {
            let groups = order.iter().zip(key.codes.iter());
            groups.into_iter().all(|(group, code)| of_groups.get(*group as usize) == Some(code))
        })
}
