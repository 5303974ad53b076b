//! Tables out of stored segments.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use evercube_base::{Collation, DataType, Result};
use evercube_store::{Hash, ObjectDir, RowGroup, Segment, TableData, TableManifest};
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
    let hashes: BTreeSet<Hash> = groups.iter().copied().flatten().map(|s| s.hash).collect();
    let hashes: Vec<Hash> = hashes.into_iter().collect();
    let segments: BTreeMap<Hash, Arc<Segment>> = hashes
        .par_iter()
        .map(|hash| objects.segment(hash).map(|segment| (*hash, segment)))
        .collect::<Result<_>>()?;
    let groups = groups.into_iter().map(|parts| {
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
