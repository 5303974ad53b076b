//! Expressions over one row of a rowset.

use std::cmp::Ordering;

use evercube_base::{ColumnKind, DateTime, Rowset, Value};

/// A parsed expression; parameters are literals already.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    Column(String),
    Literal(Value),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    /// `IS NULL`; with `true`, `IS NOT NULL`.
    IsNull(Box<Expr>, bool),
    /// `=`, `<>`, `<`, `<=`, `>`, `>=`.
    Compare(&'static str, Box<Expr>, Box<Expr>),
    /// `+ - * /`.
    Arithmetic(char, Box<Expr>, Box<Expr>),
    /// Upper-case name and arguments.
    Call(String, Vec<Expr>),
}

/// Functions and how many arguments they take at least and at most.
pub(super) const FUNCTIONS: &[(&str, usize, usize)] = &[
    ("LEFT", 2, 2),
    ("RIGHT", 2, 2),
    ("MID", 2, 3),
    ("TRIM", 1, 1),
    ("LTRIM", 1, 1),
    ("RTRIM", 1, 1),
    ("LEN", 1, 1),
    ("UCASE", 1, 1),
    ("LCASE", 1, 1),
    ("UPPER", 1, 1),
    ("LOWER", 1, 1),
    ("INSTR", 2, 2),
];

pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::Blank => String::new(),
        Value::Boolean(b) => b.to_string(),
        Value::Int(i) => i.to_string(),
        Value::Decimal(d) => d.to_string(),
        Value::Double(d) => d.to_string(),
        Value::DateTime(t) => t.to_string(),
        Value::String(s) => s.to_string(),
    }
}

fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::Blank => None,
        Value::String(s) => match s.trim().to_ascii_lowercase().as_str() {
            "true" => Some(1.0),
            "false" => Some(0.0),
            t => t.parse().ok(),
        },
        other => other.as_f64(),
    }
}

/// Order of two values; `None` where one of them is null or they cannot be compared.
pub(super) fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Blank, _) | (_, Value::Blank) => None,
        (Value::Int(x), Value::Int(y)) => Some(x.cmp(y)),
        (Value::String(x), Value::String(y)) => Some(x.to_lowercase().cmp(&y.to_lowercase())),
        (Value::DateTime(x), Value::String(y)) => Some(x.cmp(&DateTime::parse_iso(y)?)),
        (Value::String(x), Value::DateTime(y)) => Some(DateTime::parse_iso(x)?.cmp(y)),
        _ => number_of(a)?.partial_cmp(&number_of(b)?),
    }
}

pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Boolean(b) => *b,
        other => number_of(other).is_some_and(|n| n != 0.0),
    }
}

/// Value of an expression for a row; null where anything it needs is null or does not fit.
pub(super) fn evaluate(expr: &Expr, source: &Rowset, row: &[Value]) -> Value {
    match expr {
        Expr::Column(name) => {
            source.column(name).and_then(|i| row.get(i)).cloned().unwrap_or_default()
        }
        Expr::Literal(v) => v.clone(),
        Expr::And(a, b) => {
            Value::Boolean(is_true(&evaluate(a, source, row)) && is_true(&evaluate(b, source, row)))
        }
        Expr::Or(a, b) => {
            Value::Boolean(is_true(&evaluate(a, source, row)) || is_true(&evaluate(b, source, row)))
        }
        Expr::Not(a) => Value::Boolean(!is_true(&evaluate(a, source, row))),
        Expr::IsNull(a, negated) => Value::Boolean(evaluate(a, source, row).is_blank() != *negated),
        Expr::Compare(op, a, b) => {
            let (x, y) = (evaluate(a, source, row), evaluate(b, source, row));
            let Some(order) = compare(&x, &y) else {
                // Null differs from every value, and equals the literal NULL.
                let both = x.is_blank() && y.is_blank();
                return Value::Boolean(if *op == "<>" { !both } else { both && *op == "=" });
            };
            Value::Boolean(match *op {
                "=" => order.is_eq(),
                "<>" => order.is_ne(),
                "<" => order.is_lt(),
                "<=" => order.is_le(),
                ">" => order.is_gt(),
                _ => order.is_ge(),
            })
        }
        Expr::Arithmetic(op, a, b) => {
            arithmetic(*op, &evaluate(a, source, row), &evaluate(b, source, row))
        }
        Expr::Call(name, arguments) => {
            let values: Vec<Value> = arguments.iter().map(|a| evaluate(a, source, row)).collect();
            call(name, &values)
        }
    }
}

fn arithmetic(op: char, a: &Value, b: &Value) -> Value {
    if let (Value::Int(x), Value::Int(y)) = (a, b) {
        let exact = match op {
            '+' => x.checked_add(*y),
            '-' => x.checked_sub(*y),
            '*' => x.checked_mul(*y),
            _ => None,
        };
        if let Some(v) = exact {
            return Value::Int(v);
        }
    }
    if op == '+'
        && let (Value::String(x), Value::String(y)) = (a, b)
    {
        return Value::from(format!("{x}{y}"));
    }
    let (Some(x), Some(y)) = (number_of(a), number_of(b)) else { return Value::Blank };
    match op {
        '+' => Value::Double(x + y),
        '-' => Value::Double(x - y),
        '*' => Value::Double(x * y),
        _ if y == 0.0 => Value::Blank,
        _ => Value::Double(x / y),
    }
}

fn call(name: &str, arguments: &[Value]) -> Value {
    let Some(first) = arguments.first().filter(|v| !v.is_blank()) else { return Value::Blank };
    let text = text_of(first);
    let length = |i: usize| {
        let n = arguments.get(i).and_then(number_of).unwrap_or(0.0);
        n.clamp(0.0, 1e9) as usize
    };
    let chars = text.chars();
    match name {
        "LEFT" => Value::from(chars.take(length(1)).collect::<String>()),
        "RIGHT" => {
            let skip = text.chars().count().saturating_sub(length(1));
            Value::from(chars.skip(skip).collect::<String>())
        }
        "MID" => {
            let rest = chars.skip(length(1).saturating_sub(1));
            let n = if arguments.len() > 2 { length(2) } else { usize::MAX };
            Value::from(rest.take(n).collect::<String>())
        }
        "TRIM" => Value::from(text.trim()),
        "LTRIM" => Value::from(text.trim_start()),
        "RTRIM" => Value::from(text.trim_end()),
        "UCASE" | "UPPER" => Value::from(text.to_uppercase()),
        "LCASE" | "LOWER" => Value::from(text.to_lowercase()),
        "LEN" => Value::Int(chars.count() as i64),
        "INSTR" => {
            let wanted = arguments.get(1).map(text_of).unwrap_or_default().to_lowercase();
            let lower = text.to_lowercase();
            let found = lower.find(&wanted).and_then(|i| lower.get(..i));
            Value::Int(found.map_or(0, |before| before.chars().count() as i64 + 1))
        }
        _ => Value::Blank,
    }
}

/// Type of an expression's column in the answer.
pub(super) fn kind_of(expr: &Expr, source: &Rowset) -> ColumnKind {
    match expr {
        Expr::Column(name) => {
            let found = source.column(name).and_then(|i| source.columns.get(i));
            found.map_or(ColumnKind::String, |c| c.kind)
        }
        Expr::Literal(v) => match v {
            Value::Int(_) => ColumnKind::Long,
            Value::Double(_) | Value::Decimal(_) => ColumnKind::Double,
            Value::Boolean(_) => ColumnKind::Boolean,
            Value::DateTime(_) => ColumnKind::DateTime,
            Value::String(_) | Value::Blank => ColumnKind::String,
        },
        Expr::And(..) | Expr::Or(..) | Expr::Not(_) | Expr::IsNull(..) | Expr::Compare(..) => {
            ColumnKind::Boolean
        }
        Expr::Arithmetic(op, a, b) => {
            let whole = |k| {
                matches!(
                    k,
                    ColumnKind::Long
                        | ColumnKind::Int
                        | ColumnKind::Short
                        | ColumnKind::UnsignedLong
                        | ColumnKind::UnsignedInt
                        | ColumnKind::UnsignedShort
                )
            };
            match (kind_of(a, source), kind_of(b, source)) {
                (ColumnKind::String, ColumnKind::String) => ColumnKind::String,
                (x, y) if whole(x) && whole(y) && *op != '/' => ColumnKind::Long,
                _ => ColumnKind::Double,
            }
        }
        Expr::Call(name, _) if matches!(name.as_str(), "LEN" | "INSTR") => ColumnKind::Long,
        Expr::Call(..) => ColumnKind::String,
    }
}
