//! Variables: evaluated where they are defined, when they are first needed, once.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use evercube_base::{Error, Result};

use super::Evaluator;
use super::cells::{Cells, Scalars, compose};
use super::rows::CellTable;
use crate::plan::Node;

#[derive(Debug, Clone)]
pub(crate) enum Evaluated {
    Scalars(Scalars),
    Table(CellTable),
}

/// The cells that stand for those of a definition.
#[derive(Debug)]
pub(crate) struct Alike {
    pub cells: Cells,
    /// For each cell of the definition the one that stands for it.
    pub place: Arc<Vec<u32>>,
}

#[derive(Debug)]
pub(crate) struct Variable {
    pub node: Arc<Node>,
    /// The cells of the definition.
    pub cells: Cells,
    /// `None` within: each cell stands for itself.
    pub alike: OnceCell<Option<Alike>>,
    pub value: OnceCell<Result<Evaluated>>,
    /// What it seemed to be while scans were foreseen for the n-th time.
    pub foreseen: RefCell<Option<(u32, Result<Evaluated>)>>,
}

impl Variable {
    pub fn new(node: Arc<Node>, cells: Cells) -> Self {
        Self {
            node,
            cells,
            alike: OnceCell::new(),
            value: OnceCell::new(),
            foreseen: RefCell::default(),
        }
    }
}

impl Evaluator<'_> {
    pub(crate) fn with_variables(&self, cells: &Cells, bindings: &[(usize, Arc<Node>)]) -> Cells {
        let mut inner = cells.clone();
        for (slot, node) in bindings {
            let variable = Rc::new(Variable::new(Arc::clone(node), inner.clone()));
            inner.variables.push((*slot, variable, None));
        }
        inner
    }

    /// What a variable is, and the place in it for each cell; `None`: the cell's own.
    pub(crate) fn variable(
        &self,
        cells: &Cells,
        slot: usize,
    ) -> Result<(Evaluated, Option<Arc<Vec<u32>>>)> {
        let found = cells.variables.iter().rev().find(|(s, _, _)| *s == slot);
        let Some((_, variable, index)) = found else {
            return Err(Error::internal("a variable was used outside of its expression"));
        };
        let index = self.place_in(variable, index.as_ref());
        if let Some(value) = variable.value.get() {
            return Ok((value.clone()?, index));
        }
        if let Some((time, value)) = &*variable.foreseen.borrow()
            && self.foresees()
            && *time == self.foreseeing.get()
        {
            return Ok((value.clone()?, index));
        }
        let value = self.defined(variable);
        if self.foresees() {
            variable.foreseen.replace(Some((self.foreseeing.get(), value.clone())));
            return Ok((value?, index));
        }
        Ok((variable.value.get_or_init(|| value).clone()?, index))
    }

    fn defined(&self, variable: &Variable) -> Result<Evaluated> {
        let cells = self.cells_of(variable);
        if variable.node.is_table() {
            return self.table(cells, &variable.node).map(Evaluated::Table);
        }
        let values = self.scalars(cells, &variable.node)?;
        let is_one = cells.n == 1;
        Ok(Evaluated::Scalars(if is_one { Scalars::Same(values.get(0).clone()) } else { values }))
    }

    /// The cells that a variable's definition is evaluated in, where those are fewer than it has.
    pub(super) fn standing_for<'v>(&self, variable: &'v Variable) -> Option<&'v Alike> {
        let find = || {
            let (first, place) = self.alike_for_variable(&variable.cells, &variable.node)?;
            Some(Alike { cells: variable.cells.select(&first), place: Arc::new(place) })
        };
        variable.alike.get_or_init(find).as_ref()
    }

    /// The cells in which a variable is worked out.
    pub(super) fn cells_of<'v>(&self, variable: &'v Variable) -> &'v Cells {
        self.standing_for(variable).map_or(&variable.cells, |alike| &alike.cells)
    }

    /// The place in [`Self::cells_of`] for each cell that uses a variable; `None`: the cell's own.
    /// `index`: the places in the cells of its definition.
    pub(super) fn place_in(
        &self,
        variable: &Variable,
        index: Option<&Arc<Vec<u32>>>,
    ) -> Option<Arc<Vec<u32>>> {
        match (self.standing_for(variable), index) {
            (Some(alike), Some(index)) => Some(compose(&alike.place, index)),
            (Some(alike), None) => Some(Arc::clone(&alike.place)),
            (None, index) => index.cloned(),
        }
    }

    pub(super) fn variable_scalars(&self, cells: &Cells, slot: usize) -> Result<Scalars> {
        match self.variable(cells, slot)? {
            (Evaluated::Scalars(v), Some(index)) => Ok(v.for_cells(&index)),
            (Evaluated::Scalars(v), None) => Ok(v),
            (Evaluated::Table(_), _) => {
                Err(Error::invalid("A variable that holds a table is used as a single value."))
            }
        }
    }
}
