//! What goes wrong, drawn from the seed: a few kinds of faults for each world, at random times.

use std::sync::Arc;
use std::time::Duration;

use evercube_base::ErrorKind;
use evercube_metastore::Bootstrap;
use tokio::time::sleep;

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
}

const KINDS: [Kind; 10] = [
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
];

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
        for name in world.names() {
            if let Some(disk) = world.disk(&name) {
                disk.set_faults(DiskFaults { full: false, ..disk.faults() });
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
            Kind::Slow => {
                world.history.fault("slow server", &one);
                world.network.slow_down(&one);
            }
            Kind::DiskFull => {
                world.history.fault("full disk", &one);
                if let Some(disk) = world.disk(&one) {
                    disk.set_faults(DiskFaults { full: true, ..disk.faults() });
                }
            }
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
