//! The part of the REST interface about what the group keeps for all its servers under names: links,
//! limits, targets.

use std::collections::BTreeMap;

use evercube_base::Result;
use evercube_service::Service;
use evercube_service::call::Call;
use http::Method;
use serde_json::json;

use super::access::Verb;
use super::answer::{Answer, json_of};
use super::asked::Asked;
use super::rest::body;

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Link,
    Limit,
    Target,
}

/// The request that a path below `/api/v1` names.
pub fn request(method: &Method, parts: &[&str]) -> Option<(Kind, Verb)> {
    let (first, rest) = parts.split_first()?;
    let kind = match *first {
        "links" => Kind::Link,
        "limits" => Kind::Limit,
        "targets" => Kind::Target,
        _ => return None,
    };
    Some((kind, Verb::of(method, rest)?))
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkBody {
    name: String,
    target: String,
    #[serde(default)]
    database: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitBody {
    name: String,
    value: String,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetBody {
    name: String,
    settings: BTreeMap<String, String>,
}

pub async fn run(
    service: &Service,
    asked: &Asked,
    call: &Call,
    kind: Kind,
    verb: Verb,
) -> Result<Answer> {
    let report = match (verb, kind) {
        (Verb::List, _) => return list(service, call, kind),
        (Verb::Add, Kind::Link) => {
            let given: LinkBody = body(asked)?;
            service.put_link(call, &given.name, &given.target, given.database).await?
        }
        (Verb::Add, Kind::Limit) => {
            let given: LimitBody = body(asked)?;
            service.put_limit(call, &given.name, &given.value).await?
        }
        (Verb::Add, Kind::Target) => {
            let given: TargetBody = body(asked)?;
            service.put_target(call, &given.name, given.settings).await?
        }
        (Verb::Remove(name), Kind::Link) => service.remove_link(call, &name).await?,
        (Verb::Remove(name), Kind::Limit) => service.remove_limit(call, &name).await?,
        (Verb::Remove(name), Kind::Target) => service.remove_target(call, &name).await?,
    };
    Ok(json_of(&report))
}

fn list(service: &Service, call: &Call, kind: Kind) -> Result<Answer> {
    Ok(json_of(&match kind {
        Kind::Link => json!({ "links": service.links(call)? }),
        Kind::Limit => json!({ "limits": service.shared_limits(call)? }),
        Kind::Target => json!({ "targets": service.shared_targets(call)? }),
    }))
}
