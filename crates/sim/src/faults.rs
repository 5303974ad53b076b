//! What goes wrong, drawn from the seed: a few kinds of faults for each world, at random times.

use std::sync::Arc;
use std::time::Duration;

use evercube_base::ErrorKind;
use evercube_metastore::{Bootstrap, Command, Reply};
use tokio::time::{sleep, timeout};

use crate::chance::Chance;
use crate::disk::DiskFaults;
use crate::host;
use crate::network::Weather;
use crate::world::World;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Crash,
    CrashMost,
    Isolate,
    OneWay,
    Bridge,
    Loss,
    Delay,
    Twice,
    Slow,
    DiskFull,
    DiskSlow,
    DiskHangs,
    Clock,
    LongSplit,
}

const KINDS: [Kind; 14] = [
    Kind::Crash,
    Kind::CrashMost,
    Kind::Isolate,
    Kind::OneWay,
    Kind::Bridge,
    Kind::Loss,
    Kind::Delay,
    Kind::Twice,
    Kind::Slow,
    Kind::DiskFull,
    Kind::DiskSlow,
    Kind::DiskHangs,
    Kind::Clock,
    Kind::LongSplit,
];

/// How long a split lasts that is there to stay, and how long the group may take within it until
/// it takes a write.
const LONG: Duration = Duration::from_secs(6);
const GOES_ON: Duration = Duration::from_secs(10);
/// How far the wall clock jumps at most, in milliseconds.
const JUMP: u64 = 3_600_000;

pub struct Faults {
    world: Arc<World>,
    chance: Chance,
    kinds: Vec<Kind>,
}

/// Starts a server again, as its supervisor would.
pub async fn restart(world: &Arc<World>, name: &str) {
    let others = world.names().into_iter().filter(|n| n != name).collect();
    // Where the folder belongs to a group, this is not looked at.
    let bootstrap = Bootstrap::Join { addresses: others };
    if let Err(e) = world.start(name, bootstrap).await {
        world.history.error(&format!("start: {:?}", e.kind));
        world.note(&format!("{name} does not start: {e}"));
        if e.kind != ErrorKind::Corrupt {
            world.history.violation("I8", &format!("{name} does not start: {e}"));
        }
    }
}

impl Faults {
    pub fn new(world: &Arc<World>) -> Self {
        let mut chance = Chance::new(world.seed, "faults");
        // Few kinds at a time reach deeper than all of them together.
        let some = 1 + chance.within(0..4);
        let kinds = (0..some).map(|_| *chance.of(&KINDS)).collect();
        Self { world: Arc::clone(world), chance, kinds }
    }

    pub async fn run(mut self, until: Duration) -> Self {
        self.world.note(&format!("faults of this world: {:?}", self.kinds));
        while host::now() < until {
            sleep(Duration::from_millis(self.chance.within(100..2500))).await;
            let kind = *self.chance.of(&self.kinds.clone());
            self.happen(kind).await;
            sleep(Duration::from_millis(self.chance.within(50..4000))).await;
            if !self.chance.one_in(4) {
                self.end().await;
            }
        }
        self
    }

    /// Everything is well again, and every server runs.
    pub async fn end(&mut self) {
        let world = Arc::clone(&self.world);
        world.network.heal();
        host::set_wall_clock_off(0);
        for name in world.names() {
            if let Some(disk) = world.disk(&name) {
                disk.set_faults(disk.faults().gone());
            }
            restart(&world, &name).await;
        }
        world.note("healed");
    }

    async fn happen(&mut self, kind: Kind) {
        let world = Arc::clone(&self.world);
        let names = world.names();
        let one = self.chance.of(&names).clone();
        let others: Vec<&String> = names.iter().filter(|n| **n != one).collect();
        match kind {
            Kind::Crash => {
                world.history.fault("crash", &one);
                world.crash(&one, &mut self.chance).await;
                if self.chance.one_in(2) {
                    sleep(Duration::from_millis(self.chance.within(10..800))).await;
                    restart(&world, &one).await;
                }
            }
            Kind::CrashMost => {
                world.history.fault("crash of most", &format!("but {one}"));
                for name in others {
                    world.crash(name, &mut self.chance).await;
                }
            }
            Kind::Isolate => {
                world.history.fault("split", &one);
                for other in others {
                    world.network.cut(&one, other);
                    world.network.cut(other, &one);
                }
            }
            Kind::OneWay => {
                let hears = self.chance.one_in(2);
                world.history.fault("one-way split", &format!("{one}, which hears: {hears}"));
                for other in others {
                    match hears {
                        true => world.network.cut(&one, other),
                        false => world.network.cut(other, &one),
                    }
                }
            }
            Kind::Bridge => {
                let other = (*self.chance.of(&others)).clone();
                world.history.fault("bridge", &format!("{one} and {other} are apart"));
                world.network.cut(&one, &other);
                world.network.cut(&other, &one);
            }
            Kind::Loss | Kind::Delay | Kind::Twice => self.weather(kind),
            Kind::Clock => {
                let off = i64::try_from(self.chance.within(0..2 * JUMP)).unwrap_or(0)
                    - i64::try_from(JUMP).unwrap_or(0);
                world.history.fault("clock jump", &format!("{off} ms"));
                host::set_wall_clock_off(off);
            }
            Kind::LongSplit => self.long_split(&one).await,
            Kind::Slow => {
                world.history.fault("slow server", &one);
                world.network.slow_down(&one);
            }
            Kind::DiskFull => {
                world.history.fault("full disk", &one);
                self.strain(&one, |faults| DiskFaults { full: true, ..faults });
            }
            Kind::DiskSlow => {
                let slow = Duration::from_millis(self.chance.within(20..400));
                world.history.fault("slow disk", &format!("{one}: {slow:?}"));
                self.strain(&one, |faults| DiskFaults { slow, ..faults });
            }
            Kind::DiskHangs => {
                let time = Duration::from_millis(self.chance.within(500..9000));
                world.history.fault("hanging disk", &format!("{one}: {time:?}"));
                let hangs_until = host::now() + time;
                self.strain(&one, |faults| DiskFaults { hangs_until, ..faults });
            }
        }
    }

    fn strain(&self, name: &str, how: impl Fn(DiskFaults) -> DiskFaults) {
        if let Some(disk) = self.world.disk(name) {
            disk.set_faults(how(disk.faults()));
        }
    }

    /// Nothing is wrong but a split, of any kind, that stays for longer than an election takes:
    /// where a server and a majority reach each other both ways, the group goes on.
    async fn long_split(&mut self, one: &str) {
        let world = Arc::clone(&self.world);
        self.end().await;
        let names = world.names();
        let other = names.iter().find(|n| *n != one).cloned().unwrap_or_default();
        let kind =
            *self.chance.of(&["cut off", "heard by nobody", "hears nobody", "bridge", "odd"]);
        world.history.fault("long split", &format!("{one}: {kind}"));
        for to in names.iter().filter(|n| *n != one) {
            let (out, back) = match kind {
                "cut off" => (true, true),
                "heard by nobody" => (true, false),
                "hears nobody" => (false, true),
                "bridge" => (*to == other, *to == other),
                // Heard by all but one, of which alone it hears.
                _ => (*to == other, *to != other),
            };
            if out {
                world.network.cut(one, to);
            }
            if back {
                world.network.cut(to, one);
            }
        }
        let lives = || world.members().values().map(|l| l.number).collect::<Vec<_>>();
        let before = lives();
        sleep(LONG).await;
        let Some(life) = world.center() else { return };
        let probe = life.until_the_end(life.metastore.propose(Command::Probe));
        let went_on = matches!(timeout(GOES_ON, probe).await, Ok(Ok(Reply::Done { .. })));
        // The operator may have taken a server away meanwhile, which is another matter.
        if !went_on && lives() == before {
            let all: Vec<_> = names
                .iter()
                .filter_map(|n| world.life(n))
                .map(|l| format!("member {}: {:?}", l.node, l.metastore.status()))
                .collect();
            let state = life.metastore.state();
            let voters = state.members.iter().filter(|(_, m)| m.kind.votes());
            let voters: Vec<u64> = voters.map(|(id, _)| *id).collect();
            let what = format!(
                "no write within {:?} of a split ({one}: {kind}) among voters {voters:?}: {all:?}",
                LONG + GOES_ON
            );
            world.history.violation("goes on", &what);
        }
    }

    fn weather(&mut self, kind: Kind) {
        let (name, weather) = match kind {
            Kind::Loss => {
                let loss = self.chance.within(4..40);
                ("loss", Weather { loss, ..Weather::FAIR })
            }
            Kind::Delay => {
                let most = self.chance.within(20_000..350_000);
                ("delay and reordering", Weather { delay: (300, most), ..Weather::FAIR })
            }
            _ => ("duplicates", Weather { twice: 3, delay: (300, 60_000), loss: 0 }),
        };
        self.world.history.fault(name, &format!("{weather:?}"));
        self.world.network.set_weather(weather);
    }
}
