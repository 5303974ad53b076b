//! The values of an expression in every row of a table: what calculated columns hold.

use evercube_base::{Result, Value};
use evercube_store::TableId;

use crate::eval::{CellTable, Cells, Evaluator};
use crate::plan::Node;

/// Rows of a table that an expression is evaluated for at once.
const ROWS_AT_ONCE: usize = 1 << 16;

/// The value of an expression in each row of a table; `all`: its rows. What depends on one column
/// of few values is worked out once for each of them.
///
/// # Errors
/// The expression fails for a row, or the query was stopped.
pub(crate) fn row_values(
    evaluator: &Evaluator<'_>,
    start: &Cells,
    (table, all): (TableId, &CellTable),
    node: &Node,
) -> Result<Vec<Value>> {
    let rows = all.rows.len;
    if start.frames.is_empty()
        && let Some((at, of_codes)) = evaluator.by_code(node, 0, table)
    {
        let codes = evaluator.visibility().codes(at.column, &at.path, rows);
        return Ok(evercube_work::map_blocks(&codes[..rows], |c| of_codes[*c as usize].clone()));
    }
    row_by_row(evaluator, start, all, node)
}

/// What depends on one column of few values: what it is for each of these that occurs, and which of
/// them each row has.
pub(crate) struct ByValue {
    pub values: Vec<Value>,
    pub rows: Vec<u32>,
}

/// The same as [`row_values`], where it is so.
pub(crate) fn by_value(
    evaluator: &Evaluator<'_>,
    start: &Cells,
    (table, rows): (TableId, usize),
    node: &Node,
) -> Option<ByValue> {
    if !start.frames.is_empty() {
        return None;
    }
    let (at, of_codes) = evaluator.by_code(node, 0, table)?;
    let codes = evaluator.visibility().codes(at.column, &at.path, rows);
    let mut place_of = vec![u32::MAX; of_codes.len()];
    let mut values = Vec::new();
    let places = evercube_work::watched(&codes[..rows]).map(|code| {
        let place = &mut place_of[*code as usize];
        if *place == u32::MAX {
            *place = values.len() as u32;
            values.push(of_codes[*code as usize].clone());
        }
        *place
    });
    let rows = places.collect();
    Some(ByValue { values, rows })
}

fn row_by_row(
    evaluator: &Evaluator<'_>,
    start: &Cells,
    all: &CellTable,
    node: &Node,
) -> Result<Vec<Value>> {
    let rows = all.rows.len;
    let mut values = Vec::with_capacity(rows);
    for first in (0..rows).step_by(ROWS_AT_ONCE) {
        let some: Vec<u32> = (first as u32..(first + ROWS_AT_ONCE).min(rows) as u32).collect();
        let cells = start.in_rows_of(&CellTable::shared(all.rows.take(&some)));
        values.extend(evaluator.scalars(&cells, node)?.into_vec(cells.n));
    }
    Ok(values)
}
