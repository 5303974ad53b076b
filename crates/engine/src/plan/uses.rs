//! What the value of an expression depends on: filters, rows, variables.

/// What the value of an expression may depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uses {
    pub filter_context: bool,
    pub volatile: bool,
    /// The outermost row context it looks at; `NONE`: no row context.
    pub frame: usize,
    /// The outermost variable it looks at: its definition's cells are not those of the use.
    pub slot: usize,
}

impl Default for Uses {
    fn default() -> Self {
        Self { filter_context: false, volatile: false, frame: Self::NONE, slot: Self::NONE }
    }
}

impl Uses {
    pub const NONE: usize = usize::MAX;

    pub fn and(self, other: Self) -> Self {
        Self {
            filter_context: self.filter_context || other.filter_context,
            volatile: self.volatile || other.volatile,
            frame: self.frame.min(other.frame),
            slot: self.slot.min(other.slot),
        }
    }

    /// Seen from outside of an iteration whose row context is `frame`.
    pub fn outside_frame(self, frame: usize) -> Self {
        Self { frame: if self.frame < frame { self.frame } else { Self::NONE }, ..self }
    }

    /// Seen from outside of the definitions from `slot` on.
    pub fn outside_slot(self, slot: usize) -> Self {
        Self { slot: if self.slot < slot { self.slot } else { Self::NONE }, ..self }
    }

    /// Differs between cells of equal filter contexts.
    pub fn cell(self) -> bool {
        self.frame != Self::NONE || self.slot != Self::NONE
    }

    /// The same value whatever the cell.
    pub fn is_constant(self) -> bool {
        !self.filter_context && !self.cell() && !self.volatile
    }
}
