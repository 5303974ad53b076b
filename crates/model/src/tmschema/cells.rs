//! One cell of a metadata rowset.

use evercube_base::{DateTime, Value};
use serde_json::Value as Json;

use super::ModelFacts;
use crate::objects::fields::{Field, Of, Special};
use crate::objects::graph::{Graph, Object, text_at, value_at};
use crate::objects::kinds::Kind;
use crate::objects::wire;

/// What cells are made from.
pub struct Source<'a> {
    pub graph: &'a Graph,
    pub facts: &'a dyn ModelFacts,
}

/// Object states of the protocol.
const READY: i64 = 1;
const NO_DATA: i64 = 3;
const CALCULATION_NEEDED: i64 = 4;
const SEMANTIC_ERROR: i64 = 5;
/// Type of a measure of which nothing better is known.
const VARIANT: i64 = 20;

impl Source<'_> {
    pub fn cell(&self, index: usize, field: &Field) -> Value {
        let Some(object) = self.graph.objects.get(index) else { return Value::Blank };
        match field.of {
            Of::Link(_) => self.id(self.graph.link(index, field.column)),
            Of::Parent => self.id(object.parent),
            Of::Child(kind) => self.id(self.graph.only_child(index, kind)),
            Of::Special(special) => self.special(index, object, special),
            Of::Time(property) => {
                text_at(&object.own, property).and_then(DateTime::parse_iso).into_value()
            }
            // Secrets go in, never out.
            _ if field.column == "Password" => Value::Blank,
            _ => self.named(index, object, field),
        }
    }

    fn named(&self, index: usize, object: &Object, field: &Field) -> Value {
        let value = wire::plain(&object.own, field);
        match (object.kind, field.column) {
            (Kind::Model, "Name") => self.graph.name(index).into(),
            (Kind::Model, "Culture") if value.is_blank() => "en-US".into(),
            // Clients tell relationships apart by their names.
            (Kind::Relationship, "Name") if wire::is_empty(&value) => object.id.to_string().into(),
            (_, "ConnectionString") => match &value {
                Value::String(text) => wire::without_password(text).into(),
                _ => value,
            },
            _ => value,
        }
    }

    fn id(&self, index: Option<usize>) -> Value {
        index.and_then(|i| self.graph.objects.get(i)).map_or(Value::Blank, |o| number(o.id))
    }

    fn special(&self, index: usize, object: &Object, special: Special) -> Value {
        match special {
            Special::Id => number(object.id),
            Special::Version | Special::ModelVersion => number(self.facts.version()),
            Special::Modified => Value::DateTime(self.facts.modified()),
            Special::StructureModified => Value::DateTime(self.facts.structure_modified()),
            Special::Refreshed => self.refreshed(index).into_value(),
            Special::State => Value::Int(self.state(index, object)),
            Special::ErrorMessage => self.error(index, object).into_value(),
            Special::SystemFlags => Value::Int(0),
            Special::ObjectType | Special::LongObjectType => {
                let of = match object.kind {
                    Kind::ObjectTranslation => self.graph.link(index, "ObjectID"),
                    _ => object.parent,
                };
                let of = of.and_then(|i| self.graph.objects.get(i));
                of.map_or(Value::Blank, |o| Value::Int(o.kind.spec().object_type))
            }
            Special::MeasureType => {
                let known = self.facts.measure_type(self.graph.name(index));
                Value::Int(known.map_or(VARIANT, evercube_base::DataType::tom_code))
            }
            Special::InferredDataType if !object.own.contains_key("dataType") => {
                let known = self.facts.column_type(self.table_name(index), self.graph.name(index));
                known.map_or_else(
                    || wire::special(&object.own, special),
                    |t| Value::Int(t.tom_code()),
                )
            }
            _ => wire::special(&object.own, special),
        }
    }

    fn table_name(&self, index: usize) -> &str {
        self.graph.table_of(index).map_or("", |t| self.graph.name(t))
    }

    /// What is wrong with the object.
    fn error(&self, index: usize, object: &Object) -> Option<String> {
        let inner = |i: usize| format!("{}[{}]", self.table_name(i), self.graph.name(i));
        match object.kind {
            Kind::Column | Kind::Measure | Kind::CalculationItem => self.facts.state(&inner(index)),
            Kind::FormatStringDefinition => {
                let of = object.parent.map_or_else(String::new, inner);
                self.facts.state(&format!("{of}/formatStringDefinition"))
            }
            Kind::Partition if text_at(&object.own, "source.type") == Some("calculated") => {
                self.facts.state(self.table_name(index))
            }
            Kind::Function => self.facts.state(&format!("function '{}'", self.graph.name(index))),
            Kind::TablePermission => {
                let role = object.parent.map_or("", |p| self.graph.name(p));
                self.facts.state(&format!("role '{role}'/table '{}'", self.graph.name(index)))
            }
            _ => None,
        }
    }

    fn state(&self, index: usize, object: &Object) -> i64 {
        if self.error(index, object).is_some() {
            return SEMANTIC_ERROR;
        }
        let waits = match object.kind {
            Kind::Partition | Kind::Column | Kind::AttributeHierarchy | Kind::Hierarchy => {
                self.refreshed(index).is_none() && self.is_stored(index, object)
            }
            Kind::Relationship => ["FromTableID", "ToTableID"].iter().any(|side| {
                self.graph.link(index, side).is_some_and(|t| self.table_refreshed(t).is_none())
            }),
            _ => false,
        };
        match text_at(&object.own, "type").or_else(|| text_at(&object.own, "source.type")) {
            _ if !waits => READY,
            Some("calculated") => CALCULATION_NEEDED,
            _ => NO_DATA,
        }
    }

    /// Columns and partitions of a calculation group hold no data to wait for.
    fn is_stored(&self, index: usize, object: &Object) -> bool {
        let table = self.graph.table_of(index);
        value_at(&object.own, "source.type").and_then(Json::as_str) != Some("calculationGroup")
            && table.is_none_or(|t| self.graph.only_child(t, Kind::CalculationGroup).is_none())
    }

    fn refreshed(&self, index: usize) -> Option<DateTime> {
        let object = self.graph.objects.get(index)?;
        match object.kind {
            Kind::Partition => self.facts.refreshed(self.table_name(index), self.graph.name(index)),
            Kind::Relationship => {
                let from = self.table_refreshed(self.graph.link(index, "FromTableID")?)?;
                Some(from.max(self.table_refreshed(self.graph.link(index, "ToTableID")?)?))
            }
            _ => self.table_refreshed(self.graph.table_of(index)?),
        }
    }

    fn table_refreshed(&self, table: usize) -> Option<DateTime> {
        let partitions = self
            .graph
            .children(table)
            .filter(|i| self.graph.objects.get(*i).is_some_and(|o| o.kind == Kind::Partition));
        partitions
            .filter_map(|p| self.facts.refreshed(self.graph.name(table), self.graph.name(p)))
            .max()
    }
}

fn number(n: u64) -> Value {
    i64::try_from(n).map_or(Value::Blank, Value::Int)
}

trait IntoValue {
    fn into_value(self) -> Value;
}

impl<T: Into<Value>> IntoValue for Option<T> {
    fn into_value(self) -> Value {
        self.map_or(Value::Blank, Into::into)
    }
}
