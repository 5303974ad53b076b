//! Licence expressions as crates write them: `MIT OR Apache-2.0 WITH LLVM-exception`, `(A OR B) AND
//! C`, and the old `MIT/Apache-2.0`.

use std::collections::BTreeSet;

/// An expression, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub enum Licence {
    /// One licence, with its exception.
    One(String),
    All(Box<Self>, Box<Self>),
    Any(Box<Self>, Box<Self>),
}

impl Licence {
    pub fn is_met_by(&self, allowed: &BTreeSet<String>) -> bool {
        match self {
            Self::One(name) => allowed.contains(name),
            Self::All(a, b) => a.is_met_by(allowed) && b.is_met_by(allowed),
            Self::Any(a, b) => a.is_met_by(allowed) || b.is_met_by(allowed),
        }
    }
}

/// # Errors
/// For text that is no expression.
pub fn parse(text: &str) -> Result<Licence, String> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words: Vec<&str> = spaced.split_whitespace().rev().collect();
    let tree = any(&mut words);
    match (tree, words.is_empty()) {
        (Some(tree), true) => Ok(tree),
        _ => Err(format!("the licence '{text}' cannot be read")),
    }
}

/// `words` are in reverse order, so that the next one is the last.
fn any(words: &mut Vec<&str>) -> Option<Licence> {
    let mut left = all(words)?;
    while words.pop_if(|w| *w == "OR").is_some() {
        left = Licence::Any(Box::new(left), Box::new(all(words)?));
    }
    Some(left)
}

fn all(words: &mut Vec<&str>) -> Option<Licence> {
    let mut left = one(words)?;
    while words.pop_if(|w| *w == "AND").is_some() {
        left = Licence::All(Box::new(left), Box::new(one(words)?));
    }
    Some(left)
}

fn one(words: &mut Vec<&str>) -> Option<Licence> {
    match words.pop()? {
        "(" => {
            let inside = any(words)?;
            words.pop_if(|w| *w == ")").map(|_| inside)
        }
        ")" | "OR" | "AND" | "WITH" => None,
        name => Some(Licence::One(match words.pop_if(|w| *w == "WITH") {
            Some(_) => format!("{name} WITH {}", words.pop()?),
            None => name.to_owned(),
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_met_or_not() {
        let allowed = ["MIT", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).into();
        for (text, met) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0/MIT", true),
            ("MIT AND GPL-3.0", false),
            ("(GPL-3.0 OR MIT) AND MIT", true),
            ("MIT AND GPL-3.0 OR MIT", true),
            ("MIT AND (GPL-3.0 OR ISC)", false),
            ("Apache-2.0", false),
            ("Apache-2.0 WITH LLVM-exception", true),
        ] {
            assert_eq!(parse(text).unwrap().is_met_by(&allowed), met, "{text}");
        }
        for text in ["", "MIT OR", "(MIT", "MIT)", "MIT MIT", "AND", "MIT WITH"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
