//! Letters made large or small one by one, as Windows does: a letter without a single counterpart,
//! as ß, stays what it is.

pub fn upper(text: &str) -> String {
    text.chars().map(|c| single(c, c.to_uppercase())).collect()
}

pub fn lower(text: &str) -> String {
    text.chars().map(|c| single(c, c.to_lowercase())).collect()
}

fn single(c: char, mut mapped: impl Iterator<Item = char>) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::{lower, upper};

    #[test]
    fn letters_keep_their_number() {
        assert_eq!(upper("straße äé ŉ"), "STRAßE ÄÉ ŉ");
        assert_eq!(lower("ΑΣ ÄÖ"), "ας ÄÖ".to_lowercase().replace('ς', "σ"));
    }
}
