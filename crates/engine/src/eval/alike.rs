//! Cells that are alike for an expression: what tells them apart changes nothing for it. The dates
//! of last year are the same for every customer of a year, and what `ALLSELECTED` makes of the
//! products is the same for every product.

mod telling;

use std::sync::Arc;

use evercube_work::watched;

use super::Evaluator;
use super::cells::Cells;
use super::numbering::Numbering;
use crate::plan::{FilterArgument, Kind, Node, Uses};
use crate::rules::Rule;

/// Numbers for each cell: cells that have the same in all of them are alike.
pub(super) type Telling = Vec<Arc<Vec<u32>>>;

impl Evaluator<'_> {
    /// Cells that stand for others in the evaluation of an expression, and for every cell the
    /// place of the one that stands for it; `None` where that saves little or is not known.
    pub(super) fn alike(&self, cells: &Cells, node: &Node) -> Option<(Vec<u32>, Vec<u32>)> {
        if !self.may_be_alike(cells, node) {
            return None;
        }
        let known = self.telling(cells, node);
        if known.is_none() && node.uses.slot != Uses::NONE {
            return None;
        }
        let telling = known.unwrap_or_else(|| {
            let shadows = cells.shadows.iter().filter(|_| mentions_selected(node));
            every_filter(cells).into_iter().chain(shadows.map(|s| Arc::clone(&s.index))).collect()
        });
        differing(cells.n, &telling)
    }

    /// The same for what a variable stands for, where fewer numbers than those of its cells tell.
    pub(super) fn alike_for_variable(
        &self,
        cells: &Cells,
        node: &Node,
    ) -> Option<(Vec<u32>, Vec<u32>)> {
        if !self.may_be_alike(cells, node) {
            return None;
        }
        let telling = self.telling(cells, node)?;
        let is_less = telling.len() < every_filter(cells).len() || telling.is_empty();
        is_less.then(|| differing(cells.n, &telling)).flatten()
    }

    /// Whether an expression is the same wherever filters, shadows and variables are.
    fn may_be_alike(&self, cells: &Cells, node: &Node) -> bool {
        let is_of_filters = !node.uses.volatile && node.uses.frame == Uses::NONE;
        self.has(Rule::EqualCells) && cells.n > 1 && is_of_filters
    }
}

/// Everything that tells filter contexts apart.
fn every_filter(cells: &Cells) -> Telling {
    cells.keys.iter().map(|k| &k.codes).chain(&cells.of).map(Arc::clone).collect()
}

/// Cells that differ in these numbers, and for every cell the place of the one that stands for it;
/// `None` where that saves little.
pub(super) fn differing(n: usize, telling: &Telling) -> Option<(Vec<u32>, Vec<u32>)> {
    let columns: Vec<&[u32]> = telling.iter().map(|c| c.as_slice()).collect();
    let mut numbering = Numbering::of_columns(&columns, n);
    let mut first = Vec::new();
    let mut place = Vec::with_capacity(n);
    for cell in watched(0..n) {
        let at = numbering.number(columns.iter().map(|c| c[cell]));
        if at as usize == first.len() {
            first.push(cell as u32);
        }
        place.push(at);
        if first.len() * 2 > n {
            return None;
        }
    }
    Some((first, place))
}

/// Cells that differ in their filter context.
pub(super) fn differing_contexts(cells: &Cells) -> Option<(Vec<u32>, Vec<u32>)> {
    differing(cells.n, &every_filter(cells))
}

pub(super) fn mentions_selected(node: &Node) -> bool {
    let is_one = match &node.kind {
        Kind::AllSelected { .. } | Kind::SelectedMeasure(_) => true,
        Kind::Calculate { filters, .. } | Kind::CalculateTable { filters, .. } => {
            filters.iter().any(|f| matches!(f, FilterArgument::Selected(_)))
        }
        _ => false,
    };
    is_one || node.children().into_iter().any(mentions_selected)
}
