//! Columns of every kind of object, with the properties of TMSL they stand for.

mod access;
mod measures;
mod model;
mod tables;

use evercube_base::ColumnKind::{String as Words, UnsignedLong};

use super::fields::Of::{Child, Enum, Flag, Int, Json, Nothing, Parent, Text, Time};
use super::fields::{Field, Link, Of, Special};
use super::kinds::{Kind, Spec};
use crate::enums::*;

const fn f(column: &'static str, of: Of) -> Field {
    Field { column, of }
}
const fn s(column: &'static str, special: Special) -> Field {
    Field { column, of: Of::Special(special) }
}
const fn top(column: &'static str, kind: Kind, property: &'static str) -> Field {
    Field { column, of: Of::Link(Link::Top(kind, property)) }
}
const fn near(column: &'static str, kind: Kind, property: &'static str) -> Field {
    Field { column, of: Of::Link(Link::Near(kind, property)) }
}
const fn pair(column: &'static str, kind: Kind, table: &'static str, name: &'static str) -> Field {
    Field { column, of: Of::Link(Link::Pair(kind, table, name)) }
}

/// Every kind once, in the order of [`Kind`].
pub static ALL: &[Spec] = &[
    model::MODEL,
    model::QUERY_GROUP,
    model::DATA_SOURCE,
    model::EXPRESSION,
    model::FUNCTION,
    tables::TABLE,
    measures::CALCULATION_GROUP,
    tables::COLUMN,
    tables::ATTRIBUTE_HIERARCHY,
    tables::PARTITION,
    measures::MEASURE,
    measures::HIERARCHY,
    measures::LEVEL,
    model::RELATIONSHIP,
    tables::VARIATION,
    tables::ALTERNATE_OF,
    tables::RELATED_COLUMN_DETAILS,
    tables::GROUP_BY_COLUMN,
    measures::CALCULATION_ITEM,
    measures::KPI,
    tables::REFRESH_POLICY,
    measures::DETAIL_ROWS_DEFINITION,
    measures::FORMAT_STRING_DEFINITION,
    access::PERSPECTIVE,
    access::PERSPECTIVE_TABLE,
    access::PERSPECTIVE_COLUMN,
    access::PERSPECTIVE_MEASURE,
    access::PERSPECTIVE_HIERARCHY,
    access::ROLE,
    access::ROLE_MEMBERSHIP,
    access::TABLE_PERMISSION,
    access::COLUMN_PERMISSION,
    access::CULTURE,
    access::LINGUISTIC_METADATA,
    access::OBJECT_TRANSLATION,
    model::EXTENDED_PROPERTY,
    model::CHANGED_PROPERTY,
    model::ANNOTATION,
];

/// The spec of a kind.
pub fn of(kind: Kind) -> &'static Spec {
    &ALL[kind as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_spec() {
        for (i, spec) in ALL.iter().enumerate() {
            assert_eq!(spec.kind as usize, i);
        }
        assert_eq!(ALL.len(), Kind::Annotation as usize + 1);
    }
}
