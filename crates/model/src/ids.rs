//! Numbers of the objects of a model, stable while the object lives.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::objects::graph::Graph;
use crate::objects::kinds::Kind;
use crate::tabular::Database;

/// Which object has which number. A number is never given twice, not even after its object is gone.
///
/// A path names an object by the collections and names that lead to it, `Model` for the model
/// itself: `Tables/Sales/Columns/Amount/Annotations/Note`. Single parts have no name of their own:
/// `Tables/Sales/Measures/Total/KPI`. In names, `~` is written `~0` and `/` is written `~1`.
#[derive(Clone, Default, Serialize, Deserialize, Debug, PartialEq)]
#[serde(from = "Stored", into = "Stored")]
pub struct ObjectIds {
    by_path: BTreeMap<String, u64>,
    by_id: HashMap<u64, String>,
    next: u64,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    paths: BTreeMap<String, u64>,
    next: u64,
}

impl From<Stored> for ObjectIds {
    fn from(stored: Stored) -> Self {
        let by_id = stored.paths.iter().map(|(p, i)| (*i, p.clone())).collect();
        Self { by_path: stored.paths, by_id, next: stored.next }
    }
}

impl From<ObjectIds> for Stored {
    fn from(ids: ObjectIds) -> Self {
        Self { paths: ids.by_path, next: ids.next }
    }
}

impl ObjectIds {
    /// Numbers for every object of `database`: those of `previous` where the path is the same, new
    /// ones else. Numbers of objects that are not there any more are given up.
    pub fn assign(previous: Option<&Self>, database: &Database) -> Self {
        let mut start = previous.cloned().unwrap_or_default();
        let Ok(mut graph) = Graph::of(database) else { return start };
        start.number(&mut graph);
        start
    }

    /// Number of the object at a path.
    pub fn get(&self, path: &str) -> Option<u64> {
        self.by_path.get(path).copied()
    }

    /// Path of the object with a number.
    pub fn path_of(&self, id: u64) -> Option<&str> {
        self.by_id.get(&id).map(String::as_str)
    }

    /// Moves an object and all that belongs to it to another path, numbers unchanged. Numbers of
    /// objects already there are given up.
    pub fn rename(&mut self, from: &str, to: &str) {
        let inner = format!("{from}/");
        let moved: Vec<(String, u64)> = self
            .by_path
            .iter()
            .filter(|(p, _)| *p == from || p.starts_with(&inner))
            .map(|(p, i)| (p.clone(), *i))
            .collect();
        for (path, _) in &moved {
            self.by_path.remove(path);
        }
        for (path, id) in moved {
            let path = format!("{to}{}", path.get(from.len()..).unwrap_or_default());
            if let Some(lost) = self.by_path.insert(path.clone(), id) {
                self.by_id.remove(&lost);
            }
            self.by_id.insert(id, path);
        }
    }

    /// Gives every object of `graph` that has none its number: the one of its path, or a new one;
    /// afterwards exactly these objects are known.
    pub(crate) fn number(&mut self, graph: &mut Graph) {
        let paths = paths(graph);
        let mut used: HashSet<u64> = graph.all().map(|(_, o)| o.id).filter(|id| *id > 0).collect();
        let mut by_path = BTreeMap::new();
        for (index, path) in paths {
            let Some(object) = graph.objects.get_mut(index) else { continue };
            if object.id == 0 {
                let known = self.by_path.get(&path).copied().filter(|id| !used.contains(id));
                object.id = known.unwrap_or_else(|| {
                    self.next += 1;
                    self.next
                });
                used.insert(object.id);
            }
            by_path.insert(path, object.id);
        }
        self.by_id = by_path.iter().map(|(p, i)| (*i, p.clone())).collect();
        self.by_path = by_path;
    }
}

/// Path of an object that belongs to the object at `parent` (empty or `Model` for the model).
pub(crate) fn child_path(parent: &str, kind: Kind, name: &str) -> String {
    let spec = kind.spec();
    let mut path = match parent {
        "" | "Model" => String::new(),
        _ => format!("{parent}/"),
    };
    let is_single = spec.key.is_empty() && kind != Kind::ObjectTranslation;
    if is_single {
        path.push_str(spec.name);
    } else {
        path.push_str(spec.collection);
        path.push('/');
        path.push_str(&name.replace('~', "~0").replace('/', "~1"));
    }
    path
}

/// Every object with its path, parents first. Objects of one name are told apart by `#2`, `#3` ….
fn paths(graph: &Graph) -> Vec<(usize, String)> {
    let mut paths: Vec<String> = vec![String::new(); graph.objects.len()];
    let mut seen: HashMap<String, u32> = HashMap::new();
    let mut order: Vec<usize> = graph.all().map(|(i, _)| i).collect();
    // Translations are named by the object they speak of, so those come first.
    order.sort_by_key(|i| graph.objects.get(*i).map(|o| o.kind == Kind::ObjectTranslation));
    let mut list = Vec::with_capacity(order.len());
    // A parent may stand later in the list than its child after a move; walk from the model down.
    let mut ready = vec![false; graph.objects.len()];
    while !order.is_empty() {
        let before = order.len();
        order.retain(|index| {
            let Some(object) = graph.objects.get(*index) else { return false };
            if object.parent.is_some_and(|p| !ready.get(p).copied().unwrap_or(true)) {
                return true;
            }
            let parent = object.parent.and_then(|p| paths.get(p)).map_or("", String::as_str);
            let mut path = match object.kind {
                Kind::Model => "Model".to_owned(),
                Kind::ObjectTranslation => {
                    let target = graph.link(*index, "ObjectID").and_then(|t| paths.get(t));
                    let property = object.own.get("property").and_then(|p| p.as_str());
                    let name = format!(
                        "{}/{}",
                        target.map_or("", String::as_str),
                        property.unwrap_or_default()
                    );
                    child_path(parent, object.kind, &name)
                }
                _ => child_path(parent, object.kind, graph.name(*index)),
            };
            let count = seen.entry(path.clone()).or_insert(0);
            *count += 1;
            if *count > 1 {
                path = format!("{path}#{count}");
            }
            if let (Some(slot), Some(flag)) = (paths.get_mut(*index), ready.get_mut(*index)) {
                slot.clone_from(&path);
                *flag = true;
            }
            list.push((*index, path));
            false
        });
        if order.len() == before {
            break;
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(json: serde_json::Value) -> Database {
        serde_json::from_value(json).unwrap_or_default()
    }

    #[test]
    fn numbers_stay_and_are_never_given_twice() {
        let first = database(serde_json::json!({"name": "D", "model": {"tables": [
            {"name": "A/B", "columns": [{"name": "x"}, {"name": "y"}]}]}}));
        let ids = ObjectIds::assign(None, &first);
        let x = ids.get("Tables/A~1B/Columns/x");
        assert!(x.is_some() && ids.get("Tables/A~1B/Columns/y/AttributeHierarchy").is_some());
        assert_eq!(x.and_then(|x| ids.path_of(x)), Some("Tables/A~1B/Columns/x"));
        let second = database(serde_json::json!({"name": "D", "model": {"tables": [
            {"name": "A/B", "columns": [{"name": "x"}, {"name": "z"}]}]}}));
        let later = ObjectIds::assign(Some(&ids), &second);
        assert_eq!(later.get("Tables/A~1B/Columns/x"), x);
        let z = later.get("Tables/A~1B/Columns/z");
        assert!(z.is_some_and(|z| ids.path_of(z).is_none()));
        let mut moved = later;
        moved.rename("Tables/A~1B", "Tables/C");
        assert_eq!(moved.get("Tables/C/Columns/x"), x);
        let bytes = serde_json::to_string(&moved).unwrap_or_default();
        assert_eq!(serde_json::from_str::<ObjectIds>(&bytes).ok(), Some(moved));
    }
}
