//! Answers as bytes.

use evercube_base::{
    ColumnKind, DataType, DateTime, Decimal, Error, NestedRows, Rowset, RowsetColumn, Value,
};
use evercube_xmla::response::HOLD_BACK;
use evercube_xmla::{Content, Kind, Limits, Message, Response, Results, fault, tree};

fn text(bytes: &[u8]) -> String {
    tree::parse(std::str::from_utf8(bytes).unwrap(), &Limits::default()).unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let start = text.find(from).unwrap() + from.len();
    &text[start..start + text[start..].find(to).unwrap()]
}

fn one_table(columns: &[(String, DataType)], data: &[Vec<Value>], content: Content) -> String {
    let mut r = Response::new(Vec::new(), Kind::Execute, None, Results::Single);
    r.table(columns, data, content).unwrap();
    text(&r.finish().unwrap())
}

#[test]
fn a_session_is_opened_with_an_empty_result() {
    let mut r = Response::new(Vec::new(), Kind::Execute, Some("a\"b"), Results::Single);
    r.empty(&[]).unwrap();
    assert_eq!(
        text(&r.finish().unwrap()),
        "<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Header>\
         <Session xmlns=\"urn:schemas-microsoft-com:xml-analysis\" SessionId=\"a&quot;b\"/></soap:Header><soap:Body>\
         <ExecuteResponse xmlns=\"urn:schemas-microsoft-com:xml-analysis\"><return>\
         <root xmlns=\"urn:schemas-microsoft-com:xml-analysis:empty\"/></return></ExecuteResponse></soap:Body></soap:Envelope>"
    );
}

#[test]
fn values_of_every_type() {
    let names = ["s", "i", "d", "t", "c", "b", "v"];
    let kinds = [
        DataType::String,
        DataType::Int64,
        DataType::Double,
        DataType::DateTime,
        DataType::Decimal,
        DataType::Boolean,
        DataType::Variant,
    ];
    let columns: Vec<_> = names.iter().map(|n| (*n).to_owned()).zip(kinds).collect();
    let data = vec![
        vec![Value::from("<\u{1}>\r "), Value::from("")],
        vec![Value::Int(i64::MIN), Value::Blank],
        vec![Value::Double(4.9e-324), Value::Double(f64::NEG_INFINITY)],
        vec![Value::DateTime(DateTime::parse_iso("2024-01-31T10:20:30.5").unwrap()), Value::Blank],
        vec![Value::Decimal(Decimal::parse("-12.34").unwrap()), Value::Blank],
        vec![Value::Boolean(true), Value::Blank],
        vec![Value::Int(1), Value::from("x")],
    ];
    let out = one_table(&columns, &data, Content::Data);
    assert!(!out.contains("xsd:schema"));
    assert_eq!(
        between(&out, "xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\">", "</root>"),
        "<row><s>&lt;\u{FFFD}&gt;&#xD; </s><i>-9223372036854775808</i><d>5E-324</d>\
         <t>2024-01-31T10:20:30.5</t><c>-12.34</c><b>true</b><v xsi:type=\"xsd:long\">1</v></row>\
         <row><s></s><d>-INF</d><v xsi:type=\"xsd:string\">x</v></row>"
    );
}

#[test]
fn names_are_encoded_and_unique() {
    let columns: Vec<_> =
        ["Sales[Name]", "[Total]", "[Total]"].map(|n| (n.to_owned(), DataType::String)).to_vec();
    let out = one_table(&columns, &[], Content::SchemaData);
    assert!(out.contains(
        "<xsd:complexType name=\"row\"><xsd:sequence>\
         <xsd:element sql:field=\"Sales[Name]\" name=\"Sales_x005B_Name_x005D_\" type=\"xsd:string\" minOccurs=\"0\"/>\
         <xsd:element sql:field=\"[Total]\" name=\"_x005B_Total_x005D_\" type=\"xsd:string\" minOccurs=\"0\"/>\
         <xsd:element sql:field=\"[Total1]\" name=\"_x005B_Total1_x005D_\" type=\"xsd:string\" minOccurs=\"0\"/>"
    ));
    assert!(!out.contains("<row>"));
    let none = one_table(&columns, &[vec![Value::from("x")]], Content::None);
    assert!(!none.contains("xsd:schema") && !none.contains("<row>"));
}

#[test]
fn nested_repeated_and_xml_columns() {
    let inner = vec![
        RowsetColumn::new("Name", ColumnKind::String),
        RowsetColumn::new("Type", ColumnKind::String),
    ];
    let mut rowset = Rowset::new(
        "X",
        vec![
            RowsetColumn::new("Id", ColumnKind::UnsignedLong),
            RowsetColumn::nested("Restrictions", inner),
            RowsetColumn::nested("Kind", vec![RowsetColumn::new("", ColumnKind::String)]),
            RowsetColumn::new("METADATA", ColumnKind::Xml),
        ],
    );
    rowset.push(&[("Id", Value::Int(1))]);
    rowset.push(&[("Id", Value::Int(2)), ("METADATA", "<Server xmlns=\"e\"/>".into())]);
    let pair = |a: &str, b: &str| vec![Value::from(a), Value::from(b)];
    rowset.nested.push(NestedRows {
        row: 1,
        column: 1,
        rows: vec![pair("a", "b"), pair("c", "d")],
    });
    rowset.nested.push(NestedRows {
        row: 1,
        column: 2,
        rows: vec![vec!["MDP".into()], vec!["TDP".into()]],
    });
    let mut r = Response::new(Vec::new(), Kind::Execute, None, Results::Multiple);
    r.rowset(&rowset, Some("Model"), Content::SchemaData).unwrap();
    r.empty(&[Message::warning("late")]).unwrap();
    let out = text(&r.finish().unwrap());
    assert!(
        out.contains(
            "<root name=\"Model\" xmlns=\"urn:schemas-microsoft-com:xml-analysis:rowset\""
        )
    );
    assert!(out.contains("<row><Id>1</Id></row><row><Id>2</Id><Restrictions><Name>a</Name><Type>b</Type></Restrictions><Restrictions><Name>c</Name><Type>d</Type></Restrictions><Kind>MDP</Kind><Kind>TDP</Kind><METADATA><Server xmlns=\"e\"/></METADATA></row></root>"));
    assert!(out.contains("<Warning WarningCode="));
    assert!(out.contains("</results></return></ExecuteResponse>"));
}

#[test]
fn errors_before_and_after_the_first_bytes() {
    let error = Error::invalid("no <table>");
    let early = Response::new(Vec::new(), Kind::Execute, Some("s"), Results::Single);
    let early = text(&early.fail(&error).unwrap());
    assert_eq!(early, text(&fault(Some("s"), &error)));
    assert!(early.contains("<faultstring xmlns=\"\">no &lt;table&gt;</faultstring><detail xmlns=\"\"><Error ErrorCode=\"3238658121\" Description=\"no &lt;table&gt;\""));

    let columns = [("a".to_owned(), DataType::String)];
    let mut late = Response::new(Vec::new(), Kind::Execute, None, Results::Single);
    late.begin_table(&columns, Content::SchemaData).unwrap();
    late.rows(&[vec![Value::from("x".repeat(1000)); HOLD_BACK / 1000 + 1]]).unwrap();
    let out = text(&late.fail(&error).unwrap());
    assert!(out.contains("<row><a>xxx"));
    assert!(out.ends_with(
        "<Exception xmlns=\"urn:schemas-microsoft-com:xml-analysis:exception\"/>\
         <Messages xmlns=\"urn:schemas-microsoft-com:xml-analysis:exception\">\
         <Error ErrorCode=\"3238658121\" Description=\"no &lt;table&gt;\" Source=\"Evercube\" HelpFile=\"\"/></Messages>\
         </root></return></ExecuteResponse></soap:Body></soap:Envelope>"
    ));
}
