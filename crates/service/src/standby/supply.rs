//! The side that is followed: a backup of every new version, and word of it to the other group.

use std::time::Duration;

use evercube_base::{Error, Result};
use evercube_metastore::StandbyPlan;

use super::FollowRequest;
use crate::backup_use::BackupRequest;
use crate::call::{Call, ReadLevel};
use crate::seal::{self, Purpose};
use crate::service::{Service, to_json};
use crate::session::Session;

/// A restore of much data takes long.
const LIMIT: Duration = Duration::from_secs(4 * 3600);

impl Service {
    /// Backs the newest version up, where that has not been done, and tells the other group.
    pub(crate) async fn supply(&self, database: &str, plan: &StandbyPlan) -> Result<()> {
        self.see_all_commits().await?;
        let as_of_micros = self.now().unix_micros();
        let state = self.metastore.state();
        let entry = state.database(database).ok_or_else(|| self.no_such_database(database))?;
        let file = crate::backup::target::file_name(&format!("{}-{}", entry.name, entry.seq));
        let place = format!("{}/{file}", plan.target.trim_end_matches('/'));
        let known = self.record_key(&self.target(&place)?);
        if !state.backups.contains_key(&known) {
            let session = Session { is_admin: true, ..Session::default() };
            let call = Call { session, read: ReadLevel::Strong, ..Call::default() };
            let target = place.clone();
            let request = BackupRequest {
                database: entry.name.clone(),
                target,
                password: None,
                overwrite: true,
            };
            self.backup(&call, request).await?;
        }
        let ask = FollowRequest {
            group: state.cluster_id.clone(),
            source: plan.target.clone(),
            every_seconds: plan.every_seconds,
            seq: Some(entry.seq),
            as_of_micros,
        };
        let token = self.opened(plan)?;
        let path = format!("/api/v1/databases/{}/follow", encoded(&entry.name));
        let answer =
            self.transport.ask_group(&plan.url, &path, token.as_deref(), to_json(&ask)?, LIMIT);
        answer.await.map(|_| ())
    }

    fn opened(&self, plan: &StandbyPlan) -> Result<Option<String>> {
        let Some(sealed) = &plan.token else { return Ok(None) };
        let opened = seal::open(&self.keys(), Purpose::OtherGroup, sealed);
        let token = opened.and_then(|bytes| String::from_utf8(bytes).ok());
        token.map(Some).ok_or_else(|| {
            Error::invalid(
                "the token of the other group cannot be opened any more; set the sync mode again",
            )
        })
    }
}

/// A name as one segment of a path.
fn encoded(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        match byte {
            b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => out.push(char::from(b)),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}
