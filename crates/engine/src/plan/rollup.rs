//! Subtotals of grouping functions.

use std::sync::Arc;

use super::FilterArgument;

/// Grouping of `SUMMARIZECOLUMNS` and `SUMMARIZE` beyond plain columns: sets of group columns that
/// are rolled up together, with the column that tells so.
#[derive(Debug, Clone, Default)]
pub struct Rollup {
    /// Rolled up independently of each other.
    pub chains: Vec<RollupChain>,
}

#[derive(Debug, Clone, Default)]
pub struct RollupChain {
    /// Outermost first.
    pub levels: Vec<RollupLevel>,
    /// Filters of the rows in which every level is rolled up.
    pub total_filters: Vec<GroupFilter>,
}

/// The group columns a level takes away when rolled up, and the name of its subtotal flag.
#[derive(Debug, Clone)]
pub struct RollupLevel {
    pub columns: Vec<usize>,
    pub flag: Option<Arc<str>>,
    /// Filters of the rows of which this level is the innermost.
    pub filters: Vec<GroupFilter>,
}

/// A filter of `SUMMARIZECOLUMNS`.
#[derive(Debug, Clone)]
pub struct GroupFilter {
    pub filter: FilterArgument,
    /// Whether expressions see it; `NONVISUAL`: it only decides which groups there are.
    pub visual: bool,
}
