//! Hierarchies, their levels, members and properties: one per column, and those users defined.

use evercube_base::{DataType, DateTime, Rowset, Value};
use evercube_model::tabular::{Column, Hierarchy, Table};

use super::catalogs::ole_type;
use super::context::DiscoverContext;
use super::cubes::{Cube, bracketed, description, is_time, requested};
use super::filter::{self, Restrictions};
use super::{count, text};

/// Most members one request lists of a column.
const MEMBER_LIMIT: usize = 100_000;

fn head<'a>(cube: &Cube<'_>, table: &str) -> Vec<(&'a str, Value)> {
    let mut row: Vec<(&'a str, Value)> = cube.head();
    row.push(("DIMENSION_UNIQUE_NAME", text(bracketed(table))));
    row
}

fn unique(table: &str, name: &str) -> String {
    format!("{}.{}", bracketed(table), bracketed(name))
}

/// Whether the request, if it names hierarchies, names this one.
fn is_wanted(restrictions: &Restrictions, unique_name: &str) -> bool {
    filter::values(restrictions, "HIERARCHY_UNIQUE_NAME")
        .is_none_or(|w| w.iter().any(|n| n.to_lowercase() == unique_name.to_lowercase()))
}

fn distinct(cube: &Cube<'_>, table: &Table, column: &str) -> u64 {
    let facts = cube.database.facts;
    facts.distinct_count(&table.name, column).or_else(|| facts.row_count(&table.name)).unwrap_or(0)
}

pub(super) fn hierarchies(
    out: &mut Rowset,
    restrictions: &Restrictions,
    context: &DiscoverContext<'_>,
) {
    for cube in requested(restrictions, context) {
        let mut row = head(&cube, "Measures");
        row.extend([
            ("HIERARCHY_NAME", text("Measures")),
            ("HIERARCHY_UNIQUE_NAME", text("[Measures]")),
            ("HIERARCHY_CAPTION", text("Measures")),
            ("DIMENSION_TYPE", Value::Int(2)),
            ("HIERARCHY_CARDINALITY", count(cube.tables().map(|t| t.measures.len() as u64).sum())),
            ("DESCRIPTION", text("")),
            ("STRUCTURE", Value::Int(0)),
            ("IS_VIRTUAL", Value::Boolean(false)),
            ("IS_READWRITE", Value::Boolean(false)),
            ("DIMENSION_UNIQUE_SETTINGS", Value::Int(1)),
            ("DIMENSION_IS_VISIBLE", Value::Boolean(true)),
            ("HIERARCHY_ORDINAL", Value::Int(0)),
            ("DIMENSION_IS_SHARED", Value::Boolean(true)),
            ("HIERARCHY_IS_VISIBLE", Value::Boolean(true)),
            ("HIERARCHY_ORIGIN", Value::Int(2)),
            ("HIERARCHY_DISPLAY_FOLDER", text("")),
            ("GROUPING_BEHAVIOR", Value::Int(1)),
            ("STRUCTURE_TYPE", text("Natural")),
        ]);
        let measures = cube.tables().flat_map(|t| t.measures.iter().map(move |m| (t, m)));
        if let Some((_, m)) = measures.into_iter().find(|(t, m)| cube.has_measure(t, m)) {
            let name = format!("[Measures].{}", bracketed(&m.name));
            row.push(("DEFAULT_MEMBER", Value::from(name)));
        }
        out.push(&row);
        for t in cube.tables() {
            let mut ordinal = 0;
            let mut add = |name: &str, about: Value, hidden: bool, origin: i64, folder, n: u64| {
                let unique_name = unique(&t.name, name);
                let all = format!("{unique_name}.[All]");
                ordinal += 1;
                let mut row = head(&cube, &t.name);
                row.extend([
                    ("HIERARCHY_NAME", text(name)),
                    ("HIERARCHY_UNIQUE_NAME", text(&unique_name)),
                    ("HIERARCHY_CAPTION", text(name)),
                    ("DIMENSION_TYPE", Value::Int(if is_time(t) { 1 } else { 3 })),
                    ("HIERARCHY_CARDINALITY", count(n.saturating_add(1))),
                    ("DEFAULT_MEMBER", text(&all)),
                    ("ALL_MEMBER", text(&all)),
                    ("DESCRIPTION", about),
                    ("STRUCTURE", Value::Int(0)),
                    ("IS_VIRTUAL", Value::Boolean(false)),
                    ("IS_READWRITE", Value::Boolean(false)),
                    ("DIMENSION_UNIQUE_SETTINGS", Value::Int(1)),
                    ("DIMENSION_IS_VISIBLE", Value::Boolean(!t.is_hidden)),
                    ("HIERARCHY_ORDINAL", Value::Int(ordinal)),
                    ("DIMENSION_IS_SHARED", Value::Boolean(true)),
                    ("HIERARCHY_IS_VISIBLE", Value::Boolean(!hidden && !t.is_hidden)),
                    ("HIERARCHY_ORIGIN", Value::Int(origin)),
                    ("HIERARCHY_DISPLAY_FOLDER", text(folder)),
                    ("INSTANCE_SELECTION", Value::Int(0)),
                    ("GROUPING_BEHAVIOR", Value::Int(1)),
                    ("STRUCTURE_TYPE", text("Natural")),
                ]);
                out.push(&row);
            };
            for h in t.hierarchies.iter().filter(|h| cube.has_hierarchy(t, h)) {
                let n = h.levels.iter().map(|l| distinct(&cube, t, &l.column)).sum();
                let folder = h.display_folder.as_deref().unwrap_or("");
                add(&h.name, description(h.description.as_ref()), h.is_hidden, 1, folder, n);
            }
            for c in cube.attributes(t) {
                let origin = if c.is_key { 6 } else { 2 };
                let folder = c.display_folder.as_deref().unwrap_or("");
                let n = distinct(&cube, t, &c.name);
                add(&c.name, description(c.description.as_ref()), c.is_hidden, origin, folder, n);
            }
        }
    }
}

/// A level below `(All)`: name, column, position from 1.
fn levels_of<'a>(
    table: &'a Table,
    hierarchy: &'a Hierarchy,
) -> Vec<(&'a str, Option<&'a Column>, i64)> {
    let mut levels: Vec<_> = hierarchy.levels.iter().collect();
    levels.sort_by_key(|l| l.ordinal);
    let column = |name: &str| table.columns.iter().find(|c| c.name.eq_ignore_ascii_case(name));
    levels
        .into_iter()
        .enumerate()
        .map(|(i, l)| (l.name.as_str(), column(&l.column), i as i64 + 1))
        .collect()
}

pub(super) fn levels(out: &mut Rowset, restrictions: &Restrictions, context: &DiscoverContext<'_>) {
    for cube in requested(restrictions, context) {
        let mut add = |table: &str,
                       hierarchy: String,
                       name: &str,
                       number: i64,
                       kind: i64,
                       n: u64,
                       visible: bool,
                       column: Option<&Column>| {
            let mut row = head(&cube, table);
            let key = column.map_or("", |c| c.name.as_str());
            row.extend([
                ("HIERARCHY_UNIQUE_NAME", text(&hierarchy)),
                ("LEVEL_NAME", text(name)),
                ("LEVEL_UNIQUE_NAME", text(format!("{hierarchy}.{}", bracketed(name)))),
                ("LEVEL_CAPTION", text(name)),
                ("LEVEL_NUMBER", Value::Int(number)),
                ("LEVEL_CARDINALITY", count(n)),
                ("LEVEL_TYPE", Value::Int(kind)),
                ("DESCRIPTION", text("")),
                ("CUSTOM_ROLLUP_SETTINGS", Value::Int(0)),
                ("LEVEL_UNIQUE_SETTINGS", Value::Int(0)),
                ("LEVEL_IS_VISIBLE", Value::Boolean(visible)),
                ("LEVEL_ORDERING_PROPERTY", text(key)),
                ("LEVEL_DBTYPE", Value::Int(column.map_or(3, |c| ole_type(c.data_type)))),
                ("LEVEL_ATTRIBUTE_HIERARCHY_NAME", text(key)),
                ("LEVEL_KEY_CARDINALITY", Value::Int(1)),
                ("LEVEL_ORIGIN", Value::Int(if column.is_some_and(|c| c.is_key) { 6 } else { 2 })),
            ]);
            out.push(&row);
        };
        if is_wanted(restrictions, "[Measures]") {
            let n = cube.tables().map(|t| t.measures.len() as u64).sum();
            add("Measures", "[Measures]".to_owned(), "MeasuresLevel", 0, 0, n, true, None);
        }
        for t in cube.tables() {
            for h in t.hierarchies.iter().filter(|h| cube.has_hierarchy(t, h)) {
                let name = unique(&t.name, &h.name);
                if !is_wanted(restrictions, &name) {
                    continue;
                }
                add(&t.name, name.clone(), "(All)", 0, 1, 1, true, None);
                for (level, column, number) in levels_of(t, h) {
                    let n = column.map_or(0, |c| distinct(&cube, t, &c.name));
                    add(&t.name, name.clone(), level, number, 0, n, true, column);
                }
            }
            for c in cube.attributes(t) {
                let name = unique(&t.name, &c.name);
                if !is_wanted(restrictions, &name) {
                    continue;
                }
                let n = distinct(&cube, t, &c.name);
                add(&t.name, name.clone(), "(All)", 0, 1, 1, true, None);
                add(&t.name, name, &c.name, 1, 0, n, true, Some(c));
            }
        }
    }
}

/// Text of a member's key in its unique name.
fn key_text(value: &Value) -> String {
    match value {
        Value::Blank => String::new(),
        Value::Boolean(b) => if *b { "True" } else { "False" }.to_owned(),
        Value::Int(i) => i.to_string(),
        Value::Decimal(d) => d.to_string(),
        Value::Double(d) => d.to_string(),
        Value::DateTime(t) => t.to_string(),
        Value::String(s) => s.to_string(),
    }
}

/// A date at midnight is shown without its time.
fn caption(value: &Value) -> String {
    match value {
        Value::DateTime(t) if *t == DateTime::from_days(t.days()) => {
            t.to_string().split('T').next().unwrap_or("").to_owned()
        }
        other => key_text(other),
    }
}

/// Bit of `TREE_OP` for the member itself.
const SELF: i64 = 8;

/// Restriction `TREE_OP` where it asks for more than the member itself.
pub(super) fn tree_operation(restrictions: &Restrictions) -> Option<i64> {
    let bits = filter::first(restrictions, "TREE_OP").and_then(|t| t.trim().parse().ok());
    bits.filter(|b| *b != SELF)
}

/// Members of hierarchies of single columns and of measures. Members inside user hierarchies depend
/// on their parents; they are listed by queries, not here.
pub(super) fn members(
    out: &mut Rowset,
    restrictions: &Restrictions,
    context: &DiscoverContext<'_>,
) {
    let tree = tree_operation(restrictions).unwrap_or(SELF);
    let of_member = filter::first(restrictions, "MEMBER_UNIQUE_NAME");
    for cube in requested(restrictions, context) {
        if is_wanted(restrictions, "[Measures]") {
            let mut ordinal = 0;
            for t in cube.tables() {
                for m in t.measures.iter().filter(|m| cube.has_measure(t, m) && !m.is_hidden) {
                    let mut row = head(&cube, "Measures");
                    row.extend([
                        ("HIERARCHY_UNIQUE_NAME", text("[Measures]")),
                        ("LEVEL_UNIQUE_NAME", text("[Measures].[MeasuresLevel]")),
                        ("LEVEL_NUMBER", Value::Int(0)),
                        ("MEMBER_ORDINAL", Value::Int(ordinal)),
                        ("MEMBER_NAME", text(&m.name)),
                        ("MEMBER_UNIQUE_NAME", text(format!("[Measures].{}", bracketed(&m.name)))),
                        ("MEMBER_TYPE", Value::Int(3)),
                        ("MEMBER_CAPTION", text(&m.name)),
                        ("CHILDREN_CARDINALITY", Value::Int(0)),
                        ("PARENT_LEVEL", Value::Int(0)),
                        ("PARENT_COUNT", Value::Int(0)),
                        ("MEMBER_KEY", text(&m.name)),
                        ("IS_PLACEHOLDERMEMBER", Value::Boolean(false)),
                        ("IS_DATAMEMBER", Value::Boolean(false)),
                    ]);
                    ordinal += 1;
                    out.push(&row);
                }
            }
        }
        let level_of = |hierarchy: &str| {
            filter::values(restrictions, "LEVEL_UNIQUE_NAME").is_none_or(|names| {
                let own = hierarchy.to_lowercase();
                names.iter().any(|n| n.to_lowercase().starts_with(&own))
            })
        };
        for t in cube.tables() {
            for c in cube.attributes(t) {
                let hierarchy = unique(&t.name, &c.name);
                let named = of_member
                    .is_none_or(|m| m.to_lowercase().starts_with(&hierarchy.to_lowercase()));
                let unrestricted = filter::values(restrictions, "HIERARCHY_UNIQUE_NAME").is_none()
                    && filter::values(restrictions, "LEVEL_UNIQUE_NAME").is_none()
                    && of_member.is_none();
                if unrestricted
                    || !is_wanted(restrictions, &hierarchy)
                    || !level_of(&hierarchy)
                    || !named
                {
                    continue;
                }
                column_members(out, &cube, t, c, &hierarchy, tree, of_member);
            }
        }
    }
}

fn column_members(
    out: &mut Rowset,
    cube: &Cube<'_>,
    table: &Table,
    column: &Column,
    hierarchy: &str,
    tree: i64,
    of_member: Option<&str>,
) {
    let all = format!("{hierarchy}.[All]");
    let values = cube.database.facts.members(&table.name, &column.name, MEMBER_LIMIT);
    // Which relatives: a member of the leaf level has the All member for parent and no children.
    let of_all = of_member.is_some_and(|m| m.eq_ignore_ascii_case(&all));
    let wants = |is_all: bool, name: &str| match of_member {
        None => true,
        Some(m) if m.eq_ignore_ascii_case(name) => tree & (SELF | 2) != 0,
        Some(_) if is_all => tree & (4 | 32) != 0,
        Some(_) if of_all => tree & (1 | 16) != 0,
        Some(_) => tree & 2 != 0,
    };
    let mut add = |cells: Vec<(&'static str, Value)>| {
        let mut row = head(cube, &table.name);
        row.push(("HIERARCHY_UNIQUE_NAME", text(hierarchy)));
        row.push(("DESCRIPTION", text("")));
        row.push(("IS_PLACEHOLDERMEMBER", Value::Boolean(false)));
        row.push(("IS_DATAMEMBER", Value::Boolean(false)));
        row.extend(cells);
        out.push(&row);
    };
    if wants(true, &all) {
        add(vec![
            ("LEVEL_UNIQUE_NAME", text(format!("{hierarchy}.[(All)]"))),
            ("LEVEL_NUMBER", Value::Int(0)),
            ("MEMBER_ORDINAL", Value::Int(0)),
            ("MEMBER_NAME", text("All")),
            ("MEMBER_UNIQUE_NAME", text(&all)),
            ("MEMBER_TYPE", Value::Int(2)),
            ("MEMBER_CAPTION", text("All")),
            ("CHILDREN_CARDINALITY", count(values.len() as u64)),
            ("PARENT_LEVEL", Value::Int(0)),
            ("PARENT_COUNT", Value::Int(0)),
            ("MEMBER_KEY", text("0")),
        ]);
    }
    for (i, v) in values.iter().enumerate() {
        evercube_work::tick();
        let name = match v {
            Value::Blank => format!("{hierarchy}.&"),
            v => format!("{hierarchy}.&{}", bracketed(&key_text(v))),
        };
        if !wants(false, &name) {
            continue;
        }
        add(vec![
            ("LEVEL_UNIQUE_NAME", text(format!("{hierarchy}.{}", bracketed(&column.name)))),
            ("LEVEL_NUMBER", Value::Int(1)),
            ("MEMBER_ORDINAL", Value::Int(i as i64 + 1)),
            ("MEMBER_NAME", text(caption(v))),
            ("MEMBER_UNIQUE_NAME", text(name)),
            ("MEMBER_TYPE", Value::Int(1)),
            ("MEMBER_CAPTION", text(caption(v))),
            ("CHILDREN_CARDINALITY", Value::Int(0)),
            ("PARENT_LEVEL", Value::Int(0)),
            ("PARENT_UNIQUE_NAME", text(&all)),
            ("PARENT_COUNT", Value::Int(1)),
            ("MEMBER_KEY", text(key_text(v))),
        ]);
    }
}

/// Properties of cells, by name and OLE DB type.
const CELL_PROPERTIES: &[(&str, i64)] = &[
    ("VALUE", 12),
    ("FORMAT_STRING", 130),
    ("BACK_COLOR", 19),
    ("FORE_COLOR", 19),
    ("FONT_NAME", 130),
    ("FONT_SIZE", 18),
    ("FONT_FLAGS", 3),
    ("LANGUAGE", 19),
    ("CELL_ORDINAL", 19),
    ("FORMATTED_VALUE", 130),
    ("ACTION_TYPE", 19),
    ("UPDATEABLE", 19),
];

pub(super) fn properties(
    out: &mut Rowset,
    restrictions: &Restrictions,
    context: &DiscoverContext<'_>,
) {
    let kind: Option<i64> =
        filter::first(restrictions, "PROPERTY_TYPE").and_then(|t| t.trim().parse().ok());
    if kind.is_none_or(|k| k & 2 != 0) {
        for (name, data_type) in CELL_PROPERTIES {
            out.push(&[
                ("CATALOG_NAME", context.current().map_or(Value::Blank, |d| text(d.name))),
                ("PROPERTY_TYPE", Value::Int(2)),
                ("PROPERTY_NAME", text(name)),
                ("PROPERTY_CAPTION", text(name)),
                ("DATA_TYPE", Value::Int(*data_type)),
            ]);
        }
    }
    if kind == Some(2) {
        // The cells above belong to no cube: a restriction to one keeps them.
        for row_key in ["CUBE_NAME", "CATALOG_NAME"] {
            let Some(column) = out.column(row_key) else { continue };
            if let Some(value) = filter::first(restrictions, row_key).map(text) {
                for cell in out.rows.iter_mut().filter_map(|r| r.get_mut(column)) {
                    *cell = value.clone();
                }
            }
        }
        return;
    }
    for cube in requested(restrictions, context) {
        for t in cube.tables() {
            let mut add = |hierarchy: &str, level: &str, column: &Column, hidden: bool| {
                let name = format!("{hierarchy}.{}", bracketed(level));
                let own = column.data_type.unwrap_or(DataType::Variant);
                for (property, data_type) in
                    [("KEY0", ole_type(Some(own))), ("MEMBER_VALUE", ole_type(Some(own)))]
                {
                    let mut row = head(&cube, &t.name);
                    row.extend([
                        ("HIERARCHY_UNIQUE_NAME", text(hierarchy)),
                        ("LEVEL_UNIQUE_NAME", text(&name)),
                        ("PROPERTY_TYPE", Value::Int(5)),
                        ("PROPERTY_NAME", text(property)),
                        ("PROPERTY_CAPTION", text(property)),
                        ("DATA_TYPE", Value::Int(data_type)),
                        ("DESCRIPTION", text("")),
                        ("PROPERTY_CONTENT_TYPE", Value::Int(0)),
                        ("PROPERTY_ORIGIN", Value::Int(2)),
                        ("PROPERTY_CARDINALITY", text("MANY")),
                        ("PROPERTY_ATTRIBUTE_HIERARCHY_NAME", text(&column.name)),
                        ("PROPERTY_IS_VISIBLE", Value::Boolean(!hidden && !t.is_hidden)),
                    ]);
                    out.push(&row);
                }
            };
            for h in t.hierarchies.iter().filter(|h| cube.has_hierarchy(t, h)) {
                let hierarchy = unique(&t.name, &h.name);
                for (level, column, _) in levels_of(t, h) {
                    if let Some(c) = column {
                        add(&hierarchy, level, c, h.is_hidden);
                    }
                }
            }
            for c in cube.attributes(t) {
                add(&unique(&t.name, &c.name), &c.name, c, c.is_hidden);
            }
        }
    }
}
