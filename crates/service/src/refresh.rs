//! Refreshing: what is read again, in which way, and the reading of it.

pub(crate) mod partition;
pub(crate) mod plan;
pub(crate) mod run;

use evercube_base::Result;
use evercube_model::tmsl::RefreshKind;

use crate::call::{Call, WriteAnswer};
use crate::change::Step;
use crate::service::Service;

/// What to refresh, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct RefreshRequest {
    pub kind: RefreshKind,
    /// Tables, or one partition of a table; empty: the whole database.
    pub objects: Vec<(String, Option<String>)>,
}

impl Service {
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
