//! Text of an M expression → tokens.

use std::sync::Arc;

use evercube_base::{Error, Result};

use super::ast::Span;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// A name, keyword or `#`-keyword as written.
    Word(Arc<str>),
    /// A name written `#"…"`; never a keyword.
    Quoted(Arc<str>),
    Int(i64),
    Double(f64),
    Text(Arc<str>),
    Symbol(&'static str),
    /// A character that only a general field name may contain.
    Other(char),
    End,
}

const SYMBOLS: [&str; 28] = [
    "...", "=>", "<=", ">=", "<>", "??", "..", "(", ")", "[", "]", "{", "}", ",", ";", "=", "<",
    ">", "+", "-", "*", "/", "&", "@", "?", "!", ":", "%",
];

pub(crate) fn tokens(text: &str) -> Result<Vec<(Token, Span)>> {
    let mut out = Vec::new();
    let mut at = usize::from(text.starts_with('\u{feff}')) * 3;
    while let Some(rest) = text.get(at..).filter(|r| !r.is_empty()) {
        let Some(c) = rest.chars().next() else { break };
        if c.is_whitespace() {
            at += c.len_utf8();
        } else if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            let Some(n) = rest.find("*/") else {
                return Err(Error::invalid("the comment that starts here never ends: add */")
                    .at((at, text.len())));
            };
            at += n + 2;
        } else {
            let (token, len) = token(rest, c, at)?;
            out.push((token, (at, at + len)));
            at += len;
        }
    }
    out.push((Token::End, (text.len(), text.len())));
    Ok(out)
}

fn token(rest: &str, c: char, at: usize) -> Result<(Token, usize)> {
    if c == '"' {
        let (t, n) = quoted(rest, at)?;
        return Ok((Token::Text(t.into()), n));
    }
    if let Some(tail) = rest.strip_prefix('#')
        && tail.starts_with('"')
    {
        let (t, n) = quoted(tail, at + 1)?;
        return Ok((Token::Quoted(t.into()), n + 1));
    }
    let second_digit = rest.chars().nth(1).is_some_and(|d| d.is_ascii_digit());
    if c.is_ascii_digit() || (c == '.' && second_digit) {
        return number(rest, at);
    }
    if c.is_alphabetic() || c == '_' || (c == '#' && !second_digit) {
        let n = word_len(rest);
        if n > 0 {
            return Ok((Token::Word(rest.get(..n).unwrap_or_default().into()), n));
        }
    }
    if let Some(s) = SYMBOLS.iter().find(|s| rest.starts_with(**s)) {
        return Ok((Token::Symbol(s), s.len()));
    }
    Ok((Token::Other(c), c.len_utf8()))
}

/// Length of a name: letters, digits, underscores; a dot only between two such parts.
fn word_len(rest: &str) -> usize {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut end = 0;
    let mut chars = rest.char_indices().peekable();
    while let Some((i, c)) = chars.next() {
        let next_is_word = chars.peek().is_some_and(|(_, n)| n.is_alphabetic() || *n == '_');
        if word(c) || (i == 0 && c == '#' && next_is_word) || (i > 0 && c == '.' && next_is_word) {
            end = i + c.len_utf8();
        } else {
            break;
        }
    }
    end
}

fn number(rest: &str, at: usize) -> Result<(Token, usize)> {
    let b = rest.as_bytes();
    if rest.len() > 2 && (rest.starts_with("0x") || rest.starts_with("0X")) {
        let n = 2 + b.iter().skip(2).take_while(|c| c.is_ascii_hexdigit()).count();
        let v = i64::from_str_radix(rest.get(2..n).unwrap_or_default(), 16);
        let v = v.map_err(|_| {
            Error::invalid("this hexadecimal number has no digits or is too large").at((at, at + n))
        })?;
        return Ok((Token::Int(v), n));
    }
    let digits =
        |from: usize| b.iter().skip(from).take_while(|c| c.is_ascii_digit()).count() + from;
    let mut n = digits(0);
    let mut whole = true;
    if b.get(n) == Some(&b'.') && b.get(n + 1).is_some_and(u8::is_ascii_digit) {
        n = digits(n + 1);
        whole = false;
    }
    if matches!(b.get(n), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(b.get(n + 1), Some(b'+' | b'-')));
        let end = digits(n + 1 + sign);
        if end > n + 1 + sign {
            n = end;
            whole = false;
        }
    }
    let t = rest.get(..n).unwrap_or_default();
    if whole && let Ok(v) = t.parse::<i64>() {
        return Ok((Token::Int(v), n));
    }
    let v = t.parse::<f64>();
    v.map(|v| (Token::Double(v), n))
        .map_err(|_| Error::invalid(format!("'{t}' is not a number")).at((at, at + n)))
}

/// A text in quotes, with doubled quotes and `#(…)` escapes; gives its bytes' length too.
fn quoted(rest: &str, at: usize) -> Result<(String, usize)> {
    let mut out = String::new();
    let mut i = 1;
    while let Some(c) = rest.get(i..).and_then(|r| r.chars().next()) {
        let tail = rest.get(i..).unwrap_or_default();
        if tail.starts_with("\"\"") {
            out.push('"');
            i += 2;
        } else if c == '"' {
            return Ok((out, i + 1));
        } else if tail.starts_with("#(") {
            let Some(end) = tail.find(')') else { break };
            for part in tail.get(2..end).unwrap_or_default().split(',') {
                let hex = u32::from_str_radix(part, 16).ok().and_then(char::from_u32);
                match (part.trim(), hex) {
                    ("lf", _) => out.push('\n'),
                    ("cr", _) => out.push('\r'),
                    ("tab", _) => out.push('\t'),
                    ("#", _) => out.push('#'),
                    (p, Some(c)) if p.len() == 4 || p.len() == 8 => out.push(c),
                    (p, _) => {
                        return Err(Error::invalid(format!(
                            "'#({p})' is not an escape: use #(lf), #(cr), #(tab), #(#) or #(hhhh)"
                        ))
                        .at((at + i, at + i + end + 1)));
                    }
                }
            }
            i += end + 1;
        } else {
            out.push(c);
            i += c.len_utf8();
        }
    }
    Err(Error::invalid("the text that starts here has no closing quote")
        .at((at, at + rest.len().min(20))))
}
