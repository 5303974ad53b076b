//! Functions that read from outside.

use std::rc::Rc;

use evercube_base::{Error, Result};

use super::super::value::{Binary, M};
use super::args::Args;
use crate::convert::text_of;
use crate::table::Name;
use crate::{csv_file, parquet_file, postgres};

pub(super) const NAMES: &[&str] = &[
    "#binary",
    "Csv.Document",
    "File.Contents",
    "Parquet.Document",
    "PostgreSQL.Database",
    "Value.NativeQuery",
];

pub(super) fn call(a: &Args<'_>) -> Result<M> {
    let binary = || match a.m(0)? {
        M::Binary(b) => Ok(b),
        M::Text(t) if a.name == "Csv.Document" => {
            Ok(Rc::new(Binary::Bytes(Rc::new(t.as_bytes().to_vec()))))
        }
        v => Err(a.wrong(0, "binary", &v)),
    };
    Ok(match a.name {
        "File.Contents" => {
            let p = a.it.ctx.policy.resolve(&a.text(0)?, &a.it.ctx.working_dir)?;
            a.it.ctx.files.note(&p);
            M::Binary(Rc::new(Binary::File(p)))
        }
        "Parquet.Document" => M::Table(Rc::new(parquet_file::open(&*binary()?)?)),
        "Csv.Document" => M::Table(Rc::new(csv_file::open(&*binary()?, csv_options(a)?)?)),
        "PostgreSQL.Database" => {
            let (server, database) = (a.text(0)?, a.text(1)?);
            let target = crate::connection::of_address(&server, &database, &a.it.ctx.data_sources)?;
            let target = Rc::new(a.it.ctx.complete(target)?);
            if let M::Record(o) = a.m(2)?
                && let Some(q) = o.iter().find(|f| &*f.0 == "Query")
                && let M::Text(sql) = q.1.force(a.it)?
            {
                return postgres::query(&target, &sql).map(|t| M::Table(Rc::new(t)));
            }
            M::Navigation(target)
        }
        "Value.NativeQuery" => match a.m(0)? {
            M::Navigation(t) => M::Table(Rc::new(postgres::query(&t, &a.text(1)?)?)),
            v => return Err(a.wrong(0, "database", &v)),
        },
        _ => {
            let byte = |v: &M| match v {
                M::Number(n) => n.whole().and_then(|i| u8::try_from(i).ok()),
                _ => None,
            };
            let bytes: Option<Vec<u8>> = a.list(0)?.iter().map(byte).collect();
            let bytes = bytes.ok_or_else(|| Error::evaluation("#binary takes bytes, 0 to 255"))?;
            M::Binary(Rc::new(Binary::Bytes(Rc::new(bytes))))
        }
    })
}

fn csv_options(a: &Args<'_>) -> Result<csv_file::Options> {
    let mut o = csv_file::Options {
        delimiter: b',',
        encoding: 65001,
        quoted_breaks: true,
        columns: None,
        width: None,
    };
    let mut given: Vec<(Name, M)> = Vec::new();
    match a.m(1)? {
        M::Record(r) => {
            for f in r.iter() {
                given.push((f.0.clone(), f.1.force(a.it)?));
            }
        }
        v => {
            given.push(("Columns".into(), v));
            given.push(("Delimiter".into(), a.m(2)?));
            given.push(("Encoding".into(), a.m(4)?));
        }
    }
    for (n, v) in given {
        match (&*n, v) {
            (_, M::Null) | ("CsvStyle" | "ExtraValues" | "IncludeByteOrderMark", _) => {}
            ("Delimiter", M::Text(t)) if t.len() == 1 => {
                o.delimiter = t.as_bytes().first().copied().unwrap_or(b',');
            }
            ("Delimiter", v) => {
                return Err(Error::unsupported(format!(
                    "Csv.Document: the delimiter must be one ASCII character, not {}",
                    text_of(&v).map_or_else(|| v.kind().to_owned(), |t| format!("'{t}'"))
                )));
            }
            ("Encoding", M::Number(e)) => o.encoding = e.whole().unwrap_or(-1),
            ("QuoteStyle", M::Number(q)) => o.quoted_breaks = q.f64() != 0.0,
            ("Columns", M::Number(w)) => {
                o.width = w.whole().and_then(|w| usize::try_from(w).ok()).filter(|w| *w <= 16_384);
            }
            ("Columns", M::Type(t)) => {
                o.columns = Some(t.columns.iter().map(|c| c.0.clone()).collect());
            }
            ("Columns", v) => o.columns = Some(a.names_of(&v)?),
            (n, _) => {
                return Err(Error::unsupported(format!("Csv.Document has no option {n} here")));
            }
        }
    }
    Ok(o)
}
