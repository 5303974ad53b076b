//! Which partitions a refresh means, and which of them have rows outside of the model.

use evercube_base::{Error, Result};
use evercube_model::tabular::{Database, Partition};

use crate::change::keep::is_calculated;

/// A partition by position: table, partition.
pub(crate) type Place = (usize, usize);

fn position<T>(all: &[T], name: &str, of: impl Fn(&T) -> &str) -> Option<usize> {
    all.iter().position(|t| of(t).to_lowercase() == name.to_lowercase())
}

/// The partitions that `objects` names, in model order and each once; all where it is empty.
pub(crate) fn places(
    database: &Database,
    objects: &[(String, Option<String>)],
) -> Result<Vec<Place>> {
    let tables = &database.model.tables;
    let of_table = |at: usize| {
        let count = tables.get(at).map_or(0, |t| t.partitions.len());
        (0..count).map(move |p| (at, p))
    };
    if objects.is_empty() {
        return Ok((0..tables.len()).flat_map(of_table).collect());
    }
    let mut found = Vec::new();
    for (table, partition) in objects {
        let at = position(tables, table, |t| &t.name).ok_or_else(|| {
            Error::not_found(format!(
                "cannot refresh table '{table}': database '{}' has no table of that name",
                database.name
            ))
        })?;
        match partition {
            None => found.extend(of_table(at)),
            Some(partition) => {
                let partitions = tables.get(at).map_or(&[][..], |t| &t.partitions);
                let p = position(partitions, partition, |p| &p.name).ok_or_else(|| {
                    Error::not_found(format!(
                        "cannot refresh partition '{partition}': table '{table}' has no partition of that name"
                    ))
                })?;
                found.push((at, p));
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Whether a partition's rows come from outside of the model.
pub(crate) fn has_source(partition: &Partition) -> bool {
    let kind = partition.source.kind.as_deref();
    !is_calculated(&partition.source) && !matches!(kind, Some("calculationGroup" | "none"))
}

/// Why a partition that has a source cannot be read, where that is known without trying.
pub(crate) fn not_readable(partition: &Partition) -> Option<String> {
    if partition.mode.as_deref().is_some_and(|m| m.eq_ignore_ascii_case("directQuery")) {
        return Some(
            "partitions in DirectQuery mode are not supported; set the mode to 'import'".into(),
        );
    }
    match partition.source.kind.as_deref() {
        None | Some("m" | "query") => None,
        Some(kind) => Some(format!(
            "partitions of the kind '{kind}' are not supported; use an 'm' or a 'query' partition"
        )),
    }
}
