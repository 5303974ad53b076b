//! Active relationships together: no circles, and one way for a filter from table to table.
//!
//! Two-way relationships make several ways possible. The better kind of way is taken then: down
//! from one to many before ways that go up and down again. Only ways of the same kind compete.

use std::collections::HashSet;

use super::Findings;
use super::relationships::{Cardinality, Edge, Edges};

/// Ways looked at from one table, the shortest first. More of them change nothing in what is said.
const WAYS: usize = 2_000;
/// Ways of one kind between two tables that are held against each other.
const COMPETITORS: usize = 16;
/// Faults that are told; those that are left show when these are mended.
const TOLD: usize = 10;

pub(super) fn check(edges: &Edges, findings: &mut Findings) {
    if twins(edges, findings) {
        return;
    }
    if circles(edges, findings) {
        return;
    }
    several_ways(edges, findings);
}

/// Two active relationships of one kind between the same two tables. Beside one from one to many,
/// one from many to many is never taken.
fn twins(edges: &Edges, findings: &mut Findings) -> bool {
    let mut any = false;
    for (i, edge) in edges.list.iter().enumerate() {
        let pair = |e: &Edge| (e.from.min(e.to), e.from.max(e.to));
        let is_twin =
            |e: &&Edge| pair(e) == pair(edge) && is_many_to_many(e) == is_many_to_many(edge);
        let Some(other) = edges.list.iter().take(i).find(is_twin) else { continue };
        any = true;
        findings.error(
            format!("relationship '{}'", edge.name),
            format!(
                "the tables '{}' and '{}' are joined by the active relationship '{}' already; \
                 make one of the two inactive",
                edges.table(edge.from),
                edges.table(edge.to),
                other.name
            ),
        );
    }
    any
}

/// The direction a filter takes by the relationship's own nature.
fn downward(edge: &Edge) -> (usize, usize) {
    match (edge.from_cardinality, edge.to_cardinality) {
        (Cardinality::One, Cardinality::Many) => (edge.from, edge.to),
        _ => (edge.to, edge.from),
    }
}

fn is_one_to_one(edge: &Edge) -> bool {
    (edge.from_cardinality, edge.to_cardinality) == (Cardinality::One, Cardinality::One)
}

fn is_many_to_many(edge: &Edge) -> bool {
    (edge.from_cardinality, edge.to_cardinality) == (Cardinality::Many, Cardinality::Many)
}

/// Filters that come back to their table going down only.
fn circles(edges: &Edges, findings: &mut Findings) -> bool {
    // Tables no filter comes into are no part of a circle; taken away until none is left.
    let is_steep = |e: &&Edge| !is_one_to_one(e) && !is_many_to_many(e);
    let mut left: Vec<&Edge> = edges.list.iter().filter(is_steep).collect();
    loop {
        let entered: HashSet<usize> = left.iter().map(|e| downward(e).1).collect();
        let before = left.len();
        left.retain(|e| entered.contains(&downward(e).0));
        if left.len() == before {
            break;
        }
    }
    let Some(first) = left.first() else { return false };
    // Every table left is entered, so walking against the filters must meet a table twice.
    let mut walk: Vec<(&Edge, usize)> = vec![(first, downward(first).0)];
    while let Some((_, at)) = walk.last().copied() {
        let Some(next) = left.iter().find(|e| downward(e).1 == at) else { break };
        let source = downward(next).0;
        let met = walk.iter().position(|(_, table)| *table == source);
        walk.push((next, source));
        if let Some(met) = met {
            walk.drain(..=met);
            break;
        }
    }
    let tables: Vec<&str> = walk.iter().rev().map(|(_, t)| edges.table(*t)).collect();
    let close = tables.first().copied().unwrap_or_default();
    let name = walk.last().map_or(first.name.as_str(), |(e, _)| e.name.as_str());
    findings.error(
        format!("relationship '{name}'"),
        format!(
            "the active relationships run in a circle: '{}', back to '{close}'; make one of them \
             inactive",
            tables.join("', '")
        ),
    );
    true
}

/// One step of a way: the relationship and how it is walked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Step {
    edge: usize,
    to: usize,
    walk: Walk,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Walk {
    /// From one to many, or between equals.
    Down,
    Level,
    /// From many to one.
    Up,
}

fn several_ways(edges: &Edges, findings: &mut Findings) {
    let mut steps: Vec<Vec<Step>> = vec![Vec::new(); edges.tables.len()];
    for (edge, e) in edges.list.iter().enumerate() {
        let (one, many) = downward(e);
        let (down, up) = match (is_one_to_one(e), is_many_to_many(e)) {
            (true, _) => (Walk::Down, Walk::Down),
            (_, true) => (Walk::Level, Walk::Level),
            _ => (Walk::Down, Walk::Up),
        };
        if let Some(list) = steps.get_mut(one) {
            list.push(Step { edge, to: many, walk: down });
        }
        if (e.both || is_one_to_one(e))
            && let Some(list) = steps.get_mut(many)
        {
            list.push(Step { edge, to: one, walk: up });
        }
    }
    let mut reported: HashSet<(usize, usize)> = HashSet::new();
    for start in 0..edges.tables.len() {
        let mut by_end: Vec<Vec<&Vec<Step>>> = vec![Vec::new(); edges.tables.len()];
        let ways = ways(&steps, start);
        for way in &ways {
            if let Some(list) = way.last().and_then(|step| by_end.get_mut(step.to)) {
                list.push(way);
            }
        }
        for (end, ways) in by_end.iter().enumerate() {
            let Some((first, second)) = competing(ways) else { continue };
            if reported.insert((start.min(end), start.max(end))) {
                report(edges, start, end, (first, second), findings);
            }
            if reported.len() >= TOLD {
                return;
            }
        }
    }
}

/// Ways a filter on a table goes, no table twice, the shortest first.
fn ways(steps: &[Vec<Step>], start: usize) -> Vec<Vec<Step>> {
    let from = |at: usize| steps.get(at).into_iter().flatten();
    let mut ways: Vec<Vec<Step>> = from(start).map(|step| vec![*step]).collect();
    let mut next = 0;
    while let Some(way) = ways.get(next).cloned() {
        next += 1;
        let Some(last) = way.last() else { continue };
        for step in from(last.to) {
            if ways.len() >= WAYS {
                return ways;
            }
            if step.to != start && way.iter().all(|s| s.to != step.to) {
                let mut longer = way.clone();
                longer.push(*step);
                ways.push(longer);
            }
        }
    }
    ways
}

/// Two ways of the best kind that have no table between their ends in common, if there are such.
fn competing<'a>(ways: &[&'a Vec<Step>]) -> Option<(&'a [Step], &'a [Step])> {
    if ways.len() < 2 {
        return None;
    }
    // What all ways have in common decides nothing.
    let shared = |step: &Step| ways.iter().all(|way| way.iter().any(|s| s.edge == step.edge));
    let rank =
        |way: &[Step]| kind(&way.iter().filter(|s| !shared(s)).map(|s| s.walk).collect::<Vec<_>>());
    let ranked: Vec<(u8, &'a Vec<Step>)> = ways.iter().map(|way| (rank(way), *way)).collect();
    let best = ranked.iter().map(|(rank, _)| *rank).min()?;
    let best = ranked.iter().filter(|(rank, _)| *rank == best).map(|(_, way)| *way);
    let best: Vec<&'a Vec<Step>> = best.take(COMPETITORS).collect();
    // Ways that part and meet again on their way are found between those tables.
    let inner = |way: &[Step]| -> HashSet<usize> {
        way.iter().take(way.len().saturating_sub(1)).map(|s| s.to).collect()
    };
    for (i, a) in best.iter().enumerate() {
        let inside = inner(a);
        if let Some(b) = best.iter().skip(i + 1).find(|b| inner(b).is_disjoint(&inside)) {
            return Some((a, b));
        }
    }
    None
}

/// How good a way is, the best first.
fn kind(walks: &[Walk]) -> u8 {
    let all = |allowed: &[Walk]| walks.iter().all(|w| allowed.contains(w));
    let is_sorted = |walks: &[Walk]| walks.windows(2).all(|pair| pair.first() <= pair.last());
    let plain: Vec<Walk> = walks.iter().copied().filter(|w| *w != Walk::Level).collect();
    match () {
        () if all(&[Walk::Down]) => 1,
        () if all(&[Walk::Down, Walk::Level]) => 2,
        () if all(&[Walk::Up]) => 3,
        () if is_sorted(&plain) && plain.len() == walks.len() => 4,
        () if is_sorted(&plain) => 5,
        () => 6,
    }
}

fn report(
    edges: &Edges,
    start: usize,
    end: usize,
    (first, second): (&[Step], &[Step]),
    findings: &mut Findings,
) {
    let text = |way: &[Step]| {
        let tables = way.iter().map(|s| edges.table(s.to));
        let tables: Vec<&str> = std::iter::once(edges.table(start)).chain(tables).collect();
        format!("'{}'", tables.join("' → '"))
    };
    let last = second.last().and_then(|s| edges.list.get(s.edge));
    findings.error(
        format!("relationship '{}'", last.map_or("", |e| e.name.as_str())),
        format!(
            "a filter on '{}' reaches '{}' in two ways: {} and {}; make one of the relationships \
             inactive or filter it in one direction",
            edges.table(start),
            edges.table(end),
            text(first),
            text(second)
        ),
    );
}
