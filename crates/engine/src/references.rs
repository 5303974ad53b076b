//! What an expression refers to: the calculated columns and tables it needs.

use std::collections::{BTreeSet, HashSet};

use evercube_dax::ast::{Expr, ExprKind};
use evercube_store::{ColumnId, TableId};

use crate::compiled_model::CompiledModel;

/// Something that is computed and that other expressions may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Item {
    Table(TableId),
    Column(ColumnId),
}

/// Functions that take columns of a table by their place or write all of them down: what they give may
/// hold the values of columns that nobody named.
const TAKE_UNNAMED: [&str; 7] =
    ["UNION", "EXCEPT", "INTERSECT", "TREATAS", "TOCSV", "TOJSON", "COLUMNSTATISTICS"];
/// Functions that give of the table that is their first argument what is named only.
const TAKE_NAMED: [&str; 3] = ["SELECTCOLUMNS", "SUMMARIZE", "GROUPBY"];

/// Collects what expressions of one object refer to, through measures too.
pub(crate) struct References<'a> {
    model: &'a CompiledModel,
    /// The table of a calculated column: its rows are the row context.
    home: Option<TableId>,
    /// Where columns without table name are looked up: the table of the object at hand.
    names: Option<TableId>,
    /// By lower-case name.
    pub measures: HashSet<String>,
    /// By lower-case name.
    pub functions: HashSet<String>,
    /// Measures whose detail rows were looked at, by lower-case name.
    rows_behind: HashSet<String>,
    /// Every table and column named, calculated or not.
    pub tables: BTreeSet<TableId>,
    pub columns: BTreeSet<ColumnId>,
    /// Tables that are named where all their columns are passed on.
    pub whole_tables: BTreeSet<TableId>,
    /// Every column that a name without its table may mean.
    pub perhaps_columns: BTreeSet<ColumnId>,
    /// As these, where the name is that of a measure as well: what takes a value means the measure.
    pub beside_measures: BTreeSet<ColumnId>,
    /// Whether columns may be taken by their place, or all of them, without being named.
    pub takes_unnamed: bool,
    /// Only what is named is taken of the table at hand.
    takes_named: bool,
    pub found: BTreeSet<Item>,
    /// What may be referred to; it comes first where that is possible.
    pub perhaps: BTreeSet<Item>,
}

impl<'a> References<'a> {
    pub fn new(model: &'a CompiledModel, home: Option<TableId>) -> Self {
        Self {
            model,
            home,
            names: home,
            measures: HashSet::new(),
            functions: HashSet::new(),
            rows_behind: HashSet::new(),
            tables: BTreeSet::new(),
            columns: BTreeSet::new(),
            whole_tables: BTreeSet::new(),
            perhaps_columns: BTreeSet::new(),
            beside_measures: BTreeSet::new(),
            takes_unnamed: false,
            takes_named: false,
            found: BTreeSet::new(),
            perhaps: BTreeSet::new(),
        }
    }

    /// Of an object of the table `names`.
    pub fn named_in(model: &'a CompiledModel, home: Option<TableId>, names: TableId) -> Self {
        Self { names: Some(names), ..Self::new(model, home) }
    }

    pub fn visit(&mut self, e: &Expr) {
        match &e.kind {
            ExprKind::Qualified { table, name } => match self.model.column(table, name) {
                Some(id) => self.column(id),
                None => self.measure(name),
            },
            ExprKind::Bracketed(name) if self.model.measure(name).is_some() => {
                let columns: Vec<_> = self.columns_named(name).collect();
                self.beside_measures.extend(columns);
                self.measure(name);
            }
            ExprKind::Bracketed(name) => self.unqualified(name),
            ExprKind::Name { name, .. } => {
                if let Some(id) = self.model.table_id(name) {
                    self.table(id);
                }
            }
            ExprKind::Call { function, arguments, .. } => self.call(function, arguments),
            ExprKind::Variables { .. } => {
                let outer = std::mem::take(&mut self.takes_named);
                e.parts().into_iter().for_each(|part| self.visit(part));
                self.takes_named = outer;
            }
            _ => e.parts().into_iter().for_each(|part| self.visit(part)),
        }
    }

    fn call(&mut self, function: &str, arguments: &[Expr]) {
        self.function(function);
        let is_one_of = |names: &[&str]| names.iter().any(|n| n.eq_ignore_ascii_case(function));
        let (unnamed, named) = (is_one_of(&TAKE_UNNAMED), is_one_of(&TAKE_NAMED));
        self.takes_unnamed |= unnamed;
        if arguments.is_empty() && is_one_of(&["COLUMNSTATISTICS"]) {
            let tables = self.model.tables().len() as u32;
            self.whole_tables.extend((0..tables).map(TableId));
        }
        for (i, argument) in arguments.iter().enumerate() {
            let outer = self.takes_named;
            self.takes_named = (outer && !unnamed) || (named && i == 0);
            self.visit(argument);
            self.takes_named = outer;
        }
        if is_one_of(&["DETAILROWS"]) {
            arguments.iter().for_each(|measure| self.detail_rows(measure));
        }
    }

    /// What a function of the model refers to.
    fn function(&mut self, name: &str) {
        let Some(of) = self.model.function(name) else { return };
        if self.functions.insert(name.to_lowercase())
            && let Ok((_, body)) = &of.definition
        {
            let outer = self.names.take();
            self.visit(body);
            self.names = outer;
        }
    }

    fn column(&mut self, id: ColumnId) {
        self.tables.insert(id.table);
        self.columns.insert(id);
        self.found.insert(Item::Table(id.table));
        if self.model.column_info(id).expression.is_some() {
            self.found.insert(Item::Column(id));
        }
    }

    /// A table as a whole. A table made of it may have all its columns; a column beside it does
    /// not wait for columns that it does not name.
    fn table(&mut self, id: TableId) {
        self.tables.insert(id);
        if !self.takes_named {
            self.whole_tables.insert(id);
        }
        self.found.insert(Item::Table(id));
        if self.home.is_none() {
            let columns = (0..).zip(&self.model.table(id).columns);
            let calculated = columns.filter(|(_, c)| c.expression.is_some());
            let items = calculated.map(|(column, _)| Item::Column(ColumnId { table: id, column }));
            self.perhaps.extend(items);
        }
    }

    fn measure(&mut self, name: &str) {
        if !self.measures.insert(name.to_lowercase()) {
            return;
        }
        let Some(measure) = self.model.measure(name) else { return };
        if let Ok(expression) = &measure.expression {
            let outer = self.names.replace(measure.table);
            self.visit(expression);
            self.names = outer;
        }
    }

    /// The rows behind a measure, as its definition says.
    fn detail_rows(&mut self, measure: &Expr) {
        let (ExprKind::Bracketed(name) | ExprKind::Qualified { name, .. }) = &measure.kind else {
            return;
        };
        if let Some(of) = self.model.measure(name)
            && let Some(Ok(rows)) = &of.detail_rows
            && self.rows_behind.insert(name.to_lowercase())
        {
            let outer = self.names.replace(of.table);
            self.visit(rows);
            self.names = outer;
        }
    }

    /// The columns of all tables that have this name.
    fn columns_named(&self, name: &str) -> impl Iterator<Item = ColumnId> + use<'a> {
        let (model, name) = (self.model, name.to_owned());
        model.tables().iter().filter_map(move |t| model.column(&t.name, &name))
    }

    /// A column of the row context: of the expression's own table, or of any other.
    fn unqualified(&mut self, name: &str) {
        let columns: Vec<_> = self.columns_named(name).collect();
        self.perhaps_columns.extend(columns);
        let of = |id: TableId| self.model.column(&self.model.table(id).name, name);
        if let Some(id) = self.names.and_then(of) {
            return self.column(id);
        }
        for id in (0..self.model.tables().len() as u32).filter_map(|t| of(TableId(t))) {
            self.perhaps.insert(Item::Table(id.table));
            if self.model.column_info(id).expression.is_some() {
                self.perhaps.insert(Item::Column(id));
            }
        }
    }
}
