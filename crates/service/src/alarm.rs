//! What somebody should know at once: written to the log, and handed to whoever listens.

use serde::Serialize;

use crate::service::Service;

#[derive(Debug, Clone, Serialize)]
pub struct Alarm {
    /// One word, as `degraded`; docs/alarms.md lists them.
    pub kind: &'static str,
    pub message: String,
    pub server: String,
    pub region: String,
    pub cluster: String,
}

impl Service {
    pub(crate) fn alarm(&self, kind: &'static str, message: &str) {
        tracing::warn!(kind, "{message}");
        let alarm = Alarm {
            kind,
            message: message.to_owned(),
            server: self.config.name.clone(),
            region: self.config.region.clone(),
            cluster: self.metastore.state().cluster_id.clone(),
        };
        // Nobody needs to listen.
        let _listeners = self.alarms.send(alarm);
    }
}
