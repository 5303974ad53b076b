//! Measures, the groups they stand in (their tables), and what each group can be sliced by.

use evercube_base::{NestedRows, Rowset, Value};
use evercube_model::tabular::Table;
use serde_json::Value as Json;

use super::catalogs::ole_type;
use super::context::DiscoverContext;
use super::cubes::{Cube, bracketed, description, requested};
use super::filter::Restrictions;
use super::text;

fn folder(value: Option<&str>) -> Value {
    text(value.unwrap_or(""))
}

pub(super) fn measures(
    out: &mut Rowset,
    restrictions: &Restrictions,
    context: &DiscoverContext<'_>,
) {
    for cube in requested(restrictions, context) {
        for t in cube.tables() {
            for m in t.measures.iter().filter(|m| cube.has_measure(t, m)) {
                let kind = ole_type(cube.database.facts.measure_type(&m.name));
                let expression = match cube.database.is_admin {
                    true => text(&*m.expression),
                    false => Value::Blank,
                };
                let mut row = cube.head();
                row.extend([
                    ("MEASURE_NAME", text(&m.name)),
                    ("MEASURE_UNIQUE_NAME", text(format!("[Measures].{}", bracketed(&m.name)))),
                    ("MEASURE_CAPTION", text(&m.name)),
                    ("MEASURE_AGGREGATOR", Value::Int(127)),
                    ("DATA_TYPE", Value::Int(kind)),
                    ("NUMERIC_PRECISION", Value::Int(if kind == 130 { 0 } else { 16 })),
                    ("NUMERIC_SCALE", Value::Int(-1)),
                    ("MEASURE_UNITS", text("")),
                    ("DESCRIPTION", description(m.description.as_ref())),
                    ("EXPRESSION", expression),
                    ("MEASURE_IS_VISIBLE", Value::Boolean(!m.is_hidden)),
                    ("MEASURE_UNQUALIFIED_CAPTION", text(&m.name)),
                    ("MEASUREGROUP_NAME", text(&t.name)),
                    ("MEASURE_DISPLAY_FOLDER", folder(m.display_folder.as_deref())),
                    ("DEFAULT_FORMAT_STRING", folder(m.format_string.as_deref())),
                ]);
                out.push(&row);
            }
        }
    }
}

/// Tables that hold measures or are the many side of a relationship.
fn is_group(cube: &Cube<'_>, table: &Table) -> bool {
    let relationships = &cube.database.database.model.relationships;
    table.measures.iter().any(|m| cube.has_measure(table, m))
        || relationships.iter().any(|r| r.from_table.eq_ignore_ascii_case(&table.name))
}

pub(super) fn groups(out: &mut Rowset, restrictions: &Restrictions, context: &DiscoverContext<'_>) {
    for cube in requested(restrictions, context) {
        for t in cube.tables().filter(|t| is_group(&cube, t)) {
            let mut row = cube.head();
            row.extend([
                ("MEASUREGROUP_NAME", text(&t.name)),
                ("DESCRIPTION", description(t.description.as_ref())),
                ("IS_WRITE_ENABLED", Value::Boolean(false)),
                ("MEASUREGROUP_CAPTION", text(&t.name)),
            ]);
            out.push(&row);
        }
    }
}

/// Tables that filter `table` over active relationships, itself first.
fn reachable<'a>(cube: &Cube<'a>, table: &'a Table) -> Vec<&'a str> {
    let mut found = vec![table.name.as_str()];
    let mut next = 0;
    while let Some(from) = found.get(next).copied() {
        next += 1;
        for r in cube.database.database.model.relationships.iter().filter(|r| r.is_active) {
            let both = r.cross_filtering_behavior.as_deref() == Some("bothDirections");
            let mut reach = |name: &'a str| {
                if !found.iter().any(|f| f.eq_ignore_ascii_case(name)) {
                    found.push(name);
                }
            };
            if r.from_table.eq_ignore_ascii_case(from) {
                reach(&r.to_table);
            } else if both && r.to_table.eq_ignore_ascii_case(from) {
                reach(&r.from_table);
            }
        }
    }
    found
}

pub(super) fn group_dimensions(
    out: &mut Rowset,
    restrictions: &Restrictions,
    context: &DiscoverContext<'_>,
) {
    for cube in requested(restrictions, context) {
        for group in cube.tables().filter(|t| is_group(&cube, t)) {
            for name in reachable(&cube, group) {
                let Some(t) = cube.tables().find(|t| t.name.eq_ignore_ascii_case(name)) else {
                    continue;
                };
                let key = t.columns.iter().find(|c| c.is_key);
                let granularity = key.map_or_else(
                    || bracketed(&t.name),
                    |c| format!("{}.{}", bracketed(&t.name), bracketed(&c.name)),
                );
                let mut row = cube.head();
                row.extend([
                    ("MEASUREGROUP_NAME", text(&group.name)),
                    ("MEASUREGROUP_CARDINALITY", text("ONE")),
                    ("DIMENSION_UNIQUE_NAME", text(bracketed(&t.name))),
                    ("DIMENSION_CARDINALITY", text("MANY")),
                    ("DIMENSION_IS_VISIBLE", Value::Boolean(!t.is_hidden)),
                    ("DIMENSION_IS_FACT_DIMENSION", Value::Boolean(t.name == group.name)),
                    ("DIMENSION_GRANULARITY", Value::from(granularity)),
                ]);
                out.push(&row);
                if let Some(column) = out.column("DIMENSION_PATH") {
                    let path = vec![vec![text(bracketed(&t.name))]];
                    out.nested.push(NestedRows { row: out.rows.len() - 1, column, rows: path });
                }
            }
        }
    }
}

pub(super) fn kpis(out: &mut Rowset, restrictions: &Restrictions, context: &DiscoverContext<'_>) {
    for cube in requested(restrictions, context) {
        for t in cube.tables() {
            for m in t.measures.iter().filter(|m| cube.has_measure(t, m)) {
                let Some(kpi) = m.kpi.as_ref() else { continue };
                let field = |key: &str| kpi.get(key).and_then(Json::as_str).unwrap_or("");
                let named = |suffix: &str, key: &str| match kpi.get(key) {
                    Some(_) => {
                        text(format!("[Measures].{}", bracketed(&format!("_{} {suffix}", m.name))))
                    }
                    None => Value::Blank,
                };
                let mut row = cube.head();
                row.extend([
                    ("MEASUREGROUP_NAME", text(&t.name)),
                    ("KPI_NAME", text(&m.name)),
                    ("KPI_CAPTION", text(&m.name)),
                    ("KPI_DESCRIPTION", text(field("description"))),
                    ("KPI_DISPLAY_FOLDER", folder(m.display_folder.as_deref())),
                    ("KPI_VALUE", text(format!("[Measures].{}", bracketed(&m.name)))),
                    ("KPI_GOAL", named("Goal", "targetExpression")),
                    ("KPI_STATUS", named("Status", "statusExpression")),
                    ("KPI_TREND", named("Trend", "trendExpression")),
                    ("KPI_STATUS_GRAPHIC", text(field("statusGraphic"))),
                    ("KPI_TREND_GRAPHIC", text(field("trendGraphic"))),
                    ("KPI_PARENT_KPI_NAME", text("")),
                    ("SCOPE", Value::Int(1)),
                ]);
                out.push(&row);
            }
        }
    }
}
