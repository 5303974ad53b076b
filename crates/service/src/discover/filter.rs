//! Restrictions of a schema request, applied to its rows.

use evercube_base::{Rowset, Value};

/// Name and accepted values of each restriction of a request.
pub type Restrictions = [(String, Vec<String>)];

/// Values of a restriction by name, letter case aside.
pub fn values<'r>(restrictions: &'r Restrictions, name: &str) -> Option<&'r [String]> {
    let found = restrictions.iter().find(|(k, _)| k.eq_ignore_ascii_case(name));
    found.map(|(_, v)| v.as_slice()).filter(|v| !v.is_empty())
}

/// The only or first value of a restriction.
pub fn first<'r>(restrictions: &'r Restrictions, name: &str) -> Option<&'r str> {
    values(restrictions, name).and_then(|v| v.first()).map(String::as_str)
}

/// A restriction that is a set of bits.
fn mask(restrictions: &Restrictions, name: &str) -> Option<i64> {
    first(restrictions, name).and_then(|v| v.trim().parse().ok())
}

/// Whether a cell is what a restriction's text says: text without letter case, numbers by value.
pub fn matches(cell: &Value, wanted: &str) -> bool {
    match cell {
        Value::Blank => wanted.is_empty(),
        Value::Boolean(b) => match wanted.trim() {
            "1" | "-1" => *b,
            "0" => !*b,
            t => t.eq_ignore_ascii_case(if *b { "true" } else { "false" }),
        },
        Value::Int(i) => wanted.trim().parse::<f64>().is_ok_and(|w| w == *i as f64),
        Value::Decimal(d) => wanted.trim().parse::<f64>().is_ok_and(|w| w == d.to_f64()),
        Value::Double(d) => wanted.trim().parse::<f64>().is_ok_and(|w| w == *d),
        Value::DateTime(t) => evercube_base::DateTime::parse_iso(wanted) == Some(*t),
        Value::String(s) => s.as_ref() == wanted || s.to_lowercase() == wanted.to_lowercase(),
    }
}

/// Restrictions on visibility: bit 1 keeps visible objects, bit 2 hidden ones; 1 where not given.
const VISIBILITY: [(&str, &str); 5] = [
    ("DIMENSION_VISIBILITY", "DIMENSION_IS_VISIBLE"),
    ("HIERARCHY_VISIBILITY", "HIERARCHY_IS_VISIBLE"),
    ("LEVEL_VISIBILITY", "LEVEL_IS_VISIBLE"),
    ("MEASURE_VISIBILITY", "MEASURE_IS_VISIBLE"),
    ("PROPERTY_VISIBILITY", "PROPERTY_IS_VISIBLE"),
];
/// Columns whose restriction is a set of bits, one of which the cell must have.
const BIT_SETS: [&str; 2] = ["CUBE_SOURCE", "HIERARCHY_ORIGIN"];

/// Keeps the rows that meet all restrictions. Names that are neither a column nor a known
/// restriction are passed over: every release of a client adds some.
pub fn apply(rowset: &mut Rowset, restrictions: &Restrictions) {
    for (restriction, column) in VISIBILITY {
        let own = restriction.split('_').next().unwrap_or("");
        let speaks_of_rows = rowset.name.to_ascii_uppercase().contains(match own {
            "HIERARCHY" => "HIERARCHIES",
            "PROPERTY" => "PROPERTIES",
            other => other,
        });
        let given = mask(restrictions, restriction);
        let Some(i) = rowset.column(column) else { continue };
        if given.is_none() && !speaks_of_rows {
            continue;
        }
        let bits = given.unwrap_or(1);
        rowset.retain(|row| match row.get(i) {
            Some(Value::Boolean(true)) => bits & 1 != 0,
            Some(Value::Boolean(false)) => bits & 2 != 0,
            _ => true,
        });
    }
    if rowset.column("CUBE_SOURCE").is_none()
        && rowset.column("CUBE_NAME").is_some()
        && mask(restrictions, "CUBE_SOURCE").is_some_and(|m| m & 1 == 0)
    {
        rowset.retain(|_| false);
    }
    for (name, wanted) in restrictions {
        let Some(i) = rowset.column(name) else { continue };
        if wanted.is_empty() {
            continue;
        }
        if BIT_SETS.iter().any(|b| b.eq_ignore_ascii_case(name)) {
            let Some(bits) = mask(restrictions, name) else { continue };
            rowset.retain(|row| matches!(row.get(i), Some(Value::Int(v)) if v & bits != 0));
            continue;
        }
        rowset.retain(|row| row.get(i).is_some_and(|cell| wanted.iter().any(|w| matches(cell, w))));
    }
}
