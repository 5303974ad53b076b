//! Follows the metastore: whenever a database has a new version, brings its objects here, loads
//! and verifies them, and swaps the version in.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use evercube_base::{Collation, DataType, Error, ErrorKind, Outage, Result, Told};
use evercube_engine::CompiledModel;
use evercube_metastore::DatabaseEntry;
use evercube_model::tabular::Database;
use evercube_store::{
    Hash, Manifest, ObjectDir, StoreVersion, TableData, TableManifest, state_root,
};

use crate::objects::{blocking, data_peers, pull};
use crate::service::Service;
use crate::versions::{LoadedVersion, StoredModel};

/// Starts following; ends when the service is dropped.
pub(crate) fn spawn(service: &Arc<Service>) {
    if !service.serves_queries() {
        return;
    }
    let weak = Arc::downgrade(service);
    let mut applied = service.metastore.changes();
    tokio::spawn(async move {
        let mut late = Late { begun: Instant::now(), outages: HashMap::new() };
        loop {
            let retry = match weak.upgrade() {
                Some(service) => service.load_all(&mut late).await,
                None => return,
            };
            let wait = if retry { Duration::from_millis(300) } else { Duration::from_secs(60) };
            tokio::select! {
                changed = applied.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(wait) => {}
            }
        }
    });
}

/// Databases whose newest version cannot be loaded, for the log.
struct Late {
    begun: Instant,
    outages: HashMap<String, Outage>,
}

impl Late {
    fn look(&mut self, database: &str, failure: Option<&Error>) {
        let outage = self.outages.entry(database.to_owned()).or_default();
        let told = outage.look(self.begun.elapsed(), failure.is_none());
        match (told, failure) {
            (Some(Told::Fails(lasts)), Some(e)) => tracing::warn!(
                database,
                error = %e,
                "a version could not be loaded for {} s",
                lasts.as_secs()
            ),
            (Some(Told::Over(lasted)), _) => {
                tracing::warn!(database, "it is loaded, after {} s", lasted.as_secs());
            }
            _ => {}
        }
    }
}

impl Service {
    /// Brings every database to its committed version; true where something has to be tried again.
    async fn load_all(&self, late: &mut Late) -> bool {
        let state = self.metastore.state();
        self.versions.retain(|name| state.databases.contains_key(name));
        late.outages.retain(|name, _| state.database(name).is_some());
        let mut again = false;
        for entry in state.databases.values() {
            let is_it = |v: &LoadedVersion| v.seq == entry.seq && v.root == entry.root;
            if self.versions.get(&entry.name).is_some_and(|v| is_it(&v)) {
                continue;
            }
            match self.load(entry).await {
                Ok(version) => {
                    late.look(&entry.name, None);
                    self.versions.set(Arc::new(version));
                }
                Err(e) => {
                    late.look(&entry.name, Some(&e));
                    self.versions.set_failure(&entry.name, e);
                    again = true;
                }
            }
        }
        again
    }

    async fn load(&self, entry: &DatabaseEntry) -> Result<LoadedVersion> {
        let state = self.metastore.state();
        let peers = data_peers(&state, self.identity.node_id);
        // A file that fails its check is set aside by `get`, fetched again, and tried once more.
        for attempt in 0..2 {
            pull(&self.transport, &self.objects, &peers, &entry.objects).await?;
            let (objects, previous, wanted) =
                (Arc::clone(&self.objects), self.versions.get(&entry.name), entry.clone());
            let pool = Arc::clone(&self.pool);
            let loaded = blocking(move || {
                pool.install(|| load_version(&objects, &wanted, previous.as_deref()))
            })
            .await;
            match loaded {
                Err(e) if e.kind == ErrorKind::Corrupt && attempt == 0 => {
                    self.heal_version(entry, &e).await;
                }
                done => return done,
            }
        }
        Err(Error::new(ErrorKind::Corrupt, "a stored object stays damaged after fetching it again"))
    }
}

pub(crate) fn load_version(
    objects: &Arc<ObjectDir>,
    entry: &DatabaseEntry,
    previous: Option<&LoadedVersion>,
) -> Result<LoadedVersion> {
    let model = StoredModel::from_bytes(&objects.get(&entry.model)?)?;
    let manifest = Manifest::from_bytes(&objects.get(&entry.manifest)?)?;
    let compiled = Arc::new(CompiledModel::compile(&model.database));
    let store = load_tables(objects, &model, &compiled, &manifest, previous)?;
    let root = state_root(&entry.model, &manifest);
    if root != entry.root {
        return Err(Error::new(
            ErrorKind::Corrupt,
            format!(
                "database '{}' version {}: the state root computed here is {}, the group committed {}",
                entry.name,
                entry.seq,
                hex::encode(root),
                hex::encode(entry.root)
            ),
        ));
    }
    Ok(LoadedVersion {
        name: entry.name.clone(),
        seq: entry.seq,
        store: Arc::new(store),
        compiled,
        model,
        manifest,
        model_hash: entry.model,
        manifest_hash: entry.manifest,
        root,
        updated_micros: entry.updated_micros,
    })
}

/// Tables of a version; those whose segments did not change are taken over from the one before.
pub(crate) fn load_tables(
    objects: &Arc<ObjectDir>,
    model: &StoredModel,
    compiled: &CompiledModel,
    manifest: &Manifest,
    previous: Option<&LoadedVersion>,
) -> Result<StoreVersion> {
    let tables = table_list(objects, &model.database, compiled, manifest, previous)?;
    StoreVersion::new(tables, &compiled.relationship_defs())
}

/// What makes two loaded tables the same: types, collation, and which segment columns are where.
type TableKey<'a> = (Vec<DataType>, Collation, Vec<(Hash, &'a [u32])>);

fn table_key<'a>(
    types: Vec<DataType>,
    collation: Collation,
    manifest: &'a TableManifest,
) -> TableKey<'a> {
    let groups = manifest.partitions.iter().flat_map(|p| &p.groups);
    (types, collation, groups.flatten().map(|s| (s.hash, s.columns.as_slice())).collect())
}

/// The tables of a manifest in model order.
pub(crate) fn table_list(
    objects: &ObjectDir,
    database: &Database,
    compiled: &CompiledModel,
    manifest: &Manifest,
    previous: Option<&LoadedVersion>,
) -> Result<Vec<Arc<TableData>>> {
    let collation = collation(database);
    let types_of = |compiled: &CompiledModel, i: usize| -> Vec<DataType> {
        let columns = compiled.tables().get(i).map_or(&[][..], |t| &t.columns);
        columns.iter().map(|c| c.data_type).collect()
    };
    let mut kept: HashMap<TableKey<'_>, &Arc<TableData>> = HashMap::new();
    if let Some(p) = previous {
        for (i, (m, data)) in p.manifest.tables.iter().zip(&p.store.tables).enumerate() {
            kept.insert(table_key(types_of(&p.compiled, i), data.collation(), m), data);
        }
    }
    let mut tables = Vec::new();
    for (i, table) in database.model.tables.iter().enumerate() {
        let types = types_of(compiled, i);
        let of_table = manifest.tables.get(i);
        let same = of_table
            .filter(|m| m.rows() > 0)
            .and_then(|m| kept.get(&table_key(types.clone(), collation, m)));
        let data = match same {
            Some(data) => Arc::clone(data),
            None => Arc::new(
                crate::layout::load_table(objects, &types, collation, of_table)
                    .map_err(|e| e.context(format!("table '{}'", table.name)))?,
            ),
        };
        tables.push(data);
    }
    Ok(tables)
}

pub(crate) fn collation(database: &Database) -> Collation {
    database.model.collation.as_deref().map_or_else(Collation::default, Collation::from_name)
}
