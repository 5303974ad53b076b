//! Settings that the group keeps for its servers, and what they come to with a server's own.

use std::collections::BTreeMap;

use evercube_base::{Error, Result};
use evercube_metastore::{Command, SharedChange};
use evercube_sources::SourceHosts;
use serde::Serialize;

use crate::auth::require_admin;
use crate::backup::NamedTargets;
use crate::call::Call;
use crate::config::ServerLimits;
use crate::operations::{Progress, Report};
use crate::service::Service;

/// The limit of the hosts that models may read from.
const SOURCE_HOSTS: &str = "source_hosts";
/// What of a target may be told to everybody in the group.
const PLAIN: [&str; 4] = ["url", "endpoint", "region", "allow_http"];

#[derive(Debug, Clone, Serialize)]
pub struct LimitRow {
    pub name: String,
    pub value: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct TargetRow {
    pub name: String,
    pub settings: BTreeMap<String, String>,
}

impl Service {
    /// The limits on this server: its own, then the group's, then the defaults.
    pub fn limits(&self) -> ServerLimits {
        let mut limits = self.config.limits;
        let state = self.metastore.state();
        let of_group = state.shared.limits.iter();
        let counts = |n: &str| n != SOURCE_HOSTS && !self.config.own_limits.contains(n);
        for (name, text) in of_group.filter(|(n, _)| counts(n)) {
            if let Err(why) = limits.set(name, text) {
                tracing::warn!(name, text, why, "a limit of the group is not understood here");
            }
        }
        limits
    }

    /// The hosts that models may read from; none where the list is not understood here.
    pub(crate) fn source_hosts(&self) -> SourceHosts {
        let state = self.metastore.state();
        let list = state.shared.limits.get(SOURCE_HOSTS).map(|text| SourceHosts::parse(text));
        list.map_or(SourceHosts::Any, |list| list.unwrap_or_else(|_| SourceHosts::none()))
    }

    /// The targets that have a name here: this server's own and the group's.
    pub(crate) fn targets(&self) -> NamedTargets {
        self.config.targets.with_those_of_group(&self.metastore.state().shared.targets)
    }

    pub fn shared_limits(&self, call: &Call) -> Result<Vec<LimitRow>> {
        require_admin(call.session.rules(), "Listing limits")?;
        let state = self.metastore.state();
        let row = |(name, value): (&String, &String)| LimitRow {
            name: name.clone(),
            value: value.clone(),
        };
        Ok(state.shared.limits.iter().map(row).collect())
    }

    pub async fn put_limit(&self, call: &Call, name: &str, value: &str) -> Result<Report> {
        self.may_operate(call, "Setting a limit").await?;
        let wrong = |why: &str| {
            Error::invalid(format!("the limit {name} = '{value}' cannot be used: {why}"))
        };
        if name == SOURCE_HOSTS {
            SourceHosts::parse(value).map_err(|why| wrong(&why))?;
            let told = format!("models read from {value} only, on every server");
            return self.change_shared(call, put_limit(name, value), told).await;
        }
        if !ServerLimits::SHARED.contains(&name) {
            return Err(Error::invalid(format!(
                "the group keeps no limit '{name}', only {SOURCE_HOSTS}, {}; others are set for each server",
                ServerLimits::SHARED.join(", ")
            )));
        }
        ServerLimits::default().set(name, value).map_err(wrong)?;
        self.change_shared(
            call,
            put_limit(name, value),
            format!("{name} is {value} on every server that does not say otherwise itself"),
        )
        .await
    }

    pub async fn remove_limit(&self, call: &Call, name: &str) -> Result<Report> {
        self.may_operate(call, "Removing a limit").await?;
        let change = SharedChange::RemoveLimit { name: name.to_owned() };
        let told = match name {
            SOURCE_HOSTS => "models read from any host".to_owned(),
            _ => format!("{name} is what each server says itself"),
        };
        self.change_shared(call, change, told).await
    }

    pub fn shared_targets(&self, call: &Call) -> Result<Vec<TargetRow>> {
        require_admin(call.session.rules(), "Listing targets")?;
        let state = self.metastore.state();
        let row = |(name, settings): (&String, &BTreeMap<String, String>)| TargetRow {
            name: name.clone(),
            settings: settings.clone(),
        };
        Ok(state.shared.targets.iter().map(row).collect())
    }

    /// Gives a place for backups a name in the group. What lets a server in there stays in its own
    /// configuration or environment.
    pub async fn put_target(
        &self,
        call: &Call,
        name: &str,
        settings: BTreeMap<String, String>,
    ) -> Result<Report> {
        self.may_operate(call, "Naming a target").await?;
        let is_plain = |key: &str| PLAIN.contains(&key) || key.ends_with("_file");
        if let Some(key) = settings.keys().find(|key| !is_plain(key)) {
            return Err(Error::invalid(format!(
                "the group keeps no '{key}' of a target, only {} and names of files ({key}_file); secrets belong into the settings file of each server, under [targets.{name}], or into its environment",
                PLAIN.join(", ")
            )));
        }
        NamedTargets::default().add(name, settings.clone().into_iter().collect())?;
        let told = format!(
            "'{name}:' stands for {} on every server",
            settings.get("url").map_or("", String::as_str)
        );
        self.change_shared(call, SharedChange::PutTarget { name: name.to_owned(), settings }, told)
            .await
    }

    pub async fn remove_target(&self, call: &Call, name: &str) -> Result<Report> {
        self.may_operate(call, "Removing a target").await?;
        let change = SharedChange::RemoveTarget { name: name.to_owned() };
        self.change_shared(call, change, format!("the group has no target '{name}' any more")).await
    }

    async fn change_shared(
        &self,
        call: &Call,
        change: SharedChange,
        told: String,
    ) -> Result<Report> {
        let mut progress = Progress::new();
        self.order(call, Command::Shared(change)).await?;
        progress.note(told);
        progress.end().await
    }
}

fn put_limit(name: &str, value: &str) -> SharedChange {
    SharedChange::PutLimit { name: name.to_owned(), value: value.to_owned() }
}
