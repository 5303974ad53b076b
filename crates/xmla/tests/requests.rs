//! Messages as the usual clients send them, decoded; and damaged ones, which must only fail.

use evercube_xmla::{Command, Engine, Limits, Method, ObjectVerb, Request, SessionHeader, decode};

const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const XMLA: &str = "urn:schemas-microsoft-com:xml-analysis";
const ENGINE: &str = "http://schemas.microsoft.com/analysisservices/2003/engine";
const ENGINE_2014: &str = "http://schemas.microsoft.com/analysisservices/2014/engine";

fn message(header: &str, body: &str) -> Vec<u8> {
    let text = format!(
        "\u{FEFF}<Envelope xmlns=\"{SOAP}\">\n <Header>{header}</Header>\n <Body>{body}</Body>\n</Envelope>"
    );
    text.into_bytes()
}

fn read(bytes: &[u8]) -> Request {
    decode(bytes, &Limits::default()).unwrap()
}

fn execute(command: &str) -> Vec<u8> {
    message(
        "",
        &format!(
            "<Execute xmlns=\"{XMLA}\"><Command>{command}</Command>\
             <Properties><PropertyList><Catalog>Demo</Catalog></PropertyList></Properties></Execute>"
        ),
    )
}

fn command(text: &str) -> Command {
    match read(&execute(text)).method {
        Method::Execute(e) => e.command,
        other => panic!("{other:?}"),
    }
}

#[test]
fn opening_a_session() {
    let header = format!(
        "<BeginSession soap:mustUnderstand=\"1\" xmlns:soap=\"{SOAP}\" xmlns=\"{XMLA}\"/>\
         <Version Sequence=\"926\" xmlns=\"{ENGINE}/2\"/>\
         <NamespaceCompatibility xmlns=\"http://schemas.microsoft.com/analysisservices/2003/xmla\" mustUnderstand=\"0\"/>"
    );
    let body = format!(
        "<Execute xmlns=\"{XMLA}\"><Command><Statement/></Command><Properties><PropertyList>\
         <Catalog>Demo</Catalog><LocaleIdentifier>127</LocaleIdentifier></PropertyList></Properties></Execute>"
    );
    let r = read(&message(&header, &body));
    assert_eq!(r.session, Some(SessionHeader::Begin));
    let Method::Execute(e) = r.method else { panic!() };
    assert_eq!(e.command, Command::Empty);
    assert_eq!(
        e.properties,
        [("Catalog".into(), "Demo".into()), ("LocaleIdentifier".into(), "127".into())]
    );
}

#[test]
fn continuing_and_ending_with_any_prefix() {
    let header = format!(
        "<XA:Session s:mustUnderstand=\"1\" xmlns:s=\"{SOAP}\" SessionId=\"abc\" xmlns:XA=\"{XMLA}\"/>"
    );
    let body = format!(
        "<XA:Discover xmlns:XA=\"{XMLA}\"><XA:RequestType>DISCOVER_KEYWORDS</XA:RequestType></XA:Discover>"
    );
    assert_eq!(read(&message(&header, &body)).session, Some(SessionHeader::Continue("abc".into())));
    let header = format!("<EndSession SessionId=\"abc\" xmlns=\"{XMLA}\"/>");
    assert_eq!(read(&message(&header, &body)).session, Some(SessionHeader::End("abc".into())));
}

#[test]
fn discover_of_the_script_client() {
    let text = format!(
        "<SOAP-ENV:Envelope xmlns:SOAP-ENV=\"{SOAP}\" SOAP-ENV:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\">\
         <SOAP-ENV:Body><Discover xmlns=\"{XMLA}\" SOAP-ENV:encodingStyle=\"x\"><RequestType>MDSCHEMA_CUBES</RequestType>\
         <Restrictions><RestrictionList><CATALOG_NAME>A &amp; B</CATALOG_NAME><CUBE_SOURCE><Value>1</Value><Value>2</Value></CUBE_SOURCE>\
         <CUBE_NAME/></RestrictionList></Restrictions>\
         <Properties><PropertyList><Format>Tabular</Format></PropertyList></Properties></Discover></SOAP-ENV:Body></SOAP-ENV:Envelope>"
    );
    let Method::Discover(d) = read(text.as_bytes()).method else { panic!() };
    assert_eq!(d.request_type, "MDSCHEMA_CUBES");
    assert_eq!(
        d.restrictions,
        [
            ("CATALOG_NAME".to_owned(), vec!["A & B".to_owned()]),
            ("CUBE_SOURCE".to_owned(), vec!["1".to_owned(), "2".to_owned()]),
        ]
    );
    let utf16: Vec<u8> =
        std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    assert_eq!(read(&utf16), read(text.as_bytes()));
}

#[test]
fn parameters_have_types() {
    let xsi = "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"";
    let parameter = |name: &str, kind: &str, value: &str| {
        format!(
            "<Parameter><Name>{name}</Name><Value {xsi} xsi:type=\"xsd:{kind}\">{value}</Value></Parameter>"
        )
    };
    let body = format!(
        "<Execute xmlns=\"{XMLA}\"><Command><Statement>EVALUATE T</Statement></Command><Properties/><Parameters>{}{}{}{}{}</Parameters></Execute>",
        parameter("a", "string", " x "),
        parameter("@b", "int", "7"),
        parameter("c", "double", "1.5"),
        parameter("d", "boolean", "true"),
        parameter("e", "dateTime", "2024-01-31T10:20:30.0000000")
    );
    let Method::Execute(e) = read(&message("", &body)).method else { panic!() };
    assert_eq!(
        format!("{:?}", e.parameters),
        "[(\"a\", String(\" x \")), (\"b\", Int(7)), (\"c\", Double(1.5)), (\"d\", Boolean(true)), \
         (\"e\", DateTime(DateTime(3915858030000000)))]"
    );
    let bad = body.replace(">7<", ">seven<");
    assert!(decode(&message("", &bad), &Limits::default()).is_err());
}

#[test]
fn a_save_of_the_object_model() {
    let batch = format!(
        "<Batch Transaction=\"true\" xmlns=\"{ENGINE}\"><Create xmlns=\"{ENGINE_2014}\"><DatabaseID>Shop</DatabaseID>\
         <Measures><xs:schema xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" xmlns:sql=\"urn:x\"><xs:element><xs:complexType/></xs:element></xs:schema>\
         <row xmlns=\"{XMLA}:rowset\"><TableID.Table>Sales</TableID.Table><Name>M</Name><Expression>1 &lt; 2</Expression></row></Measures></Create>\
         <Alter ObjectExpansion=\"ExpandFull\" xmlns=\"{ENGINE_2014}\"><DatabaseID>Shop</DatabaseID><Model><row><Culture>en-US</Culture></row></Model></Alter>\
         <SequencePoint xmlns=\"{ENGINE_2014}\"><DatabaseID>Shop</DatabaseID></SequencePoint>\
         <Discover xmlns=\"{XMLA}\"><RequestType>TMSCHEMA_MODEL</RequestType><Restrictions><RestrictionList><DatabaseName>Shop</DatabaseName></RestrictionList></Restrictions><Properties><PropertyList/></Properties></Discover>\
         </Batch>"
    );
    let Command::Batch { transaction: true, commands } = command(&batch) else { panic!() };
    let Command::Object { verb: ObjectVerb::Create, engine: Engine::Y2014, command } = &commands[0]
    else {
        panic!()
    };
    assert_eq!(command.database_id, "Shop");
    assert_eq!(command.objects[0].collection, "Measures");
    assert_eq!(
        command.objects[0].rows,
        [vec![
            ("TableID.Table".to_owned(), "Sales".to_owned()),
            ("Name".to_owned(), "M".to_owned()),
            ("Expression".to_owned(), "1 < 2".to_owned()),
        ]]
    );
    let Command::Object { verb: ObjectVerb::Alter, command, .. } = &commands[1] else { panic!() };
    assert_eq!(command.attribute("ObjectExpansion"), Some("ExpandFull"));
    assert_eq!(commands[2], Command::SequencePoint { database_id: "Shop".into() });
    let Command::Discover(d) = &commands[3] else { panic!() };
    assert_eq!(d.request_type, "TMSCHEMA_MODEL");
}

#[test]
fn commands_of_2003() {
    let alter = format!(
        "<Alter AllowCreate=\"true\" ObjectExpansion=\"ExpandFull\" xmlns=\"{ENGINE}\"><Object><DatabaseID>S</DatabaseID></Object>\
         <ObjectDefinition><Database><ID>S</ID><Name>Shop</Name><CompatibilityLevel xmlns=\"x\">1600</CompatibilityLevel></Database></ObjectDefinition></Alter>"
    );
    let Command::Object { verb: ObjectVerb::Alter, engine: Engine::Y2003, command: c } =
        command(&alter)
    else {
        panic!()
    };
    assert_eq!(c.database_id, "S");
    assert_eq!(c.field("Database/Name"), Some("Shop"));
    assert_eq!(c.field("Database/CompatibilityLevel"), Some("1600"));
    let Command::Backup(b) = command(&format!(
        "<Backup xmlns=\"{ENGINE}\"><Object><DatabaseID>S</DatabaseID></Object><File>x.abf</File><AllowOverwrite>true</AllowOverwrite></Backup>"
    )) else {
        panic!()
    };
    assert_eq!((b.database_id.as_str(), b.file.as_str(), b.allow_overwrite), ("S", "x.abf", true));
    let Command::Cancel(c) =
        command(&format!("<Cancel xmlns=\"{ENGINE}\"><SPID>5</SPID></Cancel>"))
    else {
        panic!()
    };
    assert_eq!(c.spid.as_deref(), Some("5"));
    assert_eq!(
        command(&format!("<Batch xmlns=\"{ENGINE}\"/>")),
        Command::Batch { transaction: true, commands: vec![] }
    );
    assert_eq!(command("<Statement>BEGIN TRANSACTION</Statement>"), Command::BeginTransaction);
    assert_eq!(
        command("<Statement>EVALUATE &apos;T&apos; &#xD;&#10;</Statement>"),
        Command::Statement("EVALUATE 'T' \r\n".into())
    );
    assert!(
        matches!(command("<Attach><Folder>f</Folder></Attach>"), Command::Unsupported { name, .. } if name == "Attach")
    );
}

#[test]
fn what_is_no_message_is_refused() {
    let deep = format!("{}{}", "<a>".repeat(500), "</a>".repeat(500));
    let entity = "<!DOCTYPE a [<!ENTITY x \"y\">]><Envelope>&x;</Envelope>";
    let cases: [&[u8]; 9] = [
        b"",
        b"hello",
        b"<a/>",
        b"<Envelope/>",
        b"<Envelope><Body/></Envelope>",
        b"<Envelope><Body><Discover></Body></Envelope>",
        b"\xFF\xFE<",
        deep.as_bytes(),
        entity.as_bytes(),
    ];
    for bytes in cases {
        let error = decode(bytes, &Limits::default()).unwrap_err();
        assert!(!error.message.is_empty());
    }
    let header = "<Strange xmlns:s=\"x\" s:mustUnderstand=\"1\"/>";
    assert!(decode(&message(header, "<Discover/>"), &Limits::default()).is_err());
}

/// Bytes flipped, cut, repeated and moved by a fixed sequence: decoding may fail but not panic.
#[test]
fn damaged_messages_do_not_panic() {
    let seeds = [
        execute("<Batch><Create><Tables><row><A.B>1</A.B></row></Tables></Create></Batch>"),
        execute("<Statement>EVALUATE &amp; x</Statement>"),
        message(
            "<Session SessionId=\"a\"/>",
            "<Discover><RequestType>X</RequestType><Restrictions><RestrictionList><_x005B_a>1</_x005B_a></RestrictionList></Restrictions></Discover>",
        ),
    ];
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % n.max(1) as u64) as usize
    };
    for round in 0..20_000 {
        let mut bytes = seeds[round % seeds.len()].clone();
        for _ in 0..=random(4) {
            let (at, to) = (random(bytes.len()), random(bytes.len()));
            match random(5) {
                0 => bytes[at] = random(256) as u8,
                1 => bytes.truncate(at.max(1)),
                2 => bytes.insert(at, b"<>&;/\"x"[random(7)]),
                3 => {
                    let piece = bytes[at.min(to)..at.max(to)].to_vec();
                    bytes.splice(at..at, piece);
                }
                _ => {
                    bytes.remove(at);
                    if bytes.is_empty() {
                        bytes.push(b'<');
                    }
                }
            }
        }
        let _ = decode(&bytes, &Limits::default());
    }
}
