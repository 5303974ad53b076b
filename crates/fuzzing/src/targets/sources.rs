//! M expressions and the files they read.

use std::path::Path;
use std::sync::OnceLock;

use evercube_base::DataType;
use evercube_model::tabular::PartitionSource;
use evercube_sources::{ColumnRequest, FilePolicy, SourceContext, check, read_partition};
use tempfile::TempDir;

use super::{Target, judged, texts};

/// The only folder that expressions may read.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let made = || match tempfile::tempdir() {
        Ok(folder) => folder,
        Err(e) => panic!("no folder for files: {e}"),
    };
    FOLDER.get_or_init(made).path()
}

fn read(expression: &str) {
    let source = PartitionSource {
        kind: Some("m".into()),
        expression: Some(evercube_model::tabular::Text(expression.to_owned())),
        ..PartitionSource::default()
    };
    let _findings = check(&[], &[], &source);
    let context = SourceContext {
        expressions: Vec::new(),
        data_sources: Vec::new(),
        policy: FilePolicy::Folders(vec![folder().to_owned()]),
        working_dir: folder().to_owned(),
        cancel: std::sync::Arc::default(),
        files: evercube_sources::FilesRead::default(),
        logins: evercube_sources::Logins::default(),
        authorities: evercube_sources::Authorities::default(),
        hosts: evercube_sources::SourceHosts::default(),
    };
    let column = |name: &str, data_type| ColumnRequest {
        source_column: name.into(),
        data_type,
        name: name.into(),
    };
    let columns = [column("a", DataType::Int64), column("b", DataType::String)];
    let mut rows = 0;
    judged(read_partition(&context, &source, &columns, &mut |batch| {
        rows += batch.rows;
        assert!(batch.columns.len() == columns.len());
        Ok(())
    }));
}

pub const M: Target = Target {
    name: "m",
    run: |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        // Nothing outside is asked.
        if !text.contains("PostgreSQL") {
            read(text);
        }
    },
    seeds: || {
        texts(&[
            "let Source = #table(type table [a = Int64.Type, b = text], {{1, \"x\"}, {2, null}}), Kept = Table.SelectRows(Source, each [a] > 1), More = Table.AddColumn(Kept, \"c\", each [a] * 2 + Text.Length([b])) in More",
            "let f = (x as number, optional y) as number => if x > 0 then @f(x - 1) else 0, r = [p = 1, q = {1..3}] in #table({\"a\", \"b\"}, {{f(3), r[p]}, {r[q]{0}, try error \"e\" otherwise 1}})",
            "let Source = Csv.Document(File.Contents(\"x.csv\"), [Delimiter=\",\", Encoding=65001]), H = Table.PromoteHeaders(Source), T = Table.TransformColumnTypes(H, {{\"a\", Int64.Type}, {\"b\", type text}}) in T",
            "#table({\"a\"}, List.Transform({1..5}, each {_})) meta [x = #date(2024, 1, 31)]",
        ])
    },
    words: &[
        "let ",
        " in ",
        "each ",
        "=>",
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        "..",
        "#table(",
        "#date(2024,2,30)",
        "#duration(1,2,3,4)",
        "\"",
        "#\"",
        "try ",
        " otherwise ",
        "error ",
        "type table ",
        " meta ",
        "Table.",
        "Text.",
        "List.",
        "Number.",
        "null",
        "not ",
        "and ",
        "&",
        "@",
        "??",
        "1e400",
        "0x",
        "Table.Group(",
        "Table.Join(",
        "List.Generate(",
        "Text.Repeat(\"a\",",
        "List.Repeat({1},",
    ],
};

pub const CSV: Target = Target {
    name: "csv",
    run: |bytes| {
        let (first, rest) = bytes.split_first().unwrap_or((&0, &[]));
        if std::fs::write(folder().join("input.csv"), rest).is_err() {
            return;
        }
        let delimiter =
            [",", ";", "#(tab)", "|"].get(usize::from(first & 3)).copied().unwrap_or(",");
        let encoding =
            [65001, 1252, 1200, 28591].get(usize::from(first >> 2 & 3)).copied().unwrap_or(0);
        let quotes = if first & 16 == 0 { "QuoteStyle.Csv" } else { "QuoteStyle.None" };
        read(&format!(
            "let S = Csv.Document(File.Contents(\"input.csv\"), [Delimiter=\"{delimiter}\", Encoding={encoding}, QuoteStyle={quotes}]), H = Table.PromoteHeaders(S) in H"
        ));
    },
    seeds: || {
        texts(&[
            "\u{1}a,b\n1,x\n2,\"y\"\"z\"\n",
            "\u{0}a;b\r\n1;\"two\nlines\"\r\n;\r\n",
            "\u{4}a,b,c\n1\n1,2,3,4\n",
            "\u{0}\u{feff}a,b\n1,\u{e9}\n",
        ])
    },
    words: &["\"", ",", ";", "\n", "\r\n", "\r", "\t", "\0", "a,b\n", "\u{feff}", "\"\"", "#N/A"],
};
