//! What operators do with a group that is in use: writes move, a server is emptied, another one comes
//! and goes. A change is under way each time, and must be made.

use std::sync::Arc;
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result, Value};
use evercube_service::Service;
use evercube_service::call::{Call, ReadLevel};
use evercube_service::deploy::DeployRequest;
use tokio::time::{Instant, sleep, timeout};

use super::world::{World, admin};
use super::{MODEL, NAMES, PATIENCE, write};
use crate::chance::Chance;

/// The server that comes and goes.
pub const GUEST: &str = "d";
/// How long an operation may take that may be refused.
const OPERATION: Duration = Duration::from_secs(10);

pub async fn writes_move(world: &World, chance: &mut Chance, number: i64) {
    let to = *chance.of(&NAMES);
    let moving = once(world, "writes move", to, |s| async move {
        s.failover(&admin(), None, to).await.map(|report| report.done)
    });
    tokio::join!(moving, write(world, number));
}

pub async fn a_server_is_emptied(world: &World, chance: &mut Chance, number: i64) {
    let name = *chance.of(&NAMES);
    let emptying = once(world, "a server is emptied", name, |s| async move {
        s.drain(&admin(), name, false).await.map(|report| report.done)
    });
    tokio::join!(emptying, write(world, number));
    world.at_writer(|s| async move { s.drain(&admin(), name, true).await }).await;
}

pub async fn a_guest_comes_and_goes(world: &World, chance: &mut Chance, number: i64) {
    world.fault("replica", "joins and goes");
    world.start_as(GUEST, &NAMES, "replica").await;
    let known = |s: &Arc<Service>| s.metastore.state().member_named(GUEST).is_some();
    let until = Instant::now() + PATIENCE;
    while !world.running().iter().any(known) {
        if Instant::now() > until {
            return world.violation("I8", "a replica is not let in");
        }
        sleep(Duration::from_millis(20)).await;
    }
    let call = Call { request_id: Some(format!("remove {number}")), ..admin() };
    let removing = world.at_writer(|s| {
        let call = call.clone();
        async move {
            let guest = s.metastore.state().member_named(GUEST).map(|(id, _)| id);
            if guest == Some(s.metastore.status().me) {
                return Err(Error::new(ErrorKind::Unavailable, "it does not outlive this"));
            }
            s.remove_member(&call, GUEST, &["replica".to_owned()]).await
        }
    });
    tokio::join!(removing, write(world, number));
    world.kill(GUEST, chance).await;
    world.forget_disk(GUEST);
}

/// The model is deployed anew with a measure that tells which time it was, and keeps its data.
pub async fn the_model_changes(world: &World, number: i64) {
    world.fault("model", number.to_string());
    let of = format!(
        r#""name": "Sales", "measures": [ {{ "name": "Which", "expression": "{number}" }} ],"#
    );
    let text = MODEL.replacen(r#""name": "Sales","#, &of, 1);
    let call = Call { request_id: Some(format!("deploy {number}")), ..admin() };
    let held = world.oracle().held();
    let deployed = world.at_writer(|s| {
        let request = DeployRequest { text: text.clone().into(), ..DeployRequest::default() };
        let call = call.clone();
        async move { s.deploy(&call, request).await.map(|answer| answer.seq) }
    });
    let Some(seq) = deployed.await else { return };
    if let Some(held) = held {
        world.oracle().acknowledged(seq, held);
    }
    let said = ask_strong(world, "EVALUATE ROW(\"which\", [Which])", admin()).await;
    if said.as_ref().is_some_and(|v| *v != Value::Int(number)) {
        world.violation("I2", format!("a measure deployed as {number} is {said:?}"));
    }
}

/// A role comes that sees nothing of a table, and goes again; who is in it is refused the rest.
pub async fn roles_change(world: &World, number: i64) {
    world.fault("roles", number.to_string());
    let member = || {
        let mut call = Call::default();
        call.session.user = "reader".into();
        call
    };
    let question = "EVALUATE ROW(\"n\", COUNTROWS(Sales))";
    for filter in ["FALSE()", "TRUE()"] {
        let script = format!(
            r#"{{ "createOrReplace": {{ "object": {{ "database": "Retail", "role": "Readers" }}, "role": {{
            "name": "Readers", "modelPermission": "read", "members": [ {{ "memberName": "reader" }} ],
            "tablePermissions": [ {{ "name": "Sales", "filterExpression": "{filter}" }} ] }} }} }}"#
        );
        let call = Call { request_id: Some(format!("role {filter} {number}")), ..admin() };
        let held = world.oracle().held();
        let changed = world.at_writer(|s| {
            let (call, script) = (call.clone(), script.clone());
            async move { s.execute_tmsl(&call, &script).await.map(|answer| answer.seq) }
        });
        let Some(seq) = changed.await else { return };
        if let Some(held) = held {
            world.oracle().acknowledged(seq, held);
        }
        let said = ask_strong(world, question, member()).await;
        let sees = said.as_ref().is_some_and(|v| *v != Value::Blank);
        if sees && filter == "FALSE()" {
            world.violation("I2", format!("a role that was filtered sees {said:?}"));
        }
    }
}

/// The first value of a strong read by whichever server answers.
async fn ask_strong(world: &World, question: &str, mut call: Call) -> Option<Value> {
    call.read = ReadLevel::Strong;
    call.session.catalog = Some("Retail".to_owned());
    world
        .at_writer(|s| {
            let (call, question) = (call.clone(), question.to_owned());
            let first = |a: evercube_service::query::QueryAnswer| {
                Ok(a.result.results[0].rows[0][0].clone())
            };
            async move { s.query(&call, &question, Vec::new(), first).await }
        })
        .await
}

/// Asks each server once; what comes of it is noted, since a refusal may be right.
async fn once<F: Future<Output = Result<Vec<String>>>>(
    world: &World,
    what: &str,
    name: &str,
    ask: impl Fn(Arc<Service>) -> F,
) {
    for server in world.names() {
        let Some(server) = world.server(&server) else { continue };
        let asked = world.wires.while_it_runs(&server, ask(Arc::clone(&server)));
        let done = timeout(OPERATION, asked).await;
        world.note(format!("{what} ({name}): {done:?}"));
        if matches!(done, Ok(Ok(_))) {
            return;
        }
    }
}
