//! One server's proof, from the bytes on its disk.

use std::sync::Arc;
use std::time::Duration;

use evercube_base::{DateTime, Error, ErrorKind, Result};
use evercube_engine::QueryContext;
use evercube_metastore::DatabaseEntry;
use evercube_store::{Hash, LogicalChecksum, Manifest, ObjectDir, logical_checksum, state_root};

use super::{ServerProof, VerifyRequest, probe};
use crate::layout::load_partition;
use crate::objects::blocking;
use crate::service::Service;
use crate::versions::LoadedVersion;

impl Service {
    pub(crate) async fn verify_here(&self, ask: &VerifyRequest) -> ServerProof {
        let mut proof = ServerProof {
            server: self.config.name.clone(),
            region: self.config.region.clone(),
            answered: true,
            ..ServerProof::default()
        };
        if let Err(e) = self.fill_proof(ask, &mut proof).await {
            proof.problems.push(e.message);
        }
        if !proof.problems.is_empty() {
            // What was found is healed at once.
            self.damage.seen.notify_one();
        }
        proof
    }

    async fn fill_proof(&self, ask: &VerifyRequest, proof: &mut ServerProof) -> Result<()> {
        self.metastore.wait_applied(ask.seq, Duration::from_secs(10)).await?;
        let state = self.metastore.state();
        let Some(entry) = state.database(&ask.database).cloned() else {
            return Err(self.no_such_database(&ask.database));
        };
        if entry.seq != ask.seq {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("version {} was asked for, version {} is current", ask.seq, entry.seq),
            ));
        }
        // Commits are acknowledged before the last server has fetched what they hold.
        self.wait_loaded(&ask.database, ask.seq).await;
        proof.seq = Some(entry.seq);
        let objects = Arc::clone(&self.objects);
        let files = blocking(move || Ok(read_files(&objects, &entry))).await?;
        proof.root = files.root.map(hex::encode);
        proof.objects = files.count;
        proof.bytes = files.bytes;
        proof.problems = files.problems;
        if let Some(e) = self.versions.failure(&ask.database) {
            proof.problems.push(format!("the database is not served: {e}"));
        }
        if ask.deep
            && let Some(version) = self.versions.get_at(&ask.database, ask.seq)
        {
            let context = self.probe_context(ask, &version);
            let objects = Arc::clone(&self.objects);
            let pool = Arc::clone(&self.pool);
            let deep = blocking(move || {
                Ok(pool
                    .install(|| (read_values(&objects, &version), probe::ask(&version, &context))))
            });
            let (values, probes) = deep.await?;
            proof.checksums = values.checksums;
            proof.problems.extend(values.problems);
            proof.probes = probes;
        }
        Ok(())
    }

    /// The same on every server, so that the answers are.
    fn probe_context(&self, ask: &VerifyRequest, version: &LoadedVersion) -> QueryContext {
        let now = DateTime::from_unix_micros(ask.now_micros).unwrap_or_default();
        QueryContext {
            locale: version.model.database.model.culture.clone().unwrap_or_else(|| "en-US".into()),
            now,
            utc_now: now,
            ..QueryContext::default()
        }
    }
}

struct Files {
    root: Option<Hash>,
    count: usize,
    bytes: u64,
    problems: Vec<String>,
}

/// Every file of a version, read again.
fn read_files(objects: &ObjectDir, entry: &DatabaseEntry) -> Files {
    let mut files = Files { root: None, count: 0, bytes: 0, problems: Vec::new() };
    let mut check = |hash: &Hash, what: &str| {
        files.count += 1;
        match objects.verify(hash) {
            Ok(length) => files.bytes += length,
            Err(e) => files.problems.push(format!("{what}: {e}")),
        }
    };
    check(&entry.model, "model");
    check(&entry.manifest, "manifest");
    let manifest = objects.verify(&entry.manifest).and_then(|_| objects.get(&entry.manifest));
    match manifest.and_then(|bytes| Manifest::from_bytes(&bytes)) {
        Ok(manifest) => {
            manifest.objects().iter().for_each(|(what, hash)| check(hash, what));
            files.root = files.problems.is_empty().then(|| state_root(&entry.model, &manifest));
        }
        Err(e) if files.problems.is_empty() => files.problems.push(format!("manifest: {e}")),
        Err(_) => {}
    }
    files
}

#[derive(Default)]
struct Values {
    checksums: Vec<(String, String)>,
    problems: Vec<String>,
}

/// What the values of every partition say, decoded again from the files, and whether that is what
/// queries see.
fn read_values(objects: &ObjectDir, version: &LoadedVersion) -> Values {
    let mut values = Values::default();
    let model = &version.model.database.model;
    let collation = crate::loader::collation(&version.model.database);
    for (i, (table, manifest)) in model.tables.iter().zip(&version.manifest.tables).enumerate() {
        let columns = version.compiled.tables().get(i).map_or(&[][..], |t| &t.columns);
        let types: Vec<_> = columns.iter().map(|c| c.data_type).collect();
        let mut whole = Some(LogicalChecksum::default());
        for partition in &manifest.partitions {
            let name = format!("table '{}' partition '{}'", table.name, partition.name);
            match load_partition(objects, &types, collation, partition) {
                Ok(data) => {
                    let sum = logical_checksum(&data);
                    whole = whole.map(|w| w.plus(sum));
                    values.checksums.push((name, hex::encode(sum.to_hash())));
                }
                Err(e) => {
                    whole = None;
                    values.problems.push(format!("{name}: {e}"));
                }
            }
        }
        let served = version.store.tables.get(i).map(|data| logical_checksum(data));
        if whole.is_some() && served != whole {
            values.problems.push(format!(
                "table '{}': what is in memory is not what the files say",
                table.name
            ));
        }
    }
    values
}
