//! Some changed inputs for every target: no panic, no end of memory, no time without end.
//! `EVERCUBE_SEED` and `EVERCUBE_CASES` run others, `EVERCUBE_TARGET` one target only.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use evercube_fuzzing::mutate::mutated;
use evercube_fuzzing::{TARGETS, Target};
use evercube_testkit::random::Chance;
use evercube_work::{Counting, Limits, Work};

#[global_allocator]
static COUNTED: Counting<std::alloc::System> = Counting(std::alloc::System);

/// What reading one short input may take at most: far more than any should.
const MEMORY: usize = 512 << 20;
const TIME: Duration = Duration::from_secs(120);

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(otherwise)
}

/// Runs one input; what went wrong.
fn try_one(target: &Target, input: &[u8]) -> Result<(), String> {
    let work = Arc::new(Work::new(Limits { memory: usize::MAX, ..Limits::default() }));
    let run = || {
        work.run(|| {
            (target.run)(input);
            Ok(())
        })
    };
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(_) if work.most_memory() <= MEMORY => Ok(()),
        Ok(_) => Err(format!("took {} bytes of memory", work.most_memory())),
        Err(_) => Err("panicked".into()),
    }
}

fn shown(input: &[u8]) -> String {
    input.escape_ascii().to_string()
}

fn bounded(target: &'static Target) {
    let (seed, cases) = (number("EVERCUBE_SEED", 1), number("EVERCUBE_CASES", 300));
    let (tell, told) = channel::<Vec<u8>>();
    let thread = std::thread::Builder::new().stack_size(evercube_service::STACK);
    let running = thread.spawn(move || {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty());
        let mut chance = Chance::new(seed);
        for case in 0..cases as usize + seeds.len() {
            let input = match seeds.get(case) {
                Some(seed) => seed.clone(),
                None => mutated(&seeds, target.words, &mut chance),
            };
            let _watched = tell.send(input.clone());
            if let Err(e) = try_one(target, &input) {
                panic!("{} {e} (seed {seed}, case {case}) on:\n{}", target.name, shown(&input));
            }
        }
    });
    let mut last = Vec::new();
    loop {
        match told.recv_timeout(TIME) {
            Ok(input) => last = input,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                panic!("{} never ends on:\n{}", target.name, shown(&last))
            }
        }
    }
    if let Err(why) = running.unwrap().join() {
        std::panic::resume_unwind(why);
    }
}

#[test]
fn changed_inputs_harm_nothing() {
    let only = std::env::var("EVERCUBE_TARGET").ok();
    for target in &TARGETS {
        if only.as_ref().is_none_or(|o| o == target.name) {
            bounded(target);
        }
    }
}
