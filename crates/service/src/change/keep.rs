//! What of a database's data outlives a change of its model.

use evercube_base::{Diagnostic, Severity};
use evercube_model::ids::ObjectIds;
use evercube_model::tabular::{Column, Database, PartitionSource, Table};
use evercube_store::{Manifest, PartitionManifest, SegmentRef, TableManifest};

/// A model and the numbers of its objects, by which renamed objects are known again.
#[derive(Clone, Copy)]
pub(crate) struct Side<'a> {
    pub database: &'a Database,
    pub ids: &'a ObjectIds,
}

/// A place in a segment that belongs to no column any more.
pub(crate) const NO_COLUMN: u32 = u32::MAX;

/// The source data of `old` as `new` still uses it. A partition keeps its rows when it is still
/// there with the same source and no column of it is read differently. What is calculated is not
/// kept here: it is computed again.
pub(crate) fn keep(
    old: Side<'_>,
    manifest: &Manifest,
    new: Side<'_>,
    messages: &mut Vec<Diagnostic>,
) -> Manifest {
    let tables = new.database.model.tables.iter().map(|table| {
        let path = format!("Tables/{}", escaped(&table.name));
        let old_table = find(old, new, &path, &table.name, &old.database.model.tables, |t| &t.name);
        let data = old_table
            .and_then(|i| Some((old.database.model.tables.get(i)?, manifest.tables.get(i)?)));
        match data {
            Some((before, data)) => keep_table((old, before, data), new, table, messages),
            None => empty_table(table),
        }
    });
    Manifest { tables: tables.collect() }
}

pub(crate) fn empty_table(table: &Table) -> TableManifest {
    let partitions = table
        .partitions
        .iter()
        .map(|p| PartitionManifest { name: p.name.clone(), ..PartitionManifest::default() });
    TableManifest { id: table.name.clone(), partitions: partitions.collect() }
}

fn keep_table(
    (old, before, data): (Side<'_>, &Table, &TableManifest),
    new: Side<'_>,
    table: &Table,
    messages: &mut Vec<Diagnostic>,
) -> TableManifest {
    let path = format!("Tables/{}", escaped(&table.name));
    let mut places = vec![NO_COLUMN; before.columns.len()];
    let (mut added, mut differs) = (Vec::new(), None);
    for (at, column) in (0u32..).zip(&table.columns) {
        if !is_source_column(column) {
            continue;
        }
        let column_path = format!("{path}/Columns/{}", escaped(&column.name));
        let found = find(old, new, &column_path, &column.name, &before.columns, |c| &c.name);
        match found.and_then(|i| Some((i, before.columns.get(i)?))) {
            Some((i, c)) if is_source_column(c) => {
                if !reads_the_same(c, column) {
                    differs = Some(column.name.clone());
                } else if let Some(place) = places.get_mut(i) {
                    *place = at;
                }
            }
            _ => added.push(column.name.clone()),
        }
    }
    let mut kept = empty_table(table);
    let (mut rows, mut lost) = (0, 0);
    for (partition, into) in table.partitions.iter().zip(&mut kept.partitions) {
        let partition_path = format!("{path}/Partitions/{}", escaped(&partition.name));
        let i = find(old, new, &partition_path, &partition.name, &before.partitions, |p| &p.name);
        let Some((p, m)) =
            i.and_then(|i| Some((before.partitions.get(i)?, data.partitions.get(i)?)))
        else {
            continue;
        };
        let groups = source_groups(&m.groups, &places);
        let here: u64 = groups.iter().flatten().map(|s| s.rows).sum();
        if is_calculated(&partition.source) || is_calculated(&p.source) {
            into.refreshed_micros = m.refreshed_micros;
        } else if p.source != partition.source || differs.is_some() {
            lost += here;
        } else {
            rows += here;
            into.groups = groups;
            into.refreshed_micros = m.refreshed_micros.filter(|_| added.is_empty());
        }
    }
    let mut warn = |object: String, message: &str| {
        messages.push(Diagnostic {
            severity: Severity::Warning,
            object,
            message: message.to_owned(),
            span: None,
        });
    };
    if lost > 0 {
        let object = match &differs {
            Some(column) => format!("{}[{column}]", table.name),
            None => table.name.clone(),
        };
        warn(
            object,
            "The source of the data was changed: its rows are gone until it is refreshed.",
        );
    }
    if rows > 0 {
        for column in added {
            let text = "The column is new and blank until the table is refreshed.";
            warn(format!("{}[{column}]", table.name), text);
        }
    }
    kept
}

/// The segments with source columns, their columns renumbered.
pub(crate) fn source_groups(groups: &[Vec<SegmentRef>], places: &[u32]) -> Vec<Vec<SegmentRef>> {
    let place = |c: &u32| places.get(*c as usize).copied().unwrap_or(NO_COLUMN);
    let first = groups.iter().filter_map(|g| g.first());
    first
        .map(|s| vec![SegmentRef { columns: s.columns.iter().map(place).collect(), ..s.clone() }])
        .collect()
}

/// Filled from outside of the model.
pub(crate) fn is_source_column(column: &Column) -> bool {
    matches!(column.kind.as_deref(), None | Some("data"))
}

pub(crate) fn is_calculated(source: &PartitionSource) -> bool {
    source.kind.as_deref() == Some("calculated")
}

/// Name of the source's column that fills a column of the model.
pub(crate) fn source_name(column: &Column) -> &str {
    column.source_column.as_deref().unwrap_or(&column.name)
}

pub(crate) fn reads_the_same(a: &Column, b: &Column) -> bool {
    let (renamed_by_source, same_type) =
        (source_name(a) == source_name(b), a.data_type == b.data_type);
    renamed_by_source && same_type
}

/// Position among `all` of what `path` is called now: by number, else by name.
fn find<T>(
    old: Side<'_>,
    new: Side<'_>,
    path: &str,
    name: &str,
    all: &[T],
    name_of: impl Fn(&T) -> &str,
) -> Option<usize> {
    let number = new.ids.get(path);
    let before = number.and_then(|n| old.ids.path_of(n)).and_then(|p| p.rsplit('/').next());
    let before = before.map(|n| n.replace("~1", "/").replace("~0", "~"));
    let wanted = before.unwrap_or_else(|| name.to_owned()).to_lowercase();
    all.iter().position(|t| name_of(t).to_lowercase() == wanted)
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
