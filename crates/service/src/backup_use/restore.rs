//! Bringing a database back from a backup: checked and stored first, then one commit.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use evercube_base::{DateTime, Error, ErrorKind, Result};
use evercube_engine::CompiledModel;
use evercube_model::ids::ObjectIds;
use evercube_model::tabular::Role;
use evercube_model::validate::check_database_name;
use evercube_store::{Hash, Manifest, ObjectDir, StoreVersion, state_root};

use crate::backup::{self, BackupHeader, Sink, Target};
use crate::backup_use::one_table::Piece;
use crate::backup_use::{RestoreRequest, not_cancelled};
use crate::call::{At, Call, WriteAnswer};
use crate::commit::NewState;
use crate::objects::blocking;
use crate::once::request_id;
use crate::progress::ProgressBook;
use crate::service::Service;
use crate::versions::StoredModel;

/// How the request ids of restores begin that keep a standby up; those of callers are random.
const STANDBY: &str = "standby\n";

/// What becomes of the roles in a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Roles {
    Keep,
    Skip,
    DropMembers,
}

impl Roles {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        Ok(match text.trim().to_ascii_lowercase().as_str() {
            "" | "keep" => Self::Keep,
            "skip" => Self::Skip,
            "drop-members" => Self::DropMembers,
            other => {
                return Err(Error::invalid(format!(
                    "'{other}' does not say what becomes of the roles; use keep, skip or drop-members"
                )));
            }
        })
    }

    fn apply(self, roles: &mut Vec<Role>) {
        match self {
            Self::Keep => {}
            Self::Skip => roles.clear(),
            Self::DropMembers => roles.iter_mut().for_each(|role| role.members.clear()),
        }
    }
}

impl Service {
    /// Brings a backup back as a database, all or nothing.
    pub async fn restore(&self, call: &Call, request: RestoreRequest) -> Result<WriteAnswer> {
        self.check_administrator(call, "Restoring", &request.source)?;
        let roles = Roles::parse(&request.roles)?;
        let source = self.target(&request.source)?;
        self.restore_with(call, &source, roles, request).await
    }

    /// As [`Service::restore`], of a backup that was found before.
    pub(crate) async fn restore_from(
        &self,
        call: &Call,
        source: &Target,
        request: RestoreRequest,
    ) -> Result<WriteAnswer> {
        self.check_administrator(call, "Restoring", &source.describe())?;
        let roles = Roles::parse(&request.roles)?;
        self.restore_with(call, source, roles, request).await
    }

    async fn restore_with(
        &self,
        call: &Call,
        source: &Target,
        roles: Roles,
        request: RestoreRequest,
    ) -> Result<WriteAnswer> {
        let id = request_id(call)?;
        let listed = self.enter(call, request.database.as_deref().unwrap_or_default(), "restore");
        let cancel = Arc::clone(&listed.cancel);
        let answer = Box::pin(self.bring_back(&id, source, roles, request, cancel)).await;
        self.ended(&id, answer.is_ok());
        match answer {
            Err(e) => {
                let e = self.or_elsewhere(e).await;
                Err(e.context(format!("Restoring {} failed", source.describe())))
            }
            done => done,
        }
    }

    /// Brings a backup of another group's database back as this group's standby of it.
    pub(crate) async fn restore_standby(
        &self,
        source: &Target,
        database: &str,
        header: &BackupHeader,
    ) -> Result<()> {
        let request = RestoreRequest {
            database: Some(database.to_owned()),
            overwrite: true,
            ..RestoreRequest::default()
        };
        // The same backup is restored once.
        let id = format!("{STANDBY}{} {} {}", header.cluster, header.seq, header.created_micros);
        let cancel = Arc::new(AtomicBool::new(false));
        self.bring_back(&id, source, Roles::Keep, request, cancel).await?;
        Ok(())
    }

    async fn bring_back(
        &self,
        id: &str,
        source: &Target,
        roles: Roles,
        request: RestoreRequest,
        cancel: Arc<AtomicBool>,
    ) -> Result<WriteAnswer> {
        let RestoreRequest { database, password, overwrite, at, table, partition, .. } = request;
        let piece = Piece::of(table, partition)?;
        let secrets = self.backup_secrets(source, password)?;
        let password = secrets.password.as_ref();
        let folder = self.backup_folder();
        self.see_all_commits().await?;
        let source = &match (source, at) {
            (Target::Repository(place), _) if source.is_folder() => {
                let wanted = database.as_deref();
                Box::pin(self.pick_in(place, at, wanted, password)).await?
            }
            (_, Some(at)) if source.is_folder() => {
                self.backup_as_of(source, at, database.as_deref(), password).await?
            }
            _ => source.clone(),
        };
        let wanted = match database.map(|n| n.trim().to_owned()).filter(|n| !n.is_empty()) {
            Some(name) => name,
            None => {
                self.have_here(source).await?;
                backup::inspect(source, secrets.clone(), &folder).await?.database
            }
        };
        check_database_name(&wanted)?;
        let (name, _alone) = self.alone(&wanted).await;
        if let Some(answer) = self.answered(id) {
            return answer;
        }
        if !id.starts_with(STANDBY) {
            self.not_a_standby(&name)?;
        }
        let existing = self.metastore.state().database(&name).map(|e| (e.name.clone(), e.seq));
        let exists = existing.as_ref();
        if let Some((name, _)) = exists.filter(|_| !overwrite && piece.is_none()) {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "database '{name}' exists already and nothing was read; allow overwriting or give another name"
                ),
            ));
        }
        self.have_here(source).await?;
        let taking = Taking {
            objects: Arc::clone(&self.objects),
            cancel: Arc::clone(&cancel),
            progress: self.progress.clone(),
            request_id: id.to_owned(),
            place: source.describe(),
        };
        let whole = backup::read(source, secrets, &folder, taking).await?;
        self.is_what_was_written(source, &whole)?;
        let header = whole.header;
        if let Some(at) = at {
            not_after(&header, at)?;
        }
        if let Some(piece) = piece {
            return self.bring_piece_back(id, header, &name, piece, cancel).await;
        }
        let (name, seq) = existing.unwrap_or((name, 0));
        let taken_ids = self.ids_of_others(&name);
        let objects = Arc::clone(&self.objects);
        let pool = Arc::clone(&self.pool);
        self.progress.update(id, |p| p.state = "calculating".into());
        let new = blocking(move || {
            pool.install(|| {
                let (mut model, manifest) = stored(&objects, &header)?;
                let database = &mut model.database;
                let is_taken = |id: &String| taken_ids.iter().any(|t| t.eq_ignore_ascii_case(id));
                if database.name != name || database.id.as_ref().is_some_and(is_taken) {
                    database.id = None;
                }
                database.name.clone_from(&name);
                roles.apply(&mut database.model.roles);
                model.ids = ObjectIds::assign(Some(&model.ids), &model.database);
                loads(&objects, &model, &CompiledModel::compile(&model.database), &manifest)?;
                Ok(NewState { name, expected_seq: seq, model, manifest, logins: Vec::new() })
            })
        })
        .await?;
        not_cancelled(&cancel)?;
        self.progress.update(id, |p| p.state = "committing".into());
        let seq = self.commit(id, new).await?;
        Ok(WriteAnswer { seq, messages: Vec::new() })
    }

    async fn have_here(&self, source: &Target) -> Result<()> {
        match source {
            Target::Own(name) => self.bring_backup_here(name).await,
            _ => Ok(()),
        }
    }

    /// Identifiers of the databases that are not called `name`.
    pub(crate) fn ids_of_others(&self, name: &str) -> Vec<String> {
        let all = self.versions.all().into_iter();
        let others = all.filter(|v| v.name.to_lowercase() != name.to_lowercase());
        others.filter_map(|v| v.model.database.id.clone()).collect()
    }
}

/// Stores what a backup holds. What stays behind where the restore fails are objects that no
/// version names.
struct Taking {
    objects: Arc<ObjectDir>,
    cancel: Arc<AtomicBool>,
    progress: ProgressBook,
    request_id: String,
    place: String,
}

impl Sink for Taking {
    fn begin(&mut self, header: &BackupHeader) -> Result<()> {
        self.progress.update(&self.request_id, |p| {
            p.state = "reading".into();
            p.partitions_total = u32::try_from(header.objects.len()).unwrap_or(u32::MAX);
            p.current.clone_from(&self.place);
        });
        Ok(())
    }

    fn object(&mut self, _: Hash, content: Vec<u8>) -> Result<()> {
        not_cancelled(&self.cancel)?;
        self.objects.put(&content)?;
        self.progress.update(&self.request_id, |p| p.partitions_done += 1);
        Ok(())
    }
}

/// Refuses a backup that was made after what is wanted.
fn not_after(header: &BackupHeader, at: At) -> Result<()> {
    let fits = match at {
        At::Seq(seq) => header.seq <= seq,
        At::Time(t) => header.created_micros <= t.unix_micros(),
    };
    if fits {
        return Ok(());
    }
    let made = DateTime::from_unix_micros(header.created_micros).unwrap_or_default();
    Err(Error::not_found(format!(
        "the backup holds version {}, made at {made}, which is later than what is wanted",
        header.seq
    )))
}

/// The model and manifest of a backup whose objects have been stored.
pub(crate) fn stored(
    objects: &ObjectDir,
    header: &BackupHeader,
) -> Result<(StoredModel, Manifest)> {
    let manifest = Manifest::from_bytes(&objects.get(&header.manifest)?)?;
    let model = StoredModel::from_bytes(&objects.get(&header.model)?)?;
    let listed = |hash: &Hash| header.objects.iter().any(|o| o.hash == *hash);
    for (what, hash) in manifest.objects() {
        if !objects.has(&hash) {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!("the backup is incomplete: it does not hold {what}"),
            ));
        }
    }
    if !listed(&header.model)
        || !listed(&header.manifest)
        || state_root(&header.model, &manifest) != header.root
    {
        return Err(Error::new(
            ErrorKind::Corrupt,
            "the backup is not what was written: its content is not the version it names",
        ));
    }
    Ok((model, manifest))
}

/// Loads the version once before it is committed: one that cannot be served is refused.
pub(crate) fn loads(
    objects: &Arc<ObjectDir>,
    model: &StoredModel,
    compiled: &CompiledModel,
    manifest: &Manifest,
) -> Result<StoreVersion> {
    crate::loader::load_tables(objects, model, compiled, manifest, None)
}
