//! Computed tables and columns of a new version: inferred columns, values, stored segments.

use std::collections::BTreeMap;
use std::sync::Arc;

use evercube_base::{Collation, ColumnData, DataType, Error, Result, RowBatch, Value};
use evercube_engine::scalar::Culture;
use evercube_engine::{
    CompiledModel, QueryContext, calculate, calculated_column_type, calculated_table_columns,
};
use evercube_model::tabular::{Column, Database, Table};
use evercube_store::{
    ColumnId, Manifest, ObjectDir, SEGMENT_ROWS, SegmentBuilder, SegmentRef, TableData, TableId,
};

use crate::change::keep::is_calculated;
use crate::refresh::partition::store;

/// What could not be computed: object and reason.
pub(crate) type Failures = BTreeMap<String, String>;

pub(crate) fn is_calculated_table(table: &Table) -> bool {
    table.calculation_group.is_some() || table.partitions.iter().any(|p| is_calculated(&p.source))
}

pub(crate) fn has_calculated(database: &Database) -> bool {
    let mut tables = database.model.tables.iter();
    tables.any(|t| is_calculated_table(t) || t.columns.iter().any(Column::is_calculated))
}

fn type_is_inferred(column: &Column) -> bool {
    column.data_type.is_none()
        || column.extra.get("isDataTypeInferred").and_then(|v| v.as_bool()) == Some(true)
}

/// Gives calculated tables the columns their expressions have, and calculated columns that say no
/// type the one of theirs. Both may be made of one another, so this goes on until nothing is new.
pub(crate) fn infer_columns(database: &mut Database, failures: &mut Failures) {
    let untyped = untyped_columns(database);
    for _ in 0..=database.model.tables.len() + untyped.len() {
        let compiled = CompiledModel::compile(database);
        let mut changed = false;
        for id in &untyped {
            changed |= put_type(database, *id, calculated_column_type(&compiled, *id));
        }
        for (i, table) in (0u32..).zip(&mut database.model.tables) {
            // The columns of a calculation group are given.
            if !is_calculated_table(table) || table.calculation_group.is_some() {
                continue;
            }
            failures.remove(&table.name);
            match calculated_table_columns(&compiled, TableId(i)) {
                Ok(columns) => changed |= put_columns(table, columns),
                Err(e) => {
                    failures.insert(table.name.clone(), e.message);
                }
            }
        }
        if !changed {
            return;
        }
    }
}

fn untyped_columns(database: &Database) -> Vec<ColumnId> {
    let mut found = Vec::new();
    for (t, table) in (0u32..).zip(&database.model.tables) {
        let columns = (0u32..).zip(&table.columns);
        let untyped = columns.filter(|(_, c)| c.is_calculated() && c.data_type.is_none());
        found.extend(untyped.map(|(column, _)| ColumnId { table: TableId(t), column }));
    }
    found
}

fn put_type(database: &mut Database, id: ColumnId, data_type: Option<DataType>) -> bool {
    let table = database.model.tables.get_mut(id.table.0 as usize);
    let Some(column) = table.and_then(|t| t.columns.get_mut(id.column as usize)) else {
        return false;
    };
    if data_type.is_none() || column.data_type == data_type {
        return false;
    }
    column.data_type = data_type;
    column.extra.insert("isDataTypeInferred".into(), true.into());
    true
}

fn put_columns(table: &mut Table, columns: Vec<(String, String, DataType)>) -> bool {
    let mut changed = false;
    for (name, source, data_type) in columns {
        let known = table.columns.iter_mut().find(|c| {
            c.is_calculated_table_column()
                && c.source_column.as_deref().unwrap_or(&c.name).to_lowercase()
                    == source.to_lowercase()
        });
        if let Some(column) = known {
            if type_is_inferred(column) && column.data_type != Some(data_type) {
                column.data_type = Some(data_type);
                changed = true;
            }
            continue;
        }
        if table.columns.iter().any(|c| c.name.to_lowercase() == name.to_lowercase()) {
            continue;
        }
        let inferred = ["isNameInferred", "isDataTypeInferred"];
        table.columns.push(Column {
            kind: Some("calculatedTableColumn".into()),
            name,
            data_type: Some(data_type),
            source_column: Some(source),
            is_nullable: true,
            extra: inferred.map(|k| (k.to_owned(), true.into())).into_iter().collect(),
            ..Column::default()
        });
        changed = true;
    }
    changed
}

/// Computes everything calculated over the source data in `tables` and stores it; gives the tables
/// whose rows or columns are other ones now.
pub(crate) fn compute(
    objects: &ObjectDir,
    database: &mut Database,
    manifest: &mut Manifest,
    tables: Vec<Arc<TableData>>,
    context: &QueryContext,
    failures: &mut Failures,
) -> Result<()> {
    let collation = crate::loader::collation(database);
    let culture = context.culture();
    let compiled = Arc::new(CompiledModel::compile(database));
    let calculated = calculate(&compiled, tables, context)?;
    for state in calculated.failures {
        if let Some(e) = state.error {
            failures.insert(state.object, e.message);
        }
    }
    for (id, batches) in calculated.tables {
        let place = id.0 as usize;
        let (Some(table), Some(into)) =
            (database.model.tables.get(place), manifest.tables.get_mut(place))
        else {
            continue;
        };
        let groups = table_groups(objects, table, batches, collation, &culture)
            .map_err(|e| e.context(format!("calculated table '{}'", table.name)))?;
        if let Some(first) = into.partitions.first_mut() {
            first.groups = groups;
            first.refreshed_micros = Some(context.utc_now.unix_micros());
        }
    }
    let mut by_table: BTreeMap<u32, Vec<(u32, Vec<Value>)>> = BTreeMap::new();
    for (id, values) in calculated.columns {
        by_table.entry(id.table.0).or_default().push((id.column, values));
    }
    for (place, columns) in by_table {
        let place = place as usize;
        if let (Some(table), Some(into)) =
            (database.model.tables.get_mut(place), manifest.tables.get_mut(place))
        {
            let mut typed = Vec::new();
            for (at, values) in columns {
                typed.extend(
                    typed_column(table, at, values, &culture, failures).map(|data| (at, data)),
                );
            }
            let groups = into.partitions.iter_mut().flat_map(|p| &mut p.groups);
            add_columns(objects, groups, typed, collation)
                .map_err(|e| e.context(format!("calculated columns of table '{}'", table.name)))?;
        }
    }
    Ok(())
}

/// The rows of a calculated table as segments.
fn table_groups(
    objects: &ObjectDir,
    table: &Table,
    batches: Vec<RowBatch>,
    collation: Collation,
    culture: &Culture,
) -> Result<Vec<Vec<SegmentRef>>> {
    let all = || (0u32..).zip(&table.columns);
    let own: Vec<(u32, &Column)> = all().filter(|(_, c)| !c.is_calculated()).collect();
    let mut groups = Vec::new();
    let mut open: Option<(SegmentBuilder, Vec<u32>)> = None;
    for batch in batches {
        let columns =
            if batch.columns.len() == table.columns.len() { all().collect() } else { own.clone() };
        if batch.columns.len() != columns.len() {
            return Err(Error::internal(format!(
                "{} columns were computed for a table of {}",
                batch.columns.len(),
                columns.len()
            )));
        }
        let types: Vec<DataType> =
            columns.iter().map(|(_, c)| c.data_type.unwrap_or(DataType::String)).collect();
        let mut converted = Vec::new();
        for ((data, data_type), (_, column)) in batch.columns.into_iter().zip(&types).zip(&columns)
        {
            converted.push(
                convert(data, *data_type, culture)
                    .map_err(|e| e.context(format!("column [{}]", column.name)))?,
            );
        }
        let places = columns.iter().map(|(at, _)| *at).collect();
        let (mut builder, places) =
            open.take().unwrap_or_else(|| (SegmentBuilder::new(&types, collation), places));
        builder.push(&RowBatch { columns: converted, rows: batch.rows })?;
        if builder.rows() >= SEGMENT_ROWS {
            groups.push(vec![store(objects, &builder.finish(), places)?]);
        } else {
            open = Some((builder, places));
        }
    }
    if let Some((builder, places)) = open.filter(|(b, _)| b.rows() > 0) {
        groups.push(vec![store(objects, &builder.finish(), places)?]);
    }
    Ok(groups)
}

fn convert(data: ColumnData, to: DataType, culture: &Culture) -> Result<ColumnData> {
    let mut out = ColumnData::empty(to);
    if out.data_type() == data.data_type() {
        return Ok(data);
    }
    for row in 0..data.len() {
        push(&mut out, data.value(row), to, culture)?;
    }
    Ok(out)
}

fn push(out: &mut ColumnData, value: Value, to: DataType, culture: &Culture) -> Result<()> {
    let stored = out.data_type();
    let value = if value.data_type() == Some(stored) {
        value
    } else {
        evercube_engine::scalar::convert(&value, stored, culture)?
    };
    out.push(value).map_err(|v| Error::evaluation(format!("a value {v:?} is no {to}")))
}

/// The values in the column's declared type, or in their own where none is declared. A value that
/// does not convert leaves the column blank and is its failure.
fn typed_column(
    table: &mut Table,
    at: u32,
    values: Vec<Value>,
    culture: &Culture,
    failures: &mut Failures,
) -> Option<ColumnData> {
    let name = table.name.clone();
    let column = table.columns.get_mut(at as usize)?;
    if type_is_inferred(column) {
        let own = common_type(&values).or(column.data_type).unwrap_or(DataType::String);
        column.data_type = Some(own);
        column.extra.insert("isDataTypeInferred".into(), true.into());
    }
    let to = column.data_type.unwrap_or(DataType::String);
    let mut out = ColumnData::empty(to);
    for (row, value) in (1u64..).zip(values) {
        if let Err(e) = push(&mut out, value, to, culture) {
            let e = e.context(format!("row {row}"));
            failures.insert(format!("{name}[{}]", column.name), e.message);
            return None;
        }
    }
    Some(out)
}

/// The narrowest type that holds all values; `None` where all are blank.
fn common_type(values: &[Value]) -> Option<DataType> {
    let mut found: Option<DataType> = None;
    for data_type in values.iter().filter_map(Value::data_type) {
        found = Some(match found {
            None => data_type,
            Some(f) if f == data_type => f,
            Some(f) if f.is_numeric() && data_type.is_numeric() => {
                let has = |t| f == t || data_type == t;
                if has(DataType::Double) { DataType::Double } else { DataType::Decimal }
            }
            Some(_) => return Some(DataType::String),
        });
    }
    found
}

/// Puts computed columns beside the rows they were computed from, one segment a row group.
fn add_columns<'a>(
    objects: &ObjectDir,
    groups: impl Iterator<Item = &'a mut Vec<SegmentRef>>,
    columns: Vec<(u32, ColumnData)>,
    collation: Collation,
) -> Result<()> {
    if columns.is_empty() {
        return Ok(());
    }
    let types: Vec<DataType> = columns.iter().map(|(_, c)| c.data_type()).collect();
    let places: Vec<u32> = columns.iter().map(|(at, _)| *at).collect();
    let mut first = 0usize;
    for group in groups {
        let rows = group.first().map_or(0, |s| s.rows as usize);
        let mut part = Vec::new();
        for (_, column) in &columns {
            if column.len() < first + rows {
                return Err(Error::internal(format!(
                    "{} values were computed for more rows",
                    column.len()
                )));
            }
            let mut data = ColumnData::empty(column.data_type());
            for row in first..first + rows {
                push(&mut data, column.value(row), column.data_type(), &Culture::UNITED_STATES)?;
            }
            part.push(data);
        }
        let mut builder = SegmentBuilder::new(&types, collation);
        builder.push(&RowBatch { columns: part, rows })?;
        group.push(store(objects, &builder.finish(), places.clone())?);
        first += rows;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(json: serde_json::Value) -> Table {
        serde_json::from_value(json).unwrap()
    }

    fn loaded(dir: &ObjectDir, types: &[DataType], groups: Vec<Vec<SegmentRef>>) -> TableData {
        let partition = evercube_store::PartitionManifest { groups, ..Default::default() };
        let manifest =
            evercube_store::TableManifest { id: "T".into(), partitions: vec![partition] };
        crate::layout::load_table(dir, types, Collation::default(), Some(&manifest)).unwrap()
    }

    #[test]
    fn computed_columns_stand_beside_the_rows_they_come_from() {
        let folder = tempfile::tempdir().unwrap();
        let dir = ObjectDir::open(folder.path()).unwrap();
        let mut t = table(serde_json::json!({ "name": "T", "columns": [
            { "name": "Twice", "type": "calculated", "dataType": "double" },
            { "name": "A", "dataType": "int64" },
            { "name": "Bad", "type": "calculated", "dataType": "int64" },
            { "name": "Free", "type": "calculated" } ] }));
        let mut groups = Vec::new();
        for rows in [vec![1, 2], vec![3]] {
            let mut b = SegmentBuilder::new(&[DataType::Int64], Collation::default());
            let n = rows.len();
            let data = ColumnData::Int64(rows.into_iter().map(Some).collect());
            b.push(&RowBatch { columns: vec![data], rows: n }).unwrap();
            groups.push(vec![store(&dir, &b.finish(), vec![1]).unwrap()]);
        }
        let mut failures = Failures::new();
        let text = |s: &str| Value::text(s);
        let computed = [
            (0, vec![Value::Int(2), Value::Int(4), Value::Blank]),
            (2, vec![Value::Int(1), text("x"), Value::Int(3)]),
            (3, vec![Value::Blank, text("b"), text("c")]),
        ];
        let mut typed = Vec::new();
        for (at, values) in computed {
            typed.extend(
                typed_column(&mut t, at, values, &Culture::UNITED_STATES, &mut failures)
                    .map(|d| (at, d)),
            );
        }
        assert!(failures["T[Bad]"].contains("row 2") && failures.len() == 1, "{failures:?}");
        assert_eq!(t.columns[3].data_type, Some(DataType::String));
        add_columns(&dir, groups.iter_mut(), typed, Collation::default()).unwrap();
        let types: Vec<DataType> = t.columns.iter().filter_map(|c| c.data_type).collect();
        let data = loaded(&dir, &types, groups);
        let data = &data;
        let row = |r| (0..4u32).map(move |c| data.column(c).value(data.column(c).code(r)));
        let rows: Vec<Vec<Value>> = (0..3).map(|r| row(r).collect()).collect();
        assert_eq!(rows[1], [Value::Double(4.0), Value::Int(2), Value::Blank, text("b")]);
        assert_eq!(rows[2], [Value::Blank, Value::Int(3), Value::Blank, text("c")]);
    }

    #[test]
    fn calculated_columns_without_a_type_get_that_of_their_expression() {
        let mut database: Database = serde_json::from_value(serde_json::json!({
            "name": "d", "compatibilityLevel": 1500, "model": { "tables": [{ "name": "T", "columns": [
                { "name": "Band", "type": "calculated",
                  "expression": "SWITCH ( TRUE (), [Age] < 40, \"young\", \"old\" )" },
                { "name": "Age", "type": "calculated", "expression": "YEAR ( [Born] ) + 1" },
                { "name": "Kept", "type": "calculated", "expression": "1", "dataType": "double" },
                { "name": "Born", "dataType": "dateTime" } ] }] } }))
        .unwrap();
        infer_columns(&mut database, &mut Failures::new());
        let columns = &database.model.tables[0].columns;
        let types: Vec<_> = columns.iter().filter_map(|c| c.data_type).collect();
        use DataType as D;
        assert_eq!(types, [D::String, D::Int64, D::Double, D::DateTime]);
    }

    #[test]
    fn a_calculated_table_gets_its_columns_and_rows() {
        let folder = tempfile::tempdir().unwrap();
        let dir = ObjectDir::open(folder.path()).unwrap();
        let mut t = table(serde_json::json!({ "name": "T", "columns": [
            { "name": "Day", "type": "calculatedTableColumn", "sourceColumn": "[Date]",
              "dataType": "string", "isDataTypeInferred": true } ] }));
        let made = || {
            let column = |n: &str, t| (n.to_owned(), format!("[{n}]"), t);
            vec![column("Date", DataType::DateTime), column("N", DataType::Double)]
        };
        assert!(put_columns(&mut t, made()) && !put_columns(&mut t, made()));
        assert_eq!(t.columns.len(), 2);
        assert_eq!(t.columns[0].data_type, Some(DataType::DateTime));
        let batch = |n: i64| RowBatch {
            columns: vec![ColumnData::DateTime(vec![None]), ColumnData::Int64(vec![Some(n)])],
            rows: 1,
        };
        let batches = vec![batch(1), batch(2)];
        let groups =
            table_groups(&dir, &t, batches, Collation::default(), &Culture::UNITED_STATES).unwrap();
        let data = loaded(&dir, &[DataType::DateTime, DataType::Double], groups);
        assert_eq!(data.rows(), 2);
        assert_eq!(data.column(1).value(data.column(1).code(1)), Value::Double(2.0));
    }
}
