//! What clients send: XMLA envelopes, TMSL statements.

use evercube_xmla::{Command, Limits, Method, decode};

use super::{Target, judged, texts};

pub const XMLA: Target = Target {
    name: "xmla",
    run: |bytes| {
        let Some(request) = judged(decode(bytes, &Limits::default())) else { return };
        if let Method::Execute(execute) = request.method
            && let Command::Statement(text) = &execute.command
        {
            judged(evercube_model::tmsl::parse_statement(text));
        }
    },
    seeds: || {
        texts(&[
            r#"<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Header><Session xmlns="urn:schemas-microsoft-com:xml-analysis" SessionId="a"/></Header><Body><Execute xmlns="urn:schemas-microsoft-com:xml-analysis"><Command><Statement>EVALUATE { 1 }</Statement></Command><Properties><PropertyList><Catalog>C</Catalog><Format>Tabular</Format></PropertyList></Properties><Parameters><Parameter><Name>a</Name><Value xsi:type="xsd:decimal" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">1.5</Value></Parameter></Parameters></Execute></Body></Envelope>"#,
            r#"<?xml version="1.0" encoding="utf-8"?><Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><Discover xmlns="urn:schemas-microsoft-com:xml-analysis"><RequestType>MDSCHEMA_CUBES</RequestType><Restrictions><RestrictionList><CATALOG_NAME>x&amp;y&#x41;</CATALOG_NAME></RestrictionList></Restrictions><Properties/></Discover></Body></Envelope>"#,
            r#"<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]><Envelope>&d;</Envelope>"#,
            r#"<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><Execute xmlns="urn:schemas-microsoft-com:xml-analysis"><Command><Batch xmlns="http://schemas.microsoft.com/analysisservices/2003/engine" Transaction="true"><Alter xmlns="http://schemas.microsoft.com/analysisservices/2014/engine"><DatabaseID>d</DatabaseID><Tables><xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"/><row xmlns="urn:schemas-microsoft-com:xml-analysis:rowset"><ID>1</ID><Name>n</Name></row></Tables></Alter></Batch></Command></Execute></Body></Envelope>"#,
        ])
    },
    words: &[
        "<",
        ">",
        "/>",
        "</Body>",
        "<Body>",
        "<![CDATA[",
        "]]>",
        "<!--",
        "-->",
        "<?",
        "?>",
        "&lt;",
        "&#0;",
        "&#x110000;",
        "&x;",
        "xmlns:a=\"b\"",
        "xsi:nil=\"true\"",
        "xsd:dateTime",
        "Cancel",
        "Subscribe",
        "Refresh",
        "Backup",
        "<Execute>",
        "_x0041_",
    ],
};

pub const TMSL: Target = Target {
    name: "tmsl",
    run: |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        judged(evercube_model::tmsl::parse_statement(text));
        let Some(json) = judged(evercube_model::document::read_json_text(text)) else { return };
        let Some(database) = judged(evercube_model::document::read_database(&json)) else { return };
        evercube_model::validate::validate(&database);
    },
    seeds: || {
        texts(&[
            r#"{"createOrReplace":{"object":{"database":"a"},"database":{"name":"a","compatibilityLevel":1600,"model":{"culture":"en-US","tables":[{"name":"T","columns":[{"name":"C","dataType":"int64","sourceColumn":"C"},{"type":"calculated","name":"D","expression":["[C]","+ 1"]}],"partitions":[{"name":"P","mode":"import","source":{"type":"m","expression":"let x = 1 in x"}}],"measures":[{"name":"M","expression":"SUM(T[C])"}]}],"roles":[{"name":"R","modelPermission":"read","tablePermissions":[{"name":"T","filterExpression":"[C]=1"}]}]}}}}"#,
            r#"{"sequence":{"maxParallelism":2,"operations":[{"refresh":{"type":"full","objects":[{"database":"a","table":"T","partition":"P"}]}},{"delete":{"object":{"database":"a"}}}]}}"#,
            r#"{"backup":{"database":"a","file":"b.abf","password":"p","allowOverwrite":true}}"#,
            r#"{"name":"a","model":{"relationships":[{"name":"r","fromTable":"T","fromColumn":"C","toTable":"U","toColumn":"C"}],"tables":[{"name":"T"},{"name":"U","hierarchies":[{"name":"H","levels":[{"name":"L","ordinal":0,"column":"C"}]}]}]}}"#,
        ])
    },
    words: &[
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "null",
        "true",
        "\"name\":",
        "\"model\":",
        "\"tables\":",
        "\"columns\":",
        "\\u0000",
        "\\ud800",
        "\"alter\":",
        "\"create\":",
        "\"object\":",
        "\"calculationGroup\":{\"calculationItems\":[]}",
        "\"annotations\":[{}]",
    ],
};
