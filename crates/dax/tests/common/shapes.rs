//! Trees as text that shows every grouping, and trees without places.
#![allow(dead_code)]

use evercube_base::Value;
use evercube_dax::ast::{DefinitionKind, Expr, ExprKind, Query};

fn list(items: &[Expr]) -> String {
    items.iter().map(show_expr).collect::<Vec<_>>().join(" ")
}

pub fn show_expr(expression: &Expr) -> String {
    match &expression.kind {
        ExprKind::Literal(Value::String(text)) => format!("{text:?}"),
        ExprKind::Literal(Value::Int(number)) => format!("{number}"),
        ExprKind::Literal(Value::Double(number)) => format!("{number:?}d"),
        ExprKind::Literal(Value::DateTime(moment)) => format!("{moment}"),
        ExprKind::Literal(other) => format!("{other:?}"),
        ExprKind::Parameter(name) => format!("@{name}"),
        ExprKind::Name { name, quoted } => format!("{}{name}", if *quoted { "'" } else { "" }),
        ExprKind::Bracketed(name) => format!("[{name}]"),
        ExprKind::Level { table: Some(table), column, level } => {
            format!("<{table}|{column}|{level}>")
        }
        ExprKind::Level { table: None, column, level } => format!("<{column}|{level}>"),
        ExprKind::Qualified { table, name } => format!("<{table}|{name}>"),
        ExprKind::Call { function, arguments, .. } => format!("{function}({})", list(arguments)),
        ExprKind::Omitted => "omitted".to_owned(),
        ExprKind::Unary { operator, operand } => format!("({operator:?} {})", show_expr(operand)),
        ExprKind::Binary { operator, left, right } => {
            format!("({operator:?} {} {})", show_expr(left), show_expr(right))
        }
        ExprKind::In { left, right } => format!("(In {} {})", show_expr(left), show_expr(right)),
        ExprKind::TableConstructor(rows) => {
            let rows: Vec<_> = rows.iter().map(|row| format!("({})", list(row))).collect();
            format!("{{{}}}", rows.join(" "))
        }
        ExprKind::Tuple(values) => format!("(Tuple {})", list(values)),
        ExprKind::Variables { bindings, result } => {
            let bindings: String = bindings
                .iter()
                .map(|binding| format!("{} := {}; ", binding.name, show_expr(&binding.expression)))
                .collect();
            format!("(let {bindings}in {})", show_expr(result))
        }
        ExprKind::Error => "<error>".to_owned(),
    }
}

pub fn show_query(query: &Query) -> String {
    let mut out = String::new();
    for definition in &query.definitions {
        let line = match &definition.kind {
            DefinitionKind::Measure { table, name, expression } => {
                format!("measure {table:?} [{name}] {}", show_expr(expression))
            }
            DefinitionKind::Variable { name, expression } => {
                format!("var {name} {}", show_expr(expression))
            }
            DefinitionKind::Table { name, expression } => {
                format!("table {name} {}", show_expr(expression))
            }
            DefinitionKind::Column { table, name, expression } => {
                format!("column {table} [{name}] {}", show_expr(expression))
            }
            DefinitionKind::Function { name, parameters, body } => {
                let names: Vec<&str> = parameters.iter().map(|p| &*p.name).collect();
                format!("function {name} {names:?} {}", show_expr(body))
            }
        };
        out.push_str(&line);
        out.push('\n');
    }
    for evaluate in &query.evaluates {
        out.push_str(&format!("evaluate {}\n", show_expr(&evaluate.expression)));
        for order in &evaluate.order_by {
            let direction = if order.descending { "desc" } else { "asc" };
            out.push_str(&format!("  by {} {direction}\n", show_expr(&order.expression)));
        }
        if !evaluate.start_at.is_empty() {
            out.push_str(&format!("  start {}\n", list(&evaluate.start_at)));
        }
    }
    out
}

/// What must be equal after printing and parsing again.
pub fn without_places(expression: &Expr) -> String {
    show_expr(expression)
}
