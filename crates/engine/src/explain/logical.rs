//! Bound expressions as text, one node a line.

use std::fmt::Write as _;

use crate::compiled_model::CompiledModel;
use crate::plan::{FilterArgument, Kind, Node};

/// The tree of an expression, indented.
pub(crate) fn tree(model: &CompiledModel, node: &Node) -> String {
    let mut out = String::new();
    write_node(model, node, 0, &mut out);
    out
}

fn write_node(model: &CompiledModel, node: &Node, depth: usize, out: &mut String) {
    let columns: Vec<String> = node.schema().iter().map(|c| c.name.to_string()).collect();
    let shape = match node.is_table() {
        true => format!(" -> table ({})", columns.join(", ")),
        false => format!(" -> {:?}", node.data_type()),
    };
    let _written = writeln!(out, "{:indent$}{}{shape}", "", label(model, node), indent = depth * 2);
    for part in parts(node) {
        write_node(model, part, depth + 1, out);
    }
}

pub(crate) fn label(model: &CompiledModel, node: &Node) -> String {
    let name = |c: &evercube_store::ColumnId| model.column_name(*c);
    let names =
        |of: &[evercube_store::ColumnId]| of.iter().map(name).collect::<Vec<_>>().join(", ");
    match &node.kind {
        Kind::Literal(v) => format!("Literal {}", crate::scalar::to_text(v)),
        Kind::RowColumn { frame, column } => format!("RowColumn {frame}.{column}"),
        Kind::Related { column, .. } => format!("Related {}", name(column)),
        Kind::Variable(slot) => format!("Variable {slot}"),
        Kind::Measure { name, .. } => format!("Measure [{name}]"),
        Kind::FormatString { name, .. } => format!("FormatString of [{name}]"),
        Kind::SelectedMeasure(what) => format!("SelectedMeasure {what:?}"),
        Kind::Scalar { name, .. } => (*name).to_owned(),
        Kind::Binary { operator, .. } => format!("{operator:?}"),
        Kind::Iterate { fold, .. } => format!("Iterate {fold:?}"),
        Kind::ModelTable { table, .. } => format!("Table '{}'", model.table(*table).name),
        Kind::Values { columns, .. } => format!("Values {}", names(columns)),
        Kind::Context { test, columns } => format!("{test:?} {}", names(columns)),
        Kind::SummarizeColumns { groups, .. } => format!("SummarizeColumns by {}", names(groups)),
        Kind::Calculate { filters, .. } => format!("Calculate{}", modifiers(model, filters)),
        Kind::CalculateTable { filters, .. } => {
            format!("CalculateTable{}", modifiers(model, filters))
        }
        Kind::Dates { set, .. } => format!("Dates {set:?}"),
        kind => {
            let shown = format!("{kind:?}");
            shown.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
        }
    }
}

fn modifiers(model: &CompiledModel, filters: &[FilterArgument]) -> String {
    let shown = filters.iter().filter_map(|f| match f {
        FilterArgument::Table { .. } => None,
        FilterArgument::Remove(columns) => {
            let names: Vec<String> = columns.iter().map(|c| model.column_name(*c)).collect();
            Some(format!("remove filters of {}", names.join(", ")))
        }
        FilterArgument::RemoveAll => Some("remove all filters".to_owned()),
        FilterArgument::Selected(_) => Some("filters as selected".to_owned()),
        FilterArgument::Use(r) => Some(format!("use relationship {}", r.0)),
        FilterArgument::Direct(r, d) => Some(format!("relationship {} {d:?}", r.0)),
    });
    let all: Vec<String> = shown.collect();
    if all.is_empty() { String::new() } else { format!(" ({})", all.join("; ")) }
}

/// The expressions an expression is made of.
pub(crate) fn parts(node: &Node) -> Vec<&Node> {
    match &node.kind {
        Kind::Measure { body, .. } => vec![body],
        Kind::Scalar { arguments, .. } | Kind::Coalesce(arguments) => arguments.iter().collect(),
        Kind::Binary { left, right, .. }
        | Kind::And(left, right)
        | Kind::Or(left, right)
        | Kind::Pick { left, right, .. } => vec![left, right],
        Kind::Not(inner)
        | Kind::Negate(inner)
        | Kind::IsError(inner)
        | Kind::CountRows(inner)
        | Kind::IsEmpty(inner)
        | Kind::Unfiltered(inner)
        | Kind::KeepFilters(inner)
        | Kind::Distinct(inner)
        | Kind::TreatAs(inner) => vec![inner],
        Kind::If { condition, then, otherwise } => {
            let mut out: Vec<&Node> = vec![condition, then];
            out.extend(otherwise.as_deref());
            out
        }
        Kind::Iterate { table, body, .. } => vec![table, body],
        Kind::Filter { table, condition } => vec![table, condition],
        Kind::Extend { table, columns, .. } => {
            std::iter::once(table.as_ref()).chain(columns.iter().map(|c| &c.node)).collect()
        }
        Kind::SummarizeColumns { columns, filters, .. } => {
            let filters = filters.iter().flat_map(|f| tables(std::slice::from_ref(&f.filter)));
            filters.chain(columns.iter().map(|c| &c.node)).collect()
        }
        Kind::MissingItems { table, combinations, .. } => vec![table, combinations],
        Kind::Summarize { table, columns, .. } | Kind::GroupBy { table, columns, .. } => {
            std::iter::once(table.as_ref()).chain(columns.iter().map(|c| &c.node)).collect()
        }
        Kind::Calculate { body, filters, .. } | Kind::CalculateTable { body, filters } => {
            tables(filters).chain(std::iter::once(body.as_ref())).collect()
        }
        Kind::AllSelected { body, .. } => vec![body],
        Kind::Let { bindings, result } => bindings
            .iter()
            .map(|(_, n)| n.as_ref())
            .chain(std::iter::once(result.as_ref()))
            .collect(),
        Kind::SingleValue { table, .. } | Kind::TopN { table, .. } => vec![table],
        Kind::CrossJoin(all) | Kind::Set(_, all) => all.iter().collect(),
        Kind::Generate { outer, inner, .. } => vec![outer, inner],
        Kind::NaturalJoin { left, right, .. } => vec![left, right],
        Kind::Dates { dates, .. } => vec![dates],
        _ => Vec::new(),
    }
}

fn tables(filters: &[FilterArgument]) -> impl Iterator<Item = &Node> {
    filters.iter().filter_map(|f| match f {
        FilterArgument::Table { table, .. } => Some(table),
        _ => None,
    })
}
