//! Pictures of text: `@@@-@@@@`, `>&&&`.

/// A part of a picture: something shown as it is, or the place of a character.
enum Part {
    Text(String),
    /// Shows a space where there is no character.
    Place(bool),
    /// All of the text, in pictures that only change its letters.
    All,
}

/// Whether a picture is one of text: it has marks for characters and none for digits.
pub(super) fn is_text_picture(picture: &str) -> bool {
    super::active(picture).any(|c| "@&<>!".contains(c)) && !super::has_digit_places(picture)
}

/// Text by a picture: `@` a character or a space, `&` a character or nothing, filled from the right
/// or, with `!`, from the left; `<` and `>` make all letters small or large. A second section is
/// for empty text. Characters without a place are shown at the end that is filled last.
pub(super) fn format_text(text: &str, picture: &str) -> String {
    let sections = super::number_picture::sections(picture);
    let section = match sections.get(1) {
        Some(second) if text.is_empty() => second,
        _ => sections.first().map_or("", String::as_str),
    };
    let (parts, from_left) = parts(section);
    let cased = match super::active(section).find(|c| matches!(c, '<' | '>')) {
        Some('<') => crate::letter_case::lower(text),
        Some(_) => crate::letter_case::upper(text),
        None => text.to_owned(),
    };
    let mut left: std::collections::VecDeque<char> = cased.chars().collect();
    let mut places = parts.iter().filter(|p| matches!(p, Part::Place(_))).count();
    let mut written: Vec<String> = Vec::new();
    let mut put = |part: &Part| {
        let mut out = String::new();
        match part {
            Part::Text(t) => out.push_str(t),
            Part::All => out.extend(left.drain(..)),
            Part::Place(spaced) => {
                places -= 1;
                let next = if from_left { left.pop_front() } else { left.pop_back() };
                let next = next.or_else(|| spaced.then_some(' '));
                match (places, from_left) {
                    (0, true) => out.extend(next.into_iter().chain(left.drain(..))),
                    (0, false) => out.extend(left.drain(..).chain(next)),
                    _ => out.extend(next),
                }
            }
        }
        written.push(out);
    };
    match from_left {
        true => parts.iter().for_each(&mut put),
        false => parts.iter().rev().for_each(&mut put),
    }
    if !from_left {
        written.reverse();
    }
    written.concat()
}

/// The parts of a section, and whether it is filled from the left.
fn parts(section: &str) -> (Vec<Part>, bool) {
    let mut parts = Vec::new();
    let mut from_left = false;
    let mut chars = section.chars();
    while let Some(c) = chars.next() {
        parts.push(match c {
            '@' => Part::Place(true),
            '&' => Part::Place(false),
            '!' => {
                from_left = true;
                Part::All
            }
            '<' | '>' => Part::All,
            '"' => Part::Text(chars.by_ref().take_while(|c| *c != '"').collect()),
            '\\' => Part::Text(chars.next().into_iter().collect()),
            c => Part::Text(c.to_string()),
        });
    }
    // The text stands at the first mark where it has no places of its own.
    let mut marks = 0;
    let has_places = parts.iter().any(|p| matches!(p, Part::Place(_)));
    parts.retain(|p| {
        let is_mark = matches!(p, Part::All);
        marks += usize::from(is_mark);
        !is_mark || (!has_places && marks == 1)
    });
    (parts, from_left)
}
