//! Relationships one by one: ends that are there, of types that compare, and words that mean
//! something.

use std::collections::HashMap;

use evercube_base::DataType;

use super::{Findings, table_name};
use crate::tabular::{Column, Model, Relationship, Table};

/// How many rows of a table one value of an end's column may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cardinality {
    One,
    Many,
}

/// A sound active relationship: the tables by their place in the model.
#[derive(Debug, Clone)]
pub(super) struct Edge {
    pub name: String,
    pub from: usize,
    pub to: usize,
    pub from_cardinality: Cardinality,
    pub to_cardinality: Cardinality,
    pub both: bool,
}

/// Sound active relationships between the tables of a model.
#[derive(Debug)]
pub(super) struct Edges {
    pub tables: Vec<String>,
    pub list: Vec<Edge>,
}

impl Edges {
    pub fn table(&self, index: usize) -> &str {
        self.tables.get(index).map_or("", String::as_str)
    }
}

/// Looks at every relationship; returns the active ones that are sound.
pub(super) fn check(model: &Model, findings: &mut Findings) -> Edges {
    let mut tables = HashMap::new();
    for (i, table) in model.tables.iter().enumerate() {
        tables.entry(table.name.to_lowercase()).or_insert((i, table));
    }
    let mut seen: HashMap<[(usize, String); 2], &str> = HashMap::new();
    let mut list = Vec::new();
    for relationship in &model.relationships {
        let path = format!("relationship '{}'", relationship.name);
        let r = relationship;
        let from = end(&tables, "from", &r.from_table, &r.from_column, &path, findings);
        let to = end(&tables, "to", &r.to_table, &r.to_column, &path, findings);
        let words = words(r, &path, findings);
        let (Some(from), Some(to), Some(words)) = (from, to, words) else { continue };
        if !fits(r, &from, &to, &path, findings) {
            continue;
        }
        let mut ends =
            [(from.table, r.from_column.to_lowercase()), (to.table, r.to_column.to_lowercase())];
        ends.sort();
        if let Some(other) = seen.insert(ends, &r.name) {
            let message = format!(
                "the relationship '{other}' joins the same two columns, {}; remove one",
                both_ends(r)
            );
            findings.error(path, message);
            continue;
        }
        if r.is_active {
            list.push(Edge {
                name: r.name.clone(),
                from: from.table,
                to: to.table,
                from_cardinality: words.0,
                to_cardinality: words.1,
                both: words.2,
            });
        }
    }
    Edges { tables: model.tables.iter().map(|t| t.name.clone()).collect(), list }
}

struct End<'a> {
    table: usize,
    /// Nothing for a column that a calculated table gets later.
    column: Option<&'a Column>,
}

fn end<'a>(
    tables: &HashMap<String, (usize, &'a Table)>,
    side: &str,
    table: &str,
    column: &str,
    path: &str,
    findings: &mut Findings,
) -> Option<End<'a>> {
    for (property, value) in [("Table", table), ("Column", column)] {
        if value.is_empty() {
            let message = format!("'{side}{property}' is missing; name the {side} end");
            findings.error(path.to_owned(), message);
            return None;
        }
    }
    let Some((index, found)) = tables.get(&table.to_lowercase()) else {
        let message = format!("the table '{table}' of its {side} end does not exist");
        findings.error(path.to_owned(), message);
        return None;
    };
    let lower = column.to_lowercase();
    let columns = &found.columns;
    let of_name = columns.iter().find(|c| c.name == column);
    let of_name = of_name.or_else(|| columns.iter().find(|c| c.name.to_lowercase() == lower));
    let is_calculated =
        found.partitions.iter().any(|p| p.source.kind.as_deref() == Some("calculated"));
    if of_name.is_none() && !(columns.is_empty() && is_calculated) {
        let message = format!(
            "the column {}[{column}] of its {side} end does not exist",
            table_name(&found.name)
        );
        findings.error(path.to_owned(), message);
        return None;
    }
    Some(End { table: *index, column: of_name })
}

fn words(
    r: &Relationship,
    path: &str,
    findings: &mut Findings,
) -> Option<(Cardinality, Cardinality, bool)> {
    let mut sound = true;
    let mut cardinality = |property: &str, word: Option<&str>, absent: Cardinality| match word {
        None => absent,
        Some("one") => Cardinality::One,
        Some("many") => Cardinality::Many,
        Some(other) => {
            let message = format!("'{property}' is '{other}'; it must be one or many");
            findings.error(path.to_owned(), message);
            sound = false;
            absent
        }
    };
    let from = cardinality("fromCardinality", r.from_cardinality.as_deref(), Cardinality::Many);
    let to = cardinality("toCardinality", r.to_cardinality.as_deref(), Cardinality::One);
    let both = match r.cross_filtering_behavior.as_deref() {
        None | Some("oneDirection" | "automatic") => false,
        Some("bothDirections") => true,
        Some(other) => {
            let message = format!(
                "'crossFilteringBehavior' is '{other}'; it must be oneDirection, bothDirections \
                 or automatic"
            );
            findings.error(path.to_owned(), message);
            sound = false;
            false
        }
    };
    sound.then_some((from, to, both))
}

/// Whether the two ends can be joined.
fn fits(
    r: &Relationship,
    from: &End<'_>,
    to: &End<'_>,
    path: &str,
    findings: &mut Findings,
) -> bool {
    if from.table == to.table {
        let message = format!("both ends lie in the table '{}'; join two tables", r.from_table);
        findings.error(path.to_owned(), message);
        return false;
    }
    let kind = |end: &End<'_>| end.column.and_then(|c| c.data_type);
    let (Some(a), Some(b)) = (kind(from), kind(to)) else { return true };
    let no_key = |t: DataType| matches!(t, DataType::Binary | DataType::Variant);
    if let Some(bad) = [a, b].into_iter().find(|t| no_key(*t)) {
        let message = format!("a column of type {bad} cannot be an end of a relationship");
        findings.error(path.to_owned(), message);
        return false;
    }
    // Numbers, dates and truth values compare with each other; text only with text. Models in use
    // have such relationships, so they deploy.
    if (a == DataType::String) != (b == DataType::String) {
        let message = format!(
            "{} are of type {a} and {b}, so no row will find its match; give both one type",
            both_ends(r)
        );
        findings.warning(path.to_owned(), message);
    }
    true
}

fn both_ends(r: &Relationship) -> String {
    format!(
        "{}[{}] and {}[{}]",
        table_name(&r.from_table),
        r.from_column,
        table_name(&r.to_table),
        r.to_column
    )
}
