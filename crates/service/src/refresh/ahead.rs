//! Reading before the database is locked for a change, so that refreshes of different tables run
//! side by side and only their commits follow one another.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use evercube_base::Result;
use tokio::sync::OwnedMutexGuard;

use crate::change::Step;
use crate::refresh::finished::Ahead;
use crate::refresh::plan::places;
use crate::refresh::run::{Reading, wanted};
use crate::refresh::{RefreshRequest, reads_sources};
use crate::service::Service;
use crate::versions::LoadedVersion;

/// What was read, and the tables it holds until it is committed: nobody else reads them meanwhile.
#[derive(Default)]
pub(crate) struct ReadAhead {
    pub read: Ahead,
    pub held: Vec<OwnedMutexGuard<()>>,
}

impl Service {
    /// Reads what the steps need from sources, where they are nothing but refreshes.
    pub(crate) async fn read_ahead(
        &self,
        request_id: &str,
        name: &str,
        steps: &[Step],
        cancel: &Arc<AtomicBool>,
    ) -> Result<ReadAhead> {
        if self.read_by_all(name).is_some() {
            return Ok(ReadAhead::default());
        }
        let mut ahead = ReadAhead { read: self.read_before(request_id).await, held: Vec::new() };
        let requests: Vec<&RefreshRequest> = steps.iter().filter_map(refresh_of).collect();
        if requests.len() != steps.len() || !requests.iter().any(|r| reads_sources(r.kind)) {
            return Ok(ahead);
        }
        let version = self.newest(name).await?;
        for table in tables_of(&version, &requests)? {
            // No database has a name with a zero in it.
            let lock = format!("\0{}\0{table}", name.to_lowercase());
            ahead.held.push(self.writes.lock(&lock).await);
        }
        // What the ones before did to these tables is known here now.
        let version = self.newest(name).await?;
        for request in requests.into_iter().filter(|r| reads_sources(r.kind)) {
            let reading = Reading {
                database: &version.model.database,
                manifest: &version.manifest,
                request_id,
                cancel,
                readers: request.readers,
                overrides: &request.overrides,
                recorded: true,
            };
            let places = wanted(&reading, request)?;
            for (_, finished) in self.read_all(&reading, places, &mut ahead.read).await? {
                let of = (finished.table.clone(), finished.partition.clone());
                ahead.read.insert(of, finished);
            }
        }
        Ok(ahead)
    }
}

fn refresh_of(step: &Step) -> Option<&RefreshRequest> {
    match step {
        Step::Refresh(request) => Some(request),
        _ => None,
    }
}

/// The tables that are read, always in the same order.
fn tables_of(version: &LoadedVersion, requests: &[&RefreshRequest]) -> Result<BTreeSet<String>> {
    let database = &version.model.database;
    let mut tables = BTreeSet::new();
    for request in requests {
        for (table, _) in places(database, &request.objects)? {
            tables.extend(database.model.tables.get(table).map(|t| t.name.to_lowercase()));
        }
    }
    Ok(tables)
}
