//! The registry of DAX functions: signatures, descriptions and the scalar implementations.
//!
//! Scalar functions carry their implementation; functions over tables, columns or filter context
//! are [`FunctionKind::Special`] and are evaluated by the engine under their name.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::OnceLock;

use evercube_base::{Collation, DataType, DateTime, Result, Value};

use arguments::Args;

pub mod arguments;
pub mod bonds;
pub mod bonds_odd;
pub mod date;
pub mod date_text;
pub mod day_count;
pub mod distributions;
pub mod financial;
pub mod info;
pub mod information;
pub mod math;
pub mod refused;
pub mod special;
pub mod text;
mod text_search;
pub mod time_intelligence;
pub mod value_conversion;

/// What a scalar function may know besides its arguments.
pub struct ScalarContext<'a> {
    pub collation: Collation,
    /// Culture of the model, as `en-US`.
    pub locale: &'a str,
    /// What the caller's client says of its own.
    pub user_culture: &'a str,
    /// Local time of the query's start.
    pub now: DateTime,
    pub utc_now: DateTime,
    pub user: &'a str,
    pub custom_data: Option<&'a str>,
    /// State of the random sequence; RAND and RANDBETWEEN advance it.
    pub random: &'a Cell<u64>,
}

/// A scalar implementation; arguments left out arrive as blank or are missing at the end.
pub type ScalarFunction = fn(&ScalarContext<'_>, Args<'_>) -> Result<Value>;

#[derive(Debug, Clone, Copy)]
pub enum FunctionKind {
    Scalar(ScalarFunction),
    /// Implemented by the engine itself, dispatched by name.
    Special,
    /// Known by name and not evaluated, for this reason.
    Refused(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterKind {
    Table,
    Column,
    Scalar,
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    pub name: &'static str,
    pub optional: bool,
    /// This parameter and the repeating ones beside it may come again as a group.
    pub repeating: bool,
    pub kind: ParameterKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReturnType {
    Fixed(DataType),
    /// The type of the argument at this position, from 0.
    SameAsArgument(usize),
    /// The widest numeric type of the arguments.
    Numeric,
    Table,
    Variant,
}

#[derive(Debug, Clone, Copy)]
pub struct FunctionDef {
    /// Upper case.
    pub name: &'static str,
    pub category: &'static str,
    pub description: &'static str,
    pub parameters: &'static [Parameter],
    pub kind: FunctionKind,
    /// Two calls with equal arguments may differ.
    pub volatile: bool,
    pub return_type: ReturnType,
}

impl FunctionDef {
    /// Whether calls of it are evaluated.
    pub fn is_evaluated(&self) -> bool {
        !matches!(self.kind, FunctionKind::Refused(_))
    }

    /// The signature as documentation writes it: `LEFT ( Text, [NumChars] )`.
    pub fn form(&self) -> String {
        let one = |p: &Parameter| {
            let dots = if p.repeating { " …" } else { "" };
            match p.optional {
                true => format!("[{}{dots}]", p.name),
                false => format!("{}{dots}", p.name),
            }
        };
        let parameters: Vec<String> = self.parameters.iter().map(one).collect();
        match parameters.is_empty() {
            true => format!("{} ( )", self.name),
            false => format!("{} ( {} )", self.name, parameters.join(", ")),
        }
    }

    /// Whether a call with `count` arguments fits the signature.
    pub fn accepts(&self, count: usize) -> bool {
        let least = self.parameters.iter().filter(|p| !p.optional).count();
        let open = self.parameters.iter().any(|p| p.repeating);
        count >= least && (open || count <= self.parameters.len())
    }
}

/// One line of a family's table. The signature lists parameters between commas: `t:` table, `c:`
/// column, `a:` any, else scalar; `[x]` optional; a trailing `...` repeating.
#[derive(Clone, Copy)]
pub(crate) struct Row(
    pub &'static str,
    pub &'static str,
    pub &'static str,
    pub ReturnType,
    pub FunctionKind,
);

/// A category and its functions.
pub(crate) struct Family(pub &'static str, pub &'static [Row]);

const VOLATILE: [&str; 6] = ["NOW", "TODAY", "UTCNOW", "UTCTODAY", "RAND", "RANDBETWEEN"];

fn parameters(signature: &'static str) -> &'static [Parameter] {
    let list: Vec<Parameter> = signature
        .split(',')
        .map(str::trim)
        .filter(|p| !p.is_empty())
        .map(|p| {
            let (p, repeating) = p.strip_suffix("...").map_or((p, false), |r| (r, true));
            let (p, optional) = p
                .strip_prefix('[')
                .and_then(|r| r.strip_suffix(']'))
                .map_or((p, false), |r| (r, true));
            let (kind, name) = match p.split_once(':') {
                Some(("t", n)) => (ParameterKind::Table, n),
                Some(("c", n)) => (ParameterKind::Column, n),
                Some((_, n)) => (ParameterKind::Any, n),
                None => (ParameterKind::Scalar, p),
            };
            Parameter { name, optional, repeating, kind }
        })
        .collect();
    // The registry is built once and lives as long as the process.
    Vec::leak(list)
}

struct Registry {
    functions: Vec<FunctionDef>,
    by_name: HashMap<&'static str, usize>,
}

fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let mut functions = Vec::new();
        let families = [
            math::FAMILIES,
            text::FAMILIES,
            date::FAMILIES,
            info::FAMILIES,
            information::FAMILIES,
            distributions::FAMILIES,
            financial::FAMILIES,
            bonds::FAMILIES,
            bonds_odd::FAMILIES,
            special::FAMILIES,
            refused::FAMILIES,
        ];
        for Family(category, rows) in families.into_iter().flatten() {
            for Row(name, signature, description, return_type, kind) in *rows {
                functions.push(FunctionDef {
                    name,
                    category,
                    description,
                    parameters: parameters(signature),
                    kind: *kind,
                    volatile: VOLATILE.contains(name),
                    return_type: *return_type,
                });
            }
        }
        functions.sort_by_key(|f| f.name);
        let by_name = functions.iter().enumerate().map(|(i, f)| (f.name, i)).collect();
        Registry { functions, by_name }
    })
}

/// The function of this name, letter case aside.
pub fn lookup(name: &str) -> Option<&'static FunctionDef> {
    let r = registry();
    r.by_name.get(name.to_ascii_uppercase().as_str()).and_then(|i| r.functions.get(*i))
}

/// Every function that is known, also those that are refused, ordered by name.
pub fn all() -> &'static [FunctionDef] {
    &registry().functions
}

#[cfg(test)]
mod tests;
