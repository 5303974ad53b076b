//! What the kernels of a scan cost, each alone: `kernels` prints rows a second on one thread,
//! `kernels CASE` makes one scan of a case and tells the rows, for `scripts/kernel-instructions`;
//! `kernels --list` names the cases.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use evercube_base::{Collation, ColumnData, DataType, RowBatch};
use evercube_store::{
    Aggregate, BitSet, ColumnId, PathColumn, RelationshipDef, RelationshipId, RowExpr, RowGroup,
    ScanControl, ScanFilter, ScanRequest, SegmentBuilder, StoreVersion, TableData, TableId,
};

const FACT: TableId = TableId(0);
/// Rows of the tables on the one side: days of seven years, customers.
const ONE_SIDES: [usize; 2] = [2_557, 300_000];
/// Values of the attributes of each of them.
const ATTRIBUTES: [usize; 2] = [7, 1_000];
/// Codes of 11 bits and values of 24.
const SMALL: u64 = 2_000;
const LARGE: u64 = 1 << 24;

/// A generator with a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n) as i64
    }

    fn column(&mut self, rows: usize, below: u64) -> ColumnData {
        ColumnData::Int64((0..rows).map(|_| Some(self.below(below))).collect())
    }
}

fn table(batches: impl Iterator<Item = RowBatch>, columns: usize) -> Arc<TableData> {
    let (types, collation) = (vec![DataType::Int64; columns], Collation::default());
    let segment = |batch: RowBatch| {
        let mut builder = SegmentBuilder::new(&types, collation);
        builder.push(&batch).expect("the batch has the columns of the table");
        RowGroup::whole(Arc::new(builder.finish()))
    };
    let groups: Vec<RowGroup> = batches.map(segment).collect();
    Arc::new(TableData::from_groups(&types, collation, &groups).expect("columns of whole numbers"))
}

/// Keys of days and customers, small and large values; and the two tables the keys are of.
fn version(rows: usize) -> StoreVersion {
    let mut random = Random(7);
    let mut left = rows;
    let fact = std::iter::from_fn(|| {
        let rows = left.min(1 << 20);
        left -= rows;
        let below = [ONE_SIDES[0] as u64, ONE_SIDES[1] as u64, SMALL, LARGE];
        let columns = below.iter().map(|n| random.column(rows, *n)).collect();
        (rows > 0).then_some(RowBatch { columns, rows })
    });
    let mut tables = vec![table(fact, 4)];
    for rows in ONE_SIDES {
        let key = ColumnData::Int64((0..rows as i64).map(Some).collect());
        let mut columns = vec![key];
        columns.extend(ATTRIBUTES.map(|n| random.column(rows, n as u64)));
        tables.push(table(std::iter::once(RowBatch { columns, rows }), 3));
    }
    let relationship = |n: u32| RelationshipDef {
        from: ColumnId { table: FACT, column: n },
        to: ColumnId { table: TableId(n + 1), column: 0 },
        many_to_many: false,
    };
    StoreVersion::new(tables, &[relationship(0), relationship(1)]).expect("keys are unique")
}

fn own(column: u32) -> PathColumn {
    PathColumn { path: vec![], column: ColumnId { table: FACT, column } }
}

fn attribute(of: u32, attribute: u32) -> PathColumn {
    let column = ColumnId { table: TableId(of + 1), column: attribute + 1 };
    PathColumn { path: vec![RelationshipId(of)], column }
}

/// Half of the codes of a column.
fn half_of(version: &StoreVersion, column: PathColumn) -> ScanFilter {
    let of = version.table(column.column.table).column(column.column.column);
    let mut codes = BitSet::new(of.cardinality() as usize, false);
    (1..codes.len() / 2).for_each(|code| codes.insert(code));
    ScanFilter::Codes { column, codes: Arc::new(codes) }
}

/// Every other row of a table on the one side.
fn every_other(of: u32) -> ScanFilter {
    let mut rows = BitSet::new(ONE_SIDES[of as usize] + 1, false);
    (0..ONE_SIDES[of as usize]).step_by(2).for_each(|row| rows.insert(row));
    ScanFilter::Rows { path: vec![RelationshipId(of)], rows: Arc::new(rows) }
}

fn cases(version: &StoreVersion) -> Vec<(&'static str, ScanRequest)> {
    let scan = |filters, keys, aggregates| ScanRequest { table: FACT, filters, keys, aggregates };
    let (count, sum) =
        (vec![Aggregate::CountRows], |column| vec![Aggregate::Sum(RowExpr::Column(own(column)))]);
    let distinct = vec![Aggregate::DistinctCount { column: own(1), with_blank: true }];
    vec![
        ("join-filter-2.5k", scan(vec![every_other(0)], vec![], count.clone())),
        ("join-filter-300k", scan(vec![every_other(1)], vec![], count.clone())),
        ("unpack-filter-11-bit", scan(vec![half_of(version, own(2))], vec![], count.clone())),
        ("unpack-filter-19-bit", scan(vec![half_of(version, own(1))], vec![], count)),
        ("sum-11-bit", scan(vec![], vec![], sum(2))),
        ("sum-24-bit", scan(vec![], vec![], sum(3))),
        ("group-7-via-2.5k", scan(vec![], vec![attribute(0, 0)], sum(3))),
        ("group-1000-via-2.5k", scan(vec![], vec![attribute(0, 1)], sum(3))),
        ("group-7-via-300k", scan(vec![], vec![attribute(1, 0)], sum(3))),
        ("group-7000", scan(vec![], vec![attribute(0, 0), attribute(1, 1)], sum(3))),
        ("group-filtered", scan(vec![every_other(0)], vec![attribute(1, 0)], sum(3))),
        ("distinct-300k", scan(vec![], vec![], distinct.clone())),
        ("distinct-300k-by-7", scan(vec![], vec![attribute(0, 0)], distinct)),
    ]
}

/// What is counted and timed.
#[inline(never)]
fn measured(version: &StoreVersion, request: &ScanRequest) {
    black_box(version.scan(request, &ScanControl::default()).expect("nothing overflows"));
}

fn main() {
    let only = std::env::args().nth(1);
    if only.as_deref() == Some("--list") {
        cases(&version(1)).iter().for_each(|(name, _)| println!("{name}"));
        return;
    }
    let rows = if only.is_some() { 1 << 20 } else { 1 << 24 };
    let version = version(rows);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread starts");
    pool.install(|| {
        for (name, request) in cases(&version) {
            if only.as_deref().is_some_and(|only| only != name) {
                continue;
            }
            // Relationship indexes and attribute codes are made when they have been asked for.
            for _ in 0..4 {
                let control = ScanControl::default();
                black_box(version.scan(&request, &control).expect("nothing overflows"));
            }
            if only.is_some() {
                measured(&version, &request);
                println!("{rows}");
                continue;
            }
            let time = |_| {
                let begun = Instant::now();
                measured(&version, &request);
                begun.elapsed().as_secs_f64()
            };
            let best = (0..9).map(time).fold(f64::INFINITY, f64::min);
            println!("{name:22} {:8.3} G rows/s", rows as f64 / best / 1e9);
        }
    });
}
