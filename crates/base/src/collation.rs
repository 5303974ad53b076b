//! How text is compared: case-insensitive and accent-sensitive unless the model says otherwise, and
//! without the blanks at its end.

use std::borrow::Cow;
use std::cmp::Ordering;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Collation {
    pub case_sensitive: bool,
    pub accent_sensitive: bool,
}

impl Default for Collation {
    fn default() -> Self {
        Self { case_sensitive: false, accent_sensitive: true }
    }
}

impl Collation {
    /// Reads the flags of a Windows collation name such as `Latin1_General_CS_AS`; what a name
    /// leaves out keeps its default.
    pub fn from_name(name: &str) -> Self {
        let mut c = Self::default();
        for part in name.split('_') {
            match part.to_ascii_uppercase().as_str() {
                "CS" => c.case_sensitive = true,
                "CI" => c.case_sensitive = false,
                "AS" => c.accent_sensitive = true,
                "AI" => c.accent_sensitive = false,
                "BIN" | "BIN2" => c = Self { case_sensitive: true, accent_sensitive: true },
                _ => {}
            }
        }
        c
    }

    /// A text with the property that two texts are equal under the collation exactly when their
    /// keys are equal.
    pub fn key<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let text = significant(text);
        let folded: Cow<'a, str> = if self.case_sensitive {
            Cow::Borrowed(text)
        } else if text.is_ascii() {
            if text.bytes().any(|b| b.is_ascii_uppercase()) {
                Cow::Owned(text.to_ascii_lowercase())
            } else {
                Cow::Borrowed(text)
            }
        } else {
            Cow::Owned(text.to_lowercase())
        };
        if self.accent_sensitive || folded.is_ascii() {
            folded
        } else {
            Cow::Owned(folded.chars().map(base_letter).collect())
        }
    }

    pub fn eq(&self, a: &str, b: &str) -> bool {
        a == b || self.compare(a, b) == Ordering::Equal
    }

    /// Order of two texts: letters before accents, accents before case.
    pub fn compare(&self, a: &str, b: &str) -> Ordering {
        let (a, b) = (significant(a), significant(b));
        if a.is_ascii() && b.is_ascii() && !self.case_sensitive {
            return a
                .bytes()
                .map(|c| weight(c.to_ascii_lowercase() as char))
                .cmp(b.bytes().map(|c| weight(c.to_ascii_lowercase() as char)));
        }
        let lower = |t: &str| t.chars().flat_map(char::to_lowercase).collect::<Vec<_>>();
        let (la, lb) = (lower(a), lower(b));
        let base = |t: &[char]| t.iter().map(|c| weight(base_letter(*c))).collect::<Vec<_>>();
        base(&la)
            .cmp(&base(&lb))
            .then_with(|| if self.accent_sensitive { la.cmp(&lb) } else { Ordering::Equal })
            // Lower case sorts first where only the case differs.
            .then_with(|| if self.case_sensitive { b.cmp(a) } else { Ordering::Equal })
    }
}

/// Blanks at the end of a text do not tell it from another; those before and in it do.
fn significant(text: &str) -> &str {
    text.trim_end_matches(' ')
}

/// Punctuation sorts before digits and digits before letters, as word sorting does.
fn weight(c: char) -> (u8, char) {
    if c.is_alphabetic() {
        (2, c)
    } else if c.is_numeric() {
        (1, c)
    } else {
        (0, c)
    }
}

/// The Latin letter below an accent; other characters stay.
fn base_letter(c: char) -> char {
    match c {
        'à'..='å' | 'ā' | 'ă' | 'ą' => 'a',
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => 'c',
        'ď' | 'đ' => 'd',
        'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => 'e',
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => 'g',
        'ĥ' | 'ħ' => 'h',
        'ì'..='ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' => 'i',
        'ĵ' => 'j',
        'ķ' => 'k',
        'ĺ' | 'ļ' | 'ľ' | 'ł' => 'l',
        'ñ' | 'ń' | 'ņ' | 'ň' => 'n',
        'ò'..='ö' | 'ø' | 'ō' | 'ŏ' | 'ő' => 'o',
        'ŕ' | 'ŗ' | 'ř' => 'r',
        'ś' | 'ŝ' | 'ş' | 'š' => 's',
        'ţ' | 'ť' => 't',
        'ù'..='ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => 'u',
        'ŵ' => 'w',
        'ý' | 'ÿ' | 'ŷ' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_is_ignored_and_accents_count() {
        let c = Collation::default();
        assert!(c.eq("Résumé", "RÉSUMÉ"));
        assert!(!c.eq("Resume", "Résumé"));
        assert_eq!(c.key("ÀB"), c.key("àb"));
        assert!(Collation::from_name("Latin1_General_CI_AI").eq("Resume", "résumé"));
        assert!(!Collation::from_name("Latin1_General_CS_AS").eq("a", "A"));
    }

    #[test]
    fn blanks_at_the_end_do_not_count() {
        let c = Collation::default();
        assert!(c.eq("Dylan ", "dylan"));
        assert!(!c.eq(" Dylan", "Dylan"));
        assert!(!c.eq("Dy lan", "Dylan"));
        assert_eq!(c.key("É  "), c.key("é"));
        assert_eq!(c.key("  "), "");
        assert_eq!(c.compare("a ", "a\u{a0}"), Ordering::Less);
        assert!(Collation::from_name("Latin1_General_CS_AS").eq("a ", "a"));
    }

    #[test]
    fn accented_letters_sort_beside_their_base() {
        let c = Collation::default();
        let mut v = vec!["zebra", "Éclair", "apple", "eclair", "10", "_x"];
        v.sort_by(|a, b| c.compare(a, b));
        assert_eq!(v, ["_x", "10", "apple", "eclair", "Éclair", "zebra"]);
    }
}
