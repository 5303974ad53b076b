//! Text as XML text and attribute values.

/// May stand in an XML 1.0 document.
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{1_0000}'..)
}

/// Appends `text` as element content. Characters XML cannot carry become U+FFFD; a carriage return
/// is written as a reference, since readers turn a bare one into a line feed.
pub fn text(out: &mut Vec<u8>, text: &str) {
    // Most text has nothing to replace: no control characters, no markup, nothing near U+FFFE.
    let is_plain = |b: &u8| *b >= 0x20 && !matches!(b, b'&' | b'<' | b'>' | 0xEF);
    if text.as_bytes().iter().all(is_plain) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let mut start = 0;
    for (i, c) in text.char_indices() {
        let replacement = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '\r' => "&#xD;",
            c if is_allowed(c) => continue,
            _ => "\u{FFFD}",
        };
        out.extend_from_slice(text.get(start..i).unwrap_or("").as_bytes());
        out.extend_from_slice(replacement.as_bytes());
        start = i + c.len_utf8();
    }
    out.extend_from_slice(text.get(start..).unwrap_or("").as_bytes());
}

/// Appends `value` as the inside of a double-quoted attribute.
pub fn attribute(out: &mut Vec<u8>, value: &str) {
    for c in value.chars() {
        match c {
            '"' => out.extend_from_slice(b"&quot;"),
            '\t' => out.extend_from_slice(b"&#x9;"),
            '\n' => out.extend_from_slice(b"&#xA;"),
            c => text(out, c.encode_utf8(&mut [0; 4])),
        }
    }
}

/// `value` as element content.
pub fn text_of(value: &str) -> String {
    let mut out = Vec::with_capacity(value.len());
    text(&mut out, value);
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_attributes() {
        assert_eq!(text_of("a<b>&\r\n\u{1}😀"), "a&lt;b&gt;&amp;&#xD;\n\u{FFFD}😀");
        let mut out = Vec::new();
        attribute(&mut out, "\"x\"\n<");
        assert_eq!(out, b"&quot;x&quot;&#xA;&lt;");
    }
}
