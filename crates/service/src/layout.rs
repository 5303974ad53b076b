//! Tables out of stored segments.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use evercube_base::{Collation, DataType, Result};
use evercube_store::{
    Hash, ObjectDir, PartitionManifest, RowGroup, Segment, SegmentRef, TableData, TableManifest,
};
use rayon::prelude::*;

/// Loads a table's segments, each checked against its name; a table without any is empty.
pub(crate) fn load_table(
    objects: &ObjectDir,
    types: &[DataType],
    collation: Collation,
    manifest: Option<&TableManifest>,
) -> Result<TableData> {
    let groups: Vec<_> =
        manifest.iter().flat_map(|m| &m.partitions).flat_map(|p| &p.groups).collect();
    table(types, collation, &groups, |hash| objects.segment(hash))
}

/// Loads one partition from its files as they are now, whoever uses its segments.
pub(crate) fn load_partition(
    objects: &ObjectDir,
    types: &[DataType],
    collation: Collation,
    partition: &PartitionManifest,
) -> Result<TableData> {
    let groups: Vec<_> = partition.groups.iter().collect();
    table(types, collation, &groups, |hash| objects.segment_afresh(hash))
}

fn table(
    types: &[DataType],
    collation: Collation,
    groups: &[&Vec<SegmentRef>],
    load: impl Fn(&Hash) -> Result<Arc<Segment>> + Sync,
) -> Result<TableData> {
    let hashes: BTreeSet<Hash> = groups.iter().copied().flatten().map(|s| s.hash).collect();
    let hashes: Vec<Hash> = hashes.into_iter().collect();
    let segments: BTreeMap<Hash, Arc<Segment>> = hashes
        .par_iter()
        .map(|hash| load(hash).map(|segment| (*hash, segment)))
        .collect::<Result<_>>()?;
    let groups = groups.iter().map(|parts| {
        let mut columns = vec![None; types.len()];
        let mut rows = 0;
        for (part, segment) in parts.iter().filter_map(|p| Some((p, segments.get(&p.hash)?))) {
            rows = segment.rows;
            for (at, column) in part.columns.iter().enumerate() {
                if let Some(slot) = columns.get_mut(*column as usize) {
                    *slot = Some((Arc::clone(segment), at));
                }
            }
        }
        RowGroup { rows, columns }
    });
    TableData::from_groups(types, collation, &groups.collect::<Vec<_>>())
}
