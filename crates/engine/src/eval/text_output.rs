//! `TOCSV` and `TOJSON`.

use evercube_base::{Error, Result};

use super::{Cells, Evaluator, Scalars};
use crate::plan::Node;

impl Evaluator<'_> {
    pub(crate) fn to_text_table(
        &self,
        _cells: &Cells,
        _table: &Node,
        _json: bool,
        _limit: &Node,
    ) -> Result<Scalars> {
        Err(Error::unsupported("TOCSV and TOJSON are not evaluated in this version."))
    }
}
