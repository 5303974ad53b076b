//! Rows of a PostgreSQL database, streamed.

mod tls;

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use evercube_base::{DateTime, Error, ErrorKind, Result};
use futures::StreamExt;
use tokio::runtime::Runtime;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Client, Config, NoTls, RowStream, Socket};

use crate::m::eval::Interp;
use crate::m::value::{Binary, Lazy, M, Num};
use crate::table::{Batch, Column, Name, Origin, Rows, Table};
use tls::Encrypted;
pub(crate) use tls::SslMode;
pub use tls::{Authorities, ClientCertificate};

const READ_ROWS: usize = 8192;
/// Days from 1899-12-30 to 2000-01-01, the zero of PostgreSQL's dates.
const PG_EPOCH_DAYS: i64 = 36_526;

/// Where a database is and who logs in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PgTarget {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: Option<String>,
    pub password: Option<String>,
    pub certificate: Option<ClientCertificate>,
    pub mode: SslMode,
    /// Who vouches for the server, where that is looked at.
    pub authorities: Authorities,
}

impl Default for PgTarget {
    fn default() -> Self {
        Self {
            host: "localhost".into(),
            port: 5432,
            database: String::new(),
            user: None,
            password: None,
            certificate: None,
            mode: SslMode::default(),
            authorities: Authorities::default(),
        }
    }
}

fn fault(t: &PgTarget, what: &str, e: &tokio_postgres::Error) -> Error {
    let detail = match e.as_db_error() {
        Some(d) => format!("{} (SQLSTATE {})", d.message(), d.code().code()),
        None => match std::error::Error::source(e) {
            Some(s) => format!("{e}: {s}"),
            None => e.to_string(),
        },
    };
    let PgTarget { host, port, database, .. } = t;
    Error::new(ErrorKind::Source, format!("{what} PostgreSQL {host}:{port}/{database}: {detail}"))
}

struct Link {
    // Dropped first: the client and streams live on the runtime.
    client: Client,
    runtime: Runtime,
}

fn connect(t: &PgTarget) -> Result<Link> {
    // Through a socket in the file system the database would see the account this server runs as.
    if t.host.starts_with(['/', '@']) || t.host.trim().is_empty() {
        return Err(Error::invalid(format!(
            "'{}' is no host of a PostgreSQL server; name one, as db.example.com or db.example.com:5432",
            t.host
        )));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::new(ErrorKind::Unavailable, format!("cannot start reading: {e}")))?;
    let mut c = Config::new();
    c.host(&t.host).port(t.port).dbname(&t.database).connect_timeout(Duration::from_secs(15));
    c.user(t.user.as_deref().unwrap_or("postgres")).application_name("evercube");
    if let Some(p) = &t.password {
        c.password(p);
    }
    c.ssl_mode(match t.mode {
        SslMode::Disable => tokio_postgres::config::SslMode::Disable,
        SslMode::Prefer => tokio_postgres::config::SslMode::Prefer,
        _ => tokio_postgres::config::SslMode::Require,
    });
    let opened = match t.mode {
        SslMode::Disable if t.certificate.is_some() => {
            return Err(Error::invalid(format!(
                "the login for PostgreSQL {}:{} is a certificate, which is shown over encrypted connections only, and SSL Mode is Disable; use Require, VerifyCA or VerifyFull",
                t.host, t.port
            )));
        }
        SslMode::Disable => runtime.block_on(open(&c, NoTls)),
        mode => {
            let encrypted = Encrypted::new(mode, &t.authorities, t.certificate.as_ref())?;
            runtime.block_on(open(&c, encrypted))
        }
    };
    let client = opened.map_err(|e| fault(t, "cannot connect to", &e))?;
    Ok(Link { client, runtime })
}

async fn open<T>(c: &Config, tls: T) -> std::result::Result<Client, tokio_postgres::Error>
where
    T: MakeTlsConnect<Socket>,
    T::TlsConnect: Send,
    T::Stream: Send + 'static,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let (client, connection) = c.connect(tls).await?;
    tokio::spawn(async move {
        // A broken connection shows in the stream that uses it.
        let _ = connection.await;
    });
    Ok(client)
}

/// The table `Source{[Schema=…,Item=…]}`, or its row where only the key is given.
pub(crate) fn navigate(t: &Rc<PgTarget>, keys: &[(Name, Arc<str>)]) -> Result<M> {
    let find = |n: &str| keys.iter().find(|k| &*k.0 == n).map(|k| k.1.clone());
    let (schema, item) = match (find("Schema"), find("Item"), find("Name")) {
        (s, Some(i), _) => (s.unwrap_or_else(|| "public".into()), i),
        (s, None, Some(n)) => match n.split_once('.') {
            Some((s, i)) => (s.into(), i.into()),
            None => (s.unwrap_or_else(|| "public".into()), n),
        },
        _ => {
            return Err(Error::evaluation(
                "a database is navigated by [Schema=\"…\",Item=\"…\"] or [Name=\"…\"]",
            ));
        }
    };
    let quote = |n: &str| format!("\"{}\"", n.replace('"', "\"\""));
    let from = format!("{}.{}", quote(&schema), quote(&item));
    let table = read(t, &format!("SELECT * FROM {from}"), Some(from))?;
    Ok(M::Record(Rc::new(vec![
        ("Schema".into(), Lazy::done(M::Text(schema))),
        ("Item".into(), Lazy::done(M::Text(item))),
        ("Data".into(), Lazy::done(M::Table(Rc::new(table)))),
    ])))
}

/// The rows of a statement.
pub(crate) fn query(t: &Rc<PgTarget>, sql: &str) -> Result<Table> {
    read(t, sql, None)
}

fn read(t: &Rc<PgTarget>, sql: &str, from: Option<String>) -> Result<Table> {
    let link = connect(t)?;
    let s = link.runtime.block_on(link.client.prepare(sql));
    let s = s.map_err(|e| fault(t, "cannot run the query on", &e))?;
    let names: Vec<Name> = s.columns().iter().map(|c| c.name().into()).collect();
    let origin = Query { target: t.clone(), sql: sql.to_owned(), from, names: names.clone() };
    Ok(Table::new(names, Rc::new(origin)))
}

struct Query {
    target: Rc<PgTarget>,
    sql: String,
    /// The quoted name of a table, whose columns can be chosen.
    from: Option<String>,
    names: Vec<Name>,
}

impl Origin for Query {
    fn open(&self, it: &Rc<Interp>, wanted: &[usize]) -> Result<Box<dyn Rows>> {
        let link = connect(&self.target)?;
        let (sql, places) = match &self.from {
            Some(from) if !wanted.is_empty() => {
                let list: Vec<String> = wanted
                    .iter()
                    .filter_map(|w| self.names.get(*w))
                    .map(|n| format!("\"{}\"", n.replace('"', "\"\"")))
                    .collect();
                (format!("SELECT {} FROM {from}", list.join(", ")), (0..wanted.len()).collect())
            }
            _ => (self.sql.clone(), wanted.to_vec()),
        };
        let none: [&str; 0] = [];
        let stream = link
            .runtime
            .block_on(link.client.query_raw(sql.as_str(), none))
            .map_err(|e| fault(&self.target, "cannot run the query on", &e))?;
        Ok(Box::new(PgRows {
            it: it.clone(),
            stream: Box::pin(stream),
            link,
            places,
            target: self.target.clone(),
            ended: false,
        }))
    }
}

struct PgRows {
    it: Rc<Interp>,
    stream: Pin<Box<RowStream>>,
    link: Link,
    places: Vec<usize>,
    target: Rc<PgTarget>,
    /// A stream that ended must not be asked again.
    ended: bool,
}

impl Rows for PgRows {
    fn next(&mut self) -> Result<Option<Batch>> {
        let mut out: Vec<Vec<M>> = self.places.iter().map(|_| Vec::new()).collect();
        let mut rows = 0;
        while rows < READ_ROWS && !self.ended {
            let stream = &mut self.stream;
            let row = loop {
                self.it.check_cancel()?;
                let wait =
                    async { tokio::time::timeout(Duration::from_millis(200), stream.next()).await };
                if let Ok(r) = self.link.runtime.block_on(wait) {
                    break r;
                }
            };
            let Some(row) = row else {
                self.ended = true;
                break;
            };
            let row = row.map_err(|e| fault(&self.target, "cannot read from", &e))?;
            for (p, o) in self.places.iter().zip(&mut out) {
                let column = row.columns().get(*p);
                let kind = column.map_or("?", |c| c.type_().name());
                let v: Option<Cell> = row.try_get(*p).map_err(|e| {
                    let why =
                        std::error::Error::source(&e).map_or(e.to_string(), |s| s.to_string());
                    Error::evaluation(format!(
                        "column [{}] of type {kind}: {why}",
                        column.map_or("?", |c| c.name())
                    ))
                })?;
                o.push(v.map_or(M::Null, |c| c.0));
            }
            rows += 1;
        }
        if rows == 0 {
            return Ok(None);
        }
        Ok(Some(Batch { columns: out.into_iter().map(Column::values).collect(), rows }))
    }
}

struct Cell(M);

type Fault = Box<dyn std::error::Error + Sync + Send>;

impl<'a> FromSql<'a> for Cell {
    fn from_sql(t: &Type, raw: &'a [u8]) -> std::result::Result<Self, Fault> {
        decode(t, raw).map(Cell)
    }
    fn accepts(_: &Type) -> bool {
        true
    }
}

fn fixed<const N: usize>(raw: &[u8]) -> std::result::Result<[u8; N], Fault> {
    raw.try_into().map_err(|_| "the database sent a value of another length".into())
}

fn decode(t: &Type, raw: &[u8]) -> std::result::Result<M, Fault> {
    let out_of_range = || Fault::from("the date is infinite or out of range");
    Ok(match t.name() {
        "bool" => M::Logical(raw.first() == Some(&1)),
        "int2" => M::int(i16::from_be_bytes(fixed(raw)?).into()),
        "int4" => M::int(i32::from_be_bytes(fixed(raw)?).into()),
        "int8" => M::int(i64::from_be_bytes(fixed(raw)?)),
        "oid" => M::int(u32::from_be_bytes(fixed(raw)?).into()),
        "float4" => M::double(f32::from_be_bytes(fixed(raw)?).into()),
        "float8" => M::double(f64::from_be_bytes(fixed(raw)?)),
        "money" => M::Number(Num::Exact(i64::from_be_bytes(fixed(raw)?).into(), 2)),
        "numeric" => M::Number(numeric(raw)?),
        "date" => {
            let d = i64::from(i32::from_be_bytes(fixed(raw)?));
            if d.abs() > 3_000_000 {
                return Err(out_of_range());
            }
            M::Date(DateTime::from_days(d + PG_EPOCH_DAYS))
        }
        "timestamp" | "timestamptz" => {
            let v = i64::from_be_bytes(fixed(raw)?);
            let zero = DateTime::from_days(PG_EPOCH_DAYS).0;
            M::DateTime(DateTime(v.checked_add(zero).ok_or_else(out_of_range)?))
        }
        "time" => M::Time(i64::from_be_bytes(fixed(raw)?)),
        "uuid" => {
            let b: [u8; 16] = fixed(raw)?;
            let hex: Vec<String> = b.iter().map(|b| format!("{b:02x}")).collect();
            let h = hex.concat();
            let part = |a: usize, b: usize| h.get(a..b).unwrap_or_default();
            let p = [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)];
            M::text(p.join("-"))
        }
        "jsonb" => M::text(std::str::from_utf8(raw.get(1..).unwrap_or_default())?),
        "bytea" => M::Binary(Rc::new(Binary::Bytes(Rc::new(raw.to_vec())))),
        "text" | "varchar" | "bpchar" | "name" | "json" | "xml" | "char" | "unknown" | "citext" => {
            M::text(std::str::from_utf8(raw)?)
        }
        _ if matches!(t.kind(), tokio_postgres::types::Kind::Enum(_)) => {
            M::text(std::str::from_utf8(raw)?)
        }
        _ => return Err("this type is not supported: cast it to text in the query".into()),
    })
}

/// A numeric on the wire: counts and groups of four digits, base 10,000.
fn numeric(raw: &[u8]) -> std::result::Result<Num, Fault> {
    let word = |i: usize| {
        raw.get(i * 2..i * 2 + 2)
            .map(|b| u16::from_be_bytes([b[0], b[1]]))
            .ok_or_else(|| Fault::from("the database sent a short number"))
    };
    let (count, weight, sign, scale) = (word(0)?, word(1)? as i16, word(2)?, word(3)?);
    match sign {
        0xc000 => return Ok(Num::Double(f64::NAN)),
        0xd000 => return Ok(Num::Double(f64::INFINITY)),
        0xf000 => return Ok(Num::Double(f64::NEG_INFINITY)),
        _ => {}
    }
    let large = || Fault::from("the number has over 38 digits: cast it in the query");
    let mut v: i128 = 0;
    for i in 0..usize::from(count) {
        let digit = i128::from(word(4 + i)?);
        v = v.checked_mul(10_000).and_then(|v| v.checked_add(digit)).ok_or_else(large)?;
    }
    // The value is v × 10000^(weight + 1 - count); bring it to the scale of the column.
    let mut at = 4 * (i32::from(count) - 1 - i32::from(weight));
    let scale = i32::from(scale);
    while at > scale && v % 10 == 0 {
        v /= 10;
        at -= 1;
    }
    while at < scale {
        v = v.checked_mul(10).ok_or_else(large)?;
        at += 1;
    }
    Ok(Num::Exact(if sign == 0x4000 { -v } else { v }, at))
}
