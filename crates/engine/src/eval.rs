//! Evaluation over tables of contexts: every expression is evaluated for all its cells at once.

mod across;
mod aggregate;
mod alike;
mod all_selected;
mod by_values;
mod calculate;
mod calculation_item;
mod case_sum;
mod cells;
mod cells_of_groups;
mod cluster;
mod code_filter;
mod column_set;
mod column_statistics;
mod context_test;
mod current_group;
mod dates;
mod dependence;
mod extend;
mod finer_scan;
mod first_groups;
mod group_by;
mod iterate;
mod keyed_cells;
mod known_scans;
mod logic;
mod lookup;
mod missing_items;
mod model_rows;
mod numbering;
mod order_statistic;
mod ordered_calculate;
mod ordered_filter;
mod ordered_fold;
mod ordered_rows;
mod paths;
mod rank;
mod regression;
mod related_sum;
mod row_condition;
mod row_expression;
mod rows;
mod same_rows;
mod sample_axis;
mod scalar_node;
mod scan;
mod scan_filters;
mod scan_together;
mod set_operations;
mod shared_scan;
mod sort;
mod sort_column;
mod sparse;
mod statistics;
mod summarize;
mod summarize_columns;
mod table_node;
mod text_output;
mod transition;
mod treat_as;
mod value_sets;
mod values_by_scan;
mod variable;
mod variance;
mod whole_table;
mod window;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use evercube_base::{Collation, Error, ErrorKind, Result, Value};
use evercube_store::{BitSet, ScanControl, ScanRequest, StoreVersion, TableId};

use crate::compiled_model::CompiledModel;
use crate::explain::Journal;
use crate::filter_context::FilterContext;
use crate::functions::ScalarContext;
use crate::plan::Node;
use crate::query::QueryContext;
use crate::result_cache::ResultCache;
use crate::rules::Rule;
use crate::scalar::Culture;

pub(crate) use cells::{Cells, Scalars};
pub(crate) use rows::CellTable;
pub(crate) use summarize::{flag_columns, subtotal_column};

type VisibleRows = HashMap<(usize, TableId), (Arc<FilterContext>, Arc<BitSet>)>;

/// One evaluation of one query.
pub(crate) struct Evaluator<'a> {
    pub model: &'a CompiledModel,
    pub store: &'a StoreVersion,
    pub context: &'a QueryContext,
    pub collation: Collation,
    /// How texts say numbers and dates.
    pub culture: Culture,
    pub control: ScanControl,
    /// Role filters; part of every filter context.
    pub base_context: FilterContext,
    visible_rows: RefCell<VisibleRows>,
    /// Measures whose text is the query's, by lower-case name.
    pub query_measures: HashSet<String>,
    /// Bound calculation items, by group and number.
    items: RefCell<HashMap<(usize, usize), Arc<Node>>>,
    ambiguities: RefCell<paths::Ambiguities>,
    unique_columns: RefCell<HashMap<TableId, Option<u32>>>,
    known_scans: RefCell<Vec<known_scans::KnownScan>>,
    /// The order that the groups of a scan were put in last.
    group_order: RefCell<Arc<Vec<u32>>>,
    known_rows: RefCell<Vec<row_condition::KnownRows>>,
    code_maps: RefCell<finer_scan::CodeMaps>,
    decided: RefCell<dependence::Decided>,
    /// Scans that expressions would make, while that is found out.
    foreseen: RefCell<Option<Vec<ScanRequest>>>,
    /// Which time that is being found out.
    foreseeing: Cell<u32>,
    random: Cell<u64>,
    depth: Cell<u32>,
    scans: Cell<u64>,
    /// What the evaluation did, when asked for.
    pub journal: Option<RefCell<Journal>>,
    /// Results of scans of earlier queries, and the version they are of.
    pub cache: Option<(Arc<ResultCache>, Arc<StoreVersion>)>,
}

/// Measures that call measures, deeper than any that end.
const DEPTH: u32 = 400;

impl<'a> Evaluator<'a> {
    pub fn new(
        model: &'a CompiledModel,
        store: &'a StoreVersion,
        context: &'a QueryContext,
        explain: bool,
    ) -> Self {
        let collation = store.tables.first().map_or_else(Collation::default, |t| t.collation());
        Self {
            model,
            store,
            context,
            collation,
            culture: context.culture(),
            control: ScanControl { part: context.scan_part, ..ScanControl::default() },
            base_context: FilterContext::default(),
            query_measures: HashSet::new(),
            visible_rows: RefCell::default(),
            items: RefCell::default(),
            ambiguities: RefCell::default(),
            unique_columns: RefCell::default(),
            known_scans: RefCell::default(),
            group_order: RefCell::default(),
            known_rows: RefCell::default(),
            code_maps: RefCell::default(),
            decided: RefCell::default(),
            foreseen: RefCell::default(),
            foreseeing: Cell::default(),
            random: Cell::new(context.seed),
            depth: Cell::new(0),
            scans: Cell::new(0),
            journal: explain.then(|| RefCell::new(Journal::new())),
            cache: None,
        }
    }

    fn has(&self, rule: Rule) -> bool {
        self.context.rules.has(rule)
    }

    /// The one cell a query starts in.
    pub fn start(&self) -> Cells {
        Cells::one(self.base_context.clone())
    }

    fn scalar_context(&self) -> ScalarContext<'_> {
        ScalarContext {
            collation: self.collation,
            locale: &self.context.locale,
            user_culture: self.context.user_culture.as_deref().unwrap_or(&self.context.locale),
            now: self.context.now,
            utc_now: self.context.utc_now,
            user: &self.context.user,
            custom_data: self.context.custom_data.as_deref(),
            random: &self.random,
        }
    }

    fn deeper<T>(&self, run: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.depth.get() >= DEPTH {
            return Err(Error::new(
                ErrorKind::NestingLimit,
                "The expression is nested too deeply; a measure may refer to itself.",
            ));
        }
        self.depth.set(self.depth.get() + 1);
        let done = run();
        self.depth.set(self.depth.get() - 1);
        done
    }

    /// A scalar that does not depend on the cell, or must not.
    pub(crate) fn single(&self, cells: &Cells, node: &Node) -> Result<Value> {
        if cells.n == 0 {
            return Ok(Value::Blank);
        }
        Ok(self.scalars(&cells.select(&[0]), node)?.get(0).clone())
    }
}
