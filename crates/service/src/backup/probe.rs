//! A target is tested before it is trusted: what a backup needs of a storage is done once, under
//! names of its own that are removed again.

use std::sync::Arc;

use bytes::Bytes;
use evercube_base::Result;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{
    Error as Cause, GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    UpdateVersion,
};
use serde::{Deserialize, Serialize};

use crate::backup::cloud::without_queries;

const ROUNDS: usize = 10;
const CREATORS: usize = 8;
/// The smallest part the services take before the last one.
const PART: usize = 5 << 20;

/// One thing a target was asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    pub ok: bool,
    /// Whether backups cannot do without it.
    pub needed: bool,
    /// What was seen.
    pub detail: String,
}

/// What a target can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeReport {
    pub target: String,
    pub usable: bool,
    pub checks: Vec<Check>,
}

/// Outcome of a check: what was seen, well or not.
type Seen = Result<String, String>;

struct Probe {
    store: Arc<dyn ObjectStore>,
    folder: Path,
}

/// Tests the storage below `prefix`.
pub async fn probe(
    target: String,
    store: Arc<dyn ObjectStore>,
    prefix: &Path,
) -> Result<ProbeReport> {
    let mut number = [0u8; 8];
    crate::seal::random(&mut number)?;
    let name = format!("evercube-test-{}", hex::encode(number));
    let probe = Probe { store, folder: prefix.clone().join(name) };
    let mut checks = Vec::new();
    let mut note = |name: &str, needed: bool, seen: Seen| {
        let ok = seen.is_ok();
        let (Ok(detail) | Err(detail)) = seen;
        checks.push(Check { name: name.to_owned(), ok, needed, detail });
        ok
    };
    if note("write", true, probe.write().await) {
        note("read", true, probe.read().await);
        note("list", true, probe.list().await);
        note("create refuses what is there", true, probe.create_again().await);
        note("create race", true, probe.race().await);
        note("stale update", false, probe.stale_update().await);
        note("upload in parts", true, probe.parts().await);
        note("delete", true, probe.delete().await);
    }
    probe.clean().await;
    let usable = checks.iter().all(|c| c.ok || !c.needed);
    Ok(ProbeReport { target, usable, checks })
}

/// The report of a folder that cannot be made, or is none.
pub fn no_folder(target: String, why: &str) -> ProbeReport {
    let detail = format!("the folder cannot be used: {why}");
    let check = Check { name: "write".to_owned(), ok: false, needed: true, detail };
    ProbeReport { target, usable: false, checks: vec![check] }
}

fn said(e: &Cause) -> String {
    let text = without_queries(&e.to_string());
    match e {
        Cause::PermissionDenied { .. } | Cause::Unauthenticated { .. } => {
            format!("the storage does not permit it: {text}")
        }
        _ => text,
    }
}

impl Probe {
    fn at(&self, name: &str) -> Path {
        self.folder.clone().join(name)
    }

    async fn put(&self, name: &str, text: &str, mode: PutMode) -> Result<Option<String>, Cause> {
        let payload = PutPayload::from(Bytes::from(text.to_owned()));
        let put = self.store.put_opts(&self.at(name), payload, PutOptions::from(mode)).await?;
        Ok(put.e_tag)
    }

    async fn get(&self, name: &str) -> Result<Bytes, Cause> {
        self.store.get(&self.at(name)).await?.bytes().await
    }

    async fn write(&self) -> Seen {
        let put = self.put("one", "written", PutMode::Overwrite).await;
        put.map(|_| "an object was written".into()).map_err(|e| said(&e))
    }

    async fn read(&self) -> Seen {
        let whole = self.get("one").await.map_err(|e| said(&e))?;
        let options = GetOptions { range: Some((2..5).into()), ..GetOptions::default() };
        let part = self.store.get_opts(&self.at("one"), options).await.map_err(|e| said(&e))?;
        let part = part.bytes().await.map_err(|e| said(&e))?;
        if whole == "written" && part == "itt" {
            Ok("what was written was read, whole and in part".into())
        } else {
            Err("other bytes were read than were written".into())
        }
    }

    async fn list(&self) -> Seen {
        let listed: Vec<_> =
            self.store.list(Some(&self.folder)).try_collect().await.map_err(|e| said(&e))?;
        if listed.iter().any(|o| o.location == self.at("one")) {
            Ok("the object is listed".into())
        } else {
            Err("the object that was written is not listed".into())
        }
    }

    async fn create_again(&self) -> Seen {
        match self.put("one", "again", PutMode::Create).await {
            Err(Cause::AlreadyExists { .. } | Cause::Precondition { .. }) => {
                Ok("a second object of the same name was refused".into())
            }
            Err(e) => Err(said(&e)),
            Ok(_) => Err("an object was replaced that should only be created".into()),
        }
    }

    /// Many create one object at the same time: one of them must win, each time.
    async fn race(&self) -> Seen {
        for round in 0..ROUNDS {
            let name = format!("race-{round}");
            let creators = (0..CREATORS).map(|i| {
                let (name, text) = (name.clone(), i.to_string());
                async move { self.put(&name, &text, PutMode::Create).await }
            });
            let outcomes = futures::future::join_all(creators).await;
            let winners = outcomes.iter().filter(|o| o.is_ok()).count();
            if winners != 1 {
                let why = outcomes.iter().filter_map(|o| o.as_ref().err()).next();
                let why = why.filter(|_| winners == 0).map_or(String::new(), said);
                return Err(format!(
                    "{winners} of {CREATORS} creators of one object were told that they made it {why}"
                ));
            }
        }
        Ok(format!("one winner among {CREATORS}, {ROUNDS} times"))
    }

    async fn stale_update(&self) -> Seen {
        let seen = self.put("two", "first", PutMode::Overwrite).await.map_err(|e| said(&e))?;
        self.put("two", "second", PutMode::Overwrite).await.map_err(|e| said(&e))?;
        let stale = UpdateVersion { e_tag: seen, version: None };
        match self.put("two", "third", PutMode::Update(stale)).await {
            Err(Cause::Precondition { .. } | Cause::AlreadyExists { .. }) => {
                Ok("an update of an older state was refused".into())
            }
            Err(Cause::NotImplemented { .. } | Cause::NotSupported { .. }) => {
                Err("updates of a known state are not offered; backups do not use them".into())
            }
            Err(e) => Err(said(&e)),
            Ok(_) => Err("an update of an older state was accepted".into()),
        }
    }

    async fn parts(&self) -> Seen {
        let upload = async {
            let mut upload = self.store.put_multipart(&self.at("parts")).await?;
            upload.put_part(Bytes::from(vec![1; PART]).into()).await?;
            upload.put_part(Bytes::from(vec![2; 10]).into()).await?;
            upload.complete().await?;
            let mut abandoned = self.store.put_multipart(&self.at("abandoned")).await?;
            abandoned.put_part(Bytes::from(vec![1; PART]).into()).await?;
            abandoned.abort().await?;
            self.get("parts").await
        };
        let bytes = upload.await.map_err(|e: Cause| said(&e))?;
        if bytes.len() != PART + 10 || bytes.last() != Some(&2) {
            return Err("an object uploaded in parts came back as another".into());
        }
        match self.get("abandoned").await {
            Err(Cause::NotFound { .. }) => Ok("an upload appears whole or not at all".into()),
            Err(e) => Err(said(&e)),
            Ok(_) => Err("an upload that was given up is there".into()),
        }
    }

    async fn delete(&self) -> Seen {
        self.store.delete(&self.at("one")).await.map_err(|e| said(&e))?;
        match self.get("one").await {
            Err(Cause::NotFound { .. }) => Ok("an object was deleted and is gone".into()),
            Err(e) => Err(said(&e)),
            Ok(_) => Err("a deleted object is still there".into()),
        }
    }

    async fn clean(&self) {
        let listed = self.store.list(Some(&self.folder)).try_collect::<Vec<_>>().await;
        for object in listed.unwrap_or_default() {
            let _best_effort = self.store.delete(&object.location).await;
        }
    }
}
