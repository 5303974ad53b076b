//! DAX text to tokens. Never fails: what cannot be read becomes a `Bad` token with a message.

use std::sync::Arc;

use evercube_base::DateTime;

use crate::ast::Span;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TokenKind {
    /// Unquoted name; may contain dots between its parts.
    Name(Arc<str>),
    /// `'name'`; without a name only before `[column]`.
    Quoted(Arc<str>),
    /// `[name]`
    Bracketed(Arc<str>),
    Text(Arc<str>),
    Integer(i64),
    Double(f64),
    Date(DateTime),
    /// `@name`
    Parameter(Arc<str>),
    Symbol(&'static str),
    /// Unreadable text, with the reason.
    Bad(String),
    End,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) span: Span,
}

impl Token {
    /// True for the unquoted name `word`, in any case.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        matches!(&self.kind, TokenKind::Name(name) if name.eq_ignore_ascii_case(word))
    }
    pub(crate) fn is_symbol(&self, symbol: &str) -> bool {
        matches!(&self.kind, TokenKind::Symbol(found) if *found == symbol)
    }
    /// How a message names this token.
    pub(crate) fn describe(&self) -> String {
        match &self.kind {
            TokenKind::Name(name) => format!("'{}'", shorten(name)),
            TokenKind::Quoted(name) => format!("the name '{}'", shorten(name)),
            TokenKind::Bracketed(name) => format!("[{}]", shorten(name)),
            TokenKind::Text(text) => format!("the text \"{}\"", shorten(text)),
            TokenKind::Integer(value) => format!("the number {value}"),
            TokenKind::Double(value) => format!("the number {value}"),
            TokenKind::Date(_) => "a date".to_owned(),
            TokenKind::Parameter(name) => format!("the parameter @{}", shorten(name)),
            TokenKind::Symbol(symbol) => format!("'{symbol}'"),
            TokenKind::Bad(_) => "unreadable text".to_owned(),
            TokenKind::End => "the end of the text".to_owned(),
        }
    }
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= 40 {
        return text.to_owned();
    }
    text.chars().take(40).chain(['…']).collect()
}

/// Longest first, so that the first match is the right one.
const SYMBOLS: [&str; 26] = [
    "&&", "||", "==", "=>", "<>", "<=", ">=", "=", "<", ">", "+", "-", "*", "/", "^", "&", "(",
    ")", "{", "}", ",", ".", ":", ";", "!", "|",
];

pub(crate) fn is_name_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

pub(crate) fn is_name_part(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// All tokens of `text`, the last one being `End`. `text` is at most `u32::MAX` bytes.
pub(crate) fn tokenize(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { text, position: 0, tokens: Vec::new() };
    while lexer.next_token() {}
    lexer.tokens
}

struct Lexer<'a> {
    text: &'a str,
    position: usize,
    tokens: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.position..).unwrap_or("")
    }

    fn push(&mut self, kind: TokenKind, start: usize) {
        let clamp = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let span = Span { start: clamp(start), end: clamp(self.position), passed: 0 };
        self.tokens.push(Token { kind, span });
    }

    fn bad(&mut self, message: impl Into<String>, start: usize) {
        self.push(TokenKind::Bad(message.into()), start);
    }

    /// Skips blanks and comments; a comment without its end becomes a `Bad` token.
    fn skip_trivia(&mut self) {
        loop {
            let rest = self.rest();
            let blanks = rest.len()
                - rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}').len();
            self.position += blanks;
            let rest = self.rest();
            if rest.starts_with("//") || rest.starts_with("--") {
                self.position += rest.find(['\n', '\r']).unwrap_or(rest.len());
            } else if let Some(body) = rest.strip_prefix("/*") {
                let start = self.position;
                match body.find("*/") {
                    Some(end) => self.position += end + 4,
                    None => {
                        self.position = self.text.len();
                        self.bad("the comment has no end; close it with '*/'", start);
                    }
                }
            } else {
                return;
            }
        }
    }

    fn next_token(&mut self) -> bool {
        self.skip_trivia();
        let start = self.position;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            self.push(TokenKind::End, start);
            return false;
        };
        let second = rest.chars().nth(1);
        match first {
            '"' => self.delimited(start, '"', TokenKind::Text, "text", "\""),
            '\'' => self.delimited(start, '\'', TokenKind::Quoted, "quoted name", "'"),
            '[' => self.delimited(start, ']', TokenKind::Bracketed, "name in brackets", "]"),
            '@' => {
                let name = leading_name(rest.get(1..).unwrap_or(""), false);
                self.position += 1 + name.len();
                if name.is_empty() {
                    self.bad("'@' must be followed by the name of a parameter", start);
                } else {
                    self.push(TokenKind::Parameter(name.into()), start);
                }
            }
            '0'..='9' => self.number(start),
            '.' if second.is_some_and(|c| c.is_ascii_digit()) => self.number(start),
            c if is_name_start(c) => self.name(start),
            _ => match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
                Some(symbol) => {
                    self.position += symbol.len();
                    self.push(TokenKind::Symbol(symbol), start);
                }
                None => {
                    self.position += first.len_utf8();
                    self.bad(
                        format!("the character '{}' has no meaning here", first.escape_debug()),
                        start,
                    );
                }
            },
        }
        true
    }

    /// Reads up to `close`, where the doubled `close` stands for itself.
    fn delimited(
        &mut self,
        start: usize,
        close: char,
        make: fn(Arc<str>) -> TokenKind,
        what: &str,
        mark: &str,
    ) {
        let mut value = String::new();
        self.position += 1;
        loop {
            let rest = self.rest();
            let Some(end) = rest.find(close) else {
                self.position = self.text.len();
                return self.bad(format!("the {what} has no end; close it with {mark}"), start);
            };
            value.push_str(rest.get(..end).unwrap_or(""));
            self.position += end + 1;
            if !self.rest().starts_with(close) {
                break;
            }
            value.push(close);
            self.position += 1;
        }
        let names_no_table = close == '\'' && value.is_empty() && self.rest().starts_with('[');
        if close != '"' && value.trim().is_empty() && !names_no_table {
            return self.bad(format!("the {what} is empty"), start);
        }
        self.push(make(value.into()), start);
    }

    fn name(&mut self, start: usize) {
        let rest = self.rest();
        if let Some(mark) = rest.get(..3)
            && mark.eq_ignore_ascii_case("dt\"")
        {
            self.position += 2;
            return self.date(start);
        }
        let name = leading_name(rest, true);
        self.position += name.len();
        self.push(TokenKind::Name(name.into()), start);
    }

    fn date(&mut self, start: usize) {
        let body = self.rest().get(1..).unwrap_or("");
        let Some(end) = body.find('"') else {
            self.position = self.text.len();
            return self.bad("the date has no end; close it with \"", start);
        };
        let written = body.get(..end).unwrap_or("");
        self.position += end + 2;
        match DateTime::parse_iso(written.trim()) {
            Some(value) => self.push(TokenKind::Date(value), start),
            None => self.bad(
                "the date cannot be read; write it as dt\"2024-01-31\" or dt\"2024-01-31T10:20:30\"",
                start,
            ),
        }
    }

    fn number(&mut self, start: usize) {
        let bytes = self.rest().as_bytes();
        let digits =
            |from: usize| bytes.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count();
        let mut length = digits(0);
        let mut integral = true;
        if bytes.get(length) == Some(&b'.') {
            integral = false;
            length += 1;
            length += digits(length);
        }
        if matches!(bytes.get(length), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
            let exponent = digits(length + 1 + sign);
            if exponent > 0 {
                integral = false;
                length += 1 + sign + exponent;
            }
        }
        let written = self.rest().get(..length).unwrap_or("");
        self.position += length;
        if integral && let Ok(value) = written.parse::<i64>() {
            return self.push(TokenKind::Integer(value), start);
        }
        match written.parse::<f64>() {
            Ok(value) if value.is_finite() => self.push(TokenKind::Double(value), start),
            _ => self.bad("the number is too large", start),
        }
    }
}

/// The name at the start of `text`; with `dots`, also `A.B` where a name part follows the dot.
fn leading_name(text: &str, dots: bool) -> &str {
    let mut characters = text.char_indices().peekable();
    let mut end = 0;
    while let Some((at, c)) = characters.next() {
        let dot = dots
            && c == '.'
            && at > 0
            && characters.peek().is_some_and(|(_, next)| is_name_part(*next));
        if !is_name_part(c) && !dot {
            break;
        }
        end = at + c.len_utf8();
    }
    text.get(..end).unwrap_or("")
}
