//! Which way a filter takes where there are several: the path of the best priority, then the one
//! of most weight. Paths of equal priority and weight are ambiguous.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use evercube_store::{RelationshipId, TableId};

use super::{Direction, FilterContext, Visibility};

/// How a filter passes a relationship.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    OneToMany,
    ManyToOne,
    ManyToMany,
}

/// A way of filters, told from the filtered table outwards.
#[derive(Debug, Clone, Default)]
pub(super) struct Path {
    pub relationships: Vec<RelationshipId>,
    passes: Vec<Pass>,
    tables: Vec<TableId>,
}

/// More paths between two tables than anyone draws.
const MOST_PATHS: usize = 4096;

/// The path each table's filters take, and tables whose filters have no best one.
#[derive(Debug, Default)]
pub(super) struct Paths {
    pub best: BTreeMap<TableId, Path>,
    ambiguous: Vec<(TableId, [Path; 2])>,
}

/// The paths of filters to every table where relationships are as the model has them; empty where
/// there is at most one way between any two tables. Worked out when first asked for; a copy of a
/// model, which is made in order to change it, works them out again.
#[derive(Debug, Default)]
pub(crate) struct PlainPaths(OnceLock<Vec<Arc<Paths>>>);

impl Clone for PlainPaths {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Visibility<'_> {
    /// The paths by which filters reach a table; `None` where there is at most one way between any
    /// two tables.
    pub(super) fn paths_where_several(
        &self,
        context: &FilterContext,
        table: TableId,
    ) -> Option<Arc<Paths>> {
        let plain = FilterContext::default();
        if !context.used.is_empty() || !context.directions.is_empty() || context.by_security {
            return (!self.is_forest(context)).then(|| Arc::new(self.paths_to(context, table)));
        }
        let tables = (0..self.model.tables().len() as u32).map(TableId);
        let all = self.model.plain_paths().0.get_or_init(|| match self.is_forest(&plain) {
            true => Vec::new(),
            false => tables.map(|t| Arc::new(self.paths_to(&plain, t))).collect(),
        });
        all.get(table.0 as usize).cloned()
    }

    /// Whether filters have at most one way between any two tables.
    fn is_forest(&self, context: &FilterContext) -> bool {
        let ids = (0..self.model.relationships().len() as u32).map(RelationshipId);
        let mut group: Vec<usize> = (0..self.model.tables().len()).collect();
        for id in ids.filter(|id| self.flows(context, *id) != Direction::None) {
            let def = self.model.relationship(id).def;
            let (a, b) = (group[def.from.table.0 as usize], group[def.to.table.0 as usize]);
            if a == b {
                return false;
            }
            group.iter_mut().filter(|g| **g == a).for_each(|g| *g = b);
        }
        true
    }

    /// The paths by which filters reach a table.
    fn paths_to(&self, context: &FilterContext, table: TableId) -> Paths {
        let mut all: BTreeMap<TableId, Vec<Path>> = BTreeMap::new();
        let start = Path { tables: vec![table], ..Path::default() };
        let mut open = vec![start];
        while let Some(path) = open.pop() {
            let at = *path.tables.last().unwrap_or(&table);
            for (i, r) in (0..).zip(self.model.relationships()) {
                let id = RelationshipId(i);
                let direction = self.flows(context, id);
                let (from, to) = (r.def.from.table, r.def.to.table);
                let (next, pass) = if from == at && direction.is_forward() {
                    (to, Pass::OneToMany)
                } else if to == at && direction.is_backward() {
                    (from, if r.one_to_one { Pass::OneToMany } else { Pass::ManyToOne })
                } else {
                    continue;
                };
                if path.tables.contains(&next) {
                    continue;
                }
                let pass = if r.def.many_to_many { Pass::ManyToMany } else { pass };
                let mut longer = path.clone();
                longer.relationships.push(id);
                longer.passes.push(pass);
                longer.tables.push(next);
                let known = all.entry(next).or_default();
                if known.len() < MOST_PATHS {
                    known.push(longer.clone());
                    open.push(longer);
                }
            }
        }
        let mut paths = Paths::default();
        for (from, candidates) in all {
            let (best, rival) = choose(context, candidates);
            if let Some(rival) = rival {
                paths.ambiguous.push((from, [best.clone(), rival]));
            }
            paths.best.insert(from, best);
        }
        paths
    }

    /// What is ambiguous about the ways of filters to a table: the table they come from, and a
    /// message about them.
    pub fn ambiguities(&self, context: &FilterContext, table: TableId) -> Vec<(TableId, String)> {
        let Some(paths) = self.paths_where_several(context, table) else { return Vec::new() };
        let name = |t: &TableId| format!("'{}'", self.model.table(*t).name);
        let shown = |p: &Path| p.tables.iter().rev().map(name).collect::<Vec<_>>().join(" → ");
        let told = |(from, [a, b]): &(TableId, [Path; 2])| {
            let message = format!(
                "There are ambiguous paths between {} and {}: {} and {}. Choose one with USERELATIONSHIP, or make a relationship inactive or filter in one direction.",
                name(from),
                name(&table),
                shown(a),
                shown(b)
            );
            (*from, message)
        };
        paths.ambiguous.iter().map(told).collect()
    }
}

/// Later uses, which are the inner ones, weigh more.
pub(super) fn weight(context: &FilterContext, path: &[RelationshipId]) -> usize {
    let of = |id: &RelationshipId| context.used.iter().rposition(|u| u == id).map_or(0, |i| i + 1);
    path.iter().map(of).max().unwrap_or(0)
}

/// The best path, and another that is as good.
fn choose(context: &FilterContext, candidates: Vec<Path>) -> (Path, Option<Path>) {
    let shared: Vec<RelationshipId> = match candidates.split_first() {
        Some((first, others)) => {
            let in_all = |id: &&RelationshipId| others.iter().all(|p| p.relationships.contains(id));
            first.relationships.iter().filter(in_all).copied().collect()
        }
        None => Vec::new(),
    };
    let rank = |path: &Path| {
        let own = path.relationships.iter().zip(&path.passes);
        let own = own.filter(|(id, _)| !shared.contains(id));
        let (ids, passes): (Vec<RelationshipId>, Vec<Pass>) = own.map(|(i, p)| (*i, *p)).unzip();
        (tier(&passes), usize::MAX - weight(context, &ids))
    };
    let mut ranked: Vec<((u8, usize), Path)> =
        candidates.into_iter().map(|p| (rank(&p), p)).collect();
    // Of equal paths the shortest stands first; they are ambiguous all the same.
    let order = |p: &Path| (p.relationships.len(), p.relationships.clone());
    ranked.sort_by_cached_key(|(rank, p)| (*rank, order(p)));
    let mut ranked = ranked.into_iter();
    match (ranked.next(), ranked.next()) {
        (Some((a, best)), Some((b, rival))) if a == b => (best, Some(rival)),
        (Some((_, best)), _) => (best, None),
        (None, _) => (Path::default(), None),
    }
}

/// The priority of a path: lower goes first. The passes are told from the filtered table outwards.
fn tier(passes: &[Pass]) -> u8 {
    use Pass as P;
    let all = |allowed: &[Pass]| passes.iter().all(|p| allowed.contains(p));
    // One-to-many to a table between, then back up: seen from the end, the ups come first.
    let split = |ups: &[Pass], downs: &[Pass]| {
        let down = passes.iter().skip_while(|p| ups.contains(p));
        down.into_iter().all(|p| downs.contains(p))
    };
    match () {
        () if all(&[P::OneToMany]) => 1,
        () if all(&[P::OneToMany, P::ManyToMany]) => 2,
        () if all(&[P::ManyToOne]) => 3,
        () if split(&[P::ManyToOne], &[P::OneToMany]) => 4,
        () if split(&[P::ManyToOne, P::ManyToMany], &[P::OneToMany, P::ManyToMany]) => 5,
        () => 6,
    }
}
