//! Variables: evaluated where they are defined, when they are first needed, once.

use std::cell::{OnceCell, RefCell};
use std::sync::Arc;

use evercube_base::Result;

use super::cells::{Cells, Scalars};
use super::rows::CellTable;
use crate::plan::Node;

#[derive(Debug, Clone)]
pub(crate) enum Evaluated {
    Scalars(Scalars),
    Table(CellTable),
}

#[derive(Debug)]
pub(crate) struct Variable {
    pub node: Arc<Node>,
    /// The cells of the definition.
    pub cells: Cells,
    pub value: OnceCell<Result<Evaluated>>,
    /// What it seemed to be while scans were foreseen for the n-th time.
    pub foreseen: RefCell<Option<(u32, Result<Evaluated>)>>,
}

impl Variable {
    pub fn new(node: Arc<Node>, cells: Cells) -> Self {
        Self { node, cells, value: OnceCell::new(), foreseen: RefCell::default() }
    }
}
