//! A table of a version: columns over the rows of all its segments.

use std::sync::Arc;

use evercube_base::{Collation, ColumnData, DataType, Error, ErrorKind, Result, RowBatch};
use rayon::prelude::*;

use crate::column::{Column, PieceSource};
use crate::segment::Segment;
use crate::segment_file::{SEGMENT_ROWS, SegmentBuilder};

/// Rows that lie side by side in one or more segments, since calculated columns are computed, and
/// stored, after the source columns of the same rows.
#[derive(Debug, Clone)]
pub struct RowGroup {
    pub rows: usize,
    /// For each column of the table: the segment that has it and its position there; `None` where
    /// no segment has it (blank in every row).
    pub columns: Vec<Option<(Arc<Segment>, usize)>>,
}

/// An immutable table in memory.
#[derive(Debug)]
pub struct TableData {
    rows: usize,
    collation: Collation,
    columns: Vec<Arc<Column>>,
}

impl TableData {
    /// A table over row groups; each names a segment column per table column.
    pub fn from_groups(
        types: &[DataType],
        collation: Collation,
        groups: &[RowGroup],
    ) -> Result<Self> {
        let column = |(i, data_type): (usize, &DataType)| {
            let mut parts = Vec::new();
            for group in groups {
                let column = group.columns.get(i).cloned().flatten();
                if let Some((segment, at)) = &column {
                    let found = segment.columns.get(*at).map(|c| c.data_type);
                    if segment.rows != group.rows || found != Some(stored_type(*data_type)) {
                        return Err(Error::new(
                            ErrorKind::Corrupt,
                            format!("column {i} of a segment has another shape than the table"),
                        ));
                    }
                }
                parts.push(PieceSource { rows: group.rows, column });
            }
            Ok(Arc::new(Column::new(*data_type, collation, parts)))
        };
        let columns = types.par_iter().enumerate().map(column).collect::<Result<_>>()?;
        let rows = groups.iter().map(|g| g.rows).sum();
        if u32::try_from(rows).is_err() {
            return Err(Error::new(
                ErrorKind::Limit,
                format!("a table of {rows} rows is larger than the limit of 4,294,967,295"),
            ));
        }
        Ok(Self { rows, collation, columns })
    }

    /// A table out of rows that are already in memory.
    pub fn from_batches(
        types: &[DataType],
        collation: Collation,
        batches: &[RowBatch],
    ) -> Result<Self> {
        let mut groups = Vec::new();
        let mut builder = SegmentBuilder::new(types, collation);
        for batch in batches {
            builder.push(batch)?;
            if builder.rows() >= SEGMENT_ROWS {
                groups.push(RowGroup::whole(Arc::new(builder.take())));
            }
        }
        groups.push(RowGroup::whole(Arc::new(builder.take())));
        Self::from_groups(types, collation, &groups)
    }

    /// The same rows with other values in some columns, one value a row.
    ///
    /// # Errors
    /// `Internal`, where a column has another number of values than the table has rows.
    pub fn with_columns(&self, computed: Vec<(u32, ColumnData)>) -> Result<Self> {
        let mut columns = self.columns.clone();
        for (at, data) in computed {
            let data_type = self.column(at).data_type();
            if data.len() != self.rows {
                return Err(Error::internal(format!(
                    "{} values were given for {} rows",
                    data.len(),
                    self.rows
                )));
            }
            let batch = RowBatch { rows: data.len(), columns: vec![data] };
            let mut builder = SegmentBuilder::new(&[data_type], self.collation);
            builder.push(&batch)?;
            let column = Some((Arc::new(builder.finish()), 0));
            let parts = vec![PieceSource { rows: self.rows, column }];
            columns[at as usize] = Arc::new(Column::new(data_type, self.collation, parts));
        }
        Ok(Self { rows: self.rows, collation: self.collation, columns })
    }

    /// The same rows with one more column, one value a row.
    ///
    /// # Errors
    /// As [`TableData::with_columns`].
    pub fn and_column(&self, data_type: DataType, data: ColumnData) -> Result<Self> {
        let mut columns = self.columns.clone();
        let parts = vec![PieceSource { rows: self.rows, column: None }];
        columns.push(Arc::new(Column::new(data_type, self.collation, parts)));
        let wider = Self { rows: self.rows, collation: self.collation, columns };
        wider.with_columns(vec![(self.columns.len() as u32, data)])
    }

    /// The same rows with one more column, whose values come once each: `rows` says which of them
    /// each row has.
    ///
    /// # Errors
    /// `Internal`, where that is another number of rows than the table has, or none of the values.
    pub fn and_column_of(
        &self,
        data_type: DataType,
        values: ColumnData,
        rows: &[u32],
    ) -> Result<Self> {
        let is_one = |row: &u32| (*row as usize) < values.len();
        if rows.len() != self.rows || !rows.iter().all(is_one) {
            return Err(Error::internal("the values given for a column are not those of its rows"));
        }
        let mut builder = SegmentBuilder::new(&[data_type], self.collation);
        builder.push(&RowBatch { rows: values.len(), columns: vec![values] })?;
        let column = Some((Arc::new(builder.finish().with_rows(rows)), 0));
        let parts = vec![PieceSource { rows: self.rows, column }];
        let mut columns = self.columns.clone();
        columns.push(Arc::new(Column::new(data_type, self.collation, parts)));
        Ok(Self { rows: self.rows, collation: self.collation, columns })
    }

    /// Whether a column is the very same object in both tables.
    pub(crate) fn shares(&self, other: &Self, column: u32) -> bool {
        let at = column as usize;
        match (self.columns.get(at), other.columns.get(at)) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// Rows without the blank row.
    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn collation(&self) -> Collation {
        self.collation
    }

    /// A column by position; positions come from the model and are in range.
    pub fn column(&self, column: u32) -> &Column {
        &self.columns[column as usize]
    }

    pub(crate) fn shared_column(&self, column: u32) -> Arc<Column> {
        Arc::clone(&self.columns[column as usize])
    }

    /// Ends of the pieces of all columns: between two of them every column is one segment's.
    pub(crate) fn piece_ends(&self) -> Vec<usize> {
        let mut ends: Vec<usize> = self.columns.iter().flat_map(|c| c.piece_ends()).collect();
        ends.sort_unstable();
        ends.dedup();
        ends
    }

    pub fn columns(&self) -> usize {
        self.columns.len()
    }
}

impl RowGroup {
    /// A group whose columns are those of one segment, in order.
    pub fn whole(segment: Arc<Segment>) -> Self {
        let columns = (0..segment.columns.len()).map(|i| Some((Arc::clone(&segment), i)));
        Self { rows: segment.rows, columns: columns.collect() }
    }
}

/// The type a column's values are stored as.
fn stored_type(data_type: DataType) -> DataType {
    match data_type {
        DataType::Binary | DataType::Variant => DataType::String,
        t => t,
    }
}
