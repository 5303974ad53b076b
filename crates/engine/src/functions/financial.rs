//! In preparation.

pub(crate) const FAMILIES: &[super::Family] = &[];
