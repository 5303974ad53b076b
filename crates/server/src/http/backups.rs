//! What is asked about backups that were made, and about the places they are kept in.

use std::sync::Arc;

use evercube_base::{Error, Result};
use evercube_service::Service;
use evercube_service::backup::Keep;
use evercube_service::backup::repository::Setup;
use evercube_service::call::Call;
use serde_json::json;

use super::answer::{Answer, json_of};
use super::asked::Asked;
use super::rest::body;

/// An operation below `/api/v1/backups`.
#[derive(Debug, Clone, Copy)]
pub enum BackupsRoute {
    List,
    Verify,
    Prune,
    Test,
    Init,
    Passwords,
    AddPassword,
    RemovePassword,
}

impl BackupsRoute {
    pub fn parse(operation: &str) -> Option<Self> {
        Some(match operation {
            "list" => Self::List,
            "verify" => Self::Verify,
            "prune" => Self::Prune,
            "test" => Self::Test,
            "init" => Self::Init,
            "passwords" => Self::Passwords,
            "add-password" => Self::AddPassword,
            "remove-password" => Self::RemovePassword,
            _ => return None,
        })
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct TestBody {
    target: String,
}

/// Without a target it is about the group's own folder.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaceBody {
    target: Option<String>,
    password: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PruneBody {
    target: Option<String>,
    password: Option<String>,
    #[serde(default)]
    last: usize,
    #[serde(default)]
    daily: usize,
    #[serde(default)]
    weekly: usize,
    #[serde(default)]
    monthly: usize,
    #[serde(default)]
    within_days: usize,
    #[serde(default)]
    dry_run: bool,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct InitBody {
    target: String,
    password: Option<String>,
    label: Option<String>,
    grace_hours: Option<u64>,
}

/// About the passwords of a repository; `password` is one that opens it.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PasswordBody {
    target: String,
    password: Option<String>,
    #[serde(default)]
    label: String,
    new_password: Option<String>,
}

pub async fn run(
    service: &Arc<Service>,
    call: &Call,
    asked: &Asked,
    operation: BackupsRoute,
) -> Result<Answer> {
    match operation {
        BackupsRoute::Test => {
            let given: TestBody = body(asked)?;
            Ok(json_of(&service.test_target(call, &given.target).await?))
        }
        BackupsRoute::List => {
            let given: PlaceBody = body(asked)?;
            let target = given.target.as_deref();
            let backups = service.list_backups(call, target, given.password).await?;
            Ok(json_of(&json!({ "backups": backups })))
        }
        BackupsRoute::Verify => {
            let given: PlaceBody = body(asked)?;
            let target = given.target.as_deref();
            let backups = service.verify_backups(call, target, given.password).await?;
            let ok = backups.iter().all(|b| b.state == "ok");
            Ok(json_of(&json!({ "ok": ok, "backups": backups })))
        }
        BackupsRoute::Prune => {
            let given: PruneBody = body(asked)?;
            let keep = Keep {
                last: given.last,
                daily: given.daily,
                weekly: given.weekly,
                monthly: given.monthly,
                within_days: given.within_days,
            };
            let target = given.target.as_deref();
            let removed =
                service.prune_backups(call, target, given.password, keep, given.dry_run).await?;
            Ok(json_of(&json!({ "removed": removed, "dry_run": given.dry_run })))
        }
        BackupsRoute::Init => {
            let given: InitBody = body(asked)?;
            let setup = Setup {
                password: given.password,
                label: given.label,
                grace_seconds: given.grace_hours.map(|h| h.saturating_mul(3600)),
                ..Setup::default()
            };
            service.init_repository(call, &given.target, setup).await?;
            Ok(json_of(&json!({ "target": given.target })))
        }
        BackupsRoute::Passwords => {
            let given: PasswordBody = body(asked)?;
            let passwords =
                service.repository_passwords(call, &given.target, given.password).await?;
            Ok(json_of(&json!({ "passwords": passwords })))
        }
        BackupsRoute::AddPassword => {
            let given: PasswordBody = body(asked)?;
            let new = given.new_password.filter(|p| !p.is_empty());
            let new = new.ok_or_else(|| Error::invalid("'new_password' is missing"))?;
            let (target, label) = (given.target, given.label);
            service.add_password(call, &target, given.password, &label, new).await?;
            Ok(json_of(&json!({ "label": label })))
        }
        BackupsRoute::RemovePassword => {
            let given: PasswordBody = body(asked)?;
            let (target, label) = (given.target, given.label);
            service.remove_password(call, &target, given.password, &label).await?;
            Ok(json_of(&json!({ "label": label })))
        }
    }
}
