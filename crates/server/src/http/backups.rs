//! What is asked about backups that were made, and about the places they are kept in.

use std::sync::Arc;

use evercube_base::Result;
use evercube_service::Service;
use evercube_service::call::Call;

use super::answer::{Answer, json_of};
use super::asked::Asked;
use super::rest::body;

/// An operation below `/api/v1/backups`.
#[derive(Debug, Clone, Copy)]
pub enum BackupsRoute {
    Test,
}

impl BackupsRoute {
    pub fn parse(operation: &str) -> Option<Self> {
        Some(match operation {
            "test" => Self::Test,
            _ => return None,
        })
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct TestBody {
    target: String,
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
    }
}
