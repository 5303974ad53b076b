//! The bound form of an expression: names are ids, row contexts and variables are numbered, every
//! part has its type. It is what the evaluator runs and what `explain` prints.

mod children;
mod rollup;
mod uses;
mod window;

use std::sync::Arc;

use evercube_base::{DataType, Value};
use evercube_dax::ast::{BinaryOperator, Span};
use evercube_store::{ColumnId, RelationshipId, TableId};

pub use rollup::{GroupFilter, Rollup, RollupChain, RollupLevel};
pub use uses::Uses;
pub use window::{Blanks, Current, WindowEnd, WindowKey, WindowKind, WindowNode};

use crate::filter_context::Direction;
use crate::functions::ScalarFunction;
use crate::functions::time_intelligence::{Interval, YearEnd};

/// A column of a table expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    /// Without brackets.
    pub name: Arc<str>,
    /// The model column it stands for: filters built from it are filters on that column.
    pub lineage: Option<ColumnId>,
    /// The table it is addressed by; none for a column that an expression named.
    pub table: Option<Arc<str>>,
    pub data_type: DataType,
}

pub type Schema = Arc<Vec<TableColumn>>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    Scalar(DataType),
    Table(Schema),
}

#[derive(Debug, Clone)]
pub struct Node {
    pub kind: Kind,
    pub ty: Type,
    pub uses: Uses,
    pub span: Span,
}

impl Node {
    pub fn data_type(&self) -> DataType {
        match &self.ty {
            Type::Scalar(t) => *t,
            Type::Table(schema) => schema.first().map_or(DataType::Variant, |c| c.data_type),
        }
    }
    /// `BLANK ()` and arguments left out, which have no type of their own.
    pub fn is_blank_literal(&self) -> bool {
        matches!(self.kind, Kind::Literal(Value::Blank))
    }
    pub fn is_table(&self) -> bool {
        matches!(self.ty, Type::Table(_))
    }
    /// Columns of a table expression; none for a scalar.
    pub fn schema(&self) -> Schema {
        match &self.ty {
            Type::Table(s) => Arc::clone(s),
            Type::Scalar(_) => Arc::default(),
        }
    }

    /// The columns of the model that those of a table come from.
    pub(crate) fn lineages(&self) -> Vec<ColumnId> {
        self.schema().iter().filter_map(|c| c.lineage).collect()
    }
}

/// How an iterator folds the values of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    Sum,
    Average,
    Min,
    Max,
    /// Values that are not blank.
    Count,
    CountBlank,
    Product,
    /// Different values, blank as one.
    DistinctCount,
    DistinctCountNoBlank,
    StdevP,
    StdevS,
    VarP,
    VarS,
    Median,
    GeoMean,
    PercentileInc,
    PercentileExc,
    Concatenate,
    Xirr,
    Xnpv,
}

/// How context-sensitive tests look at their column or table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContextTest {
    IsFiltered,
    IsCrossFiltered,
    HasOneFilter,
    IsInScope,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateSet {
    ToDate(Interval),
    DateAdd,
    SamePeriodLastYear,
    ParallelPeriod,
    Previous(Interval),
    Next(Interval),
    StartOf(Interval),
    EndOf(Interval),
    First,
    Last,
    InPeriod,
    Between,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetOperation {
    Union,
    Intersect,
    Except,
}

/// A sort key of `TOPN`, `CONCATENATEX`, `ORDERBY` …
#[derive(Debug, Clone)]
pub struct SortKey {
    pub expression: Node,
    pub descending: bool,
}

/// What one argument of `CALCULATE` does.
#[derive(Debug, Clone)]
pub enum FilterArgument {
    /// A table as a filter; `keep` leaves filters on the same columns in force.
    Table {
        table: Node,
        keep: bool,
    },
    Remove(Vec<ColumnId>),
    RemoveAll,
    /// `ALLSELECTED` on these columns; `None`: all.
    Selected(Option<Vec<ColumnId>>),
    Use(RelationshipId),
    Direct(RelationshipId, Direction),
}

impl FilterArgument {
    /// The table that is a filter.
    pub fn table(&self) -> Option<&Node> {
        match self {
            Self::Table { table, .. } => Some(table),
            _ => None,
        }
    }
}

/// A named expression of `ADDCOLUMNS` and its like.
#[derive(Debug, Clone)]
pub struct NamedNode {
    pub name: Arc<str>,
    pub node: Node,
}

/// How a table is written as text.
#[derive(Debug, Clone)]
pub enum TextForm {
    Csv { delimiter: Box<Node>, header: Box<Node> },
    Json,
}

/// What is asked about the measure a calculation item is applied to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SelectedMeasure {
    Value,
    Name,
    FormatString,
    IsOneOf(Vec<String>),
}

/// What an expression does. Row contexts and variables are numbered from the outside in.
#[derive(Debug, Clone)]
pub enum Kind {
    // Scalars ------------------------------------------------------------------------------
    Literal(Value),
    /// Column of a row context.
    RowColumn {
        frame: usize,
        column: usize,
    },
    /// Column reached from a row of a model table over relationships.
    Related {
        frame: usize,
        path: Vec<RelationshipId>,
        column: ColumnId,
    },
    Variable(usize),
    Measure {
        name: Arc<str>,
        body: Arc<Node>,
    },
    /// The format string of a measure's value.
    FormatString {
        name: Arc<str>,
        body: Arc<Node>,
    },
    /// The measure a calculation item is applied to.
    SelectedMeasure(SelectedMeasure),
    Scalar {
        name: &'static str,
        function: ScalarFunction,
        arguments: Vec<Node>,
    },
    Binary {
        operator: BinaryOperator,
        left: Box<Node>,
        right: Box<Node>,
    },
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Negate(Box<Node>),
    If {
        condition: Box<Node>,
        then: Box<Node>,
        otherwise: Option<Box<Node>>,
    },
    /// First case equal to the value.
    Switch {
        value: Box<Node>,
        cases: Vec<(Node, Node)>,
        otherwise: Option<Box<Node>>,
    },
    Coalesce(Vec<Node>),
    IfError {
        value: Box<Node>,
        otherwise: Box<Node>,
    },
    IsError(Box<Node>),
    /// Smaller or larger of two values.
    Pick {
        larger: bool,
        left: Box<Node>,
        right: Box<Node>,
    },
    Iterate {
        fold: Fold,
        table: Box<Node>,
        body: Box<Node>,
        /// Delimiter, percentile, rate, dates …; evaluated outside the iteration or, for dates, inside.
        extra: Vec<Node>,
        order_by: Vec<SortKey>,
    },
    CountRows(Box<Node>),
    IsEmpty(Box<Node>),
    /// The value of a table of one column: the single one, else the alternative, else an error
    /// (`strict`) or blank.
    SingleValue {
        table: Box<Node>,
        otherwise: Option<Box<Node>>,
        strict: bool,
    },
    In {
        left: Vec<Node>,
        right: Box<Node>,
    },
    /// Rows of a table where columns have these values: `CONTAINS`.
    Contains {
        table: Box<Node>,
        pairs: Vec<(usize, Node)>,
    },
    LookupValue {
        result: ColumnId,
        table: Box<Node>,
        pairs: Vec<(ColumnId, Node)>,
        otherwise: Option<Box<Node>>,
    },
    RankX {
        table: Box<Node>,
        expression: Box<Node>,
        value: Option<Box<Node>>,
        ascending: bool,
        dense: bool,
    },
    RankEq {
        value: Box<Node>,
        column: Box<Node>,
        ascending: bool,
    },
    Context {
        test: ContextTest,
        columns: Vec<ColumnId>,
    },
    Calculate {
        body: Box<Node>,
        filters: Vec<FilterArgument>,
        /// Whether rows become filters (not for the context `SUMMARIZECOLUMNS` makes for itself).
        transition: bool,
    },
    WindowRank(Box<WindowNode>),
    NetworkDays(Vec<Node>),
    Path {
        id: Box<Node>,
        parent: Box<Node>,
        ids: ColumnId,
        parents: ColumnId,
    },
    Let {
        /// Slot numbers and definitions, in order.
        bindings: Vec<(usize, Arc<Node>)>,
        result: Box<Node>,
    },
    ToText {
        table: Box<Node>,
        form: TextForm,
        limit: Box<Node>,
    },

    // Tables -------------------------------------------------------------------------------
    ModelTable {
        table: TableId,
        blank_row: bool,
    },
    /// Distinct visible combinations of columns of one table.
    Values {
        columns: Vec<ColumnId>,
        blank_row: bool,
    },
    /// The same without any filter but those of security.
    Unfiltered(Box<Node>),
    /// A table whose rows, where an iteration makes them filters, leave those that are there.
    KeepFilters(Box<Node>),
    /// `FILTERS`: values a column is filtered to directly.
    Filters(ColumnId),
    Filter {
        table: Box<Node>,
        condition: Box<Node>,
    },
    /// `keep`: with the columns of the table before the new ones.
    Extend {
        table: Box<Node>,
        columns: Vec<NamedNode>,
        keep: bool,
    },
    Rows(Vec<Vec<Node>>),
    CrossJoin(Vec<Node>),
    Generate {
        outer: Box<Node>,
        inner: Box<Node>,
        all: bool,
    },
    Set(SetOperation, Vec<Node>),
    Distinct(Box<Node>),
    NaturalJoin {
        left: Box<Node>,
        right: Box<Node>,
        outer: bool,
        /// Positions of the columns whose values are the same, left and right.
        on: Vec<(usize, usize)>,
        /// They appear once, from the left.
        once: bool,
    },
    TopN {
        count: Box<Node>,
        skip: Option<Box<Node>>,
        table: Box<Node>,
        order_by: Vec<SortKey>,
    },
    Sample {
        count: Box<Node>,
        table: Box<Node>,
        order_by: Vec<SortKey>,
    },
    Summarize {
        table: Box<Node>,
        /// Positions of group columns in `table`, or columns related to it.
        groups: Vec<Node>,
        rollup: Rollup,
        columns: Vec<NamedNode>,
    },
    GroupBy {
        table: Box<Node>,
        groups: Vec<Node>,
        columns: Vec<NamedNode>,
    },
    CurrentGroup,
    SummarizeColumns {
        groups: Vec<ColumnId>,
        rollup: Rollup,
        filters: Vec<GroupFilter>,
        columns: Vec<NamedNode>,
        /// Positions in `columns` that do not decide whether a row is left out.
        ignored: Vec<usize>,
    },
    /// `ADDMISSINGITEMS`: the rows of a table, and combinations of its group columns that it lacks.
    MissingItems {
        table: Box<Node>,
        combinations: Box<Node>,
        /// Where the columns of `combinations` are in `table`.
        on: Vec<usize>,
        /// Those of them whose values must occur in `table`.
        present: Vec<usize>,
        /// Where `table` tells what is a subtotal.
        flags: Vec<usize>,
    },
    CalculateTable {
        body: Box<Node>,
        filters: Vec<FilterArgument>,
    },
    /// A table under other columns' names.
    TreatAs(Box<Node>),
    Dates {
        set: DateSet,
        dates: Box<Node>,
        /// The model's date column that gives all days.
        column: Option<ColumnId>,
        arguments: Vec<Node>,
        interval: Interval,
        year_end: YearEnd,
    },
    /// `FIRSTNONBLANK`, `LASTNONBLANK`.
    NonBlank {
        table: Box<Node>,
        expression: Box<Node>,
        last: bool,
    },
    Calendar(Vec<Node>),
    CalendarAuto(Box<Node>),
    GenerateSeries(Vec<Node>),
    SubstituteWithIndex {
        table: Box<Node>,
        index: Box<Node>,
        on: Vec<(usize, usize)>,
        keep: Vec<usize>,
        order_by: Vec<SortKey>,
    },
    AllSelected {
        columns: Vec<ColumnId>,
        body: Box<Node>,
    },
    Window(Box<WindowNode>),
    /// `LINEST`: the value to explain, then those to explain it by, over rows.
    FitLine {
        table: Box<Node>,
        values: Vec<Node>,
        intercept: bool,
    },
    ColumnStatistics,
    SampleAxis {
        count: Box<Node>,
        table: Box<Node>,
        axis: Box<Node>,
        measures: Vec<Node>,
    },
}

impl Default for Node {
    /// A blank.
    fn default() -> Self {
        Self {
            kind: Kind::Literal(Value::Blank),
            ty: Type::Scalar(DataType::Variant),
            uses: Uses::default(),
            span: Span::default(),
        }
    }
}
