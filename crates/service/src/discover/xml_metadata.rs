//! `DISCOVER_XML_METADATA`: the server, or one database, as an XML document.

use std::fmt::Write as _;

use evercube_base::{Error, Result, Rowset, Value};

use super::context::{DatabaseInfo, DiscoverContext};
use super::filter::{self, Restrictions};
use crate::windows_locale::windows_number;

const ENGINE: &str = "http://schemas.microsoft.com/analysisservices/2003/engine";
const ENGINE_100: &str = "http://schemas.microsoft.com/analysisservices/2008/engine/100";
const ENGINE_200: &str = "http://schemas.microsoft.com/analysisservices/2010/engine/200";
const ENGINE_200_200: &str = "http://schemas.microsoft.com/analysisservices/2010/engine/200/200";
const ENGINE_300: &str = "http://schemas.microsoft.com/analysisservices/2011/engine/300";
const ENGINE_400: &str = "http://schemas.microsoft.com/analysisservices/2012/engine/400";
const ENGINE_600: &str = "http://schemas.microsoft.com/analysisservices/2013/engine/600";

/// Compatibility levels a model may have here.
pub const COMPATIBILITY_LEVELS: &[u32] = &[
    1200, 1400, 1450, 1455, 1460, 1465, 1470, 1475, 1480, 1500, 1510, 1520, 1530, 1535, 1540, 1550,
    1560, 1561, 1562, 1563, 1564, 1565, 1566, 1567, 1568, 1569, 1570, 1571, 1572, 1600, 1601, 1602,
    1603, 1604, 1605, 1606, 1700,
];
/// The level of a model that does not say one.
pub const DEFAULT_COMPATIBILITY_LEVEL: u32 = 1600;

fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#xD;"),
            '\t' | '\n' => out.push(c),
            c if u32::from(c) < 0x20 || matches!(c, '\u{FFFE}' | '\u{FFFF}') => {
                out.push('\u{FFFD}');
            }
            c => out.push(c),
        }
    }
    out
}

fn element(out: &mut String, name: &str, value: &str) {
    let _ = write!(out, "<{name}>{}</{name}>", escaped(value));
}

fn element_in(out: &mut String, namespace: &str, name: &str, value: &str) {
    let _ = write!(out, "<{name} xmlns=\"{namespace}\">{}</{name}>", escaped(value));
}

pub(super) fn fill(
    out: &mut Rowset,
    restrictions: &Restrictions,
    context: &DiscoverContext<'_>,
) -> Result<()> {
    let expansion = filter::first(restrictions, "ObjectExpansion").unwrap_or("ExpandFull");
    let known = ["ReferenceOnly", "ObjectProperties", "ExpandObject", "ExpandFull"];
    if !known.iter().any(|k| k.eq_ignore_ascii_case(expansion)) {
        return Err(Error::invalid(format!(
            "DISCOVER_XML_METADATA was asked with ObjectExpansion '{expansion}'; use one of {}.",
            known.join(", ")
        )));
    }
    let document = match filter::first(restrictions, "DatabaseID") {
        Some(id) => {
            // No such database, or none the user may see: no rows, which clients read as that.
            let Some(database) = context.database(id) else { return Ok(()) };
            database_document(database, !expansion.eq_ignore_ascii_case("ReferenceOnly"))
        }
        None => {
            let with_databases = expansion.to_ascii_lowercase().starts_with("expand");
            server_document(context, with_databases)
        }
    };
    out.push(&[("METADATA", Value::from(document))]);
    Ok(())
}

fn server_document(context: &DiscoverContext<'_>, with_databases: bool) -> String {
    let server = context.server;
    let mut out = format!("<Server xmlns=\"{ENGINE}\">");
    element(&mut out, "ID", &server.name);
    element(&mut out, "Name", &server.name);
    element(&mut out, "CreatedTimestamp", &server.created.to_string());
    element(&mut out, "LastSchemaUpdate", &server.schema_updated.to_string());
    element(&mut out, "Version", &server.version);
    element(&mut out, "Edition", &server.edition);
    element(&mut out, "EditionID", "1804890536");
    element_in(&mut out, ENGINE_300, "ServerMode", "Tabular");
    let levels: Vec<String> = COMPATIBILITY_LEVELS.iter().map(u32::to_string).collect();
    element_in(&mut out, ENGINE_600, "SupportedCompatibilityLevels", &levels.join(","));
    let level = DEFAULT_COMPATIBILITY_LEVEL.to_string();
    element_in(&mut out, ENGINE_400, "DefaultCompatibilityLevel", &level);
    element_in(&mut out, ENGINE_400, "ServerLocation", "OnPremise");
    if with_databases {
        out.push_str("<Databases>");
        for d in context.databases {
            out.push_str("<Database>");
            reference(&mut out, d);
            out.push_str("</Database>");
        }
        out.push_str("</Databases>");
    }
    out.push_str("</Server>");
    out
}

fn reference(out: &mut String, database: &DatabaseInfo<'_>) {
    element(out, "ID", database.id);
    element(out, "Name", database.name);
    element(out, "CreatedTimestamp", &database.created.to_string());
    element(out, "LastSchemaUpdate", &database.schema_updated.to_string());
}

fn database_document(database: &DatabaseInfo<'_>, with_properties: bool) -> String {
    let mut out = format!("<Database xmlns=\"{ENGINE}\">");
    reference(&mut out, database);
    if with_properties {
        let model = &database.database.model;
        if let Some(d) = database.database.description.as_ref().filter(|d| !d.is_empty()) {
            element(&mut out, "Description", d);
        }
        if let Some(t) = database.data_updated {
            element(&mut out, "LastProcessed", &t.to_string());
        }
        let state = if database.data_updated.is_some() { "Processed" } else { "Unprocessed" };
        element(&mut out, "State", state);
        if database.is_read_only {
            element_in(&mut out, ENGINE_100, "ReadWriteMode", "ReadOnly");
        }
        let level = database.compatibility_level.to_string();
        element_in(&mut out, ENGINE_200, "CompatibilityLevel", &level);
        element_in(&mut out, ENGINE_200_200, "StorageEngineUsed", "TabularMetadata");
        let changed = database
            .data_updated
            .map_or(database.schema_updated, |t| t.max(database.schema_updated));
        element(&mut out, "LastUpdate", &changed.to_string());
        element(&mut out, "Language", &windows_number(model.culture.as_deref()).to_string());
        if let Some(c) = model.collation.as_deref() {
            element(&mut out, "Collation", c);
        }
    }
    out.push_str("</Database>");
    out
}
