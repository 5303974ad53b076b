//! How far refreshes have come: partitions that were read, kept so that another server need not
//! read them again.

use std::collections::BTreeMap;

use evercube_base::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::state::Hash;

/// What was read under one request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadSoFar {
    /// The log entry of the newest part: those that nobody went on with are forgotten.
    pub index: u64,
    /// Objects that each describe a partition that was read.
    pub parts: Vec<Hash>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReadChange {
    Keep { request_id: String, parts: Vec<Hash> },
    Forget { request_id: String },
}

/// Requests whose parts are kept.
const MOST: usize = 100;
/// Parts of a request.
const MOST_PARTS: usize = 20_000;

pub(crate) fn change(
    all: &mut BTreeMap<String, ReadSoFar>,
    index: u64,
    change: ReadChange,
) -> Result<()> {
    match change {
        ReadChange::Keep { request_id, parts } => {
            let so_far = all.entry(request_id).or_default();
            if so_far.parts.len() + parts.len() > MOST_PARTS {
                return Err(Error::new(ErrorKind::Limit, "too many partitions to remember"));
            }
            so_far.index = index;
            so_far.parts.extend(parts);
            if all.len() > MOST
                && let Some(oldest) =
                    all.iter().min_by_key(|(_, r)| r.index).map(|(id, _)| id.clone())
            {
                all.remove(&oldest);
            }
        }
        ReadChange::Forget { request_id } => {
            all.remove(&request_id);
        }
    }
    Ok(())
}
