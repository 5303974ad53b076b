//! Values of model parameters: shared M expressions that are one literal, mostly with `meta`.

use evercube_base::{Error, Result};

/// The expression with another value in front of its `meta`, which stays as it is.
pub(super) fn with_value(name: &str, expression: &str, value: &str) -> Result<String> {
    let start = expression.len() - expression.trim_start().len();
    let (lead, body) = expression.split_at(start);
    let end = literal_end(body);
    let (old, rest) = body.split_at(end);
    let is_literal = end > 0 && (rest.trim().is_empty() || is_meta(rest));
    if !is_literal {
        return Err(Error::invalid(format!(
            "cannot set the parameter '{name}': its expression is computed, not one value; \
             change the expression in the model"
        )));
    }
    let new = match old {
        "true" | "false" => bare(name, value, matches!(value, "true" | "false"), "true or false")?,
        _ if old.starts_with('"') => quoted(value),
        "null" => quoted(value),
        _ => bare(name, value, value.parse::<f64>().is_ok_and(f64::is_finite), "a number")?,
    };
    Ok(format!("{lead}{new}{rest}"))
}

fn bare(name: &str, value: &str, fits: bool, wanted: &str) -> Result<String> {
    if fits {
        return Ok(value.to_owned());
    }
    Err(Error::invalid(format!("cannot set the parameter '{name}' to '{value}': it is {wanted}")))
}

/// A text literal of M.
fn quoted(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => out.push_str("\"\""),
            '#' if chars.peek() == Some(&'(') => out.push_str("#(#)"),
            '\r' => out.push_str("#(cr)"),
            '\n' => out.push_str("#(lf)"),
            '\t' => out.push_str("#(tab)"),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// Where the literal at the beginning of `text` ends; 0 where there is none.
fn literal_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    if bytes.first() == Some(&b'"') {
        let mut at = 1;
        while let Some(byte) = bytes.get(at) {
            match (byte, bytes.get(at + 1)) {
                (b'"', Some(b'"')) => at += 2,
                (b'"', _) => return at + 1,
                _ => at += 1,
            }
        }
        return 0;
    }
    for word in ["true", "false", "null"] {
        if text.strip_prefix(word).is_some_and(|r| !r.starts_with(|c: char| c.is_alphanumeric())) {
            return word.len();
        }
    }
    let end = text.find(|c: char| c.is_whitespace()).unwrap_or(text.len());
    if text.get(..end).is_some_and(|t| t.parse::<f64>().is_ok()) { end } else { 0 }
}

fn is_meta(rest: &str) -> bool {
    let rest = rest.trim_start();
    rest.strip_prefix("meta")
        .is_some_and(|r| r.starts_with(|c: char| c.is_whitespace() || c == '['))
}

#[cfg(test)]
mod tests {
    use super::with_value;

    #[test]
    fn the_value_changes_and_meta_stays() {
        let meta = " meta [IsParameterQuery=true, Type=\"Text\"]";
        for (old, value, new) in [
            (
                format!("\"C:\\old\"{meta}"),
                "/data/\"x\"",
                Some(format!("\"/data/\"\"x\"\"\"{meta}")),
            ),
            ("\"a\"\"b\"".to_owned(), "#(lf)", Some("\"#(#)(lf)\"".to_owned())),
            (format!("2007{meta}"), "2008", Some(format!("2008{meta}"))),
            (format!("2007{meta}"), "x", None),
            ("true".to_owned(), "false", Some("false".to_owned())),
            ("let a = 1 in a".to_owned(), "1", None),
            ("\"a\" & \"b\"".to_owned(), "c", None),
            ("\"open".to_owned(), "c", None),
        ] {
            assert_eq!(with_value("p", &old, value).ok(), new, "{old}");
        }
    }
}
