//! Translations of a culture: in TMSL a tree shaped as the model, as objects a flat list of
//! (translated object, property, text).

use serde_json::{Map, Value as Json};

use super::graph::{Graph, MODEL, value_at};
use super::kinds::Kind;
use crate::enums::TRANSLATED_PROPERTY;

/// Lists of the tree and the kinds of their members.
const BRANCHES: &[(&str, Kind)] = &[
    ("tables", Kind::Table),
    ("columns", Kind::Column),
    ("measures", Kind::Measure),
    ("hierarchies", Kind::Hierarchy),
    ("levels", Kind::Level),
    ("variations", Kind::Variation),
    ("partitions", Kind::Partition),
    ("relationships", Kind::Relationship),
    ("dataSources", Kind::DataSource),
    ("perspectives", Kind::Perspective),
    ("roles", Kind::Role),
    ("expressions", Kind::Expression),
    ("calculationItems", Kind::CalculationItem),
];
/// Single members of the tree.
const TWIGS: &[(&str, Kind)] = &[("kpi", Kind::Kpi), ("calculationGroup", Kind::CalculationGroup)];

/// Moves the translations of every culture out of its properties. A tree with anything that is not
/// understood (an object that does not exist, another property) stays as it is.
pub fn take_apart(graph: &mut Graph) {
    let cultures: Vec<usize> =
        graph.all().filter(|(_, o)| o.kind == Kind::Culture).map(|(i, _)| i).collect();
    for culture in cultures {
        let tree = graph.objects.get(culture).and_then(|o| o.own.get("translations"));
        let Some(Json::Object(tree)) = tree else { continue };
        let mut found = Vec::new();
        let whole = tree.len() <= 1
            && tree.get("model").is_none_or(|m| read(graph, MODEL, m, &mut found).is_some());
        if !whole || found.is_empty() {
            continue;
        }
        if let Some(object) = graph.objects.get_mut(culture) {
            object.own.shift_remove("translations");
        }
        for (target, own) in found {
            let index = graph.add(Kind::ObjectTranslation, Some(culture), own);
            if let Some(object) = graph.objects.get_mut(index) {
                object.links.push(("ObjectID", target));
            }
        }
    }
}

fn read(
    graph: &Graph,
    target: usize,
    node: &Json,
    found: &mut Vec<(usize, Map<String, Json>)>,
) -> Option<()> {
    for (key, value) in node.as_object()? {
        if TRANSLATED_PROPERTY.number(key).is_some() {
            let mut own = Map::new();
            own.insert("property".into(), Json::String(key.clone()));
            own.insert("value".into(), value.clone());
            found.push((target, own));
        } else if let Some((_, kind)) = BRANCHES.iter().find(|(b, _)| b == key) {
            for child in value.as_array()? {
                let name = child.get("name")?.as_str()?;
                read(graph, graph.find_child(target, *kind, name)?, child, found)?;
            }
        } else if let Some((_, kind)) = TWIGS.iter().find(|(t, _)| t == key) {
            read(graph, graph.only_child(target, *kind)?, value, found)?;
        } else if key != "name" {
            return None;
        }
    }
    Some(())
}

/// The tree of a culture's translations, `None` where there are none.
pub fn put_together(graph: &Graph, culture: usize) -> Option<Json> {
    // A tree that was not taken apart is added to.
    let kept = graph.objects.get(culture).and_then(|o| value_at(&o.own, "translations.model"));
    let mut root = kept.cloned().unwrap_or_else(|| Json::Object(Map::new()));
    let mut any = false;
    for index in graph.children(culture) {
        let Some(object) = graph.objects.get(index) else { continue };
        let (Kind::ObjectTranslation, Some(target)) = (object.kind, graph.link(index, "ObjectID"))
        else {
            continue;
        };
        let property = object.own.get("property").and_then(Json::as_str).unwrap_or_default();
        let value = object.own.get("value").cloned().unwrap_or_else(|| Json::String(String::new()));
        if let Some(node) = node_of(graph, &mut root, target) {
            node.insert(property.to_owned(), value);
            any = true;
        }
    }
    any.then(|| Json::Object(Map::from_iter([("model".to_owned(), root)])))
}

/// The node of an object in the tree, made where it is missing.
fn node_of<'a>(
    graph: &Graph,
    root: &'a mut Json,
    target: usize,
) -> Option<&'a mut Map<String, Json>> {
    let object = graph.objects.get(target)?;
    if target == MODEL {
        let map = root.as_object_mut()?;
        if !map.contains_key("name") {
            map.insert("name".into(), Json::String(graph.name(MODEL).to_owned()));
        }
        return Some(map);
    }
    let parent = node_of(graph, root, object.parent?)?;
    if let Some((twig, _)) = TWIGS.iter().find(|(_, k)| *k == object.kind) {
        let node = parent.entry(*twig).or_insert_with(|| Json::Object(Map::new()));
        return node.as_object_mut();
    }
    let (branch, _) = BRANCHES.iter().find(|(_, k)| *k == object.kind)?;
    let list = parent.entry(*branch).or_insert_with(|| Json::Array(Vec::new())).as_array_mut()?;
    let name = graph.name(target);
    let at = match list.iter().position(|n| n.get("name").and_then(Json::as_str) == Some(name)) {
        Some(at) => at,
        None => {
            let name = ("name".to_owned(), Json::String(name.to_owned()));
            list.push(Json::Object(Map::from_iter([name])));
            list.len() - 1
        }
    };
    list.get_mut(at)?.as_object_mut()
}
