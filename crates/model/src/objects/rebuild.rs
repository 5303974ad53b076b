//! A database put together again from its objects.

use evercube_base::{Error, Result};
use serde_json::{Map, Value as Json};

use super::fields::{Link, Of};
use super::graph::{Graph, MODEL, name_link, set_at, text_at};
use super::kinds::Kind;
use super::translations;
use crate::tabular::Database;

impl Graph {
    /// The database these objects make.
    pub fn database(&self) -> Result<Database> {
        let mut shell = self.shell.clone();
        shell.insert("model".into(), Json::Object(self.put_together(MODEL)));
        serde_json::from_value(Json::Object(shell)).map_err(|e| {
            Error::invalid(format!("Putting the changed model together: {e}. Check the changes."))
        })
    }

    fn put_together(&self, index: usize) -> Map<String, Json> {
        let Some(object) = self.objects.get(index) else { return Map::new() };
        let mut own = object.own.clone();
        for field in object.kind.spec().fields {
            if let Of::Link(link) = field.of
                && let Some(target) = self.link(index, field.column)
            {
                self.write_link(&mut own, link, target);
            }
        }
        if let Some(target) = name_link(object.kind).and_then(|c| self.link(index, c)) {
            set_at(&mut own, object.kind.spec().key, Some(self.name(target).into()));
        }
        for place in object.kind.places() {
            let mut parts = self.children(index).filter_map(|i| {
                let child = self.objects.get(i)?;
                (child.kind == place.kind).then(|| Json::Object(self.put_together(i)))
            });
            if place.many {
                let list: Vec<Json> = parts.collect();
                if !list.is_empty() {
                    own.insert(place.property.into(), Json::Array(list));
                }
            } else if let Some(part) = parts.next() {
                let is_empty = part.as_object().is_some_and(Map::is_empty);
                if place.kind != Kind::AttributeHierarchy || !is_empty {
                    own.insert(place.property.into(), part);
                }
            }
        }
        if object.kind == Kind::Culture
            && let Some(tree) = translations::put_together(self, index)
        {
            own.insert("translations".into(), tree);
        }
        own
    }

    fn write_link(&self, own: &mut Map<String, Json>, link: Link, target: usize) {
        let mut write = |property: &str, name: &str| {
            // A name that differs in letter case only is left as it was written.
            let same = |t: &str| t == name || t.to_lowercase() == name.to_lowercase();
            if !text_at(own, property).is_some_and(same) {
                set_at(own, property, Some(name.into()));
            }
        };
        match link {
            Link::Top(_, property) | Link::Near(_, property) => write(property, self.name(target)),
            Link::Pair(_, table, name) => {
                if let Some(table_of) = self.table_of(target) {
                    write(table, self.name(table_of));
                }
                write(name, self.name(target));
            }
            Link::Any => {}
        }
    }
}
