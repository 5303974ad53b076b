//! The operator: moves the leadership and the leases, changes settings, and takes servers in and
//! out, one thing after another.

use std::sync::Arc;
use std::time::Duration;

use evercube_metastore::{Command, Leases, MemberKind, Policy};
use tokio::time::{sleep, timeout};

use crate::chance::Chance;
use crate::client::DATABASES;
use crate::faults::restart;
use crate::host;
use crate::world::{Life, World};

pub struct Operator {
    world: Arc<World>,
    chance: Chance,
}

impl Operator {
    pub fn new(world: &Arc<World>) -> Self {
        Self { world: Arc::clone(world), chance: Chance::new(world.seed, "operator") }
    }

    pub async fn run(mut self, until: Duration) {
        while host::now() < until {
            sleep(Duration::from_millis(self.chance.within(500..6000))).await;
            let running = self.world.running();
            if running.is_empty() {
                continue;
            }
            let name = self.chance.of(&running).clone();
            let Some(life) = self.world.life(&name) else { continue };
            let limit = Duration::from_secs(90);
            if timeout(limit, self.act(&life)).await.is_err() {
                self.world.history.violation("I8", "an operation had no answer within 90 s");
            }
        }
    }

    async fn act(&mut self, life: &Arc<Life>) {
        let world = Arc::clone(&self.world);
        let state = life.metastore.state();
        let ids: Vec<u64> = state.members.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        let member = *self.chance.of(&ids);
        let what = self.chance.within(0..8);
        world.note(&format!("operator does {what} about member {member}"));
        let done = match what {
            0 | 1 => life.until_the_end(life.metastore.hand_over(member)).await,
            2 => self.propose(life, Command::Grant { leases: Leases::All, to: member }).await,
            3 => {
                let back = Command::Return { database: None };
                self.propose(life, Command::Planned(Box::new(back))).await
            }
            4 => {
                let value = (*self.chance.of(&["50", "80", "120"])).to_owned();
                let name = "heartbeat_ms".to_owned();
                self.propose(life, Command::PutSetting { name, value }).await
            }
            5 => {
                let policy = *self.chance.of(&[Policy::Strict, Policy::Available]);
                let database = (*self.chance.of(&DATABASES)).to_owned();
                self.propose(life, Command::SetPolicy { database, policy }).await
            }
            6 => {
                let kind = *self.chance.of(&[MemberKind::Learner, MemberKind::Data]);
                let voters = state.members.values().filter(|m| m.kind.votes()).count();
                // Fewer than three voters are no group that stands a fault.
                if kind == MemberKind::Learner && voters <= 3 {
                    return;
                }
                life.until_the_end(life.metastore.change_kind(member, kind)).await
            }
            _ => return self.replace(life, member).await,
        };
        if let Err(e) = done {
            world.history.error(&format!("operation: {:?}", e.kind));
            world.note(&format!("operation failed: {e}"));
        }
    }

    async fn propose(&self, life: &Life, command: Command) -> evercube_base::Result<()> {
        life.until_the_end(life.metastore.propose(command)).await.map(|_| ())
    }

    /// A server's disk breaks for good; it comes back empty under its name. Only while all others
    /// are there: who loses two disks of three has lost what only they had.
    async fn replace(&mut self, life: &Arc<Life>, member: u64) {
        let world = Arc::clone(&self.world);
        let Some(name) = life.metastore.state().members.get(&member).map(|m| m.name.clone()) else {
            return;
        };
        let all = world.names();
        let newest = all.iter().filter_map(|n| world.life(n)).map(|l| l.metastore.status().applied);
        let (count, least, most) = newest.fold((0, u64::MAX, 0), |(n, least, most), applied| {
            (n + 1, applied.min(least), applied.max(most))
        });
        if count < all.len() || most - least > 20 || life.metastore.state().members.len() < 3 {
            return;
        }
        // Some break again while they are let in.
        let times = 1 + u32::from(self.chance.one_in(2));
        for time in 0..times {
            world.history.fault("disk replaced", &name);
            // Where its disk hangs it takes time to go, and may have been started again meanwhile.
            loop {
                world.crash(&name, &mut self.chance).await;
                if world.replace_disk(&name) {
                    break;
                }
            }
            sleep(Duration::from_millis(self.chance.within(0..1500))).await;
            restart(&world, &name).await;
            if time + 1 < times {
                sleep(Duration::from_millis(self.chance.within(0..300))).await;
            }
        }
        // The next one is not taken before this one is in.
        for _ in 0..1200 {
            sleep(Duration::from_millis(100)).await;
            if let Some(new) = world.life(&name)
                && new.metastore.state().members.contains_key(&new.node)
            {
                return;
            }
        }
        world.history.violation("healing", &format!("{name} was not let in again within 120 s"));
    }
}
