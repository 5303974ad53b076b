//! A writer that is killed at every point of its work: what was told before is still there, and
//! nobody says that anything is missing.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use evercube_base::DateTime;

use super::super::chain::{Chain, Files, Position};
use super::super::heads::{local_head, put_local_head};
use super::super::proof::lacks;
use super::super::record::{Event, Stream};
use super::problems;
use crate::seal::SealingKey;

thread_local! {
    /// Points that are still passed before the kill.
    static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Whether the process is killed here.
pub fn torn(_name: &str) -> bool {
    LEFT.with(|left| {
        let now = left.get();
        left.set(now.map(|n| n.saturating_sub(1)));
        now == Some(0)
    })
}

pub fn point(name: &str) {
    assert!(!torn(name), "killed");
}

/// Small enough that files are begun and removed while the test writes.
const SIZE: u64 = 192 << 10;
const STREAM: Stream = Stream::Changes;

fn plain(folder: &Path) -> Files<'_> {
    Files { folder, stream: STREAM, vault: None }
}

fn open(folder: &Path) -> Chain {
    Chain::open(folder, STREAM, SIZE, ("a", 7), None).unwrap()
}

/// Works as the writer's thread does; `told` is what somebody was told after each sync.
fn work(chain: &mut Chain, folder: &Path, keys: &[SealingKey], told: &mut Position) {
    for round in 0..6 {
        for _ in 0..40 {
            let text = Some("x".repeat(700));
            chain.append(&Event { action: "test".into(), text, ..Event::default() });
        }
        chain.flush(DateTime::default()).map_err(|(_, e)| e).unwrap();
        if round % 2 == 1 {
            chain.sync().unwrap();
            put_local_head(folder, STREAM, chain.position(), keys).unwrap();
            *told = chain.position();
        }
    }
}

#[test]
fn a_writer_killed_anywhere_has_what_it_told() {
    let keys = [SealingKey { id: 1, bytes: [7; 32] }];
    let mut kills = 0;
    // Begun on nothing, and on what a writer before it left.
    for earlier in [0, 1, 2] {
        for at in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let mut told = open(folder.path()).position();
            for _ in 0..earlier {
                work(&mut open(folder.path()), folder.path(), &keys, &mut told);
            }
            let mut chain = open(folder.path());
            LEFT.set(Some(at));
            let worked = catch_unwind(AssertUnwindSafe(|| {
                work(&mut chain, folder.path(), &keys, &mut told);
            }));
            LEFT.set(None);
            drop(chain);
            let mut chain = open(folder.path());
            let here = chain.position();
            assert!(here.n >= told.n, "kill {at}: {here:?} after {told:?}");
            let head = local_head(folder.path(), STREAM, &keys);
            assert!(head.is_none_or(|h| h.n <= here.n), "kill {at}: {head:?} before {here:?}");
            assert!(!lacks(plain(folder.path()), told, here).unwrap(), "kill {at}: {told:?}");
            assert_eq!(problems(folder.path(), here, &[head, Some(told)]).1, "", "kill {at}");
            work(&mut chain, folder.path(), &keys, &mut told);
            let end = chain.position();
            assert_eq!(problems(folder.path(), end, &[Some(told)]).1, "", "kill {at}");
            if worked.is_ok() {
                break;
            }
            kills += 1;
        }
    }
    println!("a writer was killed at {kills} points");
    assert!(kills > 60, "{kills}");
}

/// The group was told that a log was empty, and it still is.
#[test]
fn an_empty_log_lacks_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let empty = open(folder.path()).position();
    assert!(!lacks(plain(folder.path()), empty, empty).unwrap());
    // Nor does one that was written to since.
    let mut told = empty;
    let keys = [SealingKey { id: 1, bytes: [7; 32] }];
    work(&mut open(folder.path()), folder.path(), &keys, &mut told);
    assert!(!lacks(plain(folder.path()), empty, told).unwrap());
    assert!(lacks(plain(folder.path()), Position { n: told.n + 1, ..told }, told).unwrap());
}
