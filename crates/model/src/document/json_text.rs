//! JSON as people and tools write it: several encodings, comments, commas too many.

use evercube_base::error::line_column;
use evercube_base::{Error, ErrorKind, Result};
use serde_json::Value as Json;

use super::once::Once;

/// Values in one document: each takes many times its bytes once it is read.
const MOST_VALUES: usize = 4_000_000;

/// Reads a JSON document in UTF-8 or UTF-16, with or without byte order mark. `//` and `/* */`
/// comments and commas before a closing bracket are passed over.
pub fn read_json(bytes: &[u8]) -> Result<Json> {
    let text = decode(bytes)?;
    read_json_text(&text)
}

/// The same for a document that is text already.
pub fn read_json_text(text: &str) -> Result<Json> {
    let text = text.trim_start_matches('\u{feff}');
    let plain = plain(text)?;
    if plain.trim().is_empty() {
        return Err(Error::invalid("cannot read the JSON document: it is empty"));
    }
    serde_json::from_str(&plain).map(|Once(value)| value).map_err(|e| {
        let (line, column) = place(&plain, e.line(), e.column());
        let words = e.to_string();
        let words = words.split(" at line ").next().unwrap_or(&words);
        fault(words, line, column)
    })
}

fn fault(words: &str, line: usize, column: usize) -> Error {
    Error::invalid(format!(
        "cannot read the JSON document: {words} at line {line}, column {column}"
    ))
}

/// Columns are counted in characters; the parser counts bytes.
fn place(text: &str, line: usize, column: usize) -> (usize, usize) {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let mut offset = (start + column.saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    line_column(text, offset)
}

fn decode(bytes: &[u8]) -> Result<String> {
    let (wide, little, body) = match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => (false, false, rest),
        [0xff, 0xfe, rest @ ..] => (true, true, rest),
        [0xfe, 0xff, rest @ ..] => (true, false, rest),
        // The first character of a JSON document is ASCII, so a zero beside it tells the width.
        [first, 0, ..] if *first != 0 => (true, true, bytes),
        [0, second, ..] if *second != 0 => (true, false, bytes),
        _ => (false, false, bytes),
    };
    if !wide {
        return match std::str::from_utf8(body) {
            Ok(text) => Ok(text.to_owned()),
            Err(e) => {
                let good = body.get(..e.valid_up_to()).unwrap_or_default();
                let good = String::from_utf8_lossy(good);
                let (line, column) = line_column(&good, good.len());
                Err(fault("the bytes are neither UTF-8 nor UTF-16", line, column))
            }
        };
    }
    let unit = |pair: &[u8]| match pair {
        [a, b] if little => u16::from_le_bytes([*a, *b]),
        [a, b] => u16::from_be_bytes([*a, *b]),
        _ => 0xd800,
    };
    let units: Vec<u16> = body.chunks(2).map(unit).collect();
    String::from_utf16(&units).map_err(|_| {
        Error::invalid("cannot read the JSON document: it looks like UTF-16 but is damaged")
    })
}

/// The text with comments and needless commas blanked out, every character at its old place.
fn plain(text: &str) -> Result<String> {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut blank = |from: usize, to: usize| {
        if let Some(range) = out.get_mut(from..to) {
            for b in range.iter_mut().filter(|b| !matches!(**b, b'\n' | b'\r')) {
                *b = b' ';
            }
        }
    };
    let mut comma: Option<usize> = None;
    let (mut at, mut separators) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                comma = None;
                at = end_of_string(bytes, at + 1);
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                let rest = bytes.get(at..).unwrap_or_default();
                let end = at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
                blank(at, end);
                at = end;
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                let rest = text.get(at + 2..).unwrap_or_default();
                let Some(length) = rest.find("*/") else {
                    let (line, column) = line_column(text, at);
                    return Err(fault("the comment has no end", line, column));
                };
                blank(at, at + length + 4);
                at += length + 4;
                continue;
            }
            b',' => {
                separators += 1;
                comma = Some(at);
            }
            b':' | b'[' | b'{' => {
                separators += 1;
                comma = None;
            }
            b'}' | b']' => {
                if let Some(place) = comma.take() {
                    blank(place, place + 1);
                }
            }
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => comma = None,
        }
        at += 1;
    }
    if separators > MOST_VALUES {
        return Err(Error::new(
            ErrorKind::Limit,
            format!("the JSON document holds more than {MOST_VALUES} values; send it in parts"),
        ));
    }
    String::from_utf8(out).map_err(|_| Error::internal("blanking comments broke a character"))
}

fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_encoding_reads_the_same() {
        let text = "// first\n{\"a\": [1, 2,], /* x */ \"é//\": \"/*\\\"\",\n}";
        let want = json!({"a": [1, 2], "é//": "/*\""});
        let utf16: Vec<u16> = text.encode_utf16().collect();
        let little: Vec<u8> = utf16.iter().flat_map(|u| u.to_le_bytes()).collect();
        let big: Vec<u8> = utf16.iter().flat_map(|u| u.to_be_bytes()).collect();
        let marked = |mark: &[u8], body: &[u8]| [mark, body].concat();
        for bytes in [
            text.as_bytes().to_vec(),
            marked(&[0xef, 0xbb, 0xbf], text.as_bytes()),
            marked(&[0xff, 0xfe], &little),
            marked(&[0xfe, 0xff], &big),
            little,
            big,
        ] {
            assert_eq!(read_json(&bytes), Ok(want.clone()));
        }
    }

    #[test]
    fn too_many_values_are_refused_before_they_are_made() {
        let refused = read_json_text(&format!("[{}1]", "1,".repeat(MOST_VALUES)));
        assert_eq!(refused.map(|_| ()).map_err(|e| e.kind), Err(ErrorKind::Limit));
        assert!(read_json_text(&format!("[\"{}\"]", ":,[".repeat(1000))).is_ok());
    }

    #[test]
    fn errors_have_a_place() {
        for (text, place) in [
            ("{\n  \"é\": x}", "line 2, column 8"),
            ("[1, /* no end", "line 1, column 5"),
            ("", "empty"),
            ("{\"a\": 1,\n\"b\": {\"c\": 1, \"c\": 2}}", "'c' is given twice at line 2"),
            ("{,}", "column 3"),
        ] {
            match read_json(text.as_bytes()) {
                Ok(_) if text == "{,}" => {}
                Ok(v) => panic!("{text} read as {v}"),
                Err(e) => assert!(e.message.contains(place), "{text}: {}", e.message),
            }
        }
        assert!(read_json(b"{\"a\": \"\xff\"}").is_err());
    }
}
