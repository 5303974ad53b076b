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
                parts.extend([a.clone(), format!("ROLLUPADDISSUBTOTAL ( {b}, \"s1\" )")]);
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
        let c = &columns[(first + 2) % columns.len()];
        let direction = *self.chance.pick(&["", ", ASC", ", DESC", ", DESC BLANKS LAST"]);
        let function = *self.chance.pick(&["ALL", "ALL", "ALLSELECTED"]);
        match self.chance.below(6) {
            4 | 5 if c != a => (
                format!("{function} ( {a}, {b}, {c} )"),
                format!("ORDERBY ( {a}{direction} ), PARTITIONBY ( {b}, {c} )"),
            ),
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

    /// A filter table over several columns, or made of others.
    pub(super) fn shaped(&mut self, depth: usize) -> String {
        let d = depth.saturating_sub(1);
        let columns = self.groups(2);
        let (a, b) = (&columns[0], &columns[1]);
        match self.chance.below(8) {
            0 => {
                let (t, c) = self.column();
                let (u, e) = self.column();
                let mut pair =
                    || format!("( {}, {} )", c.constant(self.chance), e.constant(self.chance));
                let (first, second) = (pair(), pair());
                if (&t.name, &c.name) == (&u.name, &e.name) {
                    return format!("VALUES ( {a} )");
                }
                format!(
                    "TREATAS ( {{ {first}, {second} }}, {}[{}], {}[{}] )",
                    t.name, c.name, u.name, e.name
                )
            }
            1 => format!("CROSSJOIN ( VALUES ( {a} ), VALUES ( {b} ) )"),
            2 => format!("EXCEPT ( ALL ( {a} ), VALUES ( {a} ) )"),
            3 => format!("CALCULATETABLE ( VALUES ( {a} ), {} )", self.filters(d)),
            4 => {
                let measure = self.chance.pick(&self.model.measures).clone();
                format!("TOPN ( 2, ALL ( {a} ), [{measure}] )")
            }
            5 => format!("SUMMARIZECOLUMNS ( {a}, {b}, {} )", self.filter_table(d)),
            6 => {
                let measure = self.chance.pick(&self.model.measures).clone();
                format!("FILTER ( CROSSJOIN ( ALL ( {a} ), ALL ( {b} ) ), [{measure}] > 1 )")
            }
            _ => self.summarized(),
        }
    }

    /// Columns of a table and of one that it refers to, as they occur together.
    fn summarized(&mut self) -> String {
        let table = self.table();
        let own = format!("{}[", table.name);
        let column = self.chance.pick(&table.columns).name.clone();
        let to = self
            .model
            .relationships
            .iter()
            .find(|r| r.active && !r.many_to_many && r.from.starts_with(&own))
            .and_then(|r| r.to.split('[').next())
            .map_or_else(String::new, |to| format!(", {to}[Text]"));
        format!("SUMMARIZE ( {}, {own}{column}]{to} )", table.name)
    }

    /// A table found in one place and a filter in another.
    pub(super) fn table_variable(&mut self, depth: usize) -> String {
        let table = self.filter_table(depth);
        let (inner, filters) = (self.scalar(depth), self.filters(depth));
        format!(
            "( VAR t = {table} RETURN CALCULATE ( CALCULATE ( {inner}, t ), {filters} ) + COUNTROWS ( t ) )"
        )
    }

    /// Groupings joined by the columns they have in common, or rows joined to rows.
    pub(super) fn joined(&mut self, depth: usize) -> String {
        let columns = self.groups(2);
        let (a, b) = (&columns[0], &columns[1]);
        let measure = |w: &mut Self| w.chance.pick(&w.model.measures).clone();
        let (first, second) = (measure(self), measure(self));
        match self.chance.below(5) {
            4 => format!(
                "GENERATE ( VALUES ( {a} ), CALCULATETABLE ( SUMMARIZECOLUMNS ( {b}, \"x\", [{first}] ), {} ) )",
                self.filters(depth.saturating_sub(1))
            ),
            0 => format!(
                "NATURALINNERJOIN ( SUMMARIZECOLUMNS ( {a}, \"x\", [{first}] ), SUMMARIZECOLUMNS ( {a}, {b}, \"y\", [{second}] ) )"
            ),
            1 => format!(
                "NATURALLEFTOUTERJOIN ( SUMMARIZECOLUMNS ( {a}, \"x\", [{first}] ), SUMMARIZECOLUMNS ( {a}, {}, \"y\", [{second}] ) )",
                self.filter_table(depth.saturating_sub(1))
            ),
            2 => format!(
                "GENERATEALL ( VALUES ( {a} ), CALCULATETABLE ( VALUES ( {b} ), {} ) )",
                self.filters(depth.saturating_sub(1))
            ),
            _ => format!(
                "SUMMARIZECOLUMNS ( {a}, {b}, \"x\", IGNORE ( {} ), \"y\", [{second}] )",
                self.scalar(depth)
            ),
        }
    }
    /// Rows of tables that may have blank ones, crossed.
    pub(super) fn crossed(&mut self, depth: usize) -> String {
        let columns = self.groups(2);
        let function = *self.chance.pick(&["VALUES", "ALL", "DISTINCT"]);
        let (a, b) =
            (format!("{function} ( {} )", columns[0]), format!("VALUES ( {} )", columns[1]));
        let crossed = match self.chance.below(3) {
            0 => format!("CROSSJOIN ( {a}, {b} )"),
            1 => format!("GENERATE ( {a}, {b} )"),
            _ => {
                let filters = self.filters(depth.saturating_sub(1));
                format!("GENERATEALL ( {a}, CALCULATETABLE ( {b}, {filters} ) )")
            }
        };
        let measure = self.chance.pick(&self.model.measures).clone();
        format!("ADDCOLUMNS ( {crossed}, \"m\", [{measure}], {} )", self.expressions(depth))
    }

    /// An item of a calculation group, selected.
    pub(super) fn item(&mut self) -> String {
        let model = self.model;
        self.chance.pick(&model.groups).selection(self.chance)
    }

    /// Measures by the items of a calculation group.
    pub(super) fn in_groups(&mut self, depth: usize) -> String {
        let model = self.model;
        if model.groups.is_empty() {
            return self.rollup(depth);
        }
        let group = self.chance.pick(&model.groups).name;
        let column = self.named();
        match self.chance.below(3) {
            0 => format!("ADDCOLUMNS ( VALUES ( {group}[Item] ), {} )", self.expressions(depth)),
            1 => format!(
                "SUMMARIZECOLUMNS ( {group}[Item], {}, {} )",
                self.filter_table(depth.saturating_sub(1)),
                self.expressions(depth)
            ),
            _ => {
                format!("SUMMARIZECOLUMNS ( {column}, {group}[Item], {} )", self.expressions(depth))
            }
        }
    }

    /// Filters of one column, in and around each other.
    pub(super) fn several_of_one(&mut self) -> String {
        let (t, c) = self.column();
        let name = format!("{}[{}]", t.name, c.name);
        let mut value = || c.constant(self.chance);
        let (one, other, third) = (value(), value(), value());
        match self.chance.below(3) {
            0 => format!(
                "KEEPFILTERS ( {name} <> {one} ), KEEPFILTERS ( {name} IN {{ {one}, {other} }} )"
            ),
            1 => format!(
                "{name} IN {{ {one}, {other} }}, KEEPFILTERS ( {name} = {other} || {name} = {third} )"
            ),
            _ => format!(
                "KEEPFILTERS ( TREATAS ( {{ {one}, {other} }}, {name} ) ), KEEPFILTERS ( FILTER ( ALL ( {name} ), {name} <> {third} ) )"
            ),
        }
    }

    /// A table found once and used in two places.
    pub(super) fn variable_twice(&mut self, depth: usize) -> String {
        let table = self.filter_table(depth);
        let inner = self.scalar(depth);
        // With other relationships a part of it may be wrong that is right by itself.
        let relates = std::mem::replace(&mut self.relates, false);
        let filters = self.filters(depth);
        self.relates = relates;
        match self.chance.below(3) {
            0 => format!(
                "( VAR t = {table} RETURN CALCULATE ( {inner}, t ) - CALCULATE ( {inner}, {filters}, t ) )"
            ),
            1 => format!(
                "( VAR t = {table} RETURN SUMX ( t, CALCULATE ( {inner} ) ) + CALCULATE ( COUNTROWS ( t ), {filters} ) )"
            ),
            _ => format!(
                "( VAR t = {table} VAR u = CALCULATETABLE ( t, {filters} ) RETURN COUNTROWS ( UNION ( t, u ) ) + COUNTROWS ( EXCEPT ( t, u ) ) + CALCULATE ( {inner}, u, KEEPFILTERS ( t ) ) )"
            ),
        }
    }
}
