//! Names: there, legible, and each given once where it has to tell objects apart.

use std::collections::HashMap;

use super::{Findings, label, word};
use crate::objects::graph::{Graph, MODEL};
use crate::objects::kinds::Kind;
use crate::tabular::Database;

/// Every table has a hidden column of this name.
const ROW_NUMBER: &str = "RowNumber-2662979B-1795-4F74-8F37-6A1BA8059B61";

pub(super) fn check(database: &Database, graph: &Graph, findings: &mut Findings) {
    if let Some(fault) = database_fault(&database.name) {
        findings.error(String::new(), fault);
    }
    for (index, object) in graph.all() {
        if index != MODEL {
            single(graph, index, object.kind, findings);
        }
        siblings(graph, index, findings);
    }
    measures(graph, findings);
}

/// Why a database cannot have a name.
pub(super) fn database_fault(name: &str) -> Option<String> {
    if name.eq_ignore_ascii_case("$system") {
        return Some("the name '$System' is reserved for the server".to_owned());
    }
    fault(name).map(|fault| format!("the name of the database {fault}"))
}

/// Kinds whose objects are known by what they belong to or point at.
fn is_nameless(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::ObjectTranslation
            | Kind::ChangedProperty
            | Kind::GroupByColumn
            | Kind::TablePermission
            | Kind::ColumnPermission
            | Kind::PerspectiveTable
            | Kind::PerspectiveColumn
            | Kind::PerspectiveMeasure
            | Kind::PerspectiveHierarchy
            | Kind::QueryGroup
            | Kind::Annotation
            | Kind::ExtendedProperty
    ) || kind.spec().key.is_empty()
}

fn single(graph: &Graph, index: usize, kind: Kind, findings: &mut Findings) {
    if is_nameless(kind) {
        return;
    }
    let name = graph.name(index);
    if let Some(fault) = fault(name) {
        let of = graph.objects.get(index).and_then(|o| o.parent).map(|p| label(graph, p));
        let place = of.filter(|o| !o.is_empty()).map_or(String::new(), |o| format!(" of {o}"));
        findings.error(label(graph, index), format!("the name of a {}{place} {fault}", word(kind)));
        return;
    }
    let is_row_number = || {
        let object = graph.objects.get(index);
        object.and_then(|o| o.own.get("type")).is_some_and(|t| t == "rowNumber")
    };
    let reserved = match kind {
        Kind::Table => name.eq_ignore_ascii_case("Measures"),
        Kind::Column => name.eq_ignore_ascii_case(ROW_NUMBER) && !is_row_number(),
        _ => false,
    };
    if reserved {
        let message = format!("the name '{name}' is reserved; rename the {}", word(kind));
        findings.error(label(graph, index), message);
    }
}

fn fault(name: &str) -> Option<String> {
    if name.trim().is_empty() {
        return Some("is empty".to_owned());
    }
    let control = name.chars().find(|c| c.is_control())?;
    Some(format!("'{}' holds the control character {:?}", name.escape_debug(), control))
}

/// Objects of one parent that share a name.
fn siblings(graph: &Graph, parent: usize, findings: &mut Findings) {
    let mut seen: HashMap<(Group, String), usize> = HashMap::new();
    for index in graph.children(parent) {
        let Some(kind) = graph.objects.get(index).map(|o| o.kind) else { continue };
        let Some(group) = group(kind) else { continue };
        let name = graph.name(index);
        if name.is_empty() {
            continue;
        }
        let Some(first) = seen.insert((group, name.to_lowercase()), index) else { continue };
        let other = graph.objects.get(first).map_or(kind, |o| o.kind);
        // Measures are looked at through the whole model.
        if kind == Kind::Measure && other == Kind::Measure {
            continue;
        }
        let (word, other_word) = (word(kind), word(other));
        let message = if word == other_word {
            format!("there are two {word}s named '{name}', letter case aside; rename one")
        } else {
            format!("a {word} and a {other_word} of one table are named '{name}'; rename one")
        };
        match kind {
            Kind::Annotation | Kind::ExtendedProperty | Kind::RoleMembership => {
                findings.warning(label(graph, index), message);
            }
            _ => findings.error(label(graph, index), message),
        }
    }
}

/// Kinds that share their names.
#[derive(PartialEq, Eq, Hash)]
enum Group {
    /// Columns and measures of a table.
    Field,
    Of(Kind),
}

fn group(kind: Kind) -> Option<Group> {
    match kind {
        Kind::Column | Kind::Measure => Some(Group::Field),
        Kind::ObjectTranslation | Kind::ChangedProperty => None,
        _ if kind.spec().key.is_empty() => None,
        other => Some(Group::Of(other)),
    }
}

/// A measure's name is known in the whole model.
fn measures(graph: &Graph, findings: &mut Findings) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (index, object) in graph.all() {
        let name = graph.name(index);
        if object.kind != Kind::Measure || name.is_empty() {
            continue;
        }
        if let Some(first) = seen.insert(name.to_lowercase(), index) {
            let message = format!(
                "a measure of that name, letter case aside, is {} already; measures need names \
                 of their own in the whole model",
                label(graph, first)
            );
            findings.error(label(graph, index), message);
        }
    }
}
