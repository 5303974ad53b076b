//! The functions of M this product has, by name. What is not here is named when it is used.

mod args;
mod date;
mod list;
mod number;
mod operators;
mod record;
mod source;
mod table;
mod text;
mod types;

use std::rc::Rc;

use evercube_base::Result;

use self::args::Args;
pub(crate) use self::operators::{arithmetic, equal, is_of};
pub(crate) use self::types::{constant, primitive};
use super::eval::Interp;
use super::value::{Lazy, M};

type Call = fn(&Args<'_>) -> Result<M>;

/// Functions by namespace, and what calls those of it.
const LIBRARIES: [(&[&str], Call); 8] = [
    (table::NAMES, table::call),
    (text::NAMES, text::call),
    (list::NAMES, list::call),
    (record::NAMES, record::call),
    (date::NAMES, date::call),
    (number::NAMES, number::call),
    (source::NAMES, source::call),
    (&["Value.Metadata"], metadata),
];

pub(crate) fn builtin(name: &str) -> Option<&'static str> {
    LIBRARIES.iter().find_map(|(names, _)| names.iter().find(|n| **n == name).copied())
}

/// Calls a function that [`builtin`] knows.
pub(crate) fn call(it: &Rc<Interp>, name: &'static str, args: &[Lazy]) -> Result<M> {
    let library = LIBRARIES.iter().find(|(names, _)| names.contains(&name));
    library.map_or(Ok(M::Null), |(_, call)| call(&Args { it, name, args }))
}

fn metadata(a: &Args<'_>) -> Result<M> {
    Ok(match a.args.first().map(|v| v.force_raw(a.it)).transpose()? {
        Some(M::WithMeta(p)) => p.1.clone(),
        _ => M::Record(Rc::default()),
    })
}
