//! Names of other objects: what an object points at has to be there.

use super::{Findings, label, word};
use crate::objects::fields::{Link, Of};
use crate::objects::graph::{Graph, MODEL, text_at};
use crate::objects::kinds::Kind;

pub(super) fn check(graph: &Graph, findings: &mut Findings) {
    for (index, object) in graph.all() {
        // Relationships are looked at end by end.
        if object.kind == Kind::Relationship {
            continue;
        }
        for field in object.kind.spec().fields {
            // Where a column was copied from is a note, not a use.
            let Of::Link(link) = field.of else { continue };
            if field.column == "ColumnOriginID" {
                continue;
            }
            if graph.link(index, field.column).is_none() {
                unresolved(graph, index, link, findings);
            }
        }
    }
}

fn unresolved(graph: &Graph, index: usize, link: Link, findings: &mut Findings) {
    let Some(object) = graph.objects.get(index) else { return };
    let (target, name, table) = match link {
        Link::Top(kind, property) => (kind, text_at(&object.own, property), None),
        Link::Near(kind, property) => {
            (kind, text_at(&object.own, property), graph.table_of(index).map(|t| graph.name(t)))
        }
        Link::Pair(kind, table, name) => (
            kind,
            text_at(&object.own, name),
            Some(text_at(&object.own, table).unwrap_or_default()),
        ),
        Link::Any => return,
    };
    let Some(name) = name else { return };
    // Groups of queries only sort what tools show.
    if target == Kind::QueryGroup {
        return;
    }
    // A permission or part of a perspective whose table is unknown was named with its table.
    if matches!(link, Link::Near(..)) && table.is_none() {
        return;
    }
    if target == Kind::Column && table.is_some_and(|t| columns_come_later(graph, t)) {
        return;
    }
    let known = table.is_none_or(|t| graph.find_child(MODEL, Kind::Table, t).is_some());
    let what = match table {
        Some(table) if !known => format!("the table '{table}'"),
        Some(table) => format!("the {} '{name}' of the table '{table}'", word(target)),
        None => format!("the {} '{name}'", word(target)),
    };
    let message = if name.is_empty() && known {
        format!("the {} it points at is not named", word(target))
    } else {
        format!("{what} does not exist; correct the name or add it")
    };
    findings.error(label(graph, index), message);
}

/// A calculated table written without columns gets them from its expression.
fn columns_come_later(graph: &Graph, table: &str) -> bool {
    let Some(table) = graph.find_child(MODEL, Kind::Table, table) else { return false };
    let mut is_calculated = false;
    for object in graph.children(table).filter_map(|i| graph.objects.get(i)) {
        match object.kind {
            Kind::Column => return false,
            Kind::Partition => {
                is_calculated |= text_at(&object.own, "source.type") == Some("calculated");
            }
            _ => {}
        }
    }
    is_calculated
}
