//! Rowsets that describe the server itself: data sources, rowsets, enumerations, words, literals.

use evercube_base::{NestedRows, Rowset, Value};

use super::context::DiscoverContext;
use super::definitions::{DEFINITIONS, METADATA_ROWSETS};
use super::{shape, text};

pub(super) fn data_sources(out: &mut Rowset, context: &DiscoverContext<'_>) {
    out.push(&[
        ("DataSourceName", text(&context.server.name)),
        ("DataSourceDescription", text("")),
        ("URL", text("")),
        ("DataSourceInfo", text(&context.server.name)),
        ("ProviderName", text("Evercube")),
        ("AuthenticationMode", text("Authenticated")),
    ]);
    if let Some(column) = out.column("ProviderType") {
        let kinds = ["MDP", "TDP", "DMP"].map(|k| vec![text(k)]).to_vec();
        out.nested.push(NestedRows { row: out.rows.len() - 1, column, rows: kinds });
    }
}

pub(super) fn schema_rowsets(out: &mut Rowset) {
    let Some(column) = out.column("Restrictions") else { return };
    let mut add = |name: &str, guid: &str, restrictions: Vec<(&str, &str)>| {
        let mask = if restrictions.is_empty() { 0 } else { (1i64 << restrictions.len()) - 1 };
        out.push(&[
            ("SchemaName", text(name)),
            ("SchemaGuid", text(guid)),
            ("Description", text("")),
            ("RestrictionsMask", Value::Int(mask)),
        ]);
        let rows = restrictions.iter().map(|(n, k)| vec![text(n), text(format!("xsd:{k}"))]);
        out.nested.push(NestedRows { row: out.rows.len() - 1, column, rows: rows.collect() });
    };
    for d in DEFINITIONS {
        add(d.name, d.guid, shape::restrictions(d));
    }
    for (i, (name, _)) in METADATA_ROWSETS.iter().enumerate() {
        let guid = format!("45766572-6375-6265-0001-{:012X}", i + 1);
        add(name, &guid, vec![("DatabaseName", "string")]);
    }
}

/// Enumeration, its description, its type, its elements with their values.
type Enumeration =
    (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

const ENUMERATIONS: &[Enumeration] = &[
    (
        "ProviderType",
        "Kinds of data a provider serves",
        "string",
        &[
            ("TDP", "Tabular data provider"),
            ("MDP", "Multidimensional data provider"),
            ("DMP", "Data mining provider"),
        ],
    ),
    (
        "AuthenticationMode",
        "How a client says who it is",
        "string",
        &[
            ("Unauthenticated", "No user name or password is needed"),
            ("Authenticated", "A user name and password are needed"),
            ("Integrated", "The security of the operating system is used"),
        ],
    ),
    (
        "PropertyAccessType",
        "Access to a property",
        "string",
        &[
            ("Read", "The property can be read"),
            ("Write", "The property can be written"),
            ("ReadWrite", "The property can be read and written"),
        ],
    ),
    (
        "StateSupport",
        "Support of sessions",
        "string",
        &[("None", "Sessions are not supported"), ("Sessions", "Sessions are supported")],
    ),
    (
        "TreeOp",
        "Relatives of a member",
        "int",
        &[
            ("MDTREEOP_CHILDREN", "1"),
            ("MDTREEOP_SIBLINGS", "2"),
            ("MDTREEOP_PARENT", "4"),
            ("MDTREEOP_SELF", "8"),
            ("MDTREEOP_DESCENDANTS", "16"),
            ("MDTREEOP_ANCESTORS", "32"),
        ],
    ),
];

pub(super) fn enumerators(out: &mut Rowset) {
    for (name, description, kind, elements) in ENUMERATIONS {
        for (i, (element, about)) in elements.iter().enumerate() {
            let is_number = about.parse::<i64>().is_ok();
            out.push(&[
                ("EnumName", text(name)),
                ("EnumDescription", text(description)),
                ("EnumType", text(kind)),
                ("ElementName", text(element)),
                ("ElementDescription", if is_number { Value::Blank } else { text(about) }),
                ("ElementValue", if is_number { text(about) } else { text(i.to_string()) }),
            ]);
        }
    }
}

pub(super) fn keywords(out: &mut Rowset, context: &DiscoverContext<'_>) {
    let mut words: Vec<String> = context.keywords.iter().map(|k| k.to_ascii_uppercase()).collect();
    words.extend(context.functions.iter().map(|f| f.name.to_ascii_uppercase()));
    words.sort_unstable();
    words.dedup();
    for word in words {
        out.push(&[("Keyword", Value::from(word))]);
    }
}

/// Name, value, characters it may not hold, characters it may not begin with, length, number.
type Literal = (&'static str, &'static str, &'static str, &'static str, i64, i64);

const LITERALS: &[Literal] = &[
    ("DBLITERAL_CATALOG_NAME", "", ".", "0123456789", 24, 2),
    ("DBLITERAL_CATALOG_SEPARATOR", ".", "", "", 0, 3),
    ("DBLITERAL_COLUMN_ALIAS", "", "'\"[]", "0123456789", -1, 5),
    ("DBLITERAL_COLUMN_NAME", "", ".", "0123456789", -1, 6),
    ("DBLITERAL_CORRELATION_NAME", "", "'\"[]", "0123456789", -1, 7),
    ("DBLITERAL_CUBE_NAME", "", ".", "0123456789", -1, 21),
    ("DBLITERAL_DIMENSION_NAME", "", ".", "0123456789", -1, 22),
    ("DBLITERAL_HIERARCHY_NAME", "", ".", "0123456789", -1, 23),
    ("DBLITERAL_LEVEL_NAME", "", ".", "0123456789", -1, 24),
    ("DBLITERAL_MEMBER_NAME", "", ".", "0123456789", -1, 25),
    ("DBLITERAL_PROCEDURE_NAME", "", ".", "0123456789", -1, 14),
    ("DBLITERAL_PROPERTY_NAME", "", ".", "0123456789", -1, 26),
    ("DBLITERAL_QUOTE_PREFIX", "[", "", "", -1, 15),
    ("DBLITERAL_QUOTE_SUFFIX", "]", "", "", -1, 28),
    ("DBLITERAL_TABLE_NAME", "", ".", "0123456789", -1, 17),
    ("DBLITERAL_TEXT_COMMAND", "", "", "", -1, 18),
    ("DBLITERAL_USER_NAME", "", "", "", 0, 20),
];

pub(super) fn literals(out: &mut Rowset) {
    let or_blank = |v: &str| if v.is_empty() { Value::Blank } else { text(v) };
    for (name, value, invalid, starting, length, number) in LITERALS {
        out.push(&[
            ("LiteralName", text(name)),
            ("LiteralValue", or_blank(value)),
            ("LiteralInvalidChars", or_blank(invalid)),
            ("LiteralInvalidStartingChars", or_blank(starting)),
            ("LiteralMaxLength", Value::Int(*length)),
            ("LiteralNameEnumValue", Value::Int(*number)),
        ]);
    }
}

pub(super) fn instances(out: &mut Rowset, context: &DiscoverContext<'_>) {
    out.push(&[
        ("INSTANCE_NAME", text(&context.server.name)),
        ("INSTANCE_PORT_NUMBER", Value::Int(i64::from(context.server.port))),
        ("INSTANCE_STATE", Value::Int(4)),
    ]);
}
