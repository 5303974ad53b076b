//! The model and its perspectives as cubes, its tables as dimensions.

use evercube_base::{Rowset, Value};
use evercube_model::tabular::{Column, Hierarchy, Measure, Perspective, Table};
use serde_json::Value as Json;

use super::context::{DatabaseInfo, DiscoverContext};
use super::filter::Restrictions;
use super::{databases_of, text};

/// Name of the cube that holds the whole model.
pub const MODEL_CUBE: &str = "Model";

/// The model, or what one perspective shows of it.
pub(super) struct Cube<'a> {
    pub name: String,
    pub database: &'a DatabaseInfo<'a>,
    perspective: Option<&'a Perspective>,
}

pub(super) fn cubes_of<'a>(database: &'a DatabaseInfo<'a>) -> Vec<Cube<'a>> {
    let whole = Cube { name: MODEL_CUBE.to_owned(), database, perspective: None };
    let perspectives = database.database.model.perspectives.iter();
    let perspectives =
        perspectives.map(|p| Cube { name: p.name.clone(), database, perspective: Some(p) });
    // Of a perspective that shows the user nothing not even the name.
    let perspectives = perspectives.filter(|c| database.is_admin || c.tables().next().is_some());
    std::iter::once(whole).chain(perspectives).collect()
}

/// The cubes of the databases a request speaks of.
pub(super) fn requested<'a>(
    restrictions: &Restrictions,
    context: &DiscoverContext<'a>,
) -> Vec<Cube<'a>> {
    let wanted = super::filter::values(restrictions, "CUBE_NAME");
    let cubes = databases_of("CATALOG_NAME", restrictions, context).into_iter().flat_map(cubes_of);
    cubes
        .filter(|c| wanted.is_none_or(|w| w.iter().any(|n| n.eq_ignore_ascii_case(&c.name))))
        .collect()
}

fn entry<'j>(list: Option<&'j Json>, name: &str) -> Option<&'j Json> {
    list?.as_array()?.iter().find(|e| {
        e.get("name").and_then(Json::as_str).is_some_and(|n| n.eq_ignore_ascii_case(name))
    })
}

impl<'a> Cube<'a> {
    fn part(&self, table: &Table, kind: &str, name: &str) -> bool {
        let Some(p) = self.perspective else { return true };
        let Some(t) = entry(p.extra.get("tables"), &table.name) else { return false };
        t.get("includeAll").and_then(Json::as_bool) == Some(true)
            || entry(t.get(kind), name).is_some()
    }
    /// Tables that are in the cube and that the user may know of.
    pub fn tables(&self) -> impl Iterator<Item = &'a Table> {
        let facts = self.database.facts;
        let perspective = self.perspective;
        self.database.database.model.tables.iter().filter(move |t| {
            !facts.is_secured(&t.name, None)
                && perspective.is_none_or(|p| entry(p.extra.get("tables"), &t.name).is_some())
        })
    }
    pub fn has_column(&self, table: &Table, column: &Column) -> bool {
        !is_row_number(column)
            && !self.database.facts.is_secured(&table.name, Some(&column.name))
            && self.part(table, "columns", &column.name)
    }
    pub fn has_measure(&self, table: &Table, measure: &Measure) -> bool {
        !self.database.facts.is_secured(&table.name, Some(&measure.name))
            && self.part(table, "measures", &measure.name)
    }
    pub fn has_hierarchy(&self, table: &Table, hierarchy: &Hierarchy) -> bool {
        let facts = self.database.facts;
        self.part(table, "hierarchies", &hierarchy.name)
            && !hierarchy.levels.iter().any(|l| facts.is_secured(&table.name, Some(&l.column)))
    }
    /// Columns that have a hierarchy of their own.
    pub fn attributes(&self, table: &'a Table) -> Vec<&'a Column> {
        let columns = table.columns.iter().filter(|c| self.has_column(table, c));
        columns
            .filter(|c| c.extra.get("isAvailableInMDX").and_then(Json::as_bool) != Some(false))
            .collect()
    }
    /// The cells every `MDSCHEMA_` row begins with.
    pub fn head(&self) -> Vec<(&'static str, Value)> {
        vec![("CATALOG_NAME", text(self.database.name)), ("CUBE_NAME", text(&self.name))]
    }
}

pub(super) fn is_row_number(column: &Column) -> bool {
    column.kind.as_deref() == Some("rowNumber")
}

/// `[name]`, closing brackets doubled.
pub(super) fn bracketed(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

/// Marked as a date table.
pub(super) fn is_time(table: &Table) -> bool {
    table.data_category.as_deref().is_some_and(|c| c.eq_ignore_ascii_case("Time"))
}

pub(super) fn description(value: Option<&evercube_model::tabular::Text>) -> Value {
    text(value.map_or("", |t| t))
}

pub(super) fn cubes(out: &mut Rowset, restrictions: &Restrictions, context: &DiscoverContext<'_>) {
    for cube in requested(restrictions, context) {
        let d = cube.database;
        let about = match cube.perspective {
            Some(p) => p.extra.get("description").and_then(Json::as_str).unwrap_or("").to_owned(),
            None => d.database.model.description.as_deref().map_or("", |t| t).to_owned(),
        };
        let mut row = cube.head();
        row.extend([
            ("CUBE_TYPE", text("CUBE")),
            ("CREATED_ON", Value::DateTime(d.created)),
            ("LAST_SCHEMA_UPDATE", Value::DateTime(d.schema_updated)),
            ("LAST_DATA_UPDATE", Value::DateTime(d.data_updated.unwrap_or(d.schema_updated))),
            ("DESCRIPTION", Value::from(about)),
            ("IS_DRILLTHROUGH_ENABLED", Value::Boolean(true)),
            ("IS_LINKABLE", Value::Boolean(false)),
            ("IS_WRITE_ENABLED", Value::Boolean(false)),
            ("IS_SQL_ENABLED", Value::Boolean(false)),
            ("CUBE_CAPTION", text(&cube.name)),
            ("CUBE_SOURCE", Value::Int(1)),
            ("PREFERRED_QUERY_PATTERNS", Value::Int(1)),
        ]);
        if cube.perspective.is_some() {
            row.push(("BASE_CUBE_NAME", text(MODEL_CUBE)));
        }
        out.push(&row);
    }
}

pub(super) fn dimensions(
    out: &mut Rowset,
    restrictions: &Restrictions,
    context: &DiscoverContext<'_>,
) {
    for cube in requested(restrictions, context) {
        let mut ordinal = 0;
        let mut add = |name: &str, kind: i64, rows: u64, first: String, about: Value, visible| {
            let mut row = cube.head();
            row.extend([
                ("DIMENSION_NAME", text(name)),
                ("DIMENSION_UNIQUE_NAME", text(bracketed(name))),
                ("DIMENSION_CAPTION", text(name)),
                ("DIMENSION_ORDINAL", Value::Int(ordinal)),
                ("DIMENSION_TYPE", Value::Int(kind)),
                ("DIMENSION_CARDINALITY", super::count(rows)),
                ("DEFAULT_HIERARCHY", Value::from(first)),
                ("DESCRIPTION", about),
                ("IS_VIRTUAL", Value::Boolean(false)),
                ("IS_READWRITE", Value::Boolean(false)),
                ("DIMENSION_UNIQUE_SETTINGS", Value::Int(1)),
                ("DIMENSION_IS_VISIBLE", Value::Boolean(visible)),
            ]);
            ordinal += 1;
            out.push(&row);
        };
        let measures = cube
            .tables()
            .map(|t| t.measures.iter().filter(|m| cube.has_measure(t, m)).count() as u64)
            .sum();
        add("Measures", 2, measures, "[Measures]".to_owned(), text(""), true);
        for t in cube.tables() {
            let attributes = cube.attributes(t);
            let shown = attributes.iter().find(|c| !c.is_hidden).or(attributes.first());
            let first = match (shown, t.hierarchies.iter().find(|h| cube.has_hierarchy(t, h))) {
                (Some(c), _) => format!("{}.{}", bracketed(&t.name), bracketed(&c.name)),
                (None, Some(h)) => format!("{}.{}", bracketed(&t.name), bracketed(&h.name)),
                (None, None) => continue,
            };
            let visible = !t.is_hidden
                && (attributes.iter().any(|c| !c.is_hidden)
                    || t.hierarchies.iter().any(|h| !h.is_hidden));
            let rows = cube.database.facts.row_count(&t.name).unwrap_or(0);
            let kind = if is_time(t) { 1 } else { 3 };
            add(&t.name, kind, rows, first, description(t.description.as_ref()), visible);
        }
    }
}
