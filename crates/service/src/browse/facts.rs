//! What a loaded version knows beyond its model: rows, values, storage, states.

use std::sync::{Arc, OnceLock};

use evercube_base::{DataType, DateTime, Rowset, Value};
use evercube_engine::{Hidden, QueryContext};
use evercube_model::tmschema::{Metadata, ModelFacts};
use evercube_store::Column;

use super::dependencies;
use crate::discover::{DatabaseFacts, Dependency, StorageColumn, StorageSegment};
use crate::versions::LoadedVersion;

pub(super) struct VersionFacts {
    version: Arc<LoadedVersion>,
    /// The caller's rights: members are queried for as the caller.
    context: QueryContext,
    metadata: OnceLock<Option<Metadata>>,
    hidden: OnceLock<Hidden>,
}

impl VersionFacts {
    pub(super) fn new(version: Arc<LoadedVersion>, context: QueryContext) -> Self {
        Self { version, context, metadata: OnceLock::new(), hidden: OnceLock::new() }
    }

    fn column(&self, table: &str, column: &str) -> Option<&Column> {
        let id = self.version.compiled.column(table, column)?;
        Some(self.version.store.table(id.table).column(id.column))
    }

    fn sort_column(&self, table: &str, column: &str) -> Option<String> {
        let tables = &self.version.model.database.model.tables;
        let of = tables.iter().find(|t| t.name.eq_ignore_ascii_case(table))?;
        let found = of.columns.iter().find(|c| c.name.eq_ignore_ascii_case(column))?;
        found.sort_by_column.clone()
    }
}

/// A column as an expression names it.
fn reference(table: &str, column: &str) -> String {
    format!("'{}'[{}]", table.replace('\'', "''"), column.replace(']', "]]"))
}

impl DatabaseFacts for VersionFacts {
    fn tmschema(&self, name: &str) -> Option<Rowset> {
        let model = &self.version.model;
        let metadata =
            self.metadata.get_or_init(|| Metadata::new(&model.database, &model.ids).ok());
        metadata.as_ref()?.rowset(name, self)
    }

    fn row_count(&self, table: &str) -> Option<u64> {
        let id = self.version.compiled.table_id(table)?;
        u64::try_from(self.version.store.table(id).rows()).ok()
    }

    fn distinct_count(&self, table: &str, column: &str) -> Option<u64> {
        let column = self.column(table, column)?;
        Some(u64::from(column.cardinality() - 1) + u64::from(column.has_blank()))
    }

    fn members(&self, table: &str, column: &str, limit: usize) -> Vec<Value> {
        let shown = reference(table, column);
        let query = match self.sort_column(table, column) {
            Some(by) => {
                let by = reference(table, &by);
                let of = table.replace('\'', "''");
                format!("EVALUATE SUMMARIZE('{of}', {shown}, {by}) ORDER BY {by}, {shown}")
            }
            None => format!("EVALUATE VALUES({shown}) ORDER BY {shown}"),
        };
        let answer = evercube_engine::query(&self.version.dataset(), &query, &self.context);
        let Ok(answer) = answer else { return Vec::new() };
        let rows = answer.results.first().map_or(&[][..], |t| &t.rows);
        rows.iter().filter_map(|row| row.first().cloned()).take(limit).collect()
    }

    fn is_secured(&self, table: &str, object: Option<&str>) -> bool {
        let compiled = &self.version.compiled;
        let hidden = self.hidden.get_or_init(|| compiled.hidden_from(&self.context.roles));
        match object {
            None => compiled.table_id(table).is_some_and(|id| hidden.table(id)),
            Some(name) => match compiled.column(table, name) {
                Some(id) => hidden.column(id),
                None => hidden.measure(name),
            },
        }
    }

    fn dependencies(&self) -> Vec<Dependency> {
        dependencies::of_model(&self.version)
    }

    fn query_dependencies(&self, query: &str) -> Vec<Dependency> {
        dependencies::of_query(&self.version, query)
    }

    fn storage(&self) -> Vec<StorageColumn> {
        let mut all = Vec::new();
        for (at, table) in self.version.compiled.tables().iter().enumerate() {
            let Some(data) = self.version.store.tables.get(at) else { continue };
            let manifest = self.version.manifest.tables.get(at);
            let partitions: Vec<&str> = manifest
                .iter()
                .flat_map(|m| &m.partitions)
                .flat_map(|p| p.groups.iter().map(|_| p.name.as_str()))
                .collect();
            for (i, info) in table.columns.iter().enumerate() {
                let Ok(i) = u32::try_from(i) else { continue };
                let column = data.column(i);
                all.push(StorageColumn {
                    table: table.name.clone(),
                    column: info.name.clone(),
                    data_type: Some(info.data_type),
                    is_dictionary: column.has_dictionary(),
                    dictionary_bytes: column.dictionary_bytes() as u64,
                    segments: segments(column, &partitions),
                });
            }
        }
        all
    }
}

fn segments(column: &Column, partitions: &[&str]) -> Vec<StorageSegment> {
    let of = column.segments().enumerate().map(|(number, (rows, bytes))| {
        let bits = (bytes * 8).div_ceil(rows.max(1)) as u32;
        StorageSegment {
            partition: partitions.get(number).copied().unwrap_or_default().to_owned(),
            number: number as u64,
            rows: rows as u64,
            bytes: bytes as u64,
            bits,
            compression: format!("C{bits}"),
        }
    });
    of.collect()
}

impl ModelFacts for VersionFacts {
    fn state(&self, object: &str) -> Option<String> {
        let failed = self.version.model.failures.get(object).cloned();
        failed.or_else(|| {
            let states = self.version.compiled.states();
            let found = states.iter().find(|s| s.object.eq_ignore_ascii_case(object))?;
            found.error.as_ref().map(|e| e.message.clone())
        })
    }

    fn refreshed(&self, table: &str, partition: &str) -> Option<DateTime> {
        let at = self.version.compiled.table_id(table)?;
        let manifest = self.version.manifest.tables.get(at.0 as usize)?;
        let found = manifest.partitions.iter().find(|p| p.name.eq_ignore_ascii_case(partition))?;
        DateTime::from_unix_micros(found.refreshed_micros?)
    }

    fn modified(&self) -> DateTime {
        super::time(self.version.updated_micros)
    }

    fn structure_modified(&self) -> DateTime {
        self.modified()
    }

    fn column_type(&self, table: &str, column: &str) -> Option<DataType> {
        let id = self.version.compiled.column(table, column)?;
        Some(self.version.compiled.column_info(id).data_type)
    }

    fn version(&self) -> u64 {
        self.version.seq
    }
}
