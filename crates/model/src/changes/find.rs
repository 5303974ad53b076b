//! The objects that rows name, by number or by path.

use std::collections::HashMap;

use evercube_base::{Error, Result};

use crate::objects::fields::Of;
use crate::objects::graph::{Graph, MODEL};
use crate::objects::kinds::Kind;
use crate::objects::specs;

/// One row of a change.
#[derive(Debug, Clone)]
pub struct Row(pub Vec<(String, String)>);

impl Row {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The path companions of a reference: for `TableID.Table` the pair `Table` and its value.
    fn path<'a>(&'a self, column: &'a str) -> Vec<(&'a str, &'a str)> {
        let parts = self.0.iter().filter_map(|(name, value)| {
            let (first, rest) = name.split_once('.')?;
            first.eq_ignore_ascii_case(column).then_some((rest, value.as_str()))
        });
        parts.collect()
    }
}

/// What a row says about a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The row does not speak of it.
    Nothing,
    /// It is to point at no object.
    Cleared,
    At(usize),
}

/// Looks objects up.
pub struct Finder<'a> {
    pub graph: &'a Graph,
    pub by_id: &'a HashMap<u64, usize>,
}

impl Finder<'_> {
    /// The object a row of an alteration, deletion, renaming or refresh is about.
    pub fn object(&self, kind: Kind, row: &Row) -> Result<usize> {
        if kind == Kind::Model {
            return Ok(MODEL);
        }
        match self.reference(row, "ID", Some(kind))? {
            Found::At(index) => Ok(index),
            _ => Err(Error::invalid("the row does not say which object it is about (ID)")),
        }
    }

    /// The object a new object belongs to.
    pub fn parent(&self, kind: Kind, row: &Row) -> Result<Found> {
        let column = kind.spec().fields.iter().find(|f| matches!(f.of, Of::Parent));
        let Some(column) = column.map(|f| f.column) else { return Ok(Found::Nothing) };
        if column == "ModelID" {
            return Ok(Found::At(MODEL));
        }
        let name = column.strip_suffix("ID").unwrap_or(column);
        let want = specs::ALL.iter().find(|s| s.name.eq_ignore_ascii_case(name)).map(|s| s.kind);
        self.reference(row, column, want)
    }

    /// The object a column and its companions point at.
    pub fn reference(&self, row: &Row, column: &str, want: Option<Kind>) -> Result<Found> {
        let want = if column == "ObjectID" { object_type(row) } else { want };
        if let Some(text) = row.get(column) {
            let text = text.trim();
            if text.is_empty() || text == "0" {
                return Ok(Found::Cleared);
            }
            let id: u64 = text
                .parse()
                .map_err(|_| Error::invalid(format!("{column} '{text}' is not a whole number")))?;
            let live = |i: &&usize| self.graph.objects.get(**i).is_some_and(|o| !o.gone);
            return match self.by_id.get(&id).filter(live) {
                Some(index) => self.fit(*index, want, column).map(Found::At),
                None => Err(Error::not_found(format!(
                    "{column} {id} is no object of this model. Read the model again: it may have \
                     been changed since."
                ))),
            };
        }
        let mut parts = row.path(column);
        if parts.is_empty() {
            // A row about the model may leave the model unnamed.
            let is_model = column == "ObjectID" && want == Some(Kind::Model);
            return Ok(if is_model { Found::At(MODEL) } else { Found::Nothing });
        }
        if parts.iter().all(|(_, v)| v.is_empty()) {
            return Ok(Found::Cleared);
        }
        let mut at = MODEL;
        while !parts.is_empty() {
            // What holds a table of its own leads to the table, not the other way round.
            let outer = |s: &str| ["Perspective", "Role", "Culture"].contains(&s);
            let has_outer = parts.iter().any(|(s, _)| outer(s));
            let next = parts.iter().enumerate().find_map(|(i, (suffix, name))| {
                let first = !has_outer || outer(suffix);
                first.then(|| self.step(at, suffix, name)).flatten().map(|to| (i, to))
            });
            let Some((i, to)) = next else {
                let named: Vec<String> = parts.iter().map(|(s, n)| format!("{s} '{n}'")).collect();
                return Err(Error::not_found(format!(
                    "{column} names {}, which does not exist",
                    named.join(", ")
                )));
            };
            parts.remove(i);
            at = to;
        }
        self.fit(at, want, column).map(Found::At)
    }

    /// From an object to one that belongs to it.
    fn step(&self, at: usize, suffix: &str, name: &str) -> Option<usize> {
        let here = self.graph.objects.get(at)?.kind;
        if suffix.eq_ignore_ascii_case("Model") {
            return Some(MODEL);
        }
        let wanted = match (here, suffix) {
            (Kind::Perspective, "Table") => Kind::PerspectiveTable,
            (Kind::Role, "Table") => Kind::TablePermission,
            (Kind::PerspectiveTable, "Column") => Kind::PerspectiveColumn,
            (Kind::PerspectiveTable, "Measure") => Kind::PerspectiveMeasure,
            (Kind::PerspectiveTable, "Hierarchy") => Kind::PerspectiveHierarchy,
            (Kind::TablePermission, "Column") => Kind::ColumnPermission,
            _ => specs::ALL.iter().find(|s| s.name.eq_ignore_ascii_case(suffix))?.kind,
        };
        if here == Kind::Table && wanted == Kind::CalculationItem {
            let group = self.graph.only_child(at, Kind::CalculationGroup)?;
            return self.graph.newest_child(group, wanted, name);
        }
        match here.place_of(wanted)?.many {
            true => self.graph.newest_child(at, wanted, name),
            false => self.graph.only_child(at, wanted),
        }
    }

    /// The object, or its single part of the wanted kind.
    fn fit(&self, at: usize, want: Option<Kind>, column: &str) -> Result<usize> {
        let kind = self.graph.objects.get(at).map(|o| o.kind);
        let Some(want) = want.filter(|w| Some(*w) != kind) else { return Ok(at) };
        self.graph.only_child(at, want).ok_or_else(|| {
            Error::not_found(format!(
                "{column} names {} '{}', expected {}",
                kind.map_or("nothing", |k| k.spec().name),
                self.graph.name(at),
                want.spec().name
            ))
        })
    }
}

/// The kind a row gives as the type of the object it belongs to.
fn object_type(row: &Row) -> Option<Kind> {
    let number: i64 = row.get("ObjectType")?.trim().parse().ok()?;
    specs::ALL.iter().find(|s| s.object_type == number).map(|s| s.kind)
}
