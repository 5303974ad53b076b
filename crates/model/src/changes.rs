//! Object changes as clients of tabular metadata send them: rows of properties to create, alter,
//! delete, rename or refresh objects, applied to a model.

mod find;
pub(crate) mod remove;
mod write;

use std::collections::HashMap;

use evercube_base::{Error, ErrorKind, Result};
use serde_json::Map;

use crate::ids::ObjectIds;
use crate::objects::fields::{Of, Special};
use crate::objects::graph::{Graph, MODEL};
use crate::objects::kinds::Kind;
use crate::tabular::Database;
use find::{Finder, Found, Row};

/// What is done to the objects of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Create,
    /// Properties that are not named keep their values.
    Alter,
    /// With all that belongs to the object.
    Delete,
    Rename,
    Refresh,
}

/// Rows of one collection (`Tables`, `Columns`, `Model` …) under one verb. A row is element names
/// and texts; an object is named by its number (`ID`, `TableID`) or by names (`TableID.Table`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectChange {
    pub verb: Verb,
    pub collection: String,
    pub rows: Vec<Vec<(String, String)>>,
}

/// A model after changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    pub database: Database,
    pub ids: ObjectIds,
    /// Table (`None` for the whole model), partition (`None` for the whole table), kind of refresh.
    pub refreshes: Vec<(Option<String>, Option<String>, i64)>,
}

/// Applies changes in their order; all or nothing. Within neighbouring creations objects may refer
/// to each other in any order.
pub fn apply_changes(
    database: &Database,
    ids: &ObjectIds,
    changes: &[ObjectChange],
) -> Result<Changed> {
    let mut graph = Graph::of(database)?;
    let mut ids = ids.clone();
    ids.number(&mut graph);
    let by_id = graph.all().map(|(i, o)| (o.id, i)).collect();
    let mut work = Work { graph, by_id, pending: Vec::new(), refreshes: Vec::new() };
    let mut rest = changes;
    while let Some(first) = rest.first() {
        let run = match first.verb {
            Verb::Create => rest.iter().take_while(|c| c.verb == Verb::Create).count(),
            _ => 1,
        };
        let (now, later) = rest.split_at_checked(run).unwrap_or((rest, &[]));
        match first.verb {
            Verb::Create => work.create(now)?,
            _ => work.apply(first)?,
        }
        rest = later;
    }
    work.link_pending(true)?;
    let refreshes = work.refreshes();
    let mut graph = work.graph;
    ids.number(&mut graph);
    Ok(Changed { database: graph.database()?, ids, refreshes })
}

struct Work {
    graph: Graph,
    by_id: HashMap<u64, usize>,
    /// Links whose target was not there yet: object, column, row.
    pending: Vec<(usize, &'static str, Row)>,
    refreshes: Vec<(usize, i64)>,
}

impl Work {
    fn finder(&self) -> Finder<'_> {
        Finder { graph: &self.graph, by_id: &self.by_id }
    }

    fn create(&mut self, changes: &[ObjectChange]) -> Result<()> {
        let mut rows: Vec<(Kind, Row)> = Vec::new();
        for change in changes {
            let kind = kind_of(change)?;
            rows.extend(change.rows.iter().map(|r| (kind, Row(r.clone()))));
        }
        // What others belong to comes first, whatever the order of the collections.
        rows.sort_by_key(|(kind, _)| *kind);
        for (kind, row) in rows {
            self.create_one(kind, &row).map_err(|e| said(e, "Creating", kind, &row))?;
        }
        self.link_pending(false)
    }

    fn create_one(&mut self, kind: Kind, row: &Row) -> Result<()> {
        // Row numbers are the engine's own matter.
        if kind == Kind::Column && row.get("Type") == Some("3") {
            return Ok(());
        }
        if kind == Kind::Model {
            return Err(Error::invalid("a database has its model already; alter it instead"));
        }
        let parent = match self.finder().parent(kind, row)? {
            Found::At(parent) => parent,
            _ => return Err(Error::invalid("the row does not say what the object belongs to")),
        };
        let place = self.graph.objects.get(parent).and_then(|p| p.kind.place_of(kind));
        let is_single = place.is_some_and(|p| !p.many);
        if place.is_none() && kind != Kind::ObjectTranslation {
            return Err(Error::invalid("an object of this kind cannot belong to that one"));
        }
        if is_single && let Some(old) = self.graph.only_child(parent, kind) {
            if kind == Kind::AttributeHierarchy {
                return self.write(old, row);
            }
            remove::remove(&mut self.graph, old);
        }
        let index = self.graph.add(kind, Some(parent), Map::new());
        if kind == Kind::Column {
            self.graph.add(Kind::AttributeHierarchy, Some(index), Map::new());
        }
        self.write(index, row)?;
        if let Some(object) = self.graph.objects.get_mut(index) {
            write::required(&mut object.own, kind);
        }
        Ok(())
    }

    fn apply(&mut self, change: &ObjectChange) -> Result<()> {
        let kind = kind_of(change)?;
        for row in &change.rows {
            let row = Row(row.clone());
            let (doing, done) = match change.verb {
                Verb::Create => ("Creating", self.create_one(kind, &row)),
                Verb::Alter => ("Altering", self.alter(kind, &row)),
                Verb::Rename => ("Renaming", self.rename(kind, &row)),
                Verb::Delete => ("Deleting", self.delete(kind, &row)),
                Verb::Refresh => ("Refreshing", self.refresh(kind, &row)),
            };
            done.map_err(|e| said(e, doing, kind, &row))?;
        }
        Ok(())
    }

    fn alter(&mut self, kind: Kind, row: &Row) -> Result<()> {
        let index = self.finder().object(kind, row)?;
        let parent = match self.finder().parent(kind, row) {
            Ok(Found::At(parent)) if kind != Kind::Model => Some(parent),
            _ => None,
        };
        if let Some(parent) = parent
            && self.graph.objects.get(index).is_some_and(|o| o.parent != Some(parent))
        {
            self.graph.move_to(index, parent);
        }
        self.write(index, row)
    }

    fn rename(&mut self, kind: Kind, row: &Row) -> Result<()> {
        let index = self.finder().object(kind, row)?;
        let key = kind.spec().key;
        let name = ["Name", "ExplicitName", "Folder", "MemberName"];
        let name = name.iter().find_map(|n| row.get(n)).filter(|n| !n.is_empty());
        let (Some(name), false) = (name, key.is_empty()) else {
            return Err(Error::invalid("the row has no new Name"));
        };
        if let Some(object) = self.graph.objects.get_mut(index) {
            object.own.insert(key.to_owned(), name.into());
            object.own.shift_remove("isNameInferred");
        }
        Ok(())
    }

    fn delete(&mut self, kind: Kind, row: &Row) -> Result<()> {
        match self.finder().object(kind, row) {
            Ok(MODEL) => Err(Error::invalid("the model goes only with its database")),
            Ok(index) => {
                remove::remove(&mut self.graph, index);
                Ok(())
            }
            // It went with something else of the same changes.
            Err(e) if e.kind == ErrorKind::NotFound && self.was_there(row) => Ok(()),
            Err(e) => Err(e),
        }
    }

    fn was_there(&self, row: &Row) -> bool {
        row.get("ID").and_then(|id| id.parse().ok()).is_some_and(|id: u64| {
            self.by_id.get(&id).and_then(|i| self.graph.objects.get(*i)).is_some_and(|o| o.gone)
        })
    }

    fn refresh(&mut self, kind: Kind, row: &Row) -> Result<()> {
        if !matches!(kind, Kind::Model | Kind::Table | Kind::Partition) {
            return Err(Error::invalid("only models, tables and partitions are refreshed"));
        }
        let index = self.finder().object(kind, row)?;
        let refresh = row.get("RefreshType").and_then(|t| t.trim().parse().ok());
        let Some(refresh) = refresh.filter(|t| (1..=7).contains(t)) else {
            return Err(Error::invalid(
                "RefreshType must be 1 full, 2 clearValues, 3 calculate, 4 dataOnly, 5 automatic, \
                 6 add or 7 defragment",
            ));
        };
        self.refreshes.push((index, refresh));
        Ok(())
    }

    /// Writes the properties and links a row names.
    fn write(&mut self, index: usize, row: &Row) -> Result<()> {
        let Some(object) = self.graph.objects.get_mut(index) else { return Ok(()) };
        let kind = object.kind;
        write::properties(&mut object.own, kind, row)?;
        for field in kind.spec().fields {
            if let Of::Link(_) = field.of
                && self.link(index, field.column, row).is_err()
            {
                self.pending.push((index, field.column, row.clone()));
            }
        }
        Ok(())
    }

    fn link(&mut self, index: usize, column: &'static str, row: &Row) -> Result<()> {
        let Some(kind) = self.graph.objects.get(index).map(|o| o.kind) else { return Ok(()) };
        let field = kind.spec().fields.iter().find(|f| f.column == column);
        let Some(Of::Link(link)) = field.map(|f| f.of) else { return Ok(()) };
        match self.finder().reference(row, column, link.target())? {
            Found::Nothing => {}
            Found::Cleared => remove::unlink(&mut self.graph, index, column, link),
            Found::At(target) => self.graph.set_link(index, column, target),
        }
        Ok(())
    }

    fn link_pending(&mut self, is_last: bool) -> Result<()> {
        for (index, column, row) in std::mem::take(&mut self.pending) {
            if self.graph.objects.get(index).is_none_or(|o| o.gone) {
                continue;
            }
            if let Err(error) = self.link(index, column, &row) {
                if is_last {
                    let kind = self.graph.objects.get(index).map_or(Kind::Model, |o| o.kind);
                    return Err(said(error, "Changing", kind, &row));
                }
                self.pending.push((index, column, row));
            }
        }
        Ok(())
    }

    fn refreshes(&self) -> Vec<(Option<String>, Option<String>, i64)> {
        let name = |i: usize| Some(self.graph.name(i).to_owned());
        let live = |i: &usize| self.graph.objects.get(*i).filter(|o| !o.gone);
        let named = self.refreshes.iter().filter_map(|(i, refresh)| {
            let object = live(i)?;
            Some(match object.kind {
                Kind::Table => (name(*i), None, *refresh),
                Kind::Partition => (object.parent.and_then(name), name(*i), *refresh),
                _ => (None, None, *refresh),
            })
        });
        named.collect()
    }
}

fn kind_of(change: &ObjectChange) -> Result<Kind> {
    Kind::of_collection(&change.collection).ok_or_else(|| {
        Error::unsupported(format!(
            "Changing the objects of collection '{}': objects of this kind cannot be changed one \
             by one. Deploy the model as a TMSL document instead.",
            change.collection
        ))
    })
}

/// An error with the kind and the name of the object it speaks of.
fn said(error: Error, doing: &str, kind: Kind, row: &Row) -> Error {
    let name = ["Name", "ExplicitName", "Folder", "MemberName", "ID"];
    let name = name.iter().find_map(|n| row.get(n)).unwrap_or_default();
    let of = kind.spec().name;
    error.context(if name.is_empty() {
        format!("{doing} {of}")
    } else {
        format!("{doing} {of} '{name}'")
    })
}

/// Columns that clients may send back and that say nothing to keep.
fn is_read_only(special: Special) -> bool {
    matches!(
        special,
        Special::Id
            | Special::Version
            | Special::ModelVersion
            | Special::Modified
            | Special::StructureModified
            | Special::Refreshed
            | Special::State
            | Special::ErrorMessage
            | Special::SystemFlags
            | Special::ObjectType
            | Special::LongObjectType
            | Special::MeasureType
    )
}

#[cfg(test)]
mod tests;
