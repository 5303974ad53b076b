//! The arguments of a call, taken as what a function wants.

use std::rc::Rc;
use std::sync::Arc;

use evercube_base::{Error, Result};

use super::super::eval::Interp;
use super::super::value::{Lazy, M, Num};
use crate::table::{Name, Table};

/// Arguments are evaluated when they are asked for; one left out is null.
pub(super) struct Args<'a> {
    pub(super) it: &'a Rc<Interp>,
    pub(super) name: &'static str,
    pub(super) args: &'a [Lazy],
}

impl Args<'_> {
    pub(super) fn m(&self, i: usize) -> Result<M> {
        self.args.get(i).map_or(Ok(M::Null), |a| a.force(self.it))
    }
    pub(super) fn wrong(&self, i: usize, want: &str, v: &M) -> Error {
        let (n, k) = (self.name, v.kind());
        Error::evaluation(format!("{n}: argument {} is a {k}, not a {want}", i + 1))
    }
    pub(super) fn text(&self, i: usize) -> Result<Arc<str>> {
        match self.m(i)? {
            M::Text(t) => Ok(t),
            v => Err(self.wrong(i, "text", &v)),
        }
    }
    pub(super) fn num(&self, i: usize) -> Result<Num> {
        match self.m(i)? {
            M::Number(n) => Ok(n),
            v => Err(self.wrong(i, "number", &v)),
        }
    }
    pub(super) fn int(&self, i: usize) -> Result<i64> {
        let n = self.num(i)?;
        n.whole().ok_or_else(|| self.wrong(i, "whole number", &M::Number(n)))
    }
    pub(super) fn count(&self, i: usize) -> Result<usize> {
        let n = self.int(i)?;
        usize::try_from(n).map_err(|_| self.wrong(i, "number from 0", &M::int(n)))
    }
    pub(super) fn opt_text(&self, i: usize) -> Result<Option<Arc<str>>> {
        match self.m(i)? {
            M::Null => Ok(None),
            M::Text(t) => Ok(Some(t)),
            // A record of options may hold the culture.
            M::Record(r) => match r.iter().find(|f| &*f.0 == "Culture") {
                Some(f) => match f.1.force(self.it)? {
                    M::Text(t) => Ok(Some(t)),
                    _ => Ok(None),
                },
                None => Ok(None),
            },
            v => Err(self.wrong(i, "text", &v)),
        }
    }
    pub(super) fn list(&self, i: usize) -> Result<Vec<M>> {
        match self.m(i)? {
            M::List(l) => l.iter().map(|v| v.force(self.it)).collect(),
            v => Err(self.wrong(i, "list", &v)),
        }
    }
    pub(super) fn table(&self, i: usize) -> Result<Rc<Table>> {
        match self.m(i)? {
            M::Table(t) => Ok(t),
            v => Err(self.wrong(i, "table", &v)),
        }
    }
    pub(super) fn items(&self, v: &M) -> Result<Vec<M>> {
        match v {
            M::List(l) => l.iter().map(|v| v.force(self.it)).collect(),
            v => Err(self.wrong(1, "list", v)),
        }
    }
    /// One name or a list of names.
    pub(super) fn names(&self, i: usize) -> Result<Vec<Name>> {
        match self.m(i)? {
            M::Text(t) => Ok(vec![t]),
            v => self.names_of(&v),
        }
    }
    pub(super) fn names_of(&self, v: &M) -> Result<Vec<Name>> {
        let mut out = Vec::new();
        for v in self.items(v)? {
            match v {
                M::Text(t) => out.push(t),
                v => return Err(self.wrong(1, "list of names", &v)),
            }
        }
        Ok(out)
    }
    /// A list of lists, or a single such list, each starting with a name.
    pub(super) fn pairs(&self, i: usize) -> Result<Vec<Vec<M>>> {
        let items = self.list(i)?;
        if matches!(items.first(), Some(M::Text(_))) {
            return Ok(vec![items]);
        }
        items.iter().map(|p| self.items(p)).collect()
    }
    pub(super) fn call(&self, f: &M, v: M) -> Result<M> {
        self.it.call(f, vec![Lazy::done(v)]).map(M::strip)
    }
}
