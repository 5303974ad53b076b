//! `MDSCHEMA_FUNCTIONS`: the functions of the language, as editors complete them.

use evercube_base::{NestedRows, Rowset, Value};

use super::context::DiscoverContext;
use super::text;

/// Categories whose functions give tables; tools show these apart.
const RELATIONAL: i64 = 3;
const SCALAR: i64 = 4;

pub(super) fn fill(out: &mut Rowset, context: &DiscoverContext<'_>) {
    let Some(column) = out.column("PARAMETERINFO") else { return };
    for f in context.functions {
        let mut shown: Vec<String> = Vec::new();
        for p in &f.parameters {
            let mut one = format!("<{}>", p.name);
            if p.is_optional {
                one = format!("[{one}]");
            }
            shown.push(one);
            if p.is_repeatable {
                shown.push("…".to_owned());
            }
        }
        out.push(&[
            ("FUNCTION_NAME", text(&f.name)),
            ("DESCRIPTION", text(&f.description)),
            ("PARAMETER_LIST", text(format!("({})", shown.join(", ")))),
            ("RETURN_TYPE", Value::Int(12)),
            ("ORIGIN", Value::Int(if f.returns_table { RELATIONAL } else { SCALAR })),
            ("INTERFACE_NAME", text(f.category.to_ascii_uppercase())),
            ("LIBRARY_NAME", text("")),
            ("CAPTION", text(&f.name)),
            ("DIRECTQUERY_PUSHABLE", Value::Int(0)),
        ]);
        let parameters = f.parameters.iter().map(|p| {
            vec![
                text(&p.name),
                text(&p.description),
                Value::Boolean(p.is_optional),
                Value::Boolean(p.is_repeatable),
                Value::Int(i64::from(p.is_repeatable)),
            ]
        });
        let row = out.rows.len() - 1;
        out.nested.push(NestedRows { row, column, rows: parameters.collect() });
    }
}
