//! Results of scans, kept for those who ask the same of the same version again.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{Arc, Weak};

use foldhash::fast::FixedState;

use crate::kept_results::KeptResults;
use crate::scan_request::{Aggregate, RowExpr, ScanFilter, ScanRequest, ScanResult};
use crate::version::StoreVersion;

/// A bounded store of results, those used last.
#[derive(Debug)]
pub struct ScanCache(KeptResults<Question, ScanResult>);

#[derive(Debug)]
struct Question {
    /// Keeps the version's address from being another version's; its data is not kept.
    version: Weak<StoreVersion>,
    request: ScanRequest,
}

impl ScanCache {
    /// At most `budget` bytes of results.
    pub fn new(budget: usize) -> Self {
        Self(KeptResults::new(budget))
    }

    /// The result of the same scan of the same version, if it is kept.
    pub fn get(
        &self,
        version: &Arc<StoreVersion>,
        request: &ScanRequest,
    ) -> Option<Arc<ScanResult>> {
        self.0.get(key_of(version, request), |q| {
            std::ptr::eq(q.version.as_ptr(), Arc::as_ptr(version)) && q.request == *request
        })
    }

    /// Keeps a result, at the cost of those not used for longest.
    pub fn put(
        &self,
        version: &Arc<StoreVersion>,
        request: &ScanRequest,
        result: &Arc<ScanResult>,
    ) {
        let question = || Question { version: Arc::downgrade(version), request: request.clone() };
        self.0.put(key_of(version, request), question, result, bytes_of(request, result));
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.0.clear();
    }

    /// Bytes that the kept results take.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

fn bytes_of(request: &ScanRequest, result: &ScanResult) -> usize {
    let value = size_of::<evercube_base::Value>();
    let columns = result.keys.len() * 4 + result.aggregates.len() * value;
    let filters: usize = request
        .filters
        .iter()
        .map(|f| match f {
            ScanFilter::Codes { codes: bits, .. } | ScanFilter::Rows { rows: bits, .. } => {
                bits.len() / 8
            }
            ScanFilter::Tuples { columns, tuples } => tuples.len() * (24 + 4 * columns.len()),
        })
        .sum();
    512 + result.groups * columns + filters
}

/// Requests that are equal have the same number; others nearly always another one.
fn key_of(version: &Arc<StoreVersion>, request: &ScanRequest) -> u64 {
    let mut h = FixedState::with_seed(0x5ca1).build_hasher();
    (Arc::as_ptr(version) as usize).hash(&mut h);
    request.table.hash(&mut h);
    request.keys.hash(&mut h);
    for filter in &request.filters {
        match filter {
            ScanFilter::Codes { column, codes } => (0u8, column, codes.words()).hash(&mut h),
            ScanFilter::Rows { path, rows } => (1u8, path, rows.words()).hash(&mut h),
            ScanFilter::Tuples { columns, tuples } => (2u8, columns, tuples).hash(&mut h),
        }
    }
    for aggregate in &request.aggregates {
        std::mem::discriminant(aggregate).hash(&mut h);
        match aggregate {
            Aggregate::CountRows => {}
            Aggregate::Sum(e) | Aggregate::Min(e) | Aggregate::Max(e) | Aggregate::Count(e) => {
                hash_expression(e, &mut h);
            }
            Aggregate::DistinctCount { column, with_blank } => (column, with_blank).hash(&mut h),
            Aggregate::SingleValue(column) => column.hash(&mut h),
        }
    }
    h.finish()
}

fn hash_expression(e: &RowExpr, h: &mut impl Hasher) {
    std::mem::discriminant(e).hash(h);
    match e {
        // What it is for each code is told apart when requests are compared.
        RowExpr::Column(column) | RowExpr::Coded { column, .. } => column.hash(h),
        // Constants are told apart when requests are compared.
        RowExpr::Constant(_) => {}
        RowExpr::Add(a, b)
        | RowExpr::Subtract(a, b)
        | RowExpr::Multiply(a, b)
        | RowExpr::Divide(a, b)
        | RowExpr::SafeDivide(a, b) => {
            hash_expression(a, h);
            hash_expression(b, h);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan_request::{ColumnId, PathColumn, TableId};

    fn request(column: u32) -> ScanRequest {
        let column = ColumnId { table: TableId(0), column };
        let keys = vec![PathColumn { path: Vec::new(), column }];
        ScanRequest { table: TableId(0), filters: Vec::new(), keys, aggregates: Vec::new() }
    }

    fn result(groups: usize) -> Arc<ScanResult> {
        let keys = vec![vec![0; groups]];
        Arc::new(ScanResult { keys, aggregates: Vec::new(), groups })
    }

    #[test]
    fn results_are_found_for_their_version_and_request_alone() {
        let cache = ScanCache::new(1 << 20);
        let (a, b) = (Arc::new(StoreVersion::default()), Arc::new(StoreVersion::default()));
        cache.put(&a, &request(0), &result(3));
        assert_eq!(cache.get(&a, &request(0)).map(|r| r.groups), Some(3));
        assert!(cache.get(&a, &request(1)).is_none());
        assert!(cache.get(&b, &request(0)).is_none());
        cache.clear();
        assert!(cache.get(&a, &request(0)).is_none());
        assert_eq!(cache.bytes(), 0);
    }
}
