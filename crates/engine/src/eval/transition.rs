//! Context transition: the rows a cell stands in become filters.

use std::sync::Arc;

use evercube_base::Result;
use evercube_store::TableId;
use evercube_work::map_blocks;

use super::Evaluator;
use super::cells::{Cells, Frame, Key, KeyTarget};
use super::scan::key_code;

impl Evaluator<'_> {
    /// Cells whose row contexts have become keys.
    pub(crate) fn transition(&self, cells: &Cells) -> Result<Cells> {
        let mut inner = cells.clone();
        let frames = inner.frames[inner.transitioned..].to_vec();
        for frame in &frames {
            self.transition_frame(&mut inner, frame)?;
        }
        inner.transitioned = inner.frames.len();
        Ok(inner)
    }

    /// The cells a measure's expression is evaluated over: rows are filters, and nothing else of
    /// the place of the call is visible.
    pub(crate) fn measure_cells(&self, cells: &Cells) -> Result<Cells> {
        let mut inner = self.transition(cells)?;
        inner.frames.clear();
        inner.transitioned = 0;
        inner.group = None;
        Ok(inner)
    }

    fn transition_frame(&self, cells: &mut Cells, frame: &Frame) -> Result<()> {
        if let Some((table, numbers)) = &frame.rows.base {
            let rows = map_blocks(&frame.index, |i| numbers[*i as usize]);
            self.transition_row(cells, *table, &rows, frame.rows.keep);
        }
        for (i, column) in frame.rows.schema.iter().enumerate() {
            let Some(lineage) = column.lineage else { continue };
            if frame.rows.base.as_ref().is_some_and(|(t, _)| *t == lineage.table) {
                continue;
            }
            // Codes are looked up once per row, not once per cell.
            let codes: Vec<u32> = (0..frame.rows.len)
                .map(|r| key_code(frame.rows.code(self.store, i, lineage, r)))
                .collect();
            let codes = map_blocks(&frame.index, |r| codes[*r as usize]);
            if frame.rows.keep {
                let target = KeyTarget::Column(lineage);
                cells.keys.push(Key { target, codes: Arc::new(codes) });
            } else {
                cells.set_key(lineage, codes);
            }
        }
        Ok(())
    }

    /// A row of a model table filters the table and everything on the one side of it.
    fn transition_row(&self, cells: &mut Cells, table: TableId, rows: &[u32], keep: bool) {
        let Some(context) = cells.distinct.first().cloned() else { return };
        for (reached, path) in self.visibility().expanded(&context, table) {
            if !keep {
                cells.remove(&self.model.columns_of(reached));
                cells.keys.retain(
                    |k| !matches!(&k.target, KeyTarget::Row { table, .. } if *table == reached),
                );
            }
            let there = |row: &u32| self.visibility().reached(&path, *row as usize) as u32;
            cells.keys.push(Key {
                target: KeyTarget::Row { table: reached, without: Vec::new() },
                codes: Arc::new(map_blocks(rows, there)),
            });
        }
    }
}
