//! `SELECT … FROM $SYSTEM.…`: schema rowsets read with a small query language.

mod expression;
mod parse;

use std::cmp::Ordering;

use evercube_base::{ColumnKind, Error, Result, Rowset, RowsetColumn, Value};

use self::expression::{Expr, compare, evaluate, is_true, kind_of};
use self::parse::{Items, Select, parse};
use super::context::DiscoverContext;
use super::{discover, shape};

/// Whether a statement is one for this language: a `SELECT` from `$SYSTEM`.
pub fn is_dmv(statement: &str) -> bool {
    let lower = statement.trim_start().to_ascii_lowercase();
    lower.starts_with("select")
        && (lower.contains("$system") || lower.contains("systemrestrictschema"))
}

/// Runs a statement. `parameters` are the values of its `@names`.
///
/// # Errors
/// `Invalid` for text that does not parse or names no column, and whatever the rowset itself says.
pub fn select(
    statement: &str,
    parameters: &[(String, Value)],
    context: &DiscoverContext<'_>,
) -> Result<Rowset> {
    let query = parse(statement, parameters)?;
    let name = query.rowset.to_ascii_uppercase();
    if matches!(name.as_str(), "DISCOVER_XML_METADATA" | "DISCOVER_CSDL_METADATA") {
        return Err(Error::invalid(format!(
            "{name} holds documents and cannot be read with SELECT; ask for it with Discover."
        )));
    }
    let mut restrictions = query.restrictions.clone();
    let filter = query.filter.clone().and_then(|f| push_down(f, &name, &mut restrictions));
    let source = discover(&name, &restrictions, context)?;
    if let Some(f) = &filter {
        check(f, &source)?;
    }
    let mut rows: Vec<&Vec<Value>> = Vec::new();
    for row in &source.rows {
        evercube_work::tick();
        if filter.as_ref().is_none_or(|f| is_true(&evaluate(f, &source, row))) {
            rows.push(row);
        }
    }
    for (key, _) in &query.order {
        check(key, &source)?;
    }
    let mut keyed: Vec<(Vec<Value>, &Vec<Value>)> = rows
        .into_iter()
        .map(|row| (query.order.iter().map(|(k, _)| evaluate(k, &source, row)).collect(), row))
        .collect();
    keyed.sort_by(|(a, _), (b, _)| {
        evercube_work::tick();
        let pairs = a.iter().zip(b).zip(&query.order);
        pairs.fold(Ordering::Equal, |so_far, ((x, y), (_, descending))| {
            let one = compare(x, y).unwrap_or(Ordering::Equal);
            so_far.then(if *descending { one.reverse() } else { one })
        })
    });
    project(&query, &source, keyed.into_iter().map(|(_, row)| row))
}

/// Takes equalities on restrictions out of a condition where they must hold for every row. One on a
/// name that is also a column stays in the condition too.
fn push_down(
    filter: Expr,
    rowset: &str,
    restrictions: &mut Vec<(String, Vec<String>)>,
) -> Option<Expr> {
    match filter {
        Expr::And(a, b) => {
            let a = push_down(*a, rowset, restrictions);
            let b = push_down(*b, rowset, restrictions);
            match (a, b) {
                (Some(a), Some(b)) => Some(Expr::And(Box::new(a), Box::new(b))),
                (one, other) => one.or(other),
            }
        }
        Expr::Compare(op, a, b) if op == "=" => {
            let pair = match (&*a, &*b) {
                (Expr::Column(c), Expr::Literal(v)) | (Expr::Literal(v), Expr::Column(c)) => {
                    Some((c.clone(), expression::text_of(v)))
                }
                _ => None,
            };
            let Some((column, value)) = pair else { return Some(Expr::Compare(op, a, b)) };
            let definition = shape::definition(rowset);
            let is_restriction = match definition {
                Some(d) => {
                    shape::restrictions(d).iter().any(|(n, _)| n.eq_ignore_ascii_case(&column))
                }
                None => column.eq_ignore_ascii_case("DatabaseName"),
            };
            if !is_restriction {
                return Some(Expr::Compare(op, a, b));
            }
            let is_column =
                definition.is_some_and(|_| shape::empty(rowset).column(&column).is_some());
            restrictions.push((column, vec![value]));
            is_column.then_some(Expr::Compare(op, a, b))
        }
        other => Some(other),
    }
}

/// Every column an expression names exists.
fn check(expr: &Expr, source: &Rowset) -> Result<()> {
    match expr {
        Expr::Column(name) => match source.column(name) {
            Some(_) => Ok(()),
            None => {
                Err(Error::invalid(format!("The rowset {} has no column '{name}'.", source.name)))
            }
        },
        Expr::Literal(_) => Ok(()),
        Expr::And(a, b) | Expr::Or(a, b) | Expr::Compare(_, a, b) | Expr::Arithmetic(_, a, b) => {
            check(a, source)?;
            check(b, source)
        }
        Expr::Not(a) | Expr::IsNull(a, _) => check(a, source),
        Expr::Call(_, arguments) => arguments.iter().try_for_each(|a| check(a, source)),
    }
}

fn project<'r>(
    query: &Select,
    source: &Rowset,
    rows: impl Iterator<Item = &'r Vec<Value>>,
) -> Result<Rowset> {
    let items: Vec<(String, Expr)> = match &query.items {
        Items::All => {
            let plain = source.columns.iter().filter(|c| c.kind != ColumnKind::Nested);
            plain.map(|c| (c.name.clone(), Expr::Column(c.name.clone()))).collect()
        }
        Items::List(items) => items.clone(),
    };
    let mut columns = Vec::with_capacity(items.len());
    for (i, (alias, expr)) in items.iter().enumerate() {
        check(expr, source)?;
        let name = match expr {
            _ if !alias.is_empty() => alias.clone(),
            Expr::Column(c) => source
                .columns
                .iter()
                .find(|s| s.name.eq_ignore_ascii_case(c))
                .map_or_else(|| c.clone(), |s| s.name.clone()),
            _ => format!("Expr{}", i + 1),
        };
        columns.push(RowsetColumn::new(name, kind_of(expr, source)));
    }
    let mut out = Rowset::new(source.name.clone(), columns);
    let mut seen = std::collections::HashSet::new();
    for row in rows {
        evercube_work::tick();
        if query.top.is_some_and(|n| out.rows.len() >= n) {
            break;
        }
        let cells: Vec<Value> = items.iter().map(|(_, e)| evaluate(e, source, row)).collect();
        if !query.distinct || seen.insert(format!("{cells:?}")) {
            out.rows.push(cells);
        }
    }
    Ok(out)
}
