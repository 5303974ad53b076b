//! Functions of records.

use std::rc::Rc;

use evercube_base::{Error, Result};

use super::super::value::{Lazy, M};
use super::args::Args;
use crate::table::Name;

pub(super) const NAMES: &[&str] = &[
    "Record.AddField",
    "Record.Field",
    "Record.FieldCount",
    "Record.FieldNames",
    "Record.FieldOrDefault",
    "Record.FieldValues",
    "Record.HasFields",
    "Record.RemoveFields",
    "Record.SelectFields",
    "Record.ToList",
];

pub(super) fn call(a: &Args<'_>) -> Result<M> {
    let M::Record(r) = a.m(0)? else { return Err(a.wrong(0, "record", &a.m(0)?)) };
    let find = |name: &str| r.iter().find(|f| &*f.0 == name);
    Ok(match a.name {
        "Record.FieldNames" => M::list(r.iter().map(|f| M::Text(f.0.clone()))),
        "Record.FieldCount" => M::int(r.len() as i64),
        "Record.FieldValues" | "Record.ToList" => {
            M::List(Rc::new(r.iter().map(|f| f.1.clone()).collect()))
        }
        "Record.HasFields" => M::Logical(a.names(1)?.iter().all(|n| find(n).is_some())),
        "Record.FieldOrDefault" => match find(&a.text(1)?) {
            Some(f) => f.1.force(a.it)?,
            None => a.m(2)?,
        },
        "Record.AddField" => {
            let name = a.text(1)?;
            if find(&name).is_some() {
                return Err(Error::evaluation(format!(
                    "Record.AddField: the record has a field '{name}' already"
                )));
            }
            let mut out = (*r).clone();
            out.push((name, Lazy::done(a.m(2)?)));
            M::Record(Rc::new(out))
        }
        "Record.RemoveFields" | "Record.SelectFields" => {
            let names = a.names(1)?;
            let missing = names.iter().find(|n| find(n).is_none());
            if let Some(name) = missing.filter(|_| matches!(a.m(2), Ok(M::Null))) {
                return Err(Error::evaluation(format!(
                    "{}: the record has no field '{name}'",
                    a.name
                )));
            }
            let kept: Vec<(Name, Lazy)> = match a.name {
                "Record.SelectFields" => names.iter().filter_map(|n| find(n).cloned()).collect(),
                _ => r.iter().filter(|f| !names.contains(&f.0)).cloned().collect(),
            };
            M::Record(Rc::new(kept))
        }
        _ => return a.it.field(&M::Record(r), &a.text(1)?, false),
    })
}
