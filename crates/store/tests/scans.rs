//! Scans against a loop over the rows, on seeded random tables, in one segment and in many.

use std::collections::BTreeMap;
use std::sync::Arc;

use evercube_base::{Collation, ColumnData, DataType, Decimal, RowBatch, Value};
use evercube_store::{
    Aggregate, BitSet, ColumnId, PathColumn, RelationshipDef, RelationshipId, RowExpr, RowGroup,
    ScanControl, ScanFilter, ScanRequest, SegmentBuilder, StoreVersion, TableData, TableId,
};

/// A small generator with a seed (SplitMix64), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
    fn maybe<T>(&mut self, make: impl Fn(&mut Self) -> T) -> Option<T> {
        let v = make(self);
        (self.below(10) > 0).then_some(v)
    }
}

const SALES: TableId = TableId(0);
const PRODUCT: TableId = TableId(1);
const SALES_TYPES: [DataType; 4] =
    [DataType::Int64, DataType::Int64, DataType::Decimal, DataType::Double];
const PRODUCT_TYPES: [DataType; 2] = [DataType::Int64, DataType::String];

fn sales(r: &mut Random, rows: usize) -> Vec<RowBatch> {
    (0..rows.div_ceil(1000))
        .map(|b| {
            let n = 1000.min(rows - b * 1000);
            // Keys 0..12 where the one side has 0..8: some rows are orphans.
            let key = (0..n).map(|_| r.maybe(r_key)).collect();
            let quantity = (0..n).map(|_| r.maybe(r_quantity)).collect();
            let price = (0..n).map(|_| r.maybe(|r| Decimal(r_price(r)))).collect();
            let weight = (0..n).map(|_| r.maybe(|r| r_price(r) as f64 / 7.0)).collect();
            let columns = vec![
                ColumnData::Int64(key),
                ColumnData::Int64(quantity),
                ColumnData::Decimal(price),
                ColumnData::Double(weight),
            ];
            RowBatch { columns, rows: n }
        })
        .collect()
}

fn r_key(r: &mut Random) -> i64 {
    r.below(12) as i64
}
fn r_quantity(r: &mut Random) -> i64 {
    r.below(100) as i64 - 20
}
fn r_price(r: &mut Random) -> i64 {
    r.below(1_000_000) as i64
}

fn products() -> RowBatch {
    let names = ["Red", "RED", "blue", "green", "Blue", "black", "red", "white"];
    RowBatch {
        columns: vec![
            ColumnData::Int64((0..8).map(Some).collect()),
            ColumnData::String(names.iter().map(|n| Some(Arc::from(*n))).collect()),
        ],
        rows: 8,
    }
}

fn version(batches: &[RowBatch], segments: usize) -> StoreVersion {
    let c = Collation::default();
    let mut groups = Vec::new();
    for part in batches.chunks(batches.len().div_ceil(segments)) {
        let mut b = SegmentBuilder::new(&SALES_TYPES, c);
        part.iter().for_each(|p| b.push(p).unwrap());
        // Through bytes and back, as a refresh and a restart would.
        let bytes = b.finish().to_bytes().unwrap();
        let segment = evercube_store::Segment::from_bytes(&bytes.into()).unwrap();
        groups.push(RowGroup::whole(Arc::new(segment)));
    }
    let sales = TableData::from_groups(&SALES_TYPES, c, &groups).unwrap();
    let products = TableData::from_batches(&PRODUCT_TYPES, c, &[products()]).unwrap();
    let def = RelationshipDef {
        from: ColumnId { table: SALES, column: 0 },
        to: ColumnId { table: PRODUCT, column: 0 },
        many_to_many: false,
    };
    StoreVersion::new(vec![Arc::new(sales), Arc::new(products)], &[def]).unwrap()
}

fn own(column: u32) -> PathColumn {
    PathColumn { path: vec![], column: ColumnId { table: SALES, column } }
}

fn name_of_product() -> PathColumn {
    PathColumn { path: vec![RelationshipId(0)], column: ColumnId { table: PRODUCT, column: 1 } }
}

/// Answers as text, by key values, so that codes may differ between layouts.
fn answers(v: &StoreVersion, request: &ScanRequest) -> BTreeMap<String, String> {
    let result = v.scan(request, &ScanControl::default()).unwrap();
    (0..result.groups)
        .map(|g| {
            let key: Vec<Value> = request
                .keys
                .iter()
                .zip(&result.keys)
                .map(|(k, codes)| v.table(k.column.table).column(k.column.column).value(codes[g]))
                .collect();
            let values: Vec<&Value> = result.aggregates.iter().map(|a| &a[g]).collect();
            (format!("{key:?}").to_lowercase(), format!("{values:?}"))
        })
        .collect()
}

#[test]
fn scans_agree_with_a_loop_over_the_rows() {
    for seed in 0..6 {
        let mut r = Random(seed);
        let batches = sales(&mut r, 9_500);
        let one = version(&batches, 1);
        let many = version(&batches, 4);
        let quantity = RowExpr::Column(own(1));
        let amount =
            RowExpr::Multiply(Box::new(quantity.clone()), Box::new(RowExpr::Column(own(2))));
        let names = many.table(PRODUCT).column(1);
        let mut colours = BitSet::new(names.cardinality() as usize, false);
        for name in ["red", "BLUE"] {
            colours.insert(names.code_of(&Value::from(name)).unwrap() as usize);
        }
        let request = ScanRequest {
            table: SALES,
            filters: vec![ScanFilter::Codes {
                column: name_of_product(),
                codes: Arc::new(colours),
            }],
            keys: vec![name_of_product()],
            aggregates: vec![
                Aggregate::CountRows,
                Aggregate::Sum(quantity.clone()),
                Aggregate::Sum(amount),
                Aggregate::Min(quantity.clone()),
                Aggregate::Max(RowExpr::Column(own(2))),
                Aggregate::Count(RowExpr::Column(own(3))),
                Aggregate::DistinctCount { column: own(1), with_blank: true },
            ],
        };
        let got = answers(&many, &request);
        assert_eq!(got, answers(&one, &request), "seed {seed}: layouts disagree");
        assert_eq!(got, naive(&batches), "seed {seed}");
    }
}

/// The same request, row by row.
fn naive(batches: &[RowBatch]) -> BTreeMap<String, String> {
    let colour = ["red", "red", "blue", "green", "blue", "black", "red", "white"];
    let mut groups: BTreeMap<&str, Vec<[Value; 4]>> = BTreeMap::new();
    for b in batches {
        for row in 0..b.rows {
            let Value::Int(key) = b.columns[0].value(row) else { continue };
            let Some(name @ ("red" | "blue")) = colour.get(key as usize).copied() else { continue };
            groups.entry(name).or_default().push([0, 1, 2, 3].map(|c| b.columns[c].value(row)));
        }
    }
    let mut out = BTreeMap::new();
    for (name, rows) in groups {
        let ints: Vec<i64> = rows
            .iter()
            .filter_map(|r| if let Value::Int(i) = r[1] { Some(i) } else { None })
            .collect();
        let decimal = |v: &Value| if let Value::Decimal(d) = v { Some(d.0) } else { None };
        let amount: i64 = rows
            .iter()
            .filter_map(|r| match (&r[1], decimal(&r[2])) {
                (Value::Int(q), Some(p)) => Some(q * p),
                _ => None,
            })
            .sum();
        let mut distinct: Vec<Option<i64>> =
            rows.iter().map(|r| if let Value::Int(i) = r[1] { Some(i) } else { None }).collect();
        distinct.sort_unstable();
        distinct.dedup();
        let values = [
            Value::Int(rows.len() as i64),
            Value::Int(ints.iter().sum()),
            Value::Decimal(Decimal(amount)),
            Value::Int(*ints.iter().min().unwrap()),
            Value::Decimal(Decimal(rows.iter().filter_map(|r| decimal(&r[2])).max().unwrap())),
            Value::Int(rows.iter().filter(|r| !r[3].is_blank()).count() as i64),
            Value::Int(distinct.len() as i64),
        ];
        let key = vec![Value::from(name)];
        out.insert(format!("{key:?}").to_lowercase(), format!("{values:?}"));
    }
    out
}

#[test]
fn orphans_reach_the_blank_row() {
    let mut r = Random(1);
    let batches = sales(&mut r, 2_000);
    let v = version(&batches, 2);
    assert!(v.has_blank_row(PRODUCT));
    assert!(!v.has_blank_row(SALES));
    let orphan = |b: &RowBatch, row| match b.columns[0].value(row) {
        Value::Int(k) => k >= 8,
        _ => true,
    };
    let expected: usize =
        batches.iter().map(|b| (0..b.rows).filter(|row| orphan(b, *row)).count()).sum();
    let request = ScanRequest {
        table: SALES,
        filters: vec![],
        keys: vec![name_of_product()],
        aggregates: vec![Aggregate::CountRows],
    };
    let answers = answers(&v, &request);
    assert_eq!(answers["[blank]"], format!("[Int({expected})]"));
}

#[test]
fn sums_are_exact_and_overflow_is_an_error() {
    let big = ColumnData::Int64(vec![Some(i64::MAX), Some(1), None]);
    let batch = RowBatch { columns: vec![big], rows: 3 };
    let c = Collation::default();
    let table = TableData::from_batches(&[DataType::Int64], c, &[batch]).unwrap();
    let v = StoreVersion::new(vec![Arc::new(table)], &[]).unwrap();
    let sum = |filters| ScanRequest {
        table: SALES,
        filters,
        keys: vec![],
        aggregates: vec![Aggregate::Sum(RowExpr::Column(own(0)))],
    };
    let failed = v.scan(&sum(vec![]), &ScanControl::default()).unwrap_err();
    assert_eq!(failed.kind, evercube_base::ErrorKind::Evaluation);
    let mut first = BitSet::new(3, false);
    first.insert(0);
    let only = vec![ScanFilter::Rows { path: vec![], rows: Arc::new(first) }];
    let result = v.scan(&sum(only), &ScanControl::default()).unwrap();
    assert_eq!(result.aggregates, [[Value::Int(i64::MAX)]]);
    // No rows: one group, blank.
    let none = vec![ScanFilter::Rows { path: vec![], rows: Arc::new(BitSet::new(3, false)) }];
    let result = v.scan(&sum(none), &ScanControl::default()).unwrap();
    assert_eq!((result.groups, &result.aggregates[0][0]), (1, &Value::Blank));
}

/// Each product as a real number would be summed to 0.09999999999999999, and the sum of the large
/// ones does not fit 64 bits in the unit of their last digit.
#[test]
fn sums_of_products_of_fixed_decimals_are_exact() {
    let decimals =
        |v: Vec<i64>| ColumnData::Decimal(v.into_iter().map(|v| Some(Decimal(v))).collect());
    let (n, large) = (10, 90_000_000_000_000_i64 * 10);
    let values = |v: i64, last: i64| (0..2 * n).map(move |i| if i < n { v } else { last });
    let columns = vec![
        ColumnData::Int64((0..2 * n).map(|i| Some(i / n)).collect()),
        decimals(values(1000, large).collect()),
        decimals(values(1000, 9900).collect()),
    ];
    let batch = RowBatch { rows: 2 * n as usize, columns };
    let types = [DataType::Int64, DataType::Decimal, DataType::Decimal];
    let table = TableData::from_batches(&types, Collation::default(), &[batch]).unwrap();
    let v = StoreVersion::new(vec![Arc::new(table)], &[]).unwrap();
    let column = |c| Box::new(RowExpr::Column(own(c)));
    let product = RowExpr::Multiply(column(1), column(2));
    let request = |keys| ScanRequest {
        table: SALES,
        filters: vec![],
        keys,
        aggregates: vec![Aggregate::Sum(product.clone())],
    };
    let found = v.scan(&request(vec![own(0)]), &ScanControl::default()).unwrap();
    let of_large = 10.0 * 0.99 * (large as f64 / 10_000.0);
    assert_eq!(found.aggregates, [[Value::Double(0.1), Value::Double(of_large)]]);
    let all = v.scan(&request(vec![]), &ScanControl::default()).unwrap();
    assert_eq!(all.aggregates, [[Value::Double(of_large + 0.1)]]);
}

#[test]
fn a_duplicate_key_on_the_one_side_is_named() {
    let column = |v: Vec<Option<i64>>| {
        let batch = RowBatch { rows: v.len(), columns: vec![ColumnData::Int64(v)] };
        let c = Collation::default();
        Arc::new(TableData::from_batches(&[DataType::Int64], c, &[batch]).unwrap())
    };
    let def = RelationshipDef {
        from: ColumnId { table: TableId(0), column: 0 },
        to: ColumnId { table: TableId(1), column: 0 },
        many_to_many: false,
    };
    let tables = vec![column(vec![Some(1)]), column(vec![Some(41), Some(42), Some(42)])];
    let error = StoreVersion::new(tables, &[def]).unwrap_err();
    assert!(error.message.contains("42"), "{error}");
}

#[test]
fn damaged_segments_are_refused_and_never_panic() {
    let mut r = Random(7);
    let mut b = SegmentBuilder::new(&SALES_TYPES, Collation::default());
    for batch in sales(&mut r, 300) {
        b.push(&batch).unwrap();
    }
    let good = b.finish().to_bytes().unwrap();
    for len in 0..good.len() {
        assert!(
            evercube_store::Segment::from_bytes(&good[..len].to_vec().into()).is_err(),
            "cut at {len}"
        );
    }
    for _ in 0..3_000 {
        let mut bad = good.clone();
        let at = r.below(bad.len() as u64) as usize;
        bad[at] ^= 1 << r.below(8);
        // The object's hash finds the change; the decoder only has to stay upright.
        let _read = evercube_store::Segment::from_bytes(&bad.into());
    }
}

#[test]
fn values_are_found_across_segments_and_types() {
    let mut r = Random(3);
    let v = version(&sales(&mut r, 3_000), 3);
    let key = v.table(SALES).column(0);
    assert_eq!(key.code_of(&Value::Blank), Some(0));
    let code = key.code_of(&Value::Double(5.0)).unwrap();
    assert_eq!(key.value(code), Value::Int(5));
    assert_eq!(key.code_of(&Value::Double(5.5)), None);
    assert_eq!(key.code_of(&Value::Int(5_000)), None);
    let ranks = v.table(PRODUCT).column(1).ranks().unwrap();
    let name = |n: &str| {
        let column = v.table(PRODUCT).column(1);
        ranks[column.code_of(&Value::from(n)).unwrap() as usize]
    };
    assert!(name("black") < name("blue") && name("blue") < name("WHITE"));
}
