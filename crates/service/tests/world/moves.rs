//! What operators do with a group that is in use: writes move, a server is emptied, another one comes
//! and goes. A change is under way each time, and must be made.

use std::sync::Arc;
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use evercube_service::Service;
use evercube_service::call::Call;
use tokio::time::{Instant, sleep, timeout};

use super::chance::Chance;
use super::servers::{World, admin};
use super::{NAMES, PATIENCE, write};

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

pub async fn a_guest_comes_and_goes(world: &World, number: i64) {
    world.note("a replica joins".to_owned());
    world.start_as(GUEST, &NAMES, "replica").await;
    let known = |s: &Arc<Service>| s.metastore.state().member_named(GUEST).is_some();
    let until = Instant::now() + PATIENCE;
    while !world.running().iter().any(known) {
        if Instant::now() > until {
            return world.violation("I8", "a replica is not let in".to_owned());
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
    world.kill(GUEST).await;
    let _none_left = std::fs::remove_dir_all(world.path(GUEST));
}

/// Asks each server once; what comes of it is noted, since a refusal may be right.
async fn once<F: Future<Output = Result<Vec<String>>>>(
    world: &World,
    what: &str,
    name: &str,
    ask: impl Fn(Arc<Service>) -> F,
) {
    for server in world.running() {
        let done = timeout(OPERATION, ask(server)).await;
        world.note(format!("{what} ({name}): {done:?}"));
        if matches!(done, Ok(Ok(_))) {
            return;
        }
    }
}
