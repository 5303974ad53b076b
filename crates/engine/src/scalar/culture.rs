//! How texts say numbers and dates: the ways of the model's culture.

use evercube_base::Value;
use evercube_base::format::Locale;

/// The ways in which operators, conversions and functions read and write texts.
#[derive(Debug, Clone, Copy)]
pub struct Culture {
    pub locale: &'static Locale,
    /// The year of dates that name none; such dates are not read where it is not known.
    pub year: Option<i32>,
}

impl Default for Culture {
    fn default() -> Self {
        Self::UNITED_STATES
    }
}

impl Culture {
    pub const UNITED_STATES: Self = Self { locale: Locale::UNITED_STATES, year: None };

    /// The culture of a name such as `de-DE`; dates without a year are not read.
    pub fn without_year(name: &str) -> Self {
        Self { locale: Locale::named(name), year: None }
    }

    /// The culture of a name such as `de-DE`, for texts written in some year.
    pub fn named(name: &str, year: i32) -> Self {
        Self { locale: Locale::named(name), year: Some(year) }
    }

    fn is_group(&self, c: char) -> bool {
        let group = self.locale.group;
        group.starts_with(c)
            || group == "’" && c == '\''
            || c.is_whitespace() && group.starts_with(char::is_whitespace)
    }

    /// Whether the groups of a whole part must have three digits, because what parts them may also
    /// stand between the parts of a date or between words.
    fn groups_strictly(&self, groups: usize) -> bool {
        let group = self.locale.group;
        group.starts_with(char::is_whitespace) || group == "." && groups > 2
    }
}

/// A number written in a text, as Rust writes it, and whether it is a percentage.
pub(super) struct Figures {
    pub plain: String,
    pub is_percentage: bool,
}

/// The figures of `1,234.5`, `$5`, `12%`, `(3)`, `1E3` and what the culture writes instead, as
/// `1.234,5` or `5 €`.
pub(super) fn figures(text: &str, culture: &Culture) -> Option<Figures> {
    let t = text.trim();
    let (t, in_parentheses) = match t.strip_prefix('(').and_then(|r| r.strip_suffix(')')) {
        Some(inner) => (inner.trim(), true),
        None => (t, false),
    };
    let (t, is_percentage) = match t.strip_suffix('%') {
        Some(r) => (r.trim_end(), true),
        None => (t, false),
    };
    let (sign, t) = signed(t);
    let symbol = culture.locale.currency_symbol();
    let amount = t.strip_prefix(symbol).or_else(|| t.strip_suffix(symbol)).map(str::trim);
    let (sign, t) = match amount {
        // The sign may stand between symbol and number.
        Some(amount) if sign.is_none() => signed(amount),
        Some(amount) => (sign, amount),
        None => (sign, t),
    };
    let negative = (sign == Some('-')) != in_parentheses;
    let plain = if negative { "-" } else { "" }.to_owned() + &unsigned(t, culture)?;
    Some(Figures { plain, is_percentage })
}

fn signed(t: &str) -> (Option<char>, &str) {
    match t.strip_prefix(['-', '+']) {
        Some(rest) => (t.chars().next(), rest.trim_start()),
        None => (None, t),
    }
}

fn unsigned(t: &str, culture: &Culture) -> Option<String> {
    let end = |c: char| culture.locale.decimal.starts_with(c) || matches!(c, 'e' | 'E');
    let (whole, rest) = t.split_at(t.find(end).unwrap_or(t.len()));
    let groups: Vec<&str> = whole.split(|c| culture.is_group(c)).collect();
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let first_is_empty = groups[0].is_empty();
    if !groups.iter().all(|g| digits(g)) || first_is_empty && groups.len() > 1 {
        return None;
    }
    if culture.groups_strictly(groups.len()) && groups[1..].iter().any(|g| g.len() != 3) {
        return None;
    }
    let rest = match rest.strip_prefix(culture.locale.decimal) {
        Some(fraction) => ".".to_owned() + fraction,
        None => rest.to_owned(),
    };
    if first_is_empty && !rest.starts_with('.') {
        return None;
    }
    Some(groups.concat() + &rest)
}

/// The number written in a text: a whole one where it is one, else a double.
pub(super) fn number(text: &str, culture: &Culture) -> Option<Value> {
    let Figures { plain, is_percentage } = figures(text, culture)?;
    if !is_percentage && let Ok(i) = plain.parse::<i64>() {
        return Some(Value::Int(i));
    }
    let mut f: f64 = plain.parse().ok()?;
    if is_percentage {
        f /= 100.0;
    }
    f.is_finite().then_some(Value::Double(f))
}
