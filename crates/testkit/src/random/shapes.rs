//! Parts of random queries that look beyond one group or row: subtotals, windows, ranks, what was
//! selected.

use super::query::Writer;

impl Writer<'_, '_> {
    /// Group columns, all of them different.
    fn groups(&mut self, n: usize) -> Vec<String> {
        let mut columns: Vec<String> = Vec::new();
        while columns.len() < n {
            let column = self.named();
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
        columns
    }

    /// `SUMMARIZECOLUMNS` with subtotals.
    pub(super) fn rollup(&mut self, depth: usize) -> String {
        let n = 1 + self.chance.below(2);
        let columns = self.groups(n);
        let mut parts: Vec<String> = Vec::new();
        match (columns.as_slice(), self.chance.below(4)) {
            ([a, b], 0) => {
                parts.push(format!("ROLLUPADDISSUBTOTAL ( {a}, \"s0\", {b}, \"s1\" )"));
            }
            ([a, b], 1) => {
                parts.push(format!("ROLLUPADDISSUBTOTAL ( ROLLUPGROUP ( {a}, {b} ), \"s0\" )"));
            }
            ([a, b], 2) => {
                parts.extend([a.clone(), format!("ROLLUPADDISSUBTOTAL ( {b}, \"s1\" )")])
            }
            _ => {
                let flagged = columns.iter().enumerate();
                parts
                    .extend(flagged.map(|(i, c)| format!("ROLLUPADDISSUBTOTAL ( {c}, \"s{i}\" )")));
            }
        }
        if self.chance.percent(50) {
            let filter = self.filter_table(depth.saturating_sub(1));
            parts.push(match self.chance.percent(20) {
                true => format!("NONVISUAL ( {filter} )"),
                false => filter,
            });
        }
        parts.push(self.expressions(depth));
        format!("SUMMARIZECOLUMNS ( {} )", parts.join(", "))
    }

    /// `SUMMARIZE` with subtotals over a table's own columns.
    pub(super) fn summarize_rollup(&mut self) -> String {
        let table = self.table();
        let columns: Vec<String> =
            table.columns.iter().map(|c| format!("{}[{}]", table.name, c.name)).collect();
        let first = self.chance.below(columns.len());
        let second = (first + 1) % columns.len();
        let (a, b) = (columns[first].clone(), columns[second].clone());
        let groups = match self.chance.below(3) {
            0 => format!("ROLLUP ( {a}, {b} )"),
            1 => format!("{a}, ROLLUP ( {b} )"),
            _ => format!("ROLLUP ( {a} )"),
        };
        let rolled = if groups.contains(&b) { b } else { a };
        let expressions = self.expressions(0);
        let source = &table.name;
        format!("SUMMARIZE ( {source}, {groups}, {expressions}, \"s\", ISSUBTOTAL ( {rolled} ) )")
    }

    pub(super) fn group_by(&mut self, depth: usize) -> String {
        let table = self.table();
        let columns: Vec<String> =
            table.columns.iter().map(|c| format!("{}[{}]", table.name, c.name)).collect();
        let (by, of) = (self.chance.pick(&columns).clone(), format!("{}[Number]", table.name));
        let source = match self.chance.percent(50) {
            true => table.name.clone(),
            false => {
                let filters = self.filters(depth.saturating_sub(1));
                format!("CALCULATETABLE ( {}, {filters} )", table.name)
            }
        };
        let function = *self.chance.pick(&["SUMX", "MAXX", "MINX", "COUNTX", "AVERAGEX"]);
        format!("GROUPBY ( {source}, {by}, \"x\", {function} ( CURRENTGROUP ( ), {of} * 2 ) )")
    }

    /// Columns of one table, those that order and the one that partitions.
    fn relation(&mut self) -> (String, String) {
        let table = self.table();
        let columns: Vec<String> =
            table.columns.iter().map(|c| format!("{}[{}]", table.name, c.name)).collect();
        let first = self.chance.below(columns.len());
        let (a, b) = (&columns[first], &columns[(first + 1) % columns.len()]);
        let direction = *self.chance.pick(&["", ", ASC", ", DESC", ", DESC BLANKS LAST"]);
        let function = *self.chance.pick(&["ALL", "ALL", "ALLSELECTED"]);
        match self.chance.below(4) {
            0 => (format!("{function} ( {a} )"), format!("ORDERBY ( {a}{direction} )")),
            1 => {
                let measure = self.chance.pick(&self.model.measures).clone();
                (format!("ALL ( {a} )"), format!("ORDERBY ( [{measure}]{direction} )"))
            }
            2 => (
                format!("{function} ( {a}, {b} )"),
                format!("ORDERBY ( {a}{direction} ), PARTITIONBY ( {b} )"),
            ),
            _ => {
                let direction = if direction.is_empty() { ", ASC" } else { direction };
                (format!("{function} ( {a}, {b} )"), format!("ORDERBY ( {a}{direction}, {b} )"))
            }
        }
    }

    /// A window function as a table.
    pub(super) fn window(&mut self) -> String {
        let (relation, order) = self.relation();
        let by = *self.chance.pick(&["-2", "-1", "1", "2"]);
        match self.chance.below(5) {
            0 | 1 => format!("OFFSET ( {by}, {relation}, {order} )"),
            2 => format!("INDEX ( {by}, {relation}, {order} )"),
            3 => format!("WINDOW ( 1, ABS, 0, REL, {relation}, {order} )"),
            _ => format!("WINDOW ( -1, REL, 1, REL, {relation}, {order} )"),
        }
    }

    /// Rows with their number and rank.
    pub(super) fn numbered(&mut self) -> String {
        let (relation, order) = self.relation();
        let (place, ties) =
            (*self.chance.pick(&["ROWNUMBER (", "RANK ("]), *self.chance.pick(&["DENSE", "SKIP"]));
        let place =
            if place.starts_with("RANK") { format!("RANK ( {ties},") } else { place.into() };
        let other = self.window();
        format!(
            "ADDCOLUMNS ( {relation}, \"n\", {place} {relation}, {order} ), \"x\", CALCULATE ( [{}], {other} ) )",
            self.chance.pick(&self.model.measures)
        )
    }

    /// `ALLSELECTED` as a filter argument.
    pub(super) fn all_selected(&mut self) -> String {
        match self.chance.below(4) {
            0 => "ALLSELECTED ( )".to_owned(),
            1 => format!("ALLSELECTED ( {} )", self.table().name),
            _ => format!("ALLSELECTED ( {} )", self.named()),
        }
    }

    pub(super) fn rank(&mut self, depth: usize) -> String {
        let (table, _) = self.rows_of(depth);
        // The value to rank is the expression outside of the rows: it names no column of theirs.
        let body = format!("[{}]", self.chance.pick(&self.model.measures));
        let tail = *self.chance.pick(&["", ", , ASC", ", , DESC, DENSE", ", 2, ASC, SKIP"]);
        format!("RANKX ( {table}, {body}{tail} )")
    }
}
