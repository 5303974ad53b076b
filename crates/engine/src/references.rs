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

/// Collects what expressions of one object refer to, through measures too.
pub(crate) struct References<'a> {
    model: &'a CompiledModel,
    /// The table of a calculated column: its rows are the row context.
    home: Option<TableId>,
    /// Where columns without table name are looked up: the table of the object at hand.
    names: Option<TableId>,
    measures: HashSet<String>,
    functions: HashSet<String>,
    /// Every table and column named, calculated or not.
    pub tables: BTreeSet<TableId>,
    pub columns: BTreeSet<ColumnId>,
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
            tables: BTreeSet::new(),
            columns: BTreeSet::new(),
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
            ExprKind::Bracketed(name) if self.model.measure(name).is_some() => self.measure(name),
            ExprKind::Bracketed(name) => self.unqualified(name),
            ExprKind::Name { name, .. } => {
                if let Some(id) = self.model.table_id(name) {
                    self.table(id);
                }
            }
            _ => {
                if let ExprKind::Call { function, .. } = &e.kind {
                    self.function(function);
                }
                e.parts().into_iter().for_each(|part| self.visit(part));
            }
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

    /// A column of the row context: of the expression's own table, or of any other.
    fn unqualified(&mut self, name: &str) {
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
