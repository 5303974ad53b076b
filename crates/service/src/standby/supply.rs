//! The side that is followed: a backup of every new version, and word of it to the other group.

use std::time::Duration;

use evercube_base::Result;
use evercube_metastore::StandbyPlan;

use super::FollowRequest;
use crate::backup::ReadBack;
use crate::backup_use::BackupRequest;
use crate::call::{Call, ReadLevel};
use crate::other_group::encoded;
use crate::service::{Service, to_json};

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
            let call = Call::of_server(ReadLevel::Strong);
            let target = place.clone();
            let request = BackupRequest {
                database: entry.name.clone(),
                target,
                password: None,
                overwrite: true,
                // Who restores it reads all of it.
                read_back: ReadBack::None,
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
        let token = self.opened(plan.token.as_deref())?;
        let path = format!("/api/v1/databases/{}/follow", encoded(&entry.name));
        let answer =
            self.transport.ask_group(&plan.url, &path, token.as_deref(), to_json(&ask)?, LIMIT);
        answer.await.map(|_| ())
    }
}
