//! One partition: rows of its source into stored segments.

use evercube_base::{Collation, DataType, Result};
use evercube_model::tabular::{PartitionSource, Table};
use evercube_sources::{ColumnRequest, SourceContext, read_partition};
use evercube_store::{ObjectDir, SEGMENT_ROWS, Segment, SegmentBuilder, SegmentRef};
use rayon::ThreadPool;

use crate::change::keep::{is_source_column, source_name};

/// What is asked of a source for a table, and where its columns are in the model.
#[derive(Debug, Clone)]
pub(crate) struct TableShape {
    pub columns: Vec<ColumnRequest>,
    pub places: Vec<u32>,
    pub collation: Collation,
}

impl TableShape {
    pub fn of(table: &Table, collation: Collation) -> Self {
        let (mut columns, mut places) = (Vec::new(), Vec::new());
        for (place, column) in (0u32..).zip(&table.columns) {
            if is_source_column(column) {
                places.push(place);
                columns.push(ColumnRequest {
                    source_column: source_name(column).to_owned(),
                    data_type: column.data_type.unwrap_or(DataType::String),
                    name: column.name.clone(),
                });
            }
        }
        Self { columns, places, collation }
    }

    fn builder(&self) -> SegmentBuilder {
        let types: Vec<DataType> = self.columns.iter().map(|c| c.data_type).collect();
        SegmentBuilder::new(&types, self.collation)
    }
}

/// Reads a partition. Each full segment is coded on the compute pool and goes to the disk at once,
/// so that memory is bounded by the segment and not by the partition.
pub(crate) fn read(
    (objects, pool): (&ObjectDir, &ThreadPool),
    context: &SourceContext,
    source: &PartitionSource,
    shape: &TableShape,
    on_rows: &dyn Fn(u64),
) -> Result<Vec<Vec<SegmentRef>>> {
    let mut groups = Vec::new();
    let mut builder = shape.builder();
    read_partition(context, source, &shape.columns, &mut |batch| {
        on_rows(batch.rows as u64);
        builder.push(&batch)?;
        if builder.rows() >= SEGMENT_ROWS {
            let full = pool.install(|| builder.take());
            groups.push(vec![store(objects, &full, shape.places.clone())?]);
        }
        Ok(())
    })?;
    if builder.rows() > 0 {
        let last = pool.install(|| builder.take());
        groups.push(vec![store(objects, &last, shape.places.clone())?]);
    }
    Ok(groups)
}

/// Stores a segment whose columns are those of the table at `columns`.
pub(crate) fn store(
    objects: &ObjectDir,
    segment: &Segment,
    columns: Vec<u32>,
) -> Result<SegmentRef> {
    let bytes = segment.to_bytes()?;
    Ok(SegmentRef {
        hash: objects.put(&bytes)?,
        rows: segment.rows as u64,
        bytes: bytes.len() as u64,
        columns,
    })
}
