//! The place of an object in the canonical form of its database.

use evercube_base::{Error, Result};
use serde_json::{Map, Value as Json};

use super::properties;
use crate::objects::kinds::{Kind, Place};
use crate::tmsl::{Definition, ObjectKind, ObjectPath};

/// Where one object is or would be.
pub(super) struct Slot<'a> {
    parent: &'a mut Map<String, Json>,
    place: Place,
    key: &'static str,
    name: String,
    kind: ObjectKind,
}

/// Properties without which an object would be another one: they stay where a definition does
/// not give them.
const LASTING: [&str; 17] = [
    "name",
    "id",
    "compatibilityLevel",
    "type",
    "dataType",
    "sourceColumn",
    "source",
    "expression",
    "fromTable",
    "fromColumn",
    "toTable",
    "toColumn",
    "connectionString",
    "connectionDetails",
    "credential",
    "memberName",
    "lineageTag",
];

impl<'a> Slot<'a> {
    pub fn of(database: &'a mut Json, path: &ObjectPath) -> Result<Self> {
        let kind = path.kind();
        let Some(own) = kind.kind() else {
            return Err(Error::invalid("the path ends at the database, not at an object of it"));
        };
        let database = as_object(database, "database")?;
        if kind == ObjectKind::Model {
            let place = Place { kind: Kind::Model, property: "model", many: false };
            return Ok(Self { parent: database, place, key: "", name: String::new(), kind });
        }
        let model = database.entry("model").or_insert_with(|| Json::Object(Map::new()));
        let mut parent = as_object(model, "model")?;
        let mut parent_kind = Kind::Model;
        let outer =
            |holder: ObjectKind, name: &Option<String>| name.clone().filter(|_| kind != holder);
        if let Some(table) = outer(ObjectKind::Table, &path.table) {
            parent = member(parent, "tables", &table, "table")?;
            parent_kind = Kind::Table;
        } else if kind.belongs_to_table() {
            return Err(Error::invalid(format!("a {kind} is named with its 'table'")));
        }
        if let Some(role) = outer(ObjectKind::Role, &path.role) {
            parent = member(parent, "roles", &role, "role")?;
            parent_kind = Kind::Role;
        } else if kind.belongs_to_role() {
            return Err(Error::invalid(format!("a {kind} is named with its 'role'")));
        }
        if kind == ObjectKind::CalculationItem {
            let group = parent.get_mut("calculationGroup").ok_or_else(|| {
                Error::not_found("the table has no calculation group for the item")
            })?;
            parent = as_object(group, "calculationGroup")?;
            parent_kind = Kind::CalculationGroup;
        }
        let place = parent_kind.place_of(own).ok_or_else(|| {
            Error::invalid(format!("a {kind} cannot stand there; correct the path"))
        })?;
        let name = path.name().to_owned();
        Ok(Self { parent, place, key: own.spec().key, name, kind })
    }

    fn position(&self) -> Option<usize> {
        let list = self.parent.get(self.place.property)?.as_array()?;
        named(list, self.key, &self.name)
    }

    pub fn is_filled(&self) -> bool {
        if self.place.many {
            self.position().is_some()
        } else {
            self.parent.contains_key(self.place.property)
        }
    }

    /// Puts a definition in the place of the object, all of it; adds it where there is none.
    pub fn replace(self, definition: &Definition, may_add: bool) -> Result<()> {
        self.put(definition.value().clone(), may_add)
    }

    fn put(self, mut value: Json, may_add: bool) -> Result<()> {
        if let Json::Object(map) = &mut value
            && !self.key.is_empty()
            && !map.contains_key(self.key)
        {
            // The name goes first, as in any definition.
            let rest = std::mem::take(map);
            map.insert(self.key.to_owned(), Json::String(self.name.clone()));
            map.extend(rest);
        }
        if !self.place.many {
            self.parent.insert(self.place.property.to_owned(), value);
            return Ok(());
        }
        let position = self.position();
        let list = self.parent.entry(self.place.property).or_insert_with(|| Json::Array(vec![]));
        let Json::Array(list) = list else {
            return Err(Error::internal(format!("'{}' is no list", self.place.property)));
        };
        match position.and_then(|i| list.get_mut(i)) {
            Some(item) => *item = value,
            None if may_add => list.push(value),
            None => return Err(Error::not_found("it does not exist")),
        }
        Ok(())
    }

    /// Gives the object the properties of a definition. Properties that are not given return to
    /// their defaults; objects that belong to it stay unless given.
    pub fn alter(self, definition: &Definition) -> Result<()> {
        let old = if self.place.many {
            let list = self.parent.get(self.place.property).and_then(Json::as_array);
            self.position().and_then(|i| list.and_then(|l| l.get(i)))
        } else {
            self.parent.get(self.place.property)
        };
        let Some(old) = old else {
            return Err(Error::not_found("it does not exist; use create to add it"));
        };
        let kind = self.kind.kind().unwrap_or(Kind::Model);
        let stays = |key: &str| {
            LASTING.contains(&key) || kind.places().iter().any(|place| place.property == key)
        };
        let mut merged = properties(old);
        merged.retain(|key, _| stays(key));
        merged.extend(properties(definition.value()));
        self.put(Json::Object(merged), false)
    }
}

/// Gives the database the properties of a definition; of its model, those that are given.
pub(super) fn alter_database(database: &mut Json, definition: &Definition) -> Result<()> {
    let database = as_object(database, "database")?;
    for (key, value) in properties(definition.value()) {
        match (database.get_mut(&key), value) {
            (Some(Json::Object(model)), Json::Object(given)) if key == "model" => {
                model.extend(given);
            }
            (_, value) => {
                database.insert(key, value);
            }
        }
    }
    Ok(())
}

fn as_object<'a>(value: &'a mut Json, what: &str) -> Result<&'a mut Map<String, Json>> {
    value.as_object_mut().ok_or_else(|| Error::internal(format!("'{what}' is no object")))
}

/// Position of an object by name: as written, else letter case aside.
fn named(list: &[Json], key: &str, name: &str) -> Option<usize> {
    let names = || list.iter().map(|item| item.get(key).and_then(Json::as_str));
    let lower = name.to_lowercase();
    let exact = names().position(|n| n == Some(name));
    exact.or_else(|| names().position(|n| n.is_some_and(|n| n.to_lowercase() == lower)))
}

fn member<'a>(
    parent: &'a mut Map<String, Json>,
    property: &str,
    name: &str,
    kind: &str,
) -> Result<&'a mut Map<String, Json>> {
    let list = parent.get_mut(property).and_then(Json::as_array_mut);
    let found = list.and_then(|list| {
        let position = named(list, "name", name)?;
        list.get_mut(position)?.as_object_mut()
    });
    found.ok_or_else(|| Error::not_found(format!("the {kind} '{name}' does not exist")))
}
