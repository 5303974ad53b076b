//! `SELECT … FROM $SYSTEM.…` over REST: rows of a schema rowset as a query's result.

use std::sync::Arc;

use evercube_base::{Error, Result, Rowset};
use evercube_service::Service;
use evercube_service::browse::Browse;
use evercube_service::call::Call;
use evercube_service::query::{QueryResult, ResultColumn, ResultTable};

use super::answer::{Answer, json_of};
use super::rest::results;

/// Answers the statement in the form of a query's answer.
pub(super) async fn run(service: &Arc<Service>, call: &Call, text: &str) -> Result<Answer> {
    if call.at.is_some() {
        return Err(Error::unsupported(
            "Schema rowsets speak of the newest version; an earlier one is read by DAX queries only. Leave --at away.",
        ));
    }
    let write = |rowset: Rowset| {
        let columns = rowset
            .columns
            .iter()
            .map(|c| ResultColumn { name: c.name.clone(), data_type: c.kind.data_type() });
        let table = ResultTable { columns: columns.collect(), rows: rowset.rows };
        Ok(json_of(&results(&QueryResult { results: vec![table] })))
    };
    let (mut answer, seq) = service.dmv(call, text, Vec::new(), Browse::default(), write).await?;
    answer.headers_mut().insert("x-evercube-version", seq.into());
    Ok(answer)
}
