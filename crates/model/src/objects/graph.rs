//! The objects of a database in one list, each with its parent, its children and its links.

use evercube_base::{Error, Result};
use serde_json::{Map, Value as Json};

use super::fields::{Link, Of};
use super::kinds::Kind;
use super::translations;
use crate::tabular::Database;

/// One object. Its own properties are as TMSL has them, without the objects that belong to it.
#[derive(Debug, Clone)]
pub struct Object {
    pub kind: Kind,
    /// Zero before it has one.
    pub id: u64,
    pub parent: Option<usize>,
    pub children: Vec<usize>,
    pub own: Map<String, Json>,
    /// Column of the link and the object it points at.
    pub links: Vec<(&'static str, usize)>,
    pub gone: bool,
}

/// A database as objects; the model is the first. Removed objects stay in the list as gone.
#[derive(Debug, Clone)]
pub struct Graph {
    /// Properties of the database beside its model.
    pub shell: Map<String, Json>,
    pub objects: Vec<Object>,
}

pub const MODEL: usize = 0;

impl Graph {
    /// Takes a database apart.
    pub fn of(database: &Database) -> Result<Self> {
        let json = serde_json::to_value(database)
            .map_err(|e| Error::internal(format!("Reading the model object by object: {e}")))?;
        let mut shell = match json {
            Json::Object(map) => map,
            _ => return Err(Error::internal("Reading the model object by object: not an object")),
        };
        let model = match shell.shift_remove("model") {
            Some(Json::Object(map)) => map,
            _ => Map::new(),
        };
        let mut graph = Self { shell, objects: Vec::new() };
        graph.take_apart(Kind::Model, None, model);
        graph.resolve_names();
        translations::take_apart(&mut graph);
        Ok(graph)
    }

    /// Adds an object as the last child of its parent.
    pub fn add(&mut self, kind: Kind, parent: Option<usize>, own: Map<String, Json>) -> usize {
        let index = self.objects.len();
        let (children, links) = (Vec::new(), Vec::new());
        self.objects.push(Object { kind, id: 0, parent, children, own, links, gone: false });
        if let Some(parent) = parent.and_then(|p| self.objects.get_mut(p)) {
            parent.children.push(index);
        }
        index
    }

    fn take_apart(&mut self, kind: Kind, parent: Option<usize>, mut own: Map<String, Json>) {
        let mut parts = Vec::new();
        for place in kind.places() {
            let fits = match own.get(place.property) {
                Some(Json::Array(items)) => place.many && items.iter().all(Json::is_object),
                Some(Json::Object(_)) => !place.many,
                _ => false,
            };
            // What does not have the expected form stays where it is, untouched.
            if fits && let Some(value) = own.shift_remove(place.property) {
                parts.push((place.kind, value));
            } else if place.kind == Kind::AttributeHierarchy {
                parts.push((place.kind, Json::Object(Map::new())));
            }
        }
        let index = self.add(kind, parent, own);
        for (kind, value) in parts {
            match value {
                Json::Array(items) => {
                    for item in items {
                        if let Json::Object(map) = item {
                            self.take_apart(kind, Some(index), map);
                        }
                    }
                }
                Json::Object(map) => self.take_apart(kind, Some(index), map),
                _ => {}
            }
        }
    }

    fn resolve_names(&mut self) {
        // In the order of kinds: what lies in a permission is found through the permission's table.
        let mut order: Vec<usize> = (0..self.objects.len()).collect();
        order.sort_by_key(|i| self.objects.get(*i).map(|o| o.kind));
        for index in order {
            let Some(object) = self.objects.get(index) else { continue };
            let mut links = Vec::new();
            for field in object.kind.spec().fields {
                if let Of::Link(link) = field.of
                    && let Some(target) = self.find_link(index, link)
                {
                    links.push((field.column, target));
                }
            }
            if let Some(object) = self.objects.get_mut(index) {
                object.links = links;
            }
        }
    }

    fn find_link(&self, index: usize, link: Link) -> Option<usize> {
        let own = &self.objects.get(index)?.own;
        match link {
            Link::Top(kind, property) => self.find_child(MODEL, kind, text_at(own, property)?),
            Link::Near(kind, property) => {
                self.find_child(self.table_of(index)?, kind, text_at(own, property)?)
            }
            Link::Pair(kind, table, name) => {
                let table = self.find_child(MODEL, Kind::Table, text_at(own, table)?)?;
                self.find_child(table, kind, text_at(own, name)?)
            }
            Link::Any => None,
        }
    }

    /// The table an object lies in or, for parts of permissions and perspectives, speaks of.
    pub fn table_of(&self, index: usize) -> Option<usize> {
        let mut at = index;
        loop {
            let object = self.objects.get(at)?;
            match object.kind {
                Kind::Table => return Some(at),
                Kind::PerspectiveTable | Kind::TablePermission => return self.link(at, "TableID"),
                _ => at = object.parent?,
            }
        }
    }

    /// The object a link column points at.
    pub fn link(&self, index: usize, column: &str) -> Option<usize> {
        let links = &self.objects.get(index)?.links;
        links.iter().find(|(c, _)| *c == column).map(|(_, target)| *target)
    }

    pub fn children(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let list = self.objects.get(index).map_or(&[][..], |o| &o.children);
        list.iter().copied().filter(|i| self.objects.get(*i).is_some_and(|o| !o.gone))
    }

    /// A child by kind and name: as written, else letter case aside.
    pub fn find_child(&self, parent: usize, kind: Kind, name: &str) -> Option<usize> {
        let of_kind = |i: &usize| self.objects.get(*i).is_some_and(|o| o.kind == kind);
        self.children(parent).filter(of_kind).find(|i| self.name(*i) == name).or_else(|| {
            let name = name.to_lowercase();
            self.children(parent).filter(of_kind).find(|i| self.name(*i).to_lowercase() == name)
        })
    }

    /// A child by kind and name, the last of those that fit.
    pub fn newest_child(&self, parent: usize, kind: Kind, name: &str) -> Option<usize> {
        let exact = self.children(parent).filter(|i| {
            self.objects.get(*i).is_some_and(|o| o.kind == kind) && self.name(*i) == name
        });
        exact.last().or_else(|| self.find_child(parent, kind, name))
    }

    /// Moves an object to the end of another parent's children.
    pub fn move_to(&mut self, index: usize, parent: usize) {
        let old = self.objects.get(index).and_then(|o| o.parent);
        if let Some(old) = old.and_then(|p| self.objects.get_mut(p)) {
            old.children.retain(|i| *i != index);
        }
        if let Some(new) = self.objects.get_mut(parent) {
            new.children.push(index);
        }
        if let Some(object) = self.objects.get_mut(index) {
            object.parent = Some(parent);
        }
    }

    pub fn set_link(&mut self, index: usize, column: &'static str, target: usize) {
        self.drop_link(index, column);
        if let Some(object) = self.objects.get_mut(index) {
            object.links.push((column, target));
        }
    }

    pub fn drop_link(&mut self, index: usize, column: &str) {
        if let Some(object) = self.objects.get_mut(index) {
            object.links.retain(|(c, _)| *c != column);
        }
    }

    /// The single child of a kind.
    pub fn only_child(&self, parent: usize, kind: Kind) -> Option<usize> {
        self.children(parent).find(|i| self.objects.get(*i).is_some_and(|o| o.kind == kind))
    }

    pub fn name(&self, index: usize) -> &str {
        let Some(object) = self.objects.get(index) else { return "" };
        if let Some(target) = name_link(object.kind).and_then(|column| self.link(index, column)) {
            return self.name(target);
        }
        let name = object.own.get(object.kind.spec().key).and_then(Json::as_str);
        match object.kind {
            Kind::Model => name.unwrap_or("Model"),
            _ => name.unwrap_or_default(),
        }
    }

    /// The objects that are there, by index.
    pub fn all(&self) -> impl Iterator<Item = (usize, &Object)> {
        self.objects.iter().enumerate().filter(|(_, o)| !o.gone)
    }
}

/// The link that gives objects of this kind their name.
pub fn name_link(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::PerspectiveTable | Kind::TablePermission => "TableID",
        Kind::PerspectiveColumn | Kind::ColumnPermission => "ColumnID",
        Kind::PerspectiveMeasure => "MeasureID",
        Kind::PerspectiveHierarchy => "HierarchyID",
        Kind::GroupByColumn => "GroupingColumnID",
        _ => return None,
    })
}

/// Value at a path of property names.
pub fn value_at<'a>(own: &'a Map<String, Json>, path: &str) -> Option<&'a Json> {
    match path.split_once('.') {
        None => own.get(path),
        Some((first, rest)) => value_at(own.get(first)?.as_object()?, rest),
    }
}

pub fn text_at<'a>(own: &'a Map<String, Json>, path: &str) -> Option<&'a str> {
    value_at(own, path)?.as_str()
}

/// Sets or, with `None`, removes the value at a path; an inner object left empty goes as well.
pub fn set_at(own: &mut Map<String, Json>, path: &str, value: Option<Json>) {
    match (path.split_once('.'), value) {
        (None, Some(value)) => {
            own.insert(path.to_owned(), value);
        }
        (None, None) => {
            own.shift_remove(path);
        }
        (Some((first, rest)), value) => {
            if value.is_none() && !own.get(first).is_some_and(Json::is_object) {
                return;
            }
            let inner = own.entry(first).or_insert_with(|| Json::Object(Map::new()));
            if !inner.is_object() {
                *inner = Json::Object(Map::new());
            }
            if let Json::Object(inner) = inner {
                set_at(inner, rest, value);
                if inner.is_empty() {
                    own.shift_remove(first);
                }
            }
        }
    }
}
