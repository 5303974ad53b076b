//! Conditions put together from others, by operators or by the functions of the same names.

use crate::plan::{Kind, Node};

pub(super) enum Logic<'n> {
    And(&'n Node, &'n Node),
    Or(&'n Node, &'n Node),
    Not(&'n Node),
    /// A condition that is not made of others.
    One(&'n Node),
}

impl<'n> Logic<'n> {
    pub(super) fn of(node: &'n Node) -> Self {
        match &node.kind {
            Kind::And(left, right) => Self::And(left, right),
            Kind::Or(left, right) => Self::Or(left, right),
            Kind::Not(inner) => Self::Not(inner),
            Kind::Scalar { name, arguments, .. } => match (*name, arguments.as_slice()) {
                ("AND", [left, right]) => Self::And(left, right),
                ("OR", [left, right]) => Self::Or(left, right),
                ("NOT", [inner]) => Self::Not(inner),
                _ => Self::One(node),
            },
            _ => Self::One(node),
        }
    }
}

/// The conditions that hold together.
pub(super) fn conjuncts<'n>(node: &'n Node, out: &mut Vec<&'n Node>) {
    match Logic::of(node) {
        Logic::And(left, right) => {
            conjuncts(left, out);
            conjuncts(right, out);
        }
        _ => out.push(node),
    }
}
