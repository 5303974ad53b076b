//! `NAMEOF`: names of tables, columns and measures, whole or in part, as expressions write them or
//! plain.

use evercube_base::{Error, Result};
use evercube_dax::ast::{Expr, ExprKind};

use super::Binder;
use crate::compiled_model::{bracketed, quoted};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Table,
    Column,
    Measure,
}

impl Binder<'_> {
    /// The name of an object, the part of it that the second argument asks for, in the form of the
    /// third.
    ///
    /// # Errors
    /// The object is not known, or has no such part.
    pub(super) fn name_of(&self, arguments: &[Expr]) -> Result<String> {
        let (sort, table, own) = self.named_object(&arguments[0])?;
        let component = word(arguments.get(1), "FULL")?;
        let no_part = || {
            Error::invalid(format!(
                "NAMEOF cannot give the part {component} of this object. The parts are TABLE, COLUMN, MEASURE, FULL, SELF and PARENT; a table has no column and no parent, a column is no measure."
            ))
        };
        let (table, own) = match (component.as_str(), sort) {
            ("FULL", _) => (table, own),
            ("TABLE", _) | ("SELF", Sort::Table) => (table, None),
            ("PARENT", Sort::Column | Sort::Measure) => (table, None),
            ("COLUMN", Sort::Column) | ("MEASURE", Sort::Measure) => (None, own),
            ("SELF", _) => (None, own),
            _ => return Err(no_part()),
        };
        let form = word(arguments.get(2), "ESCAPED")?;
        match (form.as_str(), table, own) {
            (_, None, None) => Err(no_part()),
            ("ESCAPED", table, own) => Ok(table.as_deref().map(quoted).unwrap_or_default()
                + &own.as_deref().map(bracketed).unwrap_or_default()),
            ("UNESCAPED", Some(_), Some(_)) => Err(Error::invalid(
                "NAMEOF gives a name with table and column UNESCAPED only in parts: ask for COLUMN, MEASURE, SELF or TABLE.",
            )),
            ("UNESCAPED", Some(name), None) | ("UNESCAPED", None, Some(name)) => Ok(name),
            ("MINIMALLYESCAPED", Some(table), own) => {
                let table = if is_plain(&table) { table } else { quoted(&table) };
                Ok(table + &own.as_deref().map(bracketed).unwrap_or_default())
            }
            ("MINIMALLYESCAPED", None, Some(own)) => {
                Ok(if is_plain(&own) { own } else { bracketed(&own) })
            }
            _ => Err(Error::invalid(
                "The form of a name is ESCAPED, UNESCAPED or MINIMALLYESCAPED in NAMEOF.",
            )),
        }
    }

    /// Table and own name of what is referred to; a table has no own name beside its table's.
    fn named_object(&self, e: &Expr) -> Result<(Sort, Option<String>, Option<String>)> {
        match &e.kind {
            ExprKind::Name { name, .. } => {
                let id = self.model_table_id(name)?;
                Ok((Sort::Table, Some(self.model.table(id).name.to_string()), None))
            }
            ExprKind::Bracketed(name) | ExprKind::Qualified { name, .. }
                if self.is_measure(name) =>
            {
                let measure = self.model.measure(name);
                let table = measure.map(|m| self.model.table(m.table).name.to_string());
                let shown = measure.map_or_else(|| name.to_string(), |m| m.name.to_string());
                Ok((Sort::Measure, table, Some(shown)))
            }
            _ => {
                let id = self.column_reference(e)?;
                let table = self.model.table(id.table).name.to_string();
                let own = self.model.column_info(id).name.to_string();
                Ok((Sort::Column, Some(table), Some(own)))
            }
        }
    }
}

/// A keyword in upper case; the other word where it is left out.
fn word(e: Option<&Expr>, otherwise: &str) -> Result<String> {
    match e.map(|e| &e.kind) {
        None | Some(ExprKind::Omitted) => Ok(otherwise.to_owned()),
        Some(ExprKind::Name { name, .. }) => Ok(name.to_ascii_uppercase()),
        Some(_) => Err(Error::invalid(
            "NAMEOF takes keywords after the object: a part such as COLUMN, and a form such as UNESCAPED.",
        )),
    }
}

/// Whether a name can do without quotes.
fn is_plain(name: &str) -> bool {
    let starts = |c: char| c.is_alphabetic() || c == '_';
    name.starts_with(starts) && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}
