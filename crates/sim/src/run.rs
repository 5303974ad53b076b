//! One world from its beginning to its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use evercube_metastore::{Bootstrap, Command, MemberKind, Reply};
use tokio::time::{sleep, timeout};

use crate::chance::Chance;
use crate::check::check;
use crate::client::Client;
use crate::faults::Faults;
use crate::history::{Asked, Outcome};
use crate::host;
use crate::mutation::Mutation;
use crate::network::LONGEST;
use crate::operator::Operator;
use crate::report::Report;
use crate::watch::{LogId, holds};
use crate::world::World;

/// How long faults happen, and how long the group may take to be well after the last one.
const LASTS: Duration = Duration::from_secs(40);
const HEALS: Duration = Duration::from_secs(60);

/// Lives through the world of this seed. The process belongs to it from now on.
pub fn simulate(seed: u64, mutation: Mutation, aloud: bool) -> Report {
    host::enter(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.unwrap_or_else(|e| panic!("no runtime: {e}"));
    let world = World::new(seed, mutation);
    if aloud {
        world.history.say();
    }
    tell_panics(&world);
    runtime.block_on(live(&world));
    let ops = world.history.ops();
    let done = |commits: bool| {
        let of = ops.iter().filter(|o| o.outcome == Outcome::Done);
        of.filter(|o| (o.asked == Asked::Commit) == commits).count() as u64
    };
    let (entries, messages) = (world.watch.entries(), world.network.messages().values().sum());
    let report = world.history.report(seed, done(true), done(false), entries, messages);
    // What still waits in it waits for ever.
    runtime.shutdown_background();
    report
}

/// Code that gives up in the middle of its work is wrong, even where somebody starts it again.
fn tell_panics(world: &Arc<World>) {
    let (world, usual) = (Arc::clone(world), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |info| {
        usual(info);
        world.history.violation("panic", &info.to_string().replace('\n', " "));
    }));
}

async fn live(world: &Arc<World>) {
    let mut chance = Chance::new(world.seed, "world");
    build(world, &mut chance).await;
    let until = host::now() + LASTS;
    let mut work = tokio::task::JoinSet::new();
    for number in 1..=4 {
        let chance = Chance::new(world.seed, &format!("client {number}"));
        work.spawn(Client { world: Arc::clone(world), number, chance, seen: 0 }.run(until));
    }
    work.spawn(Operator::new(world).run(until));
    let faults = Faults::new(world);
    let looking = tokio::spawn(look(Arc::clone(world)));
    let mut faults = faults.run(until).await;
    faults.end().await;
    heal(world).await;
    let all =
        timeout(Duration::from_secs(200), async { while work.join_next().await.is_some() {} });
    if all.await.is_err() {
        world.history.violation("I8", "clients or the operator never ended");
    }
    heal(world).await;
    looking.abort();
    judge(world);
}

async fn build(world: &Arc<World>, chance: &mut Chance) {
    let servers = *chance.of(&[3, 3, 5]);
    let names = ["a", "b", "c", "d", "e"];
    for (i, name) in names.iter().take(servers).enumerate() {
        let witness = i == 2 && chance.one_in(4);
        let kind = if witness { MemberKind::Witness } else { MemberKind::Data };
        world.place(name, &format!("region-{}", i % 3), kind);
    }
    let new = Bootstrap::New { cluster_id: "simulated".to_owned(), session_key: [7; 32] };
    if let Err(e) = world.start("a", new).await {
        world.history.violation("I8", &format!("the group was not formed: {e}"));
    }
    for name in names.iter().take(servers).skip(1) {
        crate::faults::restart(world, name).await;
    }
    let formed = async {
        let all_in = || {
            let lives = names.iter().take(servers).map(|n| world.life(n));
            lives.flatten().all(|l| l.metastore.state().members.len() == servers)
        };
        while !all_in() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    if timeout(HEALS, formed).await.is_err() {
        world.history.violation("healing", "the group was not complete in time");
    }
    if let Some(life) = world.life("a") {
        let to = life.node;
        let grant = Command::Grant { leases: evercube_metastore::Leases::All, to };
        let _granted = life.metastore.propose(grant).await;
    }
}

/// Looks at the wires and disks all the time.
async fn look(world: Arc<World>) {
    let mut chance = Chance::new(world.seed, "looking");
    loop {
        sleep(Duration::from_millis(20)).await;
        for (invariant, what) in world.watch.take_violations() {
            world.history.violation(invariant, &what);
        }
        for id in world.watch.newly_committed() {
            if chance.one_in(8) {
                on_a_quorum(&world, id);
            }
        }
        world.disks_were_looked_at();
    }
}

/// A committed entry is on the disks of a majority of the voters, such that no crash takes it; a disk
/// that was replaced since counts, because nobody had lost it when the entry was committed.
fn on_a_quorum(world: &World, id: LogId) {
    let names = world.names();
    let (mut held, mut asked) = (0, 0);
    for name in &names {
        let mut is_held = false;
        for disk in world.disks(name) {
            match holds(&disk, id) {
                Ok(holds) => is_held |= holds,
                Err(e) => world.note(&format!("the disk of {name} cannot be read: {e}")),
            }
        }
        held += usize::from(is_held);
        asked += 1;
    }
    // Voters are a part of the servers; a majority of them is at least two of three or more.
    let least = if asked >= 3 { 2 } else { 1 };
    if held < least {
        let what = format!("entry {id:?} is committed and on the disks of {held} of {asked}");
        world.history.violation("on a quorum", &what);
    }
}

/// All servers come to the same state, and the group takes writes.
async fn heal(world: &Arc<World>) {
    let began = host::now();
    let well = async {
        loop {
            sleep(Duration::from_millis(100)).await;
            if is_well(world).await {
                return;
            }
        }
    };
    if timeout(HEALS, well).await.is_err() {
        let applied = |name: &String| {
            let life = world.life(name)?;
            let status = life.metastore.status();
            Some(format!("{name} (member {}): {status:?}", life.node))
        };
        let all: Vec<_> = world.names().iter().filter_map(applied).collect();
        let what = format!("the group is not well {HEALS:?} after the last fault: {all:?}");
        world.history.violation("healing", &what);
    }
    world.note(&format!("well after {:?}", host::now() - began));
}

async fn is_well(world: &Arc<World>) -> bool {
    for name in world.names() {
        let Some(life) = world.life(&name) else { return false };
        let probe = life.metastore.propose(Command::Probe);
        let Ok(Ok(Reply::Done { seq })) = timeout(Duration::from_secs(5), probe).await else {
            return false;
        };
        if life.metastore.wait_applied(seq, Duration::from_secs(1)).await.is_err() {
            return false;
        }
    }
    let newest = || world.names().into_iter().filter_map(|n| world.life(&n));
    sleep(Duration::from_millis(300)).await;
    let applied: std::collections::BTreeSet<u64> =
        newest().map(|l| *l.metastore.changes().borrow()).collect();
    let members = newest().all(|l| l.metastore.state().members.contains_key(&l.node));
    applied.len() == 1 && members
}

fn judge(world: &World) {
    for (invariant, what) in world.watch.take_violations() {
        world.history.violation(invariant, &what);
    }
    let mut ends = BTreeMap::new();
    let lives = world.names().into_iter().filter_map(|n| world.life(&n));
    if let Some(life) = lives.max_by_key(|l| *l.metastore.changes().borrow()) {
        for database in life.metastore.state().databases.values() {
            ends.insert(database.name.clone(), (database.seq, database.root));
        }
    }
    // A message may be under way for so long, and a leader tells its age by its heartbeats.
    let slack = LONGEST + Duration::from_millis(200);
    let ops = world.history.ops();
    for (invariant, what) in check(&ops, &ends, &world.history.leases(), slack) {
        world.history.violation(invariant, &what);
    }
}
