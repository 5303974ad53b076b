//! Expressions of M and what they give, and files written by the tests.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow_array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, Int32Array, RecordBatch, StringArray,
    TimestampNanosecondArray,
};
use evercube_base::{ColumnData, DataType, ErrorKind, Result, RowBatch, Severity, Value};
use evercube_model::tabular::{PartitionSource, Text};
use evercube_sources::{
    ColumnRequest, FilePolicy, SourceContext, check, read_partition, read_rows,
};

fn context(dir: &Path) -> SourceContext {
    SourceContext {
        expressions: vec![
            ("Base".into(), "\"data\" meta [IsParameterQuery=true, Type=\"Text\"]".into()),
            ("Twice".into(), "(x as number) as number => x * 2".into()),
        ],
        data_sources: vec![],
        logins: evercube_sources::Logins::default(),
        authorities: evercube_sources::Authorities::default(),
        policy: FilePolicy::Folders(vec![dir.to_path_buf()]),
        hosts: evercube_sources::SourceHosts::default(),
        working_dir: dir.to_path_buf(),
        cancel: Arc::new(AtomicBool::new(false)),
        files: evercube_sources::FilesRead::default(),
    }
}

fn m(text: &str) -> PartitionSource {
    PartitionSource {
        kind: Some("m".into()),
        expression: Some(Text(text.into())),
        ..PartitionSource::default()
    }
}

fn read(
    ctx: &SourceContext,
    text: &str,
    columns: &[(&str, DataType)],
) -> Result<(u64, Vec<RowBatch>)> {
    let columns: Vec<ColumnRequest> = columns
        .iter()
        .map(|(n, t)| ColumnRequest {
            source_column: (*n).into(),
            data_type: *t,
            name: (*n).into(),
        })
        .collect();
    let mut out = Vec::new();
    let n = read_partition(ctx, &m(text), &columns, &mut |b| {
        assert!(b.columns.iter().all(|c| c.len() == b.rows));
        out.push(b);
        Ok(())
    })?;
    Ok((n, out))
}

#[test]
fn expressions_give_what_m_gives() {
    let dir = tempfile::tempdir().unwrap();
    let ctx = context(dir.path());
    for (text, expected) in [
        ("1 + 2 * 3", "7"),
        ("1 / 4", "0.25"),
        ("let a = b + 1, b = 2 in a", "3"),
        ("if 1 < 2 and not false then \"y\" else \"n\"", "\"y\""),
        ("null ?? 5", "5"),
        ("null = null", "true"),
        ("null + 1", "null"),
        ("Base & \"/x\"", "\"data/x\""),
        ("Value.Metadata(Base)[Type]", "\"Text\""),
        ("Twice(4)", "8"),
        ("[a = 1, b = a + 1][b]", "2"),
        ("[Order Date = 1][Order Date]", "1"),
        ("[a = 1][z]?", "null"),
        ("{1..4}{2}", "3"),
        ("{1, 2} & {3}", "{1, 2, 3}"),
        ("{\"a\"}{9}?", "null"),
        ("\"a#(lf)\"\"b\"", "\"a#(lf)\"\"b\""),
        ("try error \"x\" otherwise 9", "9"),
        ("(try error \"x\")[Error][Message]", "\"x (line 1, column 6)\""),
        ("#date(2024, 2, 29) + #duration(1, 0, 0, 0)", "#date(2024, 3, 1)"),
        ("#datetime(2024, 1, 2, 3, 4, 5)", "#datetime(2024, 1, 2, 3, 4, 5)"),
        ("List.Sum(List.Transform({1, 2, 3}, each _ * 2))", "12"),
        ("5 is number and \"x\" is text", "true"),
        ("type nullable text", "type nullable text"),
        ("let f = (n) => if n = 0 then 0 else n + @f(n - 1) in f(200)", "20100"),
        ("/* c */ #\"quoted name\" // d", "?unknown"),
        ("#table({\"a\", \"b\"}, {{1, \"x\"}, {2, \"y\"}}){[a=2]}[b]", "\"y\""),
        ("#table(type table [a = Int64.Type], {{1}})", "#table({\"a\"}, {{1}})"),
        (
            "Table.SelectRows(#table({\"a\", \"b\"}, {{1, \"x\"}, {2, \"x\"}}), each [a] > 1 and [b] = \"x\")",
            "#table({\"a\", \"b\"}, {{2, \"x\"}})",
        ),
        (
            "Table.AddColumn(#table({\"a\"}, {{1}, {2}}), \"c\", each [a] * 10, Int64.Type)",
            "#table({\"a\", \"c\"}, {{1, 10}, {2, 20}})",
        ),
        (
            "Table.TransformColumnTypes(#table({\"a\", \"d\"}, {{\"1\", \"2024-01-31\"}, {\"\", null}}), {{\"a\", Int64.Type}, {\"d\", type date}})",
            "#table({\"a\", \"d\"}, {{1, #date(2024, 1, 31)}, {null, null}})",
        ),
        (
            "Table.RenameColumns(Table.RemoveColumns(#table({\"a\", \"b\"}, {{1, 2}}), {\"a\"}), {{\"b\", \"c\"}})",
            "#table({\"c\"}, {{2}})",
        ),
        (
            "Table.Skip(Table.FirstN(#table({\"a\"}, {{1}, {2}, {3}}), 2), 1)",
            "#table({\"a\"}, {{2}})",
        ),
        (
            "Table.Combine({#table({\"a\"}, {{1}}), #table({\"b\"}, {{2}})})",
            "#table({\"a\", \"b\"}, {{1, null}, {null, 2}})",
        ),
        ("Table.Distinct(#table({\"a\"}, {{1}, {1}}))", "#table({\"a\"}, {{1}})"),
        (
            "Csv.Document(\"a;b#(lf)1;2\", [Delimiter=\";\"])",
            "#table({\"Column1\", \"Column2\"}, {{\"a\", \"b\"}, {\"1\", \"2\"}})",
        ),
    ] {
        let got = read_rows(&ctx, text);
        if expected == "?unknown" {
            let e = got.unwrap_err();
            assert_eq!(e.kind, ErrorKind::Unsupported, "{text}");
            assert_eq!(e.message, "the M name 'quoted name' is not known (line 1, column 9)");
        } else {
            assert_eq!(got.as_deref(), Ok(expected), "{text}");
        }
    }
}

#[test]
fn functions_of_the_library_give_what_m_gives() {
    let dir = tempfile::tempdir().unwrap();
    let ctx = context(dir.path());
    for (text, expected) in [
        ("Text.Proper(\"the GREAT gatsby\")", "\"The Great Gatsby\""),
        ("Text.TrimStart(\"  a \")", "\"a \""),
        ("Text.TrimEnd(\"a00\", \"0\")", "\"a\""),
        ("Text.Trim(\"xyax\", {\"x\", \"y\"})", "\"a\""),
        ("Text.PadEnd(\"ab\", 4, \"-\")", "\"ab--\""),
        ("Text.Reverse(\"abc\") & Text.Repeat(\"x\", 2)", "\"cbaxx\""),
        ("Text.Insert(\"ABD\", 2, \"C\")", "\"ABCD\""),
        (
            "{Text.PositionOf(\"banana\", \"an\"), Text.PositionOf(\"banana\", \"an\", Occurrence.Last), Text.PositionOf(\"a\", \"z\")}",
            "{1, 3, -1}",
        ),
        (
            "{Text.BeforeDelimiter(\"a-b-c\", \"-\"), Text.AfterDelimiter(\"a-b-c\", \"-\"), Text.AfterDelimiter(\"a-b-c\", \"-\", 1)}",
            "{\"a\", \"b-c\", \"c\"}",
        ),
        (
            "{Text.BeforeDelimiter(\"abc\", \"-\"), Text.AfterDelimiter(\"abc\", \"-\")}",
            "{\"abc\", \"\"}",
        ),
        (
            "{Text.Remove(\"a1b2\", {\"1\", \"2\"}), Text.Select(\"a1b2\", \"12\")}",
            "{\"ab\", \"12\"}",
        ),
        ("List.Average({1, null, 2})", "1.5"),
        ("List.Average({})", "null"),
        (
            "{List.AllTrue({true, false}), List.AnyTrue({true, false}), List.AllTrue({}), List.AnyTrue({})}",
            "{false, true, true, false}",
        ),
        ("List.Sort({3, 1, null, 2}, Order.Descending)", "{3, 2, 1, null}"),
        ("List.Reverse(List.Skip(List.FirstN({1, 2, 3, 4}, 3)))", "{3, 2}"),
        ("List.Combine({{1}, {2, 3}}) & List.Repeat({0}, 2)", "{1, 2, 3, 0, 0}"),
        ("List.Zip({{1, 2}, {\"a\"}})", "{{1, \"a\"}, {2, null}}"),
        ("List.Generate(() => 1, each _ < 20, each _ * 3, each _ + 1)", "{2, 4, 10}"),
        ("List.Accumulate({1, 2, 3}, 10, (state, current) => state + current)", "16"),
        (
            "{List.NonNullCount({1, null}), List.IsEmpty({}), List.PositionOf({5, 6}, 6)}",
            "{1, true, 1}",
        ),
        ("List.RemoveNulls({null, 1})", "{1}"),
        ("Record.FieldOrDefault([a = 1], \"b\", 7)", "7"),
        ("Record.HasFields([a = 1, b = 2], {\"a\", \"c\"})", "false"),
        (
            "Record.FieldValues(Record.RemoveFields(Record.AddField([a = 1], \"b\", 2), \"a\"))",
            "{2}",
        ),
        (
            "Record.FieldNames(Record.SelectFields([a = 1, b = 2], {\"b\", \"a\"}))",
            "{\"b\", \"a\"}",
        ),
        ("Date.ToText(#date(2024, 3, 5), \"dddd, d MMM yy\")", "\"Tuesday, 5 Mar 24\""),
        (
            "Date.ToText(#date(2024, 3, 5), [Format = \"'Q' yyyy-MM-dd\", Culture = \"en-US\"])",
            "\"Q 2024-03-05\"",
        ),
        (
            "Date.MonthName(#date(2024, 3, 5)) & Date.DayOfWeekName(#date(2024, 3, 5))",
            "\"MarchTuesday\"",
        ),
        (
            "{Date.WeekOfYear(#date(2024, 1, 6)), Date.WeekOfYear(#date(2024, 1, 7)), Date.WeekOfYear(#date(2024, 1, 8), Day.Monday)}",
            "{1, 2, 2}",
        ),
        (
            "{Date.StartOfWeek(#date(2024, 3, 6), Day.Monday), Date.EndOfWeek(#date(2024, 3, 6))}",
            "{#date(2024, 3, 4), #date(2024, 3, 9)}",
        ),
        (
            "{Date.StartOfQuarter(#date(2024, 5, 6)), Date.EndOfQuarter(#date(2024, 5, 6)), Date.EndOfYear(#date(2024, 5, 6))}",
            "{#date(2024, 4, 1), #date(2024, 6, 30), #date(2024, 12, 31)}",
        ),
        (
            "{Date.AddQuarters(#date(2024, 1, 31), 1), Date.AddWeeks(#date(2024, 1, 1), 2)}",
            "{#date(2024, 4, 30), #date(2024, 1, 15)}",
        ),
        (
            "{Date.DayOfYear(#date(2024, 3, 1)), Date.DaysInMonth(#date(2024, 2, 1)), Date.IsLeapYear(#date(1900, 1, 1))}",
            "{61, 29, false}",
        ),
        (
            "{Duration.Hours(#duration(1, 2, 30, 0)), Duration.TotalHours(#duration(1, 2, 30, 0)), Time.Minute(#time(3, 4, 5))}",
            "{2, 26.5, 4}",
        ),
        (
            "{Number.Sign(-3), Number.Sqrt(9), Number.IsOdd(3), Number.RoundTowardZero(-1.7), Number.RoundAwayFromZero(-1.2)}",
            "{-1, 3, true, -1, -2}",
        ),
        (
            "Table.FromList(List.Dates(#date(2024, 1, 1), 2, #duration(1, 0, 0, 0)), Splitter.SplitByNothing(), {\"Date\"})",
            "#table({\"Date\"}, {{#date(2024, 1, 1)}, {#date(2024, 1, 2)}})",
        ),
        (
            "Table.FromList({\"a,b\", \"c\"})",
            "#table({\"Column1\", \"Column2\"}, {{\"a\", \"b\"}, {\"c\", null}})",
        ),
        (
            "Table.TransformColumnNames(#table({\"a b\"}, {{1}}), Text.Proper)",
            "#table({\"A B\"}, {{1}})",
        ),
        ("Table.ColumnNames(Table.PrefixColumns(#table({\"a\"}, {}), \"t\"))", "{\"t.a\"}"),
        ("Table.IsEmpty(#table({\"a\"}, {}))", "true"),
    ] {
        assert_eq!(read_rows(&ctx, text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn faults_name_their_place_and_cause() {
    let dir = tempfile::tempdir().unwrap();
    let ctx = context(dir.path());
    for (text, part) in [
        ("let a = 1", "expected ',' or 'in'"),
        ("1 +", "expected an expression but found the end"),
        ("\"open", "no closing quote"),
        ("let a = a in a", "needs its own value"),
        ("let f = (x) => f(x) in f(1)", "deeper than"),
        ("1 + \"a\"", "cannot calculate with a number and a text"),
        ("[a = 1][b]", "no field [b]; it has [a]"),
        ("#table({\"a\"}, {{1, 2}})", "row 1 has 2 values for 1 columns"),
        (
            "Table.SelectColumns(#table({\"a\"}, {}), {\"z\"})",
            "[z] was not found; the source has [a]",
        ),
        ("#date(2023, 2, 29)", "no such date"),
        ("List.Sort({1, \"a\"})", "different kinds have no order"),
        ("Text.Insert(\"ab\", 5, \"x\")", "the place is after the end of the text"),
        ("Date.MonthName(#date(2024, 1, 1), \"de-DE\")", "in English only"),
        (
            "Table.TransformColumnNames(#table({\"a\", \"b\"}, {}), each \"c\")",
            "two columns would have the name 'c'",
        ),
        ("Sql.Database(\"s\", \"d\")", "'Sql.Database' is not supported (line 1, column 1)"),
    ] {
        let e = read_rows(&ctx, text).unwrap_err();
        assert!(e.message.contains(part), "{text}: {}", e.message);
    }
}

#[test]
fn check_says_what_the_refresh_says() {
    let dir = tempfile::tempdir().unwrap();
    let ctx = context(dir.path());
    let text = "let\n  S = Sql.Database(\"s\", \"d\")\nin S";
    let d = check(&ctx.expressions, &[], &m(text));
    let e = read(&ctx, text, &[("a", DataType::Int64)]).unwrap_err();
    assert_eq!(d.len(), 1);
    assert_eq!((d[0].severity, &d[0].message), (Severity::Warning, &e.message));
    let d = check(&[], &[], &m("let x = in x"));
    assert_eq!(d[0].severity, Severity::Error);
    let good = "let S = Csv.Document(File.Contents(Base)) in Table.SelectRows(S, each [a] > 1)";
    assert_eq!(check(&ctx.expressions, &[], &m(good)), []);
}

#[test]
fn delimited_text_becomes_typed_columns() {
    let dir = tempfile::tempdir().unwrap();
    let text = "Id,Name,Amount,When,Ok\n1,\"Müller, \"\"A\"\"\",12.345,2024-01-31,true\n2,,,,\n";
    std::fs::write(dir.path().join("t.csv"), format!("\u{feff}{text}")).unwrap();
    std::fs::write(dir.path().join("w.csv"), b"a\nM\xfcller\n").unwrap();
    let ctx = context(dir.path());
    let source = "let S = Csv.Document(File.Contents(\"t.csv\"), [Delimiter=\",\", Columns=5, \
                  Encoding=65001, QuoteStyle=QuoteStyle.Csv]), H = Table.PromoteHeaders(S, \
                  [PromoteAllScalars=true]) in Table.TransformColumnTypes(H, {{\"Id\", Int64.Type}})";
    let columns = [
        ("id", DataType::Int64),
        ("Name", DataType::String),
        ("Amount", DataType::Decimal),
        ("When", DataType::DateTime),
        ("Ok", DataType::Boolean),
    ];
    let (n, b) = read(&ctx, source, &columns).unwrap();
    assert_eq!(n, 2);
    let row = |r: usize| b[0].columns.iter().map(|c| c.value(r)).collect::<Vec<_>>();
    assert_eq!(row(0)[1], Value::from("Müller, \"A\""));
    assert_eq!(row(0)[2], Value::Decimal(evercube_base::Decimal(123_450)));
    assert_eq!(row(0)[4], Value::Boolean(true));
    assert_eq!(row(1)[2..], [Value::Blank, Value::Blank, Value::Blank]);
    let w = "Csv.Document(File.Contents(\"w.csv\"), [Encoding=1252]){1}[Column1]";
    assert_eq!(read_rows(&ctx, w).as_deref(), Ok("\"Müller\""));
    let e = read(&ctx, source, &[("Name", DataType::Int64)]).unwrap_err();
    assert!(e.message.contains("column [Name], row 1") && e.message.contains("Müller"), "{e}");
    let e = read(&ctx, source, &[("Nope", DataType::Int64)]).unwrap_err();
    assert!(e.message.contains("[Nope]") && e.message.contains("[Amount]"), "{e}");
}

fn write_parquet(path: &Path, rows: i32) {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("Key", Arc::new(Int32Array::from_iter_values(0..rows))),
        ("Text", Arc::new(StringArray::from_iter_values((0..rows).map(|i| format!("t{}", i % 7))))),
        (
            "Real",
            Arc::new(Float64Array::from_iter(
                (0..rows).map(|i| (i % 3 > 0).then_some(f64::from(i) / 2.0)),
            )),
        ),
        ("Day", Arc::new(Date32Array::from_iter_values((0..rows).map(|i| 19_000 + i % 10)))),
        (
            "At",
            Arc::new(TimestampNanosecondArray::from_iter_values(
                (0..rows).map(|i| i64::from(i) * 1_500),
            )),
        ),
        (
            "Price",
            Arc::new(
                Decimal128Array::from_iter_values((0..rows).map(|i| i128::from(i) * 100_050))
                    .with_precision_and_scale(20, 5)
                    .unwrap(),
            ),
        ),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let f = std::fs::File::create(path).unwrap();
    let mut w = parquet::arrow::ArrowWriter::try_new(f, batch.schema(), None).unwrap();
    w.write(&batch).unwrap();
    w.close().unwrap();
}

#[test]
fn parquet_columns_keep_their_values() {
    let dir = tempfile::tempdir().unwrap();
    write_parquet(&dir.path().join("f.parquet"), 100_000);
    let ctx = context(dir.path());
    let all = "let Source = Parquet.Document ( File.Contents ( \"f.parquet\" ) ) in Source";
    let columns = [
        ("Price", DataType::Decimal),
        ("Key", DataType::Int64),
        ("Text", DataType::String),
        ("Real", DataType::Double),
        ("At", DataType::DateTime),
        ("Day", DataType::DateTime),
        ("Key", DataType::String),
    ];
    let (n, b) = read(&ctx, all, &columns).unwrap();
    assert_eq!(n, 100_000);
    assert!(b.iter().all(|b| b.rows <= 65_536));
    let v = |c: usize| b[0].columns[c].value(3);
    assert_eq!(v(0), Value::Decimal(evercube_base::Decimal(30_015)));
    assert_eq!((v(1), v(2), v(3)), (Value::Int(3), Value::from("t3"), Value::Blank));
    assert_eq!(v(4), Value::DateTime(evercube_base::DateTime::from_unix_micros(4).unwrap()));
    assert_eq!(v(6), Value::from("3"));
    let some = "Table.SelectRows(Parquet.Document(File.Contents(\"f.parquet\")), each [Key] >= 99990 and [Text] <> \"t0\")";
    let (n, b) = read(&ctx, some, &[("Real", DataType::Double)]).unwrap();
    assert_eq!(n, (99_990..100_000).filter(|k| k % 7 != 0).count() as u64);
    assert!(matches!(b[0].columns[0], ColumnData::Double(_)));
    let e = read(&ctx, all, &[("Real", DataType::Int64)]).unwrap_err();
    assert!(e.message.contains("column [Real], row 2 of the file"), "{e}");
    ctx.cancel.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(read(&ctx, all, &columns).unwrap_err().kind, ErrorKind::Cancelled);
}

#[test]
fn damaged_and_missing_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("bad.parquet"), b"PAR1 this is no parquet PAR1").unwrap();
    let ctx = context(dir.path());
    for f in ["bad.parquet", "none.parquet"] {
        let e = read_rows(&ctx, &format!("Parquet.Document(File.Contents(\"{f}\"))")).unwrap_err();
        assert_eq!(e.kind, ErrorKind::Source);
        assert!(e.message.contains(f), "{e}");
    }
}

/// Damage in a delimited text is told with file and line, and never read as if it were data.
#[test]
fn damage_in_a_delimited_text_is_told_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let ctx = context(dir.path());
    let path = dir.path().join("t.csv");
    let source = "let S = Csv.Document(File.Contents(\"t.csv\"), [Delimiter=\",\", Encoding=65001]), H = \
                  Table.PromoteHeaders(S), T = Table.TransformColumnTypes(H, {{\"N\", type number}}), K = \
                  Table.SelectRows(T, each [A] <> \"skip\") in Table.AddColumn(K, \"Twice\", each \
                  Number.FromText([B]) * 2)";
    let columns = [("A", DataType::String), ("N", DataType::Double), ("Twice", DataType::Int64)];
    let good = "A,N,B\nx,1,1\nskip,2,2\n";
    for (rest, wanted) in [
        (&b"y,3,3\n"[..], ""),
        (b"\"y\nz\",3,3\nskip,4,4", ""),
        (b"\"y,3,3\n", "in line 4 is never closed"),
        (b"\"y\"z,3,3\n", "in line 4 text follows the end of a value in quotes"),
        (b"y\0,3,3\n", "line 4 holds a zero byte"),
        (b"caf\xe9,3,3\n", "line 4 holds bytes that are no UTF-8"),
        (b"y,1e400,3\n", "line 4 of the file"),
        (b"\"y\nz\",3,3\nv,x,3\n", "line 6 of the file"),
        (b"y,3,x\n", "column [Twice]: row 2, line 4 of the file"),
        (b"y,3,0.5\n", ""),
        (b"y,3,0.25\n", "column [Twice], row 2, line 4 of the file"),
    ] {
        std::fs::write(&path, [good.as_bytes(), rest].concat()).unwrap();
        match read(&ctx, source, &columns) {
            Ok(_) => assert_eq!(wanted, "", "{}", String::from_utf8_lossy(rest)),
            Err(e) => {
                assert!(!wanted.is_empty(), "{e}");
                assert!(
                    e.message.contains(wanted) && e.message.contains("t.csv'"),
                    "{wanted}: {e}"
                );
                assert!(!e.message.contains(char::is_control), "{e:?}");
            }
        }
    }
    // UTF-16 that is cut off in a character.
    let wide: Vec<u8> = "\u{feff}A,N,B\nx,1,1".encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(&path, &wide[..wide.len() - 1]).unwrap();
    let e = read(&ctx, source, &columns).unwrap_err();
    assert!(e.message.contains("no UTF-16") && e.message.contains("t.csv'"), "{e}");
    // Steering characters in a header, and a header without end.
    std::fs::write(&path, "A\u{1b}[2J,B\n").unwrap();
    let e = read(&ctx, source, &columns).unwrap_err();
    assert!(e.message.contains("the source has") && !e.message.contains('\u{1b}'), "{e:?}");
    assert!(e.message.contains("read from the file '") && e.message.contains("t.csv'"), "{e}");
    std::fs::write(&path, ",".repeat(20_000)).unwrap();
    let e = read(&ctx, source, &columns).unwrap_err();
    assert!(e.message.contains("20001 values"), "{e}");
}

/// Rows of any length are read a bounded part of a file at a time.
#[test]
fn long_rows_are_read_in_smaller_batches() {
    let dir = tempfile::tempdir().unwrap();
    let ctx = context(dir.path());
    let row = format!("{}\n", "x".repeat(40 << 20));
    std::fs::write(dir.path().join("t.csv"), row.repeat(3)).unwrap();
    let source = "Csv.Document(File.Contents(\"t.csv\"))";
    let (n, batches) = read(&ctx, source, &[("Column1", DataType::String)]).unwrap();
    assert_eq!((n, batches.iter().map(|b| b.rows).collect::<Vec<_>>()), (3, vec![2, 1]));
}

#[test]
fn a_device_is_no_source() {
    let ctx = SourceContext { policy: FilePolicy::Any, ..context(Path::new("/")) };
    for reader in ["Csv", "Parquet"] {
        let text = format!("{reader}.Document(File.Contents(\"/dev/zero\"))");
        let e = read_rows(&ctx, &text).unwrap_err();
        assert!(e.message.contains("'/dev/zero'") && e.message.contains("is a device"), "{e}");
    }
}

/// A page that was written with its checksum is read as it was written, or not at all. The file holds
/// multiples of 7919 as they are, written by Arrow for C++ with checksums, which that for Rust leaves out.
#[test]
fn changed_pages_of_a_parquet_file_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let ctx = context(dir.path());
    let good = include_bytes!("files/checksums.parquet");
    let text = "Parquet.Document(File.Contents(\"f.parquet\"))";
    let found = |bytes: &[u8]| {
        std::fs::write(dir.path().join("f.parquet"), bytes).unwrap();
        read(&ctx, text, &[("Key", DataType::Int64)])
    };
    assert_eq!(found(good).unwrap().0, 100);
    let of_fifty = (50 * 7919_u32).to_le_bytes();
    let at = good.windows(4).position(|w| w == of_fifty).unwrap();
    let mut bad = good.to_vec();
    bad[at] ^= 1;
    let e = found(&bad).unwrap_err();
    assert!(e.message.contains("f.parquet': after row 0") && e.message.contains("CRC"), "{e}");
}

#[test]
fn files_outside_of_the_folders_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let inside = dir.path().join("in");
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(dir.path().join("secret.csv"), "x").unwrap();
    std::fs::write(inside.join("ok.csv"), "x").unwrap();
    std::os::unix::fs::symlink(dir.path().join("secret.csv"), inside.join("link.csv")).unwrap();
    let ctx = context(&inside);
    let outside = dir.path().join("secret.csv").display().to_string();
    let gone = dir.path().join("not-there.csv").display().to_string();
    for p in ["../secret.csv", "link.csv", &outside, &gone, "nope/../../secret.csv"] {
        let e = read_rows(&ctx, &format!("Csv.Document(File.Contents(\"{p}\"))")).unwrap_err();
        assert_eq!(e.kind, ErrorKind::Denied, "{p}: {e}");
        assert!(e.message.contains("--source-dir"), "{e}");
    }
    assert!(read_rows(&ctx, "Csv.Document(File.Contents(\"ok.csv\"))").is_ok());
    let any = SourceContext { policy: FilePolicy::Any, ..ctx };
    assert!(read_rows(&any, "Csv.Document(File.Contents(\"../secret.csv\"))").is_ok());
}
