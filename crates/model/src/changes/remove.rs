//! Objects removed with what belongs to them and what cannot be without them.

use crate::objects::fields::{Link, Of};
use crate::objects::graph::{Graph, name_link, set_at};
use crate::objects::kinds::Kind;

/// What becomes of a link whose target is removed.
#[derive(PartialEq, Eq)]
enum Fate {
    /// The object goes as well.
    Removed,
    /// The object points at nothing.
    Cleared,
    /// The name stays, for validation to find.
    Dangling,
}

pub fn remove(graph: &mut Graph, index: usize) {
    let mut queue = vec![index];
    while let Some(at) = queue.pop() {
        let Some(object) = graph.objects.get_mut(at) else { continue };
        if std::mem::replace(&mut object.gone, true) {
            continue;
        }
        queue.extend(object.children.iter().copied());
        let pointing: Vec<(usize, &'static str)> = graph
            .all()
            .flat_map(|(i, o)| o.links.iter().map(move |(column, target)| (i, *column, *target)))
            .filter(|(_, _, target)| *target == at)
            .map(|(i, column, _)| (i, column))
            .collect();
        for (from, column) in pointing {
            let Some(kind) = graph.objects.get(from).map(|o| o.kind) else { continue };
            match fate(kind, column) {
                Fate::Removed => queue.push(from),
                Fate::Dangling => graph.drop_link(from, column),
                Fate::Cleared => {
                    let field = kind.spec().fields.iter().find(|f| f.column == column);
                    if let Some(Of::Link(link)) = field.map(|f| f.of) {
                        unlink(graph, from, column, link);
                    }
                }
            }
        }
    }
}

fn fate(kind: Kind, column: &str) -> Fate {
    match kind {
        Kind::Relationship | Kind::ObjectTranslation => Fate::Removed,
        _ if name_link(kind) == Some(column) => Fate::Removed,
        Kind::Variation if column == "RelationshipID" => Fate::Removed,
        Kind::Level => Fate::Dangling,
        Kind::Partition | Kind::Expression if column != "QueryGroupID" => Fate::Dangling,
        _ => Fate::Cleared,
    }
}

/// Makes a link point at nothing.
pub fn unlink(graph: &mut Graph, index: usize, column: &str, link: Link) {
    graph.drop_link(index, column);
    let Some(object) = graph.objects.get_mut(index) else { return };
    match link {
        Link::Top(_, property) | Link::Near(_, property) => {
            set_at(&mut object.own, property, None);
        }
        Link::Pair(_, table, name) => {
            set_at(&mut object.own, table, None);
            set_at(&mut object.own, name, None);
        }
        Link::Any => {}
    }
}
