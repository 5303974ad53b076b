//! Restore drills: the newest backup is brought back aside, where no client sees it, asked, and
//! forgotten again.

use std::path::PathBuf;
use std::sync::Arc;

use evercube_base::{DateTime, Error, ErrorKind, Result, Value};
use evercube_engine::{CompiledModel, QueryContext};
use evercube_metastore::{DrillTask, JobReport};
use evercube_store::{Hash, Manifest, ObjectDir};
use evercube_work::Work;

use crate::backup::{self, BackupHeader, Sink};
use crate::backup_use::restore::{loads, stored};
use crate::call::Call;
use crate::objects::blocking;
use crate::service::Service;
use crate::versions::{LoadedVersion, StoredModel};

/// A folder that is gone when it is dropped.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), error = %e, "a drill's folder stays behind");
        }
    }
}

struct Aside(Arc<ObjectDir>);

impl Sink for Aside {
    fn begin(&mut self, _: &BackupHeader) -> Result<()> {
        Ok(())
    }

    fn object(&mut self, _: Hash, content: Vec<u8>) -> Result<()> {
        self.0.put(&content).map(|_| ())
    }
}

impl Service {
    /// Where drills restore to; what one that was killed left there goes when the server starts.
    fn scratch_folder(&self) -> PathBuf {
        self.config.data_dir.join("scratch")
    }

    pub(super) fn clear_scratch(&self) {
        let folder = self.scratch_folder();
        if folder.exists() {
            drop(Scratch(folder));
        }
    }

    pub(super) async fn drill_task(
        self: &Arc<Self>,
        call: &Call,
        task: &DrillTask,
    ) -> Result<JobReport> {
        self.check_administrator(call, "A restore drill of", &task.database)?;
        let place = task.target.as_deref();
        let (newest, target) = self.newest_backup(place, Some(&task.database)).await?;
        let failed = |e: Error| e.context(format!("the backup {}", newest.place));
        let secrets = self.backup_secrets(&target, None)?;
        let mut number = [0_u8; 8];
        crate::seal::random(&mut number)?;
        let folder = self.scratch_folder().join(hex::encode(number));
        let objects = Arc::new(ObjectDir::open_with(&folder, self.config.vault.clone())?);
        let scratch = Scratch(folder);
        let aside = Aside(Arc::clone(&objects));
        let whole = backup::read(&target, secrets, &self.backup_folder(), aside).await;
        let whole = whole.map_err(failed)?;
        self.is_what_was_written(&target, &whole).map_err(failed)?;
        let (header, queries) = (whole.header.clone(), task.queries.clone());
        let (pool, now) = (Arc::clone(&self.pool), self.now());
        let asked = blocking(move || {
            let _gone_at_the_end = scratch;
            pool.install(|| asked(&objects, &header, queries, now))
        });
        let messages = asked.await.map_err(failed)?;
        self.was_proved(&target, &whole).await?;
        let (version, place) = (Some(whole.header.seq), Some(newest.place.clone()));
        Ok(JobReport { version, place, messages, ..JobReport::default() })
    }
}

/// Loads what was restored and asks it; what was asked.
fn asked(
    objects: &Arc<ObjectDir>,
    header: &BackupHeader,
    queries: Vec<String>,
    now: DateTime,
) -> Result<Vec<String>> {
    let (model, manifest) = stored(objects, header)?;
    let compiled = Arc::new(CompiledModel::compile(&model.database));
    let store = loads(objects, &model, &compiled, &manifest)?;
    let version = loaded(header, model, manifest, (compiled, Arc::new(store)));
    let context = QueryContext {
        locale: version.model.database.model.culture.clone().unwrap_or_else(|| "en-US".into()),
        now,
        utc_now: now,
        ..QueryContext::default()
    };
    let ask = |query: &str| {
        let work = Arc::new(Work::default());
        work.run(|| evercube_engine::query(&version.dataset(), query, &context))
            .map_err(|e| e.context(format!("its answer to {query}")))
    };
    for query in &queries {
        ask(query)?;
    }
    let mut tables = 0;
    for (table, kept) in version.model.database.model.tables.iter().zip(&version.manifest.tables) {
        if table.calculation_group.is_some() {
            continue;
        }
        let name = table.name.replace('\'', "''");
        let query = format!("EVALUATE ROW(\"rows\", COUNTROWS('{name}') + 0)");
        let answer = ask(&query)?;
        let first = answer.results.first().and_then(|t| t.rows.first()?.first().cloned());
        let expected = i64::try_from(kept.rows()).unwrap_or(i64::MAX);
        if first != Some(Value::Int(expected)) {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!("table '{}' has {first:?} rows, the backup says {expected}", table.name),
            ));
        }
        tables += 1;
    }
    Ok(vec![format!("{tables} tables counted, {} queries answered", queries.len())])
}

fn loaded(
    header: &BackupHeader,
    model: StoredModel,
    manifest: Manifest,
    (compiled, store): (Arc<CompiledModel>, Arc<evercube_store::StoreVersion>),
) -> LoadedVersion {
    LoadedVersion {
        name: header.database.clone(),
        seq: header.seq,
        model,
        compiled,
        store,
        manifest,
        model_hash: header.model,
        manifest_hash: header.manifest,
        root: header.root,
        updated_micros: header.created_micros,
    }
}
