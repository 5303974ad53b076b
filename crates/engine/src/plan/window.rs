//! Window functions.

use super::Node;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowKind {
    Index,
    Offset,
    Window,
    RowNumber,
    Rank { dense: bool },
}

/// Where blanks come in an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blanks {
    /// Among numbers between those below zero and zero, before all texts.
    Default,
    First,
    Last,
}

/// A part of the order of a window function.
#[derive(Debug, Clone)]
pub struct WindowKey {
    pub node: Node,
    pub descending: bool,
    pub blanks: Blanks,
}

/// One end of a `WINDOW`.
#[derive(Debug, Clone)]
pub struct WindowEnd {
    pub position: Box<Node>,
    pub absolute: bool,
}

#[derive(Debug, Clone)]
pub struct WindowNode {
    pub kind: WindowKind,
    pub from: WindowEnd,
    pub to: Option<WindowEnd>,
    pub relation: Box<Node>,
    pub order_by: Vec<WindowKey>,
    /// Where blanks come in the columns that order what the keys leave equal.
    pub blanks: Blanks,
    pub partition_by: Vec<usize>,
    /// For each column of the relation, where its current value comes from.
    pub current: Vec<Current>,
    /// Columns of the relation that no row context has, those of one table together, and a table
    /// of their visible values.
    pub visible: Vec<(Vec<usize>, Node)>,
}

/// Where the current value of a column comes from.
#[derive(Debug, Clone)]
pub enum Current {
    /// A row context's column.
    Row { frame: usize, column: usize },
    /// Each of the combinations of values that are visible, of [`WindowNode::visible`].
    Visible,
    /// Nowhere: every value is current.
    Unknown,
}
