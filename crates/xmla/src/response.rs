//! Answers: the SOAP envelope, its results one after another, messages and faults.

use std::io::{self, Write};

use evercube_base::{DataType, Error, ErrorKind, Rowset, Severity, Value};

use crate::escape;
use crate::names::{EMPTY, EXCEPTION, MULTIPLE_RESULTS, SOAP, XMLA};
use crate::rowset::{self, Content};
use crate::schema::{self, WireColumn};

/// Bytes held back before anything is sent; an error until then is still a clean fault.
pub const HOLD_BACK: usize = 64 * 1024;
const SOURCE: &str = "Evercube";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Discover,
    Execute,
}

/// How the results of one answer are wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Results<'a> {
    /// One root.
    Single,
    /// Any number of roots, in the order of the commands.
    Multiple,
    /// Changed metadata objects, with the model's version before and after.
    Affected { name: &'a str, base_version: i64, current_version: i64 },
}

/// A message beside or in place of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub severity: Severity,
    pub code: u32,
    pub text: String,
}

impl Message {
    pub fn warning(text: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, code: 0x4110_0003, text: text.into() }
    }
    pub fn error(error: &Error) -> Self {
        Self {
            severity: Severity::Error,
            code: error_code(error.kind),
            text: error.message.clone(),
        }
    }
}

/// The number clients see for an error of this kind.
pub fn error_code(kind: ErrorKind) -> u32 {
    match kind {
        ErrorKind::Invalid => 0xC10A_0049,
        ErrorKind::Evaluation => 0xC113_0003,
        ErrorKind::Unsupported => 0xC100_0011,
        ErrorKind::NotFound => 0xC10E_0003,
        ErrorKind::Conflict => 0xC10E_0012,
        ErrorKind::Denied => 0xC11C_0006,
        ErrorKind::Limit => 0xC11E_0003,
        ErrorKind::MemoryLimit => 0xC11E_0004,
        ErrorKind::TimeLimit => 0xC11E_0005,
        ErrorKind::RowLimit => 0xC11E_0006,
        ErrorKind::NestingLimit => 0xC11E_0007,
        ErrorKind::Cancelled => 0xC11F_0006,
        ErrorKind::Unavailable => 0xC11F_0010,
        ErrorKind::Unknown => 0xC11F_0011,
        ErrorKind::Source => 0xC10D_0005,
        ErrorKind::Corrupt => 0xC110_0009,
        ErrorKind::Internal => 0xC100_0001,
    }
}

/// A whole answer that says only that the request failed. Send it with status 200.
pub fn fault(session: Option<&str>, error: &Error) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    open_envelope(&mut out, session);
    let (code, side) = (error_code(error.kind), "XMLAnalysisError");
    let head = format!(
        "<soap:Fault><faultcode xmlns=\"\">{side}.0x{code:08x}</faultcode><faultstring xmlns=\"\">"
    );
    out.extend_from_slice(head.as_bytes());
    escape::text(&mut out, &error.message);
    out.extend_from_slice(b"</faultstring><detail xmlns=\"\">");
    write_message(&mut out, &Message::error(error));
    out.extend_from_slice(b"</detail></soap:Fault></soap:Body></soap:Envelope>");
    out
}

fn open_envelope(out: &mut Vec<u8>, session: Option<&str>) {
    out.extend_from_slice(format!("<soap:Envelope xmlns:soap=\"{SOAP}\">").as_bytes());
    if let Some(id) = session {
        let open = format!("<soap:Header><Session xmlns=\"{XMLA}\" SessionId=\"");
        out.extend_from_slice(open.as_bytes());
        escape::attribute(out, id);
        out.extend_from_slice(b"\"/></soap:Header>");
    }
    out.extend_from_slice(b"<soap:Body>");
}

fn write_message(out: &mut Vec<u8>, message: &Message) {
    let (element, code) = match message.severity {
        Severity::Error => ("Error", "ErrorCode"),
        Severity::Warning => ("Warning", "WarningCode"),
    };
    let head = format!("<{element} {code}=\"{}\" Description=\"", message.code);
    out.extend_from_slice(head.as_bytes());
    escape::attribute(out, &message.text);
    out.extend_from_slice(format!("\" Source=\"{SOURCE}\" HelpFile=\"\"/>").as_bytes());
}

/// `<Exception/>` where one of the messages is an error, then `<Messages>`; nothing for no messages.
fn write_messages(out: &mut Vec<u8>, messages: &[Message]) {
    if messages.is_empty() {
        return;
    }
    if messages.iter().any(|m| m.severity == Severity::Error) {
        out.extend_from_slice(format!("<Exception xmlns=\"{EXCEPTION}\"/>").as_bytes());
    }
    out.extend_from_slice(format!("<Messages xmlns=\"{EXCEPTION}\">").as_bytes());
    for m in messages {
        write_message(out, m);
    }
    out.extend_from_slice(b"</Messages>");
}

/// Writes one answer piece by piece into `W`, in chunks of about [`HOLD_BACK`] bytes.
#[derive(Debug)]
pub struct Response<'a, W: Write> {
    to: W,
    buffer: Vec<u8>,
    sent: bool,
    kind: Kind,
    results: Results<'a>,
    session: Option<&'a str>,
    table: Option<(Vec<WireColumn>, Content)>,
}

impl Response<'_, Vec<u8>> {
    /// What was written since it was last asked.
    pub fn take_written(&mut self) -> Vec<u8> {
        self.sent = true;
        self.to.append(&mut self.buffer);
        std::mem::take(&mut self.to)
    }
}

impl<'a, W: Write> Response<'a, W> {
    /// Starts an answer; `session` is the id to give back in the header.
    pub fn new(to: W, kind: Kind, session: Option<&'a str>, results: Results<'a>) -> Self {
        let mut buffer = Vec::with_capacity(HOLD_BACK + 4096);
        open_envelope(&mut buffer, session);
        let open = match kind {
            Kind::Discover => format!("<DiscoverResponse xmlns=\"{XMLA}\"><return>"),
            Kind::Execute => format!("<ExecuteResponse xmlns=\"{XMLA}\"><return>"),
        };
        buffer.extend_from_slice(open.as_bytes());
        match results {
            Results::Single => {}
            Results::Multiple => buffer
                .extend_from_slice(format!("<results xmlns=\"{MULTIPLE_RESULTS}\">").as_bytes()),
            Results::Affected { name, base_version, current_version } => {
                buffer.extend_from_slice(b"<AffectedObjects name=\"");
                escape::attribute(&mut buffer, name);
                let rest = format!(
                    "\" BaseVersion=\"{base_version}\" CurrentVersion=\"{current_version}\" xmlns=\"{MULTIPLE_RESULTS}\">"
                );
                buffer.extend_from_slice(rest.as_bytes());
            }
        }
        Self { to, buffer, sent: false, kind, results, session, table: None }
    }

    fn flush_full(&mut self) -> io::Result<()> {
        if self.buffer.len() >= HOLD_BACK {
            self.sent = true;
            self.to.write_all(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }

    /// An empty result, with messages where there are any.
    pub fn empty(&mut self, messages: &[Message]) -> io::Result<()> {
        if messages.is_empty() {
            self.buffer.extend_from_slice(format!("<root xmlns=\"{EMPTY}\"/>").as_bytes());
        } else {
            self.buffer.extend_from_slice(format!("<root xmlns=\"{EMPTY}\">").as_bytes());
            write_messages(&mut self.buffer, messages);
            self.buffer.extend_from_slice(b"</root>");
        }
        self.flush_full()
    }

    /// A rowset; `name` is the object type in answers of several results (`Model`, `Table` …).
    pub fn rowset(
        &mut self,
        rowset: &Rowset,
        name: Option<&str>,
        content: Content,
    ) -> io::Result<()> {
        rowset::write_rowset(&mut self.buffer, rowset, name, content);
        self.flush_full()
    }

    /// A root prepared elsewhere: well-formed XML written as it stands.
    pub fn raw_root(&mut self, xml: &str) -> io::Result<()> {
        self.buffer.extend_from_slice(xml.as_bytes());
        self.flush_full()
    }

    /// Starts a query's result; rows follow by [`Self::rows`], then [`Self::end_table`].
    pub fn begin_table(
        &mut self,
        columns: &[(String, DataType)],
        content: Content,
    ) -> io::Result<()> {
        let columns = schema::table_columns(columns);
        rowset::open_root(&mut self.buffer, None, &columns, content);
        self.table = Some((columns, content));
        self.flush_full()
    }

    /// Starts a rowset whose rows follow by [`Self::row`], then [`Self::end_table`].
    pub fn begin_rowset(&mut self, rowset: &Rowset) -> io::Result<()> {
        let columns = schema::rowset_columns(&rowset.columns);
        rowset::open_root(&mut self.buffer, None, &columns, Content::SchemaData);
        self.table = Some((columns, Content::SchemaData));
        self.flush_full()
    }

    /// Rows of the open table, one vector per column.
    pub fn rows(&mut self, data: &[Vec<Value>]) -> io::Result<()> {
        let Some((columns, content)) = self.table.take() else { return Ok(()) };
        if content.has_data() {
            for i in 0..data.iter().map(Vec::len).max().unwrap_or(0) {
                let row = data.iter().map(|c| c.get(i).unwrap_or(&Value::Blank));
                rowset::write_table_row(&mut self.buffer, &columns, row);
                self.flush_full()?;
            }
        }
        self.table = Some((columns, content));
        Ok(())
    }

    /// One row of the open table.
    pub fn row(&mut self, row: &[Value]) -> io::Result<()> {
        if let Some((columns, content)) = &self.table
            && content.has_data()
        {
            rowset::write_table_row(&mut self.buffer, columns, row.iter());
        }
        self.flush_full()
    }

    pub fn end_table(&mut self, messages: &[Message]) -> io::Result<()> {
        if self.table.take().is_some() {
            write_messages(&mut self.buffer, messages);
            self.buffer.extend_from_slice(b"</root>");
        }
        self.flush_full()
    }

    /// A whole query's result, one vector per column.
    pub fn table(
        &mut self,
        columns: &[(String, DataType)],
        data: &[Vec<Value>],
        content: Content,
    ) -> io::Result<()> {
        self.begin_table(columns, content)?;
        self.rows(data)?;
        self.end_table(&[])
    }

    /// Ends the answer and hands the writer back.
    pub fn finish(mut self) -> io::Result<W> {
        self.end_table(&[])?;
        self.close()
    }

    /// Ends the answer with an error: as a fault where nothing was sent yet, otherwise inside the
    /// result that is open or in a last one of its own.
    pub fn fail(mut self, error: &Error) -> io::Result<W> {
        if !self.sent {
            self.to.write_all(&fault(self.session, error))?;
            self.to.flush()?;
            return Ok(self.to);
        }
        if self.table.is_some() {
            self.end_table(&[Message::error(error)])?;
        } else {
            self.empty(&[Message::error(error)])?;
        }
        self.close()
    }

    fn close(mut self) -> io::Result<W> {
        self.buffer.extend_from_slice(match self.results {
            Results::Single => b"".as_slice(),
            Results::Multiple => b"</results>",
            Results::Affected { .. } => b"</AffectedObjects>",
        });
        self.buffer.extend_from_slice(match self.kind {
            Kind::Discover => b"</return></DiscoverResponse>".as_slice(),
            Kind::Execute => b"</return></ExecuteResponse>",
        });
        self.buffer.extend_from_slice(b"</soap:Body></soap:Envelope>");
        self.to.write_all(&self.buffer)?;
        self.to.flush()?;
        Ok(self.to)
    }
}
