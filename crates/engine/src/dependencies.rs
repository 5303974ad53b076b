//! Which objects of a model an expression or a query names.

use std::collections::BTreeSet;

use evercube_base::Result;
use evercube_dax::ast::{DefinitionKind, Expr, ExprKind};
use evercube_store::{ColumnId, TableId};

use crate::compiled_model::CompiledModel;

/// An object that an expression names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Named {
    Table(TableId),
    Column(ColumnId),
    /// As the model writes it.
    Measure(String),
}

/// What an expression of an object of the table `home` names itself.
pub fn named_by(model: &CompiledModel, home: Option<TableId>, e: &Expr) -> BTreeSet<Named> {
    let mut out = BTreeSet::new();
    visit(model, home, e, &mut out);
    out
}

/// What a query names, in its definitions too.
///
/// # Errors
/// `Syntax`.
pub fn named_by_query(model: &CompiledModel, text: &str) -> Result<BTreeSet<Named>> {
    let query = evercube_dax::parse_query(text).into_result()?;
    let mut out = BTreeSet::new();
    for d in &query.definitions {
        if let DefinitionKind::Measure { expression, .. }
        | DefinitionKind::Variable { expression, .. }
        | DefinitionKind::Table { expression, .. }
        | DefinitionKind::Column { expression, .. } = &d.kind
        {
            visit(model, None, expression, &mut out);
        }
    }
    for e in &query.evaluates {
        visit(model, None, &e.expression, &mut out);
        e.order_by.iter().for_each(|o| visit(model, None, &o.expression, &mut out));
    }
    Ok(out)
}

fn visit(model: &CompiledModel, home: Option<TableId>, e: &Expr, out: &mut BTreeSet<Named>) {
    let measure = |name: &str| model.measure(name).map(|m| Named::Measure(m.name.clone()));
    let own = |name: &str| model.column(&model.table(home?).name, name).map(Named::Column);
    let found = match &e.kind {
        ExprKind::Qualified { table, name } => {
            model.column(table, name).map(Named::Column).or_else(|| measure(name))
        }
        ExprKind::Bracketed(name) => measure(name).or_else(|| own(name)),
        ExprKind::Name { name, .. } => model.table_id(name).map(Named::Table),
        _ => {
            e.parts().into_iter().for_each(|part| visit(model, home, part, out));
            None
        }
    };
    out.extend(found);
}
