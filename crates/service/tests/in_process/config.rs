//! Settings of a server in a test's own process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use evercube_service::{FilePolicy, ServiceConfig};

/// Of a data server that anybody may use and that is reached by its name; models read files below
/// `files`, or anywhere else.
pub fn config(name: &str, data_dir: PathBuf, files: &Path, join: &[&str]) -> ServiceConfig {
    ServiceConfig {
        name: name.into(),
        region: format!("region-{name}"),
        kind: "data".into(),
        node_id: None,
        data_dir,
        peer_address: name.into(),
        http_address: format!("{name}:80"),
        file_policy: FilePolicy::Any,
        authorities: Default::default(),
        working_dir: files.into(),
        no_auth: true,
        rights_age: Duration::from_secs(60),
        threads: 1,
        join: join.iter().map(|j| (*j).to_owned()).collect(),
        audit: Default::default(),
        limits: Default::default(),
        degrade_grace: Duration::from_millis(100),
        targets: Default::default(),
        settings: Default::default(),
        vault: None,
        own_limits: Default::default(),
        certificates: Default::default(),
    }
}
