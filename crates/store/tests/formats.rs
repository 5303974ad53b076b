//! Files as earlier and this server wrote them: what they say must stay readable, byte for byte.

use std::sync::Arc;

use evercube_base::{
    Collation, ColumnData, DataType, DateTime, Decimal, ErrorKind, RowBatch, Value,
};
use evercube_store::{
    Bytes, Manifest, Packing, PartitionManifest, RowGroup, Segment, SegmentBuilder, SegmentRef,
    TableData, TableManifest,
};

const TYPES: [DataType; 7] = [
    DataType::Int64,
    DataType::String,
    DataType::Decimal,
    DataType::DateTime,
    DataType::Boolean,
    DataType::Double,
    DataType::Int64,
];

fn day(month: u32, day: u32) -> DateTime {
    DateTime::from_ymd(2024, month, day).unwrap()
}

/// The rows of the files; in the fourth everything but the last column is blank.
fn rows() -> RowBatch {
    let text = |t: &str| Some(Arc::from(t));
    RowBatch {
        rows: 5,
        columns: vec![
            ColumnData::Int64(vec![Some(1), Some(2), Some(3), None, Some(1_000_000_007)]),
            ColumnData::String(vec![text("Pear"), text("Fig"), text("fig"), None, text("Äpfel")]),
            ColumnData::Decimal(
                [12_500, 25_000, 37_500, 0, 40_000].map(|v| (v > 0).then_some(Decimal(v))).to_vec(),
            ),
            ColumnData::DateTime(vec![
                Some(day(1, 1)),
                Some(day(1, 2)),
                Some(day(3, 1)),
                None,
                Some(day(1, 2)),
            ]),
            ColumnData::Boolean(vec![Some(true), Some(false), Some(true), None, Some(false)]),
            ColumnData::Double(vec![Some(0.5), Some(1.5), Some(0.5), None, Some(-0.25)]),
            ColumnData::Int64(vec![Some(7); 5]),
        ],
    }
}

fn table(bytes: &[u8]) -> TableData {
    let segment = Segment::from_bytes(&Bytes::from(bytes.to_vec())).unwrap();
    let group = RowGroup::whole(Arc::new(segment));
    TableData::from_groups(&TYPES, Collation::default(), &[group]).unwrap()
}

fn holds_the_rows(bytes: &[u8]) {
    let (table, rows) = (table(bytes), rows());
    assert_eq!(table.rows(), 5);
    for (i, column) in (0..).zip(&rows.columns) {
        for row in 0..5 {
            let expected = match column.value(row) {
                // Texts equal under the collation share the first spelling.
                Value::String(t) if &*t == "fig" => Value::text("Fig"),
                v => v,
            };
            let read = table.column(i);
            assert_eq!(read.value(read.code(row)), expected, "column {i} row {row}");
        }
    }
}

fn written(packing: Packing) -> Vec<u8> {
    let mut builder = SegmentBuilder::new(&TYPES, Collation::default()).packed(packing);
    builder.push(&rows()).unwrap();
    builder.finish().to_bytes().unwrap()
}

#[test]
fn files_of_both_formats_are_read() {
    holds_the_rows(include_bytes!("segments/format1.seg"));
    holds_the_rows(include_bytes!("segments/format2.seg"));
    for packing in [Packing::Shortest, Packing::Fixed, Packing::Runs, Packing::Bytes] {
        holds_the_rows(&written(packing));
    }
}

#[test]
fn the_same_rows_give_the_bytes_they_always_gave() {
    assert_eq!(written(Packing::Shortest), include_bytes!("segments/format2.seg"));
}

#[test]
fn values_at_the_end_of_their_range_come_back() {
    let ends = [i64::MAX, i64::MAX - 7, i64::MIN, i64::MIN + 7];
    for pair in [[ends[0], ends[1]], [ends[2], ends[3]], [ends[0], ends[2]]] {
        let mut builder = SegmentBuilder::new(&TYPES[..1], Collation::default());
        let columns = vec![ColumnData::Int64(pair.map(Some).to_vec())];
        builder.push(&RowBatch { rows: 2, columns }).unwrap();
        let bytes = Bytes::from(builder.finish().to_bytes().unwrap());
        let group = RowGroup::whole(Arc::new(Segment::from_bytes(&bytes).unwrap()));
        let read = TableData::from_groups(&TYPES[..1], Collation::default(), &[group]).unwrap();
        let column = read.column(0);
        assert_eq!([0, 1].map(|r| column.value(column.code(r))), pair.map(Value::Int));
    }
}

#[test]
fn files_of_later_formats_are_refused_by_name() {
    let mut bytes = include_bytes!("segments/format2.seg").to_vec();
    bytes[6] = 3;
    let error = Segment::from_bytes(&Bytes::from(bytes)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert!(error.message.contains("format 3"), "{}", error.message);
}

#[test]
fn a_manifest_keeps_its_bytes() {
    let segment = SegmentRef { hash: [7; 32], rows: 300, bytes: 5000, columns: vec![0, 2] };
    let partition = PartitionManifest {
        name: "2024".into(),
        refreshed_micros: Some(1_700_000_000_000_000),
        groups: vec![vec![segment]],
    };
    let table = TableManifest { id: "Sales".into(), partitions: vec![partition] };
    let manifest = Manifest { tables: vec![table] };
    let stored = include_bytes!("segments/manifest1.bin");
    assert_eq!(Manifest::from_bytes(stored).unwrap(), manifest);
    assert_eq!(manifest.to_bytes().unwrap(), stored);
    let later = Manifest::from_bytes(&[2, 0]).unwrap_err();
    assert_eq!(later.kind, ErrorKind::Unsupported);
}
