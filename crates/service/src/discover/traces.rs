//! Rowsets about traces: those there are, and what can be traced. The latter are documents.

use std::fmt::Write as _;

use evercube_base::{Rowset, Value};

use super::context::DiscoverContext;
use crate::traces::{COLUMNS, EVENTS, TraceColumn};

/// Only administrators have traces, and what they look at is nobody else's business.
pub(super) fn traces(out: &mut Rowset, context: &DiscoverContext<'_>) {
    for t in context.traces.iter().filter(|_| context.is_admin) {
        out.push(&[
            ("TraceID", Value::from(t.id.as_str())),
            ("TraceName", Value::from(t.name.as_str())),
            ("LogFileRollover", Value::Boolean(false)),
            ("AutoRestart", Value::Boolean(false)),
            ("CreationTime", Value::DateTime(t.created)),
            ("Type", Value::from("Server")),
        ]);
    }
}

pub(super) fn columns(out: &mut Rowset) {
    for c in &COLUMNS {
        out.push(&[("Data", Value::from(column(c)))]);
    }
}

fn column(c: &TraceColumn) -> String {
    use evercube_base::ColumnKind as K;
    let kind = match c.kind {
        K::Long | K::UnsignedLong => 2,
        K::DateTime => 5,
        K::String => 8,
        _ => 1,
    };
    format!(
        "<COLUMN><ID>{}</ID><TYPE>{kind}</TYPE><NAME>{}</NAME><DESCRIPTION>{}</DESCRIPTION>\
         <FILTERABLE>true</FILTERABLE><REPEATABLE>false</REPEATABLE>\
         <REPEATEDBASE>false</REPEATEDBASE></COLUMN>",
        c.id, c.name, c.description
    )
}

/// One category with every event there is.
pub(super) fn categories(out: &mut Rowset) {
    out.push(&[("Data", Value::from(category()))]);
}

fn category() -> String {
    let mut text = String::from(
        "<EVENTCATEGORY><NAME>Queries Events</NAME><TYPE>0</TYPE>\
         <DESCRIPTION>Queries and how they are answered</DESCRIPTION><EVENTLIST>",
    );
    for (id, name, description, (subclass, subclass_name)) in EVENTS {
        let _written = write!(
            text,
            "<EVENT><ID>{id}</ID><NAME>{name}</NAME><DESCRIPTION>{description}</DESCRIPTION>\
             <EVENTCOLUMNLIST>"
        );
        for c in &COLUMNS {
            let subclasses = match c.id {
                1 => format!(
                    "<EVENTCOLUMNSUBCLASSLIST><EVENTCOLUMNSUBCLASS><ID>{subclass}</ID>\
                     <NAME>{subclass_name}</NAME></EVENTCOLUMNSUBCLASS></EVENTCOLUMNSUBCLASSLIST>"
                ),
                _ => String::new(),
            };
            let _written = write!(text, "<EVENTCOLUMN><ID>{}</ID>{subclasses}</EVENTCOLUMN>", c.id);
        }
        text.push_str("</EVENTCOLUMNLIST></EVENT>");
    }
    text.push_str("</EVENTLIST></EVENTCATEGORY>");
    text
}

pub(super) fn provider(out: &mut Rowset) {
    let columns: String = COLUMNS.iter().map(column).collect();
    let data = format!(
        "<TRACEDEFINITION><TRACEPROVIDER><NAME>Evercube</NAME><TYPE>1</TYPE>\
         <DESCRIPTION>Queries</DESCRIPTION><VERSION><MAJOR>16</MAJOR><MINOR>0</MINOR></VERSION>\
         </TRACEPROVIDER><COLUMNLIST>{columns}</COLUMNLIST>\
         <EVENTCATEGORYLIST>{}</EVENTCATEGORYLIST></TRACEDEFINITION>",
        category()
    );
    out.push(&[("Data", Value::from(data))]);
}
