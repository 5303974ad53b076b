//! Schema requests: rows about the server, its databases and its work.
//!
//! Pure: facts in, typed rows out.

mod absent;
pub mod activity;
pub mod catalogs;
pub mod context;
pub mod csdl;
pub mod cubes;
pub mod definitions;
pub mod dmv;
pub mod filter;
pub mod functions;
pub mod hierarchies;
pub mod measures;
pub mod properties;
pub mod server_facts;
pub mod shape;
pub mod storage;
mod traces;
pub mod xml_metadata;

use evercube_base::{ColumnKind, Error, ErrorKind, Result, Rowset, RowsetColumn, Value};

pub use context::{
    CommandInfo, DatabaseFacts, DatabaseInfo, Dependency, DiscoverContext, FunctionInfo, NoFacts,
    ParameterInfo, ServerInfo, SessionInfo, StorageColumn, StorageSegment,
};
pub use filter::Restrictions;
pub use shape::metadata_object;

/// Answers a schema request. The rows are those the user may see and the restrictions leave.
///
/// # Errors
/// `NotFound` for a request type this server does not know, `Denied` for metadata of a database
/// whose administrator the user is not, `Invalid` for an unknown database or metadata version.
pub fn discover(
    request_type: &str,
    restrictions: &Restrictions,
    context: &DiscoverContext<'_>,
) -> Result<Rowset> {
    let name = request_type.trim().to_ascii_uppercase();
    let mut rowset = if name.starts_with("TMSCHEMA_") {
        metadata(&name, restrictions, context)?
    } else {
        unfiltered(&name, restrictions, context)?
    };
    if rowset.name == "MDSCHEMA_MEMBERS" && hierarchies::tree_operation(restrictions).is_some() {
        // The member named is where to start from, not what to answer with.
        let mut rest = restrictions.to_vec();
        rest.retain(|(name, _)| !name.eq_ignore_ascii_case("MEMBER_UNIQUE_NAME"));
        filter::apply(&mut rowset, &rest);
    } else {
        filter::apply(&mut rowset, restrictions);
    }
    Ok(rowset)
}

fn unknown(name: &str) -> Error {
    Error::not_found(format!("The {name} request type was not recognized by the server."))
}

fn needs_administrator(what: &str) -> Error {
    Error::new(
        ErrorKind::Denied,
        format!("{what} may be read by server administrators only; ask one, or connect as one."),
    )
}

fn unfiltered(
    name: &str,
    restrictions: &Restrictions,
    context: &DiscoverContext<'_>,
) -> Result<Rowset> {
    let definition = shape::definition(name).ok_or_else(|| unknown(name))?;
    let mut out = shape::empty(definition.name);
    match definition.name {
        "DISCOVER_PROPERTIES" => properties::fill(&mut out, context),
        "DISCOVER_DATASOURCES" => server_facts::data_sources(&mut out, context),
        "DISCOVER_SCHEMA_ROWSETS" => server_facts::schema_rowsets(&mut out),
        "DISCOVER_ENUMERATORS" => server_facts::enumerators(&mut out),
        "DISCOVER_KEYWORDS" => server_facts::keywords(&mut out, context),
        "DISCOVER_LITERALS" => server_facts::literals(&mut out),
        "DISCOVER_INSTANCES" => server_facts::instances(&mut out, context),
        "DISCOVER_XML_METADATA" => xml_metadata::fill(&mut out, restrictions, context)?,
        "DISCOVER_SESSIONS" => activity::sessions(&mut out, context),
        "DISCOVER_CONNECTIONS" => activity::connections(&mut out, context),
        "DISCOVER_COMMANDS" => activity::commands(&mut out, context),
        "DISCOVER_JOBS" => activity::jobs(&mut out, context),
        "DISCOVER_STORAGE_TABLES" => storage::tables(&mut out, restrictions, context)?,
        "DISCOVER_STORAGE_TABLE_COLUMNS" => storage::columns(&mut out, restrictions, context)?,
        "DISCOVER_STORAGE_TABLE_COLUMN_SEGMENTS" => {
            storage::segments(&mut out, restrictions, context)?;
        }
        "DISCOVER_OBJECT_MEMORY_USAGE" => storage::memory(&mut out, context)?,
        "DISCOVER_CALC_DEPENDENCY" => storage::dependencies(&mut out, restrictions, context)?,
        "DBSCHEMA_CATALOGS" => catalogs::catalogs(&mut out, context),
        "DBSCHEMA_TABLES" => catalogs::tables(&mut out, restrictions, context),
        "DBSCHEMA_COLUMNS" => catalogs::columns(&mut out, restrictions, context),
        "DBSCHEMA_SCHEMATA" => catalogs::schemata(&mut out, context),
        "DBSCHEMA_PROVIDER_TYPES" => catalogs::provider_types(&mut out),
        "MDSCHEMA_CUBES" => cubes::cubes(&mut out, restrictions, context),
        "MDSCHEMA_DIMENSIONS" => cubes::dimensions(&mut out, restrictions, context),
        "MDSCHEMA_MEASUREGROUPS" => measures::groups(&mut out, restrictions, context),
        "MDSCHEMA_MEASUREGROUP_DIMENSIONS" => {
            measures::group_dimensions(&mut out, restrictions, context);
        }
        "MDSCHEMA_MEASURES" => measures::measures(&mut out, restrictions, context),
        "MDSCHEMA_KPIS" => measures::kpis(&mut out, restrictions, context),
        "MDSCHEMA_HIERARCHIES" => hierarchies::hierarchies(&mut out, restrictions, context),
        "MDSCHEMA_LEVELS" => hierarchies::levels(&mut out, restrictions, context),
        "MDSCHEMA_MEMBERS" => hierarchies::members(&mut out, restrictions, context),
        "MDSCHEMA_PROPERTIES" => hierarchies::properties(&mut out, restrictions, context),
        "MDSCHEMA_FUNCTIONS" => functions::fill(&mut out, context),
        "MDSCHEMA_INPUT_DATASOURCES" => catalogs::input_sources(&mut out, restrictions, context),
        "DISCOVER_CSDL_METADATA" => csdl::fill(&mut out, restrictions, context)?,
        "DISCOVER_TRACES" => traces::traces(&mut out, context),
        "DISCOVER_TRACE_COLUMNS" => traces::columns(&mut out),
        "DISCOVER_TRACE_EVENT_CATEGORIES" => traces::categories(&mut out),
        "DISCOVER_TRACE_DEFINITION_PROVIDERINFO" => traces::provider(&mut out),
        // Nothing of this kind exists here: sets, actions, locks …
        _ => {}
    }
    Ok(out)
}

/// A rowset of tabular metadata of one database.
fn metadata(
    name: &str,
    restrictions: &Restrictions,
    context: &DiscoverContext<'_>,
) -> Result<Rowset> {
    let named = filter::first(restrictions, "DatabaseName")
        .or_else(|| filter::first(restrictions, "DatabaseID"));
    let database = match named {
        Some(n) => context.database(n).ok_or_else(|| {
            Error::not_found(format!("Database '{n}' does not exist, or you may not see it."))
        })?,
        None => context.current().ok_or_else(|| match context.catalog {
            Some(n) => {
                Error::not_found(format!("Database '{n}' does not exist, or you may not see it."))
            }
            None => Error::invalid(format!(
                "{name} needs a database: set Catalog, or restrict DatabaseName."
            )),
        })?,
    };
    metadata_rowset(name, database.facts, database.is_admin)
}

/// A rowset of tabular metadata, for somebody who is an administrator of its database or not.
pub fn metadata_rowset(name: &str, facts: &dyn DatabaseFacts, is_admin: bool) -> Result<Rowset> {
    if !is_admin {
        return Err(Error::new(
            ErrorKind::Denied,
            format!("{name} may be read by administrators of the database only."),
        ));
    }
    if let Some(rowset) = facts.tmschema(name) {
        return Ok(rowset);
    }
    let (known, _) = metadata_object(name).ok_or_else(|| unknown(name))?;
    let columns = absent::columns(known).unwrap_or_else(|| {
        let id = RowsetColumn::new("ID", ColumnKind::UnsignedLong);
        vec![id, RowsetColumn::new("Version", ColumnKind::Long)]
    });
    Ok(Rowset::new(known, columns))
}

/// Databases a request speaks of: those its restriction `key` names, else the current one.
fn databases_of<'a>(
    key: &str,
    restrictions: &Restrictions,
    context: &DiscoverContext<'a>,
) -> Vec<&'a DatabaseInfo<'a>> {
    match filter::values(restrictions, key) {
        Some(names) => names.iter().filter_map(|n| context.database(n)).collect(),
        None => context.current().into_iter().collect(),
    }
}

fn text(value: impl AsRef<str>) -> Value {
    Value::from(value.as_ref())
}

/// A count as a cell.
fn count(value: u64) -> Value {
    Value::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

/// Milliseconds from one instant to another, not below zero.
fn millis(from: evercube_base::DateTime, to: evercube_base::DateTime) -> Value {
    Value::Int(to.0.saturating_sub(from.0).max(0) / 1000)
}

#[cfg(test)]
mod tests;
