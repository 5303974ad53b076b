//! From the source of a partition to batches of model columns.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{SyncSender, sync_channel};

use evercube_base::{DataType, Diagnostic, Error, ErrorKind, Result, RowBatch};
use evercube_model::tabular::{DataSource, PartitionSource};

use crate::convert::Converter;
use crate::files_read::FilesRead;
use crate::hosts::SourceHosts;
use crate::logins::Logins;
use crate::m::check::Checker;
use crate::m::eval::Interp;
use crate::m::value::M;
use crate::policy::FilePolicy;
use crate::postgres::{Authorities, PgTarget};
use crate::table::{Batch, Table};

/// What a source may use besides its own text.
#[derive(Debug, Clone)]
pub struct SourceContext {
    /// Shared expressions of the model: name and M text.
    pub expressions: Vec<(String, String)>,
    pub data_sources: Vec<DataSource>,
    /// For sources whose password the model does not say.
    pub logins: Logins,
    /// Who vouches for servers of databases.
    pub authorities: Authorities,
    pub policy: FilePolicy,
    pub hosts: SourceHosts,
    /// Where relative paths start.
    pub working_dir: PathBuf,
    /// Set to true to stop reading soon, with `ErrorKind::Cancelled`.
    pub cancel: Arc<AtomicBool>,
    /// Told every file that is opened.
    pub files: FilesRead,
}

impl SourceContext {
    /// A target with the login there is for it, and who vouches for its server.
    ///
    /// # Errors
    /// `Denied` where models may not read from its host.
    pub(crate) fn complete(&self, target: PgTarget) -> Result<PgTarget> {
        self.hosts.check(&target.host, target.port)?;
        Ok(PgTarget { authorities: self.authorities.clone(), ..self.logins.complete(target) })
    }
}

/// A column of the model and the column of the source that fills it.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnRequest {
    pub source_column: String,
    pub data_type: DataType,
    pub name: String,
}

/// Stack of the thread that evaluates; M programs may recurse.
const STACK_BYTES: usize = 256 << 20;

fn kind(source: &PartitionSource) -> &str {
    match source.kind.as_deref() {
        Some(k) => k,
        None if source.query.is_some() => "query",
        None => "m",
    }
}

fn other_kind(kind: &str) -> Error {
    Error::unsupported(format!(
        "a partition of the kind '{kind}' has no rows outside of the model: only 'm' and 'query' \
         partitions are read from sources"
    ))
}

fn data_source<'a>(all: &'a [DataSource], source: &PartitionSource) -> Result<&'a DataSource> {
    let name = source.data_source.as_deref().unwrap_or_default();
    all.iter().find(|d| d.name == name).ok_or_else(|| {
        Error::invalid(format!("the partition's data source '{name}' is not in the model"))
    })
}

/// Findings about the source of a partition, without reading anything. A syntax error refuses the
/// deployment (`Severity::Error`); an unsupported function or source is a warning whose words are
/// those of the failing refresh. `object` is empty: the caller knows the path.
pub fn check(
    expressions: &[(String, String)],
    data_sources: &[DataSource],
    source: &PartitionSource,
) -> Vec<Diagnostic> {
    let mut c = Checker::new(expressions, data_sources);
    match kind(source) {
        "m" => {
            if let Some(text) = &source.expression {
                c.text("", text);
            }
        }
        "query" => {
            let d = data_source(data_sources, source);
            if let Err(e) = d.and_then(crate::connection::of_data_source) {
                c.warn(e);
            }
        }
        _ => {}
    }
    c.out
}

/// Findings about a shared expression of the model, as [`check`] for partitions.
pub fn check_expression(
    expressions: &[(String, String)],
    data_sources: &[DataSource],
    name: &str,
) -> Vec<Diagnostic> {
    let mut c = Checker::new(expressions, data_sources);
    if let Some((n, text)) = expressions.iter().find(|e| e.0 == name) {
        c.text(n, text);
    }
    c.out
}

/// Reads all rows of a partition into `sink`, in batches of at most 65,536 rows whose columns are
/// in the order of `columns`; gives their number. Blocks: call it on a thread that may wait.
///
/// # Errors
/// `Source` for files and databases, `Evaluation` for values that do not convert and columns that
/// are missing, `Unsupported`, `Denied` for files outside of the policy, `Cancelled`, and whatever
/// `sink` gives.
pub fn read_partition(
    ctx: &SourceContext,
    source: &PartitionSource,
    columns: &[ColumnRequest],
    sink: &mut dyn FnMut(RowBatch) -> Result<()>,
) -> Result<u64> {
    // The evaluation has its own thread and stack; a short queue keeps memory bounded.
    on_big_stack(|out| produce(ctx, source, columns, &out), sink).map_err(|e| of_files(ctx, e))
}

/// An error with the files that were read, where it names none of them.
fn of_files(ctx: &SourceContext, mut e: Error) -> Error {
    let files: Vec<String> =
        ctx.files.marks().iter().map(|mark| mark.path.display().to_string()).collect();
    let named = files.iter().any(|file| e.message.contains(file.as_str()));
    let (Some(first), false, false) = (files.first(), named, e.kind.is_stop()) else { return e };
    let others = match files.len() {
        1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    e.message.push_str(&format!("; read from the file '{first}'{others}"));
    e
}

fn on_big_stack<T: Send, R: Send>(
    work: impl FnOnce(SyncSender<T>) -> Result<R> + Send,
    each: &mut dyn FnMut(T) -> Result<()>,
) -> Result<R> {
    let (out, batches) = sync_channel(2);
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("source".into())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, move || work(out))
            .map_err(|e| {
                Error::new(ErrorKind::Unavailable, format!("cannot start reading the source: {e}"))
            })?;
        let mut result = Ok(());
        for b in &batches {
            result = each(b);
            if result.is_err() {
                break;
            }
        }
        drop(batches);
        let read = thread.join().map_err(|_| Error::internal("reading the source panicked"))?;
        result.and(read)
    })
}

fn open(it: &Rc<Interp>, source: &PartitionSource) -> Result<Rc<Table>> {
    match kind(source) {
        "m" => {
            let text = source.expression.as_deref().unwrap_or_default();
            match it.run("", text)?.strip() {
                M::Table(t) => Ok(t),
                v => Err(Error::evaluation(format!(
                    "the partition's M expression gives a {}, not a table",
                    v.kind()
                ))),
            }
        }
        "query" => {
            let d = data_source(&it.ctx.data_sources, source)?;
            let target = Rc::new(it.ctx.complete(crate::connection::of_data_source(d)?)?);
            let sql = source.query.as_deref().unwrap_or_default();
            Ok(Rc::new(crate::postgres::query(&target, sql)?))
        }
        k => Err(other_kind(k)),
    }
}

fn produce(
    ctx: &SourceContext,
    source: &PartitionSource,
    columns: &[ColumnRequest],
    out: &SyncSender<RowBatch>,
) -> Result<u64> {
    let it = Interp::new(ctx.clone());
    it.check_cancel()?;
    let table = open(&it, source)?;
    let mut wanted = Vec::with_capacity(columns.len());
    for c in columns {
        let loose =
            || table.names.iter().position(|n| n.to_lowercase() == c.source_column.to_lowercase());
        match table.position(&c.source_column) {
            Ok(i) => wanted.push(i),
            Err(e) => wanted.push(
                loose().ok_or_else(|| e.context(format!("the model's column [{}]", c.name)))?,
            ),
        }
    }
    let mut converters: Vec<Converter> =
        columns.iter().map(|c| Converter::new(c.name.clone(), c.data_type)).collect();
    let mut rows = table.origin.open(&it, &wanted)?;
    let mut done = 0u64;
    while let Some(batch) = rows.next()? {
        it.check_cancel()?;
        let batch = convert(&batch, &mut converters, done + 1)?;
        done += batch.rows as u64;
        if batch.rows > 0 && out.send(batch).is_err() {
            break;
        }
    }
    Ok(done)
}

fn convert(b: &Batch, converters: &mut [Converter], first: u64) -> Result<RowBatch> {
    let mut columns = Vec::with_capacity(converters.len());
    for (c, k) in b.columns.iter().zip(converters) {
        columns.push(k.column(c, b.rows, first)?);
    }
    Ok(RowBatch { columns, rows: b.rows })
}

/// Evaluates an M expression and writes the value as M would; tables with all their rows.
pub fn read_rows(ctx: &SourceContext, expression: &str) -> Result<String> {
    on_big_stack(
        |_: SyncSender<()>| {
            let it = Interp::new(ctx.clone());
            let v = it.run("", expression)?;
            crate::m::print::print(&it, &v)
        },
        &mut |()| Ok(()),
    )
}
