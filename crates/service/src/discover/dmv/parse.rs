//! Text of a `SELECT` to its parts.

use evercube_base::{Error, Result, Value};

use super::expression::{Expr, FUNCTIONS, text_of};

/// Parentheses and operators inside each other.
const DEPTH: usize = 100;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Items {
    All,
    /// Alias (empty for none) and expression.
    List(Vec<(String, Expr)>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Select {
    pub distinct: bool,
    pub top: Option<usize>,
    pub items: Items,
    pub rowset: String,
    pub restrictions: Vec<(String, Vec<String>)>,
    pub filter: Option<Expr>,
    /// Key and whether it descends.
    pub order: Vec<(Expr, bool)>,
}

/// Name of a rowset and its restrictions.
type Source = (String, Vec<(String, Vec<String>)>);

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// A bare word, as written.
    Word(String),
    /// A name in brackets.
    Quoted(String),
    Text(String),
    Number(f64, Option<i64>),
    Parameter(String),
    Sign(&'static str),
}

const SIGNS: [&str; 16] =
    ["<>", "<=", ">=", "!=", "=", "<", ">", "(", ")", ",", ".", "*", "+", "-", "/", ";"];

fn tokens(text: &str) -> Result<Vec<(Token, usize)>> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(c) = text.get(at..).and_then(|t| t.chars().next()) {
        let rest = text.get(at..).unwrap_or("");
        let start = at;
        if c.is_whitespace() || c == '\u{FEFF}' {
            at += c.len_utf8();
        } else if rest.starts_with("--") || rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            at += rest.find("*/").map_or(rest.len(), |i| i + 2);
        } else if c == '[' || c == '\'' || c == '"' {
            let close = if c == '[' { ']' } else { c };
            let (value, used) = quoted(rest, close).ok_or_else(|| {
                Error::invalid(format!("The statement has a {c} without its {close}."))
                    .at((start, text.len()))
            })?;
            at += used;
            out.push((if c == '[' { Token::Quoted(value) } else { Token::Text(value) }, start));
        } else if c == '@' || c == '$' || c == '_' || c.is_alphabetic() {
            let end = rest
                .char_indices()
                .skip(1)
                .find(|(_, c)| !(c.is_alphanumeric() || matches!(c, '_' | '$')))
                .map_or(rest.len(), |(i, _)| i);
            let word = rest.get(..end).unwrap_or("");
            at += end.max(c.len_utf8());
            out.push(match word.strip_prefix('@') {
                Some(name) => (Token::Parameter(name.to_owned()), start),
                None => (Token::Word(word.to_owned()), start),
            });
        } else if c.is_ascii_digit() {
            let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
            let digits = rest.get(..end).unwrap_or("");
            at += end;
            let number = digits
                .parse()
                .map_err(|_| Error::invalid(format!("'{digits}' is no number.")).at((start, at)))?;
            out.push((Token::Number(number, digits.parse().ok()), start));
        } else if let Some(sign) = SIGNS.iter().find(|s| rest.starts_with(**s)) {
            at += sign.len();
            out.push((Token::Sign(if *sign == "!=" { "<>" } else { sign }), start));
        } else {
            return Err(Error::invalid(format!("The statement has an unexpected '{c}'."))
                .at((start, start + c.len_utf8())));
        }
    }
    Ok(out)
}

/// Text up to the closing sign, doubled ones being part of it, and the bytes used.
fn quoted(rest: &str, close: char) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((i, c)) = chars.next() {
        if c != close {
            value.push(c);
        } else if chars.peek().is_some_and(|(_, n)| *n == close) {
            value.push(c);
            chars.next();
        } else {
            return Some((value, i + c.len_utf8()));
        }
    }
    None
}

struct Parser<'p> {
    tokens: Vec<(Token, usize)>,
    next: usize,
    length: usize,
    parameters: &'p [(String, Value)],
}

pub(super) fn parse(text: &str, parameters: &[(String, Value)]) -> Result<Select> {
    let mut p = Parser { tokens: tokens(text)?, next: 0, length: text.len(), parameters };
    p.select()
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(t, _)| t)
    }
    fn take(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.next += 1;
        token
    }
    fn wrong(&self, expected: &str) -> Error {
        let at = self.tokens.get(self.next).map_or(self.length, |(_, at)| *at);
        let found = match self.peek() {
            None => "the end".to_owned(),
            Some(Token::Word(w) | Token::Quoted(w) | Token::Text(w) | Token::Parameter(w)) => {
                format!("'{w}'")
            }
            Some(Token::Number(n, _)) => format!("'{n}'"),
            Some(Token::Sign(s)) => format!("'{s}'"),
        };
        Error::invalid(format!(
            "The SELECT over $SYSTEM cannot be read: {expected} was expected, {found} stands there."
        ))
        .at((at, self.length.max(at)))
    }
    fn word(&mut self, word: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Word(w)) if w.eq_ignore_ascii_case(word));
        self.next += usize::from(is);
        is
    }
    fn sign(&mut self, sign: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Sign(s)) if *s == sign);
        self.next += usize::from(is);
        is
    }
    fn need_word(&mut self, word: &str) -> Result<()> {
        if self.word(word) { Ok(()) } else { Err(self.wrong(word)) }
    }
    fn need_sign(&mut self, sign: &str) -> Result<()> {
        if self.sign(sign) { Ok(()) } else { Err(self.wrong(&format!("'{sign}'"))) }
    }
    fn name(&mut self) -> Result<String> {
        match self.peek() {
            Some(Token::Word(_) | Token::Quoted(_)) => match self.take() {
                Some(Token::Word(w) | Token::Quoted(w)) => Ok(w),
                _ => Err(self.wrong("a name")),
            },
            _ => Err(self.wrong("a name")),
        }
    }

    fn select(&mut self) -> Result<Select> {
        self.need_word("SELECT")?;
        let (mut distinct, mut top) = (false, None);
        loop {
            if self.word("DISTINCT") {
                distinct = true;
            } else if self.word("TOP") {
                match self.take() {
                    Some(Token::Number(_, Some(n))) => top = usize::try_from(n).ok(),
                    _ => {
                        self.next = self.next.saturating_sub(1);
                        return Err(self.wrong("a number of rows"));
                    }
                }
            } else {
                break;
            }
        }
        let items = if self.sign("*") {
            Items::All
        } else {
            let mut list = Vec::new();
            loop {
                let expr = self.expr(0)?;
                let alias = if self.word("AS") {
                    match self.peek() {
                        Some(Token::Text(t)) => {
                            let t = t.clone();
                            self.next += 1;
                            t
                        }
                        _ => self.name()?,
                    }
                } else {
                    String::new()
                };
                list.push((alias, expr));
                if !self.sign(",") {
                    break;
                }
            }
            Items::List(list)
        };
        self.need_word("FROM")?;
        let (rowset, restrictions) = self.source()?;
        let filter = if self.word("WHERE") { Some(self.expr(0)?) } else { None };
        let mut order = Vec::new();
        if self.word("ORDER") {
            self.need_word("BY")?;
            loop {
                let key = self.expr(0)?;
                let descending = self.word("DESC");
                if !descending {
                    self.word("ASC");
                }
                order.push((key, descending));
                if !self.sign(",") {
                    break;
                }
            }
        }
        self.sign(";");
        if self.peek().is_some() {
            return Err(self.wrong("the end of the statement"));
        }
        Ok(Select { distinct, top, items, rowset, restrictions, filter, order })
    }

    fn rowset_name(&mut self) -> Result<String> {
        let schema = self.name()?;
        if !schema.eq_ignore_ascii_case("$SYSTEM") {
            self.next = self.next.saturating_sub(1);
            return Err(self.wrong("$SYSTEM"));
        }
        self.need_sign(".")?;
        self.name()
    }

    fn source(&mut self) -> Result<Source> {
        if !self.word("SYSTEMRESTRICTSCHEMA") {
            return Ok((self.rowset_name()?, Vec::new()));
        }
        self.need_sign("(")?;
        let rowset = self.rowset_name()?;
        let mut restrictions = Vec::new();
        while self.sign(",") {
            let name = self.name()?;
            self.need_sign("=")?;
            match self.unary(0)? {
                Expr::Literal(v) => restrictions.push((name, vec![text_of(&v)])),
                _ => return Err(self.wrong("a value")),
            }
        }
        self.need_sign(")")?;
        Ok((rowset, restrictions))
    }

    fn expr(&mut self, depth: usize) -> Result<Expr> {
        if depth > DEPTH {
            return Err(Error::invalid(format!(
                "The condition is nested deeper than {DEPTH} levels; write it flatter."
            )));
        }
        let mut left = self.and(depth)?;
        while self.word("OR") {
            left = Expr::Or(Box::new(left), Box::new(self.and(depth)?));
        }
        Ok(left)
    }

    fn and(&mut self, depth: usize) -> Result<Expr> {
        let mut left = self.not(depth)?;
        while self.word("AND") {
            left = Expr::And(Box::new(left), Box::new(self.not(depth)?));
        }
        Ok(left)
    }

    fn not(&mut self, depth: usize) -> Result<Expr> {
        let mut negated = false;
        while self.word("NOT") {
            negated = !negated;
        }
        let inner = self.comparison(depth)?;
        Ok(if negated { Expr::Not(Box::new(inner)) } else { inner })
    }

    fn comparison(&mut self, depth: usize) -> Result<Expr> {
        let left = self.sum(depth)?;
        if self.word("IS") {
            let negated = self.word("NOT");
            self.need_word("NULL")?;
            return Ok(Expr::IsNull(Box::new(left), negated));
        }
        for op in ["<>", "<=", ">=", "=", "<", ">"] {
            if self.sign(op) {
                return Ok(Expr::Compare(op, Box::new(left), Box::new(self.sum(depth)?)));
            }
        }
        Ok(left)
    }

    fn sum(&mut self, depth: usize) -> Result<Expr> {
        let mut left = self.product(depth)?;
        loop {
            let op = if self.sign("+") {
                '+'
            } else if self.sign("-") {
                '-'
            } else {
                return Ok(left);
            };
            left = Expr::Arithmetic(op, Box::new(left), Box::new(self.product(depth)?));
        }
    }

    fn product(&mut self, depth: usize) -> Result<Expr> {
        let mut left = self.unary(depth)?;
        loop {
            let op = if self.sign("*") {
                '*'
            } else if self.sign("/") {
                '/'
            } else {
                return Ok(left);
            };
            left = Expr::Arithmetic(op, Box::new(left), Box::new(self.unary(depth)?));
        }
    }

    fn unary(&mut self, depth: usize) -> Result<Expr> {
        let mut negative = false;
        while self.sign("-") {
            negative = !negative;
        }
        let inner = self.primary(depth)?;
        Ok(match inner {
            Expr::Literal(Value::Int(i)) if negative => Expr::Literal(Value::Int(i.wrapping_neg())),
            Expr::Literal(Value::Double(d)) if negative => Expr::Literal(Value::Double(-d)),
            other if negative => {
                Expr::Arithmetic('-', Box::new(Expr::Literal(Value::Int(0))), Box::new(other))
            }
            other => other,
        })
    }

    fn primary(&mut self, depth: usize) -> Result<Expr> {
        let start = self.next;
        match self.take() {
            Some(Token::Text(t)) => Ok(Expr::Literal(Value::from(t))),
            Some(Token::Number(_, Some(i))) => Ok(Expr::Literal(Value::Int(i))),
            Some(Token::Number(d, None)) => Ok(Expr::Literal(Value::Double(d))),
            Some(Token::Quoted(name)) => Ok(Expr::Column(name)),
            Some(Token::Parameter(name)) => {
                let found = self.parameters.iter().find(|(n, _)| n.eq_ignore_ascii_case(&name));
                found.map(|(_, v)| Expr::Literal(v.clone())).ok_or_else(|| {
                    Error::invalid(format!(
                        "The statement uses parameter @{name}, which has no value; send it among the parameters."
                    ))
                })
            }
            Some(Token::Sign("(")) => {
                let inner = self.expr(depth + 1)?;
                self.need_sign(")")?;
                Ok(inner)
            }
            Some(Token::Word(w)) if w.eq_ignore_ascii_case("NULL") => {
                Ok(Expr::Literal(Value::Blank))
            }
            Some(Token::Word(w)) if w.eq_ignore_ascii_case("TRUE") => {
                Ok(Expr::Literal(Value::Boolean(true)))
            }
            Some(Token::Word(w)) if w.eq_ignore_ascii_case("FALSE") => {
                Ok(Expr::Literal(Value::Boolean(false)))
            }
            Some(Token::Word(w)) if self.sign("(") => self.call(&w, depth),
            Some(Token::Word(w)) if !is_reserved(&w) => Ok(Expr::Column(w)),
            _ => {
                self.next = start;
                Err(self.wrong("a column or a value"))
            }
        }
    }

    fn call(&mut self, name: &str, depth: usize) -> Result<Expr> {
        let name = name.to_ascii_uppercase();
        let Some((_, least, most)) = FUNCTIONS.iter().find(|(f, ..)| *f == name) else {
            let known: Vec<&str> = FUNCTIONS.iter().map(|(f, ..)| *f).collect();
            return Err(Error::invalid(format!(
                "A SELECT over $SYSTEM knows no function {name}; it knows {}.",
                known.join(", ")
            )));
        };
        let mut arguments = Vec::new();
        if !self.sign(")") {
            loop {
                arguments.push(self.expr(depth + 1)?);
                if !self.sign(",") {
                    break;
                }
            }
            self.need_sign(")")?;
        }
        if !(*least..=*most).contains(&arguments.len()) {
            return Err(Error::invalid(format!(
                "{name} was given {} arguments; it takes {least} to {most}.",
                arguments.len()
            )));
        }
        Ok(Expr::Call(name, arguments))
    }
}

fn is_reserved(word: &str) -> bool {
    ["FROM", "WHERE", "ORDER", "BY", "AND", "OR", "NOT", "SELECT", "AS", "IS", "TOP"]
        .iter()
        .any(|r| r.eq_ignore_ascii_case(word))
}
