//! What differs between two states of a database, as precisely as can be said: model, role, table,
//! partition, segment.

use std::collections::BTreeMap;
use std::sync::Arc;

use evercube_base::Result;
use evercube_metastore::{DatabaseEntry, State};
use evercube_model::tabular::Database;
use evercube_store::{Hash, Manifest};

use crate::objects::{blocking, data_peers, pull};
use crate::service::Service;
use crate::versions::StoredModel;

impl Service {
    /// The parts that differ, each with what is different in it.
    pub(super) async fn difference(
        &self,
        mine: &State,
        theirs: &State,
        parts: &[String],
    ) -> String {
        let mut words = Vec::new();
        for part in parts {
            let key = part.strip_prefix("database '").and_then(|p| p.strip_suffix('\''));
            let pair = key.map(|key| (mine.databases.get(key), theirs.databases.get(key)));
            words.push(match pair {
                None => part.clone(),
                Some((None, _)) => format!("{part} is not there"),
                Some((_, None)) => format!("{part} is there and should not be"),
                Some((Some(a), Some(b))) => {
                    format!("{part}: {}", self.entry_difference(a, b).await.join(", "))
                }
            });
        }
        words.join("; ")
    }

    async fn entry_difference(&self, mine: &DatabaseEntry, theirs: &DatabaseEntry) -> Vec<String> {
        let mut words = Vec::new();
        if mine.seq != theirs.seq {
            words.push(format!("version {} instead of {}", mine.seq, theirs.seq));
        }
        if mine.model != theirs.model {
            let read = (self.model_at(mine.model).await, self.model_at(theirs.model).await);
            match read {
                (Ok(a), Ok(b)) => words.extend(model_difference(&a, &b)),
                _ => words.push("the model".to_owned()),
            }
        }
        if mine.manifest != theirs.manifest {
            let read =
                (self.manifest_at(mine.manifest).await, self.manifest_at(theirs.manifest).await);
            match read {
                (Ok(a), Ok(b)) => words.extend(a.difference(&b)),
                _ => words.push("the list of segments".to_owned()),
            }
        }
        if mine.root != theirs.root {
            words.push("the state root".to_owned());
        }
        if words.is_empty() {
            words.push("its settings".to_owned());
        }
        words
    }

    async fn bytes_at(&self, hash: Hash) -> Result<Vec<u8>> {
        let peers = data_peers(&self.metastore.state(), self.identity.node_id);
        pull(&self.transport, &self.objects, &peers, &[hash]).await?;
        let objects = Arc::clone(&self.objects);
        blocking(move || objects.get(&hash)).await
    }

    async fn model_at(&self, hash: Hash) -> Result<Database> {
        StoredModel::from_bytes(&self.bytes_at(hash).await?).map(|m| m.database)
    }

    async fn manifest_at(&self, hash: Hash) -> Result<Manifest> {
        Manifest::from_bytes(&self.bytes_at(hash).await?)
    }
}

fn model_difference(mine: &Database, theirs: &Database) -> Vec<String> {
    let mut words = Vec::new();
    let roles = |d: &Database| {
        let named = d.model.roles.iter().map(|r| (r.name.clone(), serde_json::to_string(r).ok()));
        named.collect::<BTreeMap<_, _>>()
    };
    let tables = |d: &Database| {
        let named = d.model.tables.iter().map(|t| (t.name.clone(), serde_json::to_string(t).ok()));
        named.collect::<BTreeMap<_, _>>()
    };
    for (kind, a, b) in
        [("role", roles(mine), roles(theirs)), ("table", tables(mine), tables(theirs))]
    {
        let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
        names.sort();
        names.dedup();
        let differ = names.into_iter().filter(|name| a.get(*name) != b.get(*name));
        words.extend(differ.map(|name| format!("{kind} '{name}' of the model")));
    }
    if words.is_empty() {
        words.push("the model".to_owned());
    }
    words
}
