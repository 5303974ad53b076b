//! A scan as text, in the manner that users know from the traces of their servers.

use std::fmt::Write as _;

use evercube_store::{
    Aggregate, BitSet, PathColumn, RowExpr, ScanFilter, ScanRequest, StoreVersion,
};

use crate::compiled_model::CompiledModel;
use crate::scalar::plain_text;

/// Values of a filter that are shown.
const SHOWN: usize = 5;

pub(super) struct ScanText<'a> {
    pub model: &'a CompiledModel,
    pub store: &'a StoreVersion,
}

impl ScanText<'_> {
    pub fn of(&self, request: &ScanRequest) -> String {
        let table = &self.model.table(request.table).name;
        let mut selected: Vec<String> = request.keys.iter().map(|k| self.column(k)).collect();
        selected.extend(request.aggregates.iter().map(|a| self.aggregate(a)));
        let mut out = String::from("SET DC_KIND=\"AUTO\";\nSELECT");
        let _written = write!(out, "\n    {}\nFROM '{table}'", selected.join(",\n    "));
        for path in self.paths(request) {
            if let Some(last) = path.last() {
                let def = &self.model.relationship(*last).def;
                let (from, to) = (self.model.column_name(def.from), self.model.column_name(def.to));
                let to_table = &self.model.table(def.to.table).name;
                let _written = write!(out, "\n    LEFT OUTER JOIN '{to_table}' ON {from}={to}");
            }
        }
        let filters: Vec<String> = request.filters.iter().map(|f| self.filter(f)).collect();
        if !filters.is_empty() {
            let _written = write!(out, "\nWHERE\n    {}", filters.join(" VAND\n    "));
        }
        out.push(';');
        out
    }

    /// Ways from the base table that the request goes, each once, shorter ones first.
    fn paths(&self, request: &ScanRequest) -> Vec<Vec<evercube_store::RelationshipId>> {
        let mut paths = Vec::new();
        let mut add = |path: &[evercube_store::RelationshipId]| {
            for end in 1..=path.len() {
                let part = path[..end].to_vec();
                if !paths.contains(&part) {
                    paths.push(part);
                }
            }
        };
        columns(request).iter().for_each(|c| add(&c.path));
        for filter in &request.filters {
            if let ScanFilter::Rows { path, .. } = filter {
                add(path);
            }
        }
        paths
    }

    fn column(&self, column: &PathColumn) -> String {
        self.model.column_name(column.column)
    }

    fn aggregate(&self, aggregate: &Aggregate) -> String {
        match aggregate {
            Aggregate::CountRows => "COUNT ( )".to_owned(),
            Aggregate::Sum(e) => format!("SUM ( {} )", self.expression(e)),
            Aggregate::Min(e) => format!("MIN ( {} )", self.expression(e)),
            Aggregate::Max(e) => format!("MAX ( {} )", self.expression(e)),
            Aggregate::Count(e) => format!("COUNT ( {} )", self.expression(e)),
            Aggregate::DistinctCount { column, .. } => {
                format!("DCOUNT ( {} )", self.column(column))
            }
            Aggregate::SingleValue(column) => format!("VALUE ( {} )", self.column(column)),
        }
    }

    fn expression(&self, e: &RowExpr) -> String {
        let both = |a: &RowExpr, sign: &str, b: &RowExpr| {
            format!("( {} {sign} {} )", self.expression(a), self.expression(b))
        };
        match e {
            RowExpr::Column(c) => self.column(c),
            RowExpr::Constant(v) => plain_text(v),
            RowExpr::Coded { column, .. } => format!("MAP ( {} )", self.column(column)),
            RowExpr::Add(a, b) => both(a, "+", b),
            RowExpr::Subtract(a, b) => both(a, "-", b),
            RowExpr::Multiply(a, b) => both(a, "*", b),
            RowExpr::Divide(a, b) | RowExpr::SafeDivide(a, b) => both(a, "/", b),
        }
    }

    fn filter(&self, filter: &ScanFilter) -> String {
        match filter {
            ScanFilter::Codes { column, codes } => {
                let data = self.store.table(column.column.table).column(column.column.column);
                let shown: Vec<String> = codes
                    .iter()
                    .take(SHOWN)
                    .map(|c| format!("'{}'", plain_text(&data.value(c as u32)).replace('\'', "''")))
                    .collect();
                list(&self.column(column), &shown, codes)
            }
            ScanFilter::Rows { path, rows } => {
                let table = path.last().map(|r| self.model.relationship(*r).def.to.table);
                let name =
                    table.map_or("rows".to_owned(), |t| format!("'{}'", self.model.table(t).name));
                format!("{name} IN {} OF {} ROWS", rows.count(), rows.len())
            }
            ScanFilter::Tuples { columns, tuples } => {
                let names: Vec<String> = columns.iter().map(|c| self.column(c)).collect();
                format!("( {} ) IN {} TUPLES", names.join(", "), tuples.len())
            }
        }
    }

    /// Bytes of codes that answering the request reads at most: of the columns of the base table,
    /// and of its keys to others.
    pub fn encoded_bytes(&self, request: &ScanRequest) -> u64 {
        let mut read: Vec<evercube_store::ColumnId> = columns(request)
            .iter()
            .map(|c| match c.path.first() {
                Some(first) => self.model.relationship(*first).def.from,
                None => c.column,
            })
            .collect();
        for filter in &request.filters {
            if let ScanFilter::Rows { path, .. } = filter
                && let Some(first) = path.first()
            {
                read.push(self.model.relationship(*first).def.from);
            }
        }
        read.sort_unstable();
        read.dedup();
        let bytes = |c: &evercube_store::ColumnId| {
            let column = self.store.table(c.table).column(c.column);
            column.segments().map(|(_, bytes)| bytes as u64).sum::<u64>()
        };
        read.iter().map(bytes).sum()
    }
}

fn list(name: &str, shown: &[String], codes: &BitSet) -> String {
    match (shown, codes.count()) {
        ([only], 1) => format!("{name} = {only}"),
        (_, n) if n > shown.len() => format!(
            "{name} IN ( {}..[{n} total values, not all displayed] )",
            shown.iter().map(|s| format!("{s}, ")).collect::<String>()
        ),
        _ => format!("{name} IN ( {} )", shown.join(", ")),
    }
}

/// All columns a request reads.
fn columns(request: &ScanRequest) -> Vec<&PathColumn> {
    let mut all: Vec<&PathColumn> = Vec::new();
    for filter in &request.filters {
        match filter {
            ScanFilter::Codes { column, .. } => all.push(column),
            ScanFilter::Rows { .. } => {}
            ScanFilter::Tuples { columns, .. } => all.extend(columns),
        }
    }
    all.extend(&request.keys);
    for aggregate in &request.aggregates {
        match aggregate {
            Aggregate::CountRows => {}
            Aggregate::Sum(e) | Aggregate::Min(e) | Aggregate::Max(e) | Aggregate::Count(e) => {
                expression_columns(e, &mut all);
            }
            Aggregate::DistinctCount { column, .. } | Aggregate::SingleValue(column) => {
                all.push(column);
            }
        }
    }
    all
}

fn expression_columns<'r>(e: &'r RowExpr, out: &mut Vec<&'r PathColumn>) {
    match e {
        RowExpr::Column(c) | RowExpr::Coded { column: c, .. } => out.push(c),
        RowExpr::Constant(_) => {}
        RowExpr::Add(a, b)
        | RowExpr::Subtract(a, b)
        | RowExpr::Multiply(a, b)
        | RowExpr::Divide(a, b)
        | RowExpr::SafeDivide(a, b) => {
            expression_columns(a, out);
            expression_columns(b, out);
        }
    }
}
