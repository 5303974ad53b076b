//! Disks that fill up, are slow or hang, and clocks that jump, while changes are asked for.

use std::time::Duration;

use evercube_service::call::{Call, ReadLevel};
use tokio::time::{Instant, sleep, timeout};

use super::wires::LONGEST;
use super::world::{World, admin};
use super::{NAMES, PATIENCE, Planted, ask, write};
use crate::chance::Chance;
use crate::host;
use crate::host::files::{self, Trouble};

/// How far the clock jumps at most, in hours: further than what is not used is kept.
const JUMP: u64 = 8;

/// The disks that are in trouble: that of one server, or, where they lie about it, where all keep
/// objects.
fn strained(world: &World, name: &str, what: Trouble) -> Vec<files::InTrouble> {
    world.fault("disk in trouble", format!("{name}: {what:?}"));
    match world.planted {
        Planted::FullDisksLie | Planted::SlowDisksLie => {
            NAMES.iter().map(|n| files::trouble(&world.objects_of(n), Trouble::Lies)).collect()
        }
        _ => vec![files::trouble(&world.disk(name), what)],
    }
}

/// Changes are made while a disk is full, by others than its server; queries go on there.
pub async fn a_disk_fills(world: &World, chance: &mut Chance, number: i64) {
    let name = *chance.of(&NAMES);
    let full = strained(world, name, Trouble::Full);
    write(world, number).await;
    still_answers(world, name).await;
    drop(full);
    world.note(format!("the disk of {name} has space"));
    write(world, number + 250).await;
}

pub async fn a_disk_is_slow(world: &World, chance: &mut Chance, number: i64) {
    let name = *chance.of(&NAMES);
    let time = Duration::from_millis(20 + chance.within(0..150));
    let _slow = strained(world, name, Trouble::Slow(time));
    write(world, number).await;
}

/// What is asked of the server whose disk hangs may wait for it; the group goes on.
pub async fn a_disk_hangs(world: &World, chance: &mut Chance, number: i64) {
    let name = *chance.of(&NAMES);
    let hangs = strained(world, name, Trouble::Hangs);
    let began = Instant::now();
    let others = |s: &std::sync::Arc<evercube_service::Service>| s.config.name != name;
    let leads = || {
        let lead = |s: &std::sync::Arc<evercube_service::Service>| {
            let status = s.metastore.status();
            status.leader == Some(status.me)
        };
        world.running().iter().any(|s| others(s) && lead(s))
    };
    while !leads() {
        if began.elapsed() > PATIENCE {
            world.violation("I8", format!("nobody leads while the disk of {name} hangs"));
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    is_not_fresh(world, name, number).await;
    drop(hangs);
    world.note(format!("the disk of {name} goes on"));
    write(world, number + 250).await;
}

/// A server whose disk hangs does not know what was committed since, and says so.
async fn is_not_fresh(world: &World, name: &str, number: i64) {
    let running = world.running();
    let Some(hung) = running.iter().find(|s| s.config.name == name) else { return };
    let other = running.iter().find(|s| s.config.name != name);
    let Some(other) = other else { return };
    super::fill_sources(world, number);
    let call = Call { request_id: Some(format!("hung {number}")), ..admin() };
    let made = timeout(PATIENCE, other.refresh(&call, "Retail", super::refresh(&[]))).await;
    world.note(format!("refresh {number} beside a disk that hangs: {made:?}"));
    let Ok(Ok(answer)) = made else { return };
    world.oracle().acknowledged(answer.seq, number);
    let bound = Duration::from_millis(300);
    // What a message tells may be as old as its way is long.
    sleep(bound + 2 * Duration::from_millis(LONGEST)).await;
    let call = Call { read: ReadLevel::Bounded(bound), ..admin() };
    // It may wait until its disk goes on; it may not answer from before.
    let read = timeout(Duration::from_secs(1), ask(hung, &call, "Retail")).await;
    if let Ok(Ok((seq, _))) = read
        && seq < answer.seq
    {
        let what = format!("{name} answered with version {seq}, when {} was older", answer.seq);
        world.violation("I3", what);
    }
}

pub async fn the_clock_jumps(world: &World, chance: &mut Chance, number: i64) {
    let hours =
        i64::try_from(chance.within(0..2 * JUMP + 1)).unwrap() - i64::try_from(JUMP).unwrap();
    world.fault("wall clock", format!("{hours} h"));
    host::set_wall_clock_off(hours * 3_600_000);
    write(world, number).await;
    host::set_wall_clock_off(0);
}

/// Queries go on where the disk is full.
async fn still_answers(world: &World, name: &str) {
    let running = world.running();
    let Some(server) = running.iter().find(|s| s.config.name == name) else { return };
    let call = Call { read: ReadLevel::Any, ..admin() };
    if let Err(e) = ask(server, &call, "Retail").await {
        world.violation("I8", format!("{name}, whose disk is full, does not answer: {e}"));
    }
}
