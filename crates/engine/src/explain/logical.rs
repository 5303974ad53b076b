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
    for part in node.children() {
        write_node(model, part, depth + 1, out);
    }
}

pub(crate) fn label(model: &CompiledModel, node: &Node) -> String {
    let name = |c: &evercube_store::ColumnId| model.column_name(*c);
    let names =
        |of: &[evercube_store::ColumnId]| of.iter().map(name).collect::<Vec<_>>().join(", ");
    match &node.kind {
        Kind::Literal(v) => format!("Literal {}", crate::scalar::plain_text(v)),
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
