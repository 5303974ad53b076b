//! Namespaces and the encoding of names as XML element names.

pub const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
pub const XMLA: &str = "urn:schemas-microsoft-com:xml-analysis";
pub const ROWSET: &str = "urn:schemas-microsoft-com:xml-analysis:rowset";
pub const EMPTY: &str = "urn:schemas-microsoft-com:xml-analysis:empty";
pub const EXCEPTION: &str = "urn:schemas-microsoft-com:xml-analysis:exception";
pub const SQL: &str = "urn:schemas-microsoft-com:xml-sql";
pub const XSD: &str = "http://www.w3.org/2001/XMLSchema";
pub const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
pub const MULTIPLE_RESULTS: &str =
    "http://schemas.microsoft.com/analysisservices/2003/xmla-multipleresults";
pub const ENGINE_2003: &str = "http://schemas.microsoft.com/analysisservices/2003/engine";
pub const ENGINE_2014: &str = "http://schemas.microsoft.com/analysisservices/2014/engine";

fn is_name_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

fn is_name_char(c: char) -> bool {
    is_name_start(c) || c.is_ascii_digit() || c == '-' || c == '.'
}

/// Four hexadecimal digits between `_x` and `_` at the start of `text`.
fn escape_at(text: &str) -> Option<u16> {
    let hex = text.strip_prefix("_x")?.get(..4)?;
    text.get(6..7).filter(|s| *s == "_")?;
    hex.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u16::from_str_radix(hex, 16).ok())?
}

/// A name as an XML element name: every UTF-16 unit that may not stand there becomes `_xHHHH_`, and
/// text that already looks so gets its first underscore written `_x005F_`.
pub fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 16);
    for (i, c) in name.char_indices() {
        let allowed = if i == 0 { is_name_start(c) } else { is_name_char(c) };
        let looks_escaped = c == '_' && name.get(i..).and_then(escape_at).is_some();
        if allowed && !looks_escaped && u32::from(c) < 0x1_0000 {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("_x{unit:04X}_"));
            }
        }
    }
    if out.is_empty() { "_x0020_".to_owned() } else { out }
}

/// The name behind an encoded element name.
pub fn decode(name: &str) -> String {
    if !name.contains("_x") {
        return name.to_owned();
    }
    let mut units: Vec<u16> = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        if let Some(unit) = escape_at(rest) {
            units.push(unit);
            rest = rest.get(7..).unwrap_or("");
        } else {
            units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
            rest = rest.get(c.len_utf8()..).unwrap_or("");
        }
    }
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for (plain, encoded) in [
            ("Sales[Name]", "Sales_x005B_Name_x005D_"),
            ("[Sales Amount]", "_x005B_Sales_x0020_Amount_x005D_"),
            ("a_b", "a_b"),
            ("_x0041_", "_x005F_x0041_"),
            ("1st", "_x0031_st"),
            ("Größe.A-1", "Größe.A-1"),
            ("😀", "_xD83D__xDE00_"),
        ] {
            assert_eq!(encode(plain), encoded);
            assert_eq!(decode(encoded), plain);
        }
    }
}
