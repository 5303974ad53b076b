//! Refreshing: what is read again, in which way, and the reading of it.

pub(crate) mod ahead;
pub(crate) mod finished;
pub mod overrides;
pub mod parallel;
pub(crate) mod partition;
pub mod partner;
pub(crate) mod plan;
pub(crate) mod resume;
pub(crate) mod run;

use evercube_base::Result;
use evercube_model::tmsl::RefreshKind;

use crate::call::{Call, WriteAnswer};
use crate::change::Step;
use crate::refresh::overrides::SourceOverrides;
use crate::service::Service;

/// What to refresh, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct RefreshRequest {
    pub kind: RefreshKind,
    /// Tables, or one partition of a table; empty: the whole database.
    pub objects: Vec<(String, Option<String>)>,
    /// Partitions that are read at the same time; `None`: as many as the server thinks fit.
    pub readers: Option<usize>,
    /// What of the sources is otherwise while this refresh runs.
    pub overrides: SourceOverrides,
}

/// Whether a refresh of this kind reads rows from outside of the model.
pub(crate) fn reads_sources(kind: RefreshKind) -> bool {
    matches!(
        kind,
        RefreshKind::Full | RefreshKind::DataOnly | RefreshKind::Add | RefreshKind::Automatic
    )
}

impl Service {
    /// The partitions that a refresh of these objects reads, by table and name.
    pub(crate) async fn partitions_of(
        &self,
        call: &Call,
        database: &str,
        objects: &[(String, Option<String>)],
    ) -> Result<Vec<(String, String)>> {
        let version = self.version(call, database).await?;
        let database = &version.model.database;
        let names = |place: plan::Place| {
            let table = database.model.tables.get(place.0)?;
            let partition = table.partitions.get(place.1).filter(|p| plan::has_source(p))?;
            Some((table.name.clone(), partition.name.clone()))
        };
        Ok(plan::places(database, objects)?.into_iter().filter_map(names).collect())
    }

    /// Refreshes a database, all of it or parts; returns once the new data is committed. Nothing
    /// is changed where anything fails.
    pub async fn refresh(
        &self,
        call: &Call,
        database: &str,
        request: RefreshRequest,
    ) -> Result<WriteAnswer> {
        let what = format!("refresh {} of {database}", request.kind.word());
        self.write(call, database, &what, vec![Step::Refresh(request)]).await
    }
}
