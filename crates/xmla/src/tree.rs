//! Bytes of an XML document to a tree of elements, within limits and without entities of its own.

use evercube_base::{Error, ErrorKind, Result};
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

/// Bounds on what a client may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the message after decoding to UTF-8.
    pub bytes: usize,
    /// Elements inside each other.
    pub depth: usize,
    /// Elements in the message.
    pub elements: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 256 << 20, depth: 100, elements: 1_000_000 }
    }
}

/// An element: namespace (empty for none), local name, attributes by local name, its own text
/// (that of all its text parts joined), and its child elements.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Node {
    pub namespace: String,
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub text: String,
    pub children: Vec<Node>,
}

impl Node {
    pub fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|c| c.name == name)
    }
    /// Text of a child without the blanks around it; empty where there is none.
    pub fn child_text(&self, name: &str) -> &str {
        self.child(name).map_or("", |c| c.text.trim())
    }
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(k, _)| k.eq_ignore_ascii_case(name));
        found.map(|(_, v)| v.as_str())
    }
}

fn malformed(what: impl std::fmt::Display, at: u64) -> Error {
    Error::invalid(format!("The request is not a readable XML document: {what} (at byte {at})."))
}

/// UTF-8 or UTF-16 bytes, with or without a byte order mark, to text.
pub fn decode_text(bytes: &[u8]) -> Result<String> {
    let utf16 = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> =
            rest.chunks_exact(2).filter_map(|c| c.try_into().ok().map(unit)).collect();
        String::from_utf16(&units)
            .map_err(|_| Error::invalid("The request is marked UTF-16 but its text is damaged."))
    };
    match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [b'<', 0, ..] => utf16(bytes, u16::from_le_bytes),
        [0, b'<', ..] => utf16(bytes, u16::from_be_bytes),
        _ => utf8(bytes),
    }
}

fn utf8(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        Error::invalid(format!(
            "The request is not UTF-8 text (at byte {at}). Send UTF-8, or UTF-16 with a byte order mark."
        ))
    })
}

/// Parses a whole document and returns its root element.
pub fn parse(text: &str, limits: &Limits) -> Result<Node> {
    let limit = |what: &str, allowed: usize| {
        Error::new(
            ErrorKind::Limit,
            format!("The request is larger than this server reads: {what} (limit {allowed})."),
        )
    };
    if text.len() > limits.bytes {
        return Err(limit("bytes", limits.bytes));
    }
    let mut reader = NsReader::from_str(text);
    reader.config_mut().trim_text(false);
    let (mut open, mut root): (Vec<Node>, Option<Node>) = (Vec::new(), None);
    let mut elements = 0usize;
    loop {
        let at = reader.buffer_position();
        let (namespace, event) = match reader.read_resolved_event() {
            Ok((ns, event)) => {
                let ns = match ns {
                    ResolveResult::Bound(n) => n.0.to_owned(),
                    ResolveResult::Unbound => String::new(),
                    ResolveResult::Unknown(prefix) => {
                        return Err(malformed(format!("prefix '{prefix}' is not declared"), at));
                    }
                };
                (ns, event)
            }
            Err(e) => return Err(malformed(e, at)),
        };
        match event {
            Event::Start(e) => {
                elements += 1;
                if elements > limits.elements {
                    return Err(limit("elements", limits.elements));
                }
                if open.len() >= limits.depth {
                    return Err(limit("elements inside each other", limits.depth));
                }
                if open.is_empty() && root.is_some() {
                    return Err(malformed("a second root element", at));
                }
                open.push(node(&e, namespace, at)?);
            }
            Event::Empty(e) => {
                elements += 1;
                if elements > limits.elements {
                    return Err(limit("elements", limits.elements));
                }
                close(node(&e, namespace, at)?, &mut open, &mut root, at)?;
            }
            Event::End(_) => {
                let done = open.pop().ok_or_else(|| malformed("an end without a start", at))?;
                close(done, &mut open, &mut root, at)?;
            }
            Event::Text(t) => match open.last_mut() {
                Some(n) => n.text.push_str(&t.xml10_content()),
                None if t.xml10_content().trim().is_empty() => {}
                None => return Err(malformed("text outside of the root element", at)),
            },
            Event::CData(t) => {
                if let Some(n) = open.last_mut() {
                    n.text.push_str(&t.xml10_content());
                }
            }
            Event::GeneralRef(r) => {
                let resolved = match r.resolve_char_ref() {
                    Ok(Some(c)) => Some(c.to_string()),
                    Ok(None) => resolve_predefined_entity(&r).map(str::to_owned),
                    Err(e) => return Err(malformed(e, at)),
                };
                let resolved =
                    resolved.ok_or_else(|| malformed(format!("unknown entity &{};", &*r), at))?;
                if let Some(n) = open.last_mut() {
                    n.text.push_str(&resolved);
                }
            }
            Event::DocType(_) => {
                return Err(malformed("document type declarations are not accepted", at));
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    if !open.is_empty() {
        return Err(malformed("it ends inside an element", text.len() as u64));
    }
    root.ok_or_else(|| malformed("it has no root element", 0))
}

fn node(start: &BytesStart<'_>, namespace: String, at: u64) -> Result<Node> {
    let mut attributes = Vec::new();
    for a in start.attributes() {
        let a = a.map_err(|e| malformed(e, at))?;
        let key = a.key.into_inner();
        if key == "xmlns" || key.starts_with("xmlns:") {
            continue;
        }
        let value =
            a.normalized_value(quick_xml::XmlVersion::Implicit1_0).map_err(|e| malformed(e, at))?;
        attributes.push((a.key.local_name().into_inner().to_owned(), value.into_owned()));
    }
    let name = start.local_name().into_inner().to_owned();
    Ok(Node { namespace, name, attributes, ..Node::default() })
}

fn close(done: Node, open: &mut [Node], root: &mut Option<Node>, at: u64) -> Result<()> {
    match open.last_mut() {
        Some(parent) => parent.children.push(done),
        None if root.is_none() => *root = Some(done),
        None => return Err(malformed("a second root element", at)),
    }
    Ok(())
}
