//! `DISCOVER_CSDL_METADATA`: the model as a conceptual schema with business annotations.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use evercube_base::{DataType, Error, Result, Rowset, Value};
use evercube_model::tabular::{Column, Measure, Relationship, Table};

use super::context::DiscoverContext;
use super::cubes::{Cube, MODEL_CUBE, cubes_of, is_time};
use super::databases_of;
use super::filter::{self, Restrictions};

const EDM: &str = "http://schemas.microsoft.com/ado/2008/09/edm";
const BI: &str = "http://schemas.microsoft.com/sqlbi/2010/10/edm/extensions";
const ANNOTATION: &str = "http://schemas.microsoft.com/ado/2009/02/edm/annotation";
const ROW_NUMBER: &str = "RowNumber-2662979B-1795-4F74-8F37-6A1BA8059B61";
const VERSIONS: [&str; 4] = ["1.0", "1.1", "2.0", "2.5"];

pub(super) fn fill(
    out: &mut Rowset,
    restrictions: &Restrictions,
    context: &DiscoverContext<'_>,
) -> Result<()> {
    let version = filter::first(restrictions, "VERSION").unwrap_or("2.0").trim();
    if !VERSIONS.contains(&version) {
        return Err(Error::invalid(format!(
            "Version {version} of the conceptual schema is not served; ask for one of {}.",
            VERSIONS.join(", ")
        )));
    }
    let wanted = filter::first(restrictions, "PERSPECTIVE_NAME").unwrap_or(MODEL_CUBE);
    for d in databases_of("CATALOG_NAME", restrictions, context) {
        let cube = cubes_of(d).into_iter().find(|c| c.name.eq_ignore_ascii_case(wanted));
        let cube = cube.ok_or_else(|| {
            Error::not_found(format!("Database '{}' has no perspective '{wanted}'.", d.name))
        })?;
        out.push(&[("METADATA", Value::from(document(&cube, version)))]);
    }
    Ok(())
}

fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#xA;"),
            '\t' => out.push_str("&#x9;"),
            '\r' => out.push_str("&#xD;"),
            c if u32::from(c) < 0x20 || matches!(c, '\u{FFFE}' | '\u{FFFF}') => {
                out.push('\u{FFFD}');
            }
            c => out.push(c),
        }
    }
    out
}

fn attribute(out: &mut String, name: &str, value: &str) {
    let _ = write!(out, " {name}=\"{}\"", escaped(value));
}

/// Names as identifiers: letters, digits and `_`, each used once.
#[derive(Default)]
struct Identifiers {
    used: HashSet<String>,
}

impl Identifiers {
    fn make(&mut self, name: &str) -> String {
        let mut base: String =
            name.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
        if !base.chars().next().is_some_and(char::is_alphabetic) {
            base.insert(0, 'x');
        }
        let mut out = base.clone();
        let mut n = 1;
        while !self.used.insert(out.to_lowercase()) {
            out = format!("{base}{n}");
            n += 1;
        }
        out
    }
}

/// A table of the document: its identifier and those of its columns and measures.
struct Entity<'a> {
    table: &'a Table,
    name: String,
    columns: Vec<(&'a Column, String)>,
    measures: Vec<(&'a Measure, String)>,
}

fn entities<'a>(cube: &Cube<'a>) -> Vec<Entity<'a>> {
    let mut names = Identifiers::default();
    let mut out = Vec::new();
    for table in cube.tables() {
        let mut own = Identifiers::default();
        own.make(ROW_NUMBER);
        let columns = table.columns.iter().filter(|c| cube.has_column(table, c));
        let columns = columns.map(|c| (c, own.make(&c.name))).collect();
        let measures = table.measures.iter().filter(|m| cube.has_measure(table, m));
        let measures = measures.map(|m| (m, own.make(&m.name))).collect();
        out.push(Entity { table, name: names.make(&table.name), columns, measures });
    }
    out
}

fn document(cube: &Cube<'_>, version: &str) -> String {
    let entities = entities(cube);
    let by_name: HashMap<String, &Entity<'_>> =
        entities.iter().map(|e| (e.table.name.to_lowercase(), e)).collect();
    let model = &cube.database.database.model;
    let mut names = Identifiers::default();
    let associations: Vec<(String, &Relationship, &Entity<'_>, &Entity<'_>)> = model
        .relationships
        .iter()
        .filter_map(|r| {
            let from = *by_name.get(&r.from_table.to_lowercase())?;
            let to = *by_name.get(&r.to_table.to_lowercase())?;
            let text = format!("{}_{}_{}_{}", from.name, r.from_column, to.name, r.to_column);
            Some((names.make(&text), r, from, to))
        })
        .collect();
    let mut out = format!(
        "<Schema xmlns=\"{EDM}\" xmlns:edm_annotation=\"{ANNOTATION}\" xmlns:bi=\"{BI}\" bi:Version=\"{version}\" Namespace=\"Sandbox\"><EntityContainer Name=\"Sandbox\">"
    );
    for e in &entities {
        let _ =
            write!(out, "<EntitySet Name=\"{0}\" EntityType=\"Sandbox.{0}\"><bi:EntitySet", e.name);
        attribute(&mut out, "Caption", &e.table.name);
        attribute(&mut out, "ReferenceName", &e.table.name);
        if e.table.is_hidden {
            attribute(&mut out, "Hidden", "true");
        }
        out.push_str("/></EntitySet>");
    }
    for (name, r, from, to) in &associations {
        let _ = write!(
            out,
            "<AssociationSet Name=\"{name}\" Association=\"Sandbox.{name}\"><End Role=\"From\" EntitySet=\"{}\"/><End Role=\"To\" EntitySet=\"{}\"/><bi:AssociationSet",
            from.name, to.name
        );
        if !r.is_active {
            attribute(&mut out, "State", "Inactive");
        }
        if r.cross_filtering_behavior.as_deref() == Some("bothDirections") {
            attribute(&mut out, "CrossFilterDirection", "Both");
        }
        out.push_str("/></AssociationSet>");
    }
    container(&mut out, cube, version);
    out.push_str("</EntityContainer>");
    for e in &entities {
        entity(&mut out, cube, e, version, &associations);
    }
    for (name, r, from, to) in &associations {
        let many = |c: &Option<String>, default: &str| c.as_deref().unwrap_or(default) == "many";
        let side = |is_many| if is_many { "*" } else { "0..1" };
        let _ = write!(
            out,
            "<Association Name=\"{name}\"><End Role=\"From\" Type=\"Sandbox.{}\" Multiplicity=\"{}\"/><End Role=\"To\" Type=\"Sandbox.{}\" Multiplicity=\"{}\"/></Association>",
            from.name,
            side(many(&r.from_cardinality, "many")),
            to.name,
            side(many(&r.to_cardinality, "one"))
        );
    }
    out.push_str("</Schema>");
    out
}

/// Abilities by which report tools choose the queries they write.
fn container(out: &mut String, cube: &Cube<'_>, version: &str) {
    out.push_str("<bi:EntityContainer");
    attribute(out, "Caption", &cube.name);
    attribute(out, "Culture", cube.database.database.model.culture.as_deref().unwrap_or("en-US"));
    out.push_str("><bi:CompareOptions IgnoreCase=\"true\"/>");
    if version.starts_with('2') {
        out.push_str("<bi:ModelCapabilities>");
        for (name, on) in [
            ("CrossFilteringWithinTable", 1),
            ("EncourageIsEmptyDAXFunctionUsage", 1),
            ("QueryBatching", 1),
            ("Variables", 1),
            ("InOperator", 1),
            ("TableConstructor", 1),
        ] {
            let _ = write!(out, "<bi:{name}>{on}</bi:{name}>");
        }
        out.push_str("<bi:DAXFunctions>");
        for name in [
            "SummarizeColumns",
            "SubstituteWithIndex",
            "LeftOuterJoin",
            "BinaryMinMax",
            "StringMinMax",
            "TreatAs",
        ] {
            let _ = write!(out, "<bi:{name}>1</bi:{name}>");
        }
        out.push_str("</bi:DAXFunctions></bi:ModelCapabilities>");
    }
    out.push_str("</bi:EntityContainer>");
}

fn type_name(data_type: Option<DataType>) -> &'static str {
    match data_type {
        Some(DataType::Int64) => "Int64",
        Some(DataType::Double) => "Double",
        Some(DataType::Decimal) => "Decimal",
        Some(DataType::DateTime) => "DateTime",
        Some(DataType::Boolean) => "Boolean",
        Some(DataType::Binary) => "Binary",
        Some(DataType::String | DataType::Variant) | None => "String",
    }
}

fn open_property(out: &mut String, name: &str, data_type: Option<DataType>, nullable: bool) {
    let kind = type_name(data_type);
    let _ = write!(out, "<Property Name=\"{name}\" Type=\"{kind}\"");
    match kind {
        "String" => out.push_str(" MaxLength=\"Max\" FixedLength=\"false\" Unicode=\"true\""),
        "Decimal" => out.push_str(" Precision=\"19\" Scale=\"4\""),
        _ => {}
    }
    if !nullable {
        out.push_str(" Nullable=\"false\"");
    }
    out.push('>');
}

/// Measures whose format strings are computed, each with the property that gives them.
fn formats<'a>(cube: &Cube<'_>, e: &Entity<'a>, version: &str) -> Vec<(&'a Measure, String)> {
    let mut names = Identifiers::default();
    let taken = e.columns.iter().map(|(_, id)| id).chain(e.measures.iter().map(|(_, id)| id));
    taken.for_each(|id| drop(names.make(id)));
    let groups =
        cube.database.database.model.tables.iter().filter_map(|t| t.calculation_group.as_ref());
    let mut items = groups.flat_map(|g| &g.calculation_items);
    let by_items = items.any(|i| i.format_string_definition.is_some());
    let is_computed = |m: &&Measure| by_items || m.format_string_definition.is_some();
    let measures = e.measures.iter().map(|(m, _)| *m).filter(is_computed);
    let named = |m: &'a Measure| (m, names.make(&format!("_{} FormatString", m.name)));
    if version.starts_with('2') { measures.map(named).collect() } else { Vec::new() }
}

fn entity(
    out: &mut String,
    cube: &Cube<'_>,
    e: &Entity<'_>,
    version: &str,
    associations: &[(String, &Relationship, &Entity<'_>, &Entity<'_>)],
) {
    let key = ROW_NUMBER.replace('-', "_");
    let _ = write!(
        out,
        "<EntityType Name=\"{}\"><Key><PropertyRef Name=\"{key}\"/></Key><Property Name=\"{key}\" Type=\"Int64\" Nullable=\"false\"><bi:Property Caption=\"{ROW_NUMBER}\" ReferenceName=\"{ROW_NUMBER}\" Hidden=\"true\" Contents=\"RowNumber\" Stability=\"RowNumber\"/></Property>",
        e.name
    );
    let identifier = |name: &str| {
        e.columns.iter().find(|(c, _)| c.name.eq_ignore_ascii_case(name)).map(|(_, id)| id)
    };
    for (c, id) in &e.columns {
        open_property(out, id, c.data_type, c.is_nullable);
        out.push_str("<bi:Property");
        attribute(out, "Caption", &c.name);
        attribute(out, "ReferenceName", &c.name);
        if c.is_hidden {
            attribute(out, "Hidden", "true");
        }
        if let Some(f) = c.format_string.as_deref() {
            attribute(out, "FormatString", f);
        }
        if c.summarize_by.as_deref() == Some("none") {
            attribute(out, "DefaultAggregateFunction", "None");
        }
        match c.sort_by_column.as_deref().and_then(identifier) {
            Some(by) => {
                let _ = write!(
                    out,
                    "><bi:OrderBy><bi:PropertyRef Name=\"{by}\"/></bi:OrderBy></bi:Property></Property>"
                );
            }
            None => out.push_str("/></Property>"),
        }
    }
    let formats = formats(cube, e, version);
    for (m, id) in &e.measures {
        open_property(out, id, cube.database.facts.measure_type(&m.name), true);
        out.push_str("<bi:Measure");
        attribute(out, "Caption", &m.name);
        attribute(out, "ReferenceName", &m.name);
        if m.is_hidden {
            attribute(out, "Hidden", "true");
        }
        if let Some(f) = m.format_string.as_deref() {
            attribute(out, "FormatString", f);
        }
        let formatted = formats.iter().find(|(of, _)| std::ptr::eq(*of, *m));
        match formatted {
            Some((_, by)) => {
                let _ = write!(
                    out,
                    "><bi:FormatBy><bi:PropertyRef Name=\"{by}\"/></bi:FormatBy></bi:Measure></Property>"
                );
            }
            None => out.push_str("/></Property>"),
        }
    }
    for (m, id) in &formats {
        open_property(out, id, Some(DataType::String), true);
        out.push_str("<bi:Measure");
        let name = format!("_{} FormatString", m.name);
        attribute(out, "Caption", &name);
        attribute(out, "ReferenceName", &name);
        out.push_str(" Hidden=\"true\" Private=\"true\"/></Property>");
    }
    for (name, _, from, to) in associations {
        for (own, here, there) in [(from, "From", "To"), (to, "To", "From")] {
            if own.name == e.name {
                let _ = write!(
                    out,
                    "<NavigationProperty Name=\"{name}_{there}\" Relationship=\"Sandbox.{name}\" FromRole=\"{here}\" ToRole=\"{there}\"/>"
                );
            }
        }
    }
    out.push_str("<bi:EntityType");
    if is_time(e.table) {
        attribute(out, "Contents", "Time");
    }
    out.push('>');
    let mut names = Identifiers::default();
    for h in e.table.hierarchies.iter().filter(|h| cube.has_hierarchy(e.table, h)) {
        let _ = write!(out, "<bi:Hierarchy Name=\"{}\"", names.make(&h.name));
        attribute(out, "Caption", &h.name);
        attribute(out, "ReferenceName", &h.name);
        if h.is_hidden {
            attribute(out, "Hidden", "true");
        }
        out.push('>');
        let mut levels: Vec<_> = h.levels.iter().collect();
        levels.sort_by_key(|l| l.ordinal);
        let mut inner = Identifiers::default();
        for l in levels {
            let Some(id) = identifier(&l.column) else { continue };
            let _ = write!(out, "<bi:Level Name=\"{}\"", inner.make(&l.name));
            attribute(out, "Caption", &l.name);
            attribute(out, "ReferenceName", &l.name);
            let _ =
                write!(out, "><bi:Source><bi:PropertyRef Name=\"{id}\"/></bi:Source></bi:Level>");
        }
        out.push_str("</bi:Hierarchy>");
    }
    out.push_str("</bi:EntityType></EntityType>");
}
