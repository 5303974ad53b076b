//! The evaluator's optimizations, each under a name that switches it off. Without any of them
//! every query has the same answer: what a rule may change is the way there.

/// A way of doing less for the same answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Iterations of plain arithmetic over a model table are aggregates of a scan.
    IterationAsScan,
    /// Before a grouping looks for its groups, one scan takes all that its expressions ask of a
    /// table.
    ScanAhead,
    /// The same scan is made once in a query.
    KnownScans,
    /// A scan is answered from a finer one that was made.
    FinerScan,
    /// The scans that expressions will make of a table are one, fine enough for all of them.
    SharedScan,
    /// Contexts that differ on one dimension alone are one scan at the grain of its rows.
    ScanTogether,
    /// Those contexts are told apart by the column of fewest values that does.
    CoarseGrain,
    /// What cells see of a table through another one's rows is found by one scan of these.
    AcrossScan,
    /// Conditions on single columns of a table's rows are filters on codes.
    CodeFilter,
    /// Rows are compared with what is the same for all of them by their place in order.
    OrderedFilter,
    /// The groups of a table's rows are found by a scan.
    GroupsByScan,
    /// Rows that are the same in several cells, as is all that an expression asks of them, are gone
    /// through once.
    SameRows,
    /// Groups are looked for in the tables without whose rows every expression is blank.
    DecidingTables,
    /// Cells that do not differ are evaluated once.
    EqualCells,
    /// Set operations over the values of one column are operations on sets of codes.
    ValueSets,
    /// The first rows of a table of groups are found among the groups of the first values.
    FirstGroups,
}

impl Rule {
    pub const ALL: [Self; 16] = [
        Self::IterationAsScan,
        Self::ScanAhead,
        Self::KnownScans,
        Self::FinerScan,
        Self::SharedScan,
        Self::ScanTogether,
        Self::CoarseGrain,
        Self::AcrossScan,
        Self::CodeFilter,
        Self::OrderedFilter,
        Self::GroupsByScan,
        Self::SameRows,
        Self::DecidingTables,
        Self::EqualCells,
        Self::ValueSets,
        Self::FirstGroups,
    ];
}

/// The rules in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules(u32);

impl Rules {
    pub const fn all() -> Self {
        Self(u32::MAX)
    }

    pub const fn none() -> Self {
        Self(0)
    }

    #[must_use]
    pub const fn without(self, rule: Rule) -> Self {
        Self(self.0 & !(1 << rule as u32))
    }

    #[must_use]
    pub const fn with(self, rule: Rule) -> Self {
        Self(self.0 | 1 << rule as u32)
    }

    pub const fn has(self, rule: Rule) -> bool {
        self.0 >> rule as u32 & 1 == 1
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::all()
    }
}
