//! The data of one version: its tables and the relationships between them.

use std::sync::Arc;

use evercube_base::Result;

use crate::relationship::{RelationshipDef, RelationshipIndex};
use crate::scan::{Attributes, ScanControl};
use crate::scan_request::{
    BitSet, ColumnId, RelationshipId, RowComparison, ScanFilter, ScanRequest, ScanResult, TableId,
};
use crate::table::TableData;

/// Tables in model order; relationships likewise, `None` for limited (many-to-many) ones.
#[derive(Debug, Default)]
pub struct StoreVersion {
    pub tables: Vec<Arc<TableData>>,
    pub relationships: Vec<Option<Arc<RelationshipIndex>>>,
    /// By table: whether it has a blank row.
    blank_rows: Vec<bool>,
    pub(crate) attributes: Attributes,
}

impl StoreVersion {
    /// Indexes every relationship, inactive ones too.
    ///
    /// # Errors
    /// `Evaluation`, naming the value, where the one side of a relationship is not unique.
    pub fn new(tables: Vec<Arc<TableData>>, defs: &[RelationshipDef]) -> Result<Self> {
        let mut relationships = Vec::new();
        for def in defs {
            relationships.push(if def.many_to_many {
                None
            } else {
                let from = &tables[def.from.table.0 as usize];
                let to = &tables[def.to.table.0 as usize];
                Some(Arc::new(RelationshipIndex::new(*def, from, to)?))
            });
        }
        Ok(Self::with_blank_rows(tables, relationships))
    }

    /// Other tables in place of these: relationships over unchanged columns keep their index, the
    /// others are indexed again. One that cannot be, since its keys are still missing, has none.
    #[must_use]
    pub fn with_tables(&self, tables: Vec<Arc<TableData>>, defs: &[RelationshipDef]) -> Self {
        let same = |id: ColumnId| {
            let at = id.table.0 as usize;
            match (self.tables.get(at), tables.get(at)) {
                (Some(a), Some(b)) => a.shares(b, id.column),
                _ => false,
            }
        };
        let index = |(i, def): (usize, &RelationshipDef)| {
            if def.many_to_many {
                return None;
            }
            if same(def.from)
                && same(def.to)
                && let Some(known) = self.relationships.get(i)
            {
                return known.clone();
            }
            let (from, to) =
                (tables.get(def.from.table.0 as usize)?, tables.get(def.to.table.0 as usize)?);
            RelationshipIndex::new(*def, from, to).ok().map(Arc::new)
        };
        let relationships = defs.iter().enumerate().map(index).collect();
        Self::with_blank_rows(tables, relationships)
    }

    fn with_blank_rows(
        tables: Vec<Arc<TableData>>,
        relationships: Vec<Option<Arc<RelationshipIndex>>>,
    ) -> Self {
        let mut blank_rows = vec![false; tables.len()];
        loop {
            let mut grew = false;
            for r in relationships.iter().flatten() {
                let (from, to) = (r.def.from.table.0 as usize, r.def.to.table.0 as usize);
                if !blank_rows[to] && (r.has_orphans() || blank_rows[from]) {
                    blank_rows[to] = true;
                    grew = true;
                }
            }
            if !grew {
                let attributes = Attributes::default();
                return Self { tables, relationships, blank_rows, attributes };
            }
        }
    }

    pub fn table(&self, table: TableId) -> &TableData {
        &self.tables[table.0 as usize]
    }

    pub fn relationship(&self, id: RelationshipId) -> Option<&RelationshipIndex> {
        self.relationships.get(id.0 as usize)?.as_deref()
    }

    /// Whether some relationship into the table has orphans. The blank row of a table is itself an
    /// orphan, so that blank rows go on along a snowflake.
    pub fn has_blank_row(&self, table: TableId) -> bool {
        self.blank_rows.get(table.0 as usize).copied().unwrap_or(false)
    }

    /// The rows of a table for which a comparison holds, and a bit that is not set for its blank
    /// row; `None` where it compares other things than whole numbers, fixed decimals and dates.
    pub fn rows_where(&self, table: TableId, comparison: &RowComparison) -> Result<Option<BitSet>> {
        crate::scan::rows_where(self, table, comparison)
    }

    /// The rows of a table that pass all filters, and a bit that is not set for its blank row.
    pub fn passing(&self, table: TableId, filters: Vec<ScanFilter>) -> Result<BitSet> {
        crate::scan::passing(self, table, filters)
    }

    /// Answers a scan.
    pub fn scan(&self, request: &ScanRequest, control: &ScanControl) -> Result<ScanResult> {
        crate::scan::run(self, request, control)
    }
}
