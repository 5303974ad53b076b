//! Looking for a text in another.

use evercube_base::Collation;

#[derive(PartialEq)]
enum Pattern {
    Char(char),
    One,
    Many,
}

/// Position in characters of the first hit at or after `from`; `~` takes the sense of a wildcard.
pub(super) fn find(
    needle: &str,
    hay: &str,
    from: usize,
    c: &Collation,
    wildcards: bool,
) -> Option<usize> {
    let is_plain = !(wildcards && needle.contains(['?', '*', '~']));
    if is_plain && hay.is_ascii() && needle.is_ascii() {
        return find_ascii(needle.as_bytes(), hay.as_bytes(), from, c.case_sensitive);
    }
    // Each character is folded on its own, so that positions stay those of the text.
    let fold = |ch: char| {
        let mut buffer = [0u8; 4];
        c.key(ch.encode_utf8(&mut buffer)).chars().next().unwrap_or(ch)
    };
    let hay: Vec<char> = hay.chars().map(fold).collect();
    let mut pattern = Vec::new();
    let mut chars = needle.chars();
    while let Some(ch) = chars.next() {
        pattern.push(match ch {
            '?' if wildcards => Pattern::One,
            '*' if wildcards => Pattern::Many,
            '~' if wildcards => Pattern::Char(chars.next().map_or('~', fold)),
            other => Pattern::Char(fold(other)),
        });
    }
    (from..=hay.len()).find(|i| matches_prefix(&pattern, hay.get(*i..).unwrap_or(&[])))
}

/// As [`find`], where every byte is a character: looked for where the rarest of them is.
fn find_ascii(needle: &[u8], hay: &[u8], from: usize, case_sensitive: bool) -> Option<usize> {
    let last = hay.len().checked_sub(needle.len())?;
    let rarest = (0..needle.len()).max_by_key(|at| rarity(needle[*at]));
    let Some(ahead) = rarest else { return (from <= last).then_some(from) };
    let (small, large) = match needle[ahead] {
        byte if case_sensitive => (byte, byte),
        byte => (byte.to_ascii_lowercase(), byte.to_ascii_uppercase()),
    };
    let is_same = |(a, b): (&u8, &u8)| a == b || !case_sensitive && a.eq_ignore_ascii_case(b);
    let mut at = from;
    while at <= last {
        at += memchr::memchr2(small, large, &hay[at + ahead..=last + ahead])?;
        if hay[at..].iter().zip(needle).all(is_same) {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// Roughly how rare a character is in texts.
fn rarity(byte: u8) -> usize {
    const FROM_COMMON_ON: &[u8] = b" etaoinshrdlucm0123456789fwypvbgk";
    let known = FROM_COMMON_ON.iter().position(|b| *b == byte.to_ascii_lowercase());
    known.unwrap_or(FROM_COMMON_ON.len())
}

/// Whether the pattern matches a beginning of `hay`; linear steps back to the last `*` only.
fn matches_prefix(pattern: &[Pattern], hay: &[char]) -> bool {
    let (mut p, mut h) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(p), hay.get(h)) {
            (None, _) => return true,
            (Some(Pattern::Many), _) => {
                p += 1;
                star = Some((p, h));
            }
            (Some(Pattern::One), Some(_)) => {
                p += 1;
                h += 1;
            }
            (Some(Pattern::Char(x)), Some(y)) if x == y => {
                p += 1;
                h += 1;
            }
            _ => match star {
                Some((sp, sh)) if sh < hay.len() => {
                    p = sp;
                    h = sh + 1;
                    star = Some((sp, sh + 1));
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::find_ascii;

    #[test]
    fn texts_are_found_where_they_first_are() {
        let texts = ["", "a", "aA", "special", "xspecial", "Spspecial qs", "aaab", "ab ab", "Qq"];
        for (needle, hay) in texts.iter().flat_map(|n| texts.iter().map(move |h| (*n, *h))) {
            for (from, exact) in (0..4).flat_map(|from| [(from, false), (from, true)]) {
                let is_here = |at: &usize| {
                    let here = hay.get(*at..*at + needle.len());
                    here.is_some_and(|h| h == needle || !exact && h.eq_ignore_ascii_case(needle))
                };
                let found = find_ascii(needle.as_bytes(), hay.as_bytes(), from, exact);
                assert_eq!(found, (from..=hay.len()).find(is_here), "{needle:?} {hay:?} {from}");
            }
        }
    }
}
