//! From a rowset's definition to its typed columns.

use evercube_base::{ColumnKind, Rowset, RowsetColumn};

use super::definitions::{DEFINITIONS, Definition, METADATA_ROWSETS};

/// The definition of a rowset, letter case aside.
pub fn definition(name: &str) -> Option<&'static Definition> {
    DEFINITIONS.iter().find(|d| d.name.eq_ignore_ascii_case(name))
}

/// Object type of a `TMSCHEMA_` rowset (`Model`, `Table` …), as answers name their parts.
pub fn metadata_object(name: &str) -> Option<(&'static str, &'static str)> {
    METADATA_ROWSETS.iter().copied().find(|(n, _)| n.eq_ignore_ascii_case(name))
}

/// Restrictions of a rowset in their order, with their types.
pub fn restrictions(definition: &Definition) -> Vec<(&'static str, &'static str)> {
    definition.restrictions.split_whitespace().filter_map(|r| r.split_once(':')).collect()
}

fn kind(name: &str) -> ColumnKind {
    match name {
        "unsignedLong" => ColumnKind::UnsignedLong,
        "long" => ColumnKind::Long,
        "unsignedInt" => ColumnKind::UnsignedInt,
        "int" => ColumnKind::Int,
        "unsignedShort" => ColumnKind::UnsignedShort,
        "short" => ColumnKind::Short,
        "boolean" => ColumnKind::Boolean,
        "dateTime" => ColumnKind::DateTime,
        "double" => ColumnKind::Double,
        "uuid" => ColumnKind::Uuid,
        "xml" => ColumnKind::Xml,
        _ => ColumnKind::String,
    }
}

fn column(text: &str) -> Option<RowsetColumn> {
    let (name, kind_name) = text.split_once(':')?;
    match kind_name.strip_prefix("nested(").and_then(|t| t.strip_suffix(')')) {
        Some(inner) => {
            Some(RowsetColumn::nested(name, inner.split(',').filter_map(column).collect()))
        }
        None => Some(RowsetColumn::new(name, kind(kind_name))),
    }
}

/// An empty rowset with the columns of its definition; without columns where there is none.
pub fn empty(name: &str) -> Rowset {
    match definition(name) {
        Some(d) => Rowset::new(d.name, d.columns.split_whitespace().filter_map(column).collect()),
        None => Rowset::new(name, Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_definition_is_readable() {
        let known = [
            "string",
            "boolean",
            "int",
            "unsignedInt",
            "short",
            "unsignedShort",
            "long",
            "unsignedLong",
            "dateTime",
            "double",
            "uuid",
            "xml",
        ];
        let mut guids = std::collections::HashSet::new();
        for d in DEFINITIONS {
            assert!(guids.insert(d.guid), "{} shares its identifier", d.name);
            assert_eq!(d.guid.len(), 36, "{}", d.name);
            let rowset = empty(d.name);
            assert_eq!(rowset.columns.len(), d.columns.split_whitespace().count(), "{}", d.name);
            let mut names = std::collections::HashSet::new();
            for c in &rowset.columns {
                assert!(names.insert(c.name.clone()), "{} has {} twice", d.name, c.name);
            }
            for part in d.columns.split_whitespace() {
                let kind = part.split_once(':').map_or("", |p| p.1);
                assert!(known.contains(&kind) || kind.starts_with("nested("), "{} {part}", d.name);
            }
            for (name, kind) in restrictions(d) {
                assert!(known.contains(&kind), "{}: {name} is of type {kind}", d.name);
            }
        }
    }
}
