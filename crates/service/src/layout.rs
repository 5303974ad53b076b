//! Tables out of stored segments.

use std::collections::BTreeMap;
use std::sync::Arc;

use evercube_base::{Collation, DataType, Result};
use evercube_store::{Hash, ObjectDir, RowGroup, Segment, TableData, TableManifest};

/// Loads a table's segments, each checked against its name; a table without any is empty.
pub(crate) fn load_table(
    objects: &ObjectDir,
    types: &[DataType],
    collation: Collation,
    manifest: Option<&TableManifest>,
) -> Result<TableData> {
    let mut read: BTreeMap<Hash, Arc<Segment>> = BTreeMap::new();
    let mut groups = Vec::new();
    let partitions = manifest.map_or(&[][..], |m| &m.partitions);
    for segments in partitions.iter().flat_map(|p| &p.groups) {
        let mut columns = vec![None; types.len()];
        let mut rows = 0;
        for part in segments {
            let segment = match read.get(&part.hash) {
                Some(s) => Arc::clone(s),
                None => {
                    let s = Arc::new(Segment::from_bytes(&objects.get(&part.hash)?)?);
                    read.insert(part.hash, Arc::clone(&s));
                    s
                }
            };
            rows = segment.rows;
            for (at, column) in part.columns.iter().enumerate() {
                if let Some(slot) = columns.get_mut(*column as usize) {
                    *slot = Some((Arc::clone(&segment), at));
                }
            }
        }
        groups.push(RowGroup { rows, columns });
    }
    TableData::from_groups(types, collation, &groups)
}
