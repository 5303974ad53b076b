//! Bringing one partition back from a backup into the table as it is now.

use evercube_base::{Error, ErrorKind, Result};
use evercube_model::tabular::{Column, Partition, Table};
use evercube_store::PartitionManifest;

use super::one_table::{Tables, position};
use crate::change::finish::Parts;
use crate::change::keep::{
    NO_COLUMN, is_calculated, is_source_column, reads_the_same, source_groups,
};

/// The tables as they are now with one partition as it was in the backup: its source and its rows.
///
/// # Errors
/// `NotFound` where the backup has no such partition or the table is gone; `Conflict` where the
/// table has columns now that the rows of the backup cannot fill.
pub(super) fn with_partition(
    backup: Tables<'_>,
    now: &mut Parts,
    table: &str,
    partition: &str,
) -> Result<()> {
    let (before, rows) = backup.find(table)?;
    let wanted = partition.to_lowercase();
    let place = |all: &[Partition]| all.iter().position(|p| p.name.to_lowercase() == wanted);
    let found = place(&before.partitions)
        .and_then(|i| Some((before.partitions.get(i)?, rows.partitions.get(i)?)));
    let (definition, rows) = found.ok_or_else(|| {
        Error::not_found(format!(
            "table '{}' of the backup has no partition '{partition}'",
            before.name
        ))
    })?;
    if is_calculated(&definition.source) || before.calculation_group.is_some() {
        return Err(Error::invalid(format!(
            "the rows of '{}' are calculated from the model; there is nothing to bring back",
            before.name
        )));
    }
    let i = position(&now.database, table);
    let tables = &mut now.database.model.tables;
    let here = i.and_then(|i| Some((tables.get_mut(i)?, now.manifest.tables.get_mut(i)?)));
    let (here, rows_here) = here.ok_or_else(|| {
        Error::not_found(format!(
            "table '{}' is gone from '{}'; bring the whole table back",
            before.name, now.database.name
        ))
    })?;
    let groups = source_groups(&rows.groups, &places(before, here)?);
    let rows = PartitionManifest { name: definition.name.clone(), groups, ..rows.clone() };
    match place(&here.partitions) {
        Some(i) => {
            if let (Some(old), Some(old_rows)) =
                (here.partitions.get_mut(i), rows_here.partitions.get_mut(i))
            {
                (*old, *old_rows) = (definition.clone(), rows);
            }
        }
        None => {
            here.partitions.push(definition.clone());
            rows_here.partitions.push(rows);
        }
    }
    Ok(())
}

/// Where each column of the table in the backup is in the table as it is now.
///
/// Columns are known by name alone: the numbers of another database's objects say nothing here,
/// and rows in a wrong column would be worse than none.
fn places(before: &Table, now: &Table) -> Result<Vec<u32>> {
    let mut places = vec![NO_COLUMN; before.columns.len()];
    for (at, column) in (0u32..).zip(&now.columns).filter(|(_, c)| is_source_column(c)) {
        let named = before.columns.iter().zip(&mut places);
        let same = |c: &&Column| {
            is_source_column(c) && c.name.to_lowercase() == column.name.to_lowercase()
        };
        match named.into_iter().find(|(c, _)| same(c)) {
            Some((c, place)) if reads_the_same(c, column) => *place = at,
            found => {
                let how = match found {
                    Some(_) => "is read from another column of the source, or with another type",
                    None => "was not there",
                };
                return Err(Error::new(
                    ErrorKind::Conflict,
                    format!(
                        "column {}[{}] {how} when the backup was made, so the rows of its partition do not fit the table; bring the whole table back, or refresh the partition",
                        now.name, column.name
                    ),
                ));
            }
        }
    }
    Ok(places)
}
