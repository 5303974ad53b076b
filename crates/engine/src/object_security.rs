//! Object-level security: tables and columns that roles hide, and all that is computed from them.
//! To the caller these objects do not exist.

use std::collections::BTreeSet;
use std::sync::Arc;

use evercube_dax::ast::Expr;
use evercube_model::tabular::Role;
use evercube_store::{ColumnId, TableId};

use crate::compiled_model::CompiledModel;
use crate::references::References;

/// What one role hides.
#[derive(Debug, Clone)]
pub(crate) struct HiddenObject {
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

    fn touches(&self, references: &References<'_>) -> bool {
        references.tables.iter().any(|t| self.table(*t))
            || references.columns.iter().any(|c| self.column(*c))
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
        let refers = |hidden: &Hidden, home: Option<TableId>, names: TableId, e: &Expr| {
            let mut references = References::named_in(self, home, names);
            references.visit(e);
            hidden.touches(&references)
        };
        loop {
            let before = (hidden.tables.len(), hidden.columns.len());
            for (id, table) in (0..).map(TableId).zip(self.tables()) {
                if let Some(Ok(e)) = &table.expression
                    && refers(hidden, None, id, e)
                {
                    hidden.tables.insert(id);
                }
                for (column, info) in (0..).zip(&table.columns) {
                    if let Some(Ok(e)) = &info.expression
                        && refers(hidden, Some(id), id, e)
                    {
                        hidden.columns.insert(ColumnId { table: id, column });
                    }
                }
            }
            if (hidden.tables.len(), hidden.columns.len()) == before {
                break;
            }
        }
        for function in self.functions() {
            let mut references = References::new(self, None);
            if let Ok((_, body)) = &function.definition {
                references.visit(body);
            }
            if hidden.touches(&references) {
                hidden.functions.insert(function.name.to_lowercase());
            }
        }
        for measure in self.measures() {
            let of = [Some(&measure.expression), measure.format.as_ref()];
            let mut parsed = of.into_iter().flatten().flatten();
            let depends = parsed.any(|e| refers(hidden, None, measure.table, e));
            if depends || hidden.table(measure.table) {
                hidden.measures.insert(measure.name.to_lowercase());
            }
        }
    }

    /// Whether members of these roles do not know of some objects.
    pub fn hides_from(&self, roles: &[String]) -> bool {
        !self.hidden_objects().is_empty()
            && !roles.is_empty()
            && !self.hidden_from(roles).is_empty()
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
