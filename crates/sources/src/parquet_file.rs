//! Parquet files: names from the footer, rows by projection.

use std::fs::File;
use std::rc::Rc;
use std::sync::Arc;

use arrow_array::RecordBatchReader;
use arrow_schema::{DataType as A, Fields, Schema, SchemaRef};
use evercube_base::{Error, ErrorKind, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};

use crate::files_read::open_file;
use crate::m::eval::Interp;
use crate::m::value::Binary;
use crate::table::{Batch, Column, Name, Origin, Place, Rows, Table};

const READ_ROWS: usize = 16_384;

struct ParquetFile {
    binary: Binary,
}

fn fault(binary: &Binary, e: impl std::fmt::Display) -> Error {
    let what = match binary {
        Binary::File(p) => format!("the Parquet file '{}'", p.display()),
        Binary::Bytes(_) => "the Parquet data".to_owned(),
    };
    Error::new(ErrorKind::Source, format!("cannot read {what}: {e}"))
}

fn builder(binary: &Binary) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    match binary {
        Binary::File(p) => {
            let f = open_file(p).map_err(|e| fault(binary, e))?;
            let found = ArrowReaderMetadata::load(&f, ArrowReaderOptions::default())
                .map_err(|e| fault(binary, e))?;
            let options =
                ArrowReaderOptions::default().with_schema(with_dictionaries(found.schema()));
            // Columns are read as the file has them where the hint does not suit it.
            let found = ArrowReaderMetadata::try_new(Arc::clone(found.metadata()), options)
                .unwrap_or(found);
            Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(f, found))
        }
        Binary::Bytes(_) => {
            Err(Error::unsupported("Parquet.Document reads files: give it File.Contents(…)"))
        }
    }
}

/// The schema with texts as dictionaries, as most files have them: each value is then looked at once
/// and not in every row.
fn with_dictionaries(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|f| match f.data_type() {
        A::Utf8 => {
            let coded = A::Dictionary(Box::new(A::Int32), Box::new(A::Utf8));
            Arc::new(f.as_ref().clone().with_data_type(coded))
        }
        _ => Arc::clone(f),
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Fields>(), schema.metadata().clone()))
}

/// The table of a Parquet file; only the footer is read here.
pub(crate) fn open(binary: &Binary) -> Result<Table> {
    let b = builder(binary)?;
    let names: Vec<Name> = b.schema().fields().iter().map(|f| f.name().as_str().into()).collect();
    Ok(Table::new(names, Rc::new(ParquetFile { binary: binary.clone() })))
}

impl Origin for ParquetFile {
    fn open(&self, it: &Rc<Interp>, wanted: &[usize]) -> Result<Box<dyn Rows>> {
        let b = builder(&self.binary)?;
        let mut sorted = wanted.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let places = wanted.iter().map(|w| sorted.binary_search(w).unwrap_or(usize::MAX)).collect();
        let mask = ProjectionMask::roots(b.parquet_schema(), sorted);
        let reader = b
            .with_projection(mask)
            .with_batch_size(READ_ROWS)
            .build()
            .map_err(|e| fault(&self.binary, e))?;
        let _ = reader.schema();
        Ok(Box::new(FileRows {
            it: it.clone(),
            reader,
            places,
            file: self.binary.file(),
            binary: self.binary.clone(),
            done: 0,
        }))
    }
}

struct FileRows {
    it: Rc<Interp>,
    reader: ParquetRecordBatchReader,
    places: Vec<usize>,
    file: Option<Name>,
    binary: Binary,
    /// Rows that were read.
    done: u64,
}

impl Rows for FileRows {
    fn next(&mut self) -> Result<Option<Batch>> {
        self.it.check_cancel()?;
        let Some(batch) = self.reader.next() else { return Ok(None) };
        let batch =
            batch.map_err(|e| fault(&self.binary, format!("after row {}: {e}", self.done)))?;
        let place = self.file.clone().map(|file| Rc::new(Place::from(file, self.done + 1)));
        self.done += batch.num_rows() as u64;
        let mut columns = Vec::with_capacity(self.places.len());
        for p in &self.places {
            let cells = batch.columns().get(*p).cloned();
            let cells = cells.ok_or_else(|| fault(&self.binary, "a column is missing"))?;
            columns.push(Column::read(cells, place.clone()));
        }
        Ok(Some(Batch { columns, rows: batch.num_rows() }))
    }
}
