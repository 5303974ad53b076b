//! Whether the answers that clients got can be true of one group that loses nothing.
//!
//! Every answer names its version, and every version its parent by the hash in its root, so no
//! order has to be searched for: versions of a database form one chain, and an answer must not be
//! older than what had been answered before it was asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::history::{Asked, Op, Outcome};

type Root = [u8; 32];

/// A version, and where it comes from.
struct Made<'a> {
    op: &'a Op,
    parent: Root,
}

/// What is wrong with a history that ended with these versions, as `(invariant, what)`.
pub fn check(
    ops: &[Op],
    ends: &BTreeMap<String, (u64, Root)>,
    leases: &BTreeMap<u64, bool>,
    slack: Duration,
) -> Vec<(&'static str, String)> {
    let mut bad = Vec::new();
    let databases: BTreeSet<&str> = ops.iter().map(|o| o.database.as_str()).collect();
    for database in databases {
        let of: Vec<&Op> = ops.iter().filter(|o| o.database == database).collect();
        let end = ends.get(database).copied().unwrap_or((0, [0; 32]));
        chain(database, &of, end, &mut bad);
        order(database, &of, slack, &mut bad);
    }
    fenced(ops, leases, &mut bad);
    bad
}

/// Every acknowledged version leads to the last one, none that was refused does, and reads saw
/// versions of the chain.
fn chain(database: &str, ops: &[&Op], end: (u64, Root), bad: &mut Vec<(&'static str, String)>) {
    let commits = ops.iter().filter(|o| o.asked == Asked::Commit);
    let made: BTreeMap<Root, Made<'_>> =
        commits.map(|op| (op.root, Made { op, parent: op.parent })).collect();
    let mut real: BTreeMap<Root, usize> = BTreeMap::new();
    let mut at = end.1;
    while at != [0; 32] {
        let Some(version) = made.get(&at) else {
            bad.push(("I5", format!("{database} has a version that nobody made")));
            break;
        };
        if version.op.outcome == Outcome::Refused {
            let who = version.op.client;
            bad.push(("I2", format!("{database} has a version that client {who} was refused")));
        }
        real.insert(at, real.len());
        at = version.parent;
    }
    let mut numbers: BTreeMap<u64, Root> = BTreeMap::new();
    for op in ops.iter().filter(|o| o.outcome == Outcome::Done && o.seq > 0) {
        if op.asked == Asked::Commit && !real.contains_key(&op.root) {
            let (client, seq) = (op.client, op.seq);
            bad.push((
                "I1",
                format!("{database} lost version {seq} acknowledged to client {client}"),
            ));
        } else if op.asked != Asked::Commit && !real.contains_key(&op.root) {
            let (client, seq) = (op.client, op.seq);
            bad.push((
                "I2",
                format!("client {client} read version {seq} of {database}, which never was"),
            ));
        }
        if *numbers.entry(op.seq).or_insert(op.root) != op.root {
            bad.push(("I5", format!("version {} of {database} has two contents", op.seq)));
        }
    }
}

/// Answers are not older than what was answered before they were asked for.
fn order(database: &str, ops: &[&Op], slack: Duration, bad: &mut Vec<(&'static str, String)>) {
    // Newest version answered by a time, over all answers that prove it was current.
    let mut answered: Vec<(Duration, u64)> = ops
        .iter()
        .filter(|o| o.outcome == Outcome::Done && matches!(o.asked, Asked::Commit | Asked::Strong))
        .map(|o| (o.answered, o.seq))
        .collect();
    answered.sort_unstable();
    let mut newest = 0;
    for (_, seq) in &mut answered {
        newest = newest.max(*seq);
        *seq = newest;
    }
    let known_by = |time: Duration| {
        let before = answered.partition_point(|(at, _)| *at < time);
        before.checked_sub(1).map_or(0, |i| answered[i].1)
    };
    let mut sessions: BTreeMap<u64, u64> = BTreeMap::new();
    let mut in_order: Vec<&&Op> = ops.iter().filter(|o| o.outcome == Outcome::Done).collect();
    in_order.sort_by_key(|o| (o.client, o.answered));
    for op in in_order {
        let (client, seq, began) = (op.client, op.seq, op.began);
        let seen = sessions.entry(client).or_default();
        let (invariant, floor) = match op.asked {
            Asked::Commit | Asked::Strong => ("I2", known_by(began)),
            Asked::Session => ("I2", *seen),
            Asked::Bounded(bound) => ("I3", known_by(began.saturating_sub(bound + slack))),
            Asked::Any => continue,
        };
        if seq < floor {
            bad.push((invariant, format!(
                "client {client} got version {seq} of {database} by {:?} asked for at {began:?}, when {floor} was known",
                op.asked
            )));
        }
        *seen = (*seen).max(seq);
    }
}

/// Nobody writes under a lease that somebody else has had since, but for what was under way when the
/// lease was handed on as planned. `leases`: every epoch, and whether it began so.
fn fenced(ops: &[Op], leases: &BTreeMap<u64, bool>, bad: &mut Vec<(&'static str, String)>) {
    for op in ops.iter().filter(|o| o.asked == Asked::Commit && o.outcome == Outcome::Done) {
        let Some(epoch) = op.lease else { continue };
        let mut since = leases.range(epoch + 1..op.seq.max(epoch + 1));
        let first = since.next().filter(|(_, planned)| !**planned);
        if let Some((grant, _)) = first.or_else(|| since.next()) {
            bad.push(("I2", format!(
                "version {} of {} was written under lease {epoch}, after lease {grant} was granted",
                op.seq, op.database
            )));
        }
    }
}
