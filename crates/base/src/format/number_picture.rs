//! Custom number pictures: `#,##0.00;(#,##0.00);"-"`.

use super::locale::Locale;

/// A decimal number: `0.d₁d₂d₃… × 10^exponent`, without leading or trailing zeros.
#[derive(Clone)]
pub(super) struct Digits {
    negative: bool,
    digits: Vec<u8>,
    exponent: i32,
}

impl Digits {
    /// `unscaled × 10^-scale`.
    pub(super) fn of_scaled(unscaled: i128, scale: i32) -> Self {
        let text = unscaled.unsigned_abs().to_string();
        let exponent = text.len() as i32 - scale;
        Self { negative: unscaled < 0, digits: text.bytes().map(|b| b - b'0').collect(), exponent }
            .trimmed()
    }
    /// The 15 leading digits of a double.
    pub(super) fn of_f64(f: f64) -> Self {
        let text = format!("{:.14e}", f.abs());
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = mantissa.bytes().filter(u8::is_ascii_digit).map(|b| b - b'0').collect();
        let exponent = exponent.parse::<i32>().unwrap_or(0) + 1;
        Self { negative: f < 0.0, digits, exponent }.trimmed()
    }
    fn trimmed(mut self) -> Self {
        while self.digits.last() == Some(&0) {
            self.digits.pop();
        }
        let lead = self.digits.iter().take_while(|d| **d == 0).count();
        self.digits.drain(..lead);
        self.exponent -= lead as i32;
        if self.digits.is_empty() {
            self.exponent = 0;
        }
        self
    }
    fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }
    /// Keeps `count` leading digits, rounding half away from zero.
    fn keep(mut self, count: i32) -> Self {
        if count < 0 {
            self.digits.clear();
            return self.trimmed();
        }
        let count = count as usize;
        if self.digits.len() <= count {
            return self;
        }
        let up = self.digits.get(count).is_some_and(|d| *d >= 5);
        self.digits.truncate(count);
        if up {
            let mut carry = true;
            for d in self.digits.iter_mut().rev() {
                if *d == 9 {
                    *d = 0;
                } else {
                    *d += 1;
                    carry = false;
                    break;
                }
            }
            if carry {
                self.digits.insert(0, 1);
                self.exponent += 1;
            }
        }
        self.trimmed()
    }
    /// The digit at the power of ten `10^position`.
    fn at(&self, position: i32) -> char {
        let i = self.exponent - 1 - position;
        let d = usize::try_from(i).ok().and_then(|i| self.digits.get(i)).copied().unwrap_or(0);
        char::from(b'0' + d)
    }
}

enum Token {
    Text(String),
    /// A digit place.
    Place,
    Point,
    Percent,
    /// Shows a plus, letter, least digits.
    Exponent(bool, char, usize),
}

struct Section {
    tokens: Vec<Token>,
    group: bool,
    /// Power of ten the number is multiplied by.
    shift: i32,
    /// Places before the point, and the least digits shown there.
    whole: i32,
    least_whole: i32,
    /// Places after the point, and the least digits shown there.
    fraction: i32,
    least_fraction: i32,
}

/// Splits at semicolons that are neither quoted nor escaped.
pub(super) fn sections(picture: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in picture.chars() {
        let plain = !quoted && !escaped;
        if plain && c == ';' {
            out.push(String::new());
            continue;
        }
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = plain && c == '\\';
        if let Some(last) = out.last_mut() {
            last.push(c);
        }
    }
    out
}

fn parse(picture: &str) -> Section {
    let chars: Vec<char> = picture.chars().collect();
    let mut s = Section {
        tokens: Vec::new(),
        group: false,
        shift: 0,
        whole: 0,
        least_whole: 0,
        fraction: 0,
        least_fraction: 0,
    };
    let (mut point, mut commas) = (false, 0);
    let mut i = 0;
    while let Some(&c) = chars.get(i) {
        i += 1;
        match c {
            '0' | '#' => {
                if point {
                    s.fraction += 1;
                    if c == '0' {
                        s.least_fraction = s.fraction;
                    }
                } else {
                    // Commas between places ask for groups.
                    s.group |= commas > 0 && s.whole > 0;
                    commas = 0;
                    s.whole += 1;
                    if c == '0' || s.least_whole > 0 {
                        s.least_whole += 1;
                    }
                }
                s.tokens.push(Token::Place);
            }
            ',' if !point => commas += 1,
            ',' => s.shift -= 3,
            '.' if !point => {
                point = true;
                s.tokens.push(Token::Point);
            }
            '%' => {
                s.shift += 2;
                s.tokens.push(Token::Percent);
            }
            'E' | 'e' if matches!(chars.get(i), Some('+' | '-')) => {
                let plus = chars.get(i) == Some(&'+');
                i += 1;
                let zeros = chars.get(i..).unwrap_or(&[]).iter().take_while(|c| **c == '0').count();
                i += zeros;
                s.tokens.push(Token::Exponent(plus, c, zeros.max(1)));
            }
            '"' => {
                let text: String =
                    chars.get(i..).unwrap_or(&[]).iter().take_while(|c| **c != '"').collect();
                i += text.chars().count() + 1;
                s.tokens.push(Token::Text(text));
            }
            '\\' => {
                if let Some(next) = chars.get(i) {
                    s.tokens.push(Token::Text(next.to_string()));
                }
                i += 1;
            }
            other => s.tokens.push(Token::Text(other.to_string())),
        }
    }
    // Commas at the end of the whole places scale by thousands.
    if s.whole > 0 {
        s.shift -= 3 * commas;
    }
    s
}

/// The number by a custom picture of up to three sections: positive, negative, zero.
pub(super) fn format_number(number: &Digits, picture: &str, l: &Locale) -> String {
    let parts = sections(picture);
    let section = |i: usize| parts.get(i).filter(|p| !p.is_empty()).map(|p| parse(p));
    let first = || parse(parts.first().map_or("", String::as_str));
    if number.is_zero() {
        return section(2).map_or_else(|| write(number, &first(), l), |s| write(number, &s, l));
    }
    if number.negative
        && let Some(s) = section(1)
    {
        let positive = Digits { negative: false, ..number.clone() };
        // What rounds to nothing is shown as nothing.
        if shown(&positive, &s).is_zero() && s.whole + s.fraction > 0 {
            let zero = Digits { digits: Vec::new(), exponent: 0, negative: false };
            return write(&zero, &section(2).unwrap_or_else(first), l);
        }
        return write(&positive, &s, l);
    }
    write(number, &first(), l)
}

/// The number scaled and rounded as a section shows it, not for exponents.
fn shown(number: &Digits, s: &Section) -> Digits {
    if number.is_zero() || s.tokens.iter().any(|t| matches!(t, Token::Exponent(..))) {
        return number.clone();
    }
    let mut n = number.clone();
    n.exponent += s.shift;
    let count = n.exponent + s.fraction;
    n.keep(count)
}

fn write(number: &Digits, s: &Section, l: &Locale) -> String {
    let mut n = shown(number, s);
    let mut power = 0;
    if s.tokens.iter().any(|t| matches!(t, Token::Exponent(..))) && !n.is_zero() {
        let whole = s.whole.max(1);
        n.exponent += s.shift;
        n = n.keep(whole + s.fraction);
        power = n.exponent - whole;
        n.exponent = whole;
    }
    let mut out = String::new();
    if n.negative && (!n.is_zero() || s.whole + s.fraction == 0) {
        out.push('-');
    }
    let digits_before = n.exponent.max(s.least_whole).max(0);
    let put = |out: &mut String, position: i32| {
        out.push(n.at(position));
        let after_first = position - 3;
        if s.group && position > 0 && after_first >= 0 && after_first % l.group_digits == 0 {
            out.push_str(l.group);
        }
    };
    // Power of ten of the next place.
    let mut place = s.whole - 1;
    let (mut started, mut point) = (false, false);
    let fraction_length =
        (n.digits.len() as i32 - n.exponent).max(s.least_fraction).min(s.fraction);
    for t in &s.tokens {
        match t {
            Token::Text(text) => out.push_str(text),
            Token::Percent => out.push('%'),
            Token::Place if !point => {
                if !started {
                    started = true;
                    for p in (s.whole..digits_before).rev() {
                        put(&mut out, p);
                    }
                }
                if place < digits_before {
                    put(&mut out, place);
                }
                place -= 1;
            }
            Token::Place => {
                if -place <= fraction_length {
                    out.push(n.at(place));
                }
                place -= 1;
            }
            Token::Point => {
                if !started {
                    started = true;
                    for p in (0..digits_before).rev() {
                        put(&mut out, p);
                    }
                }
                point = true;
                place = -1;
                out.push_str(l.decimal);
            }
            Token::Exponent(plus, letter, least) => {
                out.push(*letter);
                if power < 0 {
                    out.push('-');
                } else if *plus {
                    out.push('+');
                }
                out.push_str(&format!("{:0width$}", power.abs(), width = *least));
            }
        }
    }
    out
}
