//! Statements as they may be shown: without the secrets in them.

use crate::objects::wire::is_secret;

const HIDDEN: &str = "********";

/// A statement with every value hidden that stands under a key such as `password`, in JSON or in a
/// connection string. Whatever its syntax is: what cannot be read is hidden rather than shown.
pub fn without_secrets(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((ends, at)) = next_secret(rest) {
        let (before, value) = rest.split_at(at);
        out.push_str(before);
        out.push_str(HIDDEN);
        rest = value.get(end_of(value, ends)..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// How a value ends.
#[derive(Clone, Copy)]
enum Ends {
    /// At a quote that no backslash precedes.
    Quote,
    /// At `;`, a quote, or the end of the line.
    Part,
}

/// The next secret: how it ends, and where its value begins.
fn next_secret(text: &str) -> Option<(Ends, usize)> {
    let mut from = 0;
    while let Some(found) = text.get(from..)?.find(['"', '=']) {
        let at = from + found;
        from = at + 1;
        let (before, after) = (text.get(..at)?, text.get(from..)?);
        let is_part = text.as_bytes().get(at) == Some(&b'=');
        let key = match is_part {
            true => last_word(before.trim_end()),
            // The quotes may be escaped, in JSON within JSON.
            false => last_word(before.strip_suffix('\\').unwrap_or(before)),
        };
        if !is_secret(key) && !key.eq_ignore_ascii_case("pwd") {
            continue;
        }
        if is_part {
            return Some((Ends::Part, from));
        }
        let value = after.trim_start().strip_prefix(':').map(str::trim_start);
        let value = value.map(|v| v.strip_prefix('\\').unwrap_or(v));
        if let Some(value) = value.and_then(|v| v.strip_prefix('"')) {
            return Some((Ends::Quote, text.len() - value.len()));
        }
    }
    None
}

/// The letters and digits a text ends with.
fn last_word(text: &str) -> &str {
    let word = text.chars().rev().take_while(|c| c.is_alphanumeric());
    let length: usize = word.map(char::len_utf8).sum();
    text.get(text.len() - length..).unwrap_or_default()
}

fn end_of(value: &str, ends: Ends) -> usize {
    let mut escaped = false;
    for (at, c) in value.char_indices() {
        match (ends, c) {
            (Ends::Quote, '"') if !escaped => return at,
            (Ends::Part, ';' | '\n' | '\r' | '<') => return at,
            (Ends::Part, '"') if at > 0 => return at,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    value.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_the_rest_stays() {
        for (text, shown) in [
            (
                r#"{"name":"a","password":"canary","x":1}"#,
                r#"{"name":"a","password":"********","x":1}"#,
            ),
            (r#"{"Password" : "can\"ary", "b":2}"#, r#"{"Password" : "********", "b":2}"#),
            (
                r#"{"connectionString":"Host=h;Password=canary;Timeout=5"}"#,
                r#"{"connectionString":"Host=h;Password=********;Timeout=5"}"#,
            ),
            (
                r#"{"connectionString":"Host=h; pwd = canary"}"#,
                r#"{"connectionString":"Host=h; pwd =********"}"#,
            ),
            (r#"EVALUATE ROW("key", 1)"#, r#"EVALUATE ROW("key", 1)"#),
            ("nothing", "nothing"),
            (r#"{"accessToken":"canary"#, r#"{"accessToken":"********"#),
            ("<X>Password=canary</X>", "<X>Password=********</X>"),
        ] {
            assert_eq!(without_secrets(text), shown);
        }
    }
}
