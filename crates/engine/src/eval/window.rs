//! Window functions.

use evercube_base::{Error, Result};

use super::{CellTable, Cells, Evaluator, Scalars};
use crate::plan::WindowNode;

impl Evaluator<'_> {
    pub(crate) fn window(&self, _cells: &Cells, _window: &WindowNode) -> Result<CellTable> {
        Err(Error::unsupported("Window functions are not evaluated in this version."))
    }

    pub(crate) fn window_rank(&self, _cells: &Cells, _window: &WindowNode) -> Result<Scalars> {
        Err(Error::unsupported("Window functions are not evaluated in this version."))
    }
}
