//! Object-level security: tables and columns that roles hide, and all that is computed from them.
//! To the caller these objects do not exist.

use std::collections::BTreeSet;
use std::sync::Arc;

use evercube_base::Error;
use evercube_dax::ast::Expr;
use evercube_model::tabular::Role;
use evercube_store::{ColumnId, TableId};

use crate::compiled_model::CompiledModel;
use crate::references::References;

/// What one role hides.
#[derive(Debug, Clone)]
pub struct HiddenObject {
    pub role: String,
    pub table: TableId,
    /// One column, or the table as a whole.
    pub column: Option<ColumnId>,
}

/// Objects that a caller may not know of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hidden {
    tables: BTreeSet<TableId>,
    columns: BTreeSet<ColumnId>,
    /// By lower-case name.
    measures: BTreeSet<String>,
    /// By lower-case name.
    functions: BTreeSet<String>,
}

impl Hidden {
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.columns.is_empty()
    }

    pub fn table(&self, id: TableId) -> bool {
        self.tables.contains(&id)
    }

    pub fn column(&self, id: ColumnId) -> bool {
        self.table(id.table) || self.columns.contains(&id)
    }

    pub fn measure(&self, name: &str) -> bool {
        self.measures.contains(&name.to_lowercase())
    }

    pub fn function(&self, name: &str) -> bool {
        self.functions.contains(&name.to_lowercase())
    }

    /// Whether what an expression names is hidden.
    fn names(&self, references: &References<'_>) -> bool {
        references.tables.iter().any(|t| self.table(*t))
            || references.columns.iter().chain(&references.perhaps_columns).any(|c| self.column(*c))
    }

    /// Whether values that were worked out before anybody asked may be those of hidden columns.
    fn feeds(&self, model: &CompiledModel, references: &References<'_>) -> bool {
        let has_hidden = |t: &TableId| {
            let mut columns = (0..).zip(&model.table(*t).columns);
            columns.any(|(column, _)| self.column(ColumnId { table: *t, column }))
        };
        self.names(references)
            || references.beside_measures.iter().any(|c| self.column(*c))
            || (references.takes_unnamed && references.whole_tables.iter().any(has_hidden))
    }

    /// Whether an expression goes through measures or functions that are hidden.
    fn goes_through(&self, references: &References<'_>) -> bool {
        references.measures.iter().any(|m| self.measures.contains(m))
            || references.functions.iter().any(|f| self.functions.contains(f))
    }
}

/// The permissions of a role that hide something.
pub(crate) fn hidden_objects(model: &CompiledModel, role: &Role) -> Vec<HiddenObject> {
    let is_none = |p: &Option<String>| p.as_deref().is_some_and(|p| p.eq_ignore_ascii_case("none"));
    let mut out = Vec::new();
    for permission in &role.table_permissions {
        let Some(table) = model.table_id(&permission.name) else { continue };
        let mut hide = |column| out.push(HiddenObject { role: role.name.clone(), table, column });
        if is_none(&permission.metadata_permission) {
            hide(None);
        }
        for c in permission.column_permissions.iter().filter(|c| is_none(&c.metadata_permission)) {
            if let Some(id) = model.column(&permission.name, &c.name) {
                hide(Some(id));
            }
        }
    }
    out
}

impl CompiledModel {
    /// What members of these roles may not know of: what every one of the roles hides, and what is
    /// computed from that.
    pub fn hidden_from(&self, roles: &[String]) -> Hidden {
        let mut hidden = Hidden::default();
        let of = |role: &String| {
            let is_its = |h: &&HiddenObject| h.role.eq_ignore_ascii_case(role);
            self.hidden_objects().iter().filter(is_its).collect::<Vec<_>>()
        };
        let of_roles: Vec<Vec<&HiddenObject>> = roles.iter().map(of).collect();
        let Some((first, others)) = of_roles.split_first() else { return hidden };
        for h in first {
            let hides = |o: &&HiddenObject| {
                o.table == h.table && (o.column.is_none() || o.column == h.column)
            };
            if others.iter().all(|of| of.iter().any(hides)) {
                hide(&mut hidden, h);
            }
        }
        // A role that hides a column meets one that hides its table.
        for h in others.iter().flatten().filter(|h| h.column.is_some()) {
            let hides = |o: &&HiddenObject| {
                o.table == h.table && (o.column.is_none() || o.column == h.column)
            };
            if of_roles.iter().all(|of| of.iter().any(hides)) {
                hide(&mut hidden, h);
            }
        }
        if !hidden.is_empty() {
            self.hide_dependents(&mut hidden);
        }
        hidden
    }

    fn hide_dependents(&self, hidden: &mut Hidden) {
        self.hide_calculated(hidden);
        for measure in self.measures() {
            if hidden.table(measure.table) {
                hidden.measures.insert(measure.name.to_lowercase());
            }
        }
        loop {
            let before = (hidden.functions.len(), hidden.measures.len());
            for function in self.functions() {
                let mut references = References::new(self, None);
                if let Ok((_, body)) = &function.definition {
                    references.visit(body);
                }
                if hidden.names(&references) || hidden.goes_through(&references) {
                    hidden.functions.insert(function.name.to_lowercase());
                }
            }
            for measure in self.measures() {
                let mut references = References::named_in(self, None, measure.table);
                let of = [Some(&measure.expression), measure.format.as_ref()];
                of.into_iter().flatten().flatten().for_each(|e| references.visit(e));
                if hidden.names(&references) || hidden.goes_through(&references) {
                    hidden.measures.insert(measure.name.to_lowercase());
                }
            }
            if (hidden.functions.len(), hidden.measures.len()) == before {
                return;
            }
        }
    }

    /// Columns and tables whose values were computed from hidden ones.
    fn hide_calculated(&self, hidden: &mut Hidden) {
        let references = |home: Option<TableId>, names: TableId, e: &Expr| {
            let mut references = References::named_in(self, home, names);
            references.visit(e);
            references
        };
        loop {
            let before = (hidden.tables.len(), hidden.columns.len());
            for (id, table) in (0..).map(TableId).zip(self.tables()) {
                for (column, info) in (0..).zip(&table.columns) {
                    if let Some(Ok(e)) = &info.expression
                        && hidden.feeds(self, &references(Some(id), id, e))
                    {
                        hidden.columns.insert(ColumnId { table: id, column });
                    }
                }
                let Some(Ok(e)) = &table.expression else { continue };
                let of = references(None, id, e);
                if hidden.feeds(self, &of) {
                    hidden.tables.insert(id);
                }
                for (column, info) in (0..).zip(&table.columns) {
                    let source = info.source.as_deref().unwrap_or(&info.name).to_lowercase();
                    if self.is_passed_on(hidden, &of, &source) {
                        hidden.columns.insert(ColumnId { table: id, column });
                    }
                }
            }
            if (hidden.tables.len(), hidden.columns.len()) == before {
                return;
            }
        }
    }

    /// Whether what a calculated table gives under this name may be a hidden column that comes along
    /// with the rest of its table.
    fn is_passed_on(&self, hidden: &Hidden, of: &References<'_>, source: &str) -> bool {
        of.whole_tables.iter().any(|t| {
            let table = self.table(*t);
            let mut columns = (0..).zip(&table.columns);
            columns.any(|(column, info)| {
                let whole = || format!("{}[{}]", table.name, info.name).to_lowercase();
                hidden.column(ColumnId { table: *t, column })
                    && (info.name.to_lowercase() == source || whole() == source)
            })
        })
    }

    /// Whether members of these roles do not know of some objects.
    pub fn hides_from(&self, roles: &[String]) -> bool {
        !self.hidden_objects().is_empty()
            && !roles.is_empty()
            && !self.hidden_from(roles).is_empty()
    }

    /// An error in an expression of the model, named by `what`. Where something is hidden from the
    /// caller, the words of an expression that it did not write are not repeated to it.
    pub(crate) fn told_of(&self, what: &str, mut e: Error) -> Error {
        e.span = None;
        if self.is_whole() || e.kind.is_stop() {
            return e.context(what);
        }
        Error::new(e.kind, format!("{what}: only who may see the whole model is told what it is."))
    }

    /// The model as members of these roles see it; `None` where nothing is hidden from them.
    pub(crate) fn seen_by(self: &Arc<Self>, roles: &[String]) -> Option<Self> {
        if self.hidden_objects().is_empty() || roles.is_empty() {
            return None;
        }
        let hidden = self.hidden_from(roles);
        (!hidden.is_empty()).then(|| self.without(&hidden))
    }
}

fn hide(hidden: &mut Hidden, object: &HiddenObject) {
    match object.column {
        Some(column) => {
            hidden.columns.insert(column);
        }
        None => {
            hidden.tables.insert(object.table);
        }
    }
}
