//! Trees back to DAX text that parses to the same tree, spans aside.

use evercube_base::Value;

use crate::ast::{BinaryOperator, DefinitionKind, Expr, ExprKind, Query, UnaryOperator};
use crate::expression::{COMPARE_POWER, NOT_POWER, SIGN_POWER, binding_power};
use crate::lexer::{is_name_part, is_name_start};

/// Binding power of what needs no parentheses anywhere.
const ATOM: u8 = 10;

/// The query, each definition and statement on a line of its own.
pub fn print_query(query: &Query) -> String {
    let mut out = String::new();
    if !query.definitions.is_empty() {
        out.push_str("DEFINE\n");
    }
    for definition in &query.definitions {
        out.push_str("    ");
        let expression = match &definition.kind {
            DefinitionKind::Measure { table, name, expression } => {
                out.push_str("MEASURE ");
                if let Some(table) = table {
                    wrap(&mut out, '\'', table, '\'');
                }
                wrap(&mut out, '[', name, ']');
                expression
            }
            DefinitionKind::Variable { name, expression } => {
                out.push_str("VAR ");
                out.push_str(name);
                expression
            }
            DefinitionKind::Table { name, expression } => {
                out.push_str("TABLE ");
                wrap(&mut out, '\'', name, '\'');
                expression
            }
            DefinitionKind::Column { table, name, expression } => {
                out.push_str("COLUMN ");
                wrap(&mut out, '\'', table, '\'');
                wrap(&mut out, '[', name, ']');
                expression
            }
            DefinitionKind::Function { name, parameters, body } => {
                out.push_str("FUNCTION ");
                out.push_str(name);
                out.push_str(" = (");
                for (at, p) in parameters.iter().enumerate() {
                    out.push_str(if at == 0 { "" } else { ", " });
                    out.push_str(&p.name);
                    if !p.hints.is_empty() {
                        out.push_str(" : ");
                        out.push_str(&p.hints.join(" "));
                    }
                    if let Some(default) = &p.default {
                        out.push_str(" = ");
                        write_expr(&mut out, default, 0);
                    }
                }
                out.push_str(") =>");
                out.push(' ');
                write_expr(&mut out, body, 0);
                out.push('\n');
                continue;
            }
        };
        out.push_str(" = ");
        write_expr(&mut out, expression, 0);
        out.push('\n');
    }
    for evaluate in &query.evaluates {
        out.push_str("EVALUATE ");
        write_expr(&mut out, &evaluate.expression, 0);
        for (at, order) in evaluate.order_by.iter().enumerate() {
            out.push_str(if at == 0 { "\nORDER BY " } else { ", " });
            write_expr(&mut out, &order.expression, 0);
            out.push_str(if order.descending { " DESC" } else { " ASC" });
        }
        if !evaluate.start_at.is_empty() {
            out.push_str("\nSTART AT ");
            write_list(&mut out, &evaluate.start_at);
        }
        out.push('\n');
    }
    out
}

/// The expression on one line.
pub fn print_expr(expression: &Expr) -> String {
    let mut out = String::new();
    write_expr(&mut out, expression, 0);
    out
}

fn power(expression: &Expr) -> u8 {
    match &expression.kind {
        ExprKind::Binary { operator, .. } => binding_power(*operator),
        ExprKind::In { .. } => COMPARE_POWER,
        ExprKind::Unary { operator: UnaryOperator::Not, .. } => NOT_POWER,
        ExprKind::Unary { .. } => SIGN_POWER,
        ExprKind::Variables { .. } => 0,
        _ => ATOM,
    }
}

/// Writes `expression`, in parentheses when it binds looser than `floor`.
fn write_expr(out: &mut String, expression: &Expr, floor: u8) {
    if power(expression) < floor {
        out.push('(');
        write_bare(out, expression);
        out.push(')');
    } else {
        write_bare(out, expression);
    }
}

fn write_bare(out: &mut String, expression: &Expr) {
    match &expression.kind {
        ExprKind::Literal(value) => write_value(out, value),
        ExprKind::Parameter(name) => {
            out.push('@');
            out.push_str(name);
        }
        ExprKind::Name { name, quoted } => {
            if *quoted || !is_plain(name) {
                wrap(out, '\'', name, '\'');
            } else {
                out.push_str(name);
            }
        }
        ExprKind::Bracketed(name) => wrap(out, '[', name, ']'),
        ExprKind::Level { table, column, level } => {
            if let Some(table) = table {
                wrap(out, '\'', table, '\'');
            }
            wrap(out, '[', column, ']');
            out.push('.');
            wrap(out, '[', level, ']');
        }
        ExprKind::Qualified { table, name } => {
            wrap(out, '\'', table, '\'');
            wrap(out, '[', name, ']');
        }
        ExprKind::Call { function, arguments, .. } => {
            out.push_str(function);
            out.push('(');
            write_list(out, arguments);
            out.push(')');
        }
        ExprKind::Omitted => {}
        ExprKind::Unary { operator, operand } => {
            out.push_str(match operator {
                UnaryOperator::Minus => "-",
                UnaryOperator::Plus => "+",
                UnaryOperator::Not => "NOT ",
            });
            // Two minus signs in a row would begin a comment.
            if matches!(operand.kind, ExprKind::Unary { .. }) {
                out.push(' ');
            }
            write_expr(out, operand, power(expression));
        }
        ExprKind::Binary { operator, left, right } => {
            let own = binding_power(*operator);
            write_expr(out, left, own);
            out.push_str(symbol(*operator));
            write_expr(out, right, own + 1);
        }
        ExprKind::In { left, right } => {
            write_expr(out, left, COMPARE_POWER);
            out.push_str(" IN ");
            write_expr(out, right, COMPARE_POWER + 1);
        }
        ExprKind::TableConstructor(rows) => {
            out.push('{');
            for (at, row) in rows.iter().enumerate() {
                out.push_str(if at == 0 { " " } else { ", " });
                if row.len() > 1 {
                    write_tuple(out, row);
                } else {
                    write_list(out, row);
                }
            }
            out.push_str(" }");
        }
        ExprKind::Tuple(values) => write_tuple(out, values),
        ExprKind::Variables { bindings, result } => {
            for binding in bindings {
                out.push_str("VAR ");
                out.push_str(&binding.name);
                out.push_str(" = ");
                write_expr(out, &binding.expression, 1);
                out.push(' ');
            }
            out.push_str("RETURN ");
            write_expr(out, result, 0);
        }
        ExprKind::Error => out.push_str("ERROR(\"unreadable expression\")"),
    }
}

fn write_tuple(out: &mut String, values: &[Expr]) {
    out.push('(');
    write_list(out, values);
    out.push(')');
}

fn write_list(out: &mut String, values: &[Expr]) {
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        write_expr(out, value, 0);
    }
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::String(text) => wrap(out, '"', text, '"'),
        Value::Double(number) if number.is_nan() => out.push_str("(0 / 0)"),
        Value::Double(number) if number.is_infinite() => {
            out.push_str(if *number > 0.0 { "(1 / 0)" } else { "(-1 / 0)" });
        }
        Value::Double(number) if number.is_sign_negative() => {
            out.push_str(&format!("({number:?})"));
        }
        Value::Double(number) => out.push_str(&format!("{number:?}")),
        Value::Int(number) if *number < 0 => out.push_str(&format!("({number})")),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::Boolean(true) => out.push_str("TRUE()"),
        Value::Boolean(false) => out.push_str("FALSE()"),
        Value::DateTime(moment) => out.push_str(&format!("dt\"{moment}\"")),
        Value::Decimal(number) => out.push_str(&format!("CURRENCY({number})")),
        Value::Blank => out.push_str("BLANK()"),
    }
}

/// `text` between `open` and `close`, with `close` doubled inside.
fn wrap(out: &mut String, open: char, text: &str, close: char) {
    out.push(open);
    for c in text.chars() {
        out.push(c);
        if c == close {
            out.push(c);
        }
    }
    out.push(close);
}

fn is_plain(name: &str) -> bool {
    name.chars().next().is_some_and(is_name_start)
        && name.chars().all(|c| is_name_part(c) || c == '.')
}

fn symbol(operator: BinaryOperator) -> &'static str {
    use BinaryOperator as B;
    match operator {
        B::Or => " || ",
        B::And => " && ",
        B::Equal => " = ",
        B::StrictEqual => " == ",
        B::NotEqual => " <> ",
        B::Less => " < ",
        B::LessEqual => " <= ",
        B::Greater => " > ",
        B::GreaterEqual => " >= ",
        B::Concatenate => " & ",
        B::Add => " + ",
        B::Subtract => " - ",
        B::Multiply => " * ",
        B::Divide => " / ",
        B::Power => " ^ ",
    }
}
