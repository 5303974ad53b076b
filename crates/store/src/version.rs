//! The data of one version: its tables and the relationships between them.

use std::sync::Arc;

use evercube_base::Result;

use crate::relationship::{RelationshipDef, RelationshipIndex};
use crate::scan::ScanControl;
use crate::scan_request::{RelationshipId, ScanRequest, ScanResult, TableId};
use crate::table::TableData;

/// Tables in model order; relationships likewise, `None` for limited (many-to-many) ones.
#[derive(Debug, Default)]
pub struct StoreVersion {
    pub tables: Vec<Arc<TableData>>,
    pub relationships: Vec<Option<Arc<RelationshipIndex>>>,
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
        Ok(Self { tables, relationships })
    }

    pub fn table(&self, table: TableId) -> &TableData {
        &self.tables[table.0 as usize]
    }

    pub fn relationship(&self, id: RelationshipId) -> Option<&RelationshipIndex> {
        self.relationships.get(id.0 as usize)?.as_deref()
    }

    /// Whether some relationship into the table has orphans.
    pub fn has_blank_row(&self, table: TableId) -> bool {
        self.relationships.iter().flatten().any(|r| r.def.to.table == table && r.has_orphans())
    }

    /// Answers a scan.
    pub fn scan(&self, request: &ScanRequest, control: &ScanControl) -> Result<ScanResult> {
        crate::scan::run(self, request, control)
    }
}
