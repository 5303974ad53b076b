//! What is wrong with the expressions of a model, and what its calculation groups make of types.

use evercube_base::{DataType, Error};
use evercube_store::TableId;

use super::{Binder, Scope};
use crate::compiled_model::{CompiledModel, FORMAT_OF};

/// Objects of a model whose expressions parse and do not bind, by the names of their states.
pub(crate) fn failures(model: &CompiledModel) -> Vec<(String, Error)> {
    let store = evercube_store::StoreVersion::default();
    let mut binder = Binder::new(model, &store, &[]);
    let scope = Scope::default();
    let mut out = Vec::new();
    for measure in model.measures() {
        let Ok(expression) = &measure.expression else { continue };
        binder.binding = vec![measure.name.clone()];
        if let Err(e) = binder.at_home(Some(measure.table), |b| b.scalar(&scope, expression)) {
            let table = &model.table(measure.table).name;
            out.push((format!("{table}[{}]", measure.name), e));
        }
        binder.binding.clear();
        if let Some(Ok(format)) = &measure.format
            && let Err(e) = binder.at_home(Some(measure.table), |b| b.scalar(&scope, format))
        {
            let table = &model.table(measure.table).name;
            out.push((format!("{table}[{}]{FORMAT_OF}", measure.name), e));
        }
    }
    for (id, table) in (0..).map(TableId).zip(model.tables()) {
        if let Some(Ok(expression)) = &table.expression
            && let Err(e) = binder.table(&scope, expression)
        {
            out.push((table.name.clone(), e));
        }
        for column in &table.columns {
            let Some(Ok(expression)) = &column.expression else { continue };
            if let Err(e) = binder.in_rows_of(id, expression) {
                out.push((format!("{}[{}]", table.name, column.name), e));
            }
        }
    }
    for group in model.calculation_groups() {
        for item in group.all() {
            let of = [(Some(&item.expression), ""), (item.format.as_ref(), FORMAT_OF)];
            for (expression, part) in of {
                let Some(Ok(expression)) = expression else { continue };
                if let Err(e) = binder.scalar(&scope, expression) {
                    let table = &model.table(group.table).name;
                    out.push((format!("{table}[{}]{part}", item.name), e));
                }
            }
        }
    }
    for filter in model.all_role_filters() {
        let Ok(expression) = &filter.expression else { continue };
        if let Err(e) = binder.in_rows_of(filter.table, expression) {
            let table = &model.table(filter.table).name;
            out.push((format!("role '{}'/table '{table}'", filter.role), e));
        }
    }
    out
}

/// What the calculation groups of a model make of the types of measures: their own where
/// no item changes it. Else each value has a type of its own, as those of every measure have at
/// Analysis Services.
pub(crate) fn types_under_groups(model: &CompiledModel) -> Vec<(DataType, DataType)> {
    use DataType as D;
    let store = evercube_store::StoreVersion::default();
    let under = |own: DataType| {
        let each = model.calculation_groups().iter().rev();
        each.fold(own, |ty, group| {
            let types = group.all().map(|item| {
                let mut binder = Binder::new(model, &store, &[]);
                binder.selected_type = ty;
                let expression = item.expression.as_ref().ok()?;
                let node = binder.scalar(&Scope::default(), expression).ok()?;
                // An item that gives nothing leaves the type alone.
                Some(if node.is_blank_literal() { ty } else { node.data_type() })
            });
            types.fold(ty, |a, b| b.filter(|b| *b == a).unwrap_or(D::Variant))
        })
    };
    let all = [D::Boolean, D::Int64, D::Decimal, D::Double, D::DateTime, D::String];
    all.into_iter().map(|own| (own, under(own))).collect()
}
