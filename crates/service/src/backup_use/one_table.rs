//! Bringing one table back from a backup into the database as it is now.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use evercube_base::{Error, Result, Severity};
use evercube_engine::QueryContext;
use evercube_model::ids::ObjectIds;
use evercube_model::tabular::Database;
use evercube_model::validate::validate;
use evercube_store::Manifest;
use evercube_work::Work;

use super::restore::stored;
use crate::backup::BackupHeader;
use crate::backup_use::not_cancelled;
use crate::call::{Call, ReadLevel, WriteAnswer};
use crate::change::finish::{Parts, finish, refused};
use crate::change::keep::empty_table;
use crate::commit::NewState;
use crate::objects::blocking;
use crate::service::Service;
use crate::versions::{LoadedVersion, StoredModel};

impl Service {
    /// The table as it was in the backup: its definition, measures and rows. The rest of the
    /// database stays as it is, and what depends on the table is calculated again.
    pub(super) async fn bring_table_back(
        &self,
        id: &str,
        header: BackupHeader,
        name: &str,
        table: &str,
        cancel: Arc<AtomicBool>,
    ) -> Result<WriteAnswer> {
        if self.metastore.state().database(name).is_none() {
            return Err(Error::not_found(format!(
                "there is no database '{name}' to bring the table '{table}' back to; restore the whole backup"
            )));
        }
        let newest = Call::of_server(ReadLevel::Strong);
        let current = self.version(&newest, name).await?;
        let (name, seq) = (current.name.clone(), current.seq);
        let context = QueryContext {
            locale: current.model.database.model.culture.clone().unwrap_or_else(|| "en-US".into()),
            now: self.now(),
            utc_now: self.now(),
            ..QueryContext::default()
        };
        let (objects, pool) = (Arc::clone(&self.objects), Arc::clone(&self.pool));
        let table = table.to_owned();
        self.progress.update(id, |p| p.state = "calculating".into());
        let work = Arc::new(Work::default().cancelled_by(Arc::clone(&cancel)));
        let merge = move || {
            let backup = stored(&objects, &header)?;
            finish(&objects, with_table(&backup, current, &table)?, &context)
        };
        let done = blocking(move || pool.install(|| work.run(merge))).await?;
        not_cancelled(&cancel)?;
        self.progress.update(id, |p| p.state = "committing".into());
        let (model, manifest) = (done.model, done.manifest);
        let new = NewState { name, expected_seq: seq, model, manifest, logins: Vec::new() };
        let seq = self.commit(id, new).await?;
        Ok(WriteAnswer { seq, messages: done.messages })
    }
}

/// The current database with one table of the backup in it.
fn with_table(
    (backup, rows): &(StoredModel, Manifest),
    current: Arc<LoadedVersion>,
    table: &str,
) -> Result<Parts> {
    let wanted = table.to_lowercase();
    let position =
        |d: &Database| d.model.tables.iter().position(|t| t.name.to_lowercase() == wanted);
    let from = position(&backup.database).and_then(|i| {
        Some((backup.database.model.tables.get(i)?.clone(), rows.tables.get(i)?.clone()))
    });
    let (table, rows) =
        from.ok_or_else(|| Error::not_found(format!("the backup has no table '{table}'")))?;
    let mut database = current.model.database.clone();
    let mut manifest = current.manifest.clone();
    let missing = database.model.tables.iter().skip(manifest.tables.len());
    let empty: Vec<_> = missing.map(empty_table).collect();
    manifest.tables.extend(empty);
    match position(&database) {
        Some(i) => {
            if let (Some(old), Some(old_rows)) =
                (database.model.tables.get_mut(i), manifest.tables.get_mut(i))
            {
                (*old, *old_rows) = (table, rows);
            }
        }
        None => {
            database.model.tables.push(table);
            manifest.tables.push(rows);
            bring_relationships_back(&mut database, &backup.database, &wanted);
        }
    }
    let findings = validate(&database);
    let faults: Vec<_> = findings.into_iter().filter(|f| f.severity == Severity::Error).collect();
    if !faults.is_empty() {
        return Err(refused(&database.name, &faults));
    }
    let ids = ObjectIds::assign(Some(&current.model.ids), &database);
    Ok(Parts { database, ids, manifest, data_changed: true, current: Some(current) })
}

/// The relationships of a table that is there again, where both of their columns are.
fn bring_relationships_back(database: &mut Database, backup: &Database, table: &str) {
    let has = |table: &str, column: &str| {
        let tables = &database.model.tables;
        let found = tables.iter().find(|t| t.name.eq_ignore_ascii_case(table));
        found.is_some_and(|t| t.columns.iter().any(|c| c.name.eq_ignore_ascii_case(column)))
    };
    let of_table = backup
        .model
        .relationships
        .iter()
        .filter(|r| [&r.from_table, &r.to_table].iter().any(|t| t.to_lowercase() == table));
    let whole = of_table.filter(|r| {
        has(&r.from_table, &r.from_column)
            && has(&r.to_table, &r.to_column)
            && !database.model.relationships.iter().any(|there| there.name == r.name)
    });
    let back: Vec<_> = whole.cloned().collect();
    database.model.relationships.extend(back);
}
