//! Bringing one table, or one partition of it, back from a backup into the database as it is now.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use evercube_base::{Error, Result, Severity};
use evercube_engine::QueryContext;
use evercube_model::ids::ObjectIds;
use evercube_model::tabular::{Database, Table};
use evercube_model::validate::validate;
use evercube_store::{Manifest, TableManifest};

use super::one_partition::with_partition;
use super::restore::stored;
use crate::backup::BackupHeader;
use crate::backup_use::not_cancelled;
use crate::call::{Call, ReadLevel, WriteAnswer};
use crate::change::finish::{Parts, finish, refused};
use crate::change::keep::empty_table;
use crate::commit::NewState;
use crate::service::Service;
use crate::versions::{LoadedVersion, StoredModel};

/// What alone is brought back.
pub(super) struct Piece {
    pub table: String,
    /// The whole table where absent.
    pub partition: Option<String>,
}

impl Piece {
    /// What a request names, if it does not mean the whole database.
    pub(super) fn of(table: Option<String>, partition: Option<String>) -> Result<Option<Self>> {
        match (table, partition) {
            (Some(table), partition) => Ok(Some(Self { table, partition })),
            (None, None) => Ok(None),
            (None, Some(partition)) => Err(Error::invalid(format!(
                "the partition '{partition}' is to be brought back, but not of which table"
            ))),
        }
    }
}

/// The tables of a backup and what is in them.
#[derive(Clone, Copy)]
pub(super) struct Tables<'a> {
    pub database: &'a Database,
    pub manifest: &'a Manifest,
}

impl<'a> Tables<'a> {
    pub(super) fn find(self, name: &str) -> Result<(&'a Table, &'a TableManifest)> {
        let i = position(self.database, name);
        i.and_then(|i| Some((self.database.model.tables.get(i)?, self.manifest.tables.get(i)?)))
            .ok_or_else(|| Error::not_found(format!("the backup has no table '{name}'")))
    }
}

/// Where a table of this name is.
pub(super) fn position(database: &Database, table: &str) -> Option<usize> {
    let wanted = table.to_lowercase();
    database.model.tables.iter().position(|t| t.name.to_lowercase() == wanted)
}

impl Service {
    /// A table as it was in the backup: its definition, measures and rows; or one partition: its
    /// source and rows. The rest of the database stays as it is, and what depends on the table is
    /// calculated again.
    pub(super) async fn bring_piece_back(
        &self,
        id: &str,
        header: BackupHeader,
        name: &str,
        piece: Piece,
        cancel: Arc<AtomicBool>,
    ) -> Result<WriteAnswer> {
        if self.metastore.state().database(name).is_none() {
            return Err(Error::not_found(format!(
                "there is no database '{name}' to bring the table '{}' back to; restore the whole backup",
                piece.table
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
        let objects = Arc::clone(&self.objects);
        self.progress.update(id, |p| p.state = "calculating".into());
        let merge = move || {
            let backup = stored(&objects, &header)?;
            finish(&objects, with_piece(&backup, current, &piece)?, &context)
        };
        let done = self.computed(&cancel, merge).await?;
        not_cancelled(&cancel)?;
        self.progress.update(id, |p| p.state = "committing".into());
        let (model, manifest) = (done.model, done.manifest);
        let new = NewState { name, expected_seq: seq, model, manifest, logins: Vec::new() };
        let seq = self.commit(id, new).await?;
        Ok(WriteAnswer { seq, messages: done.messages })
    }
}

/// The current database with a piece of the backup in it.
fn with_piece(
    (backup, rows): &(StoredModel, Manifest),
    current: Arc<LoadedVersion>,
    piece: &Piece,
) -> Result<Parts> {
    let backup = Tables { database: &backup.database, manifest: rows };
    let database = current.model.database.clone();
    let mut manifest = current.manifest.clone();
    let missing = database.model.tables.iter().skip(manifest.tables.len());
    manifest.tables.extend(missing.map(empty_table));
    let ids = current.model.ids.clone();
    let mut now = Parts { database, ids, manifest, data_changed: true, current: Some(current) };
    match &piece.partition {
        Some(partition) => with_partition(backup, &mut now, &piece.table, partition)?,
        None => with_table(backup, &mut now, &piece.table)?,
    }
    let findings = validate(&now.database);
    let faults: Vec<_> = findings.into_iter().filter(|f| f.severity == Severity::Error).collect();
    if !faults.is_empty() {
        return Err(refused(&now.database.name, &faults));
    }
    now.ids = ObjectIds::assign(Some(&now.ids), &now.database);
    Ok(now)
}

fn with_table(backup: Tables<'_>, now: &mut Parts, name: &str) -> Result<()> {
    let (table, rows) = backup.find(name)?;
    let (table, rows) = (table.clone(), rows.clone());
    let there = position(&now.database, name);
    let (tables, manifests) = (&mut now.database.model.tables, &mut now.manifest.tables);
    match there.and_then(|i| Some((tables.get_mut(i)?, manifests.get_mut(i)?))) {
        Some((old, old_rows)) => (*old, *old_rows) = (table, rows),
        None => {
            tables.push(table);
            manifests.push(rows);
            let wanted = name.to_lowercase();
            bring_relationships_back(&mut now.database, backup.database, &wanted);
        }
    }
    Ok(())
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
