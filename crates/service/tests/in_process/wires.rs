//! Messages between servers of one process: each is the other's function.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::Transport;
use evercube_service::Service;

/// The servers that run, by address.
#[derive(Default)]
pub struct Wires(pub Mutex<BTreeMap<String, Arc<Service>>>);

pub struct Wire(pub Arc<Wires>);

#[async_trait]
impl Transport for Wire {
    async fn call(
        &self,
        address: &str,
        path: &str,
        body: Vec<u8>,
        limit: Duration,
    ) -> Result<Vec<u8>> {
        let away = || Error::new(ErrorKind::Unavailable, format!("{address} is not reachable"));
        let server = self.0.0.lock().unwrap().get(address).cloned().ok_or_else(away)?;
        tokio::time::timeout(limit, server.peer_handle(path, body.into())).await.map_err(|_| {
            Error::new(ErrorKind::Unknown, format!("{address} did not answer in time"))
        })?
    }
}
