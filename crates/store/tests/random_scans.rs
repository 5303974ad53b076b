//! Random requests over random tables against a loop over the rows, on one thread and several, and
//! again on the same version, when attribute codes lie beside its rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use evercube_base::{Collation, ColumnData, DataType, Decimal, RowBatch, Value};
use evercube_store::{
    Aggregate, BitSet, ColumnId, Packing, PathColumn, RelationshipDef, RelationshipId, RowExpr,
    RowGroup, ScanControl, ScanFilter, ScanRequest, SegmentBuilder, StoreVersion, TableData,
    TableId,
};

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
    fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }
}

const FACT: TableId = TableId(0);
const ITEM: TableId = TableId(1);
const GROUP: TableId = TableId(2);
/// Item key, quantity, price, cost, weight, date key.
const FACT_TYPES: [DataType; 6] = [
    DataType::Int64,
    DataType::Int64,
    DataType::Decimal,
    DataType::Int64,
    DataType::Double,
    DataType::Int64,
];
const ITEM_TYPES: [DataType; 4] =
    [DataType::Int64, DataType::String, DataType::Int64, DataType::Int64];
const GROUP_TYPES: [DataType; 2] = [DataType::Int64, DataType::String];

/// A fact with items, items with groups. `blanks`: whether the fact has any.
fn version(r: &mut Random, rows: usize, items: u64, blanks: bool) -> StoreVersion {
    let c = Collation::default();
    let mut groups = Vec::new();
    let mut left = rows;
    while left > 0 {
        let n = left.min(20_000 + r.below(30_000) as usize);
        left -= n;
        // However the codes of a segment lie, scans read them alike.
        let packings = [Packing::Shortest, Packing::Runs, Packing::Fixed, Packing::Bytes];
        let packing = packings[groups.len() % packings.len()];
        let mut b = SegmentBuilder::new(&FACT_TYPES, c).packed(packing);
        let orphans = if blanks { 3 } else { 0 };
        let step = 1 + r.below(3) as i64;
        let mut integers = |make: &dyn Fn(&mut Random) -> i64| -> Vec<Option<i64>> {
            (0..n).map(|_| (!(blanks && r.chance(9))).then(|| make(r))).collect()
        };
        let item = integers(&|r| r.below(items + orphans) as i64 * 7);
        let quantity = integers(&|r| r.below(50) as i64 * step - 10);
        let price = integers(&|r| r.below(100_000) as i64);
        let cost = integers(&|r| r.below(300) as i64 * 1_000_003);
        let weight = integers(&|r| r.below(1000) as i64);
        let date = integers(&|r| 20_240_101 + r.below(28) as i64 + 100 * r.below(12) as i64);
        let columns = vec![
            ColumnData::Int64(item),
            ColumnData::Int64(quantity),
            ColumnData::Decimal(price.iter().map(|p| p.map(Decimal)).collect()),
            ColumnData::Int64(cost),
            ColumnData::Double(weight.iter().map(|w| w.map(|w| w as f64 / 8.0)).collect()),
            ColumnData::Int64(date),
        ];
        b.push(&RowBatch { columns, rows: n }).unwrap();
        groups.push(RowGroup::whole(Arc::new(b.finish())));
    }
    let fact = TableData::from_groups(&FACT_TYPES, c, &groups).unwrap();
    let n = items as usize;
    let name = |i: usize| Some(Arc::from(format!("item {}", i % 300).as_str()));
    let item = vec![
        ColumnData::Int64((0..n).map(|i| Some(i as i64 * 7)).collect()),
        ColumnData::String((0..n).map(name).collect()),
        ColumnData::Int64((0..n).map(|_| Some(r.below(6) as i64)).collect()),
        ColumnData::Int64((0..n).map(|_| Some(r.below(40) as i64)).collect()),
    ];
    let item = TableData::from_batches(&ITEM_TYPES, c, &[RowBatch { columns: item, rows: n }]);
    let texts = ["red", "RED", "blue", "green", "green"];
    let group = vec![
        ColumnData::Int64((0..5).map(Some).collect()),
        ColumnData::String(texts.iter().map(|t| Some(Arc::from(*t))).collect()),
    ];
    let group = TableData::from_batches(&GROUP_TYPES, c, &[RowBatch { columns: group, rows: 5 }]);
    let def = |from, column, to| RelationshipDef {
        from: ColumnId { table: from, column },
        to: ColumnId { table: to, column: 0 },
        many_to_many: false,
    };
    let tables = vec![Arc::new(fact), Arc::new(item.unwrap()), Arc::new(group.unwrap())];
    StoreVersion::new(tables, &[def(FACT, 0, ITEM), def(ITEM, 2, GROUP)]).unwrap()
}

fn columns() -> Vec<PathColumn> {
    let of = |table, column, path: &[u32]| PathColumn {
        path: path.iter().map(|p| RelationshipId(*p)).collect(),
        column: ColumnId { table, column },
    };
    vec![
        of(FACT, 1, &[]),
        of(FACT, 0, &[]),
        of(FACT, 5, &[]),
        of(ITEM, 1, &[0]),
        of(ITEM, 3, &[0]),
        of(ITEM, 0, &[0]),
        of(GROUP, 1, &[0, 1]),
    ]
}

fn request(r: &mut Random, v: &StoreVersion) -> ScanRequest {
    let all = columns();
    let pick = |r: &mut Random| all[r.below(all.len() as u64) as usize].clone();
    let bits = |r: &mut Random, n: usize| {
        let mut set = BitSet::new(n, false);
        let (low, high) = (r.below(n as u64 + 1) as usize, r.below(n as u64 + 1) as usize);
        match r.below(3) {
            0 => (low.min(high)..low.max(high)).for_each(|i| set.insert(i)),
            1 => (0..n).filter(|_| r.chance(2)).for_each(|i| set.insert(i)),
            _ => (0..n).filter(|_| !r.chance(8)).for_each(|i| set.insert(i)),
        }
        Arc::new(set)
    };
    let filters = (0..r.below(4)).map(|_| match r.below(8) {
        0 => ScanFilter::Rows { path: vec![], rows: bits(r, v.table(FACT).rows()) },
        1 => ScanFilter::Rows {
            path: vec![RelationshipId(0)],
            rows: bits(r, v.table(ITEM).rows() + 1),
        },
        2 => {
            let columns = vec![all[4].clone(), all[6].clone()];
            let tuple = |r: &mut Random| vec![r.below(41) as u32, r.below(4) as u32];
            let tuples: BTreeSet<Vec<u32>> = (0..60).map(|_| tuple(r)).collect();
            ScanFilter::Tuples { columns, tuples: Arc::new(tuples.into_iter().collect()) }
        }
        _ => {
            let column = pick(r);
            let of = v.table(column.column.table).column(column.column.column);
            let mut codes = bits(r, of.cardinality() as usize);
            // All codes of a range that rows have, with gaps where none has them.
            if r.chance(3) {
                Arc::make_mut(&mut codes).intersect(of.present());
            }
            ScanFilter::Codes { column, codes }
        }
    });
    let filters = filters.collect();
    let keys = (0..r.below(4)).map(|_| pick(r)).collect();
    let column = |i: u32| {
        RowExpr::Column(PathColumn { path: vec![], column: ColumnId { table: FACT, column: i } })
    };
    let related = RowExpr::Column(all[4].clone());
    let boxed = |a: RowExpr, b: RowExpr| (Box::new(a), Box::new(b));
    let (a, b) = boxed(column(1), related.clone());
    let volume = RowExpr::Multiply(a, b);
    let (a, b) = boxed(column(2), column(1));
    let amount = RowExpr::Multiply(a, b);
    let (a, b) = boxed(column(2), column(3));
    let mixed = RowExpr::Subtract(a, b);
    let (a, b) = boxed(column(3), RowExpr::Constant(Value::Int(5)));
    let more = RowExpr::Add(a, b);
    // What something is for each code of a column: whole numbers, some of them blank, texts' lengths.
    let coded = |column: &PathColumn, of: &dyn Fn(usize) -> Value| {
        let n = v.table(column.column.table).column(column.column.column).cardinality() as usize;
        let values = Arc::new((0..n).map(of).collect());
        RowExpr::Coded { column: column.clone(), values }
    };
    let weighed = |i: usize| Value::Int(i as i64 % 7 - 2);
    let with_blanks = |i: usize| if i % 3 == 1 { Value::Blank } else { Value::Int(i as i64) };
    let (a, b) = boxed(coded(&all[6], &weighed), column(1));
    let weight = RowExpr::Multiply(a, b);
    let (a, b) = boxed(coded(&all[0], &with_blanks), column(3));
    let holes = RowExpr::Add(a, b);
    let aggregates = vec![
        Aggregate::CountRows,
        Aggregate::Sum(column(1)),
        Aggregate::Sum(volume),
        Aggregate::Sum(amount),
        Aggregate::Sum(mixed),
        Aggregate::Sum(more),
        Aggregate::Sum(weight),
        Aggregate::Sum(coded(&all[4], &weighed)),
        Aggregate::Max(holes),
        Aggregate::Sum(column(4)),
        Aggregate::Min(column(2)),
        Aggregate::Max(RowExpr::Column(all[3].clone())),
        Aggregate::Min(RowExpr::Column(all[3].clone())),
        Aggregate::Max(related),
        Aggregate::Count(column(1)),
        Aggregate::DistinctCount { column: pick(r), with_blank: r.chance(2) },
        Aggregate::SingleValue(pick(r)),
    ];
    let aggregates = aggregates.into_iter().filter(|_| !r.chance(3)).collect();
    ScanRequest { table: FACT, filters, keys, aggregates }
}

/// Row of a table that a path leads to.
fn row_at(v: &StoreVersion, path: &[RelationshipId], row: usize) -> usize {
    path.iter().fold(row, |row, id| v.relationship(*id).unwrap().target(row) as usize)
}

fn code_at(v: &StoreVersion, at: &PathColumn, row: usize) -> u32 {
    v.table(at.column.table).column(at.column.column).code(row_at(v, &at.path, row))
}

fn value_at(v: &StoreVersion, e: &RowExpr, row: usize) -> Value {
    let raw = |value: &Value| match value {
        Value::Int(i) => (i128::from(*i), false),
        Value::Decimal(d) => (i128::from(d.0), true),
        other => panic!("{other:?}"),
    };
    let number = |value: i128, decimal: bool| match decimal {
        true => Value::Decimal(Decimal(value as i64)),
        false => Value::Int(value as i64),
    };
    match e {
        RowExpr::Column(c) => {
            v.table(c.column.table).column(c.column.column).value(code_at(v, c, row))
        }
        RowExpr::Constant(value) => value.clone(),
        RowExpr::Coded { column, values } => values[code_at(v, column, row) as usize].clone(),
        RowExpr::Multiply(a, b) => match (value_at(v, a, row), value_at(v, b, row)) {
            (Value::Blank, _) | (_, Value::Blank) => Value::Blank,
            (a, b) => {
                let ((a, x), (b, y)) = (raw(&a), raw(&b));
                number(a * b, x || y)
            }
        },
        RowExpr::Add(a, b) | RowExpr::Subtract(a, b) => {
            let sign = if matches!(e, RowExpr::Add(..)) { 1 } else { -1 };
            let (a, b) = (value_at(v, a, row), value_at(v, b, row));
            if a.is_blank() && b.is_blank() {
                return Value::Blank;
            }
            let part = |x: &Value| if x.is_blank() { (0, false) } else { raw(x) };
            let ((a, x), (b, y)) = (part(&a), part(&b));
            let scale = |n: i128, is: bool| if (x || y) && !is { n * 10_000 } else { n };
            number(scale(a, x) + sign * scale(b, y), x || y)
        }
        RowExpr::Divide(..) | RowExpr::SafeDivide(..) => panic!("not asked for"),
    }
}

fn passes(v: &StoreVersion, filter: &ScanFilter, row: usize) -> bool {
    match filter {
        ScanFilter::Codes { column, codes } => codes.get(code_at(v, column, row) as usize),
        ScanFilter::Rows { path, rows } => rows.get(row_at(v, path, row)),
        ScanFilter::Tuples { columns, tuples } => {
            let tuple: Vec<u32> = columns.iter().map(|c| code_at(v, c, row)).collect();
            tuples.contains(&tuple)
        }
    }
}

fn aggregate(v: &StoreVersion, a: &Aggregate, rows: &[usize]) -> Value {
    let values = |e: &RowExpr| -> Vec<Value> {
        rows.iter().map(|r| value_at(v, e, *r)).filter(|x| !x.is_blank()).collect()
    };
    let codes =
        |c: &PathColumn| -> BTreeSet<u32> { rows.iter().map(|r| code_at(v, c, *r)).collect() };
    let extreme = |e: &RowExpr, largest: bool| {
        let of = |x: &Value| match x {
            Value::String(s) => {
                // Names end in numbers; text order.
                (0i128, s.to_lowercase())
            }
            Value::Int(i) => (i128::from(*i), String::new()),
            Value::Decimal(d) => (i128::from(d.0), String::new()),
            other => panic!("{other:?}"),
        };
        let all = values(e);
        let found = if largest {
            all.iter().max_by_key(|x| of(x))
        } else {
            all.iter().min_by_key(|x| of(x))
        };
        found.cloned().unwrap_or_default()
    };
    match a {
        Aggregate::CountRows => Value::Int(rows.len() as i64),
        Aggregate::Count(e) => Value::Int(values(e).len() as i64),
        Aggregate::Min(e) => extreme(e, false),
        Aggregate::Max(e) => extreme(e, true),
        Aggregate::DistinctCount { column, with_blank } => {
            Value::Int(codes(column).iter().filter(|c| *with_blank || **c != 0).count() as i64)
        }
        Aggregate::SingleValue(c) => {
            let codes = codes(c);
            let only = (codes.len() == 1).then(|| *codes.first().unwrap());
            only.map_or(Value::Blank, |code| {
                v.table(c.column.table).column(c.column.column).value(code)
            })
        }
        Aggregate::Sum(e) => {
            let mut sum = Value::Blank;
            for x in values(e) {
                sum = match (sum, x) {
                    (Value::Blank, x) => x,
                    (Value::Int(a), Value::Int(b)) => Value::Int(a + b),
                    (Value::Decimal(a), Value::Decimal(b)) => Value::Decimal(Decimal(a.0 + b.0)),
                    // A difference is a whole number where the decimal is blank.
                    (Value::Int(a), Value::Decimal(b)) | (Value::Decimal(b), Value::Int(a)) => {
                        Value::Decimal(Decimal(b.0 + a * 10_000))
                    }
                    // Eighths are exact.
                    (Value::Double(a), Value::Double(b)) => Value::Double(a + b),
                    (a, b) => panic!("{a:?} {b:?}"),
                };
            }
            sum
        }
    }
}

fn naive(v: &StoreVersion, request: &ScanRequest) -> BTreeMap<Vec<u32>, Vec<Value>> {
    let mut groups: BTreeMap<Vec<u32>, Vec<usize>> = BTreeMap::new();
    if request.keys.is_empty() {
        groups.insert(Vec::new(), Vec::new());
    }
    for row in 0..v.table(FACT).rows() {
        if request.filters.iter().all(|f| passes(v, f, row)) {
            let key = request.keys.iter().map(|k| code_at(v, k, row)).collect();
            groups.entry(key).or_default().push(row);
        }
    }
    let of = |rows: Vec<usize>| request.aggregates.iter().map(|a| aggregate(v, a, &rows)).collect();
    groups.into_iter().map(|(key, rows)| (key, of(rows))).collect()
}

fn scanned(v: &StoreVersion, request: &ScanRequest) -> BTreeMap<Vec<u32>, Vec<Value>> {
    let found = v.scan(request, &ScanControl::default()).unwrap();
    let group = |g: usize| {
        let key = found.keys.iter().map(|k| k[g]).collect();
        (key, found.aggregates.iter().map(|a| a[g].clone()).collect())
    };
    let groups: BTreeMap<_, _> = (0..found.groups).map(group).collect();
    assert_eq!(groups.len(), found.groups, "a group came twice");
    groups
}

#[test]
fn random_requests_agree_with_a_loop_over_the_rows() {
    let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
    let (one, three) = (pool(1), pool(3));
    for (seed, rows, items, blanks, requests) in [
        (1, 70_000, 30, false, 25),
        (2, 70_000, 30, true, 25),
        (3, 140_000, 3_000, false, 10),
        (4, 66_000, 70_000, true, 10),
        (5, 300, 20, true, 60),
        (6, 0, 4, false, 5),
    ] {
        let mut r = Random(seed);
        let v = version(&mut r, rows, items, blanks);
        for i in 0..requests {
            let request = request(&mut r, &v);
            let expected = naive(&v, &request);
            for pool in [&one, &three, &one] {
                let found = pool.install(|| scanned(&v, &request));
                assert_eq!(found, expected, "seed {seed}, request {i}: {request:?}");
            }
        }
    }
}
